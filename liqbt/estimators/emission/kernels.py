"""From a density on the fine grid to a forecast: clusters, ranks, asymmetry, the coarsened rows.

Rows run outward from the bin that holds the mark: entry `j` of longs is the `j`-th bin below it, of
shorts the `j`-th above it. Row 0 is longs, row 1 shorts. Kernels check nothing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.kernels import HOT, Market, observed
from liqbt.types import FloatArray, IntArray


class Scratch(NamedTuple):
    """Plan arrays, overwritten by every forecast; no part of the state.

    Attributes
    ----------
    mix : ndarray of float64, shape (n_grid,)
        One side's density over the grid.
    stops : ndarray of int64, shape (2,)
        From where on each row is empty.
    rows : ndarray of float64, shape (2, n_grid + margin)
        Notional in USD, outward, unsmoothed, up to `stops`; then zeros as far as `ended` sets.
    smooth : ndarray of float64, shape (n_grid + 1,)
        One side, smoothed.
    peaks : ndarray of int64, shape (3, n_grid + 1)
        Peaks, then the first and the last bin of each band.
    heights : ndarray of float64, shape (4, n_grid + 1)
        Valleys, left minima, right minima or a stack, prominences.
    clusters : ndarray of CLUSTER_DTYPE, shape (n_grid,)
        The clusters found, of a forecast that is issued alone.
    band_edges : ndarray of float64, shape (n_edges,)
        Edges of the distance bands, in σ (a constant).
    starts : ndarray of int64, shape (n_edges + 2,)
        First bin of each distance band.
    """

    mix: FloatArray
    stops: IntArray
    rows: FloatArray
    smooth: FloatArray
    peaks: IntArray
    heights: FloatArray
    clusters: npt.NDArray[Any]
    band_edges: FloatArray
    starts: IntArray


class Issued(NamedTuple):
    """Where forecasts are written, one after the other; no part of the state.

    Attributes
    ----------
    used : ndarray of int64, shape (3,)
        How many rows, entries of density and clusters are written.
    rows : ndarray of forecasts.ROW_DTYPE
    density_usd : ndarray of float32
    clusters : ndarray of CLUSTER_DTYPE
        As in `forecasts.ForecastBatch`; the last two hold some forecasts of the largest size.
    """

    used: IntArray
    rows: npt.NDArray[Any]
    density_usd: npt.NDArray[np.float32]
    clusters: npt.NDArray[Any]


@njit(**HOT)
def n_bins(market: Market, sigma: float) -> int:
    """Return how many bins a forecast reaches: whole coarse entries, at most the grid."""
    rules = market.rules[0]
    reach = max(rules.reach, 3.0 * sigma * math.sqrt(7.0))
    wanted = math.ceil(min(max(0.0, reach / rules.step), 2.0 * rules.half) - 1e-9)  # 0 for NaN
    beyond = max(wanted - rules.fine_bins, 0)
    return int(rules.fine_bins + -(-beyond // rules.coarse) * rules.coarse)


@njit(**HOT)
def emptied_rows(market: Market, n: int, scratch: Scratch) -> int:
    """Set both rows to zero as far as smoothing over `n` bins reads; return how far that is."""
    width = n + market.rules[0].half_width + 1
    for side in range(2):
        for j in range(width):
            scratch.rows[side, j] = 0.0
    return int(width)


@njit(**HOT)
def ended(market: Market, side: int, stop: int, scratch: Scratch) -> None:
    """Say that a row ends at `stop`, and clear what is read beyond it."""
    rules, row = market.rules[0], scratch.rows[side]
    scratch.stops[side] = stop
    beyond = row[stop : stop + 2 * rules.half_width + rules.coarse + 2]
    for j in range(len(beyond)):
        beyond[j] = 0.0


@njit(**HOT)
def support(row: FloatArray, n: int) -> int:
    """Return one more than the last bin of `row[:n]` that is not empty."""
    while n > 0 and row[n - 1] == 0.0:
        n -= 1
    return n


@njit(**HOT)
def smoothed(row: FloatArray, n: int, half_width: int, out: FloatArray) -> None:
    """Set `out[:n]` to `row` under a triangular kernel of `2 · half_width + 1` bins.

    The row must go on for `half_width` bins beyond `n`; before its start there is nothing: the bin
    that holds the mark is empty, and mass beyond it belongs to the other side.
    """
    peak = 1.0 / (half_width + 1)
    if half_width == 3 and n > 3:  # the usual one in one pass, in the same order
        a, b, c = 3 * peak * peak, 2 * peak * peak, 1 * peak * peak
        for j in range(3):
            held = row[j] * peak + a * row[j + 1]
            held = held + a * row[j - 1] if j > 0 else held
            held += b * row[j + 2]
            held = held + b * row[j - 2] if j > 1 else held
            out[j] = held + c * row[j + 3]
        within, low, high = out[3:n], row[: n - 3], row[6 : n + 3]
        lower, higher, inner, outer = row[1:], row[5:], row[2:], row[4:]
        middle = row[3:]
        for j in range(len(within)):
            held = middle[j] * peak + a * outer[j] + a * inner[j]
            within[j] = held + b * higher[j] + b * lower[j] + c * high[j] + c * low[j]
        return
    for j in range(n):
        out[j] = row[j] * peak
    for d in range(1, half_width + 1):
        weight = (half_width + 1 - d) * peak * peak
        outward, inward = row[d : n + d], out[d:n]
        for j in range(n):
            out[j] += weight * outward[j]
        for j in range(n - d):
            inward[j] += weight * row[j]


@njit(**HOT)
def highest_of(row: FloatArray) -> float:
    """Return the largest of a row of at least one value, in four lanes."""
    lanes = len(row) // 4
    a, b, c, d = row[0], row[0], row[0], row[0]
    for i in range(lanes):
        a = max(a, row[4 * i])
        b = max(b, row[4 * i + 1])
        c = max(c, row[4 * i + 2])
        d = max(d, row[4 * i + 3])
    for i in range(4 * lanes, len(row)):
        a = max(a, row[i])
    return float(max(max(a, b), max(c, d)))


@njit(**HOT)
def peaks_and_valleys(
    y: FloatArray, n: int, least: float, peaks: IntArray, valleys: FloatArray
) -> int:
    """Find the local maxima of `y[:n]`, knowing `y[n]` and taking 0 before `y[0]`.

    A plateau counts once, at its middle (the lower of two), if it is strictly above both of its
    neighbours. Peaks below `least` are passed over. `valleys[k]` is the lowest value between the
    peaks `k - 1` and `k`, with 0 before the first and the lowest value up to `y[n]` after the last.
    Returns the number of peaks.
    """
    count, lowest = 0, 0.0
    risen = 0 if y[0] > 0.0 else -1  # where the plateau began that was last risen to, or -1
    for j in range(1, n + 1):
        if y[j] > y[j - 1]:
            if risen < 0:
                lowest = min(lowest, y[j - 1])
            risen = j
        elif y[j] < y[j - 1] and risen >= 0:
            if y[j - 1] >= least:
                peaks[count] = (risen + j - 1) // 2
                valleys[count] = lowest
                count += 1
                lowest = math.inf
            risen = -1
    valleys[count] = lowest if risen >= 0 else min(lowest, y[n])
    return count


@njit(**HOT)
def prominences(
    y: FloatArray, count: int, peaks: IntArray, valleys: FloatArray, work: FloatArray
) -> None:
    """Set `work[2, :count]` to the prominence of each peak.

    Height above the higher of the two lowest values met on the way, on either side, to a strictly
    higher peak or the end (as `scipy.signal.peak_prominences`, here in linear time with a stack).
    """
    left, base, stack = work[0], work[1], work[2]
    for sweep in range(2):
        top = 0
        for step in range(count):
            k = step if sweep == 0 else count - 1 - step
            lowest = valleys[k + sweep]
            while top > 0 and y[peaks[int(stack[top - 1])]] <= y[peaks[k]]:
                top -= 1
                seen = int(stack[top])
                lowest = min(lowest, left[seen] if sweep == 0 else base[seen])
            stack[top] = k
            top += 1
            if sweep == 0:
                left[k] = lowest
            else:
                base[k] = lowest
    for k in range(count):
        work[2, k] = y[peaks[k]] - max(left[k], base[k])


@njit(**HOT)
def accepted_peaks(
    y: FloatArray, n: int, prominence: float, peaks: IntArray, heights: FloatArray
) -> int:
    """Find the peaks that stand out by `prominence` times the highest of `y[:n]`.

    They are left in `peaks[0]`, their prominences in `heights[3]`. Returns how many.
    """
    least = prominence * highest_of(y[:n])
    count = peaks_and_valleys(y, n, least, peaks[0], heights[0])
    prominences(y, count, peaks[0], heights[0], heights[1:])
    kept = 0
    for k in range(count):
        if heights[3, k] >= least:
            peaks[0, kept] = peaks[0, k]
            heights[3, kept] = heights[3, k]
            kept += 1
    return kept


@njit(**HOT)
def bands(y: FloatArray, n: int, count: int, peaks: IntArray, heights: FloatArray) -> None:
    """Set `peaks[1:3]` to the first and last bin of the band around each accepted peak.

    A band goes on while `y` is at least the peak less half of its prominence. Bands are cut at the
    lowest bin between neighbouring accepted peaks (the nearest to the mark of equal ones), which
    stays with the inner of the two: they are disjoint.
    """
    start = 0
    for k in range(count):
        stop = n - 1
        if k + 1 < count:
            stop = peaks[0, k]
            for j in range(peaks[0, k] + 1, peaks[0, k + 1]):
                if y[j] < y[stop]:
                    stop = j
        level = y[peaks[0, k]] - 0.5 * heights[3, k]
        first = last = peaks[0, k]
        while first > start and y[first - 1] >= level:
            first -= 1
        while last < stop and y[last + 1] >= level:
            last += 1
        peaks[1, k] = first
        peaks[2, k] = last
        start = stop + 1


@njit(**HOT)
def band_starts(
    base: float, step: float, sigma_h: float, edges: FloatArray, n: int, starts: IntArray
) -> None:
    """Set `starts` to the first bin of each distance band: band `k` is `[starts[k], starts[k+1])`.

    Bin `j` is as far from the mark as its near edge, `base + j · step`; band 0 begins at the mark,
    the last one ends at `n`.
    """
    starts[0] = 0
    for k in range(len(edges)):
        j = min(max(math.ceil((edges[k] * sigma_h - base) / step), 0), n)
        while j > 0 and base + (j - 1) * step >= edges[k] * sigma_h:
            j -= 1
        while j < n and base + j * step < edges[k] * sigma_h:
            j += 1
        starts[k + 1] = j
    starts[len(edges) + 1] = n


@njit(**HOT)
def density_rank(y: FloatArray, m: int, first: int, last: int, starts: IntArray) -> float:
    """Return the share of the bins of a band's distance band that are no denser than its mean.

    Bins from `m` on are empty. At least one bin is counted, so that the rank is in (0, 1].
    """
    mean = 0.0
    for j in range(first, last + 1):
        mean += y[j]
    mean /= last + 1 - first
    k = 0
    while starts[k + 1] <= first:
        k += 1
    band = y[starts[k] : min(starts[k + 1], m)]
    below = starts[k + 1] - starts[k] - len(band)
    for j in range(len(band)):
        below += band[j] <= mean
    return float(max(below, 1) / (starts[k + 1] - starts[k]))


@njit(**HOT)
def find_clusters(
    market: Market, sigma: float, n: int, scratch: Scratch, clusters: npt.NDArray[Any]
) -> int:
    """Find the clusters of both sides in `scratch.rows`; returns how many are in `clusters`.

    Shorts come first, then longs, each from the mark outward. A near edge lies strictly beyond the
    mark even where the mark is an edge of the grid. A cluster that smoothing put wholly beyond the
    grid is none.
    """
    head, rules = market.head[0], market.rules[0]
    edges, found = market.edges, 0
    y, peaks, heights = scratch.smooth, scratch.peaks, scratch.heights
    for side in (1, 0):
        row = scratch.rows[side]
        sign = 1 if side == 1 else -1
        nearest = head.mark_bin + side
        m = support(row, scratch.stops[side]) + rules.half_width
        m = min(max(m, 1), n)
        smoothed(row, m + 1, rules.half_width, y)
        count = accepted_peaks(y, m, rules.prominence, peaks, heights)
        bands(y, m, count, peaks, heights)
        base = abs(math.log(edges[nearest] / head.mark))
        sigma_h = sigma * math.sqrt(rules.band_days)
        band_starts(base, rules.step, sigma_h, scratch.band_edges, n, scratch.starts)
        for k in range(count):
            first, last = peaks[1, k], peaks[2, k]
            near = edges[min(max(nearest + sign * first, 0), len(edges) - 1)]
            far = edges[min(max(nearest + sign * (last + 1), 0), len(edges) - 1)]
            if near == head.mark:
                near = np.nextafter(near, far)
            if near == far:  # wholly beyond the grid, where there are no prices
                continue
            cluster = clusters[found]
            cluster.side = -sign
            cluster.low = min(near, far)
            cluster.high = max(near, far)
            centre = head.mark_bin + sign * (peaks[0, k] + 1)
            cluster.peak = market.centres[min(max(centre, 0), len(market.centres) - 1)]
            mass = 0.0
            for j in range(first, last + 1):
                mass += row[j]
            cluster.notional_usd = mass
            cluster.density_rank = density_rank(y, m, first, last, scratch.starts)
            found += 1
    return found


@njit(**HOT)
def asymmetry(market: Market, n: int, scratch: Scratch) -> float:
    """Return (below − above) / (below + above) of the notional within reach, 0 where none is."""
    below, above, within = 0.0, 0.0, min(market.rules[0].asymmetry_bins, n)
    for j in range(min(within, scratch.stops[0])):
        below += scratch.rows[0, j]
    for j in range(min(within, scratch.stops[1])):
        above += scratch.rows[1, j]
    if below + above <= 0.0:
        return 0.0
    return (below - above) / (below + above)


@njit(**HOT)
def n_entries(market: Market, n: int) -> int:
    """Return how many entries a density of `n` bins has on each side."""
    fine = market.rules[0].fine_bins
    return int(fine + (n - fine) // market.rules[0].coarse)


@njit(**HOT)
def coarsened(market: Market, n: int, scratch: Scratch, out: npt.NDArray[np.float32]) -> None:
    """Set `out` to the rows as a forecast gives them: fine bins one by one, then sums of `coarse`.

    `out` holds the entries of longs, then those of shorts.
    """
    fine, coarse, entries = market.rules[0].fine_bins, market.rules[0].coarse, n_entries(market, n)
    for side in range(2):
        row, into, stop = scratch.rows[side], out[side * entries :], scratch.stops[side]
        single = min(fine, stop)
        for j in range(single):
            into[j] = row[j]
        groups = min(-(-max(stop - fine, 0) // coarse), entries - fine)
        sums, parts = into[fine:], row[fine:]
        for g in range(groups):
            total = 0.0
            for j in range(coarse):
                total += parts[g * coarse + j]
            sums[g] = total
        for j in range(single, fine):
            into[j] = 0.0
        for g in range(groups, entries - fine):
            sums[g] = 0.0


@njit(cache=True)
def emitted(
    market: Market, at: int, sigma: float, n: int, scratch: Scratch
) -> tuple[int, npt.NDArray[np.float32], float, float, float]:
    """Return what a forecast says about `scratch.rows`, of which `n` bins are within reach.

    The number of clusters in `scratch.clusters`, the densities, the asymmetry, and the evidence:
    observed USD of longs and of shorts.
    """
    all_ended(market, n, scratch)
    found = find_clusters(market, sigma, n, scratch, scratch.clusters)
    long, short = observed(market, at)
    return found, density_of(market, n, scratch), asymmetry(market, n, scratch), long, short


@njit(**HOT)
def all_ended(market: Market, n: int, scratch: Scratch) -> None:
    """Find where both rows end, of which `n` bins are within reach (see `ended`)."""
    far = n + market.rules[0].half_width + 1
    for side in range(2):
        ended(market, side, support(scratch.rows[side], far), scratch)


@njit(cache=True)
def density_of(market: Market, n: int, scratch: Scratch) -> npt.NDArray[np.float32]:
    """Return the rows as a forecast gives them, by side (see `coarsened`)."""
    density = np.empty((2, n_entries(market, n)), dtype=np.float32)
    coarsened(market, n, scratch, density.reshape(-1))
    return density


@njit(**HOT)
def emit(
    market: Market,
    at: int,
    sigma: float,
    n: int,
    scratch: Scratch,
    issued: Issued,
    by_contract: bool,
    prior_from: tuple[float, float],
) -> None:
    """Write the forecast about `scratch.rows`, of which `n` bins are within reach."""
    head, used = market.head[0], issued.used
    entries, first, here = n_entries(market, n), used[1], used[2]
    row = issued.rows[used[0]]
    row.at = at
    row.latest_known = head.latest_known
    row.mark_ts = head.mark_ts
    row.mark_bin = head.mark_bin - market.rules[0].half
    row.mark = head.mark
    row.sigma_1d = sigma
    coins = head.open_interest_coins if head.n_open_interest > 0 else math.nan
    row.open_interest_usd = coins * (1.0 if by_contract else head.mark)
    row.observed_long_usd, row.observed_short_usd = observed(market, at)
    row.prior_from_long, row.prior_from_short = prior_from
    row.asymmetry = asymmetry(market, n, scratch)
    found = find_clusters(market, sigma, n, scratch, issued.clusters[here:])
    coarsened(market, n, scratch, issued.density_usd[first : first + 2 * entries])
    row.density_start = first
    row.density_stop = first + 2 * entries
    row.clusters_start = here
    row.clusters_stop = here + found
    used[0] += 1
    used[1] += 2 * entries
    used[2] += found


@njit(**HOT)
def full(scratch: Scratch, issued: Issued) -> bool:
    """Return whether another forecast might not fit."""
    used, most = issued.used, len(scratch.smooth)
    return bool(
        used[0] >= len(issued.rows)
        or used[1] + 2 * most > len(issued.density_usd)
        or used[2] + most > len(issued.clusters)
    )


@njit(cache=True)
def issue_density(
    market: Market, at: int, sigma: float, scratch: Scratch, density_usd: FloatArray
) -> tuple[int, npt.NDArray[np.float32], float, float, float]:
    """Return what a forecast says about USD by bin of the grid, as `emitted` does."""
    n = n_bins(market, sigma)
    for side in range(2):
        for j in range(n + market.rules[0].half_width + 1):
            i = market.head[0].mark_bin + (2 * side - 1) * (j + 1)
            scratch.rows[side, j] = density_usd[i] if 0 <= i < len(density_usd) else 0.0
    return emitted(market, at, sigma, n, scratch)  # type: ignore[no-any-return]
