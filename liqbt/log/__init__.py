"""The event log: typed tables, committed for good, never edited.

A log is a folder: `segments/` holds Parquet files, `commits/` one JSON a commit that names them,
`quarantine/` the rows that could not be believed, `log.json` the newest commit. Only what a commit
names exists; whatever a crash left behind is ignored by readers and removed by the next writer.
"""

from __future__ import annotations

from liqbt.log.commits import Commit, Segment
from liqbt.log.disk import read_parquet, sha256_file
from liqbt.log.identity import logical_hash
from liqbt.log.info import LogInfo
from liqbt.log.order import lexicographic_order, number_repeats, same_as_previous
from liqbt.log.rules import EARLIEST_NS, LATEST_NS, MAY_BE_NAN, row_faults
from liqbt.log.schema import (
    SCHEMA_VERSION,
    Columns,
    Names,
    event_schema,
    name_codes,
    order_keys,
    table_columns,
)
from liqbt.log.store import EventLog
from liqbt.log.tables import canonical, event_table

__all__ = [
    "EARLIEST_NS",
    "LATEST_NS",
    "MAY_BE_NAN",
    "SCHEMA_VERSION",
    "Columns",
    "Commit",
    "EventLog",
    "LogInfo",
    "Names",
    "Segment",
    "canonical",
    "event_schema",
    "event_table",
    "lexicographic_order",
    "logical_hash",
    "name_codes",
    "number_repeats",
    "order_keys",
    "read_parquet",
    "row_faults",
    "same_as_previous",
    "sha256_file",
    "table_columns",
]
