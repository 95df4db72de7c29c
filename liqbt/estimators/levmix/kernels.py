"""The learnt mix, compiled: one book for each class of positions, weighed by what was liquidated.

The rules and their reasons are in `liqbt.estimators.levmix`; here they are as code. Sides are rows:
0 longs, 1 shorts. Class `j` is leverage `j % n_leverages`, life `j // n_leverages % n_lives`, and
its source, volume or open interest, `j // (n_leverages · n_lives)`. Coins of a class in bin `i` are
`coins[side, j, i] · scale[life]`.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.estimators.emission.kernels import (
    Issued,
    Scratch,
    emit,
    ended,
    full,
    n_bins,
    support,
)
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
from liqbt.estimators.oi_flow.kernels import (
    BAR_SLACK,
    BARS,
    HIGH,
    LONGS,
    LOW,
    PATH,
    SHORTS,
    TINY,
    TRADES,
    take_trade,
    widen,
)
from liqbt.types import DAY_NS, SECOND_NS, Events, FloatArray, IntArray

RARE: Final[dict[str, bool]] = {
    "cache": True,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""How a rule is compiled that is not met with every event: as `HOT`, but not inlined, which would
compile it anew wherever it is met."""

FLOW: Final = 5
"""Row of `Book.bounds` of the entries since open interest was last placed."""
COVERED: Final = 0.99
"""Share of a slot that totals must cover before anything is learnt of it."""
FARTHEST_SIGMA: Final = 6.0
"""Beyond so many σ of a day the freshness kernel is empty."""

LEDGER_DTYPE: Final = np.dtype(
    [
        ("settled_known", "<i8"),
        ("settled_ts", "<i8"),
        ("placed_known", "<i8"),
        ("credited", "<i8"),
        ("newest", "<i8"),
        ("flow_rate", "<f8"),
        ("flow_sum", "<f8"),
        ("rise_sum", "<f8"),
        ("rise", "<f8"),
        ("days", "<f8"),
    ]
)
"""Scalars of the state.

`settled_known`, `settled_ts`: when the books were last brought up to date (-1: never), and the
mark's time then; `placed_known`: when open interest was last placed; `credited`, `newest`: the last
slot that was learnt from or passed over, and the last that held a liquidation (-1: none);
`flow_rate`: coins a second that come in where no volume is known; `flow_sum`, `rise_sum`: entries
and rises of open interest so far, forgotten alike; `rise`: rises that are not placed yet; `days`:
days that were learnt from, as far as they are remembered."""

SLOT_DTYPE: Final = np.dtype(
    [("slot", "<i8"), ("covered_ns", "<i8"), ("long_coins", "<f8"), ("short_coins", "<f8")]
)
"""What was liquidated in a slot of the ring, coins, and how much of it totals have covered."""


class Book(NamedTuple):
    """Entries of each class by liquidation price, and what is waited for to learn from them.

    Attributes
    ----------
    ledger : record array, shape (1,)
    bounds : ndarray of int64, shape (6, 2)
        First and last bin that may hold longs, shorts; that were touched since the books were
        brought up to date by trades, by bars, by the mark's path; since open interest was placed.
    spans : ndarray of int64, shape (2, n_classes, 2)
        First and last bin in which coins of a class were ever placed.
    coins : ndarray of float64, shape (2, n_classes, n_grid)
    scale : ndarray of float64, shape (n_lives,)
    entries : ndarray of float64, shape (4, n_grid)
        Coins of trades, of bars; seconds on the mark's path; coins since open interest was placed.
    visited : ndarray of int64, shape (n_grid,)
        When the price was last in a bin, ns; 0 where it never was.
    forced : record array, shape (n_slots,)
        What was liquidated, slot by slot: a ring of one day.
    crossed : ndarray of float64, shape (n_slots, 2, n_classes)
        Coins of each class that the mark passed in the slots of the ring.
    credit, exposure : ndarray of float64, shape (n_classes,)
        Liquidated coins that fall to each class, and the coins of it that the mark has passed.
    """

    ledger: npt.NDArray[Any]
    bounds: IntArray
    spans: IntArray
    coins: FloatArray
    scale: FloatArray
    entries: FloatArray
    visited: IntArray
    forced: npt.NDArray[Any]
    crossed: FloatArray
    credit: FloatArray
    exposure: FloatArray


