"""Canonical order and duplicates against the naive twin; identity against everything irrelevant."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from unittest import mock

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_rows import T, select, tables

from liqbt.log.one_value import ONE_VALUE
from liqbt.log.order import lexicographic_order, number_repeats
from liqbt.log.store import EventLog
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
from liqbt.types import Kind

SPANS = {Kind.BAR: (60, 3600), Kind.LIQUIDATION_TOTAL: (60,), Kind.FUNDING: (0, 60)}


def payloads(kind: Kind) -> st.SearchStrategy[tuple[float, ...]]:
    if kind == Kind.FUNDING:
        rates = st.sampled_from([0.0, -0.0, 1e-5, -1e-5, 2e-5])
        return st.tuples(rates, st.sampled_from([1.0, 8.0, float("nan")]))
    if kind == Kind.LIQUIDATION_TOTAL:
        return st.tuples(*[st.sampled_from([0.0, -0.0, 5e-324, 3.5])] * 2)
    return st.tuples(*[st.sampled_from([1.0, 1.5, 1e300])] * 2)


@st.composite
def rows(draw: st.DrawFn) -> dict:
    kind = draw(st.sampled_from([Kind.TRADE, Kind.LIQUIDATION_TOTAL, Kind.FUNDING]))
    event = T + draw(st.integers(0, 3))
    side = draw(st.sampled_from([-1, 0, 1])) if kind == Kind.TRADE else 0
    return {
        "kind": int(kind),
        "venue": draw(st.sampled_from(["a", "b", "aé"])),
        "symbol": draw(st.sampled_from(["X", "Y", "Z10", "Z9"])),
        "seq": draw(st.sampled_from([-1, -1, 0, 1])),
        "ts_event": event,
        "ts_known": event + draw(st.integers(0, 2)),
        "side": side,
        "span_s": draw(st.sampled_from(SPANS.get(kind, (0,)))),
        "payload": draw(payloads(kind)),
    }


def build(files: list[list], selection: Selection, *, again: bool = False):
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):  # only for speed
        log = EventLog.create(Path(folder) / "log")
        for i, file in enumerate(files):
            log.append(file, {"file_sha256": str(i)})
        if again:
            log.append(files[0], {"file_sha256": "0"})
            log.append(files[0], {"file_sha256": "under another name"})
        return build_tape(log, selection)


@st.composite
def contents(draw: st.DrawFn) -> list[list[dict]]:
    """Files that do not contradict each other: the first row about a thing says what it is."""
    files = draw(st.lists(st.lists(rows(), min_size=1, max_size=12), min_size=1, max_size=4))
    said: dict[tuple, tuple] = {}
    for row in (row for file in files for row in file):
        about = (row["kind"], row["venue"], row["symbol"], row["seq"])
        if row["seq"] < 0:
            if row["kind"] not in ONE_VALUE:
                continue
            about += (row["ts_event"], row["span_s"])
        row["side"], row["payload"] = said.setdefault(about, (row["side"], row["payload"]))
    return files


FILES = contents()


@given(FILES)
@settings(max_examples=40)
def test_the_tape_is_that_of_the_naive_twin(files):
    everything = [r for file in files for r in file]
    tape = build([tables(f) for f in files], select(everything))
    expected = naive.tape(files, set(ONE_VALUE))
    assert len(tape) == len(expected)
    for got, row in zip(tape.events, expected, strict=True):
        assert tape.instruments[got["instrument"]] == (row["venue"], row["symbol"])
        for name in ("ts_known", "ts_event", "kind", "side", "span_s"):
            assert int(got[name]) == row[name]
        for i in range(5):
            value = row["payload"][i] if i < len(row["payload"]) else float("nan")
            assert int(got[f"p{i}"].view(np.uint64)) == naive.float_bits(value)


@given(FILES, st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=40)
def test_nothing_but_the_records_decides_the_digest(files, rng: random.Random, batch):
    selection = select([r for file in files for r in file])
    plain = build([tables(f) for f in files], selection)
    shuffled = []
    for file in rng.sample(files, len(files)):
        batches = [
            (kind, table.slice(i, batch))
            for kind, table in tables(rng.sample(file, len(file)))
            for i in range(0, table.num_rows, batch)
        ]
        shuffled.append(rng.sample(batches, len(batches)))
    other = build(shuffled, selection, again=True)
    assert other.digest == plain.digest
    assert other.events.tobytes() == plain.events.tobytes()


@pytest.mark.parametrize("kind", [Kind.TRADE, Kind.FUNDING])
def test_of_one_number_known_at_one_time_the_earliest_event_stands(kind):
    """Whatever was appended first: hypothesis draws such a pair too seldom."""
    files = [
        [
            {
                "kind": int(kind),
                "venue": "a",
                "symbol": "X",
                "seq": 0,
                "ts_event": T + event,
                "ts_known": T + 2,
                "side": 0,
                "span_s": 0,
                "payload": (1e-5, 8.0),
            }
        ]
        for event in (0, 1)
    ]
    for appended in (files, files[::-1]):
        tape = build([tables(f) for f in appended], select([r for file in files for r in file]))
        assert tape.events["ts_event"].tolist() == [T]


@given(FILES, st.integers(0, 6))
@settings(max_examples=40)
def test_a_prefix_does_not_depend_on_what_is_known_later(files, cut):
    """Leave out every row that is known at or after the cut: the tape before it is the same."""
    everything = [r for file in files for r in file]
    at = T + cut
    early = [[r for r in file if r["ts_known"] < at] for file in files]
    early = [file for file in early if file]
    whole = build([tables(f) for f in files], select(everything))
    n = whole.prefix_index(at)
    if not early:
        assert n == 0
        return
    part = build([tables(f) for f in early], select([r for file in early for r in file]))
    assert len(part) == n
    for name in ("ts_known", "ts_event", "kind", "side", "span_s", "p0", "p1"):
        np.testing.assert_array_equal(part.events[name], whole.events[name][:n])


KEYS = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.tuples(*[st.integers(-2, 2)] * k), max_size=30).map(lambda r: (k, r))
)


@given(KEYS)
def test_order_is_that_of_sorted_tuples(keys):
    k, values = keys
    columns = [np.array([v[i] for v in values], dtype=np.int64) for i in range(k)]
    expected = sorted(range(len(values)), key=lambda i: (values[i], i))
    assert lexicographic_order(columns).tolist() == expected


@given(KEYS)
def test_repeats_are_numbered_like_the_twin(keys):
    k, values = keys
    columns = [np.array([v[i] for v in values], dtype=np.int64) for i in range(k)]
    got = number_repeats(columns[: max(1, k - 1)], columns[-1]).tolist()
    for i, row in enumerate(values):
        same = [
            j
            for j, other in enumerate(values)
            if other[: max(1, k - 1)] == row[: max(1, k - 1)] and (other[-1], j) < (row[-1], i)
        ]
        assert got[i] == len(same)
