"""A Brownian market with maps and forced notional, for tests of crossings; and a naive table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from evaluation_world import START, brownian_path, map_forecast, points

from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.crossings import BAND, STEP, SWING_AGE_H, SWING_H, crossing_table
from liqbt.evaluation.forced import Forced
from liqbt.types import HOUR_NS


def crossing_market(seed, days, *, told=0.0, beyond=0.0, twin=True, forced=True):
    """Hourly maps of random density that last a day; `told` is how much of the map is forced.

    With `told` of 0 what is forced follows the path alone: how far the price went. `beyond` is by
    how much more, in logarithms, is forced where all that is crossed lies just beyond a swing.
    """
    rng = np.random.default_rng(seed)
    x, _, _ = brownian_path(rng, days, 0.025)
    ts = START + np.arange(len(x)) * 300 * 10**9
    path = points(ts, 100.0 * np.exp(x))
    maps, twins = [], []
    for i in range(0, len(x) - 1, 12):
        if i % 288 == 0:
            density, other = (rng.exponential(1.0, (2, 200)) ** 2 for _ in range(2))
        mark = float(100.0 * np.exp(x[i]))
        maps.append(map_forecast(ts[i], mark, density))
        twins.append(map_forecast(ts[i], mark, other))
    market = MarketInput(symbol="A", forecasts=maps, path=path, twin=twins if twin else None)
    if not forced:
        return market
    hours = len(maps)
    market = replace(market, forced=_forced(np.zeros((2, hours))))
    usd = np.zeros((2, hours))
    for row in crossing_table(market, market.forecasts):
        i, side = (row["at"] - START) // HOUR_NS, 0 if row["side"] > 0 else 1
        near = beyond * row["beyond"] / max(row["fresh_24h"], 1e-9)
        size = row["uniform"] * math.exp(told * math.log1p(row["map_usd"]) + near)
        usd[side, i] = 1e5 * size * rng.lognormal(0.0, 0.5)
    return replace(market, forced=_forced(usd))


def _forced(usd):
    first = START // HOUR_NS * HOUR_NS
    known = first + (np.arange(usd.shape[1]) + 1) * HOUR_NS + 60 * 10**9
    return Forced(first_hour_ns=first, known_ns=known, usd=usd)


def _naive_swings(path):
    """Hours whose extreme lies beyond those of six hours on both sides: (level, side, hour)."""
    hours = {}
    for end, price in zip(path.end_ns.tolist(), np.log(path.close).tolist(), strict=True):
        hours.setdefault(-(-end // HOUR_NS) - 1, []).append(price)
    first, last = min(hours), max(hours)
    for hour in range(first + SWING_H, last - SWING_H + 1):
        around = [h for h in range(hour - SWING_H, hour + SWING_H + 1) if h != hour]
        if hour in hours and all(h in hours for h in around):
            if max(hours[hour]) > max(max(hours[h]) for h in around):
                yield max(hours[hour]), 1, hour
            if min(hours[hour]) < min(min(hours[h]) for h in around):
                yield min(hours[hour]), -1, hour


def naive_crossings(market):
    """Yield rows of a crossing table bin by bin, looking back through the whole path each time."""
    origin = math.log(market.path.close[0]) - 0.5 * STEP
    end, x = market.path.end_ns, np.log(market.path.close) - origin
    swings = [(level - origin, *rest) for level, *rest in _naive_swings(market.path)]
    twins = {f.at: f for f in market.twin or ()}
    for forecast in market.forecasts:
        at = forecast.at
        inside = np.flatnonzero((end > at) & (end <= at + HOUR_NS))
        if len(inside) < 12:
            continue
        begin = int(inside[0]) - 1
        start = float(x[begin])
        for side in (1, -1):
            way = -side  # longs lie below
            reach = max([0.0, *(way * (x[k] - start) for k in inside)])
            lowest, highest = sorted((start, start + way * reach))
            row = {"at": at, "side": side, "reach": reach, "map_usd": 0.0, "twin_usd": 0.0}
            row |= dict.fromkeys(("uniform", "fresh_2h", "fresh_24h", "beyond", "before"), 0.0)
            for b in range(math.floor(lowest / STEP), math.floor(highest / STEP) + 1):
                low, high = max(lowest, b * STEP), min(highest, (b + 1) * STEP)
                if high <= low:
                    continue
                age = _age(b, begin, at, end, x)
                part = (high - low) / STEP
                full = part * (1.0 - 0.5 ** (age / 24.0))
                row["uniform"] += part
                row["fresh_2h"] += part * (1.0 - 0.5 ** (age / 2.0))
                row["fresh_24h"] += full
                near = _near((b + 0.5) * STEP, way, swings, at, end, x) if age >= SWING_H else ()
                row["map_usd"] += _mass(forecast, side, low + origin, high + origin)
                row["twin_usd"] += _mass(twins[at], side, low + origin, high + origin)
                for name in near:
                    row[name] += full
            yield row


def _age(b, begin, at, end, x):
    """Hours since the path last ran through a bin, before entry `begin` was over."""
    for k in range(begin, -1, -1):
        low, high = sorted((x[max(k - 1, 0)], x[k]))
        if math.floor(low / STEP) <= b <= math.floor(high / STEP):
            return (at - int(end[k])) / HOUR_NS
    return math.inf


def _near(centre, way, swings, at, end, x):
    found = set()
    for level, side, hour in swings:
        confirmed = (hour + 1 + SWING_H) * HOUR_NS
        if side != way or not confirmed <= at < (hour + 1 + SWING_AGE_H) * HOUR_NS:
            continue
        since = x[(end >= confirmed) & (end <= at)]
        if len(since) and (side * (since - level)).max() > 0.0:
            continue
        past = side * (centre - level)
        if 0.0 <= past <= BAND:
            found.add("beyond")
        elif -BAND <= past < 0.0:
            found.add("before")
    return sorted(found)


def _mass(forecast, side, low, high):
    """What a map holds between two log prices: entry by entry."""
    grid, row = forecast.grid, forecast.density_usd[0 if side > 0 else 1]
    edges = grid.prices(forecast.mark_bin, 1 if side > 0 else -1, len(row))
    total = 0.0
    for j, usd in enumerate(row.tolist()):
        a, b = sorted((math.log(edges[j]), math.log(edges[j + 1])))
        total += usd * max(min(b, high) - max(a, low), 0.0) / (b - a)
    return total
