"""How near an estimated map lies to the true one: METHOD's "against true positions".

These functions take densities as arrays, from wherever they come, and know no estimator.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from liqbt.types import DensityGrid, FloatArray


def mass_by_distance(
    density_usd: npt.NDArray[np.floating],
    grid: DensityGrid,
    mark_bin: int,
    *,
    price: float,
    width: float,
    bins: int,
) -> FloatArray:
    """Return notional by log distance from `price`, outward on each side.

    Parameters
    ----------
    density_usd : ndarray, shape (2, n)
        Longs below and shorts above, outward from the mark's bin, as in `Forecast.density_usd`; an
        entry's notional is spread evenly in log price.
    grid : DensityGrid
        Its grid.
    mark_bin : int
        The bin that holds the mark.
    price : float
        Where distance is counted from, USD; maps that are compared share it.
    width : float
        Width of a bin of the result in log price.
    bins : int
        How many, on each side.

    Returns
    -------
    ndarray of float64, shape (2, bins)
        USD; what lies nearer than `price` or farther than the last bin is left out.

    Examples
    --------
    >>> grid = DensityGrid(anchor=100.0, step=0.01, fine_bins=4)
    >>> row = np.array([[8.0, 0, 0, 0], [0, 4.0, 0, 0]])
    >>> mass_by_distance(row, grid, 0, price=100.0, width=0.01, bins=3).round(6).tolist()
    [[8.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
    """
    edges = grid.outward_edges(density_usd.shape[1]) * grid.step
    inside = math.log(price / grid.anchor) - mark_bin * grid.step
    at = np.arange(bins + 1) * width
    out = np.empty((2, bins))
    for side, first in enumerate((inside, grid.step - inside)):
        cumulative = np.concatenate([[0.0], np.cumsum(density_usd[side], dtype=np.float64)])
        out[side] = np.diff(np.interp(at, first + edges, cumulative))
    return out


def outside_share(
    density_usd: npt.NDArray[np.floating], mass: npt.NDArray[np.floating]
) -> FloatArray:
    """Return the share of each side's notional that `mass`, from `mass_by_distance`, leaves out.

    Examples
    --------
    >>> outside_share(np.array([[6.0, 2.0], [0.0, 0.0]]), np.array([[6.0], [0.0]])).tolist()
    [0.25, nan]
    """
    whole = density_usd.sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(whole > 0, 1.0 - mass.sum(axis=1) / whole, np.nan))


def wasserstein(one: FloatArray, other: FloatArray, width: float) -> float:
    """Return the first Wasserstein distance W₁ = ∫|F − G| dx of two profiles, each normalised.

    Parameters
    ----------
    one, other : ndarray of float64, shape (bins,)
        Notional by distance on one side; not negative.
    width : float
        Width of a bin in log price.

    Returns
    -------
    float
        In log price, 0.01 is about 1 %; NaN where a profile is empty.

    Examples
    --------
    >>> wasserstein(np.array([1.0, 0, 0]), np.array([0.0, 0, 5.0]), 0.01)
    0.02
    """
    a, b = float(one.sum()), float(other.sum())
    if a <= 0.0 or b <= 0.0:
        return math.nan
    return float(np.abs(np.cumsum(one / a - other / b)).sum() * width)


def correlation(one: FloatArray, other: FloatArray) -> float:
    """Return the Pearson correlation of two profiles bin by bin; NaN where one of them is flat.

    Examples
    --------
    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])), 6)
    1.0
    """
    a, b = one - one.mean(), other - other.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0.0 else math.nan
