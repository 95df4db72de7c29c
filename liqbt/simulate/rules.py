"""A `World` in the units of the market's kernels: what is fixed, and what is planted."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from liqbt.simulate.layout import RULES_DTYPE, Structured
from liqbt.simulate.sections import MECHANISMS
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, FloatArray

OVERSAMPLE: Final = 1.5
"""Candidate pairs per pair wanted at the level: as far as low open interest can raise entries."""
BIN_STEP: Final = 5e-4
"""Width of a bin of the true map in log price, as the estimators' grid."""
HALF_BINS: Final = 16000
"""The grid reaches ±8 in log price, a factor of 2,981."""
EXIT_EVERY_S: Final = 300
"""Exits are matched so often, where steps are finer."""
SWEEP_HALF_LIFE_S: Final = 1800
"""How long a sweep is remembered."""


def oversample_of(world: World) -> float:
    """Return candidate pairs per pair wanted at the level, as many as any state can want."""
    return OVERSAMPLE * (1.0 + 2.0 * world.mechanisms.placement)


def exit_steps_of(world: World) -> int:
    """Return in every how many steps exits are matched."""
    return max(EXIT_EVERY_S // world.step_s, 1) if EXIT_EVERY_S % world.step_s == 0 else 1


def rules_of(world: World) -> Structured:
    """Return what is fixed in `world`, in the kernels' units: one record of `RULES_DTYPE`."""
    values = {**_units(world), **_habits(world), **_mechanisms(world)}
    out = np.zeros(1, dtype=RULES_DTYPE)
    for name in RULES_DTYPE.names or ():
        out[name] = values[name]
    return out


def _units(world: World) -> dict[str, float]:
    """Return units, clocks and the grid."""
    tick, unit = world.price.tick_usd, world.traders.lot_coins * world.price.tick_usd
    return {
        "anchor": world.initial_price_usd,
        "anchor_ticks": world.initial_price_usd / tick,
        "tick_up": round(tick) if tick >= 1 else 1,
        "tick_down": 1 if tick >= 1 else round(1 / tick),
        "bin_step": BIN_STEP,
        "half_bins": HALF_BINS,
        "substeps": world.substeps,
        "warmup_steps": world.warmup_steps,
        "start_ns": world.start_ns,
        "index_ns": world.step_s * SECOND_NS // world.substeps,
        "hour_steps": max(3600 // world.step_s, 1),
        "exit_steps": exit_steps_of(world),
        "step_days": world.step_s / 86_400,
        "cut_above": world.exchange.cut_above_usd / unit,
        "insurance": round(world.exchange.insurance_usd / unit),
    }


def _habits(world: World) -> dict[str, float]:
    """Return the traders' habits and the venue's rates."""
    t, e = world.traders, world.exchange
    return {
        "lot_coins": t.lot_coins,
        "level_lots": world.level_lots,
        "pull_power": t.open_interest_pull,
        "oversample": oversample_of(world),
        "life_h": t.exit_half_life_h / math.log(2),
        "loser_wait": 1.0 / t.loser_exit_ratio - 1.0,
        "cross_share": t.cross_share,
        "cross_extra": t.cross_extra,
        "oi_power": world.price.oi_volatility,
        "cut_share": e.cut_share,
        "cut_cool": max(math.ceil(e.cut_cooldown_s / (world.step_s / world.substeps)), 1),
        "taker_fee": e.taker_fee,
        "maker_fee": e.maker_fee,
        "liquidation_fee": e.liquidation_fee,
        "funding_steps": e.funding_every_h * 3600 // world.step_s,
        "funding_base": e.funding_base,
        "funding_crowding": e.funding_crowding,
        "funding_cap": e.funding_cap,
    }


def _mechanisms(world: World) -> dict[str, float]:
    """Return the planted mechanisms and their constants."""
    m = world.mechanisms
    substep_s = world.step_s / world.substeps
    looks = (m.magnet, m.ratio, m.absolute, m.direction, m.acceleration, m.walls, m.stops)
    strengths = {name: getattr(m, name) for name in ("placement", *MECHANISMS)}
    reach = m.reach_sigma * world.price.daily_volatility
    return {
        **strengths,
        "reversal": m.sweep_reversal,
        "moves": any(getattr(m, name) > 0 for name in MECHANISMS),
        "maps": any(looks),
        "reach_bins": max(math.ceil(reach / BIN_STEP), 1),
        "permanent": m.impact_permanent,
        "keep_impact": 0.5 ** (substep_s / 60 / m.impact_half_life_m),
        "keep_swept": 0.5 ** (substep_s / SWEEP_HALF_LIFE_S),
        "swept_lots": m.sweep_share * world.level_lots,
        "back_steps": max(round(m.sweep_hours * 3600 / world.step_s), 1),
        "wall_size": m.walls * world.price.daily_volatility,
        "wall_share": m.wall_share,
        "wall_steps": max(round(m.wall_hours * 3600 / world.step_s), 1),
        "stop_share": m.stop_share,
        "swing_hours": m.swing_h,
    }


def tiers_of(world: World) -> FloatArray:
    """Return the tiers that hold, by row: floor, cap, rate, amount, leverage limit."""
    if world.exchange.tiers is None:
        rate = world.exchange.maintenance_rate
        return np.array([[0.0], [np.inf], [rate], [0.0], [np.inf]])
    t = world.exchange.tiers.at(world.start_ns)
    return np.stack([t.floor_usd, t.cap_usd, t.rate, t.amount_usd, t.max_leverage])
