"""The market's engine: positions folded over one price path.

Sides are indexed 0 (longs) and 1 (shorts). Positions are whole lots, so every account closes
exactly. No random number is drawn here: a `Script` holds them all, and the same script gives the
same market. A move finds what it liquidates by walking the lists of the bins that it crosses; a
position due to leave is found in a calendar; nothing ever scans all positions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.margin_kernels import liquidation_price_kernel
from liqbt.simulate.layout import EXITED, LIQUIDATED, Book, Record, Rules, Script, Structured
from liqbt.types import FloatArray, IntArray

__all__ = ["autoregression", "run"]


@njit(cache=True)
def autoregression(shocks: FloatArray, start: float, keep: float, scale: float) -> FloatArray:
    """Return x with x[0] = start and x[i + 1] = keep · x[i] + scale · shocks[i], n + 1 values."""
    out = np.empty(shocks.size + 1)
    out[0] = start
    for i in range(shocks.size):
        out[i + 1] = keep * out[i] + scale * shocks[i]
    return out


@njit(cache=True)
def _allowed(bracket: int, notional: float, rules: Rules) -> int:
    """Lower the bracket until the venue's maximum leverage at this notional permits it."""
    tier = 0
    while tier < rules.tier_cap.size - 1 and notional >= rules.tier_cap[tier]:
        tier += 1
    while bracket > 0 and rules.leverages[bracket] > rules.tier_leverage[tier]:
        bracket -= 1
    return bracket


@njit(cache=True)
def _trigger(entry: float, bracket: int, side: int, coins: float, rules: Rules) -> float:
    """Return the project's own liquidation price of a position; none where it is not levered."""
    if rules.leverages[bracket] <= 1.0:
        return 0.0 if side == 0 else np.inf
    return float(
        liquidation_price_kernel(
            entry,
            rules.leverages[bracket],
            side == 0,
            coins,
            rules.tier_floor,
            rules.tier_cap,
            rules.tier_rate,
            rules.tier_amount,
        )
    )


@njit(cache=True)
def _bin(price: float, anchor: float, bin_step: float, half_bins: int) -> int:
    """Return the grid's index of `price`; beyond the grid, its last bin on that side."""
    if price <= 0.0:
        return 0
    if price == np.inf:
        return 2 * half_bins
    at = math.floor(math.log(price / anchor) / bin_step) + half_bins
    return min(max(at, 0), 2 * half_bins)


@njit(cache=True)
def _crossed(side: int, price: float, trigger: float) -> bool:
    """Tell whether a long's trigger is at or above `price`, or a short's at or below."""
    return price <= trigger if side == 0 else price >= trigger


@njit(cache=True)
def _schedule(book: Book, i: int, due: int) -> None:
    """Append position `i` to the calendar's list of step `due`."""
    side = book.place[i].side
    book.place[i].due_next = -1
    if book.due[side, due].head < 0:
        book.due[side, due].head = i
    else:
        book.place[book.due[side, due].tail].due_next = i
    book.due[side, due].tail = i
    book.side[side].ready = min(book.side[side].ready, due)


@njit(cache=True)
def _due_step(clock_h: FloatArray, step: int, wait_h: float) -> int:
    """Return the first later step by whose end `wait_h` have run on the exits' clock."""
    due = int(np.searchsorted(clock_h, clock_h[step + 1] + wait_h)) - 1
    return min(max(due, step + 1), clock_h.size - 1)


