"""Files of the Binance archive: what each type gives, header or none, ms or us, doubled rows."""

from __future__ import annotations

import gzip
import json
import math
from itertools import pairwise
from pathlib import Path

import archive
import numpy as np
import pytest
from archive import HEADERS, MINUTE, OLD_HEADERS, csv

from liqbt.errors import ConfigError, DataError, LiqbtError
from liqbt.sources.binance import cm, um
from liqbt.sources.binance.reader import premium_table
from liqbt.types import Kind

T0 = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
S = 1_000_000_000
KLINES = [(T0 + i * MINUTE, 100.5, 102.25, 99.5, 101.0 + i / 4, "12.5", "1262.5") for i in range(4)]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".zip"):
        path.write_bytes(archive.zipped(Path(name).stem + ".csv", text))
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def rows(done, kind):
    return done.tables[kind].to_pylist()


def test_metrics_of_um(tmp_path):
    text = csv(archive.metric_rows("BTCUSDT", [(T0, "1000.5", "42000000.0")]), HEADERS["metrics"])
    done = um.read(write(tmp_path, "BTCUSDT-metrics-2024-01-01.zip", text))
    (interest,) = rows(done, Kind.OPEN_INTEREST)
    (mark,) = rows(done, Kind.MARK)
    assert (interest["venue"], interest["symbol"]) == ("binance-um", "BTCUSDT")
    assert (interest["open_interest_coins"], interest["open_interest_usd"]) == (1000.5, 42e6)
    assert (interest["ts_event"], interest["ts_known"]) == (T0, T0 + 60 * S)
    assert mark["venue"] == "binance-um-metrics"
    assert mark["open"] == mark["close"] == 42e6 / 1000.5
    assert {x.feed for x in done.summary.latency} == {"polled"}
    assert {x.latency_is for x in done.summary.latency} == {"modelled"}


def test_metrics_of_cm_as_published(tmp_path):
    """A row that others have published: contracts of 100 USD, their value in coins."""
    line = "2023-06-25 00:00:00,BTCUSD_PERP,5578700.00000000,18265.00911826,"
    text = f'{HEADERS["metrics"]}\n{line}"","","",0.00855776\n'
    done = cm.read(write(tmp_path, "BTCUSD_PERP-metrics-2023-06-25.csv", text))
    (interest,) = rows(done, Kind.OPEN_INTEREST)
    assert interest["open_interest_coins"] == 18265.00911826
    assert interest["open_interest_usd"] == 557_870_000
    assert rows(done, Kind.MARK)[0]["open"] == pytest.approx(30_543.1, abs=1e-6)


def test_metrics_without_open_interest_and_of_another_symbol(tmp_path):
    lines = [(T0 + i * MINUTE, 1000 + i, 10 * (1000 + i)) for i in range(20)]
    cells = archive.metric_rows("BTCUSDT", lines)
    cells[3][2:4] = ["", ""]
    cells[5][1] = "ETHUSDT"
    path = write(tmp_path, "BTCUSDT-metrics-2024-01-01.csv", csv(cells, HEADERS["metrics"]))
    done = um.read(path, max_bad=0.1)
    assert done.summary.events == {"mark": 18, "open_interest": 18}
    assert done.summary.empty == {"mark": 1, "open_interest": 1}
    assert done.quarantined["row"].tolist() == [6]
    assert done.quarantined["reason"].tolist() == ["the row is not of BTCUSDT"]
    with pytest.raises(DataError, match="1 of 20 rows cannot be right"):
        um.read(path)


def test_klines_are_known_at_their_close(tmp_path):
    text = csv(archive.kline_rows(KLINES, 60), HEADERS["klines"])
    done = um.read(write(tmp_path, "klines/BTCUSDT-1m-2024-01-01.zip", text))
    bar = rows(done, Kind.BAR)[0]
    assert (bar["ts_event"], bar["ts_known"], bar["span_s"]) == (T0 + MINUTE, T0 + MINUTE + S, 60)
    assert [bar[k] for k in ("open", "high", "low", "close")] == [100.5, 102.25, 99.5, 101.0]
    assert bar["volume_coins"] == 12.5
    assert done.summary.price_is == {"bar": "last"}


