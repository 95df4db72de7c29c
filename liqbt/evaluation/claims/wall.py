"""Whether a wall before a cluster is another setup.

At every hour, of the bands of depth before clusters (`liqbt.evaluation.walls`),

    −(passed − passed on the other side) = β wall + γ mirror wall
        + s(d) (δ₀ + δ₁ outward + δ₂ rank + δ₃ trends) + e,   s(d) = 4 d Φ(−d):

how much less often the price goes through a cluster's band where a wall stands in it than where
none does, at the same distance, in the same hour, with the same trends and density. Whatever makes
both sides more likely cancels (decision 0018). The claim names no sign; the one that is registered
is that walls hold, so that the test is one-sided.

No cross of wall and cluster decides: where walls stand before clusters only, as they are claimed
to, there is no wall without a cluster to compare them with (decision 0036).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.evaluation.bins import drift_response
from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import slope_days
from liqbt.evaluation.statistic import POINTS, Cell, Group, Reading, Statistic
from liqbt.evaluation.walls import WINDOW_NS, WalledClusters

CLAIM: Final = Claim(
    id="wall",
    words="A wall just before a cluster is a different setup from a naked cluster.",
    estimand="how much less often the price goes through the band before a cluster within 4 h "
    "where the published depth shows a wall in it, at equal distance, trends and density, less the "
    "same of the mirror image",
    null="0: with a wall and without the price goes through equally often",
    statistic="wall_holds",
    horizon="4h",
    unit="share",
    smallest_effect=0.05,
    pass_rule="97.5 % lower bound above 0: the registered sign is that walls hold",
    number="8",
    status=ClaimStatus.TESTABLE,
    absent="no depth is fed: whether a wall stands before a cluster is not known",
)
"""Five points are the least that would change what is done at a cluster: at a typical one, passed
one time in four within four hours, that is every fifth of these times."""

TRIAL: Final = Trial(
    strengths=(0.1, 0.3, 1.0),
    measure="walls.held_effects",
    effects=("held_twin", "held_mirror"),
    world="walls",
    nulls=("decoys",),
    oracle=False,
)

HELD: Final = Group(
    id="walls",
    title="Walls before clusters",
    units="Hours with a wall",
    intro="How much less often the price goes through a cluster that a wall stands before.",
    note="Of the bands of published depth in which a cluster begins: how much less often the price "
    "goes through one that holds a wall, half as much again as a typical band, within four hours, "
    "than through one that holds none. 0 is what no information gives.",
    charts=("forest",),
)


def held_days(rows: WalledClusters) -> DaySums:
    """Return what each day adds to how much less often a walled cluster is passed."""
    drift = drift_response(rows.distance_sigma)
    controls = np.column_stack(
        [
            rows.mirror_wall,
            drift,
            drift * rows.outward,
            drift * rows.rank,
            drift[:, None] * rows.trend,
        ]
    )
    return slope_days(
        rows.at, rows.wall, -rows.passed, controls, n_units=int(np.count_nonzero(rows.wall))
    )


def _held(evidence: Evidence, cell: Cell) -> DaySums | None:
    rows = evidence.walled_clusters(cell.market)
    return None if rows is None else held_days(rows)


STATISTICS: Final = (
    Statistic(
        id="wall_holds",
        claim="wall",
        label="Passed less often behind a wall",
        unit=POINTS,
        null="clusters without a wall",
        day_sums=_held,
        needs=("depth",),
        group=HELD,
        reading=Reading(
            text="The price goes through clusters behind a wall less often than through naked "
            "ones, by {value}."
        ),
        effect="Caused: passed less often within 4 h, share",
        conditional=False,
        horizon_ns=WINDOW_NS,
    ),
)
