"""What real feeds are like: other markets' rows, pushes twice, dead coins, packed files, JSON."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liqbt.errors import ConfigError, DataError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.table import ingest_file
from liqbt.sources import bybit, okx, tardis
from liqbt.sources.binance import cm, um
from liqbt.study.schema import MarketConfig
from liqbt.types import Kind

T0 = 1_718_000_000_000
S = 10**9


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def push(symbol="BTCUSDT", at=T0, **more):
    order = {"s": symbol, "S": "SELL", "q": "2", "ap": "69500", "z": "2", "T": at, **more}
    return {"e": "forceOrder", "E": at + 10, "o": order}


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def liquidations(done):
    return done.tables[Kind.LIQUIDATION].to_pylist() if done.tables else []


# market and unit


@pytest.mark.parametrize(
    ("reader", "symbol", "said"),
    [
        (um, "BTCUSD_PERP", "COIN-M symbol: read it as binance-cm"),
        (um, "BNBUSD_240628", "COIN-M symbol: read it as binance-cm"),
        (cm, "BTCUSDT", "USD-M symbol: read it as binance-um"),
        (cm, "ETHUSDC", "USD-M symbol: read it as binance-um"),
        (um, "ETHBTC", "quoted in BTC, not in a dollar"),
        (um, "BTCEUR", "quoted in EUR, not in a dollar"),
    ],
)
def test_a_symbol_of_another_market_or_quote_is_refused(tmp_path, reader, symbol, said):
    """In recorded pushes, as JSON and as CSV, and in the names of tables."""
    recording = put(tmp_path, "forceOrders.jsonl", lines(push(symbol)))
    table = put(
        tmp_path,
        "forceOrders.csv",
        f"symbol,side,avg_price,filled_qty,trade_time_ms\n{symbol},SELL,69500,2,{T0}\n",
    )
    head = "create_time,symbol,sum_open_interest,sum_open_interest_value\n"
    row = f"2024-06-10 00:05:00,{symbol},1,1\n"
    metrics = put(tmp_path, f"{symbol}-metrics-2024-06-10.csv", head + row)
    for path in (recording, table, metrics):
        with pytest.raises(DataError, match=said):
            reader.read(path)


@pytest.mark.parametrize(
    "symbol", ["BTCUSDT", "1000SHIBUSDT", "ETHUSDC", "BTCBUSD", "BTCUSDT_240628"]
)
def test_a_symbol_in_dollars_is_taken(tmp_path, symbol):
    (event,) = liquidations(um.read(put(tmp_path, "forceOrders.jsonl", lines(push(symbol)))))
    assert (event["symbol"], event["size_coins"]) == (symbol, 2)


def test_one_strange_symbol_of_many_pushes_is_put_aside(tmp_path):
    many = [push(at=T0 + 2000 * i) for i in range(2000)]
    done = um.read(put(tmp_path, "forceOrders.jsonl", lines(*many, push("ETHBTC"))))
    assert (done.summary.events, len(done.quarantined)) == ({"liquidation": 2000}, 1)
    assert "quoted in BTC" in done.quarantined["reason"][0]


def test_a_spot_file_is_no_file_of_the_perpetual(tmp_path):
    opens = T0 * 1000
    row = f"{opens},1,1,1,1,1,{opens + 59_999_999},1,1,1,1,0\n"
    path = put(tmp_path, "klines/BTCUSDT-1m-2025-01-01.csv", row)
    with pytest.raises(DataError, match="counts us, and files of futures count ms: this is a spot"):
        um.read(path)


DEALS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


def deal(exchange, symbol, amount=5, at=T0):
    return f"{exchange},{symbol},{at * 1000},{at * 1000 + 9},,sell,100,{amount}\n"


def test_a_known_face_is_never_overridden(tmp_path):
    both = DEALS + deal("binance-futures", "BTCUSDT") + deal("okex-swap", "SOL-USDT-SWAP")
    path = put(tmp_path, "liquidations.csv", both)
    with pytest.raises(DataError, match=r"`liqbt ingest 'tardis\?face_coins=0.01'"):
        tardis.read(path)
    sizes = {e["symbol"]: e["size_coins"] for e in liquidations(tardis.read(path, face_coins=2))}
    assert sizes == {"BTCUSDT": 5, "SOL-USDT-SWAP": 10}
    known = put(tmp_path, "known/liquidations.csv", DEALS + deal("binance-futures", "BTCUSDT"))
    with pytest.raises(ConfigError, match=r"BTCUSDT is 1 coins, not 0.01 coins: take the face out"):
        tardis.read(known, face_coins=0.01)
    with pytest.raises(ConfigError, match=r"BTC-USDT-SWAP': one contract is 0.01 coins, not 1"):
        okx.read(path, format="liquidation-orders", faces={"BTC-USDT-SWAP": ("coins", 1)})


def test_a_vendor_of_many_venues_refuses_other_quotes(tmp_path):
    text = DEALS + deal("binance-futures", "ETHBTC") + deal("bybit", "BTCUSDT")
    with pytest.raises(DataError, match="ETHBTC is quoted in BTC, not in a dollar"):
        tardis.read(put(tmp_path, "liquidations.csv", text))


@pytest.mark.parametrize(
    ("held", "wrong"),
    [
        ("binance-cm/BTCUSD_PERP", True),
        ("okx/ETH-USD-SWAP", True),
        ("bitmex/XBTUSD", True),
        ("binance-um/BTCUSDT", False),
        ("hyperliquid/BTC", False),
        ("okx/BTC-USDT-SWAP", False),
    ],
)
def test_an_inverse_contract_has_no_linear_margin_rule(held, wrong):
    market = {
        "events": {"mark": "binance-um/BTCUSDT", "open_interest": held},
        "margin": {"flat_rate": 0.004, "max_leverage": 100},
    }
    if not wrong:
        assert MarketConfig.model_validate(market).margin is not None
        return
    with pytest.raises(ValueError, match=f"{held} is an inverse contract"):
        MarketConfig.model_validate(market)
    assert MarketConfig.model_validate({**market, "margin": None}).margin is None


# identical pushes


@pytest.mark.parametrize("received", [True, False])
def test_a_push_that_was_recorded_twice_counts_once(tmp_path, received):
    """As it was first known; another field, or another time, makes another push."""
    pushes = [push(), push(), push(at=T0 + 2000), push(z="1"), push(z="0")]
    recorded = [
        {**({"received": T0 + 90 - i} if received else {}), "data": {"stream": "x", "data": p}}
        for i, p in enumerate(pushes)
    ]
    recorded[2]["received"] = T0 + 2500
    if not received:
        del recorded[2]["received"]
    done = um.read(put(tmp_path, "forceOrders.jsonl", lines(*recorded)))
    assert done.summary.events == {"liquidation": 3}
    notes = done.summary.notes
    assert (notes["repeated_pushes"], notes["unfilled_pushes"]) == (1, 1)
    first = min(e["ts_known"] for e in liquidations(done) if e["size_coins"] == 2)
    assert first == (T0 + 89) * 10**6 if received else first == (T0 + 1010) * 10**6
    assert done.summary.reader == "binance 2"


def okx_message(*details):
    details = [
        {"side": "sell", "posSide": "long", "bkPx": p, "sz": s, "ts": str(T0)} for p, s in details
    ]
    return {
        "arg": {"channel": "liquidation-orders"},
        "data": [{"instId": "BTC-USDT-SWAP", "details": details}],
    }


def bybit_message(*details):
    data = [{"T": T0, "s": "BTCUSDT", "S": "Buy", "v": s, "p": p} for p, s in details]
    return {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": T0 + 500, "data": data}


@pytest.mark.parametrize(("reader", "message"), [(okx, okx_message), (bybit, bybit_message)])
def test_what_a_later_message_repeats_counts_once(tmp_path, reader, message):
    """Twins of one message are two; a message after a reconnect says nothing new."""
    one, twins = message(("69000", "5")), message(("70000", "5"), ("70000", "5"))
    path = put(tmp_path, "recording.jsonl", lines(one, twins, one, twins, message(("69000", "6"))))
    done = reader.read(path)
    assert (done.summary.events, done.summary.notes["repeated_pushes"]) == ({"liquidation": 4}, 3)


def test_nothing_filled_is_left_out_everywhere(tmp_path):
    texts = {
        okx: ("a.jsonl", lines(okx_message(("69000", "0")), okx_message(("69000", "1")))),
        bybit: ("b.jsonl", lines(bybit_message(("69000", "0"), ("69000", "1")))),
        tardis: (
            "liquidations.csv",
            DEALS + deal("bybit", "BTCUSDT", 0) + deal("bybit", "BTCUSDT"),
        ),
        um: ("forceOrders.jsonl", lines(push(z="0"), push())),
    }
    for reader, (name, text) in texts.items():
        done = reader.read(put(tmp_path, name, text))
        assert (done.summary.events, len(done.quarantined)) == ({"liquidation": 1}, 0), name
        assert any(word.startswith("unfilled") for word in done.summary.notes)


# one bad element stops nothing else


MARKS = {
    "time": {"column": "t", "unit": "ms"},
    "stamp": "instant",
    "feed": "polled",
    "latency": "60s",
    "venue": "mine",
    "symbol": {"column": "coin"},
    "emit": [{"kind": "mark", "fields": {"price": "px"}}],
}


def marks(**more):
    return parse_map({**MARKS, **more}, "m.yaml", default_name="m")


def test_an_empty_day_is_a_day_without_events(tmp_path):
    empty = [
        (lambda p: tardis.read(p), "liquidations.csv", DEALS),
        (lambda p: um.read(p), "forceOrders.jsonl", ""),
        (
            lambda p: um.read(p),
            "BTCUSDT-aggTrades-2024-06-01.csv",
            "agg_trade_id,price,quantity,"
            "first_trade_id,last_trade_id,transact_time,is_buyer_maker\n",
        ),
        (lambda p: okx.read(p), "a.jsonl", "\n"),
        (lambda p: okx.read(p), "o.jsonl", lines({"event": "subscribe"})),
        (lambda p: okx.read(p), "o.csv", "timestamp,venue,coin,side,bankruptcy_px,contracts\n"),
        (lambda p: bybit.read(p), "b.jsonl", lines({"op": "subscribe", "success": True})),
        (lambda p: ingest_file(marks(), p), "m.csv", "t,coin,px\n"),
        (lambda p: ingest_file(marks(), p), "m.jsonl", ""),
    ]
    for read, name, text in empty:
        done = read(put(tmp_path, name, text))
        assert (done.tables, done.summary.rows, done.quarantine_table()) == ({}, 0, None), name


def test_one_dead_coin_leaves_out_that_coin(tmp_path):
    rows = [
        f"{T0 + 1000 * i},{coin},{px}"
        for i in range(20)
        for coin, px in (("A", 5), ("B", 7), ("DEAD", 0))
    ]
    done = ingest_file(marks(), put(tmp_path, "m.csv", "t,coin,px\n" + "\n".join(rows) + "\n"))
    assert done.summary.events == {"mark": 40}
    assert done.summary.notes["left_out"] == {"DEAD": 20}
    assert set(done.quarantined["coin"]) == {"DEAD"}
    wrong = [f"{T0 + 1000 * i},{coin},0" for i in range(20) for coin in "ABC"] + [f"{T0},D,1"]
    path = put(tmp_path, "n.csv", "t,coin,px\n" + "\n".join(wrong) + "\n")
    with pytest.raises(DataError, match="60 of 61 rows cannot be right"):
        ingest_file(marks(), path)  # three dead of four are no dead coin


def test_a_clock_that_is_a_little_behind(tmp_path):
    rows = [f"{T0 + 1000 * i},A,5,{T0 + 1000 * i + (3 if i % 4 else -15)}" for i in range(40)]
    path = put(tmp_path, "m.csv", "t,coin,px,r\n" + "\n".join(rows) + "\n")
    value = {key: held for key, held in MARKS.items() if key != "latency"}

    def read(tolerance):
        received = {"column": "r", "unit": "ms", **tolerance}
        return ingest_file(parse_map({**value, "received": received}, "m.yaml"), path)

    with pytest.raises(DataError, match=r"10 of 40 .* by up to 15 ms .* say received.tolerance"):
        read({})
    with pytest.raises(DataError, match="10 of 40"):
        read({"tolerance": "14ms"})
    done = read({"tolerance": "15ms"})
    assert (done.summary.events, done.summary.notes) == ({"mark": 40}, {"clock_behind_rows": 10})
    table = done.tables[Kind.MARK]
    lag = table["ts_known"].to_numpy() - table["ts_event"].to_numpy()
    assert sorted(set(lag.tolist())) == [0, 3_000_000]


# what people have


CSV = "t,coin,px\n" + "".join(f"{T0 + 1000 * i},A,{5 + i}\n" for i in range(50))


def arrow(codec):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(CSV.encode())
    return sink.getvalue().to_pybytes()


def zipped(folder):
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("m.csv", CSV)
        archive.writestr("__MACOSX/._m.csv", "x")
    return (folder / "z.zip").read_bytes()


@pytest.mark.parametrize("packing", ["zstd", "lz4", "bz2", "xz", "gzip", "zip"])
def test_packed_files(tmp_path, packing):
    data = {
        "bz2": lambda: bz2.compress(CSV.encode()),
        "xz": lambda: lzma.compress(CSV.encode()),
        "gzip": lambda: gzip.compress(CSV.encode()[:60]) + gzip.compress(CSV.encode()[60:]),
        "zip": lambda: zipped(tmp_path),
    }.get(packing, lambda: arrow(packing))()
    plain = ingest_file(marks(), put(tmp_path, "m.csv", CSV))
    packed = ingest_file(marks(), put(tmp_path, f"m.csv.{packing}", data))
    assert packed.tables[Kind.MARK].equals(plain.tables[Kind.MARK])
    with pytest.raises(
        DataError, match="more than 100 bytes: `liqbt ingest --max-size` raises that"
    ):
        ingest_file(marks(), tmp_path / f"m.csv.{packing}", max_bytes=100)
    with pytest.raises(DataError):
        ingest_file(marks(), put(tmp_path, f"torn.{packing}", data[: len(data) // 2]))


def test_an_unnamed_index_and_lines_before_the_header(tmp_path):
    frame = pd.DataFrame(
        {"px": [5.0, 6.0]}, index=pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
    )
    text = frame.to_csv()
    assert text.startswith(",px")
    mapping = marks(time={"column": "", "unit": "iso"}, symbol="A")
    assert ingest_file(mapping, put(tmp_path, "a.csv", text)).summary.events == {"mark": 2}
    skipping = marks(time={"column": "", "unit": "iso"}, symbol="A", csv={"skip": 2})
    done = ingest_file(skipping, put(tmp_path, "b.csv", "# made by\n# me\n" + text))
    assert done.summary.events == {"mark": 2}
    named = marks(time={"column": "t", "unit": "iso"}, symbol="A", csv={"columns": ["t", "px"]})
    with pytest.raises(DataError, match=r"where row 1 is a header, say csv.skip: 1"):
        ingest_file(named, tmp_path / "a.csv")


def test_times_in_a_float_that_cannot_hold_them(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame({"t": np.float32([1.7e9, 1.7e9 + 300]), "coin": "A", "px": [1.0, 2.0]})
    frame.to_parquet(path)
    with pytest.raises(
        DataError, match=r"'t' of a.parquet holds times as float: they are off by up"
    ):
        ingest_file(marks(time={"column": "t", "unit": "s"}), path)


@pytest.mark.parametrize(
    ("time", "cell"),
    [
        ({"unit": "iso"}, "2024-06-10 06:13:20 UTC"),
        ({"format": "%Y-%m-%dD%H:%M:%S.%f"}, "2024-06-10D06:13:20.000000000"),
        ({"format": "%Y-%m-%dD%H:%M:%S.%f"}, "2024-06-10D06:13:20"),
        ({"format": "%m/%d/%Y %H:%M:%S"}, "06/10/2024 06:13:20"),
        ({"format": "%m/%d/%Y %H:%M:%S", "zone": "America/New_York"}, "06/10/2024 02:13:20"),
        ({"format": "%d.%m.%y %I:%M:%S %p"}, "10.06.24 06:13:20 AM"),
    ],
)
def test_times_as_people_write_them(tmp_path, time, cell):
    path = put(tmp_path, "a.csv", f"t,coin,px\n{cell},A,5\n")
    done = ingest_file(marks(time={"column": "t", **time}), path)
    assert done.tables[Kind.MARK]["ts_event"].to_pylist() == [T0 * 10**6]


LIQ = {
    "time": {"column": "T", "unit": "ms"},
    "stamp": "instant",
    "feed": "pushed",
    "venue": "bybit",
    "symbol": {"column": "s"},
    "side": {"column": "S", "means": "position_side", "values": {"Buy": "long", "Sell": "short"}},
    "emit": [{"kind": "liquidation", "fields": {"price": "p", "size_coins": "v"}}],
}


def test_json_lines_by_a_column_map(tmp_path):
    """Rows in a list, a recorder's time in front, paths, and lines that are none."""
    message = bybit_message(("69000", "5"), ("69001", "2.5"))
    path = put(tmp_path, "a.jsonl", lines(message, {"op": "pong"}))
    for given in ({}, {"jsonl": {"rows": "data"}}):
        done = ingest_file(parse_map({**LIQ, "latency": "1s", **given}, "m.yaml"), path)
        assert [e["size_coins"] for e in liquidations(done)] == [5, 2.5]
    front = put(tmp_path, "b.txt", f"{T0 + 700} {json.dumps(message)}\n")
    mapping = {
        **LIQ,
        "jsonl": {"rows": "data", "before": "heard"},
        "received": {"column": "heard", "unit": "ms"},
    }
    done = ingest_file(parse_map(mapping, "m.yaml"), front)
    assert {e["ts_known"] for e in liquidations(done)} == {(T0 + 700) * 10**6}
    nested = {**LIQ, "latency": "1s", "time": {"column": "o.T", "unit": "ms"}, "symbol": "X"}
    nested["side"] = {"column": "o.S", "means": "order_side"}
    nested["emit"] = [{"kind": "liquidation", "fields": {"price": "`o.ap`", "size_coins": "`o.z`"}}]
    done = ingest_file(parse_map(nested, "m.yaml"), put(tmp_path, "c.jsonl", lines(push())))
    assert [(e["price"], e["side"]) for e in liquidations(done)] == [(69500, 1)]
    torn = put(tmp_path, "d.jsonl", lines(message) + "{\n")
    with pytest.raises(DataError, match="1 of 3 rows cannot be right"):
        ingest_file(parse_map({**LIQ, "latency": "1s"}, "m.yaml"), torn)
    wrong = parse_map({**LIQ, "latency": "1s", "jsonl": {}}, "m.yaml")
    with pytest.raises(DataError, match=r"has no column 'p'; its first row has \['topic'"):
        ingest_file(wrong, path)