def test_klines_of_cm_count_contracts_and_give_coins_beside_them(tmp_path):
    """The row of the venue's own documentation: 206 contracts of 100 USD were 2.13660389 BTC."""
    line = "1591258320000,9640.7,9642.4,9640.6,9642.0,206,1591258379999,2.13660389,48,119,1.2,0\n"
    done = cm.read(write(tmp_path, "klines/BTCUSD_PERP-1m-2020-06-04.csv", line))
    (bar,) = rows(done, Kind.BAR)
    assert bar["volume_coins"] == 2.13660389
    assert 206 * 100 / bar["high"] < bar["volume_coins"] < 206 * 100 / bar["low"]


def test_mark_and_index_klines(tmp_path):
    text = csv(archive.kline_rows(KLINES, 60), OLD_HEADERS["markPriceKlines"])
    done = um.read(write(tmp_path, "markPriceKlines/BTCUSDT-1m-2024-01-01.csv", text))
    assert done.summary.events == {"mark": 4}
    mark = rows(done, Kind.MARK)[0]
    assert (mark["venue"], mark["high"], mark["span_s"]) == ("binance-um", 102.25, 60)
    path = write(tmp_path, "BTCUSD-1m-2024-01-01.csv", csv(archive.kline_rows(KLINES, 60)))
    done = cm.read(path, format="indexPriceKlines")
    bar = rows(done, Kind.BAR)[0]
    assert (bar["venue"], bar["symbol"]) == ("binance-cm-index", "BTCUSD")
    assert math.isnan(bar["volume_coins"])
    assert done.summary.price_is == {"bar": "index"}


def test_a_premium_index_is_a_table_and_no_event(tmp_path):
    values = [(T0 + i * MINUTE, -0.0004, 0.0002, -0.0005, i / 1e5, 0, 0) for i in range(3)]
    text = csv(archive.kline_rows(values, 60), HEADERS["klines"])
    path = write(tmp_path, "premiumIndexKlines/BTCUSDT-1m-2024-01-01.zip", text)
    with pytest.raises(DataError, match="fractions that may be negative, which no kind of event"):
        um.read(path)
    table = premium_table(path, "um")
    assert table["ts_event"].to_pylist() == [T0 + (i + 1) * MINUTE for i in range(3)]
    assert table["open"].to_pylist() == [-0.0004] * 3
    assert table["span_s"].to_pylist() == [60] * 3
    spoiled = write(
        tmp_path,
        "premiumIndexKlines/BTCUSDT-1m-2024-01-02.zip",
        csv(archive.kline_rows([(T0, 42000, 42000, 42000, 42000, 0, 0), *values[1:]], 60)),
    )
    with pytest.raises(DataError, match="1 rows cannot be right, the first is row 1"):
        premium_table(spoiled, "um")


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1000), ("us", 10**6)])
def test_a_premium_index_in_any_unit_of_time(tmp_path, unit, per_second):
    at = T0 // 10**9
    opens = [(at + 60 * i) * per_second for i in range(3)]
    lines = [[o, 0, 0, 0, 1e-4, 0, o + 60 * per_second - 1, 0, 0, 0, 0, 0] for o in opens]
    path = write(tmp_path, "premiumIndexKlines/BTCUSDT-1m-2024-01-01.csv", csv(lines))
    table = premium_table(path, "um")
    assert table["ts_event"].to_pylist() == [T0 + (i + 1) * MINUTE for i in range(3)], unit


def test_the_buyer_who_was_the_maker_was_sold_to(tmp_path):
    trades = [(7, T0, "100.5", "2", True), (8, T0 + S, "100.25", "3", False)]
    text = csv(archive.trade_rows(trades), HEADERS["aggTrades"])
    done = um.read(write(tmp_path, "BTCUSDT-aggTrades-2024-01-01.zip", text))
    sold, bought = rows(done, Kind.TRADE)
    assert (sold["side"], sold["seq"], sold["price"], sold["size_coins"]) == (-1, 7, 100.5, 2.0)
    assert (bought["side"], bought["seq"]) == (1, 8)
    done = cm.read(write(tmp_path, "ETHUSD_PERP-aggTrades-2024-01-01.zip", text))
    assert rows(done, Kind.TRADE)[0]["size_coins"] == 2 * 10 / 100.5


def test_funding(tmp_path):
    text = f"{HEADERS['fundingRate']}\n{T0 // 10**6 + 1},8,-0.00005703\n"
    done = um.read(write(tmp_path, "BTCUSDT-fundingRate-2024-01.zip", text))
    (funding,) = rows(done, Kind.FUNDING)
    assert (funding["rate"], funding["interval_hours"]) == (-0.00005703, 8.0)


