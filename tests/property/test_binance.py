"""A drawn market written as archive files is read back the same, however it is written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import archive
import pyarrow as pa
from archive import HEADERS, OLD_HEADERS, csv
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import LiqbtError
from liqbt.log.schema import row_faults, table_columns
from liqbt.log.tables import event_table, logical_hash
from liqbt.sources.binance import cm, um
from liqbt.types import Kind

T0 = 1_704_067_200_000_000_000
S = 1_000_000_000
TICK, LOT = 0.1, 0.001
prices = st.integers(100_000, 900_000).map(lambda n: round(n * TICK, 1))
coins = st.integers(1, 10**7).map(lambda n: round(n * LOT, 3))
READERS = {"um": um, "cm": cm}
SYMBOLS = {"um": "BTCUSDT", "cm": "ETHUSD_PERP"}
markets = st.sampled_from(["um", "cm"])


def read(market, name, text, kind=None):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        data = archive.zipped("x.csv", text) if name.endswith(".zip") else text.encode()
        path.write_bytes(data)
        return READERS[market].read(path, format=kind).tables


@st.composite
def writings(draw, kind, **more):
    """Some ways in which one file may be written: header, unit, order of rows, packing."""
    headers = ["", HEADERS.get(kind, HEADERS["klines"]), *filter(None, [OLD_HEADERS.get(kind)])]
    return (
        draw(st.sampled_from(headers)),
        draw(st.sampled_from([".zip", ".csv"])),
        draw(st.randoms()),
    )


def same_however_written(data, market, kind, rows, write, name, expected):
    """Two drawn writings of the same rows both give the expected table.

    Trades and bars in us are those of the spot market, and refused.
    """
    for unit in ("ms", "us" if kind in ("liquidationSnapshot", "metrics") else "ms"):
        header, suffix, random = data.draw(writings(kind))
        lines = write(rows, unit)
        random.shuffle(lines)
        tables = read(market, f"{name}{suffix}", csv(lines, header), kind)
        assert list(tables) == list(expected)
        for event_kind, table in expected.items():
            assert logical_hash(tables[event_kind]) == logical_hash(table), (unit, header, suffix)


@given(
    st.data(), markets, st.lists(st.tuples(prices, coins, st.booleans()), min_size=1, max_size=8)
)
@settings(max_examples=25)
def test_trades(data, market, drawn):
    rows = [
        (5 + i, T0 + 7 * i * 1_000_000, price, size, maker)
        for i, (price, size, maker) in enumerate(drawn)
    ]
    size = [r[3] if market == "um" else r[3] * 10.0 / r[2] for r in rows]
    expected = event_table(
        Kind.TRADE,
        {
            "ts_event": [r[1] for r in rows],
            "ts_known": [r[1] + S for r in rows],
            "venue": f"binance-{market}",
            "symbol": SYMBOLS[market],
            "seq": [r[0] for r in rows],
            "side": [-1 if r[4] else 1 for r in rows],
            "price": [r[2] for r in rows],
            "size_coins": size,
        },
    )
    name = f"{SYMBOLS[market]}-aggTrades-2024-01-01"
    same_however_written(
        data, market, "aggTrades", rows, archive.trade_rows, name, {Kind.TRADE: expected}
    )


orders = st.tuples(st.integers(0, 3), st.sampled_from(["BUY", "SELL"]), prices, coins)


@given(st.data(), markets, st.lists(orders, min_size=1, max_size=8))
@settings(max_examples=25)
def test_liquidations_doubled_and_genuinely_identical(data, market, drawn):
    rows = [(T0 + n * S, side, price, size) for n, side, price, size in drawn + drawn[:2]]
    size = [r[3] if market == "um" else r[3] * 10.0 / r[2] for r in rows]
    expected = event_table(
        Kind.LIQUIDATION,
        {
            "ts_event": [r[0] for r in rows],
            "ts_known": [r[0] + 2 * S for r in rows],
            "venue": f"binance-{market}",
            "symbol": SYMBOLS[market],
            "side": [1 if r[1] == "SELL" else -1 for r in rows],
            "price": [r[2] for r in rows],
            "size_coins": size,
        },
    )
    name = f"{SYMBOLS[market]}-liquidationSnapshot-2024-01-01"
    tables = {Kind.LIQUIDATION: expected}
    kind = "liquidationSnapshot"
    same_however_written(data, market, kind, rows, archive.liquidation_rows, name, tables)


@given(
    st.data(),
    st.sampled_from(["klines", "markPriceKlines", "indexPriceKlines"]),
    st.lists(st.tuples(prices, prices, prices, prices, coins), min_size=1, max_size=6),
)
@settings(max_examples=25)
def test_bars(data, kind, drawn):
    rows = [
        (T0 + i * 300 * S, a, max(a, b, c, d), min(a, b, c, d), d, volume, 0)
        for i, (a, b, c, d, volume) in enumerate(drawn)
    ]
    event_kind = Kind.MARK if kind == "markPriceKlines" else Kind.BAR
    columns = {
        "ts_event": [r[0] + 300 * S for r in rows],
        "ts_known": [r[0] + 301 * S for r in rows],
        "venue": "binance-um-index" if kind == "indexPriceKlines" else "binance-um",
        "symbol": "BTCUSDT",
        "span_s": 300,
        **{
            name: [r[1 + i] for r in rows]
            for i, name in enumerate(("open", "high", "low", "close"))
        },
    }
    if event_kind == Kind.BAR:
        columns["volume_coins"] = [float("nan") if kind != "klines" else r[5] for r in rows]
    expected = event_table(event_kind, columns)

    def write(bars, unit):
        return archive.kline_rows(bars, 300, unit)

    name = "BTCUSDT-5m-2024-01-01"
    same_however_written(data, "um", kind, rows, write, name, {event_kind: expected})


@given(st.data(), markets, st.lists(st.tuples(coins, prices), min_size=1, max_size=6))
@settings(max_examples=25)
def test_metrics(data, market, drawn):
    rows = [(T0 + 300 * i * S, amount, amount * price) for i, (amount, price) in enumerate(drawn)]
    if market == "cm":
        interest = [(value, amount * 10.0) for _, amount, value in rows]
    else:
        interest = [(amount, value) for _, amount, value in rows]
    ends = [r[0] + (300 * S if market == "cm" else 0) for r in rows]  # COIN-M labels the start
    clocks = {
        "ts_event": ends,
        "ts_known": [end + 60 * S for end in ends],
        "symbol": SYMBOLS[market],
    }
    mark = [usd / amount for amount, usd in interest]
    expected = {
        Kind.MARK: event_table(
            Kind.MARK,
            {
                **clocks,
                "venue": f"binance-{market}-metrics",
                **dict.fromkeys(("open", "high", "low", "close"), mark),
            },
        ),
        Kind.OPEN_INTEREST: event_table(
            Kind.OPEN_INTEREST,
            {
                **clocks,
                "venue": f"binance-{market}",
                "open_interest_coins": [amount for amount, _ in interest],
                "open_interest_usd": [usd for _, usd in interest],
            },
        ),
    }

    def write(lines, _unit):
        return archive.metric_rows(SYMBOLS[market], lines)

    name = f"{SYMBOLS[market]}-metrics-2024-01-01"
    same_however_written(data, market, "metrics", rows, write, name, expected)


@given(
    st.floats(0.01, 1e5),
    st.lists(st.lists(st.floats(0.001, 1e4), min_size=4, max_size=4), min_size=1, max_size=4),
    markets,
)
@settings(max_examples=30)
def test_depth_bands_hold_what_was_put_into_them(mid, sizes, market):
    """Amounts come back to their bands; the bands' edges are off by at most the stated error."""
    edges = {-5.0: -0.03, -1.0: -0.005, 1.0: 0.005, 5.0: 0.03}
    snapshots = []
    for i, mine in enumerate(sizes):
        bands = {}
        for (percentage, at), coins_here in zip(edges.items(), mine, strict=True):
            usd = coins_here * mid * (1 + at)
            bands[percentage] = (coins_here, usd) if market == "um" else (usd / 10, coins_here)
        snapshots.append((T0 + 30 * i * S, bands))
    name = f"{SYMBOLS[market]}-bookDepth-2024-01-01.csv"
    text = csv(archive.depth_rows(snapshots), HEADERS["bookDepth"])
    tables = read(market, name, text)
    got = tables[Kind.DEPTH].to_pylist()
    wanted = [
        (T0 + 30 * i * S, p, mine[j]) for i, mine in enumerate(sizes) for j, p in enumerate(edges)
    ]
    distinct = {i for i, mine in enumerate(sizes) if i == 0 or mine != sizes[i - 1]}
    wanted = [w for w in wanted if (w[0] - T0) // (30 * S) in distinct]
    assert len(got) == len(wanted)
    for (ts, percentage, size), row in zip(
        sorted(wanted), sorted(got, key=lambda r: (r["ts_event"], r["low"])), strict=True
    ):
        assert row["ts_event"] == ts
        assert row["side"] == (1 if percentage < 0 else -1)
        assert abs(row["depth_coins"] - size) <= 1e-6 * size + 1e-9 * max(map(max, sizes))
        far = row["low"] if percentage < 0 else row["high"]
        assert abs(far / (mid * (1 + percentage / 100)) - 1) < 0.0051


SAMPLES = {
    "BTCUSDT-metrics-2024-01-01": csv(
        archive.metric_rows("BTCUSDT", [(T0 + i * 300 * S, 5 + i, 7 * (5 + i)) for i in range(9)]),
        HEADERS["metrics"],
    ),
    "BTCUSDT-aggTrades-2024-01-01": csv(
        archive.trade_rows([(i, T0 + i * S, "100.5", "2", i % 2 == 0) for i in range(9)])
    ),
    "BTCUSDT-liquidationSnapshot-2024-01-01": csv(
        archive.liquidation_rows([(T0 + i * S, "SELL", "100.5", "2") for i in range(5)]),
        HEADERS["liquidationSnapshot"],
    ),
    "BTCUSDT-fundingRate-2024-01": f"{HEADERS['fundingRate']}\n{T0 // 10**6},8,0.0001\n" * 1,
    "BTCUSDT-bookDepth-2024-01-01": csv(
        archive.depth_rows(
            (T0 + i * S, {-1.0: (2.0 + i, 99.5 * (2 + i)), 1.0: (3.0, 301.5)}) for i in range(4)
        ),
        HEADERS["bookDepth"],
    ),
    "x-forceOrder": 4
    * (
        f'{{"e":"forceOrder","E":{T0 // 10**6 + 5},"o":{{"s":"B","S":"BUY","ap":"1","z":"2",'
        f'"T":{T0 // 10**6}}}}}\n'
    ),
}


@given(
    markets,
    st.sampled_from(sorted(SAMPLES)),
    st.sampled_from([".csv", ".zip"]),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=3)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=120)
def test_mutated_files_are_events_or_one_sentence(market, name, suffix, edits, cut):
    symbol = "" if market == "um" else "BTCUSD_PERP"
    text = SAMPLES[name]
    name = name.replace("BTCUSDT", symbol) if symbol else name
    text = text.replace("BTCUSDT", symbol) if symbol else text
    data = bytearray(text.encode() if suffix == ".csv" else archive.zipped("x.csv", text))
    for at, new in edits:
        start = at % len(data)
        data[start : start + (0 if cut else len(new))] = new
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (name + suffix)
        path.write_bytes(bytes(data))
        message = ""
        try:
            done = READERS[market].read(path, max_bad=1.0, max_bytes=1_000_000)
        except LiqbtError as error:
            message = str(error)
        if message:
            assert "\n" not in message
            assert path.name in message
        else:
            for kind, table in done.tables.items():
                columns, names = table_columns(table)
                assert row_faults(kind, columns, names) == []
            assert isinstance(done.quarantine_table(), pa.Table | None)
