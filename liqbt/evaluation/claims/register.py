"""All claims and statistics of this version: a claim is a file, and this is the list of them."""

from __future__ import annotations

from functools import cache
from typing import Final

from liqbt.evaluation.claims import (
    acceleration,
    accuracy,
    asymmetry,
    chain,
    direction,
    location,
    magnet,
    placement,
    stops,
    sweep,
    visit,
    wall,
)
from liqbt.evaluation.claims.claim import ClaimStatus, Trial
from liqbt.evaluation.statistic import SCORE, Better, Statistic, over_horizons

CLAIM_FILES: Final = (
    visit,
    location,
    placement,
    magnet,
    chain,
    acceleration,
    direction,
    asymmetry,
    sweep,
    wall,
    stops,
    accuracy,
)
"""The files of `claims/`, in the order of their claims' numbers."""

REGISTER: Final = tuple(file.CLAIM for file in CLAIM_FILES)
"""All claims, in the order of their numbers."""

STATISTICS: Final = (
    *(one for file in CLAIM_FILES for one in file.STATISTICS),
    *(
        over_horizons(one)
        for file in CLAIM_FILES
        for one in file.STATISTICS
        if one.id == file.CLAIM.statistic and one.needs == ("hours",)
    ),
)
"""All statistics, claim by claim; and what decides claims by returns, over any horizon."""

CLAIMS: Final = tuple(
    file.CLAIM
    for file in CLAIM_FILES
    if file.CLAIM.status == ClaimStatus.TESTABLE
    and any(s.id == file.CLAIM.statistic and s.day_sums is not None for s in file.STATISTICS)
)
"""The claims that a run decides: what decides them is a function of what a run observes."""


TRIALS: Final[dict[str, Trial]] = {
    file.CLAIM.id: trial for file in CLAIM_FILES if (trial := getattr(file, "TRIAL", None))
}
"""By claim: how its mechanism is planted; claims that no campaign tries are absent."""


@cache
def _by_id() -> dict[str, Statistic]:
    return {one.id: one for one in STATISTICS}


def statistic_of(name: str) -> Statistic:
    """Return a statistic by its id; one that is not known has no unit and no direction.

    Examples
    --------
    >>> statistic_of("something_else").better.value
    'neither'
    """
    found = _by_id().get(name)
    if found is not None:
        return found
    return Statistic(
        id=name,
        claim="",
        label=name.replace("_", " "),
        unit=SCORE,
        null="",
        day_sums=None,
        better=Better.NEITHER,
    )
