"""Recorded `forceOrder` pushes: a JSON line each, with or without a receive time, or CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import UNIT_NS, as_numbers, as_words
from liqbt.ingest.colmap import ColumnMap, parse_map
from liqbt.ingest.files import (
    NoRowsError,
    RawTable,
    header_shape,
    is_silent,
    open_stream,
    read_head,
)
from liqbt.ingest.table import SourceRows, read_table
from liqbt.log.order import lexicographic_order, same_as_previous
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.sources.binance.layout import VENUES, face_usd, not_of_market
from liqbt.sources.binance.liquidations import THROTTLE
from liqbt.types import SECOND_NS

_MAX_LINE: Final = 1 << 16
_PUSH: Final = "forceOrder"
_RECEIVED: Final = ("received", "received_at", "receive_time", "local_timestamp", "ts")
_BODY: Final = ("data", "msg", "message", "payload")
_ORDER: Final = {"symbol": "s", "side": "S", "avg_price": "ap", "filled_qty": "z"}
_TEXTS: Final = (*_ORDER, "whole")


def push_rows(path: Path, market: str, *, max_bytes: int) -> tuple[ColumnMap, SourceRows]:
    """Return a recording of pushes as rows, and what they mean.

    A JSON line is the push (`{"e": "forceOrder", "E": ..., "o": {...}}`), the combined stream's
    wrapper (`{"stream": ..., "data": push}`), or a recorder's wrapper with the receive time beside
    it (`received`, `local_timestamp` or `ts`, in any unit of time; or in front of the message, as
    hftbacktest's collector writes). Messages of other streams are left out and counted
    (`other_messages`). With a receive time the latency
    is observed; else a push is taken as known a second after the venue's event time `E`. A CSV has
    `symbol, side, avg_price, filled_qty, trade_time_ms` and no event time: known after 2 s.

    The stream gives at most one push per symbol and second (once its latest, later its largest), so
    that two that agree in every field of the order are one push, recorded twice (by two
    subscriptions, or after a reconnect): it counts once, from when it was first known, and
    `repeated_pushes` in the notes says how many were left out. So are pushes of orders of which
    nothing was filled (`unfilled_pushes`).

    Raises
    ------
    NoRowsError
        The recording is empty: nobody was liquidated.
    DataError
        The file cannot be read, or some of its lines have a receive time and others none.
    """
    if is_silent(path, max_bytes):
        raise NoRowsError(f"{path} is empty")
    with open_stream(path, max_bytes) as stream:
        first = stream.readline(_MAX_LINE).lstrip(b"\xef\xbb\xbf \t\r\n")
    if first[:1] == b"{" or (first[:1].isdigit() and b"{" in first[:40]):
        rows, observed = _json_rows(path, max_bytes)
        mapping = _map(market, {"received": {"column": "known", "unit": "ns"}})
        if not observed:
            (emit,) = mapping.emit
            late = {"latency": SECOND_NS, "latency_is": "modelled"}
            mapping = mapping.model_copy(update={"emit": (emit.model_copy(update=late),)})
    else:
        columns = tuple(cell.strip() for cell in read_head(path, max_bytes=max_bytes)[0])
        rows = read_table(
            path,
            numbers=("avg_price", "filled_qty"),
            integers=("trade_time_ms",),
            texts=("symbol", "side"),
            shape=header_shape(path, columns, skip=1),
            max_bytes=max_bytes,
        )
        mapping = _map(market, {"latency": "2s"})
    rows = _each_once(replace(rows, notes={**rows.notes, "throttle": THROTTLE}))
    return mapping, _with_face(_of_market(rows, market))


def _each_once(rows: SourceRows) -> SourceRows:
    """Return each push once, as it was first known, without those of which nothing was filled."""
    table = rows.raw.table
    names = ("symbol", "side", "avg_price", "filled_qty", "trade_time_ms", "whole")
    keys = [_codes(table[name]) for name in names if name in table.schema.names]
    place = np.arange(table.num_rows, dtype=np.int64)
    known = table["known"].to_numpy() if "known" in table.schema.names else place
    order = lexicographic_order([*keys, known, place])
    again = np.zeros(len(order), dtype=bool)
    again[order[same_as_previous(keys, order)]] = True
    unfilled = as_numbers(table["filled_qty"])[0] == 0
    counts = {
        "repeated_pushes": int(again.sum()),
        "unfilled_pushes": int((unfilled & ~again).sum()),
    }
    notes = {**rows.notes, **{name: count for name, count in counts.items() if count}}
    return replace(rows.pick(~again & ~unfilled), notes=notes)


def _codes(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return (as_numbers(column)[0] + 0.0).view(np.int64)
    return as_words(column)[1]


def _of_market(rows: SourceRows, market: str) -> SourceRows:
    """Note the pushes of symbols that are not the market's, or quoted in no dollar."""
    words, codes = as_words(rows.raw.table["symbol"])
    bad = dict(rows.bad)
    for i, word in enumerate(words):
        reason = not_of_market(word.strip(), market) if word.strip() else None
        if reason is not None:
            bad[reason] = np.asarray(codes == i)
    return replace(rows, bad=bad)


def _map(market: str, arrival: dict[str, Any]) -> ColumnMap:
    size = "filled_qty" if market == "um" else "filled_qty * face_usd / avg_price"
    content: dict[str, Any] = {
        "name": f"{VENUES[market]}/forceOrder",
        "time": {"column": "trade_time_ms", "unit": "ms"},
        "stamp": "instant",
        "feed": "pushed",
        "venue": VENUES[market],
        "symbol": {"column": "symbol"},
        "side": {"column": "side", "means": "order_side"},
        "price_is": "average",
        "emit": [{"kind": "liquidation", "fields": {"price": "avg_price", "size_coins": size}}],
        **arrival,
    }
    return parse_map(content, content["name"])


def _with_face(rows: SourceRows) -> SourceRows:
    words, codes = as_words(rows.raw.table["symbol"])
    faces = np.array([face_usd(word) for word in words], dtype=np.float64)
    table = rows.raw.table.append_column("face_usd", pa.array(faces[codes]))
    return replace(rows, raw=replace(rows.raw, table=table))


def _json_rows(path: Path, max_bytes: int) -> tuple[SourceRows, bool]:
    """Return the pushes of a file of JSON lines, and whether they carry a receive time."""
    columns: dict[str, list[Any]] = {k: [] for k in (*_TEXTS, "trade_time_ms", "known", "line")}
    torn: list[tuple[int, str]] = []
    observed: set[bool] = set()
    others = 0
    for line, text in _lines(path, max_bytes):
        push = _push(text)
        if push is None:
            torn.append((line, text[:200]))
            continue
        if not push:
            others += 1
            continue
        observed.add(push.pop("observed"))
        for name, value in {**push, "line": line}.items():
            columns[name].append(value)
    if len(observed) > 1:
        raise DataError(f"{path}: some pushes have a receive time and others none")
    if not columns["line"] and not torn:
        raise NoRowsError(f"{path} holds no forceOrder push")
    if not columns["line"]:
        raise DataError(f"{path} holds {len(torn)} lines, none of them a forceOrder push")
    number = np.array(columns.pop("line"), dtype=np.int64)
    table = pa.table(
        {k: pa.array(v, pa.string() if k in _TEXTS else pa.int64()) for k, v in columns.items()}
    )
    raw = RawTable(file=path.name, table=table, ragged=tuple(torn))
    notes = {"other_messages": others} if others else {}
    rows = SourceRows(raw=raw, number=number, total=len(number) + len(torn), notes=notes)
    return rows, observed == {True}


def _lines(path: Path, max_bytes: int) -> Iterator[tuple[int, str]]:
    with open_stream(path, max_bytes) as stream:
        number = 0
        while data := stream.readline(_MAX_LINE):
            number += 1
            text = data.decode("utf-8-sig", "replace").strip()
            if text:
                yield number, text


def _push(text: str) -> dict[str, Any] | None:
    """Return the cells of one line, {} of another stream, None where it is no message."""
    start = max(text.find("{"), 0)
    received = _time_ns(text[:start].strip(" ,;\t")) if start else None
    if start and received is None:
        return None
    try:
        value = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    recorder = start > 0  # it says whatever it subscribed to
    for _ in range(3):
        if not isinstance(value, dict):
            return None
        if value.get("e") == _PUSH and isinstance(value.get("o"), dict):
            return _cells(value, received)
        recorder = recorder or "stream" in value
        if recorder and ({"result", "id"} <= value.keys() or value.get("e", _PUSH) != _PUSH):
            return {}
        found = [value[key] for key in _RECEIVED if key in value]
        received = _time_ns(found[0]) if found else received
        if found and received is None:
            return None
        value = next((value[key] for key in _BODY if key in value), None)
    return None


def _cells(push: Mapping[str, Any], received: int | None) -> dict[str, Any] | None:
    order = push["o"]
    happened, sent = _time_ns(order.get("T")), _time_ns(push.get("E"))
    cells = {name: order.get(key) for name, key in _ORDER.items()}
    if happened is None or (sent is None and received is None):
        return None
    if not all(isinstance(v, str | int | float) for v in cells.values()):
        return None
    known = received if received is not None else max(happened, sent or 0)
    if happened - SECOND_NS <= known < happened:  # the recorder's clock was a little behind
        known = happened
    clean = {name: _clean(str(value)) for name, value in cells.items()}
    return {
        **clean,
        "whole": _clean(json.dumps(order, sort_keys=True)),
        "trade_time_ms": happened // 1_000_000,
        "known": known,
        "observed": received is not None,
    }


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


def _clean(text: str) -> str:
    """Return text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
