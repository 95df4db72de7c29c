"""Replications of the validity gate: simulated markets through the pipeline of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.claims.register import STATISTICS, TRIALS
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.simulate.effects.direction import direction_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.effects.values import Effect
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.replicate import Replication, replicate, world_experiment
from liqbt.types import DAY_NS, Forecast

REPLICATED: Final = tuple(one for one in STATISTICS if not {"placebo", "levels"} & {*one.needs})
"""What is scored of a replication: p̂ and P(visit) take most of its time; no test rests on them."""

RAN_AWAY: Final = "ran_away"
"""Kept in the place of the scores of a market whose price left the range of the true map."""


MEASURES: Final[dict[str, Callable[..., tuple[Effect, ...]]]] = {
    "levels": level_effects,
    "direction": direction_effects,
    "fuel": fuel_effects,
}
"""What measures a planted mechanism from the truth, by `Trial.measure`."""


def market_seed(root: int, number: int) -> np.random.SeedSequence:
    """Return the seed of a market by its number: its own, whatever else is run.

    Worlds share seeds: their tests are compared on the same noise.
    """
    return np.random.SeedSequence(root, spawn_key=(number,))


def batch_found(
    world: World,
    numbers: Iterable[int],
    root: int,
    *,
    cheat: bool = False,
    claim: str | None = None,
) -> dict[str, Any]:
    """Return the scores of a batch of markets and, where something was planted, its effects.

    Parameters
    ----------
    world : World
        What is simulated.
    numbers : iterable of int
        Of the markets: each has its own seed.
    root : int
        Root seed of the campaign.
    cheat : bool
        Whether an oracle's forecasts take the place of those that were issued.
    claim : str, optional
        Whose mechanism is planted.

    Returns
    -------
    dict
        `scores`: for each market a mapping of statistic to `[value, ci_low, ci_high, agree,
        n_episodes, n_days, null, mde]` (all symbols and both sides together), or `RAN_AWAY` alone;
        `effects`: of statistic to value.
    """
    experiment = world_experiment(world)
    done: list[Replication | None] = []
    for number in numbers:
        seed = market_seed(root, number)
        try:
            done.append(replicate(world, experiment, seed, oracle if cheat else None, REPLICATED))
        except RunawayError:
            done.append(None)
    truths = [truth for one in done if one is not None for truth in one.truths]
    rows = [{RAN_AWAY: []} if one is None else _rows(one) for one in done]
    return {"scores": rows, "effects": _effects(world, truths, claim)}


def _rows(one: Replication) -> dict[str, list[Any]]:
    return {
        d.score.statistic: [
            *(float(v) for v in (d.score.value, d.score.ci_low, d.score.ci_high)),
            bool(d.estimate.agree),
            d.score.n_episodes,
            d.score.n_days,
            float(d.score.null),
            float(d.score.mde),
        ]
        for d in one.evaluation.details
        if (d.score.symbol, d.score.side) == (POOLED, "both")
    }


def _effects(world: World, truths: Sequence[Truth], claim: str | None) -> dict[str, float]:
    if claim is None or len(truths) < 2:  # told out of sample: of one market by another
        return {}
    trial = TRIALS[claim]
    found = MEASURES[trial.measure](truths, mechanism=world.name)
    return {e.statistic: float(e.value) for e in found if e.statistic in trial.effects}


def oracle(forecasts: Sequence[Forecast], market: MarketInput) -> list[Forecast]:
    """Put forecasts made from the future in place of those that were issued.

    The side toward which the price goes farther in the next day is dense, the other is empty, and
    the asymmetry names it: a score that does not find this finds nothing.
    """
    path = market.path
    ends, high, low = path.end_ns, np.log(path.high), np.log(path.low)
    out = []
    for forecast in forecasts:
        first = int(np.searchsorted(ends, forecast.at, "right"))
        stop = int(np.searchsorted(ends, forecast.at + DAY_NS, "right"))
        if stop <= first:
            out.append(forecast)
            continue
        centre = float(np.log(forecast.mark))
        up = float(high[first:stop].max()) - centre > centre - float(low[first:stop].min())
        density = np.zeros_like(forecast.density_usd)
        density[int(up)] = 1e6
        out.append(replace(forecast, density_usd=density, asymmetry=-1.0 if up else 1.0))
    return out
