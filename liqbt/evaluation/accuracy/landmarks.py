"""Landmarks of the 85 % audit: what the map said of a window, and what the price did in it.

Windows of one horizon never overlap, so that nothing is counted twice. Distances start at zero: a
cluster that already holds the price (its near edge is not strictly beyond the mark) lies at
distance 0, is a hit for everybody, and its null is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import MarketInput, horizon_name
from liqbt.evaluation.episodes import MarketClusters, flatten
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.kernels.passages import first_passages
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.forecasts import column
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

NEVER: Final = np.iinfo(np.int64).max
"""Where a level is not touched: later than everything."""
AT_ONCE: Final = -1
"""Where a cluster holds the price at issue: before everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """The watched windows of one market and horizon; column 0 is above the mark, column 1 below.

    Attributes
    ----------
    horizon_ns : int
        Length of a window.
    at : ndarray of int64, shape (n,)
        Times of issue, ns.
    log_mark, sigma_1d, sigma_h : ndarray of float64, shape (n,)
        Log of the mark; its volatility over a day and over the horizon, log units.
    first, stop : ndarray of int64, shape (n,)
        Entries `first:stop` of the path are watched.
    from_ns, until_ns : ndarray of int64, shape (n,)
        Start and end of what is watched, after the mark's own time.
    levels, distance : ndarray of float64, shape (n, 2)
        Log prices of the nearest clusters' near edges, and how far beyond the mark they lie (0 for
        a cluster that holds the price); NaN where a side has no cluster.
    call : ndarray of int64, shape (n,)
        The crowded side's call: 1 up (more shorts above), -1 down (more longs below), 0 none.
    move : ndarray of float64, shape (n,)
        Log return from the mark to the end of what is watched.
    extremes : ndarray of float64, shape (n, 2)
        How far above and below the mark the price went, log units; negative where it never got
        there.
    owner : ndarray of int64, shape (m,)
        The landmark of each of its clusters, all of them, both sides.
    cluster_distance : ndarray of float64, shape (m,)
        As `distance`, of each cluster.
    cluster_hit : ndarray of bool, shape (m,)
        Whether its near edge was touched.
    n_censored : int
        Landmarks whose windows were not watched through: counted, and in none of the arrays.
    """

    horizon_ns: Ns
    at: IntArray
    log_mark: FloatArray
    sigma_1d: FloatArray
    sigma_h: FloatArray
    first: IntArray
    stop: IntArray
    from_ns: IntArray
    until_ns: IntArray
    levels: FloatArray
    distance: FloatArray
    call: IntArray
    move: FloatArray
    extremes: FloatArray
    owner: IntArray
    cluster_distance: FloatArray
    cluster_hit: npt.NDArray[np.bool_]
    n_censored: int

    def __len__(self) -> int:
        """Return the number of watched windows."""
        return len(self.at)


def scored_span_ns(market: MarketInput) -> Ns:
    """Return how long the prices go on after the first forecast; 0 where there is none."""
    first = min(column(market.forecasts, "at").tolist(), default=None)
    return 0 if first is None else max(0, int(market.path.end_ns[-1]) - first)


def market_landmarks(market: MarketInput, *, horizon_ns: Ns, latency_ns: Ns) -> Landmarks:
    """Return the landmarks of one market at one horizon.

    Parameters
    ----------
    market : MarketInput
        Forecasts and prices.
    horizon_ns, latency_ns : int
        Windows are `[at + latency, at + horizon)`.

    Raises
    ------
    DataError
        If forecasts cannot be right, or the horizon is longer than the data.
    """
    return _landmarks(market, horizon_ns, latency_ns, landmark_rows)


def every_landmark(market: MarketInput, *, horizon_ns: Ns, latency_ns: Ns) -> Landmarks:
    """Return the landmarks of one market at every forecast: their windows overlap.

    Those that are issued at one time of the horizon do not (`phases`): which of these times is
    asked is no choice of anybody's where all of them are.

    Parameters
    ----------
    market, horizon_ns, latency_ns
        As in `market_landmarks`.

    Raises
    ------
    DataError
        As `market_landmarks`.
    """
    return _landmarks(market, horizon_ns, latency_ns, lambda at, _: np.arange(len(at)))


def phases(marks: Landmarks) -> list[IntArray]:
    """Return the landmarks that share a time of the horizon, such as the hour of the day."""
    _, phase = np.unique(marks.at % marks.horizon_ns, return_inverse=True)
    return [np.flatnonzero(phase == k) for k in range(int(phase.max(initial=-1)) + 1)]


