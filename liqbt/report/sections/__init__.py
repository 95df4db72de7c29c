"""The sections of a report, in their order: a file for each few of them."""
