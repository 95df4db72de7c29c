"""Small good files of each vendor's formats: what their readers' fuzz starts from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from venues import SYMBOLS, script

__all__ = ["VENDORS", "VendorSeed"]

T = 1_700_006_400  # 2023-11-15T00:00Z
N = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSeed:
    """A good file of one format, and which reader reads it with which options."""

    module: str
    file: str
    data: bytes
    options: dict[str, Any] = field(default_factory=dict)
    json_lines: bool = False


def _csv(head: str, row: Callable[[int], str], n: int = N) -> bytes:
    return "\n".join([*([head] if head else []), *(row(i) for i in range(n)), ""]).encode()


def _side(i: int) -> str:
    return "buy" if i % 2 else "sell"


KLINE = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
SNAPSHOT = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)
TRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
DEALS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,"
    "predicted_funding_rate,open_interest,last_price,index_price,mark_price"
)


def _kline(i: int) -> str:
    start = (T + 60 * i) * 1000
    return f"{start},{100 + i},{103 + i},{98 + i},{101 + i},5.5,{start + 59_999},550,9,2.5,250,0"


def _metric(i: int, symbol: str) -> str:
    return f"2023-11-15 00:{5 * i % 60:02d}:00,{symbol},{5000 + i},{500_000 + i},1.1,1.2,0.9,1.0"


def _snapshot(i: int) -> str:
    side = _side(i // 2).upper()
    return f"{(T + i // 2) * 1000},{side},LIMIT,IOC,1.5,100,{99 + i // 2},FILLED,1.5,1.5"


def _agg(i: int) -> str:
    return f"{i},{100 + i},0.5,{i},{i},{(T + i) * 1000},{'true' if i % 2 else 'false'}"


def _depth(i: int) -> str:
    percent = (*range(-5, 0), *range(1, 6))[i % 10]
    depth = 100.0 * abs(percent)
    price = 100 * (1 + percent / 200)
    return f"2023-11-15 00:00:{5 + 30 * (i // 10):02d},{percent},{depth},{depth * price:.4f}"


def _push(i: int) -> str:
    order = {
        "s": "BTCUSDT",
        "S": _side(i).upper(),
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.5",
        "p": "100",
        "ap": f"{100 + i}",
        "X": "FILLED",
        "l": "0.5",
        "z": "0.5",
        "T": (T + i) * 1000,
    }
    push = {"e": "forceOrder", "E": (T + i) * 1000 + 5, "o": order}
    return json.dumps({"received": (T + i) * 1000 + 300, "data": push})


def _deal(i: int) -> str:
    at = (T + i) * 1_000_000
    return f"binance-futures,BTCUSDT,{at},{at + 4000},{i},{_side(i)},{100 + i},0.5"


def _tick(i: int) -> str:
    at = (T + i) * 1_000_000
    funding = (T + 28_800) * 1_000_000
    return (
        f"binance-futures,BTCUSDT,{at},{at + 4000},{funding},0.0001,,{5000 + i},100,100,{100 + i}"
    )


BOOK = "exchange,symbol,timestamp,local_timestamp," + ",".join(
    f"asks[{k}].price,asks[{k}].amount,bids[{k}].price,bids[{k}].amount" for k in range(5)
)


def _book(i: int) -> str:
    at = (T + 60 * i) * 1_000_000
    levels = ",".join(f"{101 + k},{1 + k},{99 - k},{2 + k}" for k in range(5))
    return f"binance-futures,BTCUSDT,{at},{at + 4000},{levels}"


def _message(i: int) -> str:
    detail = {
        "side": _side(i),
        "posSide": "long" if i % 2 == 0 else "short",
        "bkPx": f"{100 + i}.5",
        "sz": f"{i + 1}",
        "bkLoss": "0",
        "ccy": "",
        "ts": str((T + i) * 1000),
    }
    data = [{"instId": "BTC-USDT-SWAP", "instType": "SWAP", "details": [detail]}]
    return json.dumps({"arg": {"channel": "liquidation-orders"}, "data": data})


def _swap(i: int) -> str:
    coin = "BTC" if i % 2 else "ETH"
    return f"2023-11-15T00:00:{i:02d}Z,okx,{coin},{_side(i)},{100 + i},{i + 1}"


def _context(i: int) -> str:
    prices = ",".join([f"{100 + i}"] * 4)
    return f"2023-11-15T00:{i:02d}:00Z,BTC,0.0000125,{5000 + i},{99 + i},1000,0.0001,{prices}"


def _seed(module: str, file: str, data: bytes, **more: Any) -> VendorSeed:
    return VendorSeed(module=module, file=file, data=data, **more)


_UM, _CM = "liqbt.sources.binance.um", "liqbt.sources.binance.cm"
VENDORS: dict[str, tuple[VendorSeed, ...]] = {
    "binance": (
        _seed(
            _UM, "BTCUSDT-metrics-2023-11-15.csv", _csv(METRICS, lambda i: _metric(i, "BTCUSDT"))
        ),
        _seed(
            _CM,
            "BTCUSD_PERP-metrics-2023-11-15.csv",
            _csv(METRICS, lambda i: _metric(i, "BTCUSD_PERP")),
        ),
        _seed(_UM, "BTCUSDT-1m-2023-11-15.csv", _csv(KLINE, _kline), options={"format": "klines"}),
        _seed(
            _UM,
            "ETHUSDT-1m-2023-11-15.csv",
            _csv("", _kline),
            options={"format": "markPriceKlines"},
        ),
        _seed(
            _CM, "BTCUSD_PERP-1m-2023-11-15.csv", _csv(KLINE, _kline), options={"format": "klines"}
        ),
        _seed(_UM, "BTCUSDT-aggTrades-2023-11-15.csv", _csv(TRADES, _agg)),
        _seed(_CM, "BTCUSD_PERP-aggTrades-2023-11-15.csv", _csv("", _agg)),
        _seed(_UM, "BTCUSDT-liquidationSnapshot-2023-11-15.csv", _csv(SNAPSHOT, _snapshot)),
        _seed(_CM, "BTCUSD_PERP-liquidationSnapshot-2023-11-15.csv", _csv(SNAPSHOT, _snapshot)),
        _seed(
            _UM,
            "BTCUSDT-fundingRate-2023-11.csv",
            _csv(
                "calc_time,funding_interval_hours,last_funding_rate",
                lambda i: f"{(T + 28_800 * i) * 1000},8,0.000{i + 1}",
            ),
        ),
        _seed(
            _UM,
            "BTCUSDT-bookDepth-2023-11-15.csv",
            _csv("timestamp,percentage,depth,notional", _depth, 20),
        ),
        _seed(
            _UM, "pushes.jsonl", _csv("", _push), options={"format": "forceOrder"}, json_lines=True
        ),
        _seed(
            _UM,
            "pushes.csv",
            _csv(
                "symbol,side,avg_price,filled_qty,trade_time_ms",
                lambda i: f"BTCUSDT,{_side(i).upper()},{100 + i},0.5,{(T + i) * 1000}",
            ),
            options={"format": "forceOrder"},
        ),
    ),
    "tardis": (
        _seed(
            "liqbt.sources.tardis", "trades.csv", _csv(DEALS, _deal), options={"format": "trades"}
        ),
        _seed(
            "liqbt.sources.tardis",
            "liqs.csv",
            _csv(DEALS, _deal),
            options={"format": "liquidations"},
        ),
        _seed(
            "liqbt.sources.tardis",
            "ticker.csv",
            _csv(TICKER, _tick),
            options={"format": "derivative_ticker"},
        ),
        _seed(
            "liqbt.sources.tardis",
            "book.csv",
            _csv(BOOK, _book),
            options={"format": "book_snapshot_5"},
        ),
    ),
    "okx": (
        _seed("liqbt.sources.okx", "orders.jsonl", _csv("", _message), json_lines=True),
        _seed(
            "liqbt.sources.okx",
            "swap.csv",
            _csv(
                "timestamp,venue,coin,side,bankruptcy_px,contracts",
                _swap,
            ),
        ),
    ),
    "hyperliquid": (
        _seed(
            "liqbt.sources.hyperliquid",
            "trades-ETH.csv",
            _csv(
                "timestamp_ms,px,sz,side",
                lambda i: f"{(T + i) * 1000},{100 + i},0.5,{'B' if i % 2 else 'A'}",
            ),
        ),
        _seed(
            "liqbt.sources.hyperliquid",
            "context.csv",
            _csv(
                "ts_ms,coin,funding_1h,oi_coins,mark,oracle",
                lambda i: f"{(T + 60 * i) * 1000},ETH,0.0000125,{5000 + i},{100 + i},{100 + i}",
            ),
        ),
        _seed(
            "liqbt.sources.hyperliquid",
            "contexts.csv",
            _csv(
                "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px",
                _context,
            ),
        ),
    ),
    "recordings": tuple(
        _seed(
            f"liqbt.sources.{venue.replace('-', '.')}",
            f"{venue}.jsonl",
            "".join(
                f"{m.at + 60_000_000} {m.text}\n" for m in script(4, 1) if m.venue == venue
            ).encode(),
            options={"format": "recording"},
            json_lines=True,
        )
        for venue in SYMBOLS
    ),
}
