"""The events of one kind that the rows of a file give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import as_numbers, as_times, as_words
from liqbt.ingest.colmap import (
    ColumnMap,
    Constant,
    Emit,
    Filter,
    Join,
    Naming,
    Received,
    SideRule,
    TimeColumn,
    Timed,
)
from liqbt.ingest.expressions import Expression, evaluate
from liqbt.ingest.faults import Faults
from liqbt.ingest.files import RawTable, read_columns
from liqbt.log.one_value import ONE_VALUE, Revisions, replaced_at_once, standing_rows
from liqbt.log.order import distinct
from liqbt.log.schema import row_faults, table_columns
from liqbt.log.tables import ordered_table
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
    behind : int
        Rows that arrived before they happened by no more than the map tolerates.
    """

    emit: Emit
    given: Mask
    venues: list[str]
    symbols: list[str]
    venue: IntArray
    symbol: IntArray
    columns: dict[str, npt.NDArray[Any]] = field(repr=False)
    empty: int
    behind: int

    def latencies(self, good: Mask) -> Iterator[Latency]:
        """Yield the latency of each instrument among the rows that are good."""
        rows = np.flatnonzero(self.given & good)
        market = self.venue[rows] * len(self.symbols) + self.symbol[rows]
        lag = self.columns["ts_known"][rows] - self.columns["ts_event"][rows]
        for code in distinct(market):
            yield Latency(
                self.venues[code // len(self.symbols)],
                self.symbols[code % len(self.symbols)],
                self.emit.kind.name.lower(),
                float(np.median(lag[market == code])) / 1e9,
                "observed" if self.emit.observed else "modelled",
                self.emit.feed,
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
    known, behind = _known(emit, raw, times, given, faults)
    columns["ts_known"] = np.maximum(known, joined_known)
    columns["seq"] = sequence
    columns["side"] = _side(emit.side, raw, given, faults)
    columns["span_s"] = np.broadcast_to(np.uint32(mapping.span_s), (n,))
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
        behind=behind,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """The events of one kind that a file gives.

    Attributes
    ----------
    table : pyarrow.Table
        In canonical order.
    rows : ndarray of int64, shape (n,)
        The file's row of each event, from 1.
    repeated, revised : int
        Rows that said nothing new, and rows that the next one in the file replaced.
    """

    table: pa.Table
    rows: IntArray
    repeated: int = 0
    revised: int = 0


def join_tables(
    parts: Sequence[EventRows], good: Mask, number: IntArray, revisions: Revisions
) -> dict[Kind, Joined]:
    """Return one event table a kind from the good rows of all parts.

    Of rows that say the same of one instant one is kept. With `revisions` `last_known` the last of
    rows that arrived at one observed time stands: they are in order of arrival.
    """
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
        rows = number[np.concatenate([rows for _, rows in mine])]
        found = _one_value(kind, columns, rows, revisions, all(p.emit.observed for p, _ in mine))
        if found.table.num_rows:
            tables[kind] = found
    return tables


def _one_value(
    kind: Kind, columns: dict[str, Any], rows: IntArray, revisions: Revisions, observed: bool
) -> Joined:
    """Return the table of one kind, each instant's value once."""
    table, order = ordered_table(kind, columns)
    if kind not in ONE_VALUE:
        return Joined(table=table, rows=rows[order])
    cells, _ = table_columns(table)
    revised = np.zeros(len(order), dtype=bool)
    if revisions == "last_known" and observed:
        cells["arrival"] = order
        revised = replaced_at_once(kind, cells)
    stands = np.zeros(len(order), dtype=bool)
    left = np.flatnonzero(~revised)
    stands[left] = standing_rows(kind, {name: v[left] for name, v in cells.items()})[0]
    if stands.all():
        return Joined(table=table, rows=rows[order])
    kept = np.zeros(len(order), dtype=bool)
    kept[order[stands]] = True
    left_columns = {
        name: v.filter(pa.array(kept)) if isinstance(v, pa.ChunkedArray) else v[kept]
        for name, v in columns.items()
    }
    table, order = ordered_table(kind, left_columns)
    return Joined(
        table=table,
        rows=rows[kept][order],
        repeated=int((~stands & ~revised).sum()),
        revised=int(revised.sum()),
    )


def _payload(emit: Emit, numbers: dict[str, FloatArray], n: int) -> dict[str, npt.NDArray[Any]]:
    point = emit.kind == Kind.MARK and "price" in emit.fields
    columns = {}
    for name in PAYLOAD[emit.kind]:
        expression = emit.fields.get("price" if point else name)
        value = np.asarray(np.nan) if expression is None else evaluate(expression, numbers)
        columns[name] = np.broadcast_to(value, (n,))
    return columns


def _known(
    emit: Emit, raw: RawTable, times: IntArray, given: Mask, faults: Faults
) -> tuple[IntArray, int]:
    """Return when each row was known, and of how many the clock was behind within tolerance."""
    received = emit.received
    if received is None:
        return times + emit.latency, 0
    what = f"column {received.column!r} of {raw.file}"
    cells = raw.table[received.column]
    known, bad = as_times(cells, received.unit, "UTC", what, layout=received.format)
    faults.add(f"{received.column!r} is no time from 2009 to 2100", bad & given)
    known = known + emit.latency
    behind = ~bad & given & (known < times)
    near = behind & (times - known <= received.tolerance)
    if behind[~near].any():
        most = int((times - known)[behind & ~near].max()) / 1e6
        reason = f"{received.column!r} lies before the event, by up to {most:,.6g} ms"
        hint = " (where the clock is a little behind, say received.tolerance)"
        faults.add(reason + hint, behind & ~near)
    return np.where(near, times, known), int(near.sum())


def _named(name: Naming, raw: RawTable) -> tuple[list[str], IntArray]:
    rows = raw.table.num_rows
    if name.column is None:
        pattern = name.file_name
        word = name.constant if pattern is None else _from_file_name(pattern, raw.file)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The columns to read from a file, by what is expected in them."""

    numbers: tuple[str, ...]
    integers: tuple[str, ...]
    texts: tuple[str, ...]


def wanted_columns(mapping: ColumnMap) -> Wanted:
    """Return the columns of the file that `mapping` uses."""
    numbers = _free_names(mapping)
    integers = [mapping.id] if mapping.id else []
    texts: list[str] = []
    for timed in _time_columns(mapping):
        column, unit = timed.column, timed.unit
        (texts if unit in (None, "iso") else integers).append(column)
    texts += [c.column for c in mapping.constants.values() if c.column]
    texts += list(mapping.join.match) if mapping.join else []
    filters = [mapping.where]
    for emit in mapping.emit:
        filters.append(emit.where)
        texts += [n.column for n in (emit.venue, emit.symbol) if n.column]
        texts += [emit.side.column] if emit.side else []
    for rule in filters:
        texts_here, numbers_here = _filter_columns(rule)
        texts += texts_here
        numbers |= numbers_here
    return Wanted(
        numbers=tuple(sorted(numbers)),
        integers=tuple(dict.fromkeys(integers)),
        texts=tuple(dict.fromkeys(texts)),
    )


def passes(table: pa.Table, rule: Filter) -> Mask:
    """Return the rows that have one of the values of `rule` in each of its columns."""
    keep = np.ones(table.num_rows, dtype=bool)
    for column, values in rule.items():
        hit = np.zeros(table.num_rows, dtype=bool)
        if any(_is_word(v) for v in values):
            words, codes = as_words(table[column])
            texts = {str(v).lower() if isinstance(v, bool) else str(v) for v in values}
            hit |= np.isin(codes, [i for i, w in enumerate(words) if w.strip() in texts])
        figures = [float(v) for v in values if not _is_word(v)]
        if figures:
            hit |= np.isin(as_numbers(table[column])[0], figures)
        keep &= hit
    return keep


def event_times(table: pa.Table, timed: Timed, file: str) -> tuple[IntArray, Mask]:
    """Return the time of each row's event, ns UTC (the end of a bucket), and the rows without."""
    time = timed.time
    what = f"column {time.column!r} of {file}"
    times, bad = as_times(table[time.column], time.unit, time.zone, what, layout=time.format)
    if timed.stamp == "open":
        times = times + timed.span
    return times, bad


def number_columns(
    table: pa.Table, mapping: ColumnMap, joined: Mapping[str, FloatArray], faults: Faults
) -> dict[str, FloatArray]:
    """Return everything that an expression of an event may name: shape (n,) or ()."""
    columns: dict[str, FloatArray] = {}
    for name in sorted(_free_names(mapping)):
        columns[name], bad = as_numbers(table[name])
        faults.add(f"column {name!r} holds no number", bad)
    for name, factor in mapping.units.items():
        if name in columns:
            columns[name] = columns[name] * factor
    for name, constant in mapping.constants.items():
        columns[name] = _constant(table, name, constant, faults)
    columns.update(joined)
    for name, expression in mapping.derive.items():
        columns[name] = evaluate(expression, columns)
    return columns


def joined_columns(
    table: pa.Table, times: IntArray, join: Join, path: Path
) -> tuple[dict[str, FloatArray], IntArray, Mask]:
    """Return the second file's columns for each row, when they were known, and which rows have any.

    Raises
    ------
    DataError
        The second file cannot be read, or has two rows for one time.
    """
    right = _right_side(join, path)
    left = pd.DataFrame({"__time": times})
    for here in join.match:
        left[f"match {here}"] = _word_series(table[here])
    keys = list(left.columns)
    twice = right.duplicated(keys)
    if twice.any():
        when = pd.Timestamp(int(right["__time"][twice].iloc[0]), unit="ns", tz="UTC")
        raise DataError(f"{path} has two rows for the bucket or instant that ends at {when}")
    both = left.merge(right, on=keys, how="left", indicator="__found")
    matched = (both["__found"] == "both").to_numpy()
    values = {name: both[f"value {name}"].to_numpy(dtype=np.float64) for name in join.columns}
    known = times + join.latency
    return values, known, matched


def _right_side(join: Join, path: Path) -> pd.DataFrame:
    numbers = {n for e in join.columns.values() for n in e.names}
    where_texts, where_numbers = _filter_columns(join.where)
    by_count = join.time.unit not in (None, "iso")
    raw = read_columns(
        path,
        numbers=sorted(numbers | where_numbers),
        integers=[join.time.column] if by_count else [],
        texts=[*where_texts, *join.match.values(), *([] if by_count else [join.time.column])],
        shape=join.csv,
    )
    table = raw.table.filter(pa.array(passes(raw.table, join.where)))
    if not table.num_rows:
        raise DataError(f"{path} has no row that passes the filter of the join")
    times, bad = event_times(table, join, raw.file)
    cells = {name: as_numbers(table[name])[0] for name in sorted(numbers)}
    right = pd.DataFrame({"__time": times})
    for here, there in join.match.items():
        right[f"match {here}"] = _word_series(table[there])
    for name, expression in join.columns.items():
        right[f"value {name}"] = evaluate(expression, cells)
    return right[~bad]


def _constant(table: pa.Table, name: str, constant: Constant, faults: Faults) -> FloatArray:
    if constant.column is None:
        return np.asarray(constant.number)
    words, codes = as_words(table[constant.column])
    table_of = dict(constant.values)
    values = np.array([table_of.get(w.strip(), np.nan) for w in words], dtype=np.float64)
    out: FloatArray = values[codes] if len(words) else np.empty(0)
    for i, word in enumerate(words):
        if np.isnan(values[i]):
            faults.add(f"constant {name!r} has no value for {word[:40]!r}", codes == i)
    return out


def _free_names(mapping: ColumnMap) -> set[str]:
    """Names used in expressions that only the file can give."""
    expressions: list[Expression] = [e for emit in mapping.emit for e in emit.fields.values()]
    expressions += mapping.derive.values()
    used = {name for e in expressions for name in e.names}
    made = {*mapping.constants, *mapping.derive, *(mapping.join.columns if mapping.join else ())}
    return (used | set(mapping.units)) - made


def _time_columns(mapping: ColumnMap) -> Iterable[TimeColumn | Received]:
    yield mapping.time
    yield from (emit.received for emit in mapping.emit if emit.received)


def _filter_columns(rule: Filter) -> tuple[list[str], set[str]]:
    texts = [c for c, values in rule.items() if any(_is_word(v) for v in values)]
    return texts, {c for c in rule if c not in texts}


def _is_word(value: Any) -> bool:
    return isinstance(value, str | bool)


def _word_series(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    words, codes = as_words(column)
    return np.array(words, dtype=object)[codes]
