"""The liquidation price in compiled form; the rule and its source are in `liqbt.margin`.

Kernels check nothing: entries inside the tiers, leverage of at least 1 and 1/L above the
maintenance rate are the caller's to see to (`liqbt.margin.bracket_ratios` does).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def liquidation_price_kernel(
    entry: float,
    leverage: float,
    is_long: bool,
    size_coins: float,
    floor_usd: FloatArray,
    cap_usd: FloatArray,
    rate: FloatArray,
    amount_usd: FloatArray,
) -> float:
    """Return the liquidation price of one position, USD; 0.0 for a long that has none.

    Parameters
    ----------
    entry, leverage, size_coins : float
        USD, notional over margin, coins.
    is_long : bool
        The side.
    floor_usd, cap_usd, rate, amount_usd : ndarray of float64, shape (n,)
        As in `liqbt.margin.Tiers`.
    """
    n = 0
    while n < len(rate) - 1 and entry * size_coins >= cap_usd[n]:
        n += 1
    if is_long:
        numerator = entry * (1.0 - 1.0 / leverage)
        price = (numerator - amount_usd[n] / size_coins) / (1.0 - rate[n])
        while n > 0 and price * size_coins < floor_usd[n]:
            n -= 1
            price = (numerator - amount_usd[n] / size_coins) / (1.0 - rate[n])
        return float(max(price, 0.0))
    numerator = entry * (1.0 + 1.0 / leverage)
    price = (numerator + amount_usd[n] / size_coins) / (1.0 + rate[n])
    while n < len(rate) - 1 and price * size_coins >= cap_usd[n]:
        n += 1
        price = (numerator + amount_usd[n] / size_coins) / (1.0 + rate[n])
    return float(max(price, floor_usd[n] / size_coins))


@njit(cache=True)
def liquidation_prices_kernel(
    entry: FloatArray,
    leverage: FloatArray,
    side: IntArray,
    size_coins: FloatArray,
    floor_usd: FloatArray,
    cap_usd: FloatArray,
    rate: FloatArray,
    amount_usd: FloatArray,
) -> FloatArray:
    """Return the liquidation prices of many positions, USD; one-dimensional, of one length.

    `side` is +1 for longs, -1 for shorts; the rest as in `liquidation_price_kernel`.
    """
    out = np.empty(len(entry))
    for i in range(len(entry)):
        out[i] = liquidation_price_kernel(
            entry[i], leverage[i], side[i] > 0, size_coins[i], floor_usd, cap_usd, rate, amount_usd
        )
    return out
