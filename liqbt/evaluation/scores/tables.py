"""Statistics over episodes and landmarks, each a list of scores that `estimate` takes in.

`value` of a rate is the mean outcome, with the mean null beside it; a lift is a mean difference
whose null is 0. Only scored rows enter: births whose window is not censored, landmarks with both
levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference import Draws, Estimate, estimate
from liqbt.evaluation.path import Censor
from liqbt.types import FloatArray, Ns, Score

__all__ = [
    "EPISODE_STATISTICS",
    "POOLED",
    "SIDES",
    "SUBSETS",
    "BandRow",
    "Fields",
    "ScoreDetail",
    "band_rows",
    "births_of",
    "crowded_lift",
    "detail",
    "episode_scores",
    "episode_values",
    "first_side_scores",
    "first_side_skill",
    "scored_births",
]

POOLED: Final = "pooled"
SIDES: Final = {"long": 1, "short": -1, "both": 0}
"""Names of a score's side, and the code that an outcome has for it; 0 for either."""
EPISODE_STATISTICS: Final = {
    "hit_rate": "visit",
    "brownian_lift": "visit",
    "mirror_lift": "magnet",
}
"""Statistics of episodes, and the claim that each speaks to."""
SUBSETS: Final = ("", "_dense", "_densest")
"""Suffixes of these statistics: all episodes, the dense ones, those of the densest cluster."""

Fields: TypeAlias = Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any]
"""Fields by name: of a structured array, or of a table's columns."""

_FIRST_SIDE: Final = (
    "first_side_skill",
    "first_side_skill_low",
    "first_side_skill_high",
    "first_side_crowded_lift",
)
_RATE: Final = (0.0, 1.0)
_FREE: Final = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDetail:
    """A score with what its interval was made of.

    Attributes
    ----------
    score : Score
        The row.
    estimate : Estimate
        Standard errors, lag, block, and whether HAC and bootstrap agree.
    """

    score: Score
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRow:
    """Visits of one distance band, both sides together.

    Attributes
    ----------
    symbol, horizon : str
        Market or `pooled`, and horizon.
    band_low, band_high : float
        Distances in σ_h: half-open, the last band closed.
    n_episodes, n_days : int
        Scored episodes, and UTC days on which they were born.
    hit_rate, ci_low, ci_high : float
        Share visited, with its 95 % interval; NaN where there is none.
    null : float
        Mean Brownian probability of the same episodes.
    mirror_rate : float
        Share whose mirror image was visited.
    """

    symbol: str
    horizon: str
    band_low: float
    band_high: float
    n_episodes: int
    n_days: int
    hit_rate: float
    ci_low: float
    ci_high: float
    null: float
    mirror_rate: float


