"""How much clusters hang on smoothing, grid and prominence, in simulated markets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from liqbt.estimators.config import MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.evaluation.clusters import cluster_facts
from liqbt.replay import replay_many, schedule
from liqbt.simulate.market import simulate
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.estimators import shipped_tiers
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import DAY_NS, HOUR_NS, Forecast, Instrument, Kind, Side

KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION)
ROOT = 1313
REACH = 0.3
EVERY_H = 6
CHOICES: Final[dict[str, dict[str, Any]]] = {
    "as configured": {},
    "smoothing 3 bins": {"smoothing_bins": 3},
    "smoothing 15 bins": {"smoothing_bins": 15},
    "smoothing 31 bins": {"smoothing_bins": 31},
    "grid of 2.5 bp": {"step": 2.5e-4, "fine_bins": 400, "smoothing_bins": 13},
    "grid of 10 bp": {"step": 1e-3, "fine_bins": 100, "smoothing_bins": 3},
    "coarse from 5 % on": {"fine_bins": 100},
    "prominence 0.05": {"prominence": 0.05},
    "prominence 0.2": {"prominence": 0.2},
}
NAMES = ("clusters", "same", "range", "held", "lift", "life", "prominence", "significance")


def within(forecast: Forecast) -> np.ndarray:
    """Return which clusters lie within reach."""
    ends = np.column_stack([forecast.clusters["low"], forecast.clusters["high"]])
    return np.asarray((np.abs(np.log(ends / forecast.mark)) <= REACH).all(axis=1))


def held(truth: Truth, forecast: Forecast) -> tuple[float, float]:
    """Return which share of the range within reach clusters take, and of the true notional."""
    k = int(np.searchsorted(truth.snapshot_ns, forecast.at))
    taken = inside = whole = 0.0
    for row, side in ((0, Side.LONG), (1, Side.SHORT)):
        density = truth.density_usd[k, row]
        edges = truth.grid.prices(int(truth.mark_bin[k]), side, density.size)
        outward = np.abs(np.log(edges / forecast.mark))
        total = np.concatenate([[0.0], np.cumsum(density, dtype=np.float64)])
        whole += float(np.interp(REACH, outward, total))
        mine = forecast.clusters[within(forecast) & (forecast.clusters["side"] == side)]
        for low, high in zip(mine["low"].tolist(), mine["high"].tolist(), strict=True):
            ends = np.sort(np.abs(np.log(np.array([low, high]) / forecast.mark)))
            near, far = np.interp(ends, outward, total)
            inside, taken = inside + far - near, taken + float(ends[1] - ends[0])
    return taken / (2.0 * REACH), inside / whole


def same(one: Forecast, other: Forecast) -> float:
    """Return how many clusters of one are those of another: over half of their union is shared."""
    a, b = one.clusters[within(one)], other.clusters
    if not len(a):
        return np.nan
    low = np.maximum(a["low"][:, None], b["low"])
    high = np.minimum(a["high"][:, None], b["high"])
    union = np.maximum(a["high"][:, None], b["high"]) / np.minimum(a["low"][:, None], b["low"])
    shared = np.log(high / low) / np.log(union)
    return float(((shared > 0.5) & (a["side"][:, None] == b["side"])).any(axis=1).mean())


def measured(world: World, number: int) -> dict[tuple[str, str], list[float]]:
    """Return means over the second half of a market, by estimator and choice: see `NAMES`."""
    market = simulate(world, seed=np.random.SeedSequence(ROOT, spawn_key=(99, number)))
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    spec = MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"])
    estimators: dict[str, Any] = {}
    for choice, changed in CHOICES.items():
        estimators[f"levmix|{choice}"] = LevMix(LevMixParams(intervals=False, **changed), spec)
        estimators[f"oi_flow|{choice}"] = OIFlow(OIFlowParams(**changed), spec)
    half = (world.start_ns + world.end_ns) // 2
    issued = replay_many(tape, estimators, schedule(half, world.end_ns, EVERY_H * HOUR_NS))
    found = {}
    for name, forecasts in issued.items():
        use, choice = name.split("|")
        configured = {f.at: f for f in issued[f"{use}|as configured"]}
        near = np.concatenate([within(f) for f in forecasts])
        facts = cluster_facts(forecasts)
        ends = np.unique(facts["track"][near], return_counts=True)[1]
        daily = [f for f in forecasts if f.at % DAY_NS == 0]
        range_, share = np.mean([held(market.truth["SIM"], f) for f in daily], axis=0)
        found[use, choice] = [
            float(near.sum() / len(forecasts)),
            float(np.nanmean([same(f, configured[f.at]) for f in forecasts])),
            100.0 * range_,
            100.0 * share,
            share / range_,
            float(np.median(ends)) * EVERY_H,
            float(np.nanmedian(facts["prominence"][near])),
            float(np.nanmedian(facts["significance"][near])),
        ]
    return found


def sensitivity(
    world_of: Callable[[str, int], World], names: Sequence[str], numbers: Sequence[int]
) -> None:
    """Measure markets and print the table: means over them."""
    every = [measured(world_of(name, number), number) for name in names for number in numbers]
    print(
        "\n| estimator | choice | clusters within ±30 % | same as configured | of the range | "
        "of true notional | lift | median life, h | prominence | significance |"
    )
    print("|---" * 10 + "|")
    for use, choice in every[0]:
        mean = dict(zip(NAMES, np.mean([one[use, choice] for one in every], axis=0), strict=True))
        print(
            f"| {use} | {choice} | {mean['clusters']:.1f} | {100 * mean['same']:.0f} % | "
            f"{mean['range']:.1f} % | {mean['held']:.1f} % | {mean['lift']:.2f} | "
            f"{mean['life']:.0f} | {mean['prominence']:.2f} | {mean['significance']:.1f} |"
        )
