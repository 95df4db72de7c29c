"""Whether the crowded side tells which way sudden moves go, and which side is reached first.

The claim rests on **jumps**: at every hour, what the steps of the next hour that are longer than
4 σ of their time add up to, on the map's near asymmetry (`liqbt.evaluation.hours`), beside funding
where it is fed. A pull that acts all the time is the magnet claim's, and trends make no jumps
(decision 0033). The drift of the whole hour, given trends, stands beside it.

Every gain is a mean difference of log scores (Good 1952) at landmarks, of probabilities that were
issued walking forward. Only landmarks at which both models had been fitted enter: before that both
issue the same base, and a row of zeros says nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.hours import drift_days
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.statistic import (
    COUNT,
    MILLINATS,
    POINTS,
    SIGMA_A_DAY,
    Better,
    Cell,
    Group,
    Reading,
    Requirement,
    Statistic,
    Summed,
)
from liqbt.learn.walk import Predictions
from liqbt.types import HOUR_NS, FloatArray

CLAIM: Final = Claim(
    id="direction",
    words="The crowded side tells which side the price reaches first, and a cascade's direction.",
    estimand="lean of jumps toward near mass: what the jumps of the next hour add up to for each "
    "unit of (U − D)/(U + D), U and D the map's mass above and below weighted by exp(−d / 0.5 σ) "
    "within 2.5 σ of a day, given funding where it is fed, every hour",
    null="0: jumps go to either side alike; 0.3 σ a day are left for what a steady pull, or "
    "a trend, adds to jumps",
    statistic="near_jumps",
    horizon="1h",
    unit="σ a day",
    smallest_effect=0.5,
    least_bound=0.3,
    also_positive=("near_jumps_beside_trends",),
    specific="near_jumps_beside_twin",
    pass_rule="97.5 % lower bound above 0.3 σ a day, and above 0 given trends, too",
    number="5",
    primary=True,
    status=ClaimStatus.TESTABLE,
)


def _keys(world: Any, strength: float) -> dict[str, float]:
    """Return the keys that make jumps lean by the asymmetry, and beyond 1 make them more frequent.

    `direction` cannot lean farther than 1: then every jump leans, there are `strength` times as
    many, and volatility is smaller by the root of that, so that their sum moves the price about as
    far in a day as before.
    """
    if strength <= 1.0:
        return {"direction": strength}
    return {
        "direction": 1.0,
        "jumps_per_day": world.price.jumps_per_day * strength,
        "daily_volatility": world.price.daily_volatility / float(np.sqrt(strength)),
    }


TRIAL: Final = Trial(
    strengths=(0.5, 1.0, 2.0, 4.0),
    measure="direction.direction_effects",
    effects=("skill_per_day", "crowded_move"),
    beside=("near_return_1h", "first_side_gain", "first_side_skill"),
    keys=_keys,
    also_true=("stops", "chain"),  # orders that wait at clusters, or are forced there, make jumps
    oracle=False,  # asked of a market that has no jumps
)

JUMPS: Final = Group(
    id="near_jumps",
    title="Jumps and drift toward near mass in the next hour",
    units="Windows",
    intro="Where the price went in the next hour for each unit of near asymmetry: in σ a day, if "
    "all near mass lay on one side.",
    note="Jumps are steps from price to price of more than 4 σ of their time; the direction claim "
    "rests on them. The whole hour is given trends, and sees a steady pull as well, which is what "
    "the magnet claim is about. Funding stands beside both where it is fed. 0 is what no "
    "information gives.",
    charts=("forest",),
)
FIRST_SIDE: Final = Group(
    id="first_side",
    title="Which side is reached first",
    units="Landmarks",
    intro="Calibrated probabilities beside those of two-barrier Brownian motion.",
)
GAINS: Final = Group(
    id="direction_gains",
    title="What the asymmetry adds, over models without it",
    units="Landmarks",
    note="Which of the two nearest levels is reached first within 24 h, or neither: what the model "
    "with the near asymmetry gains over each other one in the logarithmic score. In the first "
    "column both models know distances, trends, volatility, funding and open interest. 0 is what "
    "no information gives; a model that learns noise loses.",
    charts=("forest",),
)
AFTER: Final = Group(
    id="after_landmarks",
    title="Cascades and large moves after a landmark",
    units="Events",
    note="A cascade leans to the crowded side by definition: what is forced must lie where the "
    "price goes. Its gains mean nothing without those of large moves beside them.",
)

LEAST_CASCADES: Final = 30
"""Days with fewer on a side: the value is shown without an interval (decision 0004)."""


def first_side_skill(
    p: FloatArray, q: FloatArray, outcome: npt.NDArray[np.int8], tie: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ln p(outcome) − ln q(outcome) in nats: the mean, lower and upper reading of ties.

    The logarithmic score (Good 1952) as a difference to the base probabilities q. A tie is read as
    up and as down; its mean is the middle of the two, and equals them where nothing is tied.

    Parameters
    ----------
    p, q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    outcome : ndarray of int8, shape (n,)
        `FirstSide` codes.
    tie : ndarray of bool, shape (n,)
        Where both sides were touched in one bar.
    """
    gain = np.log(p) - np.log(q)
    column = np.select([outcome > 0, outcome < 0], [0, 1], 2)
    plain = np.take_along_axis(gain, column[:, None], axis=1)[:, 0]
    low = np.where(tie, np.minimum(gain[:, 0], gain[:, 1]), plain)
    high = np.where(tie, np.maximum(gain[:, 0], gain[:, 1]), plain)
    return 0.5 * (low + high), low, high


