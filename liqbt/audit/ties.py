"""Ties: records of one instant, put in another order.

The order of a tape is total and comes from the records alone, so that no permutation of a log's
rows can be seen in it: that is held, and fails the audit. But among records of the same instant and
kind, without a venue's number, the order is by instrument and payload: always the same, and
arbitrary. A live reader may have met them otherwise. So they are permuted on the tape itself, and
what an estimator then says differently is counted and reported; it fails nothing, because the
order that is used is fixed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from liqbt.audit.order import tape_difference
from liqbt.audit.subject import Subject, issued
from liqbt.audit.values import AuditResult, Difference, differences
from liqbt.tape.values import Tape, trusted_tape
from liqbt.types import Events, IntArray, Kind, Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TieGroups:
    """The rows of a tape that only instrument and payload put in order.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Rows that tie with another one, rising.
    group : ndarray of int64, shape (n,)
        Rows of one instant and kind have one number; rising.
    groups, differing : int
        Number of groups, and of those that hold records which differ.
    """

    rows: IntArray
    group: IntArray
    groups: int
    differing: int


def tie_groups(events: Events, numbered: Mask) -> TieGroups:
    """Find the records that tie on `(ts_known, ts_event, kind)`.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE, shape (n,)
        In canonical order.
    numbered : ndarray of bool, shape (n,)
        Rows whose order among themselves the venue's own number gives; they are left alone.
    """
    rows = np.flatnonzero(~numbered)
    chosen = events[rows]
    same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for name in ("ts_known", "ts_event", "kind"):
        same &= chosen[name][1:] == chosen[name][:-1]
    number = np.concatenate(([0], np.cumsum(~same))) if len(rows) else np.zeros(0, np.int64)
    tied = np.zeros(len(rows), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    bits = np.ascontiguousarray(chosen).view(f"V{chosen.dtype.itemsize}")
    other = np.flatnonzero(same & (bits[1:] != bits[:-1]))
    return TieGroups(
        rows=rows[tied],
        group=number[tied],
        groups=len(np.unique(number[tied])),
        differing=len(np.unique(number[other])),
    )


def permuted(tape: Tape, groups: TieGroups, rng: np.random.Generator) -> Tape:
    """Return the tape with the records of each group in a random order."""
    order = np.lexsort((rng.random(len(groups.rows)), groups.group))
    events = tape.events.copy()
    events[groups.rows] = events[groups.rows[order]]
    return trusted_tape(events, tape.instruments)


def ties(
    subject: Subject,
    *,
    numbered: frozenset[tuple[Kind, int]] = frozenset(),
    rebuilt: Callable[[], Tape] | None = None,
    permutations: int = 3,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Say what depends on the order of records of one instant.

    Parameters
    ----------
    subject : Subject
        The market.
    numbered : frozenset of (Kind, int)
        Kinds and instrument codes whose records have a number of the venue's.
    rebuilt : callable, optional
        Builds the tape from the same rows in another order: fails the audit where it differs.
    permutations : int
        How many times ties are permuted on the tape.
    rng : numpy.random.Generator
        Permutes.
    progress : callable, optional
        Called with the trials done, of how many.

    Returns
    -------
    AuditResult
        `counts` has the groups of ties, their events, the groups whose records differ, the tied
        records that the venue's number puts in order, and how many of the items compared changed,
        by field; `reported` is the first of these.
    """
    tell = progress or (lambda _done, _total: None)
    events = subject.tape.events
    groups = tie_groups(events, _numbered_rows(events, numbered))
    every = tie_groups(events, np.zeros(len(events), dtype=bool))
    trial = "the log's rows reversed"
    first = None if rebuilt is None else tape_difference(subject, rebuilt(), trial)
    changed: list[Difference] = []
    compared = 0
    if first is None and groups.differing:
        changed, compared = _changed(subject, groups, permutations, rng, tell)
    counts = {
        "groups": groups.groups,
        "events": len(groups.rows),
        "differing_groups": groups.differing,
        "numbered": len(every.rows) - len(groups.rows),
        "changed": len(changed),
        **{f"changed {k}": v for k, v in Counter(d.field for d in changed).items()},
    }
    return AuditResult(
        audit="ties",
        trials=int(rebuilt is not None) + (permutations if compared else 0),
        compared=compared,
        first=first,
        reported=changed[0] if changed else None,
        counts=counts,
    )


def _changed(
    subject: Subject,
    groups: TieGroups,
    permutations: int,
    rng: np.random.Generator,
    tell: Callable[[int, int], None],
) -> tuple[list[Difference], int]:
    honest = issued(subject)
    changed: list[Difference] = []
    for i in range(permutations):
        again = issued(subject, tape=permuted(subject.tape, groups, rng))
        changed += differences(honest, again, f"ties permuted, {i}")
        tell(i + 1, permutations)
    return changed, permutations * len(honest)


def _numbered_rows(events: Events, numbered: frozenset[tuple[Kind, int]]) -> Mask:
    rows = np.zeros(len(events), dtype=bool)
    for kind, instrument in numbered:
        rows |= (events["kind"] == kind) & (events["instrument"] == instrument)
    return rows
