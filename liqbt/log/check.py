"""What is appended held against itself and against what stands in the log."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.errors import DataError, RefusedByLogError
from liqbt.log.commits import Commit, Segment, identity_of
from liqbt.log.one_value import ONE_VALUE, Clash, Revisions, bits, compare, first_clash
from liqbt.log.order import lexicographic_order, same_as_previous
from liqbt.log.schema import table_columns
from liqbt.log.tables import load
from liqbt.types import PAYLOAD, Instrument, IntArray, Kind, Mask

_TWICE: Final = (
    "; one instant has one value: take out the row that is not right, or say `revisions: "
    "last_known` in a map whose rows have a receive time"
)
_TOGETHER: Final = ", both known at one time, so that neither is the later"


class Standing:
    """The segments whose events count, found by kind, market and time."""

    def __init__(self) -> None:
        self._spans: dict[tuple[Kind, Instrument], _Spans] = {}
        self._of_bytes: dict[str, list[Commit]] = {}

    def add(self, commit: Commit) -> None:
        """Count a commit, which is newer than all that were."""
        digest = commit.source.get("file_sha256")
        if digest:
            self._of_bytes.setdefault(digest, []).append(commit)
        for segment in commit.segments:
            for instrument in segment.instruments:
                key = (segment.kind, instrument)
                self._spans.setdefault(key, _Spans()).add(commit, segment)

    def of_bytes(self, digest: str | None) -> Sequence[Commit]:
        """Return the commits of files with these bytes, oldest first."""
        return self._of_bytes.get(digest or "", ())

    def overlapping(self, segment: Segment) -> list[tuple[Commit, Segment]]:
        """Return the segments that hold this one's kind, markets and times, oldest first."""
        found = {
            (commit.number, other.file): (commit, other)
            for instrument in segment.instruments
            if (spans := self._spans.get((segment.kind, instrument)))
            for commit, other in spans.overlapping(*segment.event_ns)
        }
        return [found[key] for key in sorted(found)]


