"""Near mass: how much of a map lies just above the mark, and just below it.

**Near mass** is a map's mass on one side of the mark, weighted by exp(−d / 0.5 σ_1d) at log
distance d, within 2.5 σ_1d. With U above and D below, the **near asymmetry** is (U − D)/(U + D),
positive where more lies above. An asymmetry within ±10 % is made of mass that no price of the next
day reaches, and tells nothing of where it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.kernels.near import near_masses, padded
from liqbt.forecasts import column, drawn, kept_forecasts
from liqbt.types import FloatArray, Forecast

DECAY_SIGMA: Final = 0.5
"""Distance in σ_1d over which near mass weighs less by e."""

REACH_SIGMA: Final = 2.5
"""Distance in σ_1d beyond which mass is not near."""

RESOLUTION: Final = 1e-5
"""An asymmetry this small is none: float32 and the spread of a level over the bins that it lies in
leave as much of equal levels at equal distances."""


def near_mass(forecasts: Sequence[Forecast], maps: Sequence[Forecast]) -> FloatArray:
    """Return near mass below and above the marks of forecasts, of maps issued at the same times.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Whose mark and σ hold.
    maps : sequence of Forecast
        Whose densities are weighed, one for each.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Weighted USD below and above.
    """
    if len(forecasts) != len(maps):
        raise ValueError(f"near_mass: found {len(maps)} maps for {len(forecasts)} forecasts")
    out = np.zeros((len(forecasts), 2))
    mark, sigma = column(forecasts, "mark"), column(forecasts, "sigma_1d")
    mark_bin, first = column(maps, "mark_bin"), 0
    for grid, usd, start, stop in drawn(maps):
        mine = slice(first, first := first + len(start))
        edges = grid.outward_edges(int((stop - start).max(initial=0)) // 2)
        weighed = (DECAY_SIGMA * sigma[mine], REACH_SIGMA * sigma[mine])
        price = (mark[mine], mark_bin[mine])
        near_masses(usd, start, stop, edges, (grid.anchor, grid.step), *price, weighed, out[mine])
    return out


def density_rows(forecasts: Sequence[Forecast], entries: int) -> npt.NDArray[np.float32]:
    """Return the densities of forecasts as rows of so many entries, (n, 2, entries).

    Longer ones are cut there, shorter ones are 0 beyond their end.
    """
    out, first = np.zeros((len(forecasts), 2, entries), np.float32), 0
    for _, usd, start, stop in drawn(forecasts):
        padded(usd, start, stop, out[first : first + len(start)])
        first += len(start)
    return out


def longest_density(forecasts: Sequence[Forecast]) -> int:
    """Return how many entries the longest density of forecasts has on a side."""
    sizes = [int((stop - start).max(initial=0)) for _, _, start, stop in drawn(forecasts)]
    return max(sizes, default=0) // 2


def near_asymmetry(mass: FloatArray) -> FloatArray:
    """Return (U − D)/(U + D) of near masses below and above, 0 where both are 0 or told alike.

    Examples
    --------
    >>> near_asymmetry(np.array([[1.0, 3.0], [0.0, 0.0], [1.0, 1.000001]])).tolist()
    [0.5, 0.0, 0.0]
    """
    total = mass.sum(axis=1)
    out = np.zeros(len(mass))
    np.divide(mass[:, 1] - mass[:, 0], total, out=out, where=total > 0.0)
    out[np.abs(out) <= RESOLUTION] = 0.0
    return out


def beside_asymmetry(forecasts: Sequence[Forecast], others: Sequence[Forecast]) -> FloatArray:
    """Return another map's near asymmetry about the marks of forecasts, by time of issue.

    Parameters
    ----------
    forecasts, others : sequence of Forecast
        Both in order of issue.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where the other map was not issued.
    """
    at, other = column(forecasts, "at"), column(others, "at")
    out, mine = np.full(len(forecasts), np.nan), np.isin(at, other)
    beside = kept_forecasts(others, np.isin(other, at))
    out[mine] = near_asymmetry(near_mass(kept_forecasts(forecasts, mine), beside))
    return out
