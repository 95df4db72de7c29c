"""Forward monitoring: e-processes, which may be looked at after every forecast.

An e-process starts at 1 and is, under its null, not expected to grow. The chance that it *ever*
reaches 1/α is at most α (Ville 1939, Étude critique de la notion de collectif, chapter V), however
often one looks and whenever one stops.
"""

from __future__ import annotations

import numpy as np

from liqbt.errors import DataError
from liqbt.types import FloatArray

_BOLDEST = 0.5


def betting_process(y: FloatArray, p: FloatArray) -> FloatArray:
    """Return the wealth of who bets that outcomes are more frequent than p.

    W_t = Π (1 + λ_s (y_s − p_s)) with λ_s ≥ 0 chosen from the past alone: approximate growth rate
    adaptive betting (Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by
    betting, equation 20), at most half of what could lose everything. The null is
    P(y_s = 1 | past) ≤ p_s, so forecasts must not overlap.

    Parameters
    ----------
    y : ndarray of float64, shape (n,)
        Outcomes 0 or 1, in order.
    p : ndarray of float64, shape (n,)
        Their probabilities under the null, in [0, 1], known before each.

    Returns
    -------
    ndarray of float64, shape (n,)
        Wealth after each outcome.

    Raises
    ------
    DataError
        If a probability or an outcome cannot be right; names the row.

    Examples
    --------
    >>> betting_process(np.array([1.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.5])).round(3).tolist()
    [1.0, 1.4, 2.046]
    """
    bad = np.flatnonzero(~((p >= 0.0) & (p <= 1.0) & ((y == 0.0) | (y == 1.0))))
    if len(bad):
        i = bad[0]
        raise DataError(
            f"e-process: row {i} has probability {p[i]:g} and outcome {y[i]:g}; expected 0 to 1, "
            "and 0 or 1"
        )
    gain = y - p
    wealth = np.empty(len(y))
    now, total, squared = 1.0, 0.0, 0.25
    for i in range(len(y)):
        most = _BOLDEST / p[i] if p[i] > 0.0 else 0.0
        stake = min(max(total / (squared + total * total / (i + 1)), 0.0), most)
        now *= 1.0 + stake * gain[i]
        wealth[i] = now
        total += gain[i]
        squared += gain[i] ** 2
    return wealth


def likelihood_process(gain_nats: FloatArray) -> FloatArray:
    """Return the running likelihood ratio of forecasts against their null.

    Π p_s(outcome)/q_s(outcome), the exponential of the summed log-score skill: a martingale where
    outcomes are drawn from q (Wald 1945, Sequential tests of statistical hypotheses). Forecasts
    must not overlap, and p must have been issued before each outcome.

    Parameters
    ----------
    gain_nats : ndarray of float64, shape (n,)
        ln p(outcome) − ln q(outcome), in order.

    Examples
    --------
    >>> likelihood_process(np.log([2.0, 0.5, 3.0])).round(6).tolist()
    [2.0, 1.0, 3.0]
    """
    return np.asarray(np.exp(np.cumsum(gain_nats)))
