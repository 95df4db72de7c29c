"""Levels that a probability of a visit is stated for: what was known of each when it was issued.

Two kinds of levels, by the same rules:

- **Units** do not depend on what a map draws: at non-overlapping landmarks, one level in the middle
  of each distance band, above and below the mark. Two configurations can be paired on them.
- **Clusters**: the near edge of each episode's first eligible cluster.

Everything that a probability is made of was known at issue: the Brownian probability it starts from
is that of the time that should be watched, not of the time that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.bins import anchors_of, outward_density, within_ranks
from liqbt.evaluation.config import PRIMARY_NS, EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import flatten
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.funding import funding_at
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.nulls.levels import LEVEL_COVARIATES, Anchors, covariates, nominal_brownian
from liqbt.evaluation.path import Censor, watch
from liqbt.forecasts import column
from liqbt.types import DAY_NS, FloatArray, Forecast, Side

_KNOWN: Final = (
    "volatility_3h",
    "volatility_12h",
    "volatility_7d",
    "trend_1d",
    "trend_3d",
    "open_interest_1d",
)
_TOWARD: Final = frozenset({"trend_1d", "trend_3d"})
_SMOOTHING: Final = 7

VISIT_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("forecast", "<i4"),
        ("at", "<i8"),
        ("matured_ns", "<i8"),
        ("side", "i1"),
        ("band", "u1"),
        ("distance_sigma", "<f8"),
        ("density_rank", "<f8"),
        ("asymmetry", "<f8"),
        *((name, "<f8") for name in _KNOWN),
        ("funding", "<f8"),
        ("brownian", "<f8"),
        ("scored", "?"),
        ("visited", "i1"),
    ]
)
"""One row per level of the primary horizon.

`side`: a `Side`, that of positions that are forced there (LONG: below the mark). What has a
direction points toward the level: `asymmetry` is positive where more would be forced on its side of
the mark, `trend_*` where the price has been moving to it, `funding` (rate of eight hours) where the
crowd pays to be on the side that is forced there. `density_rank`: in (0, 1); of a unit among all
bins of its landmark and distance band, of a cluster as issued. `brownian`: over the time that
should be watched. What is not known of trend, volatility or open interest is 0, its neutral value;
of funding and asymmetry NaN. `visited`: 0 or 1 where `scored`, else 0.
"""


def unit_levels(markets: Sequence[MarketInput], config: EvaluationConfig) -> npt.NDArray[Any]:
    """Return the units of the primary horizon, market by market, landmark by landmark.

    Parameters
    ----------
    markets : sequence of MarketInput
        Forecasts and prices.
    config : EvaluationConfig
        Latency and distance bands.

    Returns
    -------
    ndarray of VISIT_DTYPE
        Also those whose window was not watched through: they are issued, and not scored.
    """
    parts = [np.zeros(0, VISIT_DTYPE)]
    for i, market in enumerate(markets):
        if not len(market.forecasts):
            continue
        here = anchors_of(market.forecasts)
        chosen = landmark_rows(here.at, PRIMARY_NS)
        ranks = [_middle_ranks(market.forecasts[k], config) for k in chosen.tolist()]
        n_bands = len(config.bands) - 1
        rows = np.zeros((len(chosen), n_bands, 2), VISIT_DTYPE)
        rows["symbol"] = i
        rows["forecast"] = chosen[:, None, None]
        rows["at"] = here.at[chosen][:, None, None]
        rows["band"] = np.arange(n_bands)[:, None]
        rows["side"] = np.array([Side.LONG, Side.SHORT])
        middles = [0.5 * (low + high) for low, high in pairwise(config.bands)]
        rows["distance_sigma"] = np.array(middles)[:, None]
        rows["density_rank"] = np.array(ranks).reshape(rows.shape)
        flat = rows.ravel()
        _settle(flat, market, config)
        parts.append(_with_known(flat, market, config))
    return np.concatenate(parts)


def _middle_ranks(forecast: Forecast, config: EvaluationConfig) -> FloatArray:
    """Return the rank of the middle bin of each band below and above, shape (bands, 2).

    Among the bins of the band on both sides together; ½ where none lies in it.
    """
    step, sigma = forecast.grid.step, forecast.sigma_1d * np.sqrt(PRIMARY_NS / DAY_NS)
    n = int(config.bands[-1] * sigma / step) + 1
    ratio = (np.arange(n) + 0.5) * step / sigma
    density = outward_density(forecast, n, _SMOOTHING)
    out = np.full((len(config.bands) - 1, 2), 0.5)
    for band, (low, high) in enumerate(pairwise(config.bands)):
        mine = np.flatnonzero((ratio >= low) & (ratio < high))
        if len(mine):
            middle = int(np.abs(ratio[mine] - 0.5 * (low + high)).argmin())
            ranks = within_ranks(np.zeros(2 * len(mine), np.int64), density[:, mine].ravel())
            out[band] = ranks[middle], ranks[len(mine) + middle]
    return out


def _settle(rows: npt.NDArray[Any], market: MarketInput, config: EvaluationConfig) -> None:
    """Write which of a market's units the price reached, and which of them can tell."""
    path = market.path
    windows = watch(path, rows["at"] + config.latency_ns, rows["at"] + PRIMARY_NS)
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), windows.first, windows.stop
    )
    chosen = rows["forecast"]
    centre = np.log(column(market.forecasts, "mark"))[chosen]
    sigma = column(market.forecasts, "sigma_1d")[chosen]
    distance = rows["distance_sigma"] * sigma * np.sqrt(PRIMARY_NS / DAY_NS)
    above, below = highest >= centre + distance, lowest <= centre - distance
    rows["scored"] = windows.censor == Censor.NONE
    rows["visited"] = rows["scored"] & np.where(rows["side"] == Side.LONG, below, above)


