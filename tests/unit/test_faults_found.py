"""What the campaigns found once, each as a test of its own."""

from __future__ import annotations

import json
import lzma
import os
import re
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from soak import faulty, row
from soak.seeds import TABULAR
from toys import toy_tape

from liqbt.config.fields import duration_ns, instant_ns
from liqbt.config.yaml import read_yaml
from liqbt.errors import ConfigError, DataError, EstimatorError, LiqbtError
from liqbt.estimators.config import MapParams
from liqbt.forecasts import joined_clusters
from liqbt.gate import check
from liqbt.gate.baseline import load_baseline
from liqbt.ingest.colmap import load_map, parse_map
from liqbt.ingest.expressions import parse_expression
from liqbt.ingest.files import sha256_file
from liqbt.ingest.table import ingest_file
from liqbt.replay import replay
from liqbt.study.plan import prepare
from liqbt.study.published.level_file import read_published
from liqbt.study.published.work import _check_prices
from liqbt.study.schema import parse_experiment
from liqbt.study.store import run_lock, write_run
from liqbt.tape.build import cache_key, load_cached, store_cached
from liqbt.tape.values import Selection, tape_from_events
from liqbt.types import CLUSTER_DTYPE, DAY_NS, EVENT_DTYPE, Instrument, Kind

POINTS = next(seed for seed in TABULAR if seed.name == "points")
BARS = next(seed for seed in TABULAR if seed.name == "bars")


def points(path: Path, **columns: pa.Array) -> Path:
    good = {
        "t": pa.array([1_700_000_000 + 300 * i for i in range(5)]),
        "px": pa.array([100.0] * 5),
        "oi": pa.array([5000.0] * 5),
    }
    pq.write_table(pa.table({**good, **columns}), path)
    return path


def test_durations_and_times_that_leave_int64_are_refused():
    with pytest.raises(ConfigError, match="key 'latency': '99999999d' is longer than ten years"):
        parse_map({**POINTS.mapping, "latency": "99999999d"}, "here")
    for text in ("99999999d", "1e5d", "999999999999h"):
        with pytest.raises(ValueError, match=r"longer than ten years|not a duration"):
            duration_ns(text)
    for text in ("0001-01-01", "9999-12-31", "1999-12-31"):
        with pytest.raises(ValueError, match="no time from 2009 to 2100"):
            instant_ns(text)


def test_a_parquet_column_twice_is_refused(tmp_path):
    table = pa.table({"t": [1_700_000_000], "px": [1.0], "oi": [1.0]})
    pq.write_table(table.append_column("px", table["px"]), tmp_path / "p.parquet")
    with pytest.raises(DataError, match="has the column 'px' twice"):
        ingest_file(parse_map(POINTS.mapping, "here"), tmp_path / "p.parquet")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1.0]] * 5),
        pa.array([{"a": 1.0}] * 5),
        pa.array([b"x"] * 5),
        pa.array([5] * 5, pa.duration("s")),
        pa.array([5] * 5, pa.time64("us")),
    ],
)
def test_a_parquet_column_of_no_plain_type_is_refused(tmp_path, values):
    with pytest.raises(DataError, match=r"column 'px' holds .*: numbers, text or times"):
        ingest_file(parse_map(POINTS.mapping, "here"), points(tmp_path / "p.parquet", px=values))


def test_text_in_parquet_that_is_no_utf8_is_refused(tmp_path):
    mapping = {**POINTS.mapping, "symbol": {"column": "sym"}}
    broken = pa.array([b"\xa0\xff"] * 5).view(pa.string())
    path = points(tmp_path / "p.parquet", sym=broken)
    with pytest.raises(DataError, match="is no readable Parquet file"):
        ingest_file(parse_map(mapping, "here"), path)


def test_times_that_python_cannot_hold_are_put_aside(tmp_path):
    mapping = parse_map({**POINTS.mapping, "time": {"column": "t"}}, "here")
    times = [1_700_000_000 + 300 * i for i in range(4)] + [2**40]
    for zone in (None, "Not/AZone"):
        column = pa.array(times, pa.timestamp("s", zone))
        done = ingest_file(mapping, points(tmp_path / "p.parquet", t=column), max_bad=0.5)
        assert done.summary.events == {"mark": 4, "open_interest": 4}
        assert done.quarantined["row"].tolist() == [5]
        assert done.quarantine_table() is not None


