"""Scores against the placebo probability p̂: what is left of visits beyond what was learnt.

p̂ is fitted for each market and horizon on random levels of the past (see `nulls.placebo`). A row of
the level lift stands beside the Brownian lift: where they differ, the Brownian null errs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.evaluate import Evaluation
from liqbt.evaluation.inference import Draws, draw, estimate_lift
from liqbt.evaluation.nulls import PlaceboConfig, fit_placebo
from liqbt.evaluation.response import anchors_of
from liqbt.evaluation.scores import (
    POOLED,
    SUBSETS,
    ScoreDetail,
    births_of,
    cluster_placebo,
    counted,
    detail,
    difference_in_differences,
    level_lift,
    observed_over_expected,
)
from liqbt.types import DAY_NS, FloatArray, Ns

__all__ = ["learnt_probabilities", "learnt_scores", "with_learnt"]

_Rows = tuple[npt.NDArray[Any], FloatArray, FloatArray]
"""Outcomes that count, their p̂, and that of their mirror images."""


def with_learnt(
    evaluation: Evaluation,
    markets: Sequence[MarketInput],
    config: EvaluationConfig,
    rng: np.random.Generator,
) -> Evaluation:
    """Return the evaluation with its scores against p̂ behind the others.

    Parameters
    ----------
    evaluation : Evaluation
        Of the same markets under the same protocol.
    markets : sequence of MarketInput
        Forecasts, prices, and the times of issue that p̂ may learn at.
    config : EvaluationConfig
        The protocol.
    rng : numpy.random.Generator
        Draws the random levels and the bootstrap.

    Raises
    ------
    DataError
        If the outcomes are not those of the markets.
    """
    at = evaluation.outcomes["at"]
    n_days = int(np.ptp(at // DAY_NS)) + 1 if len(at) else 1
    of_levels, of_draws = rng.spawn(2)
    draws = draw(of_draws, reps=config.bootstrap_reps, n_days=n_days)
    found = learnt_scores(markets, evaluation.outcomes, config, draws, of_levels)
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(one.score for one in found)),
        details=(*evaluation.details, *found),
    )


def learnt_scores(
    markets: Sequence[MarketInput],
    outcomes: npt.NDArray[Any],
    config: EvaluationConfig,
    draws: Draws,
    rng: np.random.Generator,
) -> list[ScoreDetail]:
    """Score episodes against p̂, both sides together.

    - `level_lift`: mean(Y − p̂), of all, dense and densest clusters;
    - `observed_over_expected`: ΣY / Σp̂, whose null is 1;
    - `mirror_lift_did`: mean[(Y − p̂) − (Y_mirror − p̂_mirror)], the lower end of a bracket whose
      upper end is the mirror lift.

    Parameters
    ----------
    markets : sequence of MarketInput
        All markets, in the order of the outcomes' `symbol`.
    outcomes : ndarray of OUTCOME_DTYPE
        Of all markets and horizons.
    config : EvaluationConfig
        Horizons, latency, and from which rank on a cluster is dense.
    draws : Draws
        Of the bootstrap.
    rng : numpy.random.Generator
        Draws the random levels; each market and horizon has a stream of its own.
    """
    watched = counted(outcomes)
    streams = iter(rng.spawn(len(markets) * len(config.horizons_ns)))
    details = []
    for horizon_ns in config.horizons_ns:
        rows = [
            _with_placebo(market, watched[_of(watched, i, horizon_ns)], config, horizon_ns, stream)
            for (i, market), stream in zip(enumerate(markets), streams, strict=False)
        ]
        named = [(market.symbol, [mine]) for market, mine in zip(markets, rows, strict=True)]
        for symbol, mine in [*named, (POOLED, rows)]:
            details += _group(mine, (symbol, horizon_name(horizon_ns), "both"), config, draws)
    return details


def _of(outcomes: npt.NDArray[Any], symbol: int, horizon_ns: Ns) -> npt.NDArray[np.bool_]:
    return np.asarray((outcomes["symbol"] == symbol) & (outcomes["horizon_ns"] == horizon_ns))


def _with_placebo(
    market: MarketInput,
    rows: npt.NDArray[Any],
    config: EvaluationConfig,
    horizon_ns: Ns,
    rng: np.random.Generator,
) -> _Rows:
    """Return one market's and horizon's rows with p̂ of the clusters and of their mirror images."""
    return rows, *learnt_probabilities(market, rows, config, horizon_ns=horizon_ns, rng=rng)


def learnt_probabilities(
    market: MarketInput,
    rows: npt.NDArray[Any],
    config: EvaluationConfig,
    *,
    horizon_ns: Ns,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return p̂ of clusters and of their mirror images, as it was known when they were issued.

    Parameters
    ----------
    market : MarketInput
        Forecasts, prices, and the times of issue that p̂ may learn at.
    rows : ndarray of OUTCOME_DTYPE
        Clusters of this market and horizon; what befell them is not looked at.
    config : EvaluationConfig
        Latency.
    horizon_ns : int
        Horizon.
    rng : numpy.random.Generator
        Draws the random levels.

    Returns
    -------
    p, mirror : ndarray of float64, shape (n,)
        NaN where a cluster lies inside.
    """
    if not len(rows):
        return np.zeros(0), np.zeros(0)
    placebo = fit_placebo(
        market.anchors or anchors_of(market.forecasts),
        market.path,
        PlaceboConfig(),
        horizon_ns=horizon_ns,
        latency_ns=config.latency_ns,
        rng=rng,
    )
    return cluster_placebo(placebo, rows)


def _group(
    parts: Sequence[_Rows],
    where: tuple[str, str, str],
    config: EvaluationConfig,
    draws: Draws,
) -> list[ScoreDetail]:
    rows, p, mirror_p = (np.concatenate(column) for column in zip(*parts, strict=True))
    horizon_ns = int(rows["horizon_ns"][0]) if len(rows) else DAY_NS
    details = []
    for subset in SUBSETS:
        use = births_of(rows, subset, dense_rank=config.dense_rank)
        mine, chance = rows[use], p[use]
        visited = mine["visited"].astype(np.float64)
        mirrored = mine["mirror_visited"].astype(np.float64)
        lift = level_lift(visited, chance)
        did = difference_in_differences(visited, chance, mirrored, mirror_p[use])
        for claim, name, values in (
            ("visit", "level_lift", lift),
            ("magnet", "mirror_lift_did", did),
        ):
            found = estimate_lift(visited, values, mine["at"], horizon_ns, draws)
            details.append(detail(claim, *where, name + subset, 0.0, found))
        if not subset:
            ratio = observed_over_expected(visited, chance, mine["at"], horizon_ns, draws)
            details.append(detail("visit", *where, "observed_over_expected", 1.0, ratio))
    return details
