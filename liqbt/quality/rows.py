"""The events of one feed (one kind, instrument and span), each once, and how many were doubled.

Buckets and instants under one name are two feeds: an hourly mean beside a value by the minute has
no cadence, and its changes are nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.log.one_value import standing_rows
from liqbt.log.order import lexicographic_order, same_as_previous
from liqbt.log.schema import table_columns
from liqbt.log.store import EventLog
from liqbt.types import PAYLOAD, FloatArray, Instrument, IntArray, Kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeedRows:
    """One feed, sorted by `ts_event`; every array has shape (n,).

    Attributes
    ----------
    kind, instrument
        What it is and whose.
    span_s : int
        Length of its buckets, 0 for instants.
    ts_event, ts_known : ndarray of int64
        The clocks in ns.
    payload : mapping of str to ndarray
        By field.
    rows : int
        Rows in the log.
    ids_repeated : int
        Rows whose venue's number another row has as well: the same event from two files.
    rows_repeated : int
        Rows without a number that another file holds as well.
    twins : int
        Rows equal to another in the same file in everything: genuine where a venue can give two
        identical events at one instant.
    revised : int
        Rows with another value for an instant that had one, known later.
    late_order : int
        Rows known after another with a later event: late arrivals.
    longs, shorts : int
        Events by side (trades: what the taker did), 0 where the kind has none.
    """

    kind: Kind
    instrument: Instrument
    span_s: int
    ts_event: IntArray
    ts_known: IntArray
    payload: Mapping[str, FloatArray]
    rows: int
    ids_repeated: int
    rows_repeated: int
    twins: int
    revised: int
    late_order: int
    longs: int
    shorts: int


def feed_rows(log: EventLog) -> Iterator[FeedRows]:
    """Yield every feed of a log, by kind, venue, symbol and span; one kind is held at a time."""
    info = log.info()
    for kind in sorted(info.events):
        columns, names = table_columns(log.read(kind))
        code = columns["venue"] * np.int64(len(names["symbol"])) + columns["symbol"]
        for one in np.unique(code).tolist():
            venue, symbol = divmod(int(one), len(names["symbol"]))
            instrument = Instrument(names["venue"][venue], names["symbol"][symbol])
            rows = np.flatnonzero(code == one)
            spans = columns["span_s"][rows]
            for span in np.unique(spans).tolist():
                yield _feed(kind, instrument, int(span), columns, rows[spans == span])


def _feed(
    kind: Kind,
    instrument: Instrument,
    span_s: int,
    columns: Mapping[str, npt.NDArray[Any]],
    rows: IntArray,
) -> FeedRows:
    part = {name: values[rows] for name, values in columns.items()}
    numbered = part["seq"] >= 0
    plain = ["ts_event", "side", *PAYLOAD[kind], "occurrence"]
    keep = np.ones(len(rows), dtype=bool)
    for mask, names in ((numbered, ["seq"]), (~numbered, plain)):
        places = np.flatnonzero(mask)
        keys = [_bits(part[name][places]) for name in [*names, "ts_known"]]
        order = lexicographic_order(keys)
        keep[places[order[same_as_previous(keys[:-1], order)]]] = False
    kept = np.flatnonzero(keep)
    kept = kept[np.lexsort((part["ts_known"][kept], part["ts_event"][kept]))]
    known = part["ts_known"][kept]
    return FeedRows(
        kind=kind,
        instrument=instrument,
        span_s=span_s,
        ts_event=part["ts_event"][kept],
        ts_known=known,
        payload={name: part[name][kept] for name in PAYLOAD[kind]},
        rows=len(rows),
        ids_repeated=int((~keep & numbered).sum()),
        rows_repeated=int((~keep & ~numbered).sum()),
        twins=int((part["occurrence"][kept] > 0).sum()),
        revised=standing_rows(kind, part)[1],
        late_order=int((known[1:] < np.maximum.accumulate(known)[:-1]).sum()),
        longs=int((part["side"][kept] > 0).sum()),
        shorts=int((part["side"][kept] < 0).sum()),
    )


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.view(np.uint64) if values.dtype.kind == "f" else values
