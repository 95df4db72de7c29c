"""Whether the asymmetry matters more than the absolute numbers: which of them foretells the drift.

Ratio and signed size are held against each other in one regression of the next hour's return,
trends beside both (Mizon and Richard 1986, The encompassing principle and its application to
testing non-nested hypotheses): each is asked what it adds to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.hours import Hours, drift_days
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.statistic import SIGMA_A_DAY, Cell, Group, Statistic, Summed
from liqbt.types import HOUR_NS, FloatArray

CLAIM: Final = Claim(
    id="asymmetry",
    words="The asymmetry matters more than the absolute numbers.",
    estimand="drift of the next hour for each unit of the near asymmetry (U − D)/(U + D), given "
    "trends, the signed size U − D over its usual level, and ln(U + D); and for each unit of the "
    "signed size, given trends and the asymmetry",
    null="0: the ratio foretells nothing that the sizes do not",
    statistic="ratio_beside_sizes",
    horizon="1h",
    unit="σ a day",
    smallest_effect=0.3,
    least_bound=0.2,
    also_positive=("ratio_over_size",),
    not_above=("size_beside_ratio",),
    pass_rule="97.5 % lower bound above 0.2 σ a day for the ratio beside the sizes, that of the "
    "signed size beside the ratio not above 0, and the ratio foretells more than the size does",
    number="6",
    status=ClaimStatus.TESTABLE,
)

TRIAL: Final = Trial(
    strengths=(1.0, 2.0, 3.0),
    measure="drive.drive_effects",
    effects=("ratio_toward_given_absolute", "ratio_given_absolute"),
    world="ratio",
    also_true=("direction", "magnet"),  # jumps lean by the ratio; a pull by which side is denser
    nulls=("absolute",),  # the signed size drives, and the ratio follows it
    oracle=False,  # its mass is always the same: ratio and size are one
)

ENCOMPASSING: Final = Group(
    id="encompassing",
    title="Asymmetry against absolute size",
    units="Windows",
    intro="Where the price goes in the next hour, in σ a day: what the ratio of near mass adds to "
    "its size, and the size to the ratio.",
    note="The ratio is (U − D)/(U + D) of near mass, the size U − D over what U + D was on average "
    "in the thirty days before, both given trends of three and seven days. 0 is what adds nothing.",
    charts=("forest",),
)


def _ratio(evidence: Evidence, cell: Cell) -> DaySums:
    hours = evidence.hours(cell.market, cell.horizon_ns)
    return _drift(hours, hours.near, [hours.size, hours.total], cell)


def _size(evidence: Evidence, cell: Cell) -> DaySums:
    hours = evidence.hours(cell.market, cell.horizon_ns)
    return _drift(hours, hours.size, [hours.near, hours.total], cell)


def _over(evidence: Evidence, cell: Cell) -> DaySums:
    """Return the day sums of half the difference of both slopes, each for a deviation of its own.

    With b z_ratio + c z_size = ½(b + c)(z_ratio + z_size) + ½(b − c)(z_ratio − z_size) it is the
    slope on the difference beside the sum.
    """
    hours = evidence.hours(cell.market, cell.horizon_ns)
    ratio, size = _scaled(hours.near), _scaled(hours.size)
    return _drift(hours, ratio - size, [ratio + size, hours.total], cell)


def _drift(hours: Hours, dose: FloatArray, beside: Sequence[FloatArray], cell: Cell) -> DaySums:
    response = hours.diffusion + hours.jumps
    return drift_days(hours, dose, response, cell.horizon_ns, [hours.past, *beside])


def _scaled(values: FloatArray) -> FloatArray:
    """Return values over their root mean square, 0 where all are 0."""
    scale = float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
    return values / scale if scale > 0.0 else values


def _statistic(name: str, column: str, day_sums: Summed, null: str) -> Statistic:
    return Statistic(
        id=name,
        claim="asymmetry",
        label=f"Drift toward near mass: {column[0].lower()}{column[1:]}",
        column=column,
        unit=SIGMA_A_DAY,
        null=null,
        day_sums=day_sums,
        needs=("hours",),
        group=ENCOMPASSING,
        horizon_ns=HOUR_NS,
    )


STATISTICS: Final = (
    _statistic(
        "ratio_beside_sizes", "Ratio beside sizes", _ratio, "no drift, given trends and sizes"
    ),
    _statistic(
        "size_beside_ratio", "Signed size beside the ratio", _size, "no drift, given trends, ratio"
    ),
    _statistic(
        "ratio_over_size", "Ratio less signed size", _over, "both foretell as much of the drift"
    ),
)
