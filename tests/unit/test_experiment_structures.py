"""Structural maps beside a run's dose-response, and p̂: issued, audited, the cheaters caught."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_world import paired_response, response_bins

from liqbt.audit.lookahead import lookahead
from liqbt.errors import ConfigError
from liqbt.estimators.base import _REGISTERED
from liqbt.estimators.oi_flow import OIFlow
from liqbt.estimators.structural import Swings
from liqbt.evaluation.bins import beside_bins, landmark_times, rank_contrast
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.inference.days import draw
from liqbt.evaluation.nulls import placebo
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.estimators import (
    STRUCTURES,
    EstimatorConfig,
    build_competing_maps,
    build_estimator,
)
from liqbt.study.pipeline import (
    forecast_times,
    issue,
    issued_items,
    market_input,
    protocol,
    with_competing_maps,
)
from liqbt.study.replicate import replicate
from liqbt.study.schema import Experiment, parse_experiment, with_estimator
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, Events, Forecast, Kind, Ns

WORLD = World(name="small", days=18, warmup_days=4)
BESIDE = "dose_response_beside_structures"


def experiment_of(horizons: list[str], every: str = "4h") -> Experiment:
    kinds = ("mark", "open_interest", "bar", "liquidation")
    raw = {
        "name": "small",
        "data": {"world": "small.yaml"},
        "symbols": {
            "SIM": {
                "events": dict.fromkeys(kinds, "simulated/SIM"),
                "margin": {"tiers": "BTCUSDT"},
            }
        },
        "schedule": {"warm_up": "4d", "every": every},
        "evaluation": {"horizons": horizons, "bootstrap_reps": 200},
    }
    return parse_experiment(raw, Path("small.yaml"))


EXPERIMENT = experiment_of(["4h", "24h"])


def small_tape() -> Tape:
    tables = simulate(WORLD, seed=np.random.SeedSequence(2)).tables
    return tape_from_tables(tables, Selection(kinds=dict(EXPERIMENT.symbols["SIM"].events)))


@pytest.fixture(scope="module")
def tape() -> Tape:
    return small_tape()


@pytest.fixture(scope="module")
def market(tape) -> MarketInput:
    forecasts = replay(tape, build_estimator(EXPERIMENT, "SIM"), forecast_times(EXPERIMENT, tape))
    return with_competing_maps(EXPERIMENT, market_input(EXPERIMENT, "SIM", forecasts, tape), tape)


def view(events: Events, start: int, stop: int) -> Events:
    return events[start:stop]


def audited() -> Any:
    """The look-ahead audit of the pipeline, its estimators on views of the poisoned tape."""

    def pipeline(tape: Tape, until: Ns | None) -> Any:
        return issue(EXPERIMENT, "SIM", tape, until, slicer=view)

    return lookahead(small_tape, pipeline, cuts=4, rng=np.random.default_rng(3))


def test_structural_maps_are_issued_at_the_landmarks_alone(tape, market):
    times = landmark_times(market.forecasts, DAY_NS)
    assert set(market.competing_maps) == set(STRUCTURES)
    assert len(times) >= 10
    own = {f.at: f for f in market.forecasts}
    for name, maps in market.competing_maps.items():
        assert [f.at for f in maps] == times.tolist()
        for each in maps:
            assert (each.mark, each.sigma_1d) == (own[each.at].mark, own[each.at].sigma_1d), name
    bins = response_bins(
        market.forecasts, market.path, protocol(EXPERIMENT.evaluation), horizon_ns=DAY_NS
    )
    farthest = float(bins.distance.max())
    for name, maps in market.competing_maps.items():
        beside = beside_bins(bins, market.forecasts, maps)
        assert np.abs(rank_contrast(beside)).max() > 0.3, name
        reach = min(f.grid.outward_edges(f.density_usd.shape[1])[-1] * f.grid.step for f in maps)
        assert reach > farthest
    assert not with_competing_maps(
        experiment_of(["4h"]), replace(market, competing_maps={}), tape
    ).competing_maps  # its landmarks are not scored there


def test_what_is_issued_holds_the_maps_and_the_placebo_probability(tape, market):
    items = issued_items(EXPERIMENT, "SIM", market.forecasts, tape)
    kinds = {item.what for item in items}
    assert kinds >= {f"{name} map SIM" for name in STRUCTURES}
    assert "placebo probability SIM 24h" in kinds
    learnt = [item for item in items if item.what.startswith("placebo")]
    p = np.concatenate([np.frombuffer(item.fields["p"]) for item in learnt])
    assert len({item.at for item in learnt}) == len(learnt) > 5
    assert len(p) > 20
    assert ((p > 0) & (p < 1)).all()


def test_the_honest_pipeline_passes_with_the_maps_and_the_placebo_probability():
    result = audited()
    assert result.passed, result.first
    assert result.compared > 200


class _Peeking(Swings):
    """Climbs a slice's base and puts its swings where the price is going to be."""

    tape: Any = None

    def update(self, events: Events) -> None:
        top = events
        while isinstance(top.base, np.ndarray):
            top = top.base
        self.tape = top
        super().update(events)

    def forecast(self, at: Ns) -> Forecast | None:
        honest = super().forecast(at)
        if honest is None or self.tape is None or self.tape.dtype.names is None:
            return honest
        unknown = (self.tape["ts_known"] >= at) & (self.tape["kind"] == Kind.MARK)
        later = self.tape["p3"][unknown][:50]
        density = honest.density_usd.copy()
        density[int(len(later) > 0 and later.mean() > honest.mark)] += 1.0
        return replace(honest, density_usd=density)


