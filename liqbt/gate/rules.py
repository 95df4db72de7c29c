"""What counts as a regression: by the tolerance and the direction that each statistic states.

Everything here compares two runs on the *same* tape. The data are the same and so is the seed, so
that a difference between them is not sampling noise, however wide either interval is: somebody
changed something. The tolerance says how much of that is worth stopping for (decision 0014).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.config.fields import duration_ns
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.config import PRIMARY_NS, horizon_name
from liqbt.evaluation.inference.days import DaySums, draw
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.paired import (
    PairedDifference,
    can_be_paired,
    days_together,
    paired_difference,
)
from liqbt.evaluation.statistic import PERCENT, POINTS, Better
from liqbt.study.store import Key, Run, key_of
from liqbt.types import Score

FAILING: Final = frozenset({"loss", "drift", "missing", "lost", "count", "null", "interval"})
"""The findings that fail a run; all others are told."""

_COUNT_SHARE: Final = 0.01
_EPISODES: Final = 2
_WIDTH_SHARE: Final = 0.10
_UNKNOWN_SHARE: Final = 0.05
_ROUNDING: Final = 1e-9


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


def tolerance(base: Score) -> float:
    """Return how far a row may move.

    A share may move by what two of its episodes amount to, if that is more: a change of a single
    outcome is not told from rounding. A statistic that states no tolerance may move by a twentieth
    of its interval's width.

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
    statistic = statistic_of(base.statistic)
    if math.isnan(statistic.tolerance):
        width = base.ci_high - base.ci_low
        rounding = _ROUNDING * max(1.0, abs(base.value))
        return max(_UNKNOWN_SHARE * width, rounding) if math.isfinite(width) else rounding
    if statistic.unit in (POINTS, PERCENT):
        return max(statistic.tolerance, _EPISODES / max(base.n_episodes, 1))
    return statistic.tolerance


def rounding(base: Score) -> float:
    """Return below what a difference is rounding: baselines keep a dozen digits of each day."""
    sizes = (abs(number) for number in (base.value, base.ci_low, base.ci_high))
    return _ROUNDING * max((size for size in sizes if math.isfinite(size)), default=0.0)


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
    better = statistic_of(base.statistic).better
    if better == Better.NEITHER:
        return "drift" if abs(change) > allowed else ""
    worse = -1.0 if better == Better.HIGHER else 1.0
    if abs(change) > allowed:
        return "loss" if change * worse > 0 else "gain"
    if paired is None or math.isnan(paired.ci_low):
        return ""
    ends = sorted((worse * paired.ci_low, worse * paired.ci_high))  # of how much worse it is
    if ends[0] > rounding(base):
        return "loss"
    return "doubt" if ends[1] > allowed else ""


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
    """Return whether an interval or what was detectable is gone, or another with the same value."""
    if math.isnan(base.ci_low) or math.isnan(base.ci_high):
        return same_value and not math.isnan(new.ci_low)
    if math.isnan(new.ci_low) or math.isnan(new.ci_high):
        return True
    width = base.ci_high - base.ci_low
    ends = ((new.ci_low, base.ci_low), (new.ci_high, base.ci_high), (new.mde, base.mde))
    moved = max(abs(one - other) for one, other in ends)
    return same_value and moved > max(_WIDTH_SHARE * width, _ROUNDING)


_REPS: Final = 2000


def pairs_maps(key: Key) -> bool:
    """Return whether runs that differ in their maps alone are paired on a row."""
    return statistic_of(key.statistic).pairs_maps and key.symbol == POOLED


def deciding_rows(run: Run) -> frozenset[Key]:
    """Return the rows that the run's verdicts rest on, and those of levels that no map draws."""
    deciding = [
        tuple(claim.get(n) for n in ("id", "symbol", "horizon", "side", "statistic"))
        for claim in dict(run.manifest.get("claims") or {}).values()
    ]
    return frozenset(
        key for key in map(key_of, run.scores) if key[1:] in deciding or pairs_maps(key)
    )


def paired_keys(run: Run) -> list[Key]:
    """Return the rows whose day sums a baseline keeps: pooled lifts and gains at 24 hours."""
    return [
        key_of(score)
        for score in run.scores
        if score.symbol == POOLED
        and score.horizon == horizon_name(PRIMARY_NS)
        and score.side == "both"
        and score.n_episodes
        and statistic_of(score.statistic).better != Better.NEITHER
    ]


def row_days(run: Run, keys: Iterable[Key]) -> dict[Key, DaySums]:
    """Return the day sums of some rows, as they were stored with the scores."""
    held = run.days()
    return {key: held[key] for key in keys if key in held}


def pair(
    new: Mapping[Key, DaySums], base: Mapping[Key, DaySums], seed: int = 0
) -> dict[Key, PairedDifference]:
    """Return the paired difference of every row that both have, where they can be paired.

    Counts are no ratios of day sums, and are not. The bootstrap has a fixed seed, so that a check
    says the same each time.
    """
    common = [
        key
        for key in new
        if key in base
        and not statistic_of(key.statistic).total
        and can_be_paired(new[key], base[key])
    ]
    span = max((days_together(new[key], base[key]) for key in common), default=1)
    draws = draw(np.random.default_rng(seed), reps=_REPS, n_days=span)
    return {
        key: paired_difference(new[key], base[key], duration_ns(key.horizon), draws)
        for key in common
    }
