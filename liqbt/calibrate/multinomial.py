"""A multinomial logit of up, down and neither with a Gaussian prior, by Newton's method.

McFadden (1974), Conditional logit analysis of qualitative choice behavior, equation 12, with an
offset and a ridge (le Cessie and van Houwelingen 1992, Ridge estimators in logistic regression):

    p_nc ∝ exp(o_nc + z_nc · β),     β ~ N(0, diag(1/precision)).

With `z_nc` block by class it is the usual multinomial logit.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

import numpy as np

from liqbt.types import FloatArray

_TOLERANCE: Final = 1e-4
"""Of a step: the error that is left is of the order of its square."""
_MOST_STEPS: Final = 50
_MOST_HALVINGS: Final = 30


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
        For the classes up, down and neither.
    """
    n, j = odd.shape
    z = np.zeros((n, 3, j + even.shape[1]))
    z[:, 0, :j], z[:, 1, :j] = odd, -odd
    z[:, 2, j:] = even
    return z


def class_probabilities(z: FloatArray, offset: FloatArray, beta: FloatArray) -> FloatArray:
    """Return p ∝ exp(offset + zβ).

    Parameters
    ----------
    z : ndarray of float64, shape (n, c, k)
        Design.
    offset : ndarray of float64, shape (n, c)
        Log of base probabilities.
    beta : ndarray of float64, shape (k,)
        Coefficients.

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


def fit_multinomial(
    z: FloatArray,
    target: FloatArray,
    offset: FloatArray,
    precision: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Return the coefficients of greatest penalised likelihood (Newton's method, damped).

    Parameters
    ----------
    z : ndarray of float64, shape (n, c, k)
        Design.
    target : ndarray of float64, shape (n, c)
        1 for what happened; a tie is half of each.
    offset : ndarray of float64, shape (n, c)
        Log of base probabilities.
    precision : ndarray of float64, shape (k,)
        Of the prior, positive: the target is then strictly concave.
    start : ndarray of float64, shape (k,), optional
        Where Newton's method begins; 0 by default.

    Returns
    -------
    ndarray of float64, shape (k,)
    """
    n, classes, k = z.shape
    flat = z.reshape(n * classes, k)
    beta = np.zeros(k) if start is None else start.copy()

    def value(at: FloatArray, logs: FloatArray) -> float:
        return float((target * logs).sum() - 0.5 * (precision * at * at).sum())

    logs, p = _log_probabilities(z, offset, beta)
    best = value(beta, logs)
    for _ in range(_MOST_STEPS):
        slope = flat.T @ (target - p).ravel() - precision * beta
        weighted = flat * p.reshape(-1, 1)
        mean = reduce(np.add, weighted.reshape(n, classes, k).swapaxes(0, 1))
        curve = weighted.T @ flat - mean.T @ mean
        step = np.linalg.solve(curve + np.diag(precision), slope)
        for _ in range(_MOST_HALVINGS):
            logs, p = _log_probabilities(z, offset, beta + step)
            found = value(beta + step, logs)
            if found >= best - 1e-12 * abs(best):
                break
            step = 0.5 * step
        beta, best = beta + step, found
        if float(np.abs(step).max(initial=0.0)) < _TOLERANCE:
            break
    return beta
