"""Rows as the naive twin of the tape takes them, and the tables and the selection of them."""

from __future__ import annotations

import numpy as np

from liqbt.log.tables import event_table
from liqbt.tape.values import Selection
from liqbt.types import PAYLOAD, Instrument, Kind

T = 1_700_000_000_000_000_000


def tables(file: list[dict]) -> list:
    out = []
    for kind in sorted({r["kind"] for r in file}, reverse=True):
        mine = [r for r in file if r["kind"] == kind]
        columns = {
            name: np.array([r[name] for r in mine])
            for name in ("ts_known", "ts_event", "seq", "side", "span_s")
        }
        columns |= {name: [r[name] for r in mine] for name in ("venue", "symbol")}
        for i, name in enumerate(PAYLOAD[Kind(kind)]):
            columns[name] = np.array([r["payload"][i] for r in mine])
        out.append((Kind(kind), event_table(Kind(kind), columns)))
    return out


def select(everything: list[dict]) -> Selection:
    kinds = sorted({r["kind"] for r in everything})
    return Selection(
        kinds={
            Kind(k): tuple(
                {Instrument(r["venue"], r["symbol"]) for r in everything if r["kind"] == k}
            )
            for k in kinds
        }
    )
