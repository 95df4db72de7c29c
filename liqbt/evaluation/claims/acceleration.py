"""Whether moves accelerate through dense levels."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import POINTS, Statistic

CLAIM: Final = Claim(
    id="acceleration",
    words="Moves accelerate where leverage was hiding; long liquidations below are fast and "
    "springy.",
    estimand="speed and range while traversing dense less matched sparse bins; rebound after "
    "sweeps below less after sweeps above",
    null="0: matched sparse bins of the same side, distance and approach speed",
    statistic="traverse_speed",
    unit="share",
    smallest_effect=0.05,
    pass_rule="97.5 % lower bound above 0",
    number="4b",
)

STATISTICS: Final = (
    Statistic(
        id="traverse_speed",
        claim="acceleration",
        label="Speed through dense less matched sparse bins",
        unit=POINTS,
        null="matched sparse bins",
        day_sums=None,
        needs=("crossings",),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
