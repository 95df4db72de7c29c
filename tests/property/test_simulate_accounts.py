"""Every contract has one long and one short: closed accounts over random worlds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.margin import tier_table
from liqbt.simulate import World, simulate
from liqbt.types import SECOND_NS, Kind

FLAT = None
TIERED = tier_table(
    "T",
    effective_ns=[0] * 3,
    floor_usd=[0, 50_000, 1_000_000],
    cap_usd=[50_000, 1_000_000, 1e12],
    rate=[0.004, 0.01, 0.025],
    max_leverage=[125, 50, 20],
    amount_usd=[0, 300, 15_300],
)


@st.composite
def worlds(draw):
    step = draw(st.sampled_from([60, 300, 900]))
    weights = np.array([draw(st.integers(int(i == 0), 9)) for i in range(5)])
    return World(
        name="random",
        days=draw(st.integers(1, 2)),
        warmup_days=draw(st.integers(0, 1)),
        step_s=step,
        substeps=draw(st.sampled_from([1, 2, 5])),
        oi_every_s=draw(st.sampled_from([900, 3600])),
        daily_volatility=draw(st.sampled_from([0.01, 0.03, 0.15])),
        common_factor=draw(st.sampled_from([0.0, 0.7])),
        weights=tuple((weights / weights.sum()).tolist()),
        unlevered_share=draw(st.sampled_from([0.0, 0.6, 0.95])),
        open_interest_usd=draw(st.sampled_from([1e8, 5e9])),
        open_interest_pull=draw(st.sampled_from([0.0, 2.0])),
        entries_per_day=draw(st.sampled_from([100.0, 400.0])),
        turnover_per_day=draw(st.sampled_from([0.1, 0.9])),
        position_cap=draw(st.sampled_from([0.02, 0.3])),
        exit_half_life_h=draw(st.sampled_from([1.0, 96.0])),
        loser_exit_ratio=draw(st.sampled_from([0.3, 1.0])),
        tiers=draw(st.sampled_from([FLAT, TIERED])),
        bars_every_s=3600,
        totals_every_s=3600,
        magnet=draw(st.sampled_from([0.0, 1.0, 4.0])),
        mark_bars=draw(st.booleans()),
    )


@given(world=worlds(), seed=st.integers(0, 2**32))
@settings(max_examples=200)
def test_accounts_close_and_feeds_agree(world, seed):
    market = simulate(world, seed=seed)
    truth = market.truth["SIM"]
    check_flows(world, truth)
    check_positions(world, truth)
    check_feeds(world, truth, market.tables)


def check_flows(world, truth):
    s = truth.steps
    for side in ("long", "short"):
        change = s[f"opened_{side}"] - s[f"left_{side}"] - s[f"liquidated_{side}"]
        total = truth.open_interest_start + np.cumsum(change)
        assert total.tolist() == s["open_interest"].tolist()
    bought = s["opened_long"] + s["left_short"] + s["liquidated_short"]
    sold = s["opened_short"] + s["left_long"] + s["liquidated_long"]
    assert bought.tolist() == sold.tolist()
    for name in s.dtype.names:
        assert (s[name] >= 0).all()


def check_positions(world, truth):
    p, end = truth.positions, truth.steps["open_interest"][-1]
    for side in (1, -1):
        open_lots = np.rint(p["open_coins"][p["side"] == side] / world.lot_coins)
        assert int(open_lots.sum()) == end
    assert (p["open_coins"] + p["liquidated_coins"] <= p["size_coins"] * (1 + 1e-12)).all()
    assert ((p["fate"] == 0) == (p["open_coins"] > 0)).all()
    assert ((p["fate"] == 2) == (p["liquidated_coins"] > 0)).all()
    assert ((p["closed_ns"] == -1) == (p["fate"] == 0)).all()
    # liquidated at the first published point that reaches the price, and not otherwise
    seen = p[(p["opened_ns"] >= world.start_ns)]
    spacing = world.step_s * SECOND_NS // world.substeps
    for row in seen[:: max(len(seen) // 50, 1)]:
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


def check_feeds(world, truth, tables):
    bars = {n: tables[Kind.BAR][n].to_numpy() for n in ("ts_event", "high", "low", "volume_coins")}
    marks = tables[Kind.MARK].to_pandas()
    width = 3600 * SECOND_NS
    bar = np.maximum((marks["ts_event"].to_numpy() - world.start_ns - 1) // width, 0)
    assert (marks["high"].to_numpy() <= bars["high"][bar]).all()
    assert (marks["low"].to_numpy() >= bars["low"][bar]).all()
    single = tables[Kind.LIQUIDATION].to_pandas()
    at = (single["ts_event"].to_numpy() - world.start_ns - 1) // width
    assert (single["price"].to_numpy() <= bars["high"][at]).all()
    assert (single["price"].to_numpy() >= bars["low"][at]).all()
    totals = tables[Kind.LIQUIDATION_TOTAL].to_pandas()
    usd = single["price"] * single["size_coins"]
    for side, name in ((1, "long_usd"), (-1, "short_usd")):
        rows = (single["side"] == side).to_numpy()
        expected = np.bincount(at[rows], usd[rows], minlength=len(totals))
        np.testing.assert_allclose(totals[name], expected)
    interest = tables[Kind.OPEN_INTEREST].to_pandas()
    lots = np.rint(interest["open_interest_coins"].to_numpy() / world.lot_coins).astype(int)
    every = world.oi_every_s // world.step_s
    assert lots[0] == truth.open_interest_start
    assert lots[1:].tolist() == truth.steps["open_interest"][every - 1 :: every].tolist()
    moved = np.abs(np.diff(lots)).reshape(-1, 3600 // world.oi_every_s).sum(axis=1)
    assert (bars["volume_coins"] >= moved * world.lot_coins * (1 - 1e-12)).all()
