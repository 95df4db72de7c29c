"""The benchmark measures what it says, on a small tape; no speed is asserted here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from liqbt.bench import describe_bench, run_bench, synthetic_tape
from liqbt.bench.kernels import read_only_pass
from liqbt.cli import cli
from liqbt.types import Kind


def test_the_tape_has_the_mix_that_is_stated():
    tape = synthetic_tape(20_000, np.random.default_rng(0))
    counts = {kind: len(tape.of(kind)) for kind in Kind}
    assert counts[Kind.TRADE] == 18_000
    assert counts[Kind.OPEN_INTEREST] == counts[Kind.MARK] == counts[Kind.LIQUIDATION] == 1_000
    assert len(tape) == 21_000
    marks, interest = tape.of(Kind.MARK), tape.of(Kind.OPEN_INTEREST)
    assert (marks["ts_known"] == interest["ts_known"]).all()


def test_the_reference_reads_every_payload_field():
    events = synthetic_tape(2_000, np.random.default_rng(0)).events.copy()
    for i in range(5):
        events[f"p{i}"] = 0.0
    for i in range(5):
        events[f"p{i}"][7] = 1.0
    assert read_only_pass(events) == 5.0


def test_ratios_are_to_the_reference_in_the_same_process():
    rows = run_bench(events=20_000, repeat=1)
    reference, *others = rows
    assert reference.ratio == 1.0
    assert [row.name for row in others] == ["replay_fold", "replay_protocol"]
    for row in others:
        speed = row.events_per_second / reference.events_per_second
        assert row.ratio == pytest.approx(speed)
    assert "replay_fold" in describe_bench(rows)


def test_the_command_prints_json():
    result = CliRunner().invoke(cli, ["bench", "--events", "20000", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert {"name", "events_per_second", "ratio"} <= set(rows[0])
