"""The rows of a file as they are written, before they become events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.colmap import ColumnMap
from liqbt.ingest.columns import passes, wanted_columns
from liqbt.ingest.files import MAX_BYTES, CsvShape, RawTable, read_columns
from liqbt.types import IntArray, Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceRows:
    """The rows of a file before they become events.

    Attributes
    ----------
    raw : RawTable
        Columns as they are written. A vendor's reader may leave rows out or add columns.
    number : ndarray of int64, shape (n,)
        Each row's number in the file, from 1; a header is not counted.
    total : int
        Rows in the file, those left out included.
    bad : mapping of str to ndarray of bool, shape (n,)
        Rows that cannot be right, by reason, as far as a vendor's reader knows already.
    notes : mapping of str to str, int or float
        What it says about the file, for the log's commit.
    """

    raw: RawTable
    number: IntArray
    total: int
    bad: Mapping[str, Mask] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def pick(self, keep: Mask) -> SourceRows:
        """Return the rows where `keep`, shape (n,), holds."""
        raw = self.raw
        return SourceRows(
            raw=RawTable(file=raw.file, table=raw.table.filter(pa.array(keep)), ragged=raw.ragged),
            number=self.number[keep],
            total=self.total,
            bad={reason: mask[keep] for reason, mask in self.bad.items()},
            notes=self.notes,
        )


def read_rows(
    mapping: ColumnMap, path: Path, *, also: Collection[str] = (), max_bytes: int = MAX_BYTES
) -> SourceRows:
    """Read the columns that a map uses, of the rows that pass its filter.

    Parameters
    ----------
    mapping : ColumnMap
        What to read.
    path : Path
        The file.
    also : collection of str
        Further columns, as text.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    DataError
        The file cannot be read or lacks a column, has no rows, or none passes the filter.
    """
    wanted = wanted_columns(mapping)
    rows = read_table(
        path,
        numbers=wanted.numbers,
        integers=wanted.integers,
        texts=tuple(dict.fromkeys((*wanted.texts, *also))),
        shape=mapping.shape,
        max_bytes=max_bytes,
    )
    keep = passes(rows.raw.table, mapping.where)
    if not keep.any():
        rule = {column: list(values) for column, values in mapping.where.items()}
        raise DataError(f"{path} has no row where {rule}")
    return rows if keep.all() else rows.pick(keep)


def read_table(
    path: Path,
    *,
    numbers: Collection[str] = (),
    integers: Collection[str] = (),
    texts: Collection[str] = (),
    shape: CsvShape,
    max_bytes: int = MAX_BYTES,
) -> SourceRows:
    """Read some columns of a file, by what is expected in them.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or has no rows.
    """
    raw = read_columns(
        path, numbers=numbers, integers=integers, texts=texts, shape=shape, max_bytes=max_bytes
    )
    total = raw.table.num_rows + len(raw.ragged)
    if total == 0:
        raise DataError(f"{path} has a header but no rows")
    number = np.arange(1, total + 1, dtype=np.int64)
    if raw.ragged:
        number = np.setdiff1d(number, [row for row, _ in raw.ragged])
    return SourceRows(raw=raw, number=number, total=total)
