"""Whether dense clusters attract the price: the dose–response across the mark, and mirror lifts.

The unit of the dose is a **bin**: one distance from the mark, on both sides of it, at a landmark.
The two bins at one distance are a pair (decision 0018),

    Y_up − Y_down = β (rank_up − rank_down) + s(d) (γ₀ + Σ γ_k trend_k) + e,   s(d) = 4 d Φ(−d),

ranks taken among the bins of one landmark and distance band, both sides together. Whatever depends
on distance, time, or volatility cancels in the pair; what was known of the trend stands beside the
dose, so that neither can speak for the other. A trend acts through a drift, and s is what a drift
does to the pair at distance d (`drift_response`).

β is the effect of going from the lowest to the highest density, a share of visits.

Source: a linear probability model with partialled-out controls (Frisch and Waugh 1933; Lovell 1963,
Seasonal adjustment of economic time series, theorem 4.1). The interval comes from the day sums of
the score x̃·e, which is what cluster-robust and HAC errors of β are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr

from liqbt.evaluation.bins import ResponseBins
from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.claims.visit import (
    GROUPS,
    OVER_WALK,
    PLACEBO,
    SIDES,
    SIZES,
    births,
    lift_over,
)
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.lifts import SUBSETS
from liqbt.evaluation.statistic import POINTS, Cell, Group, Reading, Statistic, Summed
from liqbt.types import DAY_NS, FloatArray, IntArray

CLAIM: Final = Claim(
    id="magnet",
    words="Dense clusters attract the price.",
    estimand="dose-response across the mark: P(visit) at the highest density rank less that at the "
    "lowest, at equal distances on both sides, given the trends known at issue, 24 h",
    null="0: of two bins at one distance the denser is visited as often as the other; 1 point is "
    "left for trends that no control knows",
    statistic="dose_response",
    unit="share",
    smallest_effect=0.02,
    least_value=0.02,
    least_bound=0.01,
    also_above=("dose_response_beside_structures",),
    also_positive=("mirror_lift_densest",),
    pass_rule="97.5 % lower bound above 1 point, an effect of 2 points or more from the lowest to "
    "the highest density, mirror lift of the densest cluster above 0, and a lower bound above 0 "
    "beside the structural maps",
    number="3",
    primary=True,
    status=ClaimStatus.TESTABLE,
)

TRIAL: Final = Trial(
    strengths=(0.5, 1.0, 1.5, 2.0),
    measure="magnet.level_effects",
    effects=("dose_response_twin", "dose_response_raw"),
    causal=True,
)

DOSE: Final = Group(
    id="dose",
    title="Dose-response across the mark",
    units="Landmarks",
    intro="How much more often the price goes to the side that is denser, from the lowest to the "
    "highest density.",
    note="Of two bins at one distance, above and below: how much more often the one with the "
    "highest density rank is visited than the one with the lowest. Beside trends: what is left "
    "once the trends known at issue have their share; the magnet claim rests on this at 24 h. "
    "Beside chart structures: what is left beside swings, volume nodes, round numbers and prior "
    "highs and lows, too, all fitted together; a map that only says where these lie has nothing "
    "left. 0 is what no information gives.",
    charts=("forest",),
)

_FREE: Final = 1e-9
"""Controls scaled to length 1 are free in the directions that are longer than this share."""


def _basis(controls: FloatArray) -> FloatArray:
    """Return orthonormal columns that span what the controls span, as many as they are free.

    A control that is zero, or that others already say, adds nothing: what is left of dose and
    visits is that of the least-squares fit of minimum norm (Golub and Van Loan 2013, Matrix
    Computations, section 5.5).
    """
    basis, upper = np.linalg.qr(controls)
    if not len(controls):
        return basis
    length = np.linalg.norm(upper, axis=0)
    turned, size, _ = np.linalg.svd(
        upper / np.where(length > 0.0, length, 1.0), full_matrices=False
    )
    free = size > _FREE * size.max()
    return basis if free.all() else np.asarray(basis @ turned[:, free])


def _partialled(
    x: FloatArray, y: FloatArray, controls: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return what the controls leave of both, and how many of them are free."""
    basis = _basis(controls)
    return x - basis @ (basis.T @ x), y - basis @ (basis.T @ y), basis.shape[1]


