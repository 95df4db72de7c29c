"""Whether dense levels attract the price: drift toward near mass, dose–response, mirror lifts.

The claim rests on the **drift**: at every hour, the return of the next four hours on the map's near
asymmetry (`liqbt.evaluation.hours`), beside what trends of three and seven days foretell. Jumps are
left out of the return: a pull acts all the time, and sudden moves that lean to the crowded side
are the direction claim's (decision 0033). Whether the drift is owed to positions is asked of the
same slope beside the near asymmetries of the price-only twin and of the structural maps.

The unit of the dose is a **bin**: one distance from the mark, on both sides of it, at a landmark.
The two bins at one distance are a pair (decision 0018),

    Y_up − Y_down = β (rank_up − rank_down) + s(d) (γ₀ + Σ γ_k trend_k) + e,   s(d) = 4 d Φ(−d),

ranks taken among the bins of one landmark and distance band, both sides together. Whatever depends
on distance, time, or volatility cancels in the pair; what was known of the trend stands beside the
dose, so that neither can speak for the other. A trend acts through a drift, and s is what a drift
does to the pair at distance d (`drift_response`).

β is the effect of going from the lowest to the highest density, a share of visits.
"""

from __future__ import annotations

from typing import Any, Final

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.claims.scale import CausalScale
from liqbt.evaluation.claims.visit import (
    GROUPS,
    OVER_WALK,
    PLACEBO,
    SIDES,
    SIZES,
    births,
    lift_over,
)
from liqbt.evaluation.config import PRIMARY_NS
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.hours import drift_days
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.lifts import SUBSETS
from liqbt.evaluation.statistic import (
    POINTS,
    SIGMA_A_DAY,
    Cell,
    Group,
    Reading,
    Statistic,
    Summed,
)
from liqbt.types import HOUR_NS, Ns

CLAIM: Final = Claim(
    id="magnet",
    words="Dense clusters attract the price.",
    estimand="drift toward near mass: what the next four hours bring, jumps left out, for each "
    "unit of (U − D)/(U + D), U and D the map's mass above and below weighted by exp(−d / 0.5 σ) "
    "within 2.5 σ of a day, given trends of three and seven days, every hour",
    null="0: given trends, the price goes to either side alike; 0.2 σ a day are left for trends "
    "that no control knows",
    statistic="near_drift",
    horizon="4h",
    unit="share",
    smallest_effect=0.06,
    scale=CausalScale(
        per_unit=0.24, error=0.08, effect="visits within a day, densest less sparsest level"
    ),
    least_bound=0.2,
    specific="near_drift_specific",
    pass_rule="97.5 % lower bound above 0.2 σ a day",
    number="3",
    primary=True,
    status=ClaimStatus.TESTABLE,
)

TRIAL: Final = Trial(
    strengths=(0.5, 1.0, 1.5, 2.0),
    measure="magnet.level_effects",
    effects=("dose_response_twin", "dose_response_raw"),
    also_true=("asymmetry",),  # a drift toward near mass, by its ratio
    causal=True,
)

DRIFT: Final = Group(
    id="drift",
    title="Drift toward near mass",
    units="Windows",
    intro="Where the price went in the next hours for each unit of near asymmetry, jumps left out: "
    "in σ a day, if all near mass lay on one side.",
    note="Near mass is the map's mass weighted by e^(−d/0.5 σ) within 2.5 σ of a day. Beside "
    "trends: what is left once returns of the last three and seven days have their share; the "
    "magnet claim rests on it at 4 h. Beside the twin, and structures too: what is left beside the "
    "same measure of a map that is told of prices alone, and of swings, volume nodes, round "
    "numbers and prior highs and lows; only this speaks of liquidations. 0 is what no information "
    "gives.",
    charts=("forest",),
)
DOSE: Final = Group(
    id="dose",
    title="Dose-response across the mark",
    units="Landmarks",
    intro="How much more often the price goes to the side that is denser, from the lowest to the "
    "highest density.",
    note="Of two bins at one distance, above and below: how much more often the one with the "
    "highest density rank is visited than the one with the lowest. Beside trends: what is left "
    "once the trends known at issue have their share. Beside chart structures: what is left beside "
    "swings, volume nodes, round numbers and prior highs and lows, too, all fitted together; a map "
    "that only says where these lie has nothing left. 0 is what no information gives.",
    charts=("forest",),
)


def _dose(*, trends: bool = True, maps: bool = False) -> Summed:
    """Return the day sums of the dose, beside what is named."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        return evidence.dose(cell.market, cell.horizon_ns).days(trends=trends, maps=maps)

    return summed


def _drift(*, trends: bool = True, twin: bool = False, structures: bool = False) -> Summed:
    """Return the day sums of the drift toward near mass, jumps left out, beside what is named."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        hours = evidence.hours(cell.market, cell.horizon_ns)
        controls = [hours.past] if trends else []
        controls += [hours.twin] if twin else []
        controls += [hours.beside] if structures else []
        return drift_days(hours, hours.near, hours.diffusion, cell.horizon_ns, controls)

    return summed


