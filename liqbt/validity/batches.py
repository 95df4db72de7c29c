"""One batch of replications: simulate, replay, score, and measure the effect from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.config import MarketInput
from liqbt.simulate.effects.direction import direction_effects
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.effects.values import Effect
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.replicate import Replication, replicate, world_experiment
from liqbt.types import DAY_NS, Forecast
from liqbt.validity.jobs import BATCH, RAN_AWAY, Job, world_of

SHOWN: Final = (
    "dose_response",
    "dose_response_raw",
    "dose_response_beside_structures",
    "first_side_gain",
    "first_side_skill",
    "first_side_crowded_lift",
    "first_side_over_coin",
    "first_side_over_momentum",
    "first_side_over_nearest",
    "cascade_gain",
    "cascade_side_gain",
    "large_move_side_gain",
    "mirror_lift",
    "mirror_lift_densest",
    "brownian_lift",
)
"""The statistics that are kept of every replication; only tests of primary claims are gated."""

EFFECTS: Final = {
    "magnet": ("dose_response_twin", "dose_response_raw"),
    "direction": ("skill_per_day", "crowded_move"),
}
"""What is measured of a planted mechanism: what it caused (or told), then the factual path."""


def seed_of(root: int, job: Job, k: int) -> np.random.SeedSequence:
    """Return the seed of replication `k` of a batch: its own, whatever else is run.

    Worlds share seeds: their tests are compared on the same noise.
    """
    return np.random.SeedSequence(root, spawn_key=(job.batch * BATCH + k,))


def one_batch(job: Job, folder: Path, root: int) -> dict[str, Any]:
    """Return the scores of a batch and, where something was planted, its effects.

    Parameters
    ----------
    job : Job
        What is replicated.
    folder : Path
        Where the worlds' files are.
    root : int
        Root seed of the campaign.

    Returns
    -------
    dict
        `scores`: for each replication a mapping of statistic to
        `[value, ci_low, ci_high, agree, n_episodes, n_days]`, or `RAN_AWAY` alone; `effects`: of
        statistic to value.
    """
    world = world_of(job, folder)
    experiment = world_experiment(world)
    cheat = oracle if job.role == "oracle" else None
    done: list[Replication | None] = []
    for k in range(BATCH):
        try:
            done.append(replicate(world, experiment, seed_of(root, job, k), cheat))
        except RunawayError:
            done.append(None)
    rows: list[dict[str, list[Any]]] = [
        {RAN_AWAY: []}
        if one is None
        else {
            d.score.statistic: [
                *(float(v) for v in (d.score.value, d.score.ci_low, d.score.ci_high)),
                bool(d.estimate.agree),
                d.score.n_episodes,
                d.score.n_days,
            ]
            for d in one.evaluation.details
            if d.score.statistic in SHOWN and (d.score.symbol, d.score.side) == ("pooled", "both")
        }
        for one in done
    ]
    truths = [truth for one in done if one is not None for truth in one.truths]
    return {"scores": rows, "effects": _effects(job, world, truths)}


def _effects(job: Job, world: World, truths: Sequence[Truth]) -> dict[str, float]:
    if job.role != "power" or len(truths) < 2:  # told out of sample: of one market by another
        return {}
    measure = level_effects if job.world == "magnet" else direction_effects
    found: tuple[Effect, ...] = measure(truths, mechanism=world.name)
    return {e.statistic: float(e.value) for e in found if e.statistic in EFFECTS[job.world]}


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
