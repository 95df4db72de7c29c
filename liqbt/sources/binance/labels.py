"""Which end of its five minutes a row of `metrics` is labelled by.

A public report (binance-public-data, issue 491) has it that USD-M files are labelled by the start
of the period since 2026-06-25 and were by its end before, and that COIN-M files always were by the
start. Read as an end, a start makes a value known almost five minutes early. Nothing here could
check the report against a file of the time, so the rule is dated, noted in the log, and can be
overridden (`binance-um/metrics?label=end`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from liqbt.ingest.colmap import ColumnMap, TimeColumn
from liqbt.ingest.rows import event_times
from liqbt.ingest.table import SourceRows
from liqbt.types import MINUTE_NS, IntArray, Mask

PERIOD_NS: Final = 5 * MINUTE_NS
CHANGE_NS: Final = int(np.datetime64("2026-06-25", "ns").astype(np.int64))
"""From this label on USD-M files are labelled by the start of the period, as reported."""
LABELS: Final = ("start", "end")
_SAID: Final = (
    "labels taken for the start of their five minutes, as publicly reported (USD-M since "
    "2026-06-25, COIN-M always; not checked): a value is of the end"
)


def label(text: str) -> str:
    """Return one of `LABELS`.

    Raises
    ------
    ValueError
        `text` is none.
    """
    if text not in LABELS:
        raise ValueError(text)
    return text


def with_ends(
    rows: SourceRows, mapping: ColumnMap, market: str, given: str | None
) -> tuple[SourceRows, ColumnMap]:
    """Return rows of `metrics` whose time is the end of their period, and the map that says so.

    Both are returned as they are where every label is an end already.

    Parameters
    ----------
    rows : SourceRows
        Of one file.
    mapping : ColumnMap
        What its columns mean.
    market : str
        `um` or `cm`.
    given : str, optional
        `start` or `end`, where the caller knows which.
    """
    labels, bad = event_times(rows.raw.table, mapping, rows.raw.file)
    starts = np.full(len(labels), given == "start" or (given is None and market == "cm"))
    if given is None and market == "um":
        starts = _since_the_change(np.where(bad, 0, labels))
    if not starts.any():
        return rows, mapping
    ends = np.where(bad, 0, labels + PERIOD_NS * starts)
    table = rows.raw.table.append_column("ends_ns", pa.array(ends))
    notes = {**rows.notes, "labels": _SAID if given is None else f"labels are the {given}, as told"}
    done = replace(rows, raw=replace(rows.raw, table=table), notes=notes)
    time = TimeColumn(column="ends_ns", unit="ns")
    return done, mapping.model_copy(update={"time": time})


def _since_the_change(labels: IntArray) -> Mask:
    """Return which labels of a USD-M file are starts.

    The label of the change itself is there twice in what overlaps it: as the end of the last period
    of the old way, and then as the start of the first one of the new.
    """
    starts = np.asarray(labels > CHANGE_NS)
    at = np.flatnonzero(labels == CHANGE_NS)
    old = bool(((labels > 0) & (labels < CHANGE_NS)).any())
    starts[at[1:] if old else at] = True
    return starts
