"""Candles of one market, folded from its events: what published maps are made of."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.types import Events, FloatArray, Kind, Ns

CANDLE_DTYPE: Final = np.dtype(
    [
        ("slot", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("bar_coins", "<f8"),
        ("traded_coins", "<f8"),
        ("open_interest_coins", "<f8"),
        ("total_long_usd", "<f8"),
        ("total_short_usd", "<f8"),
        ("single_long_usd", "<f8"),
        ("single_short_usd", "<f8"),
    ]
)
"""One candle: `slot` is its `ts_event` over its length. Prices are NaN (high −inf, low inf) where
none came; `open_interest_coins`, of its last snapshot, is NaN where none came; volumes and
liquidations are 0. `bar_coins` are those of BAR events, `traded_coins` those of TRADE events."""

Candles = npt.NDArray[np.void]
"""An array of `CANDLE_DTYPE`, rising in `slot`."""

_EMPTY: Final = np.zeros(1, CANDLE_DTYPE)
_EMPTY["open"] = _EMPTY["close"] = _EMPTY["open_interest_coins"] = np.nan
_EMPTY["high"], _EMPTY["low"] = -np.inf, np.inf


def folded(candles: Candles, events: Events, price_kind: Kind, every: Ns, keep: int) -> Candles:
    """Return candles with more events in them: the last `keep` slots up to the newest.

    What belongs to a candle counts in it from when it is known, late or not; open and close are the
    first and the last price that came. A bucket belongs to the candle that it ends in. The result
    does not depend on how events are cut into calls.

    Parameters
    ----------
    candles : ndarray of CANDLE_DTYPE, shape (m,)
        Those so far.
    events : ndarray of EVENT_DTYPE, shape (n,)
        The next ones, in canonical order.
    price_kind : Kind
        Which of them give the price.
    every : int
        Length of a candle, ns.
    keep : int
        How many slots are kept.
    """
    kinds = (price_kind, Kind.BAR, Kind.TRADE, Kind.OPEN_INTEREST)
    wanted = np.isin(events["kind"], (*kinds, Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL))
    rows = events[wanted]
    if not len(rows):
        return candles
    slot = (rows["ts_event"] - (rows["span_s"] > 0)) // every
    slots = np.union1d(candles["slot"], slot)
    out = np.repeat(_EMPTY, len(slots))
    out["slot"] = slots
    out[np.searchsorted(slots, candles["slot"])] = candles
    at = np.searchsorted(slots, slot)
    _take_prices(out, at, rows, price_kind)
    kind = rows["kind"]
    bar = (kind == Kind.BAR) & (rows["p4"] > 0.0)
    np.add.at(out["bar_coins"], at[bar], rows["p4"][bar])
    trade = kind == Kind.TRADE
    np.add.at(out["traded_coins"], at[trade], rows["p1"][trade])
    held = kind == Kind.OPEN_INTEREST
    out["open_interest_coins"][at[held]] = rows["p0"][held]
    total = kind == Kind.LIQUIDATION_TOTAL
    np.add.at(out["total_long_usd"], at[total], rows["p0"][total])
    np.add.at(out["total_short_usd"], at[total], rows["p1"][total])
    for name, side in (("single_long_usd", 1), ("single_short_usd", -1)):
        one = (kind == Kind.LIQUIDATION) & (np.sign(rows["side"]) == side)
        np.add.at(out[name], at[one], rows["p0"][one] * rows["p1"][one])
    kept: Candles = out[slots > slots[-1] - keep]
    return kept


def _take_prices(out: Candles, at: npt.NDArray[np.intp], rows: Events, price_kind: Kind) -> None:
    """Take prices into the candles that they belong to."""
    priced = rows["kind"] == price_kind
    where, rows = at[priced], rows[priced]
    if not len(rows):
        return
    names = ("p0",) * 4 if price_kind == Kind.TRADE else ("p0", "p1", "p2", "p3")
    begin, high, low, end = (rows[name] for name in names)
    new, first = np.unique(where, return_index=True)
    unknown = np.isnan(out["open"][new])
    out["open"][new[unknown]] = begin[first[unknown]]
    np.maximum.at(out["high"], where, high)
    np.minimum.at(out["low"], where, low)
    out["close"][where] = end  # of several the last one stays


def priced(candles: Candles) -> Candles:
    """Return those that hold a price."""
    found: Candles = candles[~np.isnan(candles["close"])]
    return found


def coins(candles: Candles) -> FloatArray:
    """Return the volume of each candle: traded coins, else bars' coins, else one for each.

    Of the first of these that any of them has.
    """
    for name in ("traded_coins", "bar_coins"):
        if candles[name].any():
            return candles[name].copy()
    return np.ones(len(candles))


def inflow(candles: Candles) -> FloatArray:
    """Return rises of open interest from candle to candle, coins; volume where none is known."""
    held = candles["open_interest_coins"]
    known = np.flatnonzero(~np.isnan(held))
    if len(known) < 2:
        return coins(candles)
    out = np.zeros(len(candles))
    out[known[1:]] = np.diff(held[known]).clip(min=0.0)
    return out


def liquidated(candles: Candles) -> FloatArray:
    """Return liquidated USD, longs and shorts, (2, n): totals where any is known, else singles."""
    for source in ("total", "single"):
        found = np.stack([candles[f"{source}_{side}_usd"] for side in ("long", "short")])
        if found.any():
            return found
    return np.zeros((2, len(candles)))
