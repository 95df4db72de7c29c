"""Two runs of the same market: a score's day sums side by side, and the interval of the difference.

Two runs on the same events share their luck: the price did what it did in both. The difference of
their scores is therefore far better known than either score, if it is taken day by day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.claims.direction import crowded_lift, first_side_skill
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.inference.days import (
    DaySums,
    Draws,
    day_sums,
    fixed_b_critical,
    hac_error,
    hac_lag,
    mean_block_days,
)
from liqbt.evaluation.kernels.passages import bootstrap_ratios
from liqbt.evaluation.lifts import EPISODE_STATISTICS, SIDES, SUBSETS, births_of, episode_values
from liqbt.evaluation.path import Censor
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]

_DENSE_RANK: Final = EvaluationConfig().dense_rank
_FIELDS: Final = ("at", "visited", "mirror_visited", "brownian")
_SKILL: Final = {
    "first_side_skill": 0,
    "first_side_skill_low": 1,
    "first_side_skill_high": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatedDays:
    """Scores by UTC day, with the day that they begin on.

    Attributes
    ----------
    first_day : int
        Days since 1970 of the first entry.
    total, count : ndarray of float64, shape (n,)
        Sums of scores, and numbers of episodes, of that day and the days that follow it.
    """

    first_day: int
    total: FloatArray
    count: FloatArray

    @property
    def ratio(self) -> float:
        """The mean score per episode."""
        return float(self.total.sum() / self.count.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The difference of two mean scores, by the days that they share.

    Attributes
    ----------
    value : float
        The new mean less that of the base.
    ci_low, ci_high : float
        Union of the HAC and the bootstrap interval, 95 %; NaN where it cannot be had, and where the
        two agree on every day: then there is nothing uncertain about it.
    n_days : int
        UTC days on which either has an episode.
    """

    value: float
    ci_low: float
    ci_high: float
    n_days: int


def dated_days(scores: FloatArray, born_ns: IntArray) -> DatedDays:
    """Sum scores by the UTC day of their birth; at least one score, none NaN.

    Examples
    --------
    >>> days = dated_days(np.array([1.0, 0.0, 1.0]), np.array([DAY_NS, 2 * DAY_NS, 4 * DAY_NS]))
    >>> days.first_day, days.total.tolist(), days.count.tolist()
    (1, [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0])
    """
    days = day_sums(scores, born_ns)
    first = int(born_ns.min() // DAY_NS)
    return DatedDays(first_day=first, total=days.total, count=days.count)


def row_scores(
    statistic: str, side: str, outcomes: Columns, landmarks: Columns
) -> tuple[FloatArray, IntArray] | None:
    """Return what a row of scores is the mean of, episode by episode, and when each was born.

    Parameters
    ----------
    statistic, side : str
        As in `Score`.
    outcomes, landmarks : mapping of str to ndarray
        Columns of OUTCOME_DTYPE and FIRST_SIDE_DTYPE, of one horizon and the markets of the row.

    Returns
    -------
    tuple of ndarray, or None
        Scores and births, ns; None for a statistic that is not known here, or without episodes.
    """
    found: tuple[FloatArray, IntArray] | None
    if statistic in _SKILL or statistic == "first_side_crowded_lift":
        found = _landmark_scores(statistic, landmarks)
    else:
        found = _episode_scores(statistic, side, outcomes)
    return found if found is not None and len(found[0]) else None


def _episode_scores(statistic: str, side: str, rows: Columns) -> tuple[FloatArray, IntArray] | None:
    named = {name + subset: (name, subset) for name in EPISODE_STATISTICS for subset in SUBSETS}
    if statistic not in named:
        return None
    name, subset = named[statistic]
    chosen = births_of(rows, subset, dense_rank=_DENSE_RANK) & (rows["censor"] == Censor.NONE)
    if SIDES[side]:
        chosen = chosen & (rows["side"] == SIDES[side])
    births = {field: rows[field][chosen] for field in _FIELDS if field in rows}
    return episode_values(name, births), births["at"]


def _landmark_scores(statistic: str, rows: Columns) -> tuple[FloatArray, IntArray]:
    scored = rows["scored"]
    p, q = (
        np.column_stack([rows[f"{letter}_{name}"][scored] for name in ("up", "down", "neither")])
        for letter in "pq"
    )
    outcome, tie = rows["outcome"][scored], rows["tie"][scored]
    if statistic in _SKILL:
        values = first_side_skill(p, q, outcome, tie)[_SKILL[statistic]]
    else:
        values = crowded_lift(q, outcome, tie, rows["asymmetry"][scored])
    use = ~np.isnan(values)
    return values[use], rows["at"][scored][use]


def _aligned(new: DatedDays, base: DatedDays) -> tuple[DaySums, DaySums]:
    """Put both on one calendar, from the first day of either to the last."""
    first = min(new.first_day, base.first_day)
    end = max(each.first_day + len(each.total) for each in (new, base))
    sides = []
    for each in (new, base):
        columns = np.zeros((2, end - first))
        start = each.first_day - first
        columns[:, start : start + len(each.total)] = each.total, each.count
        sides.append(DaySums(total=columns[0], count=columns[1]))
    return sides[0], sides[1]


def paired_difference(
    new: DatedDays, base: DatedDays, horizon_ns: Ns, draws: Draws
) -> PairedDifference:
    """Estimate how the mean score of one run differs from that of another on the same days.

    The difference of two ratios is linearised: day d contributes (a_d − R_a n_d)/N_a −
    (b_d − R_b m_d)/N_b, whose sum has the HAC standard error of Newey and West (1987) with fixed-b
    critical values; the stationary bootstrap (Politis and Romano 1994) draws the same days for
    both.

    Parameters
    ----------
    new, base : DatedDays
        Of the two runs; each with at least one episode.
    horizon_ns : int
        Over which neighbouring scores depend on each other.
    draws : Draws
        Of the bootstrap; at least as many days as both span together.
    """
    a, b = _aligned(new, base)
    value = a.ratio - b.ratio
    n = len(a.count)
    lag = hac_lag(n, horizon_ns)
    n_days = int(np.count_nonzero(a.count + b.count))
    influence = a.residual / a.count.sum() - b.residual / b.count.sum()
    same = bool(np.array_equal(a.total, b.total) and np.array_equal(a.count, b.count))
    if same or n_days < 2 or n <= lag + 1 or float(np.abs(influence).max()) <= 1e-15:
        return PairedDifference(value=value, ci_low=math.nan, ci_high=math.nan, n_days=n_days)
    wide = fixed_b_critical((lag + 1) / n) * hac_error(influence, lag)
    block = float(mean_block_days(influence, horizon_ns))
    replicas = bootstrap_ratios(
        draws.place, draws.renew, block, a.total, a.count
    ) - bootstrap_ratios(draws.place, draws.renew, block, b.total, b.count)
    low, high = np.quantile(replicas[~np.isnan(replicas)], [0.025, 0.975])
    return PairedDifference(
        value=value,
        ci_low=min(value - wide, float(low)),
        ci_high=max(value + wide, float(high)),
        n_days=n_days,
    )
