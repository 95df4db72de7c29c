"""Curves of a finished run, against slow twins and by hand."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_run import make_run

from liqbt.study.curves import (
    by_day,
    by_distance,
    curves,
    dose,
    drift,
    incidence,
    market_moves,
    molchan,
    ranking,
    regimes,
)
from liqbt.types import DAY_NS, HOUR_NS


def levels(n: int = 400, seed: int = 1, gain: float = 0.0) -> dict[str, np.ndarray]:
    """Levels over forty days whose visits follow p̂, and more of it where they are denser."""
    rng = np.random.default_rng(seed)
    base, rank = rng.uniform(0.1, 0.8, n), rng.uniform(0.0, 1.0, n)
    p = np.clip(base + gain * (rank - 0.5), 0.01, 0.99)
    return {
        "symbol": np.full(n, "X"),
        "at": rng.integers(0, 40, n) * DAY_NS,
        "distance_sigma": rng.uniform(0.25, 2.5, n),
        "density_rank": rank,
        "visited": (rng.uniform(size=n) < p).astype(np.int8),
        "brownian": base,
        "p": p,
        "p_ablated": base,
    }


def outcomes(n: int = 600, seed: int = 2) -> dict[str, np.ndarray]:
    """Births of 4 h, visited at a time of day that is known."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, 30 * 24, n) * HOUR_NS
    came, mirrored = (rng.uniform(size=n) < 0.4 for _ in range(2))
    sigma = rng.uniform(0.01, 0.03, n)
    distance = rng.uniform(0.3, 2.0, n)
    opened = at + HOUR_NS // 4
    return {
        "market": np.full(n, "X"),
        "horizon_ns": np.full(n, 4 * HOUR_NS),
        "at": at,
        "distance": distance * sigma,
        "distance_sigma": distance,
        "density_rank": rng.uniform(size=n),
        "censor": (rng.uniform(size=n) < 0.05).astype(np.uint8),
        "exposed_start_ns": opened,
        "visited": came.astype(np.int8),
        "mirror_visited": mirrored.astype(np.int8),
        "visit_ns": np.where(came, opened + rng.integers(0, 3 * HOUR_NS, n), -1),
        "mirror_visit_ns": np.where(mirrored, opened + rng.integers(0, 3 * HOUR_NS, n), -1),
        "brownian": rng.uniform(size=n),
        "birth": rng.uniform(size=n) < 0.9,
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-2, 2)), min_size=2, max_size=60))
def test_errors_by_day_are_those_of_the_slow_sum(rows):
    at = np.array([day for day, _ in rows]) * DAY_NS + 5
    values = np.array([value for _, value in rows])
    mean, error, days = by_day(values, at)
    n = len({day for day, _ in rows})
    assert days == n
    assert mean == pytest.approx(sum(values) / len(values))
    if n < 2:
        assert math.isnan(error)
        return
    squares = 0.0
    for d in {day for day, _ in rows}:
        squares += sum(value - mean for day, value in rows if day == d) ** 2
    assert error == pytest.approx(math.sqrt(squares * n / (n - 1)) / len(rows), abs=1e-12)


def test_the_dose_rises_where_density_tells_and_nowhere_else():
    flat = [row["excess"] / row["standard_error"] for row in dose(levels(4000))]
    told = [row["excess"] for row in dose(levels(4000, gain=0.6))]
    assert max(map(abs, flat)) < 3.5
    assert told == sorted(told)
    assert told[-1] - told[0] == pytest.approx(0.6 * 0.8, abs=0.12)
    assert sum(row["n"] for row in dose(levels(4000))) == 4000


def test_bands_of_distance_hold_every_level_once():
    held = levels()
    rows = by_distance(held, [0.25, 0.5, 1.0, 2.5])
    assert sum(row["n"] for row in rows) == 400
    mine = (held["distance_sigma"] >= 0.5) & (held["distance_sigma"] < 1.0)
    assert rows[1]["visited"] == pytest.approx(held["visited"][mine].mean())
    assert rows[1]["without_map"] == pytest.approx(held["p_ablated"][mine].mean())


