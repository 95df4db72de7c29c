"""Whether moves accelerate through dense levels, and spring back after them.

A touch of a dense bin is held against matched touches of sparse bins (`liqbt.evaluation.touches`).
What is compared is speed over what volatility now gives, so that a busy hour is not a dense place.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.statistic import Better, Cell, Group, Reading, Statistic, Summed, Unit
from liqbt.evaluation.touches import COVARIATES, Matched, at_bins

CLAIM: Final = Claim(
    id="acceleration",
    words="Moves accelerate where leverage was hiding; long liquidations below are fast and "
    "springy.",
    estimand="speed of the ten minutes after a touch, over what volatility now gives: log, dense "
    "less matched sparse bins; rebound of the hour after, bins below less bins above",
    null="0: matched touches of sparse bins of the same side, distance, age, approach and "
    "volatility",
    statistic="traverse_speed",
    unit="ratio",
    smallest_effect=0.10,
    pass_rule="97.5 % lower bound above 0",
    number="4b",
    status=ClaimStatus.TESTABLE,
)
"""A tenth is what the clock alone changes from one hour to the next (the profile of hours in
`liqbt.simulate.sections`): less would not be noticed beside it."""

TRIAL: Final = Trial(
    strengths=(1.0, 2.0, 4.0, 8.0),
    measure="acceleration.acceleration_effects",
    effects=("log_speed_ratio", "speed_ratio"),
    beside=("traverse_speed_over_others",),
    also_true=("chain", "stops"),
    causal=True,
    oracle=False,
)

LOG_RATIO: Final = Unit(name="%", scale=100.0, decimals=1)
"""A log ratio times 100: about per cent."""
SIGMAS: Final = Unit(name="σ", decimals=2)
DEVIATIONS: Final = Unit(name="SD", decimals=2)

SPEED: Final = Group(
    id="acceleration",
    title="Speed and rebound at dense levels",
    units="Dense touches",
    intro="How much faster the price moves once it has come to a dense bin than at matched sparse "
    "ones, and what it gives back.",
    note="A touch is the price's arrival at a bin of the map that stood before the approach began; "
    "sparse bins are its placebos, matched on side, distance, age, approach and volatility. Random "
    "levels: all bins that are not dense. Speed is in log points, 100 times the log of the ratio; "
    "a rebound in σ of an hour. 0 is what no information gives.",
    charts=("forest",),
)
BALANCE: Final = Group(
    id="touch_balance",
    title="Balance of dense and matched sparse touches",
    units="Dense touches",
    intro="Standardised mean differences within strata, before the covariates are held equal "
    "within them.",
    note="Dense less matched sparse, in standard deviations of the covariate over both. What is "
    "left within strata is taken out of every comparison; beyond 0.25 that would rest on its being "
    "linear.",
    folded=True,
)


def matched_bins(evidence: Evidence, cell: Cell, *, others: bool = False) -> Matched | None:
    """Return a market's touches of dense bins beside their placebos; None where there is none."""
    name = "random levels" if others else "sparse bins"
    found = evidence.matched(cell.market, name, lambda rows: at_bins(rows, others=others))
    return found if found.dense.any() and not found.dense.all() else None


def compared(field: str, *, others: bool = False) -> Summed:
    """Return the day sums of an outcome at dense bins less that at matched placebos."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        found = matched_bins(evidence, cell, others=others)
        return None if found is None else found.days(found.rows[field].astype(np.float64))

    return summed


def _springy(evidence: Evidence, cell: Cell) -> DaySums | None:
    """Return the day sums of the rebound's difference below, less that above."""
    found = matched_bins(evidence, cell)
    if found is None:
        return None
    dose = np.where(found.rows["side"] > 0, 0.5, -0.5) * found.dense
    return found.days(found.rows["rebound"], dose)


def _balance(field: str) -> Summed:
    """Return the day sums of a covariate's standardised mean difference within strata."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        found = matched_bins(evidence, cell)
        if found is None:
            return None
        values = found.rows[field]
        spread = float(values.std())
        return found.days(values / spread, plain=True) if spread > 0.0 else None

    return summed


STATISTICS: Final = (
    Statistic(
        id="traverse_speed",
        claim="acceleration",
        label="Speed at dense less matched sparse bins",
        column="Speed",
        unit=LOG_RATIO,
        null="matched touches of sparse bins",
        day_sums=compared("speed"),
        needs=("touches",),
        group=SPEED,
        tolerance=0.02,
        conditional=False,
        reading=Reading(
            text="Once the price has come to a dense bin it moves faster than at matched sparse "
            "bins by {value} ({n} touches).",
            absent="The prices are too coarse to see what happens at a bin.",
        ),
        effect="Caused: log of speed in dense over sparse places",
    ),
    Statistic(
        id="traverse_speed_over_others",
        claim="acceleration",
        label="Speed at dense bins less random levels",
        column="Speed, less random levels",
        unit=LOG_RATIO,
        null="matched touches of any bin that is not dense",
        day_sums=compared("speed", others=True),
        needs=("touches",),
        group=SPEED,
        tolerance=0.02,
        conditional=False,
    ),
    Statistic(
        id="rebound",
        claim="acceleration",
        label="Rebound at dense less matched sparse bins",
        column="Rebound",
        unit=SIGMAS,
        null="matched touches of sparse bins",
        day_sums=compared("rebound"),
        needs=("touches",),
        group=SPEED,
        tolerance=0.02,
        conditional=False,
    ),
    Statistic(
        id="rebound_below",
        claim="acceleration",
        label="Rebound at dense bins, below less above",
        column="Rebound, below less above",
        unit=SIGMAS,
        null="long liquidations as springy as short ones",
        day_sums=_springy,
        needs=("touches",),
        group=SPEED,
        tolerance=0.02,
        conditional=False,
    ),
    *(
        Statistic(
            id=f"touch_balance_{field}",
            claim="acceleration",
            label=f"Balance: {words}",
            column=words[0].upper() + words[1:],
            unit=DEVIATIONS,
            null="the same at dense and sparse bins",
            day_sums=_balance(field),
            needs=("touches",),
            better=Better.NEITHER,
            group=BALANCE,
            tolerance=0.05,
            conditional=False,
        )
        for field, words in COVARIATES.items()
    ),
)
