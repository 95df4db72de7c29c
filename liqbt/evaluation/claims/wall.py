"""Whether a wall before a cluster is another setup."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import POINTS, Statistic

CLAIM: Final = Claim(
    id="wall",
    words="A wall just before a cluster is a different setup from a naked cluster.",
    estimand="wall × cluster interaction on visit, pass-through and the move after the touch",
    null="0: no interaction",
    statistic="wall_interaction",
    unit="share",
    smallest_effect=0.05,
    pass_rule="two-sided p below 0.05 after Holm, of the registered sign",
    number="8",
)

STATISTICS: Final = (
    Statistic(
        id="wall_interaction",
        claim="wall",
        label="Wall and cluster together",
        unit=POINTS,
        null="no interaction",
        day_sums=None,
        needs=(
            "depth",
            "touches",
        ),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
