"""Cascades: bursts of forced notional with a signed move, defined without any forecast.

A cascade is an hour whose one-sided forced notional exceeds its trailing 30-day 99th percentile and
whose move in that direction is 2 σ of an hour or more; bursts less than 24 hours apart are one
(decision 0004). Where a feed has no liquidations the fall of open interest stands in for forced
notional, and is named so: it has no side of its own, so that the move gives it.

**Large moves** are hours with a move of 2 σ or more, whatever was forced in them. A cascade leans
to the crowded side by definition (decision 0017), a large move does not.

Everything that decides an hour was known at its end, later than that by the path's `max_delay_ns`
at most: what came later is left out. A feed of liquidations that has been silent for three days is
taken to have stopped; a shorter gap cannot be told from hours in which nothing was forced.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, Events, FloatArray, IntArray, Kind, Ns, Side

FORCED: Final = (Kind.LIQUIDATION_TOTAL, Kind.LIQUIDATION)
"""Kinds that say what was forced: totals before single liquidations, which are summed."""
_SHARE: Final = 0.99
_TRAILING_HOURS: Final = 30 * 24
_LEAST_HOURS: Final = _TRAILING_HOURS // 2
_SILENT_HOURS: Final = 3 * 24
_SIGMA_HOURS: Final = 3 * 24
_LEAST_SIGMA: Final = _SIGMA_HOURS // 2
_SIGMAS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascades:
    """The hours of one market, in order and without a hole.

    Attributes
    ----------
    first_hour_ns : int
        Start of the first hour; hour i is `[first + i h, first + (i + 1) h)`.
    cascade, large_move : ndarray of int8, shape (n,)
        +1 where one begins upward, −1 downward, 0 where none begins.
    decided : ndarray of bool, shape (n,)
        Whether price, σ and threshold of the hour are known; not: neither begins, and a window that
        holds the hour has no outcome.
    source : str
        `liquidations`, or `open interest` where its fall stands in.
    """

    first_hour_ns: Ns
    cascade: npt.NDArray[np.int8]
    large_move: npt.NDArray[np.int8]
    decided: npt.NDArray[np.bool_]
    source: str


def market_cascades(events: Events, path: PricePath, kinds: Collection[Kind]) -> Cascades:
    """Return the cascades and large moves of one market.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Events of the market.
    path : PricePath
        Its prices; the close is taken.
    kinds : collection of Kind
        Those that the market is fed with: they, and not what happens to be among the events, choose
        the source. Totals count where there are any, else single liquidations, else open interest.

    Returns
    -------
    Cascades
    """
    first = int(path.end_ns[0]) // HOUR_NS
    edges = np.arange(first, int(path.end_ns[-1]) // HOUR_NS + 1) * HOUR_NS
    price = _last_known(path.end_ns, np.log(path.close), edges, path.max_gap_ns)
    move = np.diff(price)
    sigma = _trailing_sigma(move)
    with np.errstate(invalid="ignore"):
        large = np.abs(move) >= _SIGMAS * sigma
    source = _source(kinds)
    in_time = (events["kind"] == source) & (
        events["ts_known"] - events["ts_event"] <= path.max_delay_ns
    )
    mine = events[in_time]
    if source == Kind.OPEN_INTEREST:
        fall = open_interest_falls(mine, edges)
        forced = np.stack([fall, fall])
    else:
        forced = hourly_forced(mine, edges)
    exceeds, known = trailing_exceeds(forced, large)
    side = np.sign(move, where=large, out=np.zeros(len(move)))
    burst = np.where(side < 0, exceeds[0], exceeds[1]) & large
    decided = np.isfinite(move) & np.isfinite(sigma) & known.all(axis=0)
    return Cascades(
        first_hour_ns=first * HOUR_NS,
        cascade=onsets(np.where(burst & decided, side, 0.0).astype(np.int8)),
        large_move=onsets(np.where(decided, side, 0.0).astype(np.int8)),
        decided=decided,
        source=cascade_source(kinds),
    )


def cascade_source(kinds: Collection[Kind]) -> str:
    """Return what decides what is forced: `liquidations`, or `open interest` that stands in.

    Examples
    --------
    >>> cascade_source({Kind.MARK, Kind.OPEN_INTEREST})
    'open interest'
    """
    return "open interest" if _source(kinds) == Kind.OPEN_INTEREST else "liquidations"


def _source(kinds: Collection[Kind]) -> Kind:
    return next((kind for kind in FORCED if kind in kinds), Kind.OPEN_INTEREST)


def hourly_forced(events: Events, edges: IntArray) -> FloatArray:
    """Return forced notional by hour.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Liquidations, or totals. A bucket that does not lie in one hour is left out.
    edges : ndarray of int64, shape (n + 1,)
        Of the hours, ns.

    Returns
    -------
    ndarray of float64, shape (2, n)
        USD of longs, of shorts; NaN before the hour of the first event, and in every hour that lies
        72 or more after the last that had one.
    """
    n = len(edges) - 1
    begin = events["ts_event"] - events["span_s"].astype(np.int64) * SECOND_NS
    last = np.maximum(events["ts_event"] - 1, begin)
    hour = (begin - edges[0]) // HOUR_NS
    use = (hour >= 0) & (hour < n) & (begin // HOUR_NS == last // HOUR_NS)
    rows, hour = events[use], hour[use]
    if not len(rows):
        return np.full((2, n), np.nan)
    total = rows["kind"] == Kind.LIQUIDATION_TOTAL
    single = rows["p0"] * rows["p1"]
    longs = np.where(total, rows["p0"], np.where(rows["side"] == Side.LONG, single, 0.0))
    shorts = np.where(total, rows["p1"], np.where(rows["side"] == Side.SHORT, single, 0.0))
    sums = [np.bincount(hour, usd, minlength=n) for usd in (longs, shorts)]
    forced = np.stack(sums).astype(np.float64)
    last_seen = np.full(n, -_SILENT_HOURS)
    last_seen[hour] = hour
    forced[:, np.arange(n) - np.maximum.accumulate(last_seen) >= _SILENT_HOURS] = np.nan
    return forced


def open_interest_falls(events: Events, edges: IntArray) -> FloatArray:
    """Return the fall of open interest by hour, in coins, summed over instruments.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Open interest.
    edges : ndarray of int64, shape (n + 1,)
        Of the hours, ns.

    Returns
    -------
    ndarray of float64, shape (n,)
        Negative for a rise; NaN where open interest was not seen in the hour before either edge.
    """
    level = np.full(len(edges), 0.0 if len(events) else np.nan)
    for instrument in np.unique(events["instrument"]):
        rows = events[events["instrument"] == instrument]
        rows = rows[np.argsort(rows["ts_event"], kind="stable")]
        level += _last_known(rows["ts_event"], rows["p0"], edges, HOUR_NS)
    return np.asarray(-np.diff(level))


def _last_known(at_ns: IntArray, values: FloatArray, edges: IntArray, max_age_ns: Ns) -> FloatArray:
    """Return the last value at or before each edge, NaN where it is `max_age_ns` old or older."""
    place = np.searchsorted(at_ns, edges, "right") - 1
    found = np.maximum(place, 0)
    fresh = (place >= 0) & (edges - at_ns[found] < max_age_ns)
    return np.where(fresh, values[found], np.nan)


def _trailing_sigma(move: FloatArray) -> FloatArray:
    """Return the root mean square move of the 72 hours before each; NaN below 36 known ones."""
    known = np.isfinite(move)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, move, 0.0) ** 2)])
    counts = np.concatenate([[0], np.cumsum(known)])
    stop = np.arange(len(move))
    start = np.maximum(stop - _SIGMA_HOURS, 0)
    count = counts[stop] - counts[start]
    mean = (sums[stop] - sums[start]) / np.maximum(count, 1)
    sigma = np.sqrt(np.maximum(mean, 0.0))
    return np.where((count >= _LEAST_SIGMA) & (sigma > 0.0), sigma, np.nan)


def trailing_exceeds(
    forced: FloatArray, asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which hours lie above the 99th percentile of the 720 hours before them.

    The percentile is the smallest of their values that 99 % of them do not exceed (the inverse of
    the empirical distribution), of the known ones; at least 360.

    Parameters
    ----------
    forced : ndarray of float64, shape (2, n)
        Of each side; NaN where unknown.
    asked : ndarray of bool, shape (n,)
        Which hours are asked about; the others are False.

    Returns
    -------
    exceeds, known : ndarray of bool, shape (2, n)
        `known`: the hour's own value is known, and enough of those before it.
    """
    seen = np.isfinite(forced)
    counts = np.concatenate([np.zeros((2, 1), np.int64), np.cumsum(seen, axis=1)], axis=1)
    stop = np.arange(forced.shape[1])
    start = np.maximum(stop - _TRAILING_HOURS, 0)
    enough = counts[:, stop] - counts[:, start] >= _LEAST_HOURS
    known = seen & enough
    exceeds = np.zeros(forced.shape, bool)
    for row in range(2):
        for i in np.flatnonzero(asked & known[row] & (np.nan_to_num(forced[row]) > 0.0)):
            window = forced[row, start[i] : i]
            window = window[seen[row, start[i] : i]]
            # above it: at least 99 % of the window lie below, and the percentile itself does
            below = int(np.count_nonzero(window < forced[row, i]))
            exceeds[row, i] = below >= math.ceil(_SHARE * len(window))
    return exceeds, known