def crowded_lift(
    q: FloatArray,
    outcome: npt.NDArray[np.int8],
    tie: npt.NDArray[np.bool_],
    asymmetry: FloatArray,
) -> FloatArray:
    """Return half of (1[crowded first] − q[crowded]) − (1[other first] − q[other]).

    The difference of the two sides: a base whose volatility is wrong, and that errs on both sides
    alike, cancels. A tie is half a hit on each side. The crowded side is down where the asymmetry
    is positive (more longs below).

    Parameters
    ----------
    q : ndarray of float64, shape (n, 3)
        Base probabilities of up, down and neither.
    outcome : ndarray of int8, shape (n,)
        `FirstSide` codes.
    tie : ndarray of bool, shape (n,)
        Where both sides were touched in one bar.
    asymmetry : ndarray of float64, shape (n,)
        In [−1, 1].

    Returns
    -------
    ndarray of float64, shape (n,)
        In (−1, 1); NaN where the asymmetry is 0, so that there is no crowded side.
    """
    crowded = -np.sign(asymmetry)
    upward = np.where(tie, 0.0, outcome) - (q[:, 0] - q[:, 1])
    return np.where(crowded == 0, np.nan, 0.5 * crowded * upward)


def side_gain(p: FloatArray, q: FloatArray, outcome: npt.NDArray[np.int8]) -> FloatArray:
    """Return ln p(side) − ln q(side) given that there is one, in nats.

    Parameters
    ----------
    p, q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    outcome : ndarray of int8, shape (n,)
        +1 up, −1 down.

    Examples
    --------
    >>> p, q = np.array([[0.3, 0.1, 0.6]]), np.array([[0.2, 0.2, 0.6]])
    >>> side_gain(p, q, np.array([1], np.int8)).round(4).tolist()
    [0.4055]
    """
    column = np.where(outcome > 0, 0, 1)[:, None]
    logs = []
    for values in (p, q):
        given = values[:, :2] / values[:, :2].sum(axis=1, keepdims=True)
        logs.append(np.log(np.take_along_axis(given, column, axis=1)[:, 0]))
    return np.asarray(logs[0] - logs[1])


