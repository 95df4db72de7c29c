"""Binance USDⓈ-M: linear, isolated, one-way; tiers with maintenance amounts, dated and shipped.

    LP = (EP·(1 − s/L) − s·cum/q) / (1 − s·m)

with m and cum of the tier that holds q·LP. `liqbt.margin.liquidation_price` walks the tiers; this
file states the rule and works its examples.
"""

from __future__ import annotations

from typing import Final

from liqbt.margin import liquidation_price
from liqbt.margin.rules.rule import Certainty, Example, MarginRule
from liqbt.margin.tiers import tier_table
from liqbt.types import Side

_TIERS: Final = tier_table(
    "BTCUSDT",
    effective_ns=[0, 0, 0],
    floor_usd=[0, 300_000, 800_000],
    cap_usd=[300_000, 800_000, 3_000_000],
    rate=[0.004, 0.005, 0.0065],
    amount_usd=[0, 300, 1_500],
    max_leverage=[150, 100, 75],
).at(0)

RULE: Final = MarginRule(
    id="binance_linear",
    venue="Binance",
    contract="USDⓈ-M perpetual, isolated, one-way",
    formula="(EP·(1 − s/L) − s·cum/q) / (1 − s·m), m and cum of the tier that holds q·LP",
    source="the venue's documentation of liquidation prices; its tiers as seen on dates since 2022",
    certainty=Certainty.CHECKED,
    dated="binance-um-margin-tiers.csv",
    examples=(
        Example(
            words="long of 1 coin at 100,000, 10x: first tier",
            by_hand="100,000 · 0.9 / 0.996",
            expected=90_361.4458,
            computed=lambda: liquidation_price(100_000, 10, Side.LONG, 1.0, _TIERS),
        ),
        Example(
            words="short of 1 coin at 100,000, 10x: first tier",
            by_hand="100,000 · 1.1 / 1.004",
            expected=109_561.7530,
            computed=lambda: liquidation_price(100_000, 10, Side.SHORT, 1.0, _TIERS),
        ),
        Example(
            words="long of 8.1 coins at 100,000, 20x: enters in the third tier, ends in the second",
            by_hand="(95,000 − 300/8.1) / 0.995",
            expected=95_440.1638,
            computed=lambda: liquidation_price(100_000, 20, Side.LONG, 8.1, _TIERS),
        ),
        Example(
            words="short of 7.9 coins at 100,000, 20x: enters in the second tier, ends in the next",
            by_hand="(105,000 + 1,500/7.9) / 1.0065",
            expected=104_510.5548,
            computed=lambda: liquidation_price(100_000, 20, Side.SHORT, 7.9, _TIERS),
        ),
    ),
)