def _landmarks(
    market: MarketInput,
    horizon_ns: Ns,
    latency_ns: Ns,
    chosen_of: Callable[[IntArray, Ns], IntArray],
) -> Landmarks:
    flat = flatten(market.symbol, market.forecasts)
    span_ns = scored_span_ns(market)
    if horizon_ns > span_ns:
        raise DataError(
            f"{market.symbol}: a horizon of {horizon_name(horizon_ns)} is longer than the data, "
            f"which end {span_ns / DAY_NS:.3g} days after the first scored forecast"
        )
    chosen = chosen_of(flat.at, horizon_ns)
    windows = watch(market.path, flat.at[chosen] + latency_ns, flat.at[chosen] + horizon_ns)
    watched = windows.censor == Censor.NONE
    rows = chosen[watched]
    first, stop = windows.first[watched], windows.stop[watched]
    lowest, highest = window_extremes(*log_path(market.path), first, stop)
    centre = flat.log_mark[rows]
    owner, index = _owned(flat, rows)
    levels, distance = _nearest(flat, index, owner, len(rows))
    beyond = flat.distance[index]
    near = flat.levels[index, 0]
    short = flat.clusters["side"][index] < 0
    touched = np.where(short, highest[owner] >= near, lowest[owner] <= near)
    sigma = flat.sigma_1d[rows]
    asymmetry = column(market.forecasts, "asymmetry")[rows]
    return Landmarks(
        horizon_ns=horizon_ns,
        at=flat.at[rows],
        log_mark=centre,
        sigma_1d=sigma,
        sigma_h=sigma * np.sqrt(horizon_ns / DAY_NS),
        first=first,
        stop=stop,
        from_ns=windows.exposed_start_ns[watched] - flat.mark_ts[rows],
        until_ns=windows.exposed_end_ns[watched] - flat.mark_ts[rows],
        levels=levels,
        distance=distance,
        call=-np.sign(np.nan_to_num(asymmetry)).astype(np.int64),
        move=np.log(market.path.close[np.maximum(stop - 1, 0)]) - centre,
        extremes=np.column_stack([highest - centre, centre - lowest]),
        owner=owner,
        cluster_distance=np.maximum(beyond, 0.0),
        cluster_hit=touched | (beyond <= 0.0),
        n_censored=int((~watched).sum()),
    )


def _owned(flat: MarketClusters, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return, of every cluster of the chosen forecasts, its landmark and its row."""
    counts = flat.offsets[rows + 1] - flat.offsets[rows]
    owner = np.repeat(np.arange(len(rows)), counts)
    before = np.cumsum(counts) - counts
    index = np.arange(int(counts.sum())) - before[owner] + flat.offsets[rows][owner]
    return owner.astype(np.int64), index.astype(np.int64)


def _nearest(
    flat: MarketClusters, index: IntArray, owner: IntArray, n: int
) -> tuple[FloatArray, FloatArray]:
    """Return log near edges and distances of the nearest cluster on each side, NaN for none."""
    side = np.where(flat.clusters["side"][index] < 0, 0, 1)
    distance = np.maximum(flat.distance[index], 0.0)
    place, least = 2 * owner + side, np.full(2 * n, np.inf)
    np.minimum.at(least, place, distance)
    leads = np.flatnonzero(distance == least[place])[::-1]  # of equals the first is written last
    levels, nearest = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    levels.ravel()[place[leads]] = flat.levels[index[leads], 0]
    nearest.ravel()[place[leads]] = distance[leads]
    return levels, nearest


LogPath: TypeAlias = tuple[FloatArray, FloatArray]
"""Log lows and log highs of a path."""


def log_path(path: PricePath) -> LogPath:
    """Return the log lows and highs of a path."""
    return np.log(path.low), np.log(path.high)


def touches(
    path: LogPath, marks: Landmarks, windows: IntArray, levels: FloatArray, distance: FloatArray
) -> IntArray:
    """Return when each window first touches each pair of levels.

    Parameters
    ----------
    path : (ndarray of float64, ndarray of float64)
        Log lows and highs of the market's prices (`log_path`).
    marks : Landmarks
        Of the same market.
    windows : ndarray of int64, shape (n,)
        Which windows.
    levels : ndarray of float64, shape (n, k, 2)
        Log prices of `k` pairs for each window, above and below its mark; NaN for none.
    distance : ndarray of float64
        Broadcasts to the shape of `levels`; 0 where a cluster holds the price at issue.

    Returns
    -------
    ndarray of int64, shape (n, k, 2)
        Entries of the path; `NEVER`, or -1 for a cluster that holds the price at issue.
    """
    n, k, _ = levels.shape
    found = first_passages(
        *path,
        marks.first[windows],
        marks.stop[windows],
        np.arange(0, n * k + 1, k),
        np.tile(np.array([1, -1], np.int64), (n * k, 1)),
        levels.reshape(n * k, 2),
    ).reshape(n, k, 2)
    found = np.where(found >= 0, found, NEVER)
    return np.asarray(np.where(np.broadcast_to(distance, levels.shape) == 0.0, AT_ONCE, found))
