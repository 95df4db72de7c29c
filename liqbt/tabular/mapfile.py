"""Reading the YAML of a column map: plain, without aliases, tags or doubled keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from liqbt.errors import ConfigError

__all__ = ["allowed", "duration_ns", "read_mapping", "text_of"]

_MAX_BYTES: Final = 1 << 20
_DURATION: Final = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_DURATION_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_LONGEST_NS: Final = 3653 * _DURATION_NS["d"]
"""Ten years: a time of 2099 and a few durations still fit in int64."""


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases, doubled keys or dates; only true and false are special words.

    YAML 1.1 would read the coin `NO` or the key `on` as a truth value, and `2026-01-01` as a date.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "aliases are not allowed", self.get_mark())
        tag = getattr(cast(Any, self).peek_event(), "tag", None)
        if tag is not None:
            raise yaml.MarkedYAMLError(None, None, f"tags are not allowed: {tag}", self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                problem = f"key {key.value!r} is given twice"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tfTF")
)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read one mapping from a YAML file of at most 1 MiB.

    Raises
    ------
    ConfigError
        It is missing or not such a file; names the file, and the line where there is one.
    """
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path}: {len(data)} bytes; a column map has at most 1 MiB")
        loaded = yaml.load(data.decode("utf-8"), Loader=_Loader)  # a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{path}: not a plain UTF-8 YAML file") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]}") from None
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
