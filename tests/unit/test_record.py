"""The recorder: what it writes down, what becomes of it when it is killed, what it refuses."""

import asyncio
import gzip
import json
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import venues
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from liqbt.cli import cli
from liqbt.errors import ConfigError, DataError, LiqbtError
from liqbt.log.store import EventLog, verify
from liqbt.log.tables import event_table
from liqbt.record import recorder
from liqbt.record.asked import feeds_of
from liqbt.record.recorder import Pace, record
from liqbt.record.spool import Spool, left_over
from liqbt.record.venues import VENUES, Asked
from liqbt.sources.okx import THROTTLE
from liqbt.study.ingest import describe_ingest, ingest_one
from liqbt.study.readers import open_reader
from liqbt.types import HOUR_NS, SECOND_NS, Kind

T = 1_764_547_200_000  # 2025-12-01, ms
KNOWN = T * 1_000_000 + 70_000_000


def recording(path: Path, *messages: object, known: int = KNOWN) -> Path:
    path.write_text("".join(f"{known + i} {json.dumps(m)}\n" for i, m in enumerate(messages)))
    return path


def read(path: Path, reader: str) -> dict[str, list[tuple]]:
    done = open_reader(reader).read(path, 0.0, None)
    out = {}
    for kind, table in done.tables.items():
        cells = [table[n].to_pylist() for n in table.schema.names if n not in ("seq", "span_s")]
        out[kind.name] = list(zip(*cells, strict=True))
    return out | {"notes": dict(done.summary.notes)}


def one(kind: str, found: dict[str, list[tuple]]) -> tuple:
    (row,) = found[kind]
    return row


