"""Faithful files of the public Binance archive, and a local server that behaves badly on demand.

No sample of the archive is at hand: the formats are those that the venue documents and that others
have published rows of. Everything here is generated.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np

HEADERS = {
    "metrics": "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,"
    "sum_taker_long_short_vol_ratio",
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker",
    "liquidationSnapshot": "time,side,order_type,time_in_force,original_quantity,price,"
    "average_price,order_status,last_fill_quantity,accumulated_fill_quantity",
    "fundingRate": "calc_time,funding_interval_hours,last_funding_rate",
    "bookDepth": "timestamp,percentage,depth,notional",
}
OLD_HEADERS = {
    "klines": "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,"
    "Number of trades,Taker buy base asset volume,Taker buy quote asset volume,Ignore",
    "markPriceKlines": "open_time,open,high,low,close,ignore,close_time,ignore,ignore,ignore,"
    "ignore,ignore",
    "aggTrades": "Aggregate tradeId,Price,Quantity,First tradeId,Last tradeId,Timestamp,"
    "Was the buyer the maker",
}
NS = {"ms": 1_000_000, "us": 1_000}


def iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def csv(rows: Iterable[Sequence[object]], header: str = "") -> str:
    lines = [",".join(str(cell) for cell in row) for row in rows]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def metric_rows(symbol: str, rows: Iterable[tuple[int, object, object]]) -> list[list[object]]:
    """`(ns, open interest, its value)`; the ratios are empty, as they often are."""
    return [[iso(ns), symbol, oi, value, '""', '""', "", "0.5"] for ns, oi, value in rows]


def kline_rows(
    rows: Iterable[tuple[int, object, object, object, object, object, object]],
    span_s: int,
    unit: str = "ms",
) -> list[list[object]]:
    """`(open ns, open, high, low, close, volume, quote volume)`."""
    per = NS[unit]
    return [
        [t // per, o, h, lo, c, v, (t + span_s * 1_000_000_000) // per - 1, q, 7, 0, 0, 0]
        for t, o, h, lo, c, v, q in rows
    ]


def trade_rows(
    rows: Iterable[tuple[int, int, object, object, bool]], unit: str = "ms"
) -> list[list[object]]:
    """`(id, ns, price, quantity, whether the buyer was the maker)`."""
    return [
        [i, price, size, 10 * i, 10 * i + 2, ns // NS[unit], str(maker).lower()]
        for i, ns, price, size, maker in rows
    ]


def liquidation_rows(
    rows: Iterable[tuple[int, str, object, object]], unit: str = "ms", times: int = 2
) -> list[list[object]]:
    """`(ns, side of the order, average price, filled)`, each written twice."""
    once = [
        [ns // NS[unit], side, "LIMIT", "IOC", size, price, price, "FILLED", size, size]
        for ns, side, price, size in rows
    ]
    return [row for row in once for _ in range(times)]


def depth_rows(
    snapshots: Iterable[tuple[int, Mapping[float, tuple[float, float]]]],
) -> list[list[object]]:
    """`(ns, percentage to (depth, notional) of its band)`; written as cumulative amounts."""
    out: list[list[object]] = []
    for ns, bands in snapshots:
        for side in (-1, 1):
            depth = notional = 0.0
            mine = sorted((p for p in bands if p * side > 0), key=abs)
            for percentage in mine:
                depth, notional = depth + bands[percentage][0], notional + bands[percentage][1]
                out.append([iso(ns), f"{percentage:g}", repr(depth), repr(notional)])
    return out


def zipped(name: str, text: str | bytes) -> bytes:
    """One file in a zip, the same bytes every time."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


class Archive(dict[str, bytes]):
    """Paths below the address to bytes."""

    def put(self, market: str, kind: str, symbol: str, period: str, text: str, every="") -> str:
        often = "monthly" if len(period) == 7 else "daily"
        name = f"{symbol}-{every or kind}-{period}"
        folder = f"data/futures/{market}/{often}/{kind}/{symbol}" + (f"/{every}" if every else "")
        path = f"{folder}/{name}.zip"
        self.put_bytes(path, zipped(f"{name}.csv", text))
        return path

    def put_bytes(self, path: str, data: bytes) -> None:
        self[path] = data
        name = path.rpartition("/")[2]
        self[path + ".CHECKSUM"] = f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()


