"""Only the map is believed: marks and σ that are not the tape's are refused, with both numbers."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheaters import DateHash
from estimator_events import small_config, tapes
from hypothesis import given
from hypothesis import strategies as st

from liqbt.errors import DataError
from liqbt.estimators.baselines import Uniform
from liqbt.estimators.config import MapParams
from liqbt.estimators.kernels import sigma_1d
from liqbt.estimators.state import market_readings
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.pipeline import issue, study
from liqbt.study.schema import Experiment, parse_experiment
from liqbt.study.trust import believed, sigma_rule
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape, tape_from_events
from liqbt.types import DAY_NS, HOUR_NS, Kind

KINDS = ("mark", "open_interest", "bar", "liquidation")


def experiment_of(**estimators: Any) -> Experiment:
    raw = {
        "name": "small",
        "data": {"world": "small.yaml"},
        "symbols": {
            "SIM": {
                "events": dict.fromkeys(KINDS, "simulated/SIM"),
                "margin": {"tiers": "BTCUSDT"},
            }
        },
        "estimators": estimators,
        "schedule": {"warm_up": "4d", "every": "4h"},
        "evaluation": {"horizons": ["4h"], "bootstrap_reps": 200},
    }
    return parse_experiment(raw, Path("small.yaml"))


HONEST = experiment_of(mine={"use": "cheaters:Honest"}, naive={"use": "uniform"})


@pytest.fixture(scope="module")
def tape() -> Tape:
    world = World(name="small", days=12, warmup_days=4)
    tables = simulate(world, seed=np.random.SeedSequence(2)).tables
    return tape_from_tables(tables, Selection(kinds=dict(HONEST.symbols["SIM"].events)))


@pytest.fixture(scope="module")
def honest(tape):
    return study(HONEST, {"SIM": tape})


@given(tapes(), st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_readings_are_those_of_an_estimator_that_saw_the_same_prefix(case, steps):
    kind, events = case
    params, spec = small_config(kind, Uniform)
    last = int(events["ts_known"][-1])
    at = last - 40 * HOUR_NS // 8 + np.cumsum(steps) * HOUR_NS // 8
    found = market_readings(events, at, params, spec)
    for time, row in zip(at.tolist(), found, strict=True):
        estimator = Uniform(params, spec)
        estimator.update(events[events["ts_known"] < time])
        assert row["mark"] == estimator.mark
        assert row["mark_ts"] == estimator.state()["head"]["mark_ts"][0]
        np.testing.assert_array_equal(row["sigma_1d"], sigma_1d(estimator._market, time))
        known = estimator.state()["head"]["n_open_interest"][0] > 0
        expected = estimator.open_interest_usd if known else math.nan
        np.testing.assert_array_equal(row["open_interest_usd"], expected)


def test_what_is_honest_is_left_as_it_was(tape, honest):
    for name, evaluation in honest.evaluations.items():
        scored = evaluation.evidence.markets[0].forecasts
        issued = honest.forecasts[name]["SIM"]
        assert 40 < len(scored) < len(issued)
        assert all(a is b for a, b in zip(scored, issued[-len(scored) :], strict=True))


@pytest.mark.parametrize("cheater", ["StaleMark", "DateHash"])
def test_a_mark_that_is_not_the_tapes_is_refused_with_both_numbers(tape, honest, cheater):
    asked = experiment_of(mine={"use": f"cheaters:{cheater}"})
    with pytest.raises(DataError) as refused:
        study(asked, {"SIM": tape})
    found = re.fullmatch(
        r"estimator mine, asked for (\S+)Z of SIM, issued a mark of (\S+) where the tape's is "
        r"(\S+), (\S+) σ of a day apart; expected within 0.01 σ",
        str(refused.value),
    )
    moment, mark, tapes_mark, apart = found.groups()
    [true] = [
        f
        for f in honest.forecasts["naive"]["SIM"]
        if f.at == np.datetime64(moment, "ns").astype(int)
    ]
    assert float(tapes_mark) == pytest.approx(true.mark, rel=1e-9)
    off = abs(math.log(float(mark) / true.mark)) / true.sigma_1d
    assert float(apart) == pytest.approx(off, rel=0.05)  # two digits
    assert cheater == "StaleMark" or off == pytest.approx(DateHash.moved)


def test_the_audits_refuse_it_too(tape):
    with pytest.raises(DataError, match="σ of a day apart"):
        issue(experiment_of(mine={"use": "cheaters:DateHash"}), "SIM", tape)


def test_an_unmoved_hash_of_the_date_is_scored(tape):
    kept = study(experiment_of(mine={"use": "cheaters:UnmovedDateHash"}), {"SIM": tape})
    assert kept.first.scores


@pytest.mark.parametrize("share", [0.97, 1.03])
def test_a_sigma_that_is_not_the_tapes_is_refused_with_both_numbers(tape, honest, share):
    issued = [replace(f, sigma_1d=share * f.sigma_1d) for f in honest.forecasts["naive"]["SIM"]]
    said = f"issued a σ of {issued[0].sigma_1d:.4g} a day where the tape's is .*, 3% apart"
    with pytest.raises(DataError, match=said):
        believed(HONEST, "SIM", issued, tape, "naive")


def test_what_differs_by_rounding_is_measured_by_the_tape(tape, honest):
    issued = honest.forecasts["naive"]["SIM"]
    rounded = [
        replace(
            f, mark=float(np.float32(f.mark)), sigma_1d=round(f.sigma_1d, 5), open_interest_usd=1.0
        )
        for f in issued
    ]
    kept = believed(HONEST, "SIM", rounded, tape, "naive")
    for a, b in zip(kept, issued, strict=True):
        assert (a.mark, a.sigma_1d, a.open_interest_usd) == (
            b.mark,
            b.sigma_1d,
            b.open_interest_usd,
        )


def test_another_window_of_sigma_is_no_wrong_one(tape):
    longer = {"use": "uniform", "params": {"sigma_window": "6d"}}
    done = study(experiment_of(plain={"use": "uniform"}, longer=longer), {"SIM": tape})
    plain, long = (e.evidence.markets[0].forecasts[-1] for e in done.evaluations.values())
    assert plain.sigma_1d != long.sigma_1d
    with pytest.raises(DataError, match="issued a σ of"):
        believed(HONEST, "SIM", done.forecasts["longer"]["SIM"], tape, "naive")


def test_where_the_tape_has_no_sigma_there_is_no_forecast(tape, honest):
    first = honest.forecasts["naive"]["SIM"][0]
    early = replace(first, at=int(tape.events["ts_known"][0]) + HOUR_NS)
    assert believed(HONEST, "SIM", [early, first], tape, "naive") == [first]


def test_who_says_nothing_of_sigma_gets_the_defaults_no_finer_than_the_feed(tape):
    asked = experiment_of(own={"use": "toys:Toy"})
    rule = sigma_rule(asked, "SIM", "own", tape)
    assert (rule.sigma_window, rule.sigma_sampling) == (3 * DAY_NS, 300 * 10**9)
    assert sigma_rule(asked, "SIM", "own", hourly(tape)).sigma_sampling == HOUR_NS


def hourly(tape: Tape) -> Tape:
    """The same market with a mark every hour."""
    kept = (tape.events["kind"] != Kind.MARK) | (tape.events["ts_event"] % HOUR_NS == 0)
    return tape_from_events(tape.events[kept].copy(), tape.instruments)


def test_a_sigma_that_is_sampled_finer_than_prices_come_is_named(tape):
    asked = experiment_of(plain={"use": "uniform"})
    with pytest.raises(DataError, match=r"'estimators.plain.params.sigma_sampling' to 1h$"):
        study(asked, {"SIM": hourly(tape)})


def test_what_a_foreign_class_says_of_sigma_is_its_rule_and_nothing_else_is_read(tape):
    rule = sigma_rule(experiment_of(own={"use": "toys:OfSixDays"}), "SIM", "own", tape)
    assert rule == MapParams(sigma_window=6 * DAY_NS)
