"""Rivals: maps as they are published elsewhere, written in our own words, in the same protocol.

Each is one file with its own parameters. All of them read candles (`candles`), put entries at each
of them, place levels at fixed distances from there and drop those that the price has passed since
(`levels`); `fresh_kernel` needs no entries. They differ in what they take for an entry, on which
side, how much it weighs and how long:

================== ============================================================================
equal_brackets     volume of every candle, both sides alike, at 10, 25, 50 and 100x alike
large_trades       large taker trades on the taker's side, at 1, 2, 4 and 10 %
tier_decay         volume, both sides alike, each tier with a weight and a half-life of its own
candle_colour      volume, longs where the candle rose and shorts where it fell
z_score            candles whose inflow stands out from those before it, by how much it does
fresh_kernel       no entries: how much was liquidated at a distance, times time since the price
                   was there
================== ============================================================================

None of them knows a venue's margin rule: a level at leverage L lies 1/L from its entry, as
published. Their defaults are those of the descriptions and were not tuned.
"""

from __future__ import annotations

from liqbt.estimators.rivals.candle_colour import CandleColour
from liqbt.estimators.rivals.equal_brackets import EqualBrackets
from liqbt.estimators.rivals.fresh_kernel import FreshKernel
from liqbt.estimators.rivals.large_trades import LargeTrades
from liqbt.estimators.rivals.tier_decay import TierDecay
from liqbt.estimators.rivals.z_score import ZScore

__all__ = [
    "CandleColour",
    "EqualBrackets",
    "FreshKernel",
    "LargeTrades",
    "TierDecay",
    "ZScore",
]
