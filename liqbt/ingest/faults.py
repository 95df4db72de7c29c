"""Which rows cannot be right, and why."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

import numpy as np

from liqbt.log.order import lexicographic_order
from liqbt.types import IntArray, Mask


class Faults:
    """The first reason for which each of `n` rows cannot be right, collected step by step."""

    __slots__ = ("_code", "_reasons")

    def __init__(self, n: int) -> None:
        self._code = np.zeros(n, dtype=np.int32)
        self._reasons: list[str] = [""]

    def add(self, reason: str, mask: Mask) -> None:
        """Note `reason` for the rows in `mask` that have none yet."""
        fresh = mask & (self._code == 0)
        if fresh.any():
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._code[fresh] = self._reasons.index(reason)

    @property
    def mask(self) -> Mask:
        """The rows that have a reason, shape (n,)."""
        return self._code > 0

    def mask_of(self, beginnings: tuple[str, ...]) -> Mask:
        """Return the rows whose reason begins with one of some words, shape (n,)."""
        codes = [i for i, reason in enumerate(self._reasons) if reason.startswith(beginnings)]
        return np.asarray(np.isin(self._code, codes))

    def reasons(self) -> list[str]:
        """Return the reason of each row in `mask`, in order."""
        return [self._reasons[c] for c in self._code[self.mask].tolist()]

    def count(self) -> Counter[str]:
        """Return how many rows each reason holds for."""
        return Counter(self.reasons())


def going_back(number: IntArray, time: IntArray) -> Mask:
    """Return the fewest rows without which time never falls as the venue's number rises.

    Parameters
    ----------
    number, time : ndarray of int64, shape (n,)
        The venue's number of each row and its time.

    Examples
    --------
    >>> import numpy as np
    >>> going_back(np.array([1, 2, 3, 4]), np.array([10, 99, 11, 12])).tolist()
    [False, True, False, False]
    """
    order = lexicographic_order([number, time])
    times = time[order]
    bad = np.zeros(len(time), dtype=bool)
    if not (times[1:] < times[:-1]).any():
        return bad
    bad[order] = True
    bad[order[_longest_rise(times.tolist())]] = False
    return bad


def _longest_rise(values: list[int]) -> list[int]:
    """Return the places of a longest non-decreasing subsequence (patience sorting)."""
    tails: list[int] = []
    last: list[int] = []
    before = [-1] * len(values)
    for i, value in enumerate(values):
        place = bisect_right(tails, value)
        if place == len(tails):
            tails.append(value)
            last.append(i)
        else:
            tails[place] = value
            last[place] = i
        before[i] = last[place - 1] if place else -1
    out = []
    i = last[-1] if last else -1
    while i >= 0:
        out.append(i)
        i = before[i]
    return out[::-1]
