"""How many independent markets a panel is worth: properties, and a naive twin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.inference.days import DaySums, hac_lag
from liqbt.evaluation.inference.markets import equivalent_markets
from liqbt.types import DAY_NS


def market(rng, n=120, first_day=0):
    count = rng.integers(0, 6, n).astype(float)
    count[[0, -1]] = 1.0
    return DaySums(total=count * rng.normal(0.2, 1.0, n), count=count, first_day=first_day)


def naive(parts, horizon_ns):
    """The same by sums over pairs of days of one calendar."""
    days = sorted({p.first_day + i for p in parts for i in range(len(p.total))})
    days = range(days[0], days[-1] + 1)
    lag = hac_lag(len(days), horizon_ns)

    def influence(part, day):
        i = day - part.first_day
        if not 0 <= i < len(part.total):
            return 0.0
        return part.total[i] - part.total.sum() / part.count.sum() * part.count[i]

    def variance(values):
        return sum(
            values[a] * values[b] * (1 - abs(a - b) / (lag + 1))
            for a in range(len(values))
            for b in range(len(values))
            if abs(a - b) <= lag
        )

    each = [[influence(part, day) for day in days] for part in parts]
    together = [sum(column) for column in zip(*each, strict=True)]
    return len(parts) * sum(map(variance, each)) / variance(together)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.sampled_from([DAY_NS, 7 * DAY_NS]))
@settings(max_examples=15)
def test_it_is_that_of_the_twin(seed, k, horizon_ns):
    rng = np.random.default_rng(seed)
    parts = [market(rng, int(rng.integers(40, 70)), int(rng.integers(0, 9))) for _ in range(k)]
    assert equivalent_markets(parts, horizon_ns) == pytest.approx(naive(parts, horizon_ns))


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.01, 100.0))
@settings(max_examples=30)
def test_identical_markets_are_worth_one(seed, k, scale):
    days = market(np.random.default_rng(seed))
    louder = replace(days, total=days.total * scale)
    assert equivalent_markets([louder] * k, DAY_NS) == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1), st.floats(-5.0, 5.0))
@settings(max_examples=30)
def test_what_changes_no_error_changes_nothing(seed, level):
    """Neither another order, nor another level of one market, nor one without a unit."""
    rng = np.random.default_rng(seed)
    a, b, c = (market(rng) for _ in range(3))
    found = equivalent_markets([a, b, c], DAY_NS)
    assert equivalent_markets([c, a, b], DAY_NS) == pytest.approx(found)
    lifted = replace(a, total=a.total + level * a.count)
    assert equivalent_markets([lifted, b, c], DAY_NS) == pytest.approx(found)
    none = DaySums(total=np.zeros(3), count=np.zeros(3), first_day=500)
    assert equivalent_markets([a, none, b, c], DAY_NS) == found


def test_independent_markets_are_worth_about_as_many_as_there_are():
    rng = np.random.default_rng(11)
    found = [equivalent_markets([market(rng, 365) for _ in range(4)], DAY_NS) for _ in range(200)]
    assert np.median(found) == pytest.approx(4.0, abs=0.25)
    assert np.quantile(found, 0.05) > 2.5


def test_a_shared_shock_is_told_by_its_correlation():
    """k markets of equal variance that correlate ρ are worth k / (1 + (k − 1) ρ)."""
    rng, ones = np.random.default_rng(12), np.ones(2000)
    shared = rng.normal(size=2000)
    parts = [
        DaySums(total=math.sqrt(0.6) * shared + math.sqrt(0.4) * rng.normal(size=2000), count=ones)
        for _ in range(6)
    ]
    assert equivalent_markets(parts, DAY_NS) == pytest.approx(6 / (1 + 5 * 0.6), rel=0.1)


def test_where_nothing_varies_there_is_no_number():
    still = DaySums(total=np.ones(60), count=np.ones(60))
    assert math.isnan(equivalent_markets([still, still], DAY_NS))
    assert math.isnan(equivalent_markets([], DAY_NS))
    short = DaySums(total=np.arange(3.0), count=np.ones(3))
    assert math.isnan(equivalent_markets([short, short], DAY_NS))
    up = market(np.random.default_rng(1))
    down = replace(up, total=-up.total)
    assert math.isnan(equivalent_markets([up, down], DAY_NS))