def test_a_local_time_that_python_cannot_hold_is_put_aside(tmp_path):
    mapping = parse_map(
        {**BARS.mapping, "time": {"column": "open_time", "zone": "Europe/Berlin"}}, "x"
    )
    n = 4
    table = {
        "open_time": pa.array(
            [*range(1_735_689_600, 1_735_689_600 + 3 * 3600, 3600), 2**50], pa.timestamp("s")
        )
    }
    table |= {c: pa.array([100.0] * n) for c in ("open", "high", "low", "close", "volume")}
    table |= {c: pa.array([1.0] * n) for c in ("long_liq", "short_liq", "funding")}
    pq.write_table(pa.table(table), tmp_path / "BTC-1h.parquet")
    done = ingest_file(mapping, tmp_path / "BTC-1h.parquet", max_bad=0.5)
    assert done.summary.events["bar"] == 3


def test_a_damaged_lzma_member_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", POINTS.data * 20)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive, pytest.raises(lzma.LZMAError):
        archive.read("a.csv")
    with pytest.raises(DataError, match=r"a\.zip is truncated or damaged"):
        ingest_file(parse_map(POINTS.mapping, "here"), path)


def test_a_zip_member_without_a_name_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"t,px,oi\n")
    path.write_bytes(path.read_bytes().replace(b"x", b"\0"))  # read as no name at all
    with pytest.raises(DataError, match=r"holds '': a \.csv or \.jsonl is expected"):
        ingest_file(parse_map(POINTS.mapping, "here"), path)


def test_a_header_of_many_columns_takes_no_time_to_speak_of(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"c{i}" for i in range(60_000)) + ",c5\n")
    with pytest.raises(DataError, match="has the column 'c5' twice"):
        ingest_file(parse_map(POINTS.mapping, "here"), path)


def test_places_with_control_characters_are_refused(tmp_path):
    raw = {
        "name": "x",
        "data": {"log": "a\0b"},
        "symbols": {
            "A": {"events": {"mark": "v/A", "open_interest": "v/A"}, "margin": {"tiers": "BTCUSDT"}}
        },
    }
    with pytest.raises(ConfigError, match="cannot be the name of a file"):
        parse_experiment(raw, tmp_path / "x.yaml")


@pytest.mark.parametrize("tag", ["!!timestamp 2025-0101", "!!binary aGk=", "!mine a", "!!str a"])
def test_tags_are_refused(tmp_path, tag):
    path = tmp_path / "x.yaml"
    path.write_text(f"name: {tag}\n")
    for read in (read_yaml, load_map):
        with pytest.raises(ConfigError, match=r"x\.yaml.* tags are not allowed"):
            read(path)


def test_a_sigma_window_that_no_memory_holds_is_refused():
    with pytest.raises(ConfigError, match="at most 1000000"):
        MapParams(sigma_window=3000 * DAY_NS, sigma_sampling=10**6)


def test_every_message_is_one_line():
    assert str(DataError("a\nb\u2028c \ud800 é")) == "a\\nb\\u2028c \\ud800 é"
    assert str(LiqbtError()) == ""
    assert len(str(DataError("x" * 100_000))) < 2100


def test_a_run_removes_what_killed_writers_of_the_same_run_left(tmp_path):
    final = tmp_path / "x" / "0123"
    for name in (".0123.99.tmp", ".4567.99.tmp", ".89ab.99.tmp"):
        (final.parent / name).mkdir(parents=True)
    with run_lock(final.with_name("89ab")):  # whoever writes it is alive
        write_run(
            final,
            manifest={"run_id": "0123"},
            config={},
            scores=[],
            verdicts=[],
            tables={"flow": [], "landmarks": [], "bands": [], "sensitivities": []},
            parquet={},
        )
    left = sorted(p.name for p in final.parent.iterdir() if p.name != ".locks")
    assert left == [".89ab.99.tmp", "0123"]


def test_what_is_no_file_is_refused_before_it_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for read in (read_yaml, read_published, load_baseline, sha256_file):
        with pytest.raises(DataError, match=r"pipe\.csv is a pipe; expected a file"):
            read(tmp_path / "pipe.csv")


def test_a_level_beyond_all_prices_is_refused(tmp_path):
    tape, path = toy_tape(60), tmp_path / "levels.csv"
    head = "at,symbol,side,low,high,notional\n2025-01-10T00:00:00Z,TOY,long,"
    for low, high in (("5e-324", "49000"), ("1e-310", "1e-300"), ("48000", "1e14")):
        path.write_text(f"{head}{low},{high},1000\n")
        with pytest.raises(DataError, match=r"row 1 has a level .* within a factor of 1000"):
            _check_prices(path, read_published(path), 0, tape, Kind.MARK)
    path.write_text(f"{head}51,49000,1000\n")
    _check_prices(path, read_published(path), 0, tape, Kind.MARK)


