"""Touches: kernels against naive twins, reflection, time, and what they may not see."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import brownian_path, points
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.kernels.touches import (
    arrivals,
    decayed,
    densities_met,
    first_exits,
    stopped_out,
)
from liqbt.evaluation.touches import TOUCH_DTYPE, after_sweeps, at_bins, touch_table
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, MINUTE_NS, DensityGrid, Forecast

EIGHTH = st.integers(-40, 40).map(lambda i: i / 8)
OUTCOMES = ("speed", "rebound", "returned", "stopped", "stopped_beyond", "earned")


def naive_arrivals(low, high, close, end, broken, first, until, mark, sigma, floor, ceiling):
    """Bins of width 1; every bin's map and last meeting in dictionaries, by the definition."""
    armed, met, found = {}, {}, []
    for i in range(len(close)):
        for j in [j for j in range(len(first)) if first[j] <= i and (i == 0 or first[j] > i - 1)]:
            for c in range(-400, 401):
                for s, near in ((1, c), (-1, c + 1)):
                    distance = s * (near - mark[j])
                    if floor * sigma[j] <= distance <= ceiling * sigma[j]:
                        armed[c] = (j, s)
        if i == 0:
            continue
        if broken[i]:
            armed = {}
            continue
        up = [c for c in range(-400, 401) if close[i - 1] < c <= high[i]]
        down = [c for c in range(-400, 401) if low[i] <= c + 1 < close[i - 1]]
        for s, bins, at in ((1, up, high[i]), (-1, down[::-1], low[i])):
            last = math.floor(at) if s > 0 else -1 - math.floor(-at)
            for c in bins:
                owner = armed.get(c)
                if owner is not None and owner[1] == s and end[i] < until[owner[0]]:
                    found.append((i, owner[0], c, s, met.get(c, end[0]), int(c == last)))
            here = math.floor(close[i - 1]) if s > 0 else -1 - math.floor(-close[i - 1])
            if (high[i] if s > 0 else -low[i]) >= s * close[i - 1]:
                bins = [here, *bins]
            for c in bins:
                armed.pop(c, None)
                met[c] = end[i]
    return found


@st.composite
def walks(draw):
    n = draw(st.integers(2, 25))
    close = np.cumsum([draw(EIGHTH) / 2 for _ in range(n)])
    if draw(st.booleans()):
        low, high = close.copy(), close.copy()
    else:
        low, high = (
            close + sign * np.array([abs(draw(EIGHTH)) / 4 for _ in range(n)]) for sign in (-1, 1)
        )
        before = np.concatenate([close[:1], close[:-1]])
        low, high = np.minimum(low, before), np.maximum(high, before)
    m = draw(st.integers(1, 4))
    first = np.sort([draw(st.integers(0, n)) for _ in range(m)]).astype(np.int64)
    until = np.array([draw(st.integers(1, 40)) for _ in range(m)], np.int64)
    mark = np.array([draw(EIGHTH) for _ in range(m)])
    sigma = np.array([draw(st.sampled_from([0.5, 1.0, 2.0])) for _ in range(m)])
    broken = np.array([draw(st.integers(0, 12)) == 0 for _ in range(n)])
    return low, high, close, np.arange(n) + 1, broken, first, until, mark, sigma


@settings(max_examples=60, deadline=None)
@given(walks())
def test_arrivals_like_the_naive_twin(walk):
    found = arrivals(*walk, 0.5, 3.0, 1.0)
    told = list(zip(*(column.tolist() for column in found), strict=True))
    assert told == naive_arrivals(*walk, 0.5, 3.0)


def test_arrivals_of_prices_that_cannot_be_are_refused():
    """The kernel took them for bins once: it went on for ever, or the process died."""
    end = np.arange(4)
    path = [np.zeros(4), np.zeros(4), np.zeros(4), end, np.zeros(4, bool), end[:1], end[3:]]
    for value in (math.nan, math.inf, -math.inf, 1e300, -9.3e18, 1e9):
        for column in range(3):
            bad = [part.copy() for part in path]
            bad[column][2] = value
            with pytest.raises(ValueError, match="too many bins"):
                arrivals(*bad, np.zeros(1), np.ones(1), 0.5, 3.0, 1.0)
        for mark, sigma, floor in ((value, 1.0, 0.5), (0.0, value, 0.5), (0.0, 1.0, value)):
            found = arrivals(*path, np.array([mark]), np.array([sigma]), floor, 3.0, 1.0)
            assert not len(found[0])


