"""Streams out of plain, gzipped and zipped files that give no more than they may."""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from liqbt.errors import DataError, reason_of

BROKEN: Final = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)
"""What reading a truncated or damaged stream raises."""


def magic_of(path: Path) -> bytes:
    """Return the first four bytes of a file, which tell how it is packed.

    Raises
    ------
    DataError
        It is empty.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError(f"{path} is empty")
    return magic


def opener_of(path: Path, magic: bytes, max_bytes: int) -> Callable[[], Any]:
    """Return a function that opens what `path` holds as a stream of at most `max_bytes`.

    Raises
    ------
    DataError
        It is a zip without a member. What opening and reading find wrong, they raise.
    """
    if magic[:2] == b"\x1f\x8b":
        return lambda: _limited(cast(IO[bytes], gzip.open(path, "rb")), path, max_bytes)
    if magic == b"PK\x03\x04":
        return lambda: _zip_member(path, max_bytes)
    if magic[:2] == b"PK":
        raise DataError(f"{path} is a zip without exactly one member")
    return lambda: _limited(path.open("rb"), path, max_bytes)


@contextmanager
def open_stream(path: Path, max_bytes: int) -> Iterator[Any]:
    """Open what a plain, gzipped or zipped file holds as one stream of at most `max_bytes`.

    Raises
    ------
    DataError
        The file cannot be read, is empty, packed badly, truncated or damaged, or larger than that;
        also while the stream is read inside the `with` block.
    """
    try:
        with opener_of(path, magic_of(path), max_bytes)() as stream:
            yield stream
    except BROKEN as error:
        raise DataError(f"{path} is truncated or damaged: {reason_of(error)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


@contextmanager
def _zip_member(path: Path, max_bytes: int) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
            if len(members) != 1:
                raise DataError(f"{path} holds {len(members)} files: exactly one is expected")
            name = members[0].filename
            if name.startswith(("/", "\\")) or ".." in Path(name.replace("\\", "/")).parts:
                raise DataError(f"{path} holds {name!r}, a path that leaves its folder")
            if not name.lower().endswith((".csv", ".txt")):
                raise DataError(f"{path} holds {name!r}: a .csv is expected")
            if members[0].file_size > max_bytes:
                raise DataError(f"{path} expands to more than {max_bytes} bytes")
            with archive.open(members[0]) as member, _limited(member, path, max_bytes) as stream:
                yield stream
    except (zipfile.BadZipFile, RuntimeError, UnicodeError) as error:
        # BadZipFile: the directory or a checksum is wrong. RuntimeError: a member is encrypted, or
        # packed in a way that Python cannot unpack. UnicodeError: a member's name says that it is
        # UTF-8 and is not.
        raise DataError(f"{path} is a damaged or locked zip: {reason_of(error)}") from None


def _limited(stream: IO[bytes], path: Path, max_bytes: int) -> io.BufferedReader:
    return io.BufferedReader(_Limited(stream, path, max_bytes), 1 << 20)


class _Limited(io.RawIOBase):
    """A stream that refuses to give more than it may."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream, self._path, self._left, self._max = stream, path, max_bytes, max_bytes

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` and return how many bytes that took."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._path} expands to more than {self._max} bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class Utf8Stream(io.RawIOBase):
    """A stream in which bytes that are no UTF-8 have become U+FFFD, so that cells can be named."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ready = b""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` and return how many bytes that took."""
        while not self._ready:
            data = self._stream.read(1 << 16)
            self._ready = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        given = self._ready[: len(buffer)]
        self._ready = self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)
