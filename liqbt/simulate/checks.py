"""What a `World` must satisfy to be a market: one rule a line, each with its reason."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from liqbt.errors import ConfigError
from liqbt.margin import TierTable

if TYPE_CHECKING:
    from liqbt.simulate.world import World

__all__ = ["check_world"]

MAGNET_LIMIT: Final = 4.0
"""Above this pull the price runs away: swept clusters lie behind it and full ones ahead, so that
the pull feeds on itself. At 4 the daily volatility is already three times the noise's."""

_POSITIVE: Final = (
    "days",
    "step_s",
    "substeps",
    "initial_price_usd",
    "daily_volatility",
    "volatility_slow_half_life_h",
    "volatility_fast_half_life_h",
    "open_interest_usd",
    "lot_coins",
    "entries_per_day",
    "turnover_per_day",
    "position_cap",
    "activity_half_life_h",
    "burst_minutes",
    "exit_half_life_h",
    "maintenance_rate",
    "oi_every_s",
    "truth_every_s",
    "magnet_reach_sigma",
)
_NON_NEGATIVE: Final = (
    "warmup_days",
    "start_ns",
    "volatility_slow_sd",
    "volatility_fast_sd",
    "common_factor",
    "open_interest_pull",
    "unlevered_share",
    "activity_sd",
    "activity_volatility",
    "bursts_per_day",
    "burst_size",
    "churn_per_day",
    "oi_latency_s",
    "feed_latency_s",
    "bars_every_s",
    "totals_every_s",
    "magnet",
)


def check_world(world: World) -> None:
    """Refuse a world that cannot be right.

    Raises
    ------
    ConfigError
        Naming the world, the key, its value and what is expected.
    """
    _check_types(world)
    for key in _POSITIVE:
        _require(world, key, getattr(world, key) > 0, "a value above 0")
    for key in _NON_NEGATIVE:
        _require(world, key, getattr(world, key) >= 0, "0 or more")
    _check_times(world)
    _check_mix(world)
    _check_magnitudes(world)
    _check_margin(world)


def _require(world: World, key: str, ok: bool, expected: str) -> None:
    """Raise the one message shape unless `ok`."""
    if not ok:
        value = getattr(world, key)
        raise ConfigError(f"world {world.name}: {key} is {value!r}, expected {expected}")


def _check_types(world: World) -> None:
    """Every field has its declared kind; integers stand for floats, booleans for nothing else."""
    for f in fields(world):
        value = getattr(world, f.name)
        annotation = str(f.type)
        if annotation == "str":
            _require(world, f.name, isinstance(value, str) and value != "", "a text, not empty")
        elif annotation == "bool":
            _require(world, f.name, isinstance(value, bool), "true or false")
        elif annotation in ("int", "Ns"):
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(world, f.name, whole, "a whole number")
        elif annotation == "float":
            _require(world, f.name, _is_number(value), "a finite number")
        elif f.name == "tiers":
            _require(world, f.name, value is None or isinstance(value, TierTable), "a TierTable")
        else:
            _require(world, f.name, isinstance(value, tuple) and len(value) > 0, "a list of values")


