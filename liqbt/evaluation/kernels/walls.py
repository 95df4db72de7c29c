"""Compiled kernel of walls: the bands of depth about a price, and what lies behind them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def count_bands(snapshot: IntArray, starts: IntArray) -> int:
    """Return how many bands the snapshots of all rows have together."""
    total = 0
    for s in snapshot:
        if s >= 0:
            total += starts[s + 1] - starts[s]
    return total


@njit(cache=True)
def band_rows(
    snapshot: IntArray,
    log_price: FloatArray,
    limits: FloatArray,
    starts: IntArray,
    above: IntArray,
    low: FloatArray,
    high: FloatArray,
    wall: npt.NDArray[np.bool_],
    cluster_starts: IntArray,
    cluster_side: IntArray,
    near_edge: FloatArray,
    rank: FloatArray,
    behind: float,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the bands of every row that a cluster begins in, or just behind.

    Parameters
    ----------
    snapshot : ndarray of int64, shape (n,)
        Of each row its snapshot of depth, negative for none.
    log_price : ndarray of float64, shape (n,)
        Price of each row.
    limits : ndarray of float64, shape (n, 2)
        The far edge of a band lies between these log distances, both closed.
    starts, above, low, high, wall
        As in `Depth`.
    cluster_starts : ndarray of int64, shape (n + 1,)
        First cluster of each row.
    cluster_side, near_edge, rank : ndarray, shape (n_clusters,)
        Side of the positions, log price of the edge that comes first, density rank.
    behind : float
        So far behind a band, in log price, a cluster may begin.

    Returns
    -------
    row : ndarray of int64, shape (m,)
    outward, far, walled, mirrored, densest : ndarray of float64, shape (m,)
        Direction of the band; log distance of its far edge; whether it holds a wall, and whether
        the band as far on the other side does; largest density rank of its clusters.
    """
    size = count_bands(snapshot, starts)
    row = np.zeros(size, np.int64)
    out = np.zeros((5, size))
    n = 0
    for i in range(len(snapshot)):
        if snapshot[i] < 0:
            continue
        first, stop = starts[snapshot[i]], starts[snapshot[i] + 1]
        for b in range(first, stop):
            way = float(above[b])
            near = low[b] - log_price[i] if above[b] > 0 else log_price[i] - high[b]
            far = high[b] - log_price[i] if above[b] > 0 else log_price[i] - low[b]
            if not limits[i, 0] <= far <= limits[i, 1]:
                continue
            densest = -1.0
            for c in range(cluster_starts[i], cluster_starts[i + 1]):
                d = way * (near_edge[c] - log_price[i])
                if cluster_side[c] * way < 0 and near <= d < far + behind:
                    densest = max(densest, rank[c])
            if densest < 0.0:
                continue
            mirrored = 0.0
            middle = 0.5 * (near + far)
            for q in range(first, stop):
                if above[q] == above[b]:
                    continue
                a = low[q] - log_price[i] if above[q] > 0 else log_price[i] - high[q]
                z = high[q] - log_price[i] if above[q] > 0 else log_price[i] - low[q]
                if a < middle <= z and wall[q]:
                    mirrored = 1.0
            row[n] = i
            out[0, n], out[1, n], out[2, n] = way, far, 1.0 if wall[b] else 0.0
            out[3, n], out[4, n] = mirrored, densest
            n += 1
    return row[:n], out[0, :n], out[1, :n], out[2, :n], out[3, :n], out[4, :n]