def test_half_a_character_is_refused(tmp_path):
    for text in ('name: "\\ud800"', '"\\udfff": 1', 'a: [{b: "x\\ud800"}]'):
        (tmp_path / "e.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"half of a character, '\\ud"):
            read_yaml(tmp_path / "e.yaml")


@pytest.mark.parametrize("number", ["9" * 400, "-1e301", "1e999"])
def test_a_number_that_no_float_holds_is_no_part_of_an_expression(number):
    with pytest.raises(ValueError, match=r"holds a number beyond 1e\+300"):
        parse_expression(f"px * {number}")


@pytest.mark.parametrize(
    "params", [{"step": 5e-324}, {"step": 1e-7}, {"fine_bins": 10**9}, {"coarse": 10**12}]
)
def test_a_grid_that_no_memory_holds_is_refused(params):
    with pytest.raises(ConfigError, match=f"{next(iter(params))} is .*: out of range"):
        MapParams(**params)


def test_more_forecasts_than_memory_holds_are_refused_before_any_is_issued(tmp_path):
    (tmp_path / "world.yaml").write_text("name: small\ndays: 2\nwarmup_days: 1\n")
    text = (
        "name: small\ndata: {world: world.yaml}\nsymbols: {SIM: {events: {mark: simulated/SIM, "
        "open_interest: simulated/SIM}, margin: {tiers: BTCUSDT}}}\nschedule: {every: 1h"
    )
    (tmp_path / "e.yaml").write_text(text + ", max_forecasts: 47}")
    with pytest.raises(ConfigError, match="make 48 forecasts, some 0 GB of memory; at most 47"):
        prepare(tmp_path / "e.yaml", tmp_path / "r")
    (tmp_path / "e.yaml").write_text(text + ", max_forecasts: 48}")
    prepare(tmp_path / "e.yaml", tmp_path / "r")


def test_accepting_at_once_loses_nothing(tmp_path, monkeypatch):
    """Two that are accepted at the same time both stand in the history."""
    path = tmp_path / "b.json"

    def slow(_run, history):
        time.sleep(0.05)
        return list(history)

    class Kept:
        experiment = "x"

        def __init__(self):
            self.history = json.loads(path.read_text())

    monkeypatch.setattr(check, "load_baseline", lambda _path: Kept())
    monkeypatch.setattr(check, "_change", lambda _run, _old, reason: reason)
    monkeypatch.setattr(check, "baseline_of", slow)
    monkeypatch.setattr(check, "save_baseline", lambda kept, p: p.write_text(json.dumps(kept)))
    run = SimpleNamespace(manifest={"experiment": "x"})
    reasons = [f"the reason number {i}" for i in range(4)]
    threads = [threading.Thread(target=check.update_baseline, args=(run, path, r)) for r in reasons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(path.read_text())) == reasons


def _tape(n: int = 3):
    events = np.zeros(n, EVENT_DTYPE)
    events["ts_known"] = events["ts_event"] = 1_700_000_000_000_000_000 + np.arange(n)
    events["kind"] = Kind.MARK
    return tape_from_events(events, (Instrument("v", "A"),))


def test_the_tape_cache_removes_what_killed_writers_left(tmp_path):
    (tmp_path / "old.events.tmp").write_bytes(b"half")
    (tmp_path / "old.events.99.tmp").write_bytes(b"half")
    key = cache_key("0" * 64, Selection(kinds={Kind.MARK: (Instrument("v", "A"),)}))
    store_cached(tmp_path, key, [_tape().events], _tape().instruments)
    assert not list(tmp_path.glob("*.tmp"))
    cached = load_cached(tmp_path, key)
    assert cached is not None
    assert cached.digest == _tape().digest


class _Raises:
    def update(self, events):
        pass

    def forecast(self, at):
        raise RuntimeError("deep inside\nand more")


def test_an_estimator_that_raises_is_named_with_the_time():
    at = np.array([1_700_000_001_000_000_000])
    with pytest.raises(EstimatorError) as caught:
        replay(_tape(), _Raises(), at)
    assert re.fullmatch(
        r"estimator _Raises, asked for 2023-11-14T22:13:21Z, failed with RuntimeError: deep inside "
        r"\(test_faults_found\.py, line \d+\)",
        str(caught.value),
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_joined_clusters_of_none():
    assert joined_clusters([]).dtype == CLUSTER_DTYPE
    assert len(joined_clusters([])) == 0


def test_the_faulty_disk_fails_where_it_says(tmp_path):
    disk = faulty.Disk(2, faulty.full)
    with faulty.counted(disk), pytest.raises(OSError, match="No space left"):
        (tmp_path / "a").write_text("hello")
    assert disk.names == ["create", "write"]
    (tmp_path / "a").write_text("hello")
    assert disk.seen == 2


def test_a_loss_is_shown_with_its_reason():
    tally = row.Tally("something")
    tally.check("")
    tally.check("it broke")
    said = row.table([tally.row()])
    assert "LOST  something: it broke" in said
    assert tally.row().lost == 1
