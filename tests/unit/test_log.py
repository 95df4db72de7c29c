"""EventLog: append, idempotence, locking, verify, and writers that die in the middle."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqbt.errors import AlreadyRunningError, DataError, LogError
from liqbt.log import disk as disk_module
from liqbt.log import writer as writer_module
from liqbt.log.check import Standing
from liqbt.log.commits import Commit, Segment, commit_bytes, head_bytes, inspect_chain, seal
from liqbt.log.disk import read_parquet, sha256
from liqbt.log.schema import event_schema
from liqbt.log.store import EventLog
from liqbt.log.tables import encode, event_table, load, load_parts
from liqbt.types import Instrument, Kind

T = 1_700_000_000_000_000_000
S = 1_000_000_000


def trades(n=20, symbol="BTC", start=T, venue="v"):
    ts = start + np.arange(n) * S
    return event_table(
        Kind.TRADE,
        {
            "ts_known": ts + S,
            "ts_event": ts,
            "venue": venue,
            "symbol": symbol,
            "side": 1,
            "price": 100.0 + np.arange(n),
            "size_coins": 1.0,
        },
    )


def source(i=0):
    return {"file": f"f{i}.csv", "file_sha256": f"{i:064x}", "map_sha256": "0" * 64}


@pytest.fixture
def log(tmp_path):
    return EventLog.open_or_create(tmp_path / "log")


def test_what_is_appended_is_read_back(log):
    table = trades()
    commit = log.append([(Kind.TRADE, table)], source())
    assert commit.number == 1
    assert commit.segments[0].rows == 20
    assert commit.segments[0].instruments == (Instrument("v", "BTC"),)
    assert commit.source["file"] == "f0.csv"
    assert log.read(Kind.TRADE).equals(table)
    assert log.read(Kind.BAR).num_rows == 0
    assert EventLog.open(log.path).digest == commit.digest == log.digest
    assert log.verify() == []


def test_reading_some_instruments(log):
    both = pa.concat_tables([trades(symbol="BTC"), trades(n=5, symbol="ETH")])
    log.append([(Kind.TRADE, both)], source(1))
    log.append([(Kind.TRADE, trades(n=3, symbol="SOL"))], source(2))
    assert log.read(Kind.TRADE, [Instrument("v", "ETH")]).num_rows == 5
    assert log.read(Kind.TRADE, [Instrument("v", "ETH"), Instrument("v", "SOL")]).num_rows == 8
    assert log.read(Kind.TRADE, [Instrument("w", "ETH")]).num_rows == 0


def test_the_same_source_adds_nothing(log):
    assert log.append([(Kind.TRADE, trades())], source()) is not None
    before = log.digest
    assert log.append([(Kind.TRADE, trades())], source()) is None
    halves = [(Kind.TRADE, trades(10)), (Kind.TRADE, trades(10, start=T + 10 * S))]
    assert log.append(halves, source()) is None
    assert log.digest == before
    assert len(list((log.path / "segments").iterdir())) == 1


def test_the_same_tables_from_another_file_add_nothing(log):
    log.append([(Kind.TRADE, trades())], source(1))
    assert log.append([(Kind.TRADE, trades())], source(2)) is None
    assert log.append([(Kind.TRADE, trades())], {}) is None


def test_one_source_in_two_appends_is_refused_not_lost(log):
    log.append([(Kind.TRADE, trades(10))], source())
    with pytest.raises(LogError, match=r"'f0.csv' is in .* with .*'trade': 10.* now has"):
        log.append([(Kind.TRADE, trades(7, start=T + 10 * S))], source())
    assert log.read(Kind.TRADE).num_rows == 10
    assert log.info().leftovers == ()


def test_only_what_is_new_is_written(log):
    log.append([(Kind.TRADE, trades(10))], source(1))
    commit = log.append([(Kind.TRADE, trades(10)), (Kind.TRADE, trades(4, "ETH"))], source(2))
    assert [s.rows for s in commit.segments] == [4]
    assert commit.events == {"trade": 14}


def test_nothing_at_all_is_no_commit(log):
    assert log.append([], source()) is None
    assert log.append([(Kind.TRADE, trades(0))], source(1)) is None
    assert log.commits() == []


def test_commits_are_chained(log):
    first = log.append([(Kind.TRADE, trades(3))], source(1))
    second = log.append([(Kind.TRADE, trades(4, "ETH"))], source(2))
    assert first.parent == "0" * 64
    assert second.parent == first.digest
    assert [c.number for c in log.commits()] == [1, 2]
    assert log.find(source(2)).number == 2
    assert log.find(source(3)) is None


def test_info_counts(log):
    rows = pa.table({"row": [3], "reason": ["price is missing"]})
    log.append([(Kind.TRADE, trades(3))], source(1), quarantine=rows)
    info = log.info()
    assert (info.commits, info.segments, info.quarantined) == (1, 1, 1)
    assert info.events == {Kind.TRADE: 3}
    assert info.instruments == {Kind.TRADE: (Instrument("v", "BTC"),)}
    assert info.event_ns == {Kind.TRADE: (T, T + 2 * S)}
    assert info.leftovers == ()


def test_quarantined_rows_are_kept_and_verified(log):
    rows = pa.table({"row": [3], "reason": ["price is, missing"], "px": ["0"]})
    commit = log.append([(Kind.TRADE, trades(3))], source(1), quarantine=rows)
    path = log.path / "quarantine" / commit.quarantine["file"]
    assert path.read_text().splitlines() == ['"row","reason","px"', '3,"price is, missing","0"']
    assert log.quarantine_path(commit) == path
    path.write_text("altered")
    assert [p for p in log.verify() if "quarantine file" in p and "damaged" in p]
    path.unlink()
    assert [p for p in log.verify() if "quarantine file" in p and "cannot be read" in p]


def test_a_table_of_another_kind_is_refused_and_nothing_is_left(log):
    with pytest.raises(DataError, match="needs the columns"):
        log.append([(Kind.TRADE, trades()), (Kind.BAR, trades())], source())
    assert log.commits() == []
    assert list((log.path / "segments").iterdir()) == []


def test_a_failing_iterator_leaves_nothing(log):
    def lazily():
        yield Kind.TRADE, trades()
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        log.append(lazily(), source())
    assert list((log.path / "segments").iterdir()) == []
    assert log.append([(Kind.TRADE, trades())], source()).number == 1


def test_a_source_that_is_not_json_is_refused(log):
    with pytest.raises(LogError, match="plain JSON"):
        log.append([(Kind.TRADE, trades())], {"file": object()})
    with pytest.raises(LogError, match="plain JSON"):
        log.append([(Kind.TRADE, trades())], {"latency": float("nan")})


def test_two_writers(log):
    def nested():
        with pytest.raises(AlreadyRunningError, match=r"another process is writing to .*lock"):
            log.append([(Kind.TRADE, trades(4, "ETH"))], source(2))
        yield Kind.TRADE, trades()

    assert log.append(nested(), source(1)).number == 1
    assert log.append([(Kind.TRADE, trades(4, "ETH"))], source(2)).number == 2


def test_a_reader_beside_a_writer_sees_what_is_committed(log):
    log.append([(Kind.TRADE, trades(5))], source(1))

    def beside():
        yield Kind.TRADE, trades(6, "ETH")
        assert log.read(Kind.TRADE).num_rows == 5
        assert log.verify() == []

    log.append(beside(), source(2))
    assert log.read(Kind.TRADE).num_rows == 11


def test_opening_what_is_no_log(tmp_path):
    with pytest.raises(LogError, match=r"no event log at .*: log.json is missing"):
        EventLog.open(tmp_path / "nowhere")
    (tmp_path / "mine.txt").write_text("hello")
    with pytest.raises(LogError, match=r"not an event log and not empty: it holds 'mine.txt'"):
        EventLog.open_or_create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "log.json").write_bytes(b"{}\n")
    with pytest.raises(LogError, match="damaged"):
        EventLog.open_or_create(tmp_path / "other")


def test_create_refuses_an_existing_log(log):
    with pytest.raises(LogError, match="already"):
        EventLog.create(log.path)
    assert EventLog.create(log.path.parent / "new").commits() == []


def _rewrite(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value, sort_keys=True, indent=1) + "\n")


def _sealed(text):
    body = text + ',\n "self_sha256": "'
    return (body + sha256(body.encode()) + '"\n}\n').encode()


@pytest.fixture
def damaged(log):
    for i in range(3):
        log.append([(Kind.TRADE, trades(5 + i, f"S{i}"))], source(i))
    return log


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: (p / "commits/00000002.json").unlink(), "00000002.json is missing"),
        (lambda p: (p / "commits/00000003.json").unlink(), "00000003.json is missing"),
        (lambda p: (p / "commits/00000001.json").write_text("{"), "does not match its own"),
        (lambda p: (p / "commits/00000001.json").write_bytes(b"\xff"), "its own SHA-256"),
        (lambda p: (p / "commits/00000001.json").write_bytes(b""), "its own SHA-256"),
        (lambda p: (p / "commits/00000001.json").write_bytes(_sealed("[" * 100_000)), "not JSON"),
        (
            lambda p: (p / "commits/00000001.json").write_bytes(seal({"a": 1})),
            "schema version None",
        ),
        (
            lambda p: (p / "commits/00000001.json").write_bytes(seal({"schema_version": 1})),
            "is not a commit of an event log",
        ),
        (
            lambda p: _rewrite(p / "commits/00000002.json", lambda v: v.update(parent="0" * 64)),
            "does not match its own SHA-256",
        ),
        (
            lambda p: (p / "commits/00000001.json").write_bytes(
                (p / "commits/00000002.json").read_bytes()
            ),
            "its number is 2",
        ),
        (lambda p: (p / "log.json").write_bytes(b"{}"), "log.json is damaged"),
        (lambda p: next((p / "segments").iterdir()).unlink(), "cannot be read"),
        (lambda p: next((p / "segments").iterdir()).write_bytes(b""), "0 bytes"),
        (lambda p: (p / "notes.txt").write_text("x"), "notes.txt is no part of an event log"),
        (lambda p: (p / "commits/x.json").write_text("x"), "x.json is no part of an event log"),
        (lambda p: (p / "segments/sub").mkdir(), "sub is no part of an event log"),
    ],
)
def test_verify_names_what_is_wrong(damaged, harm, message):
    assert damaged.verify() == []
    harm(damaged.path)
    problems = damaged.verify()
    assert any(message in p for p in problems), problems
    assert damaged.verify() == problems


def test_an_older_log_json_over_newer_commits_is_found(damaged):
    (damaged.path / "log.json").write_bytes(head_bytes(1, damaged.commits()[0].digest))
    assert any("names commit 1 as the newest, but 3" in p for p in damaged.verify())
    (damaged.path / "log.json").write_bytes(head_bytes(3, "1" * 64))
    assert any("not the one that" in p for p in damaged.verify())


def test_a_chain_of_another_log_is_found(damaged, tmp_path):
    other = EventLog.create(tmp_path / "other")
    other.append([(Kind.TRADE, trades(9, "X"))], source(9))
    name = "00000001.json"
    (damaged.path / "commits" / name).write_bytes((other.path / "commits" / name).read_bytes())
    assert any("does not follow the commit before it" in p for p in damaged.verify())
    with pytest.raises(LogError, match="does not follow"):
        damaged.read(Kind.TRADE)


def test_a_forged_segment_is_found(damaged):
    """A valid Parquet file of the same size but other values: the SHA-256 tells."""
    segments = sorted((damaged.path / "segments").iterdir())
    data = bytearray(segments[0].read_bytes())
    data[len(data) // 2] ^= 1
    segments[0].write_bytes(bytes(data))
    assert any("its SHA-256 is not the committed one" in p for p in damaged.verify())
    with pytest.raises(LogError, match="SHA-256"):
        damaged.read(Kind.TRADE)


@pytest.mark.parametrize("rows", [1, 2, 19, 20, 21])
def test_a_segment_in_parts_is_the_segment(log, rows):
    segment = log.append([(Kind.TRADE, trades())], source()).segments[0]
    parts = list(load_parts(log.path / "segments", segment, rows))
    assert [len(part) for part in parts] == [rows] * (20 // rows) + [20 % rows] * (20 % rows > 0)
    assert pa.concat_tables(parts).equals(load(log.path / "segments", segment))
    assert all(part.schema.equals(event_schema(Kind.TRADE), True) for part in parts)


@pytest.mark.parametrize("rows", [2, 3, 99])
def test_a_segment_out_of_order_is_found_within_parts_and_between(tmp_path, rows):
    table = pa.concat_tables([trades(3, start=T + S), trades(3)]).unify_dictionaries()
    segment, data = encode(Kind.TRADE, table)
    (tmp_path / segment.file).write_bytes(data)
    with pytest.raises(LogError, match="out of order: ts_known falls"):
        list(load_parts(tmp_path, segment, rows))


def test_every_flipped_byte_of_a_commit_is_found(damaged):
    rng = np.random.default_rng(3)
    for path in [damaged.path / "log.json", damaged.path / "commits" / "00000003.json"]:
        whole = path.read_bytes()
        sample = set(rng.choice(len(whole), 25, replace=False).tolist())
        for i in range(len(whole)):
            data = bytearray(whole)
            data[i] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(data))
            assert inspect_chain(damaged.path)[1], (path.name, i)
            if i in sample:
                assert damaged.verify(), (path.name, i)
        path.write_bytes(whole)
    assert damaged.verify() == []


def test_random_flips_of_segments_are_found(damaged):
    rng = np.random.default_rng(4)
    for path in (damaged.path / "segments").iterdir():
        whole = path.read_bytes()
        for i in rng.choice(len(whole), 60, replace=False).tolist():
            data = bytearray(whole)
            data[i] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(data))
            assert damaged.verify(), (path.name, i)
        path.write_bytes(whole)
    assert damaged.verify() == []


def test_verify_checks_what_a_commit_says_about_a_segment(damaged):
    """A commit that was written wrong, with a right seal: what it says is compared."""
    commit = damaged.commits()[2]
    for change, message in (
        ({"rows": 99}, "rows, its commit says 99"),
        ({"logical_sha256": "0" * 64}, "logical hash"),
        ({"known_ns": (0, 1)}, "range of ts_known"),
        ({"instruments": (Instrument("v", "Q"),)}, "instruments are not"),
        ({"kind": Kind.BAR}, "is not a table of BAR"),
    ):
        wrong = replace(commit, segments=(replace(commit.segments[0], **change),))
        data = commit_bytes(wrong)
        (damaged.path / "commits" / "00000003.json").write_bytes(data)
        (damaged.path / "log.json").write_bytes(head_bytes(3, sha256(data)))
        assert any(message in p for p in damaged.verify()), message


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Killer:
    """Lets `steps` disk operations happen, then none at all; a file being synced is left torn."""

    def __init__(self, monkeypatch, steps):
        self.left = steps
        self.done = 0
        real_fsync = os.fsync

        def fsync(handle):
            try:
                self.step()
            except Killed:
                size = os.fstat(handle).st_size
                if size and not stat.S_ISDIR(os.fstat(handle).st_mode):
                    os.ftruncate(handle, size // 2)
                raise
            real_fsync(handle)

        monkeypatch.setattr(disk_module.os, "fsync", fsync)
        for owner, name in (
            (os, "link"),
            (pathlib.Path, "rename"),
            (pathlib.Path, "replace"),
            (pathlib.Path, "unlink"),
        ):
            monkeypatch.setattr(owner, name, self.wrapped(getattr(owner, name)))

    def wrapped(self, operation):
        def run(*args, **kwargs):
            self.step()
            return operation(*args, **kwargs)

        return run

    def step(self):
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.done += 1


def _append_second(log):
    rows = pa.table({"row": [1], "reason": ["bad"]})
    tables = [(Kind.TRADE, trades(8, "ETH")), (Kind.TRADE, trades(9, "SOL"))]
    return log.append(tables, source(2), quarantine=rows)


def test_killed_at_every_step_of_an_append(tmp_path, monkeypatch):
    calm = EventLog.create(tmp_path / "calm")
    calm.append([(Kind.TRADE, trades(5))], source(1))
    with monkeypatch.context() as patch:
        counter = Killer(patch, 10_000)
        _append_second(calm)
        steps = counter.done
    assert steps > 10
    outcomes = set()
    for k in range(steps):
        log = EventLog.create(tmp_path / f"log{k}")
        log.append([(Kind.TRADE, trades(5))], source(1))
        with monkeypatch.context() as patch:
            Killer(patch, k)
            with pytest.raises(Killed):
                _append_second(log)
        assert log.verify() == [], k
        assert log.read(Kind.TRADE).num_rows in (5, 22)
        outcomes.add(len(log.commits()))
        _append_second(log)
        assert log.digest == calm.digest, k
        assert log.verify() == []
        assert log.info().leftovers == ()
        assert (log.path / "log.json").read_bytes() == (calm.path / "log.json").read_bytes()
    assert outcomes == {1, 2}


def test_killed_at_every_step_of_a_creation(tmp_path, monkeypatch):
    for k in range(10):
        path = tmp_path / f"log{k}"
        with monkeypatch.context() as patch:
            Killer(patch, k)
            try:
                EventLog.open_or_create(path)
            except Killed:
                pass
            else:
                break
        log = EventLog.open_or_create(path)
        assert log.verify() == []
        assert log.append([(Kind.TRADE, trades())], source()).number == 1
    assert 0 < k < 10


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    log = EventLog.create(tmp_path / "log")
    log.append([(Kind.TRADE, trades(5))], source(1))
    before = sorted(p.name for p in log.path.rglob("*"))
    calls = 0

    def full(handle):
        nonlocal calls
        calls += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk_module.os, "fsync", full)
        with pytest.raises(LogError, match=r"cannot write to .*No space left on device"):
            _append_second(log)
    assert calls == 1
    assert sorted(p.name for p in log.path.rglob("*")) == before
    assert log.verify() == []


def test_a_folder_without_hard_links(tmp_path, monkeypatch):
    def no_links(*_args, **_kwargs):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(disk_module.os, "link", no_links)
    log = EventLog.create(tmp_path / "log")
    assert log.append([(Kind.TRADE, trades(5))], source(1)).number == 1
    with pytest.raises(FileExistsError):
        disk_module.publish_new(log.path / "commits" / "00000001.json", b"other")
    assert log.commits()[0].number == 1


def test_a_commit_is_never_written_over(log):
    commit = log.append([(Kind.TRADE, trades(5))], source(1))
    with pytest.raises(FileExistsError):
        disk_module.publish_new(log.path / "commits" / "00000001.json", b"other")
    assert log.commits()[0] == commit


WRITER = """
import sys
from pathlib import Path
import numpy as np
from liqbt.log.tables import encode, event_table, load, load_parts
from liqbt.log.store import EventLog
from liqbt.types import Kind
log = EventLog.open_or_create(Path(sys.argv[1]))
T = 1_700_000_000_000_000_000
for i in range(1000):
    ts = T + np.arange(2000) * 1_000_000 + i
    log.append([(Kind.TRADE, event_table(Kind.TRADE, {"ts_known": ts, "ts_event": ts, "venue": "v",
        "symbol": "s", "side": 1, "price": np.arange(2000) + 1.0, "size_coins": 1.0 + i}))],
        {"file": str(i), "file_sha256": str(i)})
    print(i, flush=True)
