"""What the asymmetry adds to a model, and what the model adds to simpler ones: gains in nats.

Every gain is a mean difference of log scores (Good 1952) at landmarks, of probabilities that were
issued walking forward. Only landmarks at which both models had been fitted enter: before that both
issue the same base, and a row of zeros says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.covariates import LANDMARK_DTYPE, landmark_table
from liqbt.evaluation.inference.days import Draws, draw
from liqbt.evaluation.inference.estimates import Estimate, ScoreDetail, detail, estimate, markets
from liqbt.learn.models import LandmarkPredictions
from liqbt.learn.walk import Predictions
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

if TYPE_CHECKING:
    from liqbt.evaluation.evaluate import Evaluation

_FIRST_SIDE: Final = (
    "first_side_skill",
    "first_side_skill_low",
    "first_side_skill_high",
    "first_side_crowded_lift",
)


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


def first_side_scores(
    first_sides: npt.NDArray[Any],
    symbols: Sequence[str],
    config: EvaluationConfig,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score landmarks: skill of the calibrated probabilities over the two-barrier Brownian.

    `first_side_skill` reads a tie as the middle of both sides, `first_side_skill_low` and `_high`
    as the worse and the better one. `first_side_crowded_lift` needs no calibration.

    Parameters
    ----------
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Of all markets, calibrated.
    symbols : sequence of str
        Their names, by number.
    config : EvaluationConfig
        Its horizons.
    draws : Draws
        Of the bootstrap.
    """
    scored = first_sides[first_sides["scored"]]
    details = []
    for symbol, market in markets(symbols, scored):
        for horizon_ns in config.horizons_ns:
            rows = market[market["horizon_ns"] == horizon_ns]
            where = (symbol, horizon_name(horizon_ns), "both")
            p = np.column_stack([rows["p_up"], rows["p_down"], rows["p_neither"]])
            q = np.column_stack([rows["q_up"], rows["q_down"], rows["q_neither"]])
            lift = crowded_lift(q, rows["outcome"], rows["tie"], rows["asymmetry"])
            columns = (*first_side_skill(p, q, rows["outcome"], rows["tie"]), lift)
            for name, values in zip(_FIRST_SIDE, columns, strict=True):
                use = ~np.isnan(values)
                found = estimate(values[use], rows["at"][use], horizon_ns, draws)
                details.append(detail("direction", *where, name, 0.0, found))
    return details


LEAST_CASCADES: Final = 30
"""Fewer on a side: there is a row with its count and no interval (decision 0004)."""

_OVER: Final = {
    "first_side_over_momentum": "momentum",
    "first_side_over_funding": "funding",
    "first_side_over_nearest": "nearest",
}


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


