"""Whether liquidations lie just past support and resistance, and not just before it.

The first way through a zone that nobody visited for hours forces much, whatever it lies beyond: on
real hours just beyond a swing as well as just before one. So the two are held against each other,
beside the price-only twin's own expectation of either, given the hour's path.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.forced_models import STAND_INS, TWIN
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import slope_days
from liqbt.evaluation.statistic import Cell, Group, Reading, Statistic, Summed, Unit

CLAIM: Final = Claim(
    id="placement",
    words="Clusters lie just past obvious support and resistance.",
    estimand="logarithm of the ratio of what is forced per bin just beyond swings to that just "
    "before them, both unvisited for hours, given the hour's path and the price-only twin",
    null="0, a ratio of 1: as much is forced just before swings as just beyond them",
    statistic="beyond_swing_ratio",
    unit="ratio",
    smallest_effect=0.1,
    least_bound=0.1,
    pass_rule="97.5 % lower bound of the ratio above 1.1 (the estimator's own clusters would be "
    "circular: only realised liquidations count)",
    number="2",
    status=ClaimStatus.TESTABLE,
    absent="no liquidation is fed (or the map has no price-only twin): where orders were forced is "
    "not known",
)

TRIAL: Final = Trial(
    strengths=(0.25, 0.5, 1.0),
    measure="placement.placement_effects",
    effects=("placed_ratio", "beyond_ratio"),
    oracle=False,
)

LOG_RATIO: Final = Unit(name="log ratio")
"""Written as it is: 0.1 is a ratio of 1.11."""

PLACEMENT: Final = Group(
    id="placement",
    title="Just beyond swings and just before them",
    units="Hours",
    intro="What is forced where the price goes for the first time in hours, near a confirmed swing "
    "that it had not passed.",
    note="Logarithms of ratios: 0 is as much as elsewhere on the same path, 0.1 a tenth more. "
    "Beyond over before: the placement claim rests on it.",
)


def _slope(which: int | None) -> Summed:
    """Return the slope of what is forced on the shares: of one of them, or of their difference."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        models = evidence.forced_models(cell.market)
        if models is None or not models.has_twin:
            return None
        whole = models.table["fresh_24h"]
        held = np.where(whole > 0.0, whole, 1.0)
        shares = np.column_stack([models.table[name] / held for name in ("beyond", "before")])
        if which is None:
            dose, other = 0.5 * (shares[:, 0] - shares[:, 1]), shares.sum(axis=1)
        else:
            dose, other = shares[:, which], shares[:, 1 - which]
        controls = np.column_stack([models.beside((*STAND_INS, *TWIN)), other])
        n_units = int(np.unique(models.at[shares.any(axis=1)]).size)
        return slope_days(models.at, dose, models.response, controls, n_units=n_units)

    return summed


def _statistic(name: str, column: str, which: int | None, null: str, **fields: Any) -> Statistic:
    return Statistic(
        id=name,
        claim="placement",
        label=f"Forced {column[:1].lower()}{column[1:]}",
        column=column,
        unit=LOG_RATIO,
        null=null,
        day_sums=_slope(which),
        needs=("crossings", "twin"),
        group=PLACEMENT,
        tolerance=0.02,
        conditional=False,
        **fields,
    )


STATISTICS: Final = (
    _statistic(
        "beyond_swing_ratio",
        "Just beyond swings over just before",
        None,
        "as much just before swings",
        reading=Reading(
            text="Just beyond swings what is forced differs from just before them by {value} in "
            "logarithms, given the path, {n} hours."
        ),
        effect="Placed: entrants just beyond a swing, over chance",
    ),
    _statistic("beyond_swings", "Just beyond swings", 0, "as elsewhere on the same path"),
    _statistic("before_swings", "Just before swings", 1, "as elsewhere on the same path"),
)
