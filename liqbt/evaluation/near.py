"""Near mass: how much of a map lies just above the mark, and just below it.

**Near mass** is a map's mass on one side of the mark, weighted by exp(−d / 0.5 σ_1d) at log
distance d, within 2.5 σ_1d. With U above and D below, the **near asymmetry** is (U − D)/(U + D),
positive where more lies above. An asymmetry within ±10 % is made of mass that no price of the next
day reaches, and tells nothing of where it goes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from liqbt.evaluation.kernels.near import near_masses
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
    out = np.zeros((len(forecasts), 2))
    for i, (forecast, held) in enumerate(zip(forecasts, maps, strict=True)):
        grid, sigma = held.grid, forecast.sigma_1d
        inside = math.log(forecast.mark / grid.anchor) / grid.step - held.mark_bin
        edges = grid.outward_edges(held.density_usd.shape[1])
        decay, reach = DECAY_SIGMA * sigma, REACH_SIGMA * sigma
        out[i] = near_masses(held.density_usd, edges, inside, grid.step, decay, reach)
    return out


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

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where the other map was not issued.
    """
    found = {other.at: other for other in others}
    out = np.full(len(forecasts), np.nan)
    rows = [i for i, forecast in enumerate(forecasts) if forecast.at in found]
    out[rows] = near_asymmetry(
        near_mass([forecasts[i] for i in rows], [found[forecasts[i].at] for i in rows])
    )
    return out
