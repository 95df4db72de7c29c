"""From a venue's public archive into an event log: fetched in parallel, read in a fixed order."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError, RefusedByLogError
from liqbt.ingest.table import Ingested
from liqbt.log.objects import ObjectPath, place_of
from liqbt.log.store import EventLog
from liqbt.sources.archive.client import fetch_in_order
from liqbt.sources.archive.session import Limits
from liqbt.sources.archive.task import Fetched
from liqbt.sources.binance.layout import DEFAULT_BASE, ArchiveFile, archive_files
from liqbt.sources.binance.reader import MENDED, READER
from liqbt.study.progress import Stage, silent
from liqbt.study.readers import Reader, vendor_reader
from liqbt.types import Kind

_PERIOD: Final = re.compile(r"-(\d{4}-\d{2}(?:-\d{2})?)\.zip$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What became of the files of a period.

    Attributes
    ----------
    files : int
        How many were asked for.
    fetched, kept : int
        How many were received now, and how many were here already.
    received_bytes : int
        What came over the network.
    events : int
        Events added to the log now.
    commits : int
        Commits added to the log now.
    missing : tuple of str
        Files that the archive does not have.
    failed, refused : mapping of str to str
        Files that could not be had, and files that could not be read, with the reason.
    """

    files: int
    fetched: int
    kept: int
    received_bytes: int
    events: int
    commits: int
    missing: tuple[str, ...]
    failed: Mapping[str, str]
    refused: Mapping[str, str]


def describe_fetch(report: FetchReport) -> str:
    """Return what became of the files in a few lines."""
    lines = [
        f"{report.files:,} files: {report.fetched:,} fetched "
        f"({report.received_bytes / 1e6:,.1f} MB), {report.kept:,} here already",
        f"{report.events:,} events added in {report.commits:,} commits",
    ]
    if report.missing:
        lines.append(f"{len(report.missing):,} missing in the archive: {_ranges(report.missing)}")
    for word, found in (("failed", report.failed), ("refused", report.refused)):
        lines += [f"{word}: {path}: {reason}" for path, reason in list(found.items())[:20]]
        if len(found) > 20:
            lines.append(f"... and {len(found) - 20:,} more {word}")
    return "\n".join(lines)


def _ranges(paths: Sequence[str]) -> str:
    """Return files as symbol, type and dates; days or months in a row are written as one range."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        kind, symbol, *interval = PurePosixPath(path).parts[4:-1]
        period = _PERIOD.search(path)
        if period is not None:
            groups.setdefault(" ".join([symbol, kind, *interval]), []).append(period[1])
    return "; ".join(f"{name} {', '.join(_runs(found))}" for name, found in groups.items())


def _runs(periods: Sequence[str]) -> list[str]:
    runs: list[list[str]] = []
    for period in sorted(periods):
        if runs and period == _next(runs[-1][-1]):
            runs[-1].append(period)
        else:
            runs.append([period])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]


def _next(period: str) -> str:
    """Return the day after a day, the month after a month."""
    if len(period) == len("2024-01-01"):
        return (date.fromisoformat(period) + timedelta(days=1)).isoformat()
    return (date.fromisoformat(f"{period}-28") + timedelta(days=4)).isoformat()[:7]


_BATCH_ROWS: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A file that is here and was read."""

    name: str
    sha256: str
    ingested: Ingested


