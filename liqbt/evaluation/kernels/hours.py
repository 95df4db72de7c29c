"""Compiled kernels of the hourly table: decayed past returns, and returns by size of their steps.

They check nothing: their callers have.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def decayed_returns(at: IntArray, log_mark: FloatArray, half_life: float) -> FloatArray:
    """Return the sum of past log returns, each halved with every half-life since it was made.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Times, increasing, ns.
    log_mark : ndarray of float64, shape (n,)
        Log price known then.
    half_life : float
        In ns.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 at the first.
    """
    out = np.zeros(len(at))
    for i in range(1, len(at)):
        kept = 0.5 ** ((at[i] - at[i - 1]) / half_life)
        out[i] = out[i - 1] * kept + log_mark[i] - log_mark[i - 1]
    return out


@njit(cache=True)
def split_returns(
    end_ns: IntArray,
    log_close: FloatArray,
    first: IntArray,
    last: IntArray,
    threshold: FloatArray,
) -> FloatArray:
    """Return the sum of the steps of each window that are not large, and of those that are.

    Parameters
    ----------
    end_ns : ndarray of int64, shape (n_path,)
        When each price was made, ns.
    log_close : ndarray of float64, shape (n_path,)
        Log prices.
    first, last : ndarray of int64, shape (n,)
        The first and the last price of each window.
    threshold : ndarray of float64, shape (n,)
        A step is large where it is longer than this times the root of the ns that it takes.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Their sum is the whole return.
    """
    out = np.zeros((len(first), 2))
    for i in range(len(first)):
        for j in range(first[i] + 1, last[i] + 1):
            step = log_close[j] - log_close[j - 1]
            large = abs(step) > threshold[i] * math.sqrt(end_ns[j] - end_ns[j - 1])
            out[i, int(large)] += step
    return out
