"""The columns of each kind of event: types, units, names, and the keys of their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.types import PAYLOAD, IntArray, Kind

__all__ = [
    "NAME_COLUMNS",
    "SCHEMA_VERSION",
    "Columns",
    "Names",
    "event_schema",
    "name_codes",
    "normal_form",
    "order_keys",
    "table_columns",
]

SCHEMA_VERSION: Final = 1
"""Version of the column layout; written into every schema and every commit."""

NAME_COLUMNS: Final = ("venue", "symbol")
Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Columns by name, all of one length; `venue` and `symbol` hold indices into their `Names`."""
Names: TypeAlias = Mapping[str, list[str]]
"""The sorted names that the columns `venue` and `symbol` index."""

_HEAD: Final[tuple[tuple[str, Any, str], ...]] = (
    ("ts_known", pa.int64(), "ns UTC"),
    ("ts_event", pa.int64(), "ns UTC"),
    ("venue", pa.dictionary(pa.int32(), pa.string()), "name"),
    ("symbol", pa.dictionary(pa.int32(), pa.string()), "name"),
    ("seq", pa.int64(), "venue's id, -1 for none"),
    ("side", pa.int8(), "1 long, -1 short, 0 none"),
    ("span_s", pa.uint32(), "s"),
)
_UNITS: Final[dict[str, str]] = {
    "price": "USD per coin",
    "open": "USD per coin",
    "high": "USD per coin",
    "low": "USD per coin",
    "close": "USD per coin",
    "size_coins": "coin",
    "volume_coins": "coin",
    "open_interest_coins": "coin",
    "open_interest_usd": "USD",
    "long_usd": "USD",
    "short_usd": "USD",
    "rate": "fraction per interval",
    "interval_hours": "h",
    "depth_coins": "coin",
    "depth_usd": "USD",
}


def event_schema(kind: Kind) -> pa.Schema:
    """Return the columns of `kind` on disk, with their units as field metadata.

    Examples
    --------
    >>> event_schema(Kind.FUNDING).names[-3:]
    ['rate', 'interval_hours', 'occurrence']
    >>> event_schema(Kind.FUNDING).field("rate").metadata[b"unit"]
    b'fraction per interval'
    """
    fields = [pa.field(n, t, nullable=False, metadata={"unit": u}) for n, t, u in _HEAD]
    fields += [
        pa.field(n, pa.float64(), nullable=False, metadata={"unit": _UNITS[n]})
        for n in PAYLOAD[kind]
    ]
    count = {"unit": "running number among identical rows of one file"}
    fields.append(pa.field("occurrence", pa.uint32(), nullable=False, metadata=count))
    metadata = {"liqbt.kind": kind.name.lower(), "liqbt.schema": str(SCHEMA_VERSION)}
    return pa.schema(fields, metadata=metadata)


def table_columns(table: pa.Table) -> tuple[dict[str, npt.NDArray[Any]], Names]:
    """Return an event table as numpy columns, and the names that `venue` and `symbol` index.

    Raises
    ------
    DataError
        A column holds nulls.
    """
    columns: dict[str, npt.NDArray[Any]] = {}
    names: dict[str, list[str]] = {}
    for name in table.schema.names:
        column = table[name]
        if column.null_count:
            raise DataError(f"column {name} holds {column.null_count} nulls: NaN is expected")
        if name in NAME_COLUMNS:
            names[name], columns[name] = name_codes(column)
        else:
            columns[name] = column.to_numpy()
    return columns, names


def order_keys(kind: Kind, columns: Columns) -> list[npt.NDArray[Any]]:
    """Return the keys of the canonical order within `kind`, the most significant first.

    `venue` and `symbol` must be indices into sorted names, the payload in normal form.
    """
    keys = [columns[name] for name, _, _ in _HEAD]
    keys += [columns[name].view(np.uint64) for name in PAYLOAD[kind]]
    return [*keys, columns["occurrence"]]


def name_codes(column: pa.ChunkedArray) -> tuple[list[str], IntArray]:
    """Return the sorted distinct names of a text column and each row's index into them.

    Examples
    --------
    >>> names, codes = name_codes(pa.chunked_array([["b", "a", "b"]]))
    >>> names, codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    chunks = []
    for chunk in column.chunks:
        encoded = chunk if isinstance(chunk, pa.DictionaryArray) else chunk.dictionary_encode()
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        chunks.append((encoded.dictionary.to_pylist(), indices))
    used = {words[i] for words, idx in chunks for i in np.flatnonzero(np.bincount(idx)).tolist()}
    names: list[str] = sorted(used)
    if len(names) == 1:
        return names, np.zeros(len(column), dtype=np.int64)
    rank = {name: i for i, name in enumerate(names)}
    parts = [
        np.array([rank.get(w, -1) for w in words], dtype=np.int64)[idx] for words, idx in chunks
    ]
    return names, np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def normal_form(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return floats with -0.0 as 0.0 and every NaN as one bit pattern."""
    out = np.asarray(values + 0.0)
    missing = np.isnan(out)
    if missing.any():
        out[missing] = np.nan
    return out
