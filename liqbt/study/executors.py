"""Where the tasks of a study run: in this process, in others of this machine, or on a cluster.

One seam for all that is many and independent: trials of a search, cells of a grid, batches of the
validity gate, placebo histories. What a task gives does not depend on where it ran, and results
come in the order of the tasks, so that whoever keeps them writes the same bytes.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import pickle
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, Final, Protocol, TypeVar

from liqbt.errors import (
    AlreadyRunningError,
    ConfigError,
    StoppedError,
    WorkerKilledError,
    first_line,
)

T = TypeVar("T")
R = TypeVar("R")

SERIAL: Final = "serial"
PROCESSES: Final = "processes"
DASK: Final = "dask"
_LOOK: Final = 5.0
"""Seconds after which a cluster is asked whether it is there while a task is waited for."""
_PATIENCE: Final = 60.0
"""Seconds that a scheduler may take to answer, or have no worker."""
_TURN: Final = 1.0
"""Seconds until a worker asks again for what another one is at."""
_ONE: Final = threading.Lock()
"""A process does one task at a time, whatever threads a Dask worker has: they share settings."""


class Executor(Protocol):
    """Maps work over tasks, in their order, as they end; closed early it drops what is left."""

    def __call__(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """Yield what each task gives."""
        ...


def serially(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """Map in this process."""
    yield from map(work, tasks)


@contextlib.contextmanager
def begun(found: Iterator[R]) -> Iterator[Iterator[R]]:
    """Give what an executor yields once the first is done: others go on beside the caller.

    After an error nobody is at work any more when it is left.

    Examples
    --------
    >>> with begun(serially(abs, [-1, 2])) as found:
    ...     list(found)
    [1, 2]
    """
    try:
        yield chain(list(islice(found, 1)), found)
    finally:
        if isinstance(found, Generator):
            found.close()


_WORK: Final[list[Any]] = []
"""What a worker process maps: handed over once, when it begins, and not with every task."""


def _begin(work: Any) -> None:
    _WORK[:] = [work]
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """End a worker whose parent was killed: it would keep the parent's locks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one(task: Any) -> Any:
    return _WORK[0](task)


