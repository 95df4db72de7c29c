"""What a `World` must satisfy to be a market: one rule a line, each with its reason."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from liqbt.errors import ConfigError
from liqbt.margin.tiers import TierTable
from liqbt.simulate.feeds import Faults

if TYPE_CHECKING:
    from liqbt.simulate.world import World


MAGNET_LIMIT: Final = 4.0
"""Above this pull the price runs away: swept clusters lie behind it and full ones ahead, so that
the pull feeds on itself. At 4 the daily volatility is already three times the noise's."""

BRANCHING_LIMIT: Final = 0.9
"""Forced flow whose impact forces on average more than this of itself does not die out in time."""


def _words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_PLAIN: Final = ("name", "symbols", "venue", "days", "warmup_days", "start_ns", "step_s",
                 "substeps", "initial_price_usd", "truth_every_s")  # fmt: skip

_POSITIVE: Final = _words(
    "days step_s substeps initial_price_usd truth_every_s daily_volatility "
    "volatility_slow_half_life_h volatility_fast_half_life_h volatility_drift_half_life_h "
    "jump_sigma momentum_half_life_h mean_reversion_half_life_h regime_volatility tick_usd "
    "open_interest_usd lot_coins tilt_half_life_h crowding_half_life_h entries_per_day "
    "turnover_per_day position_cap activity_half_life_h burst_minutes exit_half_life_h "
    "maintenance_rate cut_share oi_every_s depth_share reach_sigma impact_half_life_m swing_h "
    "sweep_share sweep_hours wall_hours"
)
_ANY_SIGN: Final = _words(
    "drift_per_day regime_drift regime_tilt crowding_trend oi_volatility maker_fee "
    "funding_base funding_crowding"
)
_SHARES: Final = _words(
    "common_factor mean_reversion cross_share cut_share impact_permanent direction placement "
    "wall_share stop_share missing delayed duplicated"
)


def check_world(world: World) -> None:
    """Refuse a world that cannot be right.

    Raises
    ------
    ConfigError
        Naming the world, the key, its value and what is expected.
    """
    values = {key: getattr(world, key) for key in _PLAIN}
    kinds = {f.name: str(f.type) for f in fields(world)}
    for section in ("price", "traders", "exchange", "mechanisms", "feed"):
        held = getattr(world, section)
        for f in fields(held):
            values[f.name], kinds[f.name] = getattr(held, f.name), str(f.type)
    rule = _Rules(world.name, values)
    for key in values:
        rule.kind(key, kinds[key])
    for key in values:
        rule.range(key)
    _check_times(rule)
    _check_mix(rule)
    _check_magnitudes(rule)
    _check_sizes(rule, world)
    _check_margin(rule, world)
    _check_mechanisms(rule)
    _check_faults(rule)


class _Rules:
    """All keys of a world, and the one message shape."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name, self.values = name, values

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def require(self, key: str, ok: bool, expected: str) -> None:
        """Raise unless `ok`."""
        if not ok:
            value = self.values[key]
            raise ConfigError(f"world {self.name}: {key} is {value!r}, expected {expected}")

    def kind(self, key: str, kind: str) -> None:
        """Require the declared kind; integers stand for floats, booleans for nothing else."""
        value = self.values[key]
        if kind == "str":
            self.require(key, isinstance(value, str) and value != "", "a text, not empty")
        elif kind == "bool":
            self.require(key, isinstance(value, bool), "true or false")
        elif kind in ("int", "Ns"):
            whole = isinstance(value, int) and not isinstance(value, bool)
            self.require(key, whole, "a whole number")
        elif kind == "float":
            self.require(key, _is_number(value), "a finite number")
        elif kind == "Faults":
            self.require(key, isinstance(value, Faults), "keys of faults")
        elif key == "tiers":
            self.require(key, value is None or isinstance(value, TierTable), "a TierTable")
        else:
            self.require(key, isinstance(value, tuple) and len(value) > 0, "a list of values")

    def range(self, key: str) -> None:
        """Require the sign that a number's meaning asks for."""
        value = self.values[key]
        if not _is_number(value) or key in _ANY_SIGN:
            return
        if key in _POSITIVE:
            self.require(key, value > 0, "a value above 0")
        self.require(key, value >= 0, "0 or more")
        if key in _SHARES:
            self.require(key, value <= 1, "at most 1")


