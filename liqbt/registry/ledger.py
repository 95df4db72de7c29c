"""A file that is only ever added to: each line carries the SHA-256 of the line before it.

A line that was altered or taken out shows. What was being written when a process was killed is not
there: the whole file is replaced at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from liqbt.errors import DataError, first_line
from liqbt.log.disk import replace, sha256

T = TypeVar("T")


def read_chain(
    path: Path, lines: Sequence[bytes], made: Callable[[int, dict[str, Any]], T]
) -> list[tuple[T, bytes]]:
    """Return what stands in each line, and the line.

    Parameters
    ----------
    path : Path
        The file, for what is said of it.
    lines : sequence of bytes
        Its lines, without their ends.
    made : callable
        From a line's number, 1 for the first, and its row to what stands in it; ValueError,
        KeyError, TypeError or AttributeError where that cannot be.

    Raises
    ------
    DataError
        If a line was altered or taken out; names file and line.
    """
    found: list[tuple[T, bytes]] = []
    for number, line in enumerate(lines, start=1):
        before = sha256(found[-1][1]) if found else ""
        try:
            row = json.loads(line)
            if row.pop("before") != before:
                raise ValueError("it does not follow the line before it")
            found.append((made(number, row), line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}: line {number} is not as it was written ({first_line(error)}); the ledger "
                "is only ever added to: bring it back as it was"
            ) from error
    return found


def add_line(path: Path, lines: Sequence[bytes], row: Mapping[str, Any]) -> None:
    """Add a row behind the lines of a file and return once it is on the disk.

    Parameters
    ----------
    path : Path
        The file; the caller holds its lock.
    lines : sequence of bytes
        What stands in it, as `read_chain` returned it.
    row : mapping
        Values that JSON can hold.
    """
    whole = {**row, "before": sha256(lines[-1]) if lines else ""}
    replace(path, b"".join(line + b"\n" for line in (*lines, canonical_json(whole).encode())))


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def run_identity(hashes: Mapping[str, Any]) -> str:
    """Return the run id of a set of hashes: 16 hex digits.

    Examples
    --------
    >>> run_identity({"code": "b", "config": "a"}) == run_identity({"config": "a", "code": "b"})
    True
    """
    return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()[:16]
