"""Time one full evaluation: hourly forecasts of one symbol for a year, every null, every model.

python -m research.benchmarks.evaluation, from the folder of the checkout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.nulls.levels import LevelConfig
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.study.estimators import build_estimator
from liqbt.study.pipeline import forecast_times, market_input, protocol, with_competing_maps
from liqbt.study.replicate import world_experiment
from liqbt.study.worlds import load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import DAY_NS
from research.methods.analogs import AnalogConfig, analog_probability
from research.methods.filtered_history import FilteredConfig, filtered_probability

ROOT = Path(__file__).resolve().parent.parent.parent


def prepared(days: int) -> tuple[Any, Any]:
    """Simulate a market and replay it; return the experiment and what is to be evaluated."""
    world = replace(load_world(ROOT / "liqbt" / "data" / "worlds" / "gbm.yaml"), days=days)
    experiment = world_experiment(world)
    experiment = experiment.model_copy(
        update={
            "evaluation": type(experiment.evaluation)(
                horizons=["4h", "24h", "7d"], bootstrap_reps=2000
            )
        }
    )
    market = simulate(world, seed=1)
    kinds = dict(experiment.symbols["SIM"].events)
    tape = tape_from_tables(market.tables, Selection(kinds=kinds))
    times = forecast_times(experiment, tape)
    forecasts = replay(tape, build_estimator(experiment, "SIM"), times)
    one = market_input(experiment, "SIM", forecasts, tape)
    return experiment, with_competing_maps(experiment, one, tape)


def steps(experiment: Any, market: Any) -> dict[str, Callable[[], Any]]:
    """Return the parts of an evaluation, in the order of a run; each reads those before it."""
    evidence = Evidence(markets=[market], config=protocol(experiment.evaluation), root=1)
    config, anchors = evidence.config, market.anchors or anchors_of(market.forecasts)

    def statistics(*needs: str) -> Callable[[], Any]:
        """Return the scoring of what needs one of these, or of what needs none of the others."""
        others = {"placebo", "models", "levels"} - set(needs)
        chosen = [one for one in STATISTICS if others.isdisjoint(one.needs)]
        if needs:
            chosen = [one for one in chosen if not set(needs).isdisjoint(one.needs)]
        return lambda: [*scored(evidence, chosen)]

    def births() -> tuple[Any, Any, Any]:
        rows = evidence.observed.outcomes
        rows = rows[rows["birth"] & (rows["horizon_ns"] == DAY_NS)]
        return np.searchsorted(anchors.at, rows["at"]), rows["side"], rows

    def filtered() -> Any:
        owner, side, rows = births()
        return filtered_probability(
            anchors,
            market.path,
            FilteredConfig(),
            owner,
            -side.astype(np.float64),
            rows["distance"],
            horizon_ns=DAY_NS,
            latency_ns=config.latency_ns,
            seed=1,
        )

    def analogs() -> Any:
        owner, side, rows = births()
        return analog_probability(
            anchors,
            market.path,
            AnalogConfig(levels=LevelConfig()),
            owner,
            -side.astype(np.float64),
            rows["distance"],
            horizon_ns=DAY_NS,
            latency_ns=config.latency_ns,
            rng=np.random.default_rng(1),
        )

    return {
        "visits, mirror, Brownian, first side, dose beside structures": statistics(),
        "placebo, three horizons": statistics("placebo"),
        "direction models, cascades": statistics("models"),
        "P(visit)": statistics("levels"),
        "filtered history, 24 h": filtered,
        "analogs, 24 h": analogs,
    }


def main() -> None:
    """Print the seconds of each part, and their sum beside one pass of the tape's replay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    for run in steps(*prepared(45)).values():  # compiles everything
        run()
    start = time.perf_counter()
    experiment, market = prepared(arguments.days)
    reference = time.perf_counter() - start
    print(f"{len(market.forecasts):,} forecasts, {arguments.days} days, one symbol")
    total = 0.0
    for name, run in steps(experiment, market).items():
        start = time.perf_counter()
        run()
        spent = time.perf_counter() - start
        total += spent
        print(f"{spent:7.2f} s  {name}")
    print(f"{total:7.2f} s  altogether")
    print(f"{total / reference:7.2f}    beside simulating and replaying the same market")


if __name__ == "__main__":
    main()
