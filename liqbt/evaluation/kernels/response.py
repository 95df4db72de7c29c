"""Compiled kernels of the dose–response: a density at given distances, smoothed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def smooth_outward(row: FloatArray, edges: IntArray, wanted: IntArray, half: int) -> FloatArray:
    """Return the smoothed density of the wanted bins of one side.

    An entry that spans several bins is shared evenly by them; beyond the last entry, and inward of
    the first, there is nothing. The kernel is triangular: (half + 1 − |k|) / (half + 1)².

    Parameters
    ----------
    row : ndarray of float64, shape (n_entries,)
        USD per entry, outward from the mark.
    edges : ndarray of int64, shape (n_entries + 1,)
        Edges of the entries, in bins outward from the mark's own; the first is 0.
    wanted : ndarray of int64, shape (n,)
        Bins outward from the mark's own, not decreasing; a negative one holds nothing.
    half : int
        Half of the kernel's width less one, 0 or more.

    Returns
    -------
    ndarray of float64, shape (n,)
        USD per bin.
    """
    reached = max(wanted[-1], 0) + half + 1 if len(wanted) else 0
    fine = np.zeros(min(edges[-1], reached))
    for entry in range(len(row)):
        share = row[entry] / (edges[entry + 1] - edges[entry])
        for b in range(edges[entry], min(edges[entry + 1], len(fine))):
            fine[b] = share
        if edges[entry + 1] >= len(fine):
            break
    out = np.zeros(len(wanted))
    for i in range(len(wanted)):
        if wanted[i] < 0:
            continue
        total = 0.0
        for k in range(-half, half + 1):
            b = wanted[i] + k
            if 0 <= b < len(fine):
                total += (half + 1 - abs(k)) * fine[b]
        out[i] = total / (half + 1) ** 2
    return out


@njit(cache=True)
def smooth_around(
    rows: npt.NDArray[np.float32], edges: IntArray, inside: float, place: FloatArray, half: int
) -> FloatArray:
    """Return the smoothed density at equal distances on both sides of a price.

    Parameters
    ----------
    rows : ndarray of float32, shape (2, n_entries)
        USD per entry, outward from the bin of the mark; row 0 below it, row 1 above.
    edges : ndarray of int64, shape (n_entries + 1,)
        As in `smooth_outward`.
    inside : float
        Where the price lies, in bins from the lower edge of the mark's bin.
    place : ndarray of float64, shape (n,)
        Distances from it in bins, not decreasing.
    half : int
        Half of the kernel's width less one, 0 or more.

    Returns
    -------
    ndarray of float64, shape (2, n)
        USD per bin, of the bins that hold these places.
    """
    out = np.empty((2, len(place)))
    wanted = np.empty(len(place), np.int64)
    for i in range(len(place)):
        wanted[i] = -math.floor(inside - place[i]) - 1
    out[0] = smooth_outward(rows[0], edges, wanted, half)
    for i in range(len(place)):
        wanted[i] = math.floor(inside + place[i]) - 1
    out[1] = smooth_outward(rows[1], edges, wanted, half)
    return out
