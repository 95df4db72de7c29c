"""Which outcomes count, and visits by distance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference.days import Draws, day_sums
from liqbt.evaluation.inference.estimates import estimate, markets
from liqbt.evaluation.path import Censor
from liqbt.types import FloatArray

SUBSETS: Final = ("", "_dense", "_densest")
"""Suffixes of statistics: all episodes, the dense ones, those of the densest cluster."""

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


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


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


def on_side(rows: Fields, side: str) -> npt.NDArray[np.bool_]:
    """Return which outcomes are of a side: `long`, `short` or `both`."""
    if side == "both":
        return np.ones(len(rows["side"]), bool)
    return np.asarray(rows["side"] == (1 if side == "long" else -1))


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
                found = estimate(day_sums(hit, mine["at"]), horizon_ns, draws, bounds=_RATE)
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
