"""What a log holds, told from its commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liqbt.log.commits import NO_PARENT, Commit
from liqbt.log.leftovers import leftovers
from liqbt.types import Instrument, Kind

__all__ = ["LogInfo", "log_info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInfo:
    """What a log holds.

    Attributes
    ----------
    path : Path
        Its folder.
    digest : str
        SHA-256 of its newest commit.
    commits, segments, size : int
        How many there are, and the bytes of all segments.
    events : mapping of Kind to int
        Rows by kind, before duplicates between files are removed.
    instruments : mapping of Kind to tuple of Instrument
        Whose events there are, sorted.
    event_ns : mapping of Kind to (int, int)
        First and last `ts_event` by kind.
    quarantined : int
        Rows that were not believed.
    leftovers : tuple of str
        Files that an interrupted writer left; harmless, the next writer removes them.
    """

    path: Path
    digest: str
    commits: int
    segments: int
    size: int
    events: Mapping[Kind, int]
    instruments: Mapping[Kind, tuple[Instrument, ...]]
    event_ns: Mapping[Kind, tuple[int, int]]
    quarantined: int
    leftovers: tuple[str, ...]


def log_info(path: Path, commits: Sequence[Commit]) -> LogInfo:
    """Return what the log at `path` with these commits holds."""
    segments = [s for c in commits for s in c.segments]
    kinds = sorted({s.kind for s in segments})
    by_kind = {kind: [s for s in segments if s.kind == kind] for kind in kinds}
    return LogInfo(
        path=path,
        digest=commits[-1].digest if commits else NO_PARENT,
        commits=len(commits),
        segments=len(segments),
        size=sum(s.size for s in segments),
        events={k: sum(s.rows for s in v) for k, v in by_kind.items()},
        instruments={
            k: tuple(sorted({i for s in v for i in s.instruments})) for k, v in by_kind.items()
        },
        event_ns={
            k: (min(s.event_ns[0] for s in v), max(s.event_ns[1] for s in v))
            for k, v in by_kind.items()
        },
        quarantined=sum(c.quarantine.get("rows", 0) for c in commits),
        leftovers=tuple(str(p.relative_to(path)) for p in leftovers(path, commits)),
    )