def cluster_levels(
    outcomes: npt.NDArray[Any], markets: Sequence[MarketInput], config: EvaluationConfig
) -> npt.NDArray[Any]:
    """Return the clusters of the primary horizon that begin an episode, market by market.

    Parameters
    ----------
    outcomes : ndarray of OUTCOME_DTYPE
        Of all markets and horizons.
    markets : sequence of MarketInput
        In the order of `outcomes["symbol"]`.
    config : EvaluationConfig
        Latency and distance bands.

    Returns
    -------
    ndarray of VISIT_DTYPE
        Also those whose window was not watched through.
    """
    born = outcomes[outcomes["birth"] & (outcomes["horizon_ns"] == PRIMARY_NS)]
    parts = [np.zeros(0, VISIT_DTYPE)]
    for i, market in enumerate(markets):
        mine = born[born["symbol"] == i]
        rows = np.zeros(len(mine), VISIT_DTYPE)
        for name in ("symbol", "forecast", "at", "side", "distance_sigma", "density_rank"):
            rows[name] = mine[name]
        rows["band"] = _bands_of(rows, config)
        rows["scored"] = mine["visited"] >= 0
        rows["visited"] = np.maximum(mine["visited"], 0)
        parts.append(_with_known(rows, market, config))
    return np.concatenate(parts)


def current_levels(
    market: MarketInput, config: EvaluationConfig, known: FloatArray, first: int = 0, most: int = 1
) -> npt.NDArray[Any]:
    """Return every cluster of some forecasts of a market as a level, as they were issued.

    What befell them is not looked at: none is `scored`, so that none can teach.

    Parameters
    ----------
    market : MarketInput
        Forecasts and prices.
    config : EvaluationConfig
        Latency and distance bands.
    known : ndarray of float64
        The `covariates` of the market's anchors.
    first, most : int
        From which forecast on, and of how many.

    Returns
    -------
    ndarray of VISIT_DTYPE
        Also those that cannot be asked about, such as where the mark is inside the cluster.
    """
    flat = flatten(market.symbol, market.forecasts[first : first + most])
    rows = np.zeros(len(flat.clusters), VISIT_DTYPE)
    rows["forecast"], rows["at"] = first + flat.owner, flat.at[flat.owner]
    rows["side"] = flat.clusters["side"]
    rows["density_rank"] = flat.clusters["density_rank"]
    rows["distance_sigma"] = flat.distance_sigma(PRIMARY_NS)
    rows["band"] = _bands_of(rows, config)
    return _with_known(rows, market, config, known)


def _bands_of(rows: npt.NDArray[Any], config: EvaluationConfig) -> npt.NDArray[Any]:
    """Return the distance band of each level, the nearest one of those beyond all."""
    band = np.searchsorted(np.asarray(config.bands), rows["distance_sigma"], "right") - 1
    return np.asarray(np.clip(band, 0, len(config.bands) - 2))


def _with_known(
    rows: npt.NDArray[Any],
    market: MarketInput,
    config: EvaluationConfig,
    known: FloatArray | None = None,
) -> npt.NDArray[Any]:
    """Return a market's levels with what was known of the market when they were issued."""
    if not len(rows):
        return rows
    anchors: Anchors = market.anchors or anchors_of(market.forecasts)
    here = np.searchsorted(anchors.at, rows["at"])
    toward = -rows["side"].astype(np.float64)  # longs are forced below, where the price falls
    asymmetry = column(market.forecasts, "asymmetry")
    rows["asymmetry"] = -toward * asymmetry[rows["forecast"]]
    table = covariates(anchors, market.path) if known is None else known
    for name in _KNOWN:
        values = table[here, LEVEL_COVARIATES.index(name)]
        rows[name] = values * toward if name in _TOWARD else values
    rate = np.nan if market.funding is None else funding_at(market.funding, rows["at"])
    rows["funding"] = -toward * rate
    sigma = anchors.sigma_1d[here] * np.sqrt(PRIMARY_NS / DAY_NS)
    rows["brownian"] = nominal_brownian(
        anchors,
        market.path,
        here,
        np.maximum(rows["distance_sigma"], 0.0) * sigma,
        horizon_ns=PRIMARY_NS,
        latency_ns=config.latency_ns,
    )
    wait = max(config.latency_ns, market.path.max_delay_ns) + 1
    rows["matured_ns"] = rows["at"] + PRIMARY_NS + wait
    return rows
