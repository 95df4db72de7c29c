"""What planted mechanisms do: what they see, what they remember, how far they move the price.

Each is alike up and down. Sides are indexed 0 (longs, below) and 1 (shorts, above).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.simulate.kernels.book import ns_of
from liqbt.simulate.layout import INNER, Book, Record, Structured
from liqbt.types import FloatArray

MAGNET, RATIO, ABSOLUTE, FUEL, IMPACT = 0, 1, 2, 3, 4
STOPS, DIRECTION, ACCELERATION, REVERSAL, WALL = 5, 6, 7, 8, 9
"""Rows of `Record.moved`, in the order of `mechanisms.MECHANISMS`."""
REFERENCE = 0.05
"""Signed size that `absolute` counts as one, as a share of the level …"""
CLIP = 4.0
"""… and how many of those it counts at most."""
AT_WALL = 1e-9
"""A price that a wall holds may be beyond it by the last bits of a sum."""
CROWD = 0.005
"""How near a swing (in log price) entries come more often."""


@njit(**INNER)
def _smoothed(bins: Structured, side: int, at: int) -> int:
    """Return sixteen times the 7-bin triangular mean of the lots about bin `at`."""
    out = 0
    for k in range(-3, 4):
        if 0 <= at + k < bins.shape[1]:
            out += (4 - abs(k)) * bins[side, at + k].lots
    return out


@njit(**INNER)
def survey(book: Book, mark_bin: int) -> None:
    """See what lies within reach: lots, the densest bin of each side, asymmetry, and heat."""
    r = book.fixed[0]
    last = book.bins.shape[1] - 1
    for side in range(2):
        f = book.side[side]
        f.near, f.best, f.bin = 0, 0, -1
        for k in range(1, r.reach_bins + 1):
            at = mark_bin - k if side == 0 else mark_bin + k
            if not 0 <= at <= last:
                break
            f.near += book.bins[side, at].lots
            dense = _smoothed(book.bins, side, at)
            if dense > f.best:
                f.best, f.bin = dense, at
    below, above = book.side[0].near, book.side[1].near
    force = book.desk[0]
    force.asymmetry = (below - above) / (below + above) if below + above > 0 else 0.0
    force.heat = 0.0
    if r.acceleration > 0.0 and below + above > 0:
        here = force.forced_lots
        for at in range(max(mark_bin - 3, 0), min(mark_bin + 3, last) + 1):
            here += book.bins[0, at].lots + book.bins[1, at].lots
        dense = (here / 7.0) / ((below + above) / (2.0 * r.reach_bins))
        force.heat = r.acceleration * min(max((dense - 1.0) / 4.0, 0.0), 1.0)


@njit(**INNER)
def look(book: Book, moved: FloatArray, sigma: float, step: int) -> None:
    """Find the displacement per substep that holds for this step, and write each part down."""
    r = book.fixed[0]
    force, side = book.desk[0], book.side
    unit = sigma * r.step_days
    total = 0.0
    if r.magnet > 0.0:
        sign = int(side[1].best > side[0].best) - int(side[0].best > side[1].best)
        part = sign * r.magnet * unit
        moved[MAGNET, step] = part
        total += part
    if r.ratio > 0.0:
        part = -r.ratio * unit * force.asymmetry
        moved[RATIO, step] = part
        total += part
    if r.absolute > 0.0:
        size = (side[0].near - side[1].near) / (REFERENCE * r.level_lots)
        part = -r.absolute * unit * min(max(size, -CLIP), CLIP)
        moved[ABSOLUTE, step] = part
        total += part
    if r.reversal > 0.0 and step < force.back_until:
        part = force.back_sign * r.reversal * unit
        moved[REVERSAL, step] = part
        total += part
    force.steady = total / r.substeps


@njit(**INNER)
def _spent(push: float, held: float, r: Any) -> tuple[float, float]:
    """Return the displacement by one impact in a substep, and the transient part that is held.

    The push acts at once; of what was held before it, a part is given back.
    """
    back = held * (1.0 - r.keep_impact)
    return push - back, held - back + (1.0 - r.permanent) * push


@njit(**INNER)
def _impacts(book: Book, moved: FloatArray, step: int) -> float:
    """Let fuel, impact and stops act; remember what forced flow pushes."""
    r = book.fixed[0]
    force, total = book.desk[0], 0.0
    if r.fuel > 0.0:
        force.haul = force.fuel
        part, force.held_fuel = _spent(force.fuel, force.held_fuel, r)
        force.fuel = 0.0
        moved[FUEL, step] += part
        total += part
    if r.impact > 0.0:
        part, force.held_impact = _spent(force.impact, force.held_impact, r)
        force.impact = 0.0
        moved[IMPACT, step] += part
        total += part
    if r.stops > 0.0:
        part, force.held_stops = _spent(force.stops, force.held_stops, r)
        force.stops = 0.0
        moved[STOPS, step] += part
        total += part
    return float(total)


@njit(**INNER)
def _leaning(book: Book, lean: FloatArray, jumps: Structured, sub: int) -> float:
    """Return what jumps add in this substep because they follow the crowded side instead."""
    r = book.fixed[0]
    force = book.desk[0]
    while force.jump < jumps.size and jumps[force.jump].at <= sub:
        j = jumps[force.jump]
        force.jump += 1
        # longs below are the crowd where the asymmetry is positive: the way to them is down
        away = j.size * force.asymmetry > 0.0
        if j.at == sub and away and j.lean < r.direction * abs(force.asymmetry):
            for k in range(sub, min(sub + j.substeps, lean.size)):
                lean[k] -= 2.0 * j.size
    return float(lean[sub])


@njit(**INNER)
def _held_by_walls(
    book: Book, moved: FloatArray, walls: Structured, x: float, to: float, sub: int
) -> float:
    """Return what the walls take off a move from log price `x` to `to`."""
    r = book.fixed[0]
    for side in range(2):
        f = book.side[side]
        if f.wall < 0:
            continue
        over = f.wall_x - to if side == 0 else to - f.wall_x
        before = x >= f.wall_x - AT_WALL if side == 0 else x <= f.wall_x + AT_WALL
        if not (over > 0.0 and before):
            continue
        taken = min(over, f.wall_left)
        f.wall_left -= taken
        walls[f.wall].absorbed += taken
        if f.wall_left <= 0.0:
            walls[f.wall].until_ns = ns_of(sub + 1, r)
            f.wall = -1
        part = float(taken if side == 0 else -taken)
        moved[WALL, sub // r.substeps] += part
        return part
    return 0.0


@njit(**INNER)
def displace(
    book: Book, record: Record, jumps: Structured, x: float, noise: float, sub: int
) -> float:
    """Return the displacement in this substep beyond the noise, walls last."""
    r = book.fixed[0]
    step, moved = sub // r.substeps, record.moved
    total = book.desk[0].steady
    if book.desk[0].heat > 0.0:
        part = noise * book.desk[0].heat
        moved[ACCELERATION, step] += part
        total += part
    if r.direction > 0.0:
        part = _leaning(book, record.lean, jumps, sub)
        moved[DIRECTION, step] += part
        total += part
    total += _impacts(book, moved, step)
    if r.walls > 0.0:
        total += _held_by_walls(book, moved, record.walls, x, x + noise + total, sub)
    book.desk[0].free_price = r.anchor * math.exp(x + noise + total - book.desk[0].haul)
    return float(total)


@njit(**INNER)
def remember_flow(book: Book, forced: tuple[int, int], stopped: tuple[int, int], step: int) -> None:
    """Turn what was forced and stopped out into the next substep's pushes; see if it is a sweep."""
    r = book.fixed[0]
    force = book.desk[0]
    force.fuel += r.fuel * (forced[1] - forced[0]) / r.level_lots
    force.stops += r.stops * (stopped[1] - stopped[0]) / r.level_lots
    for side in range(2):
        f = book.side[side]
        f.swept = f.swept * r.keep_swept + forced[side]
        if r.reversal > 0.0 and f.swept >= r.swept_lots:
            f.swept = 0.0
            force.back_sign = 1 if side == 0 else -1
            force.back_until = step + 1 + r.back_steps
        if f.now >= 0:
            f.last = f.now
        f.now, f.now_lots = -1, 0


