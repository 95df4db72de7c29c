"""Effects on simulated markets: none without a mechanism, by an honest error; found with one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liqbt.simulate import World, simulate
from liqbt.simulate.effects import (
    acceleration_effects,
    direction_effects,
    drive_effects,
    fuel_effects,
    level_effects,
    reversal_effects,
)

pytestmark = pytest.mark.slow

MARKETS = 10
ALONE = (level_effects, fuel_effects, acceleration_effects, reversal_effects)
# not null without a mechanism: the Brownian probability leaves out jumps
BIASED = {"dense_level_lift"}


def markets(magnet, n):
    world = World(name="w", days=45, magnet=magnet, jump_minutes=0.0, truth_every_s=7200)
    seeds = np.random.SeedSequence(20260401).spawn(n)
    return [simulate(world, seed=seed).truth["SIM"] for seed in seeds]


@pytest.fixture(scope="module")
def free():
    return markets(0.0, MARKETS)


def test_without_a_mechanism_nothing_is_found(free):
    found = {}
    for measure in ALONE:
        for truth in free:
            for effect in measure([truth]):
                found.setdefault(effect.statistic, []).append(effect)
    tested = 0
    for name, effects in found.items():
        value = np.array([e.value - e.null for e in effects])
        claimed = np.array([e.standard_error for e in effects])
        if name.endswith(("_twin", "_pushed", "_twin_lift", "excess", "hazard")):
            assert np.nanmax(np.abs(value)) < 1e-12, name  # the twin is the path itself
            continue
        if name in BIASED:
            continue
        error = math.sqrt((claimed**2).sum()) / MARKETS
        assert abs(value.mean()) < 4 * error, name
        assert 0.4 < value.std(ddof=1) / math.sqrt((claimed**2).mean()) < 1.8, name
        tested += 1
    assert tested >= 6


def test_the_test_could_have_seen_two_points(free):
    effects = {e.statistic: e for e in level_effects(free)}
    assert effects["dose_within_side"].standard_error < 0.003
    assert effects["densest_mirror_lift"].standard_error < 0.03
    assert effects["dose_response_raw"].standard_error < 0.03


def test_large_moves_do_not_lean_but_cascades_do_by_definition(free):
    effects = {e.statistic: e for e in direction_effects(free)}
    move, cascade = effects["crowded_move"], effects["crowded_cascade"]
    assert abs(move.value) < 4 * move.standard_error
    assert effects["skill_given_move"].value < 0.01
    # nothing is planted, and yet: forced flow can only be large where notional lies
    assert cascade.value > 0.2
    assert effects["skill_given_cascade"].value > 0.1
    for effect in drive_effects(free):
        assert effect.value < 3 * effect.standard_error


def test_a_magnet_is_found_in_its_own_units():
    effects = {e.statistic: e for e in level_effects(markets(1.0, 6))}
    twin = effects["densest_twin_lift"]
    assert twin.value > 0.12
    assert twin.value > 8 * twin.standard_error
    mirror = effects["densest_mirror_lift"]
    assert mirror.value > twin.value + mirror.standard_error  # pulled away from the mirror, too
    assert effects["dose_response_raw"].value > 5 * effects["dose_response_raw"].standard_error
    # a level of one side is crossed on the way to another: within a side the dose tells little
    assert abs(effects["dose_within_side"].value) < 0.03