def scored_births(outcomes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the rows that count: one per episode whose window was watched."""
    return np.asarray(outcomes[outcomes["birth"] & (outcomes["censor"] == Censor.NONE)])


def _markets(
    symbols: Sequence[str], rows: npt.NDArray[Any]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield every market's rows, then all of them."""
    for i, symbol in enumerate(symbols):
        yield symbol, rows[rows["symbol"] == i]
    yield POOLED, rows


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def detail(
    claim: str, symbol: str, horizon: str, side: str, statistic: str, null: float, found: Estimate
) -> ScoreDetail:
    """Return an estimate as a row of the one score schema, with what its interval was made of.

    Parameters
    ----------
    claim, symbol, horizon, side, statistic : str
        As in `Score`.
    null : float
        What no information would give, in the statistic's unit.
    found : Estimate
        Value, interval, counts.
    """
    score = Score(
        claim=claim,
        symbol=symbol,
        horizon=horizon,
        side=side,
        statistic=statistic,
        value=found.value,
        null=null,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        n_episodes=found.n_episodes,
        n_days=found.n_days,
        mde=found.mde,
    )
    return ScoreDetail(score=score, estimate=found)


def episode_scores(
    outcomes: npt.NDArray[Any],
    symbols: Sequence[str],
    config: EvaluationConfig,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score episodes: hit rate, Brownian lift and mirror lift.

    For all, by side and together; and, both sides together, for the dense ones (suffix `_dense`:
    the top fifth of their side and distance band) and for those that the densest eligible cluster
    of a forecast began (`_densest`).

    Parameters
    ----------
    outcomes : ndarray of OUTCOME_DTYPE
        Of all markets.
    symbols : sequence of str
        Their names, by number.
    config : EvaluationConfig
        Its horizons, and from which rank on a cluster is dense.
    draws : Draws
        Of the bootstrap.
    """
    watched = outcomes[outcomes["censor"] == Censor.NONE]
    details = []
    for symbol, market in _markets(symbols, watched):
        for horizon_ns in config.horizons_ns:
            rows = market[market["horizon_ns"] == horizon_ns]
            groups = [(side, "") for side in SIDES] + [("both", k) for k in SUBSETS[1:]]
            for side, subset in groups:
                code = SIDES[side]
                mine = rows if code == 0 else rows[rows["side"] == code]
                births = mine[births_of(mine, subset, dense_rank=config.dense_rank)]
                where = (symbol, horizon_name(horizon_ns), side)
                details += _group(births, where, subset, horizon_ns, draws)
    return details


def births_of(rows: Fields, subset: str, *, dense_rank: float) -> npt.NDArray[np.bool_]:
    """Return which outcomes are the one that counts of an episode of a subset.

    Parameters
    ----------
    rows : mapping or structured array
        Fields of OUTCOME_DTYPE.
    subset : str
        One of `SUBSETS`.
    dense_rank : float
        A cluster is dense where its density rank is above this.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if subset == "_densest":
        return np.asarray(rows["densest_birth"])
    births = np.asarray(rows["birth"])
    return births & (rows["density_rank"] > dense_rank) if subset == "_dense" else births


def episode_values(name: str, births: Fields) -> FloatArray:
    """Return what a statistic of episodes is the mean of, episode by episode.

    Parameters
    ----------
    name : str
        A key of `EPISODE_STATISTICS`.
    births : mapping or structured array
        Fields of OUTCOME_DTYPE, of scored episodes.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    hit = np.asarray(births["visited"], np.float64)
    if name == "hit_rate":
        return hit
    return np.asarray(hit - births["brownian" if name == "brownian_lift" else "mirror_visited"])


def _group(
    births: npt.NDArray[Any],
    where: tuple[str, str, str],
    subset: str,
    horizon_ns: Ns,
    draws: Draws,
) -> list[ScoreDetail]:
    details = []
    for name, claim in EPISODE_STATISTICS.items():
        rate = name == "hit_rate"
        chance = _mean(births["brownian"]) if rate else 0.0
        values, bounds = episode_values(name, births), _RATE if rate else _FREE
        found = estimate(values, births["at"], horizon_ns, draws, bounds=bounds)
        details.append(detail(claim, *where, name + subset, chance, found))
    return details


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
    for symbol, market in _markets(symbols, scored):
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


def band_rows(
    outcomes: npt.NDArray[Any],
    symbols: Sequence[str],
    config: EvaluationConfig,
    draws: Draws,
) -> list[BandRow]:
    """Return visits by distance band, beside their nulls.

    Parameters
    ----------
    outcomes : ndarray of OUTCOME_DTYPE
        Of all markets.
    symbols : sequence of str
        Their names, by number.
    config : EvaluationConfig
        Its horizons and bands.
    draws : Draws
        Of the bootstrap.
    """
    rows = scored_births(outcomes)
    last = config.bands[-1]
    result = []
    for symbol, market in _markets(symbols, rows):
        for horizon_ns in config.horizons_ns:
            births = market[market["horizon_ns"] == horizon_ns]
            d = births["distance_sigma"]
            for low, high in zip(config.bands[:-1], config.bands[1:], strict=True):
                mine = births[(d >= low) & ((d < high) | ((high == last) & (d == last)))]
                hit = mine["visited"].astype(np.float64)
                found = estimate(hit, mine["at"], horizon_ns, draws, bounds=_RATE)
                result.append(
                    BandRow(
                        symbol=symbol,
                        horizon=horizon_name(horizon_ns),
                        band_low=low,
                        band_high=high,
                        n_episodes=found.n_episodes,
                        n_days=found.n_days,
                        hit_rate=found.value,
                        ci_low=found.ci_low,
                        ci_high=found.ci_high,
                        null=_mean(mine["brownian"]),
                        mirror_rate=_mean(mine["mirror_visited"].astype(np.float64)),
                    )
                )
    return result
