"""Hyperliquid's market files as events: what their columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from liqbt.config import MAX_BAD
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.detect_format import detect_format
from liqbt.ingest.files import MAX_BYTES, NoRowsError
from liqbt.ingest.recordings import RECORDING, read_recording
from liqbt.ingest.table import Ingested, ingest_rows, nothing, read_rows
from liqbt.sources.hyperliquid.fills import is_node_fills, read_fills
from liqbt.sources.hyperliquid.live import live_rows
from liqbt.types import Kind

OPTIONS: Final = {"symbol": str}
"""What `read` takes beside the file, each from its text."""

READER: Final = "hyperliquid 1"
"""Goes up when the same file would give other events."""

_POLLED: Final = {"stamp": "instant", "feed": "polled", "latency": "60s", "venue": "hyperliquid"}
_COLUMNS: Final = {
    "asset-contexts": ("time", "coin", "funding", "open_interest", "mark_px"),
    "context-1m": ("ts_ms", "coin", "funding_1h", "oi_coins", "mark"),
    "trades": ("timestamp_ms", "px", "sz", "side"),
}
FORMATS: Final = (*_COLUMNS, "node-fills", RECORDING)
"""`asset-contexts`: the venue's daily archive of every coin's context by the minute, unpacked from
lz4 (format read in public code and files); `context-1m`: the same recorded by a poller; `trades`:
trades without ids; `node-fills`: liquidations among the fills that a node writes, JSON lines (read
in the venue's documentation and in public code); `recording`: what `liqbt record` wrote. Sure of
the second and third: checked on files."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    symbol: str | None = None,
) -> Ingested:
    """Read one of the venue's market files; nothing is written.

    A context gives a mark (a point), open interest in coins and at the mark in USD, and the funding
    rate of the hour. Nobody recorded when a context was read, so its 60 s of latency are modelled;
    the oracle price has no kind and is left out. Identical trades are genuine fills: they are told
    apart by their running number in the file, so overlapping files must each hold whole
    milliseconds.

    Parameters
    ----------
    path : Path
        CSV (packed or not) or Parquet.
    format : str, optional
        One of `FORMATS`; by default told by the columns.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.
    symbol : str, optional
        The coin of a file of trades; by default the part of its name after `trades-`.

    Raises
    ------
    LiqbtError
        The file cannot be read as that format; one sentence.
    """
    path = Path(path)
    if format == RECORDING:
        return read_recording(
            path,
            "hyperliquid",
            live_rows,
            polled=(Kind.MARK, Kind.OPEN_INTEREST, Kind.FUNDING, Kind.POSITION, Kind.DEPTH),
            price_is="last",
            max_bad=max_bad,
            max_bytes=max_bytes,
        )
    if format == "node-fills" or (format is None and is_node_fills(path, max_bytes)):
        return read_fills(path, max_bad=max_bad, max_bytes=max_bytes, reader=READER)
    name = detect_format(path, "hyperliquid", _COLUMNS, format)
    mapping = parse_map(
        _map(name, symbol), f"hyperliquid/{name}", default_name=f"hyperliquid/{name}"
    )
    try:
        rows = read_rows(mapping, path, max_bytes=max_bytes)
    except NoRowsError:
        return nothing(path, mapping.name, reader=READER)
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)


def _map(name: str, symbol: str | None) -> dict[str, Any]:
    if name == "trades":
        return {
            "time": {"column": "timestamp_ms", "unit": "ms"},
            "stamp": "instant",
            "feed": "pushed",
            "latency": "1s",
            "venue": "hyperliquid",
            "symbol": symbol or {"file_name": "trades-([A-Za-z0-9]+)"},
            "side": {"column": "side", "means": "taker", "values": {"B": "buy", "A": "sell"}},
            "price_is": "last",
            "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "sz"}}],
        }
    recorded = name == "context-1m"
    time = {"column": "ts_ms", "unit": "ms"} if recorded else {"column": "time", "unit": "iso"}
    mark, coins, rate = (
        ("mark", "oi_coins", "funding_1h") if recorded else ("mark_px", "open_interest", "funding")
    )
    optional = {"optional": not recorded}
    return {
        **_POLLED,
        "time": time,
        "symbol": {"column": "coin"},
        "constants": {"hours": 1},
        "derive": {"value_usd": f"{coins} * {mark}"},
        "emit": [
            {"kind": "mark", "fields": {"price": mark}, "price_is": "mark", **optional},
            {
                "kind": "open_interest",
                "fields": {"open_interest_coins": coins, "open_interest_usd": "value_usd"},
                **optional,
            },
            {"kind": "funding", "fields": {"rate": rate, "interval_hours": "hours"}},
        ],
    }
