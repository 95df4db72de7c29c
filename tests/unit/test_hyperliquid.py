"""Hyperliquid: contexts, trades, positions as truth, and accounts rebuilt by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from liqbt.errors import ConfigError, DataError, MarginError
from liqbt.ingest.colmap import load_map
from liqbt.ingest.table import ingest_file
from liqbt.log.tables import logical_hash
from liqbt.margin.cross import cross_liquidation_price
from liqbt.sources import hyperliquid
from liqbt.types import Kind, Side

MS = 1_000_000
T = 1_781_210_076_985
CONTEXT = "coin,ts_ms,funding_1h,oi_coins,mark,oracle\n"
ASSETS = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,"
    "impact_bid_px,impact_ask_px\n"
)


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_context_gives_mark_open_interest_and_funding(tmp_path):
    path = put(tmp_path, "c.csv", f"{CONTEXT}ETH,{T},-6.8e-06,700,1600.5,1601\n")
    done = hyperliquid.read(path)
    (mark,) = done.tables[Kind.MARK].to_pylist()
    (held,) = done.tables[Kind.OPEN_INTEREST].to_pylist()
    (rate,) = done.tables[Kind.FUNDING].to_pylist()
    assert (mark["ts_event"], mark["ts_known"]) == (T * MS, (T + 60_000) * MS)
    assert (mark["open"], mark["close"], mark["symbol"]) == (1600.5, 1600.5, "ETH")
    assert (held["open_interest_coins"], held["open_interest_usd"]) == (700, 700 * 1600.5)
    assert (rate["rate"], rate["interval_hours"]) == (-6.8e-06, 1)


def test_the_venues_daily_archive_of_contexts(tmp_path):
    """An illiquid coin may have no mark: it gives neither a mark nor a value."""
    row = "2025-01-01T00:00:00Z,{},0.0001,100.0,42000,5e6,0.0001,42100,{},42025,42020,42030\n"
    path = put(tmp_path, "20250101.csv", ASSETS + row.format("BTC", "42050") + row.format("X", ""))
    done = hyperliquid.read(path)
    assert done.tables[Kind.MARK]["symbol"].to_pylist() == ["BTC"]
    held = {
        r["symbol"]: r["open_interest_usd"] for r in done.tables[Kind.OPEN_INTEREST].to_pylist()
    }
    assert held["BTC"] == 4_205_000
    assert math.isnan(held["X"])
    assert done.tables[Kind.FUNDING].num_rows == 2


def test_identical_trades_are_genuine_and_survive(tmp_path):
    lines = [f"{T},1600.1,0.5,A", f"{T},1600.1,0.5,A", f"{T},1600.1,0.5,B"]
    path = put(tmp_path, "trades-ETH-x.csv", "timestamp_ms,px,sz,side\n" + "\n".join(lines) + "\n")
    rows = hyperliquid.read(path).tables[Kind.TRADE].to_pylist()
    assert [(r["side"], r["occurrence"]) for r in rows] == [
        (Side.SHORT, 0),
        (Side.SHORT, 1),
        (Side.LONG, 0),
    ]
    assert {r["symbol"] for r in rows} == {"ETH"}
    other = path.rename(tmp_path / "fills.csv")
    with pytest.raises(DataError, match="does not match"):
        hyperliquid.read(other)
    assert hyperliquid.read(other, symbol="BTC").tables[Kind.TRADE]["symbol"][0].as_py() == "BTC"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a\n1\n", "is of none"),
        (f"{CONTEXT}ETH,{T},x,700,1600,1601\n", "holds no number"),
        (f"{CONTEXT}ETH,{T},0,-700,1600,1601\n", "negative"),
        (f"{CONTEXT}ETH,{T // 1000},0,700,1600,1601\n", "looks like s"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        hyperliquid.read(put(tmp_path, "c.csv", text))


def test_an_unknown_format_names_the_nearest(tmp_path):
    path = put(tmp_path, "c.csv", f"{CONTEXT}ETH,{T},0,700,1600,1601\n")
    with pytest.raises(ConfigError, match="did you mean 'trades'"):
        hyperliquid.read(path, format="trade")


POSITIONS = (
    "snapshot_utc,address,account_value,coin,direction,size,entry_px,leverage,position_value_usd,"
    "unrealized_pnl,liquidation_px\n"
)


def test_positions_are_truth_sorted_and_read_only(tmp_path):
    path = put(
        tmp_path,
        "p.csv",
        POSITIONS
        + "2026-02-03T13:00:00Z,b,10,ETH,Short,2,2500,5,4800,200,3000\n"
        + "2026-02-03T12:00:00Z,a,-1,BTC,Long,1,80000,10,79000,-1000,\n",
    )
    found = hyperliquid.positions(path)
    assert (found.accounts, found.coins) == (("a", "b"), ("BTC", "ETH"))
    assert found.side.tolist() == [1, -1]
    assert found.mark_usd.tolist() == [79_000, 2400]
    assert math.isnan(found.liquidation_usd[0])
    assert np.all(np.diff(found.snapshot_ns) > 0)
    with pytest.raises(ValueError, match="read-only"):
        found.size_coins[0] = 1.0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x,a,1,BTC,Long,1,1,1,1,1,1", "snapshot_utc is no time"),
        ("2026-02-03T13:00:00Z,a,1,BTC,Sideways,1,1,1,1,1,1", "neither Long nor Short"),
        ("2026-02-03T13:00:00Z,a,1,BTC,Long,0,1,1,1,1,1", "size is not above 0"),
        ("2026-02-03T13:00:00Z,a,1,BTC,Long,1,1,1,1,1,x", "liquidation_px is no number"),
        ("2026-02-03T13:00:00Z,a,1,BTC,Long,1,1,1,1,1", "another number of cells"),
        ("2026-02-03T13:00:00Z,,1,BTC,Long,1,1,1,1,1,1", "address is empty"),
    ],
)
def test_a_position_that_cannot_be_right_is_refused(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        hyperliquid.positions(put(tmp_path, "p.csv", f"{POSITIONS}{row}\n"))


def launch(folder: Path, fills: str, ledger: str, closed: str) -> Path:
    put(folder, "non_mm_trades.csv", "time,user,coin,side,px,sz,crossed\n" + fills)
    put(folder, "non_mm_ledger_updates.csv", "time,user,delta_usd\n" + ledger)
    put(
        folder,
        "liquidations.csv",
        "time,user,liquidated_ntl_pos,liquidated_account_value,leverage_type\n" + closed,
    )
    return folder


def at(clock: str) -> str:
    return f"2023-03-01T{clock}Z"


def test_an_account_with_one_coin_by_hand(tmp_path):
    """20 USD, 2 coins bought at 100 and one sold at 110: cash −70, one coin left.

    Closed at mark 72, when it was worth 2: its liquidation fill is at 72 − 2 = 70.
    """
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,X,Bid,100,2,True\n{at('10:30:00')},u,X,Ask,110,1,True\n"
        f"{at('10:30:00')},other,X,Bid,110,9,False\n{at('11:00:00')},u,X,Ask,70,1,False\n",
        f"{at('09:00:00')},u,20\n{at('12:00:00')},u,500\n",
        f"{at('11:00:00')},u,72,2,Cross\n",
    )
    (account,) = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert (account.coins, account.size_coins, account.closed_coins) == (("X",), (1.0,), (1.0,))
    assert account.mark_usd == pytest.approx((72.0,))
    assert account.cash_usd == account.cash_since_last_usd == pytest.approx(-70.0)
    assert account.sizes_agree
    assert (account.fills, account.ledger_updates, account.isolated) == (2, 1, False)
    price = cross_liquidation_price(
        account.cash_usd, account.size_coins, account.mark_usd, [0.01], 0
    )
    assert price == pytest.approx(70 / 0.99)


def test_an_account_with_a_long_and_a_short_by_hand(tmp_path):
    """Both legs are closed at prices that use up the account's value, 3 of 300."""
    ratio = 0.01
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,A,Bid,110,1,True\n{at('10:00:01')},u,B,Ask,90,2,True\n"
        f"{at('11:00:00')},u,A,Ask,{100 * (1 - ratio)},1,False\n"
        f"{at('11:00:00')},u,B,Bid,{100 * (1 + ratio)},2,False\n",
        f"{at('09:00:00')},u,33\n",
        f"{at('11:00:00')},u,300,3,Cross\n",
    )
    (account,) = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert account.size_coins == (1.0, -2.0)
    assert account.mark_usd == pytest.approx((100.0, 100.0))
    assert account.cash_usd == pytest.approx(33 - 110 + 180)
    assert account.cash_usd + 1 * 100 - 2 * 100 == pytest.approx(3.0)
    for coin in (0, 1):
        price = cross_liquidation_price(
            account.cash_usd, account.size_coins, account.mark_usd, [0.01, 0.01], coin
        )
        assert price == pytest.approx(100.0)


