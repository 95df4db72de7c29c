"""The mapping that a configuration's YAML holds, and what an unknown word was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from liqbt.errors import ConfigError
from liqbt.ingest.plain_yaml import read_plain_yaml


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
    loaded = read_plain_yaml(path)
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
