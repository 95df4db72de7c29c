"""The true map's levels near the price at each snapshot, ranked by density, and their visits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

from liqbt.simulate.effects.windows import Windows
from liqbt.simulate.truth import Truth
from liqbt.types import FloatArray, IntArray

KERNEL: Final = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16.0
"""Seven-bin triangular smoothing."""
_SPACING: Final = 0.5826
"""−ζ(½)/√(2π)."""
BAND_EDGES: Final = (0.25, 0.5, 1.0, 1.5, 2.5)
"""Distance bands in σ over the horizon, half-open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Levels: one row for each (window, side, fine bin) whose near edge lies in a distance band.

    Attributes
    ----------
    window : ndarray of int64, shape (n,)
        Row of `Windows`.
    above : ndarray of bool, shape (n,)
        Shorts above the price, or longs below it.
    distance_sigma : ndarray of float64, shape (n,)
        Log distance of the near edge in σ over the horizon.
    rank : ndarray of float64, shape (n,)
        In (0, 1): mid-rank of the smoothed true density among the levels of the same window, side
        and band; ½ where all are equal.
    rank_both : ndarray of float64, shape (n,)
        The same among the levels of the same window and band on both sides.
    mirror_rank_both : ndarray of float64, shape (n,)
        `rank_both` of the level nearest to the mirror image, which lies as far on the other side;
        NaN where that is in no band.
    brownian : ndarray of float64, shape (n,)
        q = 2Φ(−(d + 0.5826 σ_w√δ)/σ_w), d the log distance, σ_w the true volatility of the noise
        inside the window and δ the time between path points as a share of it (Broadie, Glasserman
        and Kou 1997, eq. 2). A past volatility would err, and dense levels lie where it errs.
    visited, mirror_visited, free_visited : ndarray of bool, shape (n,)
        Whether the price touched the near edge inside the window, touched its mirror image, or
        would have touched the edge without any displacement.
    """

    window: IntArray
    above: npt.NDArray[np.bool_]
    distance_sigma: FloatArray
    rank: FloatArray
    rank_both: FloatArray
    mirror_rank_both: FloatArray
    brownian: FloatArray
    visited: npt.NDArray[np.bool_]
    mirror_visited: npt.NDArray[np.bool_]
    free_visited: npt.NDArray[np.bool_]


def distances(truth: Truth, snapshot: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return log distances of the fine bins' near edges, below and above; shape (m, fine bins)."""
    fine, step = truth.grid.fine_bins, truth.grid.step
    inside = np.log(truth.snapshot_mark / truth.grid.anchor) - truth.mark_bin * step
    edge = np.arange(fine) * step
    offset = inside[snapshot][:, None]
    return np.asarray(offset + edge), np.asarray(step - offset + edge)


def smoothed(truth: Truth, snapshot: IntArray) -> FloatArray:
    """Return the smoothed true density of the fine bins, USD, shape (2, m, fine bins)."""
    fine = truth.grid.fine_bins
    density = truth.density_usd[snapshot][:, :, : fine + 3].astype(np.float64)
    padded = np.pad(density, ((0, 0), (0, 0), (3, 0)))
    out = sum(KERNEL[k] * padded[:, :, k : k + fine] for k in range(7))
    return np.ascontiguousarray(np.moveaxis(np.asarray(out), 1, 0))


def levels_of(truth: Truth, windows: Windows) -> Levels:
    """Return the levels of every window, ranked, with what became of them."""
    density = smoothed(truth, windows.snapshot)
    far = np.stack(distances(truth, windows.snapshot)) / windows.sigma[None, :, None]
    band = np.digitize(far, BAND_EDGES)
    inside = (band > 0) & (band < len(BAND_EDGES))
    side, window, j = np.nonzero(inside)
    group = window * len(BAND_EDGES) + band[inside]
    sides = group + side * len(BAND_EDGES) * len(windows.snapshot)
    both = np.full(inside.shape, np.nan)
    both[inside] = mid_ranks(group, density[inside])
    d = far[inside]
    nearest = _mirror_bins(truth, windows, side, window, j)
    known = (nearest >= 0) & (nearest < truth.grid.fine_bins)
    mirror = np.where(known, both[1 - side, window, np.where(known, nearest, 0)], np.nan)
    above = side == 1
    reach = d * windows.sigma[window]
    up, down = windows.up[window] >= reach, windows.down[window] >= reach
    free = np.where(above, windows.free_up[window], windows.free_down[window]) >= reach
    return Levels(
        window=window,
        above=above,
        distance_sigma=d,
        rank=mid_ranks(sides, density[inside]),
        rank_both=both[inside],
        mirror_rank_both=mirror,
        brownian=touched(reach / windows.noise_sigma[window], windows.spacing_share),
        visited=np.where(above, up, down),
        mirror_visited=np.where(above, down, up),
        free_visited=free,
    )


def touched(distance_sigma: FloatArray, spacing_share: float) -> FloatArray:
    """Return the chance that a driftless Brownian motion, watched at points, touches a level.

    Examples
    --------
    >>> touched(np.array([1.0]), 0.0).round(3).tolist()
    [0.317]
    """
    z = (distance_sigma + _SPACING * math.sqrt(spacing_share)) / math.sqrt(2.0)
    return np.asarray(erfc(z))


def _mirror_bins(
    truth: Truth, windows: Windows, side: IntArray, window: IntArray, j: IntArray
) -> IntArray:
    """Return the bin on the other side whose near edge lies closest to the mirror image."""
    below, above = distances(truth, windows.snapshot)
    gap = (below[:, 0] - above[:, 0]) / truth.grid.step
    shift = np.where(side == 0, gap[window], -gap[window])
    return np.rint(j + shift).astype(np.int64)


def mid_ranks(group: IntArray, value: FloatArray) -> FloatArray:
    """Return each value's mid-rank within its group, as a share of the group in (0, 1).

    Examples
    --------
    >>> mid_ranks(np.array([0, 0, 0, 1]), np.array([5.0, 1.0, 5.0, 9.0])).round(3).tolist()
    [0.667, 0.167, 0.667, 0.5]
    """
    if group.size == 0:
        return np.zeros(0)
    order = np.lexsort((value, group))
    g, v = group[order], value[order]
    new_group = np.concatenate([[True], g[1:] != g[:-1]])
    new_run = new_group | np.concatenate([[True], v[1:] != v[:-1]])
    run, of_group = np.cumsum(new_run) - 1, np.cumsum(new_group) - 1
    first = np.flatnonzero(new_run)
    length = np.diff(np.append(first, g.size))
    start, size = np.flatnonzero(new_group), np.bincount(of_group)
    middle = first[run] + length[run] / 2 - start[of_group]
    out = np.empty(group.size)
    out[order] = middle / size[of_group]
    return out


def within_reach(truth: Truth, at_ns: IntArray, reach: float) -> tuple[FloatArray, FloatArray]:
    """Return true notional below and above within `reach` in log price, at the last snapshots."""
    i = np.searchsorted(truth.snapshot_ns, at_ns, "right") - 1
    edges = truth.grid.outward_edges(truth.density_usd.shape[2])[1:] * truth.grid.step
    near = edges <= reach + 1e-12
    down, up = (truth.density_usd[i][:, row][:, near].sum(axis=1, dtype=float) for row in (0, 1))
    return down, up