def test_a_fill_in_the_second_of_the_liquidation_that_came_before_it(tmp_path):
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,X,Bid,100,1,True\n{at('11:00:00')},u,X,Bid,90,1,True\n"
        f"{at('11:00:00')},u,X,Ask,80,2,False\n",
        f"{at('09:00:00')},u,25\n",
        f"{at('11:00:00')},u,170,10,Cross\n",
    )
    (account,) = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert account.size_coins == account.closed_coins == (2.0,)
    assert account.cash_usd == pytest.approx(25 - 190)
    assert account.mark_usd == pytest.approx((85.0,))


def test_cash_since_the_last_liquidation_forgets_what_the_venue_took(tmp_path):
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,X,Bid,100,1,True\n{at('11:00:00')},u,X,Ask,80,1,False\n"
        f"{at('12:00:00')},u,X,Ask,50,2,True\n{at('13:00:00')},u,X,Bid,60,2,False\n",
        f"{at('09:00:00')},u,30\n{at('11:30:00')},u,10\n",
        f"{at('11:00:00')},u,81,1,Cross\n{at('13:00:00')},u,110,1,Cross\n",
    )
    first, second = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert first.cash_usd == first.cash_since_last_usd == pytest.approx(-70.0)
    assert second.cash_usd == pytest.approx(30 + 10 - 100 + 80 + 100)
    assert second.cash_since_last_usd == pytest.approx(110.0)


