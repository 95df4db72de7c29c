"""Whether stops inside clusters get hit more, once the price has come to them.

Of two stops at one distance from a price that has just arrived, one lies in a dense place and one
in a sparse place. That stops 0.1 σ of a day apart differ says nothing: by the walk alone the nearer
is hit 5 to 8 points more often within a day of its placing, and 17 points within the four hours
after a touch. So the difference of the two distances has that of matched sparse touches beside it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.evaluation.claims.acceleration import compared, matched_bins
from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.statistic import POINTS, Cell, Group, Reading, Statistic, Unit

CLAIM: Final = Claim(
    id="stops",
    words="Stops inside clusters get hit more.",
    estimand="a stop 0.1 σ of a day beyond a touch is hit within 4 h, dense less matched sparse "
    "bins; what the position loses, and a stop 0.2 σ beyond",
    null="0: a stop as far beyond a matched touch of a sparse bin",
    statistic="stop_hit_difference",
    unit="share",
    smallest_effect=0.05,
    also_positive=("stop_loss_difference",),
    pass_rule="97.5 % lower bound above 0, and the sparse stop loses less",
    number="9",
    status=ClaimStatus.TESTABLE,
)
"""Five points are what a stop gains that is moved by 0.03 σ of a day, 8 bp at 2.65 % a day: about
the spread and the fee that moving it costs."""

TRIAL: Final = Trial(
    strengths=(0.1, 0.2, 0.35),
    measure="stops.stop_run_effects",
    effects=("stop_run_twin", "stop_run"),
    beside=("stop_hit_difference_over_others", "stop_loss_difference"),
    also_true=("chain",),
    causal=True,
    oracle=False,
)

STOPPED: Final = Group(
    id="stops",
    title="Stops at dense levels",
    units="Dense touches",
    intro="How much more often a stop just ahead is hit once the price has come to a dense bin, "
    "and what that costs.",
    note="A stop lies 0.1 σ of a day beyond the price at a touch and is watched for four hours; "
    "matched touches of sparse bins, or of all others (random levels), are the placebo. Inside "
    "less beyond: of the touches of dense bins, hits of that stop less hits of one twice as far. "
    "Loss: of a position that is entered at the touch, with fees and slippage, in σ of a day; a "
    "point that hits a stop lies beyond it, and that is paid.",
    charts=("forest",),
)

_LOSS: Final = Unit(name="σ", decimals=3)


def _lost(evidence: Evidence, cell: Cell) -> DaySums | None:
    found = matched_bins(evidence, cell)
    return None if found is None else found.days(-found.rows["earned"])


def _inside_less_beyond(evidence: Evidence, cell: Cell) -> DaySums | None:
    found = matched_bins(evidence, cell)
    if found is None:
        return None
    hit = [found.rows[name].astype(np.float64) for name in ("stopped", "stopped_beyond")]
    return found.days(hit[0] - hit[1])


STATISTICS: Final = (
    Statistic(
        id="stop_hit_difference",
        claim="stops",
        label="Stops hit, dense less matched sparse bins",
        column="Hits",
        unit=POINTS,
        null="a stop as far beyond a matched touch of a sparse bin",
        day_sums=compared("stopped"),
        needs=("touches",),
        group=STOPPED,
        tolerance=0.01,
        conditional=False,
        reading=Reading(
            text="A stop just beyond a dense bin that the price has come to is hit more often than "
            "one beyond a matched sparse bin by {value} ({n} touches)."
        ),
        effect="Caused: stops hit, dense less sparse, points",
    ),
    Statistic(
        id="stop_hit_difference_over_others",
        claim="stops",
        label="Stops hit, dense bins less random levels",
        column="Hits, less random levels",
        unit=POINTS,
        null="a stop as far beyond a matched touch of any bin that is not dense",
        day_sums=compared("stopped", others=True),
        needs=("touches",),
        group=STOPPED,
        tolerance=0.01,
        conditional=False,
    ),
    Statistic(
        id="stop_beyond_difference",
        claim="stops",
        label="Stops hit 0.2 σ beyond, dense less matched sparse bins",
        column="Hits, 0.2 σ beyond",
        unit=POINTS,
        null="a stop as far beyond a matched touch of a sparse bin",
        day_sums=compared("stopped_beyond"),
        needs=("touches",),
        group=STOPPED,
        tolerance=0.01,
        conditional=False,
    ),
    Statistic(
        id="stop_inside_less_beyond",
        claim="stops",
        label="Stops hit 0.1 σ less 0.2 σ beyond, dense less matched sparse bins",
        column="Inside less beyond",
        unit=POINTS,
        null="the same difference of distances at matched touches of sparse bins",
        day_sums=_inside_less_beyond,
        needs=("touches",),
        group=STOPPED,
        tolerance=0.01,
        conditional=False,
    ),
    Statistic(
        id="stop_loss_difference",
        claim="stops",
        label="Loss with a stop, dense less matched sparse bins",
        column="Loss",
        unit=_LOSS,
        null="a position at a matched touch of a sparse bin",
        day_sums=_lost,
        needs=("touches",),
        group=STOPPED,
        tolerance=0.005,
        conditional=False,
    ),
)
