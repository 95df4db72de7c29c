"""A log in an object store, tried on moto's S3 server in a process of its own."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liqbt.errors import AlreadyRunningError, LogError
from liqbt.log.commits import HEAD, commit_name, head_bytes
from liqbt.log.objects import ObjectPath, _Anew, place_of
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.types import Kind

pytest.importorskip("botocore", reason="needs the extra `storage`")
pytest.importorskip("moto", reason="needs an S3 server: moto[s3,server]")

T = 1_700_000_000_000_000_000
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
print("port", server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


def trades(n=20, symbol="BTC", start=T):
    at = start + np.arange(n) * 1_000_000_000
    columns = {"ts_known": at, "ts_event": at, "venue": "v", "symbol": symbol, "side": 1}
    return event_table(Kind.TRADE, {**columns, "price": 100.0 + np.arange(n), "size_coins": 1.0})


def source(i=0):
    return {"file": f"{i}.csv", "file_sha256": f"{i:064d}", "reader": "r"}


@pytest.fixture(scope="module")
def endpoint():
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = next(line.split()[1] for line in server.stdout if line.startswith("port"))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def place(endpoint, tmp_path, monkeypatch, request):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "desk",
        "AWS_SECRET_ACCESS_KEY": "desk",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    _client().create_bucket(Bucket="desk")
    return f"s3://desk/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}/log"


def _client():
    from liqbt.log import objects

    return objects._client(os.getpid(), *objects._settings())


def _change(path: ObjectPath, change) -> None:
    path.put(change(_Anew(*path.parts).read_bytes()))


def _flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def test_what_is_written_is_read_elsewhere_as_it_would_be_from_a_folder(
    place, tmp_path, monkeypatch
):
    folder = EventLog.create(tmp_path / "log")
    stored = EventLog.create(place)
    for log in (folder, stored):
        log.append([(Kind.TRADE, trades())], source(), quarantine=None)
        log.append([(Kind.TRADE, trades(symbol="ETH"))], source(1))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    there = EventLog.open(Path(place))  # which takes one stroke of two away
    assert str(there.path) == place
    assert there.digest == folder.digest
    assert there.read(Kind.TRADE).equals(folder.read(Kind.TRADE))
    assert there.verify() == []
    info = there.info()
    assert (info.commits, info.segments, info.leftovers) == (2, 2, ())
    assert there.append([(Kind.TRADE, trades())], source()) is None
    there.withdraw("1.csv", "wrong")
    assert stored.read(Kind.TRADE).num_rows == 20


def test_commits_and_segments_are_fetched_once(place, monkeypatch):
    log = EventLog.create(place)
    log.append([(Kind.TRADE, trades())], source())
    asked: list[str] = []
    fetched = ObjectPath._fetched
    monkeypatch.setattr(ObjectPath, "_fetched", lambda p: (asked.append(p.name), fetched(p))[1])
    assert log.read(Kind.TRADE).num_rows == 20
    assert asked == [HEAD]
    for copy in Path(os.environ["XDG_CACHE_HOME"], "liqbt", "objects").iterdir():
        copy.write_bytes(_flipped(copy.read_bytes()))  # a damaged copy is no copy
    assert log.read(Kind.TRADE).num_rows == 20
    assert len(asked) == 4


def test_of_two_writers_one_wins_and_the_other_loses_nothing(place):
    log = EventLog.create(place)
    with log.writing() as first, log.writing() as second:
        first.append([(Kind.TRADE, trades())], source())
        with pytest.raises(AlreadyRunningError, match=r"meanwhile: nothing of '1.csv' was added"):
            second.append([(Kind.TRADE, trades(symbol="ETH"))], source(1))
        assert [c.source["file"] for c in log.commits()] == ["0.csv"]
        second.append([(Kind.TRADE, trades(symbol="ETH"))], source(1))  # the repeat
    assert [c.source["file"] for c in log.commits()] == ["0.csv", "1.csv"]
    assert log.verify() == []


def test_a_lost_answer_is_not_a_lost_race(place, monkeypatch):
    log = EventLog.create(place)
    put = ObjectPath._put

    def twice(path, data, **condition):
        put(path, data, **condition)
        if path.name == commit_name(1):
            put(path, data, **condition)

    monkeypatch.setattr(ObjectPath, "_put", twice)
    assert log.append([(Kind.TRADE, trades())], source()).number == 1


@pytest.mark.parametrize("before", ["commit", "head"])
def test_what_a_killed_writer_left_is_no_event_and_in_nobodys_way(place, monkeypatch, before):
    log = EventLog.create(place)
    puts = {"commit": "create", "head": "exchange"}[before]
    real = getattr(ObjectPath, puts)

    def killed(path, *rest):
        at_its_head = path.name == HEAD and (log.path / "commits" / commit_name(1)).exists()
        if at_its_head or path.name == commit_name(1):
            raise KeyboardInterrupt
        return real(path, *rest)

    with monkeypatch.context() as cut:
        cut.setattr(ObjectPath, puts, killed)
        with pytest.raises(KeyboardInterrupt):
            log.append([(Kind.TRADE, trades())], source())
    assert len(log.info().leftovers) == (before == "commit")
    assert log.read(Kind.TRADE).num_rows == (0 if before == "commit" else 20)
    log.append([(Kind.TRADE, trades())], source())
    log.append([(Kind.TRADE, trades(symbol="ETH"))], source(1))
    assert log.verify() == []
    assert log.read(Kind.TRADE).num_rows == 40


def test_a_segment_that_another_pyarrow_wrote_is_taken_as_it_is(place, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    log, other = EventLog.create(place), EventLog.create(f"{place}2")
    segment = other.append([(Kind.TRADE, trades())], source()).segments[0]
    sink = pa.BufferOutputStream()
    pq.write_table(trades(), sink, compression="none")
    (log.path / "segments" / segment.file).put(sink.getvalue())
    held = log.append([(Kind.TRADE, trades())], source()).segments[0]
    assert held.logical_sha256 == segment.logical_sha256
    assert held.file_sha256 != segment.file_sha256
    assert log.verify() == []
    pq.write_table(trades(symbol="ETH"), sink := pa.BufferOutputStream())
    eth = other.append([(Kind.TRADE, trades(symbol="SOL"))], source(1)).segments[0]
    (log.path / "segments" / eth.file).put(sink.getvalue())
    with pytest.raises(LogError, match=f"{eth.file} .*"):
        log.append([(Kind.TRADE, trades(symbol="SOL"))], source(1))
    assert len(log.commits()) == 1


def test_a_flipped_byte_is_named(place):
    log = EventLog.create(place)
    segment = log.append([(Kind.TRADE, trades())], source()).segments[0]
    assert log.verify() == []
    _change(log.path / "segments" / segment.file, _flipped)
    [said] = log.verify()
    assert said == (
        f"segment {place}/segments/{segment.file} is damaged: its SHA-256 is not the committed one"
    )
    _change(log.path / "segments" / segment.file, _flipped)
    _change(log.path / "commits" / commit_name(1), _flipped)
    assert f"{place}/commits/00000001.json is damaged" in log.verify()[0]
    _change(log.path / "commits" / commit_name(1), _flipped)
    _change(log.path / HEAD, _flipped)
    with pytest.raises(LogError, match=r"log\.json is damaged"):
        log.commits()


def test_another_log_of_the_same_name_is_not_mixed_with_what_is_kept(place):
    log = EventLog.create(place)
    log.append([(Kind.TRADE, trades())], source())
    for path in [*(log.path / "commits").iterdir(), *(log.path / "segments").iterdir()]:
        _client().delete_object(Bucket="desk", Key=path.key)
    (log.path / HEAD).put(head_bytes(0, "0" * 64))
    other = EventLog.create(f"{place}3")
    other.append([(Kind.TRADE, trades(symbol="ETH"))], source())
    for folder in ("segments", "commits"):
        for path in (other.path / folder).iterdir():
            (log.path / folder / path.name).put(path.read_bytes())
    (log.path / HEAD).put((other.path / HEAD).read_bytes())
    assert log.read(Kind.TRADE).equals(other.read(Kind.TRADE))


def test_no_credentials_no_bucket_no_server_and_no_log_are_one_sentence(place, monkeypatch):
    with pytest.raises(LogError, match="there is no event log at s3://desk/none"):
        EventLog.open("s3://desk/none")
    with pytest.raises(LogError, match="cannot create s3://nobody/log: there is no such bucket"):
        EventLog.create("s3://nobody/log")
    with pytest.raises(LogError, match=r"s3://BUCKET/FOLDER is expected"):
        EventLog.open("s3://desk")
    with pytest.raises(LogError, match=r"s3://BUCKET/FOLDER is expected"):
        EventLog.open("gs://desk/log")
    with pytest.raises(LogError, match=r"needs a folder"):
        (place_of(place) / "x").write_bytes(b"")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LogError, match=r"takes no credentials from here .* AWS_ENDPOINT_URL"):
        EventLog.open(place)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(LogError, match=r"takes no credentials from here \(Unable to locate"):
        EventLog.open(place)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "desk")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "desk")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("liqbt.log.objects._ASKED", 1)
    with pytest.raises(LogError, match=r"log.json cannot be read: EndpointConnectionError"):
        EventLog.open(place)


def _command(monkeypatch, words) -> int:
    from liqbt.__main__ import main

    monkeypatch.setattr(sys, "argv", ["liqbt", *words])
    try:
        main()
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_commands_take_an_address(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("map.yaml").write_text(
        "about: x\ntime: {column: t, unit: s}\nstamp: instant\nfeed: pushed\nlatency: 1s\n"
        "venue: v\nsymbol: {constant: BTC}\n"
        "emit:\n  - {kind: mark, fields: {price: p}, price_is: mark}\n"
    )
    Path("marks.csv").write_text("t,p\n1700000000,100\n1700000060,101\n")
    for words in (
        ["ingest", "map.yaml", "marks.csv", "--log", place],
        ["log", "info", place],
        ["log", "verify", place],
    ):
        assert _command(monkeypatch, words) == 0
        said = capsys.readouterr()
    assert said.out.strip() == f"{place}: every committed byte is as it was written"
    for words in (
        ["fetch", "binance-um", "--symbols", "BTCUSDT", "--types", "metrics", "--from",
         "2024-01-01", "--to", "2024-01-01", "--log", place],
        ["record", "okx=BTC-USDT-SWAP", "--log", place],
    ):  # fmt: skip
        assert _command(monkeypatch, words) == 2
        assert place in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "map.yaml", "marks.csv"]
