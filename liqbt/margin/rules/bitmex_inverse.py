"""BitMEX XBTUSD: inverse, isolated, maintenance taken at the entry.

    LP = EP / (1 + s·(1/L − m))

What the venue charges to close and any funding to come are left out.
"""

from __future__ import annotations

from typing import Final

from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def liquidation_price(entry: float, leverage: float, side: Side, *, rate: float) -> float:
    """Return the mark price at which an XBTUSD position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin.
    side : Side
        LONG or SHORT.
    rate : float
        Maintenance rate.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate, "BitMEX inverse")
    return entry / (1.0 + s * (1.0 / leverage - rate))


RULE: Final = MarginRule(
    id="bitmex_inverse",
    venue="BitMEX",
    contract="XBTUSD perpetual, isolated",
    formula="EP / (1 + s·(1/L − m))",
    source="the venue's documentation for a long; the short by symmetry in 1/price",
    certainty=Certainty.READ,
    ratio=lambda leverage, side, rate: liquidation_price(1.0, leverage, side, rate=rate),
    examples=(
        Example(
            words="long at 10,000, 50x, m 0.5 %",
            by_hand="10,000 / (1 + 0.02 − 0.005)",
            expected=9_852.2167,
            computed=lambda: liquidation_price(10_000, 50, Side.LONG, rate=0.005),
        ),
        Example(
            words="short at 10,000, 50x, m 0.5 %",
            by_hand="10,000 / (1 − 0.02 + 0.005)",
            expected=10_152.2843,
            computed=lambda: liquidation_price(10_000, 50, Side.SHORT, rate=0.005),
        ),
    ),
)
