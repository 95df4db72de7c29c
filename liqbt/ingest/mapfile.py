"""What the YAML of a column map may hold: words, keys that are known, durations."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from liqbt.errors import ConfigError
from liqbt.ingest.plain_yaml import PlainLoader, read_plain_yaml
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

_DURATION: Final = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_DURATION_NS: Final = {
    "ms": SECOND_NS // 1000,
    "s": SECOND_NS,
    "m": MINUTE_NS,
    "h": HOUR_NS,
    "d": DAY_NS,
}
_LONGEST_NS: Final = 3653 * DAY_NS
"""Ten years: a time of 2099 and a few durations still fit in int64."""


class _Loader(PlainLoader):
    """Nothing but true and false is a special word, and nothing is a date.

    YAML 1.1 would read the coin `NO` or the key `on` as a truth value, and `2026-01-01` as a date.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tfTF")
)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the mapping that a column map's file holds.

    Raises
    ------
    ConfigError
        It is missing or not such a file; names the file, and the line where there is one.
    """
    loaded = read_plain_yaml(path, _Loader)
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a column map is a mapping of keys to values")
    return loaded


def allowed(
    value: Any, where: str, keys: Collection[str], required: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return `value` where it is a mapping with known keys and all the required ones.

    Raises
    ------
    ConfigError
        Names the unknown key and the nearest known one, or the missing key.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected keys {sorted(keys)}, got {value!r}")
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(str(key), list(keys), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {sorted(keys)}"
            raise ConfigError(f"{where}: unknown key {str(key)!r}{hint}")
    missing = [key for key in required if value.get(key) is None]
    if missing:
        raise ConfigError(f"{where}: key {missing[0]!r} is missing")
    return value


def text_of(value: Any, where: str, choices: Collection[str] = ()) -> str:
    """Return `value` where it is text, one of `choices` if there are any.

    Raises
    ------
    ConfigError
        It is not; names the nearest choice.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: expected text, got {value!r} (quote it)")
    if choices and value not in choices:
        near = difflib.get_close_matches(value, list(choices), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{where}: {value!r} is none of {sorted(choices)}{hint}")
    return value


def duration_ns(value: Any, where: str) -> int:
    """Return a duration such as `60s`, `5m`, `1h` in ns.

    Raises
    ------
    ConfigError
        It is none.

    Examples
    --------
    >>> duration_ns("5m", "here")
    300000000000
    """
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(f"{where}: expected a duration such as 60s, 5m or 1h, got {value!r}")
    duration = float(match.group(1)) * _DURATION_NS[match.group(2)]
    if duration > _LONGEST_NS:
        raise ConfigError(f"{where}: {value!r} is longer than ten years")
    return round(duration)
