"""What a symbol's name says: its coin and multiplier, its quote, whether it is inverse."""

from __future__ import annotations

import re
from typing import Final

DOLLARS: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "USDE", "USD1", "DAI", "USD")
"""Quotes that stand for a US dollar here; which of them a price is in is not kept."""

_OTHERS: Final = (
    "BTC",
    "XBT",
    "ETH",
    "BNB",
    "EUR",
    "GBP",
    "TRY",
    "BRL",
    "JPY",
    "AUD",
    "KRW",
    "RUB",
    "UAH",
    "ZAR",
    "IDR",
    "IDRT",
    "PLN",
    "MXN",
    "ARS",
    "CHF",
    "CAD",
)
_PARTS: Final = re.compile(r"[-_/:]")
_LAST: Final = re.compile(r"^(?:SWAP|PERP|PERPETUAL|INDEX|\d{6}|\d{8}|\d{1,2}[A-Z]{3}\d{2})$")
_COUNTED: Final = re.compile(r"^(10{3,}|1M)(\D.*)$")
_COUNTED_LAST: Final = re.compile(r"^(\D.*?)(10{3,})$")
_INVERSE: Final = (
    (r"binance-(cm|delivery)", r".+"),
    (r".*", r"[A-Z0-9]+USD_(PERP|\d{6})"),
    (r".*", r"[A-Z0-9]+-USD-(SWAP|\d{6})"),
    (r"bybit.*", r"[A-Z0-9]+USD"),
    (r"bitmex.*", r"(XBT|ETH|SOL|XRP|DOGE|LTC)USD[A-Z]?\d*"),
    (r"deribit.*", r"(BTC|ETH)-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2})"),
    (r"kraken.*|cryptofacilities.*", r"P?[FI]I_.+"),
)


def quote_of(symbol: str) -> str | None:
    """Return the currency that a symbol is quoted in, None where its name does not say.

    Examples
    --------
    >>> [quote_of(s) for s in ("BTCUSDT", "ETHBTC", "BTC-USD-SWAP", "BTCEUR", "BTCUSD_PERP")]
    ['USDT', 'BTC', 'USD', 'EUR', 'USD']
    >>> [quote_of(s) for s in ("kSHIB", "HYPE", "BTC/USDT:USDT", "BTCUSDT_240628", "BTCPERP")]
    [None, None, 'USDT', 'USDT', None]
    """
    parts = [p for p in _PARTS.split(symbol.upper()) if p]
    told = [p for p in parts if not _LAST.match(p)]
    known = (*DOLLARS, *_OTHERS)
    if len(told) > 1 and told[1] in known:
        return told[1]
    name = told[-1] if told else ""
    fits = [q for q in known if name.endswith(q) and len(name) > len(q)]
    return max(fits, key=len) if fits else None


def no_dollar(symbol: str) -> str | None:
    """Return the quote of a symbol that is quoted in something else than a dollar, or None.

    Examples
    --------
    >>> no_dollar("ETHBTC"), no_dollar("BTCUSDC"), no_dollar("HYPE")
    ('BTC', None, None)
    """
    quote = quote_of(symbol)
    return None if quote is None or quote in DOLLARS else quote


def is_inverse(venue: str, symbol: str) -> bool:
    """Return whether a contract is known to be margined and settled in its coin.

    Examples
    --------
    >>> is_inverse("binance-cm", "BTCUSD_PERP"), is_inverse("okx", "ETH-USD-SWAP")
    (True, True)
    >>> is_inverse("binance-um", "BTCUSDT"), is_inverse("hyperliquid", "BTC")
    (False, False)
    """
    return any(
        re.fullmatch(v, venue.lower()) and re.fullmatch(s, symbol.upper()) for v, s in _INVERSE
    )


def coin_of(symbol: str) -> tuple[str, float]:
    """Return the coin of a symbol, and how many coins its price is for.

    Examples
    --------
    >>> [coin_of(s)[0] for s in ("BTCUSDT", "BTC-USDT-SWAP", "BTCUSD_PERP", "eth", "XBTUSD")]
    ['BTC', 'BTC', 'BTC', 'ETH', 'BTC']
    >>> [coin_of(s) for s in ("1000SHIBUSDT", "SHIB1000USDT", "kSHIB", "SHIB-USDT-SWAP")]
    [('SHIB', 1000.0), ('SHIB', 1000.0), ('SHIB', 1000.0), ('SHIB', 1.0)]
    >>> coin_of("1INCHUSDT")
    ('1INCH', 1.0)
    """
    first = _PARTS.split(symbol)[0]
    thousand = re.match(r"^k[A-Z]", first) is not None
    name = (first[1:] if thousand else first).upper()
    busd = () if "_" in symbol else ("BUSD",)  # BNBUSD_PERP is BNB in dollars
    for quote in ("FDUSD", *busd, "USDT", "USDC", "PERP", "USD"):
        if name.endswith(quote) and len(name) > len(quote):
            name = name.removesuffix(quote)
            break
    times = 1000.0 if thousand else 1.0
    before, after = _COUNTED.match(name), _COUNTED_LAST.match(name)
    if before:
        times *= 1e6 if before[1] == "1M" else float(before[1])
        name = before[2]
    elif after:
        times *= float(after[2])
        name = after[1]
    return ("BTC" if name == "XBT" else name), times
