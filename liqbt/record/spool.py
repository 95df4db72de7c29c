"""Lines on disk until they are in the log: safe to be killed in the middle of.

A venue's lines go to `VENUE-TIME.part`, by one write each; a full file is renamed to `.jsonl`, and
after its commit it is packed (`.jsonl.gz`) or removed. A `.part` without an owner is what a killed
recorder left: its last line is cut off where it is not whole, and nothing else.
"""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Final

from liqbt.log.disk import sync_folder
from liqbt.types import Ns

PART: Final = ".part"
FULL: Final = ".jsonl"
REFUSED: Final = ".refused"
_TAIL: Final = 64 << 20


class Spool:
    """The file that one venue's lines go to.

    Attributes
    ----------
    path : Path
        The file; it is made with its first line.
    size : int
        Bytes written.
    first_ns : int
        When its first line was received; 0 before that.
    """

    __slots__ = ("_folder", "_handle", "_venue", "first_ns", "path", "size")

    def __init__(self, folder: Path, venue: str) -> None:
        self._folder, self._venue, self._handle = folder, venue, -1
        self.path, self.size, self.first_ns = folder, 0, 0

    def write(self, received: Ns, text: str) -> None:
        """Write one line; it outlives this process once this returns.

        Raises
        ------
        OSError
            The disk is full, or the folder is gone.
        """
        if self._handle < 0:
            self.path = self._folder / f"{self._venue}-{received:020d}{PART}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._handle = os.open(self.path, flags, 0o644)
            self.size, self.first_ns = 0, received
        line = f"{received} {text}\n".encode()
        if os.write(self._handle, line) != len(line):
            raise OSError(28, "the disk is full", str(self.path))
        self.size += len(line)

    def sync(self) -> None:
        """Return once what was written would outlive the machine, too."""
        if self._handle >= 0:
            os.fsync(self._handle)

    def close(self) -> Path | None:
        """End the file and return it; None where there was none."""
        if self._handle < 0:
            return None
        os.fsync(self._handle)
        os.close(self._handle)
        self._handle, self.first_ns = -1, 0
        return _ended(self.path)


def _ended(part: Path) -> Path:
    full = part.with_suffix(FULL)
    part.rename(full)
    sync_folder(part.parent)
    return full


def left_over(folder: Path) -> list[Path]:
    """Return the files of a recorder that was killed, ended, in the order of their times.

    Raises
    ------
    OSError
        The folder cannot be read or written.
    """
    for part in sorted(folder.glob(f"*{PART}")):
        with part.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL)
            file.seek(start)
            whole = start + file.read().rfind(b"\n") + 1
            file.truncate(whole)
            os.fsync(file.fileno())
        if whole:
            _ended(part)
        else:
            part.unlink()
    return sorted(folder.glob(f"*{FULL}"), key=lambda path: (path.stem.rpartition("-")[2], path))


def put_away(path: Path, *, keep: bool) -> None:
    """Pack a file that is in the log, or remove it."""
    if keep:
        packed = path.with_name(path.name + ".gz")
        temporary = packed.with_name(packed.name + ".tmp")
        with path.open("rb") as source, gzip.open(temporary, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        temporary.rename(packed)
    path.unlink()
