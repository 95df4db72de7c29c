"""The latent price: volatility, noise and jumps, drawn before the market starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.simulate.accounts import fill, returned
from liqbt.simulate.kernels.recursions import autoregression, followed
from liqbt.simulate.layout import JUMP_DTYPE, Structured
from liqbt.simulate.sections import DAY_PROFILE, HOUR_PROFILE
from liqbt.simulate.world import World
from liqbt.types import HOUR_NS, SECOND_NS, FloatArray, IntArray

EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PricePath:
    """The price's own chance.

    Attributes
    ----------
    sigma_1d : ndarray of float64, shape (steps,)
        Volatility per square root of a day that holds in each step, warm-up included.
    noise : ndarray of float64, shape (steps · substeps + 1,)
        0, then the log return of each substep: shocks, jumps, drift, and what follows them.
    jumps : ndarray of JUMP_DTYPE
        The jumps within it.
    tilt : ndarray of float64, shape (hours,)
        What the regime adds to the tilt of the leverage mix.
    """

    sigma_1d: FloatArray
    noise: FloatArray
    jumps: Structured
    tilt: FloatArray


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


def draw_price(
    world: World,
    seed: int | np.random.SeedSequence,
    symbol: int,
    common: FloatArray | None,
) -> PricePath:
    """Draw volatility and returns of one symbol; `common` holds the shocks that all share.

    Each part has a stream of its own, so that switching one on leaves the others' draws alone.
    """
    steps = world.warmup_steps + world.steps
    rng = stream(seed, 1, symbol)
    sigma = _volatility(world, rng, steps)
    path = returned(steps * world.substeps + 1, np.float64)
    shocks = path[1:]
    _draw_into(shocks, world, rng)
    if common is not None:
        own = math.sqrt(1.0 - world.price.common_factor)
        shocks *= own
        shocks += math.sqrt(world.price.common_factor) * common
    state, sign = _regimes(world, stream(seed, 1, symbol, 1), steps)
    if world.price.regime_days > 0:
        sigma *= np.where(state, world.price.regime_volatility, 1.0)
    days = world.step_s / world.substeps / 86_400
    by_step = shocks.reshape(steps, world.substeps)
    by_step *= (sigma * math.sqrt(days))[:, None]
    noise = shocks
    jumps = _jumps(world, stream(seed, 1, symbol, 2), noise.size)
    for jump in jumps:
        noise[jump["at"] : jump["at"] + jump["substeps"]] += jump["size"]
    if world.price.drift_per_day != 0:
        noise += world.price.drift_per_day * days
    if world.price.regime_days > 0 and world.price.regime_drift != 0:
        push = np.where(state, sign * world.price.regime_drift * sigma * days, 0.0)
        by_step += push[:, None]
    if world.price.momentum > 0 or world.price.mean_reversion > 0:
        shocks[...] = _with_memory(world, noise)
    hours = -(-steps * world.step_s // 3600)
    first = np.arange(hours) * 3600 // world.step_s
    tilt = np.where(state[first], world.price.regime_tilt, 0.0)
    return PricePath(
        sigma_1d=sigma,
        noise=path,
        jumps=jumps,
        tilt=tilt,
    )


def _with_memory(world: World, noise: FloatArray) -> FloatArray:
    """Let moves be followed (momentum) and taken back (mean reversion)."""
    p, hours = world.price, world.step_s / world.substeps / 3600
    if p.momentum > 0:
        noise = followed(noise, p.momentum, 0.5 ** (hours / p.momentum_half_life_h))
    if p.mean_reversion > 0:
        noise = followed(noise, -p.mean_reversion, 0.5 ** (hours / p.mean_reversion_half_life_h))
    return noise


def draw_shocks(world: World, rng: np.random.Generator) -> FloatArray:
    """Draw Student-t shocks of unit variance, one per substep."""
    shocks = returned((world.warmup_steps + world.steps) * world.substeps, np.float64)
    _draw_into(shocks, world, rng)
    return shocks


def _draw_into(shocks: FloatArray, world: World, rng: np.random.Generator) -> None:
    df = world.price.shock_df
    fill(shocks, lambda n: rng.standard_t(df, n))
    shocks *= math.sqrt((df - 2.0) / df)


def stationary(
    rng: np.random.Generator, n: int, sd: float, half_life_h: float, every_s: float
) -> FloatArray:
    """Draw a stationary autoregression of `n` values with deviation `sd`."""
    keep = 0.5 ** (every_s / 3600 / half_life_h)
    shocks = rng.standard_normal(n)
    path: FloatArray = autoregression(
        shocks[1:], sd * shocks[0], keep, sd * math.sqrt(1.0 - keep**2)
    )
    return path


def _volatility(world: World, rng: np.random.Generator, steps: int) -> FloatArray:
    """Draw each step's volatility; its root mean square over time is `daily_volatility`."""
    p, variance = world.price, 0.0
    log_sigma = np.zeros(steps)
    for sd, half_life_h in (
        (p.volatility_slow_sd, p.volatility_slow_half_life_h),
        (p.volatility_fast_sd, p.volatility_fast_half_life_h),
        (p.volatility_drift_sd, p.volatility_drift_half_life_h),
    ):
        log_sigma += stationary(rng, steps, sd, half_life_h, world.step_s)
        variance += sd**2
    log_sigma -= variance
    sigma = np.exp(log_sigma, out=log_sigma)
    sigma *= p.daily_volatility * _season(world, steps)
    return sigma


def _season(world: World, steps: int) -> FloatArray | float:
    """Return the profile of volatility by hour and weekday, mean square one over a week."""
    power = world.price.season
    if power == 0:
        return 1.0
    week = np.outer(DAY_PROFILE, HOUR_PROFILE) ** power
    week /= math.sqrt((week**2).mean())
    first_ns = world.start_ns - world.warmup_days * 86_400 * SECOND_NS
    hours = (first_ns + np.arange(steps) * (world.step_s * SECOND_NS)) // HOUR_NS
    at: IntArray = (hours + EPOCH_WEEKDAY * 24) % 168
    return np.asarray(week.ravel()[at])


def _jumps(world: World, rng: np.random.Generator, n: int) -> Structured:
    """Draw the jumps: Poisson times, Laplace sizes of unit deviation, fair signs."""
    p = world.price
    per_day = 86_400 * world.substeps // world.step_s
    count = int(rng.poisson(p.jumps_per_day * n / per_day)) if p.jumps_per_day > 0 else 0
    out = np.zeros(count, dtype=JUMP_DTYPE)
    if count == 0:
        return out
    long = max(round(p.jump_minutes * 60 * world.substeps / world.step_s), 1)
    out["at"] = np.sort(rng.integers(0, n, count))
    out["substeps"] = np.minimum(long, n - out["at"])
    sizes = rng.laplace(0.0, p.jump_sigma * p.daily_volatility / math.sqrt(2.0), count)
    out["size"] = sizes / long
    out["lean"] = rng.random(count)
    return out


def _regimes(
    world: World, rng: np.random.Generator, steps: int
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Draw in which steps the second regime holds, and the sign of its drift in each spell."""
    state, sign = np.zeros(steps, dtype=bool), np.ones(steps)
    if world.price.regime_days == 0:
        return state, sign
    mean = world.price.regime_days * 86_400 / world.step_s
    at, second = 0, bool(rng.random() < 0.5)
    while at < steps:
        until = at + max(round(float(rng.exponential(mean))), 1)
        state[at:until], sign[at:until] = second, 1.0 if rng.random() < 0.5 else -1.0
        at, second = until, not second
    return state, sign
