"""Tardis files: both clocks, units of amounts, repetitions, bands; and what is refused."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from liqbt.errors import ConfigError, DataError
from liqbt.log.tables import event_table, logical_hash
from liqbt.sources import tardis
from liqbt.types import Kind, Side

T = 1_700_000_000_000_000
US = 1000
DEALS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,"
    "predicted_funding_rate,open_interest,last_price,index_price,mark_price\n"
)
MARKET = "binance-futures,BTCUSDT"


def book_header(levels: int = 25) -> str:
    cells = [
        f"asks[{i}].price,asks[{i}].amount,bids[{i}].price,bids[{i}].amount" for i in range(levels)
    ]
    return f"exchange,symbol,timestamp,local_timestamp,{','.join(cells)}\n"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(done, kind: Kind) -> list[dict]:
    return done.tables[kind].to_pylist()


def test_a_trade_is_known_when_the_vendors_machine_had_it(tmp_path):
    path = put(tmp_path, "trades.csv", f"{DEALS}{MARKET},{T},{T + 7500},41,sell,100.5,2\n")
    done = tardis.read(path)
    (row,) = rows_of(done, Kind.TRADE)
    assert row["ts_event"] == T * US
    assert row["ts_known"] == (T + 7500) * US
    assert (row["venue"], row["symbol"]) == ("binance-futures", "BTCUSDT")
    assert (row["seq"], row["side"], row["price"], row["size_coins"]) == (41, Side.SHORT, 100.5, 2)
    (latency,) = done.summary.latency
    assert (latency.latency_is, latency.latency_s) == ("observed", 0.0075)


def test_a_local_clock_behind_the_venues_never_makes_an_event_known_before_it_happened(tmp_path):
    lines = [
        f"{MARKET},{T + i},{T + i - lag},{i},buy,100,1" for i, lag in ((0, -5), (1, 4), (2, 9))
    ]
    path = put(tmp_path, "trades.csv", DEALS + "\n".join(lines) + "\n")
    done = tardis.read(path)
    known = {r["seq"]: r["ts_known"] - r["ts_event"] for r in rows_of(done, Kind.TRADE)}
    assert known == {0: 5 * US, 1: 0, 2: 0}
    assert done.source["notes"]["clock_behind_rows"] == 2
    assert done.source["notes"]["clock_behind_most_us"] == 9


def test_a_clock_ten_seconds_behind_is_still_skew_and_beyond_it_no_row(tmp_path):
    edge = put(tmp_path, "a-trades.csv", f"{DEALS}{MARKET},{T},{T - 10_000_000},1,buy,100,1\n")
    assert len(rows_of(tardis.read(edge), Kind.TRADE)) == 1
    far = put(tmp_path, "b-trades.csv", f"{DEALS}{MARKET},{T},{T - 10_000_001},1,buy,100,1\n")
    with pytest.raises(DataError, match="more than 10 s before timestamp"):
        tardis.read(far)


def test_two_equal_times_are_counted_as_one_clock(tmp_path):
    path = put(tmp_path, "trades.csv", f"{DEALS}{MARKET},{T},{T},1,buy,100,1\n")
    assert tardis.read(path).source["notes"]["one_clock_rows"] == 1


def test_a_taker_that_was_not_told_has_no_side(tmp_path):
    path = put(tmp_path, "trades.csv", f"{DEALS}{MARKET},{T},{T + 1},1,unknown,100,1\n")
    assert rows_of(tardis.read(path), Kind.TRADE)[0]["side"] == Side.NONE


def test_ids_that_repeat_or_are_no_numbers_are_not_used(tmp_path):
    """Two fills under one id would become one event."""
    for name, ids in (("words", ("a1", "a2")), ("repeated", ("7", "7")), ("missing", ("7", ""))):
        lines = [f"{MARKET},{T},{T + 1},{i},buy,100,{n + 1}" for n, i in enumerate(ids)]
        done = tardis.read(put(tmp_path, f"{name}-trades.csv", DEALS + "\n".join(lines) + "\n"))
        assert [r["seq"] for r in rows_of(done, Kind.TRADE)] == [-1, -1]
        assert "id" in done.source["notes"]


def test_one_id_at_two_instruments_is_two_trades(tmp_path):
    lines = [f"binance-futures,{s},{T},{T + 1},7,buy,100,1" for s in ("BTCUSDT", "ETHUSDT")]
    done = tardis.read(put(tmp_path, "trades.csv", DEALS + "\n".join(lines) + "\n"))
    assert [r["seq"] for r in rows_of(done, Kind.TRADE)] == [7, 7]


@pytest.mark.parametrize(("word", "side"), [("buy", Side.SHORT), ("sell", Side.LONG)])
def test_a_liquidation_buy_closed_a_short(tmp_path, word, side):
    path = put(tmp_path, "liquidations.csv", f"{DEALS}{MARKET},{T},{T + 1},,{word},100,1\n")
    assert rows_of(tardis.read(path), Kind.LIQUIDATION)[0]["side"] == side


def test_trades_and_liquidations_are_told_apart_by_name_or_by_saying_so(tmp_path):
    path = put(tmp_path, "x.csv", f"{DEALS}{MARKET},{T},{T + 1},,buy,100,1\n")
    with pytest.raises(DataError, match="fits several"):
        tardis.read(path)
    assert Kind.LIQUIDATION in tardis.read(path, format="liquidations").tables
    with pytest.raises(ConfigError, match="did you mean 'trades'"):
        tardis.read(path, format="trade")


def test_contracts_become_coins_where_they_are_known(tmp_path):
    def coins(market: str, price: float, **face) -> float:
        line = f"{market},{T},{T + 1},,buy,{price},5\n"
        done = tardis.read(put(tmp_path, "liquidations.csv", DEALS + line), **face)
        return rows_of(done, Kind.LIQUIDATION)[0]["size_coins"]

    assert coins("binance-futures,SOLUSDT", 100) == 5
    assert coins("okex-swap,BTC-USDT-SWAP", 50_000) == pytest.approx(0.05)
    assert coins("okex-swap,BTC-USD-SWAP", 50_000) == pytest.approx(0.01)
    assert coins("deribit,BTC-PERPETUAL", 50_000) == pytest.approx(1e-4)
    assert coins("okex-swap,SOL-USDT-SWAP", 100, face_coins=1.0) == 5
    assert coins("okex-swap,SOL-USD-SWAP", 100, face_usd=10.0) == pytest.approx(0.5)


def test_contracts_of_an_unknown_size_are_refused_not_taken_for_coins(tmp_path):
    path = put(tmp_path, "trades.csv", f"{DEALS}okex-swap,SOL-USDT-SWAP,{T},{T + 1},1,buy,100,5\n")
    with pytest.raises(
        DataError, match=r"okex-swap/SOL-USDT-SWAP is, is not known: .*tardis.face_coins=0.01"
    ):
        tardis.read(path)
    with pytest.raises(ConfigError, match="contradict"):
        tardis.read(path, face_coins=1, face_usd=1)
    with pytest.raises(ConfigError, match="above 0"):
        tardis.read(path, face_coins=-1)


def test_a_face_takes_part_in_the_identity_of_the_source(tmp_path):
    """The same file under another face gives other events: a log must not take it for known."""
    path = put(tmp_path, "trades.csv", f"{DEALS}okex-swap,SOL-USDT-SWAP,{T},{T + 1},1,buy,100,5\n")
    one, two = (tardis.read(path, face_coins=f).source for f in (1.0, 2.0))
    assert one["map_sha256"] != two["map_sha256"]


def test_a_ticker_gives_what_is_said_anew_and_nothing_for_empty_cells(tmp_path):
    cells = [
        (",", "", ""),
        ("0.0001,0.0009", "10", "100"),
        ("0.0001,0.0008", "10", "100"),
        ("0.0001,", "", "101"),
        ("0.0002,", "11", ""),
        ("0.0002,", "10", "101"),
    ]
    lines = [
        f"{MARKET},{T + i},{T + i + 5},,{rates},{held},,,{mark}"
        for i, (rates, held, mark) in enumerate(cells)
    ]
    done = tardis.read(put(tmp_path, "t.csv", TICKER + "\n".join(lines) + "\n"))
    assert [r["close"] for r in rows_of(done, Kind.MARK)] == [100, 101]
    held = rows_of(done, Kind.OPEN_INTEREST)
    assert [(r["ts_event"] // US - T, r["open_interest_coins"]) for r in held] == [
        (1, 10),
        (4, 11),
        (5, 10),
    ]
    assert [r["rate"] for r in rows_of(done, Kind.FUNDING)] == [0.0001, 0.0002]
    assert all(math.isnan(r["interval_hours"]) for r in rows_of(done, Kind.FUNDING))


def test_a_tickers_instruments_do_not_mix(tmp_path):
    lines = [
        f"binance-futures,{s},{T + i},{T + i + 5},,,,{v},,,100"
        for i, (s, v) in enumerate((("A", 1), ("B", 1), ("A", 1), ("B", 2), ("A", 3)))
    ]
    done = tardis.read(put(tmp_path, "t.csv", TICKER + "\n".join(lines) + "\n"))
    held = [(r["symbol"], r["open_interest_coins"]) for r in rows_of(done, Kind.OPEN_INTEREST)]
    assert held == [("A", 1), ("B", 1), ("B", 2), ("A", 3)]


def test_inverse_open_interest_uses_the_mark_known_by_then(tmp_path):
    rows = [("", "50000"), ("1000", ""), ("1000", "40000"), ("2000", "")]
    lines = [
        f"deribit,BTC-PERPETUAL,{T + i},{T + i + 5},,,,{held},,,{mark}"
        for i, (held, mark) in enumerate(rows)
    ]
    done = tardis.read(put(tmp_path, "t.csv", TICKER + "\n".join(lines) + "\n"))
    held = [r["open_interest_coins"] for r in rows_of(done, Kind.OPEN_INTEREST)]
    assert held == pytest.approx([0.02, 0.05])


def test_a_cell_of_a_ticker_that_is_no_number_is_put_aside_not_taken_for_empty(tmp_path):
    lines = [f"{MARKET},{T + i},{T + i + 5},,,,10,,,{100 + i}" for i in range(10)]
    lines[4] = lines[4].replace(",104", ",x")
    path = put(tmp_path, "t.csv", TICKER + "\n".join(lines) + "\n")
    done = tardis.read(path, max_bad=0.2)
    assert done.quarantined["row"].tolist() == [5]
    assert "mark_price" in done.quarantined["reason"][0]


def test_a_snapshot_gives_one_band_a_side_as_wide_as_it_reaches(tmp_path):
    """Two levels a side by hand; the other 23 are empty."""
    line = f"{MARKET},{T},{T + 5},101,1,99,2,103,3,98,4" + "," * 92
    done = tardis.read(put(tmp_path, "b.csv", f"{book_header()}{line}\n"))
    bands = {r["side"]: r for r in rows_of(done, Kind.DEPTH)}
    bid, ask = bands[Side.LONG], bands[Side.SHORT]
    assert (bid["low"], bid["high"]) == (98, 100)
    assert (bid["depth_coins"], bid["depth_usd"]) == (6, 2 * 99 + 4 * 98)
    assert (ask["low"], ask["high"]) == (100, math.nextafter(103, math.inf))
    assert (ask["depth_coins"], ask["depth_usd"]) == (4, 101 + 3 * 103)


def test_a_snapshot_with_one_side_gives_one_band(tmp_path):
    line = f"{MARKET},{T},{T + 5},,,99,2,,,98,4" + "," * 92
    done = tardis.read(put(tmp_path, "b.csv", f"{book_header()}{line}\n"))
    (bid,) = rows_of(done, Kind.DEPTH)
    assert (bid["side"], bid["low"], bid["depth_coins"]) == (Side.LONG, 98, 6)
    assert 99 < bid["high"] < 99.0001


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ("100,1,100,1,101,1,99,1", "best bid is not below the best ask"),
        ("101,1,99,1,101,1,98,1", "bids do not fall, or asks do not rise"),
        ("101,1,99,1,,1,98,1", "asks has a price or an amount alone"),
        ("101,1,99,-1,102,1,98,1", "bids is not above 0"),
        ("101,1,99,1,102,x,98,1", "holds no number"),
    ],
)
def test_a_book_that_cannot_be_right_is_refused(tmp_path, levels, reason):
    path = put(tmp_path, "b.csv", f"{book_header()}{MARKET},{T},{T + 5},{levels}{',' * 92}\n")
    with pytest.raises(DataError, match=reason):
        tardis.read(path)


def test_five_and_twenty_five_levels_are_told_apart(tmp_path):
    for levels in (5, 25):
        cells = ",".join(f"{101 + i},1,{99 - i},1" for i in range(levels))
        path = put(tmp_path, "b.csv", f"{book_header(levels)}{MARKET},{T},{T + 5},{cells}\n")
        done = tardis.read(path)
        assert done.summary.map == f"tardis/book_snapshot_{levels}"
        assert rows_of(done, Kind.DEPTH)[0]["depth_coins"] == levels


def test_the_order_of_rows_and_packing_do_not_matter(tmp_path):
    lines = [f"{MARKET},{T + i},{T + i + 40 - i % 7},{i},buy,{100 + i % 3},1" for i in range(50)]
    plain = tardis.read(put(tmp_path, "trades.csv", DEALS + "\n".join(lines) + "\n"))
    packed = tmp_path / "trades.csv.gz"
    packed.write_bytes(gzip.compress((DEALS + "\n".join(reversed(lines)) + "\n").encode()))
    again = tardis.read(packed)
    assert logical_hash(plain.tables[Kind.TRADE]) == logical_hash(again.tables[Kind.TRADE])


def test_what_is_read_is_what_a_log_takes(tmp_path):
    line = f"{MARKET},{T},{T + 5},101,1,99,2,103,3,98,4" + "," * 92
    done = tardis.read(put(tmp_path, "b.csv", f"{book_header()}{line}\n"))
    table = done.tables[Kind.DEPTH]
    columns = {name: table[name] for name in table.schema.names if name != "occurrence"}
    for name in columns:
        if name not in ("venue", "symbol"):
            columns[name] = columns[name].to_numpy()
    assert event_table(Kind.DEPTH, columns).equals(table)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n", "empty line"),
        ("a,b\n1,2\n", "is of none"),
        (f"{DEALS}{MARKET},{T // 1000},{T + 1},1,buy,1,1\n", "looks like ms"),
        (f"{DEALS}{MARKET},{T},x,1,buy,1,1\n", "local_timestamp is no whole number"),
        (f"{DEALS}{MARKET},{T},,1,buy,1,1\n", "local_timestamp is no whole number"),
        (f"{DEALS}{MARKET},{T},{T + 1},1,bought,1,1\n", "'bought', none of"),
        (f"{DEALS}{MARKET},{T},{T + 1},1,buy,0,1\n", "price is not above 0"),
        (f"{DEALS}{MARKET},{T},{T + 1},1,buy,1\n", "another number of cells"),
        (f"{TICKER}{MARKET},{T}\n", "another number of cells"),
        (f"{book_header()}{MARKET},{T}\n", "another number of cells"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, text, said):
    path = put(tmp_path, "trades.csv", text)
    with pytest.raises(DataError, match=said):
        tardis.read(path)


def test_an_option_is_said_behind_the_vendors_name(tmp_path):
    """It takes part in the identity of what was read."""
    from liqbt.study.ingest import ingest_files
    from liqbt.study.readers import open_reader

    path = put(tmp_path, "trades.csv", f"{DEALS}okex-swap,SOL-USDT-SWAP,{T},{T + 1},1,buy,100,5\n")
    (report,) = ingest_files("tardis?face_coins=2", [path], tmp_path / "log")
    assert report.events == 1
    spec = "tardis/trades?face_coins=2"
    assert open_reader(spec).digest != open_reader("tardis/trades?face_coins=3").digest
    for wrong, said in (("face_coin=2", "face_coins"), ("face_usd=many", "'many' is no face_usd")):
        with pytest.raises(ConfigError, match=said):
            open_reader(f"tardis?{wrong}")
