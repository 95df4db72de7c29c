"""From a file's bytes to its columns: CSV (plain, gzip, zip with one member) or Parquet."""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from liqbt.errors import DataError, reason_of
from liqbt.ingest.packed import BROKEN, Utf8Stream, magic_of, opener_of
from liqbt.log import disk

MAX_BYTES: Final = 2 << 30
"""The most that a file may hold once it is unpacked."""
_HEADER_BYTES: Final = 1 << 20
_PLAIN: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_boolean,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_null,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvShape:
    """How a CSV is written.

    Attributes
    ----------
    delimiter : str
        One character.
    columns : tuple of str
        The names of its columns where it has no header; empty where the first row has them.
    skip : int
        Lines before the first row where `columns` are given: 1 puts them in a header's place.
    """

    delimiter: str = ","
    columns: tuple[str, ...] = ()
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """The columns of a file that a map asks for, as they are written.

    Attributes
    ----------
    file : str
        The file's name, for messages.
    table : pyarrow.Table
        Numbers, text or timestamps; null where a cell is empty.
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
        return disk.sha256_file(path)
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
        magic = magic_of(path)
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
            _require_plain(path, file.schema_arrow, wanted)
            table = _in_utc(file.read(columns=list(dict.fromkeys(wanted)), use_threads=False))
            table.validate(full=True)  # text that is no UTF-8, among others
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no readable Parquet file: {reason_of(error)}") from None
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
        raise DataError(f"{path} is no readable CSV: {reason_of(error)}") from None


def _parse(
    path: Path,
    opener: Callable[[], Any],
    names: list[str],
    types: dict[str, Any],
    shape: CsvShape,
    ragged: list[tuple[int, str]] | None,
) -> pa.Table:
    first = shape.skip if shape.columns else 1

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
            raise DataError(f"{path} is truncated or damaged: {reason_of(error)}") from None


def read_head(
    path: Path, *, lines: int = 2, delimiter: str = ",", max_bytes: int = MAX_BYTES
) -> list[list[str]]:
    """Return the cells of the first lines of a CSV, to tell a header from a row.

    Raises
    ------
    DataError
        The file is missing, empty, packed badly, or its first line is no text.
    """
    try:
        magic = magic_of(path)
        if magic == b"PAR1":
            raise DataError(f"{path} is a Parquet file: a CSV is expected")
        return _head(path, opener_of(path, magic, max_bytes), delimiter, lines)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _head(path: Path, opener: Callable[[], Any], delimiter: str, lines: int) -> list[list[str]]:
    try:
        with opener() as stream:
            head = [stream.readline(_HEADER_BYTES) for _ in range(lines)]
        first = head[0].decode("utf-8-sig")
    except BROKEN as error:
        raise DataError(f"{path} is truncated or damaged: {reason_of(error)}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no CSV: its first line is not UTF-8 text") from None
    if not first.strip():
        raise DataError(f"{path} is empty or starts with an empty line: a header is expected")
    texts = [first, *(line.decode("utf-8", "replace") for line in head[1:])]
    try:
        return [
            next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))
            for text in texts
            if text.strip()
        ]
    except csv.Error as error:
        raise DataError(f"{path} has no readable header: {error}") from None


def _header(path: Path, opener: Callable[[], Any], shape: CsvShape) -> list[str]:
    names = _head(path, opener, shape.delimiter, 1)[0]
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
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


def _require_plain(path: Path, schema: pa.Schema, wanted: Sequence[str]) -> None:
    """Refuse a column that is there twice, or holds neither numbers nor text nor times."""
    for name in dict.fromkeys(wanted):
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            raise DataError(f"{path} has the column {name!r} twice")
        kind = schema.field(places[0]).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(test(kind) for test in _PLAIN):
            raise DataError(
                f"{path}: column {name!r} holds {str(kind)[:40]}: numbers, text or times are "
                "expected"
            )


def _in_utc(table: pa.Table) -> pa.Table:
    """Return `table` with instants in UTC: the same instants, whatever zone a column names."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            utc = pa.timestamp(field.type.unit, "UTC")
            table = table.set_column(i, field.name, table.column(i).cast(utc))
    return table
