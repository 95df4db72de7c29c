"""From a file and its column map to event tables, with what was not believed put aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import DataError
from liqbt.ingest.cells import UNIT_NS, as_integers
from liqbt.ingest.colmap import ColumnMap, TimeColumn
from liqbt.ingest.faults import Faults, going_back
from liqbt.ingest.files import (
    MAX_BYTES,
    CsvShape,
    NoRowsError,
    RawTable,
    read_columns,
    sha256_file,
)
from liqbt.ingest.json_lines import read_json_lines, told_shape
from liqbt.ingest.rows import (
    EventRows,
    Joined,
    Latency,
    event_rows,
    event_times,
    join_tables,
    joined_columns,
    number_columns,
    passes,
    wanted_columns,
)
from liqbt.log.one_value import ONE_VALUE, Revisions
from liqbt.log.order import distinct
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.types import FloatArray, IntArray, Kind, Mask

READER: Final = "tabular 1"
"""Goes up when the same file and map would give other events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of one file.

    Attributes
    ----------
    file, file_sha256 : str
        Its name, without folders, and digest.
    map, map_sha256 : str
        The column map's name and digest.
    join_file, join_sha256 : str
        The second file's path below the data root and digest; empty where there is none.
    rows : int
        Rows in the file.
    filtered, unmatched, quarantined : int
        Rows left out by `where`, rows without a partner in the second file, rows put aside.
    reasons : mapping of str to int
        Why rows were put aside.
    empty : mapping of str to int
        By kind: rows that gave no such event because its optional fields were empty.
    events : mapping of str to int
        By kind: events made.
    latency : tuple of Latency
        By instrument and kind: when an event is known, and whether that was observed.
    price_is : mapping of str to str
        By kind: what the price is, where the map says it.
    notes : mapping of str to str, int or float
        What a vendor's reader says about the file, such as `throttle` or `doubled_rows`.
    reader : str
        Which code made the events; goes up when the same file and map would give other events.
    """

    file: str
    file_sha256: str
    map: str
    map_sha256: str
    join_file: str
    join_sha256: str
    rows: int
    filtered: int
    unmatched: int
    quarantined: int
    reasons: Mapping[str, int]
    empty: Mapping[str, int]
    events: Mapping[str, int]
    latency: tuple[Latency, ...]
    price_is: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=dict)
    reader: str = READER

    def source(self) -> dict[str, Any]:
        """Return the summary as the plain mapping that a log's commit carries."""
        latency = [x._asdict() for x in self.latency]
        said = {x.latency_is for x in self.latency}
        value = asdict(self)
        if not self.notes:
            del value["notes"]
        return {
            **value,
            "latency": latency,
            "latency_is": "observed" if said == {"observed"} else "modelled",
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceRows:
    """The rows of a file before they become events.

    Attributes
    ----------
    raw : RawTable
        Columns as they are written. A vendor's reader may leave rows out or add columns.
    number : ndarray of int64, shape (n,)
        Each row's number in the file, from 1; a header is not counted.
    total : int
        Rows in the file, those left out included.
    bad : mapping of str to ndarray of bool, shape (n,)
        Rows that cannot be right, by reason, as far as a vendor's reader knows already.
    notes : mapping of str to str, int or float
        What it says about the file, for the log's commit.
    """

    raw: RawTable
    number: IntArray
    total: int
    bad: Mapping[str, Mask] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def pick(self, keep: Mask) -> SourceRows:
        """Return the rows where `keep`, shape (n,), holds."""
        raw = self.raw
        return SourceRows(
            raw=RawTable(file=raw.file, table=raw.table.filter(pa.array(keep)), ragged=raw.ragged),
            number=self.number[keep],
            total=self.total,
            bad={reason: mask[keep] for reason, mask in self.bad.items()},
            notes=self.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ingested:
    """The events of one file.

    Attributes
    ----------
    tables : mapping of Kind to pyarrow.Table
        Event tables in canonical order.
    quarantined : pandas.DataFrame
        The rows that were not believed: `row` (from 1, the header not counted), `reason`, and the
        columns that the map uses, as text.
    summary : Summary
        Counts and provenance.
    rows : mapping of Kind to ndarray of int64
        The file's row of each row of a table, for kinds with one value per instant.
    revisions : str
        What becomes of a second value of one instant, as the map says.
    """

    tables: Mapping[Kind, pa.Table]
    quarantined: pd.DataFrame
    summary: Summary
    rows: Mapping[Kind, IntArray] = field(default_factory=dict)
    revisions: Revisions = "refuse"

    @property
    def source(self) -> dict[str, Any]:
        """Where the events come from, as `EventLog.append` takes it."""
        return self.summary.source()

    def quarantine_table(self) -> pa.Table | None:
        """Return the rows that were not believed as `EventLog.append` takes them."""
        if self.quarantined.empty:
            return None
        return pa.Table.from_pandas(self.quarantined, preserve_index=False)


def ingest_file(
    mapping: ColumnMap,
    path: Path | str,
    *,
    max_bad: float = MAX_BAD,
    root: Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> Ingested:
    """Convert one file to event tables; nothing is written.

    Parameters
    ----------
    mapping : ColumnMap
        What the columns mean.
    path : Path
        The file.
    max_bad : float
        The largest share of rows that may be put aside; above it the file is refused whole.
    root : Path, optional
        Where a second file lies; by default it is looked for beside the file and in the folders
        above it.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    DataError
        The file or the second file cannot be read or lacks a column, no row passes the filter, or
        too many rows cannot be right; names file, rows and reasons.
    """
    path = Path(path)
    second = _second_file(mapping, path, root)
    try:
        rows = read_rows(mapping, path, max_bytes=max_bytes)
    except NoRowsError:
        return nothing(path, mapping.name, map_sha256=mapping.sha256)
    return ingest_rows(mapping, rows, path, max_bad=max_bad, second=second)


def nothing(
    path: Path,
    name: str,
    *,
    reader: str = READER,
    map_sha256: str = "",
    notes: Mapping[str, Any] | None = None,
) -> Ingested:
    """Return the events of a file in which nothing happened: a day without a liquidation.

    Parameters
    ----------
    path : Path
        The file.
    name, map_sha256 : str
        Of what would have read its rows.
    reader : str
        Which code looked at it.
    notes : mapping, optional
        What a vendor's reader says of such files.
    """
    summary = Summary(
        file=path.name,
        file_sha256=sha256_file(path),
        map=name,
        map_sha256=map_sha256,
        join_file="",
        join_sha256="",
        rows=0,
        filtered=0,
        unmatched=0,
        quarantined=0,
        reasons={},
        empty={},
        events={},
        latency=(),
        price_is={},
        notes=notes or {},
        reader=reader,
    )
    frame = pd.DataFrame({"row": pd.Series(dtype="int64"), "reason": pd.Series(dtype="str")})
    return Ingested(tables={}, quarantined=frame, summary=summary)


def ingest_rows(
    mapping: ColumnMap,
    rows: SourceRows,
    path: Path,
    *,
    max_bad: float = MAX_BAD,
    second: Path | None = None,
    reader: str = READER,
) -> Ingested:
    """Convert rows that were read, and perhaps mended by a vendor's reader, to event tables.

    Parameters
    ----------
    mapping : ColumnMap
        What the columns mean.
    rows : SourceRows
        From `read_rows`, or made by a vendor's reader.
    path : Path
        The file that they come from.
    max_bad : float
        The largest share of rows that may be put aside; above it the file is refused whole.
    second : Path, optional
        The map's second file.
    reader : str
        Which code made the events, for their provenance.

    Raises
    ------
    DataError
        As `ingest_file`.
    """
    faults = Faults(len(rows.number))
    for reason, mask in rows.bad.items():
        faults.add(reason, mask)
    parts, matched = _convert(mapping, rows, second, faults)
    left_out = _leave_out(parts, faults, rows.raw, max_bad, matched=matched)
    hint = ""
    if mapping.csv.columns and not mapping.csv.skip and len(matched) and faults.mask[0]:
        hint = "; where row 1 is a header, say csv.skip: 1"
    _refuse_above(
        path,
        rows.number,
        faults,
        rows.raw,
        max_bad,
        matched=matched,
        left_out=left_out,
        hint=hint,
    )
    good = matched & ~faults.mask
    joined = join_tables(parts, good, rows.number, mapping.revisions)
    tables = {kind: found.table for kind, found in joined.items()}
    quarantined = _quarantined(rows.raw, rows.number, faults)
    summary = Summary(
        file=path.name,
        file_sha256=sha256_file(path),
        map=mapping.name,
        map_sha256=mapping.sha256,
        join_file=mapping.join.file if mapping.join else "",
        join_sha256=sha256_file(second) if second else "",
        rows=rows.total,
        filtered=rows.total - len(rows.number) - len(rows.raw.ragged),
        unmatched=int((~matched & ~faults.mask).sum()),
        quarantined=len(quarantined),
        reasons=dict(Counter(quarantined["reason"].tolist()).most_common()),
        empty={p.emit.kind.name.lower(): p.empty for p in parts if p.empty},
        events={k.name.lower(): t.num_rows for k, t in tables.items()},
        latency=tuple(sorted({x for p in parts for x in p.latencies(good)})),
        price_is={e.kind.name.lower(): e.price_is for e in mapping.emit if e.price_is},
        notes={**rows.notes, **_said(joined, parts), **_named(parts, left_out)},
        reader=reader,
    )
    return Ingested(
        tables=tables,
        quarantined=quarantined,
        summary=summary,
        rows={kind: found.rows for kind, found in joined.items() if kind in ONE_VALUE},
        revisions=mapping.revisions,
    )


def _said(joined: Mapping[Kind, Joined], parts: list[EventRows]) -> dict[str, int]:
    """Return how many rows said nothing new, were replaced as they came, or came too early."""
    repeated = {f"repeated_rows_{k.name.lower()}": j.repeated for k, j in joined.items()}
    revised = {f"revised_rows_{k.name.lower()}": j.revised for k, j in joined.items()}
    behind = {"clock_behind_rows": max((p.behind for p in parts), default=0)}
    return {name: n for name, n in {**repeated, **revised, **behind}.items() if n}


def _convert(
    mapping: ColumnMap, rows: SourceRows, second: Path | None, faults: Faults
) -> tuple[list[EventRows], Mask]:
    """Return the events of each rule, and the rows that have a partner if they need one."""
    raw = rows.raw
    times, bad = event_times(raw.table, mapping, raw.file)
    _refuse_mixed_units(mapping.time, rows, bad)
    zone = mapping.time.zone
    twice = "" if zone == "UTC" else f", or the clock of {zone} showed it twice or not at all"
    faults.add(f"{mapping.time.column!r} is no time from 2009 to 2100{twice}", bad)
    joined: dict[str, FloatArray] = {}
    known, matched = times, np.ones(len(times), dtype=bool)
    if mapping.join is not None and second is not None:
        joined, known, matched = joined_columns(raw.table, times, mapping.join, second)
        if not matched.any():
            raise DataError(f"{raw.file}: no row has the time of a row of {mapping.join.file}")
        if mapping.join.unmatched == "quarantine":
            faults.add(f"no row of {mapping.join.file} has the same time", ~matched)
            matched = np.ones_like(matched)
    numbers = number_columns(raw.table, mapping, joined, faults)
    sequence = _sequence(mapping, raw, faults)
    parts = [
        event_rows(emit, mapping, raw, times, known, numbers, sequence, matched, faults)
        for emit in mapping.emit
    ]
    _check_sequence(mapping, parts, sequence, times, faults)
    return parts, matched


def _refuse_mixed_units(time: TimeColumn, rows: SourceRows, bad: Mask) -> None:
    """Refuse a file in which some times are counted in another unit than the rest."""
    if time.unit not in UNIT_NS or not bad.any():
        return
    counts, none = as_integers(rows.raw.table[time.column].filter(pa.array(bad)))
    for unit, factor in UNIT_NS.items():
        sane = (counts >= EARLIEST_NS // factor) & (counts < LATEST_NS // factor) & ~none
        if unit != time.unit and sane.any():
            row = int(rows.number[np.flatnonzero(bad)[np.flatnonzero(sane)[0]]])
            raise DataError(
                f"{rows.raw.file} mixes units of time: {time.column!r} counts {time.unit}, "
                f"but row {row} counts {unit}"
            )


def _second_file(mapping: ColumnMap, path: Path, root: Path | None) -> Path | None:
    if mapping.join is None:
        return None
    roots = [root] if root is not None else list(path.resolve().parents)
    for folder in roots:
        if (folder / mapping.join.file).is_file():
            return folder / mapping.join.file
    raise DataError(
        f"{path} is joined with {mapping.join.file!r}, which is not below "
        f"{'any folder above it' if root is None else root}"
    )


def _sequence(mapping: ColumnMap, raw: RawTable, faults: Faults) -> IntArray:
    if mapping.id is None:
        return np.full(raw.table.num_rows, -1, dtype=np.int64)
    numbers, bad = as_integers(raw.table[mapping.id])
    faults.add(f"{mapping.id!r} is no whole number from 0", bad | (numbers < 0))
    return np.where(bad, 0, numbers)


def _check_sequence(
    mapping: ColumnMap, parts: list[EventRows], number: IntArray, times: IntArray, faults: Faults
) -> None:
    if mapping.id is None:
        return
    reason = f"time goes back while {mapping.id!r} rises"
    for part in parts:
        market = part.venue.astype(np.int64) * (len(part.symbols) + 1) + part.symbol
        for code in distinct(market):
            rows = np.flatnonzero((market == code) & part.given & ~faults.mask)
            mask = np.zeros(len(times), dtype=bool)
            mask[rows[going_back(number[rows], times[rows])]] = True
            faults.add(reason, mask)


def _leave_out(
    parts: list[EventRows],
    faults: Faults,
    raw: RawTable,
    max_bad: float,
    *,
    matched: Mask,
) -> Mask:
    """Put aside all rows of instruments that cannot be right, where others can; return which.

    One dead coin stops nothing else: where a file has several instruments, those of which a larger
    share of values is bad than may be are left out whole, as long as no more are wrong than right.
    """
    none = np.zeros(len(matched), dtype=bool)
    bad = faults.mask_of(tuple(f"{part.emit.kind.name.lower()}: " for part in parts))
    if not parts or int(bad.sum()) + len(raw.ragged) <= max_bad * int(matched.sum()):
        return none
    market = parts[0].venue.astype(np.int64) * len(parts[0].symbols) + parts[0].symbol
    codes, of = np.unique(market, return_inverse=True)
    counted = np.bincount(of[matched], minlength=len(codes))
    wrong = np.bincount(of[bad & matched], minlength=len(codes))
    dead = (wrong > max_bad * counted) & (counted > 0)
    if not dead.any() or int(dead.sum()) > int(((counted > 0) & ~dead).sum()):
        return none
    rows = np.asarray(dead[of] & matched)
    for code in np.flatnonzero(dead).tolist():
        reason = f"{wrong[code]} of its instrument's {counted[code]} rows cannot be right"
        faults.add(f"left out: {reason}", rows & (of == code))
    return rows


def _named(parts: list[EventRows], rows: Mask) -> dict[str, Any]:
    """Return how many rows of which instruments were left out whole."""
    if not rows.any():
        return {}
    first = parts[0]
    names = [first.symbols[code] for code in first.symbol[rows].tolist()]
    return {"left_out": dict(sorted(Counter(names).items()))}


def _refuse_above(
    path: Path,
    kept: IntArray,
    faults: Faults,
    raw: RawTable,
    max_bad: float,
    *,
    matched: Mask,
    left_out: Mask,
    hint: str = "",
) -> None:
    bad = int((faults.mask & ~left_out).sum()) + len(raw.ragged)
    total = int((matched & ~left_out).sum()) + len(raw.ragged)
    if bad <= max_bad * total:
        return
    examples = [f"{n} rows: {reason}" for reason, n in faults.count().most_common(3)]
    if raw.ragged:
        examples.append(f"{len(raw.ragged)} rows with another number of cells")
    first = sorted([*kept[faults.mask].tolist()[:5], *[row for row, _ in raw.ragged[:5]]])[:5]
    raise DataError(
        f"{path}: {bad} of {total} rows cannot be right, more than the {max_bad:.3%} that may be "
        f"put aside; first at rows {first} ({'; '.join(examples)}){hint}"
    )


def _quarantined(raw: RawTable, kept: IntArray, faults: Faults) -> pd.DataFrame:
    bad = raw.table.filter(pa.array(faults.mask))
    cells = {name: _texts(bad[name]) for name in bad.schema.names}
    frame = pd.DataFrame({"row": kept[faults.mask], "reason": faults.reasons(), **cells})
    if raw.ragged:
        rows = [row for row, _ in raw.ragged]
        torn = pd.DataFrame({"row": rows, "text": [text for _, text in raw.ragged]})
        torn["reason"] = "another number of cells than the header"
        frame = pd.concat([frame, torn], ignore_index=True).sort_values("row", kind="stable")
    return frame.reset_index(drop=True)


def _texts(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_temporal(column.type):  # Python's own types cannot hold all of them
        column = column.cast(pa.string())
    return ["" if value is None else str(value) for value in column.to_pylist()]


def read_rows(
    mapping: ColumnMap, path: Path, *, also: Collection[str] = (), max_bytes: int = MAX_BYTES
) -> SourceRows:
    """Read the columns that a map uses, of the rows that pass its filter.

    Parameters
    ----------
    mapping : ColumnMap
        What to read.
    path : Path
        The file.
    also : collection of str
        Further columns, as text.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    DataError
        The file cannot be read or lacks a column, has no rows, or none passes the filter.
    """
    wanted = wanted_columns(mapping)
    texts = tuple(dict.fromkeys((*wanted.texts, *also)))
    shape = mapping.jsonl or told_shape(path, mapping.time.column, max_bytes)
    if shape is not None:
        columns = (*wanted.numbers, *wanted.integers, *texts)
        raw, lines = read_json_lines(path, columns, shape, max_bytes)
        rows = SourceRows(raw=raw, number=lines, total=len(lines) + len(raw.ragged))
    else:
        rows = read_table(
            path,
            numbers=wanted.numbers,
            integers=wanted.integers,
            texts=texts,
            shape=mapping.csv,
            max_bytes=max_bytes,
        )
    keep = passes(rows.raw.table, mapping.where)
    if not keep.any():
        rule = {column: list(values) for column, values in mapping.where.items()}
        raise DataError(f"{path} has no row where {rule}")
    return rows if keep.all() else rows.pick(keep)


def read_table(
    path: Path,
    *,
    numbers: Collection[str] = (),
    integers: Collection[str] = (),
    texts: Collection[str] = (),
    shape: CsvShape,
    max_bytes: int = MAX_BYTES,
) -> SourceRows:
    """Read some columns of a file, by what is expected in them.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or has no rows.
    """
    raw = read_columns(
        path, numbers=numbers, integers=integers, texts=texts, shape=shape, max_bytes=max_bytes
    )
    total = raw.table.num_rows + len(raw.ragged)
    if total == 0:
        raise NoRowsError(f"{path} has a header but no rows")
    number = np.arange(1, total + 1, dtype=np.int64)
    if raw.ragged:
        number = np.setdiff1d(number, [row for row, _ in raw.ragged])
    return SourceRows(raw=raw, number=number, total=total)
