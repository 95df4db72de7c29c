"""What the archive's names say: market, symbol, type, interval, date; and nothing hostile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liqbt.errors import ConfigError, DataError

__all__ = [
    "DAILY",
    "INTERVAL_S",
    "KLINES",
    "MONTHLY",
    "PREMIUM",
    "VENUES",
    "FileName",
    "check_symbol",
    "face_usd",
    "file_name",
]

VENUES: Final = {"um": "binance-um", "cm": "binance-cm"}
"""The archive's folder of a market to the venue's name here."""
PREMIUM: Final = "premiumIndexKlines"
KLINES: Final = ("klines", "markPriceKlines", "indexPriceKlines", PREMIUM)
"""Types whose files are named by their interval: the name alone does not tell them apart."""
DAILY: Final = ("metrics", *KLINES, "aggTrades", "liquidationSnapshot", "bookDepth")
MONTHLY: Final = ("fundingRate",)
_MINUTE: Final = 60
INTERVAL_S: Final = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE,
    "2h": 120 * _MINUTE,
    "4h": 240 * _MINUTE,
    "6h": 360 * _MINUTE,
    "8h": 480 * _MINUTE,
    "12h": 720 * _MINUTE,
    "1d": 1440 * _MINUTE,
    "3d": 4320 * _MINUTE,
    "1w": 10080 * _MINUTE,
}
"""Intervals of klines in seconds; a month has no length, so `1mo` is none."""

_SYMBOL: Final = re.compile(r"[^\W_]{1,32}(?:_[^\W_]{1,8})?")
_NAME: Final = re.compile(
    r"(?P<symbol>[^-]+)-(?P<what>[A-Za-z0-9]+)-(?P<date>\d{4}-\d{2}(?:-\d{2})?)"
    r"\.(?:zip|csv|csv\.gz)"
)
_PUSHES: Final = re.compile(r"force[-_]?orders?", re.IGNORECASE)
_COIN_MARGINED: Final = re.compile(r"[^\W_]+USD(?:_PERP|_\d{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """What a file's name and folders say.

    Attributes
    ----------
    format : str
        The archive's type, or `forceOrder`.
    symbol : str
        The venue's symbol; empty for `forceOrder`, whose rows carry theirs.
    interval : str
        Of klines, else empty.
    """

    format: str
    symbol: str = ""
    interval: str = ""


def check_symbol(symbol: str, where: str) -> str:
    """Return `symbol` where it can be one: letters and digits, perhaps a suffix such as `_PERP`.

    Raises
    ------
    ConfigError
        It cannot; `where` names the place.

    Examples
    --------
    >>> check_symbol("BTCUSD_PERP", "--symbols")
    'BTCUSD_PERP'
    """
    if not _is_symbol(symbol):
        raise ConfigError(
            f"{where}: {symbol!r} is no symbol; one such as BTCUSDT or BTCUSD_PERP is expected"
        )
    return symbol


def _is_symbol(text: str) -> bool:
    return _SYMBOL.fullmatch(text) is not None and text == text.upper()


def face_usd(symbol: str) -> float:
    """Return the face value of one COIN-M contract in USD: 100 for BTC, 10 for every other coin.

    Source: the venue's contract specifications (read for BTC, recalled for the others).

    Examples
    --------
    >>> face_usd("BTCUSD_PERP"), face_usd("ETHUSD_240628")
    (100.0, 10.0)
    """
    return 100.0 if symbol.split("_")[0] == "BTCUSD" else 10.0


def file_name(path: Path, market: str, format: str | None) -> FileName:
    """Return what the name and the folders of a file say, and refuse what contradicts it.

    Parameters
    ----------
    path : Path
        The file; only its name is looked at.
    market : str
        `um` or `cm`.
    format : str or None
        The type, where it is known otherwise.

    Raises
    ------
    DataError
        The name is not the archive's, says another market or type, or leaves the type open.
    """
    _check_market(path, market)
    if format == "forceOrder" or (format is None and _PUSHES.search(path.name)):
        return FileName(format="forceOrder")
    match = _NAME.fullmatch(path.name)
    if match is None or not _is_symbol(match["symbol"]):
        raise DataError(
            f"{str(path)!r} is not named as in the archive: <SYMBOL>-<type or interval>-<date>.zip "
            "(or .csv) says whose data it is"
        )
    symbol, what = match["symbol"], match["what"]
    if market == "um" and _COIN_MARGINED.fullmatch(symbol):
        raise DataError(f"{path}: {symbol} is a COIN-M symbol: read it as binance-cm")
    if what in INTERVAL_S or what == "1mo":
        kind = format or _kind_by_folder(path, market)
        if kind not in KLINES:
            raise DataError(f"{path} is named as klines of {what}, not as {kind}")
        if what == "1mo":
            raise DataError(f"{path}: a month has no fixed length: klines of 1mo cannot be read")
        return FileName(format=kind, symbol=symbol, interval=what)
    if format is not None and what != format:
        raise DataError(f"{path} is named as {what}, not as {format}")
    if what not in (*DAILY, *MONTHLY) or what in KLINES:
        known = ", ".join((*DAILY, *MONTHLY))
        raise DataError(f"{path} is named as {what!r}: the types that can be read are {known}")
    return FileName(format=what, symbol=symbol)


def _check_market(path: Path, market: str) -> None:
    parts = path.parts
    for i, part in enumerate(parts[:-1]):
        if part == "futures" and parts[i + 1] in VENUES and parts[i + 1] != market:
            other = VENUES[parts[i + 1]]
            raise DataError(f"{path} lies below futures/{parts[i + 1]}: read it as {other}")


def _kind_by_folder(path: Path, market: str) -> str:
    found = sorted({part for part in path.parts[:-1] if part in KLINES})
    if len(found) == 1:
        return found[0]
    raise DataError(
        f"{path}: klines of last, mark, index and premium are named alike: say which, such as "
        f"{VENUES[market]}/klines, or keep them in the archive's folders"
    )
