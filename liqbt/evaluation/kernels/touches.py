"""Compiled kernels of touches: arrivals at bins of a standing map, and what followed.

They work on log prices and check nothing: their callers have. An arrival upward and one downward
are the same code with the sign of the log price changed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray, Mask

HALF: int = 3
"""Half of the width of the triangular kernel over a density, less one, in bins."""
MOST_CELLS: int = 1 << 22
"""Bins between the lowest and the highest price, at most: no prices are so far apart."""


@njit(cache=True)
def _density(row: npt.NDArray[np.float32], fine: int, coarse: int, out: int) -> float:
    """Return the density of bin `out`, outward from the mark's own; 0 where there is none."""
    if out < 0:
        return 0.0
    entry = out if out < fine else fine + (out - fine) // coarse
    if entry >= len(row):
        return 0.0
    return float(row[entry]) if out < fine else float(row[entry]) / coarse


@njit(cache=True)
def arrivals(
    low: FloatArray,
    high: FloatArray,
    close: FloatArray,
    end_ns: IntArray,
    broken: Mask,
    first: IntArray,
    until_ns: IntArray,
    log_mark: FloatArray,
    sigma: FloatArray,
    floor: float,
    ceiling: float,
    step: float,
) -> tuple[IntArray, IntArray, IntArray, npt.NDArray[np.int8], IntArray, IntArray]:
    """Return the bins that the price met for the first time since their map was issued.

    Bins are those of a grid of log prices; bin c is [c · step, (c + 1) · step). A forecast *arms*
    the bins whose near edge lies between `floor` and `ceiling` σ from its mark, once it is known;
    a bin that the price is nearer to keeps the map that armed it before. The price meets a bin
    where it reaches its near edge, and *arrives* at the last that it meets in an entry of the path.
    A bin that was met is armed again by a later forecast only.

    Parameters
    ----------
    low, high, close : ndarray of float64, shape (n,)
        Log prices from the grid's anchor.
    end_ns : ndarray of int64, shape (n,)
        When each entry ends.
    broken : ndarray of bool, shape (n,)
        Whether prices are missing before an entry: it meets nothing, and disarms everything.
    first : ndarray of int64, shape (m,)
        First entry that a forecast is known at, not decreasing.
    until_ns : ndarray of int64, shape (m,)
        When its window ends.
    log_mark, sigma : ndarray of float64, shape (m,)
        Its mark from the anchor, and σ of a day.
    floor, ceiling : float
        In σ.
    step : float
        Width of a bin.

    Returns
    -------
    entry, forecast, cell, direction, before_ns, last : ndarray, shape (k,)
        Where it was met, whose map stood, the bin, +1 upward or −1 downward, when the bin was met
        before (the path's first entry where it never was), and 1 where the price arrived.

    Raises
    ------
    ValueError
        If a price is NaN, a close lies outside all lows and highs, or they span `MOST_CELLS`.
    """
    n = len(close)
    least, most = low.min(), high.max()
    inside = least <= high.min() and least <= close.min()
    inside = inside and low.max() <= most and close.max() <= most
    if not (inside and step > 0.0 and most - least < MOST_CELLS * step):  # nor of NaN
        raise ValueError("touches: closes outside lows and highs, or too many bins between them")
    base = math.floor(least / step) - 1
    cells = math.floor(most / step) + 2 - base
    armed = np.full(cells, -1, np.int64)
    toward = np.zeros(cells, np.int8)
    met = np.full(cells, end_ns[0], np.int64)
    room = 2 * n
    for i in range(1, n):
        room += int((max(high[i] - close[i - 1], 0.0) + max(close[i - 1] - low[i], 0.0)) / step)
    k = j = 0
    found = np.empty((5, room), np.int64)
    direction = np.empty(room, np.int8)
    for i in range(n):
        while j < len(first) and first[j] <= i:
            for s in (1, -1):
                mark, begin = s * log_mark[j], float(base if s > 0 else -base - cells)
                nearest = max(begin, (mark + floor * sigma[j]) / step)
                farthest = max(begin - 1.0, (mark + ceiling * sigma[j]) / step)
                end = begin + cells  # of the grid: as floats, for no integer holds every float
                for c in range(
                    math.ceil(min(nearest, end)), math.floor(min(farthest, end - 1)) + 1
                ):
                    at = (c if s > 0 else -1 - c) - base
                    armed[at], toward[at] = j, s
            j += 1
        if i == 0:
            continue
        if broken[i]:
            armed[:] = -1
            continue
        for s in (1, -1):
            before = s * close[i - 1] / step
            last = math.floor((high[i] if s > 0 else -low[i]) / step)
            for c in range(math.floor(before), last + 1):
                at = (c if s > 0 else -1 - c) - base
                owner = armed[at]
                ahead = c > before and owner >= 0 and toward[at] == s
                if ahead and end_ns[i] < until_ns[owner]:
                    found[0, k], found[1, k], found[2, k] = i, owner, at + base
                    found[3, k], found[4, k] = met[at], int(c == last)
                    direction[k] = s
                    k += 1
                armed[at] = -1
                met[at] = end_ns[i]
    return found[0, :k], found[1, :k], found[2, :k], direction[:k], found[3, :k], found[4, :k]


