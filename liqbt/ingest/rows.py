"""The events of one kind that the rows of a file give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import as_times, as_words
from liqbt.ingest.colmap import ColumnMap, Emit, Name, SideRule
from liqbt.ingest.columns import passes
from liqbt.ingest.expressions import evaluate
from liqbt.ingest.faults import Faults
from liqbt.ingest.files import RawTable
from liqbt.log.schema import row_faults
from liqbt.log.tables import event_table
from liqbt.types import PAYLOAD, FloatArray, IntArray, Kind, Mask, Side

_SIDES = {
    ("order_side", "sell"): Side.LONG,
    ("order_side", "buy"): Side.SHORT,
    ("position_side", "long"): Side.LONG,
    ("position_side", "short"): Side.SHORT,
    ("taker", "buy"): Side.LONG,
    ("taker", "sell"): Side.SHORT,
    ("taker", "none"): Side.NONE,
    ("book_side", "bid"): Side.LONG,
    ("book_side", "ask"): Side.SHORT,
}


class Latency(NamedTuple):
    """How long after its event a row is known.

    Attributes
    ----------
    venue, symbol, kind : str
        What it is about.
    latency_s : float
        As declared; the median where it was observed row by row.
    latency_is : str
        `modelled` or `observed`.
    feed : str
        `polled` or `pushed`.
    """

    venue: str
    symbol: str
    kind: str
    latency_s: float
    latency_is: str
    feed: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventRows:
    """One event a row, for the rows in `given`; every array has shape (n,).

    Attributes
    ----------
    emit : Emit
        What was asked for.
    given : ndarray of bool
        The rows that give such an event.
    venues, symbols : list of str
        Sorted names that `venue` and `symbol` index.
    columns : dict of str to ndarray
        Every other column of the event table.
    empty : int
        Rows that gave none because all its fields were empty.
    """

    emit: Emit
    given: Mask
    venues: list[str]
    symbols: list[str]
    venue: IntArray
    symbol: IntArray
    columns: dict[str, npt.NDArray[Any]] = field(repr=False)
    empty: int

    def latencies(self, good: Mask) -> Iterator[Latency]:
        """Yield the latency of each instrument among the rows that are good."""
        rows = np.flatnonzero(self.given & good)
        market = self.venue[rows] * len(self.symbols) + self.symbol[rows]
        lag = self.columns["ts_known"][rows] - self.columns["ts_event"][rows]
        for code in np.unique(market).tolist():
            arrival = self.emit.arrival
            yield Latency(
                self.venues[code // len(self.symbols)],
                self.symbols[code % len(self.symbols)],
                self.emit.kind.name.lower(),
                float(np.median(lag[market == code])) / 1e9,
                "observed" if arrival.observed else "modelled",
                arrival.feed,
            )


def event_rows(
    emit: Emit,
    mapping: ColumnMap,
    raw: RawTable,
    times: IntArray,
    joined_known: IntArray,
    numbers: dict[str, FloatArray],
    sequence: IntArray,
    matched: Mask,
    faults: Faults,
) -> EventRows:
    """Return the events of one rule, noting in `faults` the rows that cannot be right.

    Parameters
    ----------
    emit : Emit
        The rule.
    mapping : ColumnMap
        The map that it is of.
    raw : RawTable
        The n rows.
    times, joined_known : ndarray of int64, shape (n,)
        When each event happened, and when the row that it was joined with was known; ns UTC.
    numbers : dict of str to ndarray, each of shape (n,) or ()
        What expressions may name; NaN where a cell is empty.
    sequence : ndarray of int64, shape (n,)
        The venue's own numbers; -1 where it has none.
    matched : ndarray of bool, shape (n,)
        Rows that have a partner in the second file, if the map names one.
    faults : Faults
        Of the n rows.

    Raises
    ------
    DataError
        A column of times is in another unit than the map says, or a name is not in the file's.
    """
    n = len(times)
    given = passes(raw.table, emit.where) & matched
    columns = _payload(emit, numbers, n)
    empty = 0
    if emit.optional:
        none = np.all([np.isnan(columns[name]) for name in PAYLOAD[emit.kind]], axis=0)
        empty = int((none & given).sum())
        given &= ~none
    venues, venue = _named(emit.venue, raw)
    symbols, symbol = _named(emit.symbol, raw)
    columns["ts_event"] = times
    columns["ts_known"] = np.maximum(_known(emit, raw, times, given, faults), joined_known)
    columns["seq"] = sequence
    columns["side"] = _side(emit.side, raw, given, faults)
    columns["span_s"] = np.broadcast_to(np.uint32(mapping.stamp.span_s), (n,))
    checked = {**columns, "venue": venue, "symbol": symbol}
    point = "price" in emit.fields and emit.kind == Kind.MARK
    for reason, mask in row_faults(emit.kind, checked, {"venue": venues, "symbol": symbols}):
        said = reason.replace("open", "price", 1) if point else reason
        faults.add(f"{emit.kind.name.lower()}: {said}", mask & given)
    return EventRows(
        emit=emit,
        given=given,
        venues=venues,
        symbols=symbols,
        venue=venue,
        symbol=symbol,
        columns=columns,
        empty=empty,
    )


def join_tables(parts: Sequence[EventRows], good: Mask) -> dict[Kind, pa.Table]:
    """Return one event table a kind from the good rows of all parts."""
    tables = {}
    for kind in sorted({part.emit.kind for part in parts}):
        mine = [(p, np.flatnonzero(p.given & good)) for p in parts if p.emit.kind == kind]
        columns: dict[str, Any] = {
            name: np.concatenate([_picked(p.columns[name], rows) for p, rows in mine])
            if len(mine) > 1
            else _picked(mine[0][0].columns[name], mine[0][1])
            for name in mine[0][0].columns
        }
        columns["venue"] = _words([(p.venues, p.venue[rows]) for p, rows in mine])
        columns["symbol"] = _words([(p.symbols, p.symbol[rows]) for p, rows in mine])
        table = event_table(kind, columns)
        if table.num_rows:
            tables[kind] = table
    return tables


def _payload(emit: Emit, numbers: dict[str, FloatArray], n: int) -> dict[str, npt.NDArray[Any]]:
    point = emit.kind == Kind.MARK and "price" in emit.fields
    columns = {}
    for name in PAYLOAD[emit.kind]:
        expression = emit.fields.get("price" if point else name)
        value = np.asarray(np.nan) if expression is None else evaluate(expression, numbers)
        columns[name] = np.broadcast_to(value, (n,))
    return columns


def _known(emit: Emit, raw: RawTable, times: IntArray, given: Mask, faults: Faults) -> IntArray:
    arrival = emit.arrival
    if arrival.column is None:
        return times + arrival.latency_ns
    what = f"column {arrival.column!r} of {raw.file}"
    known, bad = as_times(raw.table[arrival.column], arrival.unit, "UTC", what)
    faults.add(f"{arrival.column!r} is no time from 2009 to 2100", bad & given)
    known = known + arrival.latency_ns
    faults.add(f"{arrival.column!r} lies before the event", ~bad & given & (known < times))
    return known


def _named(name: Name, raw: RawTable) -> tuple[list[str], IntArray]:
    rows = raw.table.num_rows
    if name.column is None:
        word = name.constant if name.pattern is None else _from_file_name(name.pattern, raw.file)
        return [name.rename.get(str(word), str(word))], np.zeros(rows, dtype=np.int64)
    words, codes = as_words(raw.table[name.column])
    renamed = [name.rename.get(w.strip(), w.strip()) for w in words]
    sorted_names = sorted(set(renamed))
    rank = np.array([sorted_names.index(w) for w in renamed], dtype=np.int64)
    return sorted_names, rank[codes]


def _from_file_name(pattern: str, file: str) -> str:
    match = re.search(pattern, file)
    if match is None or match.group(1) is None:
        raise DataError(f"the name of file {file!r} does not match {pattern!r}")
    return match.group(1)


def _side(
    rule: SideRule | None, raw: RawTable, given: Mask, faults: Faults
) -> npt.NDArray[np.int8]:
    if rule is None:
        return np.broadcast_to(np.int8(0), (raw.table.num_rows,))
    words, codes = as_words(raw.table[rule.column])
    sides = np.zeros(len(words), dtype=np.int8)
    for i, word in enumerate(words):
        meaning = rule.words.get(word.strip().lower())
        if meaning is None:
            known = sorted(rule.words)
            reason = f"{rule.column!r} is {word[:40]!r}, none of {known}"
            faults.add(reason, given & (codes == i))
        else:
            sides[i] = _SIDES[rule.means, meaning]
    out: npt.NDArray[np.int8] = sides[codes]
    return out


def _picked(values: npt.NDArray[Any], rows: IntArray) -> npt.NDArray[Any]:
    return values if len(rows) == len(values) else values[rows]


def _words(parts: Sequence[tuple[list[str], IntArray]]) -> pa.ChunkedArray:
    chunks = [
        pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(names, pa.string()))
        for names, codes in parts
    ]
    return pa.chunked_array(chunks)
