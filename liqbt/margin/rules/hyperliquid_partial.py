"""Hyperliquid's partial liquidation: a large position is cut by a fifth before it is closed.

A position of more than 100,000 USD that falls below its maintenance is first cut by a fifth; a
liquidation within 30 s of that closes the rest. Where the price goes on later than that, the next
fifth is cut. Each cut frees margin, so that the next price lies farther: one position is a ladder
of levels. Cuts are taken to be filled at the mark, without fees; a fill worse than that ends the
ladder sooner. What falls below two thirds of its maintenance is taken over whole.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liqbt.errors import MarginError
from liqbt.margin.rules.hyperliquid_isolated import maintenance_rate
from liqbt.margin.rules.rule import Certainty, Example, MarginRule, checked
from liqbt.types import Side

CUT_ABOVE_USD: Final = 100_000.0
"""Positions of at most so much are closed whole."""
CUT: Final = 0.2
"""Which share is cut."""
COOLDOWN_S: Final = 30.0
"""For how long after a cut the next liquidation closes the rest."""
BACKSTOP: Final = 2.0 / 3.0
"""Below this share of its maintenance a position is taken over."""


class Rung(NamedTuple):
    """One liquidation of a ladder.

    Attributes
    ----------
    price : float
        The mark at which it happens, USD.
    coins : float
        What is closed there.
    left : float
        What is left.
    """

    price: float
    coins: float
    left: float


def ladder(
    entry: float,
    leverage: float,
    side: Side,
    size_coins: float,
    *,
    max_leverage: float,
    slow: bool = True,
) -> tuple[Rung, ...]:
    """Return at which prices an isolated position is liquidated, and how much of it.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin.
    side : Side
        LONG or SHORT.
    size_coins : float
        Above 0.
    max_leverage : float
        The coin's.
    slow : bool
        Whether the price takes longer than the cooldown from rung to rung; else the second rung
        closes the rest.

    Returns
    -------
    tuple of Rung
        In the order in which the price meets them; their coins sum to the size. None for a long
        that no positive price can liquidate.

    Raises
    ------
    MarginError
        If it cannot be opened.

    Examples
    --------
    >>> rungs = ladder(100, 10, Side.LONG, 2_000, max_leverage=50)
    >>> [(round(r.price, 3), round(r.coins), round(r.left)) for r in rungs][:2], len(rungs)
    ([(90.909, 400, 1600), (90.68, 320, 1280)], 4)
    """
    rate = maintenance_rate(max_leverage)
    s = checked(entry, leverage, side, rate, "Hyperliquid partial")
    if not size_coins > 0.0:
        raise MarginError(f"Hyperliquid partial: the size is {size_coins}; expected it above 0")
    coins, price, equity = size_coins, entry, entry * size_coins / leverage
    rungs: list[Rung] = []
    while coins > 0.0:
        spare = equity / coins - rate * price
        level = price - s * spare / (1.0 - rate * s)
        if not level > 0.0:
            break
        equity += s * coins * (level - price)
        price = level
        whole = coins * price <= CUT_ABOVE_USD or (bool(rungs) and not slow)
        closed = coins if whole else CUT * coins
        coins -= closed
        rungs.append(Rung(price, closed, coins))
    return tuple(rungs)


def backstop_price(entry: float, leverage: float, side: Side, *, max_leverage: float) -> float:
    """Return the mark price at which an isolated position that was not closed is taken over, USD.

    Raises
    ------
    MarginError
        If it cannot be opened.
    """
    rate = maintenance_rate(max_leverage)
    s = checked(entry, leverage, side, rate, "Hyperliquid partial")
    return max(entry * (1.0 - s / leverage) / (1.0 - s * BACKSTOP * rate), 0.0)


RULE: Final = MarginRule(
    id="hyperliquid_partial",
    venue="Hyperliquid",
    contract="perpetual, isolated: partial liquidation",
    formula="P − s·(equity/q − l·P) / (1 − l·s), after each cut of a fifth above 100,000 USD anew",
    source="the venue's documentation of liquidations; fills at the mark are assumed",
    certainty=Certainty.READ,
    examples=(
        Example(
            words="long of 2,000 coins at 100, 10x, maximum leverage 50: the second rung",
            by_hand="90.9091 − (1,818.1818/1,600 − 0.909091) / 0.99",
            expected=90.6795,
            computed=lambda: ladder(100, 10, Side.LONG, 2_000, max_leverage=50)[1].price,
        ),
        Example(
            words="short of 2,000 coins at 100, 10x, maximum leverage 50: the second rung",
            by_hand="108.9109 + (2,178.2178/1,600 − 1.089109) / 1.01",
            expected=109.1805,
            computed=lambda: ladder(100, 10, Side.SHORT, 2_000, max_leverage=50)[1].price,
        ),
        Example(
            words="long at 100, 10x, maximum leverage 50: taken over below two thirds",
            by_hand="100 · 0.9 / (1 − 0.01 · 2/3)",
            expected=90.6040,
            computed=lambda: backstop_price(100, 10, Side.LONG, max_leverage=50),
        ),
    ),
)
