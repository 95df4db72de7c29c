"""Inference from day sums: a HAC interval, a stationary bootstrap of days, and their union.

Scores are summed by the UTC day on which their episode was born, across symbols; a statistic is the
ratio of the sum of scores to the number of episodes. Days follow each other on the calendar, those
without an episode too. The two intervals must agree; the wider union is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.kernels import bootstrap_ratios
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

__all__ = [
    "AGREEMENT_FACTOR",
    "MDE_FACTOR",
    "DaySums",
    "Draws",
    "Estimate",
    "day_sums",
    "draw",
    "estimate",
    "estimate_days",
    "estimate_lift",
    "fixed_b_critical",
    "hac_error",
    "hac_lag",
    "hac_se",
    "mean_block_days",
]

MDE_FACTOR: Final = 2.8
"""z(0.975) + z(0.80): one-sided 2.5 %, power 80 %."""

AGREEMENT_FACTOR: Final = 1.5
"""HAC and bootstrap agree where neither standard error exceeds the other this many times."""

_Z: Final = 1.959963984540054
_TAIL: Final = 0.025
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A ratio statistic with its uncertainty.

    Attributes
    ----------
    value : float
        Mean score per episode; NaN where there is none.
    ci_low, ci_high : float
        Union of the HAC and the bootstrap interval, 95 %; NaN where it cannot be had.
    hac_se, bootstrap_se : float
        Standard errors; the first without its small-sample factor.
    lag_days, block_days : int
        Bandwidth of the one, mean block of the other; 0 where it cannot be had.
    agree : bool
        Whether the two standard errors agree within `AGREEMENT_FACTOR`; False where there are none.
    n_episodes, n_days : int
        Scores, and UTC days that hold one.
    mde : float
        `MDE_FACTOR` times the larger standard error, its small-sample factor included.
    """

    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    hac_se: float = math.nan
    bootstrap_se: float = math.nan
    lag_days: int = 0
    block_days: int = 0
    agree: bool = False
    n_episodes: int = 0
    n_days: int = 0
    mde: float = math.nan


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

    Newey and West (1987), equation 5; with the factor n/(n − 1) for an estimated mean.

    Parameters
    ----------
    influence : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation; two days or more.
    lag : int
        Bandwidth, days.
    """
    from statsmodels.stats.sandwich_covariance import S_hac_simple

    n = len(influence)
    inner = float(S_hac_simple(influence, nlags=lag)[0, 0])
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


def mean_block_days(residual: FloatArray, horizon_ns: Ns) -> int:
    """Return the mean block: a day more than the horizon, or Politis and White's choice if longer.

    An episode that is born on one day is open until a horizon later, so that day sums depend on
    each other over the horizon and the day itself. The choice of Politis and White (2004),
    Automatic block-length selection for the dependent bootstrap, is capped at a quarter of the
    days, and not asked for on fewer than 16.

    Parameters
    ----------
    residual : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation.
    horizon_ns : int
        How long an episode is open.
    """
    from arch.bootstrap import optimal_block_length

    least = int(-(-horizon_ns // DAY_NS)) + 1
    if len(residual) < _LEAST_FOR_BLOCK:
        return least
    with np.errstate(all="ignore"):  # too even a record has no choice: not finite
        chosen = float(optimal_block_length(residual)["stationary"].iloc[0])
    if not math.isfinite(chosen):
        return least
    return int(max(least, min(math.ceil(chosen), len(residual) // 4)))


def estimate(
    scores: FloatArray,
    born_ns: IntArray,
    horizon_ns: Ns,
    draws: Draws,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Estimate the mean score per episode, with its interval.

    There is no interval (NaN, not one of width zero) where all scores are equal, where episodes
    were born on fewer than two days, or where the record has no more days than the lag and one.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        One per episode.
    born_ns : ndarray of int64, shape (n,)
        Births, ns UTC.
    horizon_ns : int
        Over which the scores of neighbours depend on each other.
    draws : Draws
        Of the bootstrap; at least as many days as births span.
    bounds : tuple of float
        What the statistic cannot leave: the interval is cut there.
    """
    if not len(scores):
        return Estimate(value=math.nan)
    days = day_sums(scores, born_ns)
    if np.ptp(scores) == 0.0:
        n_days = int(np.count_nonzero(days.count))
        return Estimate(value=days.ratio, n_episodes=len(scores), n_days=n_days)
    scale = float(np.abs(scores).max()) * float(days.count.max())
    return estimate_days(
        days, horizon_ns, draws, n_episodes=len(scores), scale=scale, bounds=bounds
    )


