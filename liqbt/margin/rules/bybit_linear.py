"""Bybit linear (USDT), isolated: maintenance is taken at the entry, with a deduction by tier.

IM = EP·q/L,  MM = EP·q·m − deduction,  LP = EP − s·((IM − MM) + extra)/q
"""

from __future__ import annotations

from typing import Final

from liqbt.errors import MarginError
from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def liquidation_price(
    entry: float,
    leverage: float,
    side: Side,
    size_coins: float,
    *,
    rate: float,
    deduction_usd: float = 0.0,
    extra_usd: float = 0.0,
) -> float:
    """Return the mark price at which a USDT position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over initial margin.
    side : Side
        LONG or SHORT.
    size_coins : float
        Above 0.
    rate, deduction_usd : float
        Maintenance rate and deduction of the tier that holds the value at entry.
    extra_usd : float
        Margin that was added, not negative.

    Returns
    -------
    float
        0.0 for a long that no positive price can liquidate.

    Raises
    ------
    MarginError
        If it cannot be opened, or a margin is negative.
    """
    s = checked(entry, leverage, side, rate, "Bybit linear")
    if not (size_coins > 0.0 and deduction_usd >= 0.0 and extra_usd >= 0.0):
        raise MarginError(
            f"Bybit linear: size {size_coins}, deduction {deduction_usd}, extra {extra_usd}; "
            "expected a size above 0 and no negative margin"
        )
    spare = entry / leverage - entry * rate + (deduction_usd + extra_usd) / size_coins
    return max(entry - s * spare, 0.0)


RULE: Final = MarginRule(
    id="bybit_linear",
    venue="Bybit",
    contract="USDT perpetual, isolated",
    formula="EP − s·(IM − MM + extra)/q, IM = EP·q/L, MM = EP·q·m − deduction, at the entry",
    source="the venue's help pages up to 2024, whose first example this is",
    certainty=Certainty.READ,
    examples=(
        Example(
            words="long of 1 coin at 20,000, 50x, m 0.5 %",
            by_hand="20,000 − (400 − 100)",
            expected=19_700.0,
            computed=lambda: liquidation_price(20_000, 50, Side.LONG, 1.0, rate=0.005),
        ),
        Example(
            words="the same with 3,000 of margin added",
            by_hand="20,000 − (400 − 100) − 3,000",
            expected=16_700.0,
            computed=lambda: liquidation_price(
                20_000, 50, Side.LONG, 1.0, rate=0.005, extra_usd=3_000
            ),
        ),
        Example(
            words="short of 1 coin at 20,000, 50x, m 0.5 %",
            by_hand="20,000 + (400 − 100)",
            expected=20_300.0,
            computed=lambda: liquidation_price(20_000, 50, Side.SHORT, 1.0, rate=0.005),
        ),
    ),
)