def fetch_archive(
    venue: str,
    log_dir: Path,
    *,
    symbols: Sequence[str],
    types: Sequence[str],
    first: date,
    last: date,
    base: str | None = None,
    keep: Path | None = None,
    jobs: int = 4,
    max_bad: float = MAX_BAD,
    limits: Limits | None = None,
    stage: Stage = silent,
) -> FetchReport:
    """Fetch a period of a venue's public archive into an event log.

    Files are read in the order of symbol, type and date, whatever order they arrive in, and
    committed by symbol, type and month: so the log does not depend on the network. Interrupted, it
    keeps what is committed and what was received; repeated, it ends with the same events. Files
    that the log holds already are not read again.

    Parameters
    ----------
    venue : str
        `binance-um` or `binance-cm`.
    log_dir : Path
        The log; made where there is none and something was found.
    symbols, types : sequence of str
        Such as `BTCUSDT`; such as `metrics` or `klines:1m`.
    first, last : date
        UTC days, both included.
    base : str, optional
        The archive's address; by default `LIQBT_ARCHIVE`, or the venue's own.
    keep : Path, optional
        Where the files are kept; by default a folder beside the log, `<log>.archive`.
    jobs : int
        How many are fetched at once.
    max_bad : float
        A file in which a larger share of rows cannot be right is refused whole.
    limits : Limits, optional
        How patient to be.
    stage : callable
        Progress.

    Raises
    ------
    ConfigError
        The venue has no archive, or a symbol, a type, the period or the address cannot be one.
    DataError
        The archive has none of the files.
    LogError, AlreadyRunningError
        The log cannot be written, or somebody else fetches into the same folder.
    """
    if venue not in ("binance-um", "binance-cm"):
        raise ConfigError(f"{venue!r} has no archive; known are binance-um and binance-cm")
    files = archive_files(venue.removeprefix("binance-"), symbols, types, first, last)
    log_dir = place_of(log_dir)
    if log_dir.is_dir() and any(log_dir.iterdir()):
        EventLog.open_or_create(log_dir)  # one whose creation was cut short is finished
    if keep is None and isinstance(log_dir, ObjectPath):
        raise ConfigError(f"{log_dir} has no folder beside it: say where files are kept (--keep)")
    keep = keep or log_dir.with_name(log_dir.name + ".archive")
    arriving = fetch_in_order(
        base or os.environ.get("LIQBT_ARCHIVE") or DEFAULT_BASE,
        [file.path for file in files],
        keep,
        rng=np.random.default_rng(),
        jobs=jobs,
        limits=limits,
    )
    writer = _Writer(venue, log_dir, files, max_bad)
    try:
        for done, _ in enumerate(writer.write(zip(files, arriving, strict=True)), start=1):
            stage("fetch", done, len(files))
    finally:
        arriving.close()
    return writer.report()


class _Writer:
    """Reads files as they come and commits them month by month."""

    def __init__(self, venue: str, log_dir: Path, files: Sequence[ArchiveFile], max_bad: float):
        self._readers = {f.format: vendor_reader(f"{venue}/{f.format}") for f in files}
        self._log_dir, self._files, self._max_bad = log_dir, files, max_bad
        self._count: Counter[str] = Counter()
        self._missing: list[str] = []
        self._failed: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._held = _held(log_dir)

    def write(self, arriving: Iterator[tuple[ArchiveFile, Fetched]]) -> Iterator[Fetched]:
        """Yield each file once it is done with."""
        for _, group in groupby(arriving, key=lambda pair: _month(pair[0])):
            batch: list[_Ready] = []
            for file, fetched in group:
                ready = self._taken(file, fetched)
                batch += [ready] if ready else []
                if sum(r.ingested.summary.rows for r in batch) >= _BATCH_ROWS:
                    self._commit(batch)
                    batch = []
                yield fetched
            self._commit(batch)

    def report(self) -> FetchReport:
        """Return what became of the files.

        Raises
        ------
        DataError
            None of them is in the archive.
        """
        if self._missing and len(self._missing) == len(self._files):
            raise DataError(
                f"the archive has none of the {len(self._files)} files, such as "
                f"{self._missing[0]}: are symbol, type and period right?"
            )
        return FetchReport(
            files=len(self._files),
            fetched=self._count["fetched"],
            kept=self._count["kept"],
            received_bytes=self._count["bytes"],
            events=self._count["events"],
            commits=self._count["commits"],
            missing=tuple(self._missing),
            failed=self._failed,
            refused=self._refused,
        )

    def _taken(self, file: ArchiveFile, fetched: Fetched) -> _Ready | None:
        """Read one file, or note why not."""
        name = Path(file.path).name
        self._count[fetched.state] += 1
        self._count["bytes"] += fetched.size
        if fetched.state == "missing":
            self._missing.append(file.path)
        elif fetched.state == "failed":
            self._failed[file.path] = fetched.reason
        elif fetched.file is not None and (file.format, fetched.sha256) not in self._held:
            try:
                reader: Reader = self._readers[file.format]
                done = reader.read(fetched.file, self._max_bad, None)
            except DataError as error:
                self._refused[file.path] = str(error)
            else:
                return _Ready(name=name, sha256=fetched.sha256, ingested=done)
        return None

    def _commit(self, batch: Sequence[_Ready]) -> None:
        batch = [ready for ready in batch if ready.ingested.tables]
        if not batch:
            return
        log = EventLog.open_or_create(self._log_dir)
        kinds = sorted({kind for ready in batch for kind in ready.ingested.tables})
        try:
            commit = log.append(
                ((kind, _joined(batch, kind)) for kind in kinds),
                _source(batch),
                quarantine=_quarantine(batch),
            )
        except (DataError, RefusedByLogError) as error:
            if len(batch) == 1:
                self._refused[batch[0].name] = str(error)
            else:  # one file that contradicts another stops none of the others
                for ready in batch:
                    self._commit([ready])
            return
        if commit is not None:
            self._count["commits"] += 1
            self._count["events"] += sum(commit.events.values())


