"""Lexicographic order of many columns, fast where the first column settles most of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.types import IntArray

Keys = Sequence[npt.NDArray[Any]]


def lexicographic_order(keys: Keys) -> IntArray:
    """Return the stable order of rows by `keys`, the first key being the most significant.

    Only rows that tie on the first key are compared on the others, which is nearly all of the cost
    of a full sort where the first key is a time.

    Parameters
    ----------
    keys : sequence of ndarray, each of shape (n,)
        Comparable columns without NaN (pass floats as their bits).

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> lexicographic_order([np.array([2, 1, 1]), np.array([0, 9, 3])]).tolist()
    [2, 1, 0]
    """
    told = next((i for i, key in enumerate(keys) if (key != key[:1]).any()), len(keys) - 1)
    keys = keys[told:]  # what is the same in all rows, as a market mostly is, orders nothing
    order = np.argsort(keys[0], kind="stable").astype(np.int64, copy=False)
    first = keys[0][order]
    same = first[1:] == first[:-1]
    if len(keys) == 1 or not same.any():
        return order
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    starts = np.concatenate(([True], ~same))[tied]
    group = np.cumsum(starts)
    others = [key[rows] for key in keys[1:]]
    telling = [key for key in reversed(others) if (key != key[0]).any()]
    inner = np.lexsort([*telling, group])
    order[tied] = rows[inner]
    return order


def distinct(codes: npt.NDArray[Any]) -> list[int]:
    """Return the values of an integer column that occur, sorted: fast where they lie close.

    Examples
    --------
    >>> import numpy as np
    >>> distinct(np.array([7, -1, 7])), distinct(np.array([], dtype=np.int64))
    ([-1, 7], [])
    """
    if not len(codes):
        return []
    low, high = int(codes.min()), int(codes.max())
    if high - low > 1 << 16:
        return [int(code) for code in np.unique(codes)]
    counts = np.bincount(codes.astype(np.int64, copy=False) - low)
    return (np.flatnonzero(counts) + low).tolist()


def same_as_previous(keys: Keys, order: IntArray) -> npt.NDArray[np.bool_]:
    """Return for each place in `order` whether its row equals the row before it in all `keys`."""
    same = np.zeros(len(order), dtype=bool)
    if len(order) < 2:
        return same
    same[1:] = True
    for key in keys:
        sorted_key = key[order]
        same[1:] &= sorted_key[1:] == sorted_key[:-1]
    return same


def number_repeats(identity: Keys, then_by: npt.NDArray[Any]) -> IntArray:
    """Return each row's running number, from 0, among rows with the same `identity`.

    Parameters
    ----------
    identity : sequence of ndarray, each of shape (n,)
        Columns that make rows identical.
    then_by : ndarray, shape (n,)
        Among identical rows the smaller comes first.

    Examples
    --------
    >>> import numpy as np
    >>> number_repeats([np.array([5, 7, 5])], np.array([2, 0, 1])).tolist()
    [1, 0, 0]
    """
    order = lexicographic_order([*identity, then_by])
    same = same_as_previous(identity, order)
    place = np.arange(len(order), dtype=np.int64)
    start = np.maximum.accumulate(np.where(same, 0, place))
    out = np.empty(len(order), dtype=np.int64)
    out[order] = place - start
    return out
