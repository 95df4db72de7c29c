"""The market's engine against its naive twin, position by position and unit by unit of money."""

from __future__ import annotations

import copy
import math
import random

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.simulate.accounts import empty_book, empty_record
from liqbt.simulate.kernels.engine import bin_values, run
from liqbt.simulate.kernels.recursions import autoregression, followed
from liqbt.simulate.layout import (
    JUMP_DTYPE,
    NEWCOMER_DTYPE,
    PAIR_DTYPE,
    RULES_DTYPE,
    TRANSFER_DTYPE,
    WHIM_DTYPE,
    Arrivals,
    Script,
)
from liqbt.simulate.sections import MECHANISMS

LEVERAGES = (1.0, 3.0, 10.0, 40.0)
FLAT = [(np.inf, 0.004, 0.0, np.inf)]
TIERED = [(300.0, 0.01, 0.0, 40.0), (900.0, 0.02, 3.0, 20.0), (np.inf, 0.05, 30.0, 10.0)]
PLANTED = ("magnet", "ratio", "absolute", "fuel", "impact", "stops", "direction", "placement",
           "acceleration", "reversal", "walls")  # fmt: skip
STRENGTH = {"magnet": 3.0, "ratio": 3.0, "absolute": 3.0, "fuel": 0.05, "impact": 0.05,
            "stops": 0.05, "direction": 0.9, "placement": 0.7, "acceleration": 2.0,
            "reversal": 3.0, "walls": 1.0}  # fmt: skip
EDGES = np.array([0, 1, 2, 3, 13, 23], dtype=np.int64)
EDGES.setflags(write=False)  # as a grid's are: the kernel is compiled for one or the other


def eighths(chance, most, least=0):
    """A number of eighths: whole in single precision, so that both forms read the same uniforms."""
    return chance.randint(least, most) / 8


def newcomer(chance):
    values = {name: eighths(chance, 7) for name in ("mix", "cross", "place", "stop")}
    return values | {"life": eighths(chance, 40, 1)}


def script_of(chance, steps, subs, warm, hours):
    noise = [chance.randint(-70, 70) / 1000 for _ in range(steps * subs)]
    first = chance.randint(0, 8)
    arrivals = [chance.randint(0, 2) for _ in range(steps * subs)]
    n = first + sum(arrivals)
    transfers = [chance.randint(0, 1) for _ in range(steps)]
    row = sorted(eighths(chance, 8) for _ in range(3))
    return {
        "start": -sum(noise[: warm * subs]),
        "noise": noise,
        "sigma": [chance.randint(1, 4) / 50 for _ in range(steps)],
        "clock_h": np.cumsum([0.0] + [chance.randint(1, 6) / 4 for _ in range(steps)]).tolist(),
        "edges": [[row, row]] * hours,
        "first_offset": [chance.randint(-60, 60) / 1000 for _ in range(first)],
        "pair_from": (first + np.cumsum([0, *arrivals])).tolist(),
        "pairs": [
            {"lots": chance.randint(1, 12), "keep": eighths(chance, 8),
             "buys": chance.random() < 0.5}
            for _ in range(n)
        ],
        "newcomers": [(newcomer(chance), newcomer(chance)) for _ in range(n)],
        "churn": [newcomer(chance) for _ in range(steps)],
        "transfer_from": np.cumsum([0, *transfers]).tolist(),
        "transfers": [
            (chance.randint(0, 4), chance.randint(-6, 6) / 8) for _ in range(sum(transfers))
        ],
        "premium": [chance.randint(-4, 4) / 1000 for _ in range(steps)],
        "jumps": [
            {"at": chance.randint(0, steps * subs - 1), "substeps": chance.randint(1, 2),
             "size": chance.randint(-40, 40) / 1000, "lean": eighths(chance, 7)}
        ],
        "wall_draw": [[eighths(chance, 7), eighths(chance, 7)] for _ in range(hours)],
    }  # fmt: skip