def direction_scores(
    table: npt.NDArray[Any],
    predictions: LandmarkPredictions,
    symbols: Sequence[str],
    horizon_ns: Ns,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score the models of the direction claim.

    - `first_side_gain`: with the asymmetry, over the same model without it;
    - `first_side_over_coin`, `_momentum`, `_funding`, `_nearest`: over simpler models;
    - `cascade_gain`: of up, down or no cascade, over the same model without asymmetry and
      distances; `cascade_side_gain`: of its side, given one. Such a gain is above 0 without any
      mechanism: what is forced must lie where the price goes (decision 0017).
      `large_move_side_gain` is not;
    - `cascades`: how many began upward (`short`: what is forced) and downward (`long`).

    Parameters
    ----------
    table : ndarray of LANDMARK_DTYPE
        Landmarks of one horizon, all markets.
    predictions : LandmarkPredictions
        What was issued at each.
    symbols : sequence of str
        Names of the markets, by number.
    horizon_ns : int
        Theirs.
    draws : Draws
        Of the bootstrap.
    """
    place = np.zeros(len(table), [("symbol", "<u2"), ("row", "<i8")])
    place["symbol"], place["row"] = table["symbol"], np.arange(len(table))
    details = []
    for symbol, chosen in markets(symbols, place):
        mine = chosen["row"]
        where = (symbol, horizon_name(horizon_ns))
        for name, rows, gain in _first_side(table, predictions, mine):
            found = estimate(gain, table["at"][rows], horizon_ns, draws)
            details.append(detail("direction", *where, "both", name, 0.0, found))
        for kind in ("cascade", "large_move"):
            details += _hours(
                table, getattr(predictions, kind), kind, mine, where, horizon_ns, draws
            )
    return details


def _first_side(
    table: npt.NDArray[Any], predictions: LandmarkPredictions, mine: IntArray
) -> Iterator[tuple[str, IntArray, FloatArray]]:
    """Yield statistic, landmarks and gains of the full model over each other one."""
    full = predictions.first_side["full"]
    ready = table["scored"] & (full.n_trained > 0)
    rows = mine[ready[mine]]
    fed = rows[~np.isnan(table["funding"][rows])]
    pairs = [("first_side_gain", predictions.first_side["ablated"].p, rows)]
    pairs.append(("first_side_over_coin", predictions.coin, rows))
    for name, model in _OVER.items():
        pairs.append((name, predictions.first_side[model].p, fed if model == "funding" else rows))
    for name, other, use in pairs:
        gain, _, _ = first_side_skill(
            full.p[use], other[use], table["outcome"][use], table["tie"][use]
        )
        yield name, use, gain


def _hours(
    table: npt.NDArray[Any],
    models: Mapping[str, Predictions],
    kind: str,
    mine: IntArray,
    where: tuple[str, str],
    horizon_ns: Ns,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score what begins in the hours after a landmark: cascades, or large moves."""
    full, other = models["full"], models["ablated"]
    rows = mine[(table["cascade_known"] & (full.n_trained > 0))[mine]]
    outcome, at = table[kind][rows], table["at"][rows]
    # the markets fall together: what began on one day counts once
    days_of = {sign: np.unique(at[outcome == sign] // DAY_NS) for sign in (-1, 1)}
    testable = min(map(len, days_of.values())) >= LEAST_CASCADES
    never = np.zeros(len(rows), bool)
    gain, _, _ = first_side_skill(full.p[rows], other.p[rows], outcome, never)
    some = outcome != 0
    given = side_gain(full.p[rows][some], other.p[rows][some], outcome[some])
    named = [(f"{kind}_side_gain", given, at[some])]
    if kind == "cascade":
        named.insert(0, ("cascade_gain", gain, at))
    details = []
    for name, values, when in named:
        found = estimate(values, when, horizon_ns, draws)
        if not testable:
            found = replace(
                Estimate(value=found.value), n_episodes=int(some.sum()), n_days=found.n_days
            )
        details.append(detail("direction", *where, "both", name, 0.0, found))
    for side, sign in (("long", -1), ("short", 1)):
        count = int((outcome == sign).sum())
        found = Estimate(value=float(count), n_episodes=count, n_days=len(days_of[sign]))
        details.append(detail("direction", *where, side, f"{kind}s", 0.0, found))
    return details


MODEL_HORIZON_NS: Final[Ns] = DAY_NS
"""The primary horizon: models are made for it alone."""

Predict: TypeAlias = Callable[[npt.NDArray[Any]], LandmarkPredictions]
"""Landmarks of all symbols (LANDMARK_DTYPE) → what every model issued at each."""


def landmark_tables(
    first_sides: npt.NDArray[Any], markets: Sequence[MarketInput], config: EvaluationConfig
) -> npt.NDArray[Any]:
    """Return the landmarks of the primary horizon, market by market, with their covariates.

    Parameters
    ----------
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Of all markets and horizons.
    markets : sequence of MarketInput
        In the order of `first_sides["symbol"]`.
    config : EvaluationConfig
        The protocol.

    Returns
    -------
    ndarray of LANDMARK_DTYPE
        Empty where the primary horizon is not scored.
    """
    mine = first_sides[first_sides["horizon_ns"] == MODEL_HORIZON_NS]
    parts = [np.zeros(0, LANDMARK_DTYPE)]
    for i, market in enumerate(markets):
        anchors = market.anchors or anchors_of(market.forecasts)
        rows = mine[mine["symbol"] == i]
        parts.append(landmark_table(rows, anchors, market.funding, market.cascades, config))
    return np.concatenate(parts)


def with_direction(
    evaluation: Evaluation,
    markets: Sequence[MarketInput],
    config: EvaluationConfig,
    *,
    predict: Predict,
    rng: np.random.Generator,
) -> Evaluation:
    """Return the evaluation with the gains of the direction claim's models behind its scores.

    Parameters
    ----------
    evaluation : Evaluation
        Of the same markets under the same protocol.
    markets : sequence of MarketInput
        In the same order.
    config : EvaluationConfig
        The protocol. Where the primary horizon is not among its horizons nothing is added.
    predict : Predict
        Issues probabilities from matured outcomes only.
    rng : numpy.random.Generator
        Seeds the bootstrap.
    """
    table = landmark_tables(evaluation.first_sides, markets, config)
    if not len(table):
        return evaluation
    n_days = int(np.ptp(table["at"] // DAY_NS)) + 1
    draws = draw(rng, reps=config.bootstrap_reps, n_days=n_days)
    symbols = [market.symbol for market in markets]
    found = direction_scores(table, predict(table), symbols, MODEL_HORIZON_NS, draws)
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(one.score for one in found)),
        details=(*evaluation.details, *found),
    )
