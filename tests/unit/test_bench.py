"""The benchmark measures what it says, on a small tape; no speed is asserted here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from naive import windows_total

from liqbt.bench import describe_bench, run_bench
from liqbt.bench.files import trades_map, write_trades
from liqbt.bench.kernels import read_only_pass, windows_pass
from liqbt.bench.tape import synthetic_tape
from liqbt.bench.timing import rows_of, seconds_of
from liqbt.cli import cli
from liqbt.ingest.table import ingest_file
from liqbt.tape.values import tape_from_events
from liqbt.types import Kind


def test_the_tape_has_the_mix_that_is_stated():
    tape = synthetic_tape(20_000, np.random.default_rng(0))
    counts = {kind: len(tape.of(kind)) for kind in Kind}
    assert counts[Kind.TRADE] == 18_000
    assert counts[Kind.OPEN_INTEREST] == counts[Kind.MARK] == counts[Kind.LIQUIDATION] == 1_000
    assert len(tape) == 21_000
    marks, interest = tape.of(Kind.MARK), tape.of(Kind.OPEN_INTEREST)
    assert (marks["ts_known"] == interest["ts_known"]).all()


def test_the_tape_is_in_canonical_order():
    tape = synthetic_tape(20_000, np.random.default_rng(0))
    assert tape_from_events(tape.events, tape.instruments).digest == tape.digest


def test_the_reference_reads_every_payload_field():
    events = synthetic_tape(2_000, np.random.default_rng(0)).events.copy()
    for i in range(5):
        events[f"p{i}"] = 0.0
    for i in range(5):
        events[f"p{i}"][7] = 1.0
    assert read_only_pass(events) == 5.0


NAMES = [
    "read_only_pass",
    "replay_fold",
    "replay_protocol",
    "protocol_1bp",
    "levmix_protocol",
    "short_pass",
    "oi_flow_instant",
    "levmix_instant",
    "levmix_no_ends",
    "csv_read",
    "ingest",
    "parquet_read",
    "decode",
    "decode_cached",
    "windows_pass",
    "first_passage",
]


def test_ratios_are_to_the_reference_in_the_same_process():
    rows = run_bench(events=20_000, repeat=1)
    assert [row.name for row in rows] == NAMES
    named = {row.name: row for row in rows}
    for row in rows:
        reference = named[row.reference]
        assert reference.ratio == 1.0
        speed = row.events_per_second / reference.events_per_second
        assert row.ratio == pytest.approx(speed)
    assert "replay_fold" in describe_bench(rows)


def test_reference_and_work_take_turns():
    order = []
    works = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds = seconds_of(works, 3)
    assert order == ["a", "b"] * 3
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 3, "b": 3}


def test_a_ratio_is_the_median_over_the_rounds():
    seconds = {"base": [1.0, 2.0, 3.0], "work": [2.0, 2.0, 12.0]}
    base, work = rows_of(seconds, 6, {"base": "", "work": ""})
    assert (base.ratio, work.ratio) == (1.0, 0.5)
    assert (base.events_per_second, work.events_per_second) == (3.0, 3.0)


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_windows_are_summed_as_the_naive_twin_does(n, seed):
    rng = np.random.default_rng(seed)
    low, high = rng.normal(size=(2, n))
    first = rng.integers(0, n + 1, 7)
    stop = np.minimum(first + rng.integers(0, 9, 7), n)
    expected = windows_total(low, high, first, stop)
    assert windows_pass(low, high, first, stop) == pytest.approx(expected, abs=1e-9)


def test_the_file_holds_the_trades_of_the_tape(tmp_path):
    tape = synthetic_tape(2_000, np.random.default_rng(0))
    assert write_trades(tape, 500, tmp_path / "t.csv") == 500
    trades = ingest_file(trades_map(), tmp_path / "t.csv").tables[Kind.TRADE]
    assert trades["price"].to_pylist() == tape.of(Kind.TRADE)["p0"][:500].tolist()
    assert trades["side"].to_pylist() == tape.of(Kind.TRADE)["side"][:500].tolist()


def test_the_command_prints_json():
    result = CliRunner().invoke(cli, ["bench", "--events", "20000", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == NAMES
    assert {"name", "events_per_second", "ratio"} <= set(rows[0])
