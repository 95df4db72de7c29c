"""The forecasts of one market as flat, checked arrays, and which clusters may begin an episode.

All in log price about the mark at issue, so that a change of sign changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.kernels.passages import link_episodes
from liqbt.forecasts import cluster_counts, column, joined_clusters
from liqbt.types import DAY_NS, Clusters, FloatArray, Forecast, IntArray, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClusters:
    """The forecasts of one market as flat arrays.

    Attributes
    ----------
    at, mark_ts : ndarray of int64, shape (n_forecasts,)
        Times of issue and of the marks, ns.
    log_mark, sigma_1d : ndarray of float64, shape (n_forecasts,)
        Log of the mark, and its volatility.
    offsets : ndarray of int64, shape (n_forecasts + 1,)
        Rows `offsets[i]:offsets[i + 1]` are the clusters of forecast `i`.
    owner : ndarray of int64, shape (n_rows,)
        The forecast of each row.
    clusters : ndarray of CLUSTER_DTYPE, shape (n_rows,)
        The clusters, as issued.
    levels : ndarray of float64, shape (n_rows, 4)
        Log prices of near edge, peak, far edge and the mirror's near edge.
    distance : ndarray of float64, shape (n_rows,)
        Log distance of the near edge beyond the mark; 0 or less where the cluster is inside.
    """

    at: IntArray
    mark_ts: IntArray
    log_mark: FloatArray
    sigma_1d: FloatArray
    offsets: IntArray
    owner: IntArray
    clusters: Clusters
    levels: FloatArray
    distance: FloatArray

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Where the near edge is not strictly beyond the mark."""
        return np.asarray(self.distance <= 0.0)

    def distance_sigma(self, horizon_ns: Ns) -> FloatArray:
        """Return d/σ_h of every row."""
        sigma = self.sigma_1d[self.owner] * np.sqrt(horizon_ns / DAY_NS)
        return np.asarray(self.distance / sigma)


def flatten(symbol: str, forecasts: Sequence[Forecast]) -> MarketClusters:
    """Flatten and check the forecasts of one market.

    Parameters
    ----------
    symbol : str
        The market's name, for messages.
    forecasts : sequence of Forecast
        In order of issue.

    Raises
    ------
    DataError
        Names the first forecast or cluster that cannot be right.
    """
    at, mark_ts, mark, sigma = (
        column(forecasts, name) for name in ("at", "mark_ts", "mark", "sigma_1d")
    )
    _check_forecasts(symbol, at, mark_ts, mark, sigma)
    offsets = np.concatenate([[0], np.cumsum(cluster_counts(forecasts))])
    owner = np.repeat(np.arange(len(at)), np.diff(offsets))
    clusters = joined_clusters(forecasts)
    _check_clusters(symbol, clusters, owner)
    low, high, peak = (np.log(clusters[name]) for name in ("low", "high", "peak"))
    short = clusters["side"] < 0
    near, far = np.where(short, low, high), np.where(short, high, low)
    centre = np.log(mark)[owner]
    return MarketClusters(
        at=at,
        mark_ts=mark_ts,
        log_mark=np.log(mark),
        sigma_1d=sigma,
        offsets=offsets,
        owner=owner,
        clusters=clusters,
        levels=np.column_stack([near, peak, far, 2.0 * centre - near]),
        distance=np.where(short, near - centre, centre - near),
    )


def _check_forecasts(
    symbol: str, at: IntArray, mark_ts: IntArray, mark: FloatArray, sigma: FloatArray
) -> None:
    if not len(at):
        raise DataError(f"{symbol}: no forecast to evaluate; is the warm-up longer than the data?")
    late = np.flatnonzero(np.diff(at) <= 0)
    if len(late):
        raise DataError(f"{symbol}: forecast {late[0] + 1} is not issued after the one before it")
    bad = np.flatnonzero(~((mark > 0) & np.isfinite(mark) & (sigma > 0) & np.isfinite(sigma)))
    if len(bad):
        i = bad[0]
        raise DataError(
            f"{symbol}: forecast {i} has mark {mark[i]:g} and sigma_1d {sigma[i]:g}; "
            "both must be positive and finite"
        )
    ahead = np.flatnonzero(mark_ts > at)
    if len(ahead):
        raise DataError(f"{symbol}: forecast {ahead[0]} uses a mark of after its issue")


