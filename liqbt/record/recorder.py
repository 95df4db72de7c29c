"""Listen, ask, write down, commit; and say when nobody listened."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.config import MAX_BAD
from liqbt.errors import AlreadyRunningError, ConfigError, DataError, LogError, RefusedByLogError
from liqbt.ingest.recordings import RECORDING
from liqbt.log.disk import locked
from liqbt.log.objects import ObjectPath, place_of
from liqbt.log.store import EventLog
from liqbt.record.spool import REFUSED, Spool, left_over, put_away
from liqbt.record.venues import Feed, Question, told
from liqbt.study.ingest import ingest_one
from liqbt.study.readers import open_reader
from liqbt.types import MINUTE_NS, SECOND_NS, Ns

_QUEUE: Final = 64
"""Messages that wait in memory; where more come, they wait at the venue."""
_FULL: Final = 4
"""Full files that wait for their commit; where more come, nothing is read until one is done."""
_MOST: Final = 64 << 20
_ANSWER_S: Final = 10.0
_PING_S: Final = 20.0
_LONGEST_WAIT_S: Final = 30.0
_AWAY: Final = "the recorder did not run"

Clock = Callable[[], Ns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things are done.

    Attributes
    ----------
    rotate_ns, rotate_bytes : int
        A file is committed when it is so old or so large.
    ask_ns : int
        How often a venue is asked what it does not push.
    silent_ns : int
        A connection that says nothing for so long is given up.
    wait_s : float
        Before the first new try of a connection that was lost; doubled up to half a minute.
    """

    rotate_ns: Ns = 15 * MINUTE_NS
    rotate_bytes: int = 64 << 20
    ask_ns: Ns = 10 * SECOND_NS
    silent_ns: Ns = MINUTE_NS
    wait_s: float = 0.5


@dataclass(slots=True)
class Tally:
    """What a recorder has done: messages, events, commits, gaps, files that were refused."""

    messages: int = 0
    events: int = 0
    commits: int = 0
    gaps: int = 0
    refused: int = 0


class _RefusedError(Exception):
    """What a venue said to a subscription."""


