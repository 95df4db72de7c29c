"""Compiled kernels of evaluation: first passages, the linking of clusters, the bootstrap.

The first two work on log prices, so that reflecting about the mark is a change of sign. They check
nothing: the constructors of `PricePath` and the flattening of forecasts already have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def _first_at_least(values: FloatArray, n: int, level: float) -> int:
    """Return the first index of the non-decreasing `values[:n]` that reaches `level`, or -1."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if values[middle] >= level:
            high = middle
        else:
            low = middle + 1
    return low if low < n else -1


@njit(cache=True)
def first_passages(
    low: FloatArray,
    high: FloatArray,
    first: IntArray,
    stop: IntArray,
    offsets: IntArray,
    upward: IntArray,
    levels: FloatArray,
) -> IntArray:
    """Return where the path first touches each level inside its forecast's window.

    A level above is touched where `high >= level`, one below where `low <= level`: closed on both
    sides, so that a change of sign swaps the two.

    Parameters
    ----------
    low, high : ndarray of float64, shape (n_path,)
        Log prices.
    first, stop : ndarray of int64, shape (n_forecasts,)
        The window of forecast `i` is `path[first[i]:stop[i]]`.
    offsets : ndarray of int64, shape (n_forecasts + 1,)
        Rows `offsets[i]:offsets[i + 1]` of `levels` belong to forecast `i`.
    upward : ndarray of int64, shape (n_rows, n_levels)
        1 where the level lies above the mark, -1 where below.
    levels : ndarray of float64, shape (n_rows, n_levels)
        Log prices.

    Returns
    -------
    ndarray of int64, shape (n_rows, n_levels)
        Index into the path; -1 where the level is not touched.
    """
    out = np.full(levels.shape, -1, np.int64)
    longest = 0
    for i in range(len(first)):
        longest = max(longest, stop[i] - first[i])
    rising = np.empty(longest)
    falling = np.empty(longest)
    for i in range(len(first)):
        n = stop[i] - first[i]
        if n <= 0 or offsets[i] == offsets[i + 1]:
            continue
        up = down = -np.inf
        for j in range(n):
            up = max(up, high[first[i] + j])
            down = max(down, -low[first[i] + j])
            rising[j] = up
            falling[j] = down
        for row in range(offsets[i], offsets[i + 1]):
            for k in range(levels.shape[1]):
                if upward[row, k] > 0:
                    at = _first_at_least(rising, n, levels[row, k])
                else:
                    at = _first_at_least(falling, n, -levels[row, k])
                if at >= 0:
                    out[row, k] = first[i] + at
    return out


@njit(cache=True)
def overlap(low_a: float, high_a: float, low_b: float, high_b: float) -> float:
    """Return intersection over union of two bands, 0 where they do not meet."""
    shared = min(high_a, high_b) - max(low_a, low_b)
    if shared <= 0.0:
        return 0.0
    return shared / ((high_a - low_a) + (high_b - low_b) - shared)


@njit(cache=True)
def link_episodes(
    at: IntArray,
    offsets: IntArray,
    side: npt.NDArray[np.int8],
    low: FloatArray,
    high: FloatArray,
    eligible: npt.NDArray[np.bool_],
    horizon_ns: int,
    least_overlap: float,
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Link the clusters of successive forecasts into episodes of one horizon.

    An episode is born where an eligible cluster overlaps no living episode of its side, and lives
    during `[birth, birth + horizon)`. A cluster belongs to the living episode that it overlaps most
    (ties: the earliest born) if that overlap is at least `least_overlap`, whether or not it is
    eligible and however many snapshots the chain has missed. The episode then takes the geometry of
    its best match in that snapshot; the overlaps of one snapshot are all measured before it.

    Parameters
    ----------
    at : ndarray of int64, shape (n_forecasts,)
        Times of issue, increasing, ns.
    offsets : ndarray of int64, shape (n_forecasts + 1,)
        Rows `offsets[i]:offsets[i + 1]` are the clusters of forecast `i`.
    side, low, high, eligible : ndarray, shape (n_rows,)
        Side, band in log price, and whether the cluster may give birth.
    horizon_ns : int
        Life of an episode.
    least_overlap : float
        Intersection over union from which on two bands are one cluster.

    Returns
    -------
    episode : ndarray of int64, shape (n_rows,)
        Number of the episode, in order of birth; -1 for none.
    birth : ndarray of bool, shape (n_rows,)
        Where the episode was born.
    """
    n = len(side)
    episode = np.full(n, -1, np.int64)
    birth = np.zeros(n, np.bool_)
    born = np.empty(n, np.int64)
    last_side = np.empty(n, np.int8)
    last_low = np.empty(n)
    last_high = np.empty(n)
    best = np.zeros(n)
    match = np.empty(n, np.int64)
    oldest = count = 0
    for i in range(len(at)):
        while oldest < count and born[oldest] + horizon_ns <= at[i]:
            oldest += 1
        known = count
        for c in range(offsets[i], offsets[i + 1]):
            most = 0.0
            for e in range(oldest, known):
                if last_side[e] != side[c]:
                    continue
                share = overlap(low[c], high[c], last_low[e], last_high[e])
                if share >= least_overlap and share > most:
                    most = share
                    episode[c] = e
            if episode[c] >= 0:
                if most > best[episode[c]]:
                    best[episode[c]] = most
                    match[episode[c]] = c
            elif eligible[c]:
                episode[c] = count
                birth[c] = True
                born[count] = at[i]
                last_side[count], last_low[count], last_high[count] = side[c], low[c], high[c]
                count += 1
        for c in range(offsets[i], offsets[i + 1]):
            e = episode[c]
            if 0 <= e < known and match[e] == c and best[e] > 0.0:
                last_low[e], last_high[e] = low[c], high[c]
                best[e] = 0.0
    return episode, birth


@njit(cache=True)
def bootstrap_ratios(
    place: npt.NDArray[np.float32],
    renew: npt.NDArray[np.float32],
    block: float,
    total: FloatArray,
    count: FloatArray,
) -> FloatArray:
    """Return the ratio Σ total / Σ count of every replication of a stationary bootstrap.

    Politis and Romano (1994), The stationary bootstrap, section 2: each day follows the one before
    it, around the end of the record, unless (with probability 1/block) a new block begins anywhere.

    Parameters
    ----------
    place, renew : ndarray of float32, shape (reps, at least n)
        Uniforms in [0, 1): where a block begins, and whether one does. What is none is held at the
        first or the last day.
    block : float
        Mean length of a block, in days.
    total, count : ndarray of float64, shape (n,)
        Day sums.

    Returns
    -------
    ndarray of float64, shape (reps,)
        NaN where the days drawn hold nothing.
    """
    n = len(total)
    chance, last = 1.0 / block, n - 1.0
    out = np.empty(len(place))
    for rep in range(len(place)):
        sum_total = sum_count = 0.0
        day = 0
        for k in range(n):
            jump = int(k == 0 or renew[rep, k] <= chance)  # a choice, not a branch: it is a coin
            following = (day + 1) * int(day + 1 < n)
            begun = int(min(max(0.0, place[rep, k] * np.float64(n)), last))
            day = jump * begun + (1 - jump) * following
            sum_total += total[day]
            sum_count += count[day]
        out[rep] = sum_total / sum_count if sum_count > 0.0 else np.nan
    return out
