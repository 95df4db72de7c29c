"""EventLog: append what is new, read what is committed."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from liqbt.errors import LogError
from liqbt.log.chain import COMMITS, HEAD, head_bytes, read_chain
from liqbt.log.commits import NO_PARENT, Commit, Segment, commit_bytes, commit_name, parse_commit
from liqbt.log.disk import (
    TEMPORARY,
    locked,
    publish_new,
    replace,
    sha256,
    sync_folder,
    write_synced,
)
from liqbt.log.info import LogInfo, log_info
from liqbt.log.leftovers import LOCK, QUARANTINE, SEGMENTS, leftovers
from liqbt.log.schema import event_schema, name_codes
from liqbt.log.segments import encode, load
from liqbt.log.tables import canonical
from liqbt.log.verify import verify
from liqbt.types import Instrument, Kind

__all__ = ["EventLog"]

_IDENTITY: Final = ("file_sha256", "map_sha256", "join_sha256", "reader")
"""The fields of a source that make two of them the same."""


class EventLog:
    """An append-only log of typed event tables in one folder.

    A value of this class is a handle without state: every call looks at what is committed by then.

    Attributes
    ----------
    path : Path
        The log's folder.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path | str) -> EventLog:
        """Return the log at `path`.

        Raises
        ------
        LogError
            There is none, or its commits are damaged.
        """
        log = cls(Path(path))
        read_chain(log.path)
        return log

    @classmethod
    def open_or_create(cls, path: Path | str) -> EventLog:
        """Return the log at `path`, which becomes an empty log where nothing is there.

        Raises
        ------
        LogError
            The folder holds something else, cannot be written, or holds a damaged log.
        AlreadyRunningError
            Somebody else is creating it.
        """
        log = cls(Path(path))
        if not (log.path / HEAD).exists():
            log._create()
        read_chain(log.path)
        return log

    @classmethod
    def create(cls, path: Path | str) -> EventLog:
        """Return a new, empty log at `path`.

        Raises
        ------
        LogError
            A log or something else is there already.
        """
        if (Path(path) / HEAD).exists():
            raise LogError(f"there is an event log at {path} already")
        return cls.open_or_create(path)

    def append(
        self,
        tables: Iterable[tuple[Kind, pa.Table]],
        source: Mapping[str, Any],
        *,
        quarantine: pa.Table | None = None,
    ) -> Commit | None:
        """Commit what is new of one source, all of it or nothing.

        Parameters
        ----------
        tables : iterable of (Kind, pyarrow.Table)
            With the columns of `event_schema(kind)`. It may be lazy: one table is held at a time.
            All of one source goes into one call.
        source : mapping
            Where it comes from, for the commit. Two sources are the same where they agree in
            `file_sha256`, `map_sha256`, `join_sha256` and `reader`.
        quarantine : pyarrow.Table, optional
            Rows that were not believed, with their reasons; kept as CSV beside the segments.

        Returns
        -------
        Commit or None
            None where the same source, or each of the tables, is in the log already.

        Raises
        ------
        AlreadyRunningError
            Somebody else is writing to the log.
        DataError
            A table has not the columns of its kind.
        LogError
            The log is damaged or cannot be written; what is committed is as before.
        """
        try:
            with locked(self.path / LOCK):
                try:
                    return self._append(tables, _plain(source), quarantine)
                except BaseException:
                    with contextlib.suppress(LogError, OSError):
                        self._clean(read_chain(self.path))
                    raise
        except OSError as error:
            raise LogError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def commits(self) -> list[Commit]:
        """Return the commits, oldest first.

        Raises
        ------
        LogError
            The chain of commits is damaged; names the file.
        """
        return read_chain(self.path)

    def quarantine_path(self, commit: Commit) -> Path | None:
        """Return the file of the rows of `commit` that were not believed, if there were any."""
        return self.path / QUARANTINE / commit.quarantine["file"] if commit.quarantine else None

    def find(self, source: Mapping[str, Any]) -> Commit | None:
        """Return the commit of the same source, if there is one."""
        return _find(self.commits(), source)

    @property
    def digest(self) -> str:
        """SHA-256 of the newest commit, which names every one before it."""
        commits = self.commits()
        return commits[-1].digest if commits else NO_PARENT

    def read(self, kind: Kind, instruments: Collection[Instrument] | None = None) -> pa.Table:
        """Return the committed events of `kind`, of some instruments or of all.

        Rows come commit by commit; duplicates between files are still there. A tape orders them
        and removes those.

        Raises
        ------
        LogError
            A segment is missing or altered; names the file.
        """
        parts = list(self.tables(kind, instruments))
        if not parts:
            return event_schema(kind).empty_table()
        return pa.concat_tables(parts).unify_dictionaries()

    def tables(
        self, kind: Kind, instruments: Collection[Instrument] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the committed tables of `kind` one by one, as `read` joins them."""
        wanted = None if instruments is None else set(instruments)
        for commit in self.commits():
            for segment in commit.segments:
                if segment.kind != kind:
                    continue
                if wanted is None or wanted.issuperset(segment.instruments):
                    yield load(self.path / SEGMENTS, segment)
                elif wanted.intersection(segment.instruments):
                    yield _filtered(load(self.path / SEGMENTS, segment), wanted)

    def verify(self) -> list[str]:
        """Read everything again and return one sentence on each thing wrong; change nothing.

        Raises
        ------
        LogError
            There is no event log.
        """
        return verify(self.path)

    def info(self) -> LogInfo:
        """Return what the log holds, from its commits alone."""
        return log_info(self.path, self.commits())

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            ours = {LOCK, COMMITS, SEGMENTS, QUARANTINE, HEAD, HEAD + TEMPORARY}
            strangers = sorted(p.name for p in self.path.iterdir() if p.name not in ours)
            if strangers:
                raise LogError(
                    f"{self.path} is not an event log and not empty: it holds {strangers[0]!r}"
                )
            with locked(self.path / LOCK):
                for name in (COMMITS, SEGMENTS, QUARANTINE):
                    (self.path / name).mkdir(exist_ok=True)
                if not (self.path / HEAD).exists():
                    replace(self.path / HEAD, head_bytes(0, NO_PARENT))
        except OSError as error:
            raise LogError(f"cannot create {self.path}: {error.strerror or error}") from error

    def _append(
        self,
        tables: Iterable[tuple[Kind, pa.Table]],
        source: dict[str, Any],
        quarantine: pa.Table | None,
    ) -> Commit | None:
        commits = read_chain(self.path)
        self._clean(commits)
        known = {s.logical_sha256 for c in commits for s in c.segments}
        segments, events = self._write_segments(tables, known)
        same = _find(commits, source)
        if same is not None and same.events != events:
            raise LogError(
                f"{source.get('file', 'this source')!r} is in {self.path} already, with "
                f"{dict(same.events)} events in commit {same.number}, and now has {events}: "
                "all of one source goes into one append"
            )
        if same is not None or not segments:
            self._clean(commits)
            return None
        number = len(commits) + 1
        kept = self._write_quarantine(number, quarantine)
        sync_folder(self.path / SEGMENTS)
        parent = commits[-1].digest if commits else NO_PARENT
        commit = Commit(
            number=number,
            parent=parent,
            segments=tuple(segments),
            events=events,
            source=source,
            quarantine=kept,
        )
        data = commit_bytes(commit)
        path = self.path / COMMITS / commit_name(number)
        publish_new(path, data)
        replace(self.path / HEAD, head_bytes(number, sha256(data)))
        return parse_commit(data, path)

    def _write_segments(
        self, tables: Iterable[tuple[Kind, pa.Table]], known: set[str]
    ) -> tuple[list[Segment], dict[str, int]]:
        segments: list[Segment] = []
        events: Counter[str] = Counter()
        for kind, table in tables:
            if table.num_rows == 0:
                continue
            segment, data = encode(kind, canonical(kind, table))
            events[kind.name.lower()] += segment.rows
            if segment.logical_sha256 in known:
                continue
            known.add(segment.logical_sha256)
            final = self.path / SEGMENTS / segment.file
            temporary = final.with_name(final.name + TEMPORARY)
            write_synced(temporary, memoryview(data))
            temporary.rename(final)
            segments.append(segment)
        return segments, dict(sorted(events.items()))

    def _write_quarantine(self, number: int, rows: pa.Table | None) -> dict[str, Any]:
        if rows is None or rows.num_rows == 0:
            return {}
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(rows, sink)
        data = memoryview(sink.getvalue())
        name = f"{number:08d}-{sha256(data)[:16]}.csv"
        replace(self.path / QUARANTINE / name, data)
        return {"file": name, "rows": rows.num_rows, "sha256": sha256(data)}

    def _clean(self, commits: list[Commit]) -> None:
        """Remove what an interrupted writer left, and name the newest commit where it did not."""
        for path in leftovers(self.path, commits):
            path.unlink()
        newest = head_bytes(len(commits), commits[-1].digest if commits else NO_PARENT)
        if (self.path / HEAD).read_bytes() != newest:
            replace(self.path / HEAD, newest)


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(json.dumps(dict(source), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LogError(f"a source must be plain JSON: {error}") from None
    return value


def _find(commits: Iterable[Commit], source: Mapping[str, Any]) -> Commit | None:
    wanted = _identity(source)
    return next((c for c in commits if wanted and _identity(c.source) == wanted), None)


def _identity(source: Mapping[str, Any]) -> tuple[Any, ...] | None:
    return tuple(source.get(k) for k in _IDENTITY) if source.get("file_sha256") else None


def _filtered(table: pa.Table, wanted: set[Instrument]) -> pa.Table:
    venues, venue = name_codes(table["venue"])
    symbols, symbol = name_codes(table["symbol"])
    keep = [
        i * len(symbols) + j
        for i, v in enumerate(venues)
        for j, s in enumerate(symbols)
        if (v, s) in wanted
    ]
    return table.filter(pa.array(np.isin(venue * len(symbols) + symbol, keep)))
