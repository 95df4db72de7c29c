"""Bursts of forced flow, the moves they are held against, and the next cluster ahead of them.

A row is a moment with its price. A **burst** is one at which positions were forced: the instant and
price of single liquidations of one side, or the end of an hour, of whatever is summed by the hour.
The others are **reference** rows, at which nothing was: with the moves up to them they say what
follows a move of that size and sign that nothing forced.

The state of a row is that of event time: rows explain what follows, they forecast nothing. The
response begins at the instant itself, because what is pushed is pushed within minutes; to wait for
the feed to say so would be to miss it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.kernels.bursts import earliness, nearest_ahead
from liqbt.evaluation.nulls.levels import Anchors
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.forecasts import cluster_counts, column, joined_clusters
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, FloatArray, Forecast, IntArray, Ns

PAST_NS: Final[tuple[Ns, ...]] = (
    15 * MINUTE_NS,
    HOUR_NS,
    4 * HOUR_NS,
    12 * HOUR_NS,
    DAY_NS,
    3 * DAY_NS,
)
"""How far back the moves up to a row reach."""
WINDOW_NS: Final[Ns] = HOUR_NS
"""How long what follows is watched."""
REFERENCE_NS: Final[Ns] = 15 * MINUTE_NS
"""Reference rows lie this far apart, or as far as the prices do."""
COARSEST_NS: Final[Ns] = 15 * MINUTE_NS
"""Prices farther apart cannot tell what follows an instant."""
NEAREST, FARTHEST = 0.25, 2.5
"""Between these distances, in σ of the window, the next cluster lies."""

_STALE_NS: Final[Ns] = 6 * HOUR_NS
_SPACING: Final = 0.5826
"""−ζ(½)/√(2π)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Bursts and reference rows of one market, bursts first.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        When, ns.
    log_price : ndarray of float64, shape (n,)
        Where.
    forced : ndarray of float64, shape (n,)
        What was forced, % of the open interest known before, positive where shorts were bought
        back; 0 in a reference row.
    sigma : ndarray of float64, shape (n,)
        Volatility over the window, as it was known before.
    past : ndarray of float64, shape (n, 1 + len(PAST_NS))
        Log moves up to the row: since the price before, and over `PAST_NS`.
    response : ndarray of float64, shape (n,)
        Log move over the window that follows.
    n_bursts : int
        The first so many rows are bursts.
    """

    at: IntArray
    log_price: FloatArray
    forced: FloatArray
    sigma: FloatArray
    past: FloatArray
    response: FloatArray
    n_bursts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLevels:
    """The next cluster ahead of rows of `Bursts`, and the level as far on the other side.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Row of `Bursts`; a reference row stands here once for each direction.
    outward : ndarray of float64, shape (n,)
        Direction: that of the flow, +1 up.
    distance_sigma : ndarray of float64, shape (n,)
        Distance in σ of the window.
    sooner : ndarray of float64, shape (n,)
        Share of the window that was left when the cluster's near edge was touched (0: it was not),
        less that of the mirror image: the restricted mean time by which the one comes first
        (Royston and Parmar 2013, Restricted mean survival time, equation 1).
    response : ndarray of float64, shape (n,)
        What a drift of one σ over the window would add to `sooner` (`sooner_by_drift`).
    """

    row: IntArray
    outward: FloatArray
    distance_sigma: FloatArray
    sooner: FloatArray
    response: FloatArray


def instant_bursts(market: MarketInput) -> Bursts | None:
    """Return a market's single liquidations as bursts; None where none can be watched.

    There is none where liquidations are not fed singly, or where prices are more than
    `COARSEST_NS` apart.
    """
    path, forced = market.path, market.forced
    if forced is None or forced.orders is None or not market.forecasts or not len(path):
        return None
    if max(path.spacing_ns, path.bar_ns) > COARSEST_NS:
        return None
    orders = forced.orders
    every = max(REFERENCE_NS // max(path.spacing_ns, path.bar_ns, 1), 1)
    ends, prices = path.end_ns[::every], np.log(path.close[::every])
    quiet = _quiet(orders.ts_ns, ends)
    at = np.concatenate([orders.ts_ns, ends[quiet]])
    log_price = np.concatenate([np.log(orders.price), prices[quiet]])
    usd = np.concatenate([-orders.side * orders.usd, np.zeros(int(quiet.sum()))])
    return _kept(market, at, log_price, usd)


def hour_bursts(market: MarketInput) -> Bursts | None:
    """Return a market's hours as bursts, with what was forced in each; None where none is known.

    An hour in which as much was forced on one side as on the other, or nothing, is a reference row.
    """
    path, forced = market.path, market.forced
    if forced is None or not market.forecasts or not len(path):
        return None
    ends = forced.first_hour_ns + (np.arange(forced.usd.shape[1]) + 1) * HOUR_NS
    log_price = _last(path, np.log(path.close), ends, inclusive=True)
    return _kept(market, ends, log_price, forced.usd[1] - forced.usd[0])


def _quiet(forced_ns: IntArray, ends: IntArray) -> npt.NDArray[np.bool_]:
    """Tell in which moments nothing had been forced since the reference row before."""
    since = np.searchsorted(forced_ns, ends - REFERENCE_NS, "right")
    return np.asarray(np.searchsorted(forced_ns, ends, "right") == since)


def _kept(market: MarketInput, at: IntArray, log_price: FloatArray, usd: FloatArray) -> Bursts:
    """Return the rows whose state was known, and whose window was watched, bursts first."""
    path = market.path
    anchors = market.anchors or anchors_of(market.forecasts)
    sigma_1d, open_interest = _known_before(anchors, at)
    sigma = sigma_1d * np.sqrt(WINDOW_NS / DAY_NS)
    logs = np.log(path.close)
    before = [_last(path, logs, at, inclusive=False)]
    before += [_last(path, logs, at - back, inclusive=True) for back in PAST_NS]
    past = log_price[:, None] - np.column_stack(before)
    response = _last(path, logs, at + WINDOW_NS, inclusive=True) - log_price
    forced = 100.0 * usd / open_interest
    known = np.isfinite(np.column_stack([past, response, forced, sigma])).all(axis=1)
    known &= (sigma > 0.0) & (watch(path, at, at + WINDOW_NS).censor == Censor.NONE)
    known &= (at >= market.forecasts[0].at) & (at <= market.forecasts[-1].at + _STALE_NS)
    kept = np.flatnonzero(known)
    kept = kept[np.argsort(forced[kept] == 0.0, kind="stable")]
    return Bursts(
        at=at[kept],
        log_price=log_price[kept],
        forced=forced[kept],
        sigma=sigma[kept],
        past=past[kept],
        response=response[kept],
        n_bursts=int(np.count_nonzero(forced[kept])),
    )


def _known_before(anchors: Anchors, at: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return volatility of a day and open interest of the last issue before; NaN if it is old."""
    place = np.searchsorted(anchors.at, at, "left") - 1
    found = np.maximum(place, 0)
    fresh = (place >= 0) & (at - anchors.at[found] <= _STALE_NS)
    sigma = np.where(fresh, anchors.sigma_1d[found], np.nan)
    return sigma, np.where(fresh, anchors.open_interest_usd[found], np.nan)


