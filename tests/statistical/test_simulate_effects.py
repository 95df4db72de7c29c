"""Effects on simulated markets: none without a mechanism, by an honest error; found with one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liqbt.simulate.effects.acceleration import acceleration_effects
from liqbt.simulate.effects.direction import direction_effects
from liqbt.simulate.effects.drive import drive_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.effects.placement import placement_effects
from liqbt.simulate.effects.reversal import reversal_effects
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World

pytestmark = pytest.mark.slow

MARKETS = 10
ALONE = (level_effects, fuel_effects, acceleration_effects, reversal_effects)
# not null without a mechanism: the Brownian probability knows no jumps, for every level alike
BIASED = {"dense_level_lift", "any_level_lift"}


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
        if name == "excess" or name.endswith(("_twin", "_pushed", "_twin_lift", "hazard")):
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
    either = effects["crowded_either_way"]  # as a cascade, but by size, map and past alone
    assert abs(either.value) < 4 * either.standard_error
    assert either.n >= 5
    gains = {e.statistic: e for e in drive_effects(free)}
    for name in ("ratio", "absolute", "ratio_given_absolute", "absolute_given_ratio"):
        gain = gains[name if "given" in name else f"{name}_gain"]
        assert gain.value < 3 * gain.standard_error
        first, _, given = name.partition("_given_")
        lean = gains[f"{first}_toward_given_{given}" if given else f"{first}_toward"]
        assert abs(lean.value) < 4 * lean.standard_error, name
        assert lean.standard_error < 0.06


def test_dense_levels_are_lifted_as_all_levels_are(free):
    effects = {e.statistic: e for e in level_effects(free)}
    excess = effects["dense_level_excess"]
    assert abs(excess.value) < 4 * excess.standard_error
    assert excess.standard_error < 0.006


def test_liquidation_prices_lie_beyond_swings_by_chance_alone_unless_placed(free):
    placed = {e.statistic: e for e in placement_effects(free)}["placed_ratio"]
    assert abs(placed.value - 1.0) < 4 * placed.standard_error
    assert placed.standard_error < 0.05
    world = World(name="w", days=45, placement=0.5, truth_every_s=7200)
    seeds = np.random.SeedSequence(20260402).spawn(3)
    truths = [simulate(world, seed=seed).truth["SIM"] for seed in seeds]
    found = {e.statistic: e for e in placement_effects(truths)}["placed_ratio"]
    assert found.value - 1.0 > 8 * found.standard_error


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
