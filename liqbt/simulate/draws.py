"""Everything that chance decides in a market, drawn before it starts, from streams of its own.

The price's stream and the traders' stream are separate children of the root seed, so that neither
the number of traders nor anything they do changes a price without a planted mechanism.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.simulate.kernels import autoregression
from liqbt.simulate.layout import NEWCOMER_DTYPE, Rules, Script
from liqbt.simulate.world import World
from liqbt.types import FloatArray, IntArray

__all__ = ["PricePath", "draw_price", "draw_script", "rules_of", "stream"]

OVERSAMPLE = 1.5
"""Candidate pairs per pair wanted at the level: as far as low open interest can raise entries."""
BIN_STEP = 5e-4
"""Width of a bin of the true map in log price, as the estimators' grid."""
HALF_BINS = 8000
"""The grid reaches ±4 in log price, a factor of 55."""
SPREAD_DAYS = 5.0
"""The first positions were entered as far from the price as it moves in so many days."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PricePath:
    """The price's own chance.

    Attributes
    ----------
    sigma_1d : ndarray of float64, shape (steps,)
        Volatility per square root of a day that holds in each step, warm-up included.
    noise : ndarray of float64, shape (steps · substeps,)
        Log return of each substep.
    """

    sigma_1d: FloatArray
    noise: FloatArray


def stream(seed: int | np.random.SeedSequence, *key: int) -> np.random.Generator:
    """Return the generator of one child of the root seed; asking twice gives it twice.

    Examples
    --------
    >>> bool(stream(1, 0).random() == stream(1, 0).random())
    True
    >>> bool(stream(1, 0).random() == stream(1, 1).random())
    False
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    child = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))
    return np.random.Generator(np.random.PCG64(child))


def draw_price(world: World, rng: np.random.Generator, common: FloatArray | None) -> PricePath:
    """Draw volatility and returns; `common` holds the shocks that all symbols share."""
    steps = world.warmup_steps + world.steps
    slow = _stationary(
        world, rng, steps, world.volatility_slow_sd, world.volatility_slow_half_life_h
    )
    fast = _stationary(
        world, rng, steps, world.volatility_fast_sd, world.volatility_fast_half_life_h
    )
    variance = world.volatility_slow_sd**2 + world.volatility_fast_sd**2
    sigma = world.daily_volatility * np.exp(slow + fast - variance)
    shocks = draw_shocks(world, rng)
    if common is not None:
        own = math.sqrt(1.0 - world.common_factor)
        shocks = math.sqrt(world.common_factor) * common + own * shocks
    days = world.step_s / world.substeps / 86_400
    noise = np.repeat(sigma, world.substeps) * math.sqrt(days) * shocks
    return PricePath(sigma_1d=sigma, noise=noise)


def draw_shocks(world: World, rng: np.random.Generator) -> FloatArray:
    """Draw Student-t shocks of unit variance, one per substep."""
    n = (world.warmup_steps + world.steps) * world.substeps
    scale = math.sqrt((world.shock_df - 2.0) / world.shock_df)
    return np.asarray(rng.standard_t(world.shock_df, n) * scale)


def _stationary(
    world: World, rng: np.random.Generator, n: int, sd: float, half_life_h: float
) -> FloatArray:
    """Draw a stationary autoregression of `n` steps with deviation `sd`."""
    keep = 0.5 ** (world.step_s / 3600 / half_life_h)
    shocks = rng.standard_normal(n)
    path: FloatArray = autoregression(
        shocks[1:], sd * shocks[0], keep, sd * math.sqrt(1.0 - keep**2)
    )
    return path


def _intensity(world: World, rng: np.random.Generator, sigma_1d: FloatArray) -> FloatArray:
    """Draw how busy each step is, mean one: volatility, a slow autoregression, and bursts."""
    n = sigma_1d.size
    slow = _stationary(world, rng, n, world.activity_sd, world.activity_half_life_h)
    power = world.activity_volatility
    variance = world.volatility_slow_sd**2 + world.volatility_fast_sd**2
    level = math.exp((power**2 / 2 - power) * variance)
    base = np.exp(slow - world.activity_sd**2 / 2)
    base *= (sigma_1d / world.daily_volatility) ** power / level
    starts = rng.poisson(world.bursts_per_day * world.step_s / 86_400, n)
    sizes = np.where(starts > 0, rng.gamma(np.maximum(starts, 1)) * world.burst_size, 0.0)
    keep = math.exp(-world.step_s / 60 / world.burst_minutes)
    bursts = autoregression(sizes, 0.0, keep, 1.0)[1:]
    mean = world.bursts_per_day * world.burst_size * world.step_s / 86_400 / (1.0 - keep)
    return np.asarray((base + bursts) / (1.0 + mean))


