"""What every estimator knows of its market, folded from events: price, σ, open interest, evidence.

The state is in plain arrays (`Market`), changed in place by `fold_market` and by the rules that it
is made of. Kernels check nothing. Bins are counted from the grid's lowest: index `i` covers
`[edges[i], edges[i + 1])`, and the anchor is the lower edge of bin `half`.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy.typing as npt
from numba import njit

from liqbt.types import DAY_NS, HOUR_NS, Events, FloatArray, IntArray, Kind

HOT: Final[dict[str, bool]] = {"cache": True, "forceinline": True, "_nrt": False}
"""How a rule inside a loop is compiled: inlined, and without reference counts on the arrays of its
arguments. The caller holds those arrays; counting them for every event takes half of the fold's
time. Such a kernel allocates nothing and returns no array."""

BAR: Final = int(Kind.BAR)
MARK: Final = int(Kind.MARK)
TRADE: Final = int(Kind.TRADE)
OPEN_INTEREST: Final = int(Kind.OPEN_INTEREST)
LIQUIDATION: Final = int(Kind.LIQUIDATION)
LIQUIDATION_TOTAL: Final = int(Kind.LIQUIDATION_TOTAL)


class Market(NamedTuple):
    """The market's state and the constants that it is folded with.

    Attributes
    ----------
    rules : record array, shape (1,)
        Constants: `config.RULES_DTYPE`.
    head : record array, shape (1,)
        Scalars of the state: `state.HEAD_DTYPE`.
    slots : record array, shape (n_window_slots,)
        Ring of closed σ slots: index of the slot, time and ln(price / anchor) of its last price.
    evidence : record array, shape (24,)
        Ring of hours: liquidated USD by source and side.
    relative, edges, centres : ndarray of float64, shapes (2, n + 1), (n + 1,), (n,)
        Edge and centre prices of the grid's bins; `relative` holds them for an anchor of 1.
    """

    rules: npt.NDArray[Any]
    head: npt.NDArray[Any]
    slots: npt.NDArray[Any]
    evidence: npt.NDArray[Any]
    relative: FloatArray
    edges: FloatArray
    centres: FloatArray


@njit(cache=True)
def fill_grid(market: Market) -> None:
    """Set the prices of the grid's edges and centres from the anchor."""
    anchor = market.head[0].anchor
    for i in range(len(market.edges)):
        market.edges[i] = anchor * market.relative[0, i]
    for i in range(len(market.centres)):
        market.centres[i] = anchor * market.relative[1, i]


@njit(**HOT)
def locate(price: float, edges: FloatArray, near: int) -> int:
    """Return the bin that holds `price`, -1 below the grid, len(edges) - 1 above it.

    `near` is a guess: a few steps are walked from it before a binary search.
    """
    last = len(edges) - 1
    if price < edges[0]:
        return -1
    if price >= edges[last]:
        return last
    i = min(max(near, 0), last - 1)
    for _ in range(4):
        if price < edges[i]:
            i -= 1
        elif price >= edges[i + 1]:
            i += 1
        else:
            return i
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if price < edges[middle]:
            high = middle
        else:
            low = middle
    return low


@njit(**HOT)
def total_of(row: FloatArray) -> float:
    """Return the sum of a row, in four lanes and always in the same order."""
    lanes = len(row) // 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(lanes):
        a += row[4 * i]
        b += row[4 * i + 1]
        c += row[4 * i + 2]
        d += row[4 * i + 3]
    for i in range(4 * lanes, len(row)):
        a += row[i]
    return (a + b) + (c + d)


@njit(**HOT)
def spread(
    rows: FloatArray, row: int, low: float, high: float, weight: float, market: Market
) -> tuple[int, int]:
    """Add `weight` to a row evenly in log price over [low, high]; what leaves the grid is dropped.

    Returns the first and the last bin touched; the first is above the last where none was.
    """
    head, rules, n = market.head[0], market.rules[0], rows.shape[1]
    first = locate(low, market.edges, head.mark_bin)
    last = locate(high, market.edges, first)
    start, end = 0.0, 0.0
    if first != last:  # most moves stay in a bin, and two logarithms are half of a mark's time
        start = math.log(low / head.anchor) / rules.step + rules.half
        end = math.log(high / head.anchor) / rules.step + rules.half
    if not end > start:  # they may straddle an edge by the last bit alone
        if 0 <= last < n:
            rows[row, last] += weight
            return last, last
        return 0, -1
    each = weight / (end - start)
    if first >= 0:
        rows[row, first] += each * max(first + 1 - start, 0.0)
    if last < n:
        rows[row, last] += each * max(end - last, 0.0)
    for i in range(first + 1, last):
        rows[row, i] += each
    return max(first, 0), min(last, n - 1)


@njit(cache=True)
def begin(market: Market, ts_event: int, price: float) -> None:
    """Anchor the grid at the first price."""
    head, rules = market.head[0], market.rules[0]
    head.anchor = price
    head.mark = price
    head.mark_ts = ts_event
    head.mark_bin = rules.half
    head.slot = ts_event // rules.sampling_ns
    fill_grid(market)


