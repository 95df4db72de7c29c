"""What became of the files of a period, for people and programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Final

__all__ = ["FetchReport", "describe_fetch"]

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
