"""Writer: what is appended to a log while one process holds its lock.

The chain of commits is read once, when writing begins; an append then looks up what it needs of
it, so that the thousandth file costs what the first one did.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv

from liqbt.errors import LogError
from liqbt.log.check import Check, Standing
from liqbt.log.commits import (
    COMMITS,
    HEAD,
    NO_PARENT,
    Commit,
    Segment,
    commit_bytes,
    commit_name,
    files_of,
    head_bytes,
    identity_of,
    parse_commit,
    read_chain,
    standing,
)
from liqbt.log.disk import TEMPORARY, publish_new, replace, sha256, sync_folder, write_synced
from liqbt.log.one_value import Revisions
from liqbt.log.places import QUARANTINE, SEGMENTS, leftovers
from liqbt.log.tables import canonical, encode
from liqbt.types import IntArray, Kind

_Done = TypeVar("_Done")


class Writer:
    """Appends to a log whose lock is held; see `EventLog.writing`.

    Raises
    ------
    LogError
        The log is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        """Look at what is committed, and remove what an interrupted writer left."""
        self._commits = read_chain(self._path)
        for path in leftovers(self._path, self._commits):
            path.unlink()
        newest = head_bytes(len(self._commits), self._parent())
        if (self._path / HEAD).read_bytes() != newest:
            replace(self._path / HEAD, newest)
        self._written: dict[str, Segment] = {}
        self._known: set[str] = set()
        self._same: dict[tuple[Any, ...], Commit] = {}
        self._standing = Standing()
        for commit in self._commits:
            self._written |= {s.logical_sha256: s for s in commit.segments}
        for commit in standing(self._commits):
            self._count(commit)

    def _count(self, commit: Commit) -> None:
        """Remember a commit whose events count."""
        self._known |= {s.logical_sha256 for s in commit.segments}
        identity = identity_of(commit.source)
        if identity is not None:
            self._same.setdefault(identity, commit)
        self._standing.add(commit)

    def _parent(self) -> str:
        return self._commits[-1].digest if self._commits else NO_PARENT

    def _whole(self, write: Callable[[], _Done]) -> _Done:
        """Return what `write` does; after an error nothing of it is left."""
        try:
            try:
                return write()
            except BaseException:
                with contextlib.suppress(LogError, OSError):
                    self._begin()
                raise
        except OSError as error:
            raise LogError(f"cannot write to {self._path}: {error.strerror or error}") from error

    def append(
        self,
        tables: Iterable[tuple[Kind, pa.Table]],
        source: Mapping[str, Any],
        *,
        quarantine: pa.Table | None = None,
        revisions: Revisions = "refuse",
        rows: Mapping[Kind, IntArray] | None = None,
        noted: bool = False,
    ) -> Commit | None:
        """Commit what is new of one source; see `EventLog.append`.

        With `noted` a source without new events is committed as well, for what its notes say.
        """
        plain = _plain(source)
        return self._whole(
            lambda: self._append(tables, plain, quarantine, revisions, rows or {}, noted=noted)
        )

    def withdraw(self, file: str, reason: str) -> Commit:
        """Take back what was appended of a file; see `EventLog.withdraw`."""
        commit = self._whole(lambda: self._withdraw(file, reason))
        self._begin()
        return commit

    def _append(
        self,
        tables: Iterable[tuple[Kind, pa.Table]],
        source: dict[str, Any],
        quarantine: pa.Table | None,
        revisions: Revisions,
        rows: Mapping[Kind, IntArray],
        *,
        noted: bool,
    ) -> Commit | None:
        check = Check(self._path / SEGMENTS, self._standing, source, revisions, rows)
        segments, events, made = self._write_segments(tables, check)
        same = self._same.get(identity_of(source) or ())
        if same is not None and same.events != events:
            raise LogError(
                f"{source.get('file', 'this source')!r} is in {self._path} already, with "
                f"{dict(same.events)} events in commit {same.number}, and now has {events}: "
                "all of one source goes into one append"
            )
        if same is not None or not (segments or noted):
            for path in made:
                path.unlink()
            return None
        kept = self._write_quarantine(quarantine)
        sync_folder(self._path / SEGMENTS)
        commit = self._publish(tuple(segments), events, source, kept)
        self._count(commit)
        return commit

    def _withdraw(self, file: str, reason: str) -> Commit:
        counted = standing(self._commits)
        numbers = [c.number for c in counted if file in files_of(c)]
        if not numbers:
            names = sorted({name for c in counted for name in files_of(c)})
            near = difflib.get_close_matches(file, names, n=1)
            hint = f"; nearest: {near[0]!r}" if near else ""
            raise LogError(f"nothing of a file {file!r} stands in {self._path}{hint}")
        for commit in counted:
            name = str(commit.source.get("file"))
            if commit.number in numbers and name != file:
                raise LogError(
                    f"{file!r} stands in {self._path} in one commit with "
                    f"{len(commit.source['files']) - 1} other files: withdraw all of them by the "
                    f"name {name!r}"
                )
        return self._publish((), {}, {"withdraws": numbers, "file": file, "reason": reason}, {})

    def _publish(
        self,
        segments: tuple[Segment, ...],
        events: Mapping[str, int],
        source: Mapping[str, Any],
        kept: Mapping[str, Any],
    ) -> Commit:
        number = len(self._commits) + 1
        data = commit_bytes(
            Commit(
                number=number,
                parent=self._parent(),
                segments=segments,
                events=events,
                source=source,
                quarantine=kept,
            )
        )
        path = self._path / COMMITS / commit_name(number)
        publish_new(path, data)
        replace(self._path / HEAD, head_bytes(number, sha256(data)))
        commit = parse_commit(data, path)
        self._commits.append(commit)
        self._written |= {s.logical_sha256: s for s in commit.segments}
        return commit

    def _write_segments(
        self, tables: Iterable[tuple[Kind, pa.Table]], check: Check
    ) -> tuple[list[Segment], dict[str, int], list[Path]]:
        """Write what is new; return its segments, the events by kind, and the files it made."""
        new: set[str] = set()
        segments: list[Segment] = []
        made: list[Path] = []
        events: Counter[str] = Counter()
        for kind, table in tables:
            if table.num_rows == 0:
                continue
            table = canonical(kind, table)
            segment, data = encode(kind, table)
            digest = segment.logical_sha256
            events[kind.name.lower()] += segment.rows
            if digest in self._known or digest in new:
                continue
            check.refuse(segment, table)
            new.add(digest)
            if digest in self._written:  # withdrawn once: its file is still there
                segments.append(self._written[digest])
                continue
            final = self._path / SEGMENTS / segment.file
            temporary = final.with_name(final.name + TEMPORARY)
            write_synced(temporary, memoryview(data))
            temporary.rename(final)
            made.append(final)
            segments.append(segment)
            check.written(segment)
        return segments, dict(sorted(events.items())), made

    def _write_quarantine(self, rows: pa.Table | None) -> dict[str, Any]:
        if rows is None or rows.num_rows == 0:
            return {}
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(rows, sink)
        data = memoryview(sink.getvalue())
        name = f"{len(self._commits) + 1:08d}-{sha256(data)[:16]}.csv"
        replace(self._path / QUARANTINE / name, data)
        return {"file": name, "rows": rows.num_rows, "sha256": sha256(data)}


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(json.dumps(dict(source), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LogError(f"a source must be plain JSON: {error}") from None
    return value