def onsets(side: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return where bursts begin: those less than 24 hours after another are part of it.

    Examples
    --------
    >>> onsets(np.array([0, 1] + [0] * 22 + [-1] + [0] * 23 + [-1], np.int8)).nonzero()[0].tolist()
    [1, 48]
    """
    out = np.zeros(len(side), np.int8)
    hours = np.flatnonzero(side)
    fresh = np.diff(hours, prepend=-DAY_NS) * HOUR_NS >= DAY_NS
    out[hours[fresh]] = side[hours[fresh]]
    return out


def window_cascades(
    cascades: Cascades, begins: npt.NDArray[np.int8], open_ns: IntArray, close_ns: IntArray
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Return what begins first in each window `[open, close)`, of the hours that lie inside.

    Parameters
    ----------
    cascades : Cascades
        The hours.
    begins : ndarray of int8, shape (n,)
        Its `cascade` or `large_move`.
    open_ns, close_ns : ndarray of int64, shape (m,)
        The windows.

    Returns
    -------
    outcome : ndarray of int8, shape (m,)
        +1 up, −1 down, 0 none.
    known : ndarray of bool, shape (m,)
        Every hour inside is decided, and there is one.
    """
    n = len(begins)
    first = -((cascades.first_hour_ns - open_ns) // HOUR_NS)
    stop = (close_ns - cascades.first_hour_ns) // HOUR_NS
    inside = (first >= 0) & (stop <= n) & (first < stop)
    first, stop = np.clip(first, 0, n), np.clip(stop, 0, n)
    open_hours = np.concatenate([[0], np.cumsum(~cascades.decided)])
    known = inside & (open_hours[stop] == open_hours[first])
    hours = np.flatnonzero(begins)
    place = np.searchsorted(hours, first)
    when = np.append(hours, n)[place]
    happened = known & (when < stop)
    outcome = np.where(happened, np.append(begins, np.int8(0))[when], 0).astype(np.int8)
    return outcome, known