def _drift_statistic(
    name: str,
    column: str,
    day_sums: Summed,
    null: str,
    *,
    needs: tuple[str, ...] = (),
    horizon_ns: Ns = 4 * HOUR_NS,
    **rest: Any,
) -> Statistic:
    return Statistic(
        id=name,
        claim="magnet",
        label=f"Drift toward near mass {column[0].lower()}{column[1:]}",
        column=column,
        unit=SIGMA_A_DAY,
        null=null,
        day_sums=day_sums,
        needs=("hours", *needs),
        group=DRIFT,
        horizon_ns=horizon_ns,
        **rest,
    )


def _difference_in_differences(subset: str) -> Summed:
    """Return the day sums of (Y − p̂) − (Y_mirror − p̂_mirror).

    Ashenfelter and Card (1985), Using the longitudinal structure of earnings, equation 3, with the
    mirror image as the comparison and the placebo probability as the time before. What the trend
    explains is taken out, and with it what an attraction did to the trend: it is the lower end of a
    bracket whose upper end is the mirror lift.
    """

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        born = births(evidence, cell, subset)
        p, mirror = evidence.placebo(cell.market, cell.horizon_ns)
        hit = born.hit
        values = (hit - p[born.use]) - (born.mirror_hit - mirror[born.use])
        return day_sums(values, born.column("at"), hits=hit)

    return summed


_READINGS: Final = {
    "": Reading(
        text="Against mirror images at the same distance the difference is {value}.",
        absent="There is no comparison with mirror images.",
        weaker=OVER_WALK,
        weaker_text="The difference from the random walk, {value}, excludes zero while that from "
        "the mirror does not: misjudged volatility or a trend would do the same, so it alone does "
        "not show an effect of clusters.",
    ),
    "_densest": Reading(
        text="The densest cluster of each forecast alone ({n} episodes) differs from its mirror by "
        "{value}."
    ),
}


def _of_episodes(subset: str) -> tuple[Statistic, ...]:
    return (
        Statistic(
            id=f"mirror_lift{subset}",
            claim="magnet",
            label=f"Lift over mirror{SIZES[subset]}",
            column="Lift over mirror",
            unit=POINTS,
            null="the mirror image",
            day_sums=lift_over(lambda born: born.mirror_hit, subset),
            needs=("episodes",),
            sides=("both",) if subset else SIDES,
            group=GROUPS[subset],
            tolerance=0.005,
            headline=0 if subset else 2,
            reading=_READINGS.get(subset),
        ),
        Statistic(
            id=f"mirror_lift_did{subset}",
            claim="magnet",
            label=f"Lift over mirror, placebo out{SIZES[subset]}",
            unit=POINTS,
            null="the mirror image, each less its placebo probability",
            day_sums=_difference_in_differences(subset),
            needs=("episodes", "placebo"),
            group=PLACEBO,
            tolerance=0.005,
            conditional=False,
        ),
    )


STATISTICS: Final = (
    _drift_statistic(
        "near_drift",
        "Beside trends",
        _drift(),
        "no drift, given trends",
        reading=Reading(
            text="With all near mass on one side the price drifts there by {value}, jumps left out "
            "and given trends."
        ),
        effect="Caused: visits, densest less sparsest, points",
    ),
    _drift_statistic(
        "near_drift_1h",
        "Beside trends, in the next hour",
        _drift(),
        "no drift, given trends",
        horizon_ns=HOUR_NS,
    ),
    _drift_statistic("near_drift_raw", "Alone", _drift(trends=False), "no drift"),
    _drift_statistic(
        "near_drift_beside_twin",
        "Beside trends and the price-only twin",
        _drift(twin=True),
        "no drift, given trends and the price-only twin",
        needs=("twin",),
        conditional=False,
    ),
    _drift_statistic(
        "near_drift_specific",
        "Beside trends, the price-only twin and chart structures",
        _drift(twin=True, structures=True),
        "no drift, given trends, the price-only twin and chart structures",
        needs=("twin", "structures"),
        conditional=False,
    ),
    *(one for subset in SUBSETS for one in _of_episodes(subset)),
    Statistic(
        id="dose_response_raw",
        claim="magnet",
        label="Dose-response alone",
        column="Alone",
        unit=POINTS,
        null="both sides alike",
        day_sums=_dose(trends=False),
        needs=("dose",),
        group=DOSE,
        tolerance=0.005,
    ),
    Statistic(
        id="dose_response",
        claim="magnet",
        label="Dose-response beside trends",
        column="Beside trends",
        unit=POINTS,
        null="both sides alike, given trends",
        reading=Reading(
            text="From the lowest to the highest density, at equal distances on both sides and "
            "given trends, visits differ by {value}."
        ),
        wrong_sign=0.02,
        day_sums=_dose(),
        needs=("dose",),
        group=DOSE,
        tolerance=0.005,
    ),
    Statistic(
        id="dose_response_beside_structures",
        claim="magnet",
        label="Dose-response beside trends and chart structures",
        column="Beside trends and chart structures",
        unit=POINTS,
        null="both sides alike, given trends and chart structures",
        day_sums=_dose(maps=True),
        needs=("dose", "structures"),
        horizon_ns=PRIMARY_NS,
        group=DOSE,
        tolerance=0.005,
        conditional=False,
    ),
)