"""


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path):
    rng = np.random.default_rng(11)
    path = tmp_path / "log"
    acknowledged = -1
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0.05, 0.4)))
        writer.kill()
        said = [int(line) for line in writer.stdout.read().split()]
        writer.stdout.close()
        writer.wait()
        acknowledged = max([acknowledged, *said])
        log = EventLog.open(path)
        assert log.verify() == []
        files = {commit.source["file"] for commit in log.commits()}
        assert {str(i) for i in range(acknowledged + 1)} <= files
    assert log.append([(Kind.TRADE, trades())], source()) is not None
    assert log.info().leftovers == ()


def test_only_groups_of_rows_that_may_hold_a_value_are_read(tmp_path):
    names = ["BTC"] * 30 + ["ETH"] * 30 + ["XRP"] * 30
    table = pa.table({"symbol": names, "x": list(range(90)), "none": [None] * 90})
    for statistics in (True, False):
        path = tmp_path / f"{statistics}.parquet"
        pq.write_table(table, path, row_group_size=20, write_statistics=statistics)
        assert read_parquet(path).equals(table)
        assert read_parquet(path, holding=("nothing", "ETH")).equals(table)
        for name in ("BTC", "ETH", "XRP", "SOL"):
            read = read_parquet(path, holding=("symbol", name))
            mine = [x for x, n in zip(table["x"].to_pylist(), names, strict=True) if n == name]
            assert read.schema == table.schema
            assert set(mine) <= set(read["x"].to_pylist())
            assert (read.num_rows < 90) == statistics


def test_many_appends_read_the_chain_once_and_nobody_else_writes(log, monkeypatch):
    log.append([(Kind.TRADE, trades())], source())
    reads = []
    chain = writer_module.read_chain
    monkeypatch.setattr(writer_module, "read_chain", lambda root: reads.append(root) or chain(root))
    with log.writing() as writer:
        for i in range(1, 6):
            assert writer.append([(Kind.TRADE, trades(start=T + 100 * i * S))], source(i)).number
        assert writer.append([(Kind.TRADE, trades())], source()) is None
        assert writer.append([(Kind.TRADE, trades(start=T + 100 * S))], source(9)) is None
        with pytest.raises(AlreadyRunningError):
            log.append([(Kind.TRADE, trades(start=T + 900 * S))], source(8))
        with pytest.raises(DataError):
            writer.append([(Kind.TRADE, pa.table({"x": [1]}))], source(7))
        assert writer.append([(Kind.TRADE, trades(start=T + 800 * S))], source(8)).number == 7
    assert len(reads) == 2  # when it began, and after what was refused
    assert [c.number for c in log.commits()] == [1, 2, 3, 4, 5, 6, 7]
    assert log.verify() == []
    assert log.info().leftovers == ()


def test_segments_of_a_time_are_those_that_a_scan_finds():
    rng = np.random.default_rng(5)
    standing, all_of = Standing(), []
    for number in range(1, 200):
        first = int(rng.integers(0, 1000))
        last = first + int(rng.integers(0, 60))
        kind = (Kind.TRADE, Kind.MARK)[int(rng.integers(2))]
        names = tuple(Instrument("v", s) for s in ("A", "B", "C") if rng.random() < 0.5)
        segment = Segment(
            kind=kind, file=f"{number}", rows=1, logical_sha256="", file_sha256="", size=1,
            known_ns=(first, last), event_ns=(first, last), instruments=names,
        )  # fmt: skip
        found = [other.file for _, other in standing.overlapping(segment)]
        scanned = [
            other.file
            for other in all_of
            if other.kind == kind
            and set(names) & set(other.instruments)
            and other.event_ns[0] <= last
            and first <= other.event_ns[1]
        ]
        assert found == scanned
        standing.add(Commit(number=number, parent="", segments=(segment,), events={}))
        all_of.append(segment)
    assert len(scanned) > 1
