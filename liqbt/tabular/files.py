"""From a file's bytes to its columns: CSV (plain, gzip, zip with one member) or Parquet."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from liqbt.errors import DataError
from liqbt.tabular.packed import BROKEN, Utf8Stream, first_line, opener_of

__all__ = ["MAX_BYTES", "CsvShape", "RawTable", "read_columns", "sha256_file"]

MAX_BYTES: Final = 2 << 30
"""The most that a file may hold once it is unpacked."""
_HEADER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvShape:
    """How a CSV is written.

    Attributes
    ----------
    delimiter : str
        One character.
    columns : tuple of str
        The names of its columns where it has no header; empty where the first row has them.
    """

    delimiter: str = ","
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """The columns of a file that a map asks for, as they are written.

    Attributes
    ----------
    file : str
        The file's name, for messages.
    table : pyarrow.Table
        Numbers, text or timestamps; null where a cell is empty.
    row : ndarray-like of int
        Number of each row in the file, from 1; the header is not counted.
    ragged : tuple of (int, str)
        Rows with another number of cells: row number and text. They are not in `table`.
    """

    file: str
    table: pa.Table
    ragged: tuple[tuple[int, str], ...] = ()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises
    ------
    DataError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def read_columns(
    path: Path,
    *,
    numbers: Collection[str],
    integers: Collection[str],
    texts: Collection[str],
    shape: CsvShape,
    max_bytes: int = MAX_BYTES,
) -> RawTable:
    """Read some columns of a table.

    Parameters
    ----------
    path : Path
        `.parquet`, or CSV as `.csv`, `.csv.gz`, `.zip` (told by content, not by name).
    numbers, integers, texts : collection of str
        The columns wanted, by what is expected in them. Where a cell is not that, the column is
        given as text, so that the cell can be named.
    shape : CsvShape
        How a CSV is written.
    max_bytes : int
        The most that may come out of the file.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, too large once unpacked, no such table, or lacks a
        column; names the file and the nearest columns.
    """
    wanted = [*numbers, *integers, *texts]
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise DataError(f"{path} is empty")
        if magic == b"PAR1":
            return _read_parquet(path, wanted, max_bytes)
        return _read_csv(path, opener_of(path, magic, max_bytes), numbers, integers, texts, shape)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_parquet(path: Path, wanted: Sequence[str], max_bytes: int) -> RawTable:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            groups = range(file.metadata.num_row_groups)
            size = sum(file.metadata.row_group(i).total_byte_size for i in groups)
            if size > max_bytes:
                raise DataError(f"{path} expands to more than {max_bytes} bytes")
            _require(path, file.schema_arrow.names, wanted)
            table = file.read(columns=list(dict.fromkeys(wanted)), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no readable Parquet file: {first_line(error)}") from None
    return RawTable(file=path.name, table=table)


def _read_csv(
    path: Path,
    opener: Callable[[], Any],
    numbers: Collection[str],
    integers: Collection[str],
    texts: Collection[str],
    shape: CsvShape,
) -> RawTable:
    names = list(shape.columns) or _header(path, opener, shape)
    _require(path, names, [*numbers, *integers, *texts])
    word = pa.dictionary(pa.int32(), pa.string())
    types: dict[str, Any] = dict.fromkeys(numbers, pa.float64())
    types |= dict.fromkeys(integers, pa.int64())
    types |= dict.fromkeys(texts, word)
    try:
        return RawTable(file=path.name, table=_parse(path, opener, names, types, shape, None))
    except pa.ArrowInvalid:
        ragged: list[tuple[int, str]] = []
        as_text = dict.fromkeys(types, pa.string())
        table = _parse_or_refuse(path, opener, names, as_text, shape, ragged)
        return RawTable(file=path.name, table=table, ragged=tuple(ragged))


def _parse_or_refuse(
    path: Path,
    opener: Callable[[], Any],
    names: list[str],
    types: dict[str, Any],
    shape: CsvShape,
    ragged: list[tuple[int, str]],
) -> pa.Table:
    try:
        return _parse(path, opener, names, types, shape, ragged)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no readable CSV: {first_line(error)}") from None


def _parse(
    path: Path,
    opener: Callable[[], Any],
    names: list[str],
    types: dict[str, Any],
    shape: CsvShape,
    ragged: list[tuple[int, str]] | None,
) -> pa.Table:
    first = 0 if shape.columns else 1

    def skip(row: Any) -> str:
        if ragged is not None:
            ragged.append((row.number - first, row.text))
        return "skip"

    with opener() as stream:
        try:
            return pa_csv.read_csv(
                stream if ragged is None else io.BufferedReader(Utf8Stream(stream)),
                read_options=pa_csv.ReadOptions(
                    column_names=names, skip_rows=first, use_threads=False
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=shape.delimiter,
                    invalid_row_handler=None if ragged is None else skip,
                ),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    strings_can_be_null=True,
                    null_values=["", "NaN", "nan", "NULL", "null", "None", "N/A"],
                ),
            )
        except BROKEN as error:
            raise DataError(f"{path} is truncated or damaged: {first_line(error)}") from None


def _header(path: Path, opener: Callable[[], Any], shape: CsvShape) -> list[str]:
    try:
        with opener() as stream:
            head = stream.readline(_HEADER_BYTES)
        line = head.decode("utf-8-sig")
    except BROKEN as error:
        raise DataError(f"{path} is truncated or damaged: {first_line(error)}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no CSV: its first line is not UTF-8 text") from None
    if not line.strip():
        raise DataError(f"{path} is empty or starts with an empty line: a header is expected")
    try:
        names = next(csv.reader([line.rstrip("\r\n")], delimiter=shape.delimiter))
    except csv.Error as error:
        raise DataError(f"{path} has no readable header: {error}") from None
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} twice")
    return names


def _require(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"; nearest: {near[0]!r}" if near else ""
            has = [n[:40] for n in names[:20]]
            raise DataError(f"{path} has no column {name!r}{hint}; it has {has}")
