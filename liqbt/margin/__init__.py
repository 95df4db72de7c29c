"""Venue rules: dated maintenance tiers and the liquidation price of isolated linear positions.

With entry price EP, leverage L, size q > 0 in coins, and the maintenance rate m and amount cum of
the tier that holds **at the liquidation price**:

    long   LP = (EP·(1 − 1/L) − cum/q) / (1 − m)
    short  LP = (EP·(1 + 1/L) + cum/q) / (1 + m)

which is where margin plus unrealised profit equals the maintenance margin m·q·LP − cum (Binance
USDⓈ-M, one-way, isolated; an adverse move is measured from the entry, m is never divided by L).

The tier is a fixed point: q·LP must lie in the tier's own `[floor, cap)`. Where the venue has
maintenance amounts with cum_n = floor_n·(m_n − m_{n−1}) + cum_{n−1}, maintenance margin is
continuous in the notional and the fixed point is unique. A venue without amounts has a step at each
floor; then several tiers may be a fixed point, or none, and the position is closed at the **first
price reached from its entry** at which its margin falls short: tiers are walked from the entry's
own, downward for a long and upward for a short, and a short whose margin first falls short by
stepping into a tier is closed at that tier's floor. The last tier is continued beyond its cap once
a position is open.

The compiled form is in `liqbt.margin.kernels`; all forms agree to 1e-12. Other contract types, and
where each rule is from, are in `liqbt.margin.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from liqbt.errors import MarginError
from liqbt.margin.tiers import Tiers
from liqbt.types import FloatArray, Side


def maintenance_margin(notional_usd: float, tiers: Tiers) -> float:
    """Return the maintenance margin of a position of `notional_usd`, USD.

    Parameters
    ----------
    notional_usd : float
        Positive.
    tiers : Tiers
        The tiers of the symbol and date.

    Raises
    ------
    MarginError
        If the notional is outside the tiers.
    """
    n = tiers.index(notional_usd)
    return float(tiers.rate[n] * notional_usd - tiers.amount_usd[n])


def liquidation_price(
    entry: float, leverage: float, side: Side, size_coins: float, tiers: Tiers
) -> float:
    """Return the mark price at which one isolated linear position is liquidated, USD.

    Parameters
    ----------
    entry : float
        Entry price, USD.
    leverage : float
        Notional at entry over isolated margin.
    side : Side
        LONG or SHORT.
    size_coins : float
        Size, coins, positive.
    tiers : Tiers
        The tiers of the symbol and date.

    Returns
    -------
    float
        The price; 0.0 for a long that no positive price can liquidate.

    Raises
    ------
    MarginError
        If the notional at entry is outside the tiers, or the leverage's initial margin does not
        exceed the maintenance rate there (it would be liquidated at once).

    Examples
    --------
    At 100x and a rate of 0.4 % a long is liquidated 0.60 % below its entry, not 0.996 %:

    >>> from liqbt.margin.tiers import flat_tiers
    >>> tiers = flat_tiers("BTCUSDT", 0.004, 125).at(0)
    >>> round(100 * (1 - liquidation_price(1.0, 100, Side.LONG, 1.0, tiers)), 3)
    0.602
    """
    n = tiers.index(entry * size_coins)
    _check_margin(tiers, n, leverage)
    if side == Side.LONG:
        while True:
            amount = tiers.amount_usd[n] / size_coins
            price = (entry * (1.0 - 1.0 / leverage) - amount) / (1.0 - tiers.rate[n])
            if n == 0 or price * size_coins >= tiers.floor_usd[n]:
                return max(float(price), 0.0)
            n -= 1
    while True:
        amount = tiers.amount_usd[n] / size_coins
        price = (entry * (1.0 + 1.0 / leverage) + amount) / (1.0 + tiers.rate[n])
        if n == len(tiers) - 1 or price * size_coins < tiers.cap_usd[n]:
            return max(float(price), float(tiers.floor_usd[n]) / size_coins)
        n += 1


def liquidation_prices(
    entry: npt.ArrayLike,
    leverage: npt.ArrayLike,
    side: npt.ArrayLike,
    size_coins: npt.ArrayLike,
    tiers: Tiers,
) -> FloatArray:
    """Return the liquidation prices of many positions, USD; arguments broadcast.

    As `liquidation_price`, element by element.

    Raises
    ------
    MarginError
        As `liquidation_price`, for the first position that cannot be right.
    """
    ep, lev, s, q = np.broadcast_arrays(
        np.asarray(entry, dtype=np.float64),
        np.asarray(leverage, dtype=np.float64),
        np.asarray(side, dtype=np.int64),
        np.asarray(size_coins, dtype=np.float64),
    )
    notional = ep * q
    for i in np.flatnonzero(~((notional > 0.0) & (notional < tiers.cap_usd[-1]))):
        tiers.index(float(notional.flat[i]))
    start = np.searchsorted(tiers.cap_usd, notional, side="right")
    for i in np.flatnonzero(~(lev * tiers.rate[start] < 1.0))[:1]:
        _check_margin(tiers, int(start.flat[i]), float(lev.flat[i]))
    n = np.arange(len(tiers))
    amount = tiers.amount_usd / q[..., None]
    long = ((ep * (1.0 - 1.0 / lev))[..., None] - amount) / (1.0 - tiers.rate)
    short = ((ep * (1.0 + 1.0 / lev))[..., None] + amount) / (1.0 + tiers.rate)
    size = q[..., None]
    # longs: the highest tier, from the entry's downward, whose price stays at or above its floor
    long_ok = ((long * size >= tiers.floor_usd) | (n == 0)) & (n <= start[..., None])
    long_n = len(tiers) - 1 - np.argmax(long_ok[..., ::-1], axis=-1)
    # shorts: the lowest tier, from the entry's upward, whose price stays below its cap
    short_ok = ((short * size < tiers.cap_usd) | (n == len(tiers) - 1)) & (n >= start[..., None])
    short_n = np.argmax(short_ok, axis=-1)
    long_price = np.take_along_axis(long, long_n[..., None], axis=-1)[..., 0]
    short_price = np.take_along_axis(short, short_n[..., None], axis=-1)[..., 0]
    short_price = np.maximum(short_price, tiers.floor_usd[short_n] / q)
    prices: FloatArray = np.where(s == Side.LONG, np.maximum(long_price, 0.0), short_price)
    return prices


def bracket_ratios(
    tiers: Tiers, leverages: Sequence[float], position_notional_usd: float | Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Return LP/EP of each leverage bracket, for longs and for shorts.

    With the size of a position given by its notional at entry the ratio does not depend on the
    entry price, so that it is one constant per bracket and tier date.

    Parameters
    ----------
    tiers : Tiers
        The tiers of the symbol and date.
    leverages : sequence of float, length n
        The brackets.
    position_notional_usd : float or sequence of float, length n
        Notional at entry of the position that stands for a bracket, USD.

    Returns
    -------
    long, short : ndarray of float64, shape (n,)
        Below 1 and above 1.

    Raises
    ------
    MarginError
        If a bracket is above the venue's maximum leverage for its notional, has an initial margin
        1/L at or below the maintenance rate, or (a long) can never be liquidated; names it.

    Examples
    --------
    >>> from liqbt.margin.tiers import flat_tiers
    >>> long, short = bracket_ratios(flat_tiers("BTC", 0.0125, 40).at(0), [5, 40], 1e4)
    >>> long.round(4).tolist(), short.round(4).tolist()
    ([0.8101, 0.9873], [1.1852, 1.0123])
    """
    levs = np.asarray(leverages, dtype=np.float64)
    notional = np.broadcast_to(np.asarray(position_notional_usd, dtype=np.float64), levs.shape)
    for lev, usd in zip(levs.tolist(), notional.tolist(), strict=True):
        n = tiers.index(usd)
        if lev > tiers.max_leverage[n]:
            since = "" if tiers.date == "always" else f" from {tiers.date}"
            raise MarginError(
                f"bracket {lev:g}x of {usd:g} USD is above the maximum leverage of "
                f"{tiers.max_leverage[n]:g}x that {tiers.symbol} allows{since}"
            )
        _check_margin(tiers, n, lev)
    if tiers.rule:
        long, short = (_inverse_ratios(tiers, levs, notional, s) for s in (Side.LONG, Side.SHORT))
    else:
        long = liquidation_prices(1.0, levs, Side.LONG, notional, tiers)
        short = liquidation_prices(1.0, levs, Side.SHORT, notional, tiers)
    for who, never in (("longs", long <= 0.0), ("shorts", ~np.isfinite(short))):
        for lev in levs[never].tolist():
            raise MarginError(
                f"bracket {lev:g}x of {tiers.symbol}: its {who} can never be liquidated"
            )
    return long, short


def _inverse_ratios(tiers: Tiers, levs: FloatArray, notional: FloatArray, side: Side) -> FloatArray:
    """Return LP/EP of contracts that are margined in their coin, by their tiers' rule."""
    from liqbt.margin.rules import INVERSE  # which need this module themselves

    ratio = INVERSE[tiers.rule].ratio
    assert ratio is not None
    rates = [float(tiers.rate[tiers.index(usd)]) for usd in notional.tolist()]
    return np.array([ratio(lev, side, m) for lev, m in zip(levs.tolist(), rates, strict=True)])


def _check_margin(tiers: Tiers, n: int, leverage: float) -> None:
    """Raise unless the initial margin 1/L exceeds the maintenance rate of tier `n`."""
    if not (leverage >= 1.0 and leverage * tiers.rate[n] < 1.0):
        raise MarginError(
            f"bracket {leverage:g}x of {tiers.symbol} from {tiers.date}: its initial margin "
            f"{1 / leverage if leverage > 0 else np.nan:.4%} must exceed the maintenance rate "
            f"{tiers.rate[n]:.4%}, and leverage be at least 1x"
        )
