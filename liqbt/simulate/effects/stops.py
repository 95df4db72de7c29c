"""Whether stops at dense levels are hit more than at sparse ones: METHOD's claim 9.

There are two answers. Of the stops that are placed now, those at dense levels (`stop_hit_*`); of
those that the price has come to, those that lie in a dense place (`stop_run_*`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from liqbt.simulate.effects.acceleration import places
from liqbt.simulate.effects.levels import levels_of
from liqbt.simulate.effects.magnet import CELL, DENSE, slope
from liqbt.simulate.effects.values import (
    DaySums,
    Effect,
    difference,
    joined,
    ratio,
    sum_by_day,
)
from liqbt.simulate.effects.windows import SIGMA_WINDOW_NS, free_path, log_path, windows_of
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, FloatArray, IntArray, Ns

_DENSE: Final = 2.0
_SPARSE: Final = 0.5
_EVERY_NS: Final = 5 * MINUTE_NS


def stop_effects(
    truths: Iterable[Truth], *, horizon_ns: Ns = DAY_NS, mechanism: str = "stops"
) -> tuple[Effect, ...]:
    """Measure how much more often a stop at a dense true level is hit than one at a sparse level.

    Levels of one side and distance (0.05 σ_h apart) are compared: the densest fifth of their band
    against the sparsest. `stop_hit_difference` is β of Y − q = β·[dense] + one mean per side and
    distance, over these two, q the Brownian probability at the window's true noise (without it,
    dense levels differ from sparse ones by the error of the past volatility: 0.2 points where
    nothing acts); `stop_hit_twin` the same of Y − F, F the visit of the twin, whose mechanisms
    stop at the snapshot. The price of the path is the last price, too.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    horizon_ns : int
        How long a stop is watched, ns.
    mechanism : str
        Written into the rows.
    """
    parts: dict[str, list[DaySums]] = {"stop_hit_difference": [], "stop_hit_twin": []}
    for truth in truths:
        windows = windows_of(truth, horizon_ns)
        levels = levels_of(truth, windows)
        use = (levels.rank > DENSE) | (levels.rank < 1.0 - DENSE)
        dense = (levels.rank > DENSE)[use].astype(np.float64)
        cell = np.rint(levels.distance_sigma / CELL).astype(np.int64) * 2 + levels.above
        ts = windows.ts_ns[levels.window][use]
        hit = levels.visited[use].astype(np.float64)
        twin = hit - levels.free_visited[use]
        lift = hit - levels.brownian[use]
        parts["stop_hit_difference"].append(slope(lift, dense, cell[use], ts))
        parts["stop_hit_twin"].append(slope(twin, dense, cell[use], ts))
    return tuple(
        ratio(joined(rows), mechanism=mechanism, statistic=name, unit="share")
        for name, rows in parts.items()
    )


def stop_run_effects(
    truths: Iterable[Truth],
    *,
    horizon_ns: Ns = 4 * HOUR_NS,
    stop_sigma: float = 0.1,
    reach: float = 0.04,
    mechanism: str = "stops",
) -> tuple[Effect, ...]:
    """Measure how much more often a stop just ahead is hit once the price is in a dense place.

    A touch is a point, every five minutes, at which the price is above (or below) all of the last
    `horizon_ns`; a stop lies `stop_sigma` σ of a day farther on, σ from the past three days. The
    touch is dense where the true map has at least twice its mean within 3 bins of the price, sparse
    where at most half (as in `acceleration_effects`). `stop_run` is the share of stops that are hit
    within `horizon_ns`, dense less sparse; `stop_run_twin` the same of hits less those of the twin,
    whose mechanisms stop at the touch: 0 without a mechanism.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    horizon_ns : int
        How far a touch looks back, and how long a stop is watched, ns.
    stop_sigma : float
        Distance of the stop.
    reach : float
        Log distance within which the density is averaged.
    mechanism : str
        Written into the rows.
    """
    parts: dict[str, list[list[DaySums]]] = {"stop_run": [[], []], "stop_run_twin": [[], []]}
    for truth in truths:
        spacing = int(truth.path_ns[1] - truth.path_ns[0])
        width = int(horizon_ns // spacing)
        x, free = log_path(truth), free_path(truth)
        back = int(SIGMA_WINDOW_NS // spacing)
        at = np.arange(back, x.size - width - 1, max(int(_EVERY_NS // spacing), 1))
        window = np.lib.stride_tricks.sliding_window_view(x, width)[at - width]
        sign = np.where(x[at] > window.max(axis=1), 1.0, 0.0)
        sign -= np.where(x[at] < window.min(axis=1), 1.0, 0.0)
        at, sign = at[sign != 0.0], sign[sign != 0.0]
        squared = np.concatenate([[0.0], np.cumsum(np.diff(x) ** 2)])
        sigma = np.sqrt((squared[at] - squared[at - back]) * DAY_NS / (back * spacing))
        hit, twin = (_reached(p, at, sign, stop_sigma * sigma, width) for p in (x, free))
        density, ts = places(truth, reach)[at], truth.path_ns
        for name, score in (("stop_run", hit), ("stop_run_twin", hit - twin)):
            for k, use in enumerate((density >= _DENSE, density <= _SPARSE)):
                one = np.ones(int(use.sum()))
                parts[name][k].append(sum_by_day(score[use], one, ts[at[use]], span_ns=ts))
    return tuple(
        difference(joined(dense), joined(sparse), mechanism=mechanism, statistic=name, unit="share")
        for name, (dense, sparse) in parts.items()
    )


def _reached(
    x: FloatArray, at: IntArray, sign: FloatArray, beyond: FloatArray, width: int
) -> FloatArray:
    """Return 1 where the path goes that far in that direction within `width` points, else 0."""
    ahead = np.lib.stride_tricks.sliding_window_view(x, width)[at + 1]
    farthest = np.where(sign > 0.0, ahead.max(axis=1) - x[at], x[at] - ahead.min(axis=1))
    return np.asarray(farthest >= beyond, np.float64)