def _is_number(value: object) -> bool:
    """Tell whether `value` is a finite number."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)  # type: ignore[arg-type]


def _check_times(world: World) -> None:
    """Require that the clocks fit into each other."""
    w = world
    _require(w, "step_s", 86_400 % w.step_s == 0, "a divisor of a day")
    _require(w, "substeps", w.step_s % w.substeps == 0, f"a divisor of step_s ({w.step_s})")
    for key in ("oi_every_s", "truth_every_s", "bars_every_s", "totals_every_s"):
        value = getattr(w, key)
        fits = value % w.step_s == 0 and (value == 0 or 86_400 % value == 0)
        _require(w, key, fits, f"a multiple of step_s ({w.step_s}) that divides a day")
    _require(w, "start_ns", w.start_ns % (w.step_s * 10**9) == 0, "a whole number of steps")
    _require(w, "feed_latency_s", w.feed_latency_s <= 86_400, "at most a day")
    _require(w, "oi_latency_s", w.oi_latency_s <= 86_400, "at most a day")


def _check_mix(world: World) -> None:
    """Leverage brackets, weights and symbols describe a possible market."""
    w = world
    for key in ("leverages", "weights"):
        _require(w, key, all(_is_number(x) for x in getattr(w, key)), "a list of numbers")
    _require(w, "symbols", all(isinstance(s, str) and s for s in w.symbols), "a list of texts")
    _require(w, "symbols", len(set(w.symbols)) == len(w.symbols), "each symbol once")
    ascending = all(a < b for a, b in zip(w.leverages, w.leverages[1:], strict=False))
    _require(w, "leverages", ascending and w.leverages[0] > 1, "ascending values above 1")
    same = len(w.weights) == len(w.leverages)
    _require(w, "weights", same, f"one weight for each of the {len(w.leverages)} leverages")
    _require(w, "weights", min(w.weights) >= 0, "no negative weight")
    total = math.fsum(w.weights)
    if abs(total - 1) > 1e-9:
        raise ConfigError(f"world {w.name}: weights sum to {total:g}, expected 1")


def _check_margin(world: World) -> None:
    """Require that every bracket can be held, and the largest position in some bracket."""
    w = world
    top = w.leverages[-1]
    reason = f"less than 1/{top:g}, or a {top:g}× position would be liquidated where it is opened"
    if w.tiers is None:
        _require(w, "maintenance_rate", w.maintenance_rate < 1 / top, reason)
        return
    tiers = w.tiers.at(w.start_ns)
    if top > tiers.max_leverage[0]:
        raise ConfigError(
            f"world {w.name}: leverages reach {top:g}, expected at most the venue's maximum of "
            f"{tiers.max_leverage[0]:g}"
        )
    largest = 2 * w.position_cap * w.open_interest_usd
    least = tiers.max_leverage[tiers.index(min(largest, 0.999 * tiers.cap_usd[-1]))]
    if largest >= tiers.cap_usd[-1] or w.leverages[0] > least:
        raise ConfigError(
            f"world {w.name}: a position of {largest:g} USD (twice position_cap) is too large for "
            f"the tiers of {tiers.symbol} at {w.leverages[0]:g}×: lower position_cap"
        )


def _check_magnitudes(world: World) -> None:
    """Numbers beyond which the market is not one."""
    w = world
    _require(w, "days", w.days <= 3660, "at most ten years")
    _require(w, "daily_volatility", w.daily_volatility <= 0.3, "at most 0.3 (30 % a day)")
    for key in ("volatility_slow_sd", "volatility_fast_sd", "activity_sd"):
        _require(w, key, getattr(w, key) <= 1.5, "at most 1.5 (a log deviation)")
    _require(w, "shock_df", w.shock_df > 2, "more than 2, or the variance is infinite")
    _require(w, "common_factor", w.common_factor <= 1, "at most 1 (a correlation)")
    _require(w, "unlevered_share", w.unlevered_share < 1, "a share below 1")
    _require(w, "position_tail", w.position_tail > 1, "more than 1, or the mean is infinite")
    _require(w, "position_cap", w.position_cap <= 1, "a share of at most 1")
    _require(w, "loser_exit_ratio", 0 < w.loser_exit_ratio <= 1, "a ratio in (0, 1]")
    _require(w, "level_lots", w.level_lots >= 1e4, "at least 10,000 lots: lower lot_coins")
    mean = w.turnover_per_day / w.entries_per_day
    if mean * w.level_lots < 10:
        raise ConfigError(
            f"world {w.name}: a mean position is {mean * w.level_lots:g} lots, expected 10 or more"
        )
    if mean > w.position_cap:
        raise ConfigError(
            f"world {w.name}: position_cap is {w.position_cap:g}, expected more than the mean "
            f"position, which is {mean:g} of open interest"
        )
    runaway = f"at most {MAGNET_LIMIT:g}: a stronger pull drowns the noise and the price runs away"
    _require(w, "magnet", w.magnet <= MAGNET_LIMIT, runaway)
    reach = w.magnet_reach_sigma * w.daily_volatility
    _require(w, "magnet_reach_sigma", reach <= 0.5, "a reach of at most 0.5 in log price")
