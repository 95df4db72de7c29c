"""From a file and its column map to event tables, with what was not believed put aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import UNIT_NS, as_integers
from liqbt.ingest.colmap import ColumnMap, Stamp
from liqbt.ingest.columns import event_times, joined_columns, number_columns
from liqbt.ingest.faults import Faults, going_back
from liqbt.ingest.files import MAX_BYTES, RawTable, sha256_file
from liqbt.ingest.rows import EventRows, event_rows, join_tables
from liqbt.ingest.source import SourceRows, read_rows
from liqbt.ingest.summary import READER, Summary
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.types import FloatArray, IntArray, Kind, Mask


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
    """

    tables: Mapping[Kind, pa.Table]
    quarantined: pd.DataFrame
    summary: Summary

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
    max_bad: float = 0.001,
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
    return ingest_rows(
        mapping, read_rows(mapping, path, max_bytes=max_bytes), path, max_bad=max_bad, second=second
    )


def ingest_rows(
    mapping: ColumnMap,
    rows: SourceRows,
    path: Path,
    *,
    max_bad: float = 0.001,
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
    _refuse_above(path, rows.number, faults, rows.raw, max_bad, matched=matched)
    good = matched & ~faults.mask
    tables = join_tables(parts, good)
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
        notes=rows.notes,
        reader=reader,
    )
    return Ingested(tables=tables, quarantined=quarantined, summary=summary)


def _convert(
    mapping: ColumnMap, rows: SourceRows, second: Path | None, faults: Faults
) -> tuple[list[EventRows], Mask]:
    """Return the events of each rule, and the rows that have a partner if they need one."""
    raw = rows.raw
    times, bad = event_times(raw.table, mapping.stamp, raw.file)
    _refuse_mixed_units(mapping.stamp, rows, bad)
    faults.add(f"{mapping.stamp.column!r} is no time from 2009 to 2100", bad)
    joined: dict[str, FloatArray] = {}
    known, matched = times, np.ones(len(times), dtype=bool)
    if mapping.join is not None and second is not None:
        joined, known, matched = joined_columns(raw.table, times, mapping.join, second)
        if not matched.any():
            raise DataError(f"{raw.file}: no row has the time of a row of {mapping.join.file}")
        if not mapping.join.skip_unmatched:
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


def _refuse_mixed_units(stamp: Stamp, rows: SourceRows, bad: Mask) -> None:
    """Refuse a file in which some times are counted in another unit than the rest."""
    if stamp.unit not in UNIT_NS or not bad.any():
        return
    counts, none = as_integers(rows.raw.table[stamp.column].filter(pa.array(bad)))
    for unit, factor in UNIT_NS.items():
        sane = (counts >= EARLIEST_NS // factor) & (counts < LATEST_NS // factor) & ~none
        if unit != stamp.unit and sane.any():
            row = int(rows.number[np.flatnonzero(bad)[np.flatnonzero(sane)[0]]])
            raise DataError(
                f"{rows.raw.file} mixes units of time: {stamp.column!r} counts {stamp.unit}, "
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
    if mapping.id_column is None:
        return np.full(raw.table.num_rows, -1, dtype=np.int64)
    numbers, bad = as_integers(raw.table[mapping.id_column])
    faults.add(f"{mapping.id_column!r} is no whole number from 0", bad | (numbers < 0))
    return np.where(bad, 0, numbers)


def _check_sequence(
    mapping: ColumnMap, parts: list[EventRows], number: IntArray, times: IntArray, faults: Faults
) -> None:
    if mapping.id_column is None:
        return
    reason = f"time goes back while {mapping.id_column!r} rises"
    for part in parts:
        market = part.venue.astype(np.int64) * (len(part.symbols) + 1) + part.symbol
        for code in np.unique(market).tolist():
            rows = np.flatnonzero((market == code) & part.given & ~faults.mask)
            mask = np.zeros(len(times), dtype=bool)
            mask[rows[going_back(number[rows], times[rows])]] = True
            faults.add(reason, mask)


def _refuse_above(
    path: Path,
    kept: IntArray,
    faults: Faults,
    raw: RawTable,
    max_bad: float,
    *,
    matched: Mask,
) -> None:
    bad = int(faults.mask.sum()) + len(raw.ragged)
    total = int(matched.sum()) + len(raw.ragged)
    if bad <= max_bad * total:
        return
    examples = [f"{n} rows: {reason}" for reason, n in faults.count().most_common(3)]
    if raw.ragged:
        examples.append(f"{len(raw.ragged)} rows with another number of cells")
    first = sorted([*kept[faults.mask].tolist()[:5], *[row for row, _ in raw.ragged[:5]]])[:5]
    raise DataError(
        f"{path}: {bad} of {total} rows cannot be right, more than the {max_bad:.3%} that may be "
        f"put aside; first at rows {first} ({'; '.join(examples)})"
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
