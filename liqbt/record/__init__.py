"""The recorder: what venues say while it is said, into an event log.

Messages are kept as they come, one a line behind the time of receipt, in files beside the log
(`spool`); a file that is full is read by the venue's own reader and becomes one commit
(`recorder`). What is asked of which venue is in `venues`. A killed recorder loses no line that it
had written, and the next one says for how long nobody listened.
"""
