"""What the asymmetry adds to a model, and what the model adds to simpler ones: gains in nats.

Every gain is a mean difference of log scores (Good 1952) at landmarks, of probabilities that were
issued walking forward. Only landmarks at which both models had been fitted enter: before that both
issue the same base, and a row of zeros says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import horizon_name
from liqbt.evaluation.inference import Draws, Estimate, estimate
from liqbt.evaluation.scores.landmarks import first_side_skill
from liqbt.evaluation.scores.rows import ScoreDetail, detail, markets
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

__all__ = ["LEAST_CASCADES", "ForeseenLike", "IssuedLike", "direction_scores", "side_gain"]

LEAST_CASCADES: Final = 30
"""Fewer on a side: there is a row with its count and no interval (decision 0004)."""

_OVER: Final = {
    "first_side_over_momentum": "momentum",
    "first_side_over_funding": "funding",
    "first_side_over_nearest": "nearest",
}


class IssuedLike(Protocol):
    """What one model issued."""

    @property
    def p(self) -> FloatArray:
        """Probabilities of up, down and neither, shape (n, 3)."""

    @property
    def n_trained(self) -> IntArray:
        """On how many outcomes it had been fitted, shape (n,); 0 where the base was issued."""


class ForeseenLike(Protocol):
    """What all models issued at the landmarks of a table."""

    @property
    def first_side(self) -> Mapping[str, IssuedLike]:
        """Models of the first side: full, ablated, momentum, funding, nearest."""

    @property
    def coin(self) -> FloatArray:
        """Equal chances of both sides, shape (n, 3)."""

    @property
    def cascade(self) -> Mapping[str, IssuedLike]:
        """Models of what cascade begins: full, ablated."""

    @property
    def large_move(self) -> Mapping[str, IssuedLike]:
        """Models of what large move begins: full, ablated."""


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
    foreseen: ForeseenLike,
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
    foreseen : ForeseenLike
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
        for name, rows, gain in _first_side(table, foreseen, mine):
            found = estimate(gain, table["at"][rows], horizon_ns, draws)
            details.append(detail("direction", *where, "both", name, 0.0, found))
        for kind in ("cascade", "large_move"):
            details += _hours(table, getattr(foreseen, kind), kind, mine, where, horizon_ns, draws)
    return details


def _first_side(
    table: npt.NDArray[Any], foreseen: ForeseenLike, mine: IntArray
) -> Iterator[tuple[str, IntArray, FloatArray]]:
    """Yield statistic, landmarks and gains of the full model over each other one."""
    full = foreseen.first_side["full"]
    ready = table["scored"] & (full.n_trained > 0)
    rows = mine[ready[mine]]
    fed = rows[~np.isnan(table["funding"][rows])]
    pairs = [("first_side_gain", foreseen.first_side["ablated"].p, rows)]
    pairs.append(("first_side_over_coin", foreseen.coin, rows))
    for name, model in _OVER.items():
        pairs.append((name, foreseen.first_side[model].p, fed if model == "funding" else rows))
    for name, other, use in pairs:
        gain, _, _ = first_side_skill(
            full.p[use], other[use], table["outcome"][use], table["tie"][use]
        )
        yield name, use, gain


def _hours(
    table: npt.NDArray[Any],
    models: Mapping[str, IssuedLike],
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
