"""Where a file lies in the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from liqbt.errors import ConfigError
from liqbt.sources.binance.names import (
    DAILY,
    INTERVAL_S,
    KLINES,
    MONTHLY,
    PREMIUM,
    VENUES,
    check_symbol,
)

__all__ = ["DEFAULT_BASE", "ArchiveFile", "archive_files", "parse_types"]

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
