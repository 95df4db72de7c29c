"""From a file's bytes to its columns: CSV (plain or packed) or Parquet."""

from __future__ import annotations

import bz2
import codecs
import csv
import difflib
import gzip
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Final, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from liqbt.config.fields import must
from liqbt.config.paths import refuse_special
from liqbt.errors import DataError, reason_of
from liqbt.log import disk

MAX_BYTES: Final = 2 << 30
"""The most that a file may hold once it is unpacked."""
BROKEN: Final = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)
"""What reading a truncated or damaged stream raises."""
_CODECS: Final = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bz2",
    b"\xfd7zX": "xz",
}
"""How a packed file begins, beside gzip and zip."""
_HEADER_BYTES: Final = 1 << 20
_WORD_BYTES: Final = 4
"""A row of Parquet, at most, of which a column of words that repeat consists."""
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


class NoRowsError(DataError):
    """A file that says nothing happened: a header and no rows, or a recording without a message."""


class CsvShape(BaseModel):
    """How a CSV is written.

    Attributes
    ----------
    delimiter : str
        One character.
    columns : tuple of str
        The names of its columns where it has no header; empty where the first row has them.
    skip : int
        Lines before the header; where `columns` are given, before the first row: 1 puts them in a
        header's place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: Annotated[str, must(lambda text: len(text) == 1, "one character")] = ","
    columns: Annotated[
        tuple[str, ...],
        must(lambda names: len(set(names)) == len(names), "a list of different names"),
    ] = ()
    skip: Annotated[int, Field(ge=0)] = 0


def header_shape(path: Path | str, columns: Sequence[str], *, skip: int) -> CsvShape:
    """Return how a file is written whose first row was read already.

    Raises
    ------
    DataError
        A name of its header is empty, or there twice; names the file.
    """
    bad = next((name for name in columns if not name or list(columns).count(name) > 1), None)
    if bad is not None:
        how = f"{bad[:40]!r} twice" if bad else "a column without a name"
        raise DataError(f"{path}: its header has {how}; expected different names")
    return CsvShape(columns=tuple(columns), skip=skip)


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
    refuse_special(path)
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
        `.parquet`, or CSV, plain or packed by gzip, zip, zstd, lz4, bz2 or xz (told by content, not
        by name).
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
            return _read_parquet(path, wanted, texts, max_bytes)
        return _read_csv(path, opener_of(path, magic, max_bytes), numbers, integers, texts, shape)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_parquet(
    path: Path, wanted: Sequence[str], texts: Collection[str], max_bytes: int
) -> RawTable:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            groups = range(file.metadata.num_row_groups)
            size = sum(file.metadata.row_group(i).total_byte_size for i in groups)
            if size > max_bytes:
                raise DataError(_too_large(path, max_bytes))
            _require(path, file.schema_arrow.names, wanted)
            _require_plain(path, file.schema_arrow, wanted)
            repeating = _repeating(file, texts)
        with pq.ParquetFile(path, pre_buffer=False, read_dictionary=repeating) as file:
            table = _in_utc(file.read(columns=list(dict.fromkeys(wanted)), use_threads=False))
            table.validate(full=True)  # text that is no UTF-8, among others
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no readable Parquet file: {reason_of(error)}") from None
    return RawTable(file=path.name, table=table)


def _repeating(file: pq.ParquetFile, texts: Collection[str]) -> list[str]:
    """Return the columns of text whose words repeat: in the file they are little but numbers."""
    kinds = file.schema_arrow
    counted = {n: (0, 0) for n in texts if pa.types.is_string(kinds.field(n).type)}
    for i in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(i)
        for column in (group.column(j) for j in range(group.num_columns)):
            if column.path_in_schema in counted:
                size, rows = counted[column.path_in_schema]
                size, rows = size + column.total_uncompressed_size, rows + column.num_values
                counted[column.path_in_schema] = (size, rows)
    return [name for name, (size, rows) in counted.items() if size <= _WORD_BYTES * rows]


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
    first = shape.skip if shape.columns else shape.skip + 1

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


def _head(
    path: Path, opener: Callable[[], Any], delimiter: str, lines: int, *, skip: int = 0
) -> list[list[str]]:
    try:
        with opener() as stream:
            for _ in range(skip):
                stream.readline(_HEADER_BYTES)
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
    names = _head(path, opener, shape.delimiter, 1, skip=shape.skip)[0]
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
            if names and names[0].lstrip().startswith(("{", "[")):
                hint = "; its lines are JSON: say `jsonl:` in the map"
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


def magic_of(path: Path) -> bytes:
    """Return the first four bytes of a file, which tell how it is packed.

    Raises
    ------
    DataError
        It is empty.
    OSError
        It cannot be read.
    """
    refuse_special(path)
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError(f"{path} is empty")
    return magic


def is_silent(path: Path, max_bytes: int) -> bool:
    """Return whether a recording, one message a line, holds none: nothing but empty lines.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    try:
        if path.stat().st_size == 0:
            return True
        if path.stat().st_size > _HEADER_BYTES:
            return False
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    with open_stream(path, max_bytes) as stream:
        return not stream.read(_HEADER_BYTES).strip(b"\xef\xbb\xbf \t\r\n")


