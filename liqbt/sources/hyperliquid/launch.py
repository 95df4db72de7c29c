"""The venue's first weeks, 2023-02-26 to 05-02: every fill, ledger update and liquidation.

Three CSV files of the venue's public `historical_data`: `non_mm_trades` (one row per fill of an
account that is no market maker: `time,user,coin,side,px,sz,crossed`), `non_mm_ledger_updates`
(`time,user,delta_usd`: deposits above 0, withdrawals below) and `liquidations`
(`time,user,liquidated_ntl_pos,liquidated_account_value,leverage_type`). Times are whole seconds.

These are accounts, not market events: they go to research, never into a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.ingest.cells import as_numbers
from liqbt.ingest.files import RawTable
from liqbt.sources.hyperliquid.truth import frozen, read, refuse, times, words
from liqbt.types import FloatArray, IntArray

_FILES: Final = ("non_mm_trades", "non_mm_ledger_updates", "liquidations")
_MAX_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fills:
    """Fills in the order of the file; every array has shape (n,).

    Attributes
    ----------
    time_ns : ndarray of int64
        UTC, whole seconds.
    user, coin : ndarray of int64
        Indices into `Launch.users` and `Launch.coins`.
    side : ndarray of int8
        1 where the account bought, -1 where it sold.
    price_usd, size_coins : ndarray of float64
        Above 0.
    crossed : ndarray of bool
        Whether the account was the taker.
    """

    time_ns: IntArray
    user: IntArray
    coin: IntArray
    side: npt.NDArray[np.int8]
    price_usd: FloatArray
    size_coins: FloatArray
    crossed: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """Money in (above 0) and out of accounts, in the order of the file; shape (n,) each."""

    time_ns: IntArray
    user: IntArray
    delta_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liquidations:
    """Accounts that were closed by the venue; every array has shape (n,).

    Attributes
    ----------
    time_ns, user : ndarray of int64
        When, and whose account.
    notional_usd : ndarray of float64
        Of the positions that were closed, at the mark.
    account_value_usd : ndarray of float64
        What the account was worth just before.
    isolated : ndarray of bool
        Whether one isolated position was closed, not the whole account.
    """

    time_ns: IntArray
    user: IntArray
    notional_usd: FloatArray
    account_value_usd: FloatArray
    isolated: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Launch:
    """The three files together; `users` and `coins` are sorted names."""

    users: tuple[str, ...]
    coins: tuple[str, ...]
    fills: Fills
    ledger: Ledger
    liquidations: Liquidations


def read_launch(folder: Path | str) -> Launch:
    """Read the three launch files of a folder.

    Parameters
    ----------
    folder : Path
        Holds `non_mm_trades`, `non_mm_ledger_updates` and `liquidations`, each `.csv` or `.csv.gz`.

    Raises
    ------
    DataError
        A file is missing or damaged, or a row cannot be right; names file and row.
    """
    trades, ledger, closed = (_find(Path(folder), name) for name in _FILES)
    t = _read(trades, ("px", "sz"), ("user", "coin", "side", "crossed"))
    m = _read(ledger, ("delta_usd",), ("user",))
    q = _read(closed, ("liquidated_ntl_pos", "liquidated_account_value"), ("user", "leverage_type"))
    tables = [words(x, "user") for x in (t, m, q)]
    users = sorted({name for names, _ in tables for name in names})
    place = {name: i for i, name in enumerate(users)}
    user = [np.array([place[n] for n in names], dtype=np.int64)[codes] for names, codes in tables]
    coins, coin = words(t, "coin")
    return Launch(
        users=tuple(users),
        coins=tuple(coins),
        fills=Fills(
            time_ns=_times(t),
            user=frozen(user[0]),
            coin=frozen(coin),
            side=frozen(np.where(_is(t, "side", "Bid", "Ask"), 1, -1).astype(np.int8)),
            price_usd=_above_zero(t, "px"),
            size_coins=_above_zero(t, "sz"),
            crossed=frozen(_is(t, "crossed", "True", "False")),
        ),
        ledger=Ledger(time_ns=_times(m), user=frozen(user[1]), delta_usd=_finite(m, "delta_usd")),
        liquidations=Liquidations(
            time_ns=_times(q),
            user=frozen(user[2]),
            notional_usd=_above_zero(q, "liquidated_ntl_pos"),
            account_value_usd=_finite(q, "liquidated_account_value"),
            isolated=frozen(_is(q, "leverage_type", "Isolated", "Cross")),
        ),
    )


def _find(folder: Path, name: str) -> Path:
    for ending in (".csv.gz", ".csv"):
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    raise DataError(f"{folder} has no {name}.csv or {name}.csv.gz")


def _read(path: Path, numbers: Sequence[str], texts: Sequence[str]) -> RawTable:
    return read(path, numbers, ("time", *texts), max_bytes=_MAX_BYTES)


def _times(raw: RawTable) -> IntArray:
    found = times(raw, "time")
    refuse(raw, "time lies before the row above", np.diff(found, prepend=found[:1]) < 0)
    return frozen(found)


def _is(raw: RawTable, name: str, yes: str, no: str) -> npt.NDArray[np.bool_]:
    found, codes = words(raw, name)
    strange = [i for i, word in enumerate(found) if word not in (yes, no)]
    refuse(raw, f"{name} is neither {yes} nor {no}", np.isin(codes, strange))
    return np.asarray(np.isin(codes, [i for i, word in enumerate(found) if word == yes]))


def _finite(raw: RawTable, name: str) -> FloatArray:
    values, _ = as_numbers(raw.table[name])
    refuse(raw, f"{name} is no number", ~np.isfinite(values))
    return frozen(values)


def _above_zero(raw: RawTable, name: str) -> FloatArray:
    values = _finite(raw, name)
    refuse(raw, f"{name} is not above 0", values <= 0)
    return values
