"""Order: the same records read in another order give the same tape and the same forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from liqbt.audit.subject import Subject, issued
from liqbt.audit.values import AuditResult, Difference, first_difference
from liqbt.tape.values import Tape
from liqbt.types import EVENT_DTYPE


def order(
    subject: Subject,
    tapes: Iterable[tuple[str, Tape]],
    *,
    trials: int,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Hold a market to the promise that the order of its records on disk cannot be seen.

    Parameters
    ----------
    subject : Subject
        The market.
    tapes : iterable of (str, Tape)
        Tapes of the same records, read in another order, with what had been changed; may be lazy.
    trials : int
        How many there are.
    progress : callable, optional
        Called with the trials done, of how many.

    Raises
    ------
    DataError
        If nothing is issued at all: that is no pass.
    """
    honest = issued(subject)
    first: Difference | None = None
    done = compared = 0
    for trial, tape in tapes:
        done += 1
        first = tape_difference(subject, tape, trial)
        if first is None:
            again = issued(subject, tape=tape)
            compared += len(honest)
            first = first_difference(honest, again, trial)
        if progress is not None:
            progress(done, trials)
        if first is not None:
            break
    return AuditResult(audit="order", trials=done, compared=compared, first=first)


def tape_difference(subject: Subject, tape: Tape, trial: str) -> Difference | None:
    """Return the first record in which two tapes differ, or None where they are the same."""
    mine = subject.tape
    if tape.digest == mine.digest:
        return None
    if tape.instruments != mine.instruments:
        return Difference(trial=trial, at=0, what=f"tape {subject.symbol}", field="instruments")
    n = min(len(mine), len(tape))
    width = EVENT_DTYPE.itemsize
    one, other = (np.ascontiguousarray(t.events[:n]).view(f"V{width}") for t in (mine, tape))
    differs = np.flatnonzero(one != other)
    row = int(differs[0]) if len(differs) else n
    longer = mine if len(mine) > row else tape
    field = "number of records"
    if row < n:
        names = EVENT_DTYPE.names or ()
        a, b = mine.events[row], tape.events[row]
        field = next(name for name in names if a[name].tobytes() != b[name].tobytes())
    return Difference(
        trial=trial,
        at=int(longer.events["ts_known"][row]),
        what=f"tape {subject.symbol}, record {row}",
        field=field,
    )
