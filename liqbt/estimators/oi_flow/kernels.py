"""The reference estimator, compiled: open interest in at traded prices, out where the mark passes.

The rules and their reasons are in `liqbt.estimators.oi_flow`; here they are as code. Sides are
rows: 0 longs, 1 shorts. Coins of bracket `k` in bin `i` are `coins[side, k, i] · scale[side, k]`.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.emission.kernels import Issued, Scratch, emit, ended, full, n_bins
from liqbt.estimators.kernels import (
    BAR,
    HOT,
    LIQUIDATION,
    LIQUIDATION_TOTAL,
    MARK,
    OPEN_INTEREST,
    TRADE,
    Market,
    locate,
    sigma_1d,
    spread,
    take_evidence,
    take_open_interest,
    take_price,
    total_of,
)
from liqbt.types import SECOND_NS, Events, FloatArray, IntArray

LONGS: Final = 0
SHORTS: Final = 1
TRADES: Final = 2
BARS: Final = 3
PATH: Final = 4
"""Rows of `Book.bounds`; a source of entries less TRADES is its row of `Book.entries`."""
CONSUMED: Final = 0
OUTSIDE: Final = 1
"""Rows of `Book.counts`."""
LOW: Final = 0
HIGH: Final = 1
"""Columns of `Book.bounds`."""

TINY: Final = 1e-30
"""Scale below which it is multiplied into the coins and set back to 1."""
BAR_SLACK: Final = 0.05
"""Share of its own length by which a bar may begin before the last snapshot and still be used."""


class Book(NamedTuple):
    """Estimated positions by liquidation price, and the entries since the last snapshot.

    Attributes
    ----------
    counts : ndarray of float64, shape (2, 2)
        Coins consumed since the last snapshot, coins placed beyond the grid; longs, shorts.
    bounds : ndarray of int64, shape (5, 2)
        First and last bin that may hold coins of longs, of shorts; that were touched since the last
        snapshot by trades, by bars, by the mark's path. The first is above the last where none is.
    coins : ndarray of float64, shape (2, n_brackets, n_grid)
    scale : ndarray of float64, shape (2, n_brackets)
    entries : ndarray of float64, shape (3, n_grid)
        Traded coins from trades, from bars; seconds on the mark's path.
    """

    counts: FloatArray
    bounds: IntArray
    coins: FloatArray
    scale: FloatArray
    entries: FloatArray


class Plan(NamedTuple):
    """Constants: where and with what weight a bracket's positions are placed, how they age.

    Attributes
    ----------
    half_lives_ns : ndarray of float64, shape (n_brackets,)
    dates : ndarray of int64, shape (n_dates,)
        From when each set of weights and shifts holds, ns.
    usable : ndarray of bool, shape (n_dates,)
        Whether the brackets are allowed by the venue on that date.
    weights : ndarray of float64, shape (n_dates, n_brackets)
        Shares of what is opened; 0 where the venue has no such bracket.
    shifts : ndarray of int64, shape (n_dates, 2, n_brackets)
        Bins from entry to liquidation price.
    inverse : bool
        Whether books hold USD, not coins.
    left : ndarray of float64, shape (n_brackets,)
        Work space: the share of a bracket's coins that is left at a time of issue.
    """

    half_lives_ns: FloatArray
    dates: IntArray
    usable: npt.NDArray[np.bool_]
    weights: FloatArray
    shifts: IntArray
    inverse: bool
    left: FloatArray


@njit(**HOT)
def widen(book: Book, row: int, first: int, last: int) -> None:
    """Let a row of bounds hold the bins from `first` to `last` too; none if the first is above."""
    if first <= last:
        book.bounds[row, LOW] = min(book.bounds[row, LOW], first)
        book.bounds[row, HIGH] = max(book.bounds[row, HIGH], last)


@njit(**HOT)
def consume(book: Book, first_long: int, last_short: int) -> None:
    """Take out longs in bins from `first_long` up and shorts in bins to `last_short`, and count.

    Only bins between the mark and the outermost coins are visited, and they are empty afterwards:
    the work is bounded by what was placed.
    """
    bounds, counts, coins, scale = book.bounds, book.counts, book.coins, book.scale
    i = bounds[LONGS, HIGH]
    while i >= max(first_long, bounds[LONGS, LOW]):
        for k in range(scale.shape[1]):
            counts[CONSUMED, LONGS] += coins[LONGS, k, i] * scale[LONGS, k]
            coins[LONGS, k, i] = 0.0
        i -= 1
    bounds[LONGS, HIGH] = i
    i = bounds[SHORTS, LOW]
    while i <= min(last_short, bounds[SHORTS, HIGH]):
        for k in range(scale.shape[1]):
            counts[CONSUMED, SHORTS] += coins[SHORTS, k, i] * scale[SHORTS, k]
            coins[SHORTS, k, i] = 0.0
        i += 1
    bounds[SHORTS, LOW] = i


@njit(**HOT)
def take_trade(market: Market, book: Book, price: float, size_coins: float, near: int) -> int:
    """Book a trade's size to its bin, `near` being a guess at it; returns the bin."""
    here = int(locate(price, market.edges, near))
    if 0 <= here < book.entries.shape[1]:
        book.entries[0, here] += size_coins
        widen(book, TRADES, here, here)
    return here