def test_a_structural_map_that_cheats_is_caught(monkeypatch):
    monkeypatch.setitem(_REGISTERED, "swings", _Peeking)
    result = audited()
    assert not result.passed
    assert (result.first.what, result.first.field) == ("swings map SIM", "density_usd")


def test_a_placebo_probability_that_learns_too_early_is_caught(monkeypatch):
    """Outcomes taken for known when their window opens, so that later prices speak."""
    honest = placebo.random_levels

    def early(anchors, path, config, **options):
        levels = honest(anchors, path, config, **options)
        return replace(levels, matured_ns=anchors.at[levels.anchor])

    monkeypatch.setattr(placebo, "random_levels", early)
    config = partial(placebo.PlaceboConfig, refit_ns=DAY_NS, embargo_ns=0)
    monkeypatch.setattr("liqbt.evaluation.evidence.PlaceboConfig", config)
    result = audited()
    assert not result.passed
    assert result.first.what == "placebo probability SIM 24h"


def test_a_replication_and_a_run_state_the_row(market):
    experiment = EXPERIMENT
    done = replicate(WORLD, experiment, np.random.SeedSequence(5))
    rows = {(s.symbol, s.horizon): s for s in done.evaluation.scores if s.statistic == BESIDE}
    assert set(rows) == {("SIM", "24h"), ("pooled", "24h")}
    plain = {s.symbol: s for s in done.evaluation.scores if s.statistic == "dose_response"}
    assert rows["SIM", "24h"].value != plain["SIM"].value
    assert np.isfinite(rows["pooled", "24h"].value)


def test_beside_itself_a_structure_has_no_dose(tape):
    chosen = experiment_of(["24h"])
    config = EstimatorConfig(use="swings", params={"reach": 0.1})
    swings = chosen.model_copy(update={"estimators": {"swings": config}})
    forecasts = replay(tape, build_estimator(swings, "SIM"), forecast_times(swings, tape))
    market = with_competing_maps(swings, market_input(swings, "SIM", forecasts, tape), tape)
    bins = response_bins(
        market.forecasts, market.path, protocol(swings.evaluation), horizon_ns=DAY_NS
    )
    others = [
        [beside_bins(bins, market.forecasts, maps)] for maps in market.competing_maps.values()
    ]
    draws = draw(np.random.default_rng(0), reps=100, n_days=40)
    assert np.isfinite(paired_response([bins], draws).value)
    assert np.isnan(paired_response([bins], draws, covariates=others).value)


def test_an_unknown_structure_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'round_numbers'"):
        with_estimator(EXPERIMENT, "round_number")
    made = build_competing_maps(EXPERIMENT, "SIM")
    assert not any(isinstance(each, OIFlow) for each in made.values())
