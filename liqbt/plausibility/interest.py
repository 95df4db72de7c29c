"""When a value of open interest is believed.

Open interest of nothing while a market trades is a value that is missing, and so is less than a
thousandth of what it was within the day before. A jump is either real,
and then the next value is near it, or a fault of one row. Which of the two cannot be known when it
arrives, so the value waits: it is believed together with the next one where that has left the old
level on the same side, and never where the next is back. So nothing that is known at a time depends
on what comes later.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from liqbt.types import DAY_NS, MINUTE_NS, FloatArray, IntArray, Mask

JUMP: Final = 0.2
"""A smaller change of the logarithm within five minutes is never waited for, however still the feed
was before; over a longer time one that grows with its square root ..."""
MOST: Final = 0.6
"""... up to this: a value of half (0.69) is always waited for."""
ROBUST: Final = 12.0
"""Nor is one within so many robust standard deviations of the changes before it."""
NOTHING: Final = math.log(1e-3)
"""A fall of the logarithm to this or below within a day is open interest of nothing."""
_BEFORE: Final = 288
"""From how many changes before it the scale of a change is taken."""


def believed(known_ns: IntArray, coins: FloatArray) -> tuple[Mask, IntArray]:
    """Return which values of one feed are ever believed, and since when.

    Parameters
    ----------
    known_ns : ndarray of int64, shape (n,)
        When each was known, rising.
    coins : ndarray of float64, shape (n,)
        Open interest.

    Returns
    -------
    keep : ndarray of bool, shape (n,)
        False for 0 and next to 0, and for a jump that the next value does not confirm.
    since_ns : ndarray of int64, shape (n,)
        `known_ns`, or, of a jump that was confirmed, when the value was known that confirmed it.

    Examples
    --------
    >>> import numpy as np
    >>> keep, since = believed(np.arange(7), np.array([10.0, 5, 10, 0, 5, 5, 5]))
    >>> keep.tolist(), since.tolist()
    ([True, False, True, False, True, True, True], [0, 1, 2, 3, 5, 5, 6])
    """
    keep = np.asarray(coins > 0)
    since = known_ns.copy()
    rows = np.flatnonzero(keep)
    with np.errstate(divide="ignore"):
        level = np.log(np.where(keep, coins, 1.0))
    if not (np.abs(np.diff(level[rows])) > JUMP).any():
        return keep, since
    held: list[int] = []
    waiting = -1
    for row in rows.tolist():
        if held and _nothing(level, known_ns, held[-1], row):
            keep[row] = False
            continue
        if held and _far(level, known_ns, held, row):
            last = level[held[-1]]
            if waiting >= 0 and (level[row] > last) == (level[waiting] > last):
                since[waiting] = known_ns[row]
                held += [waiting, row]
                waiting = -1
            else:
                if waiting >= 0:
                    keep[waiting] = False
                waiting = row
            continue
        if waiting >= 0 and _nearer(level, row, waiting, held[-1]):
            since[waiting] = known_ns[row]
            held.append(waiting)
        elif waiting >= 0:
            keep[waiting] = False
        waiting = -1
        held.append(row)
    if waiting >= 0:
        keep[waiting] = False
    return keep, since


def next_to_nothing(keep: Mask, coins: FloatArray) -> Mask:
    """Return which values `believed` left out for being next to 0, in the order in which it was."""
    last = np.maximum.accumulate(np.where(keep, np.arange(len(coins)), -1))
    before = np.where(last >= 0, coins[last], np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(~keep & (coins > 0) & (coins <= math.exp(NOTHING) * before))


def _nothing(level: FloatArray, known_ns: IntArray, last: int, row: int) -> bool:
    """Return whether a value is next to nothing of the last one believed, a day ago at most."""
    near = known_ns[row] - known_ns[last] <= DAY_NS
    return bool(near and level[row] - level[last] <= NOTHING)


def _nearer(level: FloatArray, row: int, one: int, other: int) -> bool:
    """Return whether a value lies nearer to one value than to another."""
    return bool(abs(level[row] - level[one]) < abs(level[row] - level[other]))


def _far(level: FloatArray, known_ns: IntArray, held: list[int], row: int) -> bool:
    """Return whether a value lies further from the last that was believed than the feed moves."""
    step = abs(float(level[row] - level[held[-1]]))
    passed = max(int(known_ns[row] - known_ns[held[-1]]), 1)
    if not step > min(max(JUMP, JUMP * math.sqrt(passed / (5 * MINUTE_NS))), MOST):
        return False
    before = np.abs(np.diff(level[np.array(held[-_BEFORE - 1 :])]))
    scale = 1.4826 * float(np.median(before)) if len(before) else 0.0
    return step > ROBUST * scale
