"""EventLog: append what is new, read what is committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from liqbt.errors import LogError
from liqbt.log.check import absent
from liqbt.log.commits import (
    COMMITS,
    HEAD,
    NO_PARENT,
    Commit,
    Segment,
    find_same,
    head_bytes,
    inspect_chain,
    read_chain,
    standing,
)
from liqbt.log.disk import (
    TEMPORARY,
    locked,
    publish_new,
    sha256,
)
from liqbt.log.objects import as_it_is, place_of
from liqbt.log.one_value import Revisions
from liqbt.log.places import LOCK, QUARANTINE, SEGMENTS, leftovers, strangers
from liqbt.log.schema import event_schema, name_codes
from liqbt.log.tables import instruments_of, load, load_parts, logical_hash
from liqbt.log.writer import Writer
from liqbt.types import Instrument, IntArray, Kind

_PART: Final = 1 << 18
"""Rows of a segment that are decoded at once."""


def verify(root: Path) -> list[str]:
    """Return one sentence on each thing wrong with the log at `root`; change nothing.

    Files that an interrupted writer left are not wrong: no reader sees them.

    Raises
    ------
    LogError
        There is no event log at `root`.
    """
    root = as_it_is(place_of(root))
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
    withdrawn : tuple of (str, str)
        Files that were taken back, with the reason.
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
    withdrawn: tuple[tuple[str, str], ...]
    leftovers: tuple[str, ...]


def log_info(path: Path, commits: Sequence[Commit]) -> LogInfo:
    """Return what the log at `path` with these commits holds."""
    counted = standing(commits)
    segments = [s for c in counted for s in c.segments]
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
        quarantined=sum(c.quarantine.get("rows", 0) for c in counted),
        withdrawn=tuple(
            (str(c.source["file"]), str(c.source["reason"])) for c in commits if c.withdraws
        ),
        leftovers=tuple(str(p.relative_to(path)) for p in leftovers(path, commits)),
    )


class EventLog:
    """An append-only log of typed event tables in one folder.

    A value of this class is a handle without state: every call looks at what is committed by then.

    Attributes
    ----------
    path : Path
        The log's folder; or its address, such as `s3://bucket/log`.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path | str) -> None:
        self.path = place_of(path)

    @classmethod
    def open(cls, path: Path | str) -> EventLog:
        """Return the log at `path`.

        Raises
        ------
        LogError
            There is none, or its commits are damaged.
        """
        log = cls(path)
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
        log = cls(path)
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
        if (place_of(path) / HEAD).exists():
            raise LogError(f"there is an event log at {path} already")
        return cls.open_or_create(path)

    def append(
        self,
        tables: Iterable[tuple[Kind, pa.Table]],
        source: Mapping[str, Any],
        *,
        quarantine: pa.Table | None = None,
        revisions: Revisions = "refuse",
        rows: Mapping[Kind, IntArray] | None = None,
    ) -> Commit | None:
        """Commit what is new of one source, all of it or nothing.

        A value that contradicts another of the same instant is refused (`liqbt.log.one_value`), and
        so are the bytes of a file that the log holds as another reader understood them, and a file
        of the same name that lacks events of the one before it.

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
        revisions : str
            `last_known`: a value that was known later than another of the same instant stands from
            then on. By default it is refused.
        rows : mapping of Kind to ndarray of int64, optional
            The row of the source that each row of a table comes from, for messages.

        Returns
        -------
        Commit or None
            None where the same source, or each of the tables, is in the log already.

        Raises
        ------
        AlreadyRunningError
            Somebody else is writing to the log.
        DataError
            A table has not the columns of its kind, or contradicts itself or what is committed.
        RefusedByLogError
            The log holds the same file as it was read otherwise; what is committed is as before.
        LogError
            The log is damaged or cannot be written; what is committed is as before.
        """
        with self.writing() as writer:
            return writer.append(
                tables, source, quarantine=quarantine, revisions=revisions, rows=rows
            )

    def withdraw(self, file: str, reason: str) -> Commit:
        """Take back what was appended of a file: a commit after which its events do not count.

        Parameters
        ----------
        file : str
            The file's name, without folders; all of its commits that still stand are meant.
        reason : str
            Why, for good.

        Raises
        ------
        AlreadyRunningError
            Somebody else is writing to the log.
        LogError
            Nothing of such a file stands in the log, no reason is given, or the log cannot be
            written.
        """
        if not reason.strip():
            raise LogError("a withdrawal needs a reason: it stands in the log for good")
        with self.writing() as writer:
            return writer.withdraw(file, reason.strip())

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the right to write: many appends then read the chain of commits once.

        Raises
        ------
        AlreadyRunningError
            Somebody else is writing to the log.
        LogError
            The log is damaged or cannot be written.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.path / LOCK))
                writer = Writer(self.path)
            except OSError as error:
                raise LogError(f"cannot write to {self.path}: {error.strerror or error}") from error
            yield writer

    def commits(self) -> list[Commit]:
        """Return the commits, oldest first.

        Raises
        ------
        LogError
            The chain of commits is damaged; names the file.
        """
        return read_chain(self.path)

    def standing(self) -> list[Commit]:
        """Return the commits whose events count, oldest first: those that nobody withdrew.

        Raises
        ------
        LogError
            The chain of commits is damaged; names the file.
        """
        return standing(self.commits())

    def quarantine_path(self, commit: Commit) -> Path | None:
        """Return the file of the rows of `commit` that were not believed, if there were any."""
        return self.path / QUARANTINE / commit.quarantine["file"] if commit.quarantine else None

    def find(self, source: Mapping[str, Any]) -> Commit | None:
        """Return the commit of the same source, if there is one."""
        return find_same(self.standing(), source)

    def unseen(self, kind: Kind, table: pa.Table) -> pa.Table:
        """Return the rows of `table` that no event of the log says, whenever that one was known.

        For feeds that say the same again after a reconnect. Rows of one table are not compared.

        Raises
        ------
        LogError
            A segment is missing or altered; names the file.
        """
        at = table["ts_event"].to_numpy()
        first, last, markets = at.min(), at.max(), set(instruments_of(table))
        held = [
            load(self.path / SEGMENTS, segment)
            for commit in self.standing()
            for segment in commit.segments
            if segment.kind == kind
            and segment.event_ns[0] <= last
            and first <= segment.event_ns[1]
            and not markets.isdisjoint(segment.instruments)
        ]
        return (
            table.filter(pa.array(absent(kind, table, pa.concat_tables(held)))) if held else table
        )

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
        """Yield the committed events of `kind` in tables of bounded size, as `read` joins them."""
        wanted = None if instruments is None else set(instruments)
        for commit in self.standing():
            for segment in commit.segments:
                if segment.kind != kind or not (wanted is None or wanted & {*segment.instruments}):
                    continue
                for table in load_parts(self.path / SEGMENTS, segment, _PART):
                    if wanted is None or wanted.issuperset(segment.instruments):
                        yield table
                    else:
                        yield _filtered(table, wanted)

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
                    with suppress(FileExistsError):  # somebody else has made it meanwhile
                        publish_new(self.path / HEAD, head_bytes(0, NO_PARENT))
        except OSError as error:
            raise LogError(f"cannot create {self.path}: {error.strerror or error}") from error


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
