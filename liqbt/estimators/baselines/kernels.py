"""The baselines, compiled: densities that know nothing of leverage, and a trailing volume profile.

Rows are those of `liqbt.estimators.emission.kernels`. Kernels check nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.emission.kernels import Scratch, emitted, n_bins
from liqbt.estimators.kernels import (
    BAR,
    HOT,
    LIQUIDATION,
    LIQUIDATION_TOTAL,
    OPEN_INTEREST,
    TRADE,
    Market,
    locate,
    sigma_1d,
    spread,
    take_evidence,
    take_open_interest,
    take_price,
)
from liqbt.types import HOUR_NS, SECOND_NS, Events, FloatArray, IntArray


@njit(**HOT)
def scaled(market: Market, n: int, scratch: Scratch) -> None:
    """Scale each row so that its `n` bins sum to open interest at the mark; to 1 USD if unknown."""
    head = market.head[0]
    usd = head.open_interest_coins * head.mark if head.n_open_interest > 0 else 1.0
    for side in range(2):
        total = 0.0
        for j in range(n):
            total += scratch.rows[side, j]
        factor = usd / total if total > 0.0 else 0.0
        for j in range(n + market.rules[0].half_width + 1):
            scratch.rows[side, j] *= factor


@njit(cache=True)
def issue_uniform(
    market: Market, at: int, scratch: Scratch
) -> tuple[float, int, npt.NDArray[np.float32], float, float, float]:
    """Return a forecast with equal USD in every bin within reach; σ is NaN where there is none."""
    sigma = sigma_1d(market, at)
    if math.isnan(sigma):
        return sigma, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0
    n = n_bins(market, sigma)
    for side in range(2):
        for j in range(n + market.rules[0].half_width + 1):
            scratch.rows[side, j] = 1.0
    scaled(market, n, scratch)
    found, density, asymmetry, long, short = emitted(market, at, sigma, n, scratch)
    return sigma, found, density, asymmetry, long, short


@njit(cache=True)
def issue_kernel(
    market: Market, at: int, scratch: Scratch, scale_sigma: float
) -> tuple[float, int, npt.NDArray[np.float32], float, float, float]:
    """Return a forecast whose density is half-normal in distance; σ is NaN where there is none."""
    sigma = sigma_1d(market, at)
    if math.isnan(sigma):
        return sigma, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0
    head, rules = market.head[0], market.rules[0]
    n = n_bins(market, sigma)
    width = scale_sigma * sigma * math.sqrt(rules.band_days)
    mark = math.log(head.mark / head.anchor)
    for side in range(2):
        sign = 2 * side - 1
        for j in range(n + rules.half_width + 1):
            centre = (head.mark_bin - rules.half + sign * (j + 1) + 0.5) * rules.step
            scratch.rows[side, j] = math.exp(-0.5 * ((centre - mark) / width) ** 2)
    scaled(market, n, scratch)
    found, density, asymmetry, long, short = emitted(market, at, sigma, n, scratch)
    return sigma, found, density, asymmetry, long, short


@njit(**HOT)
def age_profile(clock: IntArray, rows: FloatArray, half_life_h: float, ts_event: int) -> float:
    """Return the weight of what happens at `ts_event`: it doubles with each half-life.

    `clock` holds the hour of weight 1. Once the weight is large the rows are scaled down to it.
    """
    hour = ts_event // HOUR_NS
    if clock[0] < 0:
        clock[0] = hour
    weight = float(2.0 ** ((hour - clock[0]) / half_life_h))
    if weight > 1e9:
        for row in range(rows.shape[0]):
            for i in range(rows.shape[1]):
                rows[row, i] /= weight
        clock[0] = hour
        weight = 1.0
    return weight


@njit(**HOT)
def take_path(
    market: Market, clock: IntArray, rows: FloatArray, half_life_h: float, event: Any
) -> None:
    """Move the mark and add the time on its path to the last row, as the reference does."""
    head = market.head[0]
    before, before_ts, known = head.mark, head.mark_ts, head.n_prices > 0
    low, high, close = event.p2, event.p1, event.p3
    if event.kind == TRADE:
        low = high = close = event.p0
    if not take_price(market, event.ts_event, close):
        return
    seconds = float(event.span_s)
    if event.span_s == 0 and known:
        seconds = (event.ts_event - before_ts) / SECOND_NS
        low, high = min(before, close), max(before, close)
    if seconds > 0.0 and event.kind != TRADE:
        weight = age_profile(clock, rows, half_life_h, event.ts_event)
        spread(rows, 2, low, high, seconds * weight, market)


@njit(cache=True, _nrt=False)
def fold_profile(
    events: Events, market: Market, clock: IntArray, rows: FloatArray, half_life_h: float
) -> None:
    """Fold events into the market and the profile: coins of trades, of bars, time on the path."""
    head, price_kind = market.head[0], market.rules[0].price_kind
    near = head.mark_bin
    for i in range(len(events)):
        event = events[i]
        kind = event.kind
        if kind == price_kind:
            take_path(market, clock, rows, half_life_h, event)
        if kind == TRADE and head.n_prices > 0:
            near = locate(event.p0, market.edges, near)
            if 0 <= near < rows.shape[1]:
                weight = age_profile(clock, rows, half_life_h, event.ts_event)
                rows[0, near] += event.p1 * weight
        elif kind == BAR and head.n_prices > 0 and event.p4 > 0.0:
            weight = age_profile(clock, rows, half_life_h, event.ts_event)
            spread(rows, 1, event.p2, event.p1, event.p4 * weight, market)
        elif kind == OPEN_INTEREST:
            if head.n_open_interest == 0 or event.ts_event >= head.open_interest_ts:
                take_open_interest(market, event)
        elif kind in (LIQUIDATION, LIQUIDATION_TOTAL):
            take_evidence(market, event)
    if len(events) > 0:
        head.latest_known = events[len(events) - 1].ts_known


@njit(cache=True)
def issue_profile(
    market: Market, at: int, scratch: Scratch, rows: FloatArray
) -> tuple[float, int, npt.NDArray[np.float32], float, float, float]:
    """Return a forecast whose density is what was traded there; σ is NaN where there is none.

    Trades where there ever were any, else bars, else time on the path.
    """
    sigma = sigma_1d(market, at)
    if math.isnan(sigma):
        return sigma, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0
    source = 0
    while source < 2 and rows[source].max() <= 0.0:
        source += 1
    n = n_bins(market, sigma)
    for side in range(2):
        for j in range(n + market.rules[0].half_width + 1):
            i = market.head[0].mark_bin + (2 * side - 1) * (j + 1)
            inside = 0 <= i < rows.shape[1]
            scratch.rows[side, j] = rows[source, i] * market.centres[i] if inside else 0.0
    scaled(market, n, scratch)
    found, density, asymmetry, long, short = emitted(market, at, sigma, n, scratch)
    return sigma, found, density, asymmetry, long, short
