"""Columns of the tables of truth, where every row must be right: what is not is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.ingest.cells import as_times, as_words
from liqbt.ingest.files import MAX_BYTES, CsvShape, RawTable, read_columns
from liqbt.types import IntArray, Mask


def read(
    path: Path, numbers: Sequence[str], texts: Sequence[str], *, max_bytes: int = MAX_BYTES
) -> RawTable:
    """Read some columns of a table whose rows are all whole.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, has no rows, or one with another number of cells.
    """
    raw = read_columns(
        path, numbers=numbers, integers=(), texts=texts, shape=CsvShape(), max_bytes=max_bytes
    )
    if raw.ragged:
        raise DataError(f"{path}: row {raw.ragged[0][0]} has another number of cells")
    if not raw.table.num_rows:
        raise DataError(f"{path} has no rows")
    return raw


def times(raw: RawTable, name: str) -> IntArray:
    """Return a column of ISO 8601 text as ns UTC, shape (n,).

    Raises
    ------
    DataError
        A cell is no time from 2009 to 2100; names the rows.
    """
    found, bad = as_times(raw.table[name], "iso", "UTC", f"column {name!r} of {raw.file}")
    refuse(raw, f"{name} is no time from 2009 to 2100", bad)
    return found


def words(raw: RawTable, name: str) -> tuple[list[str], IntArray]:
    """Return the sorted words of a column, and each row's index, shape (n,).

    Raises
    ------
    DataError
        A cell is empty; names the rows.
    """
    found, codes = as_words(raw.table[name])
    empty = [i for i, word in enumerate(found) if not word.strip()]
    refuse(raw, f"{name} is empty", np.isin(codes, empty))
    return found, codes


def refuse(raw: RawTable, reason: str, bad: Mask) -> None:
    """Raise a DataError that names the first rows in `bad`, shape (n,), if there are any."""
    if bad.any():
        rows = (np.flatnonzero(bad)[:5] + 1).tolist()
        raise DataError(f"{raw.file}: {reason} at rows {rows}")


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only copy."""
    out = np.array(array)
    out.setflags(write=False)
    return out
