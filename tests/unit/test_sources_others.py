"""Exports of Coinglass and Coinalyze; recordings of cryptofeed, hftbacktest and a node's fills."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from liqbt.errors import ConfigError, DataError
from liqbt.sources import coinalyze, coinglass, cryptofeed, hftbacktest, hyperliquid
from liqbt.sources.binance import um
from liqbt.study.readers import VENDORS, open_reader
from liqbt.types import HOUR_NS, Kind

T = 1_718_000_000_000  # ms
H = 1_718_002_800_000  # ms, an hour's open
MS = 1_000_000
LONG, SHORT = 1, -1


def put(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(values):
    return "".join(f"{json.dumps(value)}\n" for value in values)


def as_csv(folder, name, rows):
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(done, kind):
    return done.tables[kind].to_pylist()


# Coinglass

PAIRS = (
    ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd"),
    ("long_liquidation_usd", "short_liquidation_usd"),
)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("packed", ["json", "csv"])
def test_coinglass_liquidations_are_known_at_the_end_of_their_bucket(tmp_path, pair, packed):
    rows = [{"time": H + i * 3_600_000, pair[0]: f"{i}.5", pair[1]: str(2 * i)} for i in range(4)]
    if packed == "csv":
        path = as_csv(tmp_path, "BTC-liquidations.csv", rows)
    else:
        whole = json.dumps({"code": "0", "msg": "success", "data": rows}, indent=1)
        path = put(tmp_path, "liquidations-BTC.json", whole)
    found = rows_of(coinglass.read(path), Kind.LIQUIDATION_TOTAL)
    assert [(r["long_usd"], r["short_usd"]) for r in found] == [(i + 0.5, 2 * i) for i in range(4)]
    assert found[0]["ts_event"] == H * MS + HOUR_NS
    assert found[0]["ts_known"] == H * MS + HOUR_NS + 60 * 10**9
    assert {(r["venue"], r["symbol"], r["span_s"]) for r in found} == {("coinglass", "BTC", 3600)}


def test_coinglass_open_interest_says_its_unit(tmp_path):
    rows = [
        {"time": H + i * 3_600_000, "open": 1, "high": 9, "low": 1, "close": 5 + i}
        for i in range(3)
    ]
    path = put(tmp_path, "BTC.json", json.dumps({"code": "0", "data": rows}))
    with pytest.raises(DataError, match=r"of open interest say coinglass/open-interest\?unit=coin"):
        coinglass.read(path)
    with pytest.raises(DataError, match="does not say how many coins"):
        open_reader("coinglass/open-interest").read(path, 0.0, None)
    done = open_reader("coinglass/open-interest?unit=coins").read(path, 0.0, None)
    assert [r["open_interest_coins"] for r in rows_of(done, Kind.OPEN_INTEREST)] == [5, 6, 7]


def test_an_answer_without_rows_is_a_time_without_events(tmp_path):
    assert not coinglass.read(put(tmp_path, "BTC.json", '{"code":"0","data":[]}')).tables
    assert not coinalyze.read(put(tmp_path, "a.json", "[]")).tables


def test_rows_that_do_not_say_how_long_a_bucket_is_need_a_span(tmp_path):
    rows = [{"time": H + i * 60_000, PAIRS[0][0]: 1, PAIRS[0][1]: 1} for i in (0, 1, 3, 6)]
    path = as_csv(tmp_path, "BTC.csv", rows)
    with pytest.raises(DataError, match=r"how long a bucket is; say \?span=1h"):
        coinglass.read(path)
    found = rows_of(coinglass.read(path, span="1m", symbol="ETH"), Kind.LIQUIDATION_TOTAL)
    assert {(r["symbol"], r["span_s"]) for r in found} == {("ETH", 60)}


# Coinalyze


def answer(rows):
    return json.dumps(
        [{"symbol": s, "history": rows} for s in ("BTCUSDT_PERP.A", "ETHUSDT_PERP.A")]
    )


def test_coinalyze_liquidations_say_their_unit(tmp_path):
    rows = [{"t": H // 1000 + 300 * i, "l": 10.5, "s": i} for i in range(4)]
    path = put(tmp_path, "liq.json", answer(rows))
    with pytest.raises(DataError, match=r"convert_to_usd=true .* coinalyze/liquidations\?unit=usd"):
        coinalyze.read(path)
    found = rows_of(coinalyze.read(path, unit="usd"), Kind.LIQUIDATION_TOTAL)
    assert len(found) == 8
    assert {r["symbol"] for r in found} == {"BTCUSDT_PERP.A", "ETHUSDT_PERP.A"}
    assert found[0]["ts_event"] == (H + 300_000) * MS
    assert {(r["long_usd"], r["span_s"]) for r in found} == {(10.5, 300)}


def test_coinalyze_prices_and_open_interest(tmp_path):
    rows = [{"t": H // 1000 + 60 * i, "o": 1, "h": 4, "l": 1, "c": 2, "v": 7} for i in range(3)]
    bars = rows_of(coinalyze.read(put(tmp_path, "p.json", answer(rows))), Kind.BAR)
    assert len(bars) == 6
    assert bars[0]["close"] == 2
    rows = [{k: v for k, v in row.items() if k != "v"} for row in rows]
    path = put(tmp_path, "oi.json", answer(rows))
    with pytest.raises(DataError, match="coinalyze/open-interest"):
        coinalyze.read(path)
    done = open_reader("coinalyze/open-interest?unit=coins").read(path, 0.0, None)
    assert {r["open_interest_coins"] for r in rows_of(done, Kind.OPEN_INTEREST)} == {2}


# cryptofeed


def liquidation(exchange, side, **more):
    return {
        "exchange": exchange,
        "symbol": "BTC-USDT-PERP",
        "side": side,
        "quantity": 0.5,
        "price": 70000.0,
        "id": None,
        "status": "filled",
        "timestamp": T / 1000,
        "receipt_timestamp": T / 1000 + 0.25,
        **more,
    }


@pytest.mark.parametrize("packed", ["csv", "jsonl"])
def test_a_side_of_cryptofeed_is_the_orders_and_of_bybit_the_positions(tmp_path, packed):
    rows = [liquidation("BINANCE_FUTURES", "sell"), liquidation("BYBIT", "sell")]
    if packed == "csv":
        path = as_csv(tmp_path, "l.csv", rows)
    else:
        path = put(tmp_path, "l.jsonl", lines(rows))
    found = rows_of(cryptofeed.read(path), Kind.LIQUIDATION)
    assert {r["venue"]: r["side"] for r in found} == {"binance-um": LONG, "bybit": SHORT}
    assert found[0]["ts_event"] == T * MS
    assert abs(found[0]["ts_known"] - (T + 250) * MS) < 1000  # seconds in a float
    assert {r["size_coins"] for r in found} == {0.5}


def test_what_cryptofeed_counts_in_contracts_is_refused(tmp_path):
    path = put(tmp_path, "l.jsonl", lines([liquidation("OKX", "sell")]))
    with pytest.raises(DataError, match="sizes of OKX are its own contracts"):
        cryptofeed.read(path)
    path = put(tmp_path, "e.jsonl", lines([liquidation("BYBIT", "buy", symbol="ETH-BTC-PERP")]))
    with pytest.raises(DataError, match="quoted in BTC, not in a dollar"):
        cryptofeed.read(path)


def test_open_interest_and_funding_of_cryptofeed(tmp_path):
    clocks = {"timestamp": T / 1000, "receipt_timestamp": T / 1000 + 1}
    row = {"exchange": "BYBIT", "symbol": "BTC-USDT-PERP"}
    held = put(tmp_path, "o.jsonl", lines([row | {"open_interest": 5.0} | clocks]))
    (found,) = rows_of(cryptofeed.read(held), Kind.OPEN_INTEREST)
    assert found["open_interest_coins"] == 5
    rate = {"mark_price": 1.0, "rate": 0.0001, "next_funding_time": T / 1000 + 60}
    paid = put(tmp_path, "f.jsonl", lines([row | rate | clocks]))
    (found,) = rows_of(cryptofeed.read(paid), Kind.FUNDING)
    assert found["rate"] == 0.0001
    with pytest.raises(DataError, match="none of cryptofeed's"):
        cryptofeed.read(put(tmp_path, "x.jsonl", lines([{"a": 1}])))


# hftbacktest's collector

ORDER = {"s": "BTCUSDT", "S": "SELL", "ap": "69500", "z": "0.4", "T": T, "X": "FILLED"}


def collected(ns, stream, data):
    return f"{ns} {json.dumps({'stream': stream, 'data': data})}\n"


def test_a_recording_of_hftbacktests_collector(tmp_path):
    push = {"e": "forceOrder", "E": T + 9, "o": ORDER}
    text = collected(T * MS + 5_000_123, "btcusdt@trade", {"e": "trade", "p": "1"})
    text += collected(T * MS + 7_000_123, "btcusdt@forceOrder", push)
    text += f'{T * MS} {{"result": null, "id": 1}}\n'
    done = um.read(put(tmp_path, "btcusdt_20240610", text), format="forceOrder")
    (found,) = rows_of(done, Kind.LIQUIDATION)
    assert (found["ts_event"], found["ts_known"]) == (T * MS, T * MS + 7_000_123)
    assert found["side"] == LONG
    assert done.source["notes"]["other_messages"] == 2
    quiet = collected(T * MS, "btcusdt@trade", {"e": "trade", "p": "1"})
    assert not um.read(put(tmp_path, "q", quiet), format="forceOrder").tables


# hftbacktest's arrays

EVENT = [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8")]
EVENT += [("order_id", "u8"), ("ival", "i8"), ("fval", "f8")]
EXCH, LOCAL, BUY, SELL = (1 << bit for bit in (31, 30, 29, 28))
MARKET = {"venue": "binance-um", "symbol": "BTCUSDT"}


def events(*rows):
    """Return an array of (code, sent, received, price, size), in ms after T."""
    told = [(e, (T + a) * MS, (T + b) * MS, p, q, 0, 0, 0.0) for e, a, b, p, q in rows]
    return np.array(told, dtype=np.dtype(EVENT, align=True))


def test_an_array_of_hftbacktest_gives_each_trade_once(tmp_path):
    array = events(
        (2 | BUY | EXCH | LOCAL, 0, 5, 69500.0, 0.4),
        (2 | SELL | EXCH, 1, 9, 69499.0, 0.5),  # taken apart: this half happened,
        (1 | BUY | LOCAL | EXCH, 2, 8, 69000.0, 7.0),
        (2 | SELL | LOCAL, 1, 9, 69499.0, 0.5),  # and this one was received
        (2, 3, 11, 69498.0, 0.6),  # before its order was corrected
        (101 | LOCAL, 4, 12, 69497.0, 0.0),
    )
    for name, save in (("a.npz", np.savez_compressed), ("b.npz", np.savez), ("c.npy", np.save)):
        path = tmp_path / name
        save(path, **{"arr" if name == "c.npy" else "data": array})
        done = open_reader("hftbacktest?venue=binance-um&symbol=BTCUSDT").read(path, 0.0, None)
        found = rows_of(done, Kind.TRADE)
        assert [(r["ts_event"], r["ts_known"]) for r in found] == [
            ((T + a) * MS, (T + b) * MS) for a, b in ((0, 5), (1, 9), (3, 11))
        ]
        assert [r["side"] for r in found] == [LONG, SHORT, 0]
        assert [r["size_coins"] for r in found] == [0.4, 0.5, 0.6]
        assert done.source["notes"] == {"depth_rows": 1, "exchange_rows": 1, "other_rows": 1}
        assert done.source["latency_is"] == "observed"
    np.savez(tmp_path / "q.npz", data=events())
    assert not hftbacktest.read(tmp_path / "q.npz", **MARKET).tables
    np.savez(tmp_path / "o.npz", data=array)
    inverse = {"venue": "binance-cm", "symbol": "BTCUSD_PERP", "face_usd": 100.0}
    (found, *_) = rows_of(hftbacktest.read(tmp_path / "o.npz", **inverse), Kind.TRADE)
    assert found["size_coins"] == 0.4 * (100 / 69500.0)


def test_an_array_that_is_none_is_refused_without_unpickling(tmp_path):
    good = events((2 | BUY | LOCAL, 0, 5, 69500.0, 0.4))
    later = events((2 | BUY | LOCAL, 0, 8 * 3_600_000, 69500.0, 0.4))
    early = events((2 | BUY | LOCAL, -9000, -8000, 69500.0, 0.4))
    wrong = {
        "object": (np.array([{"a": 1}], dtype=object), "is no array of hftbacktest's events"),
        "first": (np.zeros((3, 6)), "is no array of hftbacktest's events"),
        "square": (np.tile(good, (2, 2)), "2 dimensions"),
        "moved": (later, "received 480.0 min after they happened"),
        "twice": (np.concatenate([good, early, good]), "trade 2 was received before"),
        "cut": (events(), "truncated"),
    }
    for name, (array, expected) in wrong.items():
        path = tmp_path / f"{name}.npz"
        np.savez(path, data=array)
        if name == "cut":
            np.save(path.with_suffix(".npy"), good)
            path.write_bytes(path.with_suffix(".npy").read_bytes()[:-9])
        with pytest.raises(DataError, match=expected):
            hftbacktest.read(path, **MARKET)
    np.savez(tmp_path / "g.npz", data=good)
    packed = (tmp_path / "g.npz").read_bytes()
    for cut in (len(packed) // 2, len(packed) - 9):
        (tmp_path / "cut.npz").write_bytes(packed[:cut])
        with pytest.raises(DataError, match="is no readable array"):
            hftbacktest.read(tmp_path / "cut.npz", **MARKET)
    with pytest.raises(DataError, match="expands to more than 100 bytes"):
        hftbacktest.read(tmp_path / "g.npz", max_bytes=100, **MARKET)
    np.savez(tmp_path / "two.npz", a=good, b=good)
    with pytest.raises(DataError, match="one called data, is expected"):
        hftbacktest.read(tmp_path / "two.npz", **MARKET)
    with pytest.raises(DataError, match=r"is no \.npz or \.npy"):
        hftbacktest.read(put(tmp_path, "x.npz", "a,b"), **MARKET)
    for market, expected in (
        ({}, "names neither venue nor symbol"),
        ({"venue": "binance-um", "symbol": "ETHBTC"}, "quoted in BTC"),
        ({"venue": "okx", "symbol": "BTC-USDT-SWAP"}, "coins, face_coins=0.01"),
        ({"venue": "binance-cm", "symbol": "BTCUSD_PERP", "face_coins": 1.0}, "US dollars"),
        ({**MARKET, "face_coins": 0.01}, "take the face out"),
    ):
        with pytest.raises(ConfigError, match=expected):
            hftbacktest.read(tmp_path / "g.npz", **market)


# a Hyperliquid node's fills

A, B = "0x" + "a" * 40, "0x" + "b" * 40
FILL = {
    "coin": "BTC",
    "px": "60000.0",
    "sz": "0.25",
    "side": "A",
    "time": T,
    "dir": "Liquidated Cross Long",
    "tid": 77,
    "liquidation": {"liquidatedUser": A.upper().replace("X", "x"), "markPx": "1", "method": "m"},
}


def block(*events, **more):
    local = str(np.datetime64(T + 40, "ms")) + "123456"
    return {"local_time": local, "block_time": "", "block_number": 1, "events": events} | more


def test_a_nodes_fills_give_what_accounts_lost_once(tmp_path):
    plain = {k: v for k, v in FILL.items() if k != "liquidation"}
    spot = FILL | {"coin": "@107", "tid": 5}
    bought = FILL | {"side": "B", "tid": 78, "time": T + 1}
    events = [[A, FILL], [B, FILL | {"side": "B"}], [A, FILL], [B, plain], [A, spot], [A, bought]]
    done = hyperliquid.read(put(tmp_path, "8.jsonl", lines([block(*events), block()])))
    found = rows_of(done, Kind.LIQUIDATION)
    assert [(r["side"], r["price"], r["size_coins"]) for r in found] == [
        (LONG, 60000.0, 0.25),
        (SHORT, 60000.0, 0.25),
    ]
    assert found[0]["ts_known"] == (T + 40) * MS + 123456
    notes = done.source["notes"]
    assert (notes["other_fills"], notes["repeated_fills"], notes["spot_fills"]) == (2, 1, 1)


def test_older_nodes_wrote_a_fill_a_line_and_no_clock_of_their_own(tmp_path):
    done = hyperliquid.read(put(tmp_path, "8.jsonl", lines([[A, FILL]])), format="node-fills")
    (found,) = rows_of(done, Kind.LIQUIDATION)
    assert found["ts_known"] == (T + 1000) * MS
    assert not hyperliquid.read(put(tmp_path, "9.jsonl", lines([[B, FILL]]))).tables
    with pytest.raises(DataError, match="none of them a node's fills"):
        hyperliquid.read(put(tmp_path, "x.jsonl", '{"a": 1}\n'))


def test_every_vendor_has_what_the_engine_asks_for():
    for vendor in VENDORS:
        assert open_reader(vendor).name == vendor