@njit(**HOT)
def take_mark(market: Market, book: Book, event: Any) -> None:
    """Move the mark: book the time spent on its path, take out what it passed.

    A point adds the time since the last mark evenly over the log segment between the two; a bar
    adds its own length evenly over its range.
    """
    head = market.head[0]
    before, before_ts, known = head.mark, head.mark_ts, head.n_prices > 0
    low, high, close = event.p2, event.p1, event.p3
    if not take_price(market, event.ts_event, close):
        return
    weight = float(event.span_s)
    if event.span_s == 0 and known:
        weight = (event.ts_event - before_ts) / SECOND_NS
        low, high = min(before, close), max(before, close)
    if weight > 0.0:
        first, last = spread(book.entries, PATH - TRADES, low, high, weight, market)
        widen(book, PATH, first, last)
    lowest = highest = head.mark_bin
    if event.span_s > 0:
        lowest = locate(event.p2, market.edges, head.mark_bin)
        highest = locate(event.p1, market.edges, head.mark_bin)
    consume(book, lowest, highest)


@njit(**HOT)
def take_bar(market: Market, book: Book, event: Any) -> None:
    """Book a bar's volume evenly over its range, if the bar began after the last snapshot."""
    head = market.head[0]
    span_ns = event.span_s * SECOND_NS
    begun = event.ts_event - span_ns + BAR_SLACK * span_ns
    if head.n_prices > 0 and event.p4 > 0.0 and begun >= head.open_interest_ts:
        row = BARS - TRADES
        first, last = spread(book.entries, row, event.p2, event.p1, event.p4, market)
        widen(book, BARS, first, last)


@njit(**HOT)
def decay(book: Book, plan: Plan, elapsed: float) -> None:
    """Age the book by `elapsed` ns; scales that have become tiny are multiplied out."""
    scale, coins = book.scale, book.coins
    for k in range(len(plan.half_lives_ns)):
        factor = 0.5 ** (elapsed / plan.half_lives_ns[k])
        for side in range(2):
            scale[side, k] *= factor
            if scale[side, k] < TINY:
                for i in range(coins.shape[2]):
                    coins[side, k, i] *= scale[side, k]
                scale[side, k] = 1.0


@njit(**HOT)
def source_of(market: Market, book: Book) -> tuple[int, float]:
    """Return the row of the entries to use and their sum: trades, else bars, else the mark's path.

    Where no time passed either, the bin of the mark becomes the path; 0 if it is off the grid.
    """
    bounds, entries, here = book.bounds, book.entries, market.head[0].mark_bin
    for row in range(TRADES, PATH + 1):
        total = 0.0
        for i in range(bounds[row, LOW], bounds[row, HIGH] + 1):
            total += entries[row - TRADES, i]
        if total > 0.0:
            return row, total
    if not 0 <= here < entries.shape[1]:
        return PATH, 0.0
    entries[PATH - TRADES, here] = 1.0
    widen(book, PATH, here, here)
    return PATH, 1.0


@njit(**HOT)
def place(
    book: Book, plan: Plan, date: int, side: int, opened: float, source: int, total: float
) -> None:
    """Open `opened` coins of one side at the entries, spread over the brackets by weight.

    `source` and `total` are what `source_of` says of the entries.
    """
    bounds, coins = book.bounds, book.coins
    if total <= 0.0:
        book.counts[OUTSIDE, side] += opened
        return
    first, last, n = bounds[source, LOW], bounds[source, HIGH], coins.shape[2]
    entries = book.entries[source - TRADES]
    for k in range(len(plan.half_lives_ns)):
        if plan.weights[date, k] == 0.0:
            continue
        shift = plan.shifts[date, side, k]
        each = opened * plan.weights[date, k] / total
        stored = each / book.scale[side, k]
        start, stop = max(first, -shift), min(last, n - 1 - shift)
        for i in range(first, min(start, last + 1)):
            book.counts[OUTSIDE, side] += entries[i] * each
        for i in range(start, stop + 1):
            coins[side, k, i + shift] += entries[i] * stored
        for i in range(max(stop + 1, start), last + 1):
            book.counts[OUTSIDE, side] += entries[i] * each
        widen(book, side, max(first + shift, 0), min(last + shift, n - 1))


