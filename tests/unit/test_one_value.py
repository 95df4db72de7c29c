"""One instant, one value: what contradicts itself is refused, what agrees is one, files go back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import DataError, LogError
from liqbt.ingest.cells import as_times
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.table import ingest_file
from liqbt.log.one_value import standing_rows
from liqbt.log.schema import table_columns
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.sources.binance import cm, um
from liqbt.study.ingest import RefusedError, ingest_files
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
from liqbt.types import Instrument, Kind

T0 = 1_704_067_200
S = 10**9
XYZ = Instrument("mine", "XYZ")
EMITS = {
    "bar": (
        "o,h,l,c",
        {"open": "o", "high": "h", "low": "l", "close": "c"},
        ("1,9,1,2", "1,9,1,3"),
    ),
    "mark": (
        "o,h,l,c",
        {"open": "o", "high": "h", "low": "l", "close": "c"},
        ("1,9,1,2", "1,8,1,2"),
    ),
    "open_interest": ("a", {"open_interest_coins": "a"}, ("100", "101")),
    "funding": ("a", {"rate": "a"}, ("0.0001", "0.0002")),
    "liquidation_total": ("a,b", {"long_usd": "a", "short_usd": "b"}, ("5,2", "6,2")),
    "depth": (
        "s,a,b,d",
        {"low": "a", "high": "b", "depth_coins": "d", "depth_usd": "d"},
        ("bid,1,2,7", "bid,1,2,8"),
    ),
}


def mapping(kind, **more):
    bucket = kind not in ("open_interest", "funding", "depth")
    value = {
        "time": {"column": "t", "unit": "s"},
        "stamp": "open" if bucket else "instant",
        "feed": "polled",
        "latency": "60s",
        "venue": "mine",
        "symbol": "XYZ",
        "emit": [{"kind": kind, "fields": EMITS[kind][1]}],
        **({"span": "1h"} if bucket else {}),
        **({"side": {"column": "s", "means": "book_side"}} if kind == "depth" else {}),
        **more,
    }
    if "received" in value:
        del value["latency"]
    return parse_map(value, "m.yaml", default_name="m")


def put(folder, name, header, lines):
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def append(log, done):
    return log.append(done.tables.items(), done.source, revisions=done.revisions, rows=done.rows)


@pytest.mark.parametrize("kind", sorted(EMITS))
@pytest.mark.parametrize("turned", [False, True])
def test_two_values_of_one_instant_are_refused_wherever_they_stand(tmp_path, kind, turned):
    """In one file or in two, next to each other or apart, whichever comes first."""
    header, _, (one, other) = EMITS[kind]
    if turned:
        one, other = other, one
    rows = [f"{T0 + 3600 * i},{one}" for i in range(4)]
    inside = put(tmp_path, "a.csv", f"t,{header}", [*rows, f"{T0},{other}"])
    log = EventLog.create(tmp_path / "log")
    with pytest.raises(
        DataError, match=r"a.csv: rows 1 and 5: .*mine/XYZ at 2024-01-01T0.*two val"
    ):
        append(log, ingest_file(mapping(kind), inside))
    assert log.commits() == []
    append(log, ingest_file(mapping(kind), put(tmp_path, "b.csv", f"t,{header}", rows)))
    late = put(tmp_path, "c.csv", f"t,{header}", [f"{T0 + 3600 * 9},{one}", f"{T0 + 7200},{other}"])
    with pytest.raises(DataError, match=r"c.csv: row 2: .* second value: b.csv \(commit 1\) and"):
        append(log, ingest_file(mapping(kind), late))
    assert len(log.commits()) == 1


@pytest.mark.parametrize("kind", sorted(EMITS))
def test_rows_that_agree_are_one(tmp_path, kind):
    header, _, (one, other) = EMITS[kind]
    lines = [f"{T0},{one}", f"{T0 + 3600},{other}", f"{T0},{one}"]
    done = ingest_file(mapping(kind), put(tmp_path, "a.csv", f"t,{header}", lines))
    assert done.summary.events == {kind: 2}
    assert done.summary.notes == {f"repeated_rows_{kind}": 1}
    log = EventLog.create(tmp_path / "log")
    append(log, done)
    again = put(tmp_path, "b.csv", f"t,{header}", [*lines[:1], f"{T0 + 7200},{one}"])
    append(log, ingest_file(mapping(kind), again))
    tape = build_tape(log, Selection(kinds={Kind[kind.upper()]: (XYZ,)}))
    assert len(tape) == 3


def test_a_later_value_is_a_revision_where_that_is_said(tmp_path):
    """It stands from when it was known, and both that were known are on the tape."""
    lines = [
        f"{T0},100,{T0 + 1}",
        f"{T0},101,{T0 + 9}",
        f"{T0},101,{T0 + 20}",
        f"{T0},100,{T0 + 30}",
    ]
    path = put(tmp_path, "a.csv", "t,a,r", lines)
    received = {"received": {"column": "r", "unit": "s"}}
    log = EventLog.create(tmp_path / "log")
    with pytest.raises(DataError, match=r"rows 1 and 2: .* open_interest_coins 100 and 101"):
        append(log, ingest_file(mapping("open_interest", **received), path))
    revising = mapping("open_interest", revisions="last_known", **received)
    append(log, ingest_file(revising, path))
    tape = build_tape(log, Selection(kinds={Kind.OPEN_INTEREST: (XYZ,)}), outliers="keep")
    assert tape.events["p0"].tolist() == [100, 101, 100]
    assert (tape.events["ts_known"] // S - T0).tolist() == [1, 9, 30]
    before = tape.events[: tape.prefix_index((T0 + 9) * S)]
    assert before["p0"].tolist() == [100]  # what a live reader had


def test_nothing_says_which_of_two_came_later(tmp_path):
    """Without receive times both are known at one time, so that `last_known` settles nothing."""
    path = put(tmp_path, "a.csv", "t,a", [f"{T0},100", f"{T0},101"])
    log = EventLog.create(tmp_path / "log")
    with pytest.raises(DataError, match="both known at one time, so that neither is the later"):
        append(log, ingest_file(mapping("open_interest", revisions="last_known"), path))
    rows = [f"{T0},100,{T0 + 1}", f"{T0},101,{T0 + 1}"]  # in order of arrival
    observed = mapping(
        "open_interest", revisions="last_known", received={"column": "r", "unit": "s"}
    )
    done = ingest_file(observed, put(tmp_path, "b.csv", "t,a,r", rows))
    assert done.tables[Kind.OPEN_INTEREST]["open_interest_coins"].to_pylist() == [101]
    assert done.summary.notes == {"revised_rows_open_interest": 1}


def test_longs_and_shorts_in_a_row_each_are_two_halves(tmp_path):
    path = put(tmp_path, "a.csv", "t,a,b", [f"{T0},5,0", f"{T0},0,7", f"{T0 + 3600},0,0"])
    log = EventLog.create(tmp_path / "log")
    append(log, ingest_file(mapping("liquidation_total"), path))
    tape = build_tape(log, Selection(kinds={Kind.LIQUIDATION_TOTAL: (XYZ,)}))
    assert (tape.events["p0"].sum(), tape.events["p1"].sum()) == (5, 7)


def test_one_number_has_one_content(tmp_path):
    rows = [f"{T0},7,100,1", f"{T0 + 1},8,100,1"]
    value = {
        "time": {"column": "t", "unit": "s"},
        "stamp": "instant",
        "feed": "pushed",
        "latency": "1s",
        "venue": "mine",
        "symbol": "XYZ",
        "id": "i",
        "emit": [{"kind": "trade", "fields": {"price": "p", "size_coins": "q"}}],
    }
    trades = parse_map(value, "m.yaml")
    log = EventLog.create(tmp_path / "log")
    append(log, ingest_file(trades, put(tmp_path, "a.csv", "t,i,p,q", rows)))
    append(
        log, ingest_file(trades, put(tmp_path, "b.csv", "t,i,p,q", [*rows[1:], f"{T0 + 2},9,1,1"]))
    )
    other = put(tmp_path, "c.csv", "t,i,p,q", [f"{T0 + 1},8,105,1"])
    with pytest.raises(DataError, match=r"trade mine/XYZ number 8 .* price 100 and 105"):
        append(log, ingest_file(trades, other))


LIQUIDATIONS = {
    "time": {"column": "t", "unit": "s"},
    "stamp": "instant",
    "feed": "pushed",
    "latency": "1s",
    "venue": "mine",
    "symbol": "XYZ",
    "side": {"column": "s", "means": "order_side"},
    "emit": [{"kind": "liquidation", "fields": {"price": "p", "size_coins": "q"}}],
}


def liquidations(**more):
    return parse_map({**LIQUIDATIONS, **more}, "m.yaml", default_name="liq")


def test_the_same_bytes_by_another_map_and_the_way_out(tmp_path):
    path = put(tmp_path, "liq.csv", "t,s,p,q", [f"{T0},sell,9,1", f"{T0 + 1},buy,8,2"])
    wrong = liquidations(
        side={"column": "s", "means": "position_side", "values": {"buy": "long", "sell": "short"}}
    )
    log = EventLog.create(tmp_path / "log")
    first = append(log, ingest_file(wrong, path))
    with pytest.raises(LogError, match=r"liq.csv is in the log already, read by 'liq'.*withdraw"):
        append(log, ingest_file(liquidations(), path))
    with pytest.raises(LogError, match=r"nearest: 'liq.csv'"):
        log.withdraw("lik.csv", "a reason")
    with pytest.raises(LogError, match="needs a reason"):
        log.withdraw("liq.csv", " ")
    taken = log.withdraw("liq.csv", "sides turned around")
    assert taken.withdraws == (first.number,)
    assert log.info().events == {}
    assert log.info().withdrawn == (("liq.csv", "sides turned around"),)
    append(log, ingest_file(liquidations(), path))
    tape = build_tape(log, Selection(kinds={Kind.LIQUIDATION: (XYZ,)}))
    assert tape.events["side"].tolist() == [1, -1]
    assert log.verify() == []
    log.withdraw("liq.csv", "and back")
    append(log, ingest_file(wrong, path))  # its segment is there still
    assert log.read(Kind.LIQUIDATION)["side"].to_pylist() == [-1, 1]
    assert (log.verify(), log.info().leftovers) == ([], ())


def test_a_file_of_one_name_grows_but_does_not_change(tmp_path):
    rows = [f"{T0 + i},sell,9,{1 + i}" for i in range(4)]
    log = EventLog.create(tmp_path / "log")
    for n in (2, 4):
        append(log, ingest_file(liquidations(), put(tmp_path, "liq.csv", "t,s,p,q", rows[:n])))
    assert len(build_tape(log, Selection(kinds={Kind.LIQUIDATION: (XYZ,)}))) == 4
    mended = [*rows[:2], f"{T0 + 2},sell,7,3", rows[3]]
    with pytest.raises(
        LogError, match=r"of this name .* and 1 of its liquidations are not in this"
    ):
        append(log, ingest_file(liquidations(), put(tmp_path, "liq.csv", "t,s,p,q", mended)))


def test_every_file_is_looked_at_and_every_refusal_listed(tmp_path):
    (tmp_path / "m.yaml").write_text(
        "time: {column: t, unit: s}\nstamp: instant\nfeed: polled\nlatency: 60s\nvenue: mine\n"
        "symbol: XYZ\nemit:\n- {kind: open_interest, fields: {open_interest_coins: a}}\n"
    )
    rows = {"a": "100", "b": "101", "c": "x", "d": "100"}
    files = [put(tmp_path, f"{n}.csv", "t,a", [f"{T0},{v}"]) for n, v in rows.items()]
    with pytest.raises(
        RefusedError, match=r"2 of 4 files were refused: b.csv.*; .*c.csv"
    ) as caught:
        ingest_files(tmp_path / "m.yaml", files, tmp_path / "log")
    assert [r.file for r in caught.value.reports] == ["a.csv", "d.csv"]
    assert sorted(caught.value.refused) == [str(files[1]), str(files[2])]


def test_a_first_file_that_contradicts_itself_leaves_no_log(tmp_path):
    (tmp_path / "m.yaml").write_text(
        "time: {column: t, unit: s}\nstamp: instant\nfeed: polled\nlatency: 60s\nvenue: mine\n"
        "symbol: XYZ\nemit:\n- {kind: open_interest, fields: {open_interest_coins: a}}\n"
    )
    file = put(tmp_path, "a.csv", "t,a", [f"{T0},100", f"{T0},150"])
    with pytest.raises(RefusedError, match=r"rows 1 and 2: .* has two values"):
        ingest_files(tmp_path / "m.yaml", [file], tmp_path / "new" / "log")
    assert not (tmp_path / "new").exists()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_stands_is_what_a_reader_would_keep(data):
    """Against a reader in plain Python that keeps, per instant, what changes as it is known."""
    n = data.draw(st.integers(1, 12))
    cells = st.integers(0, 2)
    rows = [(data.draw(cells), i, data.draw(cells) + 1) for i in range(n)]
    table = event_table(
        Kind.OPEN_INTEREST,
        {
            "ts_event": np.array([T0 + r[0] for r in rows]) * S,
            "ts_known": np.array([T0 + 10 + r[1] for r in rows]) * S,
            "venue": "mine",
            "symbol": "XYZ",
            "open_interest_coins": [float(r[2]) for r in rows],
            "open_interest_usd": [np.nan] * n,
        },
    )
    columns, _ = table_columns(table)
    keep, revised = standing_rows(Kind.OPEN_INTEREST, columns)
    now: dict[int, float] = {}
    kept, changes = 0, 0
    for event, _, coins in rows:
        if now.get(event) != coins:
            kept += 1
            changes += event in now
        now[event] = coins
    assert (int(keep.sum()), revised) == (kept, changes)


def metrics(folder, day, labels):
    head = "create_time,symbol,sum_open_interest,sum_open_interest_value"
    symbol = "BTCUSDT" if folder.name == "um" else "BTCUSD_PERP"
    lines = [
        f"{label},{symbol},{80000 + i},{(80000 + i) * 50000}" for i, label in enumerate(labels)
    ]
    folder.mkdir(exist_ok=True)
    return put(folder, f"{symbol}-metrics-{day}.csv", head, lines)


def ends(done):
    times = done.tables[Kind.OPEN_INTEREST]["ts_event"].to_numpy()
    return [str(t)[5:16] for t in times.astype("datetime64[ns]")]


def test_metrics_are_labelled_by_their_start_since_a_date(tmp_path):
    """As reported: USD-M since 2026-06-25, COIN-M always; a value is of the end of its period."""
    before = um.read(
        metrics(tmp_path / "um", "2026-06-24", ["2026-06-24 23:55", "2026-06-25 00:00"])
    )
    after = um.read(
        metrics(tmp_path / "um", "2026-06-25", ["2026-06-25 00:00", "2026-06-25 00:05"])
    )
    assert ends(before) == ["06-24T23:55", "06-25T00:00"]
    assert ends(after) == ["06-25T00:05", "06-25T00:10"]
    assert "publicly reported" in after.summary.notes["labels"]
    assert (before.summary.reader, after.summary.reader) == ("binance 1", "binance 2")
    log = EventLog.create(tmp_path / "log")
    for done in (before, after):
        append(log, done)
    over = ["2026-06-24 23:55", "2026-06-25 00:00", "2026-06-25 00:00", "2026-06-25 00:05"]
    both = um.read(metrics(tmp_path / "um", "2026-06-24", over))
    assert ends(both) == ["06-24T23:55", "06-25T00:00", "06-25T00:05", "06-25T00:10"]
    old = cm.read(metrics(tmp_path / "cm", "2023-06-25", ["2023-06-25 00:00"]))
    assert ends(old) == ["06-25T00:05"]
    told = cm.read(tmp_path / "cm" / "BTCUSD_PERP-metrics-2023-06-25.csv", label="end")
    assert ends(told) == ["06-25T00:00"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("step", ["30min", "60min"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_a_clock_shows_twice(zone, step, newest_first):
    """Written as a local clock shows them, a day's times come back as the instants they were."""
    import pandas as pd

    day = "2024-10-27" if zone.startswith("Europe") else "2024-11-03"
    true = pd.date_range(f"{day}T00:00", f"{day}T12:00", freq=step, tz="UTC")
    if newest_first:
        true = true[::-1]
    local = true.tz_convert(zone).strftime("%Y-%m-%d %H:%M:%S").tolist()
    ns, bad = as_times(pa.chunked_array([local]), "iso", zone, "t")
    assert not bad.any()
    assert ns.tolist() == true.as_unit("ns").astype("int64").tolist()


def test_an_hour_that_is_there_once_is_not_guessed():
    local = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    _, bad = as_times(pa.chunked_array([local]), "iso", "Europe/Berlin", "t")
    assert bad.tolist() == [False, True, False]
