"""Whether a visit is swept and reversed."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import POINTS, Statistic

CLAIM: Final = Claim(
    id="sweep",
    words="The market visits clusters before the real move (sweep and reversal).",
    estimand="P(return by kσ before an extension by kσ) at the sweep, dense less placebo touches "
    "of the same approach speed",
    null="0: touches of random levels at the same approach speed",
    statistic="reversal_lift",
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound above 0",
    number="7",
)

STATISTICS: Final = (
    Statistic(
        id="reversal_lift",
        claim="sweep",
        label="Reversals at dense less placebo touches",
        unit=POINTS,
        null="touches of random levels at the same approach speed",
        day_sums=None,
        needs=("touches",),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
