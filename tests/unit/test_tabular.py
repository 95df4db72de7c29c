"""Files through column maps: times, sides, units, joins, and rows that cannot be right."""

from __future__ import annotations

import gzip
import math
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqbt.errors import DataError, LogError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.table import ingest_file
from liqbt.log.store import EventLog
from liqbt.types import Kind

T0 = 1_767_225_600  # 2026-01-01T00:00:00Z
S = 1_000_000_000
TRADE = {
    "time": {"column": "t", "unit": "s"},
    "stamp": "instant",
    "feed": "pushed",
    "latency": "1s",
    "venue": "v",
    "symbol": "BTC",
    "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "sz"}}],
}
BAR = {
    "time": {"column": "t", "unit": "s"},
    "stamp": "open",
    "span": "1h",
    "feed": "polled",
    "latency": "60s",
    "venue": "v",
    "symbol": "BTC",
    "emit": [{"kind": "bar", "fields": {"open": "o", "high": "h", "low": "l", "close": "c"}}],
}
LIQUIDATION = {
    **TRADE,
    "side": {"column": "side", "means": "order_side"},
    "emit": [{"kind": "liquidation", "fields": {"price": "px", "size_coins": "sz"}}],
}


def write(path, text):
    path.write_text(text)
    return path


def ingest(mapping, path, **more):
    return ingest_file(parse_map(mapping, "m.yaml"), path, **more)


def rows_of(ingested, kind):
    return ingested.tables[kind].to_pylist()


def trades_csv(n=2000, **cells):
    """`n` good trades; `cells` replaces whole lines by number, from 1."""
    lines = [f"{T0 + i},{100 + i % 7},1.5" for i in range(n)]
    for number, line in cells.items():
        lines[int(number.removeprefix("row")) - 1] = line
    return "t,px,sz\n" + "\n".join(lines) + "\n"


def test_a_trade(tmp_path):
    path = write(tmp_path / "a.csv", f"t,px,sz\n{T0},100.5,2\n")
    (row,) = rows_of(ingest(TRADE, path), Kind.TRADE)
    assert row == {
        "ts_known": (T0 + 1) * S,
        "ts_event": T0 * S,
        "venue": "v",
        "symbol": "BTC",
        "seq": -1,
        "side": 0,
        "span_s": 0,
        "price": 100.5,
        "size_coins": 2.0,
        "occurrence": 0,
    }


@pytest.mark.parametrize(
    ("stamp", "end"), [("open", T0 + 3600), ("close", T0)], ids=["open", "close"]
)
def test_a_bucket_is_known_at_its_end_never_at_its_open(tmp_path, stamp, end):
    path = write(tmp_path / "a.csv", f"t,o,h,l,c\n{T0},10,12,9,11\n")
    (row,) = rows_of(ingest({**BAR, "stamp": stamp}, path), Kind.BAR)
    assert row["ts_event"] == end * S
    assert row["ts_known"] == (end + 60) * S
    assert row["span_s"] == 3600
    assert math.isnan(row["volume_coins"])