def opener_of(path: Path, magic: bytes, max_bytes: int) -> Callable[[], Any]:
    """Return a function that opens what `path` holds as a stream of at most `max_bytes`.

    Raises
    ------
    DataError
        It is a zip without a member. What opening and reading find wrong, they raise.
    """
    if magic[:2] == b"\x1f\x8b":
        return lambda: _limited(cast(IO[bytes], gzip.open(path, "rb")), path, max_bytes)
    if magic == b"PK\x03\x04":
        return lambda: _zip_member(path, max_bytes)
    if magic[:2] == b"PK":
        raise DataError(f"{path} is a zip without exactly one member")
    for start, codec in _CODECS.items():
        if magic.startswith(start):
            return lambda: _limited(_unpacked(path, codec), path, max_bytes)
    return lambda: _limited(path.open("rb"), path, max_bytes)


def _unpacked(path: Path, codec: str) -> IO[bytes]:
    """Open a file that one of `_CODECS` packed."""
    if codec == "xz":
        return cast(IO[bytes], lzma.open(path, "rb"))
    if codec == "bz2":
        return cast(IO[bytes], bz2.open(path, "rb"))
    return cast(IO[bytes], pa.CompressedInputStream(pa.OSFile(str(path)), codec))


@contextmanager
def open_stream(path: Path, max_bytes: int) -> Iterator[Any]:
    """Open what a plain, gzipped or zipped file holds as one stream of at most `max_bytes`.

    Raises
    ------
    DataError
        The file cannot be read, is empty, packed badly, truncated or damaged, or larger than that;
        also while the stream is read inside the `with` block.
    """
    try:
        with opener_of(path, magic_of(path), max_bytes)() as stream:
            yield stream
    except BROKEN as error:
        raise DataError(f"{path} is truncated or damaged: {reason_of(error)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


@contextmanager
def _zip_member(path: Path, max_bytes: int) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not _is_dross(m.filename)]
            if len(members) != 1:
                raise DataError(f"{path} holds {len(members)} files: exactly one is expected")
            name = members[0].filename
            if name.startswith(("/", "\\")) or ".." in Path(name.replace("\\", "/")).parts:
                raise DataError(f"{path} holds {name!r}, a path that leaves its folder")
            if not name.lower().endswith((".csv", ".txt", ".json", ".jsonl", ".ndjson")):
                raise DataError(f"{path} holds {name!r}: a .csv or .jsonl is expected")
            if members[0].file_size > max_bytes:
                raise DataError(_too_large(path, max_bytes))
            with archive.open(members[0]) as member, _limited(member, path, max_bytes) as stream:
                yield stream
    except (zipfile.BadZipFile, RuntimeError, UnicodeError) as error:
        # BadZipFile: the directory or a checksum is wrong. RuntimeError: a member is encrypted, or
        # packed in a way that Python cannot unpack. UnicodeError: a member's name says that it is
        # UTF-8 and is not.
        raise DataError(f"{path} is a damaged or locked zip: {reason_of(error)}") from None


def _is_dross(name: str) -> bool:
    """Return whether a member of a zip is a folder, or what macOS puts beside a file."""
    return name.endswith("/") or name.startswith("__MACOSX/") or Path(name).name.startswith("._")


def _too_large(path: Path, max_bytes: int) -> str:
    return f"{path} expands to more than {max_bytes} bytes: `liqbt ingest --max-size` raises that"


def _limited(stream: IO[bytes], path: Path, max_bytes: int) -> io.BufferedReader:
    return io.BufferedReader(_Limited(stream, path, max_bytes), 1 << 20)


class _Limited(io.RawIOBase):
    """A stream that refuses to give more than it may."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream, self._path, self._left, self._max = stream, path, max_bytes, max_bytes

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` and return how many bytes that took."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(_too_large(self._path, self._max))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class Utf8Stream(io.RawIOBase):
    """A stream in which bytes that are no UTF-8 have become U+FFFD, so that cells can be named."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ready = b""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` and return how many bytes that took."""
        while not self._ready:
            data = self._stream.read(1 << 16)
            self._ready = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        given = self._ready[: len(buffer)]
        self._ready = self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)
