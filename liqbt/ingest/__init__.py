"""Any CSV or Parquet of one's own, by a column map instead of code.

A column map is a YAML file that says what the columns of a file mean. Its keys:

`name`, `about`
    The map's name (default: its file's name) and free text.
`csv`
    `delimiter` (default `,`), `skip` (lines before the header) and, where the file has no header,
    `columns`: their names in order (`skip`: lines before the first row). An unnamed column is `""`.
`jsonl`
    Instead of `csv`, for one JSON message a line: `rows`: the dotted path of the list whose
    elements are the rows (by default the message is the row); `before`: a name for what stands in
    front of the message, such as a recorder's time. A column is a dotted path, `o.ap`, in the row
    or the message.
`time`
    `column`; `unit`: `s`, `ms`, `us`, `ns`, or `iso` for text (none for a Parquet timestamp), or
    `format`: how text is written, `%m/%d/%Y %H:%M` or BitMEX's `%Y-%m-%dD%H:%M:%S.%f`;
    `zone`: IANA name, for times that carry no offset (default `UTC`).
`stamp`, `span`
    What the time of a row means: `instant`, or `open` or `close` of a bucket that is `span` long.
    The event of a bucket happens at its end: nothing is known about it before.
`feed`, `latency`, `latency_is`
    `polled` or `pushed`; how long after the event a row was known (`60s`, `5m`); whether that is
    `modelled` (default) or `observed`. A modelled latency is above 0, and at least 60 s where the
    feed is polled.
`received`
    Instead of a latency: `column` and `unit` of the time at which each row arrived (observed), and
    `tolerance`: how far (`50ms`) the recorder's clock may lie behind the venue's; such a row counts
    as known when it happened, and is counted.
`venue`, `symbol`
    A name; or `column`; or `file_name`, a pattern with one group that is looked for in the file's
    name. `rename` maps what is found to what it is called here.
`side`
    `column`; `means`: `order_side` (the liquidating order's: a sell closed a long),
    `position_side`, `taker` (for trades) or `book_side` (for depth); `values`: the file's words
    for `buy` and `sell` (and `none`: a trade whose taker is not told), `long` and `short`, or `bid`
    and `ask`, where they are other ones.
`id`
    The column with the venue's own number of each row, rising with time.
`revisions`
    What becomes of a second value of one instant: `refuse` (default), or `last_known`: what was
    known later stands from when it was known, so that the rows need a receive time or latencies of
    their own.
`where`
    Which rows count: column to a value, or to a list of values.
`units`
    Column to `percent`, `basis_points`, `thousand`, `million` or a factor.
`constants`
    Name to a number, or to `column` and `values`: a number by what the column holds.
`derive`
    Name to arithmetic over columns (`+ - * /`, parentheses; a name that is no plain word goes in
    backticks). A later name may use an earlier one.
`join`
    A second file: `file` (below the data root), `csv`, `time`, `stamp`, `span`, `latency`,
    `match` (column here: column there, values that must agree), `where`, `columns` (new name:
    arithmetic over its columns) and `unmatched`: `quarantine` (default) or `skip`. Rows meet where
    their events have the same time; what comes of them is known when both were.
`emit`
    A list: what a row gives. Each has `kind`, `fields` (payload field to arithmetic; a mark at an
    instant has the one field `price`) and, where it differs from the above, `venue`, `symbol`,
    `side`, `where`, `feed`, `latency`, `latency_is`, `received`, `price_is`; `optional: true` where
    a row without any of its fields is nothing unusual.
`price_is`
    `mark`, `last`, `spot`, `index`, `bankruptcy`, `order` or `average`: for the reader.

An unknown key is an error that names the nearest known one.

A vendor's module below `liqbt.sources` stands on the same engine and offers the same two names:
`FORMATS`, the names of its formats, and `read(path, *, format=None, max_bad=MAX_BAD) -> Ingested`
(`format=None`: told from the file's name or its header). It reads with `read_rows`, mends what a
map cannot say (`SourceRows`), and converts with `ingest_rows`.
"""
