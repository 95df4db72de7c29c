"""What counts as a regression: a tolerance and a direction for each class of statistic.

Everything here compares two runs on the *same* tape. The data are the same and so is the seed, so
that a difference between them is not sampling noise, however wide either interval is: somebody
changed something. The tolerance says how much of that is worth stopping for (decision 0014).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.config.fields import duration_ns
from liqbt.evaluation.inference.days import draw
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.paired import (
    DatedDays,
    PairedDifference,
    dated_days,
    paired_difference,
    row_scores,
)
from liqbt.evaluation.probability import log_score
from liqbt.study.store import Run
from liqbt.types import FloatArray, IntArray, Score

Key: TypeAlias = tuple[str, str, str, str, str]
"""Claim, symbol, horizon, side, statistic: what names a row of scores."""

UNITS: Final[Key] = ("visit", "pooled", "24h", "both", "visit_gain_over_brownian")
"""The row of levels that no map draws: runs that differ in their maps alone are paired on it. What
the random walk scores there is then the same, so that its difference is one of P(visit)."""

FAILING: Final = frozenset({"loss", "drift", "missing", "lost", "count", "null", "interval"})
"""The findings that fail a run; all others are told."""

_COUNT_SHARE: Final = 0.01
_EPISODES: Final = 2
_WIDTH_SHARE: Final = 0.10
_UNKNOWN_SHARE: Final = 0.05
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a class of statistics is held.

    Attributes
    ----------
    unit : str
        What it is shown in: `points` (hundredths), `millinats` or nothing.
    scale : float
        From the statistic to that unit.
    tolerance : float
        How far it may move, in the statistic's own unit; NaN where its interval must say.
    lower_is_worse : bool
        Whether only a fall is a loss; else any move beyond the tolerance is a drift.
    """

    unit: str
    scale: float
    tolerance: float
    lower_is_worse: bool


