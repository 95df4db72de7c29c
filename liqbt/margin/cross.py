"""The liquidation price of a coin in a cross-margined account (Hyperliquid's form).

All positions of an account share its cash. With signed sizes q (coins), marks P and maintenance
rates l (1 / (2 · maximum leverage) at Hyperliquid), the account is closed when

    cash + Σ q·P  <  Σ l·|q|·P

Holding the other marks still, coin i meets that at

    LP = P − s·margin_available / |q_i| / (1 − l_i·s),    s = sign(q_i)

where margin_available is account value minus maintenance margin at the marks P. That is linear in
the coin's own price, so the price at which it is evaluated does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from liqbt.errors import MarginError


def cross_liquidation_price(
    cash_usd: float,
    size_coins: Sequence[float],
    mark_usd: Sequence[float],
    rate: Sequence[float],
    coin: int,
) -> float:
    """Return the price of one coin at which a cross-margined account is closed.

    Parameters
    ----------
    cash_usd : float
        Deposits minus withdrawals minus Σ size · price of every fill (a buy pays, a sale earns), so
        that account value = cash + Σ size · mark.
    size_coins : sequence of float, length n
        Signed positions: a long is above 0.
    mark_usd : sequence of float, length n
        Marks; those of the other coins stay where they are.
    rate : sequence of float, length n
        Maintenance rates, in (0, 1).
    coin : int
        Which one moves.

    Returns
    -------
    float
        In USD per coin; NaN where no price above 0 closes the account.

    Raises
    ------
    MarginError
        The lengths differ, the coin has no position, or a rate is not in (0, 1).

    Examples
    --------
    A long of 2 coins bought at 100 with 20 in the account, rate 1 %: 20 − 2·(100 − LP) = 0.02·LP.

    >>> round(cross_liquidation_price(-180.0, [2.0], [100.0], [0.01], 0), 6)
    90.909091

    A second long that gains 10 gives the first more room.

    >>> round(cross_liquidation_price(-230.0, [2.0, 1.0], [100.0, 60.0], [0.01, 0.01], 0), 6)
    86.161616
    """
    if not len(size_coins) == len(mark_usd) == len(rate):
        raise MarginError(
            f"sizes, marks and rates differ in number: {len(size_coins)}, {len(mark_usd)}, "
            f"{len(rate)}"
        )
    if size_coins[coin] == 0.0:
        raise MarginError(f"coin {coin} has no position: it has no liquidation price")
    bad = [r for r in rate if not 0.0 < r < 1.0]
    if bad:
        raise MarginError(f"maintenance rate {bad[0]} is not in (0, 1)")
    weight = [q - r * abs(q) for q, r in zip(size_coins, rate, strict=True)]
    rest = math.fsum(
        w * p for j, (w, p) in enumerate(zip(weight, mark_usd, strict=True)) if j != coin
    )
    price = -(cash_usd + rest) / weight[coin]
    return price if math.isfinite(price) and price > 0.0 else math.nan
