"""YAML that people write, read without what can explode, run code or lose a key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, Final, cast

import yaml

from liqbt.config.paths import refuse_special
from liqbt.errors import ConfigError, reason_of

_MAX_BYTES: Final = 1 << 20


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases (they can explode), tags, or doubled keys (one would be lost).

    Nothing but true and false is a special word, and nothing is a date: YAML 1.1 would read the
    coin `NO` or the key `on` as a truth value.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, unless it is an alias or has a tag."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "aliases are not allowed", self.get_mark())
        tag = getattr(cast(Any, self).peek_event(), "tag", None)
        if tag is not None:
            raise yaml.MarkedYAMLError(None, None, f"tags are not allowed: {tag}", self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping whose keys are words, each given once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key must be a plain word"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
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


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read one mapping from a YAML file.

    Parameters
    ----------
    path : Path
        The file; at most 1 MiB, UTF-8, without tags, aliases or doubled keys.

    Raises
    ------
    ConfigError
        If it is missing or not such a file; names the file, and the line where there is one.
    """
    refuse_special(path)
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path}: {len(data)} bytes; a configuration has at most 1 MiB")
        loaded = yaml.load(data.decode("utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}: not valid YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {reason_of(error)}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected a mapping of names to values at the top")
    try:
        json.dumps(loaded, ensure_ascii=False, default=str, skipkeys=True).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ConfigError(
            f"{path}: not Unicode text: half of a character, {half!a}, which nothing can write"
        ) from error
    return loaded


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them when none is near.

    Examples
    --------
    >>> nearest("horizon", ["horizons", "seed"])
    "did you mean 'horizons'?"
    >>> nearest("x", ["b", "a"])
    'known are: a, b'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    close = close or [name for name in names if len(word) > 2 and name.startswith(word)]
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(names)}"
