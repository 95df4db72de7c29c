"""What a pull toward dense levels amounts to, in the units of METHOD's claim 3.

Two readings are given side by side, and they answer different questions.

* **On the factual path**, METHOD's estimands: Y less what no information would have given, where
  that is the mirror image or the Brownian probability. This is what a test that knew the true map
  (and the volatility to come) would converge to, so power is stated against it.
* **Against the twin**: Y less the visit that the same random numbers would have made had the
  mechanism stopped at the snapshot. The noise does not depend on the traders, so the twin's path is
  the factual one less the recorded displacement, exactly. This is what the mechanism causes inside
  the window. It is free of the volatility that the mechanism itself makes (which the Brownian
  probability, taking past volatility, overstates) and of nearly all noise.

A mechanism that moves the price toward *one* level moves it away from those on the other side, so
that the mirror lift of the densest level is about twice its twin lift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from liqbt.simulate.effects.levels import Levels, distances, levels_of, smoothed
from liqbt.simulate.effects.values import DaySums, Effect, joined, ratio, sum_by_day
from liqbt.simulate.effects.windows import Windows, windows_of
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

DENSE = 0.8
"""The top fifth of a band is dense."""
CELL = 0.05
"""g(d/σ) is one mean for each side and each 0.05 σ of distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MagnetEffect:
    """The lift of the densest true level of one market, and how far the price was displaced.

    Attributes
    ----------
    hit_rate, mirror_rate, twin_rate : float
        Share of snapshots whose densest true level was visited, whose mirror image was, and whose
        level would have been visited without any displacement after the snapshot.
    mirror_lift, standard_error : float
        Hit rate less mirror rate, and its Newey-West error over UTC days; NaN below three days.
    twin_lift, twin_error : float
        Hit rate less twin rate, and its error.
    n_snapshots, n_days : int
        Snapshots with a level, a trailing volatility and a whole window; days on which they fell.
    displacement_sigma : float
        Root mean square over the windows of the log displacement that mechanisms applied in one
        window, in units of σ over the window; 0 where none is planted.
    """

    hit_rate: float
    mirror_rate: float
    twin_rate: float
    mirror_lift: float
    standard_error: float
    twin_lift: float
    twin_error: float
    n_snapshots: int
    n_days: int
    displacement_sigma: float


def magnet_effect(
    truth: Truth,
    *,
    horizon_ns: Ns = DAY_NS,
    nearest_sigma: float = 0.25,
    farthest_sigma: float = 1.5,
) -> MagnetEffect:
    """Measure the lift of the densest true level near the price, of one market.

    At each snapshot of the truth, among the fine bins (within 10 %) whose near edge lies between
    `nearest_sigma` and `farthest_sigma` from the price in units of σ over the horizon, either side,
    the one with the densest smoothed true notional is taken. Its near edge is visited if the price
    path touches it inside `[t, t + horizon)`; the mirror level lies as far on the other side.

    Parameters
    ----------
    truth : Truth
        A simulated market's truth.
    horizon_ns : int
        Length of the window, ns.
    nearest_sigma, farthest_sigma : float
        Where a level counts, in σ over the horizon (trailing three days, realised).

    Raises
    ------
    ConfigError
        If the horizon is not a whole number of path steps.
    """
    windows = windows_of(truth, horizon_ns)
    top = _densest(truth, windows, nearest_sigma, farthest_sigma)
    n = top.row.size
    mirror, twin = (
        ratio(_mean(x, top.ts_ns), mechanism="magnet", statistic="lift", unit="share")
        for x in (top.visited - top.mirror, top.visited - top.free)
    )
    moved = windows.moved[top.row] / windows.sigma[top.row]
    return MagnetEffect(
        hit_rate=float(top.visited.mean()) if n else math.nan,
        mirror_rate=float(top.mirror.mean()) if n else math.nan,
        twin_rate=float(top.free.mean()) if n else math.nan,
        mirror_lift=mirror.value,
        standard_error=mirror.standard_error,
        twin_lift=twin.value,
        twin_error=twin.standard_error,
        n_snapshots=n,
        n_days=mirror.n_days,
        displacement_sigma=float(np.sqrt(np.mean(moved**2))) if n else math.nan,
    )


