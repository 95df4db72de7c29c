"""Three estimators in one pass over a tape against three passes: seconds, the ratio, equal digests.

The tape is synthetic, mostly trades; forecasts are issued each hour. Run it as
`python research/benchmarks/one_pass.py`.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from liqbt.bench.tape import synthetic_tape
from liqbt.estimators.base import registered_estimators
from liqbt.estimators.config import MarketSpec
from liqbt.forecasts import forecasts_digest
from liqbt.replay import Estimator, replay, replay_many, schedule
from liqbt.study.estimators import shipped_tiers
from liqbt.tape.values import Tape
from liqbt.types import HOUR_NS

NAMES = ("oi_flow", "uniform", "round_numbers")


def made() -> dict[str, Estimator]:
    """Return the three, fresh."""
    market = MarketSpec(symbol="SYN", tiers=shipped_tiers()["BTCUSDT"])
    known = registered_estimators()
    return {name: known[name](known[name].Params(), market) for name in NAMES}


def measured(tape: Tape) -> tuple[float, float, bool]:
    """Return the seconds of three passes and of one, and whether they issued the same."""
    known = tape.events["ts_known"]
    times = schedule(int(known[0]), int(known[-1]) + 1, HOUR_NS)
    start = time.perf_counter()
    alone = {name: replay(tape, estimator, times) for name, estimator in made().items()}
    middle = time.perf_counter()
    together = replay_many(tape, made(), times)
    end = time.perf_counter()
    same = all(forecasts_digest(alone[n]) == forecasts_digest(together[n]) for n in NAMES)
    return middle - start, end - middle, same


def main() -> None:
    """Print the medians over some rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    measured(synthetic_tape(50_000, np.random.default_rng(2)))  # everything is compiled
    tape = synthetic_tape(arguments.events, np.random.default_rng(1))
    rounds = [measured(tape) for _ in range(arguments.rounds)]
    apart, one = median(r[0] for r in rounds), median(r[1] for r in rounds)
    print(f"{len(tape):,} events, {', '.join(NAMES)}")
    print(f"three passes {apart:.2f} s, one pass {one:.2f} s, ratio {one / apart:.2f}")
    print("the same forecasts" if all(r[2] for r in rounds) else "DIFFERENT FORECASTS")


if __name__ == "__main__":
    main()