@njit(**HOT)
def take_price(market: Market, ts_event: int, price: float) -> bool:
    """Make `price` the mark; False where it is older than the mark and was ignored.

    The last price of a σ slot is kept when the slot closes.
    """
    head, rules = market.head[0], market.rules[0]
    if head.n_prices == 0:
        begin(market, ts_event, price)
    elif ts_event < head.mark_ts:
        return False
    elif ts_event >= (head.slot + 1) * rules.sampling_ns:
        closed = market.slots[head.n_slots % len(market.slots)]
        closed.slot = head.slot
        closed.ts_event = head.mark_ts
        closed.log_price = math.log(head.mark / head.anchor)
        head.n_slots += 1
        head.slot = ts_event // rules.sampling_ns
    head.n_prices += 1
    head.mark = price
    head.mark_ts = ts_event
    head.mark_bin = locate(price, market.edges, head.mark_bin)
    return True


@njit(**HOT)
def sigma_1d(market: Market, at: int) -> float:
    """Return σ of the log return over one day, from the last prices of the trailing slots.

    σ² = Σ r² over consecutive filled slots ÷ the time between the first and the last of them. NaN
    below the coverage that the rules ask for, where the price never moved, and while the mark is
    off the grid: then no forecast can be issued.
    """
    head, rules = market.head[0], market.rules[0]
    ring = len(market.slots)
    oldest = (at - 1) // rules.sampling_ns - ring + 1
    if head.n_prices == 0 or head.slot < oldest or not 0 <= head.mark_bin < len(market.centres):
        return math.nan
    later = math.log(head.mark / head.anchor)
    first_ts = head.mark_ts
    filled, total = 1, 0.0
    i = head.n_slots % ring
    for _ in range(min(head.n_slots, ring)):
        i = i - 1 if i > 0 else ring - 1
        closed = market.slots[i]
        if closed.slot < oldest:
            break
        step = later - closed.log_price
        total += step * step
        later = closed.log_price
        first_ts = closed.ts_event
        filled += 1
    span = head.mark_ts - first_ts
    if filled < rules.min_coverage * ring or span <= 0 or total <= 0.0:
        return math.nan
    return math.sqrt(total / span * DAY_NS)


@njit(**HOT)
def take_evidence(market: Market, event: Any) -> None:
    """Book an observed liquidation, or a bucket of them, to the hour in which it happened."""
    head = market.head[0]
    hour = (event.ts_event - (1 if event.span_s > 0 else 0)) // HOUR_NS
    bucket = market.evidence[hour % len(market.evidence)]
    if hour < bucket.hour:
        return
    if hour > bucket.hour:
        bucket.hour = hour
        bucket.single_long_usd = 0.0
        bucket.single_short_usd = 0.0
        bucket.total_long_usd = 0.0
        bucket.total_short_usd = 0.0
    if event.kind == LIQUIDATION_TOTAL:
        head.n_totals += 1
        bucket.total_long_usd += event.p0
        bucket.total_short_usd += event.p1
    else:
        head.n_singles += 1
        if event.side > 0:
            bucket.single_long_usd += event.p0 * event.p1
        else:
            bucket.single_short_usd += event.p0 * event.p1


@njit(**HOT)
def observed(market: Market, at: int) -> tuple[float, float]:
    """Return liquidated USD of longs and of shorts in the 24 hours on the clock up to `at`'s own.

    Totals where a feed of totals was ever seen, else single liquidations, else NaN.
    """
    head = market.head[0]
    if head.n_totals == 0 and head.n_singles == 0:
        return math.nan, math.nan
    newest, ring = (at - 1) // HOUR_NS, len(market.evidence)
    long, short, place = 0.0, 0.0, newest % ring
    for k in range(ring):
        bucket = market.evidence[place]
        place = place - 1 if place > 0 else ring - 1
        if bucket.hour == newest - k:
            if head.n_totals > 0:
                long += bucket.total_long_usd
                short += bucket.total_short_usd
            else:
                long += bucket.single_long_usd
                short += bucket.single_short_usd
    return long, short


@njit(**HOT)
def take_open_interest(market: Market, event: Any) -> None:
    """Remember a snapshot of open interest."""
    head = market.head[0]
    head.n_open_interest += 1
    head.open_interest_ts = event.ts_event
    head.open_interest_known = event.ts_known
    head.open_interest_coins = event.p0


@njit(cache=True, _nrt=False)
def fold_market(events: Events, market: Market) -> None:
    """Fold events into the market's state: for estimators that need nothing else."""
    head, price_kind = market.head[0], market.rules[0].price_kind
    for i in range(len(events)):
        event = events[i]
        kind = event.kind
        if kind == price_kind:
            take_price(market, event.ts_event, event.p0 if kind == TRADE else event.p3)
        elif kind == OPEN_INTEREST:
            if head.n_open_interest == 0 or event.ts_event >= head.open_interest_ts:
                take_open_interest(market, event)
        elif kind in (LIQUIDATION, LIQUIDATION_TOTAL):
            take_evidence(market, event)
    if len(events) > 0:
        head.latest_known = events[len(events) - 1].ts_known


@njit(cache=True)
def read_market(
    events: Events, cuts: IntArray, at: IntArray, market: Market, out: npt.NDArray[Any]
) -> None:
    """Set what is known of a market at each time: of `events[:cuts[i]]` at `at[i]`, both rising."""
    head = market.head[0]
    done = 0
    for i in range(len(at)):
        fold_market(events[done : cuts[i]], market)
        done = cuts[i]
        out[i].mark = head.mark
        out[i].mark_ts = head.mark_ts
        out[i].sigma_1d = sigma_1d(market, at[i])
        coins = head.open_interest_coins if head.n_open_interest > 0 else math.nan
        out[i].open_interest_usd = coins * head.mark
