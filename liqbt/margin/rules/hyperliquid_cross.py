"""Hyperliquid, cross: all positions of an account share its equity.

`liqbt.margin.cross.cross_liquidation_price` is the rule; this file states it and works examples.
"""

from __future__ import annotations

from typing import Final

from liqbt.margin.cross import cross_liquidation_price
from liqbt.margin.rules.rule import Certainty, Example, MarginRule

RULE: Final = MarginRule(
    id="hyperliquid_cross",
    venue="Hyperliquid",
    contract="perpetual, cross: account equity",
    formula="P − s·(equity − Σ l·|q|·P)/q / (1 − l·s), equity = cash + Σ q·P over all coins",
    source="the venue's documentation; 27 of its first 54 liquidations of rebuilt accounts",
    certainty=Certainty.CHECKED,
    examples=(
        Example(
            words="long of 2 coins bought at 100, 20 in the account, l 1 %",
            by_hand="(200 − 20) / (2 · 0.99)",
            expected=90.9091,
            computed=lambda: cross_liquidation_price(-180.0, [2.0], [100.0], [0.01], 0),
        ),
        Example(
            words="the same beside a long of 1 coin bought at 50 that stands at 60",
            by_hand="(230 − 60 · 0.99) / (2 · 0.99)",
            expected=86.1616,
            computed=lambda: cross_liquidation_price(
                -230.0, [2.0, 1.0], [100.0, 60.0], [0.01, 0.01], 0
            ),
        ),
        Example(
            words="short of 1 coin sold at 100, 20 in the account, l 1 %",
            by_hand="(100 + 20) / 1.01",
            expected=118.8119,
            computed=lambda: cross_liquidation_price(120.0, [-1.0], [100.0], [0.01], 0),
        ),
    ),
)
