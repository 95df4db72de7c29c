"""Rivals: where they place what, what they forget, and that they are audited like any estimator."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from estimator_events import (
    START,
    at,
    bar,
    event,
    events,
    mark,
    mark_bar,
    market,
    open_interest,
    tapes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import ConfigError
from liqbt.estimators import MarketSpec, registered_estimators
from liqbt.estimators.rivals import (
    CandleColour,
    EqualBrackets,
    FreshKernel,
    LargeTrades,
    TierDecay,
    ZScore,
)
from liqbt.estimators.rivals.candles import CANDLE_DTYPE, folded
from liqbt.estimators.rivals.fresh_kernel import first_crossed, learnt
from liqbt.estimators.rivals.z_score import trailing_z
from liqbt.forecasts import forecast_bytes
from liqbt.study.estimator_config import check_needs
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Kind

RIVALS = (CandleColour, EqualBrackets, FreshKernel, LargeTrades, TierDecay, ZScore)
HOUR = -(-START // HOUR_NS) * HOUR_NS - START
"""Of the first full hour after START, in ns."""


def made(make, **changes):
    base = {"step": 0.001, "fine_bins": 900, "coarse": 10, "sigma_window": 30 * MINUTE_NS}
    return make(make.Params(**(base | changes)), MarketSpec(symbol="X"))


def hour(n, minute=0.0):
    """Seconds after START of a minute of the n-th full hour."""
    return HOUR / 1e9 + n * 3600 + minute * 60


def path(*closes, volume=1.0, seconds=300):
    """Marks every five minutes that stand at each hour's close, and a bar of each hour."""
    rows = []
    for n, close in enumerate(closes):
        rows += [mark(hour(n, m), close) for m in range(1, 60, 5)]
        rows.append(bar(hour(n, 59.5), close, close, close, volume, span_s=seconds))
    # σ needs a price that moves
    rows += [mark(hour(len(closes), 1), closes[-1] * 1.0002)]
    return rows


def levels(estimator, *rows, n):
    """Prices and USD of what a map holds, an hour after `n` candles."""
    estimator.update(events(*rows))
    forecast = estimator.forecast(at(hour(n, 2)) + 1)
    assert forecast is not None
    out = {}
    for i, side in enumerate((1, -1)):
        edges = forecast.grid.prices(forecast.mark_bin, side, forecast.density_usd.shape[1])
        for j in np.flatnonzero(forecast.density_usd[i] > 0):
            out[float(math.sqrt(edges[j] * edges[j + 1]))] = float(forecast.density_usd[i, j])
    return out


def near(found, price):
    return sum(usd for where, usd in found.items() if abs(where / price - 1) < 0.0011)


def test_equal_brackets_lie_at_one_over_the_leverage_and_weigh_alike():
    found = levels(made(EqualBrackets), *path(100, 100, 100), n=3)
    for leverage in (10, 25, 50, 100):
        assert near(found, 100 * (1 - 1 / leverage)) == pytest.approx(
            2 * (1 - 1 / leverage) / 8, rel=0.01
        )
        assert near(found, 100 * (1 + 1 / leverage)) > 0
    assert sum(found.values()) == pytest.approx(2.0, rel=1e-4)


def test_a_level_that_the_price_has_passed_is_gone_and_both_sides_are_open_interest():
    rows = [*path(100, 97, 100), open_interest(hour(0), 10.0)]
    found = levels(made(EqualBrackets), *rows, n=3)
    assert near(found, 97 * 0.99) > 0  # opened after the fall
    assert near(found, 100 * 1.01) > 0
    # 50x longs of the first hour lie at 98, which the second passed; those of the third stand
    assert near(found, 98) / 98 == pytest.approx(near(found, 90) / 90 / 2, rel=1e-4)
    assert sum(found.values()) == pytest.approx(2 * 10 * 100.02, rel=1e-4)


def test_tiers_age_each_by_its_own_half_life():
    params = {
        "leverages": (10.0, 50.0),
        "weights": (0.5, 0.5),
        "half_lives": (10**6 * HOUR_NS, HOUR_NS),
    }
    volumes = [*path(100, 100, 100, 100, volume=0.0), bar(hour(0, 30), 100, 100, 100, 8.0)]
    found = levels(made(TierDecay, **params), *volumes, n=4)
    assert near(found, 98) / 98 == pytest.approx(near(found, 90) / 90 / 2**4, rel=1e-3)
    with pytest.raises(ConfigError, match="half_lives"):
        made(TierDecay, half_lives=(HOUR_NS,))