def slope_days(
    at: IntArray, x: FloatArray, y: FloatArray, controls: FloatArray | None, *, n_units: int
) -> DaySums:
    """Return what each day adds to the slope of y on x in one market.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Times, ns.
    x, y : ndarray of float64, shape (n,)
        Dose and response.
    controls : ndarray of float64, shape (n, k), or None
        What stands beside the dose; fitted to this market alone.
    n_units : int
        Independent units, as reported.

    Returns
    -------
    DaySums
        Of x̃ỹ and x̃²: the slope is the ratio. Empty but for the units where nothing is left of x.
    """
    fitted = 1
    if controls is not None:
        x, y, free = _partialled(x, y, controls)
        fitted = free + 1
    if not len(x) or float(x @ x) <= 1e-12 * len(x):
        return DaySums(total=np.zeros(0), count=np.zeros(0), n_units=n_units)
    first = int(at.min() // DAY_NS)
    day = at // DAY_NS - first
    n_days = int(np.count_nonzero(np.bincount(day)))
    return DaySums(
        total=np.asarray(np.bincount(day, x * y), np.float64),
        count=np.asarray(np.bincount(day, x * x), np.float64),
        first_day=first,
        n_units=n_units,
        size=np.asarray(np.bincount(day, np.abs(x * y)), np.float64),
        freedom=(n_days - fitted) / max(n_days - 1, 1),
    )


def response_days(bins: ResponseBins, contrast: FloatArray, controls: FloatArray | None) -> DaySums:
    """Return what each day adds to the slope of the dose in one market: β of the pairs of bins."""
    y = bins.visited[:, 1] - bins.visited[:, 0]
    return slope_days(bins.at, contrast, y, controls, n_units=bins.n_landmarks)


def beside_trends(bins: ResponseBins, others: Sequence[FloatArray] = ()) -> FloatArray:
    """Return the controls of the dose: what drifts do to the pairs, and other maps' contrasts."""
    drift = drift_response(bins.distance_sigma)[:, None]
    return np.column_stack([drift, bins.trend * drift, *(other[:, None] for other in others)])


def drift_response(distance: FloatArray) -> FloatArray:
    """Return what a small drift adds to P(visit above) − P(visit below), for each σ_h of it.

    A Brownian motion that drifts by μ reaches d with probability Φ(μ − d) + exp(2μd) Φ(−d − μ)
    (Borodin and Salminen 2002, Handbook of Brownian motion, 2.1.1.4); the derivative of the
    difference of both sides at μ = 0 is 4 d Φ(−d).

    Parameters
    ----------
    distance : ndarray of float64, shape (n,)
        In σ_h, 0 or more.

    Examples
    --------
    >>> drift_response(np.array([0.0, 0.75, 2.5])).round(3).tolist()
    [0.0, 0.68, 0.062]
    """
    return np.asarray(4.0 * distance * ndtr(-distance))


def _dose(evidence: Evidence, cell: Cell) -> DaySums:
    bins = evidence.bins(cell.market, cell.horizon_ns)
    return response_days(bins, evidence.contrast(cell.market, cell.horizon_ns), beside_trends(bins))


def _dose_raw(evidence: Evidence, cell: Cell) -> DaySums:
    bins = evidence.bins(cell.market, cell.horizon_ns)
    return response_days(bins, evidence.contrast(cell.market, cell.horizon_ns), None)


def _dose_beside_structures(evidence: Evidence, cell: Cell) -> DaySums:
    bins = evidence.bins(cell.market, cell.horizon_ns)
    controls = beside_trends(bins, evidence.contrasts_beside(cell.market, cell.horizon_ns))
    return response_days(bins, evidence.contrast(cell.market, cell.horizon_ns), controls)


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
    *(one for subset in SUBSETS for one in _of_episodes(subset)),
    Statistic(
        id="dose_response_raw",
        claim="magnet",
        label="Dose-response alone",
        column="Alone",
        unit=POINTS,
        null="both sides alike",
        day_sums=_dose_raw,
        needs=("bins",),
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
        effect="Caused: visits, densest less sparsest, points",
        wrong_sign=0.02,
        day_sums=_dose,
        needs=("bins",),
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
        day_sums=_dose_beside_structures,
        needs=("bins", "structures"),
        group=DOSE,
        tolerance=0.005,
        conditional=False,
    ),
)
