"""Liquidation prices by contract type: one file each, with source, certainty and worked examples.

=========================== ========================================= ===========
rule                        contract                                  certainty
=========================== ========================================= ===========
binance_linear              USDⓈ-M, tiers with amounts, dated         checked
binance_inverse             COIN-M, amounts in coins                  derived
bybit_linear                USDT, maintenance at the entry            read
bybit_inverse               inverse, maintenance at the entry         read
okx_linear                  USDT, rate and fee                        checked
okx_inverse                 coin-margined, rate and fee               derived
bitmex_inverse              XBTUSD, maintenance at the entry          read
hyperliquid_isolated        isolated                                  checked
hyperliquid_cross           account equity                            checked
hyperliquid_partial         the ladder of a large position            read
=========================== ========================================= ===========

All of them are triggered by the mark price, not the last one. With a flat rate of m + fee the
tiers of `liqbt.margin` are OKX's linear rule, and with l Hyperliquid's isolated one.
"""

from __future__ import annotations

from typing import Final

from liqbt.margin.rules import (
    binance_inverse,
    binance_linear,
    bitmex_inverse,
    bybit_inverse,
    bybit_linear,
    hyperliquid_cross,
    hyperliquid_isolated,
    hyperliquid_partial,
    okx_inverse,
    okx_linear,
)
from liqbt.margin.rules.rule import Certainty, Example, MarginRule

__all__ = ["INVERSE", "RULES", "Certainty", "Example", "MarginRule"]

RULES: Final = (
    binance_linear.RULE,
    binance_inverse.RULE,
    bybit_linear.RULE,
    bybit_inverse.RULE,
    okx_linear.RULE,
    okx_inverse.RULE,
    bitmex_inverse.RULE,
    hyperliquid_isolated.RULE,
    hyperliquid_cross.RULE,
    hyperliquid_partial.RULE,
)

INVERSE: Final = {rule.id: rule for rule in RULES if rule.ratio is not None}
"""The rules of contracts that are margined in their coin, by name."""
