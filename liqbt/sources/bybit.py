"""Bybit: recordings of its liquidation channels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError
from liqbt.ingest.cells import UNIT_NS, as_numbers, as_words
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.files import MAX_BYTES, NoRowsError, RawTable, is_silent, open_stream
from liqbt.ingest.recordings import (
    RECORDING,
    Row,
    book_rows,
    documents,
    ms,
    number,
    read_recording,
)
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.log.symbols import is_inverse, no_dollar
from liqbt.types import SECOND_NS, Kind

_CHANNELS: Final = ("allLiquidation", "liquidation")
FORMATS: Final = (*_CHANNELS, RECORDING)
"""`recording`: what `liqbt record` wrote; else a channel: `allLiquidation` has every liquidation
since 2025-02, `liquidation` before that at most one a symbol and second (both read in the venue's
documentation)."""

READER: Final = "bybit 1"
"""Goes up when the same file would give other events."""

THROTTLE: Final = "at most one liquidation per symbol and second: an undercount"
_MAX_LINE: Final = 4 << 20
_RECEIVED: Final = ("received", "received_at", "receive_time", "local_timestamp", "recv_ts")
_BODY: Final = ("msg", "message", "payload", "data")
_CELLS: Final = {
    "allLiquidation": {"symbol": "s", "side": "S", "price": "p", "size": "v", "time": "T"},
    "liquidation": {
        "symbol": "symbol",
        "side": "side",
        "price": "price",
        "size": "size",
        "time": "updatedTime",
    },
}
_TEXTS: Final = ("symbol", "side", "price", "size", "time")


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
) -> Ingested:
    """Read a recording of liquidation pushes, one JSON message a line; nothing is written.

    A line is the message (`{"topic": "allLiquidation.BTCUSDT", "ts": ..., "data": [...]}`), a
    recorder's wrapper with the receive time beside it, or the message behind a count of time. With
    a receive time the latency is observed; else a message is taken as known a second after its
    `ts`.

    The side is that of the **position** closed: `Buy` is a liquidated long. The price is the
    bankruptcy price. Sizes are coins; of inverse contracts (`BTCUSD`) US dollars. What a later
    message repeats in every field counts once (`repeated_pushes`); nothing filled is left out
    (`unfilled_pushes`).

    Parameters
    ----------
    path : Path
        JSON lines, packed or not.
    format : str, optional
        One of `FORMATS`, where only messages of that channel are wanted.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    LiqbtError
        The file cannot be read, or holds no such message; one sentence.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"bybit has no format {format!r}: it has {list(FORMATS)}")
    if format == RECORDING:
        return read_recording(
            path,
            "bybit",
            _live_rows,
            polled=(Kind.DEPTH,),
            price_is="bankruptcy",
            wrong=_no_linear,
            max_bad=max_bad,
            max_bytes=max_bytes,
        )
    wanted = _CHANNELS if format is None else (format,)
    try:
        found = _pushes(path, wanted, max_bytes)
    except NoRowsError:
        return nothing(path, f"bybit/{wanted[0]}", reader=READER)
    if len(found.observed) > 1:
        raise DataError(f"{path}: some messages have a receive time and others none")
    mapping = parse_map(_map(observed=found.observed == {True}), "bybit")
    return ingest_rows(mapping, _rows(path, found), path, max_bad=max_bad, reader=READER)


