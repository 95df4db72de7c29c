"""Whether clusters lie just past support and resistance."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import RATIO, Statistic

CLAIM: Final = Claim(
    id="placement",
    words="Clusters lie just past obvious support and resistance.",
    estimand="realised forced notional per traversed bin just beyond swings, over matched bins",
    null="1: as much as in bins at the same distance that are not beyond a swing",
    statistic="beyond_swing_ratio",
    unit="ratio",
    smallest_effect=0.1,
    least_bound=0.1,
    pass_rule="97.5 % lower bound of the ratio above 1.1 (the estimator's own clusters would be "
    "circular: only realised liquidations count)",
    number="2",
)

STATISTICS: Final = (
    Statistic(
        id="beyond_swing_ratio",
        claim="placement",
        label="Forced notional beyond swings over before",
        unit=RATIO,
        null="as much as in matched bins",
        day_sums=None,
        needs=(
            "liquidations",
            "crossings",
        ),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
