"""What `liqbt record` wrote of Hyperliquid: contexts, a census of positions, liquidated fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liqbt.ingest.recordings import Row, book_levels, count, documents, ms, no_bands, number
from liqbt.types import Kind


def live_rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of an answer (`contexts`, `census`, `depth`) or of a push of `userFills`.

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
    elif message.get("poll") == "depth":
        for one in documents(message):
            yield from _bands(str(one.get("symbol")), documents(one, "books"))
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


def _bands(coin: str, books: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Yield what each book holds that the finer one before it does not show.

    A book has 20 levels a side; the coarser its prices, the further it reaches. All that it holds
    is what lies within its outermost level, so the difference of two is a band, as in an archive of
    cumulative depth. A price that was rounded is off by one level of 20 at most. Where a book holds
    less than the finer one did, because orders were gone when it was asked for, it gives no band.
    All are of when the first of them was.
    """
    time = min((ms(book.get("time")) for book in books), default=0)
    told = [book_levels(*_sides(book)) for book in books]
    held = [sides for sides in told if sides is not None]
    if not held or len(held) < len(told):
        yield no_bands(coin, time)
        return
    middle = (held[0][0][0, 0] + held[0][1][0, 0]) / 2
    for word, sign, side in (("bid", -1, 0), ("ask", 1, 1)):
        near, before = float(middle), 0.0
        for sides in held:
            outermost, coins = sides[side][-1, 0], float(sides[side][:, 1].sum())
            far = float(outermost if sign < 0 else np.nextafter(outermost, np.inf))
            if sign * (far - near) > 0 and coins >= before:
                low, high = min(near, far), max(near, far)
                yield Row(Kind.DEPTH, coin, time, low, high, word, three=coins - before)
                near, before = far, coins


def _sides(book: Mapping[str, Any]) -> list[Any]:
    """Return the bids and asks of a book as lists of price and size."""
    sides = book.get("levels")
    if not isinstance(sides, list) or len(sides) != 2:
        return [None, None]
    return [
        [[level.get("px"), level.get("sz")] for level in documents({"data": side})]
        for side in sides
    ]
