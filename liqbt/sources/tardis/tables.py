"""Trades, liquidations and derivative tickers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liqbt.ingest.colmap import ColumnMap, parse_map
from liqbt.ingest.table import SourceRows
from liqbt.sources.tardis.rows import base_map, instruments, number, read, with_columns
from liqbt.sources.tardis.units import Face, coins_of
from liqbt.types import FloatArray, IntArray, Mask

_DIGITS: Final = r"^[0-9]{1,18}$"
_TICKER: Final = ("funding_rate", "open_interest", "mark_price")


def deals(
    path: Path, kind: str, face: Face | None, about: str, max_bytes: int
) -> tuple[ColumnMap, SourceRows]:
    """Return trades (`kind` is `trade`) or liquidations (`liquidation`), amounts as coins.

    A trade's id is used where every row of the file has a whole number of its own; otherwise
    identical rows are told apart by their running number in the file.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or the unit of an instrument is not known.
    """
    trade = kind == "trade"
    numbers = ("price", "amount")
    texts = ("id", "side") if trade else ("side",)
    rows = read(path, numbers=numbers, texts=texts, max_bytes=max_bytes)
    faces, which = instruments(rows, face, path)
    price, amount = number(rows, "price")[0], number(rows, "amount")[0]
    numbered = trade and _numbered(rows.raw.table["id"], which)
    note = {} if numbered or not trade else {"id": "not a number of its own in every row: not used"}
    rows = with_columns(rows, {"coins": coins_of(amount, price, faces, which)}, notes=note)
    side: dict[str, Any] = {"column": "side", "means": "order_side"}
    if trade:
        words = {"buy": "buy", "sell": "sell", "unknown": "none"}
        side = {"column": "side", "means": "taker", "values": words}
    mapping = {
        **base_map("trades" if trade else "liquidations", about),
        "side": side,
        "emit": [{"kind": kind, "fields": {"price": "price", "size_coins": "coins"}}],
    }
    if numbered:
        mapping["id"] = "id"
    if trade:
        mapping["price_is"] = "last"
    return parse_map(mapping, f"tardis/{kind}"), rows


def _numbered(ids: pa.ChunkedArray, which: IntArray) -> bool:
    """Whether every row has a whole number that no other row of its instrument has."""
    text = ids.cast(pa.string()) if pa.types.is_dictionary(ids.type) else ids
    good = pc.all(pc.fill_null(pc.match_substring_regex(text, _DIGITS), False)).as_py()
    if not good:
        return False
    value = pc.cast(text, pa.int64()).to_numpy()
    order = np.lexsort((value, which))
    same = (np.diff(value[order]) == 0) & (np.diff(which[order]) == 0)
    return not bool(same.any())


def ticker(
    path: Path, face: Face | None, about: str, max_bytes: int
) -> tuple[ColumnMap, SourceRows]:
    """Return marks, open interest and funding rates, each where it is said anew.

    A row repeats what has not changed since the last one; a repetition is no event, and an empty
    cell is unknown. `predicted_funding_rate`, last and index price give none. What a row repeats
    was carried over by the vendor, not confirmed, so a price that stands still and a feed that is
    silent look the same.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or the unit of an instrument is not known.
    """
    rows = read(path, numbers=_TICKER, max_bytes=max_bytes)
    faces, which = instruments(rows, face, path)
    columns: dict[str, FloatArray] = {}
    bad: dict[str, Mask] = {}
    for name in _TICKER:
        columns[name], reason = number(rows, name)
        bad |= reason
    mark = _last_known(columns["mark_price"], which)
    coins = coins_of(columns["open_interest"], mark, faces, which)
    said = {
        "new_mark": _where_new(columns["mark_price"], which),
        "new_rate": _where_new(columns["funding_rate"], which),
        "new_coins": np.where(np.isnan(_where_new(columns["open_interest"], which)), np.nan, coins),
    }
    silent = int((~np.isnan(columns["open_interest"]) & np.isnan(coins)).sum())
    notes = {"open_interest_before_any_mark_rows": silent} if silent else {}
    mapping = {
        **base_map("derivative_ticker", about),
        "emit": [
            {"kind": "mark", "fields": {"price": "new_mark"}, "price_is": "mark", "optional": True},
            {
                "kind": "open_interest",
                "fields": {"open_interest_coins": "new_coins"},
                "optional": True,
            },
            {"kind": "funding", "fields": {"rate": "new_rate"}, "optional": True},
        ],
    }
    done = with_columns(rows, said, bad=bad, notes=notes)
    return parse_map(mapping, "tardis/derivative_ticker"), done


def _where_new(values: FloatArray, which: IntArray) -> FloatArray:
    """Return values, NaN where one repeats the last that its instrument had; shape (n,)."""
    said = np.flatnonzero(~np.isnan(values))
    said = said[np.argsort(which[said], kind="stable")]
    value, market = values[said], which[said]
    same = (value[1:] == value[:-1]) & (market[1:] == market[:-1])
    out = values.copy()
    out[said[1:][same]] = np.nan
    return out


def _last_known(values: FloatArray, which: IntArray) -> FloatArray:
    """Return the last value that is not NaN up to each row of the same instrument, shape (n,)."""
    order = np.argsort(which, kind="stable")
    v, w = values[order], which[order]
    last = np.maximum.accumulate(np.where(np.isnan(v), -1, np.arange(len(v), dtype=np.int64)))
    start = np.searchsorted(w, w)
    out = np.empty(len(v))
    out[order] = np.where(last >= start, v[np.maximum(last, 0)], np.nan)
    return out
