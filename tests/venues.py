"""Four venues on this machine that play a market at the speed at which somebody listens.

Messages are generated in the venues' formats from a seed. The market's clock stands in a file of
eight bytes and goes on with what is sent; a message that nobody is connected for is missed for
good, and whoever connects anew is told the last liquidations that were sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.server
import json
import mmap
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from liqbt.log.store import EventLog, verify
from liqbt.record.venues import VENUES, Asked
from liqbt.types import HOUR_NS, MINUTE_NS, SECOND_NS, Kind

START = 1_764_547_200_000_000_000  # 2025-12-01
USERS = tuple(f"0x{i:040x}" for i in range(1, 4))
SYMBOLS = {
    "binance-um": "BTCUSDT",
    "bybit": "BTCUSDT",
    "okx": "BTC-USDT-SWAP",
    "hyperliquid": "BTC",
}
ON_ITS_WAY_NS = 10 * MINUTE_NS
"""A message that was lost may have been sent so long before its gap: a few are under way."""
PUSHED = (Kind.MARK, Kind.FUNDING, Kind.OPEN_INTEREST, Kind.LIQUIDATION)


@dataclass(frozen=True)
class Message:
    """What a venue pushes at a time; a liquidation is told again after a reconnect."""

    at: int
    venue: str
    text: str
    again: bool = False


def script(minutes: int, seed: int, *, liquidations: float = 1.0) -> list[Message]:
    """Return the messages of a market, in order of time."""
    rng = np.random.default_rng(seed)
    price = 90_000 * np.exp(np.cumsum(rng.normal(0, 5e-4, minutes)))
    out: list[Message] = []
    number = 0
    for i in range(minutes):
        at, mark = START + i * MINUTE_NS, f"{price[i]:.2f}"
        for venue in SYMBOLS:
            if venue != "hyperliquid":  # its context is asked for
                out += [Message(at, venue, text) for text in _marks(venue, i, at, mark)]
            for _ in range(rng.poisson(liquidations)):
                when = at + int(rng.integers(0, MINUTE_NS // 1_000_000)) * 1_000_000
                number += 1
                side, size = int(rng.integers(0, 2)), f"{int(rng.integers(1, 5000)) / 1000:.3f}"
                text = _gone(venue, when, number, side, mark, size)
                out.append(Message(when, venue, text, again=True))
    return sorted(out, key=lambda m: (m.at, m.venue))


def _marks(venue: str, i: int, at: int, mark: str) -> Iterator[str]:
    ms, rate, symbol = at // 1_000_000, f"{(i % 7) * 1e-5:.8f}", SYMBOLS[venue]
    if venue == "binance-um":
        push = {"e": "markPriceUpdate", "E": ms, "s": symbol, "p": mark, "i": mark, "P": mark}
        data = {**push, "r": rate, "T": ms + 1}
        yield json.dumps({"stream": f"{symbol.lower()}@markPrice", "data": data})
    elif venue == "bybit":
        data = {"symbol": symbol, "markPrice": mark}
        if i % 2 == 0:  # a delta has only what changed
            data |= {"openInterest": f"{5000 + i}", "openInterestValue": f"{(5000 + i) * 9e4:.2f}"}
        if i % 60 == 0:
            data |= {"fundingRate": rate, "fundingIntervalHour": "8"}
        kind = "snapshot" if i == 0 else "delta"
        yield json.dumps({"topic": f"tickers.{symbol}", "type": kind, "ts": ms, "data": data})
    else:
        head = {"instId": symbol, "instType": "SWAP", "ts": str(ms)}
        yield _okx("mark-price", {**head, "markPx": mark})
        interest = {"oi": f"{9e5 + i}", "oiCcy": f"{9e3 + i}", "oiUsd": f"{(9e3 + i) * 9e4:.2f}"}
        yield _okx("open-interest", {**head, **interest})
        if i % 60 == 0:
            due = ms // 28_800_000 * 28_800_000
            times = {"fundingTime": str(due), "nextFundingTime": str(due + 28_800_000)}
            yield _okx("funding-rate", {**head, "fundingRate": rate, **times})


def _okx(channel: str, *data: dict[str, Any]) -> str:
    argument = {"channel": channel, "instId": SYMBOLS["okx"]}
    return json.dumps({"arg": argument, "data": list(data)})


def _gone(venue: str, at: int, number: int, side: int, price: str, size: str) -> str:
    ms, symbol = at // 1_000_000, SYMBOLS[venue]
    if venue == "binance-um":
        order = {"s": symbol, "S": ("SELL", "BUY")[side], "o": "LIMIT", "q": size, "p": price}
        order |= {"ap": price, "X": "FILLED", "l": size, "z": size, "T": ms, "n": number}
        data = {"e": "forceOrder", "E": ms + 10, "o": order}
        return json.dumps({"stream": f"{symbol.lower()}@forceOrder", "data": data})
    if venue == "bybit":
        row = {"T": ms, "s": symbol, "S": ("Buy", "Sell")[side], "v": size, "p": price}
        topic = f"allLiquidation.{symbol}"
        return json.dumps({"topic": topic, "type": "snapshot", "ts": ms + 10, "data": [row]})
    if venue == "okx":
        detail = {"side": ("sell", "buy")[side], "posSide": ("long", "short")[side], "bkPx": price}
        detail |= {"sz": size, "bkLoss": "0", "ccy": "", "ts": str(ms)}
        return _okx("liquidation-orders", {"instId": symbol, "details": [detail]})
    user = USERS[number % len(USERS)]
    fill = {"coin": symbol, "px": price, "sz": size, "side": "AB"[side], "time": ms, "tid": number}
    fill["liquidation"] = {"liquidatedUser": user, "markPx": price, "method": "market"}
    other = {"coin": symbol, "px": price, "sz": size, "side": "B", "time": ms, "tid": -number}
    return json.dumps({"channel": "userFills", "data": {"user": user, "fills": [fill, other]}})


class Clock:
    """The market's time, in a file that another process may read."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("<q", START))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> int:
        return int(struct.unpack("<q", self._map[:8])[0])

    def set(self, now: int) -> None:
        """Let it be `now`."""
        self._map[:8] = struct.pack("<q", now)


