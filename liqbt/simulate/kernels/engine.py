"""The market's engine: one loop over one price path.

No random number is drawn here: a `Script` holds them all, and the same script gives the same
market. Without a planted mechanism the path is the script's alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.simulate.kernels.book import bin_of, crossed, ns_of, ticks_of, usd_of, write_out
from liqbt.simulate.kernels.entries import first_pairs, open_pairs, take_over
from liqbt.simulate.kernels.flows import fund, leave, settle_side, transfer
from liqbt.simulate.kernels.forces import (
    crowd_of,
    displace,
    end_hour,
    look,
    make_walls,
    remember_flow,
    survey,
)
from liqbt.simulate.layout import INNER, OUTER, Arrivals, Book, Record, Script, Structured
from liqbt.types import FloatArray, IntArray

RUNAWAY = 0.25
"""No mechanism may move the log price by more in one substep."""


@njit(**INNER)
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
def bin_values(r: Any) -> FloatArray:
    """Return the USD that a lot is worth at each bin's centre."""
    out = np.empty(2 * r.half_bins + 1)
    for at in range(out.size):
        centre = (at - r.half_bins + 0.5) * r.bin_step
        out[at] = r.lot_coins * r.anchor * math.exp(centre)
    return out


@njit(**INNER)
def _write_flow(steps: Structured, step: int, side: int, forced: int, stopped: int) -> None:
    """Write down what was forced and stopped out of one side; the other left for it."""
    s = steps[step]
    if side == 0:
        s.liquidated_long += forced
        s.stopped_long += stopped
        s.left_long += stopped
        s.left_short += forced + stopped
        s.taker_sold += forced + stopped
    else:
        s.liquidated_short += forced
        s.stopped_short += stopped
        s.left_short += stopped
        s.left_long += forced + stopped
        s.taker_bought += forced + stopped


@njit(**INNER)
def _settle(book: Book, steps: Structured, price: float, ticks: int, sub: int) -> None:
    """Settle both sides at one point of the path."""
    r = book.fixed[0]
    step = sub // r.substeps
    forced, stopped = (0, 0), (0, 0)
    for side in range(2):
        if not crossed(side, price, book.side[side].near_price):
            continue
        forced_lots, stopped_lots = settle_side(book, side, price, ticks, sub + 1)
        _write_flow(steps, step, side, forced_lots, stopped_lots)
        book.desk[0].forced_lots += forced_lots
        if side == 0:
            forced, stopped = (forced_lots, 0), (stopped_lots, 0)
        else:
            forced, stopped = (forced[0], forced_lots), (stopped[0], stopped_lots)
    if r.moves and step >= r.warmup_steps:
        remember_flow(book, forced, stopped, step)


@njit(**INNER)
def _begin_step(
    book: Book,
    record: Record,
    draw: npt.NDArray[np.float32],
    sigma: float,
    step: int,
    x: float,
    price: float,
) -> None:
    """Look at the market before a step."""
    r = book.fixed[0]
    if r.maps or (r.funding_steps > 0 and (step + 1) % r.funding_steps == 0):
        survey(book, bin_of(price, r))
    if r.placement > 0.0:
        book.desk[0].crowd = crowd_of(book, price)
    if r.moves and step >= r.warmup_steps:
        look(book, record.moved, sigma, step)
        if r.walls > 0.0 and step % r.hour_steps == 0:
            make_walls(book, record.walls, draw, step, x)
    book.desk[0].forced_lots = 0


@njit(**INNER)
def _exits(book: Book, steps: Structured, arrivals: Arrivals, step: int, ticks: int) -> None:
    """Close what is due; what one side leaves beyond the other, a newcomer takes over."""
    r = book.fixed[0]
    long, short = np.int64(0), np.int64(1)
    gone_long = leave(book, arrivals.clock_h, long, step, ticks)
    gone_short = leave(book, arrivals.clock_h, short, step, ticks)
    steps[step].left_long += gone_long
    steps[step].left_short += gone_short
    net = take_over(book, steps, arrivals, step, ticks, gone_long, gone_short)
    if r.impact > 0.0 and step >= r.warmup_steps:
        book.desk[0].impact += r.impact * net / r.level_lots


@njit(**INNER)
def _count(book: Book, steps: Structured, step: int, ticks: int) -> None:
    """Write down what is open, and where the money is."""
    r = book.fixed[0]
    s, desk = steps[step], book.desk[0]
    s.end_ns, s.open_interest = ns_of((step + 1) * r.substeps, r), book.side[0].total
    s.wallets, s.margins, s.fees, s.insurance = (
        desk.outside,
        desk.margins,
        desk.fees,
        desk.insurance,
    )
    s.unrealised = (book.side[0].total - book.side[1].total) * ticks
    s.unrealised += book.side[1].basis - book.side[0].basis


