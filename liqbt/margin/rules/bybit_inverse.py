"""Bybit inverse, isolated: initial and maintenance margin are coins, both taken at the entry.

IM = N/(EP·L),  MM = N·m/EP,  LP = N / (N/EP + s·(IM − MM + extra))

So the venue's help pages had it up to 2024 at least. By May 2026 they take maintenance at the
liquidation price (`at_mark`), with a deduction by tier:

    LP = N·(1 + s·m) / (N/EP + s·(N/(EP·L) + extra/(1 + s·fee) + deduction))

From when that holds is not known.
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
    extra_coins: float = 0.0,
) -> float:
    """Return the mark price at which an inverse position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over initial margin.
    side : Side
        LONG or SHORT.
    notional_usd : float
        Contracts of one USD, above 0.
    rate : float
        Maintenance rate of the tier that holds the value at entry.
    extra_coins : float
        Margin that was added.

    Returns
    -------
    float
        Infinite for a short that no price can liquidate.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate, "Bybit inverse")
    value = notional_usd / entry
    below = value + s * (value / leverage - value * rate + extra_coins)
    return notional_usd / below if below > 0.0 else math.inf


def at_mark(
    entry: float,
    leverage: float,
    side: Side,
    notional_usd: float,
    *,
    rate: float,
    deduction_coins: float = 0.0,
    extra_coins: float = 0.0,
    fee: float = 0.0,
) -> float:
    """Return the mark price at which a position is liquidated where maintenance is taken there.

    Parameters
    ----------
    entry, leverage, side, notional_usd, extra_coins
        As in `liquidation_price`.
    rate, deduction_coins : float
        Maintenance rate and deduction of the tier that holds the position at that price.
    fee : float
        Of a taker.

    Returns
    -------
    float
        Infinite for a short that no price can liquidate.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate, "Bybit inverse")
    value = notional_usd / entry
    spare = value / leverage + extra_coins / (1.0 + s * fee) + deduction_coins
    below = value + s * spare
    return notional_usd * (1.0 + s * rate) / below if below > 0.0 else math.inf


RULE: Final = MarginRule(
    id="bybit_inverse",
    venue="Bybit",
    contract="inverse perpetual, isolated",
    formula="N / (N/EP + s·(IM − MM + extra)), IM = N/(EP·L), MM = N·m/EP, in coins at the entry",
    source="the venue's help pages up to 2024; `at_mark`, a page of May 2026",
    certainty=Certainty.READ,
    ratio=lambda leverage, side, rate: liquidation_price(1.0, leverage, side, 1.0, rate=rate),
    examples=(
        Example(
            words="long of 10,000 USD at 50,000, 20x, m 0.5 %",
            by_hand="10,000 / (0.2 + 0.01 − 0.001)",
            expected=47_846.8900,
            computed=lambda: liquidation_price(50_000, 20, Side.LONG, 10_000, rate=0.005),
        ),
        Example(
            words="short of 10,000 USD at 50,000, 20x, m 0.5 %",
            by_hand="10,000 / (0.2 − 0.01 + 0.001)",
            expected=52_356.0209,
            computed=lambda: liquidation_price(50_000, 20, Side.SHORT, 10_000, rate=0.005),
        ),
        Example(
            words="short of 60,000 USD at 50,000, 10x, m 0.5 %: the venue's own example",
            by_hand="60,000 / (1.2 − (0.12 − 0.006))",
            expected=55_248.6188,
            computed=lambda: liquidation_price(50_000, 10, Side.SHORT, 60_000, rate=0.005),
        ),
        Example(
            words="the same where maintenance is taken at the mark, by 2026",
            by_hand="60,000 · 0.995 / (1.2 − 0.12)",
            expected=55_277.7778,
            computed=lambda: at_mark(50_000, 10, Side.SHORT, 60_000, rate=0.005),
        ),
    ),
)
