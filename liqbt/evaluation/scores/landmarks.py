"""Statistics over landmarks: which side was reached first, and who foretold it.

Only scored rows enter: landmarks with both levels, whose window is not censored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference import Draws, estimate
from liqbt.evaluation.scores.rows import ScoreDetail, detail, markets
from liqbt.types import FloatArray

__all__ = ["crowded_lift", "first_side_scores", "first_side_skill"]

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
