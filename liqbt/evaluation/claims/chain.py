"""Whether each liquidation pushes the price to the next."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import POINTS, Statistic

CLAIM: Final = Claim(
    id="chain",
    words="Each liquidation pushes the price toward the next (fuel, chain reaction).",
    estimand="impact, and hazard of reaching the next cluster, after forced flow less after equal "
    "shocks that were not forced, in the same state",
    null="0; and a time-varying Poisson process out of sample",
    statistic="forced_flow_impact",
    unit="share",
    smallest_effect=0.02,
    pass_rule="all 97.5 % lower bounds above 0",
    number="4",
)

STATISTICS: Final = (
    Statistic(
        id="forced_flow_impact",
        claim="chain",
        label="Impact after forced flow less after equal shocks",
        unit=POINTS,
        null="matched shocks that were not forced",
        day_sums=None,
        needs=(
            "liquidations",
            "bursts",
        ),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
