"""The market's engine against its naive twin, position by position."""

from __future__ import annotations

import naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.simulate.kernels import autoregression, run
from liqbt.simulate.layout import NEWCOMER_DTYPE, Record, Rules, Script
from liqbt.simulate.market import empty_book

LEVERAGES = (1.0, 3.0, 10.0, 40.0)
FLAT = [(np.inf, 0.004, 0.0, np.inf)]
TIERED = [(300.0, 0.01, 0.0, 40.0), (900.0, 0.02, 3.0, 20.0), (np.inf, 0.05, 30.0, 10.0)]


@st.composite
def newcomers(draw):
    return draw(st.integers(0, len(LEVERAGES) - 1)), draw(st.integers(1, 40)) / 8


@st.composite
def markets(draw):
    """A short, violent market: few positions, moves that cross several liquidation prices."""
    steps, subs = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    warm = draw(st.integers(0, steps - 1))
    noise = draw(
        st.lists(st.integers(-70, 70).map(lambda i: i / 1000), min_size=steps * subs,
                 max_size=steps * subs)
    )  # fmt: skip
    first = draw(st.integers(0, 12))
    arrivals = [draw(st.integers(0, 2)) for _ in range(steps * subs)]
    n = first + sum(arrivals)
    pull = draw(st.sampled_from([0.0, 0.002, 0.02]))
    script = {
        "start": -sum(noise[: warm * subs]),
        "noise": noise,
        "pull": [0.0] * warm + [pull] * (steps - warm),
        "clock_h": np.cumsum([0.0] + [draw(st.integers(1, 6)) / 4 for _ in range(steps)]).tolist(),
        "first_offset": [draw(st.integers(-60, 60)) / 1000 for _ in range(first)],
        "pair_from": (first + np.cumsum([0, *arrivals])).tolist(),
        "pair_lots": [draw(st.integers(1, 12)) for _ in range(n)],
        "pair_keep": [draw(st.integers(0, 8)) / 8 for _ in range(n)],
        "pair": [(draw(newcomers()), draw(newcomers())) for _ in range(n)],
        "churn": [draw(newcomers()) for _ in range(steps)],
    }
    rules = {
        "anchor": 100.0,
        "bin_step": draw(st.sampled_from([5e-4, 5e-2, 0.5])),
        "substeps": subs,
        "warmup_steps": warm,
        "lot_coins": draw(st.sampled_from([1.0, 0.25])),
        "level_lots": 20.0,
        "pull_power": draw(st.sampled_from([0.0, 2.0])),
        "oversample": 1.5,
        "life_h": 2.0,
        "loser_wait": draw(st.sampled_from([0.0, 0.5])),
        "reach_bins": draw(st.sampled_from([1, 12, 60])),
    }
    rules["half_bins"] = round(4.0 / rules["bin_step"])
    return script, rules, draw(st.sampled_from([FLAT, TIERED]))


def compiled(script, rules, tiers):
    """Run the kernel on a mapping of plain lists."""
    cap, rate, amount, most = (np.array(column) for column in zip(*tiers, strict=True))
    fixed = Rules(
        leverages=np.array(LEVERAGES),
        tier_floor=np.array([0.0, *cap[:-1]]),
        tier_cap=cap,
        tier_rate=rate,
        tier_amount=amount,
        tier_leverage=most,
        **rules,
    )
    n, steps = len(script["pair_lots"]), len(script["pull"])
    flat = [newcomer for pair in script["pair"] for newcomer in pair]
    chance = Script(
        start=float(script["start"]),
        noise=np.array(script["noise"]),
        pull=np.array(script["pull"]),
        clock_h=np.array(script["clock_h"]),
        first_offset=np.array(script["first_offset"], dtype=float),
        pair_from=np.array(script["pair_from"], dtype=np.int64),
        pair_lots=np.array(script["pair_lots"], dtype=np.int64),
        pair_keep=np.array(script["pair_keep"], dtype=float),
        pair=np.array(flat, dtype=NEWCOMER_DTYPE).reshape(n, 2),
        churn=np.array(script["churn"], dtype=NEWCOMER_DTYPE),
    )
    book = empty_book(fixed, 2 * n + steps, steps)
    record = Record(
        price=np.zeros(len(script["noise"]) + 1),
        flow=np.zeros((steps, 2, 3), dtype=np.int64),
        open_interest=np.zeros(steps, dtype=np.int64),
        displaced=np.zeros(steps),
        forced=np.zeros((2 * n + steps, 3), dtype=np.int64),
        forced_count=np.zeros(1, dtype=np.int64),
        snapshot=np.zeros((steps, 2, 5), dtype=np.float32),
    )
    edges = np.array([0, 1, 2, 3, 13, 23], dtype=np.int64)
    assert run(chance, fixed, book, record, edges, 1) == -1
    return book, record


