"""The look-ahead audit passes the honest and fails every kind of cheater."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import numpy as np
import pytest
from cheaters import (
    AtLandmarks,
    CapturedTape,
    FullSampleConstants,
    Honest,
    ThroughBase,
    tapes_in_memory,
)
from toys import toy_tape

from liqbt.audit.lookahead import lookahead, poisoned
from liqbt.errors import DataError
from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import OIFlowParams
from liqbt.margin.tiers import flat_tiers
from liqbt.replay import copied, replay, schedule
from liqbt.study.traces import AuditTrace, forecast_fields
from liqbt.tape.values import tape_from_events
from liqbt.types import EVENT_DTYPE, HOUR_NS, Kind

MADE_OF = (OIFlowParams(), MarketSpec(symbol="TOY", tiers=flat_tiers("TOY", 0.004, 125)))


def pipeline(make: Any, slicer: Any, tape: Any, until: int | None) -> list[AuditTrace]:
    known = tape.events["ts_known"]
    times = schedule(int(known[0]), int(known[-1]) + 1, HOUR_NS)
    times = times if until is None else times[times <= until]
    forecasts = replay(tape, make(*MADE_OF), times, slicer=slicer)
    return [AuditTrace(at=f.at, what="forecast", fields=forecast_fields(f)) for f in forecasts]


def view(events: Any, start: int, stop: int) -> Any:
    return events[start:stop]


def audit(make: Any, slicer: Any = view) -> Any:
    load = partial(toy_tape, 1200)
    return lookahead(load, partial(pipeline, make, slicer), cuts=5, rng=np.random.default_rng(3))


def test_the_honest_estimator_passes():
    result = audit(Honest)
    assert result.passed
    assert result.first is None
    assert result.compared > 50


@pytest.mark.parametrize("cheater", [ThroughBase, CapturedTape, FullSampleConstants])
def test_every_cheater_fails_and_the_field_is_named(cheater):
    result = audit(cheater)
    assert not result.passed
    assert result.first.field == "asymmetry"


@pytest.mark.parametrize("seed", range(4))
def test_a_leak_at_landmarks_alone_is_found_though_it_sees_minutes_ahead(seed):
    load, run = partial(toy_tape, 1200), partial(pipeline, AtLandmarks, view)
    assert not lookahead(load, run, cuts=3, rng=np.random.default_rng(seed)).passed


def test_the_real_loop_starves_who_climbs_the_base():
    assert audit(ThroughBase, slicer=copied).passed
    honest = pipeline(Honest, copied, toy_tape(400), None)
    starved = pipeline(ThroughBase, copied, toy_tape(400), None)
    assert starved == honest


def test_no_tape_but_the_poisoned_one_is_left_to_be_found():
    found: list[int] = []

    class Counting(Honest):
        def forecast(self, at):
            found.append(len(tapes_in_memory()))
            return super().forecast(at)

    gc.freeze()  # what is there already is not looked through at every forecast
    try:
        before = len(tapes_in_memory())
        audit(Counting)
    finally:
        gc.unfreeze()
    assert max(found) == before + 1


def test_nothing_issued_is_no_pass():
    class Silent(Honest):
        def forecast(self, at):
            return None

    with pytest.raises(DataError, match="nothing to audit"):
        audit(Silent)


def test_poison_keeps_the_prefix_and_changes_the_rest():
    tape = toy_tape(500)
    cut = int(tape.events["ts_known"][600])
    keep = tape.prefix_index(cut)
    garbage = poisoned(tape, cut, np.random.default_rng(1))
    assert garbage.events[:keep].tobytes() == tape.events[:keep].tobytes()
    assert garbage.events[keep:].tobytes() != tape.events[keep:].tobytes()
    assert (garbage.events["ts_known"][keep:] >= cut).all()
    assert set(garbage.events["kind"]) <= set(tape.events["kind"])
    marks = garbage.events[keep:][garbage.events["kind"][keep:] == Kind.MARK]
    assert len(marks) > 10
    assert (marks["p1"] >= marks["p2"]).all()
    assert (marks["p2"] > 0).all()


def test_poisoned_bars_keep_their_buckets():
    events = np.zeros(100, EVENT_DTYPE)
    events["kind"] = Kind.BAR
    events["ts_event"] = events["ts_known"] = (1 + np.arange(100)) * HOUR_NS
    events["span_s"] = 3600
    for i, value in enumerate((10.0, 12.0, 9.0, 11.0, 5.0)):
        events[f"p{i}"] = value
    tape = tape_from_events(events, toy_tape(1).instruments)
    garbage = poisoned(tape, 50 * HOUR_NS, np.random.default_rng(0))
    times = garbage.events["ts_event"]
    assert len(np.unique(times)) == len(times) < 100
    assert set(times.tolist()) <= set(events["ts_event"].tolist())
    assert (garbage.events["p1"] >= garbage.events["p2"]).all()


@pytest.mark.parametrize("span_s", [0, 300])
def test_a_poisoned_tape_reaches_the_cut(span_s):
    """The only event that is known at the last time of issue is replaced, not left out."""
    tape = toy_tape(50)
    marks = tape.of(Kind.MARK).copy()
    marks["span_s"] = span_s
    short = tape_from_events(marks, tape.instruments)
    cut = int(marks["ts_known"][-1])
    for seed in range(30):
        changed = poisoned(short, cut, np.random.default_rng(seed))
        assert int(changed.events["ts_known"][-1]) >= cut
        assert changed.events[-1].tobytes() != marks[-1].tobytes()
