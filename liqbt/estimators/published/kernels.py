"""A published map, compiled: its rows laid on the grid of forecasts, and ranked like any other.

Rows are those of `liqbt.estimators.emission.kernels`. Kernels check nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.emission.kernels import (
    Scratch,
    all_ended,
    asymmetry,
    band_starts,
    density_of,
    density_rank,
    emptied_rows,
    n_bins,
    smoothed,
)
from liqbt.estimators.kernels import HOT, Market, observed, sigma_1d
from liqbt.types import Clusters, FloatArray

_SNAP = 1e-6
_DUST = 1e-9  # equal notional, laid on bins that it shares unevenly, differs by rounding alone


@njit(**HOT)
def outward_bins(market: Market, price: float, row: int) -> float:
    """Return how many bins `price` lies beyond the mark's own bin, on the side of `row`.

    Within a millionth of a bin's edge it is that edge: a map that was made on this grid is laid on
    the same bins again.
    """
    head, rules = market.head[0], market.rules[0]
    place = math.log(price / head.anchor) / rules.step + rules.half
    edge = np.floor(place + 0.5)
    if abs(place - edge) < _SNAP:
        place = edge
    return float(place - (head.mark_bin + 1.0) if row == 1 else head.mark_bin - place)


@njit(**HOT)
def within(place: float, n: float) -> float:
    """Return a place, in bins, as `[0, n]` holds it; 0 for NaN. No index is made of any other."""
    return float(min(max(0.0, place), n))


@njit(**HOT)
def lay(row: FloatArray, start: float, end: float, weight: float) -> None:
    """Add `weight` to `row` evenly over the bins of `[start, end)`; what leaves it is dropped."""
    each = weight / (end - start)
    size = float(len(row))
    for j in range(math.floor(within(start, size)), math.ceil(within(end, size))):
        row[j] += each * (min(end, j + 1.0) - max(start, float(j)))


@njit(**HOT)
def rank_side(market: Market, sigma: float, n: int, scratch: Scratch, k0: int, k1: int) -> None:
    """Set the density rank of the clusters `k0:k1`, all of one side, as `find_clusters` does.

    A cluster on the wrong side of the mark is ranked by the bin next to it, one beyond the reach by
    the last bin: neither is ever eligible.
    """
    head, rules = market.head[0], market.rules[0]
    row = 1 if scratch.clusters[k0].side < 0 else 0
    y = scratch.smooth
    smoothed(scratch.rows[row], n, rules.half_width, y)
    base = abs(math.log(market.edges[head.mark_bin + row] / head.mark))
    sigma_h = sigma * math.sqrt(rules.band_days)
    band_starts(base, rules.step, sigma_h, scratch.band_edges, n, scratch.starts)
    for k in range(k0, k1):
        cluster = scratch.clusters[k]
        low, high = outward_bins(market, cluster.low, row), outward_bins(market, cluster.high, row)
        first = math.floor(within(min(low, high), n - 1.0))
        last = max(math.ceil(within(max(low, high), float(n))) - 1, first)
        cluster.density_rank = density_rank(y, n, first, last, scratch.starts)


@njit(cache=True)
def issue_published(
    market: Market, at: int, scratch: Scratch, levels: Clusters
) -> tuple[float, int, npt.NDArray[np.float32], float, float, float]:
    """Return a forecast whose clusters are `levels`; σ is NaN where there is none.

    `levels` holds shorts first. Their notional is spread evenly in log price over each.
    """
    sigma = sigma_1d(market, at)
    if math.isnan(sigma):
        return sigma, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0
    n = n_bins(market, sigma)
    width = emptied_rows(market, n, scratch)
    shorts = 0
    for k in range(len(levels)):
        level: Any = levels[k]
        row = 1 if level.side < 0 else 0
        shorts += row
        low, high = outward_bins(market, level.low, row), outward_bins(market, level.high, row)
        lay(scratch.rows[row, :width], min(low, high), max(low, high), level.notional_usd)
        cluster = scratch.clusters[k]
        cluster.side, cluster.low, cluster.high = level.side, level.low, level.high
        cluster.peak, cluster.notional_usd = level.peak, level.notional_usd
    if shorts > 0:
        rank_side(market, sigma, n, scratch, 0, shorts)
    if shorts < len(levels):
        rank_side(market, sigma, n, scratch, shorts, len(levels))
    long, short = observed(market, at)
    all_ended(market, n, scratch)
    balance = asymmetry(market, n, scratch)
    if abs(balance) < _DUST:
        balance = 0.0
    return sigma, len(levels), density_of(market, n, scratch), balance, long, short
