"""Whether stops parked at dense levels are hit more than at sparse ones: METHOD's claim 9."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from liqbt.simulate.effects.levels import levels_of
from liqbt.simulate.effects.magnet import CELL, DENSE, slope
from liqbt.simulate.effects.values import DaySums, Effect, joined, ratio
from liqbt.simulate.effects.windows import windows_of
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, Ns


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
