"""How positions come: terms of newcomers, pairs, and who takes over what one side leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from liqbt.simulate.kernels.book import bin_of, crossed, liquidation_price, open_position, usd_of
from liqbt.simulate.layout import BACKED, CROSS, INNER, ISOLATED, Arrivals, Book, Structured
from liqbt.types import FloatArray

STOP_DEPTH = 0.5
"""Stops lie at the middle of the densest bin."""
BEYOND = 0.004
"""How far beyond a swing placed liquidation prices reach."""


@njit(**INNER)
def _tier_of(book: Book, notional: float) -> int:
    """Return the tier that holds a notional in USD; a notional at a cap is in the next one."""
    tier = 0
    while tier < book.tiers[1].size - 1 and notional >= book.tiers[1][tier]:
        tier += 1
    return tier


@njit(**INNER)
def _bracket(
    book: Book, edges: FloatArray, newcomer: Any, side: int, step: int, notional: float
) -> int:
    """Return the newcomer's bracket (0: backed in full), as high as its notional permits."""
    row = edges[step // book.fixed[0].hour_steps, side]
    bracket = 0
    while bracket < row.size and newcomer.mix >= row[bracket]:
        bracket += 1
    limit = book.tiers[4][_tier_of(book, notional)]
    while bracket > 0 and book.leverages[bracket] > limit:
        bracket -= 1
    return bracket


@njit(**INNER)
def _placed_leverage(book: Book, place: float, side: int, price: float, notional: float) -> float:
    """Return the leverage that puts the liquidation price just beyond the nearest swing, or 0."""
    r = book.fixed[0]
    if place >= r.placement:
        return 0.0
    beyond = BEYOND * (place / r.placement)
    rate, best, distance = book.tiers[2][0], 0.0, math.inf
    top = min(book.leverages[-1], book.tiers[4][_tier_of(book, notional)])
    for k in range(min(book.side[side].swings, book.recent.shape[1])):
        swing = book.recent[side, k]
        away = abs(math.log(price / swing))
        if side == 0:
            inverse = 1.0 - swing * (1.0 - beyond) * (1.0 - rate) / price
        else:
            inverse = swing * (1.0 + beyond) * (1.0 + rate) / price - 1.0
        ahead = swing < price if side == 0 else swing > price
        fits = 1.0 / top <= inverse <= 1.0 / book.leverages[1]
        if ahead and fits and away < distance:
            best, distance = 1.0 / inverse, away
    return best


@njit(**INNER)
def _park_stop(book: Book, stop: float, side: int, at: int) -> None:
    """Let the drafted position park a stop in the densest cluster of its side."""
    r = book.fixed[0]
    d, f = book.desk[0], book.side[side]
    d.d_stop, d.d_stopping = 0.0, 0
    if not (r.stops > 0.0 and stop < r.stop_share and f.best > 0):
        return
    if (f.bin >= at) if side == 0 else (f.bin <= at):
        return
    centre = (f.bin - r.half_bins + STOP_DEPTH) * r.bin_step
    d.d_stop, d.d_stopping = r.anchor * math.exp(centre), 1


@njit(**INNER)
def _draft(
    book: Book,
    edges: FloatArray,
    newcomer: Any,
    place: float,
    stop: float,
    side: int,
    lots: int,
    ticks: int,
    step: int,
) -> None:
    """Write the terms of a newcomer's position into `book.desk`."""
    r = book.fixed[0]
    d, price = book.desk[0], usd_of(ticks, r)
    value, notional = lots * ticks, lots * r.lot_coins * price
    bracket = _bracket(book, edges, newcomer, side, step, notional)
    d.d_life_h = float(newcomer.life) * r.life_h
    d.d_leverage, d.d_kind = book.leverages[bracket], BACKED
    share = 1.0 / d.d_leverage
    if bracket > 0:
        d.d_kind = ISOLATED
        placed = 0.0
        if r.placement > 0.0:
            placed = _placed_leverage(book, place, side, price, notional)
        if placed > 0.0:
            d.d_leverage, share = placed, 1.0 / placed
        elif newcomer.cross < r.cross_share:
            d.d_kind = CROSS
            extra = -math.log1p(-float(newcomer.cross) / r.cross_share)
            share *= 1.0 + extra * r.cross_extra
    d.d_margin = math.floor(value * share + 0.5)
    _park_stop(book, stop, side, bin_of(price, r))
    if not d.d_stopping:
        return
    trigger = liquidation_price(book, ticks, d.d_margin, side, lots, d.d_kind)
    if (d.d_stop <= trigger) if side == 0 else (d.d_stop >= trigger):
        d.d_stop, d.d_stopping = 0.0, 0


@njit(**INNER)
def open_pairs(book: Book, steps: Structured, arrivals: Arrivals, sub: int, ticks: int) -> int:
    """Open the pairs that come in this substep: one long and one short of equal size each.

    Returns
    -------
    int
        Lots that initiators bought, less those that they sold.
    """
    r = book.fixed[0]
    step, net = sub // r.substeps, 0
    s = steps[step]
    for j in range(arrivals.pair_from[sub], arrivals.pair_from[sub + 1]):
        held = max(book.side[0].total, 1)
        chance = (r.level_lots / held) ** r.pull_power / r.oversample
        if arrivals.pairs[j].keep >= chance * book.desk[0].crowd:
            continue
        lots, buys = arrivals.pairs[j].lots, arrivals.pairs[j].buys != 0
        for side in range(2):
            taker = buys if side == 0 else not buys
            fee = r.taker_fee if taker else r.maker_fee
            newcomer, whim = arrivals.newcomers[j, side], arrivals.whims[j, side]
            place, stop = float(whim.place), float(whim.stop)
            _draft(book, arrivals.edges, newcomer, place, stop, side, lots, ticks, step)
            open_position(book, arrivals.clock_h, side, lots, ticks, sub + 1, fee)
        s.opened_long += lots
        s.opened_short += lots
        if buys:
            s.taker_bought += lots
            net += lots
        else:
            s.taker_sold += lots
            net -= lots
    return net


@njit(**INNER)
def first_pairs(book: Book, arrivals: Arrivals, ticks: int) -> None:
    """Open the pairs that stand when the warm-up begins, at entries about the price."""
    r = book.fixed[0]
    price, zero = usd_of(ticks, r), np.int64(0)
    for j in range(arrivals.first_offset.size):
        entry = max(math.floor(ticks * math.exp(arrivals.first_offset[j]) + 0.5), 1)
        lots = arrivals.pairs[j].lots
        for side in range(2):
            _draft(
                book, arrivals.edges, arrivals.newcomers[j, side], 1.0, 1.0, side, lots, entry, zero
            )
            d = book.desk[0]
            trigger = liquidation_price(book, entry, d.d_margin, side, lots, d.d_kind)
            if crossed(side, price, trigger):
                entry = ticks
        for side in range(2):
            _draft(
                book, arrivals.edges, arrivals.newcomers[j, side], 1.0, 1.0, side, lots, entry, zero
            )
            open_position(book, arrivals.clock_h, side, lots, entry, zero, 0.0)


@njit(**INNER)
def take_over(
    book: Book,
    steps: Structured,
    arrivals: Arrivals,
    step: int,
    ticks: int,
    gone_long: int,
    gone_short: int,
) -> int:
    """Let a newcomer take over what one side leaves beyond the other.

    Returns
    -------
    int
        Lots that those who left bought, less those that they sold.
    """
    r = book.fixed[0]
    s, excess = steps[step], abs(gone_long - gone_short)
    both = min(gone_long, gone_short)
    s.taker_bought += both // 2
    s.taker_sold += both - both // 2
    if excess == 0:
        return 0
    index = (step + 1) * r.substeps
    side = np.int64(gone_long <= gone_short)
    newcomer = arrivals.churn[(step + 1) // r.exit_steps - 1]
    _draft(book, arrivals.edges, newcomer, 1.0, 1.0, side, excess, ticks, step)
    open_position(book, arrivals.clock_h, side, excess, ticks, index, r.maker_fee)
    if side == 0:
        s.opened_long += excess
        s.taker_sold += excess
    else:
        s.opened_short += excess
        s.taker_bought += excess
    return gone_short - gone_long
