"""Reading one file of the archive, or one recording of pushes, as event tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError
from liqbt.ingest.cells import UNIT_NS, as_numbers, as_words
from liqbt.ingest.colmap import ColumnMap
from liqbt.ingest.files import MAX_BYTES, NoRowsError
from liqbt.ingest.recordings import RECORDING, read_recording
from liqbt.ingest.rows import event_times
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing, read_rows, read_table
from liqbt.sources.binance.depth import bands
from liqbt.sources.binance.formats import COLUMNS, archive_map
from liqbt.sources.binance.labels import with_ends
from liqbt.sources.binance.layout import (
    DAILY,
    KLINES,
    MONTHLY,
    PREMIUM,
    FileName,
    file_name,
    not_of_market,
)
from liqbt.sources.binance.liquidations import THROTTLE, filled_once
from liqbt.sources.binance.live import live_rows
from liqbt.sources.binance.pushes import push_rows
from liqbt.types import SECOND_NS, Kind

FORMATS: Final = (*(k for k in (*DAILY, *MONTHLY) if k != PREMIUM), "forceOrder", RECORDING)
"""What becomes events. The premium index is read by `premium_table`: it is a fraction, no price."""
READER: Final = "binance 1"
MENDED: Final = "binance 2"
"""Which code made a file's events: the second where it gives others than the first did."""
_FORCED: Final = ("liquidationSnapshot", "forceOrder")
_MENDED_BY: Final = ("labels", "repeated_pushes", "unfilled_pushes")
"""Notes about what the first reader did not do."""
_USED: Final = ("time", "side", "average_price", "accumulated_fill_quantity")
"""The columns of a `liquidationSnapshot` that its column map uses."""


def read_market(
    path: Path | str,
    market: str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    label: str | None = None,
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
    label : str, optional
        `start` or `end`: which end of its period a row of `metrics` is labelled by; by default as
        `liqbt.sources.binance.labels` says.

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
    if format == RECORDING:
        if market != "um":
            raise ConfigError("what is recorded of Binance is USD-M: binance-um/recording")
        return read_recording(
            path,
            f"binance-{market}",
            live_rows,
            polled=(Kind.OPEN_INTEREST, Kind.DEPTH),
            price_is="average",
            wrong=lambda symbol: not_of_market(symbol, "um"),
            notes={"throttle": THROTTLE},
            max_bad=max_bad,
            max_bytes=max_bytes,
        )
    name = file_name(path, market, format)
    if name.format == PREMIUM:
        raise DataError(
            f"{path} holds premium indices: fractions that may be negative, which no kind of event "
            "holds; liqbt.sources.binance.premium_table reads them as a table"
        )
    try:
        if name.format == "forceOrder":
            mapping, rows = push_rows(path, market, max_bytes=max_bytes)
        else:
            mapping = archive_map(path, market, name, max_bytes=max_bytes)
            rows = _rows(mapping, path, market, name, max_bytes)
            if name.format == "metrics":
                rows, mapping = with_ends(rows, mapping, market, label)
    except NoRowsError:
        notes = {"throttle": THROTTLE} if name.format in _FORCED else {}
        return nothing(path, f"binance-{market}/{name.format}", reader=READER, notes=notes)
    mended = any(rows.notes.get(word) for word in _MENDED_BY)
    reader = MENDED if mended else READER
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=reader)


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
