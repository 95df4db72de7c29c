"""How much faster the price moves where the true map is dense: METHOD's claim 4b."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from liqbt.simulate.effects.values import DaySums, Effect, joined, quotient, sum_by_day
from liqbt.simulate.effects.windows import log_path
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, FloatArray

_NEAR_BINS: Final = 3
_DENSE: Final = 2.0
_SPARSE: Final = 0.5


def acceleration_effects(
    truths: Iterable[Truth], *, reach: float = 0.04, mechanism: str = "acceleration"
) -> tuple[Effect, ...]:
    """Measure the speed of the price in dense bins of the true map over that in sparse ones.

    At each path point q is the true notional within 3 bins of the price over the mean of such
    within `reach`, by the last snapshot: dense where q ≥ 2, sparse where q ≤ ½. `speed_ratio` is
    mean(|r|/(σ√dt)) over the moves that start in dense bins, over the same in sparse bins; σ is the
    true volatility of the step, so that a busy time is not a dense place. `log_speed_ratio` is its
    logarithm: 0 without a mechanism.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    reach : float
        Log distance within which the density is averaged.
    mechanism : str
        Written into the rows.
    """
    dense: list[DaySums] = []
    sparse: list[DaySums] = []
    for truth in truths:
        q, speed, ts = places(truth, reach), _speed(truth), truth.path_ns[:-1]
        for rows, mask in ((dense, q >= _DENSE), (sparse, q <= _SPARSE)):
            one = np.ones(int(mask.sum()))
            rows.append(sum_by_day(speed[mask], one, ts[mask], span_ns=ts))
    found = quotient(
        joined(dense),
        joined(sparse),
        mechanism=mechanism,
        statistic="speed_ratio",
        unit="ratio",
    )
    known = found.value > 0.0
    log = replace(
        found,
        statistic="log_speed_ratio",
        value=math.log(found.value) if known else math.nan,
        null=0.0,
        unit="log ratio",
        standard_error=found.standard_error / found.value if known else math.nan,
    )
    return found, log


def _speed(truth: Truth) -> FloatArray:
    """Return |r|/(σ√dt) of each move between path points."""
    move = np.abs(np.diff(log_path(truth)))
    dt = float(truth.path_ns[1] - truth.path_ns[0]) / DAY_NS
    sigma = np.repeat(truth.sigma_1d, move.size // truth.sigma_1d.size)
    return np.asarray(move / (sigma * np.sqrt(dt)))


def places(truth: Truth, reach: float) -> FloatArray:
    """Return q at each path point but the last; NaN before the first snapshot or off the grid."""
    fine, step = truth.grid.fine_bins, truth.grid.step
    width = min(round(reach / step), fine)
    density = truth.density_usd[:, :, :fine].astype(np.float64)
    own = np.zeros((density.shape[0], 1))
    line = np.concatenate([density[:, 0, ::-1], own, density[:, 1]], axis=1)
    total = np.concatenate([own, np.cumsum(line, axis=1)], axis=1)
    mean = (total[:, fine + width + 1] - total[:, fine - width]) / (2 * width + 1)
    x = log_path(truth)[:-1]
    at = np.floor((x - np.log(truth.grid.anchor)) / step).astype(np.int64)
    snapshot = np.searchsorted(truth.snapshot_ns, truth.path_ns[:-1], "right") - 1
    k = at - truth.mark_bin[np.maximum(snapshot, 0)] + fine
    known = (snapshot >= 0) & (k >= _NEAR_BINS) & (k < line.shape[1] - _NEAR_BINS)
    i, k = np.maximum(snapshot, 0), np.clip(k, _NEAR_BINS, line.shape[1] - _NEAR_BINS - 1)
    near = (total[i, k + _NEAR_BINS + 1] - total[i, k - _NEAR_BINS]) / (2 * _NEAR_BINS + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known & (mean[i] > 0), near / mean[i], np.nan))
