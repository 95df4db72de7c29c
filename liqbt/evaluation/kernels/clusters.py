"""How clusters stand out of their own map, and which of the forecast before each of them is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray

LEAST = 8
"""Entries of surroundings below which there is no noise to hold a cluster against."""


@njit(cache=True)
def _middle(values: FloatArray) -> float:
    ordered = np.sort(values)
    n = len(ordered)
    return float(0.5 * (ordered[(n - 1) // 2] + ordered[n // 2]))


@njit(cache=True)
def stand_out(density: FloatArray, outward: FloatArray, bands: FloatArray, out: FloatArray) -> None:
    """Set prominence and significance of the clusters of one side: see `cluster_facts`.

    Parameters
    ----------
    density : ndarray of float64, shape (n,)
        USD by log price of each entry of the map, outward.
    outward : ndarray of float64, shape (n + 1,)
        Edges of the entries, log distance from the mark.
    bands : ndarray of float64, shape (k, 2)
        Near and far edge of each cluster, alike.
    out : ndarray of float64, shape (k, 2)
        Written: prominence and significance.
    """
    n = len(density)
    top = density.max() if n > 0 else 0.0
    centre = 0.5 * (outward[1:] + outward[:-1])
    for k in range(len(bands)):
        first = max(np.searchsorted(centre, bands[k, 0]), 0)
        stop = min(max(np.searchsorted(centre, bands[k, 1]), first + 1), n)
        if first >= n or top <= 0.0:
            continue
        peak = first + int(np.argmax(density[first:stop]))
        valley = 0.0
        for step in (-1, 1):
            lowest, i = density[peak], peak
            while 0 <= i < n and density[i] <= density[peak]:
                lowest = min(lowest, density[i])
                i += step
            valley = max(valley, lowest)
        out[k, 0] = (density[peak] - valley) / top
        middle = 0.5 * (bands[k, 0] + bands[k, 1])
        middle *= 1.0 + 1e-9  # an entry on the very edge is beyond it, whichever way it was rounded
        around = density[(centre > 0.5 * middle) & (centre < 2.0 * middle)]
        if len(around) < LEAST:
            continue
        usual = _middle(around)
        noise = 1.4826 * _middle(np.abs(around - usual))
        if noise > 0.0:
            out[k, 1] = (density[first:stop].mean() - usual) / noise


@njit(cache=True)
def followed(
    offsets: IntArray, side: npt.NDArray[np.int8], low: FloatArray, high: FloatArray
) -> IntArray:
    """Return the row of the forecast before that each cluster goes on, -1 for none.

    Bands of one side whose intersection is more than half of their union, in log price; as bands of
    one forecast and side are disjoint, none has two.
    """
    out = np.full(len(side), -1, np.int64)
    for i in range(1, len(offsets) - 1):
        for c in range(offsets[i], offsets[i + 1]):
            for b in range(offsets[i - 1], offsets[i]):
                shared = min(high[c], high[b]) - max(low[c], low[b])
                if side[c] == side[b] and 2.0 * shared > (
                    high[c] - low[c] + high[b] - low[b] - shared
                ):
                    out[c] = b
    return out