@dataclass
class Fault:
    """What a server does to one request."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = -1  # the body ends after so many bytes, and the connection with it
    body: bytes | None = None
    stall_s: float = 0.0
    ignore_range: bool = False
    shift_range: bool = False
    drip: int = 0  # so many bytes a piece, stall_s apart


class Server(ThreadingHTTPServer):
    """An archive on the loopback, with the faults that are asked for and a list of requests."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.faults: dict[str, list[Fault]] = {}
        self.always: Callable[[str], Fault | None] = lambda _path: None
        self.requests: list[tuple[str, str]] = []
        self.per_byte_s = 0.0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, path: str) -> Fault:
        queued = self.faults.get(path)
        return queued.pop(0) if queued else (self.always(path) or Fault())

    def asked(self, path: str) -> list[str]:
        """The Range of each request of `path`, empty where it had none."""
        return [r for p, r in self.requests if p == path]

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        wanted = self.headers.get("Range", "")
        self.server.requests.append((path, wanted))
        fault = self.server.fault(path)
        data = self.server.files.get(path)
        if fault.status or data is None:
            body = fault.body if fault.body is not None else b"no\n"
            self._answer(fault.status or 404, fault, body, {})
            return
        data = fault.body if fault.body is not None else data
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        same = self.headers.get("If-Range", tag) == tag
        if match and same and not fault.ignore_range:
            start = int(match[1])
            if start >= len(data):
                self._answer(416, fault, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            start = max(0, start - 1) if fault.shift_range else start
            rest = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self._answer(206, fault, data[start:], {"ETag": tag, **rest})
            return
        self._answer(200, fault, data, {"ETag": tag})

    def _answer(self, status: int, fault: Fault, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers, **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = body if fault.cut < 0 else body[: fault.cut]
        step = fault.drip or max(1, len(cut))
        for at in range(0, len(cut), step):
            if fault.stall_s:
                time.sleep(fault.stall_s)
            if self.server.per_byte_s:
                time.sleep(self.server.per_byte_s * step)
            self.wfile.write(cut[at : at + step])
        if fault.cut >= 0:
            self.close_connection = True


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Server]:
    with running(Server(files)) as server:
        yield server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


DAY = 86_400_000_000_000
MINUTE = 60_000_000_000


def month_archive(
    symbols: Sequence[str], days: int, *, seed: int, start_ns: int = 1_704_067_200_000_000_000
) -> Archive:
    """An archive of `days` days from 2024-01-01: five types, every symbol, from a simulated market.

    Marks, bars, open interest and liquidations are the simulated market's; trades are drawn along
    its path. One day of every symbol is missing, and one day has no liquidation at all.
    """
    from liqbt.simulate.market import simulate
    from liqbt.simulate.world import World
    from liqbt.types import Kind

    world = World(
        name="archive", days=days, warmup_days=3, symbols=tuple(symbols), start_ns=start_ns
    )
    market = simulate(world, seed=seed)
    rng = np.random.default_rng(seed)
    archive = Archive()
    for number, symbol in enumerate(symbols):
        tables = {k: _of(market.tables[k], symbol) for k in market.tables}
        for day in range(days):
            if day == 1 + number:  # the archive has its holes
                continue
            lo, hi = start_ns + day * DAY, start_ns + (day + 1) * DAY
            name = iso(lo)[:10]
            marks = _between(tables[Kind.MARK], lo, hi + 1)
            interest = _between(tables[Kind.OPEN_INTEREST], lo, hi)
            _put_day(archive, symbol, name, marks, interest, rng)
            forced = (
                _between(tables[Kind.LIQUIDATION], lo, hi) if Kind.LIQUIDATION in tables else []
            )
            rows = [
                (
                    r["ts_event"] // 1_000_000 * 1_000_000,
                    "SELL" if r["side"] > 0 else "BUY",
                    f"{r['price']:.1f}",
                    f"{r['size_coins']:.3f}",
                )
                for r in forced
                if day != 3 and round(r["size_coins"], 3) > 0
            ]
            text = csv(liquidation_rows(rows), HEADERS["liquidationSnapshot"])
            archive.put("um", "liquidationSnapshot", symbol, name, text)
        funding = [
            [(start_ns + 8 * i * 60 * MINUTE) // 1_000_000, 8, "0.0001"] for i in range(3 * days)
        ]
        archive.put(
            "um", "fundingRate", symbol, iso(start_ns)[:7], csv(funding, HEADERS["fundingRate"])
        )
    return archive


def _put_day(archive: Archive, symbol: str, day: str, marks, interest, rng) -> None:
    rows = [
        (r["ts_event"], f"{r['open_interest_coins']:.3f}", f"{r['open_interest_usd']:.4f}")
        for r in interest
    ]
    text = csv(metric_rows(symbol, rows), HEADERS["metrics"])
    archive.put("um", "metrics", symbol, day, text)
    bars = [(a["ts_event"], *_path(a["close"], b["close"]), "0", "0") for a, b in pairwise(marks)]
    span = (marks[1]["ts_event"] - marks[0]["ts_event"]) // 1_000_000_000
    every = {60: "1m", 300: "5m", 900: "15m", 3600: "1h"}[span]
    text = csv(kline_rows(bars, span), HEADERS["klines"])
    archive.put("um", "markPriceKlines", symbol, day, text, every)
    first = int(rng.integers(10**6, 10**9))
    trades = [
        (
            first + i,
            r["ts_event"] + int(rng.integers(0, 999)) * 1_000_000,
            f"{r['close']:.1f}",
            size,
            up,
        )
        for i, (r, size, up) in enumerate(
            zip(
                marks[:-1],
                rng.integers(1, 5000, len(marks) - 1) / 1000,
                rng.random(len(marks) - 1) < 0.5,
                strict=True,
            )
        )
    ]
    archive.put("um", "aggTrades", symbol, day, csv(trade_rows(trades), HEADERS["aggTrades"]))


def _path(a: float, b: float) -> tuple[str, str, str, str]:
    cells = [f"{x:.1f}" for x in (a, max(a, b), min(a, b), b)]
    return cells[0], cells[1], cells[2], cells[3]


def _of(table, symbol: str) -> list[dict]:
    return [r for r in table.to_pylist() if r["symbol"] == symbol]


def _between(rows: Sequence[dict], lo: int, hi: int) -> list[dict]:
    return [r for r in rows if lo <= r["ts_event"] < hi]
