"""What is said on a command line about what to record, checked before anything is connected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.log.symbols import is_inverse, no_dollar
from liqbt.record.venues import VENUES, Asked, Feed
from liqbt.sources.okx.faces import FACES, parse_faces
from liqbt.study.readers import open_reader
from liqbt.types import Ns

_SYMBOL: Final = re.compile(r"[A-Za-z0-9_:-]{1,40}")
_ACCOUNT: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_MOST_ACCOUNTS: Final = 1000
_SCHEMES: Final = {"ws": "socket", "wss": "socket", "http": "http", "https": "http"}


def feeds_of(
    words: Sequence[str],
    *,
    servers: Sequence[str] = (),
    accounts: Path | None = None,
    census_ns: Ns,
    depth_ns: Ns = 0,
    faces: str = "",
) -> list[Feed]:
    """Return what is recorded of each venue.

    Parameters
    ----------
    words : sequence of str
        `VENUE=SYMBOL,SYMBOL`, each venue once.
    servers : sequence of str
        `VENUE=ADDRESS` in place of the venue's own; `ws` and `http` addresses are two.
    accounts : Path, optional
        A file with an address of Hyperliquid a line, whose positions are counted.
    census_ns, depth_ns : int
        How often positions and order books are asked for; a `depth_ns` of 0: no books are.
    faces : str
        What one contract is of OKX's instruments, as its reader takes it.

    Raises
    ------
    ConfigError
        A word is not so; says which, and what was expected.
    """
    wanted = dict(_pair(word, "SYMBOL,SYMBOL") for word in words)
    if len(wanted) < len(words):
        raise ConfigError("a venue is named twice: give its symbols together, parted by commas")
    places: dict[str, dict[str, str]] = {venue: {} for venue in wanted}
    for venue, address in (_pair(server, "ADDRESS") for server in servers):
        if venue not in wanted:
            raise ConfigError(f"--server {venue}: nothing of {venue} is recorded")
        places[venue][_SCHEMES[_scheme(address)]] = address.rstrip("/")
    users = () if accounts is None else _accounts(accounts)
    if users and "hyperliquid" not in wanted:
        raise ConfigError("--accounts are Hyperliquid's: say hyperliquid=BTC, too")
    feeds = [
        VENUES[venue](
            Asked(
                symbols=_symbols(venue, text),
                socket=places[venue].get("socket", ""),
                http=places[venue].get("http", ""),
                accounts=users,
                census_ns=census_ns,
                depth_ns=depth_ns,
                faces=faces,
            )
        )
        for venue, text in wanted.items()
    ]
    for feed in feeds:
        open_reader(feed.reader)
    unknown = set(_symbols("okx", wanted["okx"])) - {*FACES} if "okx" in wanted else set()
    for symbol in sorted(unknown - set(parse_faces(faces) if faces else ())):
        raise ConfigError(
            f"okx: what one contract of {symbol} is, nobody said, and its liquidations are in "
            f"contracts: say it, such as --faces {symbol}:coins:1"
        )
    return feeds


def _pair(word: str, what: str) -> tuple[str, str]:
    venue, equals, rest = word.partition("=")
    if not equals or not rest:
        raise ConfigError(f"{word!r}: expected VENUE={what}, such as binance-um=BTCUSDT,ETHUSDT")
    if venue not in VENUES:
        raise ConfigError(f"no venue {venue!r} can be recorded; {nearest(venue, VENUES)}")
    return venue, rest


def _symbols(venue: str, text: str) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise ConfigError(f"{venue}: {symbol!r} is no symbol")
        if venue in ("binance-um", "bybit") and (no_dollar(symbol) or is_inverse(venue, symbol)):
            raise ConfigError(f"{venue}: {symbol} is no linear contract quoted in a dollar")
    return symbols


def _scheme(address: str) -> str:
    try:
        parts = urlsplit(address)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and not parts.query
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"--server {address!r}: expected a ws, wss, http or https address")
    return parts.scheme


def _accounts(path: Path) -> tuple[str, ...]:
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    users = []
    for row, line in enumerate(lines, start=1):
        word = line.partition("#")[0].strip()
        if word and not _ACCOUNT.fullmatch(word):
            raise ConfigError(f"{path}, line {row}: {word[:60]!r} is no address (0x and 40 digits)")
        users += [word.lower()] if word else []
    users = list(dict.fromkeys(users))
    if not 0 < len(users) <= _MOST_ACCOUNTS:
        raise ConfigError(f"{path} has {len(users)} addresses: 1 to {_MOST_ACCOUNTS} are expected")
    return tuple(users)
