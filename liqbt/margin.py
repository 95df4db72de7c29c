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

The compiled form is in `liqbt.margin_kernels`; all forms agree to 1e-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import MarginError
from liqbt.types import FloatArray, IntArray, Ns, Side

__all__ = [
    "TierTable",
    "Tiers",
    "bracket_ratios",
    "flat_tiers",
    "liquidation_price",
    "liquidation_prices",
    "maintenance_margin",
    "tier_table",
]

ALWAYS: Final[Ns] = -(2**63)
"""Effective time of a rate that has no date."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiers:
    """The maintenance tiers of one symbol on one date, lowest notional first.

    Attributes
    ----------
    floor_usd, cap_usd : ndarray of float64, shape (n,)
        The notional band `[floor, cap)` of each tier; a floor is the cap before it.
    rate : ndarray of float64, shape (n,)
        Maintenance rate, a fraction of the notional.
    amount_usd : ndarray of float64, shape (n,)
        Maintenance amount that is taken off; all zero where the venue has none.
    max_leverage : ndarray of float64, shape (n,)
        Highest leverage that the venue allows in the tier.
    symbol : str
        The venue's symbol, for messages.
    effective_ns : int
        From when they hold, ns UTC, for messages.

    Raises
    ------
    MarginError
        If a value cannot be right or the bands do not join; names the date and the tier.
    """

    floor_usd: FloatArray
    cap_usd: FloatArray
    rate: FloatArray
    amount_usd: FloatArray
    max_leverage: FloatArray
    symbol: str = "flat"
    effective_ns: Ns = ALWAYS

    def __post_init__(self) -> None:
        columns = ("floor_usd", "cap_usd", "rate", "amount_usd", "max_leverage")
        for name in columns:
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        if self.rate.ndim != 1 or any(getattr(self, c).shape != self.rate.shape for c in columns):
            raise MarginError(f"{self.symbol} from {self.date}: tier columns must be of one length")
        for rule, holds in _rules(self).items():
            for n in np.flatnonzero(~holds)[:1]:
                raise MarginError(f"{self.symbol} from {self.date}, tier {n + 1}: {rule}")

    def __len__(self) -> int:
        return len(self.rate)

    @property
    def date(self) -> str:
        """The day from which they hold, as `YYYY-MM-DD`, or `always`."""
        return _date(self.effective_ns)

    def index(self, notional_usd: float) -> int:
        """Return the tier that holds `notional_usd`; a notional at a cap is in the next tier.

        Raises
        ------
        MarginError
            If the notional is not positive or not below the last cap.
        """
        if not 0.0 < notional_usd < self.cap_usd[-1]:
            raise MarginError(
                f"{self.symbol} from {self.date}: a notional of {notional_usd:g} USD is outside "
                f"its tiers, which hold positive notionals below {self.cap_usd[-1]:g} USD"
            )
        return int(np.searchsorted(self.cap_usd, notional_usd, side="right"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TierTable:
    """The dated maintenance tiers of one symbol.

    Attributes
    ----------
    symbol : str
        The venue's symbol.
    effective_ns : ndarray of int64, shape (n_dates,)
        From when each set of tiers holds, ns UTC, rising. Where a date is only when tiers were
        *seen*, it is an upper bound of when they took effect.
    tiers : tuple of Tiers, length n_dates
        The tiers of each date.
    """

    symbol: str
    effective_ns: IntArray
    tiers: tuple[Tiers, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "effective_ns", _frozen(self.effective_ns))
        if not len(self.effective_ns) == len(self.tiers) > 0:
            raise MarginError(f"{self.symbol}: margin tiers need one date each, and at least one")
        for i in np.flatnonzero(np.diff(self.effective_ns) <= 0)[:1]:
            raise MarginError(f"{self.symbol}: tier dates must rise, {self.tiers[i].date} does not")

    def at(self, ts_ns: Ns) -> Tiers:
        """Return the tiers that hold at `ts_ns`: those of the latest date at or before it.

        Raises
        ------
        MarginError
            If `ts_ns` is before the first date.
        """
        i = int(np.searchsorted(self.effective_ns, ts_ns, side="right")) - 1
        if i < 0:
            raise MarginError(
                f"{self.symbol} has no margin tiers on {_date(ts_ns)}: "
                f"the first date known is {self.tiers[0].date}"
            )
        return self.tiers[i]


def tier_table(
    symbol: str,
    *,
    effective_ns: npt.ArrayLike,
    floor_usd: npt.ArrayLike,
    cap_usd: npt.ArrayLike,
    rate: npt.ArrayLike,
    max_leverage: npt.ArrayLike,
    amount_usd: npt.ArrayLike | None = None,
) -> TierTable:
    """Return the dated tiers of one symbol from columns with one row a tier, in any order.

    Parameters
    ----------
    symbol : str
        The venue's symbol.
    effective_ns : array_like of int64, shape (n_rows,)
        From when the row's set of tiers holds, ns UTC.
    floor_usd, cap_usd, rate, max_leverage, amount_usd : array_like of float64, shape (n_rows,)
        As in `Tiers`; `amount_usd` of None is a venue without maintenance amounts.

    Raises
    ------
    MarginError
        If a value cannot be right or a date's bands do not join; names the date and the tier.

    Examples
    --------
    >>> table = tier_table(
    ...     "BTCUSDT", effective_ns=[0, 0], floor_usd=[0, 5e4], cap_usd=[5e4, 2.5e5],
    ...     rate=[0.004, 0.005], max_leverage=[125, 100], amount_usd=[0, 50],
    ... )
    >>> table.at(1).rate.tolist()
    [0.004, 0.005]
    """
    when = np.asarray(effective_ns, dtype=np.int64)
    amounts = np.zeros(len(when)) if amount_usd is None else amount_usd
    given = (floor_usd, cap_usd, rate, amounts, max_leverage)
    columns = [np.asarray(c, dtype=np.float64) for c in given]
    if len(when) == 0 or any(c.shape != when.shape for c in columns):
        raise MarginError(f"{symbol}: tier columns must be of one length, at least one row")
    order = np.lexsort((columns[0], when))
    when, columns = when[order], [c[order] for c in columns]
    dates = np.unique(when)
    sets = tuple(
        Tiers(
            symbol=symbol,
            effective_ns=int(date),
            floor_usd=columns[0][when == date],
            cap_usd=columns[1][when == date],
            rate=columns[2][when == date],
            amount_usd=columns[3][when == date],
            max_leverage=columns[4][when == date],
        )
        for date in dates
    )
    return TierTable(symbol=symbol, effective_ns=dates, tiers=sets)


def flat_tiers(symbol: str, rate: float, max_leverage: float) -> TierTable:
    """Return one maintenance rate for every notional and date.

    Examples
    --------
    >>> flat_tiers("BTC", 0.0125, 40).at(0).rate.tolist()
    [0.0125]
    """
    return tier_table(
        symbol,
        effective_ns=[ALWAYS],
        floor_usd=[0.0],
        cap_usd=[np.inf],
        rate=[rate],
        max_leverage=[max_leverage],
    )


def maintenance_margin(notional_usd: float, tiers: Tiers) -> float:
    """Return the maintenance margin of a position of `notional_usd`, USD.

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
    >>> long, short = bracket_ratios(flat_tiers("BTC", 0.0125, 40).at(0), [5, 40], 1e4)
    >>> long.round(4).tolist(), short.round(4).tolist()
    ([0.8101, 0.9873], [1.1852, 1.0123])
    """
    levs = np.asarray(leverages, dtype=np.float64)
    notional = np.broadcast_to(np.asarray(position_notional_usd, dtype=np.float64), levs.shape)
    for lev, usd in zip(levs.tolist(), notional.tolist(), strict=True):
        n = tiers.index(usd)
        if lev > tiers.max_leverage[n]:
            raise MarginError(
                f"bracket {lev:g}x of {usd:g} USD is above the maximum leverage of "
                f"{tiers.max_leverage[n]:g}x that {tiers.symbol} allows from {tiers.date}"
            )
        _check_margin(tiers, n, lev)
    long = liquidation_prices(1.0, levs, Side.LONG, notional, tiers)
    short = liquidation_prices(1.0, levs, Side.SHORT, notional, tiers)
    for lev in levs[long <= 0.0].tolist():
        raise MarginError(f"bracket {lev:g}x of {tiers.symbol}: its longs can never be liquidated")
    return long, short


def _check_margin(tiers: Tiers, n: int, leverage: float) -> None:
    """Raise unless the initial margin 1/L exceeds the maintenance rate of tier `n`."""
    if not (leverage >= 1.0 and leverage * tiers.rate[n] < 1.0):
        raise MarginError(
            f"bracket {leverage:g}x of {tiers.symbol} from {tiers.date}: its initial margin "
            f"{1 / leverage if leverage > 0 else np.nan:.4%} must exceed the maintenance rate "
            f"{tiers.rate[n]:.4%}, and leverage be at least 1x"
        )


def _rules(tiers: Tiers) -> dict[str, npt.NDArray[np.bool_]]:
    """Return what must hold of each tier, and whether it does."""
    floor, cap, rate, amount = tiers.floor_usd, tiers.cap_usd, tiers.rate, tiers.amount_usd
    below = np.concatenate((np.zeros(1), cap[:-1]))
    return {
        "its floor must be the cap of the tier before it (0 for the first)": floor == below,
        "its cap must be above its floor": cap > floor,
        "its rate must be in (0, 1)": (rate > 0.0) & (rate < 1.0),
        "its rate must not be below that of the tier before it": np.diff(rate, prepend=0.0) >= 0,
        "its amount must be finite and not below 0": np.isfinite(amount) & (amount >= 0.0),
        "its maximum leverage must be at least 1": tiers.max_leverage >= 1.0,
    }


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only copy."""
    out = np.array(array)
    out.setflags(write=False)
    return out


def _date(ts_ns: Ns) -> str:
    """Return the UTC day of `ts_ns`, or `always`."""
    if ts_ns == ALWAYS:
        return "always"
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[D]"))