def market(seed, planted=PLANTED):
    """A short, violent market: few positions, moves that cross several liquidation prices.

    Hypothesis draws the seed alone: drawing every number through it is fifty times as slow.
    """
    chance = random.Random(seed)
    steps, subs = chance.randint(1, 9), chance.randint(1, 3)
    warm = chance.randint(0, steps - 1)
    hour_steps = chance.choice([1, 2])
    tick_down = chance.choice([100.0, 1.0])
    chosen = chance.sample(planted, min(chance.randint(1, 4), len(planted)))
    rules = {name: STRENGTH[name] if name in chosen else 0.0 for name in PLANTED}
    rules |= {
        "anchor": 100.0,
        "anchor_ticks": 100.0 * tick_down,
        "tick_up": 1.0,
        "tick_down": tick_down,
        "bin_step": chance.choice([5e-4, 5e-2, 0.5]),
        "substeps": subs,
        "warmup_steps": warm,
        "start_ns": 0,
        "index_ns": 1,
        "hour_steps": hour_steps,
        "exit_steps": chance.choice([1, 2]),
        "lot_coins": chance.choice([1.0, 0.25]),
        "level_lots": 20.0,
        "pull_power": chance.choice([0.0, 2.0]),
        "oversample": 1.5,
        "life_h": 2.0,
        "loser_wait": chance.choice([0.0, 0.5]),
        "cross_share": chance.choice([0.0, 0.5, 1.0]),
        "cross_extra": 0.5,
        "oi_power": chance.choice([0.0, 0.5]),
        "cut_above": chance.choice([0.0, 400.0]) * tick_down,
        "cut_share": chance.choice([0.2, 0.5]),
        "cut_cool": chance.randint(1, 3),
        "taker_fee": 0.003,
        "maker_fee": chance.choice([0.001, -0.001]),
        "liquidation_fee": chance.choice([0.0, 0.02]),
        "insurance": chance.choice([0, 5000]),
        "funding_steps": chance.choice([0, 1, 3]),
        "funding_base": 0.002,
        "funding_crowding": 0.004,
        "funding_cap": 0.01,
        "reach_bins": chance.choice([1, 12, 60]),
        "step_days": 0.1,
        "permanent": 0.5,
        "keep_impact": 0.75,
        "keep_swept": 0.5,
        "swept_lots": 6.0,
        "back_steps": 2,
        "wall_size": 0.03,
        "wall_share": 0.7,
        "wall_steps": chance.randint(1, 4),
        "stop_share": 0.9,
        "swing_hours": 1,
    }
    rules["half_bins"] = round(4.0 / rules["bin_step"])
    looks = ("magnet", "ratio", "absolute", "direction", "acceleration", "walls", "stops")
    rules["moves"] = int(any(rules[n] for n in PLANTED if n != "placement"))
    rules["maps"] = int(any(rules[n] for n in looks))
    script = script_of(chance, steps, subs, warm, -(-steps // hour_steps))
    return script, rules, chance.choice([FLAT, TIERED])


def structured(rows, dtype):
    out = np.zeros(len(rows), dtype=dtype)
    for name in dtype.names:
        out[name] = [row[name] for row in rows]
    return out


def compiled(script, rules, tiers, **turned):
    """Run the kernel on a mapping of plain lists, rules turned after the accounts are laid out."""
    cap, rate, amount, most = (np.array(column) for column in zip(*tiers, strict=True))
    fixed = np.zeros(1, dtype=RULES_DTYPE)
    for name in RULES_DTYPE.names:
        fixed[name] = rules[name]
    both = [newcomer for pair in script["newcomers"] for newcomer in pair]
    transfers = np.array(script["transfers"], dtype=TRANSFER_DTYPE)
    arrivals = Arrivals(
        clock_h=np.array(script["clock_h"]),
        edges=np.array(script["edges"], dtype=float),
        first_offset=np.array(script["first_offset"], dtype=float),
        pair_from=np.array(script["pair_from"], dtype=np.int32),
        pairs=structured(script["pairs"], PAIR_DTYPE),
        newcomers=structured(both, NEWCOMER_DTYPE).reshape(-1, 2),
        whims=structured(both, WHIM_DTYPE).reshape(-1, 2),
        churn=structured(script["churn"], NEWCOMER_DTYPE),
    )
    chance = Script(
        start=float(script["start"]),
        noise=np.array([0.0, *script["noise"]]),
        sigma=np.array(script["sigma"]),
        arrivals=arrivals,
        transfer_from=np.array(script["transfer_from"], dtype=np.int64),
        transfers=transfers,
        premium=np.array(script["premium"]),
        jumps=structured(script["jumps"], JUMP_DTYPE),
        wall_draw=np.array(script["wall_draw"], dtype=np.float32),
    )
    tiers = np.stack([np.array([0.0, *cap[:-1]]), cap, rate, amount, most])
    book = empty_book(fixed, tiers, np.array(LEVERAGES), chance)
    rows = max(len(script["sigma"]) - rules["warmup_steps"], 1)
    record = empty_record(fixed, chance, rows, EDGES.size - 1)
    for name, value in turned.items():
        fixed[name] = value
    return run(chance, book, record, EDGES, bin_values(fixed[0]), 1), book, record


def check(problem):
    """Drive both forms and compare everything."""
    script, rules, tiers = problem
    twin = naive.NaiveMarket(rules, tiers, LEVERAGES, copy.deepcopy(script))
    path, interest, ledgers, moved, flows = twin.run()
    failed, book, record = compiled(script, rules, tiers)
    if failed >= 0:  # moved by more than a quarter in one substep: stopped there, and not before
        np.testing.assert_allclose(record.price[:failed], path[:failed], rtol=1e-13)
        # the step's sums may cancel what one of its substeps did: the path itself is asked
        jump = abs(math.log(path[failed] / path[failed - 1]))
        far = (
            abs(math.log(path[failed] / rules["anchor"])) >= rules["half_bins"] * rules["bin_step"]
        )
        assert far or jump > 0.25 - 2 * max(abs(v) for v in script["noise"])
        return book, record, twin
    np.testing.assert_allclose(record.price, path, rtol=1e-13)
    assert record.steps["open_interest"].tolist() == interest
    check_flows(record.steps, flows)
    check_money(record.steps, ledgers)
    for m, name in enumerate(MECHANISMS):
        expected = [step.get(name, 0.0) for step in moved]
        np.testing.assert_allclose(record.moved[m], expected, rtol=1e-9, atol=1e-13)
    check_tables(book, record, rules, twin)
    return book, record, twin


def check_flows(steps, flows):
    for side, name in enumerate(("long", "short")):
        for what in ("opened", "left", "liquidated", "stopped"):
            assert steps[f"{what}_{name}"].tolist() == [f[what][side] for f in flows]
    assert steps["taker_bought"].tolist() == [f["taken"][0] for f in flows]
    assert steps["taker_sold"].tolist() == [f["taken"][1] for f in flows]


def check_money(steps, ledgers):
    for name in ("wallets", "margins", "unrealised", "fees", "insurance"):
        assert steps[name].tolist() == [ledger[name] for ledger in ledgers], name
    assert all(sum(ledger.values()) == 0 for ledger in ledgers)


def check_tables(book, record, rules, twin):
    """Compare positions, forced orders with their parents, changes, funding, swings and walls."""
    desk = book.desk[0]
    rows = book.positions[: desk["n_positions"]]
    shift = rules["warmup_steps"] * rules["substeps"]  # times are path indices less the warm-up's
    assert len(rows) == len(twin.positions)
    plain = {"fate": "fate", "margin": "kind"}
    for name, key in plain.items():
        assert rows[name].tolist() == [p[key] for p in twin.positions], name
    assert rows["side"].tolist() == [1 - 2 * p["side"] for p in twin.positions]
    assert (rows["opened_ns"] + shift).tolist() == [p["opened"] for p in twin.positions]
    closed = [-1 if p["closed"] is None else p["closed"] - shift for p in twin.positions]
    assert [c for c, p in zip(rows["closed_ns"].tolist(), twin.positions, strict=True)
            if p["closed"] is not None] == [c for c, p in zip(closed, twin.positions, strict=True)
                                            if p["closed"] is not None]  # fmt: skip
    lot = rules["lot_coins"]
    for name, key in {"size_coins": "lots", "open_coins": "left",
                      "liquidated_coins": "forced"}.items():  # fmt: skip
        np.testing.assert_allclose(rows[name], [p[key] * lot for p in twin.positions], rtol=1e-12)
    for name, key in {"liquidation_price": "trigger", "first_liquidation_price": "first"}.items():
        np.testing.assert_allclose(rows[name], [p[key] for p in twin.positions], rtol=1e-9)
    np.testing.assert_allclose(rows["leverage"], [p["leverage"] for p in twin.positions], rtol=1e-6)
    forced = book.forced[: desk["n_forced"]]
    for name in ("position", "parent", "root", "whole"):
        assert forced[name].tolist() == [f[name] for f in twin.forced], name
    assert (forced["ts_ns"] + shift).tolist() == [f["index"] for f in twin.forced]
    np.testing.assert_allclose(forced["bankruptcy_price"], [f["bankruptcy"] for f in twin.forced])
    changes = book.changes[: desk["n_changes"]]
    found = changes[["ts_ns", "position", "reason"]].tolist()
    assert [(t + shift, p, r) for t, p, r in found] == [c[:3] for c in twin.changes]
    np.testing.assert_allclose(changes["liquidation_price"], [c[5] for c in twin.changes])
    funding = record.funding[: desk["n_fundings"]]
    np.testing.assert_allclose(funding["rate"], [f[1] for f in twin.funding], atol=1e-15)
    if rules["placement"]:
        swings = record.swings[: desk["n_swings"]]
        for side, sign in ((0, -1), (1, 1)):
            assert swings["price"][swings["side"] == sign].tolist() == twin.swings[side]
    walls = record.walls[: desk["n_walls"]]
    assert walls["side"].tolist() == [2 * w["side"] - 1 for w in twin.walls]
    np.testing.assert_allclose(walls["absorbed"], [w["absorbed"] for w in twin.walls], atol=1e-12)


SEEDS = st.integers(0, 2**32)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_engine_equals_its_twin(seed):
    check(market(seed, planted=()))


@given(seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_planted_mechanisms_equal_their_twins(seed):
    check(market(seed))


@pytest.mark.slow
@given(seed=SEEDS)
@settings(max_examples=400, deadline=None)
def test_planted_mechanisms_equal_their_twins_at_length(seed):
    check(market(seed))


@pytest.mark.parametrize("name", PLANTED)
def test_every_mechanism_is_seen_at_work_and_equals_its_twin(name):
    """The comparison above would be worth nothing if mechanisms never acted in it."""
    row, seen = {"reversal": "sweep_reversal"}.get(name, name), 0
    for seed in range(200):
        _, record, twin = check(market(seed, planted=(name,)))
        if name == "placement":
            low, high = 1.001 * LEVERAGES[1], 0.999 * LEVERAGES[3]
            odd = [p for p in twin.positions if p["leverage"] not in LEVERAGES]
            assert all(low / 1.01 <= p["leverage"] <= high * 1.01 for p in odd)
            seen += len(odd) > 0
        else:
            seen += bool((record.moved[MECHANISMS.index(row)] != 0).any())
        if seen == 3:
            return
    pytest.fail(f"{name} acted in {seen} of 200 markets")


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_the_true_map_is_the_notional_of_the_open_positions(seed):
    """The last row is written before the last step: the twin's market one step shorter has it."""
    script, rules, tiers = market(seed)
    steps, subs = len(script["sigma"]), rules["substeps"]
    if steps - 1 <= rules["warmup_steps"]:
        return
    _, _, record = compiled(script, rules, tiers)
    shorter = copy.deepcopy(script)
    shorter["sigma"] = script["sigma"][:-1]
    shorter["noise"] = script["noise"][: (steps - 1) * subs]
    twin = naive.NaiveMarket(rules, tiers, LEVERAGES, shorter)
    path, *_ = twin.run()
    row = record.snapshot[steps - 1 - rules["warmup_steps"]]
    np.testing.assert_allclose(row, expected_map(twin, rules, path[-1]), rtol=1e-5)


def test_a_move_that_is_no_number_ends_the_path():
    script, rules, tiers = market(3)
    at = next(k for k in (5, 6) if k + 1 != rules["warmup_steps"] * rules["substeps"])
    script["noise"][at] = math.nan
    failed, _, record = compiled(script, rules, tiers)
    assert failed == at + 1
    assert np.isfinite(record.price[:failed]).all()


@pytest.mark.parametrize("name", ["placement", "direction"])
def test_accounts_that_were_laid_out_for_other_rules_are_refused(name):
    problem = next(m for m in map(market, range(50)) if not m[1][name] > 0.0)
    with pytest.raises(ValueError, match="laid out for other rules"):
        compiled(*problem, **{name: 1.0})


def expected_map(twin, rules, price):
    expected, mark = np.zeros((2, 5)), twin.bin_of(price)
    for p in twin.positions:
        at = twin.bin_of(p["trigger"])
        if at is None:
            continue
        out = mark - 1 - at if p["side"] == 0 else at - mark - 1
        centre = (at - rules["half_bins"] + 0.5) * rules["bin_step"]
        for j in range(5):
            if EDGES[j] <= out < EDGES[j + 1]:
                usd = p["left"] * rules["lot_coins"] * rules["anchor"] * np.exp(centre)
                expected[p["side"], j] += usd
    return expected


@given(
    shocks=st.lists(st.floats(-3, 3), max_size=20),
    start=st.floats(-3, 3),
    keep=st.floats(0, 1),
    scale=st.floats(0, 2),
)
def test_recursions_equal_their_twins(shocks, start, keep, scale):
    got = autoregression(np.array(shocks, dtype=float), start, keep, scale)
    np.testing.assert_allclose(got, naive.autoregression(shocks, start, keep, scale), atol=1e-12)
    got = followed(np.array(shocks, dtype=float), scale - 1, keep)
    np.testing.assert_allclose(got, naive.followed(shocks, scale - 1, keep), atol=1e-11)
