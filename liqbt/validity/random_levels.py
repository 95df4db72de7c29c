"""Random levels on real prices: what is left of their visits beyond p̂ must be nothing.

Levels that know nothing, placed in the eligible band from the past alone, go through the same
episodes, windows and inference as clusters do. Where their lift over the placebo probability p̂ is
not zero, or p̂ is not calibrated, nothing that rests on p̂ can be believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import flatten
from liqbt.evaluation.evidence import cluster_placebo
from liqbt.evaluation.inference.days import Draws, day_sums, draw
from liqbt.evaluation.inference.estimates import POOLED, Estimate, estimate
from liqbt.evaluation.lifts import scored_births
from liqbt.evaluation.nulls.placebo import PlaceboConfig, fit_placebo
from liqbt.evaluation.outcomes import market_outcomes, market_windows
from liqbt.evaluation.probability import ReliabilityRow, corp, reliability
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, Clusters, FloatArray, Forecast

LIFE_NS: Final = 5 * HOUR_NS
"""How long a level is issued again at its price; five hours pass through all hours of the day."""
PER_SIDE: Final = 4
"""Levels of a side at one time, one in each quarter of the eligible band."""
SETS: Final = 4
"""Sets of levels, each with its own episodes: a decision should not hang on what was drawn."""
WIDTH: Final = 5e-4
"""Log width of a level: one bin of the estimators' grid."""
LEAST: Final = 30
"""Episodes that a bin of probabilities needs to be judged."""
_TAIL: Final = 0.025
_Z: Final = 1.959963984540054


class LevelsWord(StrEnum):
    """What the gate says of random levels."""

    PASSED = "passed"
    FAILED = "failed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scored:
    """Episodes of random levels with their two nulls."""

    rows: npt.NDArray[Any]
    p: FloatArray


