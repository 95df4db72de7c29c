"""Segments: Parquet files whose bytes and meaning are both hashed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.errors import LogError
from liqbt.log.commits import Segment
from liqbt.log.disk import read_parquet, sha256
from liqbt.log.identity import logical_hash
from liqbt.log.schema import event_schema, name_codes
from liqbt.types import Instrument, Kind

__all__ = ["SEGMENT_NAME", "encode", "instruments_of", "load"]

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
    path = folder / segment.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LogError(f"segment {path} cannot be read: {error.strerror}") from None
    if len(data) != segment.size:
        raise LogError(f"segment {path} has {len(data)} bytes, its commit says {segment.size}")
    if sha256(data) != segment.file_sha256:
        raise LogError(f"segment {path} is damaged: its SHA-256 is not the committed one")
    try:
        table = read_parquet(data).cast(event_schema(segment.kind))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LogError(f"segment {path} is not a table of {segment.kind.name}: {error}") from None
    if table.num_rows != segment.rows:
        raise LogError(f"segment {path} has {table.num_rows} rows, its commit says {segment.rows}")
    known = table["ts_known"].to_numpy()
    if (known[1:] < known[:-1]).any():
        raise LogError(f"segment {path} is out of order: ts_known falls")
    return table.replace_schema_metadata(event_schema(segment.kind).metadata)


def instruments_of(table: pa.Table) -> tuple[Instrument, ...]:
    """Return the instruments of an event table, sorted by name."""
    venues, venue = name_codes(table["venue"])
    symbols, symbol = name_codes(table["symbol"])
    pairs = np.unique(venue * max(len(symbols), 1) + symbol).tolist()
    return tuple(Instrument(venues[p // len(symbols)], symbols[p % len(symbols)]) for p in pairs)


def _range(table: pa.Table, name: str) -> tuple[int, int]:
    values = table[name].to_numpy()
    return int(values.min()), int(values.max())
