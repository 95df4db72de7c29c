"""The interval of a difference between two runs: against the plain estimate where they coincide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liqbt.evaluation.inference.days import DaySums, day_sums, draw
from liqbt.evaluation.inference.estimates import estimate
from liqbt.evaluation.paired import paired_difference
from liqbt.types import DAY_NS, HOUR_NS


def draws(n_days: int = 200, reps: int = 2000):
    return draw(np.random.default_rng(0), reps=reps, n_days=n_days)


def test_on_the_same_episodes_it_is_the_estimate_of_their_differences():
    rng = np.random.default_rng(4)
    born = np.sort(rng.integers(0, 120 * DAY_NS, 900))
    base = rng.binomial(1, 0.3, 900).astype(float)
    new = np.where(rng.random(900) < 0.1, rng.binomial(1, 0.3, 900), base).astype(float)
    found = paired_difference(day_sums(new, born), day_sums(base, born), DAY_NS, draws())
    plain = estimate(day_sums(new - base, born), DAY_NS, draws())
    assert found.value == pytest.approx(plain.value, abs=1e-12)
    assert found.ci_low == pytest.approx(plain.ci_low, rel=1e-9)
    assert found.ci_high == pytest.approx(plain.ci_high, rel=1e-9)
    assert found.n_days == plain.n_days
    alone = estimate(day_sums(new, born), DAY_NS, draws())
    assert found.ci_high - found.ci_low < 0.6 * (alone.ci_high - alone.ci_low)


def test_the_difference_by_hand():
    new = DaySums(first_day=10, total=np.array([2.0, 1.0]), count=np.array([4.0, 2.0]))
    base = DaySums(first_day=11, total=np.array([1.0, 1.0]), count=np.array([4.0, 4.0]))
    found = paired_difference(new, base, 4 * HOUR_NS, draws())
    assert found.value == pytest.approx(3 / 6 - 2 / 8)
    assert found.n_days == 3
    assert math.isnan(found.ci_low), "three days are no more than the lag and one"


def test_turned_round_it_is_turned_round():
    rng = np.random.default_rng(1)
    sides = []
    for shift in (0, 3):
        born = rng.integers(shift * DAY_NS, 90 * DAY_NS, 400)
        sides.append(day_sums(rng.normal(size=400), born))
    there = paired_difference(sides[0], sides[1], DAY_NS, draws())
    back = paired_difference(sides[1], sides[0], DAY_NS, draws())
    assert there.value == pytest.approx(-back.value)
    assert there.ci_low == pytest.approx(-back.ci_high)
    assert there.ci_high == pytest.approx(-back.ci_low)


def test_where_nothing_differs_nothing_is_uncertain():
    days = day_sums(np.arange(50.0), np.arange(50) * DAY_NS)
    found = paired_difference(days, days, DAY_NS, draws())
    assert found.value == 0.0
    assert math.isnan(found.ci_low)


def test_a_loss_on_a_single_day_is_not_certain():
    rng = np.random.default_rng(0)
    born = np.repeat(np.arange(100), 5) * DAY_NS
    base = rng.binomial(1, 0.4, 500).astype(float)
    new = base.copy()
    new[250:255] = 0.0
    found = paired_difference(day_sums(new, born), day_sums(base, born), DAY_NS, draws())
    assert found.value < 0 <= found.ci_high


@pytest.mark.slow
def test_the_interval_covers_the_true_difference():
    """Two runs that share their luck, with a true difference of two points; lag-one dependence."""
    covered, n = 0, 400
    shared = draws(n_days=120, reps=400)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.1, 121)
        level = np.clip(0.3 + noise[1:] + 0.5 * noise[:-1], 0.02, 0.95)
        born = np.repeat(np.arange(120), 15)
        luck = rng.random(len(born))
        base = luck < level[born]
        new = luck < level[born] - 0.02
        found = paired_difference(
            *(day_sums(x.astype(float), born * DAY_NS) for x in (new, base)), DAY_NS, shared
        )
        covered += found.ci_low <= -0.02 <= found.ci_high
    assert 0.93 <= covered / n <= 1.0
