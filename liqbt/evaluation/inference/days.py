"""Day sums, and what their errors are made of: a HAC variance, and a stationary bootstrap of days.

Scores are summed by the UTC day on which their episode was born, across symbols; a statistic is the
ratio of the sum of scores to the number of episodes. Days follow each other on the calendar, those
without an episode too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

_LEAST_FOR_BLOCK: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """Scores by UTC day, from the first day with an episode to the last, none left out.

    Attributes
    ----------
    total : ndarray of float64, shape (n,)
        Sum of scores.
    count : ndarray of float64, shape (n,)
        Number of episodes.
    """

    total: FloatArray
    count: FloatArray

    @property
    def ratio(self) -> float:
        """The statistic: mean score per episode."""
        return float(self.total.sum() / self.count.sum())

    @property
    def residual(self) -> FloatArray:
        """Day sums of (score − pooled mean)."""
        return np.asarray(self.total - self.ratio * self.count)


def day_sums(scores: FloatArray, born_ns: IntArray) -> DaySums:
    """Sum scores by the UTC day of their birth.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        At least one, none NaN.
    born_ns : ndarray of int64, shape (n,)
        Births, ns UTC.

    Examples
    --------
    >>> days = day_sums(np.array([1.0, 0.0, 1.0]), np.array([0, 1, 2 * DAY_NS]))
    >>> days.total.tolist(), days.count.tolist()
    ([1.0, 0.0, 1.0], [2.0, 0.0, 1.0])
    """
    day = born_ns // DAY_NS
    day = day - day.min()
    return DaySums(
        total=np.asarray(np.bincount(day, weights=scores), np.float64),
        count=np.bincount(day).astype(np.float64),
    )


def hac_lag(n_days: int, horizon_ns: Ns) -> int:
    """Return the lag of the HAC estimate, in days.

    Twice the horizon in whole days (with a lag of just one horizon Bartlett would give the
    covariance there half its weight or less), or Newey and West's (1994) 4 (n/100)^(2/9), whichever
    is larger.

    Examples
    --------
    >>> hac_lag(106, DAY_NS), hac_lag(106, 7 * DAY_NS)
    (4, 14)
    """
    horizon_days = int(-(-horizon_ns // DAY_NS))
    return max(2 * horizon_days, int(4.0 * (n_days / 100.0) ** (2.0 / 9.0)))


def hac_error(influence: FloatArray, lag: int) -> float:
    """Return the standard error of a sum over days that depend on their neighbours.

    Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation
    consistent covariance matrix, equation 5; with the factor n/(n − 1) for an estimated mean.

    Parameters
    ----------
    influence : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation; two days or more.
    lag : int
        Bandwidth, days.
    """
    n = len(influence)
    inner = float(influence @ influence)
    for k in range(1, min(lag, n - 1) + 1):
        inner += 2.0 * (1.0 - k / (lag + 1)) * float(influence[k:] @ influence[:-k])
    return math.sqrt(max(inner, 0.0) * n / (n - 1))


def hac_se(days: DaySums, lag: int) -> float:
    """Return the standard error of the ratio, by linearisation.

    `hac_error` of the day sums of (score − pooled mean), divided by the number of episodes.

    Parameters
    ----------
    days : DaySums
        Two days or more.
    lag : int
        Bandwidth, days.
    """
    return hac_error(days.residual, lag) / float(days.count.sum())


def fixed_b_critical(share: float) -> float:
    """Return the 97.5 % critical value of a t statistic with Bartlett bandwidth `share`·n.

    Kiefer and Vogelsang (2005), A new asymptotic theory for heteroskedasticity-autocorrelation
    robust tests, table 1: the bandwidth is not taken to vanish, so that a short record gets the
    wider interval that it needs.

    Parameters
    ----------
    share : float
        (lag + 1)/n, in [0, 1].

    Examples
    --------
    >>> round(fixed_b_critical(0.0), 3), round(fixed_b_critical(0.1), 3)
    (1.96, 2.261)
    """
    return 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Uniforms of a stationary bootstrap, shared by all statistics of an evaluation.

    Every statistic uses the first columns that it needs, so that it does not matter which are
    computed, or in what order.

    Attributes
    ----------
    place, renew : ndarray of float32, shape (reps, n_days)
        Where a block begins, and whether one does.
    """

    place: npt.NDArray[np.float32]
    renew: npt.NDArray[np.float32]


