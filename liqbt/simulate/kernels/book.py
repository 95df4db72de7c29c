"""The accounts: positions in their lists, and every unit of money in its place.

Sides are indexed 0 (longs) and 1 (shorts). Positions are whole lots, prices whole ticks and money
whole units, so every account closes exactly. A position is found by the bin of the price at which
it is looked at, and by the step in which it is due; nothing ever scans all positions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from liqbt.margin.kernels import liquidation_price_kernel
from liqbt.simulate.layout import BACKED, CROSS, INNER, Book
from liqbt.types import FloatArray


@njit(**INNER)
def ticks_of(x: float, r: Any) -> int:
    """Return the price in ticks at log price `x` (0 at the anchor)."""
    return int(max(math.floor(r.anchor_ticks * math.exp(x) + 0.5), 1))


@njit(**INNER)
def usd_of(ticks: int, r: Any) -> float:
    """Return a price in USD; one of the two factors is 1, so that it is the nearest float."""
    return float(ticks * r.tick_up / r.tick_down)


@njit(**INNER)
def ns_of(index: int, r: Any) -> int:
    """Return the time of a path index, ns UTC."""
    return int(r.start_ns + (index - r.warmup_steps * r.substeps) * r.index_ns)


@njit(**INNER)
def bin_of(price: float, r: Any) -> int:
    """Return the grid's index of `price` (beyond the grid its last bin there), -1 for no price."""
    if price <= 0.0 or price == math.inf:
        return -1
    at = math.floor(math.log(price / r.anchor) / r.bin_step) + r.half_bins
    return int(min(max(at, 0), 2 * r.half_bins))


@njit(**INNER)
def crossed(side: int, price: float, trigger: float) -> bool:
    """Tell whether a long's trigger is at or above `price`, or a short's at or below."""
    return price <= trigger if side == 0 else price >= trigger


@njit(**INNER, inline="always")
def liquidation_price(
    book: Book, entry: int, margin: int, side: int, lots: int, kind: int
) -> float:
    """Return the project's own liquidation price; 0 (a long) or infinity where there is none."""
    r = book.fixed[0]
    if kind == BACKED:
        return 0.0 if side == 0 else math.inf
    leverage = lots * entry / margin if margin != 0 else math.inf
    return float(
        liquidation_price_kernel(
            usd_of(entry, r),
            leverage,
            side == 0,
            lots * r.lot_coins,
            book.tiers[0],
            book.tiers[1],
            book.tiers[2],
            book.tiers[3],
        )
    )


@njit(**INNER, inline="always")
def _link(book: Book, i: int) -> None:
    """Enter position `i` into the map and into the list of the bin where it is looked at."""
    r = book.fixed[0]
    p = book.place[i]
    side = p.side
    p.at = bin_of(p.trigger, r)
    if p.at >= 0:
        book.bins[side, p.at].lots += p.left
    p.hit = p.trigger
    if p.stopping:
        p.hit = max(p.trigger, p.stop) if side == 0 else min(p.trigger, p.stop)
    p.hold = bin_of(p.hit, r) if p.stopping else p.at
    p.bin_prev = -1
    p.bin_next = -1
    if p.hold < 0:
        return
    head = book.bins[side, p.hold].head
    p.bin_next = head
    if head >= 0:
        book.place[head].bin_prev = i
    book.bins[side, p.hold].head = i
    s = book.side[side]
    if side == 0:
        s.near_bin, s.near_price = max(s.near_bin, p.hold), max(s.near_price, p.hit)
    else:
        s.near_bin, s.near_price = min(s.near_bin, p.hold), min(s.near_price, p.hit)


@njit(**INNER, inline="always")
def _unlink(book: Book, i: int) -> None:
    """Take position `i` out of the map and out of its list."""
    p = book.place[i]
    if p.at >= 0:
        book.bins[p.side, p.at].lots -= p.left
    if p.hold < 0:
        return
    if p.bin_prev >= 0:
        book.place[p.bin_prev].bin_next = p.bin_next
    else:
        book.bins[p.side, p.hold].head = p.bin_next
    if p.bin_next >= 0:
        book.place[p.bin_next].bin_prev = p.bin_prev


@njit(**INNER, inline="always")
def schedule(book: Book, i: int, due: int) -> None:
    """Append position `i` to the calendar's list of step `due`."""
    p = book.place[i]
    side = p.side
    tail = np.int64(book.due[side, due].tail)
    p.due, p.due_next, p.due_prev = due, -1, tail
    if tail >= 0:
        book.place[tail].due_next = i
    else:
        book.due[side, due].head = i
    book.due[side, due].tail = i
    book.side[side].ready = min(book.side[side].ready, due)


@njit(**INNER, inline="always")
def unschedule(book: Book, i: int) -> None:
    """Take position `i` out of the calendar."""
    p = book.place[i]
    if p.due_prev >= 0:
        book.place[p.due_prev].due_next = p.due_next
    else:
        book.due[p.side, p.due].head = p.due_next
    if p.due_next >= 0:
        book.place[p.due_next].due_prev = p.due_prev
    else:
        book.due[p.side, p.due].tail = p.due_prev


