"""What no information scores: plain levels at every distance, on a random walk and on real prices.

A *level* is one price at a distance, above or below (the two are averaged); a *pair* is one on each
side at the same distance, of which at least one is touched. A coin that names the first of the pair
scores half of what the pair does; a coin that names the sign of a move scores one half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liqbt.evaluation.accuracy.landmarks import Landmarks
from liqbt.evaluation.nulls.brownian import touch_probability, two_barrier_probabilities
from liqbt.types import DAY_NS, FloatArray, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainLevels:
    """Hit rates of plain levels at one horizon, all markets together.

    Attributes
    ----------
    horizon : str
        Horizon.
    n_windows : int
        Watched windows of the real prices.
    distance_sigma : tuple of float
        Distances in σ_h, increasing from 0.
    brownian_level, brownian_pair : tuple of float
        Probabilities under Brownian motion over the time that a typical window is watched.
    real_level, real_pair : tuple of float
        Shares of the real windows.
    sigma_h : float
        Median σ_h: what 1 σ_h is, as a log return.
    rms_move, median_move : float
        Root mean square, and median size, of the windows' moves in σ_h: 1 and 0.674 where σ is
        right and moves are normal.
    reach_level, reach_pair : float
        Largest distance, in σ_h, at which the real prices still score `target`; NaN for none.
    brownian_reach_level, brownian_reach_pair : float
        The same of Brownian motion.
    """

    horizon: str
    n_windows: int
    distance_sigma: tuple[float, ...]
    brownian_level: tuple[float, ...]
    brownian_pair: tuple[float, ...]
    real_level: tuple[float, ...]
    real_pair: tuple[float, ...]
    sigma_h: float
    rms_move: float
    median_move: float
    reach_level: float
    reach_pair: float
    brownian_reach_level: float
    brownian_reach_pair: float


def reach(distance: FloatArray, rate: FloatArray, target: float) -> float:
    """Return the largest distance at which a falling rate is still `target`; NaN for nowhere.

    Between two distances the rate is taken to be straight.

    Examples
    --------
    >>> reach(np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.9, 0.7]), 0.85)
    1.25
    >>> reach(np.array([0.0, 1.0]), np.array([0.5, 0.2]), 0.85)
    nan
    """
    enough = np.flatnonzero(rate >= target)
    if not len(enough):
        return math.nan
    i = int(enough[-1])
    if i + 1 == len(rate):
        return float(distance[i])
    share = (rate[i] - target) / (rate[i] - rate[i + 1])
    return round(float(distance[i] + share * (distance[i + 1] - distance[i])), 12)


def real_levels(marks: Landmarks, distance_sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shares of windows that touch a level, and at least one of a pair.

    Parameters
    ----------
    marks : Landmarks
        Windows, one or more.
    distance_sigma : ndarray of float64, shape (k,)
        Distances in σ_h.

    Returns
    -------
    level, pair : ndarray of float64, shape (k,)
    """
    far = marks.extremes / marks.sigma_h[:, None]
    wide = np.sort(far.max(axis=1))
    both = np.sort(far.ravel())
    level = 1.0 - np.searchsorted(both, distance_sigma, "left") / len(both)
    pair = 1.0 - np.searchsorted(wide, distance_sigma, "left") / len(wide)
    return level, pair


def brownian_levels(
    marks: Landmarks, distance_sigma: FloatArray, spacing_ns: Ns
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities of touching a level, and at least one of a pair, in closed form.

    Parameters
    ----------
    marks : Landmarks
        Their median exposure is the one that counts.
    distance_sigma : ndarray of float64, shape (k,)
        Distances in σ_h.
    spacing_ns : int
        Of a path of points; 0 for true highs and lows.
    """
    unit = math.sqrt(DAY_NS / marks.horizon_ns)  # σ_1d in units of σ_h
    watched = {
        "sigma_1d": unit,
        "from_ns": float(np.median(marks.from_ns)),
        "until_ns": float(np.median(marks.until_ns)),
        "spacing_ns": spacing_ns,
    }
    level = touch_probability(distance=distance_sigma, **watched)
    pair = np.ones(len(distance_sigma))  # a price is on one side of the mark or the other
    some = distance_sigma > 0.0
    ends = distance_sigma[some]
    pair[some] = 1.0 - two_barrier_probabilities(up=ends, down=ends, **watched)[2]
    return level, pair


def plain_levels(
    horizon: str,
    markets: Sequence[tuple[Landmarks, Ns]],
    distance_sigma: FloatArray,
    target: float,
) -> PlainLevels:
    """Return the plain levels of one horizon, each market weighing as many windows as it has.

    Parameters
    ----------
    horizon : str
        Its name.
    markets : sequence of (Landmarks, int)
        Windows of each market, and the spacing of its path.
    distance_sigma : ndarray of float64
        Distances in σ_h.
    target : float
        The rate whose place is looked for.
    """
    weight = np.array([len(marks) for marks, _ in markets], np.float64)
    real = np.array([real_levels(marks, distance_sigma) for marks, _ in markets])
    walk = np.array([brownian_levels(marks, distance_sigma, s) for marks, s in markets])
    real_level, real_pair = np.average(real, axis=0, weights=weight)
    walk_level, walk_pair = np.average(walk, axis=0, weights=weight)
    move = np.concatenate([marks.move / marks.sigma_h for marks, _ in markets])
    return PlainLevels(
        horizon=horizon,
        n_windows=int(weight.sum()),
        distance_sigma=tuple(distance_sigma.tolist()),
        brownian_level=tuple(walk_level.tolist()),
        brownian_pair=tuple(walk_pair.tolist()),
        real_level=tuple(real_level.tolist()),
        real_pair=tuple(real_pair.tolist()),
        sigma_h=float(np.median(np.concatenate([marks.sigma_h for marks, _ in markets]))),
        rms_move=float(np.sqrt(np.mean(move**2))),
        median_move=float(np.median(np.abs(move))),
        reach_level=reach(distance_sigma, real_level, target),
        reach_pair=reach(distance_sigma, real_pair, target),
        brownian_reach_level=reach(distance_sigma, walk_level, target),
        brownian_reach_pair=reach(distance_sigma, walk_pair, target),
    )