RULES_DTYPE: Final = np.dtype(
    [
        ("settle_ns", "<i8"),
        ("slot_ns", "<i8"),
        ("forget_ns", "<f8"),
        ("prior_days", "<f8"),
        ("freshness_share", "<f8"),
        ("freshness_ns", "<f8"),
    ]
)


class Plan(NamedTuple):
    """Constants.

    Attributes
    ----------
    rules : record array, shape (1,)
    lives_ns : ndarray of float64, shape (n_lives,)
    prior : ndarray of float64, shape (n_classes,)
        Weights before anything is learnt; they sum to 1.
    dates : ndarray of int64, shape (n_dates,)
        From when each set of shifts holds, ns.
    usable : ndarray of bool, shape (n_dates, n_leverages)
        Whether the venue allows a leverage on that date.
    shifts : ndarray of int64, shape (n_dates, 2, n_leverages)
        Bins from entry to liquidation price.
    inverse : bool
        Whether books hold USD, not coins.
    weights : ndarray of float64, shape (n_classes,)
        Work space: the weights as they are now.
    beyond : ndarray of float64, shape (2, n_grid)
        Work space, of one side: what rests on the prior alone, over the grid; outward the same,
        then the freshness kernel.
    """

    rules: npt.NDArray[Any]
    lives_ns: FloatArray
    prior: FloatArray
    dates: IntArray
    usable: npt.NDArray[np.bool_]
    shifts: IntArray
    inverse: bool
    weights: FloatArray
    beyond: FloatArray


