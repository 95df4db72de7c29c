"""Whether forced flow lies just beyond swing highs and lows: METHOD's claim 2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.simulate.effects.values import DaySums, Effect, joined, quotient, sum_by_day
from liqbt.simulate.effects.windows import log_path
from liqbt.simulate.truth import Truth
from liqbt.types import HOUR_NS, FloatArray, IntArray

_FRESH_H: Final = (1.0, 3.0, 12.0, 24.0, 72.0, 240.0)
_OLDEST_H: Final = 240


def placement_effects(
    truths: Iterable[Truth],
    *,
    swing_h: int = 6,
    beyond: float = 0.004,
    mechanism: str = "placement",
) -> tuple[Effect, ...]:
    """Measure realised forced notional per traversed bin just beyond swings, over matched bins.

    A unit is a bin of the true grid at the moment when the price traverses it after an hour or more
    without having been there; F is the notional forced in it then, of the side that such a move
    forces. It lies *just beyond* a swing where it is up to `beyond` below a swing low (above a
    swing high) of the last ten days that was confirmed, and had not been passed since. Matched bins
    are all others of the same direction and freshness (1, 3, 12, 24, 72, 240 h since the last
    traversal, or never): a new low is fresh by itself. `beyond_ratio` is mean F just beyond swings
    over mean F of the matched bins at the same shares of direction and freshness. It is **above
    one without a mechanism**: the price dwelt near a swing, and those who entered there with the
    highest leverage are liquidated just beyond it. `placed_ratio` (see there) is one.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    swing_h : int
        See `swings`.
    beyond : float
        How far beyond a swing, in log price.
    mechanism : str
        Written into the rows.
    """
    markets = list(truths)
    rows = [_traversals(truth, swing_h, beyond) for truth in markets]
    cell, near, forced = (np.concatenate([getattr(r, n) for r in rows]) for n in _NAMES)
    cells = int(cell.max(initial=0)) + 1
    count = [np.bincount(cell[m], minlength=cells) for m in (near, ~near)]
    weight = np.where(near, 1.0, (count[0] / np.maximum(count[1], 1))[cell])
    weight[near & (count[1][cell] == 0)] = 0.0  # nothing to be matched with
    parts: tuple[list[DaySums], list[DaySums]] = ([], [])
    ends = np.cumsum([row.cell.size for row in rows])[:-1]
    market = zip(rows, *(np.split(v, ends) for v in (near, weight, forced)), strict=True)
    for row, n, w, f in market:
        for part, mask in zip(parts, (n, ~n), strict=True):
            sums = sum_by_day(w[mask] * f[mask], w[mask], row.ts_ns[mask], span_ns=row.ts_ns)
            part.append(sums)
    return (
        quotient(
            joined(parts[0]),
            joined(parts[1]),
            mechanism=mechanism,
            statistic="beyond_ratio",
            unit="ratio",
        ),
        placed_ratio(markets, swing_h=swing_h, beyond=beyond, mechanism=mechanism),
    )


def placed_ratio(truths: Iterable[Truth], *, swing_h: int, beyond: float, mechanism: str) -> Effect:
    """Return how much more often entrants are liquidated just beyond a swing than by chance.

    By chance: at the entrant's price and time, with the liquidation distance ln(LP/EP) of the
    levered entrant of its side that came 50 later. Without placement the two are exchangeable,
    since leverage is drawn without regard to swings. Swings count as in `placement_effects`.

    Parameters
    ----------
    truths, swing_h, beyond, mechanism
        As in `placement_effects`.
    """
    own: list[DaySums] = []
    other: list[DaySums] = []
    for truth in truths:
        found = swings(truth, swing_h)
        spans = [_standing(truth, swing, swing_h) for swing in zip(*found, strict=True)]
        both = [_beyond(truth, side, found, spans, beyond) for side in (1, -1)]
        mine, another, ts = (np.concatenate([row[k] for row in both]) for k in range(3))
        for sums, near in ((own, mine), (other, another)):
            sums.append(sum_by_day(near, np.ones(ts.size), ts, span_ns=truth.path_ns))
    return quotient(
        joined(own), joined(other), mechanism=mechanism, statistic="placed_ratio", unit="ratio"
    )


_LATER: Final = 50


def _beyond(
    truth: Truth,
    side: int,
    found: tuple[IntArray, FloatArray, IntArray],
    spans: list[tuple[int, int]],
    beyond: float,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Tell of one side's entrants who lies just beyond a swing: as they came, and exchanged."""
    p = truth.positions
    p = p[(p["side"] == side) & (p["margin"] > 0) & (p["opened_ns"] >= truth.path_ns[0])]
    p = p[np.isfinite(p["first_liquidation_price"]) & (p["first_liquidation_price"] > 0)]
    entry, n = np.log(p["entry_price"]), max(len(p) - _LATER, 0)
    distance, ts = np.log(p["first_liquidation_price"]) - entry, np.asarray(p["opened_ns"][:n])
    at = np.stack([entry[:n] + distance[:n], entry[:n] + distance[_LATER:]])
    near = np.zeros(at.shape, dtype=np.bool_)
    for level, which, (start, end) in zip(found[1], found[2], spans, strict=True):
        if which == -side:
            mine = slice(*np.searchsorted(ts, [start, end]).tolist())
            past = which * (at[:, mine] - level)
            near[:, mine] |= (past >= 0) & (past <= beyond)
    return near[0].astype(np.float64), near[1].astype(np.float64), ts


