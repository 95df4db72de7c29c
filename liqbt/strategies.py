"""Trading rules that act on a map, their placebos, and the trades that they make on a price path.

A rule turns one forecast into plans, written as signed log distances from the mark in σ of a day.
So a placebo is a plan too: the same plan **mirrored** to the other side of the mark, or the plan of
an earlier day, **redated** to this one. Nothing here knows a portfolio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Forecast, IntArray, Ns

HORIZON_NS: Final = DAY_NS
"""A decision is taken once in so long, and what it opened is closed by then."""
FADE_NS: Final = 4 * HOUR_NS
"""What is opened after a sweep is closed so long after it was seen, as the claim says."""
LEAST_AGE_NS: Final = 7 * DAY_NS
"""A plan is redated from a day at least so far back, as placebo histories are."""
BEYOND: Final = 0.1
"""How far past a cluster's far edge a stop *just beyond* it lies, in σ of a day: claim 9's step."""
HOUR_SIGMA: Final = 1.0 / math.sqrt(24.0)
"""σ of an hour in σ of a day."""

LEVELS: Final = ("map", "mirrored", "redated")
"""Whose levels a trade is planned by: the map's, or one of its two placebos'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one forecast would have done, in σ of a day from the mark at issue; NaN for none.

    Attributes
    ----------
    direction : int
        1 to buy, −1 to sell.
    stop, target : float
        Where the position is given up, and where it is closed with what it was opened for. Of a
        plan with a trigger they count from the price of its entry.
    trigger : float
        The price must pass this first; NaN: the position is opened at once.
    """

    direction: int
    stop: float = math.nan
    target: float = math.nan
    trigger: float = math.nan

    def mirrored(self) -> Plan:
        """Return the plan of the mirror image.

        Examples
        --------
        >>> Plan(direction=1, stop=-0.5, target=1.0).mirrored()
        Plan(direction=-1, stop=0.5, target=-1.0, trigger=nan)
        """
        return Plan(
            direction=-self.direction,
            stop=-self.stop,
            target=-self.target,
            trigger=-self.trigger,
        )


class Distances(NamedTuple):
    """Clusters of one forecast within reach, in σ of a day from its mark: above positive."""

    near: FloatArray
    far: FloatArray
    peak: FloatArray
    rank: FloatArray

    def densest(self, side: int = 0) -> int:
        """Return the densest one's place, above (1), below (−1) or of both; −1 for none.

        Of equally dense ones it is the nearest.
        """
        held = np.flatnonzero((self.near * side > 0) if side else (self.near == self.near))
        if not len(held):
            return -1
        order = np.lexsort((np.abs(self.near[held]), -self.rank[held]))
        return int(held[order[0]])


def distances(forecast: Forecast, floor: float, ceiling: float) -> Distances:
    """Return a forecast's clusters whose near edge lies `floor` to `ceiling` σ from its mark."""
    rows = forecast.clusters
    sigma = forecast.sigma_1d
    above = rows["side"] < 0  # shorts are liquidated above the mark
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high, peak = (
            np.log(rows[name] / forecast.mark) / sigma for name in ("low", "high", "peak")
        )
    near, far = np.where(above, low, high), np.where(above, high, low)
    outward = np.where(above, near, -near)
    held = (outward >= floor) & (outward <= ceiling)
    return Distances(near[held], far[held], peak[held], rows["density_rank"][held])


Rule: TypeAlias = Callable[[Forecast, Distances], Sequence[Plan]]


def _to_cluster(_: Forecast, found: Distances) -> list[Plan]:
    """Go with the densest cluster as the target; give up as far on the other side."""
    i = found.densest()
    if i < 0:
        return []
    near = float(found.near[i])
    return [Plan(direction=int(np.sign(near)), target=near, stop=-near)]


def _fade(_: Forecast, found: Distances) -> list[Plan]:
    """Once the densest cluster of a side was swept: back by σ of an hour, or out at as much on."""
    plans = []
    for side in (-1, 1):
        i = found.densest(side)
        if i >= 0:
            step = side * HOUR_SIGMA
            plans.append(
                Plan(direction=-side, trigger=float(found.far[i]), stop=step, target=-step)
            )
    return plans


def _stopped(past: Callable[[Distances, int, int], float]) -> Rule:
    """Return the rule of leaning on the densest cluster, with a stop where `past` says."""

    def rule(_: Forecast, found: Distances) -> list[Plan]:
        i = found.densest()
        if i < 0:
            return []
        side = int(np.sign(found.near[i]))
        return [Plan(direction=-side, stop=past(found, i, side))]

    return rule


def _with_the_crowd(forecast: Forecast, _: Distances) -> list[Plan]:
    """Go to the side with more estimated notional: down where longs outweigh."""
    side = int(forecast.crowded_side)
    return [Plan(direction=-side)] if side else []


STRATEGIES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "cluster_target": {"target": _to_cluster},
    "sweep_fade": {"fade": _fade},
    "cluster_stop": {
        "inside": _stopped(lambda found, i, _: float(found.peak[i])),
        "beyond": _stopped(lambda found, i, side: float(found.far[i]) + side * BEYOND),
    },
    "crowded_side": {"crowd": _with_the_crowd},
}
"""A strategy's rules by the name of the variant."""

