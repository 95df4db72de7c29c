"""Reading YAML that people write: safe, plain, and refused in one sentence when it is not."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, cast

import yaml

from liqbt.errors import ConfigError

__all__ = ["nearest", "read_yaml"]

_MAX_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """SafeLoader without anchors (they can explode) nor doubled keys (one would be lost)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(None, None, "aliases are not allowed", mark)
        tag = getattr(cast(Any, self).peek_event(), "tag", None)
        if tag is not None:
            raise yaml.MarkedYAMLError(None, None, f"tags are not allowed: {tag}", self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    None, None, "a key must be a plain word", key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    None, None, f"key '{key_node.value}' is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
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
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise ConfigError(f"{path}: expected a mapping of names to values at the top")
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
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(names)}"