@njit(**INNER)
def end_hour(book: Book, hours: FloatArray, swings: Structured, step: int, price: float) -> None:
    """Close an hour: write its high and low, and confirm a swing if there is one."""
    r = book.fixed[0]
    force, w = book.desk[0], r.swing_hours
    hour = (step + 1) // r.hour_steps - 1
    hours[0, hour], hours[1, hour] = force.low, force.high
    force.low, force.high = price, price
    centre = hour - w
    if centre < w:
        return
    for side in range(2):
        sign = -1.0 if side == 0 else 1.0
        peak = hours[side, centre]
        is_swing = True
        for k in range(centre - w, centre + w + 1):
            if k != centre and sign * hours[side, k] >= sign * peak:
                is_swing = False
        if is_swing:
            f = book.side[side]
            book.recent[side, f.swings % book.recent.shape[1]] = peak
            f.swings += 1
            swing = swings[force.n_swings]
            force.n_swings += 1
            swing.confirmed_ns = ns_of((step + 1) * r.substeps, r)
            swing.side, swing.price = 2 * side - 1, peak


@njit(**INNER)
def crowd_of(book: Book, price: float) -> float:
    """Return by how much entries come more often because a swing is near."""
    r = book.fixed[0]
    for side in range(2):
        for k in range(min(book.side[side].swings, book.recent.shape[1])):
            if abs(math.log(price / book.recent[side, k])) < CROWD:
                return float(1.0 + 2.0 * r.placement)
    return 1.0


@njit(**INNER)
def make_walls(
    book: Book, walls: Structured, draw: npt.NDArray[np.float32], step: int, x: float
) -> None:
    """Take away walls whose time is over; put new ones just before the densest clusters."""
    r = book.fixed[0]
    hour = step // r.hour_steps
    index = step * r.substeps
    for side in range(2):
        f = book.side[side]
        if f.wall >= 0 and step >= f.wall_until:
            walls[f.wall].until_ns = ns_of(index, r)
            f.wall = -1
        if f.wall >= 0 or f.best == 0 or draw[hour, side] >= r.wall_share:
            continue
        edge = f.bin + 4 if side == 0 else f.bin - 3
        f.wall_x = (edge - r.half_bins) * r.bin_step
        away = x - f.wall_x if side == 0 else f.wall_x - x
        if away <= r.bin_step:
            continue
        f.wall_left, f.wall_until = r.wall_size, step + r.wall_steps
        f.wall = book.desk[0].n_walls
        book.desk[0].n_walls += 1
        w = walls[f.wall]
        w.from_ns, w.until_ns, w.side = ns_of(index, r), np.iinfo(np.int64).max, 2 * side - 1
        w.price, w.absorbed = r.anchor * math.exp(f.wall_x), 0.0
