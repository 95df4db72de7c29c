"""The audits run through the probabilities of visits, and catch a cheater among them."""

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
from liqbt.study import pipeline, traces
from liqbt.study.estimators import build_estimator
from liqbt.study.replicate import world_experiment
from liqbt.study.worlds import load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, tape_from_events
from liqbt.types import DAY_NS

WORLDS = Path(__file__).resolve().parents[2] / "liqbt" / "data" / "worlds"
pytestmark = pytest.mark.slow


@cache
def market():
    world = replace(load_world(WORLDS / "gbm.yaml"), days=62)
    experiment = world_experiment(world, reps=200)
    made = simulate(world, seed=3)
    kinds = dict(experiment.symbols["SIM"].events)
    tape = tape_from_tables(made.tables, Selection(kinds=kinds))
    times = pipeline.forecast_times(experiment, tape)
    return experiment, tape, replay(tape, build_estimator(experiment, "SIM"), times)


@pytest.fixture(scope="module", autouse=True)
def _freed():
    """Leave no tape alive: the cheaters of other tests look for the longest in the process."""
    yield
    market.cache_clear()


@pytest.fixture(autouse=True)
def only_visits(monkeypatch):
    """What else is issued has its own tests."""

    monkeypatch.setattr(pipeline, "with_competing_maps", lambda *given: given[1])
    for name in ("_tilts", "_placebo", "_predicted"):
        monkeypatch.setattr(traces, name, lambda *_: [])


def derived(tape, until):
    experiment, _, forecasts = market()
    chosen = [f for f in forecasts if until is None or f.at <= until]
    return pipeline.issued_items(experiment, "SIM", chosen, tape)


def load():
    _, tape, _ = market()
    return tape_from_events(tape.events, tape.instruments)


def audit(seed=1):
    return lookahead(load, derived, cuts=5, rng=np.random.default_rng(seed))


def test_levels_and_their_probabilities_are_issued_and_pass():
    items = derived(load(), None)
    units = [item for item in items if item.what == "P(visit) of units SIM"]
    clusters = [item for item in items if item.what == "P(visit) of clusters SIM"]
    assert len(units) > 40
    assert len(clusters) > len(units)
    last = {name: units[-1].fields[name] for name in ("p.full", "p.ablated", "brownian")}
    assert len(set(last.values())) == 3  # fitted by then, and not alike
    assert {"visited", "scored"}.isdisjoint(units[-1].fields)
    assert audit().passed


@pytest.mark.parametrize("early_ns", [DAY_NS, pytest.param(2 * DAY_NS, marks=pytest.mark.nightly)])
def test_a_model_that_trains_on_what_has_not_matured_is_caught(monkeypatch, early_ns):
    honest = evidence.predict_visits

    def cheating(rows, options, **past):
        early = rows.copy()
        early["matured_ns"] = np.maximum(rows["matured_ns"] - early_ns, rows["at"] + 1)
        return honest(early, options, **past)

    monkeypatch.setattr(evidence, "predict_visits", cheating)
    found = next(result for seed in (1, 2, 3) if not (result := audit(seed)).passed)
    assert "P(visit) of" in found.first.what


def test_a_map_that_has_no_level_to_predict_leaves_no_item():
    from liqbt.evaluation.levels import VISIT_DTYPE
    from liqbt.learn.models import VisitPredictions

    empty = VisitPredictions(**{name: {} for name in VisitPredictions.__dataclass_fields__})
    assert not list(traces._levels("P(visit)", np.zeros(0, VISIT_DTYPE), empty))