def in_processes(n: int) -> Executor:
    """Return an executor of `n` processes of this machine; this one alone for 1.

    Where processes can be forked, `work` is theirs without being sent: tapes, maps, and code of
    one's own. Elsewhere it has to be picklable. What was under way when a worker was killed is done
    again, a task at a time; a task whose worker is then killed once more ends the mapping.

    Parameters
    ----------
    n : int
        Processes; 0: one for each processor.
    """
    count = n or os.cpu_count() or 1
    forked = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forked else None)

    def pool_of(workers: int, work: Any) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, context, _begin, (work,))

    def alone(work: Callable[[T], R], task: T) -> R:
        with pool_of(1, work) as pool:
            try:
                found: R = pool.submit(_one, task).result()
                return found
            except BrokenProcessPool:
                raise _killed(
                    "a worker process was killed, and again with no other beside it"
                ) from None

    def mapped(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        workers = min(count, len(tasks))
        if workers < 2:
            yield from map(work, tasks)
            return
        pool, left = pool_of(workers, work), deque(tasks)
        waiting: deque[tuple[T, Future[R]]] = deque()
        try:
            while left or waiting:
                try:  # few at a time: whoever stops early waits for few
                    while left and len(waiting) <= 2 * workers:
                        waiting.append((left[0], pool.submit(_one, left[0])))
                        left.popleft()
                    found = waiting[0][1].result()
                except BrokenProcessPool:
                    pool.shutdown(wait=True)
                    while waiting:
                        task, future = waiting.popleft()
                        broken = isinstance(future.exception(), BrokenProcessPool)
                        yield alone(work, task) if broken else future.result()
                    pool = pool_of(workers, work)
                else:
                    waiting.popleft()
                    yield found
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return mapped if count > 1 else serially


def _killed(what: str) -> WorkerKilledError:
    return WorkerKilledError(
        f"{what} (is memory short?); what is finished is kept, and the same command goes on from "
        "there"
    )


def going_on(
    executor: Executor, work: Callable[[T], R], tasks: Sequence[T], lost: Callable[[T, str], R]
) -> Iterator[R]:
    """Map as an executor does, and go on behind a task whose worker is killed.

    Parameters
    ----------
    executor, work, tasks
        What is mapped, and where.
    lost : callable
        What such a task gives, told the task and why.
    """
    done = 0
    while done < len(tasks):
        try:
            for found in executor(work, tasks[done:]):
                done += 1
                yield found
        except WorkerKilledError as error:
            yield lost(tasks[done], str(error))
            done += 1


def on_dask(address: str = "") -> Executor:
    """Return an executor of a Dask cluster; it needs the extra `cluster`.

    A worker that dies is replaced by the scheduler, and its task is done again elsewhere; a task
    whose workers die again and again ends the mapping. Workers whose code is another than this
    one's are refused, before anything is sent and whenever they join.

    Parameters
    ----------
    address : str
        Of a scheduler, such as `tcp://10.0.0.1:8786`; empty: a cluster on this machine, one
        process for each processor, from the first mapping on until this process ends.
    """
    held: list[Any] = []

    def mapped(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        if not tasks:
            return
        if not held or held[0].status != "running":
            held[:] = [_client(address)]
            atexit.register(_close, held[0])
        try:
            yield from _on_cluster(held[0], work, tasks)
        except _LostError as lost:
            raise StoppedError(
                f"the Dask scheduler {address or 'of this machine'} {lost}; what is finished is "
                "kept, and the same command goes on from there"
            ) from None

    return mapped


class _LostError(Exception):
    """A cluster does nothing any more; says why."""


def _on_cluster(client: Any, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    from distributed.protocol.pickle import dumps

    own = _refuse_other_code(client)
    left, waiting, sent = deque(tasks), deque[Any](), dumps(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is large
        # not scattered: the scheduler can give it to workers again when all that had it are gone
        shared = _asked(client, client.submit, pickle.loads, sent, pure=False)
    try:
        while left or waiting:
            width = 4 * max(_workers(client), 1)
            while left and len(waiting) < width:
                task = left.popleft()
                waiting.append(
                    _asked(client, client.submit, _called, shared, own, task, pure=False)
                )
            found = _result(client, waiting[0])
            waiting.popleft()
            yield found
    finally:
        if client.status == "running":
            client.cancel([shared, *waiting])


def _asked(client: Any, call: Callable[..., Any], *words: Any, **options: Any) -> Any:
    """Return what a call of a client gives; of a scheduler that is gone it raises many things."""
    try:
        return call(*words, **options)
    except Exception as error:
        if client.status == "running" and not isinstance(error, OSError | CancelledError):
            raise
        raise _gone(client, error) from None


def _workers(client: Any) -> int:
    """Return how many workers a cluster has."""
    return len(
        _asked(client, lambda: client.sync(client.scheduler.ncores, callback_timeout=_PATIENCE))
    )


def _result(client: Any, future: Any) -> Any:
    """Return what a task gave: its own error is raised, and a cluster that is gone is noticed."""
    from distributed import KilledWorker

    seen = time.monotonic()
    while True:
        try:  # what is done is fetched, which takes as long as it is large
            return future.result(timeout=_PATIENCE if future.done() else _LOOK)
        except KilledWorker:
            raise _killed("the workers of a task were killed, one after the other") from None
        except Exception as error:
            if future.status == "error":
                raise
            if not isinstance(error, TimeoutError):
                raise _gone(client, error) from None
        if _workers(client):
            seen = time.monotonic()
        elif time.monotonic() - seen > _PATIENCE:
            raise _left(client, f"has had no worker for {_PATIENCE:g} s")


def _gone(client: Any, error: Exception) -> _LostError:
    reason = getattr(error, "reason", "") or type(error).__name__
    return _left(client, f"no longer answers ({reason})")


def _left(client: Any, why: str) -> _LostError:
    """Leave a cluster, without all that its library would say of it."""
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(logging.CRITICAL), contextlib.suppress(Exception):
        client.close(timeout=_LOOK)
    return _LostError(why)


def _client(address: str) -> Any:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(
            "executor 'dask': the package 'distributed' is not installed; install liqbt with its "
            "extra 'cluster'"
        ) from None
    if not address:
        quiet = logging.CRITICAL  # a killed worker is no matter: its task is done again
        return Client(
            LocalCluster(threads_per_worker=1, dashboard_address=None, silence_logs=quiet)
        )
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise ConfigError(f"scheduler '{address}': no Dask scheduler answers ({error})") from None
    if not client.nthreads():
        client.close()
        raise ConfigError(f"scheduler '{address}': it has no worker; start one first")
    return client


def _close(client: Any) -> None:
    cluster = client.cluster
    client.close()
    if cluster is not None:
        cluster.close()


def _called(work: Callable[[Any], Any], own: str, task: Any) -> Any:
    _refuse_digest("this worker", _worker_digest(), own)  # it may have joined since all were asked
    while True:
        try:
            with _ONE:
                return work(task)
        except AlreadyRunningError:  # on another worker, for a command that was killed
            time.sleep(_TURN)


def _refuse_other_code(client: Any) -> str:
    """Return the digest of this code, which that of every worker is held against."""
    own = _worker_digest()
    for worker, digest in _asked(client, client.run, _worker_digest, on_error="return").items():
        if isinstance(digest, OSError):  # it died meanwhile
            continue
        if isinstance(digest, Exception):
            raise ConfigError(
                f"worker {worker}: it cannot say which liqbt it has ({first_line(digest)}); "
                "expected the same code everywhere"
            )
        _refuse_digest(f"worker {worker}", digest, own)
    return own


def _refuse_digest(who: str, digest: str, own: str) -> None:
    if digest != own:
        raise ConfigError(
            f"{who}: its liqbt has the digest {digest[:12]} and that of the command {own[:12]}; "
            "expected the same code everywhere"
        )


def _worker_digest() -> str:
    from liqbt.study.identity import code_digest

    return code_digest()


def executor_of(text: str, scheduler: str = "") -> Executor:
    """Return the executor that a name means: `serial`, `processes:N`, `processes` or `dask`.

    Parameters
    ----------
    text : str
        The name; without a number `processes` is one for each processor.
    scheduler : str
        Address of a Dask scheduler; empty: none.

    Raises
    ------
    ConfigError
        If there is no such executor, or a scheduler is named for another than `dask`.

    Examples
    --------
    >>> list(executor_of("serial")(abs, [-1, 2]))
    [1, 2]
    >>> executor_of("threads")
    Traceback (most recent call last):
    ...
    liqbt.errors.ConfigError: executor 'threads': expected serial, processes, processes:N or dask
    """
    kind, colon, count = text.partition(":")
    if scheduler and kind != DASK:
        raise ConfigError(f"executor '{text}': a scheduler's address goes with the executor 'dask'")
    if kind == PROCESSES and (not colon or (count.isdecimal() and int(count) > 0)):
        return in_processes(int(count or 0))
    if text == SERIAL:
        return serially
    if text == DASK:
        return on_dask(scheduler)
    raise ConfigError(f"executor '{text}': expected serial, processes, processes:N or dask")