def _check_clusters(symbol: str, clusters: Clusters, owner: IntArray) -> None:
    low, high, peak = clusters["low"], clusters["high"], clusters["peak"]
    good = (low > 0) & (low < high) & np.isfinite(high) & (peak >= low) & (peak <= high)
    bad = np.flatnonzero(~(good & (np.abs(clusters["side"]) == 1)))
    if len(bad):
        row = clusters[bad[0]]
        raise DataError(
            f"{symbol}: forecast {owner[bad[0]]} has a cluster of side {row['side']} on "
            f"[{row['low']:g}, {row['high']:g}) with peak {row['peak']:g}; expected side ±1, "
            "0 < low < high and the peak between them"
        )
    order = np.lexsort((low, clusters["side"], owner))
    same = np.diff(owner[order]) == 0
    same &= np.diff(clusters["side"][order].astype(np.int64)) == 0
    meet = np.flatnonzero(same & (low[order][1:] < high[order][:-1] * (1.0 - 1e-12)))
    if len(meet):
        raise DataError(
            f"{symbol}: forecast {owner[order][meet[0]]} has clusters of one side that overlap"
        )


def eligible(
    flat: MarketClusters, config: EvaluationConfig, *, horizon_ns: Ns
) -> npt.NDArray[np.bool_]:
    """Return which clusters count: near edge beyond the mark, at a distance that is asked about.

    Parameters
    ----------
    flat : MarketClusters
        Forecasts as flat arrays.
    config : EvaluationConfig
        Its floor and ceiling, in σ_h, both closed.
    horizon_ns : int
        The horizon that σ_h is of.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    ratio = flat.distance_sigma(horizon_ns)
    return np.asarray(~flat.inside & (ratio >= config.floor) & (ratio <= config.ceiling))


def episodes(
    flat: MarketClusters,
    may_begin: npt.NDArray[np.bool_],
    config: EvaluationConfig,
    *,
    horizon_ns: Ns,
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the episode of each cluster, and where one is born: see `link_episodes`.

    Parameters
    ----------
    flat : MarketClusters
        Forecasts as flat arrays.
    may_begin : ndarray of bool, shape (n_rows,)
        Which clusters may begin an episode.
    config : EvaluationConfig
        From which overlap on two clusters are one.
    horizon_ns : int
        Life of an episode.

    Returns
    -------
    episode : ndarray of int64, shape (n_rows,)
        Number of the episode, in order of birth; −1 for none.
    birth : ndarray of bool, shape (n_rows,)
        Where the episode was born.
    """
    low, high = np.log(flat.clusters["low"]), np.log(flat.clusters["high"])
    side = flat.clusters["side"]
    episode, birth = link_episodes(
        flat.at, flat.offsets, side, low, high, may_begin, horizon_ns, config.iou
    )
    return episode, birth


def densest(flat: MarketClusters, compete: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where a cluster has the highest density of those of its forecast that compete.

    Density is estimated notional over width in log price; both sides together, ties to the first.

    Parameters
    ----------
    flat : MarketClusters
        Forecasts as flat arrays.
    compete : ndarray of bool, shape (n_rows,)
        Which clusters do.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        One of each forecast that has a cluster which competes.
    """
    clusters = flat.clusters
    rows = np.flatnonzero(compete)
    density = (clusters["notional_usd"] / np.log(clusters["high"] / clusters["low"]))[rows]
    order = rows[np.lexsort((rows, -density, flat.owner[rows]))]
    first = np.diff(flat.owner[order], prepend=-1) > 0
    mask = np.zeros(len(clusters), bool)
    mask[order[first]] = True
    return mask
