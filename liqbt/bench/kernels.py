"""The reference passes that throughput is a ratio to."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def read_only_pass(events: npt.NDArray[Any]) -> float:
    """Sum every payload field of every record, as laid out; nothing cheaper reads them all."""
    total = 0.0
    for i in range(len(events)):
        row = events[i]
        total += row["p0"] + row["p1"] + row["p2"] + row["p3"] + row["p4"]
    return total


@njit(cache=True)
def windows_pass(low: FloatArray, high: FloatArray, first: IntArray, stop: IntArray) -> float:
    """Sum the lows and highs of every window once; nothing cheaper looks at them all."""
    total = 0.0
    for i in range(len(first)):
        for k in range(first[i], stop[i]):
            total += low[k] + high[k]
    return total
