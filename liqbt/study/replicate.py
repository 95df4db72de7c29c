"""One replication: a simulated market through the same replay, calibration and scoring as a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import METHOD
from liqbt.evaluation.evaluate import Evaluation
from liqbt.evaluation.statistic import Statistic
from liqbt.simulate.market import simulate
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.pipeline import Forecaster, study
from liqbt.study.schema import Experiment, parse_experiment
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """A simulated market, scored.

    Attributes
    ----------
    evaluation : Evaluation
        Its scores, as a run has them.
    truths : tuple of Truth
        What was true, symbol by symbol; made before, and read after, everything else.
    """

    evaluation: Evaluation
    truths: tuple[Truth, ...]


def world_experiment(
    world: World, horizon: str = "24h", reps: int = METHOD.bootstrap_reps
) -> Experiment:
    """Return the experiment that a world's markets are run under: defaults, and one horizon.

    Parameters
    ----------
    world : World
        What is simulated.
    horizon : str
        The one that is scored.
    reps : int
        Draws of the bootstrap.
    """
    kinds = ["mark", "open_interest", "bar", "liquidation"]
    if world.feed.depth_every_s:
        kinds.append("depth")
    symbols = {
        symbol: {
            "events": dict.fromkeys(kinds, f"{world.venue}/{symbol}"),
            "margin": {"tiers": "BTCUSDT"},
        }
        for symbol in world.symbols
    }
    raw = {
        "name": f"replication-{world.name}".replace("_", "-"),
        "data": {"world": f"{world.name}.yaml"},
        "symbols": symbols,
        "evaluation": {"horizons": [horizon], "bootstrap_reps": reps},
    }
    return parse_experiment(raw, Path(f"{world.name}.yaml"))


def replicate(
    world: World,
    experiment: Experiment,
    seed: np.random.SeedSequence,
    instead: Forecaster | None = None,
    statistics: Sequence[Statistic] = STATISTICS,
) -> Replication:
    """Simulate a market, and put it through the pipeline of every run.

    Nothing is written: the tape is made of the market's tables.

    Parameters
    ----------
    world : World
        What is simulated.
    experiment : Experiment
        Of `world_experiment`.
    seed : SeedSequence
        Spawned from one root, so that a replication does not depend on how many are run.
    instead : callable, optional
        Puts other forecasts in the place of those that were issued: an oracle.
    statistics : sequence of Statistic
        What is scored.
    """
    of_market, of_scores = seed.spawn(2)
    market = simulate(world, seed=of_market)
    tapes = {
        symbol: tape_from_tables(market.tables, Selection(kinds=dict(options.events)))
        for symbol, options in experiment.symbols.items()
    }
    root = int(of_scores.generate_state(1, np.uint32)[0])
    seeded = experiment.model_copy(update={"seed": root})
    done = study(seeded, tapes, instead=instead, statistics=statistics)
    return Replication(evaluation=done.first, truths=tuple(market.truth.values()))
