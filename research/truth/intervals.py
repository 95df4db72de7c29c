"""Whether intervals of clusters hold the truth, in simulated markets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from liqbt.estimators.config import MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.replay import Checkpoint, replay_from, schedule
from liqbt.simulate.market import simulate
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.estimators import shipped_tiers
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import DAY_NS, FloatArray, Forecast, Instrument, Kind, Side

KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION)
ROOT = 1313
REACH = 0.3
EVERY_DAYS = 10


def shares(forecast: Forecast) -> FloatArray:
    """Return what share of its side within reach each cluster is; NaN beyond reach."""
    out = np.full(len(forecast.clusters), np.nan)
    for i in range(len(out)):
        cluster = forecast.cluster(i)
        row = forecast.density_usd[0 if cluster.side == Side.LONG else 1]
        edges = forecast.grid.prices(forecast.mark_bin, cluster.side, len(row))
        inside = np.abs(np.log(edges[1:] / forecast.mark)) <= REACH
        if abs(np.log(cluster.high / forecast.mark)) <= REACH:
            out[i] = cluster.notional_usd / max(float(row[inside].sum(dtype=np.float64)), 1e-9)
    return out


def true_shares(truth: Truth, forecast: Forecast) -> FloatArray:
    """Return the same of the true map at that time."""
    k = int(np.searchsorted(truth.snapshot_ns, forecast.at))
    assert truth.snapshot_ns[k] == forecast.at
    out = np.full(len(forecast.clusters), np.nan)
    for i in range(len(out)):
        cluster = forecast.cluster(i)
        row = truth.density_usd[k, 0 if cluster.side == Side.LONG else 1]
        edges = truth.grid.prices(int(truth.mark_bin[k]), cluster.side, row.size)
        within = np.concatenate([[0.0], np.cumsum(row, dtype=np.float64)])
        outward = np.abs(np.log(edges / forecast.mark))
        ends = np.sort(np.abs(np.log([cluster.low / forecast.mark, cluster.high / forecast.mark])))
        near, far, whole = np.interp([*ends, REACH], outward, within)
        out[i] = (far - near) / whole if whole > 0.0 else np.nan
    return out


def scored(world: World, number: int) -> list[list[float]]:
    """Return shares of every cluster every few days of the second half.

    Each row: issued, lower and upper end, both of the weights alone, true.
    """
    market = simulate(world, seed=np.random.SeedSequence(ROOT, spawn_key=(99, number)))
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    estimator = LevMix(LevMixParams(), MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"]))
    times = schedule(world.start_ns + DAY_NS, world.end_ns, DAY_NS)
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    rows = []
    for i, (_, forecast) in enumerate(replay_from(start, tape, estimator, times)):
        if forecast is None or i < world.days // 2 or i % EVERY_DAYS:
            continue
        issued, true = shares(forecast), true_shares(market.truth["SIM"], forecast)
        ends = estimator.intervals(forecast, reach=REACH)
        alone = estimator.intervals(forecast, reach=REACH, error=(0.0, 0.0, 0.0))
        scale = issued / forecast.clusters["notional_usd"]
        made = np.column_stack([issued, np.hstack([ends, alone]) * scale[:, None], true])
        rows += made[np.isfinite(made).all(axis=1)].tolist()
    return rows


def table(found: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Print how many intervals of 80 % hold the truth, by world, and the quantiles of the error."""
    print("\n| world | clusters | hold | truth below | truth above | weights alone hold | width |")
    print("|---|---|---|---|---|---|---|")
    every = [row for rows in found.values() for row in rows]
    for name, rows in {**found, "all": every}.items():
        issued, low, high, alone_low, alone_high, true = np.array(rows).T
        shares = {
            "hold": (low <= true) & (true <= high),
            "below": true < low,
            "above": true > high,
            "alone": (alone_low <= true) & (true <= alone_high),
        }
        cells = [f"{100 * one.mean():.0f} %" for one in shares.values()]
        print(f"| {name} | {len(issued):,} | {' | '.join(cells)} | × {np.median(high / low):.1f} |")
    issued, *_, true = np.array(every).T
    tails = np.quantile(np.log(np.maximum(true, 1e-12) / issued), [0.1, 0.5, 0.9])
    print(f"\nLog of true over issued share, quantiles at 0.1, 0.5, 0.9: {tails.round(2).tolist()}")


def intervals(
    world_of: Callable[[str, int], World], names: Sequence[str], numbers: Sequence[int]
) -> None:
    """Score markets and print the table."""
    table(
        {
            name: [row for number in numbers for row in scored(world_of(name, number), number)]
            for name in names
        }
    )
