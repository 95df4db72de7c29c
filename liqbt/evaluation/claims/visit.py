"""P(visit): what was known of a level when it was issued, and whether its probability was any good.

Two kinds of levels, by the same rules:

- **Units** do not depend on what a map draws: at non-overlapping landmarks, one level in the middle
  of each distance band, above and below the mark. Two configurations can be paired on them.
- **Clusters**: the near edge of each episode's first eligible cluster.

Everything that a probability is made of was known at issue: the Brownian probability it starts from
is that of the time that should be watched, not of the time that was. The caller hands over what was
issued (`learn`), and that may use matured outcomes only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.bins import anchors_of, outward_density, within_ranks
from liqbt.evaluation.claims.direction import MODEL_HORIZON_NS
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.funding import funding_at
from liqbt.evaluation.inference.days import Draws, draw
from liqbt.evaluation.inference.estimates import (
    POOLED,
    ScoreDetail,
    detail,
    estimate,
    estimate_lift,
)
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.lifts import (
    SUBSETS,
    births_of,
    cluster_placebo,
    counted,
    difference_in_differences,
    level_lift,
    observed_over_expected,
)
from liqbt.evaluation.nulls.levels import LEVEL_COVARIATES, Anchors, covariates, nominal_brownian
from liqbt.evaluation.nulls.placebo import PlaceboConfig, fit_placebo
from liqbt.evaluation.path import Censor, watch
from liqbt.evaluation.probability import Corp, ReliabilityRow, corp, log_score, reliability
from liqbt.learn.models import VisitPredictions
from liqbt.types import DAY_NS, FloatArray, Forecast, Ns, Side

if TYPE_CHECKING:
    from liqbt.evaluation.evaluate import Evaluation

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visits:
    """Probabilities of visits, scored.

    Attributes
    ----------
    details : tuple of ScoreDetail
        Rows of the one schema.
    reliability : mapping of str to tuple of ReliabilityRow
        Of clusters, by the probability's name: full, ablated, brownian.
    corp : mapping of str to Corp
        The parts of their Brier scores. Both are empty where nothing is scored.
    """

    details: tuple[ScoreDetail, ...]
    reliability: Mapping[str, tuple[ReliabilityRow, ...]]
    corp: Mapping[str, Corp]


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
        chosen = landmark_rows(here.at, MODEL_HORIZON_NS)
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
    step, sigma = forecast.grid.step, forecast.sigma_1d * np.sqrt(MODEL_HORIZON_NS / DAY_NS)
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
    windows = watch(path, rows["at"] + config.latency_ns, rows["at"] + MODEL_HORIZON_NS)
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), windows.first, windows.stop
    )
    chosen = rows["forecast"]
    centre = np.log(np.array([f.mark for f in market.forecasts], np.float64))[chosen]
    sigma = np.array([f.sigma_1d for f in market.forecasts], np.float64)[chosen]
    distance = rows["distance_sigma"] * sigma * np.sqrt(MODEL_HORIZON_NS / DAY_NS)
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
    born = outcomes[outcomes["birth"] & (outcomes["horizon_ns"] == MODEL_HORIZON_NS)]
    parts = [np.zeros(0, VISIT_DTYPE)]
    for i, market in enumerate(markets):
        mine = born[born["symbol"] == i]
        rows = np.zeros(len(mine), VISIT_DTYPE)
        for name in ("symbol", "forecast", "at", "side", "distance_sigma", "density_rank"):
            rows[name] = mine[name]
        band = np.searchsorted(np.asarray(config.bands), rows["distance_sigma"], "right") - 1
        rows["band"] = np.clip(band, 0, len(config.bands) - 2)
        rows["scored"] = mine["visited"] >= 0
        rows["visited"] = np.maximum(mine["visited"], 0)
        parts.append(_with_known(rows, market, config))
    return np.concatenate(parts)


def _with_known(
    rows: npt.NDArray[Any], market: MarketInput, config: EvaluationConfig
) -> npt.NDArray[Any]:
    """Return a market's levels with what was known of the market when they were issued."""
    if not len(rows):
        return rows
    anchors: Anchors = market.anchors or anchors_of(market.forecasts)
    here = np.searchsorted(anchors.at, rows["at"])
    toward = -rows["side"].astype(np.float64)  # longs are forced below, where the price falls
    asymmetry = np.array([f.asymmetry for f in market.forecasts], np.float64)
    rows["asymmetry"] = -toward * asymmetry[rows["forecast"]]
    known = covariates(anchors, market.path)[here]
    for name in _KNOWN:
        values = known[:, LEVEL_COVARIATES.index(name)]
        rows[name] = values * toward if name in _TOWARD else values
    rate = np.nan if market.funding is None else funding_at(market.funding, rows["at"])
    rows["funding"] = -toward * rate
    sigma = anchors.sigma_1d[here] * np.sqrt(MODEL_HORIZON_NS / DAY_NS)
    rows["brownian"] = nominal_brownian(
        anchors,
        market.path,
        here,
        rows["distance_sigma"] * sigma,
        horizon_ns=MODEL_HORIZON_NS,
        latency_ns=config.latency_ns,
    )
    wait = max(config.latency_ns, market.path.max_delay_ns) + 1
    rows["matured_ns"] = rows["at"] + MODEL_HORIZON_NS + wait
    return rows


