"""Readings and cells as rows: a hit rate, its nulls, and the skill that is left over each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liqbt.evaluation.accuracy.hits import READINGS, Reading
from liqbt.evaluation.accuracy.landmarks import NEVER, Landmarks, log_path, touches
from liqbt.evaluation.accuracy.levels import real_levels
from liqbt.evaluation.claims.accuracy import NULLS, STATISTICS, rate_of, skill_of
from liqbt.evaluation.inference.days import Draws, day_sums
from liqbt.evaluation.inference.estimates import Estimate, ScoreDetail, estimate
from liqbt.evaluation.path import PricePath
from liqbt.evaluation.statistic import detail
from liqbt.types import FloatArray, IntArray, Ns

_STATISTICS: Final = {one.id: one for one in STATISTICS}
_RATE: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRow:
    """One reading of the map at one horizon.

    Attributes
    ----------
    symbol, horizon, reading : str
        Market or `pooled`; horizon; one of `READINGS`.
    hit_rate : ScoreDetail
        The hit rate, a tie half a hit, with its day-block interval; its null is the Brownian one.
    tie_low, tie_high : float
        The hit rate with every tie read against the call, and for it.
    null : mapping of str to float
        What no information scores, by `NULLS`; NaN where the reading has no such null.
    skill : mapping of str to ScoreDetail
        Hit rate less null with its day-block interval, by `NULLS`, where there is one.
    distance_sigma, distance : tuple of float
        Quartiles of the distance of what is called, in σ_h and as a log return; NaN for
        `direction`.
    n_inside, n_unscored, n_censored : int
        Of the scored: a cluster holds the price at issue. Landmarks without a call or a level.
        Landmarks that were not watched through.
    """

    symbol: str
    horizon: str
    reading: str
    hit_rate: ScoreDetail
    tie_low: float
    tie_high: float
    null: Mapping[str, float]
    skill: Mapping[str, ScoreDetail]
    distance_sigma: tuple[float, float, float]
    distance: tuple[float, float, float]
    n_inside: int
    n_unscored: int
    n_censored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One cell of the plane: the map beside no information, all markets together.

    Attributes
    ----------
    horizon, reading : str
        `clusters` (every cluster of a landmark whose distance lies in the cell), `first_side` (the
        crowded side's call between two plain levels at `low`), `direction` (its call on windows
        that end `low` or more away from the mark).
    low, high : float
        Distances in σ_h, half-open; equal for calls.
    n, n_days : int
        What was scored, and UTC days with one.
    hit_rate, null_brownian, null_real : float
        The map's rate; what no information scores in closed form, and on the real prices.
    skill, skill_low, skill_high : float
        Hit rate less the Brownian null, with its day-block interval; NaN where it cannot be had.
    """

    horizon: str
    reading: str
    low: float
    high: float
    n: int
    n_days: int
    hit_rate: float
    null_brownian: float
    null_real: float
    skill: float
    skill_low: float
    skill_high: float


def reading_rows(
    symbol: str,
    horizon: str,
    parts: Sequence[tuple[Landmarks, Mapping[str, Reading]]],
    draws: Draws,
) -> list[ReadingRow]:
    """Return every reading of one market, or of several together, at one horizon.

    Parameters
    ----------
    symbol, horizon : str
        Written into the rows.
    parts : sequence of (Landmarks, mapping of str to Reading)
        The markets.
    draws : Draws
        Of the bootstrap of days.
    """
    censored = sum(marks.n_censored for marks, _ in parts)
    horizon_ns = parts[0][0].horizon_ns
    return [
        _reading_row(
            (symbol, horizon),
            [readings[name] for _, readings in parts],
            horizon_ns,
            censored,
            draws,
        )
        for name in READINGS
    ]


def _reading_row(
    where: tuple[str, str],
    parts: Sequence[Reading],
    horizon_ns: Ns,
    censored: int,
    draws: Draws,
) -> ReadingRow:
    name = parts[0].name
    at = np.concatenate([part.at for part in parts])
    hit = np.concatenate([part.hit for part in parts])
    brownian = np.concatenate([part.brownian for part in parts])
    scores = {
        "brownian": hit - brownian,
        "other_times": np.concatenate([part.over_others for part in parts]),
        "mirror": hit - np.concatenate([part.mirror for part in parts]),
    }
    skill = {
        null: detail(
            _STATISTICS[skill_of(name, null)],
            (*where, "both"),
            0.0,
            _skill(hit, values, at, horizon_ns, draws),
        )
        for null, values in scores.items()
        if len(values) and not np.isnan(values).all()  # a reading that has no such null
    }
    found = estimate(day_sums(hit, at), horizon_ns, draws, bounds=_RATE)
    return ReadingRow(
        symbol=where[0],
        horizon=where[1],
        reading=name,
        hit_rate=detail(_STATISTICS[rate_of(name)], (*where, "both"), _mean(brownian), found),
        tie_low=_mean(np.concatenate([part.low for part in parts])),
        tie_high=_mean(np.concatenate([part.high for part in parts])),
        null={
            null: found.value - skill[null].score.value if null in skill else math.nan
            for null in NULLS
        },
        skill=skill,
        distance_sigma=_quartiles(np.concatenate([part.distance_sigma for part in parts])),
        distance=_quartiles(np.concatenate([part.distance for part in parts])),
        n_inside=sum(part.n_inside for part in parts),
        n_unscored=sum(part.n_unscored for part in parts),
        n_censored=censored,
    )