def test_every_liquidation_is_written_twice(tmp_path):
    """Published rows of COIN-M, and two liquidations that agree in everything: two of four stay."""
    sold = (T0 + 5 * S, "SELL", "100.5", "7")
    once = [(T0, "BUY", "30631.6", "7"), sold, sold, (T0 + 9 * S, "SELL", "99.5", "43")]
    text = csv(archive.liquidation_rows(once), HEADERS["liquidationSnapshot"])
    done = um.read(write(tmp_path, "BTCUSDT-liquidationSnapshot-2024-01-01.zip", text))
    got = rows(done, Kind.LIQUIDATION)
    assert [r["side"] for r in got] == [-1, 1, 1, 1]
    assert [r["occurrence"] for r in got] == [0, 0, 1, 0]
    assert done.summary.notes["doubled_rows"] == 4
    assert done.summary.notes["odd_rows"] == 0
    assert "at most one" in done.source["notes"]["throttle"]
    done = cm.read(write(tmp_path, "BTCUSD_PERP-liquidationSnapshot-2024-01-01.zip", text))
    assert rows(done, Kind.LIQUIDATION)[0]["size_coins"] == 7 * 100 / 30631.6


def test_rows_that_are_not_written_twice(tmp_path):
    once = [(T0 + i * S, "SELL", "100.5", "7") for i in range(9)]
    lines = archive.liquidation_rows(once)
    del lines[4]
    lines.append(lines[0])
    text = csv(lines, HEADERS["liquidationSnapshot"])
    done = um.read(write(tmp_path, "BTCUSDT-liquidationSnapshot-2024-01-01.csv", text))
    assert done.summary.events == {"liquidation": 10}  # the first stands three times: two of it
    assert done.summary.notes["odd_rows"] == 2
    single = csv(archive.liquidation_rows(once, times=1), HEADERS["liquidationSnapshot"])
    done = um.read(write(tmp_path, "ETHUSDT-liquidationSnapshot-2024-01-01.csv", single))
    assert done.summary.events == {"liquidation": 9}
    assert done.summary.notes["doubled_rows"] == done.summary.notes["odd_rows"] == 0


def test_orders_that_nothing_was_filled_of_and_days_without_any(tmp_path):
    once = [(T0, "SELL", "0", "0"), (T0 + S, "BUY", "100", "1")]
    text = csv(archive.liquidation_rows(once), HEADERS["liquidationSnapshot"])
    done = um.read(write(tmp_path, "BTCUSDT-liquidationSnapshot-2024-01-01.csv", text))
    assert done.summary.events == {"liquidation": 1}
    assert done.summary.notes["unfilled_rows"] == 1
    for name, body in (
        ("AUSDT", HEADERS["liquidationSnapshot"] + "\n"),
        ("BUSDT", csv(archive.liquidation_rows(once[:1]))),
    ):
        done = um.read(write(tmp_path, f"{name}-liquidationSnapshot-2024-01-01.zip", body))
        assert (done.tables, done.quarantine_table()) == ({}, None)
        assert done.source["events"] == {}


SNAPSHOT = """timestamp,percentage,depth,notional
2025-05-19 11:07:31,-5,7885.27500000,647368074.36920000
2025-05-19 11:07:31,-4,7178.45300000,590768470.27090000
2025-05-19 11:07:31,-3,5443.14900000,450287742.99870000
2025-05-19 11:07:31,-2,3989.69900000,331452387.75030000
2025-05-19 11:07:31,-1,2294.32400000,191369991.21780000
2025-05-19 11:07:31,1,2097.41000000,176607765.20950000
2025-05-19 11:07:31,2,3485.14100000,294629128.47080000
2025-05-19 11:07:31,3,4813.86500000,408742768.20550000
2025-05-19 11:07:31,4,5699.71200000,485628858.29740000
2025-05-19 11:07:31,5,6491.51500000,555012399.28440000
"""


def test_depth_as_published(tmp_path):
    done = um.read(write(tmp_path, "BTCUSDT-bookDepth-2025-05-19.csv", SNAPSHOT))
    bands = sorted(rows(done, Kind.DEPTH), key=lambda r: r["low"])
    assert [r["side"] for r in bands] == [1] * 5 + [-1] * 5
    mid = (191369991.2178 / 2294.324 + 176607765.2095 / 2097.41) / 2
    np.testing.assert_allclose(
        [r["low"] / mid for r in bands], np.r_[0.95:0.995:0.01, 1:1.045:0.01]
    )
    assert all(a["high"] == pytest.approx(b["low"]) for a, b in pairwise(bands))
    assert bands[3]["depth_coins"] == pytest.approx(3989.699 - 2294.324)
    for band in bands:
        assert band["low"] < band["depth_usd"] / band["depth_coins"] < band["high"]
    assert done.summary.notes["mid_error"] == pytest.approx(0.0047, abs=1e-4)


