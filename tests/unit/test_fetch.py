"""The archive client against a local server: missing, busy, slow, torn, wrong, hostile."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from datetime import date
from pathlib import Path

import archive
import fetch_resume
import numpy as np
import pytest
from archive import HEADERS, Fault, csv, serving
from click.testing import CliRunner

from liqbt.cli import cli
from liqbt.errors import AlreadyRunningError, ConfigError, DataError, LogError
from liqbt.log.store import EventLog
from liqbt.sources.archive.client import fetch_in_order
from liqbt.sources.archive.session import Limits, check_base
from liqbt.sources.binance.layout import archive_files
from liqbt.study.events import open_events
from liqbt.study.fetch import describe_fetch, fetch_archive
from liqbt.study.schema import load_experiment
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
from liqbt.types import Kind

T0 = 1_704_067_200_000_000_000
DATA = bytes(np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8))
PATH = "data/a/x.zip"
QUICK = Limits(timeout_s=5.0, attempts=4, backoff_s=0.01)


def one(data: bytes = DATA, path: str = PATH) -> archive.Archive:
    files = archive.Archive()
    files.put_bytes(path, data)
    return files


class Pauses(list):
    """Waits that are noted and not waited."""

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return False


def fetch(server, keep, paths=(PATH,), *, limits=QUICK, pauses=None, jobs=2):
    pauses = Pauses() if pauses is None else pauses
    rng = np.random.default_rng(1)
    return list(
        fetch_in_order(server.base, paths, keep, rng=rng, jobs=jobs, limits=limits, pause=pauses)
    )


def test_a_file_and_then_not_again(tmp_path):
    with serving(one()) as server:
        (got,) = fetch(server, tmp_path)
        assert (got.state, got.size, got.sha256) == (
            "fetched",
            len(DATA),
            hashlib.sha256(DATA).hexdigest(),
        )
        assert got.file == tmp_path / PATH
        assert got.file.read_bytes() == DATA
        asked = len(server.requests)
        (again,) = fetch(server, tmp_path)
        assert (again.state, again.size, len(server.requests)) == ("kept", 0, asked)
        names = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
        assert names == ["fetch.lock", "x.zip", "x.zip.CHECKSUM"]
        got.file.write_bytes(DATA[:-1] + b"!")  # altered here: the checksum notices
        assert fetch(server, tmp_path)[0].state == "fetched"
        assert got.file.read_bytes() == DATA


def test_the_order_is_that_of_the_request_not_of_arrival(tmp_path):
    files = archive.Archive()
    paths = [f"d/{i}.zip" for i in range(6)]
    for i, path in enumerate(paths):
        files.put_bytes(path, bytes([i]) * 100)
    with serving(files) as server:
        server.faults[paths[0]] = [Fault(stall_s=0.4)]
        got = fetch(server, tmp_path, paths, jobs=3)
        assert [g.path for g in got] == paths
        written = [(tmp_path / path).stat().st_mtime_ns for path in paths]
        assert max(written) == written[0]  # the first was the last to arrive
        assert [g.state for g in got] == ["fetched"] * 6


def test_missing_files_are_asked_for_once(tmp_path):
    files = one()
    del files[PATH + ".CHECKSUM"]
    with serving(files) as server:
        pauses = Pauses()
        got = fetch(server, tmp_path, [PATH, "data/a/y.zip"], pauses=pauses)
        assert [g.state for g in got] == ["missing", "missing"]
        assert (pauses, len(server.requests)) == ([], 2)
        files = one()
        server.files = {PATH + ".CHECKSUM": files[PATH + ".CHECKSUM"]}
        assert fetch(server, tmp_path)[0].state == "missing"


@pytest.mark.parametrize("status", [429, 418, 500, 502, 503, 504, 408])
def test_busy_servers_are_asked_again(tmp_path, status):
    with serving(one()) as server:
        server.faults[PATH] = [Fault(status=status), Fault(status=status)]
        pauses = Pauses()
        assert fetch(server, tmp_path, pauses=pauses)[0].state == "fetched"
        assert len(pauses) == 2
        assert 0.005 <= pauses[0] <= 0.01 < pauses[1] * 1.0001 <= 0.02 * 1.0001


def test_waits_grow_and_end(tmp_path):
    with serving(one()) as server:
        server.always = lambda _path: Fault(status=503)
        pauses = Pauses()
        limits = Limits(attempts=5, backoff_s=1.0, longest_wait_s=3.0)
        (got,) = fetch(server, tmp_path, limits=limits, pauses=pauses)
        assert got.state == "failed"
        assert got.reason == "503 Service Unavailable; given up after 5 attempts"
        assert [0.5 * w <= p <= w for p, w in zip(pauses, (1, 2, 3, 3), strict=True)] == [True] * 4


def test_retry_after_is_obeyed_by_all(tmp_path):
    files = one() | one(b"x", "data/a/y.zip")
    with serving(files) as server:
        server.faults[PATH] = [Fault(status=429, headers={"Retry-After": "2"})]
        pauses = Pauses()
        got = fetch(server, tmp_path, [PATH, "data/a/y.zip"], pauses=pauses, jobs=1)
        assert [g.state for g in got] == ["fetched", "fetched"]
        assert pauses[0] == 2.0
        assert max(pauses[1:]) > 1.0  # the other file waited, too: nobody really slept here
        server.faults[PATH + "2.CHECKSUM"] = [Fault(status=429, headers={"Retry-After": "86400"})]
        (got,) = fetch(server, tmp_path, [PATH + "2"], pauses=pauses)
        assert got.state == "failed"
        when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
        server.files |= one(b"z", "z.zip")
        server.faults["z.zip"] = [Fault(status=503, headers={"Retry-After": when})]
        pauses.clear()
        assert fetch(server, tmp_path, ["z.zip"], pauses=pauses)[0].state == "fetched"
        assert 25 < pauses[0] <= 31


def test_a_torn_body_is_continued(tmp_path):
    with serving(one()) as server:
        server.faults[PATH] = [Fault(cut=100_000), Fault(cut=120_000)]
        (got,) = fetch(server, tmp_path)
        assert (got.state, got.size) == ("fetched", len(DATA))
        assert server.asked(PATH) == ["", "bytes=100000-", "bytes=220000-"]
        assert got.file.read_bytes() == DATA


def test_getting_further_is_no_failure(tmp_path):
    with serving(one()) as server:
        server.faults[PATH] = [Fault(cut=66_000)] * 4
        assert fetch(server, tmp_path, limits=Limits(attempts=2, backoff_s=0))[0].state == "fetched"
        server.files |= one(DATA, "b.zip")
        server.faults["b.zip"] = [Fault(cut=1_000)] * 4
        (got,) = fetch(server, tmp_path, ["b.zip"], limits=Limits(attempts=2, backoff_s=0))
        assert got.state == "failed"
        assert "the body ended after 1000 of" in got.reason


def begun(keep: Path, data: bytes, sha: str, validator: str) -> None:
    (keep / PATH).parent.mkdir(parents=True)
    (keep / (PATH + ".part")).write_bytes(data)
    about = {"sha256": sha, "validator": validator}
    (keep / (PATH + ".part.json")).write_text(json.dumps(about))


SHA = hashlib.sha256(DATA).hexdigest()
TAG = f'"{SHA[:16]}"'


@pytest.mark.parametrize(
    ("data", "sha", "validator", "asked"),
    [
        (DATA[:1000], SHA, TAG, ["bytes=1000-"]),
        (DATA[:1000], SHA, "", ["bytes=1000-"]),
        (DATA[:1000], SHA, '"another"', ["bytes=1000-"]),  # answered with all of it
        (DATA[:1000], "0" * 64, TAG, [""]),  # of a file that was replaced meanwhile
        (b"?" * 1000, SHA, TAG, ["bytes=1000-", ""]),  # altered: the checksum notices
        (DATA, SHA, TAG, []),  # whole, but not yet believed
        (DATA + b"!", SHA, TAG, ["bytes=300001-", ""]),
    ],
)
def test_what_was_begun(tmp_path, data, sha, validator, asked):
    begun(tmp_path, data, sha, validator)
    with serving(one()) as server:
        (got,) = fetch(server, tmp_path)
        assert got.state == "fetched"
        assert got.file.read_bytes() == DATA
        assert server.asked(PATH) == asked
        assert not list(tmp_path.rglob("*.part*"))


def test_ranges_that_are_ignored_or_answered_wrongly(tmp_path):
    begun(tmp_path, DATA[:1000], SHA, TAG)
    with serving(one()) as server:
        server.faults[PATH] = [Fault(ignore_range=True)]
        assert fetch(server, tmp_path)[0].size == len(DATA)
        (tmp_path / PATH).unlink()
        (tmp_path / (PATH + ".part")).write_bytes(DATA[:1000])
        (tmp_path / (PATH + ".part.json")).write_text(json.dumps({"sha256": SHA, "validator": TAG}))
        server.faults[PATH] = [Fault(shift_range=True)]
        (got,) = fetch(server, tmp_path)
        assert got.state == "fetched"
        assert got.file.read_bytes() == DATA


def test_what_the_checksum_does_not_confirm_is_never_believed(tmp_path):
    with serving(one()) as server:
        server.faults[PATH] = [Fault(body=DATA[:-1] + b"!")]
        assert fetch(server, tmp_path)[0].file.read_bytes() == DATA
    with serving(one()) as server:
        server.always = lambda p: Fault(body=DATA[:-1] + b"!") if p == PATH else None
        (got,) = fetch(server, tmp_path / "b")
        assert (got.state, got.file) == ("failed", None)
        assert "the checksum says" in got.reason
        assert not (tmp_path / "b" / PATH).exists()
        assert not list((tmp_path / "b").rglob("*.part"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "holds no SHA-256"),
        (b"<html>", "holds no SHA-256"),
        (b"\xff" * 100, "holds no SHA-256"),
        (SHA.encode() + b"  ../../etc/passwd\n", "is of another file, '../../etc/passwd'"),
        (b"0" * 5000, "a body of 5000 bytes; at most 4096"),
        (b"0" * 64, "the checksum says"),
    ],
)
def test_checksums_that_are_none(tmp_path, text, says):
    files = one()
    files[PATH + ".CHECKSUM"] = text
    with serving(files) as server:
        (got,) = fetch(server, tmp_path)
        assert got.state == "failed"
        assert says in got.reason
        assert not (tmp_path / PATH).exists()


def test_bodies_that_are_too_large_or_too_slow(tmp_path):
    with serving(one()) as server:
        (got,) = fetch(server, tmp_path, limits=Limits(max_bytes=1000))
        assert got.reason == f"a body of {len(DATA)} bytes; at most 1000 are taken"
        server.faults[PATH] = [Fault(drip=50, stall_s=0.05, cut=2000)]
        limits = Limits(timeout_s=0.3, attempts=2, backoff_s=0, min_rate=1e6)
        assert fetch(server, tmp_path, limits=limits)[0].state == "fetched"
        assert len(server.asked(PATH)) == 3
        server.files |= one(DATA, "s.zip")
        server.faults["s.zip"] = [Fault(stall_s=1.0)]
        assert fetch(server, tmp_path, ["s.zip"], limits=limits)[0].state == "fetched"


@pytest.mark.parametrize(
    ("status", "location", "says"),
    [
        (302, "file:///etc/passwd", "leads to 'file:///etc/passwd', which is not followed"),
        (301, "ftp://127.0.0.1/x", "which is not followed"),
        (307, "http://[::1/x", "which is not followed"),
        (302, f"/{PATH}", "leads round in circles"),
        (403, "", "answers 403 Forbidden"),
        (401, "", "answers 401"),
        (204, "", "answers 204"),
    ],
)
def test_answers_that_are_not_followed(tmp_path, status, location, says):
    with serving(one()) as server:
        fault = Fault(status=status, headers={"Location": location} if location else {}, body=b"")
        server.always = lambda path: fault if path == PATH else None
        (got,) = fetch(server, tmp_path)
        assert got.state == "failed"
        assert says in got.reason


def test_a_redirect_is_followed(tmp_path):
    with serving(one() | {"elsewhere": DATA}) as server:
        server.faults[PATH] = [Fault(status=302, headers={"Location": "/elsewhere"}, body=b"")]
        assert fetch(server, tmp_path)[0].file.read_bytes() == DATA


def test_nobody_there(tmp_path):
    with serving(one()) as server:
        base = server.base
    limits = Limits(timeout_s=0.5, attempts=2, backoff_s=0)
    got = list(fetch_in_order(base, [PATH], tmp_path, rng=np.random.default_rng(), limits=limits))
    assert (got[0].state, "refused" in got[0].reason) == ("failed", True)


@pytest.mark.parametrize("path", ["../x.zip", "/etc/x", "a/../../x", "a/\nb", "a\\..\\b", "", "."])
def test_places_outside_of_the_folder(tmp_path, path):
    with pytest.raises(ConfigError, match="no place below"):
        list(fetch_in_order("http://x", [path], tmp_path, rng=np.random.default_rng()))


@pytest.mark.parametrize(
    "base",
    [
        *("file:///etc", "ftp://x", "", "example.org", "http://", "http://u:p@x", "http://x/?a"),
        *("http://x y", "http://x:99999", "http://[x", "https://x#a", "http://é"),
    ],
)
def test_addresses_that_are_none(base):
    with pytest.raises(ConfigError):
        check_base(base)


def test_two_at_once_into_one_folder(tmp_path):
    with serving(one()) as server:
        server.faults[PATH] = [Fault(stall_s=0.5)]
        first = fetch_in_order(server.base, [PATH, PATH], tmp_path, rng=np.random.default_rng())
        running = threading.Thread(target=lambda: list(first))
        running.start()
        time.sleep(0.2)
        with pytest.raises(AlreadyRunningError, match="another process is writing to"):
            fetch(server, tmp_path)
        running.join()


def test_stopping_early_ends_the_threads(tmp_path):
    files = one() | one(DATA, "data/a/y.zip")
    with serving(files) as server:
        server.faults["data/a/y.zip"] = [Fault(drip=1000, stall_s=0.05)]
        some = fetch_in_order(
            server.base, [PATH, "data/a/y.zip"], tmp_path, rng=np.random.default_rng(), jobs=2
        )
        next(some)
        time.sleep(0.2)
        began = time.monotonic()
        some.close()
        assert time.monotonic() - began < 5
        assert not [t for t in threading.enumerate() if t.name.startswith("fetch")]
        kept = (tmp_path / "data/a/y.zip.part").stat().st_size
        assert 0 < kept < len(DATA)
        got = fetch(server, tmp_path, ["data/a/y.zip"])
        assert server.asked("data/a/y.zip")[-1] == f"bytes={kept}-"
        assert got[0].size == len(DATA) - kept


# ----------------------------------------------------------------- into a log


def days(n: int = 3, symbols=("BTCUSDT", "ETHUSDT")) -> archive.Archive:
    files = archive.Archive()
    for k, symbol in enumerate(symbols):
        for day in range(n):
            at = T0 + day * archive.DAY
            name = archive.iso(at)[:10]
            interest = [(at + i * 300 * 10**9, 1000 + i + k, 50_000.0 + i) for i in range(288)]
            text = csv(archive.metric_rows(symbol, interest), HEADERS["metrics"])
            files.put("um", "metrics", symbol, name, text)
            bars = [
                (at + i * 300 * 10**9, 50 + k, 52 + k, 49 + k, 51 + k, 0, 0) for i in range(288)
            ]
            text = csv(archive.kline_rows(bars, 300), HEADERS["klines"])
            files.put("um", "markPriceKlines", symbol, name, text, "5m")
    return files


ASK = {
    "symbols": ["ETHUSDT", "BTCUSDT"],
    "types": ["metrics", "markPriceKlines:5m"],
    "first": date(2024, 1, 1),
    "last": date(2024, 1, 3),
    "limits": QUICK,
}


def tape_digest(log_dir: Path) -> str:
    log = EventLog.open(log_dir)
    return build_tape(log, Selection(kinds=log.info().instruments)).digest


def test_a_period_into_a_log(tmp_path):
    files = days()
    (tmp_path / "log" / "commits").mkdir(parents=True)  # its creation was cut short
    with serving(files) as server:
        report = fetch_archive("binance-um", tmp_path / "log", base=server.base, **ASK)
        assert (report.files, report.fetched, report.commits) == (12, 12, 4)
        assert report.events == 2 * 3 * (288 + 288 + 288)
        assert report.received_bytes == sum(len(v) for k, v in files.items() if k.endswith(".zip"))
        sources = [dict(c.source) for c in EventLog.open(tmp_path / "log").commits()]
        assert [s["map"] for s in sources[:2]] == [
            "binance-um/markPriceKlines",
            "binance-um/metrics",
        ]
        assert [f["file"][:7] for s in sources for f in s["files"]] == ["BTCUSDT"] * 6 + [
            "ETHUSDT"
        ] * 6
        assert sources[0]["rows"] == 3 * 288
        asked = len(server.requests)
        again = fetch_archive("binance-um", tmp_path / "log", base=server.base, **ASK)
        assert (again.kept, again.fetched, again.events, again.commits) == (12, 0, 0, 0)
        assert len(server.requests) == asked
        assert EventLog.open(tmp_path / "log").verify() == []


def test_the_log_does_not_depend_on_what_arrives_first(tmp_path):
    files = days()
    slow = next(path for path in files if path.endswith(".zip"))
    digests = set()
    for i, jobs in enumerate((1, 4)):
        with serving(files) as server:
            if jobs == 4:
                server.faults[slow] = [Fault(stall_s=0.3), Fault(status=500)]
            fetch_archive("binance-um", tmp_path / str(i), base=server.base, jobs=jobs, **ASK)
        digests.add(EventLog.open(tmp_path / str(i)).digest)
    assert len(digests) == 1


def test_missing_refused_and_failed_files(tmp_path):
    files = days()
    paths = sorted(p for p in files if p.endswith(".zip"))
    missing, garbage, failing, wrong = paths[1], paths[4], paths[7], paths[10]
    del files[missing + ".CHECKSUM"]
    files.put_bytes(garbage, b"PK\x03\x04 this is no zip")
    text = csv(archive.kline_rows([(T0, 1, 1, 1, 1, 0, 0)], 60), HEADERS["klines"])
    files.put_bytes(wrong, archive.zipped("x.csv", text))
    with serving(files) as server:
        server.always = lambda p: Fault(status=503) if p == failing else None
        limits = Limits(attempts=2, backoff_s=0)
        ask = {**ASK, "limits": limits}
        report = fetch_archive("binance-um", tmp_path / "log", base=server.base, **ask)
        assert report.missing == (missing,)
        assert list(report.failed) == [failing]
        assert sorted(report.refused) == sorted([garbage, wrong])
        assert report.fetched == 10
        shown = describe_fetch(report)
        assert "1 missing in the archive: BTCUSDT markPriceKlines 5m 2024-01-02" in shown
        assert "given up after 2 attempts" in shown
        server.always = lambda _path: None
        server.files = days()  # the venue has mended its files
        for path in (garbage, wrong):
            (tmp_path / "log.archive" / path).unlink()
        fetch_archive("binance-um", tmp_path / "log", base=server.base, **ask)
    with serving(days()) as server:
        fetch_archive("binance-um", tmp_path / "whole", base=server.base, **ask)
    assert tape_digest(tmp_path / "log") == tape_digest(tmp_path / "whole")


def test_what_cannot_be_asked_for(tmp_path):
    with serving({}) as server:
        for more, says in (
            ({"symbols": ["../../x"]}, "is no symbol"),
            ({"symbols": ["btcusdt"]}, "is no symbol"),
            ({"symbols": []}, "at least one symbol"),
            ({"types": ["trades"]}, "no type of the archive"),
            ({"types": ["klines"]}, "say an interval"),
            ({"types": ["klines:7m"]}, "say an interval"),
            ({"types": ["metrics:1m"]}, "has no interval"),
            ({"types": ["klines:1m", "klines:5m"]}, "would overlap"),
            ({"types": ["premiumIndexKlines:1m"]}, "gives no events"),
            ({"last": date(2023, 1, 1)}, "before it begins"),
        ):
            with pytest.raises(ConfigError, match=says):
                fetch_archive("binance-um", tmp_path / "log", base=server.base, **{**ASK, **more})
        assert not list(tmp_path.iterdir())
        with pytest.raises(ConfigError, match="has no archive"):
            fetch_archive("okx", tmp_path / "log", base=server.base, **ASK)
        with pytest.raises(DataError, match="none of the 12 files"):
            fetch_archive("binance-um", tmp_path / "log", base=server.base, **ASK)
        assert not (tmp_path / "log").exists()
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.txt").write_text("x")
        with pytest.raises(LogError):
            fetch_archive("binance-um", tmp_path / "other", base=server.base, **ASK)


@pytest.mark.slow
def test_interrupted_twice_it_ends_with_the_same_events():
    shown: list[str] = []
    assert fetch_resume.trial(
        days(9, ["BTCUSDT"]),
        ["BTCUSDT"],
        9,
        types=ASK["types"],
        seed=3,
        stall_s=0.1,
        show=shown.append,
    )
    assert "exit -9" in shown[2]


def test_where_files_lie():
    files = archive_files(
        "cm",
        ["BTCUSD_PERP"],
        ["indexPriceKlines:1m", "fundingRate", "metrics"],
        date(2024, 1, 31),
        date(2024, 2, 1),
    )
    assert [f.path.removeprefix("data/futures/cm/") for f in files] == [
        "daily/indexPriceKlines/BTCUSD/1m/BTCUSD-1m-2024-01-31.zip",
        "daily/indexPriceKlines/BTCUSD/1m/BTCUSD-1m-2024-02-01.zip",
        "monthly/fundingRate/BTCUSD_PERP/BTCUSD_PERP-fundingRate-2024-01.zip",
        "monthly/fundingRate/BTCUSD_PERP/BTCUSD_PERP-fundingRate-2024-02.zip",
        "daily/metrics/BTCUSD_PERP/BTCUSD_PERP-metrics-2024-01-31.zip",
        "daily/metrics/BTCUSD_PERP/BTCUSD_PERP-metrics-2024-02-01.zip",
    ]


def command(server, log: Path, *more: str):
    words = "fetch binance-um --symbols BTCUSDT --types metrics --from 2024-01-01 --to 2024-01-04"
    arguments = [*words.split(), "--log", str(log), *more]
    return CliRunner().invoke(cli, arguments, env={"LIQBT_ARCHIVE": server.base})


def test_the_command(tmp_path):
    with serving(days(symbols=["BTCUSDT"])) as server:
        done = command(server, tmp_path / "log", "--json")
        assert done.exit_code == 0
        value = json.loads(done.stdout)
        assert (value["fetched"], len(value["missing"])) == (3, 1)
        done = command(server, tmp_path / "log", "--strict")
        assert done.exit_code == 1
        assert "1 missing in the archive: BTCUSDT metrics 2024-01-04" in done.stdout
        path = "data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-04.zip"
        server.files |= one(b"PK\x03\x04garbage", path)
        done = command(server, tmp_path / "log")
        assert done.exit_code == 2
        assert done.stderr.startswith(
            f"liqbt: 1 of 4 files could not be had or read, the first {path}: "
        )
        assert done.stderr.endswith(
            f"; what was had is in {tmp_path / 'log'}: repeat the command\n"
        )
        assert done.stderr.count("\n") == 1


def test_ingest_by_vendor_and_throttle_in_log_info(tmp_path):
    once = [(T0 + i * 10**9, "SELL", "100.5", "7") for i in range(5)]
    text = csv(archive.liquidation_rows(once), HEADERS["liquidationSnapshot"])
    path = tmp_path / "BTCUSDT-liquidationSnapshot-2024-01-01.zip"
    path.write_bytes(archive.zipped("a.csv", text))
    log = str(tmp_path / "log")
    for name in ("binance-um", "binance-um/liquidationSnapshot"):
        done = CliRunner().invoke(cli, ["ingest", name, str(path), "--log", log])
        assert done.exit_code == 0
    assert "already in the log" in done.stdout
    info = CliRunner().invoke(cli, ["log", "info", log]).stdout
    assert "liquidation of binance-um: at most one liquidation per symbol and second" in info
    assert EventLog.open(log).read(Kind.LIQUIDATION).num_rows == 5


EXPERIMENT = """
name: x
data:
  root: .
  sources:
    - {format: binance-um/metrics, files: [BTCUSDT-metrics-2024-01-01.zip]}
    - {%s, files: [BTCUSDT-5m-2024-01-01.zip]}
