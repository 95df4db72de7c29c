"""The records that the market's kernels read and write.

They keep the number of arrays that travel through calls small: each costs a call its reference
counts. Money is in units of `lot_coins` × `tick_usd`: a lot at a price of n ticks is worth n units.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from liqbt.types import FloatArray, IntArray

Structured = npt.NDArray[Any]

OUTER: Final = {"cache": True, "_nrt": False}
"""How a kernel is compiled that Python calls: it allocates nothing, so numba need not count
references to arrays, which would be most of the time and of the code."""

INNER: Final = {**OUTER, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""How one is compiled that only kernels call."""

EXITED: Final = np.int64(1)
LIQUIDATED: Final = np.int64(2)
STOPPED: Final = np.int64(3)
"""Fates of a position; 0 is open. (Not plain integers: numba would compile a kernel for each.)"""

BACKED: Final = np.int64(0)
ISOLATED: Final = np.int64(1)
CROSS: Final = np.int64(2)
"""Kinds of margin: backed in full (no liquidation price), isolated, an account with more."""

FUNDED: Final = np.int64(0)
TRANSFERRED: Final = np.int64(1)
CUT: Final = np.int64(2)
LEFT_IN_PART: Final = np.int64(3)
"""Why a liquidation price changes; the first is not written down position by position."""

PLACE_DTYPE: Final = np.dtype(
    [(name, "<i8") for name in ("entry", "margin")]
    + [(name, "<f8") for name in ("trigger", "hit")]
    + [(name, "<i4") for name in ("side", "kind", "left", "at")]
    + [(name, "<i4") for name in ("stopping", "bin_next", "bin_prev", "hold")]
    + [(name, "<i4") for name in ("number", "waited", "due", "due_next", "due_prev")]
    + [(name, "<i4") for name in ("slot", "cool", "member", "forced")]
    + [(name, "<f8") for name in ("stop", "life_h")]
)
"""One open position; its place is used again once it is closed. `number` counts positions in order
of opening; `at` is the bin of its liquidation price `trigger`, `hold` that of `hit`, the price at
which it is looked at (its stop, if `stopping`, or its trigger), -1 for none; `due` its step in the
calendar; `slot` its index among the cross accounts, and `member` (of
place j) the place of cross account j; before path index `cool` it is not cut again;
`entry` in ticks, `left` and `forced` in lots, `margin` in money."""

SIDE_DTYPE: Final = np.dtype(
    [
        ("total", "<i8"),
        ("basis", "<i8"),
        ("near_bin", "<i8"),
        ("near_price", "<f8"),
        ("ready", "<i8"),
        ("near", "<i8"),
        ("best", "<i8"),
        ("bin", "<i8"),
        ("last", "<i8"),
        ("now", "<i8"),
        ("now_lots", "<i8"),
        ("swept", "<f8"),
        ("wall", "<i8"),
        ("wall_x", "<f8"),
        ("wall_left", "<f8"),
        ("wall_until", "<i8"),
        ("swings", "<i8"),
    ]
)
"""One side (0 longs, below; 1 shorts, above): `total` lots open, `basis` what they were worth at
their entries; `near_*` bound the position that is reached first; `ready` is the earliest step of
the calendar that holds any. For the mechanisms: lots within reach, the densest bin and its density,
the largest forced order of the last instant that had one and of this one, lots swept lately, the
wall (its number, log price, what it can still absorb, its last step), and the number of swings."""

BIN_DTYPE: Final = np.dtype([("head", "<i8"), ("lots", "<i8")])
"""One bin of one side: the list of positions that are looked at there, and the lots whose
liquidation price lies there."""

DUE_DTYPE: Final = np.dtype([("head", "<i4"), ("tail", "<i4")])
"""One step of one side's calendar: first in, first out."""

NEWCOMER_DTYPE: Final = np.dtype([("mix", "<f4"), ("life", "<f4"), ("cross", "<f4")])
"""What chance gives a newcomer: a uniform that decides its leverage bracket; patience in mean
lives; and a uniform that decides whether it is cross-margined and with how much collateral beyond
the margin."""

WHIM_DTYPE: Final = np.dtype([("place", "<f4"), ("stop", "<f4")])
"""Uniforms that decide about placement and a stop; apart, since few worlds need them."""

PAIR_DTYPE: Final = np.dtype([("lots", "<i4"), ("keep", "<f4"), ("buys", "i1")])
"""A pair that may open: its size, the uniform that decides whether, and who initiates."""

TRANSFER_DTYPE: Final = np.dtype([("account", "<i4"), ("share", "<f4")])
"""A change of collateral: whose (an index among the cross accounts, if it is one), what share."""

JUMP_DTYPE: Final = np.dtype([("at", "<i8"), ("substeps", "<i8"), ("size", "<f8"), ("lean", "<f8")])
"""A jump: first substep, over how many, signed log size in each, and the uniform that decides
whether it follows the crowded side."""