@njit(cache=True)
def _open(
    book: Book,
    clock_h: FloatArray,
    rules: Rules,
    side: int,
    newcomer: Any,
    lots: int,
    price: float,
    index: int,
) -> None:
    """Open one position and enter it into its bin and the calendar."""
    i = book.side[0].count
    book.side[0].count = i + 1
    coins = lots * rules.lot_coins
    bracket = _allowed(newcomer.bracket, coins * price, rules)
    trigger = _trigger(price, bracket, side, coins, rules)
    at = _bin(trigger, rules.anchor, rules.bin_step, rules.half_bins)
    p = book.place[i]
    p.side, p.bracket, p.fate, p.waited = side, bracket, 0, 0
    p.lots, p.left = lots, lots
    p.entry, p.trigger, p.life_h = price, trigger, newcomer.life * rules.life_h
    p.opened, p.closed, p.at = index, -1, at
    p.bin_next = book.bins[side, at].head
    book.bins[side, at].head = i
    book.bins[side, at].lots += lots
    s = book.side[side]
    s.total += lots
    if side == 0:
        s.near_bin, s.near_price = max(s.near_bin, at), max(s.near_price, trigger)
    else:
        s.near_bin, s.near_price = min(s.near_bin, at), min(s.near_price, trigger)
    _schedule(book, i, _due_step(clock_h, max(index - 1, 0) // rules.substeps, p.life_h))


@njit(cache=True)
def _close(book: Book, i: int, lots: int, fate: int, index: int) -> None:
    """Take `lots` off position `i`; the last of them seals its fate."""
    p = book.place[i]
    p.left -= lots
    book.side[p.side].total -= lots
    book.bins[p.side, p.at].lots -= lots
    if p.left == 0:
        p.fate, p.closed = fate, index


@njit(cache=True)
def _sweep_bin(book: Book, record: Record, side: int, at: int, price: float, index: int) -> int:
    """Liquidate what `price` has crossed in one bin, forget what has left, keep the rest."""
    forced = 0
    i = book.bins[side, at].head
    book.bins[side, at].head = -1
    while i >= 0:
        p = book.place[i]
        following = p.bin_next
        if p.left > 0 and _crossed(side, price, p.trigger):
            lots = p.left
            n = record.forced_count[0]
            record.forced[n, 0], record.forced[n, 1], record.forced[n, 2] = i, index, lots
            record.forced_count[0] = n + 1
            forced += lots
            _close(book, i, lots, LIQUIDATED, index)
        elif p.left > 0:
            p.bin_next = book.bins[side, at].head
            book.bins[side, at].head = i
        i = following
    return forced


@njit(cache=True)
def _renew_near(book: Book, side: int) -> None:
    """Find the position that is now liquidated first, walking outward from where it was."""
    outward = -1 if side == 0 else 1
    last = book.bins.shape[1] - 1
    at = book.side[side].near_bin
    while 0 <= at <= last:
        best, found = 0.0, False
        i = book.bins[side, at].head
        while i >= 0:
            p = book.place[i]
            if p.left > 0 and (not found or (p.trigger - best) * outward < 0):
                best, found = p.trigger, True
            i = p.bin_next
        if found:
            book.side[side].near_bin, book.side[side].near_price = at, best
            return
        book.bins[side, at].head = -1
        at += outward
    book.side[side].near_bin = 0 if side == 0 else last
    book.side[side].near_price = -np.inf if side == 0 else np.inf


@njit(cache=True)
def _sweep(book: Book, record: Record, reached: int, side: int, price: float, index: int) -> int:
    """Liquidate every position of `side` that `price`, in bin `reached`, has crossed."""
    forced = 0
    last = book.bins.shape[1] - 1
    near = book.side[side].near_bin
    if side == 0:
        # one bin further: the last bits of two logarithms may disagree at an edge
        for at in range(near, max(reached - 1, 0) - 1, -1):
            forced += _sweep_bin(book, record, side, at, price, index)
    else:
        for at in range(near, min(reached + 1, last) + 1):
            forced += _sweep_bin(book, record, side, at, price, index)
    _renew_near(book, side)
    return forced


@njit(cache=True)
def _bring_forward(book: Book, side: int, lots: int, index: int) -> None:
    """Let the positions of `side` that are due soonest leave early, `lots` in all."""
    step = book.side[side].ready
    while lots > 0:
        i = book.due[side, step].head
        if i < 0:
            step += 1
            continue
        taken = min(book.place[i].left, lots)
        if taken > 0:
            _close(book, i, taken, EXITED, index)
            lots -= taken
        if book.place[i].left == 0:
            book.due[side, step].head = book.place[i].due_next
    book.side[side].ready = step


@njit(cache=True)
def _leave(
    book: Book, clock_h: FloatArray, wait: float, side: int, step: int, price: float, index: int
) -> int:
    """Close what is due in `step`; a losing position waits once more. Return the lots."""
    gone = 0
    i = book.due[side, step].head
    book.due[side, step].head = -1
    book.side[side].ready = max(book.side[side].ready, step + 1)
    while i >= 0:
        p = book.place[i]
        following = p.due_next
        loses = price < p.entry if side == 0 else price > p.entry
        if p.left > 0 and loses and p.waited == 0 and wait > 0.0:
            p.waited = 1
            _schedule(book, i, _due_step(clock_h, step, wait * p.life_h))
        elif p.left > 0:
            gone += p.left
            _close(book, i, p.left, EXITED, index)
        i = following
    return gone


@njit(cache=True)
def _smoothed(bins: Structured, side: int, at: int) -> int:
    """Return sixteen times the 7-bin triangular mean of the lots about bin `at`."""
    out = 0
    for k in range(-3, 4):
        if 0 <= at + k < bins.shape[1]:
            out += (4 - abs(k)) * bins[side, at + k].lots
    return out


@njit(cache=True)
def _direction(bins: Structured, reach: int, mark_bin: int) -> int:
    """Return the side of the densest bin within reach: -1 below, 1 above, 0 where neither wins."""
    below, above = 0, 0
    for k in range(1, reach + 1):
        below = max(below, _smoothed(bins, 0, mark_bin - k))
        above = max(above, _smoothed(bins, 1, mark_bin + k))
    return int(above > below) - int(below > above)


@njit(cache=True)
def _open_pairs(
    book: Book, flow: IntArray, script: Script, rules: Rules, sub: int, price: float
) -> None:
    """Open the pairs that come in this substep: one long and one short of equal size each."""
    for j in range(script.pair_from[sub], script.pair_from[sub + 1]):
        held = max(book.side[0].total, 1)
        chance = (rules.level_lots / held) ** rules.pull_power / rules.oversample
        if script.pair_keep[j] >= chance:
            continue
        lots = script.pair_lots[j]
        for side in range(2):
            newcomer = script.pair[j, side]
            _open(book, script.clock_h, rules, side, newcomer, lots, price, sub + 1)
            flow[sub // rules.substeps, side, 0] += lots


@njit(cache=True)
def _first_pairs(book: Book, script: Script, rules: Rules, price: float) -> None:
    """Open the pairs that stand when the warm-up begins, at entries about the price."""
    for j in range(script.first_offset.size):
        entry = price * math.exp(script.first_offset[j])
        lots = script.pair_lots[j]
        coins = lots * rules.lot_coins
        for side in range(2):
            bracket = _allowed(script.pair[j, side].bracket, coins * entry, rules)
            if _crossed(side, price, _trigger(entry, bracket, side, coins, rules)):
                entry = price
        for side in range(2):
            _open(book, script.clock_h, rules, side, script.pair[j, side], lots, entry, 0)


@njit(cache=True)
def _liquidate(book: Book, record: Record, rules: Rules, side: int, sub: int, price: float) -> None:
    """Liquidate one side; the other takes what was forced by leaving early."""
    step = sub // rules.substeps
    reached = _bin(price, rules.anchor, rules.bin_step, rules.half_bins)
    forced = _sweep(book, record, reached, side, price, sub + 1)
    _bring_forward(book, 1 - side, forced, sub + 1)
    record.flow[step, side, 2] += forced
    record.flow[step, 1 - side, 1] += forced


@njit(cache=True)
def _end_step(
    book: Book, record: Record, script: Script, rules: Rules, step: int, price: float
) -> None:
    """Close what is due; what one side leaves beyond the other, a newcomer takes over."""
    index = (step + 1) * rules.substeps
    gone_long = _leave(book, script.clock_h, rules.loser_wait, 0, step, price, index)
    gone_short = _leave(book, script.clock_h, rules.loser_wait, 1, step, price, index)
    record.flow[step, 0, 1] += gone_long
    record.flow[step, 1, 1] += gone_short
    excess = abs(gone_long - gone_short)
    if excess > 0:
        side = 0 if gone_long > gone_short else 1
        _open(book, script.clock_h, rules, side, script.churn[step], excess, price, index)
        record.flow[step, side, 0] += excess
    record.open_interest[step] = book.side[0].total


@njit(cache=True)
def _snapshot(
    bins: Structured,
    row: npt.NDArray[np.float32],
    edges: IntArray,
    usd_per_lot: FloatArray,
    mark_bin: int,
) -> None:
    """Write the true notional by liquidation price, outward from the mark's bin."""
    last = bins.shape[1] - 1
    for side in range(2):
        for j in range(edges.size - 1):
            usd = 0.0
            for out in range(edges[j], edges[j + 1]):
                at = mark_bin - 1 - out if side == 0 else mark_bin + 1 + out
                if 0 <= at <= last:
                    usd += bins[side, at].lots * usd_per_lot[at]
            row[side, j] = usd


@njit(cache=True)
def _bin_values(rules: Rules) -> FloatArray:
    """Return the USD that a lot is worth at each bin's centre."""
    out = np.empty(2 * rules.half_bins + 1)
    for at in range(out.size):
        centre = (at - rules.half_bins + 0.5) * rules.bin_step
        out[at] = rules.lot_coins * rules.anchor * math.exp(centre)
    return out


@njit(cache=True)
def run(
    script: Script, rules: Rules, book: Book, record: Record, edges: IntArray, snapshot_steps: int
) -> int:
    """Run the market over its path, filling `book` and `record`.

    Parameters
    ----------
    script, rules : Script, Rules
        What chance decided, and what is fixed.
    book, record : Book, Record
        Empty accounts, large enough; filled in place.
    edges : ndarray of int64, shape (m + 1,)
        Edges of a truth row, in bins outward from the mark's own.
    snapshot_steps : int
        A truth row is written at the warm-up's end and every so many steps after it.

    Returns
    -------
    int
        -1, or the path index at which the price left the grid.
    """
    limit = rules.half_bins * rules.bin_step
    usd_per_lot = _bin_values(rules)
    x, price = script.start, rules.anchor * math.exp(script.start)
    record.price[0] = price
    _first_pairs(book, script, rules, price)
    for step in range(script.pull.size):
        mark_bin = _bin(price, rules.anchor, rules.bin_step, rules.half_bins)
        since = step - rules.warmup_steps
        if since >= 0 and since % snapshot_steps == 0:
            row = record.snapshot[since // snapshot_steps]
            _snapshot(book.bins, row, edges, usd_per_lot, mark_bin)
        pull = 0.0
        if script.pull[step] > 0.0:
            pull = _direction(book.bins, rules.reach_bins, mark_bin) * script.pull[step]
        record.displaced[step] = pull * rules.substeps
        for sub in range(step * rules.substeps, (step + 1) * rules.substeps):
            x = x + script.noise[sub] + pull
            if sub + 1 == rules.warmup_steps * rules.substeps:
                x = 0.0
            if abs(x) >= limit:
                return sub + 1
            price = rules.anchor * math.exp(x)
            record.price[sub + 1] = price
            for side in range(2):
                if _crossed(side, price, book.side[side].near_price):
                    _liquidate(book, record, rules, side, sub, price)
            if script.pair_from[sub + 1] > script.pair_from[sub]:
                _open_pairs(book, record.flow, script, rules, sub, price)
        _end_step(book, record, script, rules, step, price)
    return -1
