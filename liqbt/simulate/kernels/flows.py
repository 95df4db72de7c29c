"""What happens to positions: forced orders, stops, exits, entries, funding, transfers."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from liqbt.simulate.kernels.book import (
    bin_of,
    close_lots,
    crossed,
    due_step,
    ns_of,
    renew_trigger,
    schedule,
    unschedule,
    usd_of,
)
from liqbt.simulate.layout import (
    CROSS,
    CUT,
    EXITED,
    FUNDED,
    INNER,
    LEFT_IN_PART,
    LIQUIDATED,
    STOPPED,
    TRANSFERRED,
    Book,
    Structured,
)
from liqbt.types import FloatArray, IntArray


@njit(**INNER)
def _leave_market(
    book: Book,
    i: int,
    lots: int,
    ticks: int,
    index: int,
    fate: int,
    fee_rate: float,
) -> None:
    """Close `lots` of position `i` at the price: its part of the margin and its profit go home."""
    p = book.place[i]
    part = p.margin
    if lots < p.left:
        part = math.floor(p.margin * (lots / p.left))
    profit = (1 - 2 * p.side) * lots * (ticks - p.entry)
    fee = math.floor(fee_rate * (lots * ticks) + 0.5)
    p.margin -= part
    book.desk[0].margins -= part
    book.desk[0].outside += part + profit - fee
    book.desk[0].fees += fee
    whole = lots == p.left
    close_lots(book, i, lots, index, fate)
    if not whole and book.tiers[2].size > 1:
        renew_trigger(book, i, index, LEFT_IN_PART)


@njit(**INNER)
def _lots_to_cut(book: Book, i: int, ticks: int) -> int:
    """Return how many lots are forced now: all, or a share while the margin (and paper) lasts."""
    r = book.fixed[0]
    if book.forced.size - book.desk[0].n_forced <= book.positions.size:
        return int(book.place[i].left)
    p = book.place[i]
    equity = p.margin + (1 - 2 * p.side) * p.left * (ticks - p.entry)
    if r.cut_above <= 0.0 or p.left * ticks <= r.cut_above or equity <= 0:
        return int(p.left)
    return int(min(max(math.ceil(p.left * r.cut_share), 1), p.left))


@njit(**INNER)
def _write_forced(book: Book, i: int, lots: int, price: float, index: int) -> None:
    """Write a forced order down, with the one without which it would not have happened."""
    r = book.fixed[0]
    p, flank = book.place[i], book.side[book.place[i].side]
    n = book.desk[0].n_forced
    book.desk[0].n_forced = n + 1
    f = book.forced[n]
    f.ts_ns, f.position, f.side, f.mark = ns_of(index, r), p.number, 1 - 2 * p.side, price
    f.size_coins, f.whole = lots * r.lot_coins, lots == p.left
    sign = 1 - 2 * p.side
    f.bankruptcy_price = max(p.entry - sign * p.margin / p.left, 0.0) * usd_of(1, r)
    f.parent, f.root = -1, n
    haul = book.desk[0].haul
    pushed = haul < 0.0 if p.side == 0 else haul > 0.0
    if pushed and flank.last >= 0 and not crossed(p.side, book.desk[0].free_price, p.trigger):
        f.parent, f.root = flank.last, book.forced[flank.last].root
    if flank.now < 0 or lots > flank.now_lots:
        flank.now, flank.now_lots = n, lots


@njit(**INNER)
def _force(book: Book, i: int, price: float, ticks: int, index: int) -> int:
    """Force position `i`, or a part of it; the insurance fund takes what is left. Return lots."""
    r = book.fixed[0]
    p = book.place[i]
    lots = _lots_to_cut(book, i, ticks)
    _write_forced(book, i, lots, price, index)
    profit = (1 - 2 * p.side) * lots * (ticks - p.entry)
    fee = math.floor(r.liquidation_fee * (lots * ticks) + 0.5)
    p.forced += lots
    if lots == p.left:
        rest = p.margin + profit
        fee = min(fee, max(rest, 0))
        book.desk[0].margins -= p.margin
        book.desk[0].insurance += rest - fee
        book.desk[0].fees += fee
        p.margin = 0
        close_lots(book, i, lots, index, LIQUIDATED)
        return int(lots)
    fee = min(fee, max(p.margin + profit, 0))
    p.margin += profit - fee
    book.desk[0].margins += profit - fee
    book.desk[0].fees += fee
    p.cool = index + r.cut_cool
    close_lots(book, i, lots, index, LIQUIDATED)
    renew_trigger(book, i, index, CUT)
    return int(lots)


@njit(**INNER)
def _sweep_bin(
    book: Book,
    side: int,
    at: int,
    price: float,
    ticks: int,
    index: int,
) -> tuple[int, int]:
    """Force or stop out what `price` has crossed in one bin. Return the lots of either."""
    r = book.fixed[0]
    forced, stopped = 0, 0
    i = book.bins[side, at].head
    while i >= 0:
        p = book.place[i]
        following = p.bin_next
        if crossed(side, price, p.hit) and p.cool <= index:
            if p.stopping and crossed(side, price, p.stop):
                stopped += p.left
                _leave_market(book, i, p.left, ticks, index, STOPPED, r.taker_fee)
            else:
                forced += _force(book, i, price, ticks, index)
        i = following
    return forced, stopped


@njit(**INNER)
def _renew_near(book: Book, side: int) -> None:
    """Find the position that is now reached first, walking outward from where it was."""
    outward = -1 if side == 0 else 1
    last = book.bins.shape[1] - 1
    at = book.side[side].near_bin
    while 0 <= at <= last:
        i = book.bins[side, at].head
        if i >= 0:
            best = book.place[i].hit
            while i >= 0:
                hit = book.place[i].hit
                if (hit - best) * outward < 0:
                    best = hit
                i = book.place[i].bin_next
            book.side[side].near_bin, book.side[side].near_price = at, best
            return
        at += outward
    book.side[side].near_bin = 0 if side == 0 else last
    book.side[side].near_price = -math.inf if side == 0 else math.inf


@njit(**INNER)
def _bring_forward(book: Book, side: int, lots: int, ticks: int, index: int) -> None:
    """Let the positions of `side` that are due soonest leave early, `lots` in all."""
    r = book.fixed[0]
    step = book.side[side].ready
    while lots > 0:
        i = np.int64(book.due[side, step].head)
        if i < 0:
            step += 1
            continue
        taken = min(book.place[i].left, lots)
        _leave_market(book, i, taken, ticks, index, EXITED, r.maker_fee)
        lots -= taken
    book.side[side].ready = step


@njit(**INNER)
def settle_side(book: Book, side: int, price: float, ticks: int, index: int) -> tuple[int, int]:
    """Force and stop out all of one side that the price has reached; the other makes room.

    Returns
    -------
    tuple of int
        Lots forced, and lots stopped out.
    """
    r = book.fixed[0]
    forced, stopped = 0, 0
    last = book.bins.shape[1] - 1
    reached = bin_of(price, r)
    near = book.side[side].near_bin
    if side == 0:
        # one bin further: the last bits of two logarithms may disagree at an edge
        for at in range(near, max(reached - 1, 0) - 1, -1):
            f, s = _sweep_bin(book, side, at, price, ticks, index)
            forced, stopped = forced + f, stopped + s
    else:
        for at in range(near, min(reached + 1, last) + 1):
            f, s = _sweep_bin(book, side, at, price, ticks, index)
            forced, stopped = forced + f, stopped + s
    _renew_near(book, side)
    if forced + stopped > 0:
        _bring_forward(book, 1 - side, forced + stopped, ticks, index)
    return forced, stopped


@njit(**INNER)
def leave(book: Book, clock_h: FloatArray, side: int, step: int, ticks: int) -> int:
    """Close what is due in `step`; a losing position waits once more. Return the lots."""
    r = book.fixed[0]
    gone, index = 0, (step + 1) * r.substeps
    i = np.int64(book.due[side, step].head)
    while i >= 0:
        p = book.place[i]
        loses = ticks < p.entry if side == 0 else ticks > p.entry
        if loses and p.waited == 0 and r.loser_wait > 0.0:
            p.waited = 1
            unschedule(book, i)
            schedule(book, i, due_step(book, clock_h, step, r.loser_wait * p.life_h))
        else:
            gone += p.left
            _leave_market(book, i, p.left, ticks, index, EXITED, r.taker_fee)
        i = np.int64(book.due[side, step].head)
    book.side[side].ready = max(book.side[side].ready, step + 1)
    return gone


@njit(**INNER)
def fund(book: Book, funding: Structured, noise: float, ticks: int, index: int) -> None:
    """Settle funding: cross accounts from their collateral, all others from their wallets."""
    r = book.fixed[0]
    rate = r.funding_base + r.funding_crowding * book.desk[0].asymmetry + noise
    rate = min(max(rate, -r.funding_cap), r.funding_cap)
    per_lot = math.floor(rate * ticks + 0.5)
    from_margins = 0
    for j in range(book.desk[0].crosses):
        i = book.place[j].member
        p = book.place[i]
        paid = (1 - 2 * p.side) * p.left * per_lot
        p.margin -= paid
        from_margins += paid
        renew_trigger(book, i, index, FUNDED)
    book.desk[0].margins -= from_margins
    book.desk[0].outside += from_margins
    f = funding[book.desk[0].n_fundings]
    book.desk[0].n_fundings += 1
    f.ts_ns, f.rate, f.paid_usd_per_coin = ns_of(index, r), rate, per_lot * usd_of(1, r)


@njit(**INNER)
def transfer(book: Book, transfer_from: IntArray, transfers: Structured, step: int) -> None:
    """Change the collateral of cross accounts for reasons outside this market."""
    r = book.fixed[0]
    for k in range(transfer_from[step], transfer_from[step + 1]):
        if transfers[k].account >= book.desk[0].crosses:
            continue
        i = book.place[transfers[k].account].member
        p = book.place[i]
        change = math.floor(p.margin * float(transfers[k].share) + 0.5)
        if p.kind == CROSS and p.margin + change > 0:
            p.margin += change
            book.desk[0].margins += change
            book.desk[0].outside -= change
            renew_trigger(book, i, (step + 1) * r.substeps, TRANSFERRED)
