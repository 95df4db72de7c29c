"""Day sums of a regression's slope, with what stands beside it partialled out.

Source: a linear model with partialled-out controls (Frisch and Waugh 1933; Lovell 1963, Seasonal
adjustment of economic time series, theorem 4.1). The interval comes from the day sums of the score
x̃·e, which is what cluster-robust and HAC errors of the slope are made of.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.evaluation.inference.days import DaySums
from liqbt.types import DAY_NS, FloatArray, IntArray

_FREE: Final = 1e-9
"""Controls scaled to length 1 are free in the directions that are longer than this share."""


def _basis(controls: FloatArray) -> FloatArray:
    """Return orthonormal columns that span what the controls span, as many as they are free.

    A control that is zero, or that others already say, adds nothing: what is left of dose and
    visits is that of the least-squares fit of minimum norm (Golub and Van Loan 2013, Matrix
    Computations, section 5.5).
    """
    basis, upper = np.linalg.qr(controls)
    if not len(controls):
        return basis
    length = np.linalg.norm(upper, axis=0)
    turned, size, _ = np.linalg.svd(
        upper / np.where(length > 0.0, length, 1.0), full_matrices=False
    )
    free = size > _FREE * size.max()
    return basis if free.all() else np.asarray(basis @ turned[:, free])


def _partialled(
    x: FloatArray, y: FloatArray, controls: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return what the controls leave of both, and how many of them are free."""
    basis = _basis(controls)
    return x - basis @ (basis.T @ x), y - basis @ (basis.T @ y), basis.shape[1]


def slope_days(
    at: IntArray, x: FloatArray, y: FloatArray, controls: FloatArray | None, *, n_units: int
) -> DaySums:
    """Return what each day adds to the slope of y on x in one market.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Times, ns.
    x, y : ndarray of float64, shape (n,)
        Dose and response.
    controls : ndarray of float64, shape (n, k), or None
        What stands beside the dose; fitted to this market alone.
    n_units : int
        Independent units, as reported.

    Returns
    -------
    DaySums
        Of x̃ỹ and x̃²: the slope is the ratio. Empty but for the units where nothing is left of x.
    """
    fitted = 1
    if controls is not None:
        x, y, free = _partialled(x, y, controls)
        fitted = free + 1
    if not len(x) or float(x @ x) <= 1e-12 * len(x):
        return DaySums(total=np.zeros(0), count=np.zeros(0), n_units=n_units)
    first = int(at.min() // DAY_NS)
    day = at // DAY_NS - first
    n_days = int(np.count_nonzero(np.bincount(day)))
    return DaySums(
        total=np.asarray(np.bincount(day, x * y), np.float64),
        count=np.asarray(np.bincount(day, x * x), np.float64),
        first_day=first,
        n_units=n_units,
        size=np.asarray(np.bincount(day, np.abs(x * y)), np.float64),
        freedom=(n_days - fitted) / max(n_days - 1, 1),
    )
