"""The fold of the reference and of the market's state, driven against their naive twins."""

from __future__ import annotations

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from estimator_events import NAMES, START, STEP, at, event, events, rows_of, small_config, tapes
from hypothesis import given
from hypothesis import strategies as st

from liqbt.estimators.baselines import Uniform, VolumeProfile
from liqbt.estimators.oi_flow import OIFlow, plan_of
from liqbt.types import HOUR_NS, SECOND_NS, Kind


@given(tapes())
def test_the_book_is_that_of_the_twin(case):
    kind, tape = case
    params, market = small_config(kind)
    estimator = OIFlow(params, market)
    estimator.update(tape)
    state = estimator.state()
    plan = plan_of(params, market.tiers)
    twin = naive.OIFlowTwin(
        price_kind=NAMES[kind],
        step=STEP,
        half=30,
        weights=[bracket.weight for bracket in params.brackets],
        half_lives_ns=[bracket.half_life for bracket in params.brackets],
        shifts=plan.shifts[0].tolist(),
    )
    for row in rows_of(tape):
        twin.event(row)
    expected = np.zeros((2, 3, 60))
    for (side, k, i), coins in twin.coins.items():
        expected[side, k, i + 30] = coins
    actual = state["coins"] * state["scale"][:, :, None]
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(state["counts"], [twin.consumed, twin.outside], rtol=1e-9, atol=1e-9)
    for source in range(3):
        row = np.zeros(60)
        for i, weight in twin.entries[source].items():
            row[i + 30] = weight
        np.testing.assert_allclose(state["entries"][source], row, rtol=1e-9, atol=1e-9)
    # what lies outside the bounds would never be consumed nor emitted
    for side in range(2):
        low, high = state["bounds"][side]
        bins = np.arange(60)
        assert not state["coins"][side][:, (bins < low) | (bins > high)].any()


@given(tapes())
def test_without_ageing_both_sides_hold_what_open_interest_gained(case):
    """Both sides open what open interest gained: all of it is held, consumed or outside."""
    kind, tape = case
    snapshots = tape["kind"] == Kind.OPEN_INTEREST
    rising = tape.copy()
    rising["p0"][snapshots] = np.cumsum(tape["p0"][snapshots])
    estimator = OIFlow(*small_config(kind, half_lives_h=(1e15, 1e15, 1e15)))
    gone = np.zeros(2)
    for i in range(len(rising)):
        before = estimator.state()
        estimator.update(rising[i : i + 1])
        after = estimator.state()
        if after["head"]["n_open_interest"] > before["head"]["n_open_interest"]:
            gone += before["counts"][0]  # a snapshot forgets what was consumed before it
    state = estimator.state()
    taken, first, last, seen = 0, 0.0, 0.0, -1
    priced = False
    for row in rising:
        priced = priced or row["kind"] == kind
        if row["kind"] == Kind.OPEN_INTEREST and row["ts_event"] >= seen:
            first = row["p0"] if taken == 0 or not priced else first
            taken, last, seen = taken + 1, row["p0"], row["ts_event"]
    for side in range(2):
        held = (state["coins"][side] * state["scale"][side][:, None]).sum()
        consumed, outside = state["counts"][:, side]
        everything = held + gone[side] + consumed + outside
        assert everything == pytest.approx(last - first, rel=1e-9, abs=1e-6)


@given(tapes(), st.data())
def test_any_split_of_the_events_gives_the_same_bits(case, data):
    kind, tape = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tape)), max_size=6)))
    bounds = [0, *cuts, len(tape)]
    for make in (OIFlow, Uniform, VolumeProfile):
        whole, parts = make(*small_config(kind, make)), make(*small_config(kind, make))
        whole.update(tape)
        for start, stop in pairwise(bounds):
            parts.update(tape[start:stop])
            saved = parts.state()
            parts = make(*small_config(kind, make))
            parts.restore(saved)
        for name, array in whole.state().items():
            assert array.tobytes() == parts.state()[name].tobytes(), name


@given(tapes(), st.integers(-6, 6))
def test_prices_scaled_leave_every_bit_of_the_book(case, power):
    kind, tape = case
    scaled = tape.copy()
    for name in ("p0", "p1", "p2", "p3"):
        prices = np.isin(tape["kind"], [Kind.MARK, Kind.BAR])
        if name == "p0":
            prices |= tape["kind"] == Kind.TRADE
        scaled[name][prices] *= 2.0**power
    one, other = OIFlow(*small_config(kind)), OIFlow(*small_config(kind))
    one.update(tape)
    other.update(scaled)
    for name in ("coins", "scale", "counts", "bounds", "entries"):
        assert one.state()[name].tobytes() == other.state()[name].tobytes()


@given(
    st.lists(st.tuples(st.integers(-400, 4000), st.floats(50, 200)), min_size=0, max_size=80),
    st.integers(0, 6000),
    st.sampled_from([0.1, 0.3, 0.5]),
)
def test_sigma_is_that_of_the_twin(steps, pause, coverage):
    second, seconds = 0, []
    for step, _ in steps:
        second += step  # negative steps are late prices
        seconds.append(max(second, 0))
    prices = [(START + s * SECOND_NS, p) for s, (_, p) in zip(seconds, steps, strict=True)]
    chosen = small_config(
        Kind.MARK,
        grid_span=3.0,
        make=Uniform,
        sigma_min_coverage=coverage,
    )
    when = at(max([0, *seconds]) + 1 + pause)
    expected = naive.sigma_1d(prices, when, 6 * HOUR_NS, 300 * SECOND_NS, coverage)
    estimator = Uniform(*chosen)
    rows = [event(Kind.MARK, s, p, p, p, p) for s, (_, p) in zip(seconds, steps, strict=True)]
    if rows:
        array = np.concatenate(rows)
        array["ts_known"] = array["ts_event"].max()
        estimator.update(array)
    forecast = estimator.forecast(when)
    if math.isnan(expected):
        assert forecast is None
    else:
        assert forecast is not None
        assert forecast.sigma_1d == pytest.approx(expected, rel=1e-9)


def test_strategies_reach_what_matters():
    """The twin is driven through consumption, exits, and coins beyond the grid."""
    chosen = small_config(Kind.MARK)
    estimator = OIFlow(*chosen)
    estimator.update(
        events(
            event(Kind.MARK, 0, 100.0, 100.0, 100.0, 100.0),
            event(Kind.OPEN_INTEREST, 1, 10.0),
            event(Kind.MARK, 300, 120.0, 120.0, 120.0, 120.0),
            event(Kind.OPEN_INTEREST, 301, 110.0),
        )
    )
    counts = estimator.state()["counts"]
    assert (counts > 0).any(axis=1).tolist() == [True, True]
