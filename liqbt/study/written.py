"""What a run's folder held when it was written: its manifest names every file by its SHA-256.

Whoever reads a run reads through here, so that a byte that was altered afterwards, by a disk or by
a hand, is named and never shown as a figure. A run is forced to the disk before it has its name: a
damaged one is evidence, and is moved aside; what a power cut or a kill leaves is litter, and goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.errors import DataError
from liqbt.log.disk import sha256_file

MANIFEST: Final = "manifest.json"
_SEAL: Final = "self"
_seen: dict[Path, tuple[tuple[int, int, int], str]] = {}
"""Files that were hashed in this process, with their inode, size and time of change."""


def json_text(value: Any) -> str:
    """Return how a run's JSON is written, to the byte."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the digest of all the rest of it."""
    rest = {key: value for key, value in manifest.items() if key != _SEAL}
    return {**rest, _SEAL: hashlib.sha256(json_text(rest).encode()).hexdigest()}


def is_sealed(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Return whether the manifest that was read from a file is what a run wrote there."""
    text = json_text(dict(manifest))
    return sealed(manifest) == manifest and path.read_text(encoding="utf-8") == text


def require_sealed(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that is not as a run wrote it.

    Raises
    ------
    DataError
        It was altered, or another version wrote it; names it.
    """
    if not is_sealed(path, manifest):
        raise DataError(_altered(path))


def require_as_written(path: Path, manifest: Mapping[str, Any], name: str) -> None:
    """Refuse a file of a run that is not as the run wrote it.

    Parameters
    ----------
    path : Path
        The run's folder.
    manifest : mapping
        Its manifest; one without `files` is of a run that is being written, and checks nothing.
    name : str
        The file, relative to the folder.

    Raises
    ------
    DataError
        It was altered, or the manifest does not know it; names it.
    """
    if "files" in manifest and _digest(path / name) != manifest["files"].get(name):
        raise DataError(_altered(path / name))


def _altered(path: Path) -> str:
    return f"{path}: not as the run wrote it; move {path.parent} away and run again"


def _digest(path: Path) -> str | None:
    """Return a file's digest, hashed once while it is not touched; None where there is none."""
    try:
        found = path.stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = _seen.get(path)
        if known is None or known[0] != state:
            known = _seen[path] = (state, sha256_file(path))
    except OSError:
        return None
    return known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What holding a run's folder against its manifest found.

    Attributes
    ----------
    files : int
        Files that the manifest names.
    missing, altered : tuple of str
        Those that are gone, and those that are not as they were written.
    others : tuple of str
        Files that the run did not write, such as a page that was drawn later.
    """

    files: int
    missing: tuple[str, ...]
    altered: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether every file is there as it was written."""
        return not (self.missing or self.altered)


def verify_run(path: Path) -> Verified:
    """Hold every file of a run's folder against the digest in its manifest.

    Raises
    ------
    DataError
        If there is no manifest, or it is none.
    """
    manifest = read_json(path / MANIFEST)
    try:
        named = {str(name): str(digest) for name, digest in manifest["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not the folder of a whole run (no digests of files)") from error
    altered = [] if is_sealed(path / MANIFEST, manifest) else [MANIFEST]
    missing = []
    for name, digest in named.items():
        if not (path / name).is_file():
            missing.append(name)
        elif sha256_file(path / name) != digest:
            altered.append(name)
    there = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    return Verified(
        files=len(named),
        missing=tuple(missing),
        altered=tuple(altered),
        others=tuple(sorted(there - {*named, MANIFEST})),
    )


def is_intact(path: Path) -> bool:
    """Return whether `path` is a run's folder whose files are as they were written."""
    try:
        found = verify_run(path)
    except (DataError, OSError, ValueError):
        return False
    return found.intact and found.files > 0


def read_json(path: Path) -> Any:
    """Read a run's JSON.

    Raises
    ------
    DataError
        If it is missing or none; names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; is {path.parent} the folder of a run?") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable as JSON; run the experiment again") from error
