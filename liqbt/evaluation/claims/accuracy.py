"""85 %: the hit rate under each registered reading, beside what no information scores.

The claim does not say which reading it means, and a choice among them after the fact would be a
search. So there is one verdict for each reading, at the horizon that the register names; none of
them is the best of several. A run's own verdict is under the reading that favours the claim most:
at least one of the two nearest clusters is visited, as it is wherever the nearest is, or the
crowded side's is touched first.

Every forecast is a landmark: the time of the day at which one is asked decides nothing. Windows
overlap, and what is counted as units is how many do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from liqbt.evaluation.accuracy.hits import READINGS, Reading
from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.statistic import PERCENT, POINTS, Better, Cell, Group, Statistic, Summed
from liqbt.types import FloatArray

NULLS: Final = {
    "brownian": "Brownian motion",
    "other_times": "other times",
    "mirror": "the mirror",
}
"""What no information scores, in words."""
COLUMNS: Final = {
    "nearest": "Nearest",
    "either_side": "Either side",
    "first_side": "First side",
    "first_side_decided": "First side, one touched",
    "direction": "Direction",
}
"""Headings of the readings."""

ACCURACY: Final = Group(
    id="accuracy",
    title="Hit rate under each reading of 85 %",
    units="Windows",
    intro="Of every forecast, within 24 h, from distance 0: nearest cluster visited; nearest above "
    "or nearest below visited; of these two the crowded side's touched first, of all windows and "
    "of those that touch one; price ends on the crowded side.",
    note="Windows: how many do not overlap; all are used. Where 85 % is reached by levels that lie "
    "close by, so does its null: the skill over each null is in the list of all scores.",
    folded=True,
)


def rate_of(reading: str) -> str:
    """Return the id of a reading's hit rate."""
    return f"hit_rate_{reading}"


def skill_of(reading: str, null: str) -> str:
    """Return the id of what a reading's hit rate leaves over a null."""
    return f"skill_{reading}_over_{null}"


def nulls_of(reading: str) -> tuple[str, ...]:
    """Return the nulls of a reading: a reflected or moved call decides other windows.

    Examples
    --------
    >>> nulls_of("first_side_decided")
    ('brownian',)
    """
    return ("brownian",) if reading == "first_side_decided" else tuple(NULLS)


def refuting(reading: str) -> tuple[str, ...]:
    """Return the skills whose interval can refute the claim under a reading.

    Where volatility wanders or jumps, Brownian motion visits levels more often than prices do that
    know nothing of them, and other times less often; the mirror image does as they do (decision
    0074). Of the side that is touched first Brownian motion says the same whatever volatility does.

    Examples
    --------
    >>> refuting("either_side"), refuting("first_side_decided")
    (('skill_either_side_over_mirror',), ('skill_first_side_decided_over_brownian',))
    """
    nulls = nulls_of(reading)
    return (skill_of(reading, "mirror" if "mirror" in nulls else nulls[0]),)


CLAIM: Final = Claim(
    id="accuracy_85",
    words="85 %: a backtest estimate, not audited live results.",
    estimand="hit rate under each registered reading (nearest cluster, either side, first side, "
    "direction) over the whole plane of horizon × distance, from distance 0",
    null="the hit rate that no information has at the same horizon and distance: Brownian motion, "
    "the same calls at other times, and their mirror, each",
    statistic=rate_of("either_side"),
    also_above=tuple(skill_of("either_side", null) for null in NULLS),
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound of 85 % or more, and 97.5 % lower bound of the skill over the "
    "null above 0",
    number="10",
    status=ClaimStatus.TESTABLE,
    target=0.85,
    refuted_over=refuting("either_side"),
)


TRIAL: Final = Trial(
    strengths=(1.0, 2.0, 3.0),
    measure="magnet.level_effects",
    effects=("densest_twin_lift", "densest_mirror_lift"),
    beside=CLAIM.also_above,
    world="magnet",
    also_true=("magnet", "asymmetry"),  # a drift by the ratio raises visits, too: decision 0072
    oracle=False,
)
"""Forecasts that know which way the price goes, and draw the same clusters, are about calls: this
reading is about visits (`liqbt.evaluation.accuracy.oracle` has what knows of these)."""


def claim_of(reading: str, nulls: tuple[str, ...]) -> Claim:
    """Return the claim under one reading, with the nulls that this reading has as conditions."""
    conditions = tuple(skill_of(reading, null) for null in nulls)
    return replace(
        CLAIM,
        statistic=rate_of(reading),
        also_above=conditions,
        refuted_over=tuple(name for name in refuting(reading) if name in conditions),
    )


READING_CLAIMS: Final = tuple(claim_of(reading, nulls_of(reading)) for reading in READINGS)
"""The claim under each reading: what a replication holds against its size."""


def _found(evidence: Evidence, cell: Cell, reading: str) -> Reading | None:
    found = evidence.readings(cell.market, cell.horizon_ns).get(reading)
    return found if found is not None and len(found.at) else None


def _summed(found: Reading, cell: Cell, scores: FloatArray, null: FloatArray | None) -> DaySums:
    """Sum scores by day; of windows that overlap as many are units as do not.

    Where all hits came out alike, scores vary with their nulls alone: that is told to the interval.
    """
    use = ~np.isnan(scores)
    hit, at = found.hit[use], found.at[use]
    days = day_sums(scores[use], at, null=None if null is None else null[use])
    units = round(len(at) / max(1, len(np.unique(at % cell.horizon_ns))))
    alike = np.zeros(len(days.total))
    if len(hit) and np.ptp(hit) == 0.0:
        alike[0] = units * hit[0]
        return replace(days, n_units=units, hits=alike)
    return replace(days, n_units=units)


def _rate(reading: str) -> Summed:
    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        found = _found(evidence, cell, reading)
        return None if found is None else _summed(found, cell, found.hit, found.brownian)

    return summed


def _skill(reading: str, null: str) -> Summed:
    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        found = _found(evidence, cell, reading)
        if found is None:
            return None
        over = {
            "brownian": found.hit - found.brownian,
            "other_times": found.over_others,
            "mirror": found.hit - found.mirror,
        }[null]
        return None if np.isnan(over).all() else _summed(found, cell, over, None)

    return summed


STATISTICS: Final = (
    *(
        Statistic(
            id=rate_of(reading),
            claim="accuracy_85",
            label=words,
            column=COLUMNS[reading],
            unit=PERCENT,
            null="Brownian motion",
            day_sums=_rate(reading),
            needs=("readings",),
            better=Better.NEITHER,
            group=ACCURACY,
            tolerance=0.005,
            bounds=(0.0, 1.0),
            conditional=False,
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
            day_sums=_skill(reading, null) if null in nulls_of(reading) else None,
            needs=("readings",),
            tolerance=0.005,
            conditional=False,
        )
        for reading, words in READINGS.items()
        for null, other in NULLS.items()
    ),
)
"""At 24 h in every run; over the plane of horizons and distances by `liqbt claims plane`."""
