"""What a world refuses, and how it is read."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import yaml

from liqbt.errors import ConfigError
from liqbt.margin.tiers import flat_tiers, tier_table
from liqbt.simulate.sections import MECHANISMS, Mechanisms, Price
from liqbt.simulate.world import HOMES, SECTIONS, World
from liqbt.study.worlds import WORLDS, load_world, world_file

GOOD = World(name="w")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weights": (0.5, 0.5, 0.5, 0.0, 0.0)}, "weights that sum to 1, not 1.5"),
        ({"weights": (1.5, -0.5, 0.0, 0.0, 0.0)}, "no negative weight"),
        ({"weights": (0.5, 0.5)}, "one weight for each of the 5 leverages"),
        ({"leverages": (5.0, 5.0, 20.0, 50.0, 100.0)}, "ascending"),
        ({"leverages": (0.5, 5.0, 20.0, 50.0, 100.0)}, "ascending values above 1"),
        (
            {"leverages": ("5", 10.0, 20.0, 50.0, 100.0)},
            "leverages.0': expected a finite number",
        ),
        ({"maintenance_rate": 0.02}, "less than 1/100"),
        ({"entries_per_day": -1.0}, "entries_per_day': expected a value above 0, found -1.0"),
        ({"churn_per_day": -0.1}, "0 or more"),
        ({"cut_cooldown_s": -1.0}, "0 or more"),
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
        ({"days": 99999}, r"at most 3660 \(ten years\)"),
        ({"start_ns": 1}, "a whole number of steps"),
        ({"symbols": ()}, "1 or more entries"),
        ({"symbols": ("A", "A")}, "each symbol once"),
        ({"name": ""}, "a text, not empty"),
        ({"common_factor": 1.1}, "at most 1"),
        ({"shock_df": 2.0}, "variance is infinite"),
        ({"position_tail": 1.0}, "mean is infinite"),
        ({"position_cap": 1e-5}, "expected more than the mean position"),
        ({"lot_coins": 100.0}, "lower lot_coins"),
        ({"lot_coins": 1e-6}, "raise lot_coins"),
        ({"entries_per_day": 1e7}, "expected 10 or more"),
        ({"loser_exit_ratio": 1.5}, "a ratio in"),
        ({"unlevered_share": 1.0}, "a share below 1"),
        ({"liquidations": 1}, "true or false"),
        ({"tiers": "BTCUSDT"}, "a TierTable"),
        ({"tiers": flat_tiers("X", 0.004, 50.0)}, "at most the venue's maximum of 50"),
        ({"magnett": 1.0}, "unknown key 'magnett'; did you mean 'magnet'"),
        ({"mechanisms": 3}, "mechanisms': expected keys: absolute, .*, found 3"),
        (
            {"fuel": 20.0},
            "fuel': expected at most .* force .* of itself by its impact",
        ),
        ({"stops": 5.0}, "stops': expected at most .* the price runs away, found 5.0"),
        ({"fuel": 1.0, "unlevered_share": 0.0, "cross_share": 0.0}, "the price runs away"),
        ({"impact": 9.0}, "impact': expected at most 5, found 9.0"),
        ({"direction": 0.5, "jumps_per_day": 0.0}, "direction': expected 0 where jumps"),
        ({"direction": 1.5}, "at most 1"),
        ({"placement": -0.1}, "0 or more"),
        ({"mean_reversion": 1.2}, "at most 1"),
        ({"ratio": 5.0}, "the price runs away"),
        ({"walls": 50.0}, "would not be crossed"),
        ({"tick_usd": 0.03}, "a whole number, or 1 over one"),
        ({"tick_usd": 50.0}, "a ten-thousandth of the price"),
        ({"funding_every_h": 7}, "hours that divide a day"),
        ({"maker_fee": -0.01}, "no rebate above the taker's fee"),
        ({"cut_share": 0.0}, "a value above 0"),
        ({"throttle": "some"}, "'some' is none of"),
        ({"mark_faults": {"missing": 1.0}}, "feed.mark_faults.missing': expected a share below 1"),
        ({"mark_faults": {"gaps_per_day": 100.0}}, "gaps that leave half of the time"),
        ({"mark_faults": 0.5}, "mark_faults': expected keys: delay_s, .*, found 0.5"),
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
    held = replace(GOOD, tiers=small, open_interest_usd=5e7, lot_coins=1e-5)
    assert held.exchange.tiers is small


def test_mapping_is_strict_and_names_its_source():
    with pytest.raises(ConfigError, match=r"a\.yaml: world w: unknown key 'lev") as caught:
        World.from_mapping({"name": "w", "leverage": [5]}, source="a.yaml")
    assert "'leverages'" in str(caught.value)
    with pytest.raises(ConfigError, match=r"a\.yaml: key 'name' is missing"):
        World.from_mapping({}, source="a.yaml")
    with pytest.raises(
        ConfigError, match=r"a\.yaml: world w: key 'days': expected a value above 0, found 0"
    ):
        World.from_mapping({"name": "w", "days": 0}, source="a.yaml")
    with pytest.raises(ConfigError, match="expected a mapping, found list"):
        World.from_mapping([], source="a.yaml")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"key 'traders\.weights': expected a list, found 3"):
        World.from_mapping({"name": "w", "weights": 3}, source="a.yaml")


def test_keys_go_to_their_sections_however_they_are_given():
    flat = World(name="w", magnet=2.0, daily_volatility=0.03)
    nested = World(name="w", mechanisms=Mechanisms(magnet=2.0), price=Price(daily_volatility=0.03))
    text = "name: w\nmagnet: 2\nprice: {daily_volatility: 0.03}\n"
    assert flat == nested == World.from_mapping(yaml.safe_load(text), source="w.yaml")
    assert flat.magnet == flat.mechanisms.magnet == 2.0
    assert replace(flat, magnet=0.0).price.daily_volatility == 0.03
    assert len(HOMES) == sum(len(fields(section)) for section in SECTIONS.values())  # none twice
    assert set(MECHANISMS) <= {f.name for f in fields(Mechanisms)}
    assert not set(HOMES) & {f.name for f in fields(World)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mechanisms: {magnett: 1}", "unknown key 'mechanisms.magnett'; did you mean 'magnet'"),
        ("mechanisms: {season: 1}", "'season' is in section 'mechanisms', expected 'price'"),
        ("mechanisms: 3", "key 'mechanisms': expected keys: .*, found 3"),
        ("mechanisms: {magnet: 1}\nmagnet: 2", "key 'magnet' is given twice"),
        (
            "feed: {mark_faults: {mising: 0.1}}",
            "unknown key 'feed.mark_faults.mising'; .*ssing'",
        ),
    ],
)
def test_sections_in_a_file_are_strict(text, expected):
    with pytest.raises(ConfigError, match=f"^w.yaml: world w: {expected}"):
        World.from_mapping(yaml.safe_load(f"name: w\n{text}\n"), source="w.yaml")


def test_shipped_worlds_are_valid_and_differ_only_in_what_they_are_called_for(root):
    worlds = {}
    for path in sorted((root / "liqbt" / "data" / "worlds").glob("*.yaml")):
        worlds[path.stem] = World.from_mapping(
            yaml.safe_load(path.read_text(encoding="utf-8")), source=path.name
        )
        assert worlds[path.stem].name == path.stem
    sections = dict.fromkeys(("throttled", "delayed", "decoys", "others"), "feed")
    sections |= {"other_traders": "traders"}
    nuisances = {"gbm", "stochastic_volatility", "momentum", "momentum_slow", "mean_reversion",
                 "jumps", "drift", "oi_linked_volatility", "regimes", "regimes_strong",
                 "others_regimes", *sections}  # fmt: skip
    demo = worlds.pop("demo")
    strong = {n for n in MECHANISMS if getattr(demo.mechanisms, n) > 0}
    assert strong == {"magnet", "direction", "fuel"}
    assert set(worlds) == {"baseline", "placement", "location"} | set(MECHANISMS) | nuisances
    base = worlds["baseline"]
    assert base == World(name="baseline")
    for name, world in worlds.items():
        planted = {n for n in (*MECHANISMS, "placement") if getattr(world.mechanisms, n) > 0}
        expected = {name} if name in (*MECHANISMS, "placement") else set()
        assert planted == (expected | {"fuel"} if name == "impact" else expected)
        assert (world.mechanisms == base.mechanisms) == (not planted)
        if planted and name not in ("direction", "walls"):  # these need jumps, and depth
            assert replace(world, name="baseline", mechanisms=base.mechanisms) == base
        if name in nuisances:
            parts = ("price", "feed", "traders", "exchange")
            changed = [part for part in parts if getattr(world, part) != getattr(base, part)]
            both = ["price", "feed"]
            assert changed == (both if name == "others_regimes" else [sections.get(name, "price")])


def test_keys_with_a_unit_take_durations_and_the_start_a_date():
    text = "name: w\nstep_s: 5m\ndays: 7d\nexit_half_life_h: 4d\nfeed: {execution_s: 5min}\n"
    world = World.from_mapping(yaml.safe_load(text) | {"start_ns": "2025-01-01"}, source="w.yaml")
    assert world == World(name="w", days=7, execution_s=300)
    with pytest.raises(ConfigError, match="key 'step_s': '5 minutes' is not a duration"):
        World(name="w", step_s="5 minutes")


def test_a_section_is_refused_where_it_is_made():
    with pytest.raises(ConfigError, match="Price: key 'season': expected 0 or more"):
        Price(season=-1.0)


def test_clocks():
    world = World(name="w", days=3, warmup_days=2, step_s=60)
    assert (world.steps, world.warmup_steps) == (4320, 2880)
    assert world.end_ns - world.start_ns == 3 * 86_400 * 10**9
    assert world.level_lots == pytest.approx(5e9 / 50_000 / 1e-3)


def test_a_file_may_name_shipped_tiers_in_its_section(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text("name: w\nexchange: {tiers: BTCUSDT, maker_fee: 0.0001}\n")
    world = load_world(path)
    assert world.exchange.tiers.symbol == "BTCUSDT"
    assert world.exchange.maker_fee == 0.0001
    path.write_text("name: w\nexchange: {tiers: BTCUSDX}\n")
    with pytest.raises(ConfigError, match="no margin tiers for 'BTCUSDX'"):
        load_world(path)


def test_a_bare_name_is_a_world_that_ships_and_a_file_is_ones_own(tmp_path):
    assert world_file("magnet", tmp_path) == WORLDS / "magnet.yaml"
    assert world_file("magnet.yaml", tmp_path) == tmp_path / "magnet.yaml"
    with pytest.raises(ConfigError, match=r"no world .* is called 'magnett'.*'magnet'"):
        world_file("magnett", tmp_path)