def test_an_isolated_liquidation_leaves_the_other_coins_and_their_marks_unknown(tmp_path):
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,A,Bid,100,1,True\n{at('10:00:00')},u,B,Bid,50,1,True\n"
        f"{at('11:00:00')},u,A,Ask,81,1,False\n",
        f"{at('09:00:00')},u,50\n",
        f"{at('11:00:00')},u,140,14,Isolated\n",
    )
    (account,) = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert account.isolated
    assert account.closed_coins == (1.0, 0.0)
    assert account.mark_usd[0] == pytest.approx(90.0)
    assert math.isnan(account.mark_usd[1])


def test_a_size_that_differs_from_what_was_closed_is_seen(tmp_path):
    folder = launch(
        tmp_path,
        f"{at('10:00:00')},u,X,Bid,100,1,True\n{at('11:00:00')},u,X,Ask,80,1.5,False\n",
        f"{at('09:00:00')},u,30\n",
        f"{at('11:00:00')},u,120,1,Cross\n",
    )
    (account,) = hyperliquid.closed_accounts(hyperliquid.read_launch(folder))
    assert not account.sizes_agree


@pytest.mark.parametrize(
    ("fills", "said"),
    [
        (f"{at('10:00:00')},u,X,Bid,0,1,True\n", "px is not above 0"),
        (f"{at('10:00:00')},u,X,Buy,1,1,True\n", "side is neither Bid nor Ask"),
        (f"{at('10:00:00')},u,X,Bid,1,1,yes\n", "crossed is neither True nor False"),
        (f"{at('10:00:00')},,X,Bid,1,1,True\n", "user is empty"),
        (f"{at('10:00:00')},u,X,Bid,1\n", "another number of cells"),
        (f"{at('10:00:01')},u,X,Bid,1,1,True\n{at('10:00:00')},u,X,Ask,1,1,True\n", "row above"),
        ("", "no rows"),
    ],
)
def test_launch_files_that_cannot_be_right_are_refused(tmp_path, fills, said):
    folder = launch(tmp_path, fills, f"{at('09:00:00')},u,1\n", f"{at('11:00:00')},u,1,1,Cross\n")
    with pytest.raises(DataError, match=said):
        hyperliquid.read_launch(folder)


