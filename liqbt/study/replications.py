"""Replications of the validity gate: simulated markets through the pipeline of every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any, Final

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import STATISTICS, TRIALS
from liqbt.evaluation.claims.verdict import find_score, verdict
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.statistic import Statistic
from liqbt.simulate.effects.values import Effect
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.replicate import Replication, replicate, world_experiment
from liqbt.study.trials import TESTS, replicated, statistics_read
from liqbt.types import DAY_NS, Forecast, VerdictWord

RAN_AWAY: Final = "ran_away"
"""Kept in the place of the scores of a market whose price left the range of the true map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Markets of one world, replicated, and what was planted there.

    Attributes
    ----------
    markets : tuple of Replication or None
        In order; None where the price left the range of the true map.
    effects : mapping of str to Effect
        Of the claim that is true there; empty where none is, or fewer than two markets are left
        (some effects are told out of sample, of one market by another).
    """

    markets: tuple[Replication | None, ...]
    effects: Mapping[str, Effect]


def market_seed(root: int, number: int) -> np.random.SeedSequence:
    """Return the seed of a market by its number: its own, whatever else is run.

    Worlds share seeds: their tests are compared on the same noise.
    """
    return np.random.SeedSequence(root, spawn_key=(number,))


def replicated_batch(
    world: World,
    numbers: Iterable[int],
    root: int,
    *,
    cheat: bool = False,
    claim: str | None = None,
    statistics: Sequence[Statistic] = STATISTICS,
) -> Batch:
    """Replicate a batch of markets.

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
    statistics : sequence of Statistic
        What is scored; those that replications leave out are left out.
    """
    experiment = world_experiment(world)
    scored = tuple(filter(replicated, statistics))
    done: list[Replication | None] = []
    for number in numbers:
        seed = market_seed(root, number)
        try:
            done.append(replicate(world, experiment, seed, oracle if cheat else None, scored))
        except RunawayError:
            done.append(None)
    truths = [truth for one in done if one is not None for truth in one.truths]
    return Batch(markets=tuple(done), effects=_effects(world, truths, claim))


def batch_found(
    world: World,
    numbers: Iterable[int],
    root: int,
    *,
    cheat: bool = False,
    claim: str | None = None,
) -> dict[str, Any]:
    """Return every score of a batch of markets, as they are pinned.

    Parameters
    ----------
    world, numbers, root, cheat, claim
        As in `replicated_batch`.

    Returns
    -------
    dict
        `scores`: for each market a mapping of statistic to `[value, ci_low, ci_high, agree,
        n_episodes, n_days, null, mde]` (all symbols and both sides together), and of every claim's
        verdict (see `verdict_name`) to `[supported, specific, refuted, suspect, testable]`, or
        `RAN_AWAY` alone; `effects`: of statistic to value.
    """
    found = replicated_batch(
        world, numbers, root, cheat=cheat, claim=claim, statistics=statistics_read(tuple(TESTS))
    )
    return {
        "scores": [{RAN_AWAY: []} if one is None else _rows(one) for one in found.markets],
        "effects": {name: float(effect.value) for name, effect in found.effects.items()},
    }


def verdict_name(claim: str) -> str:
    """Return what a claim's verdict is called among the numbers that are pinned."""
    return f"{claim}: its verdict"


def found_of(claim: Claim, one: Replication) -> VerdictWord:
    """Return what the claim's own rule says of a replication, with nothing withheld or shared."""
    details = one.evaluation.details
    score = find_score(claim, details)
    return verdict(claim, score, withheld=None, others=details).word


def _rows(one: Replication) -> dict[str, list[Any]]:
    rows = {
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
    words = {claim.id: found_of(claim, one) for claim in TESTS.values()}
    asked = (VerdictWord.SUPPORTED, VerdictWord.SPECIFIC, VerdictWord.REFUTED, VerdictWord.SUSPECT)
    for claim, word in words.items():
        testable = word != VerdictWord.NOT_TESTABLE
        rows[verdict_name(claim)] = [*(float(word == each) for each in asked), float(testable)]
    return rows


def _effects(world: World, truths: Sequence[Truth], claim: str | None) -> dict[str, Effect]:
    if claim is None or len(truths) < 2:
        return {}
    trial = TRIALS[claim]
    measure = resolve_name(f"liqbt.simulate.effects.{trial.measure.replace('.', ':')}")
    found = measure(truths, mechanism=world.name)
    return {effect.statistic: effect for effect in found if effect.statistic in trial.effects}


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
