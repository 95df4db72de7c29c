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
    fixed_b_critical,
    hac_lag,
    hac_se,
    mean_block_days,
)
from liqbt.types import Ns, Score

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
    days: DaySums,
    horizon_ns: Ns,
    draws: Draws,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Estimate a ratio of day sums, with its interval: a mean score, or a regression's slope.

    There is no interval (NaN, not one of width zero) where all scores are equal, where units fall
    on fewer than two days, where the record has no more days than the lag and one, or where as many
    parameters were fitted as there are days.

    Where all outcomes are alike their own spread is zero, and an interval that varied with the null
    alone would be too narrow. It then reaches as far as the exact bound of Clopper and Pearson
    (1934): of n blocks that were all hits, the rate of hits is α^(1/n) or more. A block is the HAC
    bandwidth and a day: longer than one outcome can reach.

    Residuals are smaller than errors by the root of `days.freedom` (MacKinnon and White 1985, Some
    heteroskedasticity-consistent covariance matrix estimators with improved finite sample
    properties, HC1).

    Parameters
    ----------
    days : DaySums
        Sums of scores and of what they are divided by.
    horizon_ns : int
        Over which the scores of neighbours depend on each other.
    draws : Draws
        Of the bootstrap; at least as many days as there are.
    bounds : tuple of float
        What the statistic cannot leave: the interval is cut there.
    """
    n, n_days = len(days.count), days.n_days
    lag = hac_lag(n, horizon_ns) if n else 0
    plain = Estimate(value=days.ratio, n_episodes=days.units, n_days=n_days)
    if n_days < 2 or n <= lag + 1 or days.freedom <= 0.0:
        return plain
    residual = days.residual
    size = np.abs(days.total) if days.size is None else days.size
    if float(np.abs(residual).max()) <= 1e-12 * float(size.max()):
        return plain
    larger_by = 1.0 / math.sqrt(days.freedom)
    se = hac_se(days, lag) * larger_by
    critical = fixed_b_critical((lag + 1) / n)
    block = mean_block_days(residual, horizon_ns)
    replicas = draws.ratios(float(block), days.total, days.count)
    replicas = replicas[~np.isnan(replicas)]
    low, high = np.quantile(replicas, [0.025, 0.975])
    low, high = (days.ratio + (q - days.ratio) * larger_by for q in (low, high))
    spread = float(replicas.std(ddof=1)) * larger_by
    larger = max(se * critical / _Z, spread)
    found = Estimate(
        value=days.ratio,
        ci_low=max(min(days.ratio - critical * se, float(low)), bounds[0]),
        ci_high=min(max(days.ratio + critical * se, float(high)), bounds[1]),
        hac_se=se,
        bootstrap_se=spread,
        lag_days=lag,
        block_days=block,
        agree=bool(max(se, spread) <= AGREEMENT_FACTOR * min(se, spread)),
        n_episodes=days.units,
        n_days=n_days,
        mde=MDE_FACTOR * larger,
    )
    return found if days.hits is None else _widened(found, days)


def _widened(found: Estimate, days: DaySums) -> Estimate:
    """Return an estimate whose interval allows for outcomes that all came out alike."""
    assert days.hits is not None
    n_hits = float(days.hits.sum())
    if n_hits not in (0.0, float(days.units)):
        return found
    blocks = max(found.n_days // (found.lag_days + 1), 1)
    beyond = 1.0 - _TAIL ** (1.0 / blocks)
    return replace(
        found,
        ci_low=min(found.ci_low, found.value - beyond) if n_hits else found.ci_low,
        ci_high=found.ci_high if n_hits else max(found.ci_high, found.value + beyond),
        mde=max(found.mde, MDE_FACTOR * beyond / _Z),
    )


POOLED: Final = "pooled"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreDetail:
    """A score with what it was made of.

    Attributes
    ----------
    score : Score
        The row.
    estimate : Estimate
        Standard errors, lag, block, and whether HAC and bootstrap agree.
    days : DaySums or None
        Its day sums; None where it is no function of them.
    """

    score: Score
    estimate: Estimate
    days: DaySums | None = None


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