@dataclass
class Venues:
    """Four venues that play one script to whoever is connected."""

    messages: list[Message]
    clock: Clock
    place: int = 0
    missed: int = 0
    sent: int = 0
    again: int = 0
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    last: dict[str, list[str]] = field(default_factory=lambda: {v: [] for v in SYMBOLS})
    unanswered: Counter[str] = field(default_factory=Counter)
    addresses: dict[str, str] = field(default_factory=dict)
    web: str = ""

    @contextlib.asynccontextmanager
    async def open(self) -> Any:
        """Listen while the context lasts."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _answers(self.clock))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.web = f"http://127.0.0.1:{server.server_address[1]}"
        async with contextlib.AsyncExitStack() as stack:
            for venue in SYMBOLS:

                async def one(socket: ServerConnection, venue: str = venue) -> None:
                    await self._serve(venue, socket)

                opened = await stack.enter_async_context(
                    serve(one, "127.0.0.1", 0, compression=None, close_timeout=1)
                )
                port = next(iter(opened.sockets)).getsockname()[1]
                self.addresses[venue] = f"ws://127.0.0.1:{port}"
            try:
                yield self
            finally:
                server.shutdown()
                server.server_close()

    async def _serve(self, venue: str, socket: ServerConnection) -> None:
        if venue != "binance-um":
            await socket.recv()  # the subscription
        with contextlib.suppress(ConnectionClosed):
            for text in self.last[venue]:
                await socket.send(text)
                self.again += 1
            self.sockets[venue] = socket
            async for text in socket:
                if text == "ping":
                    await socket.send("pong")
        self.sockets.pop(venue, None)

    async def connected(self, *, patience_s: float = 60.0) -> None:
        """Return once somebody listens to each venue."""
        async with asyncio.timeout(patience_s):
            while len(self.sockets) < len(SYMBOLS):
                await asyncio.sleep(0.01)

    async def play(self, count: int, *, wait: bool = True) -> None:
        """Send the next messages; with `wait` only while somebody listens to each venue."""
        for message in self.messages[self.place : self.place + count]:
            if wait:
                await self.connected()
            self.place += 1
            self.clock.set(max(self.clock(), message.at + 50_000_000))
            await self._send(message)

    async def _send(self, message: Message) -> None:
        socket = self.sockets.get(message.venue)
        if socket is None:
            self.missed += 1
            return
        try:
            await socket.send(message.text)
            self.sent += 1
            if message.again:
                self.last[message.venue] = [*self.last[message.venue][-2:], message.text]
            self.unanswered[message.venue] += 1
            if self.unanswered[message.venue] >= 4:
                self.unanswered[message.venue] = 0
                await asyncio.wait_for(await socket.ping(), 20)
        except (ConnectionClosed, TimeoutError):
            self.sockets.pop(message.venue, None)

    async def drop(self, venue: str) -> None:
        """Cut a venue's connection, without a word."""
        socket = self.sockets.pop(venue, None)
        if socket is not None:
            socket.transport.abort()


