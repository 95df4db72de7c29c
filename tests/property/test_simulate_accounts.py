"""Closed accounts over random worlds: contracts, money, displacement, links, and what is published.

Every contract has one long and one short; wallets, margins, unrealised profit, fees and the
insurance fund sum to zero at every step; what mechanisms moved is what the path differs by.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import ConfigError
from liqbt.margin.tiers import tier_table
from liqbt.simulate.market import simulate
from liqbt.simulate.sections import MECHANISMS
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, Kind

TIERED = tier_table(
    "T",
    effective_ns=[0] * 3,
    floor_usd=[0, 50_000, 1_000_000],
    cap_usd=[50_000, 1_000_000, 1e12],
    rate=[0.004, 0.01, 0.025],
    max_leverage=[125, 50, 20],
    amount_usd=[0, 300, 15_300],
)
STRENGTH = {"magnet": 2.0, "ratio": 2.0, "absolute": 2.0, "fuel": 0.02, "impact": 0.3,
            "stops": 0.02, "acceleration": 1.0, "sweep_reversal": 2.0, "walls": 0.3,
            "direction": 0.8, "placement": 0.5}  # fmt: skip
SEEDS = st.integers(0, 2**32)


def random_world(seed):
    chance = random.Random(seed)
    weights = np.array([chance.randint(int(i == 0), 9) for i in range(5)])
    planted = chance.sample(list(STRENGTH), chance.choice([0, 1, 1, 2, 4]))
    keys = {name: STRENGTH[name] for name in planted}
    return World(
        name="random",
        days=chance.randint(1, 2),
        warmup_days=chance.randint(0, 1),
        step_s=chance.choice([60, 300, 900]),
        substeps=chance.choice([1, 2, 5]),
        oi_every_s=chance.choice([900, 3600]),
        daily_volatility=chance.choice([0.01, 0.03, 0.15]),
        common_factor=chance.choice([0.0, 0.7]),
        season=chance.choice([0.0, 1.0]),
        jumps_per_day=chance.choice([2.0, 5.0]),
        jump_minutes=chance.choice([0.0, 30.0]),
        momentum=chance.choice([0.0, 0.3]),
        regime_days=chance.choice([0.0, 0.5]),
        regime_volatility=2.0,
        regime_tilt=0.5,
        weights=tuple((weights / weights.sum()).tolist()),
        unlevered_share=chance.choice([0.0, 0.6, 0.95]),
        cross_share=chance.choice([0.0, 0.5, 1.0]),
        cross_extra=chance.choice([0.5, 6.0]),
        transfers_per_day=chance.choice([0.0, 3.0]),
        open_interest_usd=chance.choice([1e8, 5e9]),
        open_interest_pull=chance.choice([0.0, 2.0]),
        entries_per_day=chance.choice([100.0, 400.0]),
        turnover_per_day=chance.choice([0.1, 0.9]),
        position_cap=chance.choice([0.02, 0.3]),
        exit_half_life_h=chance.choice([1.0, 96.0]),
        loser_exit_ratio=chance.choice([0.3, 1.0]),
        tiers=chance.choice([None, TIERED]),
        cut_above_usd=chance.choice([0.0, 1e6]),
        maker_fee=chance.choice([2e-4, -1e-4]),
        liquidation_fee=chance.choice([0.0, 5e-3]),
        insurance_usd=chance.choice([0.0, 1e7]),
        funding_every_h=chance.choice([0, 1, 8]),
        funding_crowding=0.01,
        tick_usd=chance.choice([0.01, 0.5, 1.0]),
        bars_every_s=3600,
        totals_every_s=3600,
        mark_bars=chance.choice([True, False]),
        trades=True,
        **keys,
    )


def check(seed):
    world = random_world(seed)
    market, stopped = None, ""
    try:
        market = simulate(world, seed=seed)
    except ConfigError as error:  # violent worlds with strong mechanisms may run away: said so
        stopped = str(error)
    if market is None:
        assert "ran away at" in stopped
        assert any(f"by {name}" in stopped for name in MECHANISMS)
        return False
    truth = market.truth["SIM"]
    check_flows(truth)
    check_money(world, truth)
    check_positions(world, truth)
    check_links(world, truth)
    check_displacement(world, truth, seed)
    check_feeds(world, truth, market.tables)
    return True


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_accounts_close_and_feeds_agree(seed):
    check(seed)


@pytest.mark.nightly
def test_accounts_close_in_two_hundred_worlds():
    assert sum(check(seed) for seed in range(200)) > 180


def check_flows(truth):
    s = truth.steps
    for side in ("long", "short"):
        change = s[f"opened_{side}"] - s[f"left_{side}"] - s[f"liquidated_{side}"]
        total = truth.open_interest_start + np.cumsum(change)
        assert total.tolist() == s["open_interest"].tolist()
        assert (s[f"stopped_{side}"] <= s[f"left_{side}"]).all()
    bought = s["opened_long"] + s["left_short"] + s["liquidated_short"]
    sold = s["opened_short"] + s["left_long"] + s["liquidated_long"]
    assert bought.tolist() == sold.tolist()
    assert bought.tolist() == (s["taker_bought"] + s["taker_sold"]).tolist()
    for name in s.dtype.names[1:12]:
        assert (s[name] >= 0).all()


def check_money(world, truth):
    s, p = truth.steps, truth.positions
    total = s["wallets"] + s["margins"] + s["unrealised"] + s["fees"] + s["insurance"]
    assert (total == 0).all()
    if world.exchange.maker_fee >= 0:
        assert (np.diff(s["fees"]) >= 0).all()
    live = p[p["open_coins"] > 0]
    lots = np.rint(live["open_coins"] / world.traders.lot_coins).astype(int)
    entry = np.rint(live["entry_price"] / world.price.tick_usd).astype(int)
    last = round(truth.path_price[-1] / world.price.tick_usd)
    assert int((live["side"] * lots * (last - entry)).sum()) == s["unrealised"][-1]
    if world.exchange.funding_every_h:
        assert len(truth.funding) > 0
        assert (np.abs(truth.funding["rate"]) <= world.exchange.funding_cap).all()


def check_positions(world, truth):
    p, end = truth.positions, truth.steps["open_interest"][-1]
    for side in (1, -1):
        open_lots = np.rint(p["open_coins"][p["side"] == side] / world.traders.lot_coins)
        assert int(open_lots.sum()) == end
    assert (p["open_coins"] + p["liquidated_coins"] <= p["size_coins"] * (1 + 1e-12)).all()
    assert ((p["fate"] == 0) == (p["open_coins"] > 0)).all()
    assert ((p["fate"] == 2) <= (p["liquidated_coins"] > 0)).all()
    assert ((p["closed_ns"] == -1) == (p["fate"] == 0)).all()
    assert (world.mechanisms.stops > 0) or (p["fate"] != 3).all()
    # liquidated at the first published point that reaches the price, and not otherwise
    fixed = (p["margin"] == 1) & (p["first_liquidation_price"] == p["liquidation_price"])
    fixed &= ~np.isin(np.arange(len(p)), truth.changes["position"]) & (p["fate"] != 3)
    seen = p[fixed & (p["opened_ns"] >= world.start_ns)]
    spacing = world.step_s * SECOND_NS // world.substeps
    for row in seen[:: max(len(seen) // 40, 1)]:
        after = (row["opened_ns"] - world.start_ns) // spacing + 1
        path = truth.path_price[after:]
        reached = path <= row["liquidation_price"]
        if row["side"] < 0:
            reached = path >= row["liquidation_price"]
        first = truth.path_ns[after:][reached.argmax()] if reached.any() else None
        if row["fate"] == 2:
            assert row["closed_ns"] == first
        elif row["fate"] == 1:
            assert first is None or row["closed_ns"] <= first
        else:
            assert first is None


def check_links(world, truth):
    forced = truth.liquidations
    order = np.arange(len(forced))
    child = forced["parent"] >= 0
    assert (np.diff(forced["ts_ns"]) >= 0).all()
    assert (forced["root"][~child] == order[~child]).all()
    parent = forced["parent"][child]
    assert (forced["ts_ns"][parent] < forced["ts_ns"][child]).all()
    assert (forced["side"][parent] == forced["side"][child]).all()
    assert (forced["root"][parent] == forced["root"][child]).all()
    assert world.mechanisms.fuel > 0 or not child.any()
    whole = forced[forced["whole"] == 1]["position"]
    assert len(np.unique(whole)) == len(whole)
    assert (truth.positions["fate"][whole] == 2).all()


def check_displacement(world, truth, seed):
    assert set(truth.moved) == {n for n in MECHANISMS if getattr(world.mechanisms, n) > 0}
    none = dict.fromkeys(MECHANISMS, 0.0)
    free = simulate(replace(world, **none), seed=seed).truth["SIM"]
    shift = np.log(truth.path_price / free.path_price)[:: world.substeps]
    tick = world.price.tick_usd / min(truth.path_price.min(), free.path_price.min())
    np.testing.assert_allclose(shift[1:], np.cumsum(truth.displacement), atol=1e-9 + 2 * tick)
    np.testing.assert_allclose(
        truth.displacement,
        np.sum(list(truth.moved.values()), axis=0) if truth.moved else 0.0,
        atol=1e-15,
    )


def check_feeds(world, truth, tables):
    bars = {n: tables[Kind.BAR][n].to_numpy() for n in ("ts_event", "high", "low", "volume_coins")}
    width = 3600 * SECOND_NS

    def bucket(ts):
        return np.maximum((ts.to_numpy() - world.start_ns - 1) // width, 0)

    for kind, low, high in ((Kind.MARK, "low", "high"), (Kind.TRADE, "price", "price"),
                            (Kind.LIQUIDATION, "price", "price")):  # fmt: skip
        rows = tables[kind].to_pandas()
        at = bucket(rows["ts_event"])
        assert (rows[high].to_numpy() <= bars["high"][at]).all()
        assert (rows[low].to_numpy() >= bars["low"][at]).all()
    trades = tables[Kind.TRADE].to_pandas()
    sums = np.bincount(bucket(trades["ts_event"]), trades["size_coins"], len(bars["high"]))
    np.testing.assert_allclose(sums, bars["volume_coins"], rtol=1e-9, atol=1e-9)
    single = tables[Kind.LIQUIDATION].to_pandas()
    totals = tables[Kind.LIQUIDATION_TOTAL].to_pandas()
    usd, at = single["price"] * single["size_coins"], bucket(single["ts_event"])
    for side, name in ((1, "long_usd"), (-1, "short_usd")):
        rows = (single["side"] == side).to_numpy()
        expected = np.bincount(at[rows], usd[rows], minlength=len(totals))
        np.testing.assert_allclose(totals[name], expected)
    interest = tables[Kind.OPEN_INTEREST].to_pandas()
    lots = np.rint(interest["open_interest_coins"].to_numpy() / world.traders.lot_coins)
    every = world.feed.oi_every_s // world.step_s
    assert lots[0] == truth.open_interest_start
    assert lots[1:].tolist() == truth.steps["open_interest"][every - 1 :: every].tolist()