def visit_scores(
    units: tuple[npt.NDArray[Any], VisitPredictions],
    clusters: tuple[npt.NDArray[Any], VisitPredictions],
    symbols: Sequence[str],
    config: EvaluationConfig,
    rng: np.random.Generator,
) -> Visits:
    """Score the probabilities of visits.

    - `visit_gain`: mean log score (Good 1952) of units, of the model with the map over the same
      model without it, in nats; `visit_gain_over_brownian`: over the Brownian probability;
    - `cluster_visit_gain`: the first, of clusters.

    Only levels enter for which the models had been fitted: before that all issue the same base.

    Parameters
    ----------
    units, clusters : (ndarray of VISIT_DTYPE, VisitPredictions)
        Levels, and what was issued for them.
    symbols : sequence of str
        Names of the markets, by number.
    config : EvaluationConfig
        How often the bootstrap draws.
    rng : numpy.random.Generator
        For the bootstrap.
    """
    at = np.concatenate([units[0]["at"], clusters[0]["at"]])
    n_days = int(np.ptp(at // DAY_NS)) + 1 if len(at) else 1
    draws = draw(rng, reps=config.bootstrap_reps, n_days=n_days)
    details = []
    horizon = horizon_name(MODEL_HORIZON_NS)
    compared = (
        (*_ready(*units), {"visit_gain": "ablated", "visit_gain_over_brownian": "brownian"}),
        (*_ready(*clusters), {"cluster_visit_gain": "ablated"}),
    )
    for i, symbol in enumerate([*symbols, POOLED]):
        for table, held, use, names in compared:
            rows = np.flatnonzero(use if symbol == POOLED else use & (table["symbol"] == i))
            for name, other in names.items():
                gain = _gain(held["full"][rows], held[other][rows], table["visited"][rows])
                found = estimate(gain, table["at"][rows], MODEL_HORIZON_NS, draws)
                details.append(detail("visit", symbol, horizon, "both", name, 0.0, found))
    table, probability, use = _ready(*clusters)
    rows = np.flatnonzero(use)
    if not len(rows):
        return Visits(details=tuple(details), reliability={}, corp={})
    visited = table["visited"][rows].astype(np.float64)
    held = {name: p[rows] for name, p in probability.items()}
    bins = {
        name: reliability(p, visited, table["at"][rows], MODEL_HORIZON_NS, draws)
        for name, p in held.items()
    }
    parts = {name: corp(p, visited) for name, p in held.items()}
    return Visits(details=tuple(details), reliability=bins, corp=parts)


def _gain(p: FloatArray, q: FloatArray, visited: npt.NDArray[np.int8]) -> FloatArray:
    """Return the log score of p less that of q, level by level, nats."""
    if not len(p):
        return np.zeros(0)
    outcome = visited.astype(np.float64)
    return log_score(p, outcome) - log_score(q, outcome)


def _ready(
    table: npt.NDArray[Any], issued: VisitPredictions
) -> tuple[npt.NDArray[Any], dict[str, FloatArray], npt.NDArray[np.bool_]]:
    """Return levels, every probability of them by its name, and which are scored."""
    brownian = np.clip(table["brownian"], 1e-9, 1.0 - 1e-9)
    return table, {**issued.p, "brownian": brownian}, table["scored"] & (issued.n_trained > 0)


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
