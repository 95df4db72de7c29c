"""Compiled kernels of the nulls: extremes of windows.

They check nothing: their callers have.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def window_extremes(
    low: FloatArray, high: FloatArray, first: IntArray, stop: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest low and the highest high of each window `first[i]:stop[i]`.

    Parameters
    ----------
    low, high : ndarray of float64, shape (n_path,)
        Log prices.
    first, stop : ndarray of int64, shape (n,)
        Windows.

    Returns
    -------
    lowest, highest : ndarray of float64, shape (n,)
        +inf and −inf where a window is empty: then no level is reached.
    """
    lowest = np.full(len(first), np.inf)
    highest = np.full(len(first), -np.inf)
    for i in range(len(first)):
        for j in range(first[i], stop[i]):
            lowest[i] = min(lowest[i], low[j])
            highest[i] = max(highest[i], high[j])
    return lowest, highest
