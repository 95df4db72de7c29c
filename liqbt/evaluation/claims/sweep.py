"""Whether dense levels are swept before the price turns.

A sweep is what the price has gone through of the map that stood before its approach, with a memory
of half an hour. After much of it the price is to return by one σ of an hour before it extends by
one, more often than after matched touches that went as far, as fast, and through less.
"""

from __future__ import annotations

from typing import Final

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.statistic import POINTS, Cell, Group, Reading, Statistic, Summed
from liqbt.evaluation.touches import after_sweeps

CLAIM: Final = Claim(
    id="sweep",
    words="The market visits clusters before the real move (sweep and reversal).",
    estimand="P(return by 1 σ of an hour before an extension by it, within 4 h; neither: ½) once "
    "much of the map was swept, less matched touches that swept little",
    null="0: touches of equal side, distance, age, approach, volatility and range of the sweep",
    statistic="reversal_lift",
    unit="share",
    smallest_effect=0.05,
    pass_rule="97.5 % lower bound above 0",
    number="7",
    status=ClaimStatus.TESTABLE,
)
"""Less than 5 points pays nobody: ± σ of an hour, 54 bp at 2.65 % a day, times twice 5 points is
5.4 bp, the fees of two maker orders and a little."""

TRIAL: Final = Trial(
    strengths=(1.0, 2.0, 4.0),
    measure="reversal.reversal_effects",
    effects=("return_twin", "return_placebo"),
    beside=("reversal_lift_over_others",),
    world="sweep_reversal",
    causal=True,
    oracle=False,
)

REVERSALS: Final = Group(
    id="reversals",
    title="Reversals after sweeps",
    units="Dense touches",
    intro="How much more often the price turns back by one σ of an hour before it goes on by one, "
    "once it has swept much of the map.",
    note="Swept: the densities of the bins that were met, with a half-life of half an hour; the "
    "top fifth of a market's touches against those below the median, or against all others (random "
    "levels), at equal side, distance, age, approach, volatility and number of bins. One that does "
    "neither within four hours counts half. 0 is what no information gives.",
    charts=("forest",),
)


def _reversed(*, others: bool) -> Summed:
    """Return the day sums of returns after dense sweeps less those at matched touches."""
    name = "sweeps, random levels" if others else "sweeps"

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        found = evidence.matched(cell.market, name, lambda rows: after_sweeps(rows, others=others))
        return found.days(found.rows["returned"]) if found.dense.any() else None

    return summed


STATISTICS: Final = (
    Statistic(
        id="reversal_lift",
        claim="sweep",
        label="Reversals after dense less placebo sweeps",
        column="Lift",
        unit=POINTS,
        null="matched touches that swept little",
        day_sums=_reversed(others=False),
        needs=("touches",),
        group=REVERSALS,
        tolerance=0.01,
        conditional=False,
        reading=Reading(
            text="Once it has swept dense levels the price turns back before it goes on more often "
            "than at matched touches by {value} ({n} touches)."
        ),
        effect="Caused: returns after sweeps, points",
    ),
    Statistic(
        id="reversal_lift_over_others",
        claim="sweep",
        label="Reversals after dense sweeps less random levels",
        column="Lift over random levels",
        unit=POINTS,
        null="matched touches at random levels",
        day_sums=_reversed(others=True),
        needs=("touches",),
        group=REVERSALS,
        tolerance=0.01,
        conditional=False,
    ),
)
