"""Compiled kernels of bursts: the next cluster ahead, and how early the price reaches it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def nearest_ahead(
    forecast: IntArray,
    outward: FloatArray,
    log_price: FloatArray,
    nearest: FloatArray,
    farthest: FloatArray,
    starts: IntArray,
    side: IntArray,
    near_edge: FloatArray,
) -> FloatArray:
    """Return how far away the next cluster in a direction lies.

    Parameters
    ----------
    forecast : ndarray of int64, shape (n,)
        Of each row the forecast that stands, negative for none.
    outward : ndarray of float64, shape (n,)
        +1 up, −1 down.
    log_price : ndarray of float64, shape (n,)
        From where.
    nearest, farthest : ndarray of float64, shape (n,)
        Log distances between which a near edge counts, both closed.
    starts : ndarray of int64, shape (n_forecasts + 1,)
        First cluster of each forecast.
    side : ndarray of int64, shape (n_clusters,)
        Of the positions: longs (1) lie below, shorts (−1) above.
    near_edge : ndarray of float64, shape (n_clusters,)
        Log price of the edge that comes first.

    Returns
    -------
    ndarray of float64, shape (n,)
        Log distance, NaN where there is none.
    """
    out = np.full(len(forecast), np.nan)
    for i in range(len(forecast)):
        if forecast[i] < 0:
            continue
        best = math.inf
        for c in range(starts[forecast[i]], starts[forecast[i] + 1]):
            if side[c] * outward[i] >= 0:
                continue
            d = outward[i] * (near_edge[c] - log_price[i])
            if nearest[i] <= d <= farthest[i] and d < best:
                best = d
        if best < math.inf:
            out[i] = best
    return out


@njit(cache=True)
def earliness(
    high: FloatArray,
    low: FloatArray,
    end_ns: IntArray,
    first: IntArray,
    stop: IntArray,
    close_ns: IntArray,
    level: FloatArray,
    above: FloatArray,
    window_ns: int,
) -> FloatArray:
    """Return what share of a window is left when the price first touches a level.

    Parameters
    ----------
    high, low : ndarray of float64, shape (m,)
        Log prices of the path's entries.
    end_ns : ndarray of int64, shape (m,)
        Ends of the entries.
    first, stop : ndarray of int64, shape (n,)
        Entries `first:stop` are watched.
    close_ns : ndarray of int64, shape (n,)
        When each window closes.
    level : ndarray of float64, shape (n,)
        Log price.
    above : ndarray of float64, shape (n,)
        +1 where the level lies above, −1 below.
    window_ns : int
        Length of a window.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]; 0 where it is not touched.
    """
    out = np.zeros(len(level))
    for i in range(len(level)):
        for k in range(first[i], stop[i]):
            if (above[i] > 0 and high[k] >= level[i]) or (above[i] < 0 and low[k] <= level[i]):
                out[i] = (close_ns[i] - end_ns[k]) / window_ns
                break
    return out
