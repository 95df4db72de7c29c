"""What is held against what: the events of one feed, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liqbt.log.order import distinct
from liqbt.log.schema import Columns
from liqbt.types import PAYLOAD, Events, FloatArray, Instrument, IntArray, Kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feed:
    """One feed in order of `ts_event`; every array has shape (n,).

    Attributes
    ----------
    kind, instrument, span_s
        What it is, whose, and how long its buckets are (0: instants).
    ts_event, ts_known : ndarray of int64
        The clocks in ns.
    side : ndarray of int8
        Of each event.
    payload : mapping of str to ndarray of float64
        By field.
    seq : ndarray of int64
        The venue's numbers, -1 for none; empty where they are not known here.
    observed : bool
        Whether its latency is said to be observed.
    """

    kind: Kind
    instrument: Instrument
    span_s: int
    ts_event: IntArray
    ts_known: IntArray
    side: npt.NDArray[np.int8]
    payload: Mapping[str, FloatArray]
    seq: IntArray
    observed: bool = False

    @property
    def name(self) -> str:
        """Return what it is and whose."""
        return f"{self.kind.name.lower().replace('_', ' ')} {self.instrument}"

    @property
    def price(self) -> FloatArray | None:
        """Return the price that its events carry, None where they carry none."""
        if self.kind in (Kind.MARK, Kind.BAR):
            return self.payload["close"]
        return self.payload.get("price") if self.kind == Kind.TRADE else None


def feeds_of_columns(
    kind: Kind, columns: Columns, names: Mapping[str, Sequence[str]], *, observed: bool = False
) -> Iterator[Feed]:
    """Yield the feeds of the columns of an event table, whose names `venue` and `symbol` index."""
    code = columns["venue"].astype(np.int64) * np.int64(len(names["symbol"])) + columns["symbol"]
    for one in distinct(code):
        venue, symbol = divmod(one, len(names["symbol"]))
        instrument = Instrument(names["venue"][venue], names["symbol"][symbol])
        mine = np.flatnonzero(code == one)
        spans = columns["span_s"][mine]
        for span in distinct(spans):
            rows = mine[spans == span]
            rows = rows[np.argsort(columns["ts_event"][rows], kind="stable")]
            yield Feed(
                kind=kind,
                instrument=instrument,
                span_s=int(span),
                ts_event=columns["ts_event"][rows],
                ts_known=columns["ts_known"][rows],
                side=columns["side"][rows],
                payload={name: columns[name][rows] for name in PAYLOAD[kind]},
                seq=columns["seq"][rows],
                observed=observed,
            )


def feeds_of_events(events: Events, instruments: Sequence[Instrument]) -> Iterator[Feed]:
    """Yield the feeds of the records of a tape; their numbers are not on it."""
    for kind in Kind:
        rows = np.flatnonzero(events["kind"] == kind)  # places: records of a long tape are large
        codes = events["instrument"][rows]
        for code in distinct(codes):
            mine = rows[codes == code]
            spans = events["span_s"][mine]
            for span in distinct(spans):
                of_span = mine[spans == span]
                of_span = of_span[np.argsort(events["ts_event"][of_span], kind="stable")]
                yield Feed(
                    kind=kind,
                    instrument=instruments[code],
                    span_s=span,
                    ts_event=events["ts_event"][of_span].astype(np.int64, copy=False),
                    ts_known=events["ts_known"][of_span].astype(np.int64, copy=False),
                    side=events["side"][of_span],
                    payload={
                        name: events[f"p{i}"][of_span].astype(np.float64, copy=False)
                        for i, name in enumerate(PAYLOAD[kind])
                    },
                    seq=np.zeros(0, dtype=np.int64),
                )
