"""Whether liquidations fall where the map says."""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.statistic import MILLINATS, Statistic

CLAIM: Final = Claim(
    id="location",
    words="Liquidation prices are predictable from entry zones and leverage brackets.",
    estimand="information gain per liquidation, conditional on the path, in nats",
    null="0 against every baseline, and against maps permuted within distance and side",
    statistic="information_gain",
    unit="nats",
    smallest_effect=0.01,
    pass_rule="97.5 % lower bound above 0 against every baseline; nearer to true positions than "
    "every baseline where they are published",
    number="1",
)

STATISTICS: Final = (
    Statistic(
        id="information_gain",
        claim="location",
        label="Information gain per liquidation",
        unit=MILLINATS,
        null="the path alone, and every baseline",
        day_sums=None,
        needs=(
            "liquidations",
            "histories",
        ),
    ),
)
"""Not computed by this version: what it would need is not observed yet."""
