"""Everything that chance decides about traders, drawn before the market starts.

The price's streams and the traders' are separate children of the root seed, so that neither the
number of traders nor anything they do changes a price without a planted mechanism.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.simulate.accounts import fill, returned
from liqbt.simulate.kernels.recursions import autoregression
from liqbt.simulate.layout import (
    NEWCOMER_DTYPE,
    PAIR_DTYPE,
    TRANSFER_DTYPE,
    WHIM_DTYPE,
    Arrivals,
    Script,
    Structured,
)
from liqbt.simulate.prices import PricePath, stationary, stream
from liqbt.simulate.rules import exit_steps_of, oversample_of
from liqbt.simulate.world import World
from liqbt.types import FloatArray, IntArray

SPREAD_DAYS: Final = 5.0
"""The first positions were entered as far from the price as it moves in so many days."""
TREND_H: Final = 24.0
"""Half-life of the trend that crowding follows, in hours."""
STEPS_AT_ONCE: Final = 1 << 14
"""Arrivals are drawn for so many steps at a time."""
Seed = int | np.random.SeedSequence


def draw_script(world: World, price: PricePath, seed: Seed, symbol: int) -> Script:
    """Draw what the traders of one symbol do, and put it beside the price."""
    steps = price.sigma_1d.size
    warm = world.warmup_steps * world.substeps
    transfer_from, transfers = _transfers(world, stream(seed, 2, symbol, 3), steps)
    return Script(
        start=-float(np.sum(price.noise[: warm + 1])),
        noise=price.noise,
        sigma=price.sigma_1d,
        arrivals=_arrivals(world, price, seed, symbol),
        transfer_from=transfer_from,
        transfers=transfers,
        premium=_premium(world, stream(seed, 2, symbol, 2), steps),
        jumps=price.jumps,
        wall_draw=_wall_draw(world, stream(seed, 2, symbol, 4), steps),
    )


def _arrivals(world: World, price: PricePath, seed: Seed, symbol: int) -> Arrivals:
    """Draw who comes when, how large, how levered, how patient."""
    t, steps = world.traders, price.sigma_1d.size
    rng = stream(seed, 2, symbol)
    entries, exits = (_intensity(world, rng, price.sigma_1d) for _ in range(2))
    entries *= t.entries_per_day * world.step_s / world.substeps / 86_400 * oversample_of(world)
    pair_from = returned(steps * world.substeps + 1, np.int32)
    by_step = pair_from[1:].reshape(steps, world.substeps)
    for k in range(0, steps, STEPS_AT_ONCE):
        rates = np.repeat(entries[k : k + STEPS_AT_ONCE], world.substeps)
        by_step[k : k + STEPS_AT_ONCE] = rng.poisson(rates).reshape(-1, world.substeps)
    first = max(round(t.entries_per_day / t.turnover_per_day), 1)
    np.cumsum(pair_from, out=pair_from)
    pair_from += first
    n = int(pair_from[-1])
    exits *= world.step_s / 3600
    spread = world.price.daily_volatility * math.sqrt(SPREAD_DAYS)
    return Arrivals(
        clock_h=np.concatenate([[0.0], np.cumsum(exits)]),
        edges=_edges(world, price, seed, symbol),
        first_offset=rng.standard_normal(first) * spread,
        pair_from=pair_from,
        pairs=_pairs(world, rng, n),
        newcomers=_newcomers(rng, (n, 2)),
        whims=_whims(world, stream(seed, 2, symbol, 5), (n, 2)),
        churn=_newcomers(rng, (steps // exit_steps_of(world),)),
    )


def _pairs(world: World, rng: np.random.Generator, n: int) -> Structured:
    """Draw sizes, who is kept, and who initiates."""
    out = returned(n, PAIR_DTYPE)
    fill(out["lots"], _sizes_lots(world, rng))
    fill(out["keep"], lambda rows: rng.random(rows, dtype=np.float32))
    out["buys"] = rng.integers(0, 2, n, dtype=np.int8)
    return out


def _hours(world: World, steps: int) -> int:
    """How many hours the market lasts, the last one begun."""
    return -(-steps * world.step_s // 3600)


def _intensity(world: World, rng: np.random.Generator, sigma_1d: FloatArray) -> FloatArray:
    """Draw how busy each step is, mean one: volatility, a slow autoregression, and bursts."""
    t, n = world.traders, sigma_1d.size
    base = stationary(rng, n, t.activity_sd, t.activity_half_life_h, world.step_s)
    base -= t.activity_sd**2 / 2
    np.exp(base, out=base)
    if t.activity_volatility > 0:
        busy = sigma_1d**t.activity_volatility
        base *= busy
        base /= float(busy.mean())
    starts = rng.poisson(t.bursts_per_day * world.step_s / 86_400, n)
    sizes = np.zeros(n)
    begun = np.flatnonzero(starts)
    sizes[begun] = rng.gamma(starts[begun]) * t.burst_size
    keep = math.exp(-world.step_s / 60 / t.burst_minutes)
    base += autoregression(sizes, 0.0, keep, 1.0)[1:]
    mean = t.bursts_per_day * t.burst_size * world.step_s / 86_400 / (1.0 - keep)
    base /= 1.0 + mean
    return base


def _sizes_lots(world: World, rng: np.random.Generator) -> Callable[[int], IntArray]:
    """Return what draws Pareto sizes, capped, of mean turnover over entries; a lot at least."""
    tail, cap = world.traders.position_tail, world.traders.position_cap
    mean = world.traders.turnover_per_day / world.traders.entries_per_day
    least = mean * (tail - 1) / tail
    for _ in range(50):  # E min(X, cap) = least·(tail − (least/cap)^(tail − 1))/(tail − 1)
        least = mean * (tail - 1) / (tail - (least / cap) ** (tail - 1))

    def draw(n: int) -> IntArray:
        share = 1.0 - rng.random(n)
        np.power(share, -1.0 / tail, out=share)
        np.minimum(share * least, cap, out=share)
        share *= world.level_lots
        return np.maximum(np.rint(share), 1.0).astype(np.int64)

    return draw


def _newcomers(rng: np.random.Generator, shape: tuple[int, ...]) -> Structured:
    """Draw what chance gives newcomers."""
    out, row = returned(shape, NEWCOMER_DTYPE), shape[1:]
    fill(out["mix"], lambda n: rng.random((n, *row), dtype=np.float32))
    fill(out["life"], lambda n: rng.standard_exponential((n, *row), dtype=np.float32))
    fill(out["cross"], lambda n: rng.random((n, *row), dtype=np.float32))
    return out


def _whims(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Structured:
    """Draw what decides about placement and stops; not drawn, and no memory, where unused."""
    out, row = returned(shape, WHIM_DTYPE), shape[1:]
    if world.mechanisms.placement > 0:
        fill(out["place"], lambda n: rng.random((n, *row), dtype=np.float32))
    if world.mechanisms.stops > 0:
        fill(out["stop"], lambda n: rng.random((n, *row), dtype=np.float32))
    return out


def _edges(world: World, price: PricePath, seed: Seed, symbol: int) -> FloatArray:
    """Return the lower edges of the levered brackets by hour and side, in the unit interval."""
    t, hours = world.traders, price.tilt.size
    tilt = price.tilt.copy()
    rng = stream(seed, 2, symbol, 1)
    if t.tilt_sd > 0:
        tilt += stationary(rng, hours, t.tilt_sd, t.tilt_half_life_h, 3600)
    crowd = np.zeros(hours)
    if t.crowding_sd > 0:
        crowd += stationary(rng, hours, t.crowding_sd, t.crowding_half_life_h, 3600)
    if t.crowding_trend != 0:
        crowd += t.crowding_trend * _trend(world, price.noise[1:], hours)
    centred = np.linspace(-1.0, 1.0, len(t.weights)) if len(t.weights) > 1 else np.zeros(1)
    both = np.stack([tilt + crowd, tilt - crowd], axis=1)
    weights = np.array(t.weights) * np.exp(both[:, :, None] * centred)
    weights *= (1.0 - t.unlevered_share) / weights.sum(axis=2, keepdims=True)
    edges = np.empty_like(weights)
    edges[:, :, 0] = t.unlevered_share
    edges[:, :, 1:] = t.unlevered_share + np.cumsum(weights, axis=2)[:, :, :-1]
    return edges


def _trend(world: World, noise: FloatArray, hours: int) -> FloatArray:
    """Return the trailing latent return at each hour's start, in daily deviations."""
    width = max(3600 // world.step_s, 1) * world.substeps
    padded = np.zeros(hours * width)
    used = min(noise.size, padded.size)
    padded[:used] = noise[:used]
    hourly = padded.reshape(hours, width).sum(axis=1)
    keep = 0.5 ** (1.0 / TREND_H)
    path: FloatArray = autoregression(hourly, 0.0, keep, 1.0)[:-1]
    return np.asarray(path / world.price.daily_volatility)


def _transfers(world: World, rng: np.random.Generator, steps: int) -> tuple[IntArray, Structured]:
    """Draw changes of collateral at a constant rate per account, over more accounts than exist."""
    t = world.traders
    if t.transfers_per_day == 0 or t.cross_share == 0:
        return np.zeros(steps + 1, dtype=np.int64), np.zeros(0, dtype=TRANSFER_DTYPE)
    days = t.exit_half_life_h / 24 / math.log(2) / t.loser_exit_ratio
    share = (1.0 - t.unlevered_share) * t.cross_share
    accounts = max(math.ceil(3 * t.entries_per_day * max(days, 2.0) * share), 1)
    count = rng.poisson(t.transfers_per_day * accounts * world.step_s / 86_400, steps)
    start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    out, sd = returned(int(start[-1]), TRANSFER_DTYPE), np.float32(t.transfer_sd)
    fill(out["account"], lambda n: rng.integers(0, accounts, n))
    fill(out["share"], lambda n: rng.standard_normal(n, dtype=np.float32) * sd)
    return start, out


def _premium(world: World, rng: np.random.Generator, steps: int) -> FloatArray:
    """Draw the funding's noise, one value per settlement."""
    e = world.exchange
    if e.funding_every_h == 0:
        return np.zeros(0)
    n = steps * world.step_s // (e.funding_every_h * 3600)
    if n == 0:
        return np.zeros(0)
    return e.funding_noise * stationary(rng, n, 1.0, 24.0, e.funding_every_h * 3600)


def _wall_draw(world: World, rng: np.random.Generator, steps: int) -> npt.NDArray[np.float32]:
    """Draw which hours and sides get a wall."""
    if world.mechanisms.walls == 0:
        return np.zeros((0, 2), dtype=np.float32)
    return rng.random((_hours(world, steps), 2), dtype=np.float32)
