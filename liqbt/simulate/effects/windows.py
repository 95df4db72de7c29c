"""How far the price went after each true map, and how far it would have gone without a push."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.errors import ConfigError
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

SIGMA_WINDOW_NS = 3 * DAY_NS
"""Realised volatility is taken over the trailing three days, as the estimators do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows `[t, t + horizon)` of the snapshots that have one, and a past of three days.

    Attributes
    ----------
    snapshot : ndarray of int64, shape (m,)
        Which snapshots of the truth.
    start : ndarray of int64, shape (m,)
        Their path indices.
    ts_ns : ndarray of int64, shape (m,)
        Their times.
    sigma : ndarray of float64, shape (m,)
        Realised volatility over the horizon: deviation of the log return, from the past.
    noise_sigma : ndarray of float64, shape (m,)
        The true volatility of the noise inside the window: what nobody could know at its start.
    up, down : ndarray of float64, shape (m,)
        Largest log excursion above and below the first price inside the window.
    free_up, free_down : ndarray of float64, shape (m,)
        The same on the path without any displacement from the snapshot on, noise unchanged.
    moved : ndarray of float64, shape (m,)
        Log displacement that mechanisms applied inside the window.
    spacing_share : float
        Path points are watched; the time between two of them as a share of the horizon.
    """

    snapshot: IntArray
    start: IntArray
    ts_ns: IntArray
    sigma: FloatArray
    noise_sigma: FloatArray
    up: FloatArray
    down: FloatArray
    free_up: FloatArray
    free_down: FloatArray
    moved: FloatArray
    spacing_share: float


def log_path(truth: Truth) -> FloatArray:
    """Return the log price at each path point."""
    return np.asarray(np.log(truth.path_price))


def pushed_path(truth: Truth) -> FloatArray:
    """Return the log displacement up to each path point; within a step it is spread evenly."""
    per_step = truth.displacement
    if per_step.ndim == 2:
        per_step = per_step.sum(axis=1)
    substeps = (truth.path_price.size - 1) // per_step.size
    return np.concatenate([[0.0], np.cumsum(np.repeat(per_step / substeps, substeps))])


def free_path(truth: Truth) -> FloatArray:
    """Return the log price less all displacement: noise alone, from the same random numbers."""
    return np.asarray(log_path(truth) - pushed_path(truth))


def windows_of(truth: Truth, horizon_ns: Ns) -> Windows:
    """Return the windows of a truth's snapshots.

    Raises
    ------
    ConfigError
        If the horizon is not a whole number of path steps.
    """
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    if horizon_ns <= 0 or horizon_ns % spacing:
        raise ConfigError(f"horizon_ns is {horizon_ns}, expected a multiple of {spacing}")
    x, pushed = log_path(truth), pushed_path(truth)
    at = (truth.snapshot_ns - truth.path_ns[0]) // spacing
    width, back = horizon_ns // spacing, SIGMA_WINDOW_NS // spacing
    scored = np.flatnonzero((at >= back) & (at + width < x.size))
    start = at[scored]
    squared = np.concatenate([[0.0], np.cumsum(np.diff(x) ** 2)])
    variance = (squared[start] - squared[start - back]) / back
    free = x - pushed
    return Windows(
        snapshot=scored,
        start=start,
        ts_ns=np.asarray(truth.snapshot_ns[scored]),
        sigma=np.sqrt(variance * width),
        noise_sigma=_noise_sigma(truth, start, width),
        up=_highest(x, width)[start] - x[start],
        down=x[start] + _highest(-x, width)[start],
        free_up=_highest(free, width)[start] - free[start],
        free_down=free[start] + _highest(-free, width)[start],
        moved=pushed[start + width] - pushed[start],
        spacing_share=spacing / horizon_ns,
    )


def _noise_sigma(truth: Truth, start: IntArray, width: int) -> FloatArray:
    """Return the root of the noise's variance from `start` over `width` points, by whole steps."""
    substeps = (truth.path_price.size - 1) // truth.sigma_1d.size
    spacing_days = float(truth.path_ns[1] - truth.path_ns[0]) / DAY_NS
    variance = np.concatenate([[0.0], np.cumsum(truth.sigma_1d**2)]) * substeps * spacing_days
    first, last = start // substeps, -(-(start + width) // substeps)
    return np.asarray(np.sqrt(variance[np.minimum(last, variance.size - 1)] - variance[first]))


def _highest(x: FloatArray, width: int) -> FloatArray:
    """Return the maximum of `x[i : i + width]` for each i that has so many, by doubling."""
    out, done = x, 1
    while 2 * done <= width:
        out, done = np.maximum(out[:-done], out[done:]), 2 * done
    rest = width - done
    return np.maximum(out[: out.size - rest], out[rest:]) if rest else out
