"""Statistics over episodes, each a list of scores that `estimate` takes in.

`value` of a rate is the mean outcome, with the mean null beside it; a lift is a mean difference
whose null is 0. Only scored rows enter: births whose window is not censored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference.days import DaySums, Draws
from liqbt.evaluation.inference.estimates import (
    Estimate,
    ScoreDetail,
    detail,
    estimate,
    estimate_days,
    estimate_lift,
    markets,
)
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability
from liqbt.evaluation.path import Censor
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

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

_RATE: Final = (0.0, 1.0)


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


def counted(outcomes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the watched rows that any subset counts: births, of episodes and of the densest ones.

    Most rows are later sightings of a cluster that lives on, which count nowhere.
    """
    born = outcomes["birth"] | outcomes["densest_birth"]
    return np.asarray(outcomes[born & (outcomes["censor"] == Censor.NONE)])


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


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
    details = []
    for symbol, market in markets(symbols, counted(outcomes)):
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
        values, at, chance = episode_values(name, births), births["at"], 0.0
        if name == "hit_rate":
            chance = _mean(births["brownian"])
            found = estimate(values, at, horizon_ns, draws, bounds=_RATE)
        else:
            visited = births["visited"].astype(np.float64)
            found = estimate_lift(visited, values, at, horizon_ns, draws)
        details.append(detail(claim, *where, name + subset, chance, found))
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
    for symbol, market in markets(symbols, rows):
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


def cluster_placebo(placebo: Placebo, outcomes: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return p̂ of clusters and of their mirror images.

    Parameters
    ----------
    placebo : Placebo
        Of the market and horizon of the rows; its anchors hold their times of issue.
    outcomes : ndarray of OUTCOME_DTYPE
        Rows of one market and horizon.

    Returns
    -------
    p, mirror : ndarray of float64, shape (n,)
        NaN where a cluster lies inside.

    Raises
    ------
    DataError
        If a row is of another horizon, or was issued when no anchor was.
    """
    owner = np.searchsorted(placebo.anchors.at, outcomes["at"])
    owner = np.minimum(owner, len(placebo.anchors.at) - 1)
    bad = np.flatnonzero(
        (placebo.anchors.at[owner] != outcomes["at"])
        | (outcomes["horizon_ns"] != placebo.horizon_ns)
    )
    if len(bad):
        raise DataError(
            f"placebo: outcome {bad[0]} is of another horizon, or was issued at a time that is no "
            "anchor of the placebo model"
        )
    outward = -outcomes["side"].astype(np.float64)
    outside = ~outcomes["inside"]
    p, mirror = np.full(len(outcomes), np.nan), np.full(len(outcomes), np.nan)
    for into, side in ((p, outward), (mirror, -outward)):
        into[outside] = placebo_probability(
            placebo, owner[outside], side[outside], outcomes["distance"][outside]
        )
    return p, mirror


def level_lift(visited: FloatArray, p: FloatArray) -> FloatArray:
    """Return Y − p̂ of each episode: its mean is the level lift.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes 0 or 1, and their placebo probabilities.

    Returns
    -------
    ndarray of float64, shape (n,)
        Shares of visits; 0.01 is one point.
    """
    return np.asarray(visited - p)


def difference_in_differences(
    visited: FloatArray, p: FloatArray, mirror_visited: FloatArray, mirror_p: FloatArray
) -> FloatArray:
    """Return (Y − p̂) − (Y_mirror − p̂_mirror) of each episode.

    Ashenfelter and Card (1985), Using the longitudinal structure of earnings, equation 3, with the
    mirror image as the comparison and the placebo probability as the time before. What the trend
    explains is taken out, and with it what an attraction did to the trend: it is the lower end of a
    bracket whose upper end is the mirror lift.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes 0 or 1, and their placebo probabilities.
    mirror_visited, mirror_p : ndarray of float64, shape (n,)
        The same of the mirror images.

    Returns
    -------
    ndarray of float64, shape (n,)
        Shares of visits; 0.01 is one point.
    """
    return np.asarray((visited - p) - (mirror_visited - mirror_p))


def observed_over_expected(
    visited: FloatArray, p: FloatArray, born_ns: IntArray, horizon_ns: Ns, draws: Draws
) -> Estimate:
    """Return ΣY / Σp̂ with its interval: 1 without information.

    The standardised ratio of Breslow and Day (1987), Statistical methods in cancer research II,
    equation 2.3, with day sums in place of a Poisson error.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes, and their placebo probabilities.
    born_ns : ndarray of int64, shape (n,)
        Births, ns.
    horizon_ns : int
        Over which neighbours depend on each other.
    draws : Draws
        Of the bootstrap.

    Returns
    -------
    Estimate
        NaN where there is no episode, or no probability above 0.
    """
    if not len(visited) or not p.sum() > 0.0:
        return Estimate(value=np.nan)
    day = born_ns // DAY_NS - (born_ns // DAY_NS).min()
    total = np.asarray(np.bincount(day, weights=visited), np.float64)
    expected = np.asarray(np.bincount(day, weights=p), np.float64)
    return estimate_days(
        DaySums(total=total, count=expected),
        horizon_ns,
        draws,
        n_episodes=len(visited),
        scale=max(float(total.max()), 1.0),
        bounds=(0.0, np.inf),
    )
