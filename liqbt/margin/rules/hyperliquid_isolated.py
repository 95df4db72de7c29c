"""Hyperliquid, isolated: the maintenance rate is half of the initial margin at maximum leverage.

    LP = P − s·margin_available/q / (1 − l·s),  l = 1/(2 · maximum leverage)

with margin_available = margin − l·q·P. That is linear in P, so that the price at which it is taken
does not matter; at P = EP it is EP·(1 − s/L) / (1 − l·s).
"""

from __future__ import annotations

from typing import Final

from liqbt.errors import MarginError
from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side


def maintenance_rate(max_leverage: float) -> float:
    """Return l of a coin with this maximum leverage.

    Raises
    ------
    MarginError
        If it is below 1.

    Examples
    --------
    >>> maintenance_rate(50)
    0.01
    """
    if not max_leverage >= 1.0:
        raise MarginError(
            f"Hyperliquid: the maximum leverage is {max_leverage}; expected 1 or more"
        )
    return 0.5 / max_leverage


def liquidation_price(entry: float, leverage: float, side: Side, *, max_leverage: float) -> float:
    """Return the mark price at which an isolated position is liquidated, USD.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin.
    side : Side
        LONG or SHORT.
    max_leverage : float
        The coin's; by some accounts tiered by size for BTC and ETH since 2025.

    Returns
    -------
    float
        0.0 for a long that no positive price can liquidate: one at 1x.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    rate = maintenance_rate(max_leverage)
    s = checked(entry, leverage, side, rate, "Hyperliquid isolated")
    available = entry / leverage - rate * entry
    return max(entry - s * available / (1.0 - rate * s), 0.0)


RULE: Final = MarginRule(
    id="hyperliquid_isolated",
    venue="Hyperliquid",
    contract="perpetual, isolated",
    formula="P − s·margin_available/q / (1 − l·s), l = 1/(2 · maximum leverage)",
    source="the venue's documentation; reproduced a simulated account to rounding",
    certainty=Certainty.CHECKED,
    examples=(
        Example(
            words="long at 100, 10x, maximum leverage 50",
            by_hand="100 − (10 − 1) / 0.99",
            expected=90.9091,
            computed=lambda: liquidation_price(100, 10, Side.LONG, max_leverage=50),
        ),
        Example(
            words="short at 100, 10x, maximum leverage 50",
            by_hand="100 + (10 − 1) / 1.01",
            expected=108.9109,
            computed=lambda: liquidation_price(100, 10, Side.SHORT, max_leverage=50),
        ),
    ),
)
