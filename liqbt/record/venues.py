"""What is asked of each venue, and where: addresses, subscriptions, questions.

Read in the venues' documentation; every address can be replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from liqbt.types import SECOND_NS, Ns

_TOO_MANY: Final = ("10006", "50011")
"""What Bybit and OKX answer to whoever asks too often."""
_FIGURES: Final = (None, 4, 3)
"""Significant figures of prices, by which Hyperliquid's 20 levels a side reach further and further;
all prices have five."""
_MOST_FILLS: Final = 10
"""Accounts whose fills Hyperliquid pushes to one address of the internet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked again and again: requests, and what is kept of their answers.

    Attributes
    ----------
    name : str
        The `poll` of the line that it becomes.
    requests : tuple of (str, object)
        Path below the venue's address, and the JSON that is posted; None: nothing is.
    kept : callable
        Takes the answers in the order of the requests, and returns the line's `data`.
    every_ns : int
        How often; 0: as often as the recorder is told.
    """

    name: str
    requests: tuple[tuple[str, Any], ...]
    kept: Callable[[Sequence[Any]], Any]
    every_ns: Ns = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What is recorded of one venue.

    Attributes
    ----------
    venue : str
        Its name in logs.
    reader : str
        Which vendor's reader makes events of it.
    socket : str
        The address that messages are pushed from.
    http : str
        The address that questions are asked at.
    subscriptions : tuple of str
        What is sent when a connection stands.
    ping : str
        What is sent every 20 s so that it goes on standing; empty: nothing.
    steady : bool
        Whether it always pushes something, so that silence is a fault.
    questions : tuple of Question
        What is asked.
    """

    venue: str
    reader: str
    socket: str
    http: str
    subscriptions: tuple[str, ...]
    ping: str = ""
    steady: bool = True
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants of a venue: its symbols, other addresses, accounts, contract sizes.

    `census_ns` and `depth_ns` say how often positions and books are asked for; 0: no books are.
    """

    symbols: tuple[str, ...]
    socket: str = ""
    http: str = ""
    accounts: tuple[str, ...] = ()
    census_ns: Ns = 300 * SECOND_NS
    depth_ns: Ns = 0
    faces: str = ""


def _books(
    asked: Asked,
    requests: Callable[[str], Sequence[tuple[str, Any]]],
    book: Callable[[Any], Any],
    key: str = "book",
) -> tuple[Question, ...]:
    """Return the question for the book of each symbol, none where no books are wanted.

    `book` takes an answer and returns what is kept of it; the line says whose it is, which not
    every venue does. Several requests make a list.
    """

    def kept(symbol: str) -> Callable[[Sequence[Any]], Any]:
        def keep(answers: Sequence[Any]) -> Any:
            books = [book(answer) for answer in answers]
            return {"symbol": symbol, key: books if len(books) > 1 else books[0]}

        return keep

    return tuple(
        Question(
            name="depth",
            requests=tuple(requests(symbol)),
            kept=kept(symbol),
            every_ns=asked.depth_ns,
        )
        for symbol in asked.symbols
        if asked.depth_ns
    )


def _book_of(answer: Any, *, code: str = "", reason: str = "", key: str = "") -> Any:
    """Return the book in an answer, whose `code` is 0 where there is one.

    Raises
    ------
    OSError
        Too many questions were asked.
    ValueError
        There is none; says why, as far as the venue does.
    """
    if not isinstance(answer, dict) or str(answer.get(code, 0)) != "0":
        told = answer if isinstance(answer, dict) else {}
        text = str(told.get(reason) or "it has no book")
        if str(told.get(code)) in _TOO_MANY:
            raise OSError(text)
        raise ValueError(text)
    book = answer[key] if key else answer
    return book[0] if isinstance(book, list) else book


def _binance(asked: Asked) -> Feed:
    """`markPrice` belongs to the route `/market`: without it the venue is silent, not refusing."""
    streams = [f"{s.lower()}@{name}" for s in asked.symbols for name in ("forceOrder", "markPrice")]
    base = asked.socket or "wss://fstream.binance.com/market"
    return Feed(
        venue="binance-um",
        reader="binance-um/recording",
        socket=f"{base}/stream?streams={'/'.join(streams)}",
        http=asked.http or "https://fapi.binance.com",
        subscriptions=(),
        questions=(
            *(
                Question(
                    name="openInterest",
                    requests=((f"/fapi/v1/openInterest?symbol={symbol}", None),),
                    kept=lambda answers: answers[0],
                )
                for symbol in asked.symbols
            ),
            *_books(asked, lambda s: [(f"/fapi/v1/depth?symbol={s}&limit=1000", None)], _book_of),
        ),
    )


def _bybit(asked: Asked) -> Feed:
    topics = [f"{name}.{s}" for s in asked.symbols for name in ("allLiquidation", "tickers")]
    return Feed(
        venue="bybit",
        reader="bybit/recording",
        socket=asked.socket or "wss://stream.bybit.com/v5/public/linear",
        http=asked.http or "https://api.bybit.com",
        subscriptions=(json.dumps({"op": "subscribe", "args": topics}),),
        ping='{"op":"ping"}',
        questions=_books(
            asked,
            lambda s: [(f"/v5/market/orderbook?category=linear&symbol={s}&limit=500", None)],
            lambda answer: _book_of(answer, code="retCode", reason="retMsg", key="result"),
        ),
    )


def _okx(asked: Asked) -> Feed:
    channels = [
        {"channel": name, "instId": symbol}
        for symbol in asked.symbols
        for name in ("mark-price", "open-interest", "funding-rate")
    ]
    channels.append({"channel": "liquidation-orders", "instType": "SWAP"})
    return Feed(
        venue="okx",
        reader=f"okx/recording{f'?faces={asked.faces}' if asked.faces else ''}",
        socket=asked.socket or "wss://ws.okx.com:8443/ws/v5/public",
        http=asked.http or "https://www.okx.com",
        subscriptions=(json.dumps({"op": "subscribe", "args": channels}),),
        ping="ping",
        questions=_books(
            asked,
            lambda s: [(f"/api/v5/market/books?instId={s}&sz=400", None)],
            lambda answer: _book_of(answer, code="code", reason="msg", key="data"),
        ),
    )


def _hyperliquid(asked: Asked) -> Feed:
    """Liquidations are pushed of single accounts only: of the first ten of the census."""
    census = Question(
        name="census",
        requests=tuple(
            ("/info", {"type": "clearinghouseState", "user": user}) for user in asked.accounts
        ),
        kept=lambda answers: [
            {"user": user, "state": state}
            for user, state in zip(asked.accounts, answers, strict=True)
        ],
        every_ns=asked.census_ns,
    )
    contexts = Question(
        name="contexts",
        requests=(("/info", {"type": "metaAndAssetCtxs"}),),
        kept=lambda answers: _contexts(answers[0], asked.symbols),
    )
    return Feed(
        venue="hyperliquid",
        reader="hyperliquid/recording",
        socket=(asked.socket or "wss://api.hyperliquid.xyz/ws") if asked.accounts else "",
        http=asked.http or "https://api.hyperliquid.xyz",
        subscriptions=tuple(
            json.dumps({"method": "subscribe", "subscription": {"type": "userFills", "user": user}})
            for user in asked.accounts[:_MOST_FILLS]
        ),
        ping='{"method":"ping"}',
        steady=False,
        questions=(
            contexts,
            *((census,) if asked.accounts else ()),
            *_books(
                asked,
                lambda coin: [
                    ("/info", {"type": "l2Book", "coin": coin, "nSigFigs": n}) for n in _FIGURES
                ],
                _book_of,
                key="books",
            ),
        ),
    )


def _contexts(answer: Any, coins: Sequence[str]) -> list[dict[str, Any]]:
    """Return the contexts of some coins out of the venue's two lists, which run side by side.

    Raises
    ------
    ValueError
        A coin is not among them.
    """
    names = [one["name"] for one in answer[0]["universe"]]
    missing = sorted(set(coins) - set(names))
    if missing:
        raise ValueError(f"it has no coin {missing[0]!r}")
    return [{"coin": coin, "ctx": answer[1][names.index(coin)]} for coin in coins]


FeedOf: TypeAlias = Callable[[Asked], Feed]
VENUES: Final[Mapping[str, FeedOf]] = {
    "binance-um": _binance,
    "bybit": _bybit,
    "okx": _okx,
    "hyperliquid": _hyperliquid,
}

Told: TypeAlias = tuple[Literal["data", "other", "refused"], str]


def told(text: str) -> Told:
    """Return what a message is: data, a word about the connection, or a refusal and its reason.

    Examples
    --------
    >>> told('{"event":"error","msg":"Wrong channel","code":"60018"}')
    ('refused', 'Wrong channel')
    >>> told("pong"), told('{"op":"subscribe","success":true}')
    (('other', ''), ('other', ''))
    >>> told('{"topic":"tickers.BTCUSDT","data":{}}')[0]
    'data'
    """
    if len(text) > 2000:  # a word about the connection is short
        return "data", ""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "other", ""
    if not isinstance(message, dict):
        return "other", ""
    reason = ""
    if message.get("event") == "error" or message.get("success") is False:
        reason = str(message.get("msg") or message.get("ret_msg") or "it does not say why")
    elif message.get("channel") == "error":
        reason = str(message.get("data"))
    elif isinstance(message.get("error"), dict):
        reason = str(message["error"].get("msg"))
    if reason:
        return "refused", reason[:200]
    words = ("event", "op", "success", "result")
    about = message.get("channel") in ("subscriptionResponse", "pong")
    return ("other" if about or any(w in message for w in words) else "data"), ""
