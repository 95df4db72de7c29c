"""What `liqbt record` wrote of Binance's USD-M futures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liqbt.ingest.recordings import Row, book_rows, documents, ms, number
from liqbt.types import Kind


def live_rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the marks, funding rates and liquidations of a push, or what an answer holds.

    `markPriceUpdate` has the rate that would be paid now, for an interval that it does not say.
    """
    if message.get("poll") == "openInterest":
        for one in documents(message):
            interest, time = number(one.get("openInterest")), ms(one.get("time"))
            yield Row(Kind.OPEN_INTEREST, str(one.get("symbol")), time, interest)
        return
    if message.get("poll") == "depth":
        for one in documents(message):
            for book in documents(one, "book"):
                time, symbol = ms(book.get("E")), str(one.get("symbol"))
                yield from book_rows(symbol, time, book.get("bids"), book.get("asks"))
        return
    for push in documents(message) if "stream" in message else [message]:
        if push.get("e") == "markPriceUpdate":
            symbol, time = str(push.get("s")), ms(push.get("E"))
            yield Row(Kind.MARK, symbol, time, number(push.get("p")))
            if push.get("r"):  # empty for delivery contracts
                yield Row(Kind.FUNDING, symbol, time, number(push.get("r")))
        elif push.get("e") == "forceOrder":
            for order in documents(push, "o"):
                side = {"SELL": "long", "BUY": "short"}.get(str(order.get("S")), "?")
                price, size = number(order.get("ap")), number(order.get("z"))
                yield Row(
                    Kind.LIQUIDATION, str(order.get("s")), ms(order.get("T")), price, size, side
                )
