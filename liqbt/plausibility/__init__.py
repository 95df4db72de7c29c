"""Whether a feed's values can be what they are said to be: held against each other and the price.

Nothing here refuses or changes an event, but for one thing: `believed` says when a value of open
interest is believed, and the tape follows it where its policy is to mask. All else is *named*, in
one sentence each (`findings`), at ingest, by `log quality` and in every run.
"""
