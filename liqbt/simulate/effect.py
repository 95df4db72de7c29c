"""What a planted magnet amounts to, measured from the truth in the units of METHOD's estimands.

Power is to be stated against these effects, not against the world's knobs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

__all__ = ["MagnetEffect", "magnet_effect"]

SIGMA_WINDOW_NS = 3 * DAY_NS
"""Realised volatility is taken over the trailing three days."""
KERNEL = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16.0
"""Seven-bin triangular smoothing."""
HAC_LAG_DAYS = 2
"""Days by which the Newey-West sum reaches; windows of a day overlap the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MagnetEffect:
    """The mirror lift of the densest true level, and how far the price was displaced.

    Attributes
    ----------
    hit_rate, mirror_rate : float
        Share of snapshots whose densest true level, and whose mirror image, was visited.
    mirror_lift, standard_error : float
        Their difference, and its Newey-West error over UTC days; NaN below three days.
    n_snapshots, n_days : int
        Snapshots with a level, a trailing volatility and a whole window; days on which they fell.
    displacement_sigma : float
        Root mean square over the windows of the log displacement that the magnet applied in one
        window, in units of σ over the window; 0 where none is planted.
    """

    hit_rate: float
    mirror_rate: float
    mirror_lift: float
    standard_error: float
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
    """Measure the mirror lift of the densest true level near the price.

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
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    if horizon_ns <= 0 or horizon_ns % spacing:
        raise ConfigError(f"horizon_ns is {horizon_ns}, expected a multiple of {spacing}")
    log_price = np.log(truth.path_price)
    at = (truth.snapshot_ns - truth.path_ns[0]) // spacing
    width, back = horizon_ns // spacing, SIGMA_WINDOW_NS // spacing
    scored = (at >= back) & (at + width < log_price.size)
    squared = np.concatenate([[0.0], np.cumsum(np.diff(log_price) ** 2)])
    sigma = np.full(at.size, np.nan)
    variance = (squared[at[scored]] - squared[at[scored] - back]) / back
    sigma[scored] = np.sqrt(variance * width)
    distance, side = _densest(truth, sigma, nearest_sigma, farthest_sigma)
    keep = np.flatnonzero(scored & np.isfinite(distance))
    hit, mirror = _visited(log_price, at[keep], width, distance[keep], side[keep])
    days = truth.snapshot_ns[keep] // DAY_NS
    return MagnetEffect(
        hit_rate=float(hit.mean()) if keep.size else math.nan,
        mirror_rate=float(mirror.mean()) if keep.size else math.nan,
        mirror_lift=float((hit - mirror).mean()) if keep.size else math.nan,
        standard_error=_day_error(hit - mirror, days),
        n_snapshots=int(keep.size),
        n_days=int(np.unique(days).size),
        displacement_sigma=_displacement(truth, at[keep], width, sigma[keep]),
    )


def _densest(
    truth: Truth, sigma: FloatArray, nearest: float, farthest: float
) -> tuple[FloatArray, IntArray]:
    """Return log distance and side (-1 below, 1 above) of each snapshot's densest level, or NaN."""
    fine, step = truth.grid.fine_bins, truth.grid.step
    offset = np.log(truth.snapshot_mark / truth.grid.anchor) - truth.mark_bin * step
    edge = np.arange(fine) * step
    best = np.zeros(sigma.size)
    distance, side = np.full(sigma.size, np.nan), np.zeros(sigma.size, dtype=np.int64)
    for row, sign in ((0, -1), (1, 1)):
        density = truth.density_usd[:, row, : fine + 3].astype(np.float64)
        padded = np.pad(density, ((0, 0), (3, 0)))
        smooth = sum(KERNEL[k] * padded[:, k : k + fine] for k in range(7))
        inside = offset if sign < 0 else step - offset
        d = inside[:, None] + edge
        with np.errstate(invalid="ignore"):
            near = (d >= nearest * sigma[:, None]) & (d <= farthest * sigma[:, None])
        smooth = np.where(near, smooth, 0.0)
        j = smooth.argmax(axis=1)
        top = smooth[np.arange(j.size), j]
        better = top > best
        best = np.where(better, top, best)
        distance = np.where(better, d[np.arange(j.size), j], distance)
        side = np.where(better, sign, side)
    return distance, side


def _visited(
    log_price: FloatArray, at: IntArray, width: int, distance: FloatArray, side: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Tell of each level and of its mirror whether the path touched it inside the window."""
    hit, mirror = np.zeros(at.size), np.zeros(at.size)
    for i, (start, d) in enumerate(zip(at.tolist(), distance.tolist(), strict=True)):
        window = log_price[start : start + width]
        above = window.max() >= window[0] + d
        below = window.min() <= window[0] - d
        hit[i], mirror[i] = (above, below) if side[i] > 0 else (below, above)
    return hit, mirror


def _day_error(lift: FloatArray, days: IntArray) -> float:
    """Newey-West error of a ratio estimator over day sums, Bartlett weights (1987, eq. 5)."""
    names, of_day = np.unique(days, return_inverse=True)
    if names.size < 3:
        return math.nan
    u = np.bincount(of_day, lift - lift.mean())
    total = float(u @ u)
    for lag in range(1, HAC_LAG_DAYS + 1):
        total += 2.0 * (1.0 - lag / (HAC_LAG_DAYS + 1)) * float(u[lag:] @ u[:-lag])
    return math.sqrt(max(total, 0.0)) / lift.size


def _displacement(truth: Truth, at: IntArray, width: int, sigma: npt.NDArray[np.float64]) -> float:
    """Root mean square displacement over the windows, in units of σ."""
    if at.size == 0:
        return math.nan
    per_step = (truth.path_price.size - 1) // truth.displacement.size
    total = np.concatenate([[0.0], np.cumsum(truth.displacement)])
    moved = total[(at + width) // per_step] - total[at // per_step]
    return float(np.sqrt(np.mean((moved / sigma) ** 2)))
