"""Drift and jumps toward near mass: how often they are found, beside the old tests."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.claims.register import REGISTER, STATISTICS
from liqbt.evaluation.inference.estimates import ScoreDetail
from liqbt.simulate.world import World
from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed
from liqbt.study.worlds import WORLDS, load_world
from liqbt.validity.jobs import planted_keys

ROOT = 1201
"""Apart from every root that anything was chosen on before."""

CASES = (
    *("gbm", "stochastic_volatility", "momentum", "momentum+momentum_half_life_h=48"),
    *("momentum+momentum_half_life_h=6", "mean_reversion", "jumps", "drift"),
    *("oi_linked_volatility", "regimes", "regimes+regime_drift=1.0"),
    *("magnet@0.5", "magnet@1", "magnet@1.5", "magnet@2"),
    *("direction@1", "direction@2", "direction@4", "direction@8", "ratio", "absolute"),
    *("fuel", "impact", "acceleration", "sweep_reversal", "walls", "placement", "stops"),
)
"""A world, the strength that is planted, and keys that are changed."""

CHOSEN = (
    *("near_drift", "near_drift_raw", "near_drift_specific", "near_jumps", "near_return_1h"),
    *("ratio_beside_sizes", "size_beside_ratio", "dose_response", "first_side_gain"),
)
BOUNDS = {claim.statistic: claim.least_bound for claim in REGISTER} | {"dose_response": 0.01}


def world_of(case: str) -> World:
    """Return the world of a case such as `magnet@1` or `momentum+momentum_half_life_h=48`."""
    name, _, changed = case.partition("+")
    name, _, strength = name.partition("@")
    world = load_world(WORLDS / f"{name}.yaml")
    keys = planted_keys(world, name, float(strength)) if strength else {}
    if changed:
        key, _, value = changed.partition("=")
        keys = keys | {key: float(value)}
    return replace(world, **keys)


def scores(case: str, numbers: Sequence[int]) -> dict[str, list[ScoreDetail]]:
    """Return the pooled rows of the chosen statistics, market by market."""
    world = world_of(case)
    experiment = world_experiment(world)
    statistics = [one for one in STATISTICS if one.id in CHOSEN]
    found: dict[str, list[ScoreDetail]] = {one.id: [] for one in statistics}
    for number in numbers:
        try:
            done = replicate(world, experiment, market_seed(ROOT, number), None, statistics)
        except RunawayError:
            continue
        for one in done.evaluation.details:
            if one.score.symbol == "pooled":
                found[one.score.statistic].append(one)
    return found


def cell(rows: Sequence[ScoreDetail], bound: float) -> str:
    """Return mean ± its error, and how many lower bounds lie above the bound, of how many."""
    values = np.array([row.score.value for row in rows])
    held = values[np.isfinite(values)]
    if len(held) < 2:
        return "-"
    above = sum(row.estimate.agree and row.score.ci_low > bound for row in rows)
    error = held.std(ddof=1) / np.sqrt(len(held))
    return f"{held.mean():+.3f} ± {error:.3f}, {above} of {len(rows)}"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=40)
    parser.add_argument("--cases", nargs="*", default=CASES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "table.md")
    given = parser.parse_args()
    lines = ["| world | " + " | ".join(CHOSEN) + " |", "|---" * (1 + len(CHOSEN)) + "|"]
    for case in given.cases:
        found = scores(case, range(given.markets))
        cells = [cell(found.get(name, []), BOUNDS.get(name, 0.0)) for name in CHOSEN]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