@njit(**HOT)
def clear_entries(book: Book) -> None:
    """Forget the entries since the last snapshot."""
    bounds, entries = book.bounds, book.entries
    for row in range(TRADES, PATH + 1):
        for i in range(bounds[row, LOW], bounds[row, HIGH] + 1):
            entries[row - TRADES, i] = 0.0
        bounds[row, LOW] = entries.shape[1]
        bounds[row, HIGH] = -1


@njit(**HOT)
def settle(market: Market, book: Book, plan: Plan, date: int, after: float) -> None:
    """Account for open interest that is now `after` coins, on each side.

    A rise is opened, the same coins on both sides. Of a fall, what the mark has consumed on a side
    is taken off first; the rest of it is closed there in proportion.
    """
    head = market.head[0]
    change = after - head.open_interest_coins
    source, total = source_of(market, book) if change > 0.0 else (PATH, 0.0)
    for side in range(2):
        left = change + book.counts[CONSUMED, side]
        book.counts[CONSUMED, side] = 0.0
        if change > 0.0:
            place(book, plan, date, side, change, source, total)
        elif left < 0.0:
            kept = max(1.0 + left / head.open_interest_coins, 0.0)
            for k in range(len(plan.half_lives_ns)):
                book.scale[side, k] *= kept
    consume(book, head.mark_bin, head.mark_bin)


@njit(**HOT)
def tier_date(plan: Plan, ts_event: int) -> int:
    """Return which set of shifts holds at a time, -1 where none does or it cannot be used."""
    date = len(plan.dates) - 1
    while date >= 0 and plan.dates[date] > ts_event:
        date -= 1
    return date if date >= 0 and plan.usable[date] else -1


@njit(**HOT)
def take_snapshot(market: Market, book: Book, plan: Plan, event: Any) -> bool:
    """Take a snapshot of open interest; False where no tiers are usable on its date.

    The first, and any before the first price, is only remembered; one that is older than the last
    is ignored.
    """
    head = market.head[0]
    if head.n_open_interest > 0 and event.ts_event < head.open_interest_ts:
        return True
    if head.n_open_interest > 0 and head.n_prices > 0:
        date = tier_date(plan, event.ts_event)
        if date < 0:
            return False
        decay(book, plan, float(event.ts_known - head.open_interest_known))
        settle(market, book, plan, date, event.p0)
    take_open_interest(market, event)
    clear_entries(book)
    return True


@njit(**HOT)
def fold(events: Events, first: int, stop: int, market: Market, book: Book, plan: Plan) -> int:
    """Fold events `[first, stop)`; returns the first row whose date has no usable tiers, or -1."""
    head, price_kind = market.head[0], market.rules[0].price_kind
    edges, trades, near = market.edges, book.entries, head.mark_bin
    low, high = math.inf, -math.inf  # the edges of `near`, once a trade was booked there
    for row in range(first, stop):
        event = events[row]
        kind = event.kind
        if kind == TRADE:
            if price_kind == TRADE and take_price(market, event.ts_event, event.p0):
                consume(book, head.mark_bin, head.mark_bin)
            if low <= event.p0 < high:
                trades[0, near] += event.p1
            elif head.n_prices > 0:
                near = take_trade(market, book, event.p0, event.p1, near)
                inside = 0 <= near < trades.shape[1]
                low, high = (edges[near], edges[near + 1]) if inside else (math.inf, -math.inf)
        elif kind == OPEN_INTEREST:
            if not take_snapshot(market, book, plan, event):
                return row
            low, high = math.inf, -math.inf
        elif kind in (MARK, BAR):
            if kind == price_kind:
                take_mark(market, book, event)
            if kind == BAR:
                take_bar(market, book, event)
        elif kind in (LIQUIDATION, LIQUIDATION_TOTAL):
            take_evidence(market, event)
    if stop > first:
        head.latest_known = events[stop - 1].ts_known
    return -1


