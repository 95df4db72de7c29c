"""What simulated markets are like: fair without a mechanism, pulled with one, and near the real."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from liqbt.simulate.effects.magnet import magnet_effect
from liqbt.simulate.market import simulate
from liqbt.simulate.sections import HOUR_PROFILE
from liqbt.simulate.world import World

pytestmark = pytest.mark.slow

SEEDS = range(16)


def effects(magnet, seeds):
    world = World(name="w", magnet=magnet)
    return [magnet_effect(simulate(world, seed=seed).truth["SIM"]) for seed in seeds]


@pytest.fixture(scope="module")
def free():
    return [simulate(World(name="w"), seed=seed).truth["SIM"] for seed in SEEDS]


def test_without_a_magnet_dense_levels_are_visited_like_their_mirrors(free):
    found = [magnet_effect(truth) for truth in free]
    lift = np.array([e.mirror_lift for e in found])
    error = lift.std(ddof=1) / math.sqrt(len(lift))
    assert error < 0.02  # the test can see 6 points
    assert abs(lift.mean()) < 3 * error
    claimed = np.mean([e.standard_error for e in found])
    assert 0.5 < lift.std(ddof=1) / claimed < 2  # the stated error is the real one
    assert all(e.displacement_sigma == 0 for e in found)


def test_a_magnet_lifts_more_the_stronger_it_is():
    lift = [np.mean([e.mirror_lift for e in effects(m, range(6))]) for m in (0.5, 1.0, 2.0)]
    assert 0.08 < lift[0] < lift[1] - 0.05
    assert lift[1] > 0.2
    assert lift[2] > lift[1] + 0.05


def test_up_and_down_are_alike(free):
    returns = np.concatenate([np.diff(np.log(t.path_price[::1440])) for t in free])
    assert abs(returns.mean()) < 3 * returns.std() / math.sqrt(returns.size)
    ends = np.array([math.log(t.path_price[-1] / t.path_price[0]) for t in free])
    assert 0.5 < ends.std() / (0.027 * math.sqrt(120)) < 1.6  # a martingale's spread, no reversion
    fine = np.concatenate([np.diff(np.log(t.path_price)) for t in free])
    assert abs(np.mean(np.sign(fine))) < 3 / math.sqrt(fine.size)
    for every in (5, 60):  # no momentum, neither in signs nor in a jump's wake
        r = [np.diff(np.log(t.path_price[::every])) for t in free]
        sign = np.concatenate([np.sign(x[1:] * x[:-1]) for x in r])
        assert abs(sign.mean()) < 3.5 / math.sqrt(sign.size)
        large = [np.abs(x) > 5 * x.std() for x in r]
        after = np.concatenate(
            [np.sign(x[1:])[big[:-1]] * np.sign(x[:-1])[big[:-1]]
             for x, big in zip(r, large, strict=True)]
        )  # fmt: skip
        assert after.size > 100
        assert abs(after.mean()) < 3.5 / math.sqrt(after.size)


def test_no_return_tells_the_next(free):
    """A jump that unfolded over two bars made the default world a momentum world at 5 minutes."""
    found = []
    for truth in free:
        r = np.diff(np.log(truth.path_price[::5])) / truth.sigma_1d
        found.append(float((r[1:] * r[:-1]).sum() / (r * r).sum()))
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert error < 0.004
    assert abs(np.mean(found)) < 4 * error


def test_volatility_is_stochastic_and_heavy_tailed(free):
    daily = np.array([
        np.sqrt((np.diff(np.log(t.path_price[::5])).reshape(-1, 288) ** 2).sum(axis=1))
        for t in free
    ])  # fmt: skip
    assert 0.024 < math.sqrt((daily**2).mean()) < 0.030
    assert 0.25 < np.log(daily).std() < 0.6
    r = np.concatenate([np.diff(np.log(t.path_price[::1440])) for t in free])
    assert ((r - r.mean()) ** 4).mean() / r.var() ** 2 > 3.3


def test_volatility_has_its_season_and_liquidations_their_size(free):
    hourly = np.concatenate(
        [np.abs(np.diff(np.log(t.path_price[::60]))).reshape(-1, 24) for t in free]
    ).mean(axis=0)
    assert np.corrcoef(hourly, HOUR_PROFILE)[0, 1] > 0.95
    assert 1.8 < hourly.max() / hourly.min() < 2.7
    for side in ("long", "short"):  # reported totals are 0.3 to 0.5 % a day, and an undercount
        share = [
            t.steps[f"liquidated_{side}"].sum() / t.steps["open_interest"].mean() / 120
            for t in free
        ]
        assert 0.004 < np.median(share) < 0.012


def test_a_mechanism_that_is_not_planted_changes_nothing(free):
    """Bit for bit: other traders, other strengths of what traders alone feel."""
    for keys in ({"placement": 0.8}, {"cross_share": 0.0}, {"entries_per_day": 900.0}):
        other = simulate(World(name="w", **keys), seed=0).truth["SIM"]
        assert other.path_price.tobytes() == free[0].path_price.tobytes()


@pytest.mark.data
def test_open_interest_and_volatility_are_near_the_real_ones(free, data_root):
    path = data_root / "binance-um" / "BTCUSDT-open-interest-5m.csv.gz"
    frame = pd.read_csv(path)
    coins = frame["sum_open_interest"].to_numpy()
    mark = frame["sum_open_interest_value"].to_numpy() / coins
    real = facts(coins, mark)
    simulated = np.median(
        [
            facts(
                np.concatenate([[t.open_interest_start], t.steps["open_interest"]]).astype(float),
                t.path_price[::5],
            )
            for t in free
        ],
        axis=0,
    )
    ratio = simulated / real
    assert (ratio > 0.5).all(), ratio
    assert (ratio < 2.0).all(), ratio


def facts(coins, mark):
    """Deviation of 5-minute and daily changes of open interest, rises a day, daily volatility."""
    change = np.diff(np.log(coins))
    return np.array(
        [
            change.std(),
            np.diff(np.log(coins[::288])).std(),
            change.clip(0).sum() / (change.size / 288),
            np.diff(np.log(mark)).std() * math.sqrt(288),
        ]
    )
