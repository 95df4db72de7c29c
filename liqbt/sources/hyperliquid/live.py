"""What `liqbt record` wrote of Hyperliquid: contexts, a census of positions, liquidated fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liqbt.ingest.recordings import Row, count, documents, ms, number
from liqbt.types import Kind


def live_rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of an answer (`contexts`, `census`) or of a push of `userFills`.

    The venue stamps neither contexts nor positions: they are of when they were asked for, and all
    positions of a census are known together, when its last answer was here. A liquidation is a fill
    that liquidated its own user, once by its trade id.
    """
    asked = count(message.get("asked"))
    if message.get("poll") == "contexts":
        for one in documents(message):
            for context in documents(one, "ctx"):
                yield from _context(str(one.get("coin")), asked, context)
    elif message.get("poll") == "census":
        for one in documents(message):
            for state in documents(one, "state"):
                for held in documents(state, "assetPositions"):
                    for position in documents(held, "position"):
                        yield _position(asked, position)
    elif message.get("channel") == "userFills":
        for one in documents(message):
            for fill in documents(one, "fills"):
                yield from _fill(str(one.get("user")), fill)


def _context(coin: str, asked: int, context: Mapping[str, Any]) -> Iterator[Row]:
    mark, coins = number(context.get("markPx")), number(context.get("openInterest"))
    yield Row(Kind.MARK, coin, asked, mark)
    yield Row(Kind.OPEN_INTEREST, coin, asked, coins, coins * mark)
    yield Row(Kind.FUNDING, coin, asked, number(context.get("funding")), 1.0)


def _position(asked: int, position: Mapping[str, Any]) -> Row:
    size = number(position.get("szi"))
    side = "long" if size > 0 else "short"
    price = number(position.get("liquidationPx"))
    return Row(Kind.POSITION, str(position.get("coin")), asked, price, abs(size), side)


def _fill(user: str, fill: Mapping[str, Any]) -> Iterator[Row]:
    coin, told = str(fill.get("coin")), fill.get("liquidation")
    gone = str(told.get("liquidatedUser")) if isinstance(told, dict) else ""
    if gone.lower() != user.lower() or coin.startswith("@") or "/" in coin:
        return
    side = {"A": "long", "B": "short"}.get(str(fill.get("side")), "?")
    price, size = number(fill.get("px")), number(fill.get("sz"))
    time, trade = ms(fill.get("time")), str(fill.get("tid"))
    yield Row(Kind.LIQUIDATION, coin, time, price, size, side, trade)
