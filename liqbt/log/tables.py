"""One typed table per kind of event, validated and in canonical order."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.errors import DataError, LogError
from liqbt.log.commits import Segment
from liqbt.log.disk import parquet_parts, sha256
from liqbt.log.objects import ObjectPath, as_it_is
from liqbt.log.order import distinct, lexicographic_order, number_repeats
from liqbt.log.schema import (
    NAME_COLUMNS,
    SCHEMA_VERSION,
    Columns,
    Names,
    event_schema,
    name_codes,
    normal_form,
    order_keys,
    row_faults,
    table_columns,
)
from liqbt.types import PAYLOAD, Instrument, IntArray, Kind


def logical_hash(table: pa.Table) -> str:
    """Return the SHA-256 of a table's meaning: schema, units and values, not of any file.

    It depends neither on the writer nor on chunks, dictionaries or the version of pyarrow.
    """
    schema = [
        [f.name, "name" if pa.types.is_dictionary(f.type) else str(f.type), _unit(f)]
        for f in table.schema
    ]
    kind = (table.schema.metadata or {}).get(b"liqbt.kind", b"").decode()
    head = {"kind": kind, "version": SCHEMA_VERSION, "schema": schema, "rows": table.num_rows}
    digest = hashlib.sha256(_json(head))
    for field in table.schema:
        if field.name in NAME_COLUMNS:
            names, codes = name_codes(table[field.name])
            digest.update(_json(names))
            values: npt.NDArray[Any] = codes
        else:
            values = table[field.name].to_numpy()
            values = normal_form(values) if values.dtype.kind == "f" else values
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _unit(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"unit", b"").decode())


_DEFAULTS: Final[dict[str, int]] = {"seq": -1, "side": 0, "span_s": 0}
_INTEGERS: Final[dict[str, Any]] = {
    "ts_known": np.int64,
    "ts_event": np.int64,
    "seq": np.int64,
    "side": np.int8,
    "span_s": np.uint32,
    "occurrence": np.uint32,
}


def event_table(kind: Kind, columns: Mapping[str, Any]) -> pa.Table:
    """Validate columns and return the canonical table of `kind`.

    Parameters
    ----------
    kind : Kind
        What the rows are.
    columns : mapping of str to array_like or scalar
        By name: `ts_known`, `ts_event`, `venue`, `symbol` and the payload of `kind`; optionally
        `seq` (the venue's id, default -1: none), `side` (default 0), `span_s` (default 0) and
        `occurrence` (default: the running number among rows that agree in everything but
        `ts_known`; 0 where `seq` is given). Scalars are repeated.

    Returns
    -------
    pyarrow.Table
        With `event_schema(kind)`, in canonical order, -0.0 as 0.0 and one bit pattern of NaN.

    Raises
    ------
    DataError
        A column is missing, unknown, of another length or type, or a row cannot be right.

    Examples
    --------
    >>> t = event_table(Kind.TRADE, {"ts_known": [1_700_000_001_000_000_000] * 2,
    ...     "ts_event": [1_700_000_000_000_000_000] * 2, "venue": "x", "symbol": "BTC",
    ...     "side": 1, "price": [100.0, 100.0], "size_coins": [2.0, 2.0]})
    >>> t["occurrence"].to_pylist()
    [0, 1]
    """
    return ordered_table(kind, columns)[0]


def ordered_table(kind: Kind, columns: Mapping[str, Any]) -> tuple[pa.Table, IntArray]:
    """Return what `event_table` returns, and which of the given rows each of its rows is."""
    typed, names = _typed(kind, columns)
    faults = row_faults(kind, typed, names)
    if faults:
        reason, mask = faults[0]
        rows = np.flatnonzero(mask)[:5].tolist()
        raise DataError(f"{kind.name.lower()}: {reason} at rows {rows}")
    if "occurrence" not in columns:
        typed["occurrence"] = _occurrence(kind, typed)
    order = lexicographic_order(order_keys(kind, typed))
    return _picked(kind, typed, names, order), order


def canonical(kind: Kind, table: pa.Table) -> pa.Table:
    """Return `table` with the exact schema of `kind`, in canonical order and normal form.

    Raises
    ------
    DataError
        The columns are not those of `kind`, or one holds nulls.
    """
    wanted = event_schema(kind).names
    if table.schema.names != wanted:
        raise DataError(
            f"a table of {kind.name.lower()} needs the columns {wanted}, got {table.schema.names}"
        )
    columns, names = table_columns(table)
    for name in PAYLOAD[kind]:
        columns[name] = normal_form(columns[name])
    return _ordered(kind, columns, names)


def _typed(
    kind: Kind, columns: Mapping[str, Any]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, list[str]]]:
    wanted = event_schema(kind).names
    _check_names(kind, columns, wanted)
    rows = _common_length(kind, columns)
    out: dict[str, npt.NDArray[Any]] = {}
    names: dict[str, list[str]] = {}
    cast: dict[tuple[int, type], npt.NDArray[Any]] = {}  # one array given twice is held once
    for name in wanted:
        if name in NAME_COLUMNS:
            names[name], values = _interned(kind, name, columns[name])
        else:
            given = columns.get(name, _DEFAULTS.get(name, 0))
            key = (id(given), _INTEGERS.get(name, np.float64))
            if key not in cast:
                cast[key] = _cast(kind, name, given)
            values = cast[key]
        out[name] = np.broadcast_to(values, (rows,))
    return out, names


def _check_names(kind: Kind, columns: Iterable[str], wanted: Sequence[str]) -> None:
    given = list(columns)
    for name in given:
        if name not in wanted:
            near = difflib.get_close_matches(name, wanted, n=1)
            hint = f"; nearest: {near[0]!r}" if near else f"; it has {list(wanted)}"
            raise DataError(f"{kind.name.lower()} has no column {name!r}{hint}")
    required = [n for n in wanted if n not in _DEFAULTS and n != "occurrence"]
    missing = [n for n in required if n not in given]
    if missing:
        raise DataError(f"{kind.name.lower()} needs the columns {missing}")


def _common_length(kind: Kind, columns: Mapping[str, Any]) -> int:
    arrow = (pa.Array, pa.ChunkedArray)  # numpy would copy them to count their dimensions
    lengths = {n: len(v) for n, v in columns.items() if isinstance(v, arrow) or np.ndim(v)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{kind.name.lower()}: columns differ in length: {lengths}")
    return next(iter(lengths.values()), 1)


def _interned(kind: Kind, name: str, value: Any) -> tuple[list[str], IntArray]:
    if isinstance(value, str):
        return [value], np.zeros(1, dtype=np.int64)
    if not isinstance(value, pa.Array | pa.ChunkedArray):
        try:
            value = pa.array(np.asarray(value, dtype=object), type=pa.string(), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"{kind.name.lower()}: column {name} needs text") from error
    if value.null_count:
        raise DataError(f"{kind.name.lower()}: column {name} holds {value.null_count} nulls")
    return name_codes(value if isinstance(value, pa.ChunkedArray) else pa.chunked_array([value]))


def _cast(kind: Kind, name: str, value: Any) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if name not in _INTEGERS:
        try:
            return normal_form(array.astype(np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"{kind.name.lower()}: column {name} is not numeric") from error
    target = np.dtype(_INTEGERS[name])
    if array.dtype.kind not in "iub":
        raise DataError(f"{kind.name.lower()}: column {name} needs integers, got {array.dtype}")
    bounds = np.iinfo(target)
    if array.size and (int(array.min()) < bounds.min or int(array.max()) > bounds.max):
        raise DataError(f"{kind.name.lower()}: column {name} leaves the range of {target}")
    return array.astype(target)


def _occurrence(kind: Kind, columns: Columns) -> npt.NDArray[np.uint32]:
    if (columns["seq"] >= 0).all():
        return np.zeros(len(columns["seq"]), dtype=np.uint32)
    known, *identity = order_keys(kind, columns)[:-1]
    count = number_repeats(identity, known)
    return np.where(columns["seq"] >= 0, 0, count).astype(np.uint32)


def _ordered(kind: Kind, columns: dict[str, npt.NDArray[Any]], names: Names) -> pa.Table:
    return _picked(kind, columns, names, lexicographic_order(order_keys(kind, columns)))


def _picked(
    kind: Kind, columns: dict[str, npt.NDArray[Any]], names: Names, order: IntArray
) -> pa.Table:
    if (order[1:] < order[:-1]).any():
        columns = {name: values[order] for name, values in columns.items()}
    return _assemble(kind, columns, names)


def _assemble(kind: Kind, columns: Columns, names: Names) -> pa.Table:
    schema = event_schema(kind)
    arrays = []
    for field in schema:
        values = columns[field.name]
        if field.name in NAME_COLUMNS:
            words = pa.array(names[field.name], pa.string())
            arrays.append(pa.DictionaryArray.from_arrays(values.astype(np.int32), words))
        else:
            arrays.append(pa.array(np.ascontiguousarray(values), type=field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


SEGMENT_NAME: Final = re.compile(r"^[a-z_]+-[0-9a-f]{32}\.parquet$")
_ROW_GROUP: Final = 1_000_000
_TIMES: Final = ("ts_known", "ts_event", "seq")


def encode(kind: Kind, table: pa.Table) -> tuple[Segment, pa.Buffer]:
    """Return a canonical table as a segment and the bytes of its file."""
    meaning = logical_hash(table)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=[n for n in table.schema.names if n not in _TIMES],
        column_encoding=dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
    )
    data = sink.getvalue()
    segment = Segment(
        kind=kind,
        file=f"{kind.name.lower()}-{meaning[:32]}.parquet",
        rows=table.num_rows,
        logical_sha256=meaning,
        file_sha256=sha256(memoryview(data)),
        size=data.size,
        known_ns=_range(table, "ts_known"),
        event_ns=_range(table, "ts_event"),
        instruments=instruments_of(table),
    )
    return segment, data


def load(folder: Path, segment: Segment) -> pa.Table:
    """Read a segment and refuse it where a byte differs from what was committed.

    Raises
    ------
    LogError
        The file is missing, unreadable, altered, or does not hold what its commit says.
    """
    return pa.concat_tables(load_parts(folder, segment, _ROW_GROUP))


def load_parts(folder: Path, segment: Segment, rows: int) -> Iterator[pa.Table]:
    """Yield a segment some `rows` at a time, after every byte was held against its commit.

    A segment in an object store is held as it is while it is read, compressed.

    Raises
    ------
    LogError
        As `load`; what the rows themselves say is found out as they come.
    """
    path = folder / segment.file
    try:
        file = BytesIO(path.read_bytes()) if isinstance(path, ObjectPath) else path.open("rb")
        with file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, SEEK_END)
            if as_it_is(folder) is folder or digest == segment.file_sha256:
                _refuse_other_bytes(path, segment, size, digest)
                yield from _parts(path, file, segment, rows)
                return
    except OSError as error:
        raise LogError(f"segment {path} cannot be read: {error.strerror or error}") from None
    yield from load_parts(as_it_is(folder), segment, rows)  # the copy is of another log


def _refuse_other_bytes(path: Path, segment: Segment, size: int, digest: str) -> None:
    if size != segment.size:
        raise LogError(f"segment {path} has {size} bytes, its commit says {segment.size}")
    if digest != segment.file_sha256:
        raise LogError(f"segment {path} is damaged: its SHA-256 is not the committed one")


def _parts(path: Path, file: BinaryIO, segment: Segment, rows: int) -> Iterator[pa.Table]:
    schema = event_schema(segment.kind)
    found, last = 0, None
    try:
        for part in parquet_parts(file, rows):
            table = part.cast(schema)
            known = table["ts_known"].to_numpy()
            if (known[1:] < known[:-1]).any() or (last is not None and known[0] < last):
                raise LogError(f"segment {path} is out of order: ts_known falls")
            found, last = found + len(known), known[-1]
            yield table.replace_schema_metadata(schema.metadata)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LogError(f"segment {path} is not a table of {segment.kind.name}: {error}") from None
    if found != segment.rows:
        raise LogError(f"segment {path} has {found} rows, its commit says {segment.rows}")


def instruments_of(table: pa.Table) -> tuple[Instrument, ...]:
    """Return the instruments of an event table, sorted by name."""
    venues, venue = name_codes(table["venue"])
    symbols, symbol = name_codes(table["symbol"])
    pairs = distinct(venue * max(len(symbols), 1) + symbol)
    return tuple(Instrument(venues[p // len(symbols)], symbols[p % len(symbols)]) for p in pairs)


def _range(table: pa.Table, name: str) -> tuple[int, int]:
    values = table[name].to_numpy()
    return int(values.min()), int(values.max())
