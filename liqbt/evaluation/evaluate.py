"""Evaluation from end to end: forecasts and prices in; scores, counts and tables out.

Three steps, so that calibration can stand between them: `observe` decides what happened, the
caller calibrates (`evaluation` does not know how), `score` draws the statistics. `evaluate` is the
three of them in a row, and the dose–response after them, which reads the forecasts' densities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.evaluation.claims.direction import first_side_scores
from liqbt.evaluation.claims.magnet import response_scores
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.episodes import MarketClusters, flatten
from liqbt.evaluation.first_passage import market_first_sides
from liqbt.evaluation.inference.days import draw
from liqbt.evaluation.inference.estimates import POOLED, ScoreDetail
from liqbt.evaluation.lifts import BandRow, band_rows, episode_scores
from liqbt.evaluation.outcomes import market_outcomes, market_windows
from liqbt.evaluation.path import Censor
from liqbt.types import DAY_NS, Score

Calibrate: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""FIRST_SIDE rows of one horizon, all symbols → rows with `theta` and `p_*` filled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRow:
    """How many are left at each step, for one symbol and horizon.

    Attributes
    ----------
    symbol, horizon : str
        Market and horizon.
    snapshots : int
        Forecasts.
    clusters : int
        Clusters in all of them, each counted as often as it was issued.
    inside : int
        Of these, already reached at issue: flagged, never a hit.
    eligible : int
        Of these, within the distances that count.
    episodes : int
        Distinct lives among the eligible.
    censored : int
        Episodes whose window was not watched through.
    scored : int
        Episodes with an outcome.
    """

    symbol: str
    horizon: str
    snapshots: int
    clusters: int
    inside: int
    eligible: int
    episodes: int
    censored: int
    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkRow:
    """How many landmarks are left at each step, for one symbol and horizon.

    Attributes
    ----------
    symbol, horizon : str
        Market and horizon.
    landmarks : int
        Non-overlapping windows.
    one_sided : int
        Of these, without an eligible cluster on one side or both: not scored.
    censored : int
        Of the others, not watched through.
    scored : int
        With an outcome.
    ties : int
        Of the scored, both sides touched in one bar.
    """

    symbol: str
    horizon: str
    landmarks: int
    one_sided: int
    censored: int
    scored: int
    ties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What happened, before any calibration or statistic.

    Attributes
    ----------
    symbols : tuple of str
        Markets; `symbol` in the arrays indexes them.
    outcomes : ndarray of OUTCOME_DTYPE
        Eligible and inside clusters, by symbol, horizon, forecast, cluster.
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Landmarks, by symbol, horizon, time.
    flow : tuple of FlowRow
        Counts of episodes.
    landmarks : tuple of LandmarkRow
        Counts of landmarks.
    """

    symbols: tuple[str, ...]
    outcomes: npt.NDArray[Any]
    first_sides: npt.NDArray[Any]
    flow: tuple[FlowRow, ...]
    landmarks: tuple[LandmarkRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation.

    Attributes
    ----------
    scores : tuple of Score
        Rows of the one schema.
    details : tuple of ScoreDetail
        The same rows, in the same order, with what their intervals were made of.
    bands : tuple of BandRow
        Visits by distance.
    flow, landmarks, outcomes, first_sides
        As in `Observed`; `first_sides` with its calibrated probabilities.
    """

    scores: tuple[Score, ...]
    details: tuple[ScoreDetail, ...]
    bands: tuple[BandRow, ...]
    flow: tuple[FlowRow, ...]
    landmarks: tuple[LandmarkRow, ...]
    outcomes: npt.NDArray[Any]
    first_sides: npt.NDArray[Any]


def observe(markets: Sequence[MarketInput], config: EvaluationConfig) -> Observed:
    """Decide what befell every cluster and every landmark.

    Raises
    ------
    ConfigError
        If there is no market, or two have one name.
    DataError
        If forecasts or paths cannot be right.
    """
    symbols = tuple(market.symbol for market in markets)
    if not symbols or len(set(symbols)) < len(symbols) or POOLED in symbols:
        raise ConfigError(
            f"evaluation: found markets {list(symbols)}; expected at least one, each once, "
            f"none called '{POOLED}'"
        )
    outcomes, first_sides, flow, landmarks = [], [], [], []
    for i, market in enumerate(markets):
        flat = flatten(market.symbol, market.forecasts)
        windows = market_windows(flat, market.path, config)
        outcomes.append(market_outcomes(market, flat, windows, config, symbol=i))
        first_sides.append(market_first_sides(market, flat, windows, config, symbol=i))
        flow += _flow(market.symbol, flat, outcomes[-1], config)
        landmarks += _landmarks(market.symbol, first_sides[-1], config)
    return Observed(
        symbols=symbols,
        outcomes=np.concatenate(outcomes),
        first_sides=np.concatenate(first_sides),
        flow=tuple(flow),
        landmarks=tuple(landmarks),
    )


def _flow(
    symbol: str, flat: MarketClusters, outcomes: npt.NDArray[Any], config: EvaluationConfig
) -> list[FlowRow]:
    result = []
    for horizon_ns in config.horizons_ns:
        mine = outcomes["horizon_ns"] == horizon_ns
        births = mine & outcomes["birth"]
        episodes = int(births.sum())
        censored = int((births & (outcomes["censor"] != Censor.NONE)).sum())
        result.append(
            FlowRow(
                symbol=symbol,
                horizon=horizon_name(horizon_ns),
                snapshots=len(flat.at),
                clusters=len(flat.clusters),
                inside=int(flat.inside.sum()),
                eligible=int((mine & outcomes["eligible"]).sum()),
                episodes=episodes,
                censored=censored,
                scored=episodes - censored,
            )
        )
    return result


def _landmarks(
    symbol: str, first_sides: npt.NDArray[Any], config: EvaluationConfig
) -> list[LandmarkRow]:
    result = []
    for horizon_ns in config.horizons_ns:
        rows = first_sides[first_sides["horizon_ns"] == horizon_ns]
        one_sided = np.isnan(rows["up"]) | np.isnan(rows["down"])
        result.append(
            LandmarkRow(
                symbol=symbol,
                horizon=horizon_name(horizon_ns),
                landmarks=len(rows),
                one_sided=int(one_sided.sum()),
                censored=int((~one_sided & (rows["censor"] != Censor.NONE)).sum()),
                scored=int(rows["scored"].sum()),
                ties=int(rows["tie"].sum()),
            )
        )
    return result


def score(
    observed: Observed,
    first_sides: npt.NDArray[Any],
    config: EvaluationConfig,
    rng: np.random.Generator,
) -> Evaluation:
    """Draw every statistic from what was observed.

    Parameters
    ----------
    observed : Observed
        From `observe`.
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Its landmarks, calibrated.
    config : EvaluationConfig
        The same as in `observe`.
    rng : numpy.random.Generator
        For the bootstrap; what is drawn depends on the days spanned alone.
    """
    n_days = _days_spanned(observed.outcomes, first_sides)
    draws = draw(rng, reps=config.bootstrap_reps, n_days=n_days)
    arguments = (observed.symbols, config, draws)
    details = [
        *episode_scores(observed.outcomes, *arguments),
        *first_side_scores(first_sides, *arguments),
    ]
    return Evaluation(
        scores=tuple(detail.score for detail in details),
        details=tuple(details),
        bands=tuple(band_rows(observed.outcomes, *arguments)),
        flow=observed.flow,
        landmarks=observed.landmarks,
        outcomes=observed.outcomes,
        first_sides=first_sides,
    )


def _days_spanned(*rows: npt.NDArray[Any]) -> int:
    """Return how many UTC days the times of issue span, at least 1."""
    at = np.concatenate([part["at"] for part in rows])
    return int(np.ptp(at // DAY_NS)) + 1 if len(at) else 1


def evaluate(
    markets: Sequence[MarketInput],
    config: EvaluationConfig,
    *,
    calibrate: Calibrate,
    rng: np.random.Generator,
) -> Evaluation:
    """Observe, calibrate each horizon's landmarks across symbols, and score.

    Parameters
    ----------
    markets : sequence of MarketInput
        Forecasts to be scored, and the prices that decide.
    config : EvaluationConfig
        The protocol.
    calibrate : Calibrate
        Fills in calibrated probabilities; it must itself use matured outcomes only.
    rng : numpy.random.Generator
        Seeds the bootstrap.

    Raises
    ------
    ConfigError
        If there is no market, two have one name, or `calibrate` loses rows or probabilities.
    DataError
        If forecasts or paths cannot be right.
    """
    observed = observe(markets, config)
    first_sides = observed.first_sides.copy()
    for horizon_ns in config.horizons_ns:
        mine = first_sides["horizon_ns"] == horizon_ns
        first_sides[mine] = _checked(calibrate(first_sides[mine]), int(mine.sum()))
    evaluation = score(observed, first_sides, config, rng)
    n_days = _days_spanned(observed.outcomes, first_sides)
    responses = response_scores(
        markets, config, draw(rng, reps=config.bootstrap_reps, n_days=n_days)
    )
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(detail.score for detail in responses)),
        details=(*evaluation.details, *responses),
    )


def _checked(rows: npt.NDArray[Any], expected: int) -> npt.NDArray[Any]:
    """Return calibrated landmarks if none is missing."""
    if len(rows) != expected:
        raise ConfigError(f"evaluation: calibrate returned {len(rows)} landmarks of {expected}")
    p = np.column_stack([rows[name] for name in ("p_up", "p_down", "p_neither")])
    bad = ~((p > 0) & (p <= 1)).all(axis=1) & rows["scored"]
    if bad.any():
        raise ConfigError(
            f"evaluation: calibrate left {int(bad.sum())} scored landmarks without probabilities "
            "in (0, 1]"
        )
    return rows
