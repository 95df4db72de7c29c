"""What a name that people give must be before anything is read of it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from liqbt.errors import DataError

_SPECIAL: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def refuse_special(path: Path) -> None:
    """Refuse what is there and is no file: reading a pipe could wait for ever.

    Raises
    ------
    DataError
        It is a pipe, a socket or a device; files are read more than once.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    for is_such, word in _SPECIAL:
        if is_such(mode):
            raise DataError(f"{path} is {word}; expected a file, which is read more than once")
