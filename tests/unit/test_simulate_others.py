"""Open interest of another crowd on the same path, and what the truth says of what it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqbt.simulate.effects.location import location_effects
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.types import Kind

WORLD = World(name="w", days=8, warmup_days=4, entries_per_day=300.0)


def published(market):
    return market.tables[Kind.OPEN_INTEREST]["open_interest_coins"].to_numpy()


@pytest.fixture(scope="module")
def markets():
    keys = ({}, {"oi_of_others": 0.5}, {"oi_of_others": 1.0})
    return [simulate(replace(WORLD, **each), seed=5) for each in keys]


def test_others_change_what_is_published_of_open_interest_and_nothing_else(markets):
    own, half, other = markets
    for market in (half, other):
        one, two = own.truth["SIM"], market.truth["SIM"]
        for name in ("path_price", "liquidations", "steps", "density_usd"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
        for kind in set(own.tables) - {Kind.OPEN_INTEREST}:
            assert own.tables[kind].equals(market.tables[kind]), kind
    assert not own.truth["SIM"].published_lots.size
    logs = [np.log(published(market)) for market in markets]
    np.testing.assert_allclose(logs[1], 0.5 * (logs[0] + logs[2]), atol=1e-5)
    changes = [np.diff(one) for one in logs]
    assert abs(np.corrcoef(changes[0], changes[2])[0, 1]) < 0.3
    assert 0.5 < changes[2].std() / changes[0].std() < 2.0, "they trade as much"
    again = simulate(replace(WORLD, oi_of_others=1.0), seed=5)
    np.testing.assert_array_equal(published(again), published(other))


def test_others_live_on_the_path_that_mechanisms_made():
    moved = replace(WORLD, oi_of_others=1.0, magnet=1.0)
    market = simulate(moved, seed=5)
    assert (market.truth["SIM"].displacement != 0).any()
    assert (published(market) > 0).all()


def test_what_is_told_falls_with_the_share_of_others(markets):
    told = []
    for market in markets:
        found = {e.statistic: e for e in location_effects(market.truth.values())}
        told.append(found["information_told"].value)
        assert found["information_true"].value > 0.02
        assert found["information_true"].n in (2 * 8 * 24, 2 * (8 * 24 - 1))
        own = found["open_interest_own"].value
        assert found["information_told"].value == pytest.approx(
            own * found["information_true"].value
        )
    assert told[0] > told[1] > told[2] >= 0.0
    assert told[2] < 0.1 * told[0]
