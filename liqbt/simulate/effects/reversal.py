"""Whether the price turns back after a cluster was swept: METHOD's claim 7."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from liqbt.simulate.effects.bursts import forced_share, substeps_of
from liqbt.simulate.effects.values import DaySums, Effect, joined, ratio, sum_by_day
from liqbt.simulate.effects.windows import free_path, log_path
from liqbt.simulate.kernels.recursions import autoregression
from liqbt.simulate.truth import Truth
from liqbt.types import HOUR_NS, FloatArray, IntArray, Ns

_HALF_LIFE_S: Final = 1800.0
_DAY_H: Final = 24.0


def reversal_effects(
    truths: Iterable[Truth],
    *,
    horizon_ns: Ns = 4 * HOUR_NS,
    swept_share: float = 0.002,
    barrier_sigma: float = 1.0,
    mechanism: str = "sweep_reversal",
) -> tuple[Effect, ...]:
    """Measure P(return before extension) after sweeps of the true map.

    A sweep of a side is the first step in a horizon in which the forced share of open interest of
    that side (decaying with a half-life of 30 minutes) exceeds `swept_share`. From the step's end
    on, the score is 1 where the price first returns by `barrier_sigma` × σ_1h, 0 where it first
    extends so far, ½ where it does neither inside the horizon.

    - `return_twin`: mean score less that of the twin, whose mechanisms stop at the sweep;
    - `return_placebo`: mean score less ½, which a price without memory has by symmetry. It holds
      whatever else turns prices back, as mean reversion does.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    horizon_ns : int
        How long is watched, ns.
    swept_share, barrier_sigma : float
        See above; σ_1h is the step's true volatility over an hour.
    mechanism : str
        Written into the rows.
    """
    parts: dict[str, list[DaySums]] = {"return_twin": [], "return_placebo": []}
    for truth in truths:
        at, sign, barrier = _sweeps(truth, horizon_ns, swept_share, barrier_sigma)
        width = int(horizon_ns // (truth.path_ns[1] - truth.path_ns[0]))
        own = _scores(log_path(truth), at, sign, barrier, width)
        twin = _scores(free_path(truth), at, sign, barrier, width)
        ts, one = truth.path_ns[at], np.ones(at.size)
        parts["return_twin"].append(sum_by_day(own - twin, one, ts))
        parts["return_placebo"].append(sum_by_day(own - 0.5, one, ts))
    return tuple(
        ratio(joined(rows), mechanism=mechanism, statistic=name, unit="share")
        for name, rows in parts.items()
    )


def _sweeps(
    truth: Truth, horizon_ns: Ns, swept_share: float, barrier_sigma: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return path index, direction of the push and barrier (log) of each sweep."""
    substeps = substeps_of(truth)
    spacing_s = float(truth.path_ns[1] - truth.path_ns[0]) * substeps / 1e9
    keep = 0.5 ** (spacing_s / _HALF_LIFE_S)
    apart = int(horizon_ns // (truth.path_ns[1] - truth.path_ns[0]))
    at, sign = [], []
    for side, s in (("long", -1.0), ("short", 1.0)):
        swept = autoregression(forced_share(truth, side), 0.0, keep, 1.0)[1:] > swept_share
        last = -apart
        for step in np.flatnonzero(swept).tolist():
            i = (step + 1) * substeps
            if i - last >= apart and i + apart < truth.path_price.size:
                at.append(i)
                sign.append(s)
            if i - last >= apart:
                last = i
    where = np.array(at, dtype=np.int64)
    sigma = truth.sigma_1d[np.maximum(where // substeps - 1, 0)]
    return where, np.array(sign), barrier_sigma * sigma / math.sqrt(_DAY_H)


def _scores(
    x: FloatArray, at: IntArray, sign: FloatArray, barrier: FloatArray, width: int
) -> FloatArray:
    """Return 1 for a return first, 0 for an extension first, ½ for neither."""
    out = np.full(at.size, 0.5)
    rows = zip(at.tolist(), sign.tolist(), barrier.tolist(), strict=True)
    for k, (i, s, b) in enumerate(rows):
        move = s * (x[i : i + width + 1] - x[i])
        extended, returned = move >= b, move <= -b
        first = int((extended | returned).argmax())
        if extended[first]:
            out[k] = 0.0
        elif returned[first]:
            out[k] = 1.0
    return out