def test_depth_that_cannot_be_right(tmp_path):
    good = SNAPSHOT.splitlines()[1:]
    later = [[line.replace("11:07:31", f"11:{m:02d}:00") for line in good] for m in range(10, 16)]
    later[1][0] = later[1][0].replace("7885.275", "7000.0")  # falls
    later[2][9] = later[2][9].replace("555012399", "495012399")  # the price of another band
    later[3] = [line for line in later[3] if ",-" not in line]  # no bids
    later[4][5] = later[4][5].replace("176607765", "170607765")  # asks below bids
    body = [good, *later]
    changed = [
        line.replace(",-5,7885.275", f",-5,{7885.3 + i}") if i not in (2, 4, 5) else line
        for i, lines in enumerate(body)
        for line in lines
    ]
    text = HEADERS["bookDepth"] + "\n" + "\n".join(changed) + "\n"
    path = write(tmp_path, "BTCUSDT-bookDepth-2025-05-19.csv", text)
    done = um.read(path, max_bad=0.5)
    assert set(done.quarantined["reason"]) == {
        "the amount falls as the band grows",
        "a band's average price lies outside of it",
        "no price: bids or asks are missing",
        "bids cost more than asks",
    }
    with pytest.raises(DataError, match="cannot be right"):
        um.read(path)


