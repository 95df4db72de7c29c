"""Forced notional of a market by the hour: what its feed of liquidations says was closed.

Where single orders are fed they are kept as well, those of one side and instant together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from liqbt.evaluation.cascades import FORCED, hourly_forced
from liqbt.evaluation.path import PricePath
from liqbt.types import HOUR_NS, SECOND_NS, Events, FloatArray, IntArray, Kind, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedOrders:
    """Forced orders of one market that were published singly, summed by instant and side.

    Attributes
    ----------
    ts_ns, known_ns : ndarray of int64, shape (n,)
        When they were forced, not decreasing, and when the last of them was known.
    side : ndarray of int64, shape (n,)
        `Side` of the positions: longs were sold, shorts bought back.
    usd : ndarray of float64, shape (n,)
        Notional.
    price : ndarray of float64, shape (n,)
        Mean price by size, USD: the mark that forced them, or their bankruptcy price, as the venue
        publishes it.
    """

    ts_ns: IntArray
    known_ns: IntArray
    side: IntArray
    usd: FloatArray
    price: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """Forced notional of one market, hour by hour and without a hole.

    Attributes
    ----------
    first_hour_ns : int
        Start of the first hour; hour i is `[first + i h, first + (i + 1) h)`.
    known_ns : ndarray of int64, shape (n,)
        When the last that was counted in an hour was known, never before the hour's end.
    usd : ndarray of float64, shape (2, n)
        Of longs, of shorts; NaN where it is not known: of totals, an hour that they do not cover;
        of single liquidations, before the first and in a silence of three days.
    orders : ForcedOrders or None
        The orders themselves, where they and not totals are what is fed.
    """

    first_hour_ns: Ns
    known_ns: IntArray
    usd: FloatArray
    orders: ForcedOrders | None = None


def market_forced(events: Events, path: PricePath, kinds: Collection[Kind]) -> Forced | None:
    """Return the forced notional among a market's events; None where it is fed with none.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Events of the market.
    path : PricePath
        Its prices: the hours are those that they span. What became known later than its
        `max_delay_ns` after it happened is left out.
    kinds : collection of Kind
        Those that the market is fed with. Totals count where there are any, else single
        liquidations, which are summed.
    """
    kind = next((one for one in FORCED if one in kinds), None)
    if kind is None or not len(path):
        return None
    first = int(path.start_ns[0]) // HOUR_NS
    edges = np.arange(first, int(path.end_ns[-1]) // HOUR_NS + 1) * HOUR_NS
    delay = events["ts_known"] - events["ts_event"]
    rows = events[(events["kind"] == kind) & (delay <= path.max_delay_ns)]
    usd = hourly_forced(rows, edges)
    if not np.isfinite(usd).any():
        return None
    begin = rows["ts_event"] - rows["span_s"].astype(np.int64) * SECOND_NS
    hour = (begin - edges[0]) // HOUR_NS
    inside = (hour >= 0) & (hour < usd.shape[1])
    known = edges[1:].copy()
    np.maximum.at(known, hour[inside], rows["ts_known"][inside])
    if kind == Kind.LIQUIDATION_TOTAL:
        covered = np.bincount(hour[inside], rows["span_s"][inside], minlength=usd.shape[1])
        usd = np.where(covered * SECOND_NS >= HOUR_NS, usd, np.nan)
    orders = _orders(rows) if kind == Kind.LIQUIDATION else None
    return Forced(first_hour_ns=first * HOUR_NS, known_ns=known, usd=usd, orders=orders)


def _orders(rows: Events) -> ForcedOrders:
    """Return single liquidations in order of time, those of one side and instant summed."""
    rows = rows[np.lexsort((rows["side"], rows["ts_event"]))]
    ts, side = rows["ts_event"].astype(np.int64), rows["side"].astype(np.int64)
    opens = np.ones(len(rows), bool)
    opens[1:] = (ts[1:] != ts[:-1]) | (side[1:] != side[:-1])
    first = np.flatnonzero(opens)
    total = np.add.reduceat(rows["p0"] * rows["p1"], first)
    return ForcedOrders(
        ts_ns=ts[first],
        known_ns=np.maximum.reduceat(rows["ts_known"], first).astype(np.int64),
        side=side[first],
        usd=total,
        price=total / np.add.reduceat(rows["p1"], first),
    )
