"""Whether the crowded side tells which side is reached first, and a cascade's direction.

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
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.statistic import (
    COUNT,
    MILLINATS,
    POINTS,
    Better,
    Cell,
    Group,
    Reading,
    Requirement,
    Statistic,
    Summed,
)
from liqbt.learn.walk import Predictions
from liqbt.types import FloatArray

CLAIM: Final = Claim(
    id="direction",
    words="The crowded side tells which side the price reaches first, and a cascade's direction.",
    estimand="mean(ln p with the asymmetry − ln p without it) of {up, down, neither} at landmarks "
    "24 h apart, of models that learn from matured outcomes and know distances, trend, volatility, "
    "funding and the change of open interest",
    null="0: the same model without the asymmetry",
    statistic="first_side_gain",
    unit="nats",
    smallest_effect=0.005,
    also_above=(
        "first_side_skill",
        "first_side_over_coin",
        "first_side_over_momentum",
        "first_side_over_funding",
        "first_side_over_nearest",
        "cascade_gain",
        "cascade_side_gain",
        "large_move_side_gain",
    ),
    pass_rule="97.5 % lower bound above 0, against two-barrier Brownian, a coin, momentum, the "
    "sign of funding and the nearest side too; and for cascades (up, down, none, and the side "
    "given one) and the side of large moves, against the same model without asymmetry and "
    "distances",
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
    strengths=(1.0, 2.0, 4.0, 8.0),
    measure="direction.direction_effects",
    effects=("skill_per_day", "crowded_move"),
    beside=("first_side_skill",),
    keys=_keys,
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
    "with the asymmetry gains over each other one in the logarithmic score. The direction claim "
    "rests on the first column: both models know distances, trends, volatility, funding and open "
    "interest. 0 is what no information gives; a model that learns noise loses.",
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
        line="cascade direction",
        effect="Told by the asymmetry, millinats a day",
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
