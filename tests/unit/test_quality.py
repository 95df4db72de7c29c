"""The leak check rings where a feed has seen the future, and is quiet where it has not."""

from __future__ import annotations

import numpy as np
import pytest

from liqbt.errors import DataError
from liqbt.plausibility.leaks import leak_profile
from liqbt.types import HOUR_NS, MINUTE_NS

STEP = 20 * MINUTE_NS


def market(seed: int, hours: int = 1500):
    """Prices every five minutes, and an hourly mean of something that moves with the price."""
    rng = np.random.default_rng(seed)
    log_price = np.cumsum(rng.normal(0, 0.001, hours * 12))
    price_ns = np.arange(1, hours * 12 + 1) * 5 * MINUTE_NS
    mean = log_price.reshape(hours, 12).mean(axis=1) + rng.normal(0, 0.0005, hours)
    opened = np.arange(hours) * HOUR_NS
    return price_ns, np.exp(log_price), opened, np.diff(mean, prepend=np.nan)


def profile(stamp, change, price_ns, price):
    return leak_profile(stamp, change, price_ns, price, step_ns=STEP, before=6, after=6)


def test_a_mean_that_is_stamped_at_its_open_leaks():
    price_ns, price, opened, change = market(1)
    found = profile(opened, change, price_ns, price)
    assert found.leak_p < 1e-10
    assert found.after_share > 0.3
    assert found.offset_ns.tolist() == [k * STEP for k in range(-6, 6)]


def test_the_same_mean_at_the_end_of_its_hour_does_not():
    ps = []
    for seed in range(20):
        price_ns, price, opened, change = market(seed, hours=600)
        found = profile(opened + HOUR_NS, change, price_ns, price)
        assert found.after_share < 0.05
        ps.append(found.leak_p)
    assert min(ps) > 1e-3 / 20
    assert sum(p < 0.1 for p in ps) <= 7  # 2 expected; 7 or fewer but in 1 of 2,000 tries


def test_a_stale_price_is_unknown_and_not_zero():
    price_ns, price, opened, change = market(2, hours=600)
    hole = (price_ns < 200 * HOUR_NS) | (price_ns > 260 * HOUR_NS)
    whole = profile(opened + HOUR_NS, change, price_ns, price)
    holed = profile(opened + HOUR_NS, change, price_ns[hole], price[hole])
    assert whole.n - 66 <= holed.n <= whole.n - 58


def test_too_little_and_constant_data_are_refused():
    price_ns, price, opened, change = market(3, hours=600)
    with pytest.raises(DataError, match="need at least 120"):
        profile(opened[:50], change[:50], price_ns, price)
    with pytest.raises(DataError, match="never changes"):
        profile(opened, np.zeros_like(change), price_ns, price)