_NATS: Final = Rule(unit="millinats", scale=1000.0, tolerance=0.002, lower_is_worse=True)
_RULES: Final = (
    ("skill", _NATS),
    ("gain", _NATS),
    ("response", Rule(unit="points", scale=100.0, tolerance=0.005, lower_is_worse=True)),
    ("lift", Rule(unit="points", scale=100.0, tolerance=0.005, lower_is_worse=True)),
    ("rate", Rule(unit="points", scale=100.0, tolerance=0.005, lower_is_worse=False)),
)
_OTHER: Final = Rule(unit="", scale=1.0, tolerance=math.nan, lower_is_worse=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that differs between a run and its baseline.

    Attributes
    ----------
    kind : str
        `loss` (worse by more than the tolerance), `drift` (moved, either way, by more), `null` (the
        null moved by more), `count` (other episodes), `missing` (no such row), `lost` (no value any
        more), `interval` (the same value, another interval); and, told but not failing, `gain`,
        `doubt` (a loss beyond the tolerance cannot be excluded), `found` (a value where there was
        none), `new` (no such row in the baseline).
    key : Key
        Which row.
    base, new : Score or None
        The two rows.
    change, tolerance : float
        How far it moved and how far it might have, in the statistic's own unit (episodes for
        `count`); NaN where that makes no sense.
    paired : PairedDifference or None
        The interval of the difference, where day sums of both are at hand.
    """

    kind: str
    key: Key
    base: Score | None
    new: Score | None
    change: float = math.nan
    tolerance: float = math.nan
    paired: PairedDifference | None = None

    @property
    def fails(self) -> bool:
        """Whether this alone fails the run."""
        return self.kind in FAILING


def key_of(score: Score) -> Key:
    """Return what names a row."""
    return (score.claim, score.symbol, score.horizon, score.side, score.statistic)


def rule_of(statistic: str) -> Rule:
    """Return how a statistic is held, by the word in its name.

    Examples
    --------
    >>> rule_of("mirror_lift_densest").lower_is_worse, rule_of("hit_rate").lower_is_worse
    (True, False)
    >>> rule_of("something_else").unit
    ''
    """
    return next((rule for word, rule in _RULES if word in statistic.split("_")), _OTHER)


def tolerance(base: Score) -> float:
    """Return how far a row may move.

    A share may move by what two of its episodes amount to, if that is more: a change of a single
    outcome is not told from rounding. A statistic of no known class may move by a twentieth of its
    interval's width.

    Examples
    --------
    >>> row = dict(claim="magnet", symbol="pooled", horizon="24h", side="both", null=0.0,
    ...     ci_low=-0.004, ci_high=0.028, n_days=106, mde=0.023)
    >>> tolerance(Score(statistic="mirror_lift", value=0.012, n_episodes=2093, **row))
    0.005
    >>> tolerance(Score(statistic="mirror_lift", value=0.012, n_episodes=100, **row))
    0.02
    >>> round(tolerance(Score(statistic="odds", value=0.012, n_episodes=100, **row)), 4)
    0.0016
    """
    rule = rule_of(base.statistic)
    if math.isnan(rule.tolerance):
        width = base.ci_high - base.ci_low
        rounding = _ROUNDING * max(1.0, abs(base.value))
        return max(_UNKNOWN_SHARE * width, rounding) if math.isfinite(width) else rounding
    if rule.unit == "points":
        return max(rule.tolerance, _EPISODES / max(base.n_episodes, 1))
    return rule.tolerance


def findings(
    base: Score, new: Score, *, paired: PairedDifference | None = None, deciding: bool = False
) -> Iterator[Finding]:
    """Yield what differs between two rows of one key, on the same tape.

    Parameters
    ----------
    base, new : Score
        The rows of the baseline and of the run.
    paired : PairedDifference, optional
        The interval of their difference.
    deciding : bool
        Whether a verdict rests on the row. Then a smaller loss counts too, if the paired interval
        lies below zero, and one that it cannot exclude is told (METHOD's rule).
    """
    key = key_of(base)
    if math.isnan(base.value) or math.isnan(new.value):
        if math.isnan(base.value) != math.isnan(new.value):
            kind = "lost" if math.isnan(new.value) else "found"
            yield Finding(kind=kind, key=key, base=base, new=new)
        return
    change, allowed = new.value - base.value, tolerance(base)
    kind = _kind(base, change, allowed, paired if deciding else None)
    if kind:
        yield Finding(
            kind=kind,
            key=key,
            base=base,
            new=new,
            change=change,
            tolerance=allowed,
            paired=paired,
        )
    yield from _beside(base, new, change, allowed)


def _kind(base: Score, change: float, allowed: float, paired: PairedDifference | None) -> str:
    """Return what a change of the value is called, or nothing."""
    if not rule_of(base.statistic).lower_is_worse:
        return "drift" if abs(change) > allowed else ""
    if abs(change) > allowed:
        return "loss" if change < 0 else "gain"
    if paired is None or math.isnan(paired.ci_low):
        return ""
    if paired.ci_high < 0:
        return "loss"
    return "doubt" if paired.ci_low < -allowed else ""


def _beside(base: Score, new: Score, change: float, allowed: float) -> Iterator[Finding]:
    """Yield what differs beside the value: null, number of episodes, interval."""
    key = key_of(base)
    moved = new.null - base.null
    if math.isnan(base.null) != math.isnan(new.null) or abs(moved) > allowed:
        yield Finding(kind="null", key=key, base=base, new=new, change=moved, tolerance=allowed)
    counted = list(unit_count(base, new))
    yield from counted
    if not counted and _interval_moved(base, new, abs(change) <= _ROUNDING):
        yield Finding(kind="interval", key=key, base=base, new=new)


def unit_count(base: Score, new: Score) -> Iterator[Finding]:
    """Yield a finding where a row rests on more or fewer episodes, by more than 1 % and two."""
    fewer = new.n_episodes - base.n_episodes
    most = max(_COUNT_SHARE * base.n_episodes, _EPISODES)
    if abs(fewer) > most:
        yield Finding(
            kind="count", key=key_of(base), base=base, new=new, change=fewer, tolerance=most
        )


def _interval_moved(base: Score, new: Score, same_value: bool) -> bool:
    """Return whether an interval is gone, or is another one about the same value."""
    if math.isnan(base.ci_low) or math.isnan(base.ci_high):
        return same_value and not math.isnan(new.ci_low)
    if math.isnan(new.ci_low) or math.isnan(new.ci_high):
        return True
    width = base.ci_high - base.ci_low
    moved = max(abs(new.ci_low - base.ci_low), abs(new.ci_high - base.ci_high))
    return same_value and moved > max(_WIDTH_SHARE * width, _ROUNDING)


_REPS: Final = 2000
_PRIMARY: Final = "24h"
_OVER: Final = {"visit_gain": "p_ablated", "visit_gain_over_brownian": "brownian"}
"""Rows of levels that no map draws, and the column over which the map's probability gains."""


def deciding_rows(run: Run) -> frozenset[Key]:
    """Return the rows that the run's verdicts rest on, and that of levels that no map draws."""
    found = {UNITS}
    for claim in dict(run.manifest.get("claims") or {}).values():
        key = tuple(claim.get(n) for n in ("id", "symbol", "horizon", "side", "statistic"))
        if all(isinstance(part, str) for part in key):
            found.add(key)
    return frozenset(found & {key_of(score) for score in run.scores})


def paired_keys(run: Run) -> list[Key]:
    """Return the rows whose day sums a baseline keeps: pooled lifts and skills at 24 hours."""
    return [
        key_of(score)
        for score in run.scores
        if score.symbol == POOLED
        and score.horizon == _PRIMARY
        and score.side == "both"
        and score.n_episodes
        and rule_of(score.statistic).lower_is_worse
    ]


def row_days(run: Run, keys: Iterable[Key]) -> dict[Key, DatedDays]:
    """Return the day sums of some rows, made from the run's outcomes.

    A row is left out where its statistic is not known here, or where what is made of its outcomes
    is not the value that the run reports: then it is not that row's day sums.
    """
    values = {key_of(score): score.value for score in run.scores}
    outcomes = _columns(run.outcomes())
    landmarks = _columns(run.first_sides())
    found = {}
    for key in keys:
        _, symbol, horizon, side, statistic = key
        if statistic in _OVER:
            scores = _unit_scores(run, symbol, _OVER[statistic])
        else:
            mine, others = (_rows(c, symbol, duration_ns(horizon)) for c in (outcomes, landmarks))
            scores = row_scores(statistic, side, mine, others)
        if scores is None:
            continue
        days = dated_days(*scores)
        if abs(days.ratio - values.get(key, np.nan)) <= 1e-9 * max(1.0, abs(days.ratio)):
            found[key] = days
    return found


def _unit_scores(run: Run, symbol: str, over: str) -> tuple[FloatArray, IntArray] | None:
    """Return what the map's probability gains at each level that no map draws, and when."""
    table = run.visits()
    if table is None:
        return None
    columns = _columns(table)
    use = np.ones(len(table), bool) if symbol == POOLED else columns["symbol"] == symbol
    if not use.any():
        return None
    visited = columns["visited"][use].astype(np.float64)
    p, q = (np.clip(columns[name][use], 1e-9, 1.0 - 1e-9) for name in ("p", over))
    return log_score(p, visited) - log_score(q, visited), columns["at"][use]


def _columns(table: Any) -> dict[str, npt.NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names}


def _rows(
    columns: Mapping[str, npt.NDArray[Any]], symbol: str, horizon_ns: int
) -> dict[str, npt.NDArray[Any]]:
    chosen = columns["horizon_ns"] == horizon_ns
    if symbol != POOLED:
        chosen = chosen & (columns["market"] == symbol)
    return {name: values[chosen] for name, values in columns.items()}


def pair(
    new: Mapping[Key, DatedDays], base: Mapping[Key, DatedDays], seed: int = 0
) -> dict[Key, PairedDifference]:
    """Return the paired difference of every row that both have, unless they share too few days.

    Fewer than half of the days together are too few: then the runs are about different times. The
    bootstrap has a fixed seed, so that a check says the same each time.
    """
    common = [key for key in new if key in base and _shared(new[key], base[key]) >= 0.5]
    span = max((_span(new[key], base[key]) for key in common), default=1)
    draws = draw(np.random.default_rng(seed), reps=_REPS, n_days=span)
    return {
        key: paired_difference(new[key], base[key], duration_ns(key[2]), draws) for key in common
    }


def _span(a: DatedDays, b: DatedDays) -> int:
    ends = [each.first_day + len(each.total) for each in (a, b)]
    return max(ends) - min(a.first_day, b.first_day)


def _shared(a: DatedDays, b: DatedDays) -> float:
    ends = [each.first_day + len(each.total) for each in (a, b)]
    return max(0, min(ends) - max(a.first_day, b.first_day)) / _span(a, b)