@njit(cache=True)
def densities_met(
    density: npt.NDArray[np.float32],
    fine: IntArray,
    coarse: IntArray,
    forecast: IntArray,
    out: IntArray,
    direction: npt.NDArray[np.int8],
    reach: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the density of bins over the mean of their map within reach of its mark.

    Parameters
    ----------
    density : ndarray of float32, shape (m, 2, entries)
        USD per entry, outward from the mark's bin; row 0 below it, row 1 above.
    fine, coarse : ndarray of int64, shape (m,)
        How many entries hold one bin, and how many bins each later one holds.
    forecast, out, direction : ndarray, shape (k,)
        Whose map, the bin outward from that of the mark, and its side: +1 above.
    reach : ndarray of int64, shape (m,)
        Bins on either side that the mean is taken over.

    Returns
    -------
    plain, smoothed : ndarray of float64, shape (k,)
        The bin alone, and the triangular mean of seven about it; NaN where the map has nothing
        within reach.
    """
    mean = np.full(len(density), -1.0)
    plain, smoothed = np.full(len(out), np.nan), np.full(len(out), np.nan)
    for i in range(len(out)):
        j = forecast[i]
        if mean[j] < 0.0:
            total = 0.0
            for o in range(reach[j]):
                total += _density(density[j, 0], fine[j], coarse[j], o)
                total += _density(density[j, 1], fine[j], coarse[j], o)
            mean[j] = total / (2.0 * reach[j])
        if mean[j] > 0.0:
            row = density[j, 1 if direction[i] > 0 else 0]
            total = 0.0
            for k in range(-HALF, HALF + 1):
                weight = HALF + 1 - abs(k)
                total += weight * _density(row, fine[j], coarse[j], out[i] + k)
            smoothed[i] = total / (HALF + 1) ** 2 / mean[j]
            plain[i] = _density(row, fine[j], coarse[j], out[i]) / mean[j]
    return plain, smoothed


@njit(cache=True)
def decayed(
    entry: IntArray,
    direction: npt.NDArray[np.int8],
    value: FloatArray,
    end_ns: IntArray,
    half_life_ns: int,
) -> FloatArray:
    """Return Σ value · ½^(age/half-life) over what was met in the same direction, up to each row.

    Rows of one entry that come later in it count for those before, too: they were met together.

    Parameters
    ----------
    entry, direction : ndarray, shape (k,)
        Not decreasing; +1 or −1.
    value : ndarray of float64, shape (k,)
        Of each bin that was met; NaN counts as 0.
    end_ns : ndarray of int64
        When each entry ends.
    half_life_ns : int
        Of the memory.
    """
    out = np.empty(len(entry))
    held = np.zeros(2)
    when = np.zeros(2, np.int64)
    i = 0
    while i < len(entry):
        side = 1 if direction[i] > 0 else 0
        now = end_ns[entry[i]]
        held[side] *= 0.5 ** ((now - when[side]) / half_life_ns)
        when[side] = now
        stop = i
        while stop < len(entry) and entry[stop] == entry[i] and direction[stop] == direction[i]:
            if not math.isnan(value[stop]):
                held[side] += value[stop]
            stop += 1
        out[i:stop] = held[side]
        i = stop
    return out


@njit(cache=True)
def first_exits(
    low: FloatArray,
    high: FloatArray,
    close: FloatArray,
    entry: IntArray,
    direction: npt.NDArray[np.int8],
    barrier: FloatArray,
    width: int,
) -> FloatArray:
    """Return 1 where the price first goes back by a barrier, 0 where it first goes on by it.

    ½ where it does neither within `width` entries, or both in one of them.

    Parameters
    ----------
    low, high, close : ndarray of float64, shape (n,)
        Log prices.
    entry, direction : ndarray, shape (k,)
        Where it stands, and where it came to: +1 upward.
    barrier : ndarray of float64, shape (k,)
        In log price, either way of the close of `entry`.
    width : int
        Entries that are watched.
    """
    out = np.full(len(entry), 0.5)
    for i in range(len(entry)):
        e = entry[i]
        top, bottom = close[e] + barrier[i], close[e] - barrier[i]
        for k in range(e + 1, min(e + width + 1, len(close))):
            up, down = high[k] >= top, low[k] <= bottom
            if up or down:
                if up != down:
                    out[i] = 0.0 if up == (direction[i] > 0) else 1.0
                break
    return out


@njit(cache=True)
def stopped_out(
    low: FloatArray,
    high: FloatArray,
    close: FloatArray,
    entry: IntArray,
    direction: npt.NDArray[np.int8],
    beyond: FloatArray,
    width: int,
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Return whether a stop beyond the price is hit, and what a position against the move earns.

    It is entered at the close of `entry`, against the direction in which the price came, and left
    at the stop, or at the close `width` entries later. A point that hits the stop lies beyond it:
    it is left there, and not at the stop; a bar has been at the stop itself.

    Parameters
    ----------
    low, high, close : ndarray of float64, shape (n,)
        Log prices.
    entry, direction : ndarray, shape (k,)
        Where it stands, and where it came to: +1 upward.
    beyond : ndarray of float64, shape (k,)
        Distance of the stop in log price, in that direction.
    width : int
        Entries that are watched.

    Returns
    -------
    hit : ndarray of bool, shape (k,)
        Whether the stop is hit.
    earned : ndarray of float64, shape (k,)
        In log price, before costs.
    """
    hit = np.zeros(len(entry), np.bool_)
    earned = np.empty(len(entry))
    for i in range(len(entry)):
        e, s = entry[i], float(direction[i])
        end = min(e + width, len(close) - 1)
        earned[i] = -s * (close[end] - close[e])
        for k in range(e + 1, end + 1):
            far = (high[k] if s > 0 else -low[k]) - s * close[e]
            if far >= beyond[i]:
                hit[i] = True
                point = low[k] == high[k]
                earned[i] = -(far if point else beyond[i])
                break
    return hit, earned