def draw(rng: np.random.Generator, *, reps: int, n_days: int) -> Draws:
    """Draw what a bootstrap of at most `n_days` days needs.

    Parameters
    ----------
    rng : numpy.random.Generator
        What is drawn from.
    reps, n_days : int
        Replications, and days of the longest record that they will serve.
    """
    shape = (reps, n_days)
    return Draws(
        place=rng.random(shape, dtype=np.float32), renew=rng.random(shape, dtype=np.float32)
    )


def automatic_block(values: FloatArray) -> float:
    """Return the mean block of a stationary bootstrap that is best for the variance of a mean.

    Politis and White (2004), Automatic block-length selection for the dependent bootstrap, section
    3.2, as corrected by Patton, Politis and White (2009), equation 9: b = (2 g²/d)^(1/3) n^(1/3)
    with g = Σ λ(k/m) |k| γ_k and d = 2 (Σ λ(k/m) γ_k)² over |k| ≤ m, λ the flat-top window of
    Politis and Romano (1995). m is twice the lag from which on `max(5, log₁₀ n)` autocorrelations
    in a row are small; b is at most 3 √n and n/3.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        In order of time; 16 or more.

    Returns
    -------
    float
        NaN where nothing varies.
    """
    n = len(values)
    x = values - values.mean()
    run = max(5, int(math.log10(n)))
    longest = math.ceil(math.sqrt(n)) + run
    cross = np.array([x[k:] @ x[: n - k] for k in range(longest + 1)])
    squares = np.concatenate([[0.0], np.cumsum(x * x)])
    k = np.arange(longest + 1)
    later, earlier = squares[n] - squares[k + 1], squares[n - k - 1]
    scale = np.sqrt(np.maximum(later * earlier, 0.0))
    correlation = np.divide(np.abs(cross), scale, out=np.full(len(k), np.inf), where=scale > 0.0)
    small = correlation < 2.0 * math.sqrt(math.log10(n) / n)
    quiet = [i for i in range(longest - run + 1) if small[i : i + run].all()]
    m = min(2 * max(quiet[0], 1) if quiet else longest, longest)
    lags = np.arange(1, m + 1)
    window = np.where(lags / m <= 0.5, 1.0, 2.0 * (1.0 - lags / m))
    covariance = cross[1 : m + 1] / n
    g = 2.0 * float(window @ (lags * covariance))
    spectrum = cross[0] / n + 2.0 * float(window @ covariance)
    if spectrum == 0.0:
        return math.nan
    most = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    return min(math.cbrt((g / spectrum) ** 2 * n), float(most))


def mean_block_days(residual: FloatArray, horizon_ns: Ns) -> int:
    """Return the mean block: a day more than the horizon, or Politis and White's choice if longer.

    An episode that is born on one day is open until a horizon later, so that day sums depend on
    each other over the horizon and the day itself. The choice (`automatic_block`) is capped at a
    quarter of the days, and not asked for on fewer than 16.

    Parameters
    ----------
    residual : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation.
    horizon_ns : int
        How long an episode is open.
    """
    least = int(-(-horizon_ns // DAY_NS)) + 1
    if len(residual) < _LEAST_FOR_BLOCK:
        return least
    chosen = automatic_block(residual)
    if not math.isfinite(chosen):
        return least
    return int(max(least, min(math.ceil(chosen), len(residual) // 4)))
