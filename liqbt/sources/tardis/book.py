"""Book snapshots as two depth bands: what lies between the middle and the outermost level shown.

A band of fixed width would be wrong here: 25 levels reach a few basis points in a liquid book, and
what lies beyond the last level is not empty but unseen. So a snapshot gives one band a side, from
its outermost level to the middle between best bid and best ask, with the coins and the US dollars
(coins · their own price) of all its levels. Bands are half-open: an ask band ends just above its
outermost level, where a side stands alone its inner edge is just above its best level.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from liqbt.errors import DataError
from liqbt.ingest.colmap import ColumnMap, parse_map
from liqbt.ingest.detect_format import column_names
from liqbt.ingest.table import SourceRows
from liqbt.sources.tardis.rows import base_map, instruments, number, read, with_columns
from liqbt.sources.tardis.units import Face, coins_of
from liqbt.types import FloatArray, IntArray, Mask

_LEVEL: Final = re.compile(r"^asks\[(\d+)\]\.price$")


class _Side(NamedTuple):
    """One side of every snapshot; price and coins of shape (n, levels), NaN beyond the last."""

    price: FloatArray
    coins: FloatArray


def book(
    path: Path, name: str, face: Face | None, about: str, max_bytes: int
) -> tuple[ColumnMap, SourceRows]:
    """Return the two bands of every snapshot.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or the unit of an instrument is not known.
    """
    found = [m.group(1) for m in map(_LEVEL.match, column_names(path)) if m]
    levels = range(len(found))
    if not found or {str(i) for i in levels} != set(found):
        raise DataError(
            f"{path}: levels asks[0].price, asks[1].price … are expected, has {found[:9]}"
        )
    numbers = [
        f"{s}[{i}].{x}" for s in ("asks", "bids") for i in levels for x in ("price", "amount")
    ]
    rows = read(path, numbers=tuple(numbers), max_bytes=max_bytes)
    faces, which = instruments(rows, face, path)
    bad: dict[str, Mask] = {}
    asks = _side(rows, "asks", len(found), faces, which, bad)
    bids = _side(rows, "bids", len(found), faces, which, bad)
    columns = {**_band("bid", bids, asks), **_band("ask", asks, bids)}
    best_bid, best_ask = bids.price[:, 0], asks.price[:, 0]
    with np.errstate(invalid="ignore"):
        bad["the best bid is not below the best ask"] = np.asarray(best_bid >= best_ask)
        falling = _any(np.diff(bids.price, axis=1) >= 0)
        rising = _any(np.diff(asks.price, axis=1) <= 0)
    bad["bids do not fall, or asks do not rise"] = falling | rising
    mapping = {
        **base_map(name, about),
        "emit": [
            {
                "kind": "depth",
                "fields": {
                    "low": f"{side}_low",
                    "high": f"{side}_high",
                    "depth_coins": f"{side}_coins",
                    "depth_usd": f"{side}_usd",
                },
                "side": {"column": f"{side}_word", "means": "book_side"},
                "optional": True,
            }
            for side in ("bid", "ask")
        ],
    }
    drop = [c for c in rows.raw.table.schema.names if "[" in c]
    rows = with_columns(rows, columns, bad=bad, texts={"bid_word": "bid", "ask_word": "ask"})
    slim = rows.raw.table.drop_columns(drop)
    return parse_map(mapping, f"tardis/{name}"), replace(rows, raw=replace(rows.raw, table=slim))


def _side(
    rows: SourceRows,
    side: str,
    levels: int,
    faces: list[Face],
    which: IntArray,
    bad: dict[str, Mask],
) -> _Side:
    prices: list[FloatArray] = []
    amounts: list[FloatArray] = []
    for i in range(levels):
        for out, what in ((prices, "price"), (amounts, "amount")):
            values, reason = number(rows, f"{side}[{i}].{what}")
            bad |= {k: v for k, v in reason.items() if v.any()}
            out.append(values)
    price, amount = np.column_stack(prices), np.column_stack(amounts)
    torn = np.isnan(price) != np.isnan(amount)
    with np.errstate(invalid="ignore"):
        wrong = (price <= 0) | (amount < 0) | np.isinf(price) | np.isinf(amount)
    bad[f"a level of the {side} has a price or an amount alone"] = _any(torn)
    bad[f"a level of the {side} is not above 0"] = _any(wrong)
    empty = np.isnan(price)
    gap = _any(np.diff(empty.astype(np.int8), axis=1) < 0)
    bad[f"a level of the {side} is missing between others"] = gap
    return _Side(price, coins_of(amount, price, faces, which))


def _any(mask: Mask) -> Mask:
    """Return whether any level of each snapshot has it, shape (n,)."""
    return np.asarray(mask.any(axis=1), dtype=bool)


def _band(word: str, side: _Side, other: _Side) -> dict[str, FloatArray]:
    best, opposite = side.price[:, 0], other.price[:, 0]
    none = np.isnan(best)
    with np.errstate(invalid="ignore"):
        outer = np.where(none, np.nan, _outermost(side.price))
        coins = np.where(none, np.nan, np.nansum(side.coins, axis=1))
        usd = np.where(none, np.nan, np.nansum(side.coins * side.price, axis=1))
        middle = 0.5 * (best + opposite)
        if word == "bid":
            low, high = outer, np.where(np.isnan(middle), np.nextafter(best, np.inf), middle)
        else:
            low, high = np.where(np.isnan(middle), best, middle), np.nextafter(outer, np.inf)
    return {f"{word}_low": low, f"{word}_high": high, f"{word}_coins": coins, f"{word}_usd": usd}


def _outermost(price: FloatArray) -> FloatArray:
    """Return the price of the last level that each snapshot has, shape (n,)."""
    last = np.maximum((~np.isnan(price)).sum(axis=1) - 1, 0)
    return np.asarray(np.take_along_axis(price, last[:, None], axis=1)[:, 0])
