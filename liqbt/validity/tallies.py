"""Tallies: what a campaign keeps of its markets, sums that add up batch by batch.

A tally says of one claim in one cell (a world, a strength, a length) what its finished batches hold
together. Batches are added in their order, so that a campaign that was cut and went on has the same
sums, to the last bit, as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import TRIALS
from liqbt.evaluation.claims.verdict import find_score
from liqbt.evaluation.inference.estimates import POOLED, ScoreDetail
from liqbt.simulate.effects.values import Effect
from liqbt.study.replicate import Replication
from liqbt.study.replications import Batch, found_of
from liqbt.types import VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums over the finished batches of one cell, of one claim or of a statistic beside its test.

    Attributes
    ----------
    batches : int
        Finished, from the first one on.
    markets, ran_away : int
        Replicated, and of these those whose price left the range of the true map.
    tested : int
        In which the claim could be tested: there is an interval, of episodes and days enough.
    found, refuted, suspect : int
        In which its verdict was *supported*, *refuted*, *suspect*.
    above : int
        In which the statistic that decides would have been enough by itself: its lower bound lay
        above what the claim asks of it, both errors agreeing.
    opposite : int
        In which the statistic's upper bound lay below its null, both errors agreeing.
    valued : int
        In which the statistic has a value.
    value, value2 : float
        Sums of the statistic less its null, and of the squares.
    n_days, n_episodes : float
        Sums over the markets with a value.
    measured, measured_factual : int
        Batches with an effect from the truth, and with a factual one.
    effect, effect2, factual, factual2 : float
        Sums of these over the batches, and of the squares.
    """

    batches: int = 0
    markets: int = 0
    ran_away: int = 0
    tested: int = 0
    found: int = 0
    refuted: int = 0
    suspect: int = 0
    above: int = 0
    opposite: int = 0
    valued: int = 0
    value: float = 0.0
    value2: float = 0.0
    n_days: int = 0
    n_episodes: int = 0
    measured: int = 0
    effect: float = 0.0
    effect2: float = 0.0
    measured_factual: int = 0
    factual: float = 0.0
    factual2: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)}
        )

    @property
    def row(self) -> list[float]:
        """Its numbers in the order of the fields, as they are kept."""
        return list(astuple(self))


FIELDS: Final = tuple(f.name for f in fields(Tally))
"""The order of a kept tally's numbers."""


def tally_of_row(row: Sequence[float]) -> Tally:
    """Return the tally of a kept row.

    Raises
    ------
    ValueError
        If it is none.
    """
    counts = {f.name for f in fields(Tally) if f.type == "int"}
    if len(row) != len(FIELDS) or not all(isinstance(v, (int, float)) for v in row):
        raise ValueError(f"a tally has {len(FIELDS)} numbers")
    named: dict[str, Any] = {
        name: int(held) if name in counts else float(held)
        for name, held in zip(FIELDS, row, strict=True)
    }
    return Tally(**named)


def claim_tally(claim: Claim, batch: Batch, planted: str | None) -> Tally:
    """Return what one batch adds to a claim's tally.

    Parameters
    ----------
    claim : Claim
        Whose verdicts are counted.
    batch : Batch
        Of markets.
    planted : str or None
        The claim whose mechanism is planted: effects are its own.
    """
    total = Tally(batches=1)
    for one in batch.markets:
        total += Tally(markets=1, ran_away=1) if one is None else _market(claim, one)
    return total + _effects(batch, planted) if planted == claim.id else total


def _market(claim: Claim, one: Replication) -> Tally:
    word = found_of(claim, one)
    tested = word != VerdictWord.NOT_TESTABLE
    score = find_score(claim, one.evaluation.details)
    return Tally(
        markets=1,
        tested=int(tested),
        found=int(word.supports),
        refuted=int(word == VerdictWord.REFUTED),
        suspect=int(word == VerdictWord.SUSPECT),
        above=int(tested and score is not None and _enough(claim, score)),
    ) + _value(score)


def _enough(claim: Claim, found: ScoreDetail) -> bool:
    base = found.score.null if claim.target is None else claim.target
    return found.estimate.agree and found.score.ci_low - base > claim.least_bound


def beside_tally(claim: Claim, statistic: str, batch: Batch) -> Tally:
    """Return what one batch adds to the tally of a statistic beside a claim's test.

    It is found where its lower bound lies above its null, both errors agreeing.
    """
    total = Tally(batches=1)
    for one in batch.markets:
        if one is None:
            total += Tally(markets=1, ran_away=1)
            continue
        held = [
            d
            for d in one.evaluation.details
            if (d.score.statistic, d.score.symbol, d.score.side) == (statistic, POOLED, "both")
        ]
        row = held[0] if held else None
        found = row and row.estimate.agree and row.score.ci_low > row.score.null
        tested = row is not None and math.isfinite(row.score.ci_low)
        total += Tally(markets=1, tested=int(tested), found=int(bool(found))) + _value(row)
    return total + _effects(batch, claim.id)


def _value(found: ScoreDetail | None) -> Tally:
    if found is None or not math.isfinite(found.score.value - found.score.null):
        return Tally()
    row = found.score
    value = row.value - row.null
    return Tally(
        opposite=int(found.estimate.agree and row.ci_high < row.null),
        valued=1,
        value=value,
        value2=value * value,
        n_days=row.n_days,
        n_episodes=row.n_episodes,
    )


def _effects(batch: Batch, planted: str) -> Tally:
    caused, factual = (batch.effects.get(name) for name in TRIALS[planted].effects)
    return _measured(caused, "effect", "measured") + _measured(
        factual, "factual", "measured_factual"
    )


def _measured(effect: Effect | None, name: str, count: str) -> Tally:
    if effect is None or not math.isfinite(effect.value):
        return Tally()
    value = float(effect.value)
    sums: dict[str, Any] = {count: 1, name: value, f"{name}2": value * value}
    return Tally(**sums)


def mean_of(n: int, total: float, squares: float) -> tuple[float, float]:
    """Return mean and spread (a standard deviation) from sums; NaN where there are too few.

    Examples
    --------
    >>> mean_of(2, 4.0, 10.0)
    (2.0, 1.4142135623730951)
    """
    if not n:
        return math.nan, math.nan
    mean = total / n
    spread = math.sqrt(max(squares - n * mean * mean, 0.0) / (n - 1)) if n > 1 else math.nan
    return mean, spread
