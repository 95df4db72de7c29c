"""From a file of published levels to checked columns; the first thing wrong ends it, by row.

The columns: `at` (ISO 8601 with a zone, or a Parquet timestamp with one), `symbol`, `side` (of the
positions: `long` below the price, `short` above it), `low`, `high` (prices, USD), `notional` (USD);
and optionally `p_visit_<horizon>`, such as `p_visit_24h`: the stated probability that the price
visits the level within that time. Other columns are left alone, and named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.config.fields import duration_ns
from liqbt.config.paths import refuse_special
from liqbt.errors import DataError, first_line
from liqbt.ingest.cells import as_numbers, as_times, as_words
from liqbt.ingest.files import CsvShape, read_head, sha256_file
from liqbt.ingest.table import SourceRows, read_table
from liqbt.types import FloatArray, IntArray, Ns, Side

COLUMNS: Final = ("at", "symbol", "side", "low", "high", "notional")
"""The columns that every file has."""
_STATED: Final = re.compile(r"p_visit_(\d+(?:s|min|h|d))")
_LIKE_STATED: Final = re.compile(r"p|p_.*|prob.*", re.IGNORECASE)
_ZONED: Final = re.compile(r"(?i).*(?:z|[+-]\d\d(?::?\d\d)?)\s*")
_TIME_OF_DAY: Final = re.compile(r".*[T ]\d\d")
_SIDES: Final = {"long": Side.LONG, "short": Side.SHORT}
_MOST: Final = 1e15
_EXAMPLE: Final = "such as 2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublishedRows:
    """The rows of a file, checked one by one.

    Attributes
    ----------
    file : str
        The file's name, for messages.
    sha256 : str
        Digest of its bytes.
    number : ndarray of int64, shape (n,)
        Row numbers as the file counts them, the first below the header is 1.
    at : ndarray of int64, shape (n,)
        Times of issue, ns UTC.
    symbols : tuple of str
        The distinct symbols, sorted.
    symbol : ndarray of int64, shape (n,)
        Indexes `symbols`.
    side : ndarray of int8, shape (n,)
        `Side` codes, LONG or SHORT.
    low, high : ndarray of float64, shape (n,)
        Prices in USD, `0 < low <= high`.
    notional_usd : ndarray of float64, shape (n,)
        0 or more.
    stated : mapping of int to ndarray of float64, shape (n,)
        By horizon in ns: stated probabilities of a visit, in [0, 1]; NaN where none was stated.
    ignored : tuple of str
        Columns that were not read.
    """

    file: str
    sha256: str
    number: IntArray
    at: IntArray
    symbols: tuple[str, ...]
    symbol: IntArray
    side: npt.NDArray[np.int8]
    low: FloatArray
    high: FloatArray
    notional_usd: FloatArray
    stated: Mapping[Ns, FloatArray]
    ignored: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.at)


def read_published(path: Path) -> PublishedRows:
    """Read a CSV or Parquet file of published levels.

    Raises
    ------
    DataError
        The file cannot be read, is empty, lacks a column, or a row cannot be right; names the file,
        the row, what was found and what is expected.
    """
    names = _column_names(path)
    stated = _stated_columns(path, names)
    numbers = ["low", "high", "notional", *stated]
    rows = read_table(path, numbers=numbers, texts=["at", "symbol", "side"], shape=CsvShape())
    if rows.raw.ragged:
        number = rows.raw.ragged[0][0]
        raise DataError(f"{path}: row {number} has not as many cells as the header has names")
    table, said = rows.raw.table, _Said(path, rows)
    values = {name: _numbers(table, name, said) for name in ("low", "high", "notional")}
    _check_values(values, said)
    symbols, symbol = as_words(table["symbol"])
    said.refuse(symbol == symbols.index("") if "" in symbols else None, "has no symbol")
    return PublishedRows(
        file=path.name,
        sha256=sha256_file(path),
        number=rows.number,
        at=_times(table["at"], said),
        symbols=tuple(symbols),
        symbol=symbol,
        side=_sides(table["side"], said),
        low=values["low"],
        high=values["high"],
        notional_usd=values["notional"],
        stated={h: _probabilities(table, name, said) for name, h in stated.items()},
        ignored=tuple(name for name in names if name not in {*COLUMNS, *stated}),
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """How a row is refused: file, row number, what was found, what is expected."""

    path: Path
    rows: SourceRows

    def refuse(self, bad: npt.NDArray[np.bool_] | None, words: str) -> None:
        """Raise on the first row in `bad`, if there is one."""
        if bad is not None and bad.any():
            i = int(np.argmax(bad))
            more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
            raise DataError(f"{self.path}: row {self.rows.number[i]} {words}{more}")

    def refuse_cell(self, bad: npt.NDArray[np.bool_], name: str, expected: str) -> None:
        """Raise on the first row in `bad`, with what its cell `name` holds."""
        if bad.any():
            cell = self.rows.raw.table[name][int(np.argmax(bad))].as_py()
            found = "nothing" if cell is None else repr(cell)[:60]
            self.refuse(bad, f"has {name} {found}; expected {expected}")


def _column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, told by its content whether it is Parquet or CSV."""
    refuse_special(path)
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not is_parquet:
        return read_head(path, lines=1)[0]
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no readable Parquet file: {first_line(error)}") from None


