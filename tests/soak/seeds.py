"""Small good files and the column maps that read them: what the fuzzer starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["TABULAR", "Seed"]

T = 1_700_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A good file, and how to read it."""

    name: str
    file: str
    data: bytes
    text: str
    beside: Mapping[str, bytes] = field(default_factory=dict)

    delimiter: bytes = b","

    @property
    def mapping(self) -> dict[str, Any]:
        """The map as a plain mapping."""
        loaded: dict[str, Any] = yaml.safe_load(self.text)
        return loaded


def _lines(head: str, rows: list[str]) -> bytes:
    return "\n".join([*([head] if head else []), *rows, ""]).encode()


_POINTS = Seed(
    name="points",
    file="points.csv",
    data=_lines("t,px,oi", [f"{T + 300 * i},{100 + i % 7},{5000 + i}" for i in range(12)]),
    text="""
time: {column: t, unit: s}
stamp: instant
feed: polled
latency: 60s
venue: mine
symbol: XYZ
emit:
  - kind: mark
    fields: {price: px}
  - kind: open_interest
    fields: {open_interest_coins: oi, open_interest_usd: oi * px}
""",
)
_TRADES = Seed(
    name="trades",
    file="trades.csv",
    data=_lines(
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
        [
            f"bx,{'BTC' if i % 3 else 'ETH'},{T * 10**6 + i},{T * 10**6 + i + 5000},{i},"
            f"{'buy' if i % 2 else 'sell'},{100 + i}.5,0.{i + 1}"
            for i in range(12)
        ],
    ),
    text="""
time: {column: timestamp, unit: us}
stamp: instant
feed: pushed
received: {column: local_timestamp, unit: us}
venue: {column: exchange}
symbol: {column: symbol, rename: {BTC: BTCUSDT}}
id: id
side: {column: side, means: taker}
where: {exchange: bx}
emit:
  - kind: trade
    fields: {price: price, size_coins: amount}
    price_is: last
""",
)
_BARS = Seed(
    name="bars",
    file="BTC-1h.csv",
    data=_lines(
        "open_time,open,high,low,close,volume,long_liq,short_liq,funding",
        [
            f"2025-01-{1 + i // 24:02d}T{i % 24:02d}:00:00,{100 + i},{103 + i},{98 + i},{101 + i},"
            f"{'' if i == 3 else 5.5 + i},{i * 10},{i * 7},{0.01 * i}"
            for i in range(12)
        ],
    ),
    text="""
time: {column: open_time, unit: iso, zone: Europe/Berlin}
stamp: open
span: 1h
feed: polled
latency: 60s
venue: agg
symbol: {file_name: '^([A-Z]+)-'}
units: {funding: percent, volume: thousand}
constants: {contract: 0.5}
derive: {both: (long_liq + short_liq) / 2}
emit:
  - kind: bar
    fields: {open: open, high: high, low: low, close: close, volume_coins: volume * contract}
    price_is: spot
  - kind: liquidation_total
    fields: {long_usd: long_liq, short_usd: both * 2 - long_liq}
  - kind: funding
    fields: {rate: funding, interval_hours: 8}
    optional: true
""",
)
_LIQUIDATIONS = Seed(
    name="liquidations",
    delimiter=b";",
    file="liq.csv",
    data=_lines(
        "",
        [
            f"{(T + i) * 1000};{'BTC' if i % 2 else 'ETH'};{'BUY' if i % 3 else 'SELL'};"
            f"{100 + i}.25;{i + 1};{'filled' if i != 4 else 'new'}"
            for i in range(12)
        ],
    ),
    text="""
csv: {delimiter: ';', columns: [ts, sym, side, px, contracts, state]}
time: {column: ts, unit: ms}
stamp: instant
feed: pushed
latency: 1s
latency_is: observed
venue: okx
symbol: {column: sym}
side: {column: side, means: order_side, values: {buy: buy, sell: sell}}
where: {state: [filled, partial]}
constants:
  face: {column: sym, values: {BTC: 0.01, ETH: 0.1}}
emit:
  - kind: liquidation
    fields: {price: px, size_coins: contracts * face}
    price_is: bankruptcy
""",
)
_JOINED = Seed(
    name="joined",
    file="oi.csv",
    data=_lines(
        "stamp,coin,oi_usd",
        [f"{T + 3600 * (i // 2)},{'BTC' if i % 2 else 'ETH'},{1e9 + i}" for i in range(12)],
    ),
    beside={
        "prices.csv": _lines(
            "open_ms,asset,high,low,close",
            [
                f"{(T + 3600 * (i // 2)) * 1000},{'BTC' if i % 2 else 'ETH'},"
                f"{110 + i},{90 + i},{100 + i}"
                for i in range(12)
            ],
        )
    },
    text="""
time: {column: stamp, unit: s}
stamp: open
span: 1h
feed: polled
latency: 60s
venue: hl
symbol: {column: coin}
join:
  file: prices.csv
  time: {column: open_ms, unit: ms}
  stamp: open
  span: 1h
  latency: 60s
  match: {coin: asset}
  columns: {typical: (high + low + close) / 3}
  unmatched: skip
emit:
  - kind: open_interest
    fields: {open_interest_coins: oi_usd / typical, open_interest_usd: oi_usd}
""",
)
_DEPTH = Seed(
    name="depth",
    file="depth.csv",
    data=_lines(
        "ts,book,`x`,low px,high px,coins,usd",
        [
            f"2025-03-01 00:00:{i:02d}.123456+00:00,{'bids' if i % 2 else 'asks'},1,"
            f"{100 + i},{101 + i},{'' if i == 2 else 5 + i},{500 + i}"
            for i in range(12)
        ],
    ),
    text="""
time: {column: ts, unit: iso}
stamp: instant
feed: polled
latency: 90s
venue: dv
symbol: SYM
side: {column: book, means: book_side, values: {bids: bid, asks: ask}}
emit:
  - kind: depth
    fields: {low: '`low px`', high: '`high px`', depth_coins: coins, depth_usd: usd}
""",
)

TABULAR = (_POINTS, _TRADES, _BARS, _LIQUIDATIONS, _JOINED, _DEPTH)