def interest_at(now: int) -> int:
    """Return the open interest that is answered at a time."""
    return 10_000 + (now - START) // MINUTE_NS


def book_at(now: int, venue: str, levels: int, step: int = 0) -> tuple[list[Any], list[Any]]:
    """Return bids and asks: a level a dollar about 90,000, all of one size that grows with time.

    With a step, levels are summed up to prices further out that are multiples of it.
    """
    size = level_coins(now) * (100 if venue == "okx" else 1)
    sides: tuple[list[Any], list[Any]] = ([], [])
    for side, sign in zip(sides, (-1, 1), strict=True):
        for i in range(levels):
            price = 90_000 + sign * ((i + 1) * step if step else i + 0.5)
            side.append([f"{price}", f"{size * (step or 1):.6f}"])
    return sides


def level_coins(now: int) -> float:
    """Return the coins of a level of the book at a time."""
    return interest_at(now) / 1000


def _answers(clock: Clock) -> type[http.server.BaseHTTPRequestHandler]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = clock()
            ms = now // 1_000_000
            if "/depth" in self.path:
                bids, asks = book_at(now, "binance-um", 1000)
                self._say({"lastUpdateId": 1, "E": ms, "T": ms, "bids": bids, "asks": asks})
                return
            if "/orderbook" in self.path:
                bids, asks = book_at(now, "bybit", 500)
                book = {"s": "BTCUSDT", "b": bids, "a": asks, "ts": ms, "u": 1, "seq": 1, "cts": ms}
                self._say({"retCode": 0, "retMsg": "OK", "result": book, "time": ms})
                return
            if "/books" in self.path:
                bids, asks = ([[*one, "0", "3"] for one in s] for s in book_at(now, "okx", 400))
                book = {"asks": asks, "bids": bids, "ts": f"{ms}"}
                self._say({"code": "0", "msg": "", "data": [book]})
                return
            coins = f"{interest_at(now)}.000"
            self._say({"openInterest": coins, "symbol": "BTCUSDT", "time": now // 1_000_000})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            now = clock()
            if body["type"] == "l2Book":
                step = {4: 10, 3: 100}.get(body.get("nSigFigs"), 0)
                levels = [
                    [{"px": price, "sz": size, "n": 2} for price, size in side]
                    for side in book_at(now, "hyperliquid", 20, step)
                ]
                self._say({"coin": body["coin"], "time": now // 1_000_000, "levels": levels})
                return
            if body["type"] == "metaAndAssetCtxs":
                names = ("ETH", "BTC")
                context = {"funding": "0.0000125", "openInterest": f"{interest_at(now)}.0"}
                context["markPx"] = "90000.0"
                self._say([{"universe": [{"name": n} for n in names]}, [context] * 2])
                return
            which = USERS.index(body["user"])
            price = "80000.5" if which else None
            held = {
                "coin": "BTC",
                "szi": f"{(-1) ** which * (which + 1)}.5",
                "liquidationPx": price,
            }
            self._say({"assetPositions": [{"type": "oneWay", "position": held}], "time": 0})

        def _say(self, value: Any) -> None:
            data = json.dumps(value).encode()
            with contextlib.suppress(ConnectionError):  # who asked was killed
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Answers


def start(log: Path, venues: Venues, clock: Path, *, rotate_ns: int) -> subprocess.Popen[bytes]:
    """Start a recorder of all venues in a process of its own, with the market's clock."""
    told = {"log": str(log), "web": venues.web, "sockets": venues.addresses, "clock": str(clock)}
    code = "import sys, json, venues; venues.child(**json.loads(sys.argv[1]))"
    with log.with_name("said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", code, json.dumps({**told, "rotate_ns": rotate_ns})],
            cwd=Path(__file__).parent,
            stderr=said,
        )


def child(log: str, web: str, sockets: dict[str, str], clock: str, rotate_ns: int) -> None:
    """Record until told to stop."""
    from liqbt.record.recorder import Pace, record

    feeds = []
    for venue, symbol in SYMBOLS.items():
        asked = Asked(
            symbols=(symbol,),
            socket=sockets[venue],
            http=web,
            accounts=USERS if venue == "hyperliquid" else (),
            census_ns=SECOND_NS // 2,
            depth_ns=SECOND_NS // 2,
        )
        feeds.append(VENUES[venue](asked))
    pace = Pace(rotate_ns=rotate_ns, rotate_bytes=1 << 20, ask_ns=SECOND_NS // 4, wait_s=0.05)
    record(
        Path(log),
        feeds,
        pace=pace,
        clock=Clock(Path(clock)),
        say=lambda t: print(t, file=sys.stderr),
    )


async def season(
    folder: Path,
    messages: list[Message],
    *,
    kills: int,
    drops: int,
    seed: int,
    rotate_ns: int,
    away_ns: int = HOUR_NS,
) -> dict[str, Any]:
    """Play a market to a recorder that is killed and cut off at random times; return what was seen.

    It is killed while messages run, and for `away_ns` after that nobody listens.
    """
    rng = np.random.default_rng(seed)
    log, clock_file = folder / "log", folder / "clock"
    venues = Venues(messages, Clock(clock_file))
    seen: dict[str, Any] = {"lines": set(), "commits": []}
    breaks = np.sort(rng.choice(np.arange(200, len(messages) - 200), kills + drops, replace=False))
    killed = set(rng.choice(breaks, kills, replace=False).tolist())
    async with venues.open():
        child_ = start(log, venues, clock_file, rotate_ns=rotate_ns)
        try:
            for place in breaks.tolist():
                await venues.play(max(0, place - venues.place))
                if place not in killed:
                    await venues.drop(str(rng.choice(list(SYMBOLS))))
                    await venues.play(int(rng.integers(1, 50)), wait=False)
                    continue
                running = asyncio.create_task(venues.play(int(rng.integers(20, 200)), wait=False))
                await asyncio.sleep(float(rng.uniform(0, 0.05)))
                child_.send_signal(signal.SIGKILL)
                child_.wait()
                await running
                venues.sockets.clear()
                _look(folder, log, seen)
                until = venues.clock() + away_ns
                left = [m for m in messages[venues.place :] if m.at < until]
                await venues.play(min(len(left), 2000), wait=False)
                child_ = start(log, venues, clock_file, rotate_ns=rotate_ns)
            await venues.play(len(messages) - venues.place)
            await asyncio.sleep(1.0)
            child_.send_signal(signal.SIGINT)
            await asyncio.to_thread(child_.wait, 120)
        finally:
            child_.kill()
            child_.wait()
    error = (folder / "said").read_text()
    assert child_.returncode == 0, error
    seen |= {"missed": venues.missed, "sent": venues.sent, "again": venues.again, "said": error}
    return seen


def _look(folder: Path, log: Path, seen: dict[str, Any]) -> None:
    """Remember what a killed recorder has left: its commits, and every whole line."""
    if (log / "log.json").exists():
        seen["commits"].append([commit.digest for commit in EventLog.open(log).commits()])
    for path in folder.glob("log.recording/*.[pj]*"):
        if path.suffix in (".part", ".jsonl"):
            seen["lines"] |= set(path.read_bytes().split(b"\n")[:-1])


def compare(folder: Path, undisturbed: Path, seen: dict[str, Any]) -> dict[str, Any]:
    """Hold a disturbed log against the undisturbed one; every count of what is wrong must be 0."""
    log, whole = EventLog.open(folder / "log"), EventLog.open(undisturbed / "log")
    now = [commit.digest for commit in log.commits()]
    kept = set()
    for path in folder.glob("log.recording/*.gz"):
        kept |= set(gzip.decompress(path.read_bytes()).split(b"\n"))
    gaps = _gaps(log)
    out: dict[str, Any] = {
        "commits": len(now),
        "gaps": sum(map(len, gaps.values())),
        "hours": round(sum(_length(spans) for spans in gaps.values()) / HOUR_NS, 1),
        "problems": len(verify(folder / "log")),
        "commits lost": sum(now[: len(old)] != old for old in seen["commits"]),
        "lines": len(kept),
        "lines lost": len(seen["lines"] - kept),
        "files refused": len(list(folder.glob("log.recording/*.refused"))),
    }
    events = doubled = strange = lacking = unmarked = 0
    for kind in PUSHED:
        ours, theirs = _rows(log, kind), _rows(whole, kind)
        events += sum(ours.values())
        doubled += sum(max(0, n - theirs[row]) for row, n in ours.items() if row in theirs)
        strange += sum(n for row, n in ours.items() if row not in theirs)
        for row, n in theirs.items():
            if n > ours[row]:
                lacking += n - ours[row]
                unmarked += not any(a - ON_ITS_WAY_NS <= row[2] <= b for a, b in gaps[row[0]])
    told = {"events": events, "told twice": doubled, "unknown to the other": strange}
    return {**out, **told, "missing": lacking, "missing outside gaps": unmarked, **_polled(log)}


def _gaps(log: EventLog) -> dict[str, list[tuple[int, int]]]:
    out: dict[str, list[tuple[int, int]]] = {venue: [] for venue in SYMBOLS}
    for commit in log.commits():
        for text in (commit.source.get("notes") or {}).get("gaps", ()):
            since, until = text.split(": ")[0].split(" to ")
            span = [
                int(np.datetime64(t.rstrip("Z"), "ns").astype(np.int64)) for t in (since, until)
            ]
            venue = str(commit.source["map"]).partition("/")[0]
            out[venue].append((span[0] - 1_000_000, span[1] + 1_000_000))
    return out


def _length(spans: list[tuple[int, int]]) -> int:
    """Return how much time some spans cover together."""
    covered = end = 0
    for since, until in sorted(spans):
        covered += max(0, until - max(since, end))
        end = max(end, until)
    return covered


def _rows(log: EventLog, kind: Kind) -> Counter[tuple[Any, ...]]:
    """Return the pushed events of a kind, and how often each stands in the log."""
    table = log.read(kind)
    rows: Counter[tuple[Any, ...]] = Counter()
    names = [n for n in table.schema.names if n not in ("ts_known", "seq", "span_s", "occurrence")]
    cells = [table[name].to_pylist() for name in names]
    for at, venue, symbol, *rest in zip(*cells, strict=True):
        if _asked_for(venue, kind):
            continue
        rows[venue, symbol, at, *(str(x) for x in rest)] += 1
    return rows


def _asked_for(venue: str, kind: Kind) -> bool:
    polled = {"binance-um": (Kind.OPEN_INTEREST,), "hyperliquid": PUSHED[:3]}
    return kind in polled.get(venue, ())


def _polled(log: EventLog) -> dict[str, int]:
    """Count the answers, and those that say what was not so between question and answer."""
    table = log.read(Kind.OPEN_INTEREST)
    answers = wrong = 0
    for venue, at, known, coins in zip(
        *(table[n].to_pylist() for n in ("venue", "ts_event", "ts_known", "open_interest_coins")),
        strict=True,
    ):
        if _asked_for(venue, Kind.OPEN_INTEREST):
            answers += 1
            wrong += not interest_at(at) <= coins <= interest_at(known)
    held = log.read(Kind.POSITION)
    census = Counter(held["ts_event"].to_pylist())
    known_at = {}
    for at, known in zip(held["ts_event"].to_pylist(), held["ts_known"].to_pylist(), strict=True):
        known_at.setdefault(at, set()).add(known)
    torn = sum(n % len(USERS) != 0 for n in census.values())
    torn += sum(len(times) > census[at] // len(USERS) for at, times in known_at.items())
    told = {"answers": answers, "wrong": wrong, "censuses": len(census), "torn": torn}
    return {**told, **_bands(log)}


def _bands(log: EventLog) -> dict[str, int]:
    """Count the bands of depth, and those that were not so between question and answer.

    A band of Hyperliquid is a difference of two books, between which the size of a level has grown.
    """
    table = log.read(Kind.DEPTH)
    names = ("venue", "side", "ts_event", "ts_known", "low", "high", "depth_coins", "depth_usd")
    wrong = 0
    for venue, side, at, known, low, high, coins, usd in zip(
        *(table[name].to_pylist() for name in names), strict=True
    ):
        prices = 90_000 - side * (np.arange(2500) + 0.5)
        inside = prices[(prices >= low) & (prices < high)]
        least, most = level_coins(at), level_coins(known)
        slack = 1e-6 * most
        if venue == "hyperliquid":
            slack += (np.abs(prices - 90_000) < abs(inside[0] - 90_000)).sum() * (most - least)
        else:
            wrong += not least - 1e-6 <= usd / inside.sum() <= most + 1e-6
        wrong += not len(inside) * least - slack <= coins <= len(inside) * most + slack
    return {"bands": table.num_rows, "bands wrong": wrong}
