"""The audits run through the models of the direction claim, and catch a cheater among them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from liqbt.audit.lookahead import lookahead
from liqbt.evaluation import evidence
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.study import pipeline as stage
from liqbt.study.estimators import build_estimator
from liqbt.study.replicate import world_experiment
from liqbt.study.worlds import load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, tape_from_events
from liqbt.types import DAY_NS

HERE = Path(__file__).resolve()
pytestmark = pytest.mark.slow


@cache
def market():
    world = load_world(HERE.parents[2] / "liqbt" / "data" / "worlds" / "gbm.yaml")
    world = replace(world, days=62)
    experiment = world_experiment(world, reps=200)
    made = simulate(world, seed=3)
    kinds = dict(experiment.symbols["SIM"].events)
    return experiment, tape_from_tables(made.tables, Selection(kinds=kinds))


@cache
def forecasts():
    """Issued once: what is audited here stands behind them."""
    experiment, tape = market()
    times = stage.forecast_times(experiment, tape)
    return replay(tape, build_estimator(experiment, "SIM"), times)


@pytest.fixture(scope="module", autouse=True)
def _freed():
    """Leave no tape alive: the cheaters of other tests look for the longest in the process."""
    yield
    market.cache_clear()
    forecasts.cache_clear()


def derived(tape, until):
    experiment, _ = market()
    chosen = [f for f in forecasts() if until is None or f.at <= until]
    return stage.issued_items(experiment, "SIM", chosen, tape)


def load():
    _, tape = market()
    return tape_from_events(tape.events, tape.instruments)


def audit(seed=1):
    return lookahead(load, derived, cuts=5, rng=np.random.default_rng(seed))


def test_covariates_and_models_are_issued_and_pass():
    items = derived(load(), None)
    models = [item for item in items if item.what == "direction models SIM"]
    known = [item for item in items if item.what == "covariates SIM"]
    assert len(models) == len(known) > 40
    last = {name: np.frombuffer(value) for name, value in models[-1].fields.items()}
    assert set(last) == {
        *(f"first_side.{n}" for n in ("full", "ablated", "momentum", "funding", "nearest")),
        *(f"{kind}.{n}" for kind in ("cascade", "large_move") for n in ("full", "ablated")),
    }
    assert np.abs(last["first_side.full"]).max() > 0.0
    assert last["cascade.full"].sum() == pytest.approx(1.0)
    assert audit().passed


@pytest.mark.parametrize("early_ns", [DAY_NS, pytest.param(2 * DAY_NS, marks=pytest.mark.nightly)])
def test_a_model_that_trains_on_what_has_not_matured_is_caught(monkeypatch, early_ns):
    """Outcomes count as known so much too early: those of windows that are still open."""
    honest = evidence.predict_landmarks

    def cheating(rows, options, **past):
        early = rows.copy()
        early["matured_ns"] = np.maximum(rows["matured_ns"] - early_ns, rows["at"] + 1)
        return honest(early, options, **past)

    monkeypatch.setattr(evidence, "predict_landmarks", cheating)
    found = next(result for seed in (1, 2, 3) if not (result := audit(seed)).passed)
    assert "direction models SIM" in found.first.what