@njit(**HOT)
def survivors(book: Book, side: int, left: FloatArray, mix: FloatArray) -> float:
    """Set `mix` to one side's coins, where it may hold any; returns their sum.

    Of each bracket the share `left` survives: the book is not touched, it is aged on the way.
    """
    first, last = book.bounds[side, LOW], book.bounds[side, HIGH]
    out, brackets, scale = mix[first : last + 1], book.scale.shape[1], book.scale[side]
    for i in range(len(out)):
        out[i] = 0.0
    for k in range(0, brackets - 3, 4):  # four in one pass: summed in the same order
        a, b = book.coins[side, k, first : last + 1], book.coins[side, k + 1, first : last + 1]
        c, d = book.coins[side, k + 2, first : last + 1], book.coins[side, k + 3, first : last + 1]
        of_a, of_b = scale[k] * left[k], scale[k + 1] * left[k + 1]
        of_c, of_d = scale[k + 2] * left[k + 2], scale[k + 3] * left[k + 3]
        for i in range(len(out)):
            out[i] = out[i] + a[i] * of_a + b[i] * of_b + c[i] * of_c + d[i] * of_d
    for k in range(brackets - brackets % 4, brackets):
        coins, factor = book.coins[side, k, first : last + 1], scale[k] * left[k]
        for i in range(len(out)):
            out[i] += coins[i] * factor
    return float(total_of(out))


@njit(**HOT)
def fill_rows(market: Market, book: Book, plan: Plan, at: int, n: int, scratch: Scratch) -> None:
    """Set `scratch.rows` to USD per bin, outward, scaled so that survivors sum to open interest.

    A side without survivors stays empty.
    """
    head, mix = market.head[0], scratch.mix
    elapsed = float(at - head.open_interest_known)
    margin, left = n + market.rules[0].half_width + 1, plan.left
    for k in range(len(left)):
        left[k] = 0.5 ** (elapsed / plan.half_lives_ns[k])
    for side in range(2):
        total = survivors(book, side, left, mix)
        factor = head.open_interest_coins / total if total > 0.0 else 0.0
        first, last = book.bounds[side, LOW], book.bounds[side, HIGH]
        here, row = head.mark_bin, scratch.rows[side]
        # entries outward from the mark's bin: some within the bounds, none around them
        start = first - here - 1 if side == SHORTS else here - 1 - last
        stop = last - here if side == SHORTS else here - first
        start = min(max(start, 0), margin)
        stop = min(max(stop, start), margin)
        row[:start] = 0.0
        ended(market, side, stop, scratch)
        lowest = here + 1 + start if side == SHORTS else here - stop
        coins = mix[lowest : lowest + stop - start]
        prices = market.centres[lowest : lowest + stop - start]
        filled = row[start:stop]
        if side == SHORTS:
            for i in range(len(filled)):
                filled[i] = coins[i] * factor * (1.0 if plan.inverse else prices[i])
        else:
            for i in range(len(filled)):
                usd = coins[i] * factor * (1.0 if plan.inverse else prices[i])
                filled[len(filled) - 1 - i] = usd


@njit(cache=True, _nrt=False)
def run(events: Events, cuts: IntArray, at: IntArray, first: int, *arrays: Any) -> int:
    """Take in events and write the forecasts at the times from `first` on, while there is room.

    Of the forecast at `at[i]` only `events[:cuts[i]]` have been read; the rest is read after the
    last. `arrays` are those of the `Market`, the `Book`, the `Plan`, the `Scratch` and the
    `Issued`, as plain tuples: handing over a named one costs a microsecond more. Returns before
    which time there was no room, `len(at) + 1` where all is done, or -1 less the row whose date has
    no usable tiers.
    """
    market, book, plan = Market(*arrays[0]), Book(*arrays[1]), Plan(*arrays[2])
    scratch, issued = Scratch(*arrays[3]), Issued(*arrays[4])
    done = cuts[first - 1] if first > 0 else 0
    for i in range(first, len(at) + 1):
        stop = cuts[i] if i < len(at) else len(events)
        row = fold(events, done, stop, market, book, plan)
        if row >= 0:
            return int(-1 - row)
        done = stop
        if i == len(at):
            break
        sigma = sigma_1d(market, at[i])
        if not math.isnan(sigma) and market.head[0].n_open_interest > 0:
            n = n_bins(market, sigma)
            fill_rows(market, book, plan, at[i], n, scratch)
            emit(market, at[i], sigma, n, scratch, issued, plan.inverse, (math.nan, math.nan))
        if full(scratch, issued):
            return i + 1
    return len(at) + 1