def _hour(part: str, *, trends: bool = False, twin: bool = False) -> Summed:
    """Return the day sums of what the next hour brings toward near mass, beside what is named."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        hours = evidence.hours(cell.market, cell.horizon_ns)
        response = hours.jumps if part == "jumps" else hours.jumps + hours.diffusion
        known = np.isfinite(hours.funding)
        controls = [np.column_stack([np.where(known, hours.funding, 0.0), known])]
        controls += [hours.past] if trends else []
        controls += [hours.twin] if twin else []
        return drift_days(hours, hours.near, response, cell.horizon_ns, controls)

    return summed


def _hour_statistic(
    name: str, label: str, column: str, day_sums: Summed, null: str, **rest: Any
) -> Statistic:
    return Statistic(
        id=name,
        claim="direction",
        label=label,
        column=column,
        unit=SIGMA_A_DAY,
        null=null,
        day_sums=day_sums,
        needs=("hours", *rest.pop("needs", ())),
        group=JUMPS,
        horizon_ns=HOUR_NS,
        **rest,
    )


def _landmarks(evidence: Evidence, cell: Cell) -> tuple[npt.NDArray[Any], FloatArray, FloatArray]:
    """Return the scored landmarks of a cell, with calibrated and base probabilities."""
    rows = evidence.landmarks(cell.market, cell.horizon_ns)
    p = np.column_stack([rows["p_up"], rows["p_down"], rows["p_neither"]])
    q = np.column_stack([rows["q_up"], rows["q_down"], rows["q_neither"]])
    return rows, p, q


def _skill(reading: int) -> Summed:
    """Return the skill of the calibrated probabilities: a tie as the middle, worse or better."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        rows, p, q = _landmarks(evidence, cell)
        values = first_side_skill(p, q, rows["outcome"], rows["tie"])[reading]
        use = ~np.isnan(values)
        return day_sums(values[use], rows["at"][use])

    return summed


def _crowded(evidence: Evidence, cell: Cell) -> DaySums:
    rows, _, q = _landmarks(evidence, cell)
    values = crowded_lift(q, rows["outcome"], rows["tie"], rows["asymmetry"])
    use = ~np.isnan(values)
    return day_sums(values[use], rows["at"][use])


def _over(model: str) -> Summed:
    """Return the gain of the full model over another one, at landmarks where both were fitted."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        table, predicted = evidence.models
        full = predicted.first_side["full"]
        use = table["scored"] & (full.n_trained > 0) & (table["symbol"] == cell.market)
        if model == "funding":
            use = use & ~np.isnan(table["funding"])
        q = predicted.coin if model == "coin" else predicted.first_side[model].p
        gain, _, _ = first_side_skill(full.p[use], q[use], table["outcome"][use], table["tie"][use])
        return day_sums(gain, table["at"][use])

    return summed


def _began(
    evidence: Evidence, cell: Cell, kind: str
) -> tuple[npt.NDArray[Any], Predictions, Predictions, npt.NDArray[np.bool_]]:
    """Return landmarks, both models of what began after them, and which of them count."""
    table, predicted = evidence.models
    models = predicted.cascade if kind == "cascade" else predicted.large_move
    full, other = models["full"], models["ablated"]
    use = table["cascade_known"] & (full.n_trained > 0) & (table["symbol"] == cell.market)
    return table, full, other, use


def _cascade_gain(evidence: Evidence, cell: Cell) -> DaySums:
    table, full, other, use = _began(evidence, cell, "cascade")
    never = np.zeros(int(use.sum()), bool)
    gain, _, _ = first_side_skill(full.p[use], other.p[use], table["cascade"][use], never)
    return day_sums(gain, table["at"][use])


def _side_gain(kind: str) -> Summed:
    """Return the gain in naming the side of what began, given that something did."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        table, full, other, use = _began(evidence, cell, kind)
        use = use & (table[kind] != 0)
        gain = side_gain(full.p[use], other.p[use], table[kind][use])
        return day_sums(gain, table["at"][use])

    return summed


