"""Scores of probabilities of a visit that somebody stated, beside the Brownian ones.

One outcome an episode, with the probability that was stated when it was born; episodes without one
are left out of these scores and of their nulls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference import Draws, Estimate, estimate
from liqbt.evaluation.path import Censor
from liqbt.evaluation.scores.probability import brier_score, corp, log_score
from liqbt.evaluation.scores.rows import POOLED, ScoreDetail, detail
from liqbt.types import FloatArray, IntArray, Ns

__all__ = ["stated_scores"]

_CORP = ("miscalibration", "discrimination", "uncertainty")


def stated_scores(
    stated: FloatArray,
    outcomes: npt.NDArray[Any],
    symbols: Sequence[str],
    config: EvaluationConfig,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score stated probabilities of a visit, for every market and horizon that has any.

    `stated_brier` is the mean Brier score with that of the Brownian probabilities as its null;
    `stated_brier_gain` how much smaller it is (positive: better than the walk);
    `stated_log_skill` the mean ln p(outcome) − ln q(outcome), nats; `stated_impossible` the share
    of outcomes that were called impossible, where there is one the skill is −∞ and is written as
    NaN. `stated_miscalibration`, `stated_discrimination`, `stated_uncertainty`: the CORP parts,
    their nulls those of the Brownian probabilities, without intervals.

    Parameters
    ----------
    stated : ndarray of float64, shape (n,)
        Of each outcome row, in [0, 1]; NaN where none was stated.
    outcomes : ndarray of OUTCOME_DTYPE, shape (n,)
        Of all markets.
    symbols : sequence of str
        Their names, by number.
    config : EvaluationConfig
        Horizons.
    draws : Draws
        Of the bootstrap of days.

    Raises
    ------
    DataError
        If there is not one probability a row, or one is outside [0, 1].
    """
    if len(stated) != len(outcomes):
        raise DataError(
            f"scores: found {len(stated)} stated probabilities of {len(outcomes)} outcomes; "
            "expected one each"
        )
    born = outcomes["birth"] & (outcomes["censor"] == Censor.NONE) & ~np.isnan(stated)
    details: list[ScoreDetail] = []
    for symbol, market in _markets(symbols, outcomes):
        for horizon_ns in config.horizons_ns:
            mine = born & market & (outcomes["horizon_ns"] == horizon_ns)
            if mine.any():
                rows, where = outcomes[mine], (symbol, horizon_name(horizon_ns), "both")
                found = _statistics(
                    stated[mine],
                    rows["brownian"],
                    rows["visited"].astype(np.float64),
                    rows["at"],
                    horizon_ns,
                    draws,
                )
                details += [
                    detail("visit", *where, f"stated_{name}", null, value)
                    for name, value, null in found
                ]
    return details


def _markets(
    symbols: Sequence[str], outcomes: npt.NDArray[Any]
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield every market's rows as a mask, then all of them."""
    for i, symbol in enumerate(symbols):
        yield symbol, np.asarray(outcomes["symbol"] == i)
    yield POOLED, np.ones(len(outcomes), bool)


def _statistics(
    p: FloatArray, q: FloatArray, y: FloatArray, born_ns: IntArray, horizon_ns: Ns, draws: Draws
) -> Iterator[tuple[str, Estimate, float]]:
    """Yield name, estimate and null of each statistic of p, with q beside it."""
    ours, walk = brier_score(p, y), brier_score(q, y)
    share = (0.0, 1.0)
    brier = estimate(ours, born_ns, horizon_ns, draws, bounds=share)
    yield "brier", brier, float(walk.mean())
    yield "brier_gain", estimate(walk - ours, born_ns, horizon_ns, draws), 0.0
    gain = log_score(p, y) - log_score(q, y)
    impossible = np.isneginf(gain)
    yield "log_skill", _skill(gain, impossible, born_ns, horizon_ns, draws), 0.0
    called = impossible.astype(np.float64)
    yield "impossible", estimate(called, born_ns, horizon_ns, draws, bounds=share), 0.0
    parts, base = corp(p, y), corp(q, y)
    for name in _CORP:
        plain = Estimate(
            value=getattr(parts, name), n_episodes=brier.n_episodes, n_days=brier.n_days
        )
        yield name, plain, float(getattr(base, name))


def _skill(
    gain: FloatArray,
    impossible: npt.NDArray[np.bool_],
    born_ns: IntArray,
    horizon_ns: Ns,
    draws: Draws,
) -> Estimate:
    """Return the mean gain; without a value where an outcome was called impossible."""
    if impossible.any():
        return Estimate(value=math.nan, n_episodes=len(gain))
    return estimate(gain, born_ns, horizon_ns, draws)