@njit(**HOT)
def slot_of(ts_event: int, rules: Any) -> int:
    """Return the slot in which a bucket or a price at its end falls."""
    return int((ts_event - 1) // rules.slot_ns)


@njit(**HOT)
def claim(book: Book, slot: int) -> int:
    """Return the place of a slot in the ring, emptied if an older one held it; -1 if too old."""
    place = slot % len(book.forced)
    held = book.forced[place]
    if held.slot > slot:
        return -1
    if held.slot < slot:
        held.slot = slot
        held.covered_ns = 0
        held.long_coins = 0.0
        held.short_coins = 0.0
        for side in range(2):
            for j in range(book.crossed.shape[2]):
                book.crossed[place, side, j] = 0.0
    return int(place)


@njit(**HOT)
def consume(book: Book, plan: Plan, first_long: int, last_short: int, ts_event: int) -> None:
    """Take out longs in bins from `first_long` up and shorts in bins to `last_short`.

    What is taken out is the exposure of its class in the slot of `ts_event`.
    """
    bounds, coins, scale = book.bounds, book.coins, book.scale
    i, k = bounds[LONGS, HIGH], bounds[SHORTS, LOW]
    if i < first_long and k > last_short:
        return
    n_leverages, n_lives = plan.shifts.shape[2], len(scale)
    place = claim(book, slot_of(ts_event, plan.rules[0]))
    while i >= max(first_long, bounds[LONGS, LOW]):
        for j in range(coins.shape[1]):
            if place >= 0:
                life = j // n_leverages % n_lives
                book.crossed[place, LONGS, j] += coins[LONGS, j, i] * scale[life]
            coins[LONGS, j, i] = 0.0
        i -= 1
    bounds[LONGS, HIGH] = i
    while k <= min(last_short, bounds[SHORTS, HIGH]):
        for j in range(coins.shape[1]):
            if place >= 0:
                life = j // n_leverages % n_lives
                book.crossed[place, SHORTS, j] += coins[SHORTS, j, k] * scale[life]
            coins[SHORTS, j, k] = 0.0
        k += 1
    bounds[SHORTS, LOW] = k


@njit(**HOT)
def visit(book: Book, first: int, last: int, ts_event: int) -> None:
    """Note that the price was in the bins from `first` to `last`."""
    for i in range(max(first, 0), min(last, len(book.visited) - 1) + 1):
        book.visited[i] = ts_event


@njit(**HOT)
def take_last(market: Market, book: Book, plan: Plan, event: Any) -> None:
    """Move the mark to the price of a trade."""
    head = market.head[0]
    before, known = head.mark_bin, head.n_prices > 0
    if take_price(market, event.ts_event, event.p0):
        here = head.mark_bin
        before = before if known else here
        visit(book, min(before, here), max(before, here), event.ts_event)
        consume(book, plan, here, here, event.ts_event)


@njit(**RARE)
def take_mark(market: Market, book: Book, plan: Plan, event: Any) -> None:
    """Move the mark: book the time spent on its path, take out what it passed.

    As the reference does; see `oi_flow.kernels.take_mark`.
    """
    head = market.head[0]
    before, before_ts, before_bin = head.mark, head.mark_ts, head.mark_bin
    known = head.n_prices > 0
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
    if not known:
        before_bin = head.mark_bin
    visit(book, min(before_bin, lowest), max(before_bin, highest), event.ts_event)
    consume(book, plan, lowest, highest, event.ts_event)


@njit(**RARE)
def take_bar(market: Market, book: Book, event: Any) -> None:
    """Book a bar's volume evenly over its range, if it began after the books were up to date.

    The volume of a longer bar tells how fast coins come in until the next.
    """
    head, ledger = market.head[0], book.ledger[0]
    if not (head.n_prices > 0 and event.p4 > 0.0 and event.span_s > 0):
        return
    span_ns = event.span_s * SECOND_NS
    if event.ts_event - span_ns + BAR_SLACK * span_ns >= ledger.settled_ts:
        row = BARS - TRADES
        first, last = spread(book.entries, row, event.p2, event.p1, event.p4, market)
        widen(book, BARS, first, last)
    else:
        ledger.flow_rate = event.p4 / event.span_s


@njit(**RARE)
def age(book: Book, plan: Plan, elapsed: float) -> None:
    """Age the books by `elapsed` ns; scales that have become tiny are multiplied out."""
    scale, coins, n_leverages = book.scale, book.coins, plan.shifts.shape[2]
    for life in range(len(scale)):
        scale[life] *= 0.5 ** (elapsed / plan.lives_ns[life])
        if scale[life] < TINY:
            for side in range(2):
                for j in range(coins.shape[1]):
                    if j // n_leverages % len(scale) == life:
                        for i in range(coins.shape[2]):
                            coins[side, j, i] *= scale[life]
            scale[life] = 1.0


@njit(**HOT)
def tier_date(plan: Plan, ts_event: int) -> int:
    """Return which set of shifts holds at a time, -1 where none does or allows any leverage."""
    date = len(plan.dates) - 1
    while date >= 0 and plan.dates[date] > ts_event:
        date -= 1
    if date >= 0:
        for leverage in range(plan.usable.shape[1]):
            if plan.usable[date, leverage]:
                return date
    return -1


@njit(**RARE)
def place(book: Book, plan: Plan, source: int, date: int, row: int, factor: float) -> None:
    """Enter `factor` times a row of entries, as longs and as shorts, in each class of a source."""
    bounds, coins, scale = book.bounds, book.coins, book.scale
    first, last, n = bounds[row, LOW], bounds[row, HIGH], coins.shape[2]
    n_leverages, n_lives = plan.shifts.shape[2], len(scale)
    entries = book.entries[row - TRADES]
    for side in range(2):
        for leverage in range(n_leverages):
            if not plan.usable[date, leverage]:
                continue
            shift = plan.shifts[date, side, leverage]
            start, stop = max(first, -shift), min(last, n - 1 - shift)
            if start > stop:
                continue
            for life in range(n_lives):
                j = (source * n_lives + life) * n_leverages + leverage
                each = factor / scale[life]
                for i in range(start, stop + 1):
                    coins[side, j, i + shift] += entries[i] * each
                spans = book.spans[side, j]
                spans[LOW] = min(spans[LOW], start + shift)
                spans[HIGH] = max(spans[HIGH], stop + shift)
            widen(book, side, start + shift, stop + shift)


@njit(**HOT)
def summed(book: Book, row: int) -> float:
    """Return the sum of a row of entries."""
    total = 0.0
    for i in range(book.bounds[row, LOW], book.bounds[row, HIGH] + 1):
        total += book.entries[row - TRADES, i]
    return total


@njit(**HOT)
def cleared(book: Book, row: int) -> None:
    """Forget a row of entries."""
    for i in range(book.bounds[row, LOW], book.bounds[row, HIGH] + 1):
        book.entries[row - TRADES, i] = 0.0
    book.bounds[row, LOW] = book.entries.shape[1]
    book.bounds[row, HIGH] = -1


@njit(**RARE)
def settle(market: Market, book: Book, plan: Plan, ts_event: int, ts_known: int) -> bool:
    """Bring the books up to date: age them and enter what came in; False without usable tiers."""
    head, ledger = market.head[0], book.ledger[0]
    date = tier_date(plan, ts_event)
    if date < 0:
        return False
    elapsed = ts_known - ledger.settled_known
    seconds = elapsed / SECOND_NS
    age(book, plan, float(elapsed))
    kept = 0.5 ** (elapsed / plan.rules[0].forget_ns)
    row, factor, total = TRADES, 1.0, summed(book, TRADES)
    if total <= 0.0:
        row, total = BARS, summed(book, BARS)
    if total > 0.0:
        ledger.flow_rate = total / seconds
    else:
        row, total = PATH, summed(book, PATH)
        if total <= 0.0 and 0 <= head.mark_bin < book.entries.shape[1]:
            book.entries[PATH - TRADES, head.mark_bin] = seconds
            widen(book, PATH, head.mark_bin, head.mark_bin)
            total = seconds
        factor = ledger.flow_rate
    ledger.flow_sum = ledger.flow_sum * kept + total * factor
    ledger.rise_sum *= kept
    place(book, plan, 0, date, row, factor)
    first, last = book.bounds[row, LOW], book.bounds[row, HIGH]
    for i in range(first, last + 1):
        book.entries[FLOW - TRADES, i] += book.entries[row - TRADES, i] * factor
    widen(book, FLOW, first, last)
    for each in range(TRADES, FLOW):
        cleared(book, each)
    consume(book, plan, head.mark_bin, head.mark_bin, head.mark_ts)
    ledger.settled_known = ts_known
    ledger.settled_ts = head.mark_ts
    return True


@njit(**HOT)
def settled(market: Market, book: Book, plan: Plan, event: Any) -> bool:
    """Bring the books up to date with a price, if it is time; False without usable tiers."""
    ledger = book.ledger[0]
    if ledger.settled_known < 0:
        if market.head[0].n_prices > 0:
            ledger.settled_known = event.ts_known
            ledger.settled_ts = event.ts_event
            ledger.placed_known = event.ts_known
        return True
    if event.ts_known - ledger.settled_known < plan.rules[0].settle_ns:
        return True
    return bool(settle(market, book, plan, event.ts_event, event.ts_known))


@njit(**RARE)
def take_snapshot(market: Market, book: Book, plan: Plan, event: Any) -> bool:
    """Take a snapshot of open interest; False without usable tiers.

    Its rise is placed where coins came in since the last was placed, in the proportion in which
    rises and entries have come in so far. One that comes too soon waits for the next.
    """
    head, ledger = market.head[0], book.ledger[0]
    if head.n_open_interest > 0 and event.ts_event < head.open_interest_ts:
        return True
    if head.n_open_interest > 0 and ledger.settled_known >= 0:
        half = plan.rules[0].settle_ns // 2
        rise = max(event.p0 - head.open_interest_coins, 0.0)
        ledger.rise += rise
        ledger.rise_sum += rise
        due = event.ts_known - ledger.settled_known >= half
        if due and not settle(market, book, plan, event.ts_event, event.ts_known):
            return False
        if event.ts_known - ledger.placed_known >= half:
            date = tier_date(plan, event.ts_event)
            if date < 0:
                return False
            total = summed(book, FLOW)
            if ledger.rise > 0.0 and total > 0.0:
                factor = ledger.rise / ledger.rise_sum * (ledger.flow_sum / total)
                place(book, plan, 1, date, FLOW, factor)
                consume(book, plan, head.mark_bin, head.mark_bin, head.mark_ts)
            cleared(book, FLOW)
            ledger.rise = 0.0
            ledger.placed_known = event.ts_known
    take_open_interest(market, event)
    return True


@njit(**HOT)
def prior_exposure(book: Book, plan: Plan) -> float:
    """Return the exposure that the prior is worth: that of so many days of a mean class."""
    days = book.ledger[0].days
    if days <= 0.0:
        return 0.0
    return float(plan.rules[0].prior_days * total_of(book.exposure) / (len(book.exposure) * days))


@njit(**RARE)
def weigh(book: Book, plan: Plan) -> None:
    """Set `plan.weights`: what was liquidated of each class over what could have been.

    The prior of a class is what was learnt of the next higher leverage, of the same life and
    source: flat in log leverage from there on. That of the highest is the rate of all classes
    together. Where nothing is learnt, weights are the prior's own.
    """
    credit, exposure, prior, weights = book.credit, book.exposure, plan.prior, plan.weights
    liquidated, could = total_of(credit), 0.0
    for j in range(len(prior)):
        could += prior[j] * exposure[j]
    worth = prior_exposure(book, plan)
    learnt = liquidated > 0.0 and could > 0.0 and worth > 0.0
    n_leverages, expected = plan.shifts.shape[2], 0.0
    for back in range(len(prior)):
        j = len(prior) - 1 - back
        weights[j] = prior[j]
        if learnt:
            if j % n_leverages == n_leverages - 1:
                expected = liquidated / could * prior[j]
            weights[j] = (worth * expected + credit[j]) / (worth + exposure[j])
            expected = weights[j]


@njit(**RARE)
def learn(book: Book, plan: Plan, slot: int, n: int, long: float, short: float) -> None:
    """Learn from what was liquidated in the `n` slots up to `slot`, coins of longs and of shorts.

    What was liquidated falls to the classes in proportion to what was expected of them: a step of
    expectation and maximisation for a sum of Poisson rates, forgotten by half-life.
    """
    ledger, rules = book.ledger[0], plan.rules[0]
    weigh(book, plan)
    kept = 0.5 ** (n * rules.slot_ns / rules.forget_ns)
    ledger.days = ledger.days * kept + n * rules.slot_ns / DAY_NS
    for j in range(len(book.credit)):
        book.credit[j] *= kept
        book.exposure[j] *= kept
    for side in range(2):
        liquidated = long if side == LONGS else short
        expected = 0.0
        for each in range(slot - n + 1, slot + 1):
            held = each % len(book.forced)
            if book.forced[held].slot == each:
                for j in range(len(book.credit)):
                    expected += plan.weights[j] * book.crossed[held, side, j]
        for each in range(slot - n + 1, slot + 1):
            held = each % len(book.forced)
            if book.forced[held].slot == each:
                for j in range(len(book.credit)):
                    crossed = book.crossed[held, side, j]
                    book.exposure[j] += crossed
                    if expected > 0.0:
                        book.credit[j] += liquidated * plan.weights[j] * crossed / expected


@njit(**RARE)
def take_total(market: Market, book: Book, plan: Plan, event: Any) -> None:
    """Learn from a total: at once if it covers slots, else once its own slot is covered."""
    rules, mark = plan.rules[0], 1.0 if plan.inverse else market.head[0].mark
    slot, span_ns = slot_of(event.ts_event, rules), event.span_s * SECOND_NS
    if market.head[0].n_prices == 0:
        return
    if span_ns > rules.slot_ns:
        n = min((span_ns + rules.slot_ns // 2) // rules.slot_ns, len(book.forced))
        learn(book, plan, slot, n, event.p0 / mark, event.p1 / mark)
        return
    held = claim(book, slot)
    if held < 0:
        return
    row = book.forced[held]
    before = row.covered_ns
    row.covered_ns += span_ns
    row.long_coins += event.p0 / mark
    row.short_coins += event.p1 / mark
    if before < COVERED * rules.slot_ns <= row.covered_ns:
        learn(book, plan, slot, 1, row.long_coins, row.short_coins)


@njit(**RARE)
def take_single(book: Book, plan: Plan, event: Any) -> None:
    """Book a liquidation to its slot, and learn from the slots before, which it shows were watched.

    Where the last one was a day or more ago the feed may have been gone: nothing is learnt of the
    time between, nor of the slot in which it begins.
    """
    ledger, slot = book.ledger[0], slot_of(event.ts_event + 1, plan.rules[0])
    if slot <= ledger.credited:
        return
    if ledger.newest < 0 or slot - ledger.newest >= len(book.forced):
        ledger.credited = slot
        ledger.newest = slot
        return
    for each in range(max(ledger.credited + 1, slot - len(book.forced) + 1), slot):
        held = claim(book, each)
        if held >= 0:
            learn(book, plan, each, 1, book.forced[held].long_coins, book.forced[held].short_coins)
    ledger.credited = slot - 1
    ledger.newest = slot
    held = claim(book, slot)
    if held >= 0:
        if event.side > 0:
            book.forced[held].long_coins += event.p1
        else:
            book.forced[held].short_coins += event.p1


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
            if price_kind == TRADE:
                take_last(market, book, plan, event)
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
                take_mark(market, book, plan, event)
            if kind == BAR:
                take_bar(market, book, event)
        elif kind in (LIQUIDATION, LIQUIDATION_TOTAL):
            take_evidence(market, event)
            if kind == LIQUIDATION_TOTAL:
                take_total(market, book, plan, event)
            elif head.n_totals == 0:
                take_single(book, plan, event)
        if kind == price_kind:
            before = book.ledger[0].settled_known
            if not settled(market, book, plan, event):
                return row
            if book.ledger[0].settled_known != before:
                low, high = math.inf, -math.inf
    if stop > first:
        head.latest_known = events[stop - 1].ts_known
    return -1


@njit(**RARE)
def survivors(
    book: Book, plan: Plan, side: int, elapsed: float, learnt: FloatArray, alone: FloatArray
) -> None:
    """Set what one side holds after `elapsed` ns, by bin: all of it, and what rests on the prior.

    A class rests on the prior where less of it was ever passed than the prior is worth.
    """
    first, last = book.bounds[side, LOW], book.bounds[side, HIGH]
    n_leverages, n_lives = plan.shifts.shape[2], len(book.scale)
    out, rest = learnt[first : last + 1], alone[first : last + 1]
    for i in range(len(out)):
        out[i] = 0.0
        rest[i] = 0.0
    worth, left = prior_exposure(book, plan), 0.0
    for j in range(book.coins.shape[1]):
        life = j // n_leverages % n_lives
        if j % n_leverages == 0:
            left = 0.5 ** (elapsed / plan.lives_ns[life])
        factor = plan.weights[j] * book.scale[life] * left
        low, high = max(first, book.spans[side, j, LOW]), min(last, book.spans[side, j, HIGH])
        if low > high:
            continue
        coins = book.coins[side, j, low : high + 1]
        known = worth > 0.0 and book.exposure[j] >= worth
        into = (
            out[low - first : high + 1 - first] if known else rest[low - first : high + 1 - first]
        )
        for i in range(len(coins)):
            into[i] += coins[i] * factor
    for i in range(len(out)):
        out[i] += rest[i]


@njit(**RARE)
def fill_fresh(
    market: Market,
    visited: IntArray,
    at: int,
    sigma: float,
    side: int,
    half_life: float,
    out: FloatArray,
) -> tuple[int, float]:
    """Set the freshness kernel of one side, outward; returns how far it goes, and its sum.

    A bin refills with the time since the price was there last, and counts less with distance, by e
    for every σ of a day. Beyond `out`, the grid and a few σ there is none.
    """
    here, step = market.head[0].mark_bin, market.rules[0].step
    room = here if side == LONGS else len(visited) - 1 - here
    stop = min(min(int(FARTHEST_SIGMA * sigma / step), len(out)), room)
    sign, total, per_ns = 2 * side - 1, 0.0, math.log(2.0) / half_life
    weight, falls = math.exp(-0.5 * step / sigma), math.exp(-step / sigma)
    seen, refilled = at, 0.0
    for j in range(stop):
        i = here + sign * (j + 1)
        if visited[i] != seen:  # bins that were passed at once share the dear part
            seen = visited[i]
            refilled = 1.0 - math.exp(-(at - seen) * per_ns)
        out[j] = refilled * weight
        total += out[j]
        weight *= falls
    return stop, total


@njit(**RARE)
def fill_outward(coins: FloatArray, bounds: IntArray, here: int, side: int, out: FloatArray) -> int:
    """Set `out` to what a row of the grid holds within the bounds of a side, outward from `here`.

    Returns from where on there is none: beyond, `out` is not touched.
    """
    first, last = bounds[side, LOW], bounds[side, HIGH]
    if first > last:
        return 0
    start = first - here - 1 if side == SHORTS else here - 1 - last
    stop = last - here if side == SHORTS else here - first
    start = min(max(start, 0), len(out))
    stop = min(max(stop, start), len(out))
    lowest = here + 1 + start if side == SHORTS else here - stop
    out[:start] = 0.0
    held, into = coins[lowest : lowest + stop - start], out[start:stop]
    for j in range(len(into)):
        into[j] = held[j] if side == SHORTS else held[len(held) - 1 - j]
    return int(stop)


@njit(**RARE)
def learnt_until(coins: FloatArray, alone: FloatArray, sums: FloatArray) -> int:
    """Return how many bins of a side there are before it rests on the prior, both rows outward.

    That is beyond the last bin with coins of which at most half rest on the prior within the octave
    of distance up to it.
    """
    n = len(coins)
    beyond, alone_beyond, all_held, alone_held = sums[0], sums[1], 0.0, 0.0
    beyond[n] = alone_beyond[n] = 0.0
    for j in range(n - 1, -1, -1):  # from outside: what is far is little, and lost in what is near
        all_held += coins[j]
        alone_held += alone[j]
        beyond[j] = all_held
        alone_beyond[j] = alone_held
    for j in range(n - 1, -1, -1):
        within = beyond[j // 2] - beyond[j + 1]
        if coins[j] > 0.0 and alone_beyond[j // 2] - alone_beyond[j + 1] <= 0.5 * within:
            return j + 1
    return 0


@njit(**RARE)
def fill_rows(
    market: Market, book: Book, plan: Plan, at: int, sigma: float, n: int, scratch: Scratch
) -> tuple[float, float]:
    """Set `scratch.rows` to USD per bin, outward; returns from where on each side is the prior's.

    Each side sums to open interest, what lies beyond reach included; to one coin where none is
    known. A side without survivors is the freshness kernel.
    """
    head, rules, from_long, from_short = market.head[0], market.rules[0], 0.0, 0.0
    weigh(book, plan)
    elapsed = float(at - book.ledger[0].settled_known)
    open_coins = head.open_interest_coins if head.n_open_interest > 0 else 1.0
    here, margin = head.mark_bin, n + rules.half_width + 1
    for side in range(2):
        mix, alone, row = scratch.mix, plan.beyond[0], scratch.rows[side, :margin]
        outward = plan.beyond[1, :margin]
        survivors(book, plan, side, elapsed, mix, alone)
        total = total_of(mix[book.bounds[side, LOW] : book.bounds[side, HIGH] + 1])
        fill_outward(alone, book.bounds, here, side, outward)
        stop = fill_outward(mix, book.bounds, here, side, row)
        learnt = min(learnt_until(row[:stop], outward[:stop], scratch.heights), n)
        if side == LONGS:
            from_long = learnt * rules.step
        else:
            from_short = learnt * rules.step
        half_life = plan.rules[0].freshness_ns
        near, fresh = fill_fresh(market, book.visited, at, sigma, side, half_life, outward)
        share = plan.rules[0].freshness_share if total > 0.0 else 1.0
        of_book = (1.0 - share) * open_coins / total if total > 0.0 else 0.0
        of_fresh = share * open_coins / fresh if fresh > 0.0 else 0.0
        far = max(stop, near)
        row[stop:far] = 0.0
        outward[near:far] = 0.0
        for j in range(far):
            row[j] = row[j] * of_book + outward[j] * of_fresh
        if not plan.inverse:
            lowest = here + 1 if side == SHORTS else here - far
            prices = market.centres[lowest : lowest + far]
            for j in range(len(prices)):
                row[j] *= prices[j] if side == SHORTS else prices[len(prices) - 1 - j]
        ended(market, side, support(row, far), scratch)
    return from_long, from_short


@njit(cache=True, _nrt=False)
def run(events: Events, cuts: IntArray, at: IntArray, first: int, *arrays: Any) -> int:
    """Take in events and write the forecasts at the times from `first` on, while there is room.

    As `oi_flow.kernels.run`; each forecast says from where each side rests on the prior.
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
        if not math.isnan(sigma) and book.ledger[0].settled_known >= 0:
            n = n_bins(market, sigma)
            prior_from = fill_rows(market, book, plan, at[i], sigma, n, scratch)
            emit(market, at[i], sigma, n, scratch, issued, plan.inverse, prior_from)
        if full(scratch, issued):
            return i + 1
    return len(at) + 1


@njit(cache=True)
def weights_now(*arrays: Any) -> None:
    """Set `plan.weights` to what they are now; `arrays` are those of the `Book` and the `Plan`."""
    weigh(Book(*arrays[0]), Plan(*arrays[1]))


@njit(cache=True, _nrt=False)
def held_bins(coins: FloatArray, row: IntArray, bins: IntArray, out: FloatArray) -> None:
    """Set what each class holds in `bins[i, 0]:bins[i, 1]` of side `row[i]`, (n, classes)."""
    for i in range(len(bins)):
        for j in range(coins.shape[1]):
            total = 0.0
            for k in range(bins[i, 0], bins[i, 1]):
                total += coins[row[i], j, k]
            out[i, j] = total
