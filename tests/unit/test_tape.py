"""Tape: order, duplicates, identity, slices and the cache."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pytest

from liqbt.errors import ConfigError, DataError, OrderError
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.tape.build import build_tape, build_tapes, tape_from_tables
from liqbt.tape.values import Selection, Tape, tape_from_events
from liqbt.types import EVENT_DTYPE, Instrument, Kind

T = 1_700_000_000_000_000_000
S = 1_000_000_000
BTC, ETH = Instrument("v", "BTC"), Instrument("v", "ETH")


def trades(seconds, symbol="BTC", latency=1, **more):
    ts = T + np.asarray(seconds, dtype=np.int64) * S
    columns = {
        "ts_known": ts + latency * S,
        "ts_event": ts,
        "venue": "v",
        "symbol": symbol,
        "side": 1,
        "price": 100.0,
        "size_coins": 1.0,
    }
    return Kind.TRADE, event_table(Kind.TRADE, {**columns, **more})


def marks(seconds, symbol="BTC", latency=1, price=100.0):
    ts = T + np.asarray(seconds, dtype=np.int64) * S
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    columns = {"ts_known": ts + latency * S, "ts_event": ts, "venue": "v", "symbol": symbol}
    return Kind.MARK, event_table(Kind.MARK, {**columns, **prices})


def log_of(path, *files):
    log = EventLog.create(path)
    for i, file in enumerate(files):
        log.append(file, {"file_sha256": f"{path.name}{i}"})
    return log


TRADES = Selection(kinds={Kind.TRADE: (BTC,)})
ALL = Selection(kinds={Kind.TRADE: (BTC, ETH), Kind.MARK: (BTC,)})


def test_kinds_are_merged_in_order(tmp_path):
    log = log_of(tmp_path / "l", [marks([0, 1])], [trades([1, 0]), trades([1], "ETH")])
    tape = build_tape(log, ALL)
    assert tape.instruments == (BTC, ETH)
    got = [(int(e["ts_event"] - T) // S, int(e["kind"]), int(e["instrument"])) for e in tape.events]
    assert got == [(0, 1, 0), (0, 3, 0), (1, 1, 0), (1, 1, 1), (1, 3, 0)]
    assert np.isnan(tape.events["p4"]).all()
    assert np.isnan(tape.events["p2"][tape.events["kind"] == Kind.TRADE]).all()
    assert len(tape) == 5


def test_names_are_sorted_not_codes(tmp_path):
    """ETH is interned first; BTC still comes first at one instant."""
    log = log_of(tmp_path / "l", [trades([0], "ETH")], [trades([0], "BTC")])
    tape = build_tape(log, Selection(kinds={Kind.TRADE: (ETH, BTC)}))
    assert tape.instruments == (BTC, ETH)
    assert tape.events["instrument"].tolist() == [0, 1]


def test_identical_fills_of_one_file_survive_and_of_two_files_do_not(tmp_path):
    one = log_of(tmp_path / "one", [trades([5, 5, 5])])
    assert len(build_tape(one, TRADES)) == 3
    overlap = log_of(tmp_path / "two", [trades([5, 5, 5])], [trades([5, 5, 6])])
    assert len(build_tape(overlap, TRADES)) == 4


def test_of_a_duplicate_the_first_known_stands(tmp_path):
    late, early = trades([5], latency=60), trades([5], latency=2)
    tape = build_tape(log_of(tmp_path / "l", [late], [early]), TRADES)
    assert (tape.events["ts_known"] - tape.events["ts_event"]).tolist() == [2 * S]


def test_the_venues_number_decides_where_there_is_one(tmp_path):
    first = trades([1, 2], seq=[10, 11])
    again = trades([1, 2], seq=[10, 12], latency=9, price=[100.0, 101.0])
    other = trades([1], symbol="ETH", seq=[10])
    log = log_of(tmp_path / "l", [again], [first], [other])
    tape = build_tape(log, Selection(kinds={Kind.TRADE: (BTC, ETH)}))
    assert len(tape) == 4
    assert tape.events["ts_known"].tolist() == [T + 2 * S, T + 2 * S, T + 3 * S, T + 11 * S]


def test_a_duplicate_known_before_the_start_does_not_come_back(tmp_path):
    """Duplicates go before the period is cut: a late copy must not appear as news."""
    log = log_of(tmp_path / "l", [trades([5], latency=1)], [trades([5, 9], latency=60)])
    tape = build_tape(log, Selection(kinds={Kind.TRADE: (BTC,)}, start_ns=T + 10 * S))
    assert tape.events["ts_event"].tolist() == [T + 9 * S]


def test_the_period_is_half_open_in_known_time(tmp_path):
    log = log_of(tmp_path / "l", [trades(range(10))])
    selection = Selection(kinds={Kind.TRADE: (BTC,)}, start_ns=T + 3 * S, end_ns=T + 6 * S)
    tape = build_tape(log, selection)
    assert (tape.events["ts_known"] - T).tolist() == [3 * S, 4 * S, 5 * S]


def test_missing_instruments_and_empty_periods_are_errors(tmp_path):
    log = log_of(tmp_path / "l", [trades([0])], [marks([0], "ETH")])
    with pytest.raises(DataError, match=r"has no trade of v/ETH: it has \['v/BTC'\]"):
        build_tape(log, Selection(kinds={Kind.TRADE: (BTC, ETH)}))
    with pytest.raises(DataError, match=r"has no bar of v/BTC: it has \[\]"):
        build_tape(log, Selection(kinds={Kind.BAR: (BTC,)}))
    with pytest.raises(
        DataError, match=r"no selected event known in \[\.\.\., 2020-01-01T00:00:00Z"
    ):
        build_tape(log, Selection(kinds={Kind.TRADE: (BTC,)}, end_ns=1_577_836_800 * S))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": {}}, "names no kind"),
        ({"kinds": {Kind.BAR: ()}}, "a selection of bar needs instruments"),
        ({"kinds": {Kind.BAR: (BTC, BTC)}}, "each once"),
        ({"kinds": {Kind.BAR: (BTC,)}, "start_ns": 5, "end_ns": 5}, "not after its start"),
    ],
)
def test_a_selection_is_checked(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Selection(**arguments)


def test_prefix_and_kind(tmp_path):
    tape = build_tape(log_of(tmp_path / "l", [trades([0, 1, 2]), marks([1])]), TRADES)
    assert [tape.prefix_index(T + k * S) for k in range(5)] == [0, 0, 1, 2, 3]
    assert len(tape.of(Kind.TRADE)) == 3
    assert len(tape.of(Kind.MARK)) == 0


def test_events_are_read_only(tmp_path):
    log = log_of(tmp_path / "l", [trades([0, 1])])
    for tape in (build_tape(log, TRADES), build_tape(log, TRADES, tmp_path / "cache")):
        with pytest.raises(ValueError, match="read-only"):
            tape.events["p0"][0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            tape.of(Kind.TRADE)["p0"][0] = 1.0
    mapped = build_tape(log, TRADES, tmp_path / "cache")
    with pytest.raises(ValueError, match="WRITEABLE"):
        mapped.events.setflags(write=True)


def test_restriction_recodes_and_keeps_order(tmp_path):
    log = log_of(tmp_path / "l", [trades([0, 2], "BTC"), trades([1, 3], "ETH"), marks([0])])
    whole = build_tape(log, ALL)
    only = Selection(kinds={Kind.TRADE: (ETH,)}, end_ns=T + 4 * S)
    part = whole.restrict(only)
    assert part.instruments == (ETH,)
    assert part.events["instrument"].tolist() == [0]
    assert part.digest == build_tape(log, only).digest
    with pytest.raises(DataError, match="the tape has no mark of v/ETH"):
        whole.restrict(Selection(kinds={Kind.MARK: (ETH,)}))
    with pytest.raises(DataError, match="the tape has no mark of w/X"):
        whole.restrict(Selection(kinds={Kind.MARK: (Instrument("w", "X"),)}))


def events(n=3):
    out = np.zeros(n, EVENT_DTYPE)
    out["ts_event"] = T + np.arange(n) * S
    out["ts_known"] = out["ts_event"] + S
    out["kind"] = Kind.TRADE
    out["p0"], out["p1"] = 100.0, 1.0
    for name in ("p2", "p3", "p4"):
        out[name] = np.nan
    return out


def test_records_in_order_become_a_tape_with_the_same_digest(tmp_path):
    records = events()
    records["side"] = 1
    tape = tape_from_events(records, [BTC])
    assert tape.digest == build_tape(log_of(tmp_path / "l", [trades([0, 1, 2])]), TRADES).digest
    records["p0"] = 5.0
    assert tape.events["p0"].tolist() == [100.0] * 3


def test_records_out_of_order_are_named():
    records = events(20)
    records["ts_known"][17] = records["ts_known"][16] - 1
    records["ts_event"][17] = records["ts_known"][17]
    with pytest.raises(OrderError, match=r"ts_known falls at rows \[17\]"):
        tape_from_events(records, [BTC])
    records = events(20)
    records["ts_known"] = records["ts_known"][-1]
    records["kind"][:10] = Kind.MARK
    records["ts_event"] = T
    with pytest.raises(OrderError, match=r"not in order of ts_event, kind .* rows \[10\]"):
        tape_from_events(records, [BTC])
    records = events(9)
    records["ts_known"] = T + np.arange(9)[::-1] * S + 100 * S
    with pytest.raises(OrderError, match=r"rows \[1, 2, 3, 4, 5\] and 3 more"):
        tape_from_events(records, [BTC])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ts_known", T - 1, r"ts_known lies before ts_event at rows \[0\]"),
        ("kind", 99, r"the kind is unknown at rows \[0\]"),
        ("instrument", 1, r"the instrument is unknown at rows \[0\]"),
    ],
)
def test_records_that_cannot_be_are_named(field, value, message):
    records = events()
    records[field][0] = value
    with pytest.raises(DataError, match=message):
        tape_from_events(records, [BTC])


def test_instruments_must_be_sorted_and_records_records():
    with pytest.raises(DataError, match="sorted"):
        tape_from_events(events(), [ETH, BTC])
    with pytest.raises(DataError, match="sorted"):
        tape_from_events(events(), [BTC, BTC])
    with pytest.raises(DataError, match="EVENT_DTYPE"):
        tape_from_events(np.zeros(3), [BTC])
    assert len(tape_from_events(events(0), [])) == 0


def test_the_digest_sees_records_and_names():
    base = tape_from_events(events(), [BTC]).digest
    changed = events()
    changed["p1"][2] = 1.5
    assert tape_from_events(changed, [BTC]).digest != base
    assert tape_from_events(events(), [ETH]).digest != base
    assert tape_from_events(events(2), [BTC]).digest != base


@pytest.fixture
def cached(tmp_path):
    log = log_of(tmp_path / "l", [trades(range(50)), marks(range(5))])
    return log, tmp_path / "cache"


def _unreadable(_log, _kind, _instruments=None):
    raise AssertionError("the log was read although the tape is cached")


def test_a_cached_tape_is_mapped_and_the_log_is_not_read(cached, monkeypatch):
    log, folder = cached
    first = build_tape(log, TRADES, folder)
    monkeypatch.setattr(EventLog, "tables", _unreadable)
    second = build_tape(EventLog(log.path), TRADES, folder)
    assert second.digest == first.digest
    assert second.events.tobytes() == first.events.tobytes()
    same = Selection(kinds={Kind.TRADE: (Instrument("v", "BTC"),)})
    assert build_tape(log, same, folder).digest == first.digest
    with pytest.raises(AssertionError, match="although"):
        build_tape(log, Selection(kinds={Kind.MARK: (BTC,)}), folder)


def test_a_grown_log_is_another_tape(cached):
    log, folder = cached
    before = build_tape(log, TRADES, folder)
    log.append([trades([99])], {})
    assert len(build_tape(log, TRADES, folder)) == len(before) + 1


def _cut(path):
    os.truncate(path, path.stat().st_size - 64)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def _other_digest(path):
    meta = json.loads(path.read_text())
    meta["digest"] = "0" * 64
    path.write_text(json.dumps(meta))


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [
        (".events", _cut),
        (".events", _flip),
        (".events", lambda p: p.unlink()),
        (".json", lambda p: p.unlink()),
        (".json", _flip),
        (".json", _other_digest),
        (".json", lambda p: p.write_text("[]")),
        (".json", lambda p: p.write_bytes(b"")),
    ],
)
def test_a_damaged_cache_is_built_again(cached, suffix, harm):
    log, folder = cached
    good = build_tape(log, TRADES, folder)
    digest = good.digest
    del good
    (path,) = folder.glob(f"*{suffix}")
    harm(path)
    again = build_tape(log, TRADES, folder)
    assert again.digest == digest
    assert again.events["p0"].tolist() == [100.0] * 50
    assert not list(folder.glob("*.tmp"))


@pytest.mark.parametrize("held", [10**9, 1])
def test_a_cache_that_cannot_be_written_is_named(cached, tmp_path, monkeypatch, held):
    log, _ = cached
    monkeypatch.setattr("liqbt.tape.parts.HELD", held)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write the tape cache"):
        build_tape(log, TRADES, tmp_path / "file" / "cache")


def test_batches_of_one_file_make_the_same_tape(tmp_path):
    kind, table = trades([3, 1, 2, 2, 2, 5])
    batches = [(kind, table.slice(i, 2)) for i in (4, 0, 2)]
    one = build_tape(log_of(tmp_path / "a", [(kind, table)]), TRADES)
    two = build_tape(log_of(tmp_path / "b", batches), TRADES)
    joined = pa.concat_tables([t for _, t in batches])
    three = build_tape(log_of(tmp_path / "c", [(kind, joined)]), TRADES)
    assert one.digest == two.digest == three.digest
    assert isinstance(one, Tape)


def test_a_tape_of_tables_is_that_of_a_log_that_holds_them(tmp_path):
    tables = {
        Kind.TRADE: pa.concat_tables(
            [trades([5, 5, 6], seq=[3, 3, 4])[1], trades([1, 2], symbol="ETH")[1]]
        ).unify_dictionaries(),
        Kind.MARK: marks([0, 7], "ETH")[1],
    }
    log = log_of(tmp_path / "l", list(tables.items()))
    for wanted in ((BTC,), (BTC, ETH)):
        selection = Selection(kinds={Kind.TRADE: wanted, Kind.MARK: (ETH,)}, end_ns=T + 8 * S)
        assert tape_from_tables(tables, selection).digest == build_tape(log, selection).digest
    with pytest.raises(DataError, match=r"tables has no mark of v/BTC: it has \['v/ETH'\]"):
        tape_from_tables(tables, Selection(kinds={Kind.MARK: (BTC,)}))
    with pytest.raises(DataError, match=r"no bar of v/BTC: it has \[\]"):
        tape_from_tables(tables, Selection(kinds={Kind.BAR: (BTC,)}))


def test_tapes_read_together_are_those_read_alone(tmp_path, monkeypatch):
    def file(shift, *symbols):
        parts = [trades(np.arange(5 + i) + shift, s)[1] for i, s in enumerate(symbols)]
        mixed = pa.concat_tables(parts).unify_dictionaries()
        return [(Kind.TRADE, mixed.take(np.random.default_rng(shift).permutation(len(mixed))))]

    log = log_of(tmp_path / "log", file(0, "ETH", "BTC", "SOL"), file(3, "BTC", "ETH"))
    log.append([marks([1, 2])], {"file": "marks.csv"})
    asked = {s: Selection(kinds={Kind.TRADE: (Instrument("v", s),)}) for s in ("SOL", "ETH", "BTC")}
    asked["both"] = Selection(
        kinds={Kind.TRADE: (Instrument("v", "ETH"), BTC), Kind.MARK: (BTC,)}, start_ns=0
    )
    alone = {name: build_tape(log, selection) for name, selection in asked.items()}
    passes = []
    tables = EventLog.tables
    monkeypatch.setattr(
        EventLog, "tables", lambda log, *of: (passes.append(of[0]), tables(log, *of))[1]
    )
    for rows in (10**9, 4, 1):
        monkeypatch.setattr("liqbt.tape.parts.HELD", rows)
        passes.clear()
        together = build_tapes(log, asked, tmp_path / f"cache-{rows}")
        assert list(together) == list(asked)
        assert {n: t.digest for n, t in together.items()} == {n: t.digest for n, t in alone.items()}
        assert passes == [Kind.TRADE, Kind.MARK]
    with pytest.raises(DataError, match="no trade of v/XRP"):
        build_tapes(log, {**asked, "x": Selection(kinds={Kind.TRADE: (Instrument("v", "XRP"),)})})
