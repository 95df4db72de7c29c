"""Reading one file of the archive, or one recording of pushes, as event tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError
from liqbt.ingest.cells import UNIT_NS, as_numbers, as_words
from liqbt.ingest.colmap import ColumnMap
from liqbt.ingest.files import MAX_BYTES, sha256_file
from liqbt.ingest.rows import event_times
from liqbt.ingest.table import Ingested, SourceRows, Summary, ingest_rows, read_rows, read_table
from liqbt.sources.binance.depth import bands
from liqbt.sources.binance.formats import COLUMNS, archive_map, empty_snapshot
from liqbt.sources.binance.layout import DAILY, KLINES, MONTHLY, PREMIUM, FileName, file_name
from liqbt.sources.binance.liquidations import THROTTLE, filled_once
from liqbt.sources.binance.pushes import push_rows
from liqbt.types import SECOND_NS

FORMATS: Final = (*(k for k in (*DAILY, *MONTHLY) if k != PREMIUM), "forceOrder")
"""What becomes events. The premium index is read by `premium_table`: it is a fraction, no price."""
READER: Final = "binance 1"
"""Goes up when the same file would give other events."""
_USED: Final = ("time", "side", "average_price", "accumulated_fill_quantity")
"""The columns of a `liquidationSnapshot` that its column map uses."""


def read_market(
    path: Path | str,
    market: str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
) -> Ingested:
    """Read one file of a market's archive, or one recording of its pushes.

    Parameters
    ----------
    path : Path
        A zip with one CSV, or that CSV, named as in the archive; or a recording.
    market : str
        `um` or `cm`.
    format : str, optional
        One of `FORMATS`; by default told from the file's name and folders.
    max_bad : float
        A file in which a larger share of rows cannot be right is refused whole.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    ConfigError
        `format` is none of `FORMATS`.
    DataError
        The file cannot be read, or too much of it cannot be right; one sentence with file and row.
    """
    path = Path(path)
    if format is not None and format not in (*FORMATS, PREMIUM):
        raise ConfigError(f"{format!r} is none of the formats {', '.join(FORMATS)}")
    name = file_name(path, market, format)
    if name.format == PREMIUM:
        raise DataError(
            f"{path} holds premium indices: fractions that may be negative, which no kind of event "
            "holds; liqbt.sources.binance.premium_table reads them as a table"
        )
    if name.format == "forceOrder":
        mapping, rows = push_rows(path, market, max_bytes=max_bytes)
    elif name.format == "liquidationSnapshot" and empty_snapshot(path, max_bytes=max_bytes):
        return _nothing(path, market, name)
    else:
        mapping = archive_map(path, market, name, max_bytes=max_bytes)
        rows = _rows(mapping, path, market, name, max_bytes)
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)


def premium_table(
    path: Path | str, market: str, *, max_bad: float = MAX_BAD, max_bytes: int = MAX_BYTES
) -> pa.Table:
    """Read a file of `premiumIndexKlines` as a table; it gives no events.

    The parameters are those of `read_market`.

    Returns
    -------
    pyarrow.Table
        `ts_event` (the bar's end, ns UTC), `span_s`, and `open`, `high`, `low`, `close`: the
        premium of the mark's impact prices over the index as a fraction, of either sign. In order
        of time; a live reader holds a row about a second after its end.

    Raises
    ------
    DataError
        As `read_market`.
    """
    path = Path(path)
    name = file_name(path, market, PREMIUM)
    mapping = archive_map(path, market, name, max_bytes=max_bytes)
    rows = _rows(mapping, path, market, name, max_bytes)
    table = rows.raw.table
    ends, bad = event_times(table, mapping, rows.raw.file)
    (other_length,) = rows.bad.values()
    bad |= other_length
    columns: dict[str, Any] = {"ts_event": ends, "span_s": np.full(len(ends), mapping.span_s)}
    for price in ("open", "high", "low", "close"):
        columns[price], broken = as_numbers(table[price])
        bad = bad | broken | ~(np.abs(columns[price]) < 1)
    if bad.sum() + len(rows.raw.ragged) > max_bad * rows.total:
        first = int(rows.number[bad][0]) if bad.any() else rows.raw.ragged[0][0]
        raise DataError(f"{path}: {int(bad.sum())} rows cannot be right, the first is row {first}")
    return pa.table(columns).filter(pa.array(~bad)).sort_by("ts_event")


def _rows(
    mapping: ColumnMap, path: Path, market: str, name: FileName, max_bytes: int
) -> SourceRows:
    """Return a file's rows, mended where a column map cannot say how."""
    if name.format == "bookDepth":
        rows = read_table(
            path,
            numbers=("percentage", "depth", "notional"),
            integers=() if mapping.time.unit == "iso" else ("timestamp",),
            texts=("timestamp",) if mapping.time.unit == "iso" else (),
            shape=mapping.csv,
            max_bytes=max_bytes,
        )
        return bands(rows, market, name.symbol)
    if name.format == "liquidationSnapshot":
        also = [c for c in COLUMNS["liquidationSnapshot"] if c not in _USED]
        return filled_once(read_rows(mapping, path, also=also, max_bytes=max_bytes))
    rows = read_rows(mapping, path, max_bytes=max_bytes)
    if name.format in KLINES:
        return _with_closes(rows, mapping, name)
    if name.format == "metrics":
        words, codes = as_words(rows.raw.table["symbol"])
        other = np.array([word.strip() != name.symbol for word in words], dtype=bool)
        return replace(rows, bad={f"the row is not of {name.symbol}": other[codes]})
    return rows


def _with_closes(rows: SourceRows, mapping: ColumnMap, name: FileName) -> SourceRows:
    """Note the bars that do not end one unit of time before the next one opens."""
    opens, _ = as_numbers(rows.raw.table["open_time"])
    closes, _ = as_numbers(rows.raw.table["close_time"])
    counted = mapping.time.unit in UNIT_NS  # text has no last unit before the next bar
    span = mapping.span_s * SECOND_NS // UNIT_NS[str(mapping.time.unit)] if counted else 0
    with np.errstate(invalid="ignore"):  # infinities
        wrong = ~(closes - opens + 1 == span)
    return replace(rows, bad={f"the bar is not {name.interval} long": wrong})


def _nothing(path: Path, market: str, name: FileName) -> Ingested:
    """Return the events of a day on which nobody was liquidated."""
    summary = Summary(
        file=path.name,
        file_sha256=sha256_file(path),
        map=f"binance-{market}/{name.format}",
        map_sha256="",
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
        notes={"throttle": THROTTLE},
        reader=READER,
    )
    frame = pd.DataFrame({"row": pd.Series(dtype="int64"), "reason": pd.Series(dtype="str")})
    return Ingested(tables={}, quarantined=frame, summary=summary)
