"""Audits: properties of any configured estimator, held against it by trying to break them.

- `lookahead`: what was not yet known is replaced by garbage;
- `chunks`: the same events in other pieces, on other schedules, in other processes;
- `order`: the same records read from the disk in another order;
- `ties`: records of one instant in another order;
- `checkpoint`: a replay stopped and resumed.

Each has a function on one market, which takes whatever replays it, and one on an experiment's file
(`audit_...`), which audits every estimator of it, the user's own as well as those built in.
"""
