"""Everything in a log read again and compared with what its commits say."""

from __future__ import annotations

from pathlib import Path

from liqbt.errors import LogError
from liqbt.log.chain import inspect_chain
from liqbt.log.commits import Commit, Segment
from liqbt.log.disk import sha256
from liqbt.log.identity import logical_hash
from liqbt.log.leftovers import QUARANTINE, SEGMENTS, strangers
from liqbt.log.segments import instruments_of, load

__all__ = ["verify"]


def verify(root: Path) -> list[str]:
    """Return one sentence on each thing wrong with the log at `root`; change nothing.

    Files that an interrupted writer left are not wrong: no reader sees them.

    Raises
    ------
    LogError
        There is no event log at `root`.
    """
    commits, problems = inspect_chain(root)
    for commit in commits:
        for segment in commit.segments:
            problems += _segment_problems(root / SEGMENTS, segment)
        problems += _quarantine_problems(root / QUARANTINE, commit)
    unknown = strangers(root, commits)
    return problems + [f"{path} is no part of an event log" for path in unknown]


def _segment_problems(folder: Path, segment: Segment) -> list[str]:
    try:
        table = load(folder, segment)
    except LogError as error:
        return [str(error)]
    path = folder / segment.file
    if logical_hash(table) != segment.logical_sha256:
        return [f"segment {path}: its logical hash is not the committed one"]
    found = []
    for name, said in (("ts_known", segment.known_ns), ("ts_event", segment.event_ns)):
        values = table[name].to_numpy()
        if (int(values.min()), int(values.max())) != said:
            found.append(f"segment {path}: its range of {name} is not the committed one")
    if instruments_of(table) != segment.instruments:
        found.append(f"segment {path}: its instruments are not the committed ones")
    return found


def _quarantine_problems(folder: Path, commit: Commit) -> list[str]:
    if not commit.quarantine:
        return []
    path = folder / commit.quarantine["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        return [f"quarantine file {path} cannot be read: {error.strerror}"]
    if sha256(data) != commit.quarantine["sha256"]:
        return [f"quarantine file {path} is damaged: its SHA-256 is not the committed one"]
    return []
