"""The records that the market's kernels read and write.

They keep the number of arrays that travel through calls small: each costs a call its reference
counts.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from liqbt.types import FloatArray, IntArray

__all__ = [
    "BIN_DTYPE",
    "DUE_DTYPE",
    "EXITED",
    "LIQUIDATED",
    "NEWCOMER_DTYPE",
    "PLACE_DTYPE",
    "SIDE_DTYPE",
    "Book",
    "Record",
    "Rules",
    "Script",
    "Structured",
]

Structured = npt.NDArray[Any]

EXITED: Final = 1
LIQUIDATED: Final = 2
"""Fates of a position; 0 is open."""

PLACE_DTYPE: Final = np.dtype(
    [
        ("side", "i1"),
        ("bracket", "i1"),
        ("fate", "i1"),
        ("waited", "i1"),
        ("opened", "<i4"),
        ("closed", "<i4"),
        ("at", "<i4"),
        ("bin_next", "<i4"),
        ("due_next", "<i4"),
        ("lots", "<i8"),
        ("left", "<i8"),
        ("entry", "<f8"),
        ("trigger", "<f8"),
        ("life_h", "<f8"),
    ]
)
"""One position, in one cache line, in order of opening: `lots` opened, `left` still open; `opened`
and `closed` index the path (0 is its start, -1 not yet); `at` is its trigger's bin; `life_h` its
patience on the exits' clock; `*_next` link the lists that it is in."""

SIDE_DTYPE: Final = np.dtype(
    [
        ("count", "<i8"),
        ("total", "<i8"),
        ("near_bin", "<i8"),
        ("near_price", "<f8"),
        ("ready", "<i8"),
    ]
)
"""One side: `total` lots open; `near_*` bound the position that is liquidated first; `ready` is the
earliest step of the calendar that may hold something; `count` (of side 0) counts all positions."""

BIN_DTYPE: Final = np.dtype([("head", "<i8"), ("lots", "<i8")])
"""One bin of one side: its list of positions, and the lots that are open in it."""

DUE_DTYPE: Final = np.dtype([("head", "<i8"), ("tail", "<i8")])
"""One step of one side's calendar: first in, first out."""

NEWCOMER_DTYPE: Final = np.dtype([("bracket", "<i8"), ("life", "<f8")])
"""What chance gives a newcomer: leverage bracket, and patience in mean lives."""


class Script(NamedTuple):
    """Everything that chance decides, drawn before the market starts.

    `start` is the first log price; `noise` the log return of each substep; `pull` the magnet's
    displacement per substep of each step (0 in the warm-up); `clock_h` the exits' activity clock at
    each step's edges. Pairs `pair_from[i]` to `pair_from[i + 1]` may open in substep `i`; the first
    `len(first_offset)` pairs open before it, that far from the price in log. `pair` has a column
    per side; `churn` is who takes over what one side leaves beyond the other, one per step.
    """

    start: float
    noise: FloatArray
    pull: FloatArray
    clock_h: FloatArray
    first_offset: FloatArray
    pair_from: IntArray
    pair_lots: IntArray
    pair_keep: FloatArray
    pair: Structured
    churn: Structured


class Rules(NamedTuple):
    """What is fixed: units, the grid, margin tiers, and the traders' habits."""

    anchor: float
    bin_step: float
    half_bins: int
    substeps: int
    warmup_steps: int
    lot_coins: float
    level_lots: float
    pull_power: float
    oversample: float
    life_h: float
    loser_wait: float
    reach_bins: int
    leverages: FloatArray
    tier_floor: FloatArray
    tier_cap: FloatArray
    tier_rate: FloatArray
    tier_amount: FloatArray
    tier_leverage: FloatArray


class Book(NamedTuple):
    """The accounts: positions, the two sides, and per side the bins and the calendar."""

    place: Structured
    side: Structured
    bins: Structured
    due: Structured


class Record(NamedTuple):
    """What happened: the path per substep edge, the flows per step.

    `flow[k, side]` is lots opened, left voluntarily, liquidated; `displaced[k]` the log
    displacement that the magnet applied; `forced` lists (position, path index, lots) of each
    liquidation.
    """

    price: FloatArray
    flow: IntArray
    open_interest: IntArray
    displaced: FloatArray
    forced: IntArray
    forced_count: IntArray
    snapshot: npt.NDArray[np.float32]
