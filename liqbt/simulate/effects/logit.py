"""Logistic regression scored on markets that it was not fitted to."""

from __future__ import annotations

import numpy as np

from liqbt.errors import ConfigError
from liqbt.types import FloatArray, IntArray

_RIDGE = 1e-6


def fit(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return maximum-likelihood coefficients by Newton's method, an all but vanishing ridge added.

    Parameters
    ----------
    x : ndarray of float64, shape (n, k)
        Covariates, the constant among them.
    y : ndarray of float64, shape (n,)
        0 or 1.

    Examples
    --------
    >>> y = np.array([1.0, 1.0, 1.0, 0.0])
    >>> float(fit(np.ones((4, 1)), y).round(4)[0])  # ln 3
    1.0986
    """
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
        move = np.linalg.solve(hessian, x.T @ (y - p) - _RIDGE * beta)
        beta = beta + np.clip(move, -5.0, 5.0)
        if np.abs(move).max() < 1e-10:
            break
    return np.asarray(beta)


def held_out(x: FloatArray, y: FloatArray, fold: IntArray) -> FloatArray:
    """Return each row's log score under the model fitted to all other folds.

    Parameters
    ----------
    x : ndarray of float64, shape (n, k)
        Covariates, the constant among them.
    y : ndarray of float64, shape (n,)
        0 or 1.
    fold : ndarray of int64, shape (n,)
        Two folds or more.

    Returns
    -------
    ndarray of float64, shape (n,)
        ln of the probability given to what happened, nats.
    """
    out = np.empty(y.size)
    for name in np.unique(fold):
        mine = fold == name
        score = np.clip(x[mine] @ fit(x[~mine], y[~mine]), -30, 30)
        out[mine] = -np.logaddexp(0.0, np.where(y[mine] > 0, -score, score))
    return out


def need_folds(fold: IntArray) -> None:
    """Refuse rows of fewer than two markets.

    Raises
    ------
    ConfigError
        Says how many there are.
    """
    if np.unique(fold).size < 2:
        raise ConfigError(
            f"found usable rows in {np.unique(fold).size} of the markets, expected 2 or more: a "
            "gain is measured on markets that the model was not fitted to"
        )
