"""Compiled kernels of the nulls: extremes of windows, a penalised logistic fit, simulated extremes.

They check nothing: their callers have.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


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
    for i in range(len(first)):
        for j in range(first[i], stop[i]):
            lowest[i] = min(lowest[i], low[j])
            highest[i] = max(highest[i], high[j])
    return lowest, highest


@njit(cache=True)
def _likelihood(
    x: FloatArray,
    offset: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    precision: FloatArray,
    beta: FloatArray,
) -> tuple[float, FloatArray, FloatArray]:
    """Return the penalised log likelihood at `beta`, its slope and its negative curvature."""
    n, p = x.shape
    total = 0.0
    slope = -precision * beta
    curvature = np.zeros((p, p))
    for k in range(p):
        curvature[k, k] = precision[k]
        total -= 0.5 * precision[k] * beta[k] * beta[k]
    bend = np.empty(n)
    for i in range(n):
        eta = offset[i]
        for k in range(p):
            eta += x[i, k] * beta[k]
        tail = math.exp(-abs(eta))
        mean = 1.0 / (1.0 + tail) if eta >= 0.0 else tail / (1.0 + tail)
        total += weight[i] * (y[i] * eta - max(eta, 0.0) - math.log1p(tail))
        pull = weight[i] * (y[i] - mean)
        bend[i] = weight[i] * mean * (1.0 - mean)
        for k in range(p):
            slope[k] += pull * x[i, k]
    whole = n - n % 4  # four rows at a time: adding to the table is what takes the time
    for i in range(0, whole, 4):
        for k in range(p):
            a, b = bend[i] * x[i, k], bend[i + 1] * x[i + 1, k]
            c, d = bend[i + 2] * x[i + 2, k], bend[i + 3] * x[i + 3, k]
            for m in range(k + 1):
                curvature[k, m] += (a * x[i, m] + b * x[i + 1, m]) + (
                    c * x[i + 2, m] + d * x[i + 3, m]
                )
    for i in range(whole, n):
        for k in range(p):
            for m in range(k + 1):
                curvature[k, m] += bend[i] * x[i, k] * x[i, m]
    for k in range(p):
        for m in range(k):
            curvature[m, k] = curvature[k, m]
    return total, slope, curvature


@njit(cache=True)
def penalised_logistic(
    x: FloatArray,
    offset: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    precision: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return the β of greatest penalised likelihood: logit P(y = 1) = offset + x β.

    Newton's method with halved steps. A Gaussian prior of mean 0 and the given precision stands on
    each coefficient (le Cessie and van Houwelingen 1992, Ridge estimators in logistic regression,
    equation 2), so that the optimum exists and is unique where every precision is positive.

    Parameters
    ----------
    x : ndarray of float64, shape (n, p)
        Features.
    offset, y, weight : ndarray of float64, shape (n,)
        Known part of the logit, outcome in [0, 1], weight of the row.
    precision, start : ndarray of float64, shape (p,)
        Of the prior; and where to begin.
    """
    beta = start.copy()
    value, slope, curvature = _likelihood(x, offset, y, weight, precision, beta)
    for _ in range(100):
        step = np.linalg.solve(curvature, slope)
        if np.abs(step).max() < 1e-4:  # the next step would be of the order of its square
            return beta + step
        slack = 1e-12 * (1.0 + abs(value))
        for _ in range(40):
            trial = beta + step
            found, slope, curvature = _likelihood(x, offset, y, weight, precision, trial)
            if found >= value - slack:
                break
            step = 0.5 * step
        beta, value = trial, found
    return beta


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
