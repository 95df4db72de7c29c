"""What a campaign's results depend on, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["ROOMS", "campaign_identity", "rooms_digest"]

_PACKAGE: Final = Path(__file__).resolve().parent.parent

ROOMS: Final = (
    "types.py",
    "margin.py",
    "margin_kernels.py",
    "tape",
    "replay.py",
    "estimators",
    "simulate",
    "calibrate.py",
    "evaluation",
    "validity",
    "experiment/build.py",
    "experiment/pipeline.py",
    "experiment/replicate.py",
    "experiment/schema.py",
    "data",
)
"""What can change a replication: the rest of the package (readers, reports, commands) cannot."""


def rooms_digest(rooms: Iterable[str] = ROOMS) -> str:
    """Return a digest of the sources and data files of some rooms of the package."""
    digest = hashlib.sha256()
    for room in rooms:
        place = _PACKAGE / room
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in {".py", ".csv", ".yaml"} and path.is_file():
                digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def campaign_identity(worlds: Path, names: Iterable[str], root: int) -> str:
    """Return the digest of code, worlds' files and root seed; 16 hex digits.

    Parameters
    ----------
    worlds : Path
        Folder of the worlds' files; one that is missing is left out (a job that needs it says so).
    names : iterable of str
        The worlds.
    root : int
        Root seed.
    """
    digest = hashlib.sha256(f"{rooms_digest()} {root}".encode())
    for name in sorted(names):
        path = worlds / f"{name}.yaml"
        digest.update(
            name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0"
        )
    return digest.hexdigest()[:16]
