"""What the best of many trials is worth: superior ability, the confidence set, overfitting.

Every statistic is of the same losses by day, with one stationary bootstrap of days. Trials that
issued the same probabilities are one column: a copy is no further trial, and no method can tell it
from its original.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.errors import DataError
from liqbt.evaluation.inference.days import day_sums, draw, fixed_b_critical, mean_block_days
from liqbt.evaluation.inference.estimates import Estimate, estimate
from liqbt.evaluation.inference.multiple import (
    SuperiorAbility,
    model_confidence_set,
    superior_ability,
)
from liqbt.evaluation.inference.overfitting import Overfitting, backtest_overfitting
from liqbt.search.units import DayLosses
from liqbt.types import DAY_NS, FloatArray, IntArray

PARTS: Final = 10
"""Days are cut into so many parts for PBO: each of two days or more, the horizon and the day."""

LEAST_DAYS: Final = 2 * PARTS
ALPHA: Final = 0.025
SET_ALPHA: Final = 0.10
REPS: Final = 2000
_SAME: Final = 1e-12
_MOST_PAIRS: Final = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionTests:
    """What trials are worth, in the order of the columns of their losses: the base first.

    Attributes
    ----------
    gains : tuple of Estimate
        Mean by day of the log score, less that of the trial's own model without the map, nats;
        each interval for itself.
    over_base : tuple of Estimate
        The same less that of the base; zero without an interval for the base and its copies.
    same_as : tuple of int
        The first column that issued the same probabilities: its own where none did.
    block_days : int
        Mean block of the bootstrap.
    no_map, as_configured : SuperiorAbility or None
        p-values of no trial being better than its own model without the map, and than the base;
        None where no trial differs from it.
    confidence_set : ndarray of int64, or None
        Columns that hold the best one with probability 1 − `SET_ALPHA`, copies with their
        originals; None where all are copies of one.
    overfitting : Overfitting or None
        None where all are copies of one.
    """

    gains: tuple[Estimate, ...]
    over_base: tuple[Estimate, ...]
    same_as: tuple[int, ...]
    block_days: int
    no_map: SuperiorAbility | None
    as_configured: SuperiorAbility | None
    confidence_set: IntArray | None
    overfitting: Overfitting | None


def need_days(found: DayLosses) -> None:
    """Refuse losses of fewer than `LEAST_DAYS` days.

    Raises
    ------
    DataError
        If there are fewer.
    """
    if len(found.day) < LEAST_DAYS:
        raise DataError(
            f"found {len(found.day)} days with units that every finished trial shares; a search "
            f"needs {LEAST_DAYS} or more: {PARTS} parts of two days"
        )


def worth(found: DayLosses, *, seed: int, least_block: int = 1, reps: int = REPS) -> SelectionTests:
    """Return what the trials of a search are worth.

    Differences are divided by their standard deviations before superior ability takes the largest
    (Hansen 2005, section 2.2: a trial that swings must not hide the others); a standard error that
    allows for days' dependence would be noisier, and rejects too often.

    Parameters
    ----------
    found : DayLosses
        Of the trials.
    seed : int
        Of the bootstraps.
    least_block : int
        Days that the mean block must have at least: it is the longest that the horizon or Politis
        and White's choice for any trial asks for, if that is more.
    reps : int
        Replications of the bootstraps.

    Raises
    ------
    DataError
        If there are fewer than `LEAST_DAYS` days.
    """
    need_days(found)
    same = _copies(found.losses)
    own = np.unique(same)
    gains = found.without_map - found.losses
    over_base = found.losses[:, :1] - found.losses
    block = _block(np.column_stack([gains[:, own], over_base[:, own[1:]]]), least_block)
    options = {"block_days": block, "seed": seed, "reps": reps}
    several = len(own) > 1
    kept = _confidence_set(found.losses[:, own], **options) if several else np.empty(0, np.int64)
    draws = draw(np.random.default_rng(seed), reps=reps, n_days=int(np.ptp(found.day)) + 1)
    born = found.day * DAY_NS
    return SelectionTests(
        gains=tuple(estimate(day_sums(column, born), DAY_NS, draws) for column in gains.T),
        over_base=tuple(estimate(day_sums(column, born), DAY_NS, draws) for column in over_base.T),
        same_as=tuple(same.tolist()),
        block_days=block,
        no_map=_superior(gains[:, own], **options),
        as_configured=_superior(over_base[:, own[1:]], **options),
        confidence_set=np.flatnonzero(np.isin(same, own[kept])) if several else None,
        overfitting=backtest_overfitting(-found.losses[:, own], blocks=PARTS) if several else None,
    )


def _confidence_set(losses: FloatArray, *, block_days: int, seed: int, reps: int) -> IntArray:
    """Return the confidence set; a replication takes the square of the trials in memory."""
    reps = min(reps, _MOST_PAIRS // losses.shape[1] ** 2)
    shrunk = _shrunk(losses - losses.mean(), block_days)
    return model_confidence_set(
        shrunk, block_days=block_days, seed=seed, alpha=SET_ALPHA, reps=reps
    )


def _copies(losses: FloatArray) -> IntArray:
    """Return for each column the first one that is the same on every day."""
    same = np.arange(losses.shape[1])
    for k in range(1, len(same)):
        away = np.abs(losses[:, :k] - losses[:, k : k + 1]).max(axis=0)
        twins = np.flatnonzero(away <= _SAME)
        if len(twins):
            same[k] = same[twins[0]]
    return same


def _block(differences: FloatArray, least: int) -> int:
    """Return the mean block that is long enough for every difference."""
    residuals = (column - column.mean() for column in differences.T)
    asked = max(mean_block_days(residual, DAY_NS) for residual in residuals)
    return min(max(asked, least), len(differences) // 2)


def _superior(
    gains: FloatArray, *, block_days: int, seed: int, reps: int
) -> SuperiorAbility | None:
    """Return the p-values of no column of daily gains having a mean above zero."""
    differs = np.abs(gains).max(axis=0, initial=0.0) > _SAME
    gains = gains[:, differs]
    if not gains.shape[1]:
        return None
    spread = gains.std(axis=0)
    scaled = _shrunk(gains / np.where(spread > 0.0, spread, math.inf), block_days)
    return superior_ability(
        np.zeros(len(gains)), -scaled, block_days=block_days, seed=seed, reps=reps
    )


def _shrunk(values: FloatArray, block_days: int) -> FloatArray:
    """Return columns with means so much nearer to zero as a bootstrap of few blocks is too narrow.

    A stationary bootstrap of mean block b weights the covariance of days like a Bartlett window of
    2b − 1 days (the weights have the same sum), so that the fixed-b factor of that bandwidth holds
    (Kiefer and Vogelsang 2005). Without it SPA rejects 6.8 % at 5 % over 120 independent days.
    """
    factor = fixed_b_critical(min((2 * block_days - 1) / len(values), 1.0)) / fixed_b_critical(0.0)
    return np.asarray(values - values.mean(axis=0) * (1.0 - 1.0 / factor))
