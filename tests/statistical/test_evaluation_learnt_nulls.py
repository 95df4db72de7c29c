"""Nulls that learn from the past, where the answer is known: on Brownian paths they are Brownian.

And what they must never do: know what comes after.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from evaluation_world import START, STEP_S, bars, brownian_path, points

from liqbt.evaluation.nulls.levels import Anchors, LevelConfig, nominal_brownian, random_levels
from liqbt.evaluation.nulls.placebo import PlaceboConfig, fit_placebo, placebo_probability
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from research.methods.analogs import AnalogConfig, analog_probability
from research.methods.filtered_history import FilteredConfig, filtered_probability

SIGMA = 0.025
STEP = STEP_S * SECOND_NS
WINDOW = {"horizon_ns": DAY_NS, "latency_ns": MINUTE_NS}


def market(seed, days, *, kind="points", volatility=None):
    """Hourly anchors on a Brownian path, or on one whose volatility follows `volatility`."""
    log_price, low, high = brownian_path(np.random.default_rng(seed), days, SIGMA)
    if volatility is not None:
        steps = np.diff(log_price) * volatility(np.random.default_rng(seed + 10_000), days)
        log_price = np.concatenate([[0.0], np.cumsum(steps)])
    ts = START + np.arange(len(log_price)) * STEP
    rows = np.arange(3 * 288, len(ts), 12)
    squared = np.concatenate([[0.0], np.cumsum(np.diff(log_price) ** 2)])
    realised = np.sqrt((squared[rows] - squared[rows - 864]) / 3)
    anchors = Anchors(
        at=ts[rows] + 2 * SECOND_NS,
        mark_ts=ts[rows],
        log_mark=log_price[rows],
        sigma_1d=np.full(len(rows), SIGMA) if volatility is None else realised,
        open_interest_usd=np.full(len(rows), np.nan),
    )
    if kind == "points":
        return anchors, points(ts, np.exp(log_price))
    lows = np.exp(low.reshape(-1, 12)).min(axis=1)
    highs = np.exp(high.reshape(-1, 12)).max(axis=1)
    path = bars(ts[:-1:12], HOUR_NS, lows, highs)
    return anchors, dataclasses.replace(path, close=np.exp(log_price[12::12]))


def slow_volatility(rng, days):
    """Log volatility as an autoregression of two hours' steps, deviation one half."""
    state = np.empty(days * 12)
    state[0] = 0.5 * rng.standard_normal()
    for i in range(1, len(state)):
        state[i] = 0.97 * state[i - 1] + 0.5 * np.sqrt(1 - 0.97**2) * rng.standard_normal()
    return np.repeat(np.exp(state - 0.25), 24)


def asked(anchors, rows):
    """Levels at several distances on both sides of some anchors."""
    grid = np.array([0.3, 0.6, 1.0, 1.5, 2.2])
    owner = np.repeat(rows, 2 * len(grid))
    side = np.tile(np.repeat([1.0, -1.0], len(grid)), len(rows))
    return owner, side, np.tile(grid, 2 * len(rows)) * SIGMA


@pytest.mark.slow
def test_placebo_on_brownian_paths_is_the_brownian_null():
    """Eight records of 120 days: within four standard errors at every distance, and on the mean."""
    gaps = []
    for seed in range(8):
        anchors, path = market(seed, 120)
        placebo = fit_placebo(
            anchors, path, PlaceboConfig(), **WINDOW, rng=np.random.default_rng(seed)
        )
        owner, side, distance = asked(anchors, np.arange(11 * 24, len(anchors.at), 24))
        p = placebo_probability(placebo, owner, side, distance)
        q = nominal_brownian(anchors, path, owner, distance, **WINDOW)
        gaps.append((p - q).reshape(-1, 2, 5).mean(axis=(0, 1)))
    gaps = np.array(gaps)
    error = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(gaps.mean(axis=0)) < 4 * error + 0.002).all()
    assert (error < 0.02).all()