def test_first_arrivals_are_counted_as_one_by_one():
    held = outcomes()
    row = next(r for r in incidence(held) if r["subset"] == "all")
    use = held["birth"] & (held["censor"] == 0)
    assert row["n"] == use.sum()
    for hour, share in list(zip(row["hours"], row["visited"], strict=True))[::10]:
        slow = sum(
            held["visited"][i] == 1
            and held["visit_ns"][i] - held["exposed_start_ns"][i] <= hour * HOUR_NS
            for i in np.flatnonzero(use)
        )
        assert share == pytest.approx(slow / use.sum(), abs=1e-6)
    assert row["visited"] == sorted(row["visited"])
    assert row["visited"][-1] == pytest.approx(held["visited"][use].mean(), abs=1e-6)
    assert row["mirror"][-1] == pytest.approx(held["mirror_visited"][use].mean(), abs=1e-6)


def test_regimes_split_each_market_in_three_by_its_own_volatility():
    held = outcomes()
    held["distance"] = np.where(held["market"] == "X", held["distance"], 0)
    rows = regimes(held)
    assert [row["third"] for row in rows] == [1, 2, 3]
    use = held["birth"] & (held["censor"] == 0)
    assert sum(row["n"] for row in rows) == use.sum()
    assert max(row["n"] for row in rows) - min(row["n"] for row in rows) <= 2
    sigma = held["distance"] / held["distance_sigma"]
    calm = use & (sigma <= np.quantile(sigma[use], 1 / 3))
    lift = (held["visited"] - held["brownian"])[calm]
    assert rows[0]["lift"] == pytest.approx(lift.mean())


def test_the_area_under_the_roc_is_the_chance_of_a_right_order():
    held = levels(200)
    held["p"] = held["p"].round(1)  # ties
    row = ranking(held)[0]
    seen, p = held["visited"] == 1, held["p"]
    pairs = [(a > b) + 0.5 * (a == b) for a in p[seen] for b in p[~seen]]
    assert row["area"] == pytest.approx(sum(pairs) / len(pairs))
    assert row["true_rate"][-1] == row["false_rate"][-1] == 1.0


def test_a_map_that_adds_nothing_stays_on_the_molchan_diagonal():
    held = levels(6000)
    held["p"] = held["p_ablated"] * np.random.default_rng(9).uniform(0.5, 1.5, 6000)
    [none] = molchan(held)
    [told] = molchan(levels(6000, gain=0.6))
    assert abs(none["skill"]) < 0.02
    assert told["skill"] > 0.05
    assert none["missed"][0] == 1.0
    assert none["missed"][-1] == pytest.approx(0.0, abs=1e-6)


def test_nothing_is_drawn_of_what_a_run_does_not_hold():
    empty: dict[str, np.ndarray] = {}
    assert dose(empty) == by_distance(empty, [0.25, 0.5]) == incidence(empty) == []
    assert regimes(empty) == ranking(empty) == molchan(empty) == []
    alike = levels()
    alike["visited"] = np.ones(400, np.int8)
    assert ranking(alike) == []
    run = make_run(("BTCUSDT",), n=40, table=pa.table({}))
    found = curves(run, [market_moves(run, "BTCUSDT", run.maps["BTCUSDT"][:5])])
    assert all(rows == [] for rows in found.values())


def test_a_price_that_goes_where_the_mass_is_drifts_up_with_it():
    run = make_run(("BTCUSDT",), n=120)
    rows = drift([market_moves(run, "BTCUSDT", run.maps["BTCUSDT"]), None])
    assert [row["near"] for row in rows] == sorted(row["near"] for row in rows)
    assert 100 < sum(row["n"] for row in rows) <= 120
    # the same path turned upside down about its start, the map's sides swapped, is the same market
    assert {"near", "drift", "standard_error", "n", "n_days"} == set(rows[0])
