"""Margin: worked examples by hand, tiers by date, and what is refused."""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np
import pytest

from liqbt.errors import MarginError
from liqbt.margin import bracket_ratios, liquidation_price, liquidation_prices, maintenance_margin
from liqbt.margin.kernels import liquidation_prices_kernel
from liqbt.margin.tiers import Tiers, TierTable, flat_tiers, tier_table
from liqbt.types import DAY_NS, Side

BTC_2025 = tier_table(
    "BTCUSDT",
    effective_ns=[0, 0, 0, 0],
    floor_usd=[0, 300_000, 800_000, 3_000_000],
    cap_usd=[300_000, 800_000, 3_000_000, 12_000_000],
    rate=[0.004, 0.005, 0.0065, 0.01],
    amount_usd=[0, 300, 1_500, 12_000],
    max_leverage=[150, 100, 75, 50],
).at(0)


def test_long_in_the_first_tier():
    # 1 coin at 100,000 and 10x: numerator 100,000 · 0.9 - 0 = 90,000; / 0.996 = 90,361.4457831...
    # notional there 90,361 < 300,000: first tier
    assert liquidation_price(100_000, 10, Side.LONG, 1, BTC_2025) == pytest.approx(
        90_361.44578313253, rel=1e-14
    )


def test_short_in_the_first_tier():
    # 100,000 · 1.1 / 1.004 = 110,000 / 1.004 = 109,561.7529880478
    assert liquidation_price(100_000, 10, Side.SHORT, 1, BTC_2025) == pytest.approx(
        109_561.7529880478, rel=1e-14
    )


def test_long_whose_tier_at_liquidation_is_below_that_of_its_entry():
    # 8.1 coins at 100,000 = 810,000 USD, in the third tier. 20x: 95,000 per coin is left.
    # third tier: (95,000 - 1,500/8.1)/(1 - .0065) = (95,000 - 185.185185)/.9935 = 95,435.14
    #   notional 8.1 · 95,435.14 = 773,025 < 800,000: not there
    # second tier: (95,000 - 300/8.1)/(1 - .005) = (95,000 - 37.037037)/.995 = 95,440.16378...
    #   notional 8.1 · 95,440.16 = 773,065: in [300,000, 800,000)
    assert liquidation_price(100_000, 20, Side.LONG, 8.1, BTC_2025) == pytest.approx(
        95_440.16378186304, rel=1e-13
    )


def test_short_whose_tier_at_liquidation_is_above_that_of_its_entry():
    # 7.9 coins at 100,000 = 790,000 USD, in the second tier. 20x: 105,000 per coin.
    # second: (105,000 + 300/7.9)/1.005 = 105,037.97468/1.005 = 104,515.4: 825,672 >= 800,000
    # third: (105,000 + 1,500/7.9)/1.0065 = 105,189.8734177/1.0065 = 104,510.55481...
    #   notional 825,633: in [800,000, 3,000,000)
    assert liquidation_price(100_000, 20, Side.SHORT, 7.9, BTC_2025) == pytest.approx(
        104_510.5548114494, rel=1e-13
    )


def test_the_distance_at_100x_is_not_0_996_percent():
    tiers = flat_tiers("BTCUSDT", 0.004, 125).at(0)
    long = liquidation_price(1.0, 100, Side.LONG, 1.0, tiers)
    short = liquidation_price(1.0, 100, Side.SHORT, 1.0, tiers)
    # .99/.996 = 1 - .0060241, 1.01/1.004 = 1 + .0059761
    assert 1 - long == pytest.approx(0.00602409638, abs=1e-10)
    assert short - 1 == pytest.approx(0.00597609562, abs=1e-10)


def test_a_notional_at_a_cap_is_in_the_next_tier():
    # rates of 1/4 and 1/2, so that all is exact: cum_2 = 64 (1/2 - 1/4) = 16
    tiers = tier_table(
        "X",
        effective_ns=[0, 0],
        floor_usd=[0, 64],
        cap_usd=[64, 1024],
        rate=[0.25, 0.5],
        amount_usd=[0, 16],
        max_leverage=[10, 10],
    ).at(0)
    assert tiers.index(64.0) == 1
    assert tiers.index(np.nextafter(64.0, 0)) == 0
    assert maintenance_margin(64.0, tiers) == 16.0
    # short: q = 1, EP = 50, L = 50/30 (margin 30): first tier 80/1.25 = 64, exactly its cap;
    # second tier (80 + 16)/1.5 = 64: the price is the same, continuity at work
    assert liquidation_price(50.0, 50 / 30, Side.SHORT, 1.0, tiers) == 64.0
    # 3x needs 1/3 > m: allowed just below 64 USD (m = 1/4), refused at 64 (m = 1/2)
    assert liquidation_price(63.9, 3, Side.LONG, 1.0, tiers) < 63.9
    with pytest.raises(MarginError, match="must exceed the maintenance rate 50"):
        liquidation_price(64.0, 3, Side.LONG, 1.0, tiers)