def record(
    log_dir: Path,
    feeds: Sequence[Feed],
    *,
    pace: Pace | None = None,
    keep: bool = True,
    seconds: float | None = None,
    clock: Clock = time.time_ns,
    say: Callable[[str], None] = lambda _: None,
    watch: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Record venues into an event log until SIGINT or SIGTERM, or for some seconds.

    Lines wait in `LOG.recording` until they are committed, and stay there, packed, with `keep`.
    What a recorder that was killed had written is committed first. Times at which a venue was not
    heard are in the commits' notes (`gaps`).

    Parameters
    ----------
    log_dir : Path
        The log; made where there is none.
    feeds : sequence of Feed
        What is recorded.
    pace : Pace, optional
        How often things are done.
    keep : bool
        Whether lines that are in the log are kept as they came.
    seconds : float, optional
        When to end.
    clock : callable
        The time of receipt, ns UTC.
    say, watch : callable
        Told a sentence when something happens, and every second how much was done.

    Raises
    ------
    ConfigError
        The extra `record` is not installed.
    DataError
        A venue refuses what it is asked for, the first time that it is asked.
    LogError
        The log cannot be written; what was received waits beside it.
    AlreadyRunningError
        Somebody else records into this log.
    """
    try:
        import websockets.asyncio.client  # noqa: F401
    except ImportError:
        raise ConfigError(
            "recording needs the extra `record`: pip install 'liqbt[record]'"
        ) from None
    if isinstance(place_of(log_dir), ObjectPath):
        raise ConfigError(
            f"{place_of(log_dir)}: a recording is written into a folder of this machine, since its "
            "lock is one; `liqbt ingest` reads its files into a log elsewhere"
        )
    log_dir = log_dir.resolve()
    folder = log_dir.with_name(log_dir.name + ".recording")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock"):
            one = _Recorder(log_dir, folder, feeds, pace or Pace(), clock, say, keep=keep)
            asyncio.run(one.run(seconds, watch))
            return one.tally
    except OSError as error:
        raise LogError(f"cannot write to {folder}: {error.strerror or error}") from None


class _Recorder:
    def __init__(
        self,
        log_dir: Path,
        folder: Path,
        feeds: Sequence[Feed],
        pace: Pace,
        clock: Clock,
        say: Callable[[str], None],
        *,
        keep: bool,
    ) -> None:
        self._log_dir, self._folder, self._feeds, self._pace = log_dir, folder, feeds, pace
        self._clock, self._say, self._keep = clock, say, keep
        self._spools = {feed.venue: Spool(folder, feed.venue) for feed in feeds}
        self._full: asyncio.Queue[Path] = asyncio.Queue(_FULL)
        self._heard: dict[str, Ns] = {}
        self._thread = ThreadPoolExecutor(1, "commit")  # questions do not make it wait
        self.tally = Tally()

    async def run(self, seconds: float | None, watch: Callable[[Tally], None]) -> None:
        """Record until told to stop; commit what is left."""
        for path in left_over(self._folder):
            await self._aside(self._commit, path)
        self._heard = await self._aside(self._last_heard)
        committing = asyncio.create_task(self._commits())
        working = [asyncio.create_task(self._tick(watch))]
        working += [asyncio.create_task(self._listen(f)) for f in self._feeds if f.socket]
        working += [asyncio.create_task(self._ask(f, q)) for f in self._feeds for q in f.questions]
        try:
            async with _stopped(seconds) as stop:
                await asyncio.wait([*working, committing, stop], return_when="FIRST_COMPLETED")
        finally:
            await _cancelled(working)
            await self._end(committing)
            self._thread.shutdown()
        for task in (*working, committing):
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _end(self, committing: asyncio.Task[None]) -> None:
        for spool in self._spools.values():
            path = spool.close()
            while path is not None and not committing.done():
                with contextlib.suppress(asyncio.QueueFull):
                    self._full.put_nowait(path)
                    break
                await asyncio.sleep(0.05)
        emptied = asyncio.create_task(self._full.join())
        await asyncio.wait([emptied, committing], return_when="FIRST_COMPLETED")
        await _cancelled([emptied, committing])

    async def _write(self, venue: str, text: str, received: Ns) -> None:
        spool = self._spools[venue]
        spool.write(received, text)
        if spool.size >= self._pace.rotate_bytes:
            await self._rotate(spool)

    async def _rotate(self, spool: Spool) -> None:
        path = spool.close()
        if path is not None:
            await self._full.put(path)

    async def _tick(self, watch: Callable[[Tally], None]) -> None:
        while True:
            await asyncio.sleep(1.0)
            for spool in self._spools.values():
                spool.sync()
                # the first commit comes early: what is wrong is told while somebody looks
                age = self._pace.rotate_ns if self.tally.commits else MINUTE_NS
                if spool.first_ns and self._clock() - spool.first_ns >= age:
                    await self._rotate(spool)
            watch(self.tally)

    async def _gap(self, venue: str, reason: str, since: Ns, until: Ns) -> None:
        await self._write(venue, json.dumps({"gap": reason, "since": since}), until)
        self.tally.gaps += 1

    async def _listen(self, feed: Feed) -> None:
        """Write down what a venue pushes, on one connection after another."""
        since, reason, first = self._heard.get(feed.venue, 0), _AWAY, True
        wait = self._pace.wait_s
        while True:
            began = since
            try:
                async with contextlib.aclosing(self._messages(feed)) as messages:
                    async for received, text in messages:
                        if reason and since:
                            await self._gap(feed.venue, reason, since, received)
                        since, reason, wait = received, "", self._pace.wait_s
                        if text:
                            await self._write(feed.venue, text, received)
                            self.tally.messages += 1
            except _RefusedError as error:
                if first:
                    raise DataError(f"{feed.venue} refuses a subscription: {error}") from None
                reason = f"refused: {error}"
            except (OSError, EOFError) as error:
                reason = reason if since == began and reason else _words(error)
            first = False
            self._say(f"{feed.venue}: not connected ({reason}); again in {wait:.3g} s")
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _messages(self, feed: Feed) -> AsyncGenerator[tuple[Ns, str]]:
        """Yield the data of one connection with its time of receipt, until the connection ends.

        Of a venue that is often silent, a word about the connection is yielded as empty text.

        Raises
        ------
        OSError
            The connection cannot be made, is lost, or is silent.
        _RefusedError
            The venue refuses a subscription.
        """
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        silent, loop = self._pace.silent_ns / SECOND_NS, asyncio.get_running_loop()
        try:
            async with (
                connect(feed.socket, max_queue=_QUEUE, max_size=_MOST, close_timeout=1) as socket,
                _pinging(socket, feed.ping),
            ):
                for text in feed.subscriptions:
                    await socket.send(text)
                until = loop.time() + silent
                while True:
                    async with asyncio.timeout_at(until):
                        text = str(await socket.recv(decode=True))
                    received = self._clock()
                    what, why = told(text)
                    if what == "refused":
                        raise _RefusedError(why)
                    if what == "data" or not feed.steady:
                        until = loop.time() + silent
                        yield received, text.replace("\n", " ") if what == "data" else ""
        except TimeoutError:
            raise OSError(f"silent for {silent:g} s") from None
        except WebSocketException as error:
            raise OSError(f"{error}") from None

    async def _ask(self, feed: Feed, question: Question) -> None:
        """Write down what a venue answers to one question."""
        since, reason, first = self._heard.get(feed.venue, 0), _AWAY, True
        every = (question.every_ns or self._pace.ask_ns) / SECOND_NS
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            asked, wait = self._clock(), 0.0
            try:
                answers = [
                    await asyncio.to_thread(_answer, feed.http + path, body)
                    for path, body in question.requests
                ]
                data = question.kept(answers)
            except _NO_ANSWER as error:
                told_, wait = _words(error), _wait_of(error)
                if first and _is_refusal(error):
                    raise DataError(f"{feed.venue} refuses {question.name}: {told_}") from None
                if not reason:
                    self._say(f"{feed.venue}: no {question.name} ({told_})")
                reason = reason or f"no {question.name}: {told_}"
            else:
                received = self._clock()
                if reason and since:
                    await self._gap(feed.venue, f"{question.name}: {reason}", since, received)
                line = {"poll": question.name, "asked": asked, "data": data}
                await self._write(feed.venue, json.dumps(line), received)
                since, reason = received, ""
                self.tally.messages += 1
            first = False
            due = max(due + every, loop.time() + wait)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _commits(self) -> None:
        while True:
            path = await self._full.get()
            await self._aside(self._commit, path)
            self._full.task_done()

    async def _aside(self, do: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do, *arguments)

    def _commit(self, path: Path) -> None:
        """Read a full file into the log; what the log refuses stays beside it, and is told."""
        venue = path.name.rpartition("-")[0]
        reader = next((f.reader for f in self._feeds if f.venue == venue), f"{venue}/{RECORDING}")
        try:
            done = _patiently(
                lambda: ingest_one(
                    self._log_dir, open_reader(reader), path, max_bad=MAX_BAD, once=True
                )
            )
        except (DataError, RefusedByLogError, ConfigError) as error:
            path.rename(path.with_suffix(REFUSED))
            self.tally.refused += 1
            self._say(f"{path.name} is not in the log: {error}")
            return
        put_away(path, keep=self._keep)
        self.tally.commits += done.added
        self.tally.events += done.events if done.added else 0

    def _last_heard(self) -> dict[str, Ns]:
        """Return when each venue was last heard by a recorder, as far as the log knows."""
        names = {f"{feed.venue}/{RECORDING}": feed.venue for feed in self._feeds}
        heard: dict[str, Ns] = {}
        for commit in EventLog.open_or_create(self._log_dir).standing():
            venue = names.get(str(commit.source.get("map")))
            if venue is not None:
                last = [segment.known_ns[1] for segment in commit.segments]
                heard[venue] = max([heard.get(venue, 0), *last])
        return heard


_NO_ANSWER: Final = (OSError, ValueError, LookupError, TypeError)
"""What no answer, and an answer of another shape, raise."""


def _answer(address: str, body: Any) -> Any:
    """Return the JSON at an address; with a body it is posted."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "liqbt"}
    request = urllib.request.Request(address, data, headers)
    with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
        return json.loads(answer.read(_MOST))


def _is_refusal(error: BaseException) -> bool:
    asked = isinstance(error, urllib.error.HTTPError) and error.code in (400, 404, 422)
    shape = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
    return asked or shape


def _wait_of(error: BaseException) -> float:
    """Return for how long a venue wants to be left alone, at most five minutes."""
    if not isinstance(error, urllib.error.HTTPError) or error.code not in (418, 429):
        return 0.0
    text = str(error.headers.get("Retry-After", ""))
    return min(300.0, float(text)) if text.isdigit() else _LONGEST_WAIT_S


def _words(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _patiently(do: Callable[[], Any]) -> Any:
    """Return what `do` does once nobody else writes to the log, for a minute."""
    for _ in range(60):
        try:
            return do()
        except AlreadyRunningError:
            time.sleep(1.0)
    return do()


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _pinging(socket: Any, text: str) -> AsyncIterator[None]:
    async def ping() -> None:
        with contextlib.suppress(Exception):  # who receives hears of it
            while text:
                await asyncio.sleep(_PING_S)
                await socket.send(text)

    task = asyncio.create_task(ping())
    try:
        yield
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def _stopped(seconds: float | None) -> AsyncIterator[asyncio.Task[Any]]:
    """Give a task that ends with SIGINT, SIGTERM, or after some seconds."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    before: Mapping[int, Any] = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    handled = []
    for number in before:
        with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread
            loop.add_signal_handler(number, event.set)
            handled.append(number)
    if seconds is not None:
        loop.call_later(seconds, event.set)
    task = asyncio.create_task(event.wait())
    try:
        yield task
    finally:
        task.cancel()
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