def estimate_lift(
    outcome: FloatArray,
    lift: FloatArray,
    born_ns: IntArray,
    horizon_ns: Ns,
    draws: Draws,
) -> Estimate:
    """Estimate the mean lift of outcomes over something, with its interval.

    Where all outcomes are alike their own spread is zero, and an interval that varied with the null
    alone would be too narrow. It then reaches as far as the exact bound of Clopper and Pearson
    (1934): of n blocks that were all hits, the rate of hits is α^(1/n) or more. A block is as many
    days as one outcome can reach.

    Parameters
    ----------
    outcome : ndarray of float64, shape (n,)
        Visits, 0 or 1, one per episode.
    lift : ndarray of float64, shape (n,)
        The outcome less its null, or less the outcome of its mirror image.
    born_ns, horizon_ns, draws
        As in `estimate`.
    """
    found = estimate(lift, born_ns, horizon_ns, draws)
    if not len(outcome) or np.ptp(outcome) != 0.0 or math.isnan(found.ci_low):
        return found
    blocks = max(found.n_days // (found.lag_days + 1), 1)
    beyond = 1.0 - _TAIL ** (1.0 / blocks)
    hits = bool(outcome[0])
    return replace(
        found,
        ci_low=min(found.ci_low, found.value - beyond) if hits else found.ci_low,
        ci_high=found.ci_high if hits else max(found.ci_high, found.value + beyond),
        mde=max(found.mde, MDE_FACTOR * beyond / _Z),
    )


def estimate_days(
    days: DaySums,
    horizon_ns: Ns,
    draws: Draws,
    *,
    n_episodes: int,
    scale: float,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Estimate a ratio of day sums, with its interval: a mean score, or a regression's slope.

    Parameters
    ----------
    days : DaySums
        Sums of scores and of what they are divided by.
    horizon_ns : int
        Over which the scores of neighbours depend on each other.
    draws : Draws
        Of the bootstrap; at least as many days as there are.
    n_episodes : int
        Independent units, as reported.
    scale : float
        Size of a day's sum: residuals below 1e-12 of it are rounding, and give no interval.
    bounds : tuple of float
        What the statistic cannot leave: the interval is cut there.
    """
    n, n_days = len(days.count), int(np.count_nonzero(days.count))
    lag = hac_lag(n, horizon_ns)
    plain = Estimate(value=days.ratio, n_episodes=n_episodes, n_days=n_days)
    if n_days < 2 or n <= lag + 1:
        return plain
    residual = days.residual
    if float(np.abs(residual).max()) <= 1e-12 * scale:
        return plain
    se = hac_se(days, lag)
    critical = fixed_b_critical((lag + 1) / n)
    block = mean_block_days(residual, horizon_ns)
    replicas = bootstrap_ratios(draws.place, draws.renew, float(block), days.total, days.count)
    replicas = replicas[~np.isnan(replicas)]
    low, high = np.quantile(replicas, [0.025, 0.975])
    spread = float(replicas.std(ddof=1))
    larger = max(se * critical / _Z, spread)
    return Estimate(
        value=days.ratio,
        ci_low=max(min(days.ratio - critical * se, float(low)), bounds[0]),
        ci_high=min(max(days.ratio + critical * se, float(high)), bounds[1]),
        hac_se=se,
        bootstrap_se=spread,
        lag_days=lag,
        block_days=block,
        agree=bool(max(se, spread) <= AGREEMENT_FACTOR * min(se, spread)),
        n_episodes=n_episodes,
        n_days=n_days,
        mde=MDE_FACTOR * larger,
    )
