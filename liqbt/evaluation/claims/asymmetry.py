"""Whether the asymmetry matters more than the absolute numbers."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import MILLINATS, Statistic

CLAIM: Final = Claim(
    id="asymmetry",
    words="The asymmetry matters more than the absolute numbers.",
    estimand="log-score gain out of sample of ln(N_down/N_up), beside the controls and the signed "
    "sizes; and of the signed sizes beside the ratio",
    null="0: the model without it",
    statistic="asymmetry_gain",
    unit="nats",
    smallest_effect=0.005,
    pass_rule="97.5 % lower bound above 0 for the ratio, and not for the signed sizes",
    number="6",
)

STATISTICS: Final = (
    Statistic(
        id="asymmetry_gain",
        claim="asymmetry",
        label="Gain of the ratio beside the sizes",
        unit=MILLINATS,
        null="the model without it",
        day_sums=None,
        needs=("landmarks",),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
