"""The direction claim's scores: landmarks with their covariates, models, gains.

`evaluation` does not know how the models learn: the caller hands over what issues probabilities,
and that may use matured outcomes only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.covariates import LANDMARK_DTYPE, landmark_table
from liqbt.evaluation.evaluate import Evaluation
from liqbt.evaluation.inference import draw
from liqbt.evaluation.response import anchors_of
from liqbt.evaluation.scores.direction import ForeseenLike, direction_scores
from liqbt.types import DAY_NS, Ns

__all__ = ["MODEL_HORIZON_NS", "Foresee", "landmark_tables", "with_direction"]

MODEL_HORIZON_NS: Final[Ns] = DAY_NS
"""The primary horizon: models are made for it alone."""

Foresee: TypeAlias = Callable[[npt.NDArray[Any]], ForeseenLike]
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
    foresee: Foresee,
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
    foresee : Foresee
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
    found = direction_scores(table, foresee(table), symbols, MODEL_HORIZON_NS, draws)
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(one.score for one in found)),
        details=(*evaluation.details, *found),
    )
