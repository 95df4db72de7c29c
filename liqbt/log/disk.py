"""The few things the log does to a disk, each safe to be killed in the middle of."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.errors import AlreadyRunningError
from liqbt.log.objects import ObjectPath

TEMPORARY = ".tmp"
"""Suffix of files that nobody has committed to yet."""


def sha256(data: bytes | memoryview) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_synced(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` and return once it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` are on the disk."""
    if isinstance(folder, ObjectPath):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: Path, data: bytes | memoryview) -> None:
    """Write `path` so that a reader finds the old content or the new, never a part.

    Raises
    ------
    OSError
        It cannot be written; nothing of it is left.
    """
    if isinstance(path, ObjectPath):
        path.put(data)
        return
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the place of `path` in the end; after an error nothing of it is left.

    Raises
    ------
    OSError
        It cannot be written.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def publish_new(path: Path, data: bytes | memoryview) -> None:
    """Write `path` whole or not at all, and never over a file that is there.

    Raises
    ------
    FileExistsError
        `path` is there already.
    """
    if isinstance(path, ObjectPath):
        path.create(data)
        return
    temporary = path.with_name(path.name + TEMPORARY)
    write_synced(temporary, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links; the caller holds the lock
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)
    else:
        temporary.unlink()
    sync_folder(path.parent)


def read_parquet(
    source: Path | bytes,
    columns: list[str] | None = None,
    *,
    holding: tuple[str, str] | None = None,
) -> pa.Table:
    """Read a Parquet file, or its bytes, on the calling thread alone.

    pyarrow's pools may still hold the last reference to a Python buffer when the interpreter ends;
    giving it back then needs the interpreter, and the process dies with SIGABRT after its work was
    done.

    Parameters
    ----------
    source : Path or bytes
        The file, or what is in it.
    columns : list of str, optional
        All by default.
    holding : (str, str), optional
        A column of text and a value: groups of rows that cannot hold it are left out, the rows of
        the others are all there.

    Raises
    ------
    pyarrow.ArrowException, OSError, ValueError
        What pyarrow finds wrong.
    """
    opened: Any = pa.BufferReader(source) if isinstance(source, bytes) else source
    with pq.ParquetFile(opened, pre_buffer=False) as file:
        if holding is None:
            return file.read(columns=columns, use_threads=False)
        groups = [i for i in range(file.num_row_groups) if _may_hold(file, i, *holding)]
        return file.read_row_groups(groups, columns=columns, use_threads=False)


def parquet_parts(file: BinaryIO, rows: int) -> Iterator[pa.Table]:
    """Yield a Parquet file some `rows` at a time; see `read_parquet` for threads and errors."""
    with pq.ParquetFile(file, pre_buffer=False) as opened:
        for batch in opened.iter_batches(rows, use_threads=False):
            yield pa.Table.from_batches([batch])


def _may_hold(file: Any, group: int, name: str, value: str) -> bool:
    """Return whether a group of rows may hold a value, as far as the file says."""
    rows = file.metadata.row_group(group)
    for i in range(rows.num_columns):
        column = rows.column(i)
        if column.path_in_schema == name:
            held = column.statistics
            known = held is not None and held.has_min_max
            return not known or bool(held.min <= value <= held.max)
    return True


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until nobody else does this in `folder`, on this machine; no file is left for it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`; the lock dies with the process. An object store has none.

    Parameters
    ----------
    path : Path
        The file; made where there is none.
    wait : bool
        Whether somebody else is waited for.

    Raises
    ------
    AlreadyRunningError
        Somebody else holds it, and is not waited for.
    """
    if isinstance(path, ObjectPath):
        yield
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise AlreadyRunningError(
                f"another process is writing to {path.parent} (it holds {path.name}): "
                "wait for it to end"
            ) from None
        yield
    finally:
        os.close(handle)
