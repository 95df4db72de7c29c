"""A simulated market: reproducible, consistent, its truth apart."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest

from liqbt.errors import ConfigError
from liqbt.log.schema import event_schema
from liqbt.log.tables import logical_hash
from liqbt.simulate.effects.magnet import magnet_effect
from liqbt.simulate.market import simulate
from liqbt.simulate.prices import draw_price, draw_shocks, stream
from liqbt.simulate.sections import Faults
from liqbt.simulate.truth import Truth, truth_tables
from liqbt.simulate.world import World
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, DensityGrid, Kind, Side

SMALL = World(name="small", days=3, warmup_days=2)
PLAIN = replace(SMALL, cross_share=0.0, cut_above_usd=0.0, unlevered_share=0.4)
"""Isolated positions alone, liquidated whole."""


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


def test_how_much_is_drawn_at_a_time_changes_nothing(market, monkeypatch):
    monkeypatch.setattr("liqbt.simulate.accounts._ROWS", 1001)
    monkeypatch.setattr("liqbt.simulate.draws.STEPS_AT_ONCE", 77)
    again = simulate(SMALL, seed=3)
    assert digest(again) == digest(market)
    assert (again.truth["SIM"].density_usd == market.truth["SIM"].density_usd).all()


def test_the_price_without_mechanisms_is_its_noise():
    world = replace(SMALL, common_factor=0.4, symbols=("A", "B"), momentum=0.2, regime_days=1.0,
                    regime_drift=0.5)  # fmt: skip
    path = draw_price(world, 3, 1, draw_shocks(world, stream(3, 0)))
    price = simulate(world, seed=3).truth["B"].path_price
    warm = world.warmup_steps * world.substeps
    assert path.noise[0] == 0.0
    expected = world.initial_price_usd * np.exp(np.cumsum(path.noise[warm + 1 :]))
    np.testing.assert_allclose(price[1:], expected, atol=0.006)


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
    np.testing.assert_allclose(shift[1:], np.cumsum(pulled.displacement), atol=5e-7)  # two ticks
    assert set(pulled.moved) == {"magnet"}
    assert (pulled.moved["magnet"] == pulled.displacement).all()
    assert shift[0] == 0  # nothing of the magnet acts in the warm-up
    size = 2.0 * pulled.sigma_1d * SMALL.step_s / 86_400
    moved = pulled.displacement != 0
    assert moved.mean() > 0.9
    np.testing.assert_allclose(np.abs(pulled.displacement[moved]), size[moved])


def test_the_magnet_pulls_toward_the_densest_true_level():
    world = replace(SMALL, magnet=1.0, truth_every_s=300)
    truth = simulate(world, seed=5).truth["SIM"]
    reach = world.mechanisms.reach_sigma * world.price.daily_volatility
    reach = math.ceil(reach / truth.grid.step)
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
        Kind.MARK, Kind.BAR, Kind.OPEN_INTEREST, Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL,
        Kind.FUNDING,
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
    less = {"bars_every_s": 0, "totals_every_s": 0, "liquidations": False, "funding": False}
    world = replace(SMALL, mark_bars=True, **less)
    other = simulate(world, seed=3)
    assert set(other.tables) == {Kind.MARK, Kind.OPEN_INTEREST}
    mark = other.tables[Kind.MARK].to_pandas()
    points = market.tables[Kind.MARK].to_pandas()
    assert (mark["span_s"] == 300).all()
    assert (mark["close"].to_numpy() == points["close"].to_numpy()[1:]).all()
    assert (mark["high"] > mark[["open", "close"]].max(axis=1)).any()
    assert (mark["low"] < mark[["open", "close"]].min(axis=1)).any()


def test_the_true_map_holds_the_open_positions():
    truth = simulate(PLAIN, seed=3).truth["SIM"]
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
    assert set(tables) == {
        "path", "steps", "positions", "changes", "liquidations", "funding", "swings", "walls",
        "snapshots",
    }  # fmt: skip
    assert "moved_magnet" not in tables["steps"].schema.names
    assert tables["snapshots"]["long_usd"].type.list_size == truth.density_usd.shape[2]
    assert tables["positions"].num_rows == len(truth.positions)


def test_positions_are_liquidated_at_the_projects_own_prices():
    p = simulate(PLAIN, seed=3).truth["SIM"].positions
    for side in (Side.LONG, Side.SHORT):
        rows = p[p["side"] == side]
        levered = rows[rows["leverage"] > 1]
        move = 1 - side / levered["leverage"]
        expected = levered["entry_price"] * move / (1 - side * PLAIN.exchange.maintenance_rate)
        # a margin is a whole number of units: of a lot of 50 USD it is known to a ten-thousandth %
        np.testing.assert_allclose(levered["liquidation_price"], expected, rtol=1e-6)
        backed = rows[rows["leverage"] == 1]
        assert set(backed["liquidation_price"]) == {0.0 if side == Side.LONG else math.inf}
        assert (backed["fate"] != 2).all()
    assert set(p["leverage"]) == {1.0, *PLAIN.traders.leverages}
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
    with pytest.raises(ConfigError, match=r"price of SIM ran away at 20\d\d-.* USD \(no "):
        simulate(wild, seed=1)


def test_a_mechanism_that_runs_away_is_named():
    """Where little is within reach at all, the check lets a strength pass that is too strong."""
    few = {"weights": (1.0, 0.0, 0.0, 0.0, 0.0), "cross_share": 0.0}
    world = replace(SMALL, days=60, fuel=15.0, **few)
    stopped = []
    for seed in range(20):
        with contextlib.suppress(ConfigError):
            simulate(world, seed=seed)
            continue
        with pytest.raises(
            ConfigError, match=r"ran away at 2025-.*moved most by fuel .*lower fuel"
        ):
            simulate(world, seed=seed)
        stopped.append(seed)
        break
    assert stopped


def test_the_insurance_fund_takes_what_liquidations_leave():
    """By hand: no fees, funding or transfers; wallets pay margins, the rest is conserved."""
    still = {"taker_fee": 0.0, "maker_fee": 0.0, "liquidation_fee": 0.0, "funding_every_h": 0}
    world = replace(PLAIN, warmup_days=0, **still)
    truth = simulate(world, seed=3).truth["SIM"]
    forced = truth.liquidations
    owner = truth.positions[forced["position"]]
    size, sign = forced["size_coins"], forced["side"]
    margin = owner["entry_price"] * size / owner["leverage"]
    left = margin + sign * size * (forced["mark"] - owner["entry_price"])
    unit = world.traders.lot_coins * world.price.tick_usd
    gained = truth.steps["insurance"][-1] * unit - world.exchange.insurance_usd
    assert gained == pytest.approx(left.sum(), abs=unit * len(forced))
    assert (truth.steps["fees"] == 0).all()
    np.testing.assert_allclose(
        forced["bankruptcy_price"], owner["entry_price"] * (1 - sign / owner["leverage"]), rtol=1e-6
    )


def test_funding_moves_cross_accounts_and_nothing_else():
    still = {"transfers_per_day": 0.0, "cut_above_usd": 0.0, "funding_noise": 0.0}
    one = replace(SMALL, cross_share=1.0, funding_crowding=0.0, funding_base=1e-3, **still)
    truth = simulate(one, seed=2).truth["SIM"]
    assert set(truth.funding["rate"]) == {1e-3}
    p = truth.positions
    until = np.where(p["fate"] == 0, 2**62, p["closed_ns"])
    paid = [
        truth.funding["paid_usd_per_coin"][
            (truth.funding["ts_ns"] >= a) & (truth.funding["ts_ns"] <= b)
        ].sum()
        for a, b in zip(p["opened_ns"], until, strict=True)
    ]
    reachable = (p["first_liquidation_price"] > 0) & (p["fate"] == 0)
    reachable &= (p["liquidation_price"] > 0) & np.isfinite(p["liquidation_price"])
    # long: q·LP·(1 − m) = q·EP − margin + paid; short: q·LP·(1 + m) = q·EP + margin + received
    rate = one.exchange.maintenance_rate
    expected = p["first_liquidation_price"] + np.array(paid) / (1 - p["side"] * rate)
    np.testing.assert_allclose(
        p["liquidation_price"][reachable], expected[reachable], rtol=0, atol=0.05
    )
    alone = simulate(replace(one, cross_share=0.0), seed=2).truth["SIM"].positions
    assert (alone["liquidation_price"] == alone["first_liquidation_price"]).all()


def test_transfers_change_liquidation_prices_and_are_written_down():
    world = replace(SMALL, cross_share=1.0, transfers_per_day=2.0, funding_every_h=0)
    truth = simulate(world, seed=2).truth["SIM"]
    moved = truth.changes[truth.changes["reason"] == 1]
    assert len(moved) > 200
    assert (truth.positions["margin"][moved["position"]] == 2).all()
    last = {int(c["position"]): c["liquidation_price"] for c in truth.changes}
    found = truth.positions["liquidation_price"][list(last)]
    np.testing.assert_allclose(found, list(last.values()), atol=world.price.tick_usd)


def test_large_positions_are_cut_in_steps():
    cut = {"cut_above_usd": 5e6, "cut_cooldown_s": 120.0}
    truth = simulate(replace(PLAIN, days=20, **cut), seed=4).truth["SIM"]
    forced = truth.liquidations
    first = forced[forced["whole"] == 0]
    assert len(first) > 5
    assert (first["mark"] * first["size_coins"] > 0.19 * 5e6).all()
    owner = truth.positions[first["position"]]
    assert (first["size_coins"] <= 0.2 * owner["size_coins"] + 0.001).all()
    for position in np.unique(first["position"]):
        times = forced["ts_ns"][forced["position"] == position]
        assert (np.diff(times) >= 120 * SECOND_NS).all()
    assert (truth.changes["reason"] == 2).sum() >= len(first) * 0.9


def test_a_chain_reaction_has_links_and_a_world_without_fuel_has_none(market):
    assert (market.truth["SIM"].liquidations["parent"] == -1).all()
    truth = simulate(replace(PLAIN, days=30, fuel=0.08), seed=1).truth["SIM"]
    forced = truth.liquidations
    child = forced[forced["parent"] >= 0]
    assert len(child) > 30
    before = np.log(truth.path_price)[np.searchsorted(truth.path_ns, child["ts_ns"]) - 1]
    owner = truth.positions[child["position"]]["liquidation_price"]
    assert (child["side"] * (np.exp(before) - owner) > 0).all()  # not yet reached a point before
    assert np.bincount(forced["root"]).max() > 3


def test_placed_liquidation_prices_lie_just_beyond_swings():
    truth = simulate(replace(SMALL, days=20, placement=1.0), seed=1).truth["SIM"]
    p, swings = truth.positions, truth.swings
    assert len(swings) > 20
    odd = p[(p["margin"] == 1) & ~np.isin(p["leverage"], SMALL.traders.leverages)]
    assert len(odd) > 0.5 * (p["margin"] == 1).sum()
    for row in odd[::50]:
        known = swings[
            (swings["confirmed_ns"] <= row["opened_ns"]) & (swings["side"] == -row["side"])
        ]
        beyond = row["side"] * (1 - row["first_liquidation_price"] / known["price"])
        assert ((beyond > -1e-6) & (beyond < 0.00401)).any()


def test_stops_are_not_liquidations():
    truth = simulate(replace(SMALL, days=20, stops=0.05), seed=1).truth["SIM"]
    p = truth.positions
    stopped = p[p["fate"] == 3]
    assert len(stopped) > 50
    nearer = stopped["side"] * (stopped["stop_price"] - stopped["first_liquidation_price"]) > 0
    assert (nearer | np.isinf(stopped["first_liquidation_price"])).all()
    whole = truth.liquidations[truth.liquidations["whole"] == 1]
    assert (p["fate"][whole["position"]] == 2).all()
    assert truth.steps["stopped_long"].sum() > 0


def test_walls_hold_the_price_and_the_depth_shows_them():
    world = replace(SMALL, days=20, walls=0.3, depth_every_s=300)
    market = simulate(world, seed=1)
    truth = market.truth["SIM"]
    size = 0.3 * world.price.daily_volatility
    assert len(truth.walls) > 10
    assert (truth.walls["absorbed"] <= size * (1 + 1e-9)).all()
    assert (truth.walls["absorbed"] > 0).sum() > 3
    absorbed = np.abs(truth.moved["walls"]).sum()
    assert absorbed == pytest.approx(truth.walls["absorbed"].sum())
    depth = market.tables[Kind.DEPTH].to_pandas()
    wall = truth.walls[np.argmax(truth.walls["until_ns"] - truth.walls["from_ns"])]
    rows = depth[(depth["ts_event"] > wall["from_ns"]) & (depth["ts_event"] < wall["until_ns"])]
    rows = rows[rows["side"] == -wall["side"]].copy()
    inside = (rows["low"] <= wall["price"]) & (wall["price"] < rows["high"])
    assert inside.sum() > 3
    mid = truth.path_price[np.searchsorted(truth.path_ns, rows["ts_event"])]
    rows["per_width"] = rows["depth_usd"] / ((rows["high"] - rows["low"]) / mid)
    free = rows.groupby("ts_event")["per_width"].transform("min")
    beyond = rows["depth_usd"] - free * (rows["high"] - rows["low"]) / mid
    usd = size / 0.01 * world.feed.depth_share * world.traders.open_interest_usd
    np.testing.assert_allclose(beyond[inside], usd, rtol=1e-6)


def test_the_direction_of_jumps_leans_to_the_crowded_side():
    keys = {"jumps_per_day": 20.0, "jump_sigma": 0.3, "jump_minutes": 0.0}
    world = replace(SMALL, days=30, direction=1.0, truth_every_s=300, **keys)
    truth = simulate(world, seed=1).truth["SIM"]
    reach = math.ceil(world.mechanisms.reach_sigma * world.price.daily_volatility / truth.grid.step)
    near = truth.density_usd[:, :, :reach].sum(axis=2)
    crowd = np.sign(near[:, 0] - near[:, 1])  # more longs below: down
    turned = truth.moved["direction"] != 0
    assert turned.sum() > 50
    assert (np.sign(truth.moved["direction"][turned]) == -crowd[turned]).mean() > 0.95


def test_feeds_with_faults_keep_their_order_and_lose_what_they_say():
    faults = Faults(missing=0.1, delayed=0.3, delay_s=60.0, duplicated=0.05)
    gaps = Faults(gaps_per_day=2.0, gap_minutes=60.0)
    world = replace(PLAIN, days=20, mark_faults=faults, oi_faults=gaps, totals_every_s=0)
    clean, dirty = simulate(PLAIN, seed=3), simulate(world, seed=3)
    n = world.steps + 1
    marks = dirty.tables[Kind.MARK].to_pandas()
    late = marks["ts_known"] - marks["ts_event"]
    assert len(marks.drop_duplicates("ts_event")) == pytest.approx(0.9 * n, rel=0.02)
    assert len(marks) == pytest.approx(0.9 * 1.05 * n, rel=0.02)
    assert (late >= SECOND_NS).all()
    assert (late > 3 * SECOND_NS).mean() == pytest.approx(0.3, abs=0.04)
    interest = dirty.tables[Kind.OPEN_INTEREST].to_pandas()
    holes = np.diff(interest["ts_event"]) > 600 * SECOND_NS
    assert 10 < holes.sum() < 80
    assert Kind.LIQUIDATION_TOTAL not in dirty.tables
    assert clean.tables[Kind.MARK].num_rows == PLAIN.steps + 1
    path = dirty.truth["SIM"].path_price[: 5 * PLAIN.steps]
    assert (path == clean.truth["SIM"].path_price[:-1]).mean() < 1.1  # the truth knows no faults
    assert set(marks["close"]) <= set(dirty.truth["SIM"].path_price[::5])


@pytest.mark.parametrize("rule", ["latest", "largest"])
def test_a_throttled_feed_sends_one_liquidation_a_second(rule):
    world = replace(PLAIN, days=20, open_interest_usd=5e8, turnover_per_day=0.5)
    every = simulate(replace(world, execution_s=3), seed=3).tables[Kind.LIQUIDATION].to_pandas()
    sent = simulate(replace(world, throttle=rule, execution_s=3), seed=3)
    sent = sent.tables[Kind.LIQUIDATION].to_pandas()
    second = sent["ts_event"] // SECOND_NS
    assert second.is_unique
    groups = every.groupby(every["ts_event"] // SECOND_NS)
    assert len(sent) == groups.ngroups < len(every)
    expected = groups["size_coins"].max() if rule == "largest" else groups["size_coins"].last()
    assert sent["size_coins"].tolist() == expected.tolist()


def test_bankruptcy_prices_are_beyond_the_marks():
    world = replace(PLAIN, days=10, bankruptcy_price=True)
    market = simulate(world, seed=3)
    sent = market.tables[Kind.LIQUIDATION].to_pandas()
    truth = market.truth["SIM"].liquidations
    assert sorted(sent["price"]) == sorted(truth["bankruptcy_price"])
    assert (truth["side"] * (truth["mark"] - truth["bankruptcy_price"]) > 0).mean() > 0.9


@pytest.mark.parametrize(
    "keys",
    [{"jumps_per_day": 0.0}, {"season": 0.0}, {"drift_per_day": 0.01}, {"momentum": 0.3},
     {"mean_reversion": 0.5}, {"regime_days": 1.0, "regime_volatility": 2.0}],
)  # fmt: skip
def test_what_the_latent_price_adds_leaves_the_shocks_alone(market, keys):
    other = simulate(replace(SMALL, **keys), seed=3).truth["SIM"]
    a = np.diff(np.log(market.truth["SIM"].path_price))
    b = np.diff(np.log(other.path_price))
    assert (a != b).any()
    assert np.corrcoef(a, b)[0, 1] > 0.8
    assert np.corrcoef(np.sign(a), np.sign(b))[0, 1] > 0.9


def test_open_interest_may_move_volatility():
    world = replace(SMALL, days=10, oi_volatility=2.0)
    truth = simulate(world, seed=3).truth["SIM"]
    free = simulate(replace(world, oi_volatility=0.0), seed=3).truth["SIM"]
    ratio = truth.sigma_1d / free.sigma_1d
    held = np.concatenate([[truth.open_interest_start], truth.steps["open_interest"][:-1]])
    np.testing.assert_allclose(ratio, (held / world.level_lots) ** 2.0, rtol=1e-9)


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


def test_a_large_jump_that_follows_the_crowd_is_no_runaway():
    """It is as large as it was drawn: only what the market does to itself runs away."""
    world = replace(SMALL, days=60, direction=1.0, jumps_per_day=2.0, jump_sigma=4.0)
    largest = 0.0
    for seed in range(4):
        truth = simulate(world, seed=seed).truth["SIM"]
        largest = max(largest, float(np.abs(np.diff(np.log(truth.path_price))).max()))
    assert largest > 0.125  # turned round, one of this size moves the price by 0.25


def test_a_census_publishes_the_same_share_of_the_true_map_each_time():
    world = replace(SMALL, census_every_s=21_600, census_share=0.4)
    seen = simulate(world, seed=3)
    truth = seen.truth["SIM"]
    assert digest(simulate(SMALL, seed=3))[1] == digest(seen)[1]  # it changes nothing else
    rows = seen.tables[Kind.POSITION].to_pandas()
    assert sorted(set(rows["ts_event"])) == truth.snapshot_ns[::6].tolist()
    rows["usd"] = rows["size_coins"] * rows["liquidation_price"]
    k = 6
    mine = rows[rows["ts_event"] == truth.snapshot_ns[k]]
    mark = truth.snapshot_mark[k]
    assert ((mine["liquidation_price"] < mark) == (mine["side"] == Side.LONG)).all()
    share = mine["usd"].sum() / truth.density_usd[k].sum()
    assert 0.2 < share < 0.6
    whole = replace(world, census_share=1.0)
    every = simulate(whole, seed=3).tables[Kind.POSITION].to_pandas()
    every = every[every["ts_event"] == truth.snapshot_ns[k]]
    usd = (every["size_coins"] * every["liquidation_price"]).sum()
    assert usd == pytest.approx(float(truth.density_usd[k].sum(dtype=np.float64)))
    with pytest.raises(ConfigError, match=r"census_every_s.*multiple of truth_every_s"):
        simulate(replace(SMALL, census_every_s=900), seed=3)