def _sizes_lots(world: World, rng: np.random.Generator, n: int) -> IntArray:
    """Draw Pareto sizes, capped, whose mean is turnover over entries; at least one lot."""
    tail, cap = world.position_tail, world.position_cap
    mean = world.turnover_per_day / world.entries_per_day
    least = mean * (tail - 1) / tail
    for _ in range(50):  # E min(X, cap) = least·(tail − (least/cap)^(tail − 1))/(tail − 1)
        least = mean * (tail - 1) / (tail - (least / cap) ** (tail - 1))
    share = np.minimum(least * (1.0 - rng.random(n)) ** (-1.0 / tail), cap)
    return np.maximum(np.rint(share * world.level_lots), 1.0).astype(np.int64)


def _newcomers(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Draw leverage brackets by their weights (0 is unlevered), and patience in mean lives."""
    out = np.empty(shape, dtype=NEWCOMER_DTYPE)
    levered = (1.0 - world.unlevered_share) * np.array(world.weights)
    edges = world.unlevered_share + np.concatenate([[0.0], np.cumsum(levered)[:-1]])
    out["bracket"] = np.searchsorted(edges, rng.random(shape), side="right")
    out["life"] = rng.standard_exponential(shape)
    return out


def draw_script(world: World, price: PricePath, rng: np.random.Generator) -> Script:
    """Draw what the traders do, and put it beside the price."""
    steps = price.sigma_1d.size
    entries, exits = (_intensity(world, rng, price.sigma_1d) for _ in range(2))
    per_substep = world.entries_per_day * world.step_s / world.substeps / 86_400 * OVERSAMPLE
    arrivals = rng.poisson(np.repeat(entries * per_substep, world.substeps))
    first = max(round(world.entries_per_day / world.turnover_per_day), 1)
    n = first + int(arrivals.sum())
    step_days = world.step_s / 86_400
    pull = world.magnet * price.sigma_1d * step_days / world.substeps
    pull[: world.warmup_steps] = 0.0
    warm = world.warmup_steps * world.substeps
    return Script(
        start=-float(np.sum(price.noise[:warm])),
        noise=price.noise,
        pull=pull,
        clock_h=np.concatenate([[0.0], np.cumsum(exits) * world.step_s / 3600]),
        first_offset=rng.standard_normal(first) * world.daily_volatility * math.sqrt(SPREAD_DAYS),
        pair_from=first + np.concatenate([[0], np.cumsum(arrivals)]).astype(np.int64),
        pair_lots=_sizes_lots(world, rng, n),
        pair_keep=rng.random(n),
        pair=_newcomers(world, rng, (n, 2)),
        churn=_newcomers(world, rng, (steps,)),
    )


def rules_of(world: World) -> Rules:
    """Return what is fixed in `world`, in the kernel's units."""
    if world.tiers is None:
        infinite, none = np.array([np.inf]), np.zeros(1)
        tiers = (none, infinite, np.array([world.maintenance_rate]), none, infinite)
    else:
        t = world.tiers.at(world.start_ns)
        tiers = (t.floor_usd, t.cap_usd, t.rate, t.amount_usd, t.max_leverage)
    floor, cap, rate, amount, leverage = (np.array(a, dtype=np.float64) for a in tiers)
    return Rules(
        anchor=float(world.initial_price_usd),
        bin_step=BIN_STEP,
        half_bins=HALF_BINS,
        substeps=world.substeps,
        warmup_steps=world.warmup_steps,
        lot_coins=float(world.lot_coins),
        level_lots=float(world.level_lots),
        pull_power=float(world.open_interest_pull),
        oversample=OVERSAMPLE,
        life_h=float(world.exit_half_life_h / math.log(2)),
        loser_wait=float(1.0 / world.loser_exit_ratio - 1.0),
        reach_bins=max(math.ceil(world.magnet_reach_sigma * world.daily_volatility / BIN_STEP), 1),
        leverages=np.array([1.0, *world.leverages]),
        tier_floor=floor,
        tier_cap=cap,
        tier_rate=rate,
        tier_amount=amount,
        tier_leverage=leverage,
    )
