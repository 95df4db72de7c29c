"""Files of one's own or a vendor's into an event log, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liqbt.config import MAX_BAD
from liqbt.errors import DataError, RefusedByLogError
from liqbt.ingest.files import MAX_BYTES
from liqbt.ingest.table import Ingested
from liqbt.log.check import refuse_contradictions
from liqbt.log.commits import HEAD
from liqbt.log.schema import table_columns
from liqbt.log.store import EventLog
from liqbt.log.writer import Writer
from liqbt.plausibility.feeds import feeds_of_columns
from liqbt.plausibility.findings import findings
from liqbt.study.progress import Stage, silent
from liqbt.study.readers import Reader, open_reader
from liqbt.types import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of one file.

    Attributes
    ----------
    file : str
        Its name.
    rows, events, quarantined : int
        Rows read, events written, rows put aside with a reason.
    quarantine : Path or None
        Where those rows and their reasons are.
    added : bool
        False where nothing was added: the log held these events already, or the file has none and
        says of no time that nothing was received then.
    findings : tuple of str
        What of the file cannot be what it is said to be.
    """

    file: str
    rows: int
    events: int
    quarantined: int
    quarantine: Path | None
    added: bool
    findings: tuple[str, ...] = ()


def ingest_files(
    reader: Path | str,
    files: Sequence[Path | str],
    log_dir: Path | str,
    *,
    max_bad: float = MAX_BAD,
    root: Path | None = None,
    max_bytes: int = MAX_BYTES,
    stage: Stage = silent,
) -> list[IngestReport]:
    """Read files into an event log; the same file twice adds nothing.

    All files are looked at: one that is refused stops no other, and what it would have given is not
    in the log.

    Parameters
    ----------
    reader : Path or str
        A column map's file, or a vendor (`binance-um`, which tells each file's format from its
        name) or vendor and format (`binance-um/klines`).
    files : sequence of Path or str
        What it reads.
    log_dir : Path or str
        The log; made where there is none.
    max_bad : float
        A file in which a larger share of rows cannot be right is refused whole.
    root : Path, optional
        Folder below which a map's second file lies; by default `LIQBT_DATA`, or the file's own.
    max_bytes : int
        The most that may come out of a packed file.
    stage : callable
        Progress: called with a name, how many are done, and of how many.

    Returns
    -------
    list of IngestReport
        One per file.

    Raises
    ------
    RefusedError
        Files were refused: names each with its reason; the other files are in the log, whole.
    LiqbtError
        If the map or the log cannot be used.
    """
    chosen = open_reader(reader)
    reports: list[IngestReport] = []
    refused: dict[str, str] = {}
    with LogOfFiles(Path(log_dir)) as log:
        for i, file in enumerate(files):
            stage("ingest", i, len(files))
            try:
                report = log.add(
                    chosen, Path(file), max_bad=max_bad, root=root, max_bytes=max_bytes
                )
                reports.append(report)
            except (DataError, RefusedByLogError) as error:
                refused[str(file)] = str(error)
    stage("ingest", len(files), len(files))
    if refused:
        raise RefusedError(refused, reports, len(files))
    return reports


class RefusedError(DataError):
    """Files of several were refused; names each with its reason.

    Attributes
    ----------
    refused : mapping of str to str
        Each file's reason.
    reports : list of IngestReport
        What became of the others.
    """

    def __init__(
        self, refused: Mapping[str, str], reports: Sequence[IngestReport], files: int
    ) -> None:
        self.refused, self.reports = dict(refused), list(reports)
        reasons = list(self.refused.values())
        text = reasons[0]
        if files > 1:
            text = f"{len(reasons)} of {files} files were refused: {'; '.join(reasons)}"
        super().__init__(text)