def _is_number(value: object) -> bool:
    """Tell whether `value` is a finite number."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)  # type: ignore[arg-type]


def _check_times(r: _Rules) -> None:
    """Require that the clocks fit into each other."""
    step = r["step_s"]
    r.require("step_s", 86_400 % step == 0, "a divisor of a day")
    r.require("substeps", step % r["substeps"] == 0, f"a divisor of step_s ({step})")
    for key in ("oi_every_s", "truth_every_s", "bars_every_s", "totals_every_s", "depth_every_s"):
        value = r[key]
        fits = value % step == 0 and (value == 0 or 86_400 % value == 0)
        r.require(key, fits, f"a multiple of step_s ({step}) that divides a day")
    r.require("start_ns", r["start_ns"] % (step * 10**9) == 0, "a whole number of steps")
    for key in ("feed_latency_s", "oi_latency_s", "execution_s"):
        r.require(key, r[key] <= 86_400, "at most a day")
    hours = r["funding_every_h"]
    fits = hours == 0 or (24 % hours == 0 and hours * 3600 % step == 0)
    r.require("funding_every_h", fits, "hours that divide a day and hold whole steps, or 0")


def _check_mix(r: _Rules) -> None:
    """Leverage brackets, weights and symbols describe a possible market."""
    for key in ("leverages", "weights"):
        r.require(key, all(_is_number(x) for x in r[key]), "a list of numbers")
    symbols, leverages, weights = r["symbols"], r["leverages"], r["weights"]
    r.require("symbols", all(isinstance(s, str) and s for s in symbols), "a list of texts")
    r.require("symbols", len(set(symbols)) == len(symbols), "each symbol once")
    ascending = all(a < b for a, b in pairwise(leverages))
    r.require("leverages", ascending and leverages[0] > 1, "ascending values above 1")
    same = len(weights) == len(leverages)
    r.require("weights", same, f"one weight for each of the {len(leverages)} leverages")
    r.require("weights", min(weights) >= 0, "no negative weight")
    total = math.fsum(weights)
    if abs(total - 1) > 1e-9:
        raise ConfigError(f"world {r.name}: weights sum to {total:g}, expected 1")


def _check_margin(r: _Rules, world: World) -> None:
    """Require that every bracket can be held, and the largest position in some bracket."""
    top = r["leverages"][-1]
    reason = f"less than 1/{top:g}, or a {top:g}× position would be liquidated where it is opened"
    if r["tiers"] is None:
        r.require("maintenance_rate", r["maintenance_rate"] < 1 / top, reason)
        return
    tiers = r["tiers"].at(world.start_ns)
    if top > tiers.max_leverage[0]:
        raise ConfigError(
            f"world {r.name}: leverages reach {top:g}, expected at most the venue's maximum of "
            f"{tiers.max_leverage[0]:g}"
        )
    largest = 2 * r["position_cap"] * r["open_interest_usd"]
    least = tiers.max_leverage[tiers.index(min(largest, 0.999 * tiers.cap_usd[-1]))]
    if largest >= tiers.cap_usd[-1] or r["leverages"][0] > least:
        raise ConfigError(
            f"world {r.name}: a position of {largest:g} USD (twice position_cap) is too large for "
            f"the tiers of {tiers.symbol} at {r['leverages'][0]:g}×: lower position_cap"
        )


def _check_magnitudes(r: _Rules) -> None:
    """Numbers beyond which the market is not one."""
    r.require("days", r["days"] <= 3660, "at most ten years")
    r.require("daily_volatility", r["daily_volatility"] <= 0.3, "at most 0.3 (30 % a day)")
    for key in ("volatility_slow_sd", "volatility_fast_sd", "volatility_drift_sd", "activity_sd",
                "tilt_sd", "crowding_sd"):  # fmt: skip
        r.require(key, r[key] <= 1.5, "at most 1.5 (a log deviation)")
    r.require("shock_df", r["shock_df"] > 2, "more than 2, or the variance is infinite")
    r.require("season", r["season"] <= 3, "at most 3 (a power of the profile)")
    r.require("momentum", r["momentum"] <= 2, "at most 2: each move would be followed by thrice it")
    r.require("jumps_per_day", r["jumps_per_day"] <= 100, "at most 100")
    r.require("jump_sigma", r["jump_sigma"] <= 10, "at most 10 daily deviations")
    r.require("jump_minutes", r["jump_minutes"] <= 1440, "at most a day")
    r.require("drift_per_day", abs(r["drift_per_day"]) <= 0.1, "at most 0.1 in log price")
    r.require("regime_drift", abs(r["regime_drift"]) <= 5, "at most 5 σ a day")
    r.require("regime_volatility", r["regime_volatility"] <= 10, "at most 10 times")
    r.require("oi_volatility", abs(r["oi_volatility"]) <= 5, "a power of at most 5")
    r.require("unlevered_share", r["unlevered_share"] < 1, "a share below 1")
    r.require("transfer_sd", r["transfer_sd"] <= 1, "at most 1")
    r.require("position_tail", r["position_tail"] > 1, "more than 1, or the mean is infinite")
    r.require("position_cap", r["position_cap"] <= 1, "a share of at most 1")
    r.require("loser_exit_ratio", 0 < r["loser_exit_ratio"] <= 1, "a ratio in (0, 1]")
    for key in ("taker_fee", "maker_fee", "liquidation_fee", "funding_base", "funding_crowding",
                "funding_noise", "funding_cap"):  # fmt: skip
        r.require(key, abs(r[key]) <= 0.05, "at most 0.05 (5 % of notional)")
    r.require("maker_fee", r["maker_fee"] >= -r["taker_fee"], "no rebate above the taker's fee")


def _check_sizes(r: _Rules, world: World) -> None:
    """Require that lots and ticks are fine enough, and that all money fits into integers."""
    r.require("lot_coins", world.level_lots >= 1e4, "at least 10,000 lots: lower lot_coins")
    r.require("lot_coins", world.level_lots <= 2e8, "at most 200 million lots: raise lot_coins")
    mean = r["turnover_per_day"] / r["entries_per_day"]
    if mean * world.level_lots < 10:
        raise ConfigError(
            f"world {r.name}: a mean position is {mean * world.level_lots:g} lots, "
            "expected 10 or more"
        )
    if mean > r["position_cap"]:
        raise ConfigError(
            f"world {r.name}: position_cap is {r['position_cap']:g}, expected more than the mean "
            f"position, which is {mean:g} of open interest"
        )
    tick = r["tick_usd"]
    whole = max(tick, 1 / tick)
    r.require("tick_usd", abs(whole - round(whole)) < 1e-9 * whole, "a whole number, or 1 over one")
    r.require("tick_usd", r["initial_price_usd"] / tick >= 1e4, "a ten-thousandth of the price")
    unit = r["lot_coins"] * tick
    fits = max(r["open_interest_usd"], r["insurance_usd"]) / unit <= 1e16
    r.require("tick_usd", fits, "a tick × lot_coins of at least 1e-16 of open interest")


def _check_mechanisms(r: _Rules) -> None:
    """Refuse strengths with which the price runs away, saying why."""
    runaway = f"at most {MAGNET_LIMIT:g}: a stronger pull drowns the noise and the price runs away"
    for key in ("magnet", "ratio", "absolute", "sweep_reversal"):
        r.require(key, r[key] <= MAGNET_LIMIT, runaway)
    reach = r["reach_sigma"] * r["daily_volatility"]
    r.require("reach_sigma", reach <= 0.5, "a reach of at most 0.5 in log price")
    r.require("acceleration", r["acceleration"] <= 10, "at most 10 times the noise")
    r.require("walls", r["walls"] <= 5, "at most 5 daily deviations: more would not be crossed")
    r.require("impact", r["impact"] <= 5, "at most 5")
    needs = "0 where jumps_per_day is 0: it is the jumps' sign that leans"
    r.require("direction", r["direction"] == 0 or r["jumps_per_day"] > 0, needs)
    r.require("swing_h", r["swing_h"] <= 48, "at most 48 hours")
    for key in ("fuel", "stops"):
        branching = r[key] * reachable_density(r.values, stops=key == "stops")
        r.require(
            key,
            branching <= BRANCHING_LIMIT,
            f"at most {BRANCHING_LIMIT * r[key] / max(branching, 1e-300):.2g}: each forced order "
            f"would force {branching:.2g} of itself by its impact, and the price runs away",
        )


def reachable_density(values: dict[str, Any], *, stops: bool) -> float:
    """Return the share of the level that lies, per unit of log price, near the price on one side.

    Positions that are liquidated w away spread over that width while they live, which is about
    T = min(life, (w/σ)²) days; of those for whom the price must go farther than in a life, a share
    exp(−½ ((w/σ)²/life − 1)) sees it near. A cross account's w is its bracket's times (1 + extra),
    extra taken at the midpoints of eight parts of its distribution. Entries are those that keep
    open interest at its level.
    """
    v = values
    life_days = v["exit_half_life_h"] / 24 / math.log(2)
    extras = [-v["cross_extra"] * math.log(1 - (k + 0.5) / 8) for k in range(8)]
    kinds = [(1 - v["cross_share"], 0.0), *((v["cross_share"] / 8, extra) for extra in extras)]
    turnover = min(v["turnover_per_day"], 1.5 / life_days)
    density = 0.0
    for leverage, weight in zip(v["leverages"], v["weights"], strict=True):
        for share, extra in kinds:
            width = max((1 + extra) / leverage, 1e-3)
            days = (width / v["daily_volatility"]) ** 2
            comes = math.exp(-max(days / life_days - 1, 0.0) / 2)
            density += weight * share * turnover * min(days, life_days) * comes / width
    density *= 1 - v["unlevered_share"]
    if stops:
        reach = v["reach_sigma"] * v["daily_volatility"]
        density += v["stop_share"] * turnover * min(life_days, 1.0) / reach
    return float(density)


def _check_faults(r: _Rules) -> None:
    """Require that faults leave something of a feed."""
    r.require("throttle", r["throttle"] in ("none", "latest", "largest"), "none, latest or largest")
    for key, value in r.values.items():
        if not isinstance(value, Faults):
            continue
        inner = _Rules(f"{r.name}: {key}", {f.name: getattr(value, f.name) for f in fields(value)})
        for f in fields(value):
            inner.kind(f.name, str(f.type))
            inner.range(f.name)
        inner.require("missing", value.missing < 1, "a share below 1")
        lost = value.gaps_per_day * value.gap_minutes / 1440
        inner.require("gaps_per_day", lost <= 0.5, "gaps that leave half of the time")
