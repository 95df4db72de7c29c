"""How long the buckets of a file are whose writer does not say: as far as its rows lie apart."""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.errors import DataError
from liqbt.ingest.colmap import Timed
from liqbt.ingest.rows import event_times
from liqbt.ingest.table import SourceRows
from liqbt.types import SECOND_NS

UNKNOWN_SPAN: Final = "1s"
"""Stands for a span that is not known yet, where only the columns matter."""


def bucket_span(rows: SourceRows, timed: Timed) -> str:
    """Return the length of a file's buckets, such as `3600s`: the step between most of its times.

    Raises
    ------
    DataError
        No step is that of more than half.
    """
    at, bad = event_times(rows.raw.table, timed, rows.raw.file)
    steps, counts = np.unique(np.diff(np.unique(at[~bad])) // SECOND_NS, return_counts=True)
    if not len(steps) or counts.max() <= counts.sum() / 2 or steps[counts.argmax()] < 1:
        raise DataError(f"{rows.raw.file}: its rows do not say how long a bucket is; say ?span=1h")
    return f"{steps[counts.argmax()]}s"
