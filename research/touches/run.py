"""Touches of dense bins beside matched placebos: size, power, and what real records say.

1. `simulated`: the tests of acceleration (4b), sweep (7) and stops (9) in markets of fresh seeds,
   where nothing is planted, where other claims are true, and where each is true.
2. `real`: the same on the four months of BTC and ETH, with the balance of touches (LIQBT_DATA).

Each prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.claims import acceleration, stops, sweep
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.estimates import ScoreDetail
from liqbt.evaluation.statistic import Statistic
from liqbt.evaluation.touches import COVARIATES, at_bins
from liqbt.simulate.world import World
from liqbt.study.pipeline import study
from liqbt.study.plan import prepare
from liqbt.study.progress import silent
from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed
from liqbt.study.worlds import load_world

ROOT = Path(__file__).resolve().parents[2]
WORLDS = ROOT / "liqbt" / "data" / "worlds"
ALL = (*acceleration.STATISTICS, *sweep.STATISTICS, *stops.STATISTICS)
SHOWN = tuple(one for one in ALL if not one.id.startswith("touch_balance"))
DECIDING = ("traverse_speed", "reversal_lift", "stop_hit_difference")
SEED = 3201


def world_of(name: str) -> World:
    """Return a world by its name and changed keys, such as `momentum@momentum_half_life_h=48`."""
    base, *keys = name.split("@")
    changes = dict(key.split("=") for key in keys)
    values = {k: int(v) if k == "days" else float(v) for k, v in changes.items()}
    return replace(load_world(WORLDS / f"{base}.yaml"), **values)


def simulated(names: Sequence[str], markets: int, statistics: Sequence[Statistic] = SHOWN) -> str:
    """Return how often each test's bounds left 0, by world."""
    lines = ["| world | markets | statistic | mean | spread | error | MDE | above 0 | below 0 |"]
    lines.append("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        world = world_of(name)
        found: dict[str, list[ScoreDetail]] = {one.id: [] for one in statistics}
        for number in range(markets):
            try:
                one = replicate(
                    world, world_experiment(world), market_seed(SEED, number), None, statistics
                )
            except RunawayError:
                continue
            for row in one.evaluation.details:
                if row.score.symbol == "pooled":
                    found[row.score.statistic].append(row)
        lines += [_line(name, one, found[one.id]) for one in statistics]
    return "\n".join(lines)


def _line(world: str, one: Statistic, rows: Sequence[ScoreDetail]) -> str:
    scale = one.unit.scale
    value = scale * np.array([row.score.value for row in rows])
    low = np.array([row.score.ci_low if row.estimate.agree else -np.inf for row in rows])
    high = np.array([row.score.ci_high if row.estimate.agree else np.inf for row in rows])
    error = scale * np.mean([max(r.estimate.hac_se, r.estimate.bootstrap_se) for r in rows])
    return (
        f"| {world} | {len(rows)} | {one.id} | {value.mean():+.2f} | {value.std(ddof=1):.2f} "
        f"| {error:.2f} | {scale * np.mean([r.score.mde for r in rows]):.1f} "
        f"| {int((low > 0).sum())} | {int((high < 0).sum())} |"
    )


def real(names: Sequence[str]) -> str:
    """Return what the records of experiments say, and how well their touches are matched."""
    lines = ["| record | statistic | value | 95 % interval | MDE | dense touches | days |"]
    lines.append("|---|---|--:|---|--:|--:|--:|")
    balance = ["| record | covariate | before | in strata |", "|---|---|--:|--:|"]
    for name in names:
        evidence = _evidence(name)
        for row in scored(evidence, SHOWN):
            if row.score.symbol == "pooled":
                s, k = row.score, next(o for o in SHOWN if o.id == row.score.statistic).unit.scale
                lines.append(
                    f"| {name} | {s.statistic} | {k * s.value:+.2f} {s.unit} "
                    f"| {k * s.ci_low:+.2f} to {k * s.ci_high:+.2f} | {k * s.mde:.1f} "
                    f"| {s.n_episodes} | {s.n_days} |"
                )
        balance += _balance(name, evidence)
    return "\n".join([*lines, "", *balance])


def _evidence(name: str) -> Evidence:
    work = prepare(ROOT / "experiments" / f"{name}.yaml", ROOT / "results", silent)
    return study(work.experiment, work.tapes, statistics=()).first.evidence


def _balance(name: str, evidence: Evidence) -> list[str]:
    """Return the standardised mean differences of one record's covariates."""
    matched = at_bins(evidence.touches(0))
    lines = []
    for field, words in COVARIATES.items():
        values = matched.rows[field]
        spread = values.std()
        before = (values[matched.dense].mean() - values[~matched.dense].mean()) / spread
        lines.append(
            f"| {name} | {words} | {before:+.2f} "
            f"| {matched.days(values / spread, plain=True).ratio:+.2f} |"
        )
    return lines


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("simulated", "real"))
    parser.add_argument("names", nargs="+", help="worlds, or experiments")
    parser.add_argument("--markets", type=int, default=8)
    given = parser.parse_args()
    table = (
        simulated(given.names, given.markets) if given.what == "simulated" else real(given.names)
    )
    print(table)


if __name__ == "__main__":
    main()
