"""What files cost: CSV to events, committed segments to a tape; each beside a bare read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from liqbt.bench.timing import BenchRow, rows_of, seconds_of
from liqbt.ingest.colmap import ColumnMap, parse_map
from liqbt.ingest.table import ingest_file
from liqbt.log.disk import read_parquet
from liqbt.log.store import EventLog
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection, Tape
from liqbt.types import Instrument, Kind

_MARKET = Instrument("synthetic", "SYN")


def trades_map() -> ColumnMap:
    """Return the column map of the file that `write_trades` writes."""
    return parse_map(
        {
            "time": {"column": "time_ms", "unit": "ms"},
            "stamp": "instant",
            "feed": "pushed",
            "latency": "1s",
            "venue": _MARKET.venue,
            "symbol": _MARKET.symbol,
            "id": "id",
            "side": {"column": "side", "means": "taker"},
            "emit": [{"kind": "trade", "fields": {"price": "price", "size_coins": "size"}}],
        },
        "bench",
        default_name="bench",
    )


def write_trades(tape: Tape, n: int, path: Path) -> int:
    """Write the first `n` trades of a tape as CSV; return how many there were."""
    head = tape.events[: 2 * n]  # nine in ten are trades: no need to copy the rest
    trades = head[head["kind"] == Kind.TRADE][:n]
    table = pa.table(
        {
            "id": np.arange(len(trades)),
            "time_ms": trades["ts_event"] // 1_000_000,
            "side": np.where(trades["side"] > 0, "buy", "sell"),
            "price": trades["p0"],
            "size": np.maximum(trades["p1"], 0.001),
        }
    )
    pa_csv.write_csv(table, path)
    return len(trades)


def ingest_rows(path: Path, n: int, repeat: int) -> list[BenchRow]:
    """Measure a CSV through its column map against pyarrow's bare parse of the same bytes."""
    mapping = trades_map()
    seconds = seconds_of(
        {
            "csv_read": lambda: pa_csv.read_csv(path, pa_csv.ReadOptions(use_threads=False)),
            "ingest": lambda: ingest_file(mapping, path),
        },
        repeat,
    )
    notes = {
        "csv_read": f"pyarrow parses the {path.stat().st_size / 1e6:.0f} MB of {n} trades",
        "ingest": "the same file through its column map: parsed, checked, in canonical order",
    }
    return rows_of(seconds, n, notes)


def decode_rows(path: Path, n: int, folder: Path, repeat: int) -> list[BenchRow]:
    """Measure segments to a tape against a bare read of the same segments."""
    ingested = ingest_file(trades_map(), path)
    log = EventLog.create(folder / "log")
    log.append(ingested.tables.items(), ingested.source)
    del ingested
    segments = sorted((log.path / "segments").iterdir())
    selection = Selection(kinds={Kind.TRADE: (_MARKET,)})
    cache = folder / "cache"
    build_tape(log, selection, cache)
    seconds = seconds_of(
        {
            "parquet_read": lambda: [read_parquet(segment) for segment in segments],
            "decode": lambda: build_tape(log, selection),
            "decode_cached": lambda: build_tape(log, selection, cache),
        },
        repeat,
    )
    size = sum(segment.stat().st_size for segment in segments)
    notes = {
        "parquet_read": f"pyarrow reads the {size / 1e6:.0f} MB of {n} trades, one thread",
        "decode": "the same segments to a tape: hashed, verified, ordered, deduplicated, digested",
        "decode_cached": "the same tape from its memory map, hashed anew",
    }
    return rows_of(seconds, n, notes)