@pytest.mark.slow
def test_placebo_is_calibrated_where_volatility_is_not_constant():
    """Brownian at the trailing volatility misses by points there; the placebo does not."""
    missed, learnt = [], []
    for seed in range(24):
        anchors, path = market(seed, 120, volatility=slow_volatility)
        placebo = fit_placebo(
            anchors, path, PlaceboConfig(), **WINDOW, rng=np.random.default_rng(seed)
        )
        levels = random_levels(
            anchors, path, LevelConfig(), **WINDOW, rng=np.random.default_rng(seed + 77)
        )
        late = levels.anchor > 24 * 24
        owner, side = levels.anchor[late], levels.side[late]
        distance = levels.distance_sigma[late] * anchors.sigma_1d[owner]
        p = placebo_probability(placebo, owner, side, distance)
        q = nominal_brownian(anchors, path, owner, distance, **WINDOW)
        band = np.digitize(levels.distance_sigma[late], [0.25, 0.75, 1.5])
        y = levels.visited[late]
        learnt.append([(y - p)[band == k].mean() for k in range(4)])
        missed.append([(y - q)[band == k].mean() for k in range(4)])
    learnt, missed = np.array(learnt), np.array(missed)
    error = learnt.std(axis=0, ddof=1) / np.sqrt(len(learnt))
    assert (np.abs(learnt.mean(axis=0)) < 4 * error).all()
    assert np.abs(learnt.mean(axis=0)).max() < 0.012
    assert np.abs(missed.mean(axis=0)).max() > 0.02


def test_analogs_on_a_brownian_path_are_brownian():
    anchors, path = market(3, 120)
    owner, side, distance = asked(anchors, np.arange(60 * 24, len(anchors.at), 24))
    p = analog_probability(
        anchors,
        path,
        AnalogConfig(levels=LevelConfig()),
        owner,
        side,
        distance,
        **WINDOW,
        rng=np.random.default_rng(1),
    )
    q = nominal_brownian(anchors, path, owner, distance, **WINDOW)
    # 60 to 115 days of the past: a rate near a third has a standard error of 3 points or so
    assert np.abs((p - q).reshape(-1, 2, 5).mean(axis=(0, 1))).max() < 0.08
    assert np.corrcoef(p, q)[0, 1] > 0.97


@pytest.mark.parametrize("kind", ["points", "bars"])
def test_filtered_history_on_a_brownian_path_is_brownian(kind):
    """No volatility to filter: hours of the past at today's volatility are Brownian hours."""
    anchors, path = market(5, 90, kind=kind)
    owner, side, distance = asked(anchors, np.arange(40 * 24, len(anchors.at) - 24, 48))
    config = FilteredConfig(paths=2000)
    p = filtered_probability(anchors, path, config, owner, side, distance, **WINDOW, seed=4)
    q = nominal_brownian(anchors, path, owner, distance, **WINDOW)
    gap = (p - q).reshape(-1, 2, 5)
    assert np.abs(gap.mean(axis=0)).max() < 0.035
    assert np.abs(gap.mean()) < 0.02


def poisoned(anchors, path, cut):
    known = path.end_ns + path.max_delay_ns < anchors.at[cut]
    rng = np.random.default_rng(cut)
    prices = np.where(known, path.close, np.exp(rng.normal(0.0, 0.2, len(path))))
    return points(path.end_ns, prices)


@pytest.mark.parametrize("moved", [0, -2 * SECOND_NS])
def test_neither_analogs_nor_filtered_history_know_the_future(moved):
    """Moved to the hour, an entry becomes known just when it is asked: that is too late."""
    anchors, path = market(7, 60)
    anchors = dataclasses.replace(anchors, at=anchors.at + moved, mark_ts=anchors.mark_ts + moved)
    cut = 900
    owner, side, distance = asked(anchors, np.arange(0, len(anchors.at), 30))
    issued = owner <= cut
    config = AnalogConfig(levels=LevelConfig(), neighbours=50)
    filtered = FilteredConfig(paths=100)
    there, here = [], []
    for prices, out in ((path, there), (poisoned(anchors, path, cut), here)):
        out.append(
            analog_probability(
                *(anchors, prices, config, owner, side, distance),
                **WINDOW,
                rng=np.random.default_rng(1),
            )
        )
        out.append(
            filtered_probability(anchors, prices, filtered, owner, side, distance, **WINDOW, seed=2)
        )
    for a, b in zip(there, here, strict=True):
        assert np.isnan(a).any()
        assert np.isfinite(a[issued]).any()
        np.testing.assert_array_equal(a[issued], b[issued])
        assert (a[~issued] != b[~issued]).any()


def test_an_anchor_with_an_old_mark_moves_no_probability_before_it():
    """Its window takes more hours to simulate: those that others use are drawn all the same."""
    anchors, path = market(7, 60)
    owner, side, distance = asked(anchors, np.arange(600, len(anchors.at), 5))
    late = len(anchors.at) - 5
    aged = anchors.mark_ts.copy()
    aged[late:] -= 12 * HOUR_NS
    config = FilteredConfig(paths=100)
    there, here = (
        filtered_probability(each, path, config, owner, side, distance, **WINDOW, seed=2)
        for each in (anchors, dataclasses.replace(anchors, mark_ts=aged))
    )
    assert np.isfinite(there).all()
    np.testing.assert_array_equal(there[owner < late], here[owner < late])
    assert (there[owner >= late] != here[owner >= late]).any()
