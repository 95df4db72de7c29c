"""What `liqbt record` wrote of OKX's swaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from liqbt.ingest.recordings import Row, book_rows, documents, ms, no_bands, number
from liqbt.types import HOUR_NS, FloatArray, Kind

_ORDER: Final = {"sell": "long", "buy": "short"}


def live_rows(message: Mapping[str, Any], faces: Mapping[str, tuple[str, float]]) -> Iterator[Row]:
    """Yield the rows of a push of `mark-price`, `open-interest`, `funding-rate` or liquidations.

    Liquidations of instruments whose contract is not in `faces` are left out: the channel has all.
    """
    if message.get("poll") == "depth":
        for one in documents(message):
            symbol = str(one.get("symbol"))
            for book in documents(one, "book"):
                yield from _book(symbol, book, *faces.get(symbol, ("coins", float("nan"))))
        return
    argument = message.get("arg")
    channel = argument.get("channel") if isinstance(argument, dict) else None
    for one in documents(message):
        symbol, time = str(one.get("instId")), ms(one.get("ts"))
        if channel == "mark-price":
            yield Row(Kind.MARK, symbol, time, number(one.get("markPx")))
        elif channel == "open-interest":
            coins, usd = number(one.get("oiCcy")), number(one.get("oiUsd"))
            yield Row(Kind.OPEN_INTEREST, symbol, time, coins, usd)
        elif channel == "funding-rate":
            span = (ms(one.get("nextFundingTime")) - ms(one.get("fundingTime"))) / HOUR_NS
            hours = span if 0 < span <= 24 else float("nan")
            yield Row(Kind.FUNDING, symbol, time, number(one.get("fundingRate")), hours)
        elif channel == "liquidation-orders" and symbol in faces:
            for detail in documents(one, "details"):
                yield _liquidation(symbol, detail, *faces[symbol])


def _liquidation(symbol: str, detail: Mapping[str, Any], unit: str, face: float) -> Row:
    price, contracts = number(detail.get("bkPx")), number(detail.get("sz"))
    coins = contracts * face if unit == "coins" else contracts * face / (price or float("nan"))
    told = _ORDER.get(str(detail.get("side")), "?")
    held = str(detail.get("posSide"))
    side = told if held not in ("long", "short") or held == told else "?"
    return Row(Kind.LIQUIDATION, symbol, ms(detail.get("ts")), price, coins, side)


def _book(symbol: str, book: Mapping[str, Any], unit: str, face: float) -> Iterator[Row]:
    def coins(contracts: FloatArray, price: FloatArray) -> FloatArray:
        return contracts * face if unit == "coins" else contracts * face / price

    if face != face:  # nobody said what one contract is
        yield no_bands(symbol, ms(book.get("ts")))
        return
    yield from book_rows(symbol, ms(book.get("ts")), book.get("bids"), book.get("asks"), coins)
