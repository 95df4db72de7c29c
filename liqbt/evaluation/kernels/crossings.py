"""Compiled kernels of crossings: what lies between the mark and an hour's extremes.

They check nothing: their callers have.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import HOUR_NS, FloatArray, IntArray

NEVER = -(1 << 62)
"""When a bin was last visited that never was."""


@njit(cache=True)
def _mass_within(held: FloatArray, edges: IntArray, depth: float) -> float:
    """Return what lies up to a depth, in bins; an entry that is reached in part counts in part."""
    if depth <= 0.0:
        return 0.0
    j = np.searchsorted(edges, depth, side="right") - 1
    if j >= len(held) - 1:
        return float(held[-1])
    share = (depth - edges[j]) / (edges[j + 1] - edges[j])
    return float(held[j] + share * (held[j + 1] - held[j]))


@njit(cache=True)
def crossed_mass(
    density: npt.NDArray[np.float32],
    edges: IntArray,
    mark: FloatArray,
    bins: tuple[IntArray, FloatArray, FloatArray],
) -> FloatArray:
    """Return what maps hold in the bins that hours cross.

    Parameters
    ----------
    density : ndarray of float32, shape (n, 2, m)
        A map an hour: USD per entry, outward from the mark's bin; row 0 below, row 1 above.
    edges : ndarray of int64, shape (m + 1,)
        Edges of the entries, in bins outward.
    mark : ndarray of float64, shape (n, 2)
        Where the entries of either row begin, in bins of the map's grid.
    bins : (first, inner, outer)
        `first` of shape (2 n + 1,): of hour i and row r the bins `first[2 i + r]` to the next; the
        ends of their crossed parts, in bins of the map's grid.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        USD.
    """
    first, inner, outer = bins
    out = np.zeros((len(density), 2))
    held = np.zeros(density.shape[2] + 1)
    for i in range(len(density)):
        for row in range(2):
            start, stop = first[2 * i + row], first[2 * i + row + 1]
            if start == stop:
                continue
            for j in range(density.shape[2]):
                held[j + 1] = held[j] + density[i, row, j]
            sign = 1.0 if row else -1.0
            for b in range(start, stop):
                far = _mass_within(held, edges, sign * (outer[b] - mark[i, row]))
                near = _mass_within(held, edges, sign * (inner[b] - mark[i, row]))
                out[i, row] += far - near
    return out


@njit(cache=True)
def _age_h(last: int, now: int) -> float:
    return math.inf if last == NEVER else (now - last) / HOUR_NS


@njit(cache=True)
def _near(
    centre: float, side: int, standing: FloatArray, n_standing: int, band: float
) -> tuple[bool, bool]:
    """Return whether a bin lies just beyond, and just before, a swing that stands on its side."""
    beyond, before = False, False
    for k in range(n_standing):
        past = side * (centre - standing[k])
        beyond |= 0.0 <= past <= band
        before |= -band <= past < 0.0
    return beyond, before


@njit(cache=True)
def crossed_bins(
    at: IntArray,
    ends: FloatArray,
    first: IntArray,
    path: tuple[IntArray, FloatArray, FloatArray, FloatArray],
    swings: tuple[FloatArray, IntArray, IntArray, IntArray],
    settings: tuple[float, float, float],
) -> tuple[
    IntArray, FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]
]:
    """Return the bins that each hour crosses on both sides of the price that it began at.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Starts of the hours, ns, increasing.
    ends : ndarray of float64, shape (n, 3)
        Log prices: the lowest, that at the start, the highest.
    first : ndarray of int64, shape (n,)
        Entries of the path before it were over when the hour began.
    path : (end_ns, low, high, close)
        Ends of the entries, ns, and log prices.
    swings : (level, side, from_ns, until_ns)
        Log price; +1 a high, -1 a low; when it is confirmed, and when it is too old. One that the
        price has passed before an hour begins stands no more.
    settings : (step, band, least_h)
        Width of a bin and of what is *just* beyond or before a swing, in log price; only bins that
        nobody visited for so many hours can be that. One that is near two swings may be both.

    Returns
    -------
    offset : ndarray of int64, shape (2 n + 1,)
        Of hour i, those below are the bins `offset[2 i]` to the next, those above follow.
    inner, outer : ndarray of float64, shape (m,)
        Log prices that a bin is crossed between, outward.
    age_h : ndarray of float64, shape (m,)
        Hours from when the path last ran through it, before the hour; infinite where it never did.
    beyond, before : ndarray of bool, shape (m,)
        Whether it lies just beyond, just before a swing of its side.
    """
    step, band, least = settings
    _, low, high, _ = path
    level, side_of, from_ns, until_ns = swings
    origin = math.floor(low.min() / step) - 1
    last = np.full(math.floor(high.max() / step) + 2 - origin, NEVER)
    passed = np.zeros(len(level), np.bool_)
    standing = np.zeros(len(level))
    offset = np.zeros(2 * len(at) + 1, np.int64)
    size = 0
    for i in range(len(at)):
        size += int((ends[i, 2] - ends[i, 0]) / step) + 4
    inner, outer, age_h = np.zeros(size), np.zeros(size), np.zeros(size)
    beyond, before = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    done, m = 0, 0
    for i in range(len(at)):
        while done < first[i]:
            _visit(last, origin, step, done, path)
            _pass(passed, swings, done, path)
            done += 1
        for row in range(2):
            sign = 1 if row else -1
            n_standing = 0
            for k in range(len(level)):
                if side_of[k] == sign and not passed[k] and from_ns[k] <= at[i] < until_ns[k]:
                    standing[n_standing] = level[k]
                    n_standing += 1
            lowest, highest = (ends[i, 1], ends[i, 2]) if row else (ends[i, 0], ends[i, 1])
            for b in range(math.floor(lowest / step), math.floor(highest / step) + 1):
                below, above = max(lowest, b * step), min(highest, (b + 1) * step)
                if above <= below:
                    continue
                inner[m], outer[m] = (below, above) if row else (above, below)
                age_h[m] = _age_h(last[b - origin], at[i])
                if age_h[m] >= least:
                    centre = (b + 0.5) * step
                    beyond[m], before[m] = _near(centre, sign, standing, n_standing, band)
                m += 1
            offset[2 * i + row + 1] = m
    return offset, inner[:m], outer[:m], age_h[:m], beyond[:m], before[:m]


@njit(cache=True)
def _pass(
    passed: npt.NDArray[np.bool_],
    swings: tuple[FloatArray, IntArray, IntArray, IntArray],
    entry: int,
    path: tuple[IntArray, FloatArray, FloatArray, FloatArray],
) -> None:
    """Mark the confirmed swings that one entry of the path goes beyond."""
    level, side_of, from_ns, _ = swings
    end_ns, low, high, _ = path
    for k in range(len(level)):
        if not passed[k] and from_ns[k] <= end_ns[entry]:
            past = high[entry] - level[k] if side_of[k] > 0 else level[k] - low[entry]
            passed[k] = past > 0.0


@njit(cache=True)
def _visit(
    last: IntArray,
    origin: int,
    step: float,
    entry: int,
    path: tuple[IntArray, FloatArray, FloatArray, FloatArray],
) -> None:
    """Mark the bins that one entry of the path runs through, from the close before it."""
    end_ns, low, high, close = path
    before = close[entry - 1] if entry else close[entry]
    lowest, highest = min(low[entry], before), max(high[entry], before)
    for b in range(math.floor(lowest / step), math.floor(highest / step) + 1):
        if 0 <= b - origin < len(last):
            last[b - origin] = end_ns[entry]
