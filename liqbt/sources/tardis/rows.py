"""What all of the vendor's tables share: two clocks, whose an event is, and rows with new columns.

Both clocks are observed: `timestamp` is the venue's, `local_timestamp` that of the vendor's
machine. Where the local one is earlier, the clocks disagree; up to `SKEW_US` the row counts as
known when the venue says it happened, and is counted; beyond, it cannot be right. Where the two
are equal the venue gave no time and the vendor put its own in its place: counted as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.ingest.cells import as_integers, as_numbers, as_words
from liqbt.ingest.files import CsvShape, RawTable
from liqbt.ingest.table import SourceRows, read_table
from liqbt.log.symbols import no_dollar
from liqbt.sources.tardis.units import Face, faces_of
from liqbt.types import FloatArray, IntArray, Mask

SKEW_US: Final = 10_000_000
"""How far the vendor's clock may lie behind the venue's, in microseconds: 10 s."""

_BY_COIN: Final = ("hyperliquid",)
"""Venues whose symbols are coins, without a quote."""
BASE: Final = ("exchange", "symbol", "timestamp", "local_timestamp")


def base_map(name: str, about: str) -> dict[str, Any]:
    """Return what the column maps of all tables share; `about` takes part in their identity."""
    return {
        "name": f"tardis/{name}",
        "about": about,
        "time": {"column": "timestamp", "unit": "us"},
        "stamp": "instant",
        "feed": "pushed",
        "received": {"column": "known_us", "unit": "us"},
        "venue": {"column": "exchange"},
        "symbol": {"column": "symbol"},
    }


def read(
    path: Path, *, numbers: tuple[str, ...], texts: tuple[str, ...] = (), max_bytes: int
) -> SourceRows:
    """Read a table, and settle when its rows were known: the column `known_us`.

    Raises
    ------
    DataError
        The file cannot be read or lacks a column.
    """
    rows = read_table(
        path,
        numbers=numbers,
        integers=("timestamp", "local_timestamp"),
        texts=("exchange", "symbol", *texts),
        shape=CsvShape(),
        max_bytes=max_bytes,
    )
    event, bad_event = as_integers(rows.raw.table["timestamp"])
    local, bad_local = as_integers(rows.raw.table["local_timestamp"])
    good = ~bad_event & ~bad_local
    behind = np.where(good, event - np.where(good, local, event), 0)
    skewed = (behind > 0) & (behind <= SKEW_US)
    notes: dict[str, Any] = {}
    if skewed.any():
        notes["clock_behind_rows"] = int(skewed.sum())
        notes["clock_behind_most_us"] = int(behind[skewed].max())
    same = int((good & (event == local)).sum())
    if same:
        notes["one_clock_rows"] = same
    strange = _no_dollars(rows.raw.table)
    far = f"local_timestamp lies more than {SKEW_US // 1_000_000} s before timestamp"
    known = np.where(skewed, event, local)
    return with_columns(
        rows,
        {"known_us": known},
        bad={"local_timestamp is no whole number": bad_local, far: behind > SKEW_US, **strange},
        notes=notes,
    )


def _no_dollars(table: pa.Table) -> dict[str, Mask]:
    """Return the rows of instruments that are quoted in something else than a dollar, by reason."""
    venues, venue = as_words(table["exchange"])
    symbols, symbol = as_words(table["symbol"])
    by_coin = np.isin(venue, [i for i, name in enumerate(venues) if name.strip() in _BY_COIN])
    found = {}
    for i, name in enumerate(symbols):
        quote = no_dollar(name.strip())
        rows = (symbol == i) & ~by_coin
        if quote is not None and rows.any():
            reason = f"{name[:40]} is quoted in {quote}, not in a dollar: prices are USD per coin"
            found[reason] = np.asarray(rows)
    return found


def with_columns(
    rows: SourceRows,
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    bad: Mapping[str, Mask] | None = None,
    notes: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
) -> SourceRows:
    """Return the rows with more columns, reasons and notes; `texts` are one word in every row."""
    table = rows.raw.table
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    for name, word in (texts or {}).items():
        table = table.append_column(name, pa.array([word] * table.num_rows, pa.string()))
    return replace(
        rows,
        raw=RawTable(file=rows.raw.file, table=table, ragged=rows.raw.ragged),
        bad={**rows.bad, **(bad or {})},
        notes={**rows.notes, **(notes or {})},
    )


def instruments(rows: SourceRows, face: Face | None, path: Path) -> tuple[list[Face], IntArray]:
    """Return the unit of each instrument in the file, and each row's instrument.

    Raises
    ------
    DataError
        The unit of an instrument is not known.
    """
    venues, venue = as_words(rows.raw.table["exchange"])
    symbols, symbol = as_words(rows.raw.table["symbol"])
    codes, which = np.unique(venue * len(symbols) + symbol, return_inverse=True)
    pairs = [
        (venues[c // len(symbols)].strip(), symbols[c % len(symbols)].strip())
        for c in codes.tolist()
    ]
    return faces_of(pairs, face, path), which.astype(np.int64)


def number(rows: SourceRows, name: str) -> tuple[FloatArray, dict[str, Mask]]:
    """Return a column as floats, NaN where empty, and the reason for cells that are no number."""
    values, bad = as_numbers(rows.raw.table[name])
    return values, {f"column {name!r} holds no number": bad}