def _skill(
    hit: FloatArray, scores: FloatArray, at: IntArray, horizon_ns: Ns, draws: Draws
) -> Estimate:
    """Estimate a mean skill; no interval where all hits came out alike.

    Scores then vary with their nulls alone, and their interval would say nothing of the chance that
    decides hits: fifteen of fifteen over a null of 91 % would look like certain skill.
    """
    if np.isnan(scores).any():  # a null that some landmarks lack shows nothing
        return Estimate(value=math.nan, n_episodes=len(scores))
    found = estimate(day_sums(scores, at), horizon_ns, draws)
    if len(hit) and np.ptp(hit) == 0.0:
        return Estimate(value=found.value, n_episodes=found.n_episodes, n_days=found.n_days)
    return found


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _quartiles(values: FloatArray) -> tuple[float, float, float]:
    if not len(values) or np.isnan(values).any():
        return math.nan, math.nan, math.nan
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


_Scored = tuple[IntArray, FloatArray, FloatArray, FloatArray]
"""Times of issue, hits, Brownian null, real null."""


def cell_rows(
    horizon: str,
    markets: Sequence[tuple[PricePath, Landmarks]],
    edges: FloatArray,
    brownian: tuple[FloatArray, FloatArray, FloatArray],
    draws: Draws,
) -> list[CellRow]:
    """Return the cells of one horizon, all markets together.

    Parameters
    ----------
    horizon : str
        Its name.
    markets : sequence of (PricePath, Landmarks)
        Prices and windows of each market.
    edges : ndarray of float64
        Edges of the cells in σ_h, increasing from 0.
    brownian : tuple of ndarray of float64
        Distances in σ_h, and what a plain level and a plain pair score there in closed form.
    draws : Draws
        Of the bootstrap of days.
    """
    rows = []
    everything = [_clusters(marks, brownian) for _, marks in markets]
    for low, high in pairwise(edges.tolist()):
        parts = [_within(found, low, high) for found in everything]
        rows.append(_cell(horizon, "clusters", (low, high), parts, markets[0][1], draws))
    for distance in edges:
        for reading, scored in (("first_side", _first_side), ("direction", _direction)):
            if distance == 0.0 and reading == "first_side":
                continue
            parts = [scored(path, marks, float(distance), brownian) for path, marks in markets]
            where = (distance, distance)
            rows.append(_cell(horizon, reading, where, parts, markets[0][1], draws))
    return rows


def _clusters(
    marks: Landmarks, brownian: tuple[FloatArray, FloatArray, FloatArray]
) -> tuple[FloatArray, _Scored]:
    """Return every cluster's distance in σ_h, and how it is scored."""
    away = marks.cluster_distance / marks.sigma_h[marks.owner]
    level = np.interp(away, brownian[0], brownian[1])
    real, _ = real_levels(marks, away)
    inside = away == 0.0
    hit = marks.cluster_hit.astype(np.float64)
    nulls = (np.where(inside, 1.0, level), np.where(inside, 1.0, real))
    return away, (marks.at[marks.owner], hit, *nulls)


def _within(found: tuple[FloatArray, _Scored], low: float, high: float) -> _Scored:
    away, (at, hit, level, real) = found
    use = (away >= low) & (away < high)
    return at[use], hit[use], level[use], real[use]


def _first_side(
    path: PricePath,
    marks: Landmarks,
    distance: float,
    brownian: tuple[FloatArray, FloatArray, FloatArray],
) -> _Scored:
    """Score the crowded side's call between two plain levels at one distance; a tie is half."""
    rows = np.flatnonzero(marks.call)
    away = distance * marks.sigma_h[rows]
    levels = marks.log_mark[rows, None] + away[:, None] * np.array([1.0, -1.0])
    touched = touches(log_path(path), marks, rows, levels[:, None], np.ones(2))[:, 0]
    up, down = touched[:, 0], touched[:, 1]
    some = np.minimum(up, down) < NEVER
    along = np.sign(down.astype(np.float64) - up) * marks.call[rows]
    hit = np.where(some, 0.5 + 0.5 * along, 0.0)
    null = 0.5 * float(np.interp(distance, brownian[0], brownian[2]))
    return marks.at[rows], hit, np.full(len(rows), null), np.where(some, 0.5, 0.0)


def _direction(
    _path: PricePath,
    marks: Landmarks,
    distance: float,
    _brownian: tuple[FloatArray, FloatArray, FloatArray],
) -> _Scored:
    """Score the crowded side's call on windows that end so far away or farther."""
    rows = np.flatnonzero((marks.call != 0) & (np.abs(marks.move) >= distance * marks.sigma_h))
    hit = 0.5 + 0.5 * np.sign(marks.move[rows]) * marks.call[rows]
    half = np.full(len(rows), 0.5)
    return marks.at[rows], hit, half, half


def _cell(
    horizon: str,
    reading: str,
    where: tuple[float, float],
    parts: Sequence[_Scored],
    marks: Landmarks,
    draws: Draws,
) -> CellRow:
    at, hit, level, real = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = _skill(hit, hit - level, at.astype(np.int64), marks.horizon_ns, draws)
    return CellRow(
        horizon=horizon,
        reading=reading,
        low=float(where[0]),
        high=float(where[1]),
        n=len(hit),
        n_days=found.n_days,
        hit_rate=_mean(hit),
        null_brownian=_mean(level),
        null_real=_mean(real),
        skill=found.value,
        skill_low=found.ci_low,
        skill_high=found.ci_high,
    )