def _month(file: ArchiveFile) -> tuple[str, str, str, str]:
    return file.symbol, file.format, file.interval, file.period[:7]


def _held(log_dir: Path) -> set[tuple[str, str]]:
    """Return format and digest of every archive file that the log holds, read as it is today."""
    if not log_dir.is_dir() or not any(log_dir.iterdir()):
        return set()
    return {
        (str(commit.source.get("map", "")).partition("/")[2], str(file.get("sha256")))
        for commit in EventLog.open(log_dir).standing()
        if commit.source.get("reader") in (READER, MENDED)
        for file in commit.source.get("files", ())
    }


def _joined(batch: Sequence[_Ready], kind: Kind) -> pa.Table:
    tables = [r.ingested.tables[kind] for r in batch if kind in r.ingested.tables]
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()


def _quarantine(batch: Sequence[_Ready]) -> pa.Table | None:
    parts = [(r.name, r.ingested.quarantine_table()) for r in batch]
    named = [
        table.add_column(0, "file", pa.array([name] * table.num_rows, pa.string()))
        for name, table in parts
        if table is not None
    ]
    return pa.concat_tables(named, promote_options="permissive") if named else None


def _source(batch: Sequence[_Ready]) -> dict[str, Any]:
    """Return the provenance of several files of one type and symbol as one source."""
    sources = [ready.ingested.source for ready in batch]
    names = [ready.name for ready in batch]
    files = [{"file": r.name, "sha256": r.sha256} for r in batch]
    digest = hashlib.sha256("\n".join(r.sha256 for r in batch).encode()).hexdigest()
    latency = {tuple(sorted(x.items())): x for s in sources for x in s["latency"]}
    merged = {
        **sources[0],
        "file": names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]} ({len(names)} files)",
        "file_sha256": sources[0]["file_sha256"] if len(names) == 1 else digest,
        "files": files,
        "latency": [latency[key] for key in sorted(latency)],
    }
    for name in ("rows", "filtered", "unmatched", "quarantined"):
        merged[name] = sum(s[name] for s in sources)
    for name in ("reasons", "empty", "events"):
        merged[name] = dict(sum((Counter(s[name]) for s in sources), Counter()))
    if any("notes" in s for s in sources):
        merged["notes"] = _notes([s.get("notes", {}) for s in sources])
    return merged


def _notes(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return counts summed, fractions at their largest, words once each."""
    out: dict[str, Any] = {}
    for name in sorted({name for note in notes for name in note}):
        values = [note[name] for note in notes if name in note]
        if all(isinstance(v, int) for v in values):
            out[name] = sum(values)
        elif all(isinstance(v, int | float) for v in values):
            out[name] = max(values)
        else:
            out[name] = "; ".join(sorted({str(v) for v in values}))
    return out
