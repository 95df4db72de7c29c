"""Large arrays that do not linger: what is drawn for a market is dropped long before its truth is.

`malloc` keeps what it is given back, in pieces that the next array does not fit into; for a year of
minutes that is a fifth of the memory.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["fill", "returned"]

_ROWS: Final = 1 << 16
"""Rows drawn at a time; a multiple of what a generator draws from one word."""
_PRIVATE: Final = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
)
"""A forked process must not share them."""


def returned(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return zeros whose memory the system has back as soon as the array is dropped.

    Examples
    --------
    >>> returned((2, 3), np.float32).sum()
    np.float32(0.0)
    """
    sizes = (shape,) if isinstance(shape, int) else shape
    kind = np.dtype(dtype)
    n = math.prod(sizes)
    if n == 0:
        return np.zeros(sizes, dtype=kind)
    return np.frombuffer(mmap.mmap(-1, n * kind.itemsize, **_PRIVATE), dtype=kind).reshape(sizes)


def fill(out: npt.NDArray[Any], draw: Callable[[int], npt.NDArray[Any]]) -> None:
    """Fill `out` by `draw(rows)`, a few rows at a time: the numbers are those of one large draw.

    Examples
    --------
    >>> out = np.empty(100_000)
    >>> fill(out, np.random.default_rng(1).standard_normal)
    >>> bool((out == np.random.default_rng(1).standard_normal(100_000)).all())
    True
    """
    for first in range(0, len(out), _ROWS):
        rows = out[first : first + _ROWS]
        rows[...] = draw(len(rows))
