"""The tape: events of a selection in one total order, without duplicates, with an identity.

A tape is derived from a log and can always be built again. Its order is `(ts_known, ts_event, kind,
venue, symbol, sequence, side, span, payload bits, occurrence)`: every part comes from the record,
so that neither the order of files nor the size of batches can be seen in it.
"""

from __future__ import annotations

from liqbt.tape.build import build_tape, tape_from_tables
from liqbt.tape.values import Selection, Tape, tape_from_events, trusted_tape

__all__ = [
    "Selection",
    "Tape",
    "build_tape",
    "tape_from_events",
    "tape_from_tables",
    "trusted_tape",
]
