"""What can be said of one feed: how complete, how late, how odd."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.quality.rows import FeedRows
from liqbt.types import SECOND_NS, FloatArray, IntArray, Kind, Ns

LATE: Final = 1.5
"""A spacing above this many cadences is a gap."""
REGULAR: Final = 0.8
"""A feed has a cadence where so many of its spacings lie within half of the median from it."""
ODD_Z: Final = 12.0
"""A change further than this from the median, in robust standard deviations, is listed."""
LISTED: Final = 10
PAGE: Final = 1000
BINS: Final = 240
_EVENTFUL: Final = (Kind.TRADE, Kind.LIQUIDATION, Kind.POSITION)
_QUANTILES: Final = (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch without events: its edges (ns) and the slots of the cadence that it lacks."""

    start_ns: Ns
    end_ns: Ns
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A value unlike the others: when, what, and how many robust standard deviations away."""

    at_ns: Ns
    what: str
    z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedQuality:
    """One feed: one instrument's events of one kind and span.

    Attributes
    ----------
    kind, venue, symbol : str
        What it is and whose.
    span_s : int
        Length of its buckets, 0 for instants.
    rows, events : int
        Rows in the log, and different events among them.
    first_ns, last_ns : int
        Of `ts_event`.
    cadence_s : float
        Usual spacing; NaN where the feed has none (trades, liquidations, changes only).
    present, missing : int
        Slots of the cadence with and without an event; 0 and 0 without a cadence.
    gaps : tuple of Gap
        The longest first, at most `LISTED`; without a cadence, the longest silences.
    n_gaps : int
        How many there are; 0 without a cadence.
    ids_repeated, rows_repeated, twins, revised, late_order : int
        As in `FeedRows`.
    latency_s : tuple of float
        `ts_known − ts_event`: least, 5 %, median, 95 %, 99 %, most.
    latency_is : str
        `modelled`, `observed` or `both`.
    odd : tuple of Odd
        The oddest first, at most `LISTED`.
    n_odd : int
        How many there are.
    longest_same_s : float
        The longest time for which a feed with a cadence repeated one value; NaN elsewhere.
    capped : tuple of str
        Sides (`long`, `short`) of which there is an exact multiple of 1,000 liquidations: whoever
        asked for them most likely met a limit, and some are missing.
    presence : tuple of float
        Share of slots present in equal parts of the log's whole time, 0 where the feed is outside;
        without a cadence 1 where there is any event.
    """

    kind: str
    venue: str
    symbol: str
    span_s: int
    rows: int
    events: int
    first_ns: Ns
    last_ns: Ns
    cadence_s: float
    present: int
    missing: int
    gaps: tuple[Gap, ...]
    n_gaps: int
    ids_repeated: int
    rows_repeated: int
    twins: int
    revised: int
    late_order: int
    latency_s: tuple[float, ...]
    latency_is: str
    odd: tuple[Odd, ...]
    n_odd: int
    longest_same_s: float
    capped: tuple[str, ...]
    presence: tuple[float, ...]

    @property
    def complete(self) -> float:
        """Share of slots present; NaN without a cadence."""
        slots = self.present + self.missing
        return self.present / slots if slots else math.nan


def measure_feed(feed: FeedRows, latency_is: str, start_ns: Ns, end_ns: Ns) -> FeedQuality:
    """Measure one feed.

    Parameters
    ----------
    feed : FeedRows
        Its events.
    latency_is : str
        How its latency is known.
    start_ns, end_ns : int
        The whole log's time, for `presence`.
    """
    at = np.unique(feed.ts_event)
    cadence = _cadence(feed, at)
    gaps, missing = _gaps(at, cadence)
    lag = (feed.ts_known - feed.ts_event) / SECOND_NS
    odd = _odd(feed, cadence)
    return FeedQuality(
        kind=feed.kind.name.lower(),
        venue=feed.instrument.venue,
        symbol=feed.instrument.symbol,
        span_s=feed.span_s,
        rows=feed.rows,
        events=len(feed.ts_event),
        first_ns=int(at[0]),
        last_ns=int(at[-1]),
        cadence_s=cadence / SECOND_NS,
        present=len(at) if math.isfinite(cadence) else 0,
        missing=missing,
        gaps=tuple(gaps[:LISTED]),
        n_gaps=len(gaps) if math.isfinite(cadence) else 0,
        ids_repeated=feed.ids_repeated,
        rows_repeated=feed.rows_repeated,
        twins=feed.twins,
        revised=feed.revised,
        late_order=feed.late_order,
        latency_s=tuple(float(q) for q in np.quantile(lag, _QUANTILES)),
        latency_is=latency_is,
        odd=tuple(odd[:LISTED]),
        n_odd=len(odd),
        longest_same_s=_longest_same(feed, cadence) / SECOND_NS,
        capped=_capped(feed),
        presence=_presence(at, cadence, start_ns, end_ns),
    )


def price_of(payload: Mapping[str, FloatArray]) -> FloatArray | None:
    """Return the price that a kind's payload carries, or None."""
    for name in ("close", "price"):
        if name in payload:
            return payload[name]
    return None


def _capped(feed: FeedRows) -> tuple[str, ...]:
    if feed.kind != Kind.LIQUIDATION:
        return ()
    sides = (("long", feed.longs), ("short", feed.shorts))
    return tuple(side for side, n in sides if n and n % PAGE == 0)


