"""Hyperliquid: liquidations among the fills that a node writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.files import NoRowsError, RawTable, is_silent, open_stream
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing
from liqbt.types import SECOND_NS

_NAME: Final = "hyperliquid/node-fills"
_MAX_LINE: Final = 64 << 20
_CELLS: Final = {"coin": "coin", "side": "side", "price": "px", "size": "sz", "time": "time"}
_SPOT: Final = ("@", "/")


@dataclass(slots=True)
class _Found:
    """What the lines of a file hold, liquidation by liquidation."""

    cells: dict[str, list[str | None]] = field(default_factory=lambda: {n: [] for n in _CELLS})
    known: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    torn: list[tuple[int, str]] = field(default_factory=list)
    observed: set[bool] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    blocks: int = 0


def is_node_fills(path: Path, max_bytes: int) -> bool:
    """Return whether a file is of JSON lines: no other file of the venue is.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    if path.suffix == ".parquet" or is_silent(path, max_bytes):
        return False
    with open_stream(path, max_bytes) as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def read_fills(path: Path, *, max_bad: float, max_bytes: int, reader: str) -> Ingested:
    """Read the liquidations among a node's fills.

    A line is a block (`{"local_time": ..., "block_time": ..., "events": [[user, fill], ...]}`), or,
    as older nodes wrote, one `[user, fill]`. Every fill is written for both of its sides; a
    liquidation is what the account itself lost: a fill whose `liquidation.liquidatedUser` is the
    user, once by its trade id (`repeated_fills`). A fill of side `A` sold, so that a long was
    closed. Spot (`@1`, `PURR/USDC`) is left out. `local_time` is when the node wrote the block: the
    latency is observed; else a fill is taken as known a second later.

    Raises
    ------
    DataError
        No line is a fill or a block of fills.
    """
    if is_silent(path, max_bytes):
        return nothing(path, _NAME, reader=reader)
    found = _Found()
    for line, text in _lines(path, max_bytes):
        pairs, received = _pairs(text)
        if pairs is None:
            found.torn.append((line, text[:200]))
            continue
        found.blocks += 1
        for user, fill in pairs:
            _take(found, line, user, fill, received)
    if not found.blocks:
        raise DataError(f"{path} holds {len(found.torn)} lines, none of them a node's fills")
    if len(found.observed) > 1:
        raise DataError(f"{path}: some blocks have a local_time and others none")
    if not found.lines and not found.torn:
        return nothing(path, _NAME, reader=reader)
    mapping = parse_map(_map(), _NAME, default_name=_NAME)
    if found.observed != {True}:
        (emit,) = mapping.emit
        late = {"latency": SECOND_NS, "latency_is": "modelled"}
        mapping = mapping.model_copy(update={"emit": (emit.model_copy(update=late),)})
    try:
        return ingest_rows(mapping, _rows(path, found), path, max_bad=max_bad, reader=reader)
    except NoRowsError:
        return nothing(path, _NAME, reader=reader)


def _take(found: _Found, line: int, user: str, fill: Mapping[str, Any], known: int | None) -> None:
    """Keep a fill that liquidated its user."""
    told = fill.get("liquidation")
    gone = str(told.get("liquidatedUser", "")) if isinstance(told, dict) else ""
    if not gone or gone.lower() != user.lower():
        found.notes["other_fills"] += 1
        return
    coin = str(fill.get("coin", ""))
    if any(mark in coin for mark in _SPOT):
        found.notes["spot_fills"] += 1
        return
    key = (str(fill.get("tid")), user, coin)
    if fill.get("tid") is not None and key in found.seen:
        found.notes["repeated_fills"] += 1
        return
    found.seen.add(key)
    time = fill.get("time")
    happened = time * 1_000_000 if isinstance(time, int) else 0
    found.observed.add(known is not None)
    near = known is not None and known < happened <= known + SECOND_NS  # its clock was behind
    found.known.append(happened if known is None or near else known)
    found.lines.append(line)
    for name, cell in _CELLS.items():
        value = fill.get(cell)
        found.cells[name].append(None if value is None else str(value)[:60])


def _rows(path: Path, found: _Found) -> SourceRows:
    columns = {name: pa.array(values, pa.string()) for name, values in found.cells.items()}
    table = pa.table(columns | {"known": pa.array(found.known, pa.int64())})
    return SourceRows(
        raw=RawTable(file=path.name, table=table, ragged=tuple(found.torn)),
        number=np.array(found.lines, dtype=np.int64),
        total=len(found.lines) + len(found.torn),
        notes=dict(found.notes),
    )


def _map() -> dict[str, Any]:
    return {
        "name": _NAME,
        "time": {"column": "time", "unit": "ms"},
        "stamp": "instant",
        "feed": "pushed",
        "received": {"column": "known", "unit": "ns"},
        "venue": "hyperliquid",
        "symbol": {"column": "coin"},
        "side": {
            "column": "side",
            "means": "order_side",
            "values": {"a": "sell", "b": "buy"},
        },
        "price_is": "last",
        "emit": [{"kind": "liquidation", "fields": {"price": "price", "size_coins": "size"}}],
    }


def _lines(path: Path, max_bytes: int) -> Iterator[tuple[int, str]]:
    with open_stream(path, max_bytes) as stream:
        number = 0
        while data := stream.readline(_MAX_LINE):
            number += 1
            text = data.decode("utf-8-sig", "replace").strip()
            if text:
                yield number, text


def _pairs(text: str) -> tuple[list[tuple[str, Mapping[str, Any]]] | None, int | None]:
    """Return the (user, fill) pairs of a line, None where it has none, and when it was written."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    received = None
    if isinstance(value, dict) and isinstance(value.get("events"), list):
        received = _instant(value.get("local_time"))
        value = value["events"]
    elif isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        value = [value]
    else:
        return None, None
    pairs: list[tuple[str, Mapping[str, Any]]] = []
    for pair in value:
        whole = isinstance(pair, list) and len(pair) == 2
        if not (whole and isinstance(pair[0], str) and isinstance(pair[1], dict)):
            return None, None
        pairs.append((pair[0], pair[1]))
    return pairs, received


def _instant(value: Any) -> int | None:
    try:
        return int(np.datetime64(str(value).removesuffix("Z"), "ns").astype(np.int64))
    except ValueError:
        return None
