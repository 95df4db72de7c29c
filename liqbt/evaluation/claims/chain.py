"""Whether each liquidation pushes the price to the next.

A **burst** is what was forced of one side at one instant. What follows it is held against what
follows moves of equal size and sign, in the same state, at which nothing was forced
(`liqbt.evaluation.bursts`):

    y/σ = β F/σ + (1, 1/σ, past moves/σ)·γ + e,

y the log move over the hour that follows the instant, F the signed share of open interest that was
forced (0 in a reference row), past moves those over 15 minutes to three days up to the row and the
one since the price before it. β is how far 1 % of open interest pushes. Forced flow is a function
of the path, and so is whatever a move of that size does by itself: that is in γ.

The chain half asks of the same rows how much sooner the next cluster in the flow's direction is
reached than the level as far on the other side:

    sooner = β |F| + s(d) (γ₀ + γ₁ outward + past moves·outward/σ · γ) + e,

s(d) what a drift does to that difference at distance d. Whatever makes both sides more likely, such
as volatility, cancels in it.

Sums by the hour hold the push inside the hour, in its own move. What follows the hour is then what
is left of the push, and its fading: `forced_push_hours` is shown, and decides nothing (decision
0036).

Source: linear models with partialled-out controls (Frisch and Waugh 1933; Lovell 1963); weights by
volatility as in Aitken (1935), On least squares and linear combination of observations.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.evaluation.bursts import WINDOW_NS, Bursts
from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import slope_days
from liqbt.evaluation.statistic import Cell, Group, Reading, Statistic, Unit
from liqbt.types import FloatArray

CLAIM: Final = Claim(
    id="chain",
    words="Each liquidation pushes the price toward the next (fuel, chain reaction).",
    estimand="log move over the hour after forced orders, for each 1 % of open interest, less what "
    "follows moves of equal size, sign and state at which nothing was forced; and how much sooner "
    "the next cluster in the flow's direction is reached than its mirror image",
    null="0: forced or not, equal moves are followed by the same",
    statistic="forced_push",
    horizon="1h",
    unit="bp for 1 %",
    smallest_effect=10.0,
    also_above=("next_cluster_sooner",),
    pass_rule="97.5 % lower bounds above 0 of the push and of the next cluster's being reached "
    "sooner",
    number="4",
    status=ClaimStatus.TESTABLE,
    absent="no liquidation is fed with its own time and price (or prices are more than 15 minutes "
    "apart): an hourly total holds the push inside its hour, and no next cluster can be told",
)
"""The smallest effect that matters: 1 % of open interest, forced, that moves the price by less than
10 bp does not pay one round trip at the taker's fee of 5 bp."""

TRIAL: Final = Trial(
    strengths=(0.1, 0.2, 0.3, 0.6),
    measure="fuel.fuel_effects",
    effects=("after_forced_pushed", "after_forced"),
    beside=("next_cluster_sooner", "forced_push_hours"),
    world="fuel",
    causal=True,
    oracle=False,
)

BP_FOR_PERCENT: Final = Unit(name="bp for 1 %", decimals=1)
MINUTES: Final = Unit(name="min for 1 %", scale=60.0, decimals=1)

AFTER: Final = Group(
    id="bursts",
    title="After forced flow",
    units="Bursts",
    intro="What follows liquidations, beyond what follows equal moves at which nothing was forced.",
    note="Push: how far the price goes in the hour after forced orders, for each 1 % of open "
    "interest that they are, in their direction, beyond what moves of equal size and sign are "
    "followed by. Next cluster: by how much sooner the next cluster ahead is reached than the "
    "level as far on the other side. After an hour: the same push after hours, of what was forced "
    "in them together; the push itself lies inside the hour then, and what follows is its fading. "
    "0 is what no information gives.",
    charts=("forest",),
)


def push_days(bursts: Bursts) -> DaySums:
    """Return what each day adds to the push of 1 % of open interest, bp."""
    inverse = 1.0 / bursts.sigma
    controls = np.column_stack(
        [np.ones(len(inverse)), inverse, bursts.past * inverse[:, None]],
    )
    return slope_days(
        bursts.at,
        bursts.forced * inverse,
        1e4 * bursts.response * inverse,
        _unit_length(controls),
        n_units=bursts.n_bursts,
    )


def _unit_length(controls: FloatArray) -> FloatArray:
    """Return controls of one length: what they span is the same, and found more exactly."""
    length = np.linalg.norm(controls, axis=0)
    return np.asarray(controls / np.where(length > 0.0, length, 1.0))


def _push(evidence: Evidence, cell: Cell) -> DaySums | None:
    bursts = evidence.bursts(cell.market)
    return None if bursts is None else push_days(bursts)


def _push_hours(evidence: Evidence, cell: Cell) -> DaySums | None:
    bursts = evidence.burst_hours(cell.market)
    return None if bursts is None else push_days(bursts)


def _sooner(evidence: Evidence, cell: Cell) -> DaySums | None:
    """Sum by day what the size of a burst adds to its next cluster's being reached sooner."""
    bursts, levels = evidence.bursts(cell.market), evidence.next_levels(cell.market)
    if bursts is None or levels is None:
        return None
    row, outward = levels.row, levels.outward
    past = bursts.past[row] * (outward / bursts.sigma[row])[:, None]
    controls = np.column_stack([np.ones(len(row)), outward, past]) * levels.response[:, None]
    return slope_days(
        bursts.at[row],
        np.abs(bursts.forced[row]),
        levels.sooner,
        _unit_length(controls),
        n_units=int(np.count_nonzero(row < bursts.n_bursts)),
    )


STATISTICS: Final = (
    Statistic(
        id="forced_push",
        claim="chain",
        label="Push of 1 % of open interest, forced, over an hour",
        column="Push",
        unit=BP_FOR_PERCENT,
        null="equal moves that were not forced",
        day_sums=_push,
        needs=("bursts",),
        group=AFTER,
        reading=Reading(
            text="In the hour after liquidations the price goes on in their direction by {value} "
            "of open interest, beyond what equal moves without liquidations are followed by.",
        ),
        effect="Caused: move in the hour after forced flow, bp for 1 % of open interest",
        conditional=False,
        horizon_ns=WINDOW_NS,
    ),
    Statistic(
        id="next_cluster_sooner",
        claim="chain",
        label="Next cluster ahead of forced flow before its mirror image",
        column="Next cluster sooner",
        unit=MINUTES,
        null="equal moves that were not forced",
        day_sums=_sooner,
        needs=("bursts",),
        group=AFTER,
        reading=Reading(
            text="Within an hour the next cluster ahead of liquidations is reached sooner than "
            "the level as far on the other side by {value} of open interest.",
        ),
        conditional=False,
        horizon_ns=WINDOW_NS,
    ),
    Statistic(
        id="forced_push_hours",
        claim="chain",
        label="Move in the hour after an hour of forced flow",
        column="After an hour",
        unit=BP_FOR_PERCENT,
        null="equal moves that were not forced",
        day_sums=_push_hours,
        needs=("burst_hours",),
        group=AFTER,
        reading=Reading(
            text="In the hour after an hour with liquidations the price goes on in their direction "
            "by {value} of open interest, beyond what equal moves are followed by; the push itself "
            "lies inside the hour before.",
        ),
        conditional=False,
        horizon_ns=WINDOW_NS,
    ),
)