def _standing(truth: Truth, swing: tuple[int, float, int], swing_h: int) -> tuple[int, int]:
    """Return from when to when (ns, half-open) a swing is confirmed, recent and not passed."""
    hour, level, side = swing
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    per_hour = HOUR_NS // spacing
    first, last = (int(hour) + 1) * per_hour, (int(hour) + _OLDEST_H) * per_hour
    passed = np.flatnonzero(side * (np.log(truth.path_price[first + 1 : last + 1]) - level) > 0)
    end = first + 1 + int(passed[0]) if passed.size else last
    start = first + swing_h * per_hour
    origin = int(truth.path_ns[0])
    return origin + start * spacing, origin + max(end, start) * spacing


_NAMES: Final = ("cell", "near", "forced")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traversals:
    """Bins traversed afresh: stratum, whether just beyond a swing, USD forced, time."""

    cell: IntArray
    near: npt.NDArray[np.bool_]
    forced: FloatArray
    ts_ns: IntArray


def swings(truth: Truth, swing_h: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Return the swings of a path: hours whose low (high) is beyond those of the hours around.

    Parameters
    ----------
    truth : Truth
        A simulated market's truth.
    swing_h : int
        How many hours on both sides; a swing is confirmed so many hours later.

    Returns
    -------
    hour : ndarray of int64, shape (n,)
        Counted from the path's start.
    level : ndarray of float64, shape (n,)
        Log price of the low or high.
    side : ndarray of int64, shape (n,)
        -1 a swing low, +1 a swing high.
    """
    per_hour = HOUR_NS // int(truth.path_ns[1] - truth.path_ns[0])
    x = log_path(truth)
    hours = (x.size - 1) // per_hour
    bars = x[1 : hours * per_hour + 1].reshape(hours, per_hour)
    out: list[tuple[int, float, int]] = []
    for side, extreme in ((-1, -bars.min(axis=1)), (1, bars.max(axis=1))):
        for h in range(swing_h, hours - swing_h):
            around = extreme[h - swing_h : h + swing_h + 1]
            if extreme[h] == around.max() and (around == extreme[h]).sum() == 1:
                out.append((h, side * float(extreme[h]), side))
    out.sort()
    hour, level, side_of = zip(*out, strict=True) if out else ((), (), ())
    return np.array(hour, np.int64), np.array(level, np.float64), np.array(side_of, np.int64)


def _traversals(truth: Truth, swing_h: int, beyond: float) -> _Traversals:
    """Return the fresh traversals of a path."""
    step = truth.grid.step
    x = log_path(truth) - np.log(truth.grid.anchor)
    at = np.floor(x / step).astype(np.int64)
    moved = np.abs(np.diff(at))
    point = np.repeat(np.arange(1, at.size), moved)
    nth = np.arange(point.size) - np.repeat(np.cumsum(moved) - moved, moved) + 1
    sign = np.sign(at[point] - at[point - 1])
    bins = at[point - 1] + sign * nth
    age_h = _hours_since(bins, point, truth)
    fresh = age_h >= _FRESH_H[0]
    forced = _forced_usd(truth, bins, point, sign)
    point, bins, sign, age_h = point[fresh], bins[fresh], sign[fresh], age_h[fresh]
    near = _near_swing(truth, swings(truth, swing_h), swing_h, beyond, (point, bins, sign, age_h))
    cell = np.digitize(age_h, _FRESH_H) * 2 + (sign > 0)
    ts_ns = np.asarray(truth.path_ns[point])
    return _Traversals(cell=cell.astype(np.int64), near=near, forced=forced[fresh], ts_ns=ts_ns)


def _hours_since(bins: IntArray, point: IntArray, truth: Truth) -> FloatArray:
    """Return the hours since each bin was traversed last; infinite for never."""
    order = np.lexsort((point, bins))
    same = np.diff(bins[order], prepend=bins[order][:1] - 1) == 0
    gap = np.diff(point[order], prepend=0).astype(np.float64)
    hours = gap * float(truth.path_ns[1] - truth.path_ns[0]) / HOUR_NS
    out = np.empty(bins.size)
    out[order] = np.where(same, hours, np.inf)
    return out


def _forced_usd(truth: Truth, bins: IntArray, point: IntArray, sign: IntArray) -> FloatArray:
    """Return USD forced in each traversal: orders of that instant whose trigger lies in the bin."""
    forced = truth.liquidations
    at = (forced["ts_ns"] - truth.path_ns[0]) // int(truth.path_ns[1] - truth.path_ns[0])
    trigger = truth.positions["liquidation_price"][forced["position"]]
    with np.errstate(divide="ignore"):
        where = np.log(trigger / truth.grid.anchor) / truth.grid.step
    k = np.floor(np.clip(where, -1e6, 1e6)).astype(np.int64)
    usd = forced["mark"] * forced["size_coins"]
    long = forced["side"] > 0
    # the traversals of an instant are a run of rows, in order of the move
    first = np.searchsorted(point, at, "left")
    count = np.searchsorted(point, at, "right") - first
    use = (count > 0) & (sign[np.minimum(first, point.size - 1)] == np.where(long, -1, 1))
    start = bins[np.minimum(first, point.size - 1)]
    nth = np.clip(np.where(long, start - k, k - start), 0, np.maximum(count - 1, 0))
    return np.asarray(np.bincount((first + nth)[use], usd[use], point.size), np.float64)


def _near_swing(
    truth: Truth,
    found: tuple[IntArray, FloatArray, IntArray],
    swing_h: int,
    beyond: float,
    rows: tuple[IntArray, IntArray, IntArray, FloatArray],
) -> npt.NDArray[np.bool_]:
    """Tell which traversals lie just beyond a confirmed swing that was not passed since."""
    point, bins, sign, age_h = rows
    hours = point / (HOUR_NS / float(truth.path_ns[1] - truth.path_ns[0]))
    centre = (bins + 0.5) * truth.grid.step + np.log(truth.grid.anchor)
    near = np.zeros(point.size, dtype=np.bool_)
    for hour, level, side in zip(*(v.tolist() for v in found), strict=True):
        first, last = np.searchsorted(hours, [hour + 1 + swing_h, hour + _OLDEST_H])
        mine = slice(int(first), int(last))
        past = side * (centre[mine] - level)
        unpassed = age_h[mine] >= hours[mine] - hour - 1
        near[mine] |= (sign[mine] == side) & (past >= 0) & (past <= beyond) & unpassed
    return near