def test_the_colour_of_a_candle_is_its_side():
    rows = [mark(hour(0, 1), 100), mark(hour(0, 30), 101), *path(101, 101)[12:]]
    rows += [mark(hour(1, 59.8), 101.05)]
    found = levels(made(CandleColour), *rows, n=2)
    assert near(found, 101.05 * 0.9) > 0 == near(found, 101 * 1.1)


def test_large_trades_stand_on_the_takers_side_and_small_ones_nowhere():
    def taken(minute, price, size, side):
        return event(Kind.TRADE, hour(0, minute), price, size, side=side)

    rows = [*path(100, 100), taken(5, 100, 2000, 1), taken(6, 100, 1500, -1), taken(7, 100, 9, 1)]
    found = levels(made(LargeTrades), *rows, n=2)
    for distance in (0.01, 0.02, 0.04, 0.1):
        below, above = near(found, 100 * (1 - distance)), near(found, 100 * (1 + distance))
        assert below / (1 - distance) == pytest.approx(above / (1 + distance) * 4 / 3, rel=1e-4)
    assert len(found) == 8


def test_large_trades_without_trades_are_candles_of_much_volume():
    rows = [*path(100, 100, 100, 100), bar(hour(2, 31), 100, 100, 101, 50.0)]
    rows += [mark(hour(2, 59), 100.5)]
    found = levels(made(LargeTrades), *rows, n=4)
    assert near(found, 100.5 * 0.99) > 0 == near(found, 100.5 * 1.01)


def test_what_large_trades_cannot_do_without_is_one_sentence():
    kinds = {Kind.MARK: 0, Kind.OPEN_INTEREST: 0}
    with pytest.raises(ConfigError, match=r"reads trade or bar, and 's\.X\.events' names neither"):
        check_needs("large_trades", "mine", kinds, None, "s.X")
    for kind in (Kind.TRADE, Kind.BAR):
        check_needs("large_trades", "mine", kinds | {kind: 0}, None, "s.X")
    with pytest.raises(ConfigError) as caught:
        check_needs("oi_flow", "mine", {Kind.MARK: 0}, None, "s.X")
    assert "equal_brackets" in str(caught.value)
    assert "large" not in str(caught.value)


def test_z_scores_are_of_what_came_before():
    values = np.random.default_rng(0).exponential(1.0, 40)
    expected = [
        (values[i] - values[max(i - 7, 0) : i].mean()) / values[max(i - 7, 0) : i].std()
        if i >= 2
        else 0.0
        for i in range(40)
    ]
    assert trailing_z(values, 7) == pytest.approx(expected)
    assert trailing_z(np.full(9, 0.1), 3).tolist() == [0.0] * 9


def test_only_inflow_that_stands_out_makes_levels():
    held = [100, 101, 100, 101, 100, 101, 100, 130, 130]
    rows = [open_interest(hour(n, 30), coins) for n, coins in enumerate(held)]
    closes = [100.0] * 7 + [103.0, 103.0]
    params = {"window": 20 * HOUR_NS, "trailing": 6 * HOUR_NS, "threshold": 3.0}
    found = levels(made(ZScore, **params), *path(*closes), *rows, n=9)
    assert near(found, 103 * 0.96) > 0
    assert near(found, 103 * 1.04) > 0
    assert near(found, 100 * 0.90) == 0.0


def test_the_fresh_kernel_is_empty_where_the_price_is_and_refills():
    closes = (100, 97, 100, 100, 100)
    short = made(FreshKernel, refill=4 * HOUR_NS, sigma_window=2 * HOUR_NS)
    rows = path(*closes)
    rows += [mark(hour(4, m), 100 + 3 * (m % 2)) for m in range(1, 60, 5)]
    found = levels(short, *rows, n=5)
    bins = {p: usd / p for p, usd in found.items()}
    passed, ahead = near(bins, 97.5), near(bins, 96.5)
    assert 0 < passed < ahead
    # 97 was there three hours before the last full one: 1 − 2^(−3/4) of it
    assert passed / ahead == pytest.approx(1 - 0.5 ** (3.03 / 4), rel=0.1)


