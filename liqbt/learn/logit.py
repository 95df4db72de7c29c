"""Two penalised logits, binary and multinomial, both by one Newton's method.

With an offset and a Gaussian prior on the coefficients, β ~ N(0, diag(1/precision)) (le Cessie and
van Houwelingen 1992, Ridge estimators in logistic regression, equation 2), so that the optimum
exists and is unique where every precision is positive. The multinomial one is that of McFadden
(1974), Conditional logit analysis of qualitative choice behavior, equation 12:

    p_nc ∝ exp(o_nc + z_nc · β);

with `z_nc` block by class it is the usual one, and with one coefficient it is the tilt of the
two-barrier Brownian probabilities, which has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final, TypeAlias

import numpy as np

from liqbt.learn.logit_kernels import likelihood as binary_likelihood
from liqbt.types import FloatArray

_Likelihood: TypeAlias = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]
"""From β to the penalised log likelihood, its slope and its negative curvature."""

_SIDES: Final = np.array([-1.0, 1.0, 0.0])
_MOST_STEPS: Final = 100
_MOST_HALVINGS: Final = 40


def _maximised(
    likelihood: _Likelihood,
    start: FloatArray,
    *,
    tolerance: float = 1e-4,
    longest: float = np.inf,
) -> FloatArray:
    """Return the β of greatest likelihood: Newton's method, steps halved where it would fall.

    `tolerance` is that of a step, each coordinate at most `longest`: the error that is left is of
    the order of its square.
    """
    beta = start
    value, slope, curvature = likelihood(beta)
    for _ in range(_MOST_STEPS):
        step = np.linalg.solve(curvature, slope) if len(beta) > 1 else slope / curvature[0]
        size = max(map(abs, step.tolist()))
        if size < tolerance:
            return beta + step
        if size > longest:
            step = np.clip(step, -longest, longest)
        slack = 1e-12 * (1.0 + abs(value))
        for _ in range(_MOST_HALVINGS):
            trial = beta + step
            found, slope, curvature = likelihood(trial)
            if found >= value - slack:
                break
            step = 0.5 * step
        beta, value = trial, found
    return beta


def fit_logit(
    x: FloatArray,
    offset: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    precision: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return the β of greatest penalised likelihood: logit P(y = 1) = offset + x β.

    Parameters
    ----------
    x : ndarray of float64, shape (n, k)
        Features.
    offset, y, weight : ndarray of float64, shape (n,)
        Known part of the logit, outcome in [0, 1], weight of the row.
    precision, start : ndarray of float64, shape (k,)
        Of the prior; and where to begin.
    """
    return _maximised(lambda beta: binary_likelihood(x, offset, y, weight, precision, beta), start)


