"""Estimates from day sums: a HAC interval, one of a stationary bootstrap of days, and their union.

The two intervals must agree; the wider union is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.inference.days import (
    DaySums,
    Draws,
    day_sums,
    fixed_b_critical,
    hac_lag,
    hac_se,
    mean_block_days,
)
from liqbt.evaluation.kernels.passages import bootstrap_ratios
from liqbt.types import FloatArray, IntArray, Ns, Score

MDE_FACTOR: Final = 2.8
"""z(0.975) + z(0.80): one-sided 2.5 %, power 80 %."""

AGREEMENT_FACTOR: Final = 1.5
"""HAC and bootstrap agree where neither standard error exceeds the other this many times."""

_Z: Final = 1.959963984540054
_TAIL: Final = 0.025


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
    (1934): of n blocks that were all hits, the rate of hits is α^(1/n) or more. A block is the HAC
    bandwidth and a day: longer than one outcome can reach.

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
    freedom: float = 1.0,
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
    freedom : float
        Of the days that one fitted parameter leaves free, the share that all of them do, in (0, 1]:
        residuals are smaller than errors by its root (MacKinnon and White 1985, Some
        heteroskedasticity-consistent covariance matrix estimators with improved finite sample
        properties, HC1).
    """
    n, n_days = len(days.count), int(np.count_nonzero(days.count))
    lag = hac_lag(n, horizon_ns)
    plain = Estimate(value=days.ratio, n_episodes=n_episodes, n_days=n_days)
    if n_days < 2 or n <= lag + 1:
        return plain
    residual = days.residual
    if float(np.abs(residual).max()) <= 1e-12 * scale:
        return plain
    larger_by = 1.0 / math.sqrt(freedom)
    se = hac_se(days, lag) * larger_by
    critical = fixed_b_critical((lag + 1) / n)
    block = mean_block_days(residual, horizon_ns)
    replicas = bootstrap_ratios(draws.place, draws.renew, float(block), days.total, days.count)
    replicas = replicas[~np.isnan(replicas)]
    low, high = np.quantile(replicas, [0.025, 0.975])
    low, high = (days.ratio + (q - days.ratio) * larger_by for q in (low, high))
    spread = float(replicas.std(ddof=1)) * larger_by
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


POOLED: Final = "pooled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDetail:
    """A score with what its interval was made of.

    Attributes
    ----------
    score : Score
        The row.
    estimate : Estimate
        Standard errors, lag, block, and whether HAC and bootstrap agree.
    """

    score: Score
    estimate: Estimate


def markets(
    symbols: Sequence[str], rows: npt.NDArray[Any]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield every market's name and rows, then all of them as `POOLED`.

    Parameters
    ----------
    symbols : sequence of str
        Names of the markets, by number.
    rows : structured ndarray
        With a field `symbol`, the number.
    """
    for i, symbol in enumerate(symbols):
        yield symbol, rows[rows["symbol"] == i]
    yield POOLED, rows


def detail(
    claim: str, symbol: str, horizon: str, side: str, statistic: str, null: float, found: Estimate
) -> ScoreDetail:
    """Return an estimate as a row of the one score schema, with what its interval was made of.

    Parameters
    ----------
    claim, symbol, horizon, side, statistic : str
        As in `Score`.
    null : float
        What no information would give, in the statistic's unit.
    found : Estimate
        Value, interval, counts.
    """
    score = Score(
        claim=claim,
        symbol=symbol,
        horizon=horizon,
        side=side,
        statistic=statistic,
        value=found.value,
        null=null,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        n_episodes=found.n_episodes,
        n_days=found.n_days,
        mde=found.mde,
    )
    return ScoreDetail(score=score, estimate=found)
