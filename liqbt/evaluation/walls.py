"""Bands of depth in which, or just behind which, a cluster begins: with a wall, and without.

At every forecast the last depth that was known before it is read. A row is a band on the side of
the book that the price would have to go through to reach the cluster; whether it is passed is
whether the price goes to its far edge within the window, and the same is asked of the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.bursts import near_edges
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.kernels.walls import band_rows
from liqbt.evaluation.nulls.levels import trends
from liqbt.evaluation.path import Censor, watch
from liqbt.forecasts import joined_clusters
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

WINDOW_NS: Final[Ns] = 4 * HOUR_NS
"""How long is watched whether a band is passed."""
BEHIND: Final = 0.0025
"""So far behind a band, in log price, a cluster may begin that it stands before."""
NEAREST, FARTHEST = 0.25, 2.5
"""Between these distances, in σ of the window, a band's far edge lies."""

_STALE_NS: Final[Ns] = 2 * HOUR_NS
_TRENDS_NS: Final[tuple[Ns, ...]] = (12 * HOUR_NS, DAY_NS, 3 * DAY_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalledClusters:
    """Bands before clusters, of one market.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        Times of issue, ns.
    outward : ndarray of float64, shape (n,)
        +1 above the price, −1 below.
    distance_sigma : ndarray of float64, shape (n,)
        Of the band's far edge, in σ of the window.
    wall, mirror_wall : ndarray of float64, shape (n,)
        1 where the band holds a wall, and where the band as far on the other side does.
    rank : ndarray of float64, shape (n,)
        Largest density rank of the clusters behind it.
    passed : ndarray of float64, shape (n,)
        1 where the price goes to its far edge inside the window, less the same of the mirror image.
    trend : ndarray of float64, shape (n, 3)
        Trends of half a day, one and three days known at issue, in σ, positive outward.
    """

    at: IntArray
    outward: FloatArray
    distance_sigma: FloatArray
    wall: FloatArray
    mirror_wall: FloatArray
    rank: FloatArray
    passed: FloatArray
    trend: FloatArray


def walled_clusters(market: MarketInput, config: EvaluationConfig) -> WalledClusters | None:
    """Return the bands before clusters of one market; None where no depth is known.

    Parameters
    ----------
    market : MarketInput
        Forecasts, prices and depth. Depth that was known two hours or more before a forecast is
        too old to say what stands at it.
    config : EvaluationConfig
        Its latency: what happens before is not watched.
    """
    depth = market.depth
    if depth is None or not market.forecasts:
        return None
    anchors = anchors_of(market.forecasts)
    place = np.searchsorted(depth.known_ns, anchors.at, "left") - 1
    stale = anchors.at - depth.known_ns[np.maximum(place, 0)] >= _STALE_NS
    opened, closed = anchors.at + config.latency_ns, anchors.at + WINDOW_NS
    windows = watch(market.path, opened, closed)
    watched = windows.censor == Censor.NONE
    sigma = anchors.sigma_1d * np.sqrt(WINDOW_NS / DAY_NS)
    starts, side, near = near_edges(market.forecasts)
    row, outward, far, wall, mirrored, rank = band_rows(
        np.where(stale | ~watched, -1, place).astype(np.int64),
        anchors.log_mark,
        np.column_stack([NEAREST * sigma, FARTHEST * sigma]),
        depth.starts,
        depth.above,
        depth.low,
        depth.high,
        depth.wall,
        starts,
        side,
        near,
        joined_clusters(market.forecasts)["density_rank"],
        BEHIND,
    )
    lowest, highest = window_extremes(
        np.log(market.path.low), np.log(market.path.high), windows.first, windows.stop
    )
    up, down = highest - anchors.log_mark, anchors.log_mark - lowest
    ahead = np.where(outward > 0, up[row], down[row])
    behind = np.where(outward > 0, down[row], up[row])
    return WalledClusters(
        at=anchors.at[row],
        outward=outward,
        distance_sigma=far / sigma[row],
        wall=wall,
        mirror_wall=mirrored,
        rank=rank,
        passed=(ahead >= far).astype(np.float64) - (behind >= far),
        trend=trends(anchors, market.path, _TRENDS_NS)[row] * outward[:, None],
    )
