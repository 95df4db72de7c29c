"""Whether stops inside clusters get hit more."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import POINTS, Statistic

CLAIM: Final = Claim(
    id="stops",
    words="Stops inside clusters get hit more.",
    estimand="stop-hit difference at the last price, dense less sparse, same side, within 0.1 σ, "
    "matched on the covariates of the placebo probability; and the net outcome after costs",
    null="0: a stop as far away outside a cluster",
    statistic="stop_hit_difference",
    unit="share",
    smallest_effect=0.02,
    least_bound=0.02,
    pass_rule="97.5 % lower bound above 2 points, and the sparse stop loses less",
    number="9",
)

STATISTICS: Final = (
    Statistic(
        id="stop_hit_difference",
        claim="stops",
        label="Stops hit, dense less sparse",
        unit=POINTS,
        null="a stop as far away outside a cluster",
        day_sums=None,
        needs=("touches",),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
