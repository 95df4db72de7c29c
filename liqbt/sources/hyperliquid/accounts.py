"""Accounts rebuilt fill by fill, as they stood when the venue closed them.

An account's cash is the sum of its ledger updates minus Σ side · size · price over its fills; its
value is cash + Σ size · mark. There are no fees and no funding in the launch files, so what they
took or gave is in the difference to the venue's own account value.

When an account is closed, its positions go to the venue's liquidator at the price that uses up the
account (checked on every liquidation of the files): for each coin

    fill price = mark · (1 − s · account value / notional)

with s the position's side, value and notional as the venue reports them. That gives back the mark
of every coin at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.sources.hyperliquid.launch import Launch
from liqbt.types import FloatArray, IntArray, Ns

_DUST: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedAccount:
    """One liquidation, and the account as rebuilt from everything strictly before its second.

    Attributes
    ----------
    time_ns : int
        When the venue closed it.
    user : str
        Whose it was.
    isolated : bool
        Whether one isolated position was closed, not the whole account.
    coins : tuple of str
        Open positions just before, sorted by name.
    size_coins : tuple of float
        Their rebuilt sizes; a long is above 0.
    closed_coins : tuple of float
        What the liquidation's own fills closed of each, with the sign of the position; 0: not
        touched.
    mark_usd : tuple of float
        The venue's mark, from those fills; NaN for a coin that was not closed.
    cash_usd : float
        From the account's first ledger update and fill on.
    cash_since_last_usd : float
        The same counted from its last liquidation on, when the venue had taken everything; equal
        to `cash_usd` where it had none.
    notional_usd, account_value_usd : float
        As the venue reported them.
    ledger_updates, fills : int
        How many the account had before.
    """

    time_ns: Ns
    user: str
    isolated: bool
    coins: tuple[str, ...]
    size_coins: tuple[float, ...]
    closed_coins: tuple[float, ...]
    mark_usd: tuple[float, ...]
    cash_usd: float
    cash_since_last_usd: float
    notional_usd: float
    account_value_usd: float
    ledger_updates: int
    fills: int

    @property
    def sizes_agree(self) -> bool:
        """Whether what was closed is what the rebuild says was open (of the coins closed)."""
        pairs = [(q, c) for q, c in zip(self.size_coins, self.closed_coins, strict=True) if c]
        return bool(pairs) and all(abs(q - c) <= 1e-6 * abs(q) for q, c in pairs)


def closed_accounts(launch: Launch) -> tuple[ClosedAccount, ...]:
    """Return every liquidation of the files with the account as rebuilt just before it.

    Parameters
    ----------
    launch : Launch
        From `read_launch`.

    Returns
    -------
    tuple of ClosedAccount
        In the order of the file.
    """
    return tuple(_closed(launch, i) for i in range(len(launch.liquidations.time_ns)))


def _closed(launch: Launch, i: int) -> ClosedAccount:
    gone, fills, ledger = launch.liquidations, launch.fills, launch.ledger
    at, user = int(gone.time_ns[i]), int(gone.user[i])
    mine = fills.user == user
    before = np.flatnonzero(mine & (fills.time_ns < at))
    during = np.flatnonzero(mine & (fills.time_ns == at))
    money = np.flatnonzero((ledger.user == user) & (ledger.time_ns <= at))
    first, closing = _split(launch, before, during)
    rows = np.concatenate((before, during[:first]))
    sizes = _sizes(launch, rows)
    held = np.flatnonzero(np.abs(sizes) > _DUST)
    value, notional = float(gone.account_value_usd[i]), float(gone.notional_usd[i])
    closed = -_sizes(launch, closing)
    since = _last_close(launch, i)
    return ClosedAccount(
        time_ns=at,
        user=launch.users[user],
        isolated=bool(gone.isolated[i]),
        coins=tuple(launch.coins[c] for c in held.tolist()),
        size_coins=tuple(sizes[held].tolist()),
        closed_coins=tuple(closed[held].tolist()),
        mark_usd=tuple(_marks(launch, closing, held, sizes, value / notional)),
        cash_usd=_cash(launch, rows, money),
        cash_since_last_usd=_cash(
            launch, rows[fills.time_ns[rows] > since], money[ledger.time_ns[money] > since]
        ),
        notional_usd=notional,
        account_value_usd=value,
        ledger_updates=len(money),
        fills=len(rows),
    )


def _split(launch: Launch, before: IntArray, during: IntArray) -> tuple[int, IntArray]:
    """Return how many fills of the liquidation's second came before it, and those that are it.

    It is the last fills of the second by which, coin by coin, a position ends at exactly nothing.
    """
    for first in range(len(during), -1, -1):
        sizes = _sizes(launch, np.concatenate((before, during[:first])))
        closing = during[first:]
        left = sizes + _sizes(launch, closing)
        touched = np.unique(launch.fills.coin[closing])
        opposite = launch.fills.side[closing] * np.sign(sizes[launch.fills.coin[closing]]) < 0
        done = len(touched) > 0 and bool((np.abs(left[touched]) <= _DUST).all())
        earlier = first > 0 and _closes_too(launch, before, during, first)
        if done and bool(opposite.all()) and not earlier:
            return first, closing
    return len(during), during[:0]


def _closes_too(launch: Launch, before: IntArray, during: IntArray, first: int) -> bool:
    """Whether the fill before `first` closes a position as well, as one of several coins."""
    row = during[first - 1 : first]
    sizes = _sizes(launch, np.concatenate((before, during[: first - 1])))
    coin = int(launch.fills.coin[row[0]])
    signed = float(launch.fills.side[row[0]]) * float(launch.fills.size_coins[row[0]])
    return not launch.fills.crossed[row[0]] and sizes[coin] * signed < 0


def _sizes(launch: Launch, rows: IntArray) -> FloatArray:
    fills = launch.fills
    signed = fills.side[rows] * fills.size_coins[rows]
    return np.asarray(
        np.bincount(fills.coin[rows], weights=signed, minlength=len(launch.coins)), dtype=np.float64
    )


def _cash(launch: Launch, rows: IntArray, money: IntArray) -> float:
    fills = launch.fills
    paid = fills.side[rows] * fills.size_coins[rows] * fills.price_usd[rows]
    return float(launch.ledger.delta_usd[money].sum() - paid.sum())


def _last_close(launch: Launch, i: int) -> Ns:
    """Return the time of the account's last liquidation as a whole before number `i`, or -1."""
    gone = launch.liquidations
    earlier: npt.NDArray[np.bool_] = (gone.user[:i] == gone.user[i]) & ~gone.isolated[:i]
    return int(gone.time_ns[:i][earlier].max()) if earlier.any() else -1


def _marks(
    launch: Launch, closing: IntArray, held: IntArray, sizes: FloatArray, ratio: float
) -> Iterator[float]:
    """Yield the mark of each coin held, from the price at which it was closed."""
    fills = launch.fills
    for coin in held.tolist():
        mine = closing[fills.coin[closing] == coin]
        if not len(mine):
            yield float("nan")
            continue
        weight = fills.size_coins[mine]
        price = float((fills.price_usd[mine] * weight).sum() / weight.sum())
        yield price / (1.0 - float(np.sign(sizes[coin])) * ratio)
