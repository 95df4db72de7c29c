"""Compiled kernel of regressions by day: rows into triangular factors."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def fold(factors: FloatArray, rows_of: IntArray, day: IntArray, columns: FloatArray) -> None:
    """Rotate rows into the factor of their day, and count them.

    The factor R of a day's rows M has RᵀR = MᵀM. A row goes in by a plane rotation for each column
    (Golub and Van Loan 2013, Matrix Computations, section 6.5.3): nothing is squared but what is
    summed at once, so that R is as exact as that of a QR decomposition of the rows together.

    Parameters
    ----------
    factors : ndarray of float64, shape (n_days, k, k)
        Upper triangles, changed; zeros for a day without rows.
    rows_of : ndarray of int64, shape (n_days,)
        Rows of each day, changed.
    day : ndarray of int64, shape (n,)
        Of each row, 0 to n_days − 1.
    columns : ndarray of float64, shape (n, k)
        The rows.
    """
    k = columns.shape[1]
    row = np.empty(k)
    for i in range(len(columns)):
        at = day[i]
        rows_of[at] += 1
        for j in range(k):
            row[j] = columns[i, j]
        for j in range(k):
            new = row[j]
            held = factors[at, j, j]
            length = math.sqrt(held * held + new * new)
            if new == 0.0 or length == 0.0:  # too small to be squared is nothing
                continue
            cosine, sine = held / length, new / length
            factors[at, j, j] = length
            for m in range(j + 1, k):
                before = factors[at, j, m]
                factors[at, j, m] = cosine * before + sine * row[m]
                row[m] = cosine * row[m] - sine * before
