"""A value whose arrays stay in its file: what is kept of many markets is not held in memory.

A file is the SHA-256 of the rest, two lengths, the sizes of the arrays, the pickled value without
them, and the arrays, each from a multiple of 64 bytes on. It is read by whoever wrote it, or by the
same command when it goes on: nobody else's file is ever opened.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import pickle
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from liqbt.log.disk import replacing

_DIGEST: Final = 32
_LENGTH: Final = 8
_HEAD: Final = _DIGEST + 2 * _LENGTH
_ALIGN: Final = 64


def write_mapped(path: Path, value: Any) -> None:
    """Write a value whole or not at all, and return once it is on the disk.

    Parameters
    ----------
    path : Path
        The file.
    value : object
        Anything that can be pickled; its contiguous arrays are written as they lie in memory.

    Raises
    ------
    OSError
        It cannot be written; nothing of it is left.
    """
    parts = _parts(value)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    with replacing(path) as file:
        file.write(digest.digest())
        file.writelines(parts)


def mapped(folder: Path, value: Any) -> Any:
    """Return a value, its arrays in a file that has no name and ends with the last of them.

    What cannot be pickled, such as what code of one's own may issue, is returned as it is.

    Parameters
    ----------
    folder : Path
        On the disk that the file is to lie on.
    value : object
        As for `write_mapped`.

    Raises
    ------
    OSError
        It cannot be written; names the folder.
    """
    try:
        parts = _parts(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return value
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(_DIGEST))
            file.writelines(parts)
            file.flush()
            return _loaded(_mapping(file))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def give_back() -> None:
    """Give what was freed back to the system: glibc keeps what lies between what is still held."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _parts(value: Any) -> list[bytes | memoryview]:
    """Return what a file holds behind its digest."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    raw = [array.raw() for array in arrays]
    sizes = pickle.dumps([(each.nbytes, each.readonly) for each in raw])
    lengths = (len(sizes).to_bytes(_LENGTH), len(head).to_bytes(_LENGTH))
    parts: list[bytes | memoryview] = [*lengths, sizes, head]
    at = _HEAD + len(sizes) + len(head)
    for each in raw:
        parts += [bytes(-at % _ALIGN), each]
        at += -at % _ALIGN + each.nbytes
    return parts


def read_mapped(path: Path) -> Any:
    """Return a written value, its arrays mapped; None where it is not there, or not whole.

    What is written into its arrays is in this process alone, and not in the file.

    Raises
    ------
    OSError
        It is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            held = _mapping(file)
    except (FileNotFoundError, ValueError):  # an empty file cannot be mapped
        return None
    if len(held) < _HEAD or hashlib.sha256(held[_DIGEST:]).digest() != held[:_DIGEST]:
        return None
    return _loaded(held)


def _mapping(file: Any) -> memoryview:
    """Map a file; Python keeps it open as long as it is mapped, so that many may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _loaded(held: memoryview) -> Any:
    sizes, head = (int.from_bytes(held[at : at + _LENGTH]) for at in (_DIGEST, _DIGEST + _LENGTH))
    ends = (_HEAD, _HEAD + sizes, _HEAD + sizes + head)
    said = pickle.loads(held[ends[0] : ends[1]])  # own bytes
    return pickle.loads(held[ends[1] : ends[2]], buffers=_arrays(held, ends[2], said))


def _arrays(held: memoryview, at: int, sizes: list[tuple[int, bool]]) -> Iterator[memoryview]:
    for size, readonly in sizes:
        at += -at % _ALIGN
        array = held[at : at + size]
        yield array.toreadonly() if readonly else array
        at += size