def test_binance(tmp_path: Path) -> None:
    mark = {"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "90000.5", "r": "0.0001", "T": 1}
    order = {"s": "BTCUSDT", "S": "SELL", "ap": "89000", "p": "88000", "q": "3", "z": "2", "T": T}
    wrap = {"stream": "btcusdt@forceOrder", "data": {"e": "forceOrder", "E": T + 5, "o": order}}
    none = {**order, "z": "0"}
    empty = {"stream": "btcusdt@forceOrder", "data": {"e": "forceOrder", "E": T + 6, "o": none}}
    interest = {"openInterest": "10659.5", "symbol": "BTCUSDT", "time": T}
    answer = {"poll": "openInterest", "asked": KNOWN, "data": interest}
    path = recording(
        tmp_path / "r.jsonl",
        {"stream": "btcusdt@markPrice", "data": mark},
        wrap,
        wrap,  # again, as after a reconnect
        empty,
        answer,
        {"result": None, "id": 1},
        {"gap": "no answer", "since": KNOWN - 3 * SECOND_NS},
    )
    found = read(path, "binance-um/recording")
    at = T * 1_000_000
    assert one("MARK", found)[:5] == (KNOWN, at, "binance-um", "BTCUSDT", 0)
    assert one("MARK", found)[5] == 90000.5
    assert one("FUNDING", found)[5] == 0.0001
    assert np.isnan(one("FUNDING", found)[6])  # it does not say for how long
    assert one("LIQUIDATION", found)[:7] == (
        KNOWN + 1,
        at,
        "binance-um",
        "BTCUSDT",
        1,
        89000.0,
        2.0,
    )
    assert one("OPEN_INTEREST", found)[5] == 10659.5
    assert found["notes"]["repeated_pushes"] == 1
    assert found["notes"]["unfilled_pushes"] == 1
    assert found["notes"]["gaps"] == [
        "2025-11-30T23:59:57.070Z to 2025-12-01T00:00:00.070Z: no answer"
    ]
    coin = {**mark, "s": "BTCUSD_PERP"}
    other = recording(tmp_path / "cm.jsonl", {"stream": "x", "data": coin})
    with pytest.raises(DataError, match="COIN-M symbol"):
        open_reader("binance-um/recording").read(other, 0.0, None)


def test_bybit_says_only_what_is_new(tmp_path: Path) -> None:
    ticker = {"symbol": "BTCUSDT", "markPrice": "90000", "openInterest": "5e4"}
    ticker |= {"openInterestValue": "4.5e9", "fundingRate": "-0.0001", "fundingIntervalHour": "8"}
    row = {"T": T, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "91000"}
    topic = "tickers.BTCUSDT"
    path = recording(
        tmp_path / "r.jsonl",
        {"topic": topic, "type": "snapshot", "ts": T, "data": ticker},
        {"topic": topic, "type": "delta", "ts": T + 1, "data": {"bid1Price": "1"}},
        {"topic": topic, "type": "delta", "ts": T + 2, "data": {"markPrice": "90001"}},
        {"topic": "allLiquidation.BTCUSDT", "ts": T + 9, "data": [row, row]},  # twins
        {"success": True, "op": "subscribe"},
    )
    found = read(path, "bybit/recording")
    assert [row[5] for row in found["MARK"]] == [90000.0, 90001.0]
    assert one("OPEN_INTEREST", found)[5:7] == (5e4, 4.5e9)
    assert one("FUNDING", found)[5:7] == (-0.0001, 8.0)
    assert [(r[4], r[5], r[6]) for r in found["LIQUIDATION"]] == [(-1, 91000.0, 0.5)] * 2
    inverse = {"topic": "tickers.BTCUSD", "ts": T, "data": {"openInterest": "9e8"}}
    with pytest.raises(DataError, match="inverse contract"):
        open_reader("bybit/recording").read(recording(tmp_path / "i", inverse), 0.0, None)


def test_okx(tmp_path: Path) -> None:
    def push(channel: str, **cells: object) -> dict[str, object]:
        return {"arg": {"channel": channel}, "data": [{"instId": "BTC-USD-SWAP", **cells}]}

    gone = {"side": "buy", "posSide": "short", "bkPx": "50000", "sz": "10", "ts": f"{T}"}
    hour = 3_600_000
    path = recording(
        tmp_path / "r.jsonl",
        push("mark-price", markPx="50001", ts=f"{T}"),
        push("open-interest", oi="9", oiCcy="7", oiUsd="350000", ts=f"{T}"),
        push(
            "funding-rate",
            fundingRate="0.0002",
            fundingTime=f"{T}",
            nextFundingTime=f"{T + 4 * hour}",
            ts=f"{T}",
        ),
        push("liquidation-orders", details=[gone]),
        {"arg": {"channel": "liquidation-orders"}, "data": [{"instId": "X", "details": [gone]}]},
        {"event": "subscribe", "arg": {"channel": "mark-price"}},
    )
    found = read(path, "okx/recording")
    assert one("MARK", found)[5] == 50001.0
    assert one("OPEN_INTEREST", found)[5:7] == (7.0, 350000.0)
    assert one("FUNDING", found)[5:7] == (0.0002, 4.0)
    assert one("LIQUIDATION", found)[4:7] == (-1, 50000.0, 10 * 100 / 50000)
    contradiction = push("liquidation-orders", details=[{**gone, "side": "sell"}])
    with pytest.raises(DataError, match="'side' is"):
        open_reader("okx/recording").read(recording(tmp_path / "c", contradiction), 0.0, None)


def test_hyperliquid(tmp_path: Path) -> None:
    user, asked = "0xAb", KNOWN - SECOND_NS
    fill = {"coin": "BTC", "px": "90000", "sz": "1", "side": "A", "time": T, "tid": 7}
    fill["liquidation"] = {"liquidatedUser": "0xab", "markPx": "90001", "method": "market"}
    context = {"markPx": "90000", "openInterest": "2", "funding": "0.00001"}
    held = [
        {"position": {"coin": "BTC", "szi": "-2", "liquidationPx": "99000"}},
        {"position": {"coin": "ETH", "szi": "3", "liquidationPx": None}},
    ]
    census = [{"user": user, "state": {"assetPositions": held}}]
    fills = [fill, {**fill, "tid": 8}, {**fill, "liquidation": None}, {**fill, "coin": "@1"}]
    path = recording(
        tmp_path / "r.jsonl",
        {"poll": "contexts", "asked": asked, "data": [{"coin": "BTC", "ctx": context}]},
        {"poll": "census", "asked": asked, "data": census},
        {"channel": "userFills", "data": {"isSnapshot": True, "user": user, "fills": fills}},
        {"channel": "userFills", "data": {"isSnapshot": True, "user": user, "fills": fills}},
    )
    found = read(path, "hyperliquid/recording")
    assert one("OPEN_INTEREST", found)[:7] == (
        KNOWN, asked, "hyperliquid", "BTC", 0, 2.0, 180000.0,
    )  # fmt: skip
    assert one("FUNDING", found)[5:7] == (0.00001, 1.0)
    assert found["POSITION"][0][3:6] == ("BTC", -1, 99000.0)
    assert np.isnan(found["POSITION"][1][5])  # no price closes it
    assert [r[4:7] for r in found["LIQUIDATION"]] == [(1, 90000.0, 1.0)] * 2  # two trade ids
    assert found["notes"]["repeated_pushes"] == 2


BOOKS = {
    "binance-um": (("BTCUSDT", 1.0), lambda b, a: {"E": T, "T": T - 9, "bids": b, "asks": a}),
    "bybit": (("BTCUSDT", 1.0), lambda b, a: {"s": "BTCUSDT", "b": b, "a": a, "ts": T}),
    "okx": (("ETH-USDT-SWAP", 0.1), lambda b, a: {"bids": b, "asks": a, "ts": f"{T}"}),
}


@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_becomes_bands_as_far_as_it_is_shown(tmp_path: Path, venue: str) -> None:
    (symbol, face), book = BOOKS[venue]
    bids = [["99.99", "1"], ["99.98", "2"], ["99.95", "4"], ["99.93", "8"]]
    asks = [["100.01", "16", "0", "1"], ["100.015", "32", "0", "1"]]  # OKX's levels have four cells
    line = {"poll": "depth", "asked": KNOWN, "data": {"symbol": symbol, "book": book(bids, asks)}}
    found = read(recording(tmp_path / "r.jsonl", line), f"{venue}/recording")
    rows = {(r[4], round(r[5], 6), round(r[6], 6)): r for r in found["DEPTH"]}
    assert list(rows) == [
        (-1, 100.0, 100.015),  # not even the first band is shown to its end
        (1, 99.95, 99.98),
        (1, 99.98, 100.0),
    ]
    below, near = rows[1, 99.95, 99.98], rows[1, 99.98, 100.0]
    assert below[:4] == (KNOWN, T * 1_000_000, venue, symbol)
    assert (near[7], near[8]) == pytest.approx((3 * face, (99.99 + 2 * 99.98) * face))
    assert (below[7], below[8]) == pytest.approx((4 * face, 4 * 99.95 * face))
    assert rows[-1, 100.0, 100.015][7] == pytest.approx(48 * face)


def test_what_is_no_book_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    bids, asks = [["99", "1"]], [["100", "1"]]
    books = [
        (bids, asks),
        (bids, []),
        (asks, bids),  # they cross
        ([["99", "1"], ["99.5", "1"]], asks),
        ([["99", "-1"]], asks),
        ([["nan", "1"]], asks),
        ([["99", "1e300"]], asks),
        (None, {"x": 1}),
    ]
    lines = [
        {"poll": "depth", "data": {"symbol": "BTCUSDT", "book": {"b": b, "a": a, "ts": T + i}}}
        for i, (b, a) in enumerate(books)
    ]
    found = read(recording(tmp_path / "r.jsonl", *lines), "bybit/recording")
    assert len(found["DEPTH"]) == 10  # of the first alone; nothing stands within the spread
    assert found["notes"]["books_without_bands"] == 7
    other = {"poll": "depth", "data": {"symbol": "X-USDT-SWAP", "book": {"bids": bids, "ts": T}}}
    found = read(recording(tmp_path / "o.jsonl", other), "okx/recording")
    assert found == {"notes": {"books_without_bands": 1, "throttle": THROTTLE}}


def test_hyperliquids_books_are_one_within_the_other(tmp_path: Path) -> None:
    def book(time: int, bids: list, asks: list) -> dict[str, object]:
        sides = [[{"px": p, "sz": s, "n": 1} for p, s in side] for side in (bids, asks)]
        return {"coin": "BTC", "time": T + time, "levels": sides}

    books = [
        book(0, [("99", "1"), ("98", "2")], [("101", "3"), ("102", "4")]),
        book(1, [("90", "7")], [("110", "5")]),  # asks were taken away meanwhile
        book(2, [("80", "9")], [("120", "17")]),
    ]
    data = {"symbol": "BTC", "books": books}
    path = recording(tmp_path / "r.jsonl", {"poll": "depth", "asked": KNOWN, "data": data})
    rows = read(path, "hyperliquid/recording")["DEPTH"]
    assert [(r[4], round(r[5]), round(r[6]), r[7]) for r in rows] == [
        (-1, 100, 102, 7.0),
        (-1, 102, 120, 10.0),
        (1, 80, 90, 2.0),
        (1, 90, 98, 4.0),
        (1, 98, 100, 3.0),
    ]
    assert {r[1] for r in rows} == {T * 1_000_000}
    torn = {"poll": "depth", "data": {"symbol": "BTC", "books": [books[0], None, {"levels": 3}]}}
    found = read(recording(tmp_path / "t.jsonl", torn), "hyperliquid/recording")
    assert found == {"notes": {"books_without_bands": 1}}


@pytest.mark.parametrize(
    ("venue", "symbol", "answer", "expected"),
    [
        ("bybit", "NOUSDT", {"retCode": 10001, "retMsg": "params error"}, "depth: params error"),
        ("okx", "BTC-USDT-SWAP", {"code": "51001", "msg": "no such", "data": []}, "depth: no such"),
        ("hyperliquid", "BTC", None, "depth: it has no book"),
    ],
)
def test_a_venue_that_has_no_such_book_ends_it(venue, symbol, answer, expected) -> None:
    feed = VENUES[venue](Asked(symbols=(symbol,), depth_ns=SECOND_NS))
    question = feed.questions[-1]
    with pytest.raises(ValueError, match=expected.partition(": ")[2]) as caught:
        question.kept([answer] * len(question.requests))
    assert recorder._is_refusal(caught.value)
    with pytest.raises(OSError, match="too many"):
        VENUES["bybit"](Asked(symbols=("X",), depth_ns=1)).questions[0].kept(
            [{"retCode": 10006, "retMsg": "too many visits"}]
        )


def test_a_file_that_nobody_recorded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"e":"forceOrder"}\n')
    with pytest.raises(DataError, match="not written by `liqbt record`"):
        open_reader("binance-um/recording").read(path, 0.0, None)


