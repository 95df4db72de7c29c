"""Margin rules by contract type: worked examples, and what any liquidation price must be."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liqbt.errors import MarginError
from liqbt.margin import liquidation_price as tiered
from liqbt.margin.cross import cross_liquidation_price
from liqbt.margin.rules import (
    RULES,
    binance_inverse,
    bitmex_inverse,
    bybit_inverse,
    bybit_linear,
    hyperliquid_isolated,
    hyperliquid_partial,
    okx_inverse,
    okx_linear,
)
from liqbt.margin.tiers import flat_tiers
from liqbt.study.margin_rules import describe_margin, margin_rows
from liqbt.types import Side

FORMS = {
    "binance_linear": lambda e, v, s, k: tiered(e, v, s, 2.0, flat_tiers("X", k, 1000).at(0)),
    "binance_inverse": lambda e, v, s, k: binance_inverse.liquidation_price(e, v, s, 2e4, rate=k),
    "bybit_linear": lambda e, v, s, k: bybit_linear.liquidation_price(e, v, s, 2.0, rate=k),
    "bybit_inverse": lambda e, v, s, k: bybit_inverse.liquidation_price(e, v, s, 2e4, rate=k),
    "okx_linear": lambda e, v, s, k: okx_linear.liquidation_price(
        e, v, s, rate=0.9 * k, fee=0.1 * k
    ),
    "okx_inverse": lambda e, v, s, k: okx_inverse.liquidation_price(
        e, v, s, rate=0.9 * k, fee=0.1 * k
    ),
    "bitmex_inverse": lambda e, v, s, k: bitmex_inverse.liquidation_price(e, v, s, rate=k),
    "hyperliquid_isolated": lambda e, v, s, k: hyperliquid_isolated.liquidation_price(
        e, v, s, max_leverage=0.5 / k
    ),
    "hyperliquid_cross": lambda e, v, s, k: cross_liquidation_price(
        2.0 * e / v - int(s) * 2.0 * e, [int(s) * 2.0], [e], [k], 0
    ),
    "hyperliquid_partial": lambda e, v, s, k: (
        hyperliquid_partial.ladder(e, v, s, 2.0, max_leverage=0.5 / k)[0].price
    ),
}
"""Each rule of an entry, a leverage, a side and a rate."""
AT_ENTRY = {"bybit_linear", "bybit_inverse", "bitmex_inverse"}
SIDES = st.sampled_from([Side.LONG, Side.SHORT])
RATES = st.floats(0.002, 0.05)


@st.composite
def positions(draw):
    rate = draw(RATES)
    leverage = draw(st.floats(1.5, 0.98 / rate))
    return draw(st.floats(0.01, 1e6)), leverage, draw(SIDES), rate


def test_every_rule_is_tested_here_and_its_examples_are_met():
    assert [rule.id for rule in RULES] == list(FORMS)
    rows = margin_rows()
    for row in rows:
        assert row["computed_usd"] == pytest.approx(row["expected_usd"], abs=6e-5), row["example"]
        assert row["same"]
        assert row["source"]
    assert {rule.id for rule in RULES if len(rule.examples) < 2} == set()
    assert describe_margin(rows).endswith("10 rules, 28 worked examples, 0 of them not met")
    assert "DIFFERS" in describe_margin([{**rows[0], "same": False}])


@pytest.mark.parametrize("name", sorted(FORMS))
@settings(max_examples=25)
@given(case=positions(), more=st.floats(1.001, 2.0))
def test_it_lies_on_the_losing_side_and_nearer_with_more_leverage(name, case, more):
    entry, leverage, side, rate = case
    price = FORMS[name](entry, leverage, side, rate)
    assert price > 0
    assert (price < entry) if side == Side.LONG else (price > entry)
    assume(leverage * more * rate < 0.99)
    nearer = FORMS[name](entry, leverage * more, side, rate)
    assert (price < nearer < entry) if side == Side.LONG else (price > nearer > entry)


@pytest.mark.parametrize("name", sorted(FORMS))
@settings(max_examples=25)
@given(case=positions())
def test_equity_there_is_the_maintenance_margin(name, case):
    entry, leverage, side, rate = case
    price, s, inverse = FORMS[name](entry, leverage, side, rate), int(side), "inverse" in name
    if inverse:  # of one USD, in coins
        margin, earned, value = 1 / entry / leverage, s * (1 / entry - 1 / price), 1 / price
        at_entry = 1 / entry
    else:
        margin, earned, value, at_entry = entry / leverage, s * (price - entry), price, entry
    owed = rate * (at_entry if name in AT_ENTRY else value)
    assert margin + earned == pytest.approx(owed, rel=1e-7, abs=1e-9 * at_entry)


@given(positions())
def test_both_sides_are_symmetric_where_the_contract_is(case):
    entry, leverage, _, rate = case
    for name, form in FORMS.items():
        long, short = (form(entry, leverage, side, rate) for side in (Side.LONG, Side.SHORT))
        if name == "bybit_linear":  # in price
            assert long + short == pytest.approx(2 * entry)
        elif name in AT_ENTRY:  # in 1/price
            assert 1 / long + 1 / short == pytest.approx(2 / entry)
        elif "inverse" in name:  # but for the maintenance, which is taken at the price
            assert (1 + rate) / long + (1 - rate) / short == pytest.approx(2 / entry)
        else:
            assert long * (1 - rate) + short * (1 + rate) == pytest.approx(2 * entry)


@given(positions())
def test_an_inverse_long_is_a_linear_short_of_the_inverse_price(case):
    entry, leverage, side, rate = case
    other = Side(-int(side))
    inverse = okx_inverse.liquidation_price(entry, leverage, side, rate=rate, fee=0.0)
    linear = okx_linear.liquidation_price(1 / entry, leverage, other, rate=rate, fee=0.0)
    assert inverse == pytest.approx(1 / linear, rel=1e-12)


@given(st.floats(2, 15), SIDES, st.floats(1e-3, 1e3))
def test_the_price_is_continuous_across_a_tier_with_an_amount(leverage, side, coins):
    low, high, entry = 0.01, 0.02, 50_000.0
    # COIN-M: the size at which the value at liquidation is the floor of `coins` exactly
    first = binance_inverse.liquidation_price(entry, leverage, side, 1.0, rate=low)
    amount = coins * (high - low)
    one, other = (
        binance_inverse.liquidation_price(
            entry, leverage, side, coins * first, rate=rate, amount_coins=cum
        )
        for rate, cum in ((low, 0.0), (high, amount))
    )
    assert other == pytest.approx(one, rel=1e-9)
    # Bybit by 2026 is COIN-M's form
    assert bybit_inverse.at_mark(
        entry, leverage, side, coins * first, rate=high, deduction_coins=amount
    ) == pytest.approx(one, rel=1e-9)
    # Bybit before: the value at entry is the floor
    one, other = (
        bybit_linear.liquidation_price(entry, leverage, side, coins, rate=rate, deduction_usd=less)
        for rate, less in ((low, 0.0), (high, coins * entry * (high - low)))
    )
    assert other == pytest.approx(one, rel=1e-9)


@given(positions(), st.floats(1e3, 1e8))
def test_a_ladder_closes_the_whole_and_goes_one_way(case, usd):
    entry, leverage, side, rate = case
    size, maximum = usd / entry, 0.5 / rate
    slow = hyperliquid_partial.ladder(entry, leverage, side, size, max_leverage=maximum)
    fast = hyperliquid_partial.ladder(entry, leverage, side, size, max_leverage=maximum, slow=False)
    assert slow[0] == fast[0]
    assert 1 <= len(fast) <= min(len(slow), 2)
    for rungs in (slow, fast):
        assert math.fsum(rung.coins for rung in rungs) == pytest.approx(size)
        prices = [int(side) * rung.price for rung in rungs]
        assert prices == sorted(prices, reverse=True)
        assert rungs[-1].left == 0.0
    for rung, after in pairwise(slow):
        before = rung.coins + rung.left
        assert before * rung.price > hyperliquid_partial.CUT_ABOVE_USD
        assert rung.coins == pytest.approx(0.2 * before)
        assert after.coins + after.left == pytest.approx(rung.left)
    backstop = hyperliquid_partial.backstop_price(entry, leverage, side, max_leverage=maximum)
    assert int(side) * backstop < int(side) * slow[0].price


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"entry": 0.0}, "the entry is 0.0"),
        ({"leverage": 0.5}, "at 0.5x the initial margin must exceed"),
        ({"leverage": 300.0}, "at 300x the initial margin must exceed the maintenance of 0.4500%"),
        ({"side": Side.NONE}, "the side is none"),
        ({"rate": -1.0}, "expected it in"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(change, says):
    given_ = {"entry": 100.0, "leverage": 10.0, "side": Side.LONG, "rate": 0.004, "fee": 0.0005}
    with pytest.raises(MarginError, match=says) as caught:
        okx_linear.liquidation_price(**(given_ | change))
    assert str(caught.value).startswith("OKX linear: ")


def test_at_no_leverage_a_long_ends_at_nothing_and_an_inverse_short_nowhere():
    assert okx_linear.liquidation_price(100, 1, Side.LONG, rate=0.004, fee=0.0) == 0.0
    assert hyperliquid_isolated.liquidation_price(100, 1, Side.LONG, max_leverage=50) == 0.0
    assert okx_inverse.liquidation_price(100, 1, Side.SHORT, rate=0.004, fee=0.0) == math.inf
    assert binance_inverse.liquidation_price(100, 1, Side.SHORT, 10, rate=0.004) == math.inf
    with pytest.raises(MarginError, match="maximum leverage is 0"):
        hyperliquid_isolated.maintenance_rate(0)
    with pytest.raises(MarginError, match="expected a size above 0"):
        bybit_linear.liquidation_price(100, 5, Side.LONG, 0.0, rate=0.01)
    with pytest.raises(MarginError, match="the size is 0"):
        hyperliquid_partial.ladder(100, 5, Side.LONG, 0.0, max_leverage=50)
