"""One replication: a simulated market through the same replay, calibration and scoring as a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liqbt.config.schema import Experiment, parse_experiment
from liqbt.evaluation.claims.direction import with_direction
from liqbt.evaluation.config import METHOD, MarketInput
from liqbt.evaluation.evaluate import Evaluation, evaluate
from liqbt.replay import replay
from liqbt.simulate.market import Market, simulate
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.estimators import build_estimator
from liqbt.study.pipeline import (
    calibration,
    evaluation_config,
    forecast_times,
    foresight,
    market_input,
    with_structures,
)
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import Forecast


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
    kinds = ("mark", "open_interest", "bar", "liquidation")
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
    issued: Callable[[Sequence[Forecast], MarketInput], Sequence[Forecast]] | None = None,
) -> Replication:
    """Simulate a market, replay it through the configured estimator, and score it.

    Nothing is written: the tape is made of the market's tables.

    Parameters
    ----------
    world : World
        What is simulated.
    experiment : Experiment
        Of `world_experiment`.
    seed : SeedSequence
        Spawned from one root, so that a replication does not depend on how many are run.
    issued : callable, optional
        Puts other forecasts in the place of those that were issued, given them and the prices: an
        oracle, which proves that the score can see what there is.
    """
    of_market, of_scores, of_models = seed.spawn(3)
    market = simulate(world, seed=of_market)
    inputs = [_input(experiment, symbol, market) for symbol in experiment.symbols]
    if issued is not None:
        inputs = [replace(m, forecasts=issued(m.forecasts, m)) for m in inputs]
    config = evaluation_config(experiment)
    evaluation = evaluate(
        inputs, config, calibrate=calibration(experiment), rng=np.random.default_rng(of_scores)
    )
    evaluation = with_direction(
        evaluation,
        inputs,
        config,
        foresee=foresight(experiment.evaluation),
        rng=np.random.default_rng(of_models),
    )
    return Replication(evaluation=evaluation, truths=tuple(market.truth.values()))


def _input(experiment: Experiment, symbol: str, market: Market) -> MarketInput:
    tape = tape_from_tables(market.tables, Selection(kinds=dict(experiment.symbols[symbol].events)))
    times = forecast_times(experiment, tape)
    forecasts = replay(tape, build_estimator(experiment, symbol), times)
    return with_structures(experiment, market_input(experiment, symbol, forecasts, tape), tape)
