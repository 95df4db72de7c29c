"""Files of an archive, fetched by several workers and handed over in the order asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.log.disk import locked
from liqbt.sources.archive.session import Limits, RetryError, Session, check_base
from liqbt.sources.archive.task import Fetched, Task

_PROGRESS_BYTES: Final = 1 << 16
_LOCK: Final = "fetch.lock"


class _StoppedError(Exception):
    """Nobody waits for the files any more."""


def fetch_in_order(
    base: str,
    paths: Sequence[str],
    keep: Path,
    *,
    rng: np.random.Generator,
    jobs: int = 4,
    limits: Limits | None = None,
    pause: Callable[[float], bool] | None = None,
) -> Generator[Fetched, None, None]:
    """Yield the files of an archive in the order of `paths`, while later ones are being fetched.

    A file is fetched only after its checksum, and believed only if it agrees with it. One that was
    begun is continued where the server still has the same; one that is whole is not fetched again.
    To stop early, close the iterator: what was received stays for the next time.

    Parameters
    ----------
    base : str
        The archive's address.
    paths : sequence of str
        Places below it, `/` between folders.
    keep : Path
        The folder that files are kept in, under the same paths.
    rng : Generator
        For the random part of waits between attempts; no result depends on it.
    jobs : int
        How many are fetched at once.
    limits : Limits, optional
        How patient to be.
    pause : callable, optional
        Waits so many seconds and returns whether to stop; for tests.

    Raises
    ------
    ConfigError
        The address or a path cannot be one.
    AlreadyRunningError
        Another process fetches into the same folder.
    """
    worker = _Worker(check_base(base), keep, limits or Limits(), rng, pause)
    places = [(path, _place(keep, path)) for path in paths]
    keep.mkdir(parents=True, exist_ok=True)
    with locked(keep / _LOCK), ThreadPoolExecutor(jobs, thread_name_prefix="fetch") as pool:
        futures: list[Future[Fetched]] = []
        try:
            futures += [pool.submit(worker.fetch, path, place) for path, place in places]
            for future in futures:
                yield future.result()
        finally:
            worker.stop()
            pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What the threads of one call share: a session each, one pause for all, one way to stop."""

    def __init__(
        self,
        base: str,
        keep: Path,
        limits: Limits,
        rng: np.random.Generator,
        pause: Callable[[float], bool] | None,
    ) -> None:
        self._base, self._keep, self._limits, self._rng = base, keep, limits, rng
        self._stopped = threading.Event()
        self._pause = self._stopped.wait if pause is None else pause
        self._lock = threading.Lock()
        self._sessions: list[Session] = []
        self._local = threading.local()
        self._not_before = 0.0

    def fetch(self, path: str, place: Path) -> Fetched:
        """Fetch one file, or say why not."""
        task = Task(self._base, path, place, self._limits, self._session())
        tries = 0
        while True:
            reached = task.reached()
            try:
                self._hold_back()
                return task.attempt()
            except RetryError as error:
                tries = 0 if task.reached() - reached >= _PROGRESS_BYTES else tries + 1
                wait = self._wait_s(tries, error)
                if tries >= self._limits.attempts or wait > self._limits.longest_wait_s:
                    return task.failed(f"{error}; given up after {tries} attempts")
                if self._pause(wait):
                    raise _StoppedError from None
            except DataError as error:
                return task.failed(str(error))
            except OSError as error:
                return task.failed(f"{error.filename or place}: {error.strerror or error}")

    def stop(self) -> None:
        """Let every thread come to its end soon."""
        self._stopped.set()
        with self._lock:
            for session in self._sessions:
                session.abort()

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = Session(self._limits)
            with self._lock:
                self._sessions.append(session)
        return session

    def _wait_s(self, tries: int, error: RetryError) -> float:
        with self._lock:
            jitter = float(self._rng.uniform(0.5, 1.0))
        own = min(self._limits.backoff_s * 2.0 ** max(0, tries - 1), self._limits.longest_wait_s)
        if error.after_s is None:
            return own * jitter
        with self._lock:  # who is told to wait speaks for all
            self._not_before = max(self._not_before, time.monotonic() + error.after_s)
        return max(own * jitter, error.after_s)

    def _hold_back(self) -> None:
        wait = self._not_before - time.monotonic()
        if self._stopped.is_set() or (wait > 0 and self._pause(wait)):
            raise _StoppedError


def _place(keep: Path, path: str) -> Path:
    parts = PurePosixPath(path).parts
    plain = all(p not in ("", ".", "..") and p.isprintable() and "\\" not in p for p in parts)
    if not parts or path.startswith("/") or not plain:
        raise ConfigError(f"{path!r} is no place below an archive's address")
    return keep.joinpath(*parts)