def level_effects(
    truths: Iterable[Truth], *, horizon_ns: Ns = DAY_NS, mechanism: str = "magnet"
) -> tuple[Effect, ...]:
    """Measure what dense true levels do to visits, over one or many markets.

    With Y the visit of a level's near edge inside the window, M that of its mirror image, F that of
    the twin (see the module), q the Brownian probability at the window's true noise (see `Levels`)
    and r the density rank within snapshot, side and distance band:

    - `densest_mirror_lift`, `densest_twin_lift`: mean(Y − M) and mean(Y − F) over the snapshots'
      densest level within 0.25 to 1.5 σ_h, either side;
    - `dense_level_lift`, `dense_twin_lift`: mean(Y − q) and mean(Y − F) over the levels with
      r > 0.8. The first is **not zero without a mechanism**: q knows no jumps;
    - `any_level_lift`: mean(Y − q) over all levels, dense or not: the error of q alone;
    - `dense_level_excess`: β of Y − q = β·[r > 0.8] + g(side, d/σ_h) + e: the dense levels' lift
      over that of the others as far away, in which the error of q cancels;
    - `dose_within_side`: β of Y − q = β·r + g(side, d/σ_h) + e, g one mean per side and 0.05 σ;
    - `dose_within_side_twin`: β of Y − F = β·r + g + e;
    - `dose_response_raw`: β of Y − M = β·(s − s_M) + e, where s is the rank among the levels of
      *both* sides of the band and s_M that of the mirror image: the dose across the mark, without
      trends beside it. It has no constant: by symmetry there is none, and one that is fitted to a
      dose that past prices decide would bias β (Stambaugh 1999), by −0.9 points in four months;
    - `dose_response_twin`: β of Y − F = β·s + g + e.

    A pull toward one level crosses every nearer level of its side, so within a side visits hardly
    depend on which level is dense: the first β stays below a point however strong the pull, the
    last two do not.

    Units are all snapshots; errors are clustered by UTC day with two lags, so windows that overlap
    are not counted as new evidence.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world; taken one by one.
    horizon_ns : int
        Length of the window, ns.
    mechanism : str
        Written into the rows.

    Returns
    -------
    tuple of Effect
        All in `share`: 0.01 is one point of visits, for β a point from the sparsest to the densest.
    """
    parts: dict[str, list[DaySums]] = {}
    for truth in truths:
        windows = windows_of(truth, horizon_ns)
        sums = _densest_sums(truth, windows) | _level_sums(levels_of(truth, windows), windows)
        for name, value in sums.items():
            parts.setdefault(name, []).append(value)
    return tuple(
        ratio(joined(rows), mechanism=mechanism, statistic=name, unit="share")
        for name, rows in parts.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Densest:
    """The densest level of each window that has one."""

    row: IntArray
    ts_ns: IntArray
    visited: FloatArray
    mirror: FloatArray
    free: FloatArray


def _densest(truth: Truth, windows: Windows, nearest: float, farthest: float) -> _Densest:
    """Find each window's densest level, either side, and what became of it."""
    density = smoothed(truth, windows.snapshot)
    far = np.stack(distances(truth, windows.snapshot))
    sigma = windows.sigma[None, :, None]
    near = (far >= nearest * sigma) & (far <= farthest * sigma)
    density = np.where(near, density, 0.0)
    fine = density.shape[2]
    flat = np.concatenate([density[0], density[1]], axis=1)
    best = flat.argmax(axis=1)
    rows = np.arange(flat.shape[0])
    keep = np.flatnonzero(flat[rows, best] > 0)
    side, j = best[keep] // fine, best[keep] % fine
    d, above = far[side, keep, j], side == 1
    up, down = windows.up[keep] >= d, windows.down[keep] >= d
    free = np.where(above, windows.free_up[keep], windows.free_down[keep]) >= d
    return _Densest(
        row=keep,
        ts_ns=windows.ts_ns[keep],
        visited=np.where(above, up, down).astype(np.float64),
        mirror=np.where(above, down, up).astype(np.float64),
        free=free.astype(np.float64),
    )


def _mean(value: FloatArray, ts_ns: IntArray) -> DaySums:
    return sum_by_day(value, np.ones_like(value), ts_ns)


def _densest_sums(truth: Truth, windows: Windows) -> dict[str, DaySums]:
    top = _densest(truth, windows, 0.25, 1.5)
    return {
        "densest_mirror_lift": _mean(top.visited - top.mirror, top.ts_ns),
        "densest_twin_lift": _mean(top.visited - top.free, top.ts_ns),
    }


def _level_sums(levels: Levels, windows: Windows) -> dict[str, DaySums]:
    """Return the day sums of the statistics over all levels."""
    ts = windows.ts_ns[levels.window]
    visited = levels.visited.astype(np.float64)
    against = {
        "level": visited - levels.brownian,
        "twin": visited - levels.free_visited,
    }
    dense = levels.rank > DENSE
    cell = np.rint(levels.distance_sigma / CELL).astype(np.int64) * 2 + levels.above
    out = {f"dense_{k}_lift": _mean(y[dense], ts[dense]) for k, y in against.items()}
    out["any_level_lift"] = _mean(against["level"], ts)
    out["dense_level_excess"] = slope(against["level"], dense.astype(np.float64), cell, ts)
    out["dose_within_side"] = slope(against["level"], levels.rank, cell, ts)
    out["dose_within_side_twin"] = slope(against["twin"], levels.rank, cell, ts)
    pair = np.isfinite(levels.mirror_rank_both)
    dose = (levels.rank_both - levels.mirror_rank_both)[pair]
    gap = (visited - levels.mirror_visited)[pair]
    out["dose_response_raw"] = sum_by_day(dose * gap, dose * dose, ts[pair])
    out["dose_response_twin"] = slope(against["twin"], levels.rank_both, cell, ts)
    return out


def slope(y: FloatArray, dose: FloatArray, cell: IntArray, ts_ns: IntArray) -> DaySums:
    """Return the day sums whose ratio is β of y = β·dose + one mean per cell (Frisch–Waugh)."""
    _, of = np.unique(cell, return_inverse=True)
    size = np.bincount(of)
    within, left = (v - (np.bincount(of, v) / size)[of] for v in (dose, y))
    return sum_by_day(within * left, within * within, ts_ns)
