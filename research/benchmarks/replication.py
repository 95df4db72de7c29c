"""Where the time of one replication of the validity gate goes: shares of the whole, in one process.

Every claim is evaluated in one pass. Run it as `python research/benchmarks/replication.py`; the
market is a quiet one of 120 days, and processor time is taken, so that others on the machine matter
little.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from statistics import median

import numpy as np

from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.evaluate import evaluate
from liqbt.simulate.market import simulate
from liqbt.study.pipeline import observed, price_only_twins, study
from liqbt.study.replicate import world_experiment
from liqbt.study.replications import found_of
from liqbt.study.trials import TESTS, replicated, statistics_read
from liqbt.study.worlds import WORLDS, load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection


def measured(days: int, number: int) -> dict[str, float]:
    """Return seconds of processor time by part."""
    world = replace(load_world(WORLDS / "baseline.yaml"), days=days)
    experiment = world_experiment(world)
    times = [time.process_time()]

    def mark() -> None:
        times.append(time.process_time())

    market = simulate(world, seed=np.random.SeedSequence(number))
    mark()
    tapes = {
        symbol: tape_from_tables(market.tables, Selection(kinds=dict(options.events)))
        for symbol, options in experiment.symbols.items()
    }
    mark()
    bare = study(experiment, tapes, statistics=())
    mark()
    twins = price_only_twins(experiment, tapes)
    mark()
    (name,) = experiment.estimators
    read = statistics_read(tuple(TESTS))
    evidence = observed(experiment, tapes, bare.forecasts[name], twins[name].forecasts, name=name)
    mark()
    found = evaluate(evidence, read)
    mark()
    for claim in TESTS.values():
        found_of(claim, _Scored(found))  # type: ignore[arg-type]
    mark()
    every = tuple(filter(replicated, STATISTICS))
    again = observed(experiment, tapes, bare.forecasts[name], twins[name].forecasts, name=name)
    mark()
    _ = evaluate(again, every).bands
    mark()
    simulated, tape, played, twin, seen, scored, words, _, all_rows = np.diff(times)
    return {
        "simulate": simulated,
        "tape": tape,
        "replay": played - twin - seen,
        "its price-only twin": twin,
        "evidence": seen,
        "statistics that verdicts read": scored,
        "verdicts": words,
        "(all statistics and bands instead)": all_rows,
    }


class _Scored:
    """Holds an evaluation as a replication does."""

    def __init__(self, evaluation: object) -> None:
        self.evaluation = evaluation


def main() -> None:
    """Print the medians over some markets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    measured(45, 0)  # everything is compiled
    rounds = [measured(arguments.days, number) for number in range(1, arguments.rounds + 1)]
    parts = {part: median(one[part] for one in rounds) for part in rounds[0]}
    whole = sum(seconds for part, seconds in parts.items() if not part.startswith("("))
    print(f"{len(TESTS)} claims, {arguments.days} days: {whole:.2f} s of processor time")
    for part, seconds in parts.items():
        print(f"  {part:36}{seconds:6.2f} s {seconds / whole:6.0%}")


if __name__ == "__main__":
    main()
