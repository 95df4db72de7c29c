"""A Dask cluster and commands on it, each a process of its own, to be killed.

They are forked of a process that has imported this module and done nothing: of one that has used
Dask before, a fork waits for ever for a thread that it does not have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import distributed
from undrawn import not_rendered

from liqbt.cli import main
from liqbt.errors import StoppedError
from liqbt.report.pages import run as report_page
from liqbt.search import grid
from liqbt.study import executors, kept, run
from liqbt.validity import campaign, validate

__all__ = ["Cluster", "noted", "until"]
_LOADED = (report_page, grid, validate)
"""What commands import when they are called: here once, for all of them."""


class Cluster:
    """A scheduler and two workers on this machine, in processes that are added to `begun`."""

    def __init__(self, folder: Path, begun: list[Any]) -> None:
        self.folder, self.begun = folder, begun
        self.scheduler = self._begun(_scheduler, folder)
        self.address = until((folder / "address").read_text, (folder / "address").is_file)
        self.workers = [self._begun(_worker, folder, self.address, i) for i in range(2)]
        for i in range(2):
            until((folder / f"{i}").is_file)

    def command(self, *words: object) -> Any:
        """Begin a command on the cluster, of which `said` keeps what it says."""
        words = (*words, "--executor", "dask", "--scheduler", self.address)
        return self._begun(_command, self.folder, [str(word) for word in words])

    def mapping(self, look: float, patience: float) -> Any:
        """Begin to sleep on the cluster; `begun` is there then, and `said` when that is stopped."""
        return self._begun(_mapping, self.folder, self.address, look, patience)

    def _begun(self, work: Callable[..., None], *words: object) -> Any:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=_alone, args=(self.folder.parent / "done", work, *words))
        with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
            process.start()  # without it, the process that is forked cannot import this module
        self.begun.append(process)
        return process


def until(found: Callable[[], Any], true: Callable[[], object] | None = None) -> Any:
    """Return what a function gives as soon as it, or another one, is true."""
    end = time.monotonic() + 120.0
    while not (true or found)():
        assert time.monotonic() < end
        time.sleep(0.01)
    return found()


def noted(path: Path, patch: Callable[[Any, str, Any], object] = setattr) -> None:
    """Write a line to a file for each cell, market or batch that this process finishes."""

    def note(module: Any, name: str, said: Callable[..., object]) -> None:
        work = getattr(module, name)

        def noting(*args: Any, **options: Any) -> Any:
            found = work(*args, **options)
            with path.open("a") as file:
                file.write(f"{said(*args)}\n")
            return found

        noting.__module__, noting.__qualname__ = work.__module__, work.__qualname__
        patch(module, name, noting)

    note(run, "_execute", lambda work, *_: work.run_id)
    note(kept.KeptMarkets, "_made", lambda _, __, named: named)
    note(campaign, "one_batch", lambda task: task[0].batch)


def _alone(done: Path, work: Callable[..., None], *words: object) -> None:
    noted(done)
    not_rendered(setattr)
    campaign._EVERY = 0.0  # else a fast machine is done before a second is
    os.environ.pop("LIQBT_DATA", None)
    work(*words)


def _scheduler(folder: Path) -> None:
    async def served() -> None:
        async with distributed.Scheduler(
            host="127.0.0.1", port=0, dashboard=False, dashboard_address=":0"
        ) as it:
            (folder / "address.part").write_text(it.address)
            (folder / "address.part").rename(folder / "address")
            await it.finished()

    logging.disable()
    asyncio.run(served())


def _worker(folder: Path, address: str, number: int) -> None:
    async def served() -> None:
        async with distributed.Worker(address, nthreads=1, local_directory=str(folder)) as it:
            (folder / f"{number}").touch()
            await it.finished()

    logging.disable()
    asyncio.run(served())


def _command(folder: Path, words: list[str]) -> None:
    sys.argv = ["liqbt", *words]
    with (
        (folder / "said").open("w") as said,
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(None),
    ):
        logging.basicConfig()
        main()


def _mapping(folder: Path, address: str, look: float, patience: float) -> None:
    executors._LOOK, executors._PATIENCE = look, patience  # type: ignore[misc]
    try:
        for _ in executors.on_dask(address)(time.sleep, [0.2] * 50):
            (folder / "begun").touch()
    except StoppedError as error:
        (folder / "said").write_text(str(error))
