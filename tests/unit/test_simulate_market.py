"""A simulated market: reproducible, consistent, its truth apart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from liqbt.errors import ConfigError
from liqbt.log import event_schema, logical_hash
from liqbt.simulate import Truth, World, magnet_effect, simulate, truth_tables
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, DensityGrid, Kind, Side

SMALL = World(name="small", days=3, warmup_days=2)


@pytest.fixture(scope="module")
def market():
    return simulate(SMALL, seed=3)


def digest(market):
    tables = {kind: logical_hash(table) for kind, table in market.tables.items()}
    truth = [
        logical_hash_of(truth_tables(truth)) + symbol for symbol, truth in market.truth.items()
    ]
    return tables, truth


def logical_hash_of(tables):
    return "".join(logical_hash(table) for table in tables.values() if not_lists(table))


def not_lists(table):
    return "long_usd" not in table.schema.names


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(market):
    again = simulate(SMALL, seed=3)
    assert digest(again) == digest(market)
    assert (again.truth["SIM"].density_usd == market.truth["SIM"].density_usd).all()
    other = simulate(SMALL, seed=4)
    assert digest(other)[0][Kind.MARK] != digest(market)[0][Kind.MARK]
    assert digest(other)[0][Kind.OPEN_INTEREST] != digest(market)[0][Kind.OPEN_INTEREST]


def test_replications_do_not_depend_on_how_many_there_are():
    few = np.random.SeedSequence(9).spawn(2)
    many = np.random.SeedSequence(9).spawn(5)
    first = digest(simulate(SMALL, seed=few[1]))
    assert digest(simulate(SMALL, seed=few[1])) == first  # a seed is not used up
    assert digest(simulate(SMALL, seed=many[1])) == first
    assert digest(simulate(SMALL, seed=many[2])) != first


@pytest.mark.parametrize(
    "traders",
    [
        {"entries_per_day": 150.0},
        {"unlevered_share": 0.0, "weights": (0.0, 0.0, 0.0, 0.0, 1.0)},
        {"open_interest_usd": 5e7},
        {"exit_half_life_h": 2.0, "bursts_per_day": 0.0},
    ],
)
def test_without_a_magnet_the_price_does_not_know_the_traders(market, traders):
    other = simulate(replace(SMALL, **traders), seed=3)
    assert other.truth["SIM"].path_price.tobytes() == market.truth["SIM"].path_price.tobytes()
    interest = other.tables[Kind.OPEN_INTEREST]
    assert logical_hash(interest) != logical_hash(market.tables[Kind.OPEN_INTEREST])


def test_the_magnet_displaces_the_same_path_by_what_the_truth_says(market):
    pulled = simulate(replace(SMALL, magnet=2.0), seed=3).truth["SIM"]
    free = market.truth["SIM"]
    assert (free.displacement == 0).all()
    shift = np.log(pulled.path_price / free.path_price)[:: SMALL.substeps]
    np.testing.assert_allclose(shift[1:], np.cumsum(pulled.displacement), atol=1e-10)
    assert shift[0] == 0  # nothing of the magnet acts in the warm-up
    size = 2.0 * pulled.sigma_1d * SMALL.step_s / 86_400
    moved = pulled.displacement != 0
    assert moved.mean() > 0.9
    np.testing.assert_allclose(np.abs(pulled.displacement[moved]), size[moved])


def test_the_magnet_pulls_toward_the_densest_true_level():
    world = replace(SMALL, magnet=1.0, truth_every_s=300)
    truth = simulate(world, seed=5).truth["SIM"]
    reach = math.ceil(world.magnet_reach_sigma * world.daily_volatility / truth.grid.step)
    kernel = np.array([1, 2, 3, 4, 3, 2, 1])
    agree = []
    for row, moved in zip(truth.density_usd, truth.displacement, strict=True):
        dense = [np.convolve(side[: reach + 3], kernel)[3 : 3 + reach].max() for side in row]
        if abs(dense[0] - dense[1]) > 0.1 * max(dense):  # USD and contracts may differ by 4 %
            agree.append((dense[1] > dense[0]) == (moved > 0))
    assert len(agree) > 400
    assert all(agree)


def test_tables_are_events_for_the_log_with_their_latency(market):
    assert set(market.tables) == {
        Kind.MARK, Kind.BAR, Kind.OPEN_INTEREST, Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL
    }  # fmt: skip
    for kind, table in market.tables.items():
        assert table.schema.equals(event_schema(kind))
        late = table["ts_known"].to_numpy() - table["ts_event"].to_numpy()
        assert set(late.tolist()) == {(60 if kind == Kind.OPEN_INTEREST else 1) * SECOND_NS}
        assert table["venue"].unique().to_pylist() == ["simulated"]
        assert table["symbol"].unique().to_pylist() == ["SIM"]
    bars = market.tables[Kind.BAR]
    assert bars["ts_event"].to_pylist()[0] == SMALL.start_ns + HOUR_NS  # known at its end
    assert bars["span_s"].unique().to_pylist() == [3600]
    marks = market.tables[Kind.MARK]["close"].to_numpy()
    assert marks[0] == SMALL.initial_price_usd
    assert (bars["open"].to_numpy() == marks[:-1:12]).all()
    assert (bars["close"].to_numpy() == marks[12::12]).all()


def test_feed_switches(market):
    world = replace(SMALL, bars_every_s=0, totals_every_s=0, liquidations=False, mark_bars=True)
    other = simulate(world, seed=3)
    assert set(other.tables) == {Kind.MARK, Kind.OPEN_INTEREST}
    mark = other.tables[Kind.MARK].to_pandas()
    points = market.tables[Kind.MARK].to_pandas()
    assert (mark["span_s"] == 300).all()
    assert (mark["close"].to_numpy() == points["close"].to_numpy()[1:]).all()
    assert (mark["high"] > mark[["open", "close"]].max(axis=1)).any()
    assert (mark["low"] < mark[["open", "close"]].min(axis=1)).any()


def test_the_true_map_holds_the_open_positions(market):
    truth = market.truth["SIM"]
    edges = truth.grid.outward_edges(truth.density_usd.shape[2])
    for i in (0, 40, len(truth.snapshot_ns) - 1):
        at, mark_bin = truth.snapshot_ns[i], int(truth.mark_bin[i])
        assert mark_bin == truth.grid.bin_of(truth.snapshot_mark[i])
        p = truth.positions
        # whole positions alone: of those in part closed the truth keeps no dates
        live = p[(p["opened_ns"] <= at) & ((p["closed_ns"] > at) | (p["closed_ns"] == -1))]
        bins = np.floor(np.log(np.maximum(live["liquidation_price"], 1e-9) / truth.grid.anchor)
                        / truth.grid.step)  # fmt: skip
        for row, side in ((0, Side.LONG), (1, Side.SHORT)):
            out = mark_bin - 1 - bins if side == Side.LONG else bins - mark_bin - 1
            inside = (live["side"] == side) & (out >= 0) & (out < edges[-1])
            value = live["size_coins"] * truth.grid.anchor * np.exp((bins + 0.5) * truth.grid.step)
            expected = np.histogram(out[inside], edges, weights=value[inside])[0]
            got = truth.density_usd[i, row]
            assert got.sum() > 0
            assert (got <= expected * (1 + 1e-5)).all()
            assert got.sum() > 0.9 * expected.sum()


def test_truth_cannot_be_changed_and_is_in_no_table(market):
    truth = market.truth["SIM"]
    for name in ("path_price", "positions", "steps", "density_usd", "displacement"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(truth, name)[0] = 0
    names = {n for table in market.tables.values() for n in table.schema.names}
    assert not names & {"leverage", "liquidation_price", "entry_price", "displacement", "fate"}
    tables = truth_tables(truth)
    assert set(tables) == {"path", "steps", "positions", "liquidations", "snapshots"}
    assert tables["snapshots"]["long_usd"].type.list_size == truth.density_usd.shape[2]
    assert tables["positions"].num_rows == len(truth.positions)


def test_positions_are_liquidated_at_the_projects_own_prices(market):
    p = market.truth["SIM"].positions
    for side in (Side.LONG, Side.SHORT):
        rows = p[p["side"] == side]
        levered = rows[rows["leverage"] > 1]
        move = 1 - side / levered["leverage"]
        expected = levered["entry_price"] * move / (1 - side * SMALL.maintenance_rate)
        np.testing.assert_allclose(levered["liquidation_price"], expected, rtol=1e-12)
        backed = rows[rows["leverage"] == 1]
        assert set(backed["liquidation_price"]) == {0.0 if side == Side.LONG else math.inf}
        assert (backed["fate"] != 2).all()
    assert set(p["leverage"]) == {1.0, *SMALL.leverages}
    assert (p["fate"] == 2).sum() > 50


def test_symbols_share_a_factor():
    world = replace(SMALL, symbols=("A", "B"), common_factor=0.8, days=10)
    market = simulate(world, seed=1)
    a, b = (np.diff(np.log(market.truth[s].path_price)) for s in ("A", "B"))
    assert np.corrcoef(np.sign(a), np.sign(b))[0, 1] == pytest.approx(
        2 / math.pi * math.asin(0.8), abs=0.05
    )
    assert market.tables[Kind.MARK]["symbol"].unique().to_pylist() == ["A", "B"]
    alone = simulate(replace(world, common_factor=0.0), seed=1)
    a, b = (np.diff(np.log(alone.truth[s].path_price)) for s in ("A", "B"))
    assert abs(np.corrcoef(np.sign(a), np.sign(b))[0, 1]) < 0.05


def test_a_price_that_runs_away_is_stopped_with_time_price_and_reason():
    wild = World(
        name="wild",
        days=3650,
        warmup_days=1,
        step_s=3600,
        substeps=1,
        oi_every_s=3600,
        truth_every_s=86_400,
        daily_volatility=0.3,
        entries_per_day=20.0,
        turnover_per_day=0.05,
    )
    with pytest.raises(ConfigError, match=r"price of SIM ran off the grid at 20\d\d-.* USD \(no "):
        simulate(wild, seed=1)


def toy_truth(log_price, dense_below, dense_above, step=5e-4):
    """A truth with hourly points, one snapshot an hour, one dense bin a side."""
    n = len(log_price) - 1
    density = np.zeros((n, 2, 364), dtype=np.float32)
    density[:, 0, dense_below[0]] = dense_below[1]
    density[:, 1, dense_above[0]] = dense_above[1]
    price = np.exp(np.asarray(log_price, dtype=float))
    grid = DensityGrid(anchor=float(price[0]), step=step)
    ts = np.arange(n + 1, dtype=np.int64) * HOUR_NS
    return Truth(
        symbol="T",
        path_ns=ts,
        path_price=price,
        sigma_1d=np.full(n, 0.02),
        displacement=np.zeros(n),
        open_interest_start=0,
        steps=np.zeros(n),
        positions=np.zeros(0),
        liquidations=np.zeros(0),
        grid=grid,
        snapshot_ns=ts[:-1],
        snapshot_mark=price[:-1],
        mark_bin=np.array([grid.bin_of(p) for p in price[:-1].tolist()], dtype=np.int64),
        density_usd=density,
    )


def test_magnet_effect_by_hand():
    # ±10 bp an hour: σ of a day is 49 bp, so the fifth bin below (20 to 25 bp away) lies near 0.5 σ
    # and the eleventh above beyond 1 σ; the price alternates, then falls by 10 bp an hour
    path = [0.00001 + 0.001 * (i % 2) for i in range(97)] + [-0.002 - 0.001 * i for i in range(24)]
    truth = toy_truth(path, (4, 1.0), (10, 0.5))
    effect = magnet_effect(truth)
    hits = []
    for t in range(72, 120 - 24 + 1):  # three days of past, a whole day of future
        above_edge = (path[t] - path[0]) % 5e-4
        level = path[t] - above_edge - 4 * 5e-4
        hits.append(min(path[t : t + 24]) <= level)
    assert effect.n_snapshots == len(hits) == 25
    assert effect.hit_rate == pytest.approx(np.mean(hits))
    assert 0 < effect.hit_rate < 1
    assert effect.mirror_rate == 0.0
    assert effect.mirror_lift == pytest.approx(effect.hit_rate)
    assert effect.displacement_sigma == 0.0
    assert math.isnan(magnet_effect(toy_truth(path[:40], (4, 1.0), (4, 0.5))).mirror_lift)
    with pytest.raises(ConfigError, match="multiple"):
        magnet_effect(truth, horizon_ns=DAY_NS + 1)


def test_the_mirror_is_what_the_other_side_did():
    path = [0.00001 + 0.001 * (i % 2) for i in range(97)] + [-0.002 - 0.001 * i for i in range(24)]
    up = [-x for x in path]
    below = magnet_effect(toy_truth(up, (4, 1.0), (10, 0.5)))  # dense below, the price rises
    assert below.hit_rate == 0.0
    assert below.mirror_rate > 0.5
    above = magnet_effect(toy_truth(up, (10, 0.5), (4, 1.0)))  # dense above, the price rises
    assert above.hit_rate > 0.5
    assert above.mirror_rate == 0.0
