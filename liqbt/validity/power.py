"""Power: how often each test finds what was planted, against the effect measured from the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqbt.validity.batches import EFFECTS
from liqbt.validity.campaign import Results
from liqbt.validity.cells import ALPHA, Gate, TestWord, claim_of, rejects
from liqbt.validity.jobs import RAN_AWAY, TESTS

ALSO: Final = {"direction": ("first_side_skill",)}
"""What is shown of a claim beside its test, to tell a blunt test from a mechanism that is weak."""
ASKED: Final = 0.8
"""Power that a test must reach at some effect that was tried."""
LEAST_MARKETS: Final = 30
"""Fewer show a power and clear nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """One test where its claim is true.

    Attributes
    ----------
    claim, statistic : str
        The test.
    strength : float
        Of the mechanism, as the simulator's setting.
    days : int
        Length of each market.
    replications, found : int
        Markets, and those in which the lower bound lay above the claim's; one without an interval,
        and one whose price ran away, found nothing.
    ran_away : int
        Markets whose price ran away: they found nothing, and are in neither mean nor effect.
    refuted : int
        Those in which the upper bound lay below the smallest effect of interest, both errors
        agreeing, though the effect was as large; 0 where it was smaller.
    mean, error : float
        Mean of the statistic, and its standard error.
    effect, effect_error : float
        What the mechanism caused (or told), measured from the truth: mean over the batches, and
        its standard error.
    factual, factual_error : float
        The same question asked of the factual path with the true map.
    """

    claim: str
    statistic: str
    strength: float
    days: int
    replications: int
    found: int
    ran_away: int
    refuted: int
    mean: float
    error: float
    effect: float
    effect_error: float
    factual: float
    factual_error: float

    @property
    def refuted_limit(self) -> int:
        """More wrong refutations than this are not chance (97.5 % of a right test's)."""
        from scipy.stats import binom

        return int(binom.ppf(1.0 - ALPHA, self.replications - self.ran_away, ALPHA))

    @property
    def power(self) -> float:
        """Share of the markets in which the test found it."""
        return self.found / self.replications if self.replications else math.nan


def power_points(results: Results) -> list[PowerPoint]:
    """Return a point for every test, length and strength that was replicated, in order.

    Behind those of a claim's test follow those of what is shown beside it.
    """
    out = []
    for claim, test in TESTS.items():
        asked = {(j.days, j.strength) for j in results if (j.role, j.world) == ("power", claim)}
        for statistic in dict.fromkeys((test, *ALSO.get(claim, ()))):
            out += [_point(results, claim, statistic, *key) for key in sorted(asked)]
    return out


def _point(results: Results, claim: str, statistic: str, days: int, strength: float) -> PowerPoint:
    mine = [
        found
        for job, found in results.items()
        if (job.role, job.world, job.days, job.strength) == ("power", claim, days, strength)
    ]
    rows = [s[statistic] for found in mine for s in found["scores"] if statistic in s]
    ran_away = sum(RAN_AWAY in s for found in mine for s in found["scores"])
    caused, factual = (
        _mean([found["effects"].get(name, math.nan) for found in mine]) for name in EFFECTS[claim]
    )
    mean, error = _mean([row[0] for row in rows])
    bound, least = claim_of(claim).least_bound, claim_of(claim).smallest_effect
    return PowerPoint(
        claim=claim,
        statistic=statistic,
        strength=strength,
        days=days,
        replications=len(rows) + ran_away,
        found=sum(rejects(row, bound) for row in rows),
        ran_away=ran_away,
        refuted=sum(bool(row[3]) and row[2] < least for row in rows) if caused[0] >= least else 0,
        mean=mean,
        error=error,
        effect=caused[0],
        effect_error=caused[1],
        factual=factual[0],
        factual_error=factual[1],
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error; NaN where there are too few."""
    held = np.array([v for v in values if math.isfinite(v)])
    if not len(held):
        return math.nan, math.nan
    error = float(held.std(ddof=1) / math.sqrt(len(held))) if len(held) > 1 else math.nan
    return float(held.mean()), error


def gates_with_power(gates: Sequence[Gate], points: Sequence[PowerPoint]) -> list[Gate]:
    """Return what is decided of every test, with *underpowered* in the place of a hollow clearance.

    A test that hardly ever finds anything passes every test of size, and its narrow interval about
    zero would refute what is there. So one that reached 80 % of `LEAST_MARKETS` at no strength and
    length is not cleared; neither is one that, where the effect is as large as the smallest that
    matters, would refute it more often than its size allows; nor one that was not tried.

    Parameters
    ----------
    gates : sequence of Gate
        By size and oracle.
    points : sequence of PowerPoint
        Of all claims.
    """
    return [_with_power(gate, points) if gate.word == TestWord.CLEARED else gate for gate in gates]


def _with_power(gate: Gate, points: Sequence[PowerPoint]) -> Gate:
    key = (gate.claim, gate.statistic)
    mine = [p for p in points if (p.claim, p.statistic) == key and p.replications]
    wrong = next((p for p in mine if p.refuted > p.refuted_limit), None)
    if wrong is not None:
        reason = (
            f"its size holds, but at an effect of {wrong.effect:.3g} it would have refuted the "
            f"claim in {wrong.refuted} of {wrong.replications} markets (strength "
            f"{wrong.strength:g}, {wrong.days} days); at most {wrong.refuted_limit} are chance"
        )
        return replace(gate, word=TestWord.UNDERPOWERED, reason=reason)
    best = max(
        (p for p in mine if p.replications >= LEAST_MARKETS), key=lambda p: p.power, default=None
    )
    if best is None:
        reason = (
            f"its size holds, but it was not tried in {LEAST_MARKETS} markets of any strength in "
            "which its claim is true"
        )
        return replace(gate, word=TestWord.TOO_FEW, reason=reason)
    if best.power >= ASKED:
        return gate
    reason = (
        f"its size holds, but where its claim is true it found at most {best.found} of "
        f"{best.replications} markets (strength {best.strength:g}, {best.days} days)"
    )
    return replace(gate, word=TestWord.UNDERPOWERED, reason=reason)


def smallest_found(points: Sequence[PowerPoint], power: float = ASKED) -> float | None:
    """Return the smallest effect that is found with `power`, between the points by straight lines.

    None where no strength that was tried reaches it: the test is underpowered at that length.

    Parameters
    ----------
    points : sequence of PowerPoint
        Of one statistic and length.
    power : float
        Asked for.
    """
    before: tuple[float, float] = (0.0, 0.0)
    for point in sorted(points, key=lambda p: p.strength):
        if point.power >= power:
            if point.power == before[1]:
                return point.effect
            share = (power - before[1]) / (point.power - before[1])
            return before[0] + share * (point.effect - before[0])
        before = (point.effect, point.power)
    return None