def test_depth_with_the_bands_of_2026_and_a_frozen_book(tmp_path):
    price = 50_000.0

    def snapshot(size):
        inner = {p: (size, size * price * (1 + p / 200)) for p in (-0.2, 0.2)}
        outer = {
            p: (2.0, 2.0 * price * (1 + math.copysign(abs(p) - 0.4, p) / 100)) for p in (-1, 1)
        }
        return inner | outer

    times = [T0 + i * MINUTE // 2 for i in range(5)]
    sizes = [1.0, 1.5, 1.5, 1.5, 2.0]
    cells = archive.depth_rows((t, snapshot(s)) for t, s in zip(times, sizes, strict=True))
    path = write(tmp_path, "BTCUSDT-bookDepth-2026-02-01.zip", csv(cells, HEADERS["bookDepth"]))
    done = um.read(path)
    assert done.summary.events == {"depth": 12}
    assert done.summary.notes["frozen_rows"] == 8
    assert done.summary.notes["mid_error"] == pytest.approx(0.001)
    assert {round(r["low"] / price, 4) for r in rows(done, Kind.DEPTH)} == {0.99, 0.998, 1, 1.002}


def test_units_of_cm_depth_are_told_from_the_sides(tmp_path):
    """Contracts and coins: bids hold more coins a contract than asks. Alike: nobody can tell."""
    price = 50_000.0
    shares = {p: price * (1 + p / 200) for p in (-1, 1)}
    name = "BTCUSD_PERP-bookDepth-2024-01-01.csv"
    contracts = {p: (300.0, 300.0 * 100 / at) for p, at in shares.items()}
    for bands, units in (
        (contracts, "contracts and coins"),
        ({p: (6.0, 6.0 * at) for p, at in shares.items()}, "coins and USD"),
    ):
        done = cm.read(write(tmp_path, name, csv(archive.depth_rows([(T0, bands)]))))
        assert done.summary.notes["depth_units"] == units
        low, high = sorted(rows(done, Kind.DEPTH), key=lambda r: r["low"])
        assert low["depth_usd"] / low["depth_coins"] == pytest.approx(shares[-1])
        assert low["high"] == pytest.approx(price, rel=1e-4)
        assert high["side"] == -1
    same = csv(archive.depth_rows([(T0, dict.fromkeys((-1, 1), (3.0, 300.0)))]))
    with pytest.raises(DataError, match="same notional per depth"):
        cm.read(write(tmp_path, name, same))


PUSH = {
    "e": "forceOrder",
    "E": T0 // 10**6 + 700,
    "o": {
        "s": "BTCUSDT",
        "S": "SELL",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.014",
        "p": "9910",
        "ap": "9911.5",
        "X": "FILLED",
        "l": "0.004",
        "z": "0.014",
        "T": T0 // 10**6 + 200,
    },
}


@pytest.mark.parametrize(
    ("wrap", "known_ns", "said"),
    [
        (lambda p: p, T0 + S + 700_000_000, "modelled"),
        (lambda p: {"stream": "btcusdt@forceOrder", "data": p}, T0 + S + 700_000_000, "modelled"),
        (lambda p: {"received": T0 + 900_000_000, "data": p}, T0 + 900_000_000, "observed"),
        (
            lambda p: {"ts": T0 // 10**6 + 950, "msg": {"stream": "x", "data": p}},
            T0 + 950_000_000,
            "observed",
        ),
        (
            lambda p: {"local_timestamp": str(T0 // 1000 + 150_000), "payload": p},
            T0 + 200_000_000,
            "observed",
        ),
    ],
)
def test_pushes(tmp_path, wrap, known_ns, said):
    lines = "".join(json.dumps(wrap(PUSH)) + "\n" for _ in range(2))
    done = um.read(write(tmp_path, "rec.jsonl.gz", lines), format="forceOrder")
    (first,) = rows(done, Kind.LIQUIDATION)
    assert (first["ts_event"], first["ts_known"]) == (T0 + 200_000_000, known_ns)
    assert (first["side"], first["price"], first["size_coins"]) == (1, 9911.5, 0.014)
    assert (first["occurrence"], done.summary.notes["repeated_pushes"]) == (0, 1)
    assert done.source["latency_is"] == said
    assert "undercount" in done.source["notes"]["throttle"]


def test_pushes_of_cm_and_lines_that_are_none(tmp_path):
    order = {**PUSH["o"], "s": "BTCUSD_200925", "q": "1", "z": "1", "ap": "9496.5", "S": "BUY"}
    good = [json.dumps({**PUSH, "o": {**order, "T": order["T"] + i}}) for i in range(30)]
    bad = ["", "{", "[1]", '{"e": "trade"}', json.dumps({**PUSH, "o": {"s": 1}}), "{" * 2000]
    path = write(tmp_path, "forceOrders.jsonl", "\n".join(good + bad) + "\n")
    done = cm.read(path, max_bad=0.2)
    assert done.summary.events == {"liquidation": 30}
    assert rows(done, Kind.LIQUIDATION)[0]["size_coins"] == 100 / 9496.5
    assert done.quarantined["row"].tolist() == [32, 33, 34, 35, 36]
    with pytest.raises(DataError, match="5 of 35 rows cannot be right"):
        cm.read(path)
    mixed = write(
        tmp_path, "force_orders.json", "\n".join([good[0], json.dumps({"ts": T0, "data": PUSH})])
    )
    with pytest.raises(DataError, match="some pushes have a receive time and others none"):
        cm.read(mixed)
    none = write(tmp_path, "forceOrder.txt", "{}\n")
    with pytest.raises(DataError, match="none of them a forceOrder push"):
        cm.read(none)


@pytest.mark.data
def test_recorded_pushes(data_root):
    done = um.read(data_root / "binance-um" / "force-orders.csv.gz")
    assert done.summary.events == {"liquidation": 2941}
    assert done.summary.quarantined == 0
    ts = np.sort(done.tables[Kind.LIQUIDATION]["ts_event"].to_numpy())
    assert (ts[0], ts[-1]) == (1718901133106 * 10**6, 1738855561103 * 10**6)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BTCUSDT-1m-2024-01-01.csv", "named alike: say which, such as binance-um/klines"),
        ("klines/BTCUSDT-1mo-2024-01.csv", "a month has no fixed length"),
        ("metrics/x.csv", "is not named as in the archive"),
        ("x..y-metrics-2024-01-01.csv", "is not named as in the archive"),
        ("btcusdt-metrics-2024-01-01.csv", "is not named as in the archive"),
        ("BTC\nUSDT-metrics-2024-01-01.csv", "is not named as in the archive"),
        ("BTCUSDT-trades-2024-01-01.csv", "named as 'trades': the types that can be read"),
        ("BTCUSD_PERP-metrics-2024-01-01.csv", "a COIN-M symbol: read it as binance-cm"),
        ("futures/cm/daily/metrics/ETHUSD_PERP-metrics-2024-01-01.csv", "read it as binance-cm"),
    ],
)
def test_names_that_say_too_little_or_the_wrong_thing(tmp_path, name, says):
    with pytest.raises(DataError, match=says) as caught:
        um.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_formats_that_contradict_the_name(tmp_path):
    with pytest.raises(DataError, match="named as metrics, not as aggTrades"):
        um.read(tmp_path / "BTCUSDT-metrics-2024-01-01.csv", format="aggTrades")
    with pytest.raises(DataError, match="named as klines of 1m, not as metrics"):
        um.read(tmp_path / "BTCUSDT-1m-2024-01-01.csv", format="metrics")
    with pytest.raises(ConfigError, match="none of the formats"):
        um.read(tmp_path / "x.csv", format="trades")


TRADES = [(i, T0 + i * S, f"{100 + i % 5}", "2", True) for i in range(5000)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column"),
        ("1,2,3\n", "has 3 columns and no header: a file of aggTrades has 7"),
        (csv(archive.trade_rows(TRADES[:3]), "x,y,z,a,b,c,d"), "no column"),
        (
            csv([*archive.trade_rows(TRADES[:4999]), *archive.trade_rows(TRADES[4999:], "us")]),
            "mixes units of time: 'transact_time' counts ms, but row 5000 counts us",
        ),
        (
            csv(archive.trade_rows(TRADES)).replace("1704067201", "99"),
            "cannot be right|first times",
        ),
        (csv([[1, 2, 3, 4, 5, 99, "true"]]), "the first times, such as '99', are none"),
    ],
)
def test_contents_that_cannot_be_right(tmp_path, text, says):
    for name in ("BTCUSDT-aggTrades-2024-01-01.csv", "BTCUSDT-aggTrades-2024-01-02.zip"):
        with pytest.raises(DataError, match=says) as caught:
            um.read(write(tmp_path, name, text), max_bad=0.0)
        assert "\n" not in str(caught.value)


def test_bars_of_another_length_than_their_name_says(tmp_path):
    text = csv(archive.kline_rows(KLINES, 60), HEADERS["klines"])
    with pytest.raises(DataError, match="4 rows: the bar is not 5m long"):
        um.read(write(tmp_path, "klines/BTCUSDT-5m-2024-01-01.csv", text))


def test_zips_that_hold_something_else(tmp_path):
    path = tmp_path / "BTCUSDT-metrics-2024-01-01.zip"
    inner = archive.zipped("a.csv", "1,2\n")
    for name, data, says in (
        ("a.zip", inner, "holds 'a.zip': a .csv or .jsonl is expected"),
        ("a\n.csv.exe", b"x", r"holds 'a\\n.csv.exe': a .csv or .jsonl is expected"),
        ("../a.csv", b"x", "a path that leaves its folder"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"PAR1" + bytes(40), "no column|no header|not UTF-8|cannot be right|none"),
    ):
        path.write_bytes(archive.zipped(name, data))
        with pytest.raises(LiqbtError, match=says) as caught:
            um.read(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(archive.zipped("a.csv", b"0" * 5_000_000))
    with pytest.raises(DataError, match="expands to more than 100000 bytes"):
        um.read(path, max_bytes=100_000)


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-inf", "1e400", "-1", "x", "1e300", "0"])
@pytest.mark.parametrize("name", sorted(HEADERS))
def test_any_cell_has_a_reason_or_is_an_event(tmp_path, name, cell):
    """Every column of every type, with a cell that is nothing; warnings are errors here."""
    lines = {
        "metrics": archive.metric_rows("AUSDT", [(T0 + i * S, 1000 + i, 5000) for i in range(4)]),
        "klines": archive.kline_rows(KLINES, 60),
        "aggTrades": archive.trade_rows(TRADES[:4]),
        "liquidationSnapshot": archive.liquidation_rows(
            [(T0 + i * S, "BUY", 9, 2) for i in range(4)]
        ),
        "fundingRate": [[T0 // 10**6 + i, 8, 0.0001] for i in range(4)],
        "bookDepth": [line.split(",") for line in SNAPSHOT.splitlines()[1:]],
    }[name]
    interval = "1m" if name == "klines" else name
    for column in range(len(lines[0])):
        cells = [list(line) for line in lines]
        cells[2][column] = cell
        for header in ("", HEADERS[name]):
            path = write(tmp_path, f"AUSDT-{interval}-2024-01-01.csv", csv(cells, header))
            message, events = "", {}
            try:
                events = um.read(path, format=name, max_bad=1.0).summary.events
            except DataError as error:
                message = str(error)
            assert bool(message) != bool(sum(events.values()))
            assert "\n" not in message
            if name == "klines":
                premium_table(
                    path.rename(path.with_name("BUSDT-1m-2024-01-01.csv")), "um", max_bad=1.0
                )