DESK_DTYPE: Final = np.dtype(
    [(n, "<i8") for n in ("outside", "margins", "fees", "insurance")]
    + [(n, "<i8") for n in ("top", "free", "crosses")]
    + [(n, "<i8") for n in ("n_positions", "n_forced", "n_changes", "n_fundings", "n_swings")]
    + [(n, "<i8") for n in ("n_walls", "warm_forced", "open_at_start", "stopped_at")]
    + [(n, "<i8") for n in ("d_kind", "d_margin", "d_stopping")]
    + [(n, "<f8") for n in ("d_leverage", "d_stop", "d_life_h")]
    + [(n, "<f8") for n in ("asymmetry", "heat", "steady", "crowd", "low", "high")]
    + [(n, "<f8") for n in ("fuel", "impact", "stops", "held_fuel", "held_impact", "held_stops")]
    + [(n, "<f8") for n in ("haul", "free_price")]
    + [(n, "<i8") for n in ("forced_lots", "back_sign", "back_until", "jump")]
)
"""One record of all that there is one of. Money by where it is: wallets outside, margins, fees, the
insurance fund. Places: how many were ever used, the first free one (or -1), cross accounts. Rows
written in each table, forced orders and open lots before publication begins, and the path index at
which the price ran away. `d_*`: the terms of a
position that is about to be opened. The mechanisms' memory: asymmetry within reach, `heat` (of
acceleration), the displacement per substep that holds for a step, the entries' factor near swings,
this hour's low and high; pushes that act in the next substep and their transient parts; `haul`,
what forced flow pushes in this substep, and the price without it; lots forced in the last step, the
reversal's sign and last step, and the next jump."""


class Arrivals(NamedTuple):
    """Who comes and how long they stay.

    `clock_h` is the exits' activity clock at each step's edges; `edges[hour, side]` are the lower
    edges of the levered brackets in the unit interval. Pairs `pair_from[i]` to `pair_from[i + 1]`
    may open in substep `i`; the first `len(first_offset)` pairs open before it, that far from the
    price in log. `newcomers` and `whims` have a column per side; `churn` is who takes over what one
    side leaves beyond the other, one per settlement of exits.
    """

    clock_h: FloatArray
    edges: FloatArray
    first_offset: FloatArray
    pair_from: npt.NDArray[np.int32]
    pairs: Structured
    newcomers: Structured
    whims: Structured
    churn: Structured


class Script(NamedTuple):
    """Everything that chance decides, drawn before the market starts.

    `start` is the first log price; `noise[i + 1]` the log return of substep `i`, in whose place the
    path is written (so that a script can be played once); `sigma` the volatility
    of each step. Transfers `transfer_from[k]` to `transfer_from[k + 1]` happen at the end of step
    `k`. `premium` is the funding's noise, one per settlement; `wall_draw[hour, side]` a uniform.
    """

    start: float
    noise: FloatArray
    sigma: FloatArray
    arrivals: Arrivals
    transfer_from: IntArray
    transfers: Structured
    premium: FloatArray
    jumps: Structured
    wall_draw: npt.NDArray[np.float32]


class Book(NamedTuple):
    """The accounts, the tables that they write, and the rules that they follow.

    `place` holds the open positions, `side` the two sides, `bins` and `due` per side the bins and
    the calendar, `desk` all that there is one of. `positions`, `forced` and `changes` are tables of
    the truth. `fixed` is one record of `RULES_DTYPE`, `tiers` has the rows floor, cap, rate,
    amount, leverage; `recent` the latest swings of each side.
    """

    place: Structured
    side: Structured
    bins: Structured
    due: Structured
    desk: Structured
    positions: Structured
    forced: Structured
    changes: Structured
    fixed: Structured
    leverages: FloatArray
    tiers: FloatArray
    recent: FloatArray


class Record(NamedTuple):
    """What happened beside the accounts: the path per substep edge, flows and money per step.

    `price` is the script's `noise`, overwritten. `moved[m, k]` is the log displacement by mechanism
    m in step k; a row is touched only where its mechanism is planted. `hours` holds lows and highs
    by hour, `lean` what jumps that changed their sign add in each substep.
    """

    price: FloatArray
    steps: Structured
    moved: FloatArray
    funding: Structured
    swings: Structured
    walls: Structured
    hours: FloatArray
    lean: FloatArray
    snapshot: npt.NDArray[np.float32]


_REAL: Final = (
    "anchor anchor_ticks tick_up tick_down bin_step lot_coins level_lots pull_power oversample "
    "life_h loser_wait cross_share cross_extra oi_power cut_above cut_share taker_fee maker_fee "
    "liquidation_fee funding_base funding_crowding funding_cap magnet ratio absolute fuel impact "
    "stops direction placement acceleration reversal walls step_days permanent keep_impact "
    "keep_swept swept_lots wall_size wall_share stop_share"
)
_WHOLE: Final = (
    "half_bins substeps warmup_steps start_ns index_ns hour_steps exit_steps cut_cool insurance "
    "funding_steps moves maps reach_bins back_steps wall_steps swing_hours"
)
RULES_DTYPE: Final = np.dtype(
    [(name, "<f8") for name in _REAL.split()] + [(name, "<i8") for name in _WHOLE.split()]
)
"""What is fixed: units, the grid, the venue's rules, the traders' habits, and the planted
mechanisms with their constants; `moves` tells whether any mechanism moves the price, `maps` whether
any looks at the map."""
