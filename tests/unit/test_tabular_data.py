"""The shipped column maps on the files they were written for (skipped where those are absent)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from liqbt.ingest.colmap import load_map
from liqbt.ingest.table import ingest_file
from liqbt.types import Kind

pytestmark = pytest.mark.data
HOUR = 3_600_000_000_000
FEEDS = [
    ("binance-um-open-interest-5m", "binance-um/BTCUSDT-open-interest-5m.csv.gz", 34847, 69694),
    ("binance-um-open-interest-5m", "binance-um/ETHUSDT-open-interest-5m.csv.gz", 34847, 69694),
    ("aggregated-btc-1h", "aggregated/BTC-1h-ohlc-liquidations-oi-funding.csv.gz", 2821, 8463),
    ("aggregated-btc-30m", "aggregated/BTC-30m-liquidated-usd.csv.gz", 1861, 1861),
    ("binance-spot-candles-1h", "candles/BTCUSDT-1h.csv.gz", 24327, 24327),
    ("binance-spot-candles-1h", "candles/ETHUSDT-1h.csv.gz", 24327, 24327),
    ("perp-candles-1h", "candles/perp-1h-multi-venue.parquet", 49264, 49264),
    ("hyperliquid-open-interest-1h", "hyperliquid/open-interest-1h.parquet", 21293, 21136),
    ("hyperliquid-funding", "hyperliquid/funding.parquet", 45727, 17472),
    ("venue-funding", "hyperliquid/funding.parquet", 45727, 28255),
    (
        "hyperliquid-open-interest-1h-sol",
        "hyperliquid/open-interest-1h-SOL.parquet",
        10657,
        10569,
    ),
    ("binance-um-funding", "binance-um/funding.csv.gz", 1452, 1452),
    ("hyperliquid-positions", "hyperliquid/positions-2026-02.parquet", 17892, 17892),
    ("hyperliquid-context-1m", "hyperliquid/context-1m-2026-06.csv.gz", 14481, 43443),
    ("okx-liquidations", "okx/swap-liquidations-2026-03-04.csv.gz", 3243, 3243),
    ("binance-um-force-orders", "binance-um/force-orders.csv.gz", 2941, 2941),
]


@pytest.fixture(scope="module")
def ingested(root, data_root):
    cache = {}

    def get(name, file):
        if (name, file) not in cache:
            mapping = load_map(root / "experiments" / "sources" / f"{name}.yaml")
            cache[name, file] = ingest_file(mapping, data_root / file, root=data_root)
        return cache[name, file]

    return get


@pytest.fixture(scope="module")
def table(ingested):
    files = {name: file for name, file, _, _ in reversed(FEEDS)}
    return lambda name, kind: ingested(name, files[name]).tables[kind].to_pandas()


@pytest.mark.parametrize(("name", "file", "rows", "events"), FEEDS)
def test_every_shipped_feed(ingested, name, file, rows, events):
    summary = ingested(name, file).summary
    assert summary.rows == rows
    assert sum(summary.events.values()) == events
    assert summary.quarantined == 0
    for latency in summary.latency:
        assert latency.latency_is == "modelled"
        assert latency.latency_s >= (60.0 if latency.feed == "polled" else 1.0)


@pytest.mark.slow
def test_trades_with_their_genuine_duplicates(ingested):
    done = ingested("hyperliquid-trades-eth", "hyperliquid/trades-ETH-2026-06.parquet")
    table = done.tables[Kind.TRADE]
    assert table.num_rows == 1_358_523
    assert int((table["occurrence"].to_numpy() > 0).sum()) == 61_325
    assert set(np.unique(table["side"].to_numpy())) == {-1, 1}


def test_open_interest_and_mark_by_hand(table):
    """First row: 1764547500000, 89832.175 coins, 8064963864.475081 USDT."""
    oi = table("binance-um-open-interest-5m", Kind.OPEN_INTEREST).iloc[0]
    mark = table("binance-um-open-interest-5m", Kind.MARK).iloc[0]
    assert oi["ts_event"] == 1_764_547_500_000_000_000
    assert oi["ts_known"] - oi["ts_event"] == 60_000_000_000
    assert (oi["open_interest_coins"], oi["open_interest_usd"]) == (89832.175, 8064963864.475081)
    assert mark["open"] == mark["low"] == pytest.approx(89778.1209, abs=1e-4)
    assert (oi["venue"], oi["symbol"]) == ("binance-um", "BTCUSDT")


def test_the_aggregated_bar_is_known_at_its_close_and_funding_is_a_fraction(table):
    """First row is stamped 2025-12-04T06:00Z, its hour's open."""
    opened = pd.Timestamp("2025-12-04T06:00Z").as_unit("ns").value
    bar = table("aggregated-btc-1h", Kind.BAR).iloc[0]
    assert bar["ts_event"] == opened + HOUR
    assert bar["ts_known"] > opened + HOUR
    assert (bar["open"], bar["close"], bar["span_s"]) == (92979.25, 93140.74, 3600)
    total = table("aggregated-btc-1h", Kind.LIQUIDATION_TOTAL).iloc[0]
    assert (total["long_usd"], total["short_usd"]) == (42620.5427, 1499665.49438)
    funding = table("aggregated-btc-1h", Kind.FUNDING)
    assert funding["rate"].iloc[0] == pytest.approx(5.673e-5)
    assert funding["rate"].abs().max() < 0.001


