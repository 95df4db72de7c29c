"""What the keys of a `World` must satisfy together to be a market, each rule with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

BRANCHING_LIMIT: Final = 0.9
"""Forced flow whose impact forces on average more than this of itself does not die out in time."""


class _Rules:
    """All keys of a world, and the one message shape."""

    def __init__(self, values: Mapping[str, Any], paths: Mapping[str, str]) -> None:
        self.values, self.paths = values, paths

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def require(self, key: str, ok: bool, expected: str) -> None:
        """Raise unless `ok`."""
        if not ok:
            where, value = self.paths.get(key, key), self.values[key]
            raise ValueError(f"key '{where}': expected {expected}, found {value!r}")


def check_world(values: Mapping[str, Any], paths: Mapping[str, str]) -> None:
    """Refuse a world whose keys, each right by itself, cannot be right together.

    Parameters
    ----------
    values : mapping
        Every key of the world and of its sections.
    paths : mapping of str to str
        How a key of a section is named in full.

    Raises
    ------
    ValueError
        Naming the key, its value and what is expected.
    """
    rule = _Rules(values, paths)
    _check_times(rule)
    _check_mix(rule)
    rule.require(
        "maker_fee", rule["maker_fee"] >= -rule["taker_fee"], "no rebate above the taker's fee"
    )
    _check_sizes(rule)
    _check_margin(rule)
    _check_mechanisms(rule)


def _check_times(r: _Rules) -> None:
    """Require that the clocks fit into each other."""
    step = r["step_s"]
    r.require("step_s", 86_400 % step == 0, "a divisor of a day")
    r.require("substeps", step % r["substeps"] == 0, f"a divisor of step_s ({step})")
    for key in ("oi_every_s", "truth_every_s", "bars_every_s", "totals_every_s", "depth_every_s"):
        value = r[key]
        fits = value % step == 0 and (value == 0 or 86_400 % value == 0)
        r.require(key, fits, f"a multiple of step_s ({step}) that divides a day")
    census, truth = r["census_every_s"], r["truth_every_s"]
    whole = census % truth == 0 and (census == 0 or 86_400 % census == 0)
    r.require("census_every_s", whole, f"a multiple of truth_every_s ({truth}) that divides a day")
    r.require("start_ns", r["start_ns"] % (step * 10**9) == 0, "a whole number of steps")
    hours = r["funding_every_h"]
    fits = hours == 0 or (24 % hours == 0 and hours * 3600 % step == 0)
    r.require("funding_every_h", fits, "hours that divide a day and hold whole steps, or 0")


def _check_mix(r: _Rules) -> None:
    """Leverage brackets, weights and symbols describe a possible market."""
    symbols, leverages, weights = r["symbols"], r["leverages"], r["weights"]
    r.require("symbols", len(set(symbols)) == len(symbols), "each symbol once")
    ascending = all(a < b for a, b in pairwise(leverages))
    r.require("leverages", ascending and leverages[0] > 1, "ascending values above 1")
    same = len(weights) == len(leverages)
    r.require("weights", same, f"one weight for each of the {len(leverages)} leverages")
    r.require("weights", min(weights) >= 0, "no negative weight")
    total = math.fsum(weights)
    r.require("weights", abs(total - 1) <= 1e-9, f"weights that sum to 1, not {total:g}")


def _check_margin(r: _Rules) -> None:
    """Require that every bracket can be held, and the largest position in some bracket."""
    top = r["leverages"][-1]
    reason = f"less than 1/{top:g}, or a {top:g}× position would be liquidated where it is opened"
    if r["tiers"] is None:
        r.require("maintenance_rate", r["maintenance_rate"] < 1 / top, reason)
        return
    tiers = r["tiers"].at(r["start_ns"])
    most = tiers.max_leverage[0]
    r.require("leverages", top <= most, f"at most the venue's maximum of {most:g}")
    largest = 2 * r["position_cap"] * r["open_interest_usd"]
    least = tiers.max_leverage[tiers.index(min(largest, 0.999 * tiers.cap_usd[-1]))]
    r.require(
        "position_cap",
        largest < tiers.cap_usd[-1] and r["leverages"][0] <= least,
        f"a lower position_cap: {largest:g} USD (twice that) is too large for the tiers of "
        f"{tiers.symbol} at {r['leverages'][0]:g}×",
    )


def _check_sizes(r: _Rules) -> None:
    """Require that lots and ticks are fine enough, and that all money fits into integers."""
    lots = r["open_interest_usd"] / r["initial_price_usd"] / r["lot_coins"]
    r.require("lot_coins", lots >= 1e4, "at least 10,000 lots: lower lot_coins")
    r.require("lot_coins", lots <= 2e8, "at most 200 million lots: raise lot_coins")
    mean = r["turnover_per_day"] / r["entries_per_day"]
    reason = f"10 or more lots in a mean position, which has {mean * lots:g}"
    r.require("lot_coins", mean * lots >= 10, reason)
    reason = f"more than the mean position, which is {mean:g} of open interest"
    r.require("position_cap", mean <= r["position_cap"], reason)
    tick = r["tick_usd"]
    whole = max(tick, 1 / tick)
    r.require("tick_usd", abs(whole - round(whole)) < 1e-9 * whole, "a whole number, or 1 over one")
    r.require("tick_usd", r["initial_price_usd"] / tick >= 1e4, "a ten-thousandth of the price")
    unit = r["lot_coins"] * tick
    fits = max(r["open_interest_usd"], r["insurance_usd"]) / unit <= 1e16
    r.require("tick_usd", fits, "a tick × lot_coins of at least 1e-16 of open interest")


def _check_mechanisms(r: _Rules) -> None:
    """Refuse strengths with which the price runs away, saying why."""
    reach = r["reach_sigma"] * r["daily_volatility"]
    r.require("reach_sigma", reach <= 0.5, "a reach of at most 0.5 in log price")
    needs = "0 where jumps_per_day is 0: it is the jumps' sign that leans"
    r.require("direction", r["direction"] == 0 or r["jumps_per_day"] > 0, needs)
    for key in ("fuel", "stops"):
        branching = r[key] * reachable_density(r.values, stops=key == "stops")
        r.require(
            key,
            branching <= BRANCHING_LIMIT,
            f"at most {BRANCHING_LIMIT * r[key] / max(branching, 1e-300):.2g}: each forced order "
            f"would force {branching:.2g} of itself by its impact, and the price runs away",
        )


def reachable_density(values: Mapping[str, Any], *, stops: bool) -> float:
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