def _stated_columns(path: Path, names: Sequence[str]) -> dict[str, Ns]:
    """Return the columns of stated probabilities and their horizons."""
    found: dict[str, Ns] = {}
    for name in names:
        match = _STATED.fullmatch(name)
        try:
            horizon_ns = duration_ns(match[1]) if match else 0
        except ValueError:
            horizon_ns = 0
        if horizon_ns:
            if horizon_ns in found.values():
                raise DataError(f"{path}: column '{name}' states a horizon a second time")
            found[name] = horizon_ns
        elif _LIKE_STATED.fullmatch(name):
            raise DataError(
                f"{path}: column '{name[:40]}' looks like a probability of nothing known; a "
                "column of probabilities is called p_visit_ and its horizon, such as p_visit_24h"
            )
    return found


def _numbers(table: pa.Table, name: str, said: _Said) -> FloatArray:
    values, bad = as_numbers(table[name])
    said.refuse_cell(bad | ~np.isfinite(values), name, "a number")
    return values


def _check_values(values: Mapping[str, FloatArray], said: _Said) -> None:
    low, high = values["low"], values["high"]
    said.refuse_cell(low <= 0.0, "low", "a price above 0")
    said.refuse_cell(high > _MOST, "high", f"a price in USD, at most {_MOST:g}")
    inverted = low > high
    if inverted.any():
        i = int(np.argmax(inverted))
        said.refuse(inverted, f"has low {low[i]:g} above high {high[i]:g}; expected low <= high")
    outside = (values["notional"] < 0.0) | (values["notional"] > _MOST)
    said.refuse_cell(outside, "notional", f"USD, from 0 to {_MOST:g}")


def _probabilities(table: pa.Table, name: str, said: _Said) -> FloatArray:
    values, bad = as_numbers(table[name])
    outside = bad | (~np.isnan(values) & ~((values >= 0.0) & (values <= 1.0)))
    said.refuse_cell(outside, name, "a probability from 0 to 1, or nothing")
    return values


def _sides(column: pa.ChunkedArray, said: _Said) -> npt.NDArray[np.int8]:
    words, codes = as_words(column)
    known = np.array([int(_SIDES.get(w.strip().lower(), Side.NONE)) for w in words], np.int8)
    sides = known[codes]
    said.refuse_cell(
        sides == int(Side.NONE), "side", "long (liquidated below the price) or short (above it)"
    )
    return sides


def _times(column: pa.ChunkedArray, said: _Said) -> IntArray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise DataError(f"{said.path}: column 'at' has times without a zone; expected UTC")
        ns, bad = as_times(column, None, "UTC", f"{said.path}: column 'at'")
        said.refuse_cell(bad, "at", f"a time from 2009 to 2100, {_EXAMPLE}")
        return ns
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(
            f"{said.path}: column 'at' holds {str(kind)[:40]}; expected ISO 8601 times with a "
            f"zone, {_EXAMPLE}"
        )
    words, codes = as_words(column)
    zoned = [bool(_ZONED.fullmatch(w) and _TIME_OF_DAY.match(w)) for w in words]
    texts = pa.chunked_array([pa.array(words, pa.string())])
    ns, bad = as_times(texts, "iso", "UTC", f"{said.path}: column 'at'")
    naive = ~np.array(zoned, bool)
    said.refuse_cell(naive[codes], "at", f"a time with its zone, {_EXAMPLE}")
    said.refuse_cell(bad[codes], "at", f"a time from 2009 to 2100, {_EXAMPLE}")
    return ns[codes]
