"""What an amount is: coins, contracts of so many coins, or contracts of so many US dollars.

The vendor passes on each venue's own unit. Taking contracts for coins is wrong by a factor of ten
to ten thousand, so an instrument that is neither known nor explained is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What one unit of `amount` is.

    Attributes
    ----------
    unit : str
        `coins` or `usd`.
    size : float
        How many.
    """

    unit: str
    size: float


_ONE_COIN: Final = Face(unit="coins", size=1.0)
KNOWN: Final[tuple[tuple[str, str, Face], ...]] = (
    ("binance-futures", r".+", _ONE_COIN),
    ("hyperliquid", r".+", _ONE_COIN),
    ("bybit", r".+(USDT|PERP)", _ONE_COIN),
    ("bybit", r"(BTC|ETH)USD", Face(unit="usd", size=1.0)),
    ("binance-delivery", r"BTCUSD_.+", Face(unit="usd", size=100.0)),
    ("okex-swap", r"BTC-USDT-SWAP", Face(unit="coins", size=0.01)),
    ("okex-swap", r"ETH-USDT-SWAP", Face(unit="coins", size=0.1)),
    ("okex-swap", r"BTC-USD-SWAP", Face(unit="usd", size=100.0)),
    ("deribit", r"(BTC|ETH)-PERPETUAL", Face(unit="usd", size=1.0)),
    ("bitmex", r"XBTUSD", Face(unit="usd", size=1.0)),
)
"""Venue, pattern of its symbols, and their unit. Linear ones, Deribit's and COIN-M's BTC: read or
checked; Bybit's and OKX's inverse and BitMEX: recalled."""


def face_of(venue: str, symbol: str) -> Face | None:
    """Return the known unit of an instrument, or None.

    Examples
    --------
    >>> face_of("okex-swap", "BTC-USDT-SWAP")
    Face(unit='coins', size=0.01)
    >>> face_of("okex-swap", "DOGE-USDT-SWAP") is None
    True
    """
    fits = (f for v, pattern, f in KNOWN if v == venue and re.fullmatch(pattern, symbol))
    return next(fits, None)


def faces_of(pairs: Sequence[tuple[str, str]], given: Face | None, path: object) -> list[Face]:
    """Return the unit of each (venue, symbol); `given` stands for those that are not known.

    Raises
    ------
    ConfigError
        `given` is not above 0, or contradicts what is known of every instrument.
    DataError
        An instrument is neither known nor explained; names it and what to say.
    """
    if given is not None and (given.unit not in ("coins", "usd") or not 0.0 < given.size < np.inf):
        raise ConfigError(f"a face is so many coins or usd, above 0, not {given}")
    known = [face_of(venue, symbol) for venue, symbol in pairs]
    if given is not None and None not in known and any(face != given for face in known):
        place, told = next((p, f) for p, f in zip(pairs, known, strict=True) if f and f != given)
        raise ConfigError(
            f"{path}: one unit of {place[0]}/{place[1]} is {told.size:g} {told.unit}, not "
            f"{given.size:g} {given.unit}: take the face out"
        )
    faces = []
    for (venue, symbol), held in zip(pairs, known, strict=True):
        face = held or given
        if face is None:
            raise DataError(
                f"{path}: what one contract of {venue[:40]}/{symbol[:40]} is, is not known: say so "
                "many coins (linear), `liqbt ingest 'tardis?face_coins=0.01' ...`, or so many US "
                "dollars (inverse), `tardis?face_usd=100`"
            )
        faces.append(face)
    return faces


def coins_of(
    amount: FloatArray, price_usd: FloatArray, faces: Sequence[Face], which: IntArray
) -> FloatArray:
    """Return amounts as coins.

    Parameters
    ----------
    amount, price_usd : ndarray, shape (n,) or (n, levels)
        As written; the price matters where a face is in US dollars.
    faces : sequence of Face
        One per instrument.
    which : ndarray of int64, shape (n,)
        Each row's instrument.

    Examples
    --------
    >>> import numpy as np
    >>> inverse = Face(unit="usd", size=100.0)
    >>> coins_of(np.array([5.0]), np.array([5e4]), [inverse], np.array([0])).tolist()
    [0.01]
    """
    size = np.array([f.size for f in faces])[which]
    inverse = np.array([f.unit == "usd" for f in faces])[which]
    if amount.ndim == 2:
        size, inverse = size[:, None], inverse[:, None]
    with np.errstate(all="ignore"):
        return np.asarray(amount * np.where(inverse, size / price_usd, size), dtype=np.float64)
