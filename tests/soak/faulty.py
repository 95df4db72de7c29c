"""A disk that fails at its k-th operation: every call by which Python writes is counted."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet as pq

__all__ = ["Disk", "counted", "full", "io_error"]

_CALLS = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir", "open")


class Disk:
    """Counts operations and does something at one of them.

    Attributes
    ----------
    seen : int
        Operations so far.
    at : int
        The operation, from 1, at which `act` is called; 0 is never.
    """

    def __init__(self, at: int, act: Callable[[str], None]) -> None:
        self.seen, self.at, self._act, self.names = 0, at, act, list[str]()

    def step(self, name: str) -> None:
        """Count one operation."""
        self.seen += 1
        self.names.append(name)
        if self.seen == self.at:
            self._act(name)


class _Written:
    """A file whose writes are counted."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> Any:
        self._disk.step("write")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Written:
        self._file.__enter__()
        return self

    def __exit__(self, *why: object) -> Any:
        return self._file.__exit__(*why)

    def __iter__(self) -> Any:
        return iter(self._file)


@contextmanager
def counted(disk: Disk) -> Iterator[None]:
    """Count every operation on the disk meanwhile: `os` calls, opened files, Parquet files."""
    real = {name: getattr(os, name) for name in _CALLS}
    opened, written = io.open, pq.write_table

    def wrap(name: str) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            disk.step(name)
            return real[name](*args, **kwargs)

        return step

    def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+"):
            return opened(file, mode, *args, **kwargs)
        disk.step("create")
        return _Written(opened(file, mode, *args, **kwargs), disk)

    def write_table(table: Any, where: Any, **kwargs: Any) -> None:
        if not hasattr(where, "write"):
            disk.step("parquet")
        written(table, where, **kwargs)

    for name in _CALLS:
        setattr(os, name, wrap(name))
    io.open = builtins.open = open_  # type: ignore[assignment]
    pq.write_table = write_table
    try:
        yield
    finally:
        for name, call in real.items():
            setattr(os, name, call)
        io.open = builtins.open = opened
        pq.write_table = written


def full(name: str) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"<{name}>")


def io_error(name: str) -> None:
    """Fail as a broken disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO), f"<{name}>")
