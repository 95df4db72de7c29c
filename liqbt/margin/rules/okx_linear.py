"""OKX linear (USDT), isolated: maintenance rate and liquidation fee, both at the liquidation price.

    LP = EP·(1 − s/L) / (1 − s·(m + fee))

There is no maintenance amount, so that the price jumps where a tier begins.
"""

from __future__ import annotations

from typing import Final

from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def liquidation_price(
    entry: float, leverage: float, side: Side, *, rate: float, fee: float
) -> float:
    """Return the mark price at which a USDT-margined position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin.
    side : Side
        LONG or SHORT.
    rate, fee : float
        Maintenance rate of the position's tier, and the fee of closing it, not negative.

    Returns
    -------
    float
        0.0 for a long that no positive price can liquidate: one at 1x.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    s = checked(entry, leverage, side, rate + fee, "OKX linear")
    return entry * (1.0 - s / leverage) / (1.0 - s * (rate + fee))


RULE: Final = MarginRule(
    id="okx_linear",
    venue="OKX",
    contract="USDT-margined perpetual, isolated",
    formula="EP·(1 − s/L) / (1 − s·(m + fee))",
    source="the venue's help pages; reproduced a simulated account to rounding",
    certainty=Certainty.CHECKED,
    examples=(
        Example(
            words="long at 100, 10x, m 0.4 %, fee 0.05 %",
            by_hand="100 · 0.9 / 0.9955",
            expected=90.4068,
            computed=lambda: liquidation_price(100, 10, Side.LONG, rate=0.004, fee=0.0005),
        ),
        Example(
            words="short at 100, 10x, m 0.4 %, fee 0.05 %",
            by_hand="100 · 1.1 / 1.0045",
            expected=109.5072,
            computed=lambda: liquidation_price(100, 10, Side.SHORT, rate=0.004, fee=0.0005),
        ),
    ),
)
