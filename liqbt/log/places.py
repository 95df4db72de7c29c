"""What lies in a log's folder, and what a writer that was interrupted left there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from liqbt.log.commits import COMMIT_NAME, COMMITS, HEAD, Commit
from liqbt.log.disk import TEMPORARY
from liqbt.log.tables import SEGMENT_NAME

LOCK: Final = "lock"
QUARANTINE: Final = "quarantine"
SEGMENTS: Final = "segments"
_QUARANTINE_NAME: Final = re.compile(r"^\d{8}-[0-9a-f]{16}\.csv$")
_NAMES: Final = {COMMITS: COMMIT_NAME, SEGMENTS: SEGMENT_NAME, QUARANTINE: _QUARANTINE_NAME}


def leftovers(root: Path, commits: Iterable[Commit]) -> list[Path]:
    """Return the files that a writer made and no commit names, sorted.

    Temporary files, segments and quarantine files: the traces of a write that did not finish.
    """
    named = _named(commits)
    found = [p for p in _files(root) if _was_temporary(root, p)]
    for folder in (SEGMENTS, QUARANTINE):
        found += [
            p
            for p in _files(root / folder)
            if _was_temporary(root, p)
            or (_NAMES[folder].match(p.name) and p.name not in named[folder])
        ]
    found += [p for p in _files(root / COMMITS) if _was_temporary(root, p)]
    return sorted(found)


def strangers(root: Path, commits: Iterable[Commit]) -> list[Path]:
    """Return whatever lies in the folder that no writer of a log ever makes, sorted."""
    ours = set(leftovers(root, commits)) | {root / HEAD, root / LOCK}
    found = []
    for path in root.iterdir():
        if path.name in _NAMES and path.is_dir():
            pattern = _NAMES[path.name]
            found += [p for p in path.iterdir() if not pattern.match(p.name) or not p.is_file()]
        else:
            found.append(path)
    return sorted(set(found) - ours)


def _named(commits: Iterable[Commit]) -> dict[str, set[str]]:
    commits = list(commits)
    return {
        SEGMENTS: {s.file for c in commits for s in c.segments},
        QUARANTINE: {c.quarantine["file"] for c in commits if c.quarantine},
    }


def _was_temporary(root: Path, path: Path) -> bool:
    name = path.name.removesuffix(TEMPORARY)
    if name == path.name:
        return False
    return name == HEAD if path.parent == root else bool(_NAMES[path.parent.name].match(name))


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
