"""What a world refuses, and how it is read."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from liqbt.errors import ConfigError
from liqbt.margin import flat_tiers, tier_table
from liqbt.simulate import World

GOOD = World(name="w")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weights": (0.5, 0.5, 0.5, 0.0, 0.0)}, "weights sum to 1.5, expected 1"),
        ({"weights": (1.5, -0.5, 0.0, 0.0, 0.0)}, "no negative weight"),
        ({"weights": (0.5, 0.5)}, "one weight for each of the 5 leverages"),
        ({"leverages": (5.0, 5.0, 20.0, 50.0, 100.0)}, "ascending"),
        ({"leverages": (0.5, 5.0, 20.0, 50.0, 100.0)}, "ascending values above 1"),
        ({"leverages": ("5", 10.0, 20.0, 50.0, 100.0)}, "a list of numbers"),
        ({"maintenance_rate": 0.02}, "less than 1/100"),
        ({"entries_per_day": -1.0}, "entries_per_day is -1.0, expected a value above 0"),
        ({"churn_per_day": -0.1}, "0 or more"),
        ({"exit_half_life_h": 0.0}, "a value above 0"),
        ({"daily_volatility": 2.7}, "30 % a day"),
        ({"daily_volatility": float("nan")}, "a finite number"),
        ({"magnet": 50.0}, "the price runs away"),
        ({"magnet": -1.0}, "0 or more"),
        ({"magnet": True}, "a finite number"),
        ({"step_s": 7}, "a divisor of a day"),
        ({"substeps": 7}, r"a divisor of step_s \(300\)"),
        ({"oi_every_s": 400}, "a multiple of step_s"),
        ({"bars_every_s": 2700 * 5}, "that divides a day"),
        ({"days": 1.5}, "a whole number"),
        ({"days": 99999}, "at most ten years"),
        ({"start_ns": 1}, "a whole number of steps"),
        ({"symbols": ()}, "a list of values"),
        ({"symbols": ("A", "A")}, "each symbol once"),
        ({"name": ""}, "a text, not empty"),
        ({"common_factor": 1.1}, "at most 1"),
        ({"shock_df": 2.0}, "variance is infinite"),
        ({"position_tail": 1.0}, "mean is infinite"),
        ({"position_cap": 1e-5}, "expected more than the mean position"),
        ({"lot_coins": 100.0}, "lower lot_coins"),
        ({"entries_per_day": 1e7}, "expected 10 or more"),
        ({"loser_exit_ratio": 1.5}, "a ratio in"),
        ({"unlevered_share": 1.0}, "a share below 1"),
        ({"liquidations": 1}, "true or false"),
        ({"tiers": "BTCUSDT"}, "a TierTable"),
        ({"tiers": flat_tiers("X", 0.004, 50.0)}, "at most the venue's maximum of 50"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_reason(change, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        replace(GOOD, **change)
    assert str(caught.value).startswith("world ")


def test_a_position_too_large_for_every_tier_is_refused():
    small = tier_table(
        "S", effective_ns=[0], floor_usd=[0], cap_usd=[1e6], rate=[0.004], max_leverage=[125]
    )
    with pytest.raises(ConfigError, match="lower position_cap"):
        replace(GOOD, tiers=small)
    assert replace(GOOD, tiers=small, open_interest_usd=5e7, lot_coins=1e-5).tiers is small


def test_mapping_is_strict_and_names_its_source():
    with pytest.raises(ConfigError, match=re.escape("a.yaml: unknown key 'leverage'")) as caught:
        World.from_mapping({"name": "w", "leverage": [5]}, source="a.yaml")
    assert "'leverages'" in str(caught.value)
    with pytest.raises(ConfigError, match=r"a\.yaml: key 'name' is missing"):
        World.from_mapping({}, source="a.yaml")
    with pytest.raises(ConfigError, match=r"a\.yaml: world w: days is 0"):
        World.from_mapping({"name": "w", "days": 0}, source="a.yaml")
    with pytest.raises(ConfigError, match="expected a mapping, found list"):
        World.from_mapping([], source="a.yaml")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="weights is 3"):
        World.from_mapping({"name": "w", "weights": 3}, source="a.yaml")


def test_shipped_worlds_are_valid_and_differ_only_in_the_magnet(root):
    worlds = {}
    for path in sorted((root / "experiments" / "worlds").glob("*.yaml")):
        worlds[path.stem] = World.from_mapping(
            yaml.safe_load(path.read_text(encoding="utf-8")), source=path.name
        )
        assert worlds[path.stem].name == path.stem
    assert worlds["baseline"].magnet == 0.0
    assert worlds["magnet"].magnet > 0.0
    assert replace(worlds["magnet"], name="baseline", magnet=0.0) == worlds["baseline"]


def test_clocks():
    world = World(name="w", days=3, warmup_days=2, step_s=60)
    assert (world.steps, world.warmup_steps) == (4320, 2880)
    assert world.end_ns - world.start_ns == 3 * 86_400 * 10**9
    assert world.level_lots == pytest.approx(5e9 / 50_000 / 1e-3)