OFFERED: Final = sum(len(rules) for rules in STRATEGIES.values())
"""Rules that whoever looks at one could have looked at."""


class Path(NamedTuple):
    """A price path, an entry a point or a bar's range: times are ends, ns."""

    ts: IntArray
    low: FloatArray
    high: FloatArray
    close: FloatArray

    @property
    def ranged(self) -> bool:
        """Whether entries are bars: then the first one after a time may reach back before it."""
        return bool((self.low < self.high).any())


class Trade(NamedTuple):
    """A position as it is ordered.

    Attributes
    ----------
    entry, exit : int
        Places in the path: opened at that entry's close, and closed at the other's if neither stop
        nor target was met before.
    direction : int
        1 long, −1 short.
    stop, target : float
        Distances from the price of the entry, as shares of it; NaN for none.
    """

    entry: int
    exit: int
    direction: int
    stop: float
    target: float


def decisions(forecasts: Sequence[Forecast], since: Ns) -> list[Forecast]:
    """Return the forecasts that are acted on: from `since` on, one in `HORIZON_NS`."""
    chosen: list[Forecast] = []
    for forecast in forecasts:
        if forecast.at >= since and (not chosen or forecast.at >= chosen[-1].at + HORIZON_NS):
            chosen.append(forecast)
    return chosen


class Decided(NamedTuple):
    """The plans of one decision, and the forecast whose time, mark and σ they are placed by."""

    forecast: Forecast
    plans: Sequence[Plan]


def planned(
    chosen: Sequence[Forecast],
    rule: Rule,
    levels: str,
    reach: tuple[float, float],
    rng: np.random.Generator,
) -> list[Decided]:
    """Return what is planned at every decision that has an earlier one to be redated from.

    Nothing is planned before a week of decisions has passed, whatever the levels: all trade at the
    same times.

    Parameters
    ----------
    chosen : sequence of Forecast
        As `decisions` returns them.
    rule : callable
        The rule.
    levels : str
        One of `LEVELS`.
    reach : (float, float)
        Least and largest distance of a cluster's near edge, σ of a day.
    rng : numpy.random.Generator
        What days are drawn from.
    """
    own = [rule(forecast, distances(forecast, *reach)) for forecast in chosen]
    times = np.array([forecast.at for forecast in chosen], np.int64)
    found = []
    for i, forecast in enumerate(chosen):
        n_before = int(np.searchsorted(times, forecast.at - LEAST_AGE_NS, "right"))
        if not n_before:
            continue
        plans = own[int(rng.integers(n_before))] if levels == "redated" else own[i]
        if levels == "mirrored":
            plans = [plan.mirrored() for plan in plans]
        found.append(Decided(forecast, plans))
    return found


def trades(decided: Sequence[Decided], path: Path, *, latency: Ns, delay: Ns) -> list[Trade]:
    """Return the trades of some plans, in order; none begins before the last one's time is over.

    What is known at t is traded at the first price **after** t: a point, or the close of a bar,
    where the next one opens. A plan whose stop or target has been passed by then is not traded, nor
    one whose time the path does not cover.

    Parameters
    ----------
    decided : sequence of Decided
        Plans and their forecasts.
    path : Path
        Prices.
    latency : int
        A forecast is in a trader's hands so long after its issue, ns.
    delay : int
        A price is known so long after its time, ns: what a trigger waits for.
    """
    found = sorted(
        trade
        for forecast, plans in decided
        for plan in plans
        if (trade := _trade(forecast, plan, path, latency, delay)) is not None
    )
    kept: list[Trade] = []
    for trade in found:
        if not kept or trade.entry > kept[-1].exit:
            kept.append(trade)
    return kept


def _trade(forecast: Forecast, plan: Plan, path: Path, latency: Ns, delay: Ns) -> Trade | None:
    known, deadline = forecast.at + latency, forecast.at + HORIZON_NS
    base = forecast.mark
    triggered = math.isfinite(plan.trigger)
    if triggered:
        seen = _passed(forecast, plan, path, known)
        if seen is None:
            return None
        known, deadline = seen + delay, seen + delay + FADE_NS
    entry = int(np.searchsorted(path.ts, known, "right"))
    last = int(np.searchsorted(path.ts, deadline, "right")) - 1
    if entry >= last or path.ts[-1] < deadline:
        return None
    price = float(path.close[entry])
    stop, target = (
        (price if triggered else base) * math.exp(z * forecast.sigma_1d)
        for z in (plan.stop, plan.target)
    )
    if plan.direction * (price - stop) <= 0 or plan.direction * (target - price) <= 0:
        return None
    return Trade(entry, last, plan.direction, abs(stop / price - 1.0), abs(target / price - 1.0))


def _passed(forecast: Forecast, plan: Plan, path: Path, known: Ns) -> Ns | None:
    """Return when the path first passes a trigger within the horizon; None where it does not."""
    first = int(np.searchsorted(path.ts, known, "right")) + path.ranged
    end = int(np.searchsorted(path.ts, forecast.at + HORIZON_NS, "right"))
    level = forecast.mark * math.exp(plan.trigger * forecast.sigma_1d)
    hit: npt.NDArray[np.bool_] = (
        path.high[first:end] >= level if plan.trigger > 0 else path.low[first:end] <= level
    )
    return int(path.ts[first + int(hit.argmax())]) if hit.any() else None