def _live_rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what a push of `tickers` says is new, the liquidations of `allLiquidation`, a book."""
    if message.get("poll") == "depth":
        for one in documents(message):
            for book in documents(one, "book"):
                time, symbol = ms(book.get("ts")), str(one.get("symbol"))
                yield from book_rows(symbol, time, book.get("b"), book.get("a"))
        return
    channel, _, symbol = str(message.get("topic", "")).partition(".")
    for one in documents(message):
        time = ms(message.get("ts"))
        if channel == "tickers":
            if "markPrice" in one:
                yield Row(Kind.MARK, symbol, time, number(one["markPrice"]))
            if "openInterest" in one:
                coins, usd = number(one["openInterest"]), number(one.get("openInterestValue"))
                yield Row(Kind.OPEN_INTEREST, symbol, time, coins, usd)
            if one.get("fundingRate"):
                rate, hours = number(one["fundingRate"]), number(one.get("fundingIntervalHour"))
                yield Row(Kind.FUNDING, symbol, time, rate, hours)
        elif channel == "allLiquidation":
            side = {"Buy": "long", "Sell": "short"}.get(str(one.get("S")), "?")
            price, size = number(one.get("p")), number(one.get("v"))
            yield Row(Kind.LIQUIDATION, str(one.get("s")), ms(one.get("T")), price, size, side)


def _no_linear(symbol: str) -> str | None:
    if is_inverse("bybit", symbol):
        return f"{symbol[:40]} is an inverse contract: its open interest is in US dollars"
    quote = no_dollar(symbol)
    return None if quote is None else f"{symbol[:40]} is quoted in {quote}, not in a dollar"


@dataclass(slots=True)
class _Pushes:
    """What the lines of a recording hold, row by row."""

    cells: dict[str, list[str | None]] = field(default_factory=lambda: {n: [] for n in _TEXTS})
    known: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    torn: list[tuple[int, str]] = field(default_factory=list)
    observed: set[bool] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)
    throttled: bool = False


def _pushes(path: Path, wanted: tuple[str, ...], max_bytes: int) -> _Pushes:
    if is_silent(path, max_bytes):
        raise NoRowsError(f"{path} is empty")
    found, held = _Pushes(), Counter[tuple[str, ...]]()
    known_channel = False
    for line, text in _lines(path, max_bytes):
        message, received = _message(text)
        if message is None:
            found.torn.append((line, text[:200]))
            continue
        channel = str(message.get("topic", "")).partition(".")[0]
        known_channel = known_channel or channel in _CHANNELS or "op" in message
        sent = _time_ns(message.get("ts"))
        if channel not in wanted or (sent is None and received is None):
            found.notes["other_messages"] += 1
            continue
        found.throttled = found.throttled or channel == "liquidation"
        found.observed.add(received is not None)
        here: Counter[tuple[str, ...]] = Counter()
        for row in _details(message):
            cells = {name: _text(row.get(key)) for name, key in _CELLS[channel].items()}
            key = tuple(str(value) for value in cells.values())
            here[key] += 1
            if here[key] <= held[key]:
                found.notes["repeated_pushes"] += 1
                continue
            held[key] = here[key]
            for name, value in cells.items():
                found.cells[name].append(value)
            found.known.append(received if received is not None else (sent or 0) + SECOND_NS)
            found.lines.append(line)
    if not found.lines and known_channel:
        raise NoRowsError(f"{path} holds no liquidation")
    if not found.lines:
        raise DataError(f"{path} holds no message of {' or '.join(wanted)} (bybit)")
    return found


def _rows(path: Path, found: _Pushes) -> SourceRows:
    """Return the pushes as rows with their coins, and what cannot be right about them."""
    table = pa.table({n: pa.array(v, pa.string()) for n, v in found.cells.items()})
    symbols, symbol = as_words(table["symbol"])
    price, size = as_numbers(table["price"])[0], as_numbers(table["size"])[0]
    inverse = np.array([is_inverse("bybit", name) for name in symbols], dtype=bool)[symbol]
    with np.errstate(all="ignore"):
        coins = np.where(inverse, size / price, size)
    event = np.array([_time_ns(cell) or 0 for cell in found.cells["time"]], dtype=np.int64)
    known = np.array(found.known, dtype=np.int64)
    near = (known < event) & (event - known <= SECOND_NS)  # the clock was a little behind
    table = table.append_column("coins", pa.array(coins))
    table = table.append_column("known", pa.array(np.where(near, event, known)))
    bad = {
        f"{name[:40]} is quoted in {no_dollar(name)}, not in a dollar": np.asarray(symbol == i)
        for i, name in enumerate(symbols)
        if no_dollar(name) is not None
    }
    unfilled = size == 0
    notes: dict[str, Any] = dict(found.notes)
    if unfilled.any():
        notes["unfilled_pushes"] = int(unfilled.sum())
    if found.throttled:
        notes["throttle"] = THROTTLE
    rows = SourceRows(
        raw=RawTable(file=path.name, table=table, ragged=tuple(found.torn)),
        number=np.array(found.lines, dtype=np.int64),
        total=len(found.lines) + len(found.torn),
        bad=bad,
        notes=notes,
    )
    return rows.pick(~unfilled)


def _map(*, observed: bool) -> dict[str, Any]:
    arrival = {"received": {"column": "known", "unit": "ns"}}
    return {
        "name": "bybit/liquidations",
        "about": "receive times" if observed else "a second after the message's time",
        "time": {"column": "time", "unit": "ms"},
        "stamp": "instant",
        "feed": "pushed",
        "venue": "bybit",
        "symbol": {"column": "symbol"},
        "side": {
            "column": "side",
            "means": "position_side",
            "values": {"buy": "long", "sell": "short"},
        },
        "price_is": "bankruptcy",
        "emit": [{"kind": "liquidation", "fields": {"price": "price", "size_coins": "coins"}}],
        **arrival,
    }


def _lines(path: Path, max_bytes: int) -> Iterator[tuple[int, str]]:
    with open_stream(path, max_bytes) as stream:
        number = 0
        while data := stream.readline(_MAX_LINE):
            number += 1
            text = data.decode("utf-8-sig", "replace").strip()
            if text:
                yield number, text


def _message(text: str) -> tuple[Mapping[str, Any] | None, int | None]:
    """Return the venue's message of a line, and when it was received where the line says so."""
    start = text.find("{")
    received = _time_ns(text[:start].strip(" ,;\t")) if start > 0 else None
    try:
        value: Any = json.loads(text[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None, None
    for _ in range(3):
        if not isinstance(value, dict):
            return None, None
        if "topic" in value or "op" in value:
            return value, received
        told = [value[key] for key in _RECEIVED if key in value]
        received = _time_ns(told[0]) if told else received
        value = next((value[key] for key in _BODY if key in value), None)
    return None, None


def _details(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = message.get("data")
    rows = data if isinstance(data, list) else [data]
    return [row for row in rows if isinstance(row, dict)]


def _time_ns(value: Any) -> int | None:
    """Return a count of time in any unit as ns, None where it is none from 2009 to 2100."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    for factor in UNIT_NS.values():
        if EARLIEST_NS <= value * factor < LATEST_NS:
            return int(value * factor)
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:400].encode("utf-8", "replace").decode()