@pytest.mark.parametrize(
    ("unit", "cell", "ns"),
    [
        ("s", f"{T0}", T0 * S),
        ("s", f"{T0}.25", T0 * S + S // 4),
        ("ms", f"{T0}123", T0 * S + 123_000_000),
        ("us", f"{T0}123456", T0 * S + 123_456_000),
        ("ns", f"{T0}123456789", T0 * S + 123_456_789),
        ("iso", "2026-01-01T00:00:00Z", T0 * S),
        ("iso", "2026-01-01 00:00:00.123+00:00", T0 * S + 123_000_000),
        ("iso", "2026-01-01T00:00:00.123456789Z", T0 * S + 123_456_789),
        ("iso", "2026-01-01T02:00:00+02:00", T0 * S),
        ("iso", "2026-01-01", T0 * S),
    ],
)
def test_time_units_are_exact_to_the_nanosecond(tmp_path, unit, cell, ns):
    """pandas parses to microseconds: taken for nanoseconds, times would be 1000 times off."""
    path = write(tmp_path / "a.csv", f"t,px,sz\n{cell},1,1\n")
    (row,) = rows_of(ingest({**TRADE, "time": {"column": "t", "unit": unit}}, path), Kind.TRADE)
    assert row["ts_event"] == ns


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_parquet_timestamps_of_every_resolution(tmp_path, unit, zone):
    stamp = pd.Timestamp(T0, unit="s", tz="UTC").tz_convert(zone or "UTC")
    stamp = stamp.tz_localize(None) if zone is None else stamp
    times = pa.array([stamp.as_unit(unit)], type=pa.timestamp(unit, tz=zone))
    pq.write_table(pa.table({"t": times, "px": [1.0], "sz": [1]}), tmp_path / "a.parquet")
    (row,) = rows_of(ingest({**TRADE, "time": "t"}, tmp_path / "a.parquet"), Kind.TRADE)
    assert row["ts_event"] == T0 * S


def test_a_zone_for_times_without_an_offset(tmp_path):
    mapping = {**TRADE, "time": {"column": "t", "unit": "iso", "zone": "Asia/Tokyo"}}
    path = write(tmp_path / "a.csv", "t,px,sz\n2026-01-01T09:00:00,1,1\n")
    assert rows_of(ingest(mapping, path), Kind.TRADE)[0]["ts_event"] == T0 * S
    aware = write(tmp_path / "b.csv", "t,px,sz\n2026-01-01T09:00:00+01:00,1,1\n")
    with pytest.raises(DataError, match="offsets of its own"):
        ingest(mapping, aware)


def test_times_that_the_clock_change_makes_ambiguous_are_not_guessed(tmp_path):
    mapping = {**TRADE, "time": {"column": "t", "unit": "iso", "zone": "Europe/Berlin"}}
    lines = [f"2025-10-26T{h:02d}:30:00,1,1" for h in (0, 1, 2, 3, 4)]
    path = write(tmp_path / "a.csv", "t,px,sz\n" + "\n".join(lines) + "\n")
    done = ingest(mapping, path, max_bad=0.5)
    assert done.quarantined["row"].tolist() == [3]


@pytest.mark.parametrize(
    ("said", "written"), [("s", "ms"), ("ms", "s"), ("ms", "us"), ("us", "ns"), ("ns", "ms")]
)
def test_another_time_unit_is_noticed_by_its_magnitude(tmp_path, said, written):
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[written]
    path = write(tmp_path / "a.csv", f"t,px,sz\n{T0 * 10**digits},1,1\n")
    with pytest.raises(DataError, match=f"looks like {written} .* the map says {said}"):
        ingest({**TRADE, "time": {"column": "t", "unit": said}}, path)


def test_mixed_time_units_refuse_the_file(tmp_path):
    lines = [f"{T0 + i},1,1" for i in range(100)] + [f"{T0 + i}000,1,1" for i in range(40)]
    path = write(tmp_path / "a.csv", "t,px,sz\n" + "\n".join(lines) + "\n")
    with pytest.raises(DataError, match="mixes units of time: 't' counts s, but row 101 counts ms"):
        ingest(TRADE, path, max_bad=1.0)


def test_a_receive_time_is_observed(tmp_path):
    received = {"column": "r", "unit": "ms"}
    mapping = {k: v for k, v in TRADE.items() if k != "latency"} | {"received": received}
    path = write(tmp_path / "a.csv", f"t,px,sz,r\n{T0},1,1,{T0}250\n{T0 + 5},1,1,{T0 + 5}750\n")
    done = ingest(mapping, path)
    assert [r["ts_known"] - r["ts_event"] for r in rows_of(done, Kind.TRADE)] == [
        250_000_000,
        750_000_000,
    ]
    (latency,) = done.summary.latency
    assert (latency.latency_s, latency.latency_is) == (0.5, "observed")
    early = write(tmp_path / "b.csv", f"t,px,sz,r\n{T0},1,1,{T0 - 1}000\n")
    with pytest.raises(DataError, match="'r' lies before the event"):
        ingest(mapping, early)


@pytest.mark.parametrize(
    ("means", "word", "side"),
    [
        ("order_side", "SELL", 1),
        ("order_side", "buy", -1),
        ("position_side", "Long", 1),
        ("position_side", "short", -1),
    ],
)
def test_the_side_of_a_liquidation_is_that_of_the_position_closed(tmp_path, means, word, side):
    mapping = {**LIQUIDATION, "side": {"column": "side", "means": means}}
    path = write(tmp_path / "a.csv", f"t,px,sz,side\n{T0},1,1,{word}\n")
    assert rows_of(ingest(mapping, path), Kind.LIQUIDATION)[0]["side"] == side


def test_the_side_of_a_trade_is_the_takers(tmp_path):
    rule = {"column": "maker_bought", "means": "taker", "values": {"true": "sell", "false": "buy"}}
    path = write(tmp_path / "a.csv", f"t,px,sz,maker_bought\n{T0},1,1,true\n{T0 + 1},1,1,False\n")
    done = ingest({**TRADE, "side": rule}, path)
    assert [r["side"] for r in rows_of(done, Kind.TRADE)] == [-1, 1]


def test_a_side_in_another_language_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", f"t,px,sz,side\n{T0},1,1,S\n")
    with pytest.raises(DataError, match=r"'side' is 'S', none of \['buy', 'sell'\]"):
        ingest(LIQUIDATION, path)


def test_units_constants_and_derived_columns(tmp_path):
    mapping = {
        **TRADE,
        "units": {"px": "thousand"},
        "constants": {"face": {"column": "coin", "values": {"BTC": 0.01, "ETH": 0.1}}, "two": 2},
        "derive": {"coins": "contracts * face", "double": "coins * two"},
        "symbol": {"column": "coin", "rename": {"BTC": "XBT"}},
        "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "double / 2"}}],
    }
    path = write(tmp_path / "a.csv", f"t,px,contracts,coin\n{T0},70,5,BTC\n{T0},3,5,ETH\n")
    got = [(r["symbol"], r["price"], r["size_coins"]) for r in rows_of(ingest(mapping, path), 1)]
    assert got == [("ETH", 3000.0, 0.5), ("XBT", 70000.0, 0.05)]
    other = write(tmp_path / "b.csv", f"t,px,contracts,coin\n{T0},70,5,SOL\n")
    with pytest.raises(DataError, match="constant 'face' has no value for 'SOL'"):
        ingest(mapping, other)


def test_several_kinds_from_one_row(tmp_path):
    mapping = {
        **TRADE,
        "feed": "polled",
        "latency": "60s",
        "derive": {"mark": "usd / coins"},
        "emit": [
            {"kind": "mark", "fields": {"price": "mark"}, "price_is": "mark"},
            {
                "kind": "open_interest",
                "fields": {"open_interest_coins": "coins", "open_interest_usd": "usd"},
            },
        ],
    }
    path = write(tmp_path / "a.csv", f"t,coins,usd\n{T0},4,400\n{T0 + 300},5,550\n")
    done = ingest(mapping, path)
    marks = rows_of(done, Kind.MARK)
    assert [m["open"] for m in marks] == [m["low"] for m in marks] == [100.0, 110.0]
    assert [o["open_interest_coins"] for o in rows_of(done, Kind.OPEN_INTEREST)] == [4.0, 5.0]
    assert done.summary.price_is == {"mark": "mark"}
    zero = write(tmp_path / "b.csv", f"t,coins,usd\n{T0},0,0\n")
    with pytest.raises(DataError, match="mark: price is missing"):
        ingest(mapping, zero)


def test_one_kind_from_two_rules(tmp_path):
    mapping = {
        **TRADE,
        "emit": [
            {**TRADE["emit"][0], "where": {"c": "a"}, "symbol": "A"},
            {**TRADE["emit"][0], "where": {"c": ["b", "d"]}, "symbol": "B"},
        ],
    }
    path = write(tmp_path / "a.csv", f"t,px,sz,c\n{T0},1,1,b\n{T0},2,1,a\n{T0},3,1,x\n")
    got = [(r["symbol"], r["price"]) for r in rows_of(ingest(mapping, path), Kind.TRADE)]
    assert got == [("A", 2.0), ("B", 1.0)]


def test_an_optional_event_may_be_empty(tmp_path):
    funding = {"kind": "funding", "fields": {"rate": "f"}}
    mapping = {**TRADE, "emit": [TRADE["emit"][0], {**funding, "optional": True}]}
    path = write(tmp_path / "a.csv", f"t,px,sz,f\n{T0},1,1,\n{T0 + 1},1,1,0.01\n")
    done = ingest(mapping, path)
    assert done.summary.events == {"trade": 2, "funding": 1}
    assert done.summary.empty == {"funding": 1}
    with pytest.raises(DataError, match="funding: rate is missing"):
        ingest({**TRADE, "emit": [TRADE["emit"][0], funding]}, path)


@pytest.mark.parametrize(
    ("where", "prices"),
    [
        ({"c": "a"}, [1.0, 3.0]),
        ({"c": ["a", "b"], "k": 1}, [1.0, 2.0]),
        ({"k": [1, 3]}, [1.0, 2.0, 4.0]),
        ({"k": "3"}, [4.0]),
    ],
)
def test_a_filter(tmp_path, where, prices):
    lines = [f"{T0},1,1,a,1", f"{T0 + 1},2,1,b,1", f"{T0 + 2},3,1,a,2", f"{T0 + 3},4,1, x,3"]
    path = write(tmp_path / "a.csv", "t,px,sz,c,k\n" + "\n".join(lines) + "\n")
    done = ingest({**TRADE, "where": where}, path)
    assert [r["price"] for r in rows_of(done, Kind.TRADE)] == prices
    assert done.summary.filtered == 4 - len(prices)


def test_a_filter_that_nothing_passes_is_an_error(tmp_path):
    path = write(tmp_path / "a.csv", f"t,px,sz,c\n{T0},1,1,binance\n")
    with pytest.raises(DataError, match=r"no row where \{'c': \['binnce'\]\}"):
        ingest({**TRADE, "where": {"c": "binnce"}}, path)


def test_rows_outside_the_filter_may_be_wrong(tmp_path):
    path = write(tmp_path / "a.csv", f"t,px,sz,c\n{T0},1,1,a\n{T0},-5,1,b\n")
    assert ingest({**TRADE, "where": {"c": "a"}}, path).summary.quarantined == 0


def test_the_symbol_from_the_files_name(tmp_path):
    mapping = {**TRADE, "symbol": {"file_name": "^([A-Z]+)-trades"}}
    path = write(tmp_path / "ETHUSDT-trades-2026.csv", f"t,px,sz\n{T0},1,1\n")
    assert rows_of(ingest(mapping, path), Kind.TRADE)[0]["symbol"] == "ETHUSDT"
    with pytest.raises(DataError, match=r"'trades.csv' does not match"):
        ingest(mapping, write(tmp_path / "trades.csv", f"t,px,sz\n{T0},1,1\n"))


def test_a_file_without_header_and_another_delimiter(tmp_path):
    mapping = {**TRADE, "csv": {"delimiter": ";", "columns": ["x", "px", "sz", "t"]}}
    path = write(tmp_path / "a.csv", f"9;100;2;{T0}\n9;101;2;{T0 + 1}\n")
    done = ingest(mapping, path)
    assert [r["price"] for r in rows_of(done, Kind.TRADE)] == [100.0, 101.0]
    assert done.summary.rows == 2


JOINED = {
    "time": {"column": "t", "unit": "s"},
    "stamp": "open",
    "span": "1h",
    "feed": "polled",
    "latency": "60s",
    "venue": "hl",
    "symbol": {"column": "coin"},
    "join": {
        "file": "candles/c.csv",
        "time": {"column": "when", "unit": "iso"},
        "stamp": "open",
        "span": "1h",
        "latency": "90s",
        "where": {"venue": "binance"},
        "match": {"coin": "asset"},
        "columns": {"typical": "(h + l + c) / 3"},
    },
    "emit": [
        {
            "kind": "open_interest",
            "fields": {"open_interest_coins": "usd / typical", "open_interest_usd": "usd"},
        }
    ],
}
CANDLES = """when,venue,asset,h,l,c
2026-01-01T00:00:00Z,binance,BTC,120,90,90
2026-01-01T00:00:00Z,other,BTC,1,1,1
2026-01-01T00:00:00Z,binance,ETH,11,10,9
2026-01-01T01:00:00Z,binance,BTC,210,200,190
"""


@pytest.fixture
def joined(tmp_path):
    (tmp_path / "candles").mkdir()
    write(tmp_path / "candles" / "c.csv", CANDLES)
    (tmp_path / "oi").mkdir()
    text = f"t,coin,usd\n{T0},BTC,1000\n{T0},ETH,500\n{T0 + 3600},BTC,4000\n"
    return write(tmp_path / "oi" / "oi.csv", text)


def test_a_second_file_by_time(joined):
    done = ingest(JOINED, joined)
    got = [(r["symbol"], r["open_interest_coins"]) for r in rows_of(done, Kind.OPEN_INTEREST)]
    assert got == [("BTC", 10.0), ("ETH", 50.0), ("BTC", 20.0)]
    assert done.summary.join_file == "candles/c.csv"
    assert len(done.summary.join_sha256) == 64


def test_what_comes_of_two_files_is_known_when_both_are(joined):
    rows = rows_of(ingest(JOINED, joined), Kind.OPEN_INTEREST)
    assert {r["ts_known"] - r["ts_event"] for r in rows} == {90 * S}
    assert rows[0]["ts_event"] == (T0 + 3600) * S


def test_a_row_without_partner(joined):
    with joined.open("a") as file:
        file.write(f"{T0 + 7200},BTC,4000\n")
    with pytest.raises(DataError, match=r"no row of candles/c\.csv has the same time"):
        ingest(JOINED, joined)
    skipping = {**JOINED, "join": {**JOINED["join"], "unmatched": "skip"}}
    done = ingest(skipping, joined)
    assert (done.summary.unmatched, done.summary.events) == (1, {"open_interest": 3})


def test_no_partner_at_all_is_an_error(joined):
    skipping = {**JOINED["join"], "unmatched": "skip"}
    joined.write_text(f"t,coin,usd\n{T0},btc,1000\n")
    with pytest.raises(DataError, match=r"oi.csv: no row has the time of a row of candles/c.csv"):
        ingest({**JOINED, "join": skipping}, joined)


def test_two_partners_are_an_error(joined, tmp_path):
    with (tmp_path / "candles" / "c.csv").open("a") as file:
        file.write("2026-01-01T00:00:00Z,binance,BTC,1,1,1\n")
    with pytest.raises(DataError, match=r"two rows for the bucket .* 2026-01-01 01:00:00"):
        ingest(JOINED, joined)


def test_where_the_second_file_lies(joined, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(DataError, match=r"'candles/c.csv', which is not below .*elsewhere"):
        ingest(JOINED, joined, root=elsewhere)
    assert ingest(JOINED, joined, root=tmp_path).summary.join_file == "candles/c.csv"
    filtered = {**JOINED, "join": {**JOINED["join"], "where": {"venue": "nobody"}}}
    with pytest.raises(DataError, match="no row that passes the filter of the join"):
        ingest(filtered, joined)


def test_a_stamp_of_the_other_end_meets_the_same_bucket(joined, tmp_path):
    """Rows meet by the end of their buckets, however each file stamps them."""
    write(tmp_path / "candles" / "c.csv", CANDLES.replace("T01:", "T02:").replace("T00:", "T01:"))
    closing = {**JOINED, "join": {**JOINED["join"], "stamp": "close"}}
    assert len(rows_of(ingest(closing, joined), Kind.OPEN_INTEREST)) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{T0},-5,1", "trade: price is not above 0"),
        (f"{T0},0,1", "trade: price is not above 0"),
        (f"{T0},,1", "trade: price is missing"),
        (f"{T0},NaN,1", "trade: price is missing"),
        (f"{T0},abc,1", "column 'px' holds no number"),
        (f"{T0},inf,1", "trade: price is infinite"),
        (f"{T0},5,-1", "trade: size_coins is not above 0"),
        ("0,5,1", "'t' is no time from 2009 to 2100"),
        ("5000000000,5,1", "'t' is no time from 2009 to 2100"),
        (",5,1", "'t' is no time from 2009 to 2100"),
        ("yesterday,5,1", "'t' is no time from 2009 to 2100"),
        ("99999999999999999999,5,1", "'t' is no time from 2009 to 2100"),
        (f"{T0},5", "another number of cells than the header"),
        (f"{T0},5,1,9,9", "another number of cells than the header"),
    ],
)
def test_a_row_that_cannot_be_right_is_put_aside_with_its_reason(tmp_path, line, reason):
    path = write(tmp_path / "a.csv", trades_csv(2000, row17=line))
    done = ingest(TRADE, path)
    assert done.quarantined["row"].tolist() == [17]
    assert done.quarantined["reason"].tolist() == [reason]
    assert done.summary.quarantined == 1
    assert done.summary.reasons == {reason: 1}
    assert done.summary.events == {"trade": 1999}
    assert done.tables[Kind.TRADE].num_rows == 1999
    assert done.quarantine_table().num_rows == 1