@settings(max_examples=60, deadline=None)
@given(walks(), st.integers(1, 6))
def test_exits_and_stops_like_the_naive_twins(walk, width):
    low, high, close = walk[:3]
    entry = np.arange(len(close))
    sign = np.where(entry % 2, 1, -1).astype(np.int8)
    barrier = 0.25 + 0.5 * (entry % 3)
    exits = first_exits(low, high, close, entry, sign, barrier, width)
    hit, earned = stopped_out(low, high, close, entry, sign, barrier, width)
    for e in entry:
        s, b = int(sign[e]), barrier[e]
        ahead = range(e + 1, min(e + width, len(close) - 1) + 1)
        on = [k for k in ahead if (high[k] if s > 0 else -low[k]) >= s * close[e] + b]
        back = [k for k in ahead if (low[k] if s > 0 else -high[k]) <= s * close[e] - b]
        first = min([*on, *back], default=None)
        expected = 0.5
        if first is not None and (first in on) != (first in back):
            expected = 0.0 if first in on else 1.0
        assert exits[e] == expected
        assert hit[e] == bool(on)
        if on:
            k = on[0]
            lost = s * (close[k] - close[e]) if low[k] == high[k] else b
            assert earned[e] == pytest.approx(-lost)
        else:
            last = min(e + width, len(close) - 1)
            assert earned[e] == pytest.approx(-s * (close[last] - close[e]))


def test_what_was_swept_decays_by_half_and_counts_one_entry_together():
    end = np.arange(10) * 10
    entry, sign = np.array([1, 1, 2, 4, 4]), np.array([1, 1, -1, 1, 1], np.int8)
    value = np.array([1.0, 2.0, 5.0, 1.0, np.nan])
    found = decayed(entry, sign, value, end, 30)
    assert found.tolist() == [3.0, 3.0, 5.0, 2.5, 2.5]


def test_densities_in_coarse_entries_and_beyond_the_map():
    density = np.zeros((1, 2, 4), np.float32)
    density[0, 1] = [4.0, 0.0, 20.0, 0.0]  # bins 0, 1, then 2 to 11 and 12 to 21 together
    fine, coarse, reach = np.array([2]), np.array([10]), np.array([4])
    out, up = np.array([0, 2, 40]), np.ones(3, np.int8)
    plain, smoothed = densities_met(density, fine, coarse, np.zeros(3, np.int64), out, up, reach)
    mean = (4.0 + 2.0 + 2.0) / 8.0
    assert plain.tolist() == [4.0 / mean, 2.0 / mean, 0.0]
    assert smoothed[0] == pytest.approx((4 * 4 + 2 * 2 + 1 * 2) / 16 / mean)
    empty = densities_met(0 * density, fine, coarse, np.zeros(3, np.int64), out, up, reach)
    assert np.isnan(empty[1]).all()


def market(seed, *, days=12, shift=0, flip=1.0, log_price=None):
    """Hourly maps of random density on a Brownian path of 5-minute points; `flip` reflects it."""
    rng = np.random.default_rng(seed)
    path = brownian_path(rng, days, 0.025)[0] if log_price is None else log_price
    ts = 19_700 * DAY_NS + np.arange(len(path)) * 5 * MINUTE_NS + shift
    prices = 100.0 * np.exp(flip * path)
    forecasts = []
    for i in range(288, len(path) - 1, 12):
        # a reflected bin k is bin −1 − k: the mark's own too, and the rows change places
        density = np.random.default_rng((seed, i)).gamma(0.3, 1.0, (2, 210)).astype(np.float32)
        inside = math.floor(path[i] / 5e-4)
        forecasts.append(
            Forecast(
                symbol="A",
                at=int(ts[i]) + MINUTE_NS,
                latest_known=int(ts[i]),
                mark=float(prices[i]),
                mark_ts=int(ts[i]),
                sigma_1d=0.025,
                grid=DensityGrid(anchor=100.0),
                mark_bin=inside if flip > 0 else -1 - inside,
                density_usd=density if flip > 0 else density[::-1].copy(),
                clusters=np.zeros(0, CLUSTER_DTYPE),
                asymmetry=0.0,
                asymmetry_reach=0.1,
            )
        )
    return MarketInput(symbol="A", forecasts=forecasts, path=points(ts, prices))


CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,))


def alike(a, b, names):
    for name in names:
        np.testing.assert_allclose(
            a[name].astype(float), b[name].astype(float), rtol=1e-7, atol=1e-9, err_msg=name
        )


def test_reflection_swaps_sides_and_changes_nothing_else():
    plain, other = (touch_table(market(1, flip=flip), CONFIG) for flip in (1.0, -1.0))
    assert len(plain) > 100
    assert plain["side"].tolist() == (-other["side"]).tolist()
    np.testing.assert_allclose(plain["level"] * other["level"], 1e4)
    alike(plain, other, [n for n in TOUCH_DTYPE.names if n not in ("side", "level")])
    for match in (at_bins, after_sweeps):
        one, two = match(plain), match(other)
        a = one.days(one.rows["returned"]).ratio
        assert a == pytest.approx(two.days(two.rows["returned"]).ratio, abs=1e-9)


def test_a_shift_by_whole_days_changes_nothing():
    plain, later = (touch_table(market(2, shift=shift), CONFIG) for shift in (0, 5 * DAY_NS))
    assert (later["at"] - plain["at"] == 5 * DAY_NS).all()
    alike(plain, later, [n for n in TOUCH_DTYPE.names if n not in ("at", "issued")])


def test_nothing_after_the_window_and_no_map_of_the_approach():
    rng = np.random.default_rng(3)
    path = brownian_path(rng, 12, 0.025)[0]
    bent = path.copy()
    cut = 2000
    bent[cut + 1 :] += 0.05 * rng.standard_normal(len(path) - cut - 1)
    plain, other = (touch_table(market(3, log_price=p), CONFIG) for p in (path, bent))
    width = round(4 * HOUR_NS / (5 * MINUTE_NS))
    kept = plain[plain["entry"] + width <= cut]
    assert (kept == other[: len(kept)]).all()  # outcomes too
    known = [n for n in TOUCH_DTYPE.names if n not in OUTCOMES]
    mine, theirs = (t[t["entry"] <= cut] for t in (plain, other))
    assert len(mine) > len(kept)
    assert (mine[known] == theirs[known]).all()
    # at issue the bin was at least a quarter of σ away, and the map was known before the touch
    assert (plain["distance"] >= 0.25 - 1e-9).all()
    assert (plain["issued"] + CONFIG.latency_ns <= plain["at"]).all()


def test_a_gap_has_no_touch_and_a_coarse_path_has_none():
    whole = market(4)
    at = np.delete(np.arange(len(whole.path)), np.arange(1500, 1520))
    holed = replace(whole, path=points(whole.path.start_ns[at], whole.path.close[at]))
    rows = touch_table(holed, CONFIG)
    day, after = 288, 48
    assert len(rows)
    assert not ((rows["entry"] >= 1500) & (rows["entry"] - day < 1500)).any()
    assert not ((rows["entry"] < 1500) & (rows["entry"] + after >= 1500)).any()
    hourly = points(whole.path.start_ns[::12], whole.path.close[::12], spacing_ns=HOUR_NS)
    assert not len(touch_table(replace(whole, path=hourly), CONFIG))


def test_a_planted_difference_is_found_and_a_covariate_alone_is_not():
    rows = touch_table(market(5, days=40), CONFIG)
    found = at_bins(rows)
    assert 0 < found.dense.sum() < len(found.rows)
    assert found.days(found.dense + 0.0).ratio == pytest.approx(1.0)
    for name in ("approach_1h", "volatility_3h", "distance", "overshoot"):
        assert found.days(found.rows[name]).ratio == pytest.approx(0.0, abs=1e-8)
    # a stratum's mean cancels, whatever it is
    lift = np.random.default_rng(0).normal(size=found.stratum.max() + 1)[found.stratum]
    assert found.days(lift).ratio == pytest.approx(0.0, abs=1e-8)


def test_the_slope_is_that_of_least_squares():
    rows = touch_table(market(6, days=30), CONFIG)
    found = at_bins(rows)
    y = found.rows["returned"]
    dummies = (found.stratum[:, None] == np.unique(found.stratum)).astype(float)
    design = np.column_stack([found.dense, dummies, found.basis])
    expected = np.linalg.lstsq(design, y, rcond=None)[0][0]
    assert found.days(y).ratio == pytest.approx(expected, abs=1e-9)