class LogOfFiles(AbstractContextManager["LogOfFiles"]):
    """The log that files are read into: made, and locked, when the first of them can be read.

    Parameters
    ----------
    log_dir : Path
        The log; made where there is none.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._held = ExitStack()
        self._open: tuple[EventLog, Writer] | None = None

    def __exit__(self, *_: object) -> None:
        """Let others write."""
        self._held.close()

    def add(
        self,
        reader: Reader,
        path: Path,
        *,
        max_bad: float,
        root: Path | None = None,
        max_bytes: int = MAX_BYTES,
        once: bool = False,
    ) -> IngestReport:
        """Read one file into the log, all of it or nothing.

        The parameters are those of `ingest_files`, `reader` opened. With `once` the liquidations
        that the log has from other files, whenever they were known, are left out: a recording's
        next file may begin with what a venue says again.

        Raises
        ------
        LiqbtError
            The file or the log cannot be used; the log is as before, and where there was none
            there is none.
        """
        ingested = reader.read(path, max_bad, root, max_bytes)
        if self._open is None:
            if not (self._log_dir / HEAD).exists():
                refuse_contradictions(
                    ingested.tables, ingested.source, ingested.revisions, ingested.rows
                )
            log = EventLog.open_or_create(self._log_dir)
            self._open = log, self._held.enter_context(log.writing())
        log, writer = self._open
        tables = dict(ingested.tables)
        commit = None
        if not (once and log.find(ingested.source)):
            if once and Kind.LIQUIDATION in tables:
                tables[Kind.LIQUIDATION] = log.unseen(Kind.LIQUIDATION, tables[Kind.LIQUIDATION])
            commit = writer.append(
                tables.items(),
                ingested.source,
                quarantine=ingested.quarantine_table(),
                revisions=ingested.revisions,
                rows=ingested.rows,
                noted="gaps" in ingested.summary.notes,
            )
        return IngestReport(
            file=path.name,
            rows=ingested.summary.rows,
            events=sum(table.num_rows for table in tables.values()),
            quarantined=len(ingested.quarantined),
            quarantine=None if commit is None else log.quarantine_path(commit),
            added=commit is not None,
            findings=() if commit is None else _findings(ingested),
        )


def ingest_one(
    log_dir: Path, reader: Reader, path: Path, *, max_bad: float, once: bool = False
) -> IngestReport:
    """Read one file into an event log: `LogOfFiles.add`, alone."""
    with LogOfFiles(log_dir) as log:
        return log.add(reader, path, max_bad=max_bad, once=once)


def _findings(ingested: Ingested) -> tuple[str, ...]:
    """Return what of a file's events cannot be what it is said to be, each as a sentence."""
    said = {(x.kind, x.venue, x.symbol): x.latency_is for x in ingested.summary.latency}
    feeds = []
    for kind, table in ingested.tables.items():
        for feed in feeds_of_columns(kind, *table_columns(table)):
            observed = said.get((kind.name.lower(), *feed.instrument)) == "observed"
            feeds.append(replace(feed, observed=observed))
    return tuple(found.text for found in findings(feeds))


def describe_ingest(report: IngestReport) -> str:
    """Return what became of one file as a sentence."""
    if not report.events:
        told = "; when nothing was received stands in the log" if report.added else ""
        return f"{report.file}: holds no events{told}"
    if not report.added:
        return f"{report.file}: already in the log, nothing added"
    text = f"{report.file}: {report.rows:,} rows, {report.events:,} events"
    if report.quarantined:
        text += f", {report.quarantined:,} rows quarantined in {report.quarantine}"
    return "\n".join([text, *(f"  {finding}" for finding in report.findings)])


def withdraw_file(log_dir: Path, file: str, reason: str) -> dict[str, Any]:
    """Take back what was read of a file into an event log, and return what that was.

    Raises
    ------
    LogError
        There is no log, nothing of the file stands in it, or it cannot be written.
    """
    log = EventLog.open(log_dir)
    before = sum(log.info().events.values())
    commit = log.withdraw(file, reason)
    return {
        "file": file,
        "commits": list(commit.withdraws),
        "events": before - sum(log.info().events.values()),
        "reason": commit.source["reason"],
        "commit": commit.number,
    }