def test_steps_without_amounts_are_closed_where_the_margin_first_falls_short():
    # no amounts: at 1,000 USD the requirement jumps from 1 % to 10 % of the notional
    tiers = tier_table(
        "X",
        effective_ns=[0, 0],
        floor_usd=[0, 1000],
        cap_usd=[1000, 1e6],
        rate=[0.01, 0.1],
        max_leverage=[50, 9],
    ).at(0)
    # short of 9.5 coins at 100 (950 USD), 20x, margin 47.5: at 1,000 USD equity is
    # 47.5 + 950 - 1000 = -2.5 < 10: short before; 950 · 1.05 / 1.01 / 9.5 = 103.96039604
    assert liquidation_price(100, 20, Side.SHORT, 9.5, tiers) == pytest.approx(103.960396, rel=1e-8)
    # 9.8 coins (980 USD), 10x, margin 98: at 1,000 equity is 78: enough for 10, not for 100.
    # Neither tier holds a fixed point: 980·1.1/1.01 = 1067 >= 1000, 980·1.1/1.1 = 980 < 1000
    assert liquidation_price(100, 10, Side.SHORT, 9.8, tiers) == pytest.approx(1000 / 9.8)
    # long of 10.5 coins (1,050 USD), 8x, margin 131.25: in the upper tier at 918.75/.9 = 1020.8,
    # in the lower at 918.75/.99 = 928: both are fixed points, the upper is reached first
    assert liquidation_price(100, 8, Side.LONG, 10.5, tiers) == pytest.approx(1020.8333333 / 10.5)


def test_a_long_that_falls_short_exactly_at_a_floor_is_closed_there():
    # rates of 1/4 and 1/2 without amounts: 80 (1 - .6) / .5 = 64, the floor, which is in its tier;
    # the tier below would close it at 32/.75 = 42.67
    tiers = tier_table(
        "X",
        effective_ns=[0, 0],
        floor_usd=[0, 64],
        cap_usd=[64, 1024],
        rate=[0.25, 0.5],
        max_leverage=[4, 2],
    ).at(0)
    columns = tiers.floor_usd, tiers.cap_usd, tiers.rate, tiers.amount_usd
    one, leverage = np.ones(1), np.full(1, 1 / 0.6)
    assert liquidation_price(80.0, leverage[0], Side.LONG, 1.0, tiers) == 64.0
    assert liquidation_prices(80.0, leverage, 1, 1.0, tiers)[0] == 64.0
    assert liquidation_prices_kernel(80 * one, leverage, np.ones(1, int), one, *columns)[0] == 64.0


def test_a_long_at_1x_has_no_liquidation_price():
    assert liquidation_price(100, 1, Side.LONG, 1, flat_tiers("X", 0.01, 10).at(0)) == 0.0


def test_forms_agree_on_the_shipped_tiers(root):
    rng = np.random.default_rng(7)
    for table in shipped(root).values():
        tiers = table.tiers[-1]
        n = 200
        cap = tiers.cap_usd[-1]
        notional = np.exp(rng.uniform(np.log(10), np.log(0.99 * cap), n))
        ceiling = tiers.max_leverage[np.searchsorted(tiers.cap_usd, notional, side="right")]
        leverage = np.exp(rng.uniform(0, np.log(ceiling)))
        entry = np.exp(rng.uniform(-5, 12, n))
        side = rng.choice([-1, 1], n)
        size = notional / entry
        many = liquidation_prices(entry, leverage, side, size, tiers)
        kernel = liquidation_prices_kernel(
            entry,
            leverage,
            side,
            size,
            tiers.floor_usd,
            tiers.cap_usd,
            tiers.rate,
            tiers.amount_usd,
        )
        one = [
            liquidation_price(*args, tiers)
            for args in zip(entry, leverage, map(Side, side.tolist()), size, strict=True)
        ]
        np.testing.assert_allclose(many, one, rtol=1e-12)
        np.testing.assert_allclose(kernel, one, rtol=1e-12)


