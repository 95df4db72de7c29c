"""Compiled kernel of the filtered history: extremes of simulated paths.

It checks nothing: its caller has.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def garch_extremes(
    draws: IntArray,
    shape: FloatArray,
    parameters: FloatArray,
    variance: float,
    skipped: int,
    stops: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest log price of simulated paths, from 0, up to each stop.

    Bollerslev (1986), Generalized autoregressive conditional heteroskedasticity, equation 2, with
    the past's own standardised steps in place of normal ones; each brings the high and the low that
    it went through.

    Parameters
    ----------
    draws : ndarray of int64, shape (n_paths, n_steps)
        Which past step comes next.
    shape : ndarray of float64, shape (n_past, 3)
        Past steps over their conditional deviation: close, lowest, highest, from the step's start.
    parameters : ndarray of float64, shape (3,)
        ω, α, β.
    variance : float
        Conditional variance of the first step.
    skipped : int
        Steps at the start that move the price and are not watched.
    stops : ndarray of int64, shape (n_stops,)
        Numbers of steps, increasing, at most n_steps.

    Returns
    -------
    lowest, highest : ndarray of float64, shape (n_stops, n_paths)
        +inf and −inf where nothing is watched.
    """
    lowest = np.full((len(stops), len(draws)), np.inf)
    highest = np.full((len(stops), len(draws)), -np.inf)
    for path in range(len(draws)):
        place, now = 0.0, variance
        low, high = np.inf, -np.inf
        step = 0
        for s in range(len(stops)):
            while step < stops[s]:
                row = draws[path, step]
                scale = math.sqrt(now)
                if step >= skipped:
                    low = min(low, place + scale * shape[row, 1])
                    high = max(high, place + scale * shape[row, 2])
                move = scale * shape[row, 0]
                place += move
                now = parameters[0] + parameters[1] * move * move + parameters[2] * now
                step += 1
            lowest[s, path] = low
            highest[s, path] = high
    return lowest, highest
