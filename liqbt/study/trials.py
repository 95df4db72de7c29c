"""Which claims the validity gate tries, and where: worlds in which each is false, and is true."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS, STATISTICS, TRIALS, statistic_of
from liqbt.evaluation.statistic import Statistic

_SLOW: Final = frozenset({"placebo", "levels"})
"""What takes most of a replication's time (p̂, and P(visit) of levels), so that it is left out."""

NUISANCE: Final = (
    "gbm",
    "stochastic_volatility",
    "momentum",
    "momentum_slow",
    "mean_reversion",
    "jumps",
    "drift",
    "oi_linked_volatility",
    "regimes",
    "regimes_strong",
    "other_traders",
)
"""Worlds in which nothing is planted, and something else may be mistaken for it. In the last one
the traders are unlike what an estimator takes them for."""

LENGTHS: Final = (120, 365)
"""Days of a replicated record: four months, and a year."""

NEEDED: Final = 1000
"""Markets of each nuisance world that can clear a test at four months."""
NEEDED_ELSEWHERE: Final = 300
"""Markets of a year, and of a world in which another thing is planted, that can clear it."""


class Where(StrEnum):
    """Why a claim is false in a world."""

    NUISANCE = "nuisance"
    PLANTED = "planted"
    NULL = "null"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A world in which a claim is false, at a length: a cell of its size.

    Attributes
    ----------
    where : Where
        Nothing is planted; what makes another claim true is; or something is that is no claim's.
    world : str
        The world's name, or the other claim's.
    days : int
        Length of its markets.
    """

    where: Where
    world: str
    days: int

    @property
    def needed(self) -> int:
        """Markets without which it clears nothing."""
        short = self.where == Where.NUISANCE and self.days < LENGTHS[1]
        return NEEDED if short else NEEDED_ELSEWHERE


def replicated(statistic: Statistic) -> bool:
    """Return whether a replication computes a statistic."""
    return statistic.computed and not _SLOW & {*statistic.needs}


TESTS: Final[dict[str, Claim]] = {
    claim.id: claim
    for claim in CLAIMS
    if all(replicated(statistic_of(name)) for name in claim.conditions)
}
"""The claims that are replicated: a test is the rule of a claim's own verdict."""


def places(claim: Claim, lengths: tuple[int, ...] = LENGTHS) -> list[Place]:
    """Return where a claim is false, in order: cells of its size.

    Parameters
    ----------
    claim : Claim
        The claim.
    lengths : tuple of int
        Of the records; where another claim is true the shortest alone is tried.
    """
    trial = TRIALS.get(claim.id)
    true_in = {claim.id, *(trial.also_true if trial else ())}
    made = {TRIALS[name].world or name for name in true_in if name in TRIALS}
    true_in |= {name for name, other in TRIALS.items() if (other.world or name) in made}
    if trial and trial.true_by_default:
        true_in = {*NUISANCE, *TRIALS}
    short = min(lengths)
    return [
        *(
            Place(where=Where.NUISANCE, world=world, days=days)
            for days in sorted(lengths)
            for world in NUISANCE
            if world not in true_in
        ),
        *(
            Place(where=Where.PLANTED, world=other, days=short)
            for other in TRIALS
            if other not in true_in
        ),
        *(
            Place(where=Where.NULL, world=world, days=days)
            for days in sorted(lengths)
            for world in (trial.nulls if trial else ())
        ),
    ]


def statistics_read(
    claims: tuple[str, ...], *, beside: tuple[str, ...] | None = None, specific: bool = True
) -> tuple[Statistic, ...]:
    """Return the statistics that the verdicts of some claims read, and those beside their tests.

    An alarm of a wrong sign is read of every statistic of a claim that has one.

    Parameters
    ----------
    claims : tuple of str
        Of `TESTS`.
    beside : tuple of str, optional
        The claims whose statistics beside their tests are read; by default all of `claims`.
    specific : bool
        Whether what tells *supported, specific* from *supported* is read: where only found or not
        is counted, the maps that it stands beside need not be made.
    """
    names = {name for claim in claims for name in TESTS[claim].conditions}
    if not specific:
        names -= {TESTS[claim].specific for claim in claims}
    shown = claims if beside is None else beside
    names |= {name for claim in shown if claim in TRIALS for name in TRIALS[claim].beside}
    alarms = {s.id for s in STATISTICS if s.claim in claims and s.wrong_sign == s.wrong_sign}
    return tuple(s for s in STATISTICS if s.id in names | alarms and replicated(s))