def test_what_was_written_is_kept_beside_the_reason(tmp_path):
    path = write(tmp_path / "a.csv", trades_csv(2000, row17=f"{T0},abc,1", row900=f"{T0},5"))
    row = ingest(TRADE, path).quarantined.iloc[0]
    assert (row["t"], row["px"], row["sz"]) == (str(T0), "abc", "1")


def test_more_than_a_tenth_of_a_percent_refuses_the_file(tmp_path):
    two = {f"row{i}": f"{T0},0,1" for i in (5, 8)}
    path = write(tmp_path / "a.csv", trades_csv(2000, **two))
    assert ingest(TRADE, path).summary.quarantined == 2
    three = write(tmp_path / "b.csv", trades_csv(2000, **two, row11=f"{T0},0,1"))
    with pytest.raises(DataError) as caught:
        ingest(TRADE, three)
    message = str(caught.value)
    assert "b.csv: 3 of 2000 rows cannot be right" in message
    assert "rows [5, 8, 11]" in message
    assert "price is not above 0" in message
    assert ingest(TRADE, three, max_bad=0.01).summary.quarantined == 3


def test_a_bad_row_gives_no_event_of_any_kind(tmp_path):
    """High below low: the funding of the same row is not believed either."""
    emit = [BAR["emit"][0], {"kind": "funding", "fields": {"rate": "f"}}]
    lines = [f"{T0 + 3600 * i},10,12,9,11,0.01" for i in range(10)]
    lines[3] = f"{T0 + 3600 * 3},10,8,9,11,0.01"
    path = write(tmp_path / "a.csv", "t,o,h,l,c,f\n" + "\n".join(lines) + "\n")
    done = ingest({**BAR, "emit": emit}, path, max_bad=0.2)
    assert done.quarantined["reason"].tolist() == ["bar: high is below low"]
    assert done.summary.events == {"bar": 9, "funding": 9}


