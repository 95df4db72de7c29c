"""Binance COIN-M: inverse, isolated, one-way; margin, maintenance and its amount are in coins.

A position of N USD (contracts times their face of 100 USD for BTC) earns s·N·(1/EP − 1/P) coins.
Its margin N/(EP·L) meets the maintenance m·N/P − cum at

    LP = N·(1 + s·m) / (N/EP + s·(N/(EP·L) + cum))

No dated table of its tiers is shipped: rate and amount are those of the tier that holds N/LP coins,
and the caller's to state.
"""

from __future__ import annotations

import math
from typing import Final

from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def liquidation_price(
    entry: float,
    leverage: float,
    side: Side,
    notional_usd: float,
    *,
    rate: float,
    amount_coins: float = 0.0,
) -> float:
    """Return the mark price at which a COIN-M position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin, both in coins at the entry.
    side : Side
        LONG or SHORT.
    notional_usd : float
        Contracts times face, above 0.
    rate, amount_coins : float
        Maintenance rate and amount of the tier that holds the position at that price.

    Returns
    -------
    float
        Infinite for a short that no price can liquidate: one at 1x.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate, "Binance COIN-M")
    below = notional_usd / entry + s * (notional_usd / (entry * leverage) + amount_coins)
    return notional_usd * (1.0 + s * rate) / below if below > 0.0 else math.inf


RULE: Final = MarginRule(
    id="binance_inverse",
    venue="Binance",
    contract="COIN-M perpetual, isolated, one-way",
    formula="N·(1 + s·m) / (N/EP + s·(N/(EP·L) + cum)), N = contracts · face, cum in coins",
    source="from where margin meets maintenance in coins; contract of 100 USD read",
    certainty=Certainty.DERIVED,
    ratio=lambda leverage, side, rate: liquidation_price(1.0, leverage, side, 1.0, rate=rate),
    examples=(
        Example(
            words="long of 100 contracts of 100 USD at 50,000, 10x, m 0.4 %",
            by_hand="10,000 · 1.004 / (0.2 + 0.02)",
            expected=45_636.3636,
            computed=lambda: liquidation_price(50_000, 10, Side.LONG, 10_000, rate=0.004),
        ),
        Example(
            words="short of 100 contracts of 100 USD at 50,000, 10x, m 0.4 %",
            by_hand="10,000 · 0.996 / (0.2 − 0.02)",
            expected=55_333.3333,
            computed=lambda: liquidation_price(50_000, 10, Side.SHORT, 10_000, rate=0.004),
        ),
        Example(
            words="long of 1,000,000 USD at 50,000, 10x, second tier: m 0.5 %, cum 0.005 coins",
            by_hand="1,000,000 · 1.005 / (20 + 2 + 0.005)",
            expected=45_671.4383,
            computed=lambda: liquidation_price(
                50_000, 10, Side.LONG, 1_000_000, rate=0.005, amount_coins=0.005
            ),
        ),
    ),
)
