"""Dated maintenance tiers: what a venue published, checked once.

A tier is a band of notional with its maintenance rate and amount, and the highest leverage that the
venue allows there. Where a venue has amounts, cum_n = floor_n·(m_n − m_{n−1}) + cum_{n−1} makes the
maintenance margin continuous; a venue without them has a step at each floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import MarginError
from liqbt.types import FloatArray, IntArray, Ns

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
    rule : str
        Which of `liqbt.margin.rules.INVERSE` gives the liquidation price; empty: the linear one of
        `liqbt.margin`.

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
    rule: str = ""

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


def flat_tiers(symbol: str, rate: float, max_leverage: float, rule: str = "") -> TierTable:
    """Return one maintenance rate for every notional and date.

    Parameters
    ----------
    symbol : str
        The venue's symbol.
    rate : float
        Maintenance rate, a fraction of the notional.
    max_leverage : float
        Highest leverage that the venue allows.
    rule : str
        As in `Tiers`.

    Raises
    ------
    MarginError
        If the rate is not in (0, 1) or the leverage below 1.

    Examples
    --------
    >>> flat_tiers("BTC", 0.0125, 40).at(0).rate.tolist()
    [0.0125]
    """
    one = Tiers(
        symbol=symbol,
        floor_usd=np.zeros(1),
        cap_usd=np.array([np.inf]),
        rate=np.array([rate]),
        amount_usd=np.zeros(1),
        max_leverage=np.array([max_leverage]),
        rule=rule,
    )
    return TierTable(symbol=symbol, effective_ns=np.array([ALWAYS]), tiers=(one,))


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
