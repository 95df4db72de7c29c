"""Day sums of a regression's slope, with what stands beside it partialled out.

Of the rows of a day no more is kept than the triangular factor of their QR decomposition: it says
every sum of products that a fit on them asks for, as exactly as the rows do, and rows that come
block by block are never held together.

Sources: a linear model with partialled-out controls (Frisch and Waugh 1933; Lovell 1963, Seasonal
adjustment of economic time series, theorem 4.1); rows that come one by one into a factor (Golub and
Van Loan 2013, Matrix Computations, section 6.5). The interval comes from the day sums of the score
x̃·e, which is what cluster-robust and HAC errors of the slope are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.kernels.slopes import fold
from liqbt.types import DAY_NS, FloatArray, IntArray

_FREE: Final = 1e-9
"""Controls scaled to length 1 are free in the directions that are longer than this share."""


class DayFactors:
    """What the rows of each day say of the products of some columns.

    Parameters
    ----------
    width : int
        How many columns there are.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._first = 0
        self._factors = np.zeros((0, width, width))
        self._rows = np.zeros(0, np.int64)

    def add(self, at: IntArray, columns: FloatArray) -> DayFactors:
        """Take in rows, and return itself.

        Parameters
        ----------
        at : ndarray of int64, shape (n,)
            Their times, ns.
        columns : ndarray of float64, shape (n, width)
            Their values.
        """
        if not len(at):
            return self
        day = at // DAY_NS
        first, last = int(day.min()), int(day.max())
        if not len(self._rows):
            self._first = first
        before = max(self._first - first, 0)
        after = max(last + 1 - self._first - len(self._rows), 0)
        self._factors = np.pad(self._factors, ((before, after), (0, 0), (0, 0)))
        self._rows = np.pad(self._rows, (before, after))
        self._first -= before
        fold(self._factors, self._rows, day - self._first, np.ascontiguousarray(columns))
        return self

    def slope(self, controls: Sequence[int], *, n_units: int) -> DaySums:
        """Return what each day adds to the slope of column 1 on column 0.

        Parameters
        ----------
        controls : sequence of int
            Columns that stand beside the dose.
        n_units : int
            Independent units, as reported.

        Returns
        -------
        DaySums
            Of x̃ỹ and x̃²: the slope is the ratio. Empty but for the units where nothing is left of
            x. A control that is zero, or that others already say, adds nothing: what is left of
            dose and response is that of the least-squares fit of minimum norm (Golub and Van Loan
            2013, section 5.5).
        """
        nothing = DaySums(total=np.zeros(0), count=np.zeros(0), n_units=n_units)
        beside = list(controls)
        k = max([1, *beside]) + 1  # what comes after does not touch the factor of these
        factors = np.ascontiguousarray(self._factors[:, :k, :k])
        rows, whole = factors.reshape(-1, k), np.zeros((1, k, k))
        fold(whole, np.zeros(1, np.int64), np.zeros(len(rows), np.int64), rows)
        left = np.zeros((k, 2))
        left[0, 0] = left[1, 1] = 1.0
        fitted, free = _fitted(whole[0][:, beside], whole[0][:, :2])
        left[beside] = -fitted
        x, y = np.moveaxis(factors @ left, 2, 0)
        count = (x * x).sum(axis=1)
        if float(count.sum()) <= 1e-12 * float(self._rows.sum()):
            return nothing
        n_days = int(np.count_nonzero(self._rows))
        return DaySums(
            total=(x * y).sum(axis=1),
            count=count,
            first_day=self._first,
            n_units=n_units,
            size=np.sqrt(count * (y * y).sum(axis=1)),
            freedom=(n_days - free - 1) / max(n_days - 1, 1),
        )


def _fitted(controls: FloatArray, columns: FloatArray) -> tuple[FloatArray, int]:
    """Return the least-squares fit of columns on controls, and how many of these are free."""
    if not controls.shape[1]:
        return np.zeros((0, columns.shape[1])), 0
    length = np.linalg.norm(controls, axis=0)
    length = np.where(length > 0.0, length, 1.0)
    turned, size, back = np.linalg.svd(controls / length, full_matrices=False)
    free = size > _FREE * size.max()
    share = (turned[:, free].T @ columns) / size[free, None]
    return np.asarray(back[free].T @ share) / length[:, None], int(np.count_nonzero(free))


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
        As of `DayFactors.slope`.
    """
    columns = np.column_stack([x, y] if controls is None else [x, y, controls])
    found = DayFactors(columns.shape[1]).add(at, columns)
    return found.slope(range(2, columns.shape[1]), n_units=n_units)
