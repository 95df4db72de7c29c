"""Snapshots of open positions with the venue's own liquidation price: the truth about a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.ingest.cells import as_numbers
from liqbt.ingest.files import RawTable
from liqbt.sources.hyperliquid.truth import frozen, read, refuse, times, words
from liqbt.types import FloatArray, IntArray

_NUMBERS: Final = (
    "account_value",
    "size",
    "entry_px",
    "leverage",
    "position_value_usd",
    "unrealized_pnl",
    "liquidation_px",
)
_TEXTS: Final = ("snapshot_utc", "address", "coin", "direction")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """Open positions by snapshot, sorted by snapshot, coin and account; every array is (n,).

    Attributes
    ----------
    accounts, coins : tuple of str
        Sorted names that `account` and `coin` index.
    snapshot_ns : ndarray of int64
        When the venue was asked, ns UTC.
    account, coin : ndarray of int64
        Whose position, and in what.
    side : ndarray of int8
        1 long, -1 short.
    size_coins, entry_usd, leverage, value_usd : ndarray of float64
        Above 0; the value is at the mark, so that mark = value / size.
    unrealized_usd, account_value_usd : ndarray of float64
        Profit at the mark, and the whole account's value.
    liquidation_usd : ndarray of float64
        The venue's own liquidation price; NaN where it says that none can be reached.
    """

    accounts: tuple[str, ...]
    coins: tuple[str, ...]
    snapshot_ns: IntArray
    account: IntArray
    coin: IntArray
    side: npt.NDArray[np.int8]
    size_coins: FloatArray
    entry_usd: FloatArray
    leverage: FloatArray
    value_usd: FloatArray
    unrealized_usd: FloatArray
    account_value_usd: FloatArray
    liquidation_usd: FloatArray

    @property
    def mark_usd(self) -> FloatArray:
        """The mark of each row, shape (n,)."""
        return np.asarray(self.value_usd / self.size_coins)


def positions(path: Path | str) -> Positions:
    """Read snapshots of open positions.

    They are the truth that a map is held against, of large accounts only. What is read here reaches
    no estimator; the `census` sees those of its own past, as events of kind POSITION that come from
    the same file by a column map.

    Parameters
    ----------
    path : Path
        Parquet or CSV with `snapshot_utc` (ISO), `address`, `account_value`, `coin`, `direction`
        (Long, Short), `size` (coins), `entry_px`, `leverage`, `position_value_usd`,
        `unrealized_pnl` and `liquidation_px` (empty where it cannot be reached).

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or a row cannot be right; names the rows.
    """
    path = Path(path)
    raw = read(path, _NUMBERS, _TEXTS)
    when = times(raw, "snapshot_utc")
    accounts, account = words(raw, "address")
    coins, coin = words(raw, "coin")
    order = np.lexsort((account, coin, when))

    def column(name: str, low: float = 0.0) -> FloatArray:
        values, strange = as_numbers(raw.table[name])
        reachable = name == "liquidation_px"
        missing = strange if reachable else ~np.isfinite(values)
        refuse(raw, f"{name} is no number", missing)
        with np.errstate(invalid="ignore"):
            refuse(raw, f"{name} is not above {low:g}", values <= low)
        return frozen(values[order])

    unbounded = -np.inf
    return Positions(
        accounts=tuple(accounts),
        coins=tuple(coins),
        snapshot_ns=frozen(when[order]),
        account=frozen(account[order]),
        coin=frozen(coin[order]),
        side=frozen(_side(raw)[order]),
        size_coins=column("size"),
        entry_usd=column("entry_px"),
        leverage=column("leverage"),
        value_usd=column("position_value_usd"),
        unrealized_usd=column("unrealized_pnl", unbounded),
        account_value_usd=column("account_value", unbounded),
        liquidation_usd=column("liquidation_px"),
    )


def _side(raw: RawTable) -> npt.NDArray[np.int8]:
    found, codes = words(raw, "direction")
    known = {"long": 1, "short": -1}
    sides = np.array([known.get(word.strip().lower(), 0) for word in found], dtype=np.int8)
    refuse(raw, "direction is neither Long nor Short", sides[codes] == 0)
    return np.asarray(sides[codes])