@njit(**INNER)
def _end_step(
    book: Book, record: Record, script: Script, step: int, price: float, ticks: int
) -> None:
    """Let the calendar act: exits, funding, transfers, swings."""
    r = book.fixed[0]
    if (step + 1) % r.exit_steps == 0:
        _exits(book, record.steps, script.arrivals, step, ticks)
    if r.funding_steps > 0 and (step + 1) % r.funding_steps == 0:
        noise = script.premium[(step + 1) // r.funding_steps - 1]
        fund(book, record.funding, noise, ticks, (step + 1) * r.substeps)
    if script.transfers.size > 0:
        transfer(book, script.transfer_from, script.transfers, step)
    if r.placement > 0.0 and (step + 1) % r.hour_steps == 0:
        end_hour(book, record.hours, record.swings, step, price)
    _count(book, record.steps, step, ticks)


@njit(**INNER)
def _substeps(
    book: Book, record: Record, script: Script, step: int, scale: float, start: float
) -> float:
    """Move the price through one step and settle what it reaches.

    Returns
    -------
    float
        The log price at the step's end, or NaN where it ran away, at `book.desk.stopped_at`.
    """
    r = book.fixed[0]
    x, limit = start, r.half_bins * r.bin_step
    acting = r.moves and step >= r.warmup_steps
    noises, path, pair_from = script.noise, record.price, script.arrivals.pair_from
    for sub in range(step * r.substeps, (step + 1) * r.substeps):
        noise, move = noises[sub + 1] * scale, 0.0
        if acting:
            move = displace(book, record, script.jumps, x, noise, sub)
        x += noise + move
        if sub + 1 == r.warmup_steps * r.substeps:
            x = 0.0
        # a jump is as large as it was drawn, wherever it leans: it is not the market's own doing
        drawn = record.lean[sub] if acting and r.direction > 0.0 else 0.0
        if not (abs(move - drawn) <= RUNAWAY and abs(x) < limit):  # nor is NaN a price
            book.desk[0].stopped_at = sub + 1
            return math.nan
        ticks = ticks_of(x, r)
        price = usd_of(ticks, r)
        path[sub + 1] = price
        if r.placement > 0.0:
            book.desk[0].low = min(book.desk[0].low, price)
            book.desk[0].high = max(book.desk[0].high, price)
        near_long, near_short = book.side[0].near_price, book.side[1].near_price
        if acting or price <= near_long or price >= near_short:
            _settle(book, record.steps, price, ticks, sub)
        if pair_from[sub + 1] > pair_from[sub]:
            net = open_pairs(book, record.steps, script.arrivals, sub, ticks)
            if acting:
                book.desk[0].impact += r.impact * net / r.level_lots
    return x


@njit(**INNER)
def _start(book: Book, record: Record, script: Script) -> None:
    """Endow the insurance fund and open the pairs that stand when the warm-up begins."""
    r = book.fixed[0]
    ticks = ticks_of(script.start, r)
    price = usd_of(ticks, r)
    record.price[0] = price
    desk = book.desk[0]
    desk.low, desk.high = price, price
    desk.outside, desk.insurance = -r.insurance, r.insurance
    first_pairs(book, script.arrivals, ticks)


@njit(**INNER)
def _publish(book: Book) -> None:
    """Mark where the warm-up ends."""
    desk = book.desk[0]
    desk.warm_forced, desk.open_at_start = desk.n_forced, book.side[0].total
    for side in range(2):
        book.side[side].now, book.side[side].now_lots = -1, 0


@njit(**OUTER)
def run(
    script: Script,
    book: Book,
    record: Record,
    edges: IntArray,
    usd_per_lot: FloatArray,
    snapshot_steps: int,
) -> int:
    """Run the market over its path, filling `book` and `record`.

    Parameters
    ----------
    script : Script
        What chance decided. The path is written in place of its `noise`, and its `sigma` is scaled
        in place where open interest moves volatility: a script can be played once.
    book, record : Book, Record
        Empty accounts, large enough; filled in place.
    edges : ndarray of int64, shape (m + 1,)
        Edges of a truth row, in bins outward from the mark's own.
    usd_per_lot : ndarray of float64, shape (bins,)
        From `bin_values`.
    snapshot_steps : int
        A truth row is written at the warm-up's end and every so many steps after it.

    Returns
    -------
    int
        -1, or the path index at which the price left the grid or was moved too far.

    Raises
    ------
    ValueError
        If the accounts were laid out without something that the rules turn on.
    """
    r = book.fixed[0]
    made = r.placement <= 0.0 or record.hours.size > 0
    made = made and (r.direction <= 0.0 or record.lean.size > 0)
    if not (made and (r.walls <= 0.0 or script.wall_draw.size > 0)):
        raise ValueError("simulate: the accounts were laid out for other rules")
    _start(book, record, script)
    x, price, sigma = script.start, record.price[0], script.sigma
    for step in range(sigma.size):
        since = step - r.warmup_steps
        if since == 0:
            _publish(book)
        if since >= 0 and since % snapshot_steps == 0:
            row = record.snapshot[since // snapshot_steps]
            _snapshot(book.bins, row, edges, usd_per_lot, bin_of(price, r))
        scale = 1.0
        if r.oi_power != 0.0 and since >= 0:
            scale = (max(book.side[0].total, 1) / r.level_lots) ** r.oi_power
            sigma[step] *= scale
        _begin_step(book, record, script.wall_draw, sigma[step], step, x, price)
        x = _substeps(book, record, script, step, scale, x)
        if math.isnan(x):
            return int(book.desk[0].stopped_at)
        price = record.price[(step + 1) * r.substeps]
        _end_step(book, record, script, step, price, ticks_of(x, r))
    for i in range(book.desk[0].top):
        if book.place[i].left > 0:
            write_out(book, i)
    return -1