symbols:
  BTC:
    events: {mark: binance-um/BTCUSDT, open_interest: binance-um/BTCUSDT}
    margin: {tiers: BTCUSDT}
"""


def test_an_experiment_names_a_vendors_format(tmp_path, monkeypatch):
    monkeypatch.delenv("LIQBT_DATA", raising=False)
    for path, data in days(1, ["BTCUSDT"]).items():
        (tmp_path / Path(path).name).write_bytes(data)
    path = tmp_path / "x.yaml"
    path.write_text(EXPERIMENT % "format: binance-um/markPriceKlines")
    origin = open_events(load_experiment(path), path, tmp_path / "cache")
    assert {k.name.lower(): n for k, n in origin.log.info().events.items()} == {
        "mark": 576,
        "open_interest": 288,
    }
    assert origin.sources[1]["map"] == "binance-um/markPriceKlines"
    first = origin.log.path
    (tmp_path / "ETHUSDT-5m-2024-01-01.zip").write_bytes(
        (tmp_path / "BTCUSDT-5m-2024-01-01.zip").read_bytes()
    )
    path.write_text(path.read_text().replace("BTCUSDT-5m", "ETHUSDT-5m"))
    other = open_events(load_experiment(path), path, tmp_path / "cache")
    assert other.log.path != first  # the name of a file says whose data it is
    for wrong, says in (
        ("format: binance-um/klin", "did you mean 'klines'"),
        ("format: binance", "did you mean 'binance-"),
        ("map: m.yaml, format: tardis", "give either 'map'"),
        ("max_bad: 0", "give either 'map'"),
    ):
        path.write_text(EXPERIMENT % wrong)
        with pytest.raises(ConfigError, match=says):
            open_events(load_experiment(path), path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "says"),
    [("binance-ux", "did you mean 'binance-um'"), ("binance-um/kline", "did you mean 'klines'")],
)
def test_vendors_that_there_are_not(tmp_path, name, says):
    from liqbt.study.ingest import ingest_files

    with pytest.raises(ConfigError, match=says):
        ingest_files(name, [tmp_path / "x"], tmp_path / "log")
    assert not list(tmp_path.iterdir())