@njit(**INNER, inline="always")
def due_step(book: Book, clock_h: FloatArray, step: int, wait_h: float) -> int:
    """Return the first later step, of those in which exits are made, by whose end `wait_h` ran."""
    r = book.fixed[0]
    steps = clock_h.size - 1
    until = clock_h[step + 1] + wait_h
    low, high = step + 1, steps
    while low < high:
        middle = (low + high) // 2
        if clock_h[middle + 1] >= until:
            high = middle
        else:
            low = middle + 1
    every = r.exit_steps
    return int(min(((low + every) // every) * every - 1, steps))


@njit(**INNER)
def open_position(
    book: Book,
    clock_h: FloatArray,
    side: int,
    lots: int,
    ticks: int,
    index: int,
    fee_rate: float,
) -> None:
    """Open the position whose terms are in `book.desk`, and move its margin and fee."""
    r = book.fixed[0]
    i = book.desk[0].free
    if i >= 0:
        book.desk[0].free = book.place[i].bin_next
    else:
        i = book.desk[0].top
        book.desk[0].top = i + 1
    d, p = book.desk[0], book.place[i]
    value = lots * ticks
    p.side, p.kind, p.waited, p.cool, p.slot = side, d.d_kind, 0, 0, -1
    p.number, p.left, p.forced, p.entry = book.desk[0].n_positions, lots, 0, ticks
    p.margin, p.stop, p.stopping, p.life_h = d.d_margin, d.d_stop, d.d_stopping, d.d_life_h
    p.trigger = liquidation_price(book, ticks, p.margin, side, lots, p.kind)
    book.desk[0].n_positions += 1
    fee = math.floor(fee_rate * value + 0.5)
    book.desk[0].outside -= p.margin + fee
    book.desk[0].margins += p.margin
    book.desk[0].fees += fee
    book.side[side].total += lots
    book.side[side].basis += value
    _link(book, i)
    schedule(book, i, due_step(book, clock_h, max(index - 1, 0) // r.substeps, p.life_h))
    if p.kind == CROSS:
        p.slot = book.desk[0].crosses
        book.place[p.slot].member = i
        book.desk[0].crosses += 1
    _write_in(book, i, d.d_leverage, index)


@njit(**INNER, inline="always")
def _write_in(book: Book, i: int, leverage: float, index: int) -> None:
    """Write what is known of a position when it is opened."""
    r = book.fixed[0]
    p = book.place[i]
    w = book.positions[p.number]
    w.side, w.margin, w.fate = 1 - 2 * p.side, p.kind, 0
    w.leverage = leverage
    w.size_coins = p.left * r.lot_coins
    w.entry_price = usd_of(p.entry, r)
    w.first_liquidation_price = p.trigger
    w.stop_price = p.stop if p.stopping else (0.0 if p.side == 0 else math.inf)
    w.opened_ns, w.closed_ns = ns_of(index, r), -1


@njit(**INNER, inline="always")
def write_out(book: Book, i: int) -> None:
    """Write what has become of a position so far."""
    r = book.fixed[0]
    p = book.place[i]
    w = book.positions[p.number]
    w.open_coins = p.left * r.lot_coins
    w.liquidated_coins = p.forced * r.lot_coins
    w.liquidation_price = p.trigger


@njit(**INNER)
def close_lots(book: Book, i: int, lots: int, index: int, fate: int) -> None:
    """Take `lots` off position `i`; the last of them seals its fate. Money is the caller's."""
    r = book.fixed[0]
    p = book.place[i]
    s = book.side[p.side]
    s.total -= lots
    s.basis -= lots * p.entry
    if lots < p.left:
        if p.at >= 0:
            book.bins[p.side, p.at].lots -= lots
        p.left -= lots
        return
    _unlink(book, i)
    unschedule(book, i)
    p.left = 0
    if p.kind == CROSS:
        book.desk[0].crosses -= 1
        last = book.place[book.desk[0].crosses].member
        book.place[p.slot].member = last
        book.place[last].slot = p.slot
    write_out(book, i)
    w = book.positions[p.number]
    w.fate, w.closed_ns = fate, ns_of(index, r)
    p.bin_next = book.desk[0].free
    book.desk[0].free = i


@njit(**INNER, inline="always")
def _relink(book: Book, i: int, price: float) -> None:
    """Move position `i` to a new trigger; one that stays in its bin comes to its list's head."""
    r = book.fixed[0]
    p = book.place[i]
    if p.stopping or p.at < 0 or bin_of(price, r) != p.at:
        _unlink(book, i)
        p.trigger = price
        _link(book, i)
        return
    p.trigger, p.hit = price, price
    s, head = book.side[p.side], book.bins[p.side, p.at].head
    if head != i:
        book.place[p.bin_prev].bin_next = p.bin_next
        if p.bin_next >= 0:
            book.place[p.bin_next].bin_prev = p.bin_prev
        book.place[head].bin_prev = i
        p.bin_prev, p.bin_next = -1, head
        book.bins[p.side, p.at].head = i
    if p.side == 0:
        s.near_bin, s.near_price = max(s.near_bin, p.at), max(s.near_price, price)
    else:
        s.near_bin, s.near_price = min(s.near_bin, p.at), min(s.near_price, price)


@njit(**INNER, inline="always")
def renew_trigger(book: Book, i: int, index: int, reason: int) -> None:
    """Find the liquidation price anew; write a change of a tick or more down if it has a reason."""
    r = book.fixed[0]
    p = book.place[i]
    price, before = liquidation_price(book, p.entry, p.margin, p.side, p.left, p.kind), p.trigger
    _relink(book, i, price)
    if reason > 0 and price != before and not abs(price - before) < usd_of(1, r):
        c = book.changes[book.desk[0].n_changes]
        book.desk[0].n_changes += 1
        c.ts_ns, c.position, c.reason = ns_of(index, r), p.number, reason
        c.margin_usd = p.margin * r.lot_coins * usd_of(1, r)
        c.open_coins, c.liquidation_price = p.left * r.lot_coins, price