def _last(path: PricePath, values: FloatArray, at: IntArray, *, inclusive: bool) -> FloatArray:
    """Return the value at or before each time; NaN where it is a gap old."""
    place = np.searchsorted(path.end_ns, at, "right" if inclusive else "left") - 1
    found = np.maximum(place, 0)
    fresh = (place >= 0) & (at - path.end_ns[found] <= path.max_gap_ns)
    return np.where(fresh, values[found], np.nan)


def next_levels(market: MarketInput, bursts: Bursts) -> NextLevels:
    """Return the next cluster of the standing map ahead of each row, and when it is reached.

    The map that stands is the last that was issued before the row. A burst looks the way its flow
    pushes, a reference row both ways.

    Parameters
    ----------
    market : MarketInput
        Forecasts and prices.
    bursts : Bursts
        Its rows.
    """
    n = len(bursts.at)
    quiet = np.arange(bursts.n_bursts, n)
    row = np.concatenate([np.arange(n), quiet])
    outward = np.concatenate(
        [np.sign(bursts.forced[: bursts.n_bursts]), np.ones(len(quiet)), -np.ones(len(quiet))]
    )
    at, price, sigma = bursts.at[row], bursts.log_price[row], bursts.sigma[row]
    distance = nearest_ahead(
        _standing(market.forecasts, at),
        outward,
        price,
        NEAREST * sigma,
        FARTHEST * sigma,
        *near_edges(market.forecasts),
    )
    kept = np.flatnonzero(np.isfinite(distance))
    row, outward, distance, at = row[kept], outward[kept], distance[kept], at[kept]
    price = price[kept]
    path = market.path
    windows = watch(path, at, at + WINDOW_NS)
    seen = (np.log(path.high), np.log(path.low), path.end_ns, windows.first, windows.stop)
    ahead, mirror = (
        earliness(*seen, at + WINDOW_NS, price + way * distance, way, WINDOW_NS)
        for way in (outward, -outward)
    )
    ratio = distance / sigma[kept]
    spacing = _SPACING * np.sqrt(path.spacing_ns / WINDOW_NS)
    return NextLevels(
        row=row,
        outward=outward,
        distance_sigma=ratio,
        sooner=ahead - mirror,
        response=sooner_by_drift(ratio + spacing),
    )


def _standing(forecasts: Sequence[Forecast], at: IntArray) -> IntArray:
    """Return the index of the last forecast before each time; −1 where it is old, or none is."""
    issued = column(forecasts, "at")
    place = np.searchsorted(issued, at, "left") - 1
    stale = at - issued[np.maximum(place, 0)] > _STALE_NS
    return np.where(stale, -1, place).astype(np.int64)


def near_edges(forecasts: Sequence[Forecast]) -> tuple[IntArray, IntArray, FloatArray]:
    """Return where each forecast's clusters begin, their sides, and log near edges."""
    starts = np.concatenate([[0], np.cumsum(cluster_counts(forecasts))])
    clusters = joined_clusters(forecasts)
    near = np.where(clusters["side"] > 0, clusters["high"], clusters["low"])
    return starts, clusters["side"].astype(np.int64), np.log(near)


def sooner_by_drift(distance: FloatArray) -> FloatArray:
    """Return what a drift adds to the time by which a level comes before its mirror image.

    A small drift of μ σ over the window adds 4 d_u Φ(−d_u) √u μ to the difference of the
    probabilities that two levels at distance d are touched by the share u of it, d_u = d/√u (see
    `drift_response` of `bins`); its integral over u is
    4 d [(1 + d²) Φ(−d) − d φ(d)].

    Parameters
    ----------
    distance : ndarray of float64, shape (n,)
        In σ of the window.

    Returns
    -------
    ndarray of float64, shape (n,)
        Share of the window for each σ of drift over it.

    Examples
    --------
    >>> sooner_by_drift(np.array([0.0, 0.5, 2.5])).round(3).tolist()
    [0.0, 0.419, 0.012]
    """
    density = np.exp(-0.5 * distance**2) / np.sqrt(2.0 * np.pi)
    touched = (1.0 + distance**2) * ndtr(-distance) - distance * density
    return np.asarray(4.0 * distance * touched)