def test_the_aggregated_bar_is_the_spot_candle(table):
    """The two files agree to the cent, and so on which hour a stamp means."""
    one = table("aggregated-btc-1h", Kind.BAR)
    two = table("binance-spot-candles-1h", Kind.BAR)
    both = one.merge(two[two["symbol"] == "BTCUSDT"], on="ts_event")
    assert len(both) == len(one)
    assert (both["close_x"] == both["close_y"]).all()


def test_the_perpetual_is_the_one_of_the_mark(table):
    """Hourly closes stand where the mark stands then: a stamp off by an hour would show."""
    bars = table("perp-candles-1h", Kind.BAR)
    bars = bars[(bars["venue"] == "binance-um") & (bars["symbol"] == "BTCUSDT")]
    mark = table("binance-um-open-interest-5m", Kind.MARK)
    mark = mark.assign(end=mark["ts_event"] // (HOUR // 12) * (HOUR // 12))
    both = bars.merge(mark, left_on="ts_event", right_on="end")
    gap = np.abs(np.log(both["close_x"] / both["close_y"])) * 1e4
    assert len(both) > 2000
    assert gap.median() < 1.0
    late = bars.assign(ts_event=bars["ts_event"] - HOUR).merge(
        mark, left_on="ts_event", right_on="end"
    )
    assert (np.abs(np.log(late["close_x"] / late["close_y"])) * 1e4).median() > 10


def test_hourly_mean_open_interest_is_known_after_its_hour(table):
    """First row: stamp 2025-03-08T08:00Z, mean of [08:00, 09:00)."""
    oi = table("hyperliquid-open-interest-1h", Kind.OPEN_INTEREST)
    first = oi[(oi["venue"] == "hyperliquid") & (oi["symbol"] == "BTC")].iloc[0]
    assert first["ts_event"] == pd.Timestamp("2025-03-08T09:00Z").as_unit("ns").value
    assert first["ts_known"] == first["ts_event"] + 60_000_000_000
    assert first["span_s"] == 3600
    assert first["open_interest_usd"] == pytest.approx(8.987454e8, rel=1e-6)
    price = first["open_interest_usd"] / first["open_interest_coins"]
    assert 84_000 < price < 88_000


def test_a_buy_closed_a_short_at_okx_and_contracts_are_coins(table):
    """First row: 22:45:43.781, BTC, sell, 72431.4, 0.21 contracts."""
    rows = table("okx-liquidations", Kind.LIQUIDATION)
    first = rows.iloc[0]
    assert (first["symbol"], first["side"], first["price"]) == ("BTC", 1, 72431.4)
    assert first["size_coins"] == pytest.approx(0.0021)
    assert first["ts_event"] == pd.Timestamp("2026-03-04T22:45:43.781Z").as_unit("ns").value
    assert ((rows["symbol"] == "BTC") & (rows["side"] == -1)).sum() == 1000


def test_a_sell_closed_a_long_at_binance(table):
    first = table("binance-um-force-orders", Kind.LIQUIDATION).iloc[0]
    assert (first["symbol"], first["side"]) == ("1000PEPEUSDT", 1)
    assert (first["price"], first["size_coins"]) == (0.0109313, 43942.0)


def test_funding_intervals_are_those_of_the_stamps(table):
    funding = pd.concat(
        [table(name, Kind.FUNDING) for name in ("hyperliquid-funding", "venue-funding")]
    )
    for (_, _), rows in funding.groupby(["venue", "symbol"], observed=True):
        spacing = np.median(np.diff(np.sort(rows["ts_event"].to_numpy()))) / HOUR
        assert spacing == pytest.approx(rows["interval_hours"].iloc[0], abs=0.01)
