"""Compiled kernels of the nulls: extremes of windows.

They check nothing: their callers have.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray

BLOCK: Final = 64
"""Entries whose extremes are taken once, for all windows that hold them."""


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
    bottom, top = np.full(len(low) // BLOCK, np.inf), np.full(len(low) // BLOCK, -np.inf)
    for j in range(BLOCK * len(top)):
        bottom[j // BLOCK] = min(bottom[j // BLOCK], low[j])
        top[j // BLOCK] = max(top[j // BLOCK], high[j])
    for i in range(len(first)):
        j = first[i]
        while j < stop[i]:
            whole = j % BLOCK == 0 and j + BLOCK <= stop[i]
            lowest[i] = min(lowest[i], bottom[j // BLOCK] if whole else low[j])
            highest[i] = max(highest[i], top[j // BLOCK] if whole else high[j])
            j += BLOCK if whole else 1
    return lowest, highest
