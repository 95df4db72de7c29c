"""The columns of a file as a map asks for them: which to read, and each as what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import as_numbers, as_times, as_words
from liqbt.ingest.colmap import ColumnMap, Filter, Join, Lookup, Stamp
from liqbt.ingest.expressions import Expression, evaluate
from liqbt.ingest.faults import Faults
from liqbt.ingest.files import read_columns
from liqbt.types import SECOND_NS, FloatArray, IntArray, Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The columns to read from a file, by what is expected in them."""

    numbers: tuple[str, ...]
    integers: tuple[str, ...]
    texts: tuple[str, ...]


def wanted_columns(mapping: ColumnMap) -> Wanted:
    """Return the columns of the file that `mapping` uses."""
    numbers = _free_names(mapping)
    integers = [mapping.id_column] if mapping.id_column else []
    texts: list[str] = []
    for column, unit in _time_columns(mapping):
        (texts if unit in (None, "iso") else integers).append(column)
    texts += [c.column for c in mapping.constants.values() if isinstance(c, Lookup)]
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


def event_times(table: pa.Table, stamp: Stamp, file: str) -> tuple[IntArray, Mask]:
    """Return the time of each row's event, ns UTC (the end of a bucket), and the rows without."""
    what = f"column {stamp.column!r} of {file}"
    times, bad = as_times(table[stamp.column], stamp.unit, stamp.zone, what)
    if stamp.at == "open":
        times = times + stamp.span_s * SECOND_NS
    return times, bad


def number_columns(
    table: pa.Table, mapping: ColumnMap, joined: Mapping[str, FloatArray], faults: Faults
) -> dict[str, FloatArray]:
    """Return everything that an expression of an event may name: shape (n,) or ()."""
    columns: dict[str, FloatArray] = {}
    for name in sorted(_free_names(mapping)):
        columns[name], bad = as_numbers(table[name])
        faults.add(f"column {name!r} holds no number", bad)
    for name, factor in mapping.scales.items():
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
    known = times + join.latency_ns
    return values, known, matched


def _right_side(join: Join, path: Path) -> pd.DataFrame:
    numbers = {n for e in join.columns.values() for n in e.names}
    where_texts, where_numbers = _filter_columns(join.where)
    by_count = join.stamp.unit not in (None, "iso")
    raw = read_columns(
        path,
        numbers=sorted(numbers | where_numbers),
        integers=[join.stamp.column] if by_count else [],
        texts=[*where_texts, *join.match.values(), *([] if by_count else [join.stamp.column])],
        shape=join.shape,
    )
    table = raw.table.filter(pa.array(passes(raw.table, join.where)))
    if not table.num_rows:
        raise DataError(f"{path} has no row that passes the filter of the join")
    times, bad = event_times(table, join.stamp, raw.file)
    cells = {name: as_numbers(table[name])[0] for name in sorted(numbers)}
    right = pd.DataFrame({"__time": times})
    for here, there in join.match.items():
        right[f"match {here}"] = _word_series(table[there])
    for name, expression in join.columns.items():
        right[f"value {name}"] = evaluate(expression, cells)
    return right[~bad]


def _constant(table: pa.Table, name: str, constant: float | Lookup, faults: Faults) -> FloatArray:
    if isinstance(constant, float):
        return np.asarray(constant)
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
    return (used | set(mapping.scales)) - made


def _time_columns(mapping: ColumnMap) -> Iterable[tuple[str, str | None]]:
    yield mapping.stamp.column, mapping.stamp.unit
    for emit in mapping.emit:
        if emit.arrival.column:
            yield emit.arrival.column, emit.arrival.unit


def _filter_columns(rule: Filter) -> tuple[list[str], set[str]]:
    texts = [c for c, values in rule.items() if any(_is_word(v) for v in values)]
    return texts, {c for c in rule if c not in texts}


def _is_word(value: Any) -> bool:
    return isinstance(value, str | bool)


def _word_series(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    words, codes = as_words(column)
    return np.array(words, dtype=object)[codes]
