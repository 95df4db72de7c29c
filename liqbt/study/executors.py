"""Where the tasks of a study run: in this process, in others of this machine, or on a cluster.

One seam for all that is many and independent: trials of a search, cells of a grid, batches of the
validity gate, placebo histories. What a task gives does not depend on where it ran, and results
come in the order of the tasks, so that whoever keeps them writes the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, Protocol, TypeVar

from liqbt.errors import ConfigError, WorkerKilledError

T = TypeVar("T")
R = TypeVar("R")

SERIAL: Final = "serial"
PROCESSES: Final = "processes"
DASK: Final = "dask"


class Executor(Protocol):
    """Maps work over tasks, in their order, as they end; closed early it drops what is left."""

    def __call__(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """Yield what each task gives."""
        ...


def serially(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """Map in this process."""
    yield from map(work, tasks)


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
    one's own. Elsewhere it has to be picklable.

    Parameters
    ----------
    n : int
        Processes; 0: one for each processor.
    """
    count = n or os.cpu_count() or 1
    forked = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forked else None)

    def mapped(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        workers = min(count, len(tasks))
        if workers < 2:
            yield from map(work, tasks)
            return
        pool = ProcessPoolExecutor(workers, context, _begin, (work,))
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:  # few at a time: whoever stops early waits for few
                waiting.append(pool.submit(_one, task))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise WorkerKilledError(
                "a worker process was killed (is memory short?); what is finished is kept, and the "
                "same command goes on from there"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return mapped if count > 1 else serially


def on_dask(address: str = "") -> Executor:
    """Return an executor of a Dask cluster; it needs the extra `cluster`.

    A worker that dies is replaced by the scheduler, and its task is done again elsewhere. Workers
    whose code is another than this one's are refused before anything is sent.

    Parameters
    ----------
    address : str
        Of a scheduler, such as `tcp://10.0.0.1:8786`; empty: a cluster on this machine, one
        process for each processor, for as long as the work takes.
    """

    def mapped(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        client = _client(address)
        try:
            _refuse_other_code(client)
            sent = client.scatter(work, broadcast=True, hash=False)
            waiting: deque[Any] = deque()
            width = 4 * max(len(client.scheduler_info()["workers"]), 1)
            for task in tasks:
                waiting.append(client.submit(_called, sent, task, pure=False))
                if len(waiting) > width:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            client.close()
            if client.cluster is not None:
                client.cluster.close()

    return mapped


def _client(address: str) -> Any:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(
            "executor 'dask': the package 'distributed' is not installed; install liqbt with its "
            "extra 'cluster'"
        ) from None
    if not address:
        return Client(LocalCluster(threads_per_worker=1, dashboard_address=None))
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise ConfigError(f"scheduler '{address}': no Dask scheduler answers ({error})") from None
    if not client.scheduler_info()["workers"]:
        client.close()
        raise ConfigError(f"scheduler '{address}': it has no worker; start one first")
    return client


def _called(work: Callable[[Any], Any], task: Any) -> Any:
    return work(task)


def _refuse_other_code(client: Any) -> None:
    from liqbt.study.identity import code_digest

    own = code_digest()
    for worker, digest in client.run(_worker_digest).items():
        if digest != own:
            raise ConfigError(
                f"worker {worker}: its liqbt has the digest {digest[:12]} and this one {own[:12]}; "
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
