"""85 %: the hit rate under each registered reading, beside what no information scores.

The claim does not say which reading it means, and a choice among them after the fact would be a
search. So there is one verdict for each reading, at the horizon that the register names; none of
them is the best of several.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from liqbt.evaluation.claims.claim import Claim, ClaimStatus
from liqbt.evaluation.statistic import PERCENT, POINTS, Better, Group, Statistic

CLAIM: Final = Claim(
    id="accuracy_85",
    words="85 %: a backtest estimate, not audited live results.",
    estimand="hit rate under each registered reading (nearest cluster, either side, first side, "
    "direction) over the whole plane of horizon × distance, from distance 0",
    null="the hit rate that no information has at the same horizon and distance: Brownian motion, "
    "the same calls at other times, and their mirror, each",
    statistic="hit_rate",
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound of 85 % or more, and 97.5 % lower bound of the skill over the "
    "null above 0",
    number="10",
    status=ClaimStatus.TESTABLE,
    target=0.85,
)

READINGS: Final = {
    "nearest": "the nearest cluster is visited",
    "either_side": "the nearest cluster above or the nearest below is visited",
    "first_side": "of these two the crowded side's is touched first",
    "first_side_decided": "the same, leaving out windows that touch neither",
    "direction": "the price ends on the crowded side",
}
"""Readings of the claim, in words."""

NULLS: Final = {
    "brownian": "Brownian motion",
    "other_times": "other times",
    "mirror": "the mirror",
}
"""What no information scores, in words."""

ACCURACY: Final = Group(id="accuracy", title="Hit rate under each reading", units="Landmarks")


def rate_of(reading: str) -> str:
    """Return the id of a reading's hit rate."""
    return f"hit_rate_{reading}"


def skill_of(reading: str, null: str) -> str:
    """Return the id of what a reading's hit rate leaves over a null."""
    return f"skill_{reading}_over_{null}"


def claim_of(reading: str, nulls: tuple[str, ...]) -> Claim:
    """Return the claim under one reading, with the nulls that this reading has as conditions."""
    conditions = tuple(skill_of(reading, null) for null in nulls)
    return replace(CLAIM, statistic=rate_of(reading), also_above=conditions)


STATISTICS: Final = (
    *(
        Statistic(
            id=rate_of(reading),
            claim="accuracy_85",
            label=words,
            unit=PERCENT,
            null="Brownian motion",
            day_sums=None,
            needs=("plane",),
            better=Better.NEITHER,
            group=ACCURACY,
            tolerance=0.005,
            bounds=(0.0, 1.0),
        )
        for reading, words in READINGS.items()
    ),
    *(
        Statistic(
            id=skill_of(reading, null),
            claim="accuracy_85",
            label=f"{words}, over {other}",
            unit=POINTS,
            null=other,
            day_sums=None,
            needs=("plane",),
            group=ACCURACY,
            tolerance=0.005,
        )
        for reading, words in READINGS.items()
        for null, other in NULLS.items()
    ),
)
"""Observed on the plane of horizons and distances (`liqbt claims plane`), not in every run."""
