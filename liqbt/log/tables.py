"""One typed table per kind of event, validated and in canonical order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.log.order import lexicographic_order, number_repeats
from liqbt.log.rules import row_faults
from liqbt.log.schema import (
    NAME_COLUMNS,
    Columns,
    Names,
    event_schema,
    name_codes,
    normal_form,
    order_keys,
    table_columns,
)
from liqbt.types import PAYLOAD, IntArray, Kind

__all__ = ["canonical", "event_table"]

_DEFAULTS: Final[dict[str, int]] = {"seq": -1, "side": 0, "span_s": 0}
_INTEGERS: Final[dict[str, Any]] = {
    "ts_known": np.int64,
    "ts_event": np.int64,
    "seq": np.int64,
    "side": np.int8,
    "span_s": np.uint32,
    "occurrence": np.uint32,
}


def event_table(kind: Kind, columns: Mapping[str, Any]) -> pa.Table:
    """Validate columns and return the canonical table of `kind`.

    Parameters
    ----------
    kind : Kind
        What the rows are.
    columns : mapping of str to array_like or scalar
        By name: `ts_known`, `ts_event`, `venue`, `symbol` and the payload of `kind`; optionally
        `seq` (the venue's id, default -1: none), `side` (default 0), `span_s` (default 0) and
        `occurrence` (default: the running number among rows that agree in everything but
        `ts_known`; 0 where `seq` is given). Scalars are repeated.

    Returns
    -------
    pyarrow.Table
        With `event_schema(kind)`, in canonical order, -0.0 as 0.0 and one bit pattern of NaN.

    Raises
    ------
    DataError
        A column is missing, unknown, of another length or type, or a row cannot be right.

    Examples
    --------
    >>> t = event_table(Kind.TRADE, {"ts_known": [1_700_000_001_000_000_000] * 2,
    ...     "ts_event": [1_700_000_000_000_000_000] * 2, "venue": "x", "symbol": "BTC",
    ...     "side": 1, "price": [100.0, 100.0], "size_coins": [2.0, 2.0]})
    >>> t["occurrence"].to_pylist()
    [0, 1]
    """
    typed, names = _typed(kind, columns)
    faults = row_faults(kind, typed, names)
    if faults:
        reason, mask = faults[0]
        rows = np.flatnonzero(mask)[:5].tolist()
        raise DataError(f"{kind.name.lower()}: {reason} at rows {rows}")
    if "occurrence" not in columns:
        typed["occurrence"] = _occurrence(kind, typed)
    return _ordered(kind, typed, names)


def canonical(kind: Kind, table: pa.Table) -> pa.Table:
    """Return `table` with the exact schema of `kind`, in canonical order and normal form.

    Raises
    ------
    DataError
        The columns are not those of `kind`, or one holds nulls.
    """
    wanted = event_schema(kind).names
    if table.schema.names != wanted:
        raise DataError(
            f"a table of {kind.name.lower()} needs the columns {wanted}, got {table.schema.names}"
        )
    columns, names = table_columns(table)
    for name in PAYLOAD[kind]:
        columns[name] = normal_form(columns[name])
    return _ordered(kind, columns, names)


def _typed(
    kind: Kind, columns: Mapping[str, Any]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, list[str]]]:
    wanted = event_schema(kind).names
    _check_names(kind, columns, wanted)
    rows = _common_length(kind, columns)
    out: dict[str, npt.NDArray[Any]] = {}
    names: dict[str, list[str]] = {}
    cast: dict[tuple[int, type], npt.NDArray[Any]] = {}  # one array given twice is held once
    for name in wanted:
        if name in NAME_COLUMNS:
            names[name], values = _interned(kind, name, columns[name])
        else:
            given = columns.get(name, _DEFAULTS.get(name, 0))
            key = (id(given), _INTEGERS.get(name, np.float64))
            if key not in cast:
                cast[key] = _cast(kind, name, given)
            values = cast[key]
        out[name] = np.broadcast_to(values, (rows,))
    return out, names


def _check_names(kind: Kind, columns: Iterable[str], wanted: Sequence[str]) -> None:
    given = list(columns)
    for name in given:
        if name not in wanted:
            near = difflib.get_close_matches(name, wanted, n=1)
            hint = f"; nearest: {near[0]!r}" if near else f"; it has {list(wanted)}"
            raise DataError(f"{kind.name.lower()} has no column {name!r}{hint}")
    required = [n for n in wanted if n not in _DEFAULTS and n != "occurrence"]
    missing = [n for n in required if n not in given]
    if missing:
        raise DataError(f"{kind.name.lower()} needs the columns {missing}")


def _common_length(kind: Kind, columns: Mapping[str, Any]) -> int:
    lengths = {n: len(v) for n, v in columns.items() if np.ndim(v) or isinstance(v, pa.Array)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{kind.name.lower()}: columns differ in length: {lengths}")
    return next(iter(lengths.values()), 1)


def _interned(kind: Kind, name: str, value: Any) -> tuple[list[str], IntArray]:
    if isinstance(value, str):
        return [value], np.zeros(1, dtype=np.int64)
    if not isinstance(value, pa.Array | pa.ChunkedArray):
        try:
            value = pa.array(np.asarray(value, dtype=object), type=pa.string(), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"{kind.name.lower()}: column {name} needs text") from error
    if value.null_count:
        raise DataError(f"{kind.name.lower()}: column {name} holds {value.null_count} nulls")
    return name_codes(value if isinstance(value, pa.ChunkedArray) else pa.chunked_array([value]))


def _cast(kind: Kind, name: str, value: Any) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if name not in _INTEGERS:
        try:
            return normal_form(array.astype(np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"{kind.name.lower()}: column {name} is not numeric") from error
    target = np.dtype(_INTEGERS[name])
    if array.dtype.kind not in "iub":
        raise DataError(f"{kind.name.lower()}: column {name} needs integers, got {array.dtype}")
    bounds = np.iinfo(target)
    if array.size and (int(array.min()) < bounds.min or int(array.max()) > bounds.max):
        raise DataError(f"{kind.name.lower()}: column {name} leaves the range of {target}")
    return array.astype(target)


def _occurrence(kind: Kind, columns: Columns) -> npt.NDArray[np.uint32]:
    known, *identity = order_keys(kind, columns)[:-1]
    count = number_repeats(identity, known)
    return np.where(columns["seq"] >= 0, 0, count).astype(np.uint32)


def _ordered(kind: Kind, columns: dict[str, npt.NDArray[Any]], names: Names) -> pa.Table:
    order = lexicographic_order(order_keys(kind, columns))
    if (order[1:] < order[:-1]).any():
        columns = {name: values[order] for name, values in columns.items()}
    return _assemble(kind, columns, names)


def _assemble(kind: Kind, columns: Columns, names: Names) -> pa.Table:
    schema = event_schema(kind)
    arrays = []
    for field in schema:
        values = columns[field.name]
        if field.name in NAME_COLUMNS:
            words = pa.array(names[field.name], pa.string())
            arrays.append(pa.DictionaryArray.from_arrays(values.astype(np.int32), words))
        else:
            arrays.append(pa.array(np.ascontiguousarray(values), type=field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