class _Spans:
    """Segments of one kind and market by the first time that they hold."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []  # the latest that this one or any before it holds
        self._held: list[tuple[Commit, Segment]] = []

    def add(self, commit: Commit, segment: Segment) -> None:
        first, last = segment.event_ns
        place = bisect_right(self._first, first)
        self._first.insert(place, first)
        self._held.insert(place, (commit, segment))
        self._last.insert(place, max(last, self._last[place - 1] if place else last))
        for i in range(place + 1, len(self._last)):
            if self._last[i] >= last:
                break
            self._last[i] = last

    def overlapping(self, first: int, last: int) -> Iterator[tuple[Commit, Segment]]:
        place = bisect_right(self._first, last)
        while place and self._last[place - 1] >= first:
            place -= 1
            if self._held[place][1].event_ns[1] >= first:
                yield self._held[place]


class Check:
    """Holds the tables of one append against what stands in the log."""

    def __init__(
        self,
        folder: Path,
        standing: Standing,
        source: Mapping[str, Any],
        revisions: Revisions,
        rows: Mapping[Kind, IntArray],
    ) -> None:
        self._folder, self._source, self._revisions, self._rows = folder, source, revisions, rows
        self._file = str(source.get("file", "what is appended"))
        self._standing = standing
        self._written: list[Segment] = []

    def written(self, segment: Segment) -> None:
        """Remember a segment of this append: the tables after it may not contradict it."""
        self._written.append(segment)

    def refuse(self, segment: Segment, table: pa.Table) -> None:
        """Raise where a table contradicts itself, this append, or what is committed.

        Raises
        ------
        DataError
            Two values of one instant; names the files, the rows and both values.
        RefusedByLogError
            The same bytes stand as another reader understood them, or a file of the same name has
            other events.
        """
        self.refuse_itself(segment.kind, table)
        for commit in self._standing.of_bytes(self._source.get("file_sha256")):
            if any(
                other.kind == segment.kind and _meet(segment, other) for other in commit.segments
            ):
                self._refuse_other_reading(commit)
        for commit, other in self._standing.overlapping(segment):
            self._refuse_clash(segment.kind, table, other, commit)
            self._refuse_other_content(segment.kind, table, other, commit)
        for other in self._written:
            if other.kind == segment.kind and _meet(segment, other) and _overlap(segment, other):
                self._refuse_clash(segment.kind, table, other, None)

    def refuse_itself(self, kind: Kind, table: pa.Table) -> None:
        """Raise where a table contradicts itself.

        Raises
        ------
        DataError
            Two values of one instant; names the file, the rows and both values.
        """
        columns, names = table_columns(table)
        clash = first_clash(kind, columns, names, self._revisions)
        if clash is not None:
            raise DataError(f"{self._file}: {self._rows_of(clash, len(table))}{_TWICE}")

    def _refuse_other_reading(self, commit: Commit) -> None:
        if identity_of(commit.source) == identity_of(self._source):
            return
        read_by = commit.source.get("map") or commit.source.get("reader") or "another reader"
        raise RefusedByLogError(
            f"{self._file} is in the log already, read by {str(read_by)!r} (commit "
            f"{commit.number}), and would count twice: take that back first (`liqbt log "
            f"withdraw LOG {commit.source.get('file')} --reason ...`)"
        )

    def _refuse_clash(
        self, kind: Kind, table: pa.Table, other: Segment, commit: Commit | None
    ) -> None:
        if kind not in ONE_VALUE and not (table["seq"].to_numpy() >= 0).any():
            return
        both = pa.concat_tables([load(self._folder, other), table]).unify_dictionaries()
        columns, names = table_columns(both)
        found = compare(kind, columns)
        clash = first_clash(kind, columns, names, self._revisions, found=found)
        if clash is None:
            return
        row = self._row(kind, clash.second - other.rows)
        held = self._file if commit is None else f"{commit.source.get('file')} (commit "
        held += "" if commit is None else f"{commit.number})"
        tie = _TOGETHER if self._revisions == "last_known" else ""
        raise DataError(
            f"{self._file}: {row}{clash.what()} has a second value: {held} and this file say "
            f"{clash.both()}{tie}; take the row out, or the other file back (`liqbt log withdraw "
            "LOG FILE --reason ...`), or say `revisions: last_known` in a map whose rows have "
            "a receive time"
        )

    def _refuse_other_content(
        self, kind: Kind, table: pa.Table, other: Segment, commit: Commit
    ) -> None:
        """Refuse a file of the same name that lacks events of the one before it."""
        named = self._source.get("file")
        same_bytes = self._source.get("file_sha256") == commit.source.get("file_sha256")
        if kind in ONE_VALUE or same_bytes or named is None or named != commit.source.get("file"):
            return
        held = load(self._folder, other)
        lacking = _lacking(kind, table, held)
        if lacking:
            raise RefusedByLogError(
                f"{self._file}: a file of this name is in the log already (commit "
                f"{commit.number}), and {lacking} of its {kind.name.lower()}s are not in this one: "
                "both would count; if it was corrected, take that one back first (`liqbt log "
                f"withdraw LOG {named} --reason ...`), else give one of them another name"
            )

    def _row(self, kind: Kind, place: int) -> str:
        rows = self._rows.get(kind)
        return "" if rows is None or place < 0 else f"row {int(rows[place])}: "

    def _rows_of(self, clash: Clash, size: int) -> str:
        rows = self._rows.get(clash.kind)
        if rows is not None and len(rows) == size and rows[clash.first] > rows[clash.second]:
            clash = replace(
                clash, first=clash.second, second=clash.first, values=clash.values[::-1]
            )
        tie = _TOGETHER if self._revisions == "last_known" else ""
        text = f"{clash.what()} has two values: {clash.both()}{tie}"
        if rows is None or len(rows) != size:
            return text
        one, other = int(rows[clash.first]), int(rows[clash.second])
        return f"rows {one} and {other}: {text}"


def refuse_contradictions(
    tables: Mapping[Kind, pa.Table],
    source: Mapping[str, Any],
    revisions: Revisions,
    rows: Mapping[Kind, IntArray],
) -> None:
    """Raise where the tables of one source contradict themselves, before there is a log for them.

    The parameters are those of `EventLog.append`, the tables in canonical order.

    Raises
    ------
    DataError
        Two values of one instant; names the file, the rows and both values.
    """
    check = Check(Path(), Standing(), source, revisions, rows)
    for kind, table in tables.items():
        check.refuse_itself(kind, table)


def _meet(one: Segment, other: Segment) -> bool:
    return not set(one.instruments).isdisjoint(other.instruments)


def _overlap(one: Segment, other: Segment) -> bool:
    return one.event_ns[0] <= other.event_ns[1] and other.event_ns[0] <= one.event_ns[1]


def absent(kind: Kind, table: pa.Table, held: pa.Table) -> Mask:
    """Return which rows of `table` say what no row of `held` says, whenever they were known.

    Rows are the same by the venue's number, or where they have none by time, side, payload and
    running number.
    """
    both = pa.concat_tables([table, held]).unify_dictionaries()
    columns, _ = table_columns(both)
    numbered = columns["seq"] >= 0
    names = ("ts_event", "side", *PAYLOAD[kind], "occurrence")
    market = columns["venue"] * np.int64(1 << 32) + columns["symbol"]
    keys = [market, np.where(numbered, columns["seq"], -1)]
    keys += [np.where(numbered, 0, bits(columns[name])) for name in names]
    order = lexicographic_order([*keys, (np.arange(len(both)) < len(table)).astype(np.int8)])
    repeated = np.zeros(len(both), dtype=bool)
    repeated[order[same_as_previous(keys, order)]] = True
    return ~repeated[: len(table)]


def _lacking(kind: Kind, table: pa.Table, held: pa.Table) -> int:
    """Return how many events of `held`, in the time of `table` and its markets, it has not."""
    both = pa.concat_tables([held, table]).unify_dictionaries()
    columns, _ = table_columns(both)
    at, market = columns["ts_event"], columns["venue"] * np.int64(1 << 32) + columns["symbol"]
    old, new = slice(len(held)), slice(len(held), None)
    within = (at[old] >= at[new].min()) & (at[old] <= at[new].max())
    return int((within & np.isin(market[old], market[new]) & absent(kind, held, table)).sum())
