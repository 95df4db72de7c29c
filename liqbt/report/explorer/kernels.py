"""The one loop of the explorer: since when a cluster's band has been dense."""

from __future__ import annotations

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def first_seen(
    offsets: IntArray, side: np.ndarray, low: FloatArray, high: FloatArray, wanted: IntArray
) -> np.ndarray:
    """Return the first forecast of the unbroken row that ends with each wanted forecast.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        Where the clusters of forecast `i` begin and end.
    side, low, high : ndarray, shape (offsets[n],)
        Of every cluster: its side and its band `[low, high)`, USD.
    wanted : ndarray of int64, shape (m,)
        Forecasts whose clusters are followed.

    Returns
    -------
    ndarray of int64
        For each cluster of the wanted forecasts, in their order: the first forecast from which on
        every one has a cluster of its side that overlaps its band.
    """
    total = 0
    for i in wanted:
        total += offsets[i + 1] - offsets[i]
    out = np.empty(total, np.int64)
    place = 0
    for i in wanted:
        for c in range(offsets[i], offsets[i + 1]):
            first, hint = i, c - offsets[i]  # it is at the same place in most forecasts
            while first > 0:
                start, stop = offsets[first - 1], offsets[first]
                found = -1
                for k in range(-1, stop - start):
                    b = start + (hint if k < 0 else k)
                    if b < stop and side[b] == side[c] and low[b] < high[c] and high[b] > low[c]:
                        found = b
                        break
                if found < 0:
                    break
                first, hint = first - 1, found - start
            out[place] = first
            place += 1
    return out
