"""OKX: liquidation orders of its swaps, at their bankruptcy prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import DataError
from liqbt.ingest.cells import as_numbers, as_words
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.detect_format import detect_format
from liqbt.ingest.files import MAX_BYTES, NoRowsError, RawTable, is_silent, open_stream
from liqbt.ingest.recordings import RECORDING, read_recording
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing, read_rows
from liqbt.sources.okx.faces import FACES, SYNTAX, coins_of, face_table, parse_faces
from liqbt.sources.okx.live import live_rows
from liqbt.sources.okx.messages import message_rows
from liqbt.types import Kind

__all__ = ["FACES", "FORMATS", "OPTIONS", "read"]

OPTIONS: Final = {"faces": parse_faces}
"""What `read` takes beside the file, each from its text."""

READER: Final = "okx 1"
MENDED: Final = "okx 2"
"""Which code made a file's events: the second where it gives others than the first did."""
_MESSAGES: Final = (".json", ".jsonl", ".ndjson")

THROTTLE: Final = "at most one update a second and instrument"
"""Of the channel, as a vendor that records it says (read); the REST answer is not throttled."""

_PAGE: Final = 1000
_CSV: Final = ("timestamp", "venue", "coin", "side", "bankruptcy_px", "contracts")
FORMATS: Final = ("liquidation-orders", "swap-liquidations", RECORDING)
"""`liquidation-orders`: the venue's JSON, one REST answer or recorded pushes, one a line (its shape
is read in public clients); `swap-liquidations`: the same as CSV with `timestamp, venue, coin, side,
bankruptcy_px, contracts` (checked against a file); `recording`: what `liqbt record` wrote."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    faces: Mapping[str, tuple[str, float]] | None = None,
) -> Ingested:
    """Read liquidation orders; nothing is written.

    The price is the **bankruptcy** price, not the mark at which it happened. A size is in
    contracts, which become coins by what one contract is: linear by its coins, inverse by its US
    dollars over the price. `posSide` is the side of the position closed; where it does not say, a
    buy closed a short (checked: in every file seen the two agree). 1 s of latency is modelled.

    An instrument and side with an exact multiple of 1,000 rows was most likely capped by whoever
    asked: the note `capped` names it. Instruments whose contract is not known are left out and
    counted in the note `no_face`.

    Parameters
    ----------
    path : Path
        CSV or JSON, plain, gzip or zip.
    format : str, optional
        One of `FORMATS`; by default told by the content.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.
    faces : mapping of str to (str, float), optional
        What one contract is, by instrument: `("coins", 0.01)` or `("usd", 100)`; beside `FACES`,
        never in place of them.

    Raises
    ------
    LiqbtError
        The file cannot be read as that format; one sentence.
    """
    path = Path(path)
    table = face_table(faces)
    if format == RECORDING:
        return read_recording(
            path,
            "okx",
            lambda message: live_rows(message, table),
            polled=(Kind.DEPTH,),
            price_is="bankruptcy",
            notes={"throttle": THROTTLE},
            max_bad=max_bad,
            max_bytes=max_bytes,
        )
    name = _told(path, format, max_bytes)
    try:
        if name == "swap-liquidations":
            mapping = parse_map(_csv_map(), "okx/swap-liquidations")
            rows = read_rows(mapping, path, max_bytes=max_bytes)
            counted = ("coin", "side")
        else:
            mapping = parse_map(_json_map(table), "okx/liquidation-orders")
            rows = _with_coins(message_rows(path, max_bytes), path, table)
            counted = ("instId", "closed")
    except NoRowsError:
        return nothing(path, f"okx/{name}", reader=READER)
    size = "contracts" if name == "swap-liquidations" else "sz"
    rows = _with_caps(_filled(rows, size), *counted)
    mended = "repeated_pushes" in rows.notes or "unfilled_rows" in rows.notes
    reader = MENDED if mended else READER
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=reader)


def _filled(rows: SourceRows, size: str) -> SourceRows:
    """Return the rows of which something was closed, and count the others."""
    unfilled = as_numbers(rows.raw.table[size])[0] == 0
    if not unfilled.any():
        return rows
    notes = {**rows.notes, "unfilled_rows": int(unfilled.sum())}
    return replace(rows.pick(~unfilled), notes=notes)


def _told(path: Path, given: str | None, max_bytes: int) -> str:
    formats: dict[str, tuple[str, ...]] = {"swap-liquidations": _CSV, "liquidation-orders": ()}
    if given is None and path.name.endswith(_MESSAGES) and is_silent(path, max_bytes):
        return "liquidation-orders"
    if given is None:
        with open_stream(path, max_bytes) as stream:
            start = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        if start[:1] in (b"{", b"["):
            return "liquidation-orders"
        del formats["liquidation-orders"]
    return detect_format(path, "okx", formats, given)


def _csv_map() -> dict[str, Any]:
    coins = {
        symbol.split("-")[0]: size for symbol, (unit, size) in FACES.items() if unit == "coins"
    }
    return {
        "name": "okx/swap-liquidations",
        "time": {"column": "timestamp", "unit": "iso"},
        "stamp": "instant",
        "feed": "pushed",
        "latency": "1s",
        "venue": {"column": "venue"},
        "symbol": {"column": "coin"},
        "side": {"column": "side", "means": "order_side"},
        "constants": {"face_coins": {"column": "coin", "values": coins}},
        "price_is": "bankruptcy",
        "emit": [
            {
                "kind": "liquidation",
                "fields": {"price": "bankruptcy_px", "size_coins": "contracts * face_coins"},
            }
        ],
    }


def _json_map(faces: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    return {
        "about": f"one contract: {sorted(faces.items())}",
        "name": "okx/liquidation-orders",
        "time": {"column": "ts", "unit": "ms"},
        "stamp": "instant",
        "feed": "pushed",
        "latency": "1s",
        "venue": "okx",
        "symbol": {"column": "instId"},
        "side": {"column": "closed", "means": "position_side"},
        "price_is": "bankruptcy",
        "emit": [{"kind": "liquidation", "fields": {"price": "bkPx", "size_coins": "coins"}}],
    }


def _with_coins(rows: SourceRows, path: Path, faces: Mapping[str, tuple[str, float]]) -> SourceRows:
    """Add the columns `coins` and `closed`; leave out instruments whose contract is not known."""
    symbols, symbol = as_words(rows.raw.table["instId"])
    known = np.array([name in faces or not name for name in symbols], dtype=bool)[symbol]
    count = np.bincount(symbol, minlength=len(symbols))
    strange = {n: int(c) for n, c in zip(symbols, count, strict=True) if n and n not in faces}
    if not any(name in faces for name in symbols):
        raise DataError(
            f"{path}: what one contract of {sorted(strange)[:5]} is, nobody said; say it: {SYNTAX}"
        )
    kept = rows.pick(known)
    table, code = kept.raw.table, symbol[known]
    price, size = as_numbers(table["bkPx"])[0], as_numbers(table["sz"])[0]
    table = table.append_column("coins", pa.array(coins_of(size, price, symbols, code, faces)))
    table = table.append_column("closed", _closed(table))
    return SourceRows(
        raw=RawTable(file=kept.raw.file, table=table),
        number=kept.number,
        total=kept.total,
        bad=kept.bad,
        notes={**kept.notes, "throttle": THROTTLE, **({"no_face": strange} if strange else {})},
    )


def _closed(table: pa.Table) -> pa.Array:
    """Return the side of the position closed; a word that is none where the two contradict."""
    order = {"sell": "long", "buy": "short", "": ""}
    out = []
    for side, held in zip(table["side"].to_pylist(), table["posSide"].to_pylist(), strict=True):
        told = order.get((side or "").strip().lower(), "?")
        position = (held or "").strip().lower()
        stated = position if position in ("long", "short") else told
        fits = told in ("", stated)
        out.append(stated if fits else f"{side} order of a {position} position"[:60])
    return pa.array(out, pa.string())


def _with_caps(rows: SourceRows, symbol: str, side: str) -> SourceRows:
    """Note the instruments and sides with an exact multiple of a page's rows."""
    symbols, i = as_words(rows.raw.table[symbol])
    sides, j = as_words(rows.raw.table[side])
    count = np.bincount(i * len(sides) + j, minlength=len(symbols) * len(sides))
    capped = {
        f"{symbols[k // len(sides)]} {sides[k % len(sides)]}": int(n)
        for k, n in enumerate(count.tolist())
        if n and n % _PAGE == 0
    }
    if not capped:
        return rows
    return SourceRows(
        raw=rows.raw,
        number=rows.number,
        total=rows.total,
        bad=rows.bad,
        notes={**rows.notes, "capped": capped},
    )
