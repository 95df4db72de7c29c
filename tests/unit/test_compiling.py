"""What is compiled beside a simulation is what the demo needs, and nothing waits for it."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from liqbt.study import compiling
from liqbt.study.compiling import compiled_meanwhile, random_walk
from liqbt.study.schema import demo_experiment, load_experiment


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """Commands of the processes that would be started."""
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: calls.append(command))
    monkeypatch.setattr(compiling.atexit, "register", lambda *_: None)
    monkeypatch.setattr(compiling.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return calls


@pytest.mark.parametrize(("cold", "cores", "number"), [(True, 2, 1), (True, 1, 0), (False, 2, 0)])
def test_another_process_is_started_where_nothing_is_kept_and_a_core_is_free(
    started, monkeypatch, cold, cores, number
):
    monkeypatch.setattr(compiling, "is_cold", lambda kernel: cold and kernel == "engine.run")
    monkeypatch.setattr(
        compiling.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False
    )
    with compiled_meanwhile():
        assert len(started) == number
    assert all(command[-2:] == ["liqbt.study.compiling", "alone"] for command in started)


def test_the_walk_has_every_kind_that_the_demo_reads():
    (market,) = load_experiment(demo_experiment()).symbols.values()
    tape = random_walk()
    assert {int(kind) for kind in market.events} == set(np.unique(tape.events["kind"]).tolist())