def place_levels(
    forecasts: Sequence[Forecast], config: EvaluationConfig, rng: np.random.Generator
) -> list[Forecast]:
    """Return the forecasts with random levels in the place of their clusters.

    In each stretch of five hours on the clock the first forecast places four levels a side, one in
    each quarter of the band of distances that count, uniformly; they keep their prices until the
    stretch ends or the mark has passed them. A forecast's levels depend on the mark and σ of its
    stretch's first forecast, its own mark, and the draws: on nothing later.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Marks and σ, in order of issue.
    config : EvaluationConfig
        Its floor and ceiling; the longest horizon's σ is meant.
    rng : numpy.random.Generator
        Draws the distances; those of a stretch do not depend on how many follow.
    """
    stretch = np.array([f.at // LIFE_NS for f in forecasts])
    _, place = np.unique(stretch, return_inverse=True)
    uniform = rng.random((int(place.max()) + 1, 2, PER_SIDE))
    out: list[Forecast] = []
    near = np.zeros((2, PER_SIDE))
    for i, forecast in enumerate(forecasts):
        centre = math.log(forecast.mark)
        if not i or place[i] != place[i - 1]:
            near = _near_edges(forecast, config, uniform[place[i]])
        clusters = _clusters(near, centre)
        out.append(replace(forecast, clusters=clusters, notional_interval=None))
    return out


def _near_edges(forecast: Forecast, config: EvaluationConfig, uniform: FloatArray) -> FloatArray:
    """Return log prices of near edges, shape (2, PER_SIDE): above, then below, outward."""
    sigma_h = forecast.sigma_1d * math.sqrt(max(config.horizons_ns) / DAY_NS)
    part = sigma_h * (config.ceiling - config.floor) / PER_SIDE
    room = max(part - WIDTH, 0.5 * part)
    distance = sigma_h * config.floor + part * np.arange(PER_SIDE) + room * uniform
    return np.asarray(math.log(forecast.mark) + distance * np.array([[1.0], [-1.0]]))


def _clusters(near: FloatArray, centre: float) -> Clusters:
    """Return the levels that lie beyond the mark as clusters: shorts first, outward."""
    step = np.abs(np.diff(near, axis=1)).min()
    far = near + min(WIDTH, 0.5 * float(step)) * np.array([[1.0], [-1.0]])
    beyond = np.stack([near[0] > centre, near[1] < centre])
    rows = np.zeros(int(beyond.sum()), CLUSTER_DTYPE)
    rows["side"] = np.repeat([-1, 1], beyond.sum(axis=1))
    edges = np.exp(np.column_stack([near[beyond], far[beyond]]))
    rows["low"], rows["high"] = edges.min(axis=1), edges.max(axis=1)
    rows["peak"] = edges.mean(axis=1)
    rows["notional_usd"], rows["density_rank"] = 1.0, 0.5
    rows.setflags(write=False)
    return rows


def random_levels_found(
    markets: Sequence[MarketInput], config: EvaluationConfig, seed: np.random.SeedSequence
) -> dict[str, Any]:
    """Place random levels in markets, score them against p̂, and decide.

    Parameters
    ----------
    markets : sequence of MarketInput
        Forecasts after the warm-up (their clusters are replaced), prices, and the anchors that p̂
        learns at.
    config : EvaluationConfig
        The protocol, of one horizon.
    seed : SeedSequence
        Of levels, p̂ and bootstrap; each market has streams of its own.

    Returns
    -------
    dict
        `word`, `reason`, `lifts` (a row for each symbol and all together), `reliability` (a row for
        each bin of p̂) and `corp` (Brier parts of p̂ and of the Brownian probability).
    """
    of_draws, *streams = seed.spawn(1 + len(markets))
    scored = [_score(m, config, s) for m, s in zip(markets, streams, strict=True)]
    everything = _Scored(
        rows=np.concatenate([s.rows for s in scored]), p=np.concatenate([s.p for s in scored])
    )
    n_days = int(np.ptp(everything.rows["at"] // DAY_NS)) + 1
    draws = draw(np.random.default_rng(of_draws), reps=config.bootstrap_reps, n_days=n_days)
    named = [*zip((m.symbol for m in markets), scored, strict=True), (POOLED, everything)]
    lifts = [row for name, each in named for row in level_rows(name, each, config, draws)]
    rows, p = everything.rows, everything.p
    visited = rows["visited"].astype(np.float64)
    bins = reliability(p, visited, rows["at"], max(config.horizons_ns), draws)
    word, reason = levels_verdict(lifts, bins)
    return {
        "word": str(word),
        "reason": reason,
        "lifts": lifts,
        "reliability": [_bin(row) for row in bins],
        "corp": {
            "placebo": asdict(corp(p, visited)),
            "brownian": asdict(corp(rows["brownian"], visited)),
        },
    }


def _score(market: MarketInput, config: EvaluationConfig, seed: np.random.SeedSequence) -> _Scored:
    """Return the episodes of random levels in one market, and p̂ of each."""
    of_placebo, *of_levels = seed.spawn(1 + SETS)
    sets = [_births(market, config, np.random.default_rng(s)) for s in of_levels]
    rows = np.concatenate(sets)
    placebo = fit_placebo(
        market.anchors or anchors_of(market.forecasts),
        market.path,
        PlaceboConfig(),
        horizon_ns=max(config.horizons_ns),
        latency_ns=config.latency_ns,
        rng=np.random.default_rng(of_placebo),
    )
    return _Scored(rows=rows, p=cluster_placebo(placebo, rows)[0])


def _births(
    market: MarketInput, config: EvaluationConfig, rng: np.random.Generator
) -> npt.NDArray[Any]:
    """Return the scored episodes of one set of random levels."""
    levels = place_levels(market.forecasts, config, rng)
    flat = flatten(market.symbol, levels)
    windows = market_windows(flat, market.path, config)
    placed = replace(market, forecasts=levels)
    return scored_births(market_outcomes(placed, flat, windows, config))


def level_rows(
    symbol: str, scored: _Scored, config: EvaluationConfig, draws: Draws
) -> list[dict[str, Any]]:
    """Return the level lift over p̂, and beside it over the Brownian probability, as rows."""
    rows = scored.rows
    visited = rows["visited"].astype(np.float64)
    out = []
    for null, chance in (("placebo", scored.p), ("brownian", rows["brownian"])):
        days = day_sums(visited - chance, rows["at"], hits=visited)
        found = estimate(days, max(config.horizons_ns), draws)
        out.append({"symbol": symbol, "null": null, **_estimate(found)})
    return out


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "error": max(found.hac_se, found.bootstrap_se),
        "hac_se": found.hac_se,
        "bootstrap_se": found.bootstrap_se,
        "agree": found.agree,
        "n_episodes": found.n_episodes,
        "n_days": found.n_days,
    }


def _bin(row: ReliabilityRow) -> dict[str, Any]:
    return {
        "low": row.low,
        "high": row.high,
        "mean_probability": row.mean_probability,
        **_estimate(row.frequency),
    }


def levels_verdict(
    lifts: Sequence[dict[str, Any]], bins: Sequence[ReliabilityRow]
) -> tuple[LevelsWord, str]:
    """Decide: every lift over p̂ is nothing, and p̂ is calibrated in all bins together.

    A lift passes where 0 lies within 1.96 of the smaller of its two standard errors (a pass must
    not come from the larger): so it is half a point or less where that error is a quarter of one.
    p̂ is calibrated where the mean
    probability of every bin with 30 episodes or more lies in a band of its frequency that holds for
    all such bins together (95 %, Bonferroni).

    Parameters
    ----------
    lifts : sequence of dict
        Of `level_rows`; only those over p̂ are judged.
    bins : sequence of ReliabilityRow
        Of p̂.
    """
    for row in lifts:
        said = f"{row['symbol']}: {100 * row['value']:+.2f} points over p̂"
        if row["null"] != "placebo":
            continue
        error = min(row["hac_se"], row["bootstrap_se"])
        if not abs(row["value"]) <= _Z * error:
            return LevelsWord.FAILED, f"{said}, with a standard error of {100 * error:.2f}"
    off = _uncalibrated(bins)
    if off:
        return LevelsWord.FAILED, f"p̂ is not calibrated: {off}"
    worst = max(row["error"] for row in lifts if row["null"] == "placebo")
    return LevelsWord.PASSED, (
        "visits of random levels are what p̂ says, in each market and together (standard errors "
        f"up to {100 * worst:.2f} points), and p̂ is calibrated"
    )


def _uncalibrated(bins: Sequence[ReliabilityRow]) -> str:
    """Return the first bin whose mean probability lies outside of its band, in words."""
    from scipy.special import ndtri

    judged = [
        b for b in bins if b.frequency.n_episodes >= LEAST and math.isfinite(b.frequency.ci_low)
    ]
    if not judged:
        return "no bin holds enough episodes"
    wider = float(ndtri(1.0 - _TAIL / len(judged)) / ndtri(1.0 - _TAIL))
    for row in judged:
        f, p = row.frequency, row.mean_probability
        low, high = f.value - wider * (f.value - f.ci_low), f.value + wider * (f.ci_high - f.value)
        if not low <= p <= high:
            return (
                f"where it says {p:.1%}, {f.value:.1%} were visited ({low:.1%} to {high:.1%} with "
                "all bins together)"
            )
    return ""
