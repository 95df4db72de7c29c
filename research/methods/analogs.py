"""Analogs: how often random levels were visited in like circumstances, earlier.

For each level the nearest random levels of the past, by distance in σ_h, volatility, side × trend
and open interest, whose outcomes were final by the last refit: p is the mean of theirs.

Known bias: episodes are born in active hours, and levels at random hours, so that what the
covariates do not hold of activity makes it reject too often; and a nearest neighbour is no nearer
than the past allows, which draws p toward the mean of the record where it is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.errors import ConfigError
from liqbt.evaluation.nulls.levels import (
    LEVEL_COVARIATES,
    Anchors,
    LevelConfig,
    RandomLevels,
    covariates,
    random_levels,
)
from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

_SCALE: Final = 8.0
"""A unit of distance in σ_h counts this many times one of the covariates."""
_USED: Final = tuple(
    LEVEL_COVARIATES.index(name) for name in ("volatility_12h", "trend_1d", "open_interest_1d")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogConfig:
    """How analogs are chosen.

    Attributes
    ----------
    levels : LevelConfig
        The random levels to choose from.
    neighbours : int
        How many make a probability; NaN is given while fewer have matured.
    refit_ns, embargo_ns : int
        The pool grows at every multiple of `refit_ns` since 1970, by what was final `embargo_ns`
        earlier.
    """

    levels: LevelConfig
    neighbours: int = 200
    refit_ns: Ns = 7 * DAY_NS
    embargo_ns: Ns = HOUR_NS

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the key.
        """
        if self.neighbours < 1 or self.refit_ns <= 0 or self.embargo_ns < 0:
            raise ConfigError(
                f"analogs: found neighbours {self.neighbours}, refit_ns {self.refit_ns}, "
                f"embargo_ns {self.embargo_ns}; expected positive ones and no negative embargo"
            )


def _places(known: FloatArray, side: FloatArray, distance_sigma: FloatArray) -> FloatArray:
    """Return where levels lie in the space that analogs are sought in."""
    used = known[:, _USED].copy()
    used[:, 1] *= side
    return np.column_stack([_SCALE * distance_sigma, used])


def analog_probability(
    anchors: Anchors,
    path: PricePath,
    config: AnalogConfig,
    owner: IntArray,
    side: FloatArray,
    distance: FloatArray,
    *,
    horizon_ns: Ns,
    latency_ns: Ns,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the probability of a visit from analogs of the past.

    Parameters
    ----------
    anchors : Anchors
        Times of issue.
    path : PricePath
        The prices that decide.
    config : AnalogConfig
        Pool and neighbours.
    owner : ndarray of int64, shape (n,)
        Anchor of each level.
    side : ndarray of float64, shape (n,)
        +1 above the mark, −1 below.
    distance : ndarray of float64, shape (n,)
        Log distance from the mark.
    horizon_ns, latency_ns : int
        The window is `[at + latency, at + horizon)`.
    rng : numpy.random.Generator
        Draws the random levels.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN while fewer than `neighbours` levels had matured.
    """
    known = covariates(anchors, path)
    pool = random_levels(
        anchors, path, config.levels, horizon_ns=horizon_ns, latency_ns=latency_ns, rng=rng
    )
    sigma_h = anchors.sigma_1d[owner] * np.sqrt(horizon_ns / DAY_NS)
    asked = _places(known[owner], side, distance / sigma_h)
    from_pool = _places(known[pool.anchor], pool.side, pool.distance_sigma)
    epoch = anchors.at[owner] // config.refit_ns
    p = np.full(len(owner), np.nan)
    for number in np.unique(epoch):
        mine = epoch == number
        ripe = _ripe(pool, int(number) * config.refit_ns - config.embargo_ns)
        if ripe >= config.neighbours:
            p[mine] = _nearest_mean(from_pool[:ripe], pool.visited[:ripe], asked[mine], config)
    return p


def _ripe(pool: RandomLevels, at: Ns) -> int:
    return int(np.searchsorted(pool.matured_ns, at, "right"))


def _nearest_mean(
    places: FloatArray, visited: FloatArray, asked: FloatArray, config: AnalogConfig
) -> FloatArray:
    from scipy.spatial import cKDTree

    _, rows = cKDTree(places).query(asked, k=config.neighbours)
    return np.asarray(visited[rows.reshape(len(asked), -1)].mean(axis=1))