def test_bybit(tmp_path):
    """A buy is a closed long; sizes of inverse contracts are dollars; both clocks where told."""
    inverse = {**bybit_message(), "topic": "allLiquidation.BTCUSD"}
    inverse["data"] = [{"T": T0, "s": "BTCUSD", "S": "Sell", "v": "6900", "p": "69000"}]
    old = {
        "topic": "liquidation.ETHUSDT",
        "ts": T0 + 5,
        "data": {"updatedTime": T0, "symbol": "ETHUSDT", "side": "Buy", "size": "3", "price": "9"},
    }
    path = put(tmp_path, "a.jsonl", lines(bybit_message(("69000", "5")), inverse, old))
    done = bybit.read(path)
    found = {e["symbol"]: (e["side"], e["size_coins"], e["price"]) for e in liquidations(done)}
    assert found == {
        "BTCUSDT": (1, 5, 69000),
        "BTCUSD": (-1, 0.1, 69000),
        "ETHUSDT": (1, 3, 9),
    }
    assert "undercount" in done.summary.notes["throttle"]
    known = {e["symbol"]: e["ts_known"] for e in liquidations(done)}
    assert known["BTCUSDT"] == (T0 + 1500) * 10**6
    heard = put(
        tmp_path, "b.jsonl", lines({"received": T0 + 600, "msg": bybit_message(("9", "5"))})
    )
    assert {e["ts_known"] for e in liquidations(bybit.read(heard))} == {(T0 + 600) * 10**6}
    with pytest.raises(DataError, match="holds no message of allLiquidation"):
        bybit.read(put(tmp_path, "c.jsonl", lines(push())))
