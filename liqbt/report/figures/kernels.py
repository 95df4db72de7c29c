"""The one loop of the map's picture: what forecasts estimate, laid on rows of equal height."""

from __future__ import annotations

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def lay_on_rows(
    total: FloatArray, density: np.ndarray, bounds: IntArray, first: float, height: float
) -> None:
    """Add a density row to rows of equal height, each entry spread evenly over what it covers.

    Parameters
    ----------
    total : ndarray of float64, shape (rows,)
        What the rows hold, USD; added to in place.
    density : ndarray of float32 or float64, shape (n,)
        USD per entry.
    bounds : ndarray of int64, shape (n + 1,)
        Edges of the entries, in bins of the grid, falling or rising.
    first, height : float
        Where the first row begins, and how high each one is, in bins of the grid.
    """
    rows = len(total)
    for i in range(len(density)):
        if density[i] == 0.0:
            continue
        low = (min(bounds[i], bounds[i + 1]) - first) / height
        high = (max(bounds[i], bounds[i + 1]) - first) / height
        if high <= 0.0 or low >= rows:
            continue
        per_row = density[i] / (high - low)
        for row in range(max(0, int(low)), min(rows, int(high) + 1)):
            total[row] += per_row * max(0.0, min(high, row + 1.0) - max(low, float(row)))
