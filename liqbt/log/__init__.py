"""The event log: typed tables, committed for good, never edited.

A log is a folder: `segments/` holds Parquet files, `commits/` one JSON a commit that names them,
`quarantine/` the rows that could not be believed, `log.json` the newest commit. Only what a commit
names exists; whatever a crash left behind is ignored by readers and removed by the next writer.
"""
