"""The truth beside a run's figures, where the market was simulated and the truth is known.

The market is simulated again, from its world and seed, after the last forecast has been issued and
scored: while an estimator runs there is no truth in the process that it could reach. What is
written are figures, in `truth.json`, and the true map at the last forecast, in
`truth_map.parquet`; the report reads them and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.config.fields import format_duration
from liqbt.errors import DataError
from liqbt.evaluation.config import MarketInput
from liqbt.simulate.effects.acceleration import acceleration_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.effects.maps import correlation, mass_by_distance, outside_share, wasserstein
from liqbt.simulate.effects.placement import placement_effects
from liqbt.simulate.effects.reversal import reversal_effects
from liqbt.simulate.effects.stops import stop_effects
from liqbt.simulate.effects.twin import twin_visits
from liqbt.simulate.effects.values import Effect, ratio, sum_by_day
from liqbt.simulate.effects.walls import wall_effects
from liqbt.simulate.market import Market, simulate
from liqbt.simulate.truth import Truth, truth_tables
from liqbt.simulate.world import World
from liqbt.study.schema import Experiment
from liqbt.types import DAY_NS, FloatArray, IntArray, Kind, Ns

REACHES: Final = (0.10, 0.30, 0.60)
"""Maps are compared within ±10 %, ±30 % and ±60 % of the price."""
_MEASURES: Final[dict[str, Callable[..., tuple[Effect, ...]]]] = {
    "fuel": fuel_effects,
    "impact": fuel_effects,
    "stops": stop_effects,
    "acceleration": acceleration_effects,
    "sweep_reversal": reversal_effects,
    "walls": wall_effects,
    "placement": placement_effects,
}
"""What measures a mechanism from one market; the visits of levels are measured for any."""
_WIDTH: Final = 0.005
"""Bins of half a per cent."""
_HORIZON_NS: Final = DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """What the truth says beside a run's figures.

    Attributes
    ----------
    figures : mapping
        For `truth.json`: `planted` (the world's statement); `effects` (rows of
        `liqbt.simulate.Effect` with `symbol`, from the true map); `twin` (visits of
        the run's own episodes against the same random numbers without the mechanisms); `maps`
        (distances between estimated and true maps).
    last_map : pyarrow.Table
        `symbol, ts_ns, side, low, high, notional_usd`: the true notional by liquidation price when
        the last forecast was issued.
    """

    figures: Mapping[str, Any]
    last_map: pa.Table


def ground_truth(
    experiment: Experiment,
    world: World,
    planted: Mapping[str, Any],
    markets: Sequence[MarketInput],
    outcomes: npt.NDArray[Any],
) -> GroundTruth:
    """Simulate the market again and put its truth beside what a run has found.

    Parameters
    ----------
    experiment : Experiment
        The run's configuration; its `data.seed` is the market's.
    world : World
        The simulated world that the run's events came from.
    planted : mapping
        What the run states of it.
    markets : sequence of MarketInput
        Scored forecasts and prices, as `outcomes` numbers them.
    outcomes : ndarray of OUTCOME_DTYPE
        What befell the forecasts' clusters.

    Raises
    ------
    DataError
        If the prices of the run are not those of the truth.
    """
    truths = simulate(world, seed=experiment.data.seed).truth
    rows: dict[str, list[dict[str, Any]]] = {"effects": [], "twin": [], "maps": []}
    maps = []
    for i, market in enumerate(markets):
        config = experiment.symbols[market.symbol]
        truth = truths[config.events[config.price_kind][0].symbol]
        if config.price_kind != Kind.TRADE:
            _check_same(market, truth)
        name = {"symbol": market.symbol}
        rows["effects"] += [name | asdict(effect) for effect in _effects(truth, planted)]
        mine = outcomes[outcomes["symbol"] == i]
        rows["twin"] += [name | row for row in _twin_rows(truth, market, mine)]
        rows["maps"] += [name | row for row in _map_rows(truth, market)]
        if market.forecasts:
            maps.append(_last_map(market.symbol, truth, market.forecasts[-1].at))
    return GroundTruth(
        figures={"planted": dict(planted), **rows},
        last_map=pa.concat_tables(maps) if maps else pa.table({}),
    )


def joined_truths(parts: Sequence[GroundTruth | None]) -> GroundTruth | None:
    """Return the truth of markets that were observed apart; None where there is none."""
    held = [part for part in parts if part is not None]
    if not held:
        return None
    rows = {
        name: [row for part in held for row in part.figures[name]]
        for name in held[0].figures
        if name != "planted"
    }
    maps = [part.last_map for part in held if part.last_map.num_rows]
    return GroundTruth(
        figures={"planted": held[0].figures["planted"], **rows},
        last_map=pa.concat_tables(maps) if maps else pa.table({}),
    )


def _effects(truth: Truth, planted: Mapping[str, Any]) -> Iterator[Effect]:
    """Yield the effects of the true map: visits of dense levels, and what is planted besides."""
    yield from level_effects([truth], horizon_ns=_HORIZON_NS)
    wanted = {measure: name for name, measure in _MEASURES.items() if planted.get(name)}
    for measure, name in wanted.items():
        yield from measure([truth], mechanism=name)


def _check_same(market: MarketInput, truth: Truth) -> None:
    """Refuse a truth that is not the one that the run's prices came from."""
    known = np.isin(market.path.end_ns, truth.path_ns)
    at = np.searchsorted(truth.path_ns, market.path.end_ns[known])
    same = np.isclose(truth.path_price[at], market.path.close[known], rtol=1e-9)
    if not known.all() or not same.all():
        wrong = int((~known).sum() + (~same).sum())
        raise DataError(
            f"{market.symbol}: {wrong} prices of the run are not those of "
            "the simulated truth; delete the results' .cache folder and run it again"
        )


def _points_per_mark(truth: Truth, market: MarketInput) -> int:
    """How many points of the true path lie between two marks; 1 where bars show highs and lows."""
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    return max(market.path.spacing_ns // spacing, 1)


def _twin_rows(
    truth: Truth, market: MarketInput, outcomes: npt.NDArray[Any]
) -> Iterator[dict[str, Any]]:
    """Yield, by horizon and kind of episode, the visits and those of the twin."""
    for horizon_ns in np.unique(outcomes["horizon_ns"]).tolist():
        known = (outcomes["horizon_ns"] == horizon_ns) & (outcomes["visited"] >= 0)
        for subset, flag in (("all", "birth"), ("densest", "densest_birth")):
            rows = outcomes[known & outcomes[flag]]
            if len(rows):
                yield {
                    "horizon": format_duration(horizon_ns),
                    "subset": subset,
                    **_against_twin(truth, market, rows),
                }


def _against_twin(truth: Truth, market: MarketInput, rows: npt.NDArray[Any]) -> dict[str, Any]:
    factual, twin = twin_visits(
        truth,
        at_ns=rows["at"],
        from_ns=rows["exposed_start_ns"],
        until_ns=rows["exposed_end_ns"],
        level=rows["near"],
        above=rows["side"] < 0,
        every=_points_per_mark(truth, market),
    )
    visited = rows["visited"].astype(np.float64)
    lift = visited - twin
    effect = ratio(
        sum_by_day(lift, np.ones_like(lift), rows["at"]),
        mechanism="all",
        statistic="twin_lift",
        unit="share",
    )
    return {
        "n": effect.n,
        "n_days": effect.n_days,
        "visited": float(visited.mean()),
        "mirror": float(np.mean(rows["mirror_visited"] == 1)),
        "brownian": float(np.nanmean(rows["brownian"])),
        "twin": float(twin.mean()),
        "twin_lift": effect.value,
        "standard_error": effect.standard_error,
        "agreement": float(np.mean(factual == (rows["visited"] == 1))),
    }


@dataclass(frozen=True, slots=True)
class _Pair:
    """Maps of one instant, by log distance from the true price; the twin's is zero without one."""

    at: Ns
    estimated: FloatArray
    true: FloatArray
    twin: FloatArray
    outside: FloatArray
    true_outside: FloatArray


def _pairs(truth: Truth, market: MarketInput, reach: float) -> Iterator[_Pair]:
    """Yield a pair a day: the first forecast of each UTC day that has a true map at its issue."""
    snapshot = {ts: i for i, ts in enumerate(truth.snapshot_ns.tolist())}
    twins = {f.at: f for f in market.twin or ()}
    bins, last = round(reach / _WIDTH), -1
    for f in market.forecasts:
        i = snapshot.get(f.at)
        if i is None or f.at // DAY_NS == last:
            continue
        last = f.at // DAY_NS
        price = float(truth.snapshot_mark[i])
        maps = [(truth.density_usd[i], truth.grid, int(truth.mark_bin[i]))]
        maps += [(g.density_usd, g.grid, g.mark_bin) for g in (f, twins.get(f.at)) if g is not None]
        true, estimated, *twin = (
            mass_by_distance(density, grid, mark_bin, price=price, width=_WIDTH, bins=bins)
            for density, grid, mark_bin in maps
        )
        yield _Pair(
            f.at,
            estimated,
            true,
            twin[0] if twin else np.zeros_like(true),
            outside_share(f.density_usd, estimated),
            outside_share(truth.density_usd[i], true),
        )


def _map_rows(truth: Truth, market: MarketInput) -> Iterator[dict[str, Any]]:
    """Yield, by reach, side and measure, the estimated map beside three that know no position.

    `even`: the same notional at every distance (flat, so nothing correlates with it); `usual`: the
    mean of the estimator's own maps issued before, by distance alone; `twin`: its price-only
    twin's of the same days, None where there is none.
    """
    for reach in REACHES:
        pairs = list(_pairs(truth, market, reach))
        for side, name in enumerate(("long", "short")):
            rows = np.array(list(_compared(pairs, side)), dtype=np.float64).reshape(-1, 4, 2)
            rows = rows[np.isfinite(rows[:, :3]).all(axis=(1, 2))]
            if not len(rows):
                continue
            for k, measure in enumerate(("wasserstein", "correlation")):
                mean = rows[:, :, k].mean(axis=0)
                yield {
                    "reach": reach,
                    "side": name,
                    "measure": measure,
                    "estimated": float(mean[0]),
                    "even": float(mean[1]) if measure == "wasserstein" else None,
                    "usual": float(mean[2]),
                    "twin": float(mean[3]) if np.isfinite(mean[3]) else None,
                    "nearer_than_usual": _share_better(rows[:, 0, k], rows[:, 2, k], measure),
                    "outside": float(np.nanmean([p.outside[side] for p in pairs])),
                    "true_outside": float(np.nanmean([p.true_outside[side] for p in pairs])),
                    "n_days": len(rows),
                }


def _share_better(estimated: FloatArray, usual: FloatArray, measure: str) -> float:
    better = estimated < usual if measure == "wasserstein" else estimated > usual
    return float(better.mean())


def _compared(pairs: Sequence[_Pair], side: int) -> Iterator[list[list[float]]]:
    """Yield [distance, correlation] of the estimated, even, usual and twin map, for each pair."""
    past: list[FloatArray] = []
    for pair in pairs:
        estimated, true = pair.estimated[side], pair.true[side]
        if past:
            usual = np.mean(past, axis=0)
            maps = (estimated, np.ones_like(true), usual, pair.twin[side])
            yield [
                [wasserstein(m, true, _WIDTH), correlation(m, true) if k != 1 else 0.0]
                for k, m in enumerate(maps)
            ]
        whole = float(estimated.sum())
        if whole > 0:
            past.append(estimated / whole)


def _last_map(symbol: str, truth: Truth, at: Ns) -> pa.Table:
    """Return the true map of the last snapshot that is not after `at`, entry by entry."""
    i = int(np.searchsorted(truth.snapshot_ns, at, "right")) - 1
    density = truth.density_usd[max(i, 0)]
    out = truth.grid.outward_edges(density.shape[1])
    here: IntArray = truth.mark_bin[max(i, 0)]
    tables = []
    for row, side, edges in ((0, "long", here - out), (1, "short", here + 1 + out)):
        price = truth.grid.anchor * np.exp(edges * truth.grid.step)
        ends = np.sort(np.stack([price[:-1], price[1:]]), axis=0)
        tables.append(
            pa.table(
                {
                    "symbol": pa.array([symbol] * density.shape[1], pa.string()),
                    "ts_ns": np.full(density.shape[1], truth.snapshot_ns[max(i, 0)]),
                    "side": pa.array([side] * density.shape[1], pa.string()),
                    "low": ends[0],
                    "high": ends[1],
                    "notional_usd": density[row].astype(np.float64),
                }
            )
        )
    return pa.concat_tables(tables)


def write_truth(market: Market, folder: Path) -> None:
    """Write the truth tables of every symbol below `folder`, one Parquet file a table.

    Parameters
    ----------
    market : Market
        From `liqbt.simulate`.
    folder : Path
        Made where there is none; files are called `<symbol>-<table>.parquet`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for symbol, truth in market.truth.items():
        for name, table in truth_tables(truth).items():
            pq.write_table(table, folder / f"{symbol}-{name}.parquet", compression="zstd")