def test_what_is_told_again_in_another_file_counts_once(tmp_path: Path) -> None:
    def push(*times: int) -> dict[str, object]:
        rows = [{"T": T + t, "s": "BTCUSDT", "S": "Sell", "v": "1", "p": "9"} for t in times]
        return {"topic": "allLiquidation.BTCUSDT", "ts": T + 9, "data": rows}

    log, reader = tmp_path / "log", open_reader("bybit/recording")
    for i, times in enumerate([(1, 1, 2), (2, 3), (1, 1, 1), (2, 3)]):
        path = recording(tmp_path / f"{i}.jsonl", push(*times), known=KNOWN + 1000 * i)
        done = ingest_one(log, reader, path, max_bad=0.0, once=True)
        assert done.added == (i < 3)
        again = ingest_one(log, reader, path, max_bad=0.0, once=True)
        assert not again.added
    table = EventLog.open(log).read(Kind.LIQUIDATION)
    times = [(t // 1_000_000 - T) for t in table["ts_event"].to_pylist()]
    assert sorted(times) == [1, 1, 1, 2, 3]


def test_a_file_of_gaps_alone_leaves_them_in_the_log(tmp_path: Path) -> None:
    log, reader = tmp_path / "log", open_reader("hyperliquid/recording")
    gap = {"gap": "no pong", "since": KNOWN - 60 * SECOND_NS}
    path = recording(tmp_path / "gaps.jsonl", gap, {"channel": "userFills", "data": {"fills": []}})
    done = ingest_one(log, reader, path, max_bad=0.0, once=True)
    assert (done.added, done.events) == (True, 0)
    assert "when nothing was received stands in the log" in describe_ingest(done)
    (commit,) = EventLog.open(log).commits()
    (told,) = commit.source["notes"]["gaps"]
    assert told == "2025-11-30T23:59:00.070Z to 2025-12-01T00:00:00.070Z: no pong"
    assert not ingest_one(log, reader, path, max_bad=0.0).added
    row = {"T": T, "s": "BTCUSDT", "S": "Sell", "v": "1", "p": "9"}
    push = {"topic": "allLiquidation.BTCUSDT", "ts": T, "data": [row]}
    for i, lines in enumerate([(push,), (gap, push)]):  # the second has nothing new but its gap
        path = recording(tmp_path / f"{i}.jsonl", *lines, known=KNOWN + 1000 * i)
        assert ingest_one(log, open_reader("bybit/recording"), path, max_bad=0.0, once=True).added
    commits = EventLog.open(log).commits()
    assert [sum(s.rows for s in c.segments) for c in commits] == [0, 1, 0]
    assert not verify(log)
    shown = CliRunner().invoke(cli, ["log", "quality", str(log)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("no pong") == 2
    empty = recording(tmp_path / "empty.jsonl", {"channel": "userFills", "data": {"fills": []}})
    assert not ingest_one(log, reader, empty, max_bad=0.0).added


def test_a_torn_line_is_cut_off_and_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "okx")
    spool.write(5, '{"a": 1}')
    spool.write(6, '{"b": 2}')
    with spool.path.open("ab") as file:
        file.write(b'7 {"c"')
    (tmp_path / f"bybit-{4:020d}.part").write_bytes(b'4 {"torn')
    (path,) = left_over(tmp_path)
    assert path.name == f"okx-{5:020d}.jsonl"
    assert path.read_bytes() == b'5 {"a": 1}\n6 {"b": 2}\n'


def test_killed_and_cut_off_nothing_is_lost_and_nothing_told_twice(tmp_path: Path) -> None:
    messages = venues.script(180, seed=3)
    whole = tmp_path / "whole"
    whole.mkdir()
    for venue in venues.SYMBOLS:
        mine = [m for m in messages if m.venue == venue]
        path = whole / f"{venue}.jsonl"
        path.write_text("".join(f"{m.at + 60_000_000} {m.text}\n" for m in mine))
        ingest_one(whole / "log", open_reader(f"{venue}/recording"), path, max_bad=0.0)
    seen = asyncio.run(
        venues.season(
            tmp_path, messages, kills=2, drops=2, seed=8, rotate_ns=HOUR_NS, away_ns=HOUR_NS // 6
        )
    )
    found = venues.compare(tmp_path, whole, seen)
    nothing = ("problems", "commits lost", "lines lost", "files refused", "told twice")
    nothing += ("unknown to the other", "missing outside gaps", "wrong", "torn", "bands wrong")
    assert {name: found[name] for name in nothing} == dict.fromkeys(nothing, 0), found
    assert seen["again"] > 0
    assert found["missing"] > 0
    assert found["gaps"] >= 4
    assert found["hours"] < 6
    assert found["events"] > 800
    assert found["answers"] > 0
    assert found["censuses"] > 0
    assert found["bands"] > 40


@contextmanager
def pushing(*texts: str, count: int = 1, then_wait: bool = True):
    """Serve the same texts to whoever connects; yield the address."""

    def serving(socket) -> None:
        try:
            socket.recv()
            for _ in range(count):
                for text in texts:
                    socket.send(text)
            while then_wait:
                socket.recv()
        except ConnectionClosed:
            pass

    with serve(serving, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def test_a_subscription_that_is_refused_ends_it(tmp_path: Path) -> None:
    with pushing('{"event":"error","code":"60018","msg":"Wrong URL or channel"}') as address:
        feed = VENUES["okx"](Asked(symbols=("NO-SUCH",), socket=address))
        with pytest.raises(DataError, match="okx refuses a subscription: Wrong URL or channel"):
            record(tmp_path / "log", [feed], seconds=20)


def test_silence_is_a_gap(tmp_path: Path) -> None:
    ticker = {"topic": "tickers.X", "ts": T, "data": {"markPrice": "1"}}
    said = []
    with pushing(json.dumps(ticker)) as address:
        feed = VENUES["bybit"](Asked(symbols=("XUSDT",), socket=address))
        clock = iter(range(KNOWN, KNOWN + 10**12, 10**6))
        pace = Pace(silent_ns=SECOND_NS // 5, wait_s=0.1)
        done = record(
            tmp_path / "log",
            [feed],
            seconds=2,
            pace=pace,
            clock=lambda: next(clock),
            say=said.append,
        )
    assert done.gaps >= 1
    assert "bybit: not connected (silent for 0.2 s); again in 0.1 s" in said
    (commit,) = EventLog.open(tmp_path / "log").commits()
    assert commit.source["notes"]["gaps"][0].endswith("Z: silent for 0.2 s")


def test_what_cannot_be_committed_in_time_waits_at_the_venue(tmp_path: Path, monkeypatch) -> None:
    folder, most = tmp_path / "log.recording", [0]
    real = recorder.ingest_one

    def slow(*args, **kwargs):
        most[0] = max(most[0], len(list(folder.glob("*.jsonl"))))
        time.sleep(0.02)
        return real(*args, **kwargs)

    monkeypatch.setattr(recorder, "ingest_one", slow)
    clock = iter(range(KNOWN, KNOWN + 10**12, 1000))
    push = {"topic": "tickers.X", "ts": T, "data": {"markPrice": "1", "pad": "x" * 3000}}
    with pushing(json.dumps(push), count=400) as address:
        feed = VENUES["bybit"](Asked(symbols=("XUSDT",), socket=address))
        pace = Pace(rotate_bytes=30_000)
        record(tmp_path / "log", [feed], seconds=3, pace=pace, clock=lambda: next(clock))
    assert 2 < most[0] <= recorder._FULL + 2  # one being read, one about to wait


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["binance=BTCUSDT"], "did you mean 'binance-um'"),
        (["okx"], "expected VENUE=SYMBOL,SYMBOL"),
        (["okx=A", "okx=B"], "a venue is named twice"),
        (["okx=BTC USDT"], "is no symbol"),
        (
            ["bybit=AUSDT", "--server", "bybit=file:///etc"],
            "expected a ws, wss, http or https address",
        ),
        (["bybit=AUSDT", "--server", "okx=ws://x"], "nothing of okx is recorded"),
        (["bybit=AUSDT", "--accounts", "USERS"], "say hyperliquid=BTC, too"),
        (["hyperliquid=A", "--accounts", "BAD"], "line 2: 'x' is no address"),
        (["okx=A", "--faces", "x"], "is no faces"),
        (["okx=SOL-USDT-SWAP"], "such as --faces SOL-USDT-SWAP:coins:1"),
        (["bybit=BTCUSD"], "bybit: BTCUSD is no linear contract quoted in a dollar"),
        (["binance-um=ETHBTC"], "binance-um: ETHBTC is no linear contract quoted in a dollar"),
        (["okx=A", "--ask", "3"], "'3' is not a duration"),
    ],
)
def test_what_cannot_be_recorded(words: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "USERS").write_text("0x" + "a" * 40 + "  # a whale\n")
    (tmp_path / "BAD").write_text("0x" + "a" * 40 + "\nx\n")
    words = [str(tmp_path / w) if w in ("USERS", "BAD") else w for w in words]
    done = CliRunner().invoke(cli, ["record", *words, "--log", str(tmp_path / "log")])
    assert done.exit_code != 0
    text = str(done.exception) if isinstance(done.exception, LiqbtError) else done.output
    assert expected in text
    assert not (tmp_path / "log").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    with pytest.raises(ConfigError, match=r"liqbt\[record\]"):
        record(tmp_path / "log", feeds_of(["bybit=AUSDT"], census_ns=1))


def test_unseen_compares_what_is_said_not_when_it_was_known(tmp_path: Path) -> None:
    def table(known: int, price: float):
        cells = {"ts_known": [known], "ts_event": [KNOWN], "venue": "v", "symbol": "s", "side": [1]}
        cells |= {"price": [price], "size_coins": [1.0], "seq": [-1], "span_s": [0]}
        return event_table(Kind.LIQUIDATION, cells)

    log = EventLog.open_or_create(tmp_path / "log")
    log.append([(Kind.LIQUIDATION, table(KNOWN, 5.0))], {"file": "a"})
    assert log.unseen(Kind.LIQUIDATION, table(KNOWN + 9, 5.0)).num_rows == 0
    assert log.unseen(Kind.LIQUIDATION, table(KNOWN + 9, 6.0)).num_rows == 1


@pytest.mark.parametrize(
    "line",
    [
        '%d {"gap": "\\ud800", "since": NaN}',
        '%d {"topic": "tickers.\\ud800", "ts": 1e99, "data": {"markPrice": "1"}}',
        '%d {"topic": "tickers.X", "ts": 99999999999999999999999, "data": {"markPrice": true}}',
        '99999999999999999999999 {"topic": "tickers.X", "data": {}}',
        '%d {"topic": "allLiquidation.X", "data": [null, 7, {"s": {}, "T": -1, "v": "1e999"}]}',
        "%d [[[",
    ],
)
def test_a_line_that_cannot_be_right_is_put_aside_or_ignored(tmp_path: Path, line: str) -> None:
    good = {"topic": "tickers.BTCUSDT", "ts": T, "data": {"markPrice": "90000"}}
    path = recording(tmp_path / "r.jsonl", good)
    with path.open("a", encoding="utf-8") as file:
        file.write((line % KNOWN if "%d" in line else line) + "\n")
    done = open_reader("bybit/recording").read(path, 1.0, None)
    assert {kind.name: table.num_rows for kind, table in done.tables.items()} == {"MARK": 1}


def test_a_venue_that_is_often_silent_is_heard_by_its_answers(tmp_path: Path) -> None:
    """The gap of a reconnect ends when the subscription is answered, not with the next fill."""
    answer = json.dumps({"channel": "subscriptionResponse", "data": {}})
    with pushing(answer) as address:
        asked = Asked(
            symbols=("BTC",), socket=address, http="http://127.0.0.1:9", accounts=("0x1",)
        )
        feed = VENUES["hyperliquid"](asked)
        clock = iter(range(KNOWN, KNOWN + 10**12, 10**6))
        pace = Pace(silent_ns=SECOND_NS // 3, wait_s=0.1)
        done = record(tmp_path / "log", [feed], seconds=2, pace=pace, clock=lambda: next(clock))
    assert done.gaps >= 1
    assert done.messages == 0
    lines = [
        json.loads(line.partition(" ")[2])
        for path in (tmp_path / "log.recording").glob("*.gz")
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    assert {line["gap"] for line in lines} == {"silent for 0.333333 s"}
