"""YAML that people write, read without what can explode, run code or lose a key."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final, cast

import yaml

from liqbt.errors import ConfigError, reason_of

_MAX_BYTES: Final = 1 << 20


class PlainLoader(yaml.SafeLoader):
    """SafeLoader without aliases (they can explode), tags, or doubled keys (one would be lost)."""

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


def read_plain_yaml(path: Path, loader: type[PlainLoader] = PlainLoader) -> Any:
    """Read a YAML file of at most 1 MiB of UTF-8, without tags, aliases or doubled keys.

    Parameters
    ----------
    path : Path
        The file.
    loader : type, optional
        Which plain words are more than text.

    Returns
    -------
    object
        What the file holds; None where it holds nothing.

    Raises
    ------
    ConfigError
        It is missing or not such a file; names the file, and the line where there is one.
    """
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path}: {len(data)} bytes; a configuration has at most 1 MiB")
        return yaml.load(data.decode("utf-8"), Loader=loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}: not valid YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {reason_of(error)}") from error
