"""Margin: the three forms against the naive twin, and what a liquidation price is."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liqbt.margin import liquidation_price, liquidation_prices
from liqbt.margin.kernels import liquidation_price_kernel
from liqbt.margin.tiers import tier_table
from liqbt.types import Side

EITHER = st.booleans()
RATES = st.lists(st.floats(0.001, 0.4), min_size=1, max_size=6, unique=True)


@st.composite
def tiers_and_position(draw, amounts=EITHER):
    rates = sorted(draw(RATES))
    widths = draw(st.lists(st.floats(10, 1e6), min_size=len(rates), max_size=len(rates)))
    caps = np.cumsum(widths)
    floors = np.concatenate(([0.0], caps[:-1]))
    amount = np.zeros(len(rates))
    if draw(amounts):
        for i in range(1, len(rates)):
            amount[i] = floors[i] * (rates[i] - rates[i - 1]) + amount[i - 1]
    table = tier_table(
        "X",
        effective_ns=np.zeros(len(rates)),
        floor_usd=floors,
        cap_usd=caps,
        rate=rates,
        amount_usd=amount,
        max_leverage=np.full(len(rates), 1000.0),
    )
    notional = draw(st.floats(0.01, 0.999)) * caps[-1]
    tier = int(np.searchsorted(caps, notional, side="right"))
    assume(tier < len(rates))
    leverage = draw(st.floats(1.01, 0.99 / rates[tier]))
    entry = draw(st.floats(1e-3, 1e6))
    side = draw(st.sampled_from([Side.LONG, Side.SHORT]))
    return table.at(0), entry, leverage, side, notional / entry, tier


@given(tiers_and_position())
def test_all_forms_agree_with_the_twin(case):
    tiers, entry, leverage, side, size, tier = case
    assume(int(np.searchsorted(tiers.cap_usd, entry * size, side="right")) == tier)
    rows = list(
        zip(
            tiers.floor_usd.tolist(),
            tiers.cap_usd.tolist(),
            tiers.rate.tolist(),
            tiers.amount_usd.tolist(),
            strict=True,
        )
    )
    twin = naive.liquidation_price(entry, leverage, side == Side.LONG, size, rows)
    columns = tiers.floor_usd, tiers.cap_usd, tiers.rate, tiers.amount_usd
    one = liquidation_price(entry, leverage, side, size, tiers)
    many = liquidation_prices([entry], leverage, side, size, tiers)[0]
    kernel = liquidation_price_kernel(entry, leverage, side == Side.LONG, size, *columns)
    # a subtraction of close numbers near 0 is measured against the entry
    tolerance = 1e-12 * entry
    assert one == pytest.approx(twin, rel=1e-12, abs=tolerance)
    assert many == pytest.approx(one, rel=1e-12, abs=tolerance)
    assert kernel == pytest.approx(one, rel=1e-12, abs=tolerance)


@given(tiers_and_position(amounts=st.just(True)))
def test_equity_equals_maintenance_margin_there_and_the_tier_holds_it(case):
    tiers, entry, leverage, side, size, _ = case
    price = liquidation_price(entry, leverage, side, size, tiers)
    assume(price > 0)
    notional = size * price
    n = min(int(np.searchsorted(tiers.cap_usd, notional, side="right")), len(tiers) - 1)
    equity = entry * size / leverage + int(side) * size * (price - entry)
    # within rounding of a cap both tiers ask for the same margin: that is continuity
    required = tiers.rate[n] * notional - tiers.amount_usd[n]
    assert equity == pytest.approx(required, abs=1e-9 * entry * size)
    assert (price < entry) if side == Side.LONG else (price > entry)


@given(tiers_and_position(), st.integers(-8, 8))
def test_prices_and_tier_bounds_scaled_together_scale_the_price(case, power):
    tiers, entry, leverage, side, size, _ = case
    c = 2.0**power
    scaled = tier_table(
        "X",
        effective_ns=np.zeros(len(tiers)),
        floor_usd=c * tiers.floor_usd,
        cap_usd=c * tiers.cap_usd,
        rate=tiers.rate,
        amount_usd=c * tiers.amount_usd,
        max_leverage=tiers.max_leverage,
    ).at(0)
    before = liquidation_price(entry, leverage, side, size, tiers)
    assert liquidation_price(c * entry, leverage, side, size, scaled) == c * before


@given(st.sampled_from([Side.LONG, Side.SHORT]), st.floats(2, 40), st.floats(-1e-9, 1e-9))
def test_the_price_is_continuous_where_the_tier_changes(side, leverage, nudge):
    # the size at which the liquidation notional is exactly the cap of 1,000 under the first tier
    tiers = tier_table(
        "X",
        effective_ns=[0, 0],
        floor_usd=[0, 1000],
        cap_usd=[1000, 1e9],
        rate=[0.01, 0.02],
        amount_usd=[0, 10],
        max_leverage=[50, 50],
    ).at(0)
    ratio = (1 - 1 / leverage) / 0.99 if side == Side.LONG else (1 + 1 / leverage) / 1.01
    size = 1000 / ratio / 100
    here = liquidation_price(100, leverage, side, size, tiers)
    there = liquidation_price(100, leverage, side, size * (1 + nudge), tiers)
    assert there == pytest.approx(here, rel=1e-8)
