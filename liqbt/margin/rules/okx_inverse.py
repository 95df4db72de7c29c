"""OKX inverse (coin-margined), isolated: as its linear form, with profit and margin in coins.

    LP = N·(1 + s·k) / (N/EP + s·margin),  k = m + fee,  margin = N/(EP·L) coins

in which N (contracts times face) cancels: LP = EP·(1 + s·k) / (1 + s/L).
"""

from __future__ import annotations

import math
from typing import Final

from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def liquidation_price(
    entry: float, leverage: float, side: Side, *, rate: float, fee: float
) -> float:
    """Return the mark price at which a coin-margined position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin, both in coins at the entry.
    side : Side
        LONG or SHORT.
    rate, fee : float
        Maintenance rate of the position's tier, and the fee of closing it, not negative.

    Returns
    -------
    float
        Infinite for a short that no price can liquidate: one at 1x.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate + fee, "OKX inverse")
    below = 1.0 + s / leverage
    return entry * (1.0 + s * (rate + fee)) / below if below > 0.0 else math.inf


RULE: Final = MarginRule(
    id="okx_inverse",
    venue="OKX",
    contract="coin-margined perpetual, isolated",
    formula="N·(1 + s·k) / (N/EP + s·N/(EP·L)), k = m + fee",
    source="from where margin meets maintenance in coins; reproduced a simulated account",
    certainty=Certainty.DERIVED,
    ratio=lambda leverage, side, rate: liquidation_price(1.0, leverage, side, rate=rate, fee=0.0),
    examples=(
        Example(
            words="long of 10,000 USD at 50,000, 10x, m 0.4 %, fee 0.05 %",
            by_hand="10,000 · 1.0045 / (0.2 + 0.02)",
            expected=45_659.0909,
            computed=lambda: liquidation_price(50_000, 10, Side.LONG, rate=0.004, fee=0.0005),
        ),
        Example(
            words="short of 10,000 USD at 50,000, 10x, m 0.4 %, fee 0.05 %",
            by_hand="10,000 · 0.9955 / (0.2 − 0.02)",
            expected=55_305.5556,
            computed=lambda: liquidation_price(50_000, 10, Side.SHORT, rate=0.004, fee=0.0005),
        ),
    ),
)
