"""The columns of each kind of event: types, units, names, and the keys of their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.types import PAYLOAD, IntArray, Kind, Mask

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
    "liquidation_price": "USD per coin",
}


@cache
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

    Raises
    ------
    DataError
        A name is missing.

    Examples
    --------
    >>> names, codes = name_codes(pa.chunked_array([["b", "a", "b"]]))
    >>> names, codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    chunks = []
    for chunk in column.chunks:
        encoded = chunk if isinstance(chunk, pa.DictionaryArray) else chunk.dictionary_encode()
        if encoded.null_count:
            raise DataError(f"{encoded.null_count} names are missing")
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        chunks.append((encoded.dictionary.to_pylist(), indices))
    used: set[str] = set()
    for words, idx in chunks:
        said = np.flatnonzero(np.bincount(idx)).tolist() if len(words) > 1 else range(len(idx) > 0)
        used.update(words[i] for i in said)
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


EARLIEST_NS: Final = 1_230_768_000_000_000_000
"""2009-01-01 UTC: no venue is older."""
LATEST_NS: Final = 4_102_444_800_000_000_000
"""2100-01-01 UTC."""
MAX_NAME: Final = 64
"""Longest name of a venue or a symbol, in characters."""


MAY_BE_NAN: Final = frozenset(
    {"volume_coins", "open_interest_usd", "interval_hours", "liquidation_price"}
)
"""Fields that may be unknown; of a depth band, one of its two amounts may be as well."""
_PRICES: Final = {"price", "open", "high", "low", "close", "liquidation_price"}
_ABOVE_ZERO: Final = _PRICES | {"size_coins", "interval_hours"}
_INSTANT: Final = {Kind.TRADE, Kind.LIQUIDATION, Kind.DEPTH, Kind.POSITION}
_BUCKET: Final = {Kind.BAR, Kind.LIQUIDATION_TOTAL}
_SIDED: Final = {Kind.LIQUIDATION, Kind.DEPTH, Kind.POSITION}


def row_faults(
    kind: Kind, columns: Columns, names: Mapping[str, Sequence[str]]
) -> list[tuple[str, Mask]]:
    """Return the reasons for which rows cannot be right, each with the rows it holds for.

    Parameters
    ----------
    kind : Kind
        What the rows are.
    columns : mapping of str to ndarray, each of shape (n,)
        The columns of an event table of `kind` (`occurrence` is not looked at).
    names : mapping of str to sequence of str
        The names that the columns `venue` and `symbol` index.

    Returns
    -------
    list of (str, ndarray of bool, shape (n,))
        Only reasons that hold somewhere; empty where every row can be right.
    """
    with np.errstate(invalid="ignore"):
        found = [*_times(columns), *_names(columns, names), *_shape(kind, columns)]
        found += _numbers(kind, columns)
        if kind in (Kind.BAR, Kind.MARK):
            found += _bar(kind, columns)
        if kind == Kind.DEPTH:
            found += _depth(columns)
        if kind == Kind.FUNDING:
            found.append(("rate is 100 % or more", np.abs(columns["rate"]) >= 1.0))
    return [(reason, mask) for reason, mask in found if mask.any()]


def _times(c: Columns) -> Iterator[tuple[str, Mask]]:
    for name in ("ts_event", "ts_known"):
        ts = c[name]
        yield f"{name} lies outside 2009 to 2100", (ts < EARLIEST_NS) | (ts >= LATEST_NS)
    yield "ts_known lies before ts_event", c["ts_known"] < c["ts_event"]


def _names(c: Columns, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Mask]]:
    for role, words in names.items():
        bad = [i for i, word in enumerate(words) if not _good_name(word, role)]
        yield f"{role} is not a name of 1 to {MAX_NAME} printable characters", np.isin(c[role], bad)


def _good_name(value: str, role: str) -> bool:
    clean = 0 < len(value) <= MAX_NAME and value.isprintable() and value == value.strip()
    clean = clean and "\ufffd" not in value  # what bytes that are no UTF-8 were read as
    return clean and not (role == "venue" and "/" in value)


def _shape(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    side, span = c["side"], c["span_s"]
    yield "seq is below -1", c["seq"] < -1
    if kind in _SIDED:
        yield "side is neither long nor short", (side != 1) & (side != -1)
    elif kind == Kind.TRADE:
        yield "side is not -1, 0 or 1", (side < -1) | (side > 1)
    else:
        yield f"a {kind.name.lower()} has no side", side != 0
    if kind in _INSTANT:
        yield f"a {kind.name.lower()} has no span", span != 0
    if kind in _BUCKET:
        yield f"a {kind.name.lower()} needs a span above 0", span == 0


def _numbers(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    for name in PAYLOAD[kind]:
        values = c[name]
        if name not in MAY_BE_NAN and kind != Kind.DEPTH:
            yield f"{name} is missing", np.isnan(values)
        yield f"{name} is infinite", np.isinf(values)
        if name in _ABOVE_ZERO:
            yield f"{name} is not above 0", values <= 0
        elif name != "rate":
            yield f"{name} is negative", values < 0


def _bar(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    o, h, lo, cl = (c[n] for n in ("open", "high", "low", "close"))
    yield "high is below low", h < lo
    yield "high is below open or close", (h < o) | (h < cl)
    yield "low is above open or close", (lo > o) | (lo > cl)
    if kind == Kind.MARK:
        point = (c["span_s"] == 0) & ~((o == h) & (h == lo) & (lo == cl))
        yield "a mark without a span is not one price", point & ~np.isnan(o + h + lo + cl)


def _depth(c: Columns) -> Iterator[tuple[str, Mask]]:
    yield "low is missing", np.isnan(c["low"])
    yield "high is not above low", ~(c["high"] > c["low"])
    yield "depth is missing", np.isnan(c["depth_coins"]) & np.isnan(c["depth_usd"])