def shipped(root):
    rows = defaultdict(list)
    with (root / "liqbt" / "data" / "binance-um-margin-tiers.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["symbol"]].append(row)
    return {
        symbol: tier_table(
            symbol,
            effective_ns=[np.datetime64(r["seen_on"], "ns").astype(np.int64) for r in part],
            floor_usd=[float(r["notional_floor_usdt"]) for r in part],
            cap_usd=[float(r["notional_cap_usdt"]) for r in part],
            rate=[float(r["maintenance_margin_rate"]) for r in part],
            amount_usd=[float(r["maintenance_amount_usdt"]) for r in part],
            max_leverage=[float(r["max_leverage"]) for r in part],
        )
        for symbol, part in rows.items()
    }


def test_shipped_amounts_make_maintenance_margin_continuous(root):
    steps = 0
    tables = shipped(root)
    for table in tables.values():
        for tiers in table.tiers:
            floor, rate, amount = tiers.floor_usd, tiers.rate, tiers.amount_usd
            expected = floor[1:] * np.diff(rate) + amount[:-1]
            np.testing.assert_allclose(amount[1:], expected, rtol=1e-9)
            steps += len(expected)
    assert len(tables) == 30
    assert steps == 1215


def test_tiers_are_chosen_by_date(root):
    table = shipped(root)["ETHUSDT"]
    first, second = table.effective_ns[:2].tolist()
    assert table.at(second - 1).cap_usd[0] == 10_000
    assert table.at(second).cap_usd[0] == 100_000
    assert table.at(second + 400 * DAY_NS * 10) is table.tiers[-1]
    with pytest.raises(MarginError, match=r"ETHUSDT .*2022-04-30.*2022-05-01"):
        table.at(first - 1)


def test_what_cannot_be_right_is_refused():
    tiers = BTC_2025
    with pytest.raises(MarginError, match=r"bracket 100x .*maximum leverage of 75x"):
        bracket_ratios(tiers, [5, 100], [1e4, 1e6])
    with pytest.raises(MarginError, match=r"bracket 100x .*1\.0000% must exceed .*1\.2500%"):
        bracket_ratios(flat_tiers("BTC", 0.0125, 200).at(0), [100], 1e4)
    with pytest.raises(MarginError, match=r"notional of 2e\+07 USD is outside"):
        liquidation_price(100_000, 2, Side.LONG, 200, tiers)
    with pytest.raises(MarginError, match=r"notional of 2e\+07 USD is outside"):
        liquidation_prices([100_000, 100_000], 2, 1, [1, 200], tiers)
    with pytest.raises(MarginError, match="bracket 300x"):
        liquidation_prices(100_000, [10, 300], 1, 1, tiers)
    with pytest.raises(MarginError, match="can never be liquidated"):
        bracket_ratios(tiers, [1], 1e4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor_usd": [0, 60]}, "tier 2: its floor must be the cap"),
        ({"floor_usd": [10, 50]}, "tier 1: its floor"),
        ({"cap_usd": [50, 40]}, "tier 2: its cap"),
        ({"rate": [0.1, 1.0]}, "tier 2: its rate must be in"),
        ({"rate": [0.1, np.nan]}, "tier 2: its rate"),
        ({"rate": [0.1, 0.05]}, "tier 2: its rate must not be below"),
        ({"amount_usd": [0, -1]}, "tier 2: its amount"),
        ({"max_leverage": [5, 0.5]}, "tier 2: its maximum leverage"),
        ({"rate": [0.1]}, "one length"),
    ],
)
def test_tiers_are_checked_when_they_are_made(change, message):
    good = {
        "floor_usd": [0, 50],
        "cap_usd": [50, 100],
        "rate": [0.1, 0.2],
        "amount_usd": [0, 5],
        "max_leverage": [5, 2],
    }
    Tiers(**{k: np.array(v, dtype=float) for k, v in good.items()})
    with pytest.raises(MarginError, match=message):
        Tiers(**{k: np.array(v, dtype=float) for k, v in (good | change).items()})


def test_dates_must_rise():
    tiers = BTC_2025
    with pytest.raises(MarginError, match="dates must rise"):
        TierTable(symbol="X", effective_ns=np.array([5, 5]), tiers=(tiers, tiers))
    with pytest.raises(MarginError, match="one date each"):
        TierTable(symbol="X", effective_ns=np.array([5]), tiers=(tiers, tiers))


def test_arrays_are_read_only_copies():
    rate = np.array([0.01])
    tiers = Tiers(
        floor_usd=np.zeros(1),
        cap_usd=np.full(1, np.inf),
        rate=rate,
        amount_usd=np.zeros(1),
        max_leverage=np.full(1, 10.0),
    )
    rate[0] = 0.5
    assert tiers.rate[0] == 0.01
    with pytest.raises(ValueError, match="read-only"):
        tiers.rate[0] = 0.5


def test_ratios_do_not_depend_on_the_entry_price():
    long, short = bracket_ratios(BTC_2025, [5, 20, 50], [1e4, 4e5, 2e6])
    for entry in (0.01, 3.0, 1e5):
        for k, (leverage, usd) in enumerate(zip([5, 20, 50], [1e4, 4e5, 2e6], strict=True)):
            size = usd / entry
            assert liquidation_price(entry, leverage, Side.LONG, size, BTC_2025) == pytest.approx(
                long[k] * entry, rel=1e-12
            )
            assert liquidation_price(entry, leverage, Side.SHORT, size, BTC_2025) == pytest.approx(
                short[k] * entry, rel=1e-12
            )