def test_a_number_that_rises_while_time_falls(tmp_path):
    lines = [f"{T0 + i},1,1,{i}" for i in range(2000)]
    lines[1000] = f"{T0 + 5000},1,1,1000"
    lines[700], lines[300] = lines[300], lines[700]
    path = write(tmp_path / "a.csv", "t,px,sz,id\n" + "\n".join(lines) + "\n")
    done = ingest({**TRADE, "id": "id"}, path)
    assert done.quarantined["row"].tolist() == [1001]
    assert done.quarantined["reason"].tolist() == ["time goes back while 'id' rises"]
    assert done.tables[Kind.TRADE]["seq"].to_pylist()[:3] == [0, 1, 2]


def test_numbers_run_by_instrument(tmp_path):
    """Two symbols with their own numbers: neither goes back."""
    lines = [f"{T0 + i},1,1,{i},A" for i in range(50)] + [f"{T0 + i},1,1,{i},B" for i in range(50)]
    path = write(tmp_path / "a.csv", "t,px,sz,id,c\n" + "\n".join(lines) + "\n")
    done = ingest({**TRADE, "id": "id", "symbol": {"column": "c"}}, path)
    assert done.summary.quarantined == 0


@pytest.mark.parametrize("cell", ["1.5", "x", "", "-1"])
def test_a_number_that_is_none(tmp_path, cell):
    path = write(tmp_path / "a.csv", f"t,px,sz,id\n{T0},1,1,{cell}\n{T0},1,1,7\n")
    done = ingest({**TRADE, "id": "id"}, path, max_bad=0.5)
    assert done.quarantined["reason"].tolist() == ["'id' is no whole number from 0"]