@given(problem=markets())
@settings(max_examples=300)
def test_the_engine_equals_its_twin(problem):
    script, rules, tiers = problem
    twin, prices, flows, interest, displaced = naive.simulated_market(
        script, rules, tiers, LEVERAGES
    )
    book, record = compiled(script, rules, tiers)
    np.testing.assert_allclose(record.price, prices, rtol=1e-13)
    assert record.flow.tolist() == flows
    assert record.open_interest.tolist() == interest
    np.testing.assert_allclose(record.displaced, displaced, rtol=1e-13)
    places = book.place[: int(book.side["count"][0])]
    assert len(places) == len(twin.positions)
    for name in ("side", "bracket", "lots", "left", "opened", "closed", "fate", "waited"):
        assert places[name].tolist() == [p[name] for p in twin.positions], name
    for name in ("entry", "trigger", "life_h"):
        np.testing.assert_allclose(places[name], [p[name] for p in twin.positions], rtol=1e-12)
    forced = record.forced[: int(record.forced_count[0])].tolist()
    assert sorted(map(tuple, forced)) == sorted(twin.forced)


@given(problem=markets())
@settings(max_examples=100)
def test_the_true_map_is_the_notional_of_the_open_positions(problem):
    """The last row is written before the last step: the twin's market one step shorter has it."""
    script, rules, tiers = problem
    script["churn"] = [*script["churn"], (0, 1.0)]
    script["pull"] = [*script["pull"], 0.0]
    script["noise"] = script["noise"] + [0.0] * rules["substeps"]
    script["clock_h"] = [*script["clock_h"], script["clock_h"][-1] + 1.0]
    script["pair_from"] = script["pair_from"] + [script["pair_from"][-1]] * rules["substeps"]
    _, record = compiled(script, rules, tiers)
    shorter = {**script, "pull": script["pull"][:-1]}
    twin, prices, *_ = naive.simulated_market(shorter, rules, tiers, LEVERAGES)
    edges = [0, 1, 2, 3, 13, 23]
    expected = np.zeros((2, 5))
    mark = twin.bin_of(prices[-1])
    for p in twin.positions:
        at = twin.bin_of(p["trigger"])
        out = mark - 1 - at if p["side"] == 0 else at - mark - 1
        centre = (at - rules["half_bins"] + 0.5) * rules["bin_step"]
        for j in range(5):
            if edges[j] <= out < edges[j + 1]:
                usd = p["left"] * rules["lot_coins"] * rules["anchor"] * np.exp(centre)
                expected[p["side"], j] += usd
    row = record.snapshot[len(script["pull"]) - 1 - rules["warmup_steps"]]
    np.testing.assert_allclose(row, expected, rtol=1e-5)


@given(
    shocks=st.lists(st.floats(-3, 3), max_size=20),
    start=st.floats(-3, 3),
    keep=st.floats(0, 1),
    scale=st.floats(0, 2),
)
def test_autoregression_equals_its_twin(shocks, start, keep, scale):
    got = autoregression(np.array(shocks, dtype=float), start, keep, scale)
    np.testing.assert_allclose(got, naive.autoregression(shocks, start, keep, scale), atol=1e-12)


def test_a_notional_at_a_cap_belongs_to_the_next_tier():
    script = {
        "start": 0.0,
        "noise": [0.0],
        "pull": [0.0],
        "clock_h": [0.0, 1.0],
        "first_offset": [0.0, 0.0],
        "pair_from": [2, 2],
        "pair_lots": [3, 2],
        "pair_keep": [0.0, 0.0],
        "pair": [((3, 9.0), (3, 9.0))] * 2,
        "churn": [(0, 9.0)],
    }
    rules = {
        "anchor": 100.0,
        "bin_step": 5e-4,
        "half_bins": 8000,
        "substeps": 1,
        "warmup_steps": 0,
        "lot_coins": 1.0,
        "level_lots": 20.0,
        "pull_power": 2.0,
        "oversample": 1.5,
        "life_h": 2.0,
        "loser_wait": 0.0,
        "reach_bins": 1,
    }
    book, _ = compiled(script, rules, TIERED)
    # 3 coins at 100 USD are at the cap of 300: 40× is too much there, 10× is the next one allowed
    assert book.place["bracket"][:4].tolist() == [2, 2, 3, 3]