def test_the_kernel_is_learnt_from_what_was_first_crossed():
    rng = np.random.default_rng(1)
    true = np.array([2.0, 0.5, 1.0, 0.5])
    crossed = rng.exponential(1.0, (4000, 4)) * (rng.random((4000, 4)) < 0.5)
    usd = rng.gamma(crossed @ true * 5 + 1e-9, 0.2)
    found = learnt(crossed, usd, np.ones(4), 1.0)
    assert found / found.mean() == pytest.approx(true / true.mean(), rel=0.08)
    assert learnt(crossed, np.zeros(4000), np.ones(4), 1.0).tolist() == [1.0] * 4


@given(st.lists(st.floats(-2, 2), min_size=4, max_size=12), st.integers(1, 3))
def test_first_crossings_are_those_of_the_naive_walk(steps, back):
    closes = np.cumsum(steps)
    reached = closes + np.abs(np.sin(np.arange(len(closes))))
    edges = np.array([0.0, 0.5, 1.0, math.inf])
    expected = []
    for h in range(back, len(closes)):
        start = closes[h - back]
        before = max([0.0, *(reached[j] - start for j in range(h - back + 1, h))])
        row = []
        for low, high in pairwise(edges):
            row.append(max(min(reached[h] - start, high) - max(before, low), 0.0))
        expected.append(row)
    assert first_crossed(reached, closes, back, edges) == pytest.approx(np.array(expected))


@given(tapes(), st.data())
@settings(max_examples=25, deadline=None)
def test_candles_do_not_depend_on_how_events_are_cut(case, data):
    kind, tape = case
    whole = folded(np.zeros(0, CANDLE_DTYPE), tape, kind, HOUR_NS, 5)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tape)), max_size=4)))
    parts = np.zeros(0, CANDLE_DTYPE)
    for start, stop in zip([0, *cuts], [*cuts, len(tape)], strict=True):
        parts = folded(parts, tape[start:stop], kind, HOUR_NS, 5)
    assert parts.tobytes() == whole.tobytes()
    prices = tape[tape["kind"] == kind]
    slot = (prices["ts_event"] - (prices["span_s"] > 0)) // HOUR_NS
    high, low = ("p0", "p0") if kind == Kind.TRADE else ("p1", "p2")
    for candle in whole:
        mine = prices[slot == candle["slot"]]
        if len(mine):
            assert candle["high"] == mine[high].max()
            assert candle["low"] == mine[low].min()


def test_marks_with_a_span_belong_to_the_candle_that_they_end_in():
    rows = events(mark_bar(hour(1), 99, 101, 100), mark_bar(hour(1, 5), 98, 103, 100))
    found = folded(np.zeros(0, CANDLE_DTYPE), rows, Kind.MARK, HOUR_NS, 9)
    assert np.diff(found["slot"]).tolist() == [1]
    assert found["high"].tolist() == [101.0, 103.0]


@pytest.mark.parametrize("make", RIVALS)
def test_a_rival_is_the_same_however_it_is_fed_and_goes_on_from_its_state(make):
    tape = market(seed=2, days=5, trades=1, totals=True)
    options = {"window": 3 * DAY_NS, "sigma_window": 6 * HOUR_NS}
    options |= {"trailing": DAY_NS} if make is ZScore else {}
    options |= {"least_usd": 200.0} if make is LargeTrades else {}
    when = int(tape["ts_known"][-1]) + 1
    whole, parted = made(make, **options), made(make, **options)
    whole.update(tape)
    for cut in np.array_split(np.arange(len(tape)), 37):
        saved, parted = parted.state(), made(make, **options)
        parted.restore(saved)
        parted.update(tape[cut[0] : cut[-1] + 1])
    one, other = whole.forecast(when), parted.forecast(when)
    assert forecast_bytes(one) == forecast_bytes(other)
    assert one.density_usd.sum() > 0
    assert len(one.clusters) > 0
    assert registered_estimators()[_name(make)] is make


def _name(make):
    return {v: k for k, v in registered_estimators().items()}[make]
