"""Structure of the past price, compiled: days' extremes, swings, and levels on the grid.

Kernels check nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.baselines.kernels import scaled
from liqbt.estimators.emission.kernels import Scratch, emitted, emptied_rows, n_bins
from liqbt.estimators.kernels import HOT, TRADE, Market, locate, sigma_1d
from liqbt.types import DAY_NS, Events, FloatArray


@njit(cache=True)
def _prices(event: Any) -> tuple[float, float, float, float]:
    """Return open, low, high and close of a price event."""
    if event.kind == TRADE:
        return event.p0, event.p0, event.p0, event.p0
    return event.p0, event.p2, event.p1, event.p3


@njit(cache=True)
def fold_days(events: Events, price_kind: int, days: npt.NDArray[Any]) -> None:
    """Fold prices into a ring of UTC days, each with its high and low.

    A bar belongs to the day that it ends in; one that ends at midnight, to the day before.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Next events, in canonical order.
    price_kind : int
        Which of them give the price.
    days : ndarray with fields day, high, low
        The ring, changed in place; `day` −1 where it is empty.
    """
    for i in range(len(events)):
        event = events[i]
        if event.kind != price_kind:
            continue
        _, low, high, _ = _prices(event)
        day = (event.ts_event - (1 if event.span_s > 0 else 0)) // DAY_NS
        entry = days[day % len(days)]
        if day < entry.day:
            continue
        if day > entry.day:
            entry.day = day
            entry.high = high
            entry.low = low
        else:
            entry.high = max(entry.high, high)
            entry.low = min(entry.low, low)


@njit(**HOT)
def _reach(
    price: float, ts: int, reversal: float, head: npt.NDArray[Any], swings: npt.NDArray[Any]
) -> None:
    """Move the zigzag to `price`; where it turns, the extreme that it leaves becomes a swing."""
    state = head[0]
    if state.direction == 0:
        state.direction = 1
        state.extreme = price
        state.extreme_ts = ts
        return
    ahead = state.direction * math.log(price / state.extreme)
    if ahead >= 0.0:
        state.extreme = price
        state.extreme_ts = ts
    elif ahead <= -reversal:
        entry = swings[state.count % len(swings)]
        entry.price = state.extreme
        entry.ts_event = state.extreme_ts
        entry.kind = state.direction
        state.count += 1
        state.direction = -state.direction
        state.extreme = price
        state.extreme_ts = ts


@njit(cache=True)
def fold_swings(
    events: Events,
    price_kind: int,
    reversal: float,
    head: npt.NDArray[Any],
    swings: npt.NDArray[Any],
) -> None:
    """Fold prices into a zigzag: a swing is an extreme from which the price came back so far.

    A bar that closed above its open is taken to have made its low first. Prices older than the
    last one are passed over.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Next events, in canonical order.
    price_kind : int
        Which of them give the price.
    reversal : float
        Log distance that makes a turn.
    head, swings : ndarray
        The zigzag and the ring of its swings, changed in place.
    """
    state = head[0]
    for i in range(len(events)):
        event = events[i]
        if event.kind != price_kind or event.ts_event < state.latest_ts:
            continue
        begin, low, high, end = _prices(event)
        state.latest_ts = event.ts_event
        first, second = (low, high) if end >= begin else (high, low)
        _reach(first, event.ts_event, reversal, head, swings)
        _reach(second, event.ts_event, reversal, head, swings)
        _reach(end, event.ts_event, reversal, head, swings)


@njit(cache=True)
def issue_levels(
    market: Market, at: int, scratch: Scratch, prices: FloatArray, weights: FloatArray
) -> tuple[float, int, npt.NDArray[np.float32], float, float, float]:
    """Return a forecast whose mass lies at given prices, longs below the mark, shorts above.

    Prices in the mark's own bin, or beyond the reach, are left out; σ is NaN where there is none.
    """
    sigma = sigma_1d(market, at)
    if math.isnan(sigma):
        return sigma, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0
    n = n_bins(market, sigma)
    width = emptied_rows(market, n, scratch)
    mark_bin = market.head[0].mark_bin
    for k in range(len(prices)):
        away = locate(prices[k], market.edges, mark_bin) - mark_bin
        if away != 0 and abs(away) <= width:
            scratch.rows[1 if away > 0 else 0, abs(away) - 1] += weights[k]
    scaled(market, n, scratch)
    found, density, asymmetry, long, short = emitted(market, at, sigma, n, scratch)
    return sigma, found, density, asymmetry, long, short
