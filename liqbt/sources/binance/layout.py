"""Where a file lies in the archive."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from liqbt.errors import ConfigError, DataError
from liqbt.log.symbols import DOLLARS, quote_of

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
_PAIR: Final = re.compile(r"[^\W_]+USD")
_LINEAR: Final = tuple(quote for quote in DOLLARS if quote != "USD")


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
    wrong = not_of_market(symbol, market)
    if wrong is not None:
        raise DataError(f"{path}: {wrong}")
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


def not_of_market(symbol: str, market: str) -> str | None:
    """Return why a symbol is none of a market whose prices are in dollars; None where it is one.

    Examples
    --------
    >>> not_of_market("BTCUSD_PERP", "um"), not_of_market("BTCUSDT", "cm")
    ('BTCUSD_PERP is a COIN-M symbol: read it as binance-cm', \
'BTCUSDT is a USD-M symbol: read it as binance-um')
    >>> not_of_market("ETHBTC", "um")
    'ETHBTC is quoted in BTC, not in a dollar: prices here are USD per coin'
    >>> not_of_market("BTCUSDT_240628", "um"), not_of_market("BTCUSD", "cm")
    (None, None)
    """
    pair = symbol.partition("_")[0]
    linear = pair.endswith(_LINEAR)
    if market == "cm" and not (_COIN_MARGINED.fullmatch(symbol) or _PAIR.fullmatch(symbol)):
        whose = " is a USD-M symbol: read it as binance-um" if linear else " is no COIN-M symbol"
        return symbol + whose
    if market == "um" and _COIN_MARGINED.fullmatch(symbol):
        return f"{symbol} is a COIN-M symbol: read it as binance-cm"
    if market == "um" and not linear:
        if _PAIR.fullmatch(symbol):
            return f"{symbol} is a pair of COIN-M: read it as binance-cm"
        quote = quote_of(symbol)
        what = f"quoted in {quote}, not in a dollar" if quote else "quoted in no dollar known here"
        return f"{symbol} is {what}: prices here are USD per coin"
    return None


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


DEFAULT_BASE: Final = "https://data.binance.vision"
"""The venue's public archive."""
_MAX_FILES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ArchiveFile:
    """One file of the archive, in the order in which files are read into a log.

    Attributes
    ----------
    symbol, format, interval, period : str
        What it holds; `period` is a day or a month, `interval` is empty where there is none.
    path : str
        Its place below the archive's address.
    """

    symbol: str
    format: str
    interval: str
    period: str
    path: str


def parse_types(types: Sequence[str]) -> list[tuple[str, str]]:
    """Return types and intervals from words such as `metrics` or `klines:1m`.

    Raises
    ------
    ConfigError
        A type is unknown or gives no events, an interval is missing or unknown, or two intervals of
        one type would give overlapping bars.

    Examples
    --------
    >>> parse_types(["metrics", "klines:1m"])
    [('metrics', ''), ('klines', '1m')]
    """
    found: dict[str, str] = {}
    for word in types:
        name, colon, interval = word.partition(":")
        if name == PREMIUM:
            raise ConfigError(f"{name} gives no events: a premium is a fraction, no price")
        if name not in (*DAILY, *MONTHLY):
            known = ", ".join(t for t in (*DAILY, *MONTHLY) if t != PREMIUM)
            raise ConfigError(f"{word!r} is no type of the archive; known are {known}")
        if name in KLINES and interval not in INTERVAL_S:
            raise ConfigError(f"{word!r}: say an interval, such as {name}:1m, of {[*INTERVAL_S]}")
        if name not in KLINES and colon:
            raise ConfigError(f"{word!r}: {name} has no interval")
        if found.get(name, interval) != interval:
            raise ConfigError(f"{name} twice: bars of {found[name]} and {interval} would overlap")
        found[name] = interval
    return list(found.items())


def archive_files(
    market: str, symbols: Sequence[str], types: Sequence[str], first: date, last: date
) -> list[ArchiveFile]:
    """Return the files of a period, both ends included, in order.

    Parameters
    ----------
    market : str
        `um` or `cm`.
    symbols : sequence of str
        The venue's symbols. An index belongs to a pair: `BTCUSD_PERP` asks for that of `BTCUSD`.
    types : sequence of str
        As `parse_types` takes them. Types that are published monthly give whole months.
    first, last : date
        UTC days.

    Raises
    ------
    ConfigError
        A symbol or a type cannot be one, or the period is empty or too long.

    Examples
    --------
    >>> [f] = archive_files("um", ["BTCUSDT"], ["klines:1m"], date(2024, 1, 1), date(2024, 1, 1))
    >>> f.path
    'data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip'
    """
    if market not in VENUES:
        raise ConfigError(f"{market!r} is neither um nor cm")
    if last < first:
        raise ConfigError(f"the period ends on {last}, before it begins on {first}")
    wanted = parse_types(types)
    if not wanted or not symbols:
        raise ConfigError("nothing to fetch: name at least one symbol and one type")
    days = (last - first).days + 1
    if days * len(symbols) * len(wanted) > _MAX_FILES:
        raise ConfigError(f"more than {_MAX_FILES} files: ask for fewer days or symbols at once")
    files = {
        _file(market, check_symbol(symbol, "symbols"), kind, interval, period)
        for symbol in symbols
        for kind, interval in wanted
        for period in _periods(kind, first, last)
    }
    return sorted(files)


def _periods(kind: str, first: date, last: date) -> list[str]:
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    if kind in MONTHLY:
        return sorted({f"{day:%Y-%m}" for day in days})
    return [day.isoformat() for day in days]


def _file(market: str, symbol: str, kind: str, interval: str, period: str) -> ArchiveFile:
    if market == "cm" and kind == "indexPriceKlines":
        symbol = symbol.partition("_")[0]
    every = "monthly" if kind in MONTHLY else "daily"
    folder = f"data/futures/{market}/{every}/{kind}/{symbol}" + (f"/{interval}" if interval else "")
    path = f"{folder}/{symbol}-{interval or kind}-{period}.zip"
    return ArchiveFile(symbol=symbol, format=kind, interval=interval, period=period, path=path)
