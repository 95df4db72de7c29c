"""How good the feeds of an event log are: everything that a table or a page says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from liqbt.errors import DataError
from liqbt.ingest.recordings import RECORDING
from liqbt.log.one_value import standing_rows
from liqbt.log.schema import table_columns
from liqbt.log.store import EventLog
from liqbt.plausibility.feeds import Feed, feeds_of_columns
from liqbt.plausibility.findings import Finding, findings
from liqbt.plausibility.leak_test import FeedLeak, leak_tests
from liqbt.quality.coverage import FeedCoverage, Overlap, feed_coverages, overlaps
from liqbt.quality.feeds import FeedQuality, measure_feed
from liqbt.quality.rows import feed_rows
from liqbt.study.events import open_log
from liqbt.study.progress import Stage, silent
from liqbt.study.store import json_value
from liqbt.types import Kind, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuality:
    """How good the feeds of a log are.

    Attributes
    ----------
    name : str
        The log folder's name.
    digest : str
        The log's digest.
    start_ns, end_ns : int
        First and last event.
    feeds : tuple of FeedQuality
        By kind, venue, symbol and span.
    coverage : tuple of FeedCoverage
        Liquidations against open interest.
    overlaps : tuple of Overlap
        Feeds of one kind and coin.
    notes : tuple of (str, str, str)
        What the readers said of files: file, what, value; such as a cap or a throttle.
    quarantined : int
        Rows that were not believed.
    findings : tuple of Finding
        What cannot be what it is said to be (`liqbt.plausibility`).
    leaks : tuple of FeedLeak
        What the leak test says of every feed with one value per instant.
    """

    name: str
    digest: str
    start_ns: Ns
    end_ns: Ns
    feeds: tuple[FeedQuality, ...]
    coverage: tuple[FeedCoverage, ...]
    overlaps: tuple[Overlap, ...]
    notes: tuple[tuple[str, str, str], ...]
    quarantined: int
    findings: tuple[Finding, ...] = ()
    leaks: tuple[FeedLeak, ...] = ()


def log_quality(path: Path, *, stage: Stage = silent) -> LogQuality:
    """Measure every feed of the event log at `path`.

    Parameters
    ----------
    path : Path
        The log's folder.
    stage : callable
        Progress: called with a name, how many are done, and of how many.

    Raises
    ------
    LogError
        There is no log, or it is damaged.
    DataError
        The log is empty.
    """
    log = open_log(path)
    info = log.info()
    if not info.events:
        raise DataError(f"the log {path} has no events: there is nothing to measure")
    start = min(first for first, _ in info.event_ns.values())
    end = max(last for _, last in info.event_ns.values())
    said = _latencies(log)
    least = sum(len(instruments) for instruments in info.instruments.values())
    feeds, kept = [], []
    for i, feed in enumerate(feed_rows(log)):
        stage("feeds", i, max(least, i + 1))
        key = (feed.kind.name.lower(), *feed.instrument)
        feeds.append(measure_feed(feed, said.get(key, "modelled"), start, end))
        if feed.kind != Kind.TRADE:  # nothing below needs them, and they are most of the rows
            kept.append(feed)
    stage("feeds", len(feeds), len(feeds))
    found, standing = _findings(log, said)
    stage("leaks", 0, 1)
    leaks = leak_tests(standing)
    stage("leaks", 1, 1)
    return LogQuality(
        name=path.resolve().name,
        digest=info.digest,
        start_ns=start,
        end_ns=end,
        feeds=tuple(feeds),
        coverage=tuple(feed_coverages(kept)),
        overlaps=tuple(overlaps(kept)),
        notes=tuple(_notes(log)),
        quarantined=info.quarantined,
        findings=found,
        leaks=tuple(leaks),
    )


def log_leaks(path: Path) -> list[FeedLeak]:
    """Run the leak test on every feed with one value per instant of the log at `path`.

    Raises
    ------
    LogError
        There is no log, or it is damaged.
    """
    log = open_log(path)
    kinds = [kind for kind in sorted(log.info().events) if kind != Kind.TRADE]
    return leak_tests([feed for kind in kinds for feed in _standing(log, kind)])


def _standing(log: EventLog, kind: Kind) -> Iterator[Feed]:
    """Yield the feeds of one kind, each value once."""
    columns, names = table_columns(log.read(kind))
    stands, _ = standing_rows(kind, columns)
    columns = {name: values[stands] for name, values in columns.items()}
    yield from feeds_of_columns(kind, columns, names)


def _findings(
    log: EventLog, said: Mapping[tuple[str, str, str], str]
) -> tuple[tuple[Finding, ...], list[Feed]]:
    """Return what of a log cannot be what it is said to be, and its feeds but for trades."""
    feeds: list[Feed] = []
    found: list[Finding] = []
    for kind in sorted(log.info().events):
        for feed in _standing(log, kind):
            key = (kind.name.lower(), *feed.instrument)
            known = replace(feed, observed=said.get(key) == "observed")
            if kind == Kind.TRADE:  # most of the rows, and nothing below needs them
                found += findings([known])
            else:
                feeds.append(known)
    return (*found, *findings(feeds)), feeds


def plain(quality: LogQuality) -> dict[str, Any]:
    """Return everything as JSON would have it: no NaN, no infinity; ratios written out."""
    value = asdict(quality)
    for row, feed in zip(value["feeds"], quality.feeds, strict=True):
        row["complete"] = feed.complete
    for row, pair in zip(value["coverage"], quality.coverage, strict=True):
        row["ratio"] = pair.ratio
    cleaned: dict[str, Any] = json_value(value)
    return cleaned


def plain_rows(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return dataclasses as JSON would have them: no NaN, no infinity."""
    cleaned: list[dict[str, Any]] = json_value([asdict(value) for value in values])
    return cleaned


def _latencies(log: EventLog) -> dict[tuple[str, str, str], str]:
    """Return by kind, venue and symbol how the latency is known."""
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for commit in log.standing():
        listed = commit.source.get("latency")
        for row in listed if isinstance(listed, list) else []:
            key = (str(row["kind"]), str(row["venue"]), str(row["symbol"]))
            found[key].add(str(row["latency_is"]))
    return {key: "both" if len(said) > 1 else min(said) for key, said in found.items()}


def _notes(log: EventLog) -> list[tuple[str, str, str]]:
    """Return what readers said of each file; of a recorder's many files together."""
    said: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for commit in log.standing():
        map_ = str(commit.source.get("map", ""))
        whose = map_ if map_.endswith(f"/{RECORDING}") else str(commit.source.get("file", ""))
        for name, value in sorted(dict(commit.source.get("notes") or {}).items()):
            said[whose, str(name)] += value if name == "gaps" else [value]
    return [(whose, name, _together(values)) for (whose, name), values in said.items()]


def _together(values: list[Any]) -> str:
    """Return counts as their sum, one value as itself, of several the first ten."""
    if all(isinstance(value, int) for value in values):
        return str(sum(values))
    texts = list(dict.fromkeys(map(str, values)))
    more = f"; and {len(texts) - 10} more" if len(texts) > 10 else ""
    return "; ".join(texts[:10]) + more