def fit_multinomial(
    z: FloatArray,
    target: FloatArray,
    offset: FloatArray,
    precision: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Return the β of greatest penalised likelihood: p ∝ exp(offset + zβ).

    Parameters
    ----------
    z : ndarray of float64, shape (n, c, k)
        Design.
    target : ndarray of float64, shape (n, c)
        1 for what happened; a tie is half of each.
    offset : ndarray of float64, shape (n, c)
        Log of base probabilities.
    precision : ndarray of float64, shape (k,)
        Of the prior, positive.
    start : ndarray of float64, shape (k,), optional
        Where to begin; 0 by default.
    """
    n, classes, k = z.shape
    flat, prior = z.reshape(n * classes, k), np.diag(precision)

    def likelihood(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        logs, p = _log_probabilities(z, offset, beta)
        value = float((target * logs).sum() - 0.5 * (precision * beta * beta).sum())
        slope = flat.T @ (target - p).ravel() - precision * beta
        weighted = flat * p.reshape(-1, 1)
        mean = reduce(np.add, weighted.reshape(n, classes, k).swapaxes(0, 1))
        return value, slope, weighted.T @ flat - mean.T @ mean + prior

    return _maximised(likelihood, np.zeros(k) if start is None else start)


def fit_tilt(
    q: FloatArray, signed: FloatArray, asymmetry: FloatArray, *, ridge: float, start: float = 0.0
) -> float:
    """Return the θ of greatest penalised likelihood: p ∝ q exp(θ s A), s = −1 up, +1 down.

    Parameters
    ----------
    q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    signed : ndarray of float64, shape (n,)
        s of the outcome: −1 up, +1 down, 0 neither; 0 for a tie too, which is half of each.
    asymmetry : ndarray of float64, shape (n,)
        A, in [−1, 1].
    ridge, start : float
        Prior precision of θ; and where to begin.
    """
    gain, square = float(np.sum(signed * asymmetry)), asymmetry**2
    up, down, neither = q.T

    def likelihood(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        theta = float(beta[0])
        factor = np.exp(theta * asymmetry)
        rise, fall = up / factor, down * factor
        whole = rise + fall + neither
        mean = (fall - rise) / whole
        value = theta * gain - float(np.log(whole).sum()) - 0.5 * ridge * theta * theta
        slope = gain - float(np.sum(mean * asymmetry)) - ridge * theta
        curve = float(np.sum(((rise + fall) / whole - mean**2) * square)) + ridge
        return value, np.array([slope]), np.array([[curve]])

    return float(_maximised(likelihood, np.array([start]), tolerance=1e-10, longest=2.0)[0])


def tilt(q: FloatArray, asymmetry: FloatArray, theta: FloatArray | float) -> FloatArray:
    """Return the tilted probabilities.

    Parameters
    ----------
    q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    asymmetry : ndarray of float64, shape (n,)
        In [−1, 1], positive: more longs below.
    theta : float or ndarray of float64, shape (n,)
        Strength.

    Examples
    --------
    >>> tilt(np.array([[0.4, 0.4, 0.2]]), np.array([1.0]), np.log(2.0)).round(3).tolist()
    [[0.167, 0.667, 0.167]]
    """
    push = (np.asarray(theta) * asymmetry)[:, None]
    weight = q * np.exp(_SIDES * push)
    # without a push these are q to the bit: rounding must not pass for a forecast of its own
    return np.asarray(np.where(push == 0.0, q, weight / weight.sum(axis=1, keepdims=True)))


def class_probabilities(z: FloatArray, offset: FloatArray, beta: FloatArray) -> FloatArray:
    """Return p ∝ exp(offset + zβ), shape (n, c); the arguments are those of `fit_multinomial`.

    Examples
    --------
    >>> z = signed_design(np.array([[1.0]]), np.zeros((1, 0)))
    >>> class_probabilities(z, np.zeros((1, 3)), np.array([np.log(2.0)])).round(3).tolist()
    [[0.571, 0.143, 0.286]]
    """
    return _log_probabilities(z, offset, beta)[1]


def _log_probabilities(
    z: FloatArray, offset: FloatArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    eta = offset + (z.reshape(-1, z.shape[2]) @ beta).reshape(offset.shape)
    # few columns and many rows: column by column is faster than numpy's reductions of rows
    eta -= reduce(np.maximum, eta.T)[:, None]
    weight = np.exp(eta)
    total = reduce(np.add, weight.T)[:, None]
    return eta - np.log(total), weight / total


def signed_design(odd: FloatArray, even: FloatArray) -> FloatArray:
    """Return a design that a reflection of the price swaps the sides of, and changes no other way.

    What points up or down (`odd`, such as a trend) moves up against down; what is the same either
    way (`even`, such as volatility) moves neither against the two.

    Parameters
    ----------
    odd : ndarray of float64, shape (n, j)
        Covariates that change sign where the price is reflected, positive for up.
    even : ndarray of float64, shape (n, k)
        Covariates that do not.

    Returns
    -------
    ndarray of float64, shape (n, 3, j + k)
        For up, down and neither.
    """
    n, j = odd.shape
    z = np.zeros((n, 3, j + even.shape[1]))
    z[:, 0, :j], z[:, 1, :j] = odd, -odd
    z[:, 2, j:] = even
    return z


def two_class_design(x: FloatArray) -> FloatArray:
    """Return a design, shape (n, 2, k), of covariates that move the first class (of two) alone."""
    z = np.zeros((len(x), 2, x.shape[1]))
    z[:, 0] = x
    return z
