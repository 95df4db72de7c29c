"""Empty accounts and records for the market's kernels, as large as they can get.

Most of it is never touched; pages that are never reached cost nothing.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.simulate.layout import (
    BIN_DTYPE,
    DESK_DTYPE,
    DUE_DTYPE,
    PLACE_DTYPE,
    SIDE_DTYPE,
    Book,
    Record,
    Script,
    Structured,
)
from liqbt.simulate.sections import MECHANISMS
from liqbt.simulate.tables import (
    CHANGE_DTYPE,
    FUNDING_DTYPE,
    LIQUIDATION_DTYPE,
    POSITION_DTYPE,
    STEP_DTYPE,
    SWING_DTYPE,
    WALL_DTYPE,
)
from liqbt.types import FloatArray

SPARE_FORCED = 1000
"""Room for forced cuts beyond one per position and the last order of each."""
SWINGS_KEPT = 16
"""Latest swings of each side that traders look at."""


def positions_of(script: Script) -> int:
    """Return the most positions that a script can open."""
    return 2 * script.arrivals.pairs.size + script.arrivals.churn.size


def empty_book(fixed: Structured, tiers: FloatArray, leverages: FloatArray, script: Script) -> Book:
    """Return accounts in which nothing has happened.

    Parameters
    ----------
    fixed : ndarray of RULES_DTYPE, shape (1,)
        What is fixed.
    tiers : ndarray of float64, shape (5, n)
        Floor, cap, rate, amount and leverage limit of the margin tiers.
    leverages : ndarray of float64, shape (brackets + 1,)
        1, then the brackets, ascending.
    script : Script
        What is to happen.
    """
    bins, steps = 2 * int(fixed["half_bins"][0]) + 1, script.sigma.size
    positions = positions_of(script)
    forced = positions * (2 if fixed["cut_above"][0] > 0 else 1) + SPARE_FORCED
    side = np.zeros(2, dtype=SIDE_DTYPE)
    side["near_bin"] = [0, bins - 1]
    side["near_price"] = [-np.inf, np.inf]
    for name in ("bin", "last", "now", "wall"):
        side[name] = -1
    grid = np.zeros((2, bins), dtype=BIN_DTYPE)
    grid["head"] = -1
    desk = np.zeros(1, dtype=DESK_DTYPE)
    desk["free"], desk["crowd"] = -1, 1.0
    return Book(
        place=np.empty(positions, dtype=PLACE_DTYPE),
        side=side,
        bins=grid,
        due=np.full((2, steps + 1, 2), -1, dtype=np.int32).view(DUE_DTYPE)[:, :, 0],
        desk=desk,
        positions=np.empty(positions, dtype=POSITION_DTYPE),
        forced=np.empty(forced, dtype=LIQUIDATION_DTYPE),
        changes=np.empty(2 * forced + positions + script.transfers.size, dtype=CHANGE_DTYPE),
        fixed=fixed,
        leverages=leverages,
        tiers=tiers,
        recent=np.ones((2, SWINGS_KEPT)),
    )


def empty_record(fixed: Structured, script: Script, rows: int, entries: int) -> Record:
    """Return a record in which nothing is written.

    Parameters
    ----------
    fixed, script : ndarray of RULES_DTYPE, Script
        The market.
    rows, entries : int
        Snapshots of the true map, and entries of each side's row.
    """
    r, steps = fixed[0], script.sigma.size
    hours = -(-steps // int(r["hour_steps"])) + 1
    fundings = steps // int(r["funding_steps"]) if r["funding_steps"] > 0 else 0
    return Record(
        price=script.noise,
        steps=np.zeros(steps, dtype=STEP_DTYPE),
        moved=np.zeros((len(MECHANISMS), steps)),
        funding=np.zeros(fundings, dtype=FUNDING_DTYPE),
        swings=np.empty(2 * hours, dtype=SWING_DTYPE),
        walls=np.empty(2 * hours, dtype=WALL_DTYPE),
        hours=np.zeros((2, hours if r["placement"] > 0 else 0)),
        lean=np.zeros(script.noise.size - 1 if r["direction"] > 0 else 0),
        snapshot=np.zeros((rows, 2, entries), dtype=np.float32),
    )


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
