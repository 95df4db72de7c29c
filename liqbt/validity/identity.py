"""What a campaign's results depend on, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from liqbt.study.identity import rooms_digest


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
