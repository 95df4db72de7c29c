"""Timing against a reference in the same process, in turns, so that drift strikes both alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One measurement.

    Attributes
    ----------
    name : str
        What was measured.
    events_per_second : float
        A second of processor time, at the median over the repetitions.
    ratio : float
        Its speed over the reference's, the median over the rounds: 1 is as fast as the reference.
    reference : str
        What the ratio is to.
    note : str
        What the figure contains.
    """

    name: str
    events_per_second: float
    ratio: float
    reference: str
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the row as a mapping."""
        return asdict(self)


def seconds_of(works: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Return the processor time of each of `works` in each of `repeat` rounds, in turns, seconds.

    Not the time on the wall: that of a shared machine measures who else is there.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeat):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    return seconds


def rows_of(seconds: Mapping[str, list[float]], n: int, notes: Mapping[str, str]) -> list[BenchRow]:
    """Return a row for each name; the first is the reference of all.

    Parameters
    ----------
    seconds : mapping of str to list of float
        From `seconds_of`.
    n : int
        How many events each of them handled.
    notes : mapping of str to str
        What each figure contains.

    Examples
    --------
    >>> row = rows_of({"pass": [1.0, 2.0], "work": [4.0, 8.0]}, 8, {"pass": "", "work": ""})[1]
    >>> row.ratio, row.reference
    (0.25, 'pass')
    """
    reference = next(iter(seconds))
    base = np.array(seconds[reference])
    return [
        BenchRow(
            name=name,
            events_per_second=n / float(np.median(taken)),
            ratio=float(np.median(base / np.array(taken))),
            reference=reference,
            note=notes[name],
        )
        for name, taken in seconds.items()
    ]