def _count(kind: str) -> Summed:
    """Count what began; markets fall together, so that a day counts once among days."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        table, _, _, use = _began(evidence, cell, kind)
        mine = use & (table[kind] == (1 if cell.side == "short" else -1))
        return day_sums(np.ones(int(mine.sum())), table["at"][mine])

    return summed


def _gain_statistic(
    name: str, column: str, day_sums: Summed, null: str, *, label: str = "", **fields: Any
) -> Statistic:
    return Statistic(
        id=name,
        claim="direction",
        label=label or f"First side, gain over {null}",
        column=column,
        unit=MILLINATS,
        null=null,
        day_sums=day_sums,
        needs=("models",),
        group=GAINS,
        tolerance=0.002,
        conditional=False,
        **fields,
    )


def _after(name: str, label: str, day_sums: Summed, counted: str) -> Statistic:
    return Statistic(
        id=name,
        claim="direction",
        label=label,
        unit=MILLINATS,
        null="the same model without asymmetry and distances",
        day_sums=day_sums,
        needs=("models",),
        group=AFTER,
        tolerance=0.002,
        requires=Requirement(statistic=counted, days=LEAST_CASCADES),
        conditional=False,
    )


_SKILL: Final = Reading(
    text="Which side is reached first, {n} landmarks: the asymmetry adds {value} to a two-barrier "
    "random walk.",
    bounds=("first_side_skill_low", "first_side_skill_high"),
    bounds_text="Ties, both sides touched in one bar, read either way: {low} to {high}.",
)

STATISTICS: Final = (
    _hour_statistic(
        "near_jumps",
        "Jumps toward near mass",
        "Jumps",
        _hour("jumps"),
        "no lean of jumps",
        reading=Reading(
            text="With all near mass on one side the jumps of an hour lean there by {value}."
        ),
        line="cascade direction",
        effect="Told by the asymmetry, millinats a day",
    ),
    _hour_statistic(
        "near_jumps_beside_trends",
        "Jumps toward near mass beside trends",
        "Jumps beside trends",
        _hour("jumps", trends=True),
        "no lean of jumps, given trends",
    ),
    _hour_statistic(
        "near_jumps_beside_twin",
        "Jumps toward near mass beside the price-only twin",
        "Jumps beside the price-only twin",
        _hour("jumps", twin=True),
        "no lean of jumps, given the price-only twin",
        needs=("twin",),
        conditional=False,
    ),
    _hour_statistic(
        "near_return_1h",
        "Drift toward near mass in an hour beside trends",
        "Whole hour beside trends",
        _hour("all", trends=True),
        "no drift, given trends",
        wrong_sign=1.0,
    ),
    *(
        Statistic(
            id=f"first_side_skill{suffix}",
            claim="direction",
            label=f"First-side skill{words}",
            unit=MILLINATS,
            null="two-barrier Brownian motion",
            day_sums=_skill(reading),
            needs=("landmarks",),
            group=FIRST_SIDE,
            tolerance=0.002,
            conditional=not suffix,
            reading=None if suffix else _SKILL,
        )
        for reading, (suffix, words) in enumerate(
            (("", ""), ("_low", ", ties against it"), ("_high", ", ties for it"))
        )
    ),
    Statistic(
        id="first_side_crowded_lift",
        claim="direction",
        label="Crowded side first, lift",
        unit=POINTS,
        null="both sides alike",
        day_sums=_crowded,
        needs=("landmarks",),
        group=FIRST_SIDE,
        tolerance=0.005,
    ),
    _gain_statistic(
        "first_side_gain",
        "The same model without asymmetry",
        _over("ablated"),
        "the same model without asymmetry",
        label="First side, gain of the asymmetry",
        reading=Reading(
            text="To a model that knows distances, trends and volatility it adds {value} at {n} "
            "landmarks."
        ),
    ),
    _gain_statistic("first_side_over_coin", "Equal chances", _over("coin"), "equal chances"),
    _gain_statistic("first_side_over_momentum", "Momentum", _over("momentum"), "momentum"),
    _gain_statistic(
        "first_side_over_funding", "Sign of funding", _over("funding"), "the sign of funding"
    ),
    _gain_statistic(
        "first_side_over_nearest", "Nearest side", _over("nearest"), "the nearest side"
    ),
    _after("cascade_gain", "Cascade up, down or none", _cascade_gain, "cascades"),
    _after("cascade_side_gain", "Side of a cascade", _side_gain("cascade"), "cascades"),
    _after("large_move_side_gain", "Side of a large move", _side_gain("large_move"), "large_moves"),
    *(
        Statistic(
            id=f"{kind}s",
            claim="direction",
            label=label,
            unit=COUNT,
            null="",
            day_sums=_count(kind),
            needs=("models",),
            better=Better.NEITHER,
            sides=("long", "short"),
            total=True,
            conditional=False,
        )
        for kind, label in (("cascade", "Cascades"), ("large_move", "Large moves"))
    ),
)