def test_ids_beyond_what_a_float_holds_are_exact(tmp_path):
    big = 2**53 + 1
    path = write(tmp_path / "a.csv", f"t,px,sz,id\n{T0},1,1,{big}\n{T0},abc,1,{big + 2}\n")
    done = ingest({**TRADE, "id": "id"}, path, max_bad=0.5)
    assert done.tables[Kind.TRADE]["seq"].to_pylist() == [big]


def test_genuine_identical_fills_are_numbered(tmp_path):
    path = write(tmp_path / "a.csv", "t,px,sz\n" + f"{T0},1,1\n" * 3)
    done = ingest(TRADE, path)
    assert [r["occurrence"] for r in rows_of(done, Kind.TRADE)] == [0, 1, 2]


def test_the_packing_does_not_matter(tmp_path):
    text = trades_csv(50)
    plain = write(tmp_path / "a.csv", text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", text)
    write(tmp_path / "bom.csv", "\ufeff" + text)
    write(tmp_path / "crlf.csv", text.replace("\n", "\r\n"))
    frame = pd.read_csv(plain)
    frame.to_parquet(tmp_path / "a.parquet")
    tables = [
        ingest(TRADE, tmp_path / name).tables[Kind.TRADE]
        for name in ("a.csv", "a.csv.gz", "a.zip", "bom.csv", "crlf.csv", "a.parquet")
    ]
    assert all(t.equals(tables[0]) for t in tables)


def test_ingesting_is_pure_and_appending_twice_adds_nothing(tmp_path):
    path = write(tmp_path / "a.csv", trades_csv(2000, row3=f"{T0},0,1"))
    log = EventLog.create(tmp_path / "log")
    for expected in (1, None):
        done = ingest(TRADE, path)
        commit = log.append(done.tables.items(), done.source, quarantine=done.quarantine_table())
        assert (commit and commit.number) == expected
    assert log.info().quarantined == 1
    assert log.verify() == []
    source = log.commits()[0].source
    assert source["file"] == "a.csv"
    assert source["latency"] == [
        {
            "venue": "v",
            "symbol": "BTC",
            "kind": "trade",
            "latency_s": 1.0,
            "latency_is": "modelled",
            "feed": "pushed",
        }
    ]


def test_a_changed_map_is_another_source(tmp_path):
    path = write(tmp_path / "a.csv", trades_csv(10))
    log = EventLog.create(tmp_path / "log")
    first, second = (ingest({**TRADE, "latency": latency}, path) for latency in ("1s", "2s"))
    assert log.append(first.tables.items(), first.source) is not None
    with pytest.raises(LogError, match=r"a.csv is in the log already, read by 'map' \(commit 1\)"):
        log.append(second.tables.items(), second.source)
    log.withdraw("a.csv", "another latency")
    assert log.append(second.tables.items(), second.source) is not None
    assert log.info().events == {Kind.TRADE: 10}


def test_categories_booleans_and_whole_numbers_in_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "t": np.array([T0, T0 + 1], dtype=np.uint32),
            "px": np.array([1, 2], dtype=np.int16),
            "sz": np.array([1, 2], dtype=np.float32),
            "maker": [True, False],
            "coin": pd.Categorical(["B", "A"]),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    rule = {"column": "maker", "means": "taker", "values": {True: "sell", False: "buy"}}
    mapping = {
        **TRADE,
        "symbol": {"column": "coin"},
        "side": rule,
        "where": {"maker": [True, False]},
    }
    rows = rows_of(ingest(mapping, tmp_path / "a.parquet"), Kind.TRADE)
    assert [(r["symbol"], r["side"], r["price"]) for r in rows] == [("B", -1, 1.0), ("A", 1, 2.0)]