def _cadence(feed: FeedRows, at: IntArray) -> float:
    """Return the usual spacing in ns: a bucket's own length, else the median where it is usual."""
    if feed.kind in _EVENTFUL or len(at) < 3:
        return math.nan
    if feed.span_s > 0:
        return float(feed.span_s) * SECOND_NS
    spacing = np.diff(at)
    median = float(np.median(spacing))
    usual = np.abs(spacing - median) <= 0.5 * median
    return median if usual.mean() >= REGULAR else math.nan


def _gaps(at: IntArray, cadence: float) -> tuple[list[Gap], int]:
    """Return gaps, the longest first, and all missing slots; without a cadence the silences."""
    spacing = np.diff(at)
    if not math.isfinite(cadence):
        longest = np.argsort(-spacing, kind="stable")[:LISTED]
        return [Gap(start_ns=int(at[i]), end_ns=int(at[i + 1]), missing=0) for i in longest], 0
    missing = np.maximum(np.round(spacing / cadence).astype(np.int64) - 1, 0)
    late = np.flatnonzero(spacing > LATE * cadence)
    late = late[np.argsort(-spacing[late], kind="stable")]
    gaps = [Gap(start_ns=int(at[i]), end_ns=int(at[i + 1]), missing=int(missing[i])) for i in late]
    return gaps, int(missing[late].sum())


def _odd(feed: FeedRows, cadence: float) -> list[Odd]:
    """Return changes unlike the others, and open interest of nothing; the oddest first."""
    found: list[Odd] = []
    price = price_of(feed.payload)
    if price is not None and feed.kind != Kind.LIQUIDATION:
        found += _jumps(feed.ts_event, price, cadence, "price")
    coins = feed.payload.get("open_interest_coins")
    if coins is not None:
        zero = np.flatnonzero(coins <= 0.0)
        found += [Odd(at_ns=int(feed.ts_event[i]), what="is 0", z=math.inf) for i in zero]
        above = coins > 0.0
        found += _jumps(feed.ts_event[above], coins[above], cadence, "open interest")
    rate = feed.payload.get("rate")
    if rate is not None:
        for i, z in _far(rate):
            found.append(Odd(at_ns=int(feed.ts_event[i]), what=f"rate {rate[i]:+.4%}", z=z))
    return sorted(found, key=lambda o: (-abs(o.z), o.at_ns))


def _jumps(at: IntArray, level: FloatArray, cadence: float, what: str) -> list[Odd]:
    """Return odd changes from one event to the next; none across a gap."""
    if len(level) < 3:
        return []
    step = np.diff(np.log(level))
    if math.isfinite(cadence):
        step = np.where(np.diff(at) > LATE * cadence, 0.0, step)
    return [
        Odd(at_ns=int(at[i + 1]), what=f"{what} {math.expm1(step[i]):+.2%}", z=z)
        for i, z in _far(step)
    ]


def _far(values: FloatArray) -> list[tuple[int, float]]:
    """Return places and robust z of values far from the median.

    Zeros, and values that are the median itself (a rate at its clamp), do not set the scale.
    """
    moving = values[values != 0.0]
    if len(moving) < 30:
        return []
    middle = float(np.median(moving))
    away = np.abs(moving - middle)
    away = away[away > 1e-9 * abs(middle)]
    if len(away) < 30:
        return []
    scale = 1.4826 * float(np.median(away))
    z = np.where(values == 0.0, 0.0, (values - middle) / scale)
    return [(i, float(z[i])) for i in np.flatnonzero(np.abs(z) > ODD_Z).tolist()]


def _longest_same(feed: FeedRows, cadence: float) -> float:
    """Return the longest time, ns, over which every field stayed the same."""
    if not math.isfinite(cadence) or feed.kind == Kind.FUNDING or len(feed.ts_event) < 2:
        return math.nan
    fields = [v for v in feed.payload.values() if not np.isnan(v).all()]
    if feed.kind == Kind.LIQUIDATION_TOTAL:
        return math.nan  # nothing liquidated is no frozen feed
    same = np.all([v[1:] == v[:-1] for v in fields], axis=0)
    place = np.arange(len(same) + 1)
    start = np.maximum.accumulate(np.where(np.concatenate(([True], ~same)), place, 0))
    return float((feed.ts_event - feed.ts_event[start]).max())


def _presence(at: IntArray, cadence: float, start_ns: Ns, end_ns: Ns) -> tuple[float, ...]:
    """Return the share of slots present in equal parts of `[start_ns, end_ns]`."""
    edges = np.linspace(start_ns, end_ns + 1, BINS + 1)
    count = np.histogram(at, edges)[0].astype(np.float64)
    if not math.isfinite(cadence):
        return tuple((count > 0).astype(float).tolist())
    low = np.maximum(edges[:-1], at[0] - cadence / 2)
    high = np.minimum(edges[1:], at[-1] + cadence / 2)
    expected = np.maximum(high - low, 0.0) / cadence
    whole = np.maximum(np.floor(expected), 1.0)  # a slot may lie just across an edge
    share = np.where(expected >= 0.5, np.minimum(count / whole, 1.0), count > 0)
    return tuple(float(f"{x:.3f}") for x in share)