def test_a_missing_launch_file_is_named(tmp_path):
    with pytest.raises(DataError, match="non_mm_trades"):
        hyperliquid.read_launch(tmp_path)


def test_the_cross_price_is_the_published_form():
    """LP = P − s·margin_available / |q| / (1 − l·s), whatever the marks it is evaluated at."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        n = int(rng.integers(1, 4))
        size, mark = rng.normal(0, 3, n), rng.uniform(1, 100, n)
        rate, cash = rng.uniform(0.005, 0.05, n), float(rng.normal(0, 200))
        i = int(rng.integers(n))
        available = cash + float((size * mark).sum() - (rate * np.abs(size) * mark).sum())
        s = math.copysign(1.0, size[i])
        published = mark[i] - s * available / abs(size[i]) / (1 - rate[i] * s)
        price = cross_liquidation_price(cash, size, mark, rate, i)
        assert (published <= 0 and math.isnan(price)) or price == pytest.approx(published, rel=1e-9)
        moved = mark.copy()
        moved[i] *= 1.7
        again = cross_liquidation_price(cash, size, moved, rate, i)
        assert again == pytest.approx(price, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("size", "mark", "rate", "said"),
    [
        ([1.0], [1.0, 2.0], [0.01], "differ in number"),
        ([0.0], [1.0], [0.01], "no position"),
        ([1.0], [1.0], [1.0], "not in"),
    ],
)
def test_the_cross_price_refuses_nonsense(size, mark, rate, said):
    with pytest.raises(MarginError, match=said):
        cross_liquidation_price(1.0, size, mark, rate, 0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "column_map"),
    [
        ("context-1m-2026-06.csv.gz", "hyperliquid-context-1m"),
        pytest.param(
            "trades-ETH-2026-06.parquet", "hyperliquid-trades-eth", marks=pytest.mark.slow
        ),
    ],
)
def test_recorded_files_read_as_their_column_maps_say(data_root, root, file, column_map):
    path = data_root / "hyperliquid" / file
    done = hyperliquid.read(path)
    mapped = ingest_file(load_map(root / "experiments" / "sources" / f"{column_map}.yaml"), path)
    assert set(done.tables) == set(mapped.tables)
    for kind, table in done.tables.items():
        assert logical_hash(table) == logical_hash(mapped.tables[kind])


@pytest.mark.data
def test_every_position_that_the_venue_closed_in_2023_is_rebuilt(data_root):
    accounts = hyperliquid.closed_accounts(
        hyperliquid.read_launch(data_root / "hyperliquid" / "2023-launch")
    )
    assert len(accounts) == 62
    assert sum(a.sizes_agree for a in accounts) == 62
    cross = [a for a in accounts if not a.isolated]
    assert max(a.account_value_usd / a.notional_usd for a in cross) <= 0.01
    for a in cross:
        notional = sum(abs(q) * m for q, m in zip(a.size_coins, a.mark_usd, strict=True))
        assert notional == pytest.approx(a.notional_usd, rel=2e-5)


@pytest.mark.data
def test_recorded_positions_are_consistent_with_themselves(data_root):
    found = hyperliquid.positions(data_root / "hyperliquid" / "positions-2026-02.parquet")
    assert len(found.side) == 17_892
    profit = found.side * found.size_coins * (found.mark_usd - found.entry_usd)
    assert np.median(np.abs(profit - found.unrealized_usd) / found.value_usd) < 1e-4
