"""A tape built from many parts is the one built from one, and that of the naive twin."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_rows import T, select, tables

from liqbt.errors import DataError
from liqbt.log.one_value import ONE_VALUE
from liqbt.log.store import EventLog
from liqbt.tape.build import build_tape, build_tapes
from liqbt.tape.values import Selection
from liqbt.types import Instrument, Kind

NAN = float("nan")
VALUES = {
    Kind.TRADE: ((1.0, 1.5), (1.0, 1.5)),
    Kind.LIQUIDATION: ((1.0, 1.5), (1.0,)),
    Kind.BAR: ((2.0,), (2.0,), (2.0,), (2.0,), (1.0, 1.0 + 1e-9, 3.0, NAN)),
    Kind.OPEN_INTEREST: ((5.0, 5.5, 50.0, 0.0), (7.0, NAN)),
    Kind.LIQUIDATION_TOTAL: ((0.0, -0.0, 3.5), (0.0, 3.5)),
    Kind.FUNDING: ((1e-5, 2e-5), (8.0, NAN)),
}
SIDES = {Kind.TRADE: (-1, 0, 1), Kind.LIQUIDATION: (-1, 1)}
SPANS = {Kind.BAR: (60, 3600), Kind.LIQUIDATION_TOTAL: (60,), Kind.FUNDING: (0, 60)}


@st.composite
def rows(draw: st.DrawFn) -> dict:
    kind = draw(st.sampled_from(list(VALUES)))
    event = T + draw(st.integers(0, 5))
    return {
        "kind": int(kind),
        "venue": draw(st.sampled_from(["a", "b"])),
        "symbol": draw(st.sampled_from(["X", "Z10", "Z9"])),
        "seq": draw(st.sampled_from([-1, -1, 0, 1, 2])),
        "ts_event": event,
        "ts_known": event + draw(st.sampled_from([0, 0, 1, 2, 9])),
        "side": draw(st.sampled_from(SIDES.get(kind, (0,)))),
        "span_s": draw(st.sampled_from(SPANS.get(kind, (0,)))),
        "payload": draw(st.tuples(*map(st.sampled_from, VALUES[kind]))),
    }


@st.composite
def contents(draw: st.DrawFn) -> list[list[dict]]:
    """Files with duplicates and revisions; of one thing two values are not known at one time."""
    files = draw(st.lists(st.lists(rows(), min_size=1, max_size=14), min_size=1, max_size=4))
    said: dict[tuple, tuple] = {}
    for row in (row for file in files for row in file):
        about = (row["kind"], row["venue"], row["symbol"], row["seq"])
        if row["seq"] < 0:
            if row["kind"] not in ONE_VALUE:
                continue
            about += (row["ts_event"], row["span_s"], row["ts_known"])
        row["side"], row["payload"] = said.setdefault(about, (row["side"], row["payload"]))
    return files


@contextmanager
def limited(held: int, decoded: int):
    """Hold so few rows that small logs come in many parts, their neighbours apart."""
    with ExitStack() as patched:
        for name, value in {
            "liqbt.tape.parts.HELD": held,
            "liqbt.tape.parts._NUMBERS": 0,
            "liqbt.tape.parts._TIMES": 0,
            "liqbt.log.store._PART": decoded,
        }.items():
            patched.enter_context(mock.patch(name, value))
        yield


@contextmanager
def log_of(files: list[list[dict]]):
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):  # only for speed
        log = EventLog.create(Path(folder) / "log")
        for i, file in enumerate(files):
            log.append(tables(file), {"file_sha256": str(i)}, revisions="last_known")
        yield log, Path(folder) / "cache"


LIMITS = st.tuples(st.sampled_from([1, 2, 3, 7]), st.sampled_from([1, 2, 5]))


@given(contents(), LIMITS)
@settings(max_examples=60, deadline=None)
def test_many_parts_make_the_tape_of_the_naive_twin(files, limits):
    expected = naive.tape(files, set(ONE_VALUE), int(Kind.LIQUIDATION_TOTAL))
    with log_of(files) as (log, cache):
        wanted = select([row for file in files for row in file])
        whole = build_tape(log, wanted, outliers="keep")
        with limited(*limits):
            tape = build_tape(log, wanted, cache, outliers="keep")
    assert tape.digest == whole.digest
    assert len(tape) == len(expected)
    for got, row in zip(tape.events, expected, strict=True):
        assert tape.instruments[got["instrument"]] == (row["venue"], row["symbol"])
        for name in ("ts_known", "ts_event", "kind", "side", "span_s"):
            assert int(got[name]) == row[name]
        for i in range(5):
            value = row["payload"][i] if i < len(row["payload"]) else NAN
            assert int(got[f"p{i}"].view(np.uint64)) == naive.float_bits(value)


@given(contents(), LIMITS, st.integers(0, 8), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_tapes_of_many_parts_are_those_of_one(files, limits, start, length):
    """Several selections that share instruments, in a period, with open interest believed."""
    everything = [row for file in files for row in file]
    wanted = select(everything)
    period = {"start_ns": T + start, "end_ns": T + start + length}
    asked = {"all": wanted, "period": Selection(kinds=wanted.kinds, **period)}
    for kind, instruments in wanted.kinds.items():
        asked[kind.name] = Selection(kinds={kind: instruments[:1]})

    def built(log, cache=None):
        for name in list(asked):  # a period may hold nothing
            try:
                build_tape(log, asked[name])
            except DataError:
                del asked[name]
        return build_tapes(log, asked, cache)

    with log_of(files) as (log, cache):
        one = built(log)
        with limited(*limits):
            many = built(log, cache)
        left = {path.suffix or path.name for path in cache.iterdir()} if asked else set()
    assert left <= {".lock", ".events", ".json"}
    for name, tape in one.items():
        assert many[name].events.tobytes() == tape.events.tobytes()
        assert (many[name].digest, many[name].masked) == (tape.digest, tape.masked)


def test_contradictions_of_all_parts_are_counted(tmp_path):
    """Two values of three instants in a log that was written before such values were refused."""
    marks = [
        [
            {
                "kind": int(Kind.MARK),
                "venue": "a",
                "symbol": "X",
                "seq": -1,
                "ts_event": T + at,
                "ts_known": T + at,
                "side": 0,
                "span_s": 0,
                "payload": (price,) * 4,
            }
            for at in (4, 2, 0)
        ]
        for price in (1.0, 2.0)
    ]
    log = EventLog.create(tmp_path / "log")
    with mock.patch("liqbt.log.writer.Check.refuse"):
        for i, file in enumerate(marks):
            log.append(tables(file), {"file_sha256": str(i)})
    wanted = Selection(kinds={Kind.MARK: (Instrument("a", "X"),)})
    said = []
    for held in (100, 1):
        with limited(held, 1), pytest.raises(DataError, match=r"\(and 2 more such rows\)") as error:
            build_tape(log, wanted, tmp_path / "cache")
        said.append(str(error.value))
    assert said[0] == said[1]
    assert not list((tmp_path / "cache").glob("*"))
