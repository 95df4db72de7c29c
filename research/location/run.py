"""Size and power of the tests of location and placement, and what the real records say.

    python research/location/run.py markets CASE FIRST LAST OUT   one JSON line a market
    python research/location/run.py table OUT [OUT ...]           sizes and powers of what they hold
    python research/location/run.py effects CASE FIRST LAST       effects from the truth
    python research/location/run.py feeds                         how far the BTC feeds disagree
    python research/location/run.py real EXPERIMENT N             a record and N placebo histories

A case is a world's name and keys: `gbm`, `gbm:oi_of_others=1`, `placement:placement=0.25`.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liqbt.evaluation.claims import location, placement
from liqbt.evaluation.claims.claim import Claim
from liqbt.simulate.effects.location import location_effects
from liqbt.simulate.effects.placement import placement_effects
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.randomise import randomise
from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed
from liqbt.study.worlds import WORLDS, load_world

ROOT = 2201
STATISTICS = (*location.STATISTICS, *placement.STATISTICS)


def world_of(case: str) -> World:
    """Return the world of a case."""
    name, _, keys = case.partition(":")
    changes = dict(key.split("=") for key in keys.split(",") if key)
    held = {key: int(value) if key == "days" else float(value) for key, value in changes.items()}
    return replace(load_world(WORLDS / f"{name}.yaml"), **held)


def markets(case: str, first: int, last: int, out: Path) -> None:
    """Score markets of a case, one JSON line each."""
    world = world_of(case)
    experiment = world_experiment(world)
    with out.open("a", encoding="utf-8") as file:
        for number in range(first, last):
            seed = market_seed(ROOT, number)
            done = replicate(world, experiment, seed, None, STATISTICS)
            scores = {
                d.score.statistic: [
                    d.score.value,
                    d.score.ci_low,
                    d.score.ci_high,
                    d.estimate.agree,
                ]
                for d in done.evaluation.details
                if d.score.symbol == "pooled"
            }
            file.write(json.dumps({"case": case, "number": number, "scores": scores}) + "\n")
            file.flush()


def table(paths: Sequence[Path]) -> None:
    """Print how often each test found something, case by case."""
    held: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            held[row["case"]].append(row["scores"])
    for claim, statistics in (
        (location.CLAIM, location.STATISTICS),
        (placement.CLAIM, placement.STATISTICS),
    ):
        print(f"\n{claim.id}: test = lower bound of {claim.statistic} above {claim.least_bound:g}")
        print("| case | markets | test | all conditions | mean | spread | others above 0 |")
        print("|---|---|---|---|---|---|---|")
        for case, rows in held.items():
            print(f"| {case} | {len(rows)} | {' | '.join(_cells(claim, statistics, rows))} |")


def _cells(
    claim: Claim, statistics: Sequence[Any], rows: Sequence[dict[str, Any]]
) -> Iterator[str]:
    def above(row: dict[str, Any], name: str, bound: float) -> bool:
        found = row.get(name)
        return found is not None and found[3] and found[1] > bound

    yield str(sum(above(row, claim.statistic, claim.least_bound) for row in rows))
    yield str(
        sum(
            above(row, claim.statistic, claim.least_bound)
            and all(above(row, name, 0.0) for name in claim.also_above)
            for row in rows
        )
    )
    values = [row[claim.statistic][0] for row in rows if claim.statistic in row]
    scale = statistics[0].unit.scale
    yield f"{scale * np.mean(values):.3g}"
    yield f"{scale * np.std(values, ddof=1):.2g}" if len(values) > 1 else "-"
    names = [one.id for one in statistics if one.id != claim.statistic]
    yield ", ".join(
        f"{name.removeprefix('information_gain_')} {sum(above(row, name, 0.0) for row in rows)}"
        for name in names
    )


def effects(case: str, first: int, last: int) -> None:
    """Print the effects of a case, measured from the truth."""
    world = world_of(case)
    truths = []
    for number in range(first, last):
        market = simulate(world, seed=market_seed(ROOT, number).spawn(2)[0])
        truths += list(market.truth.values())
    for one in (*location_effects(truths), *placement_effects(truths)):
        print(f"{case}: {one.statistic} {one.value:.4g} ± {one.standard_error:.2g} {one.unit}")


def feeds(root: Path) -> None:
    """Print how far the three feeds of BTC liquidations disagree, hour by hour."""
    names = {
        "1h": (
            "BTC-1h-ohlc-liquidations-oi-funding",
            "liquidation_long_usd",
            "liquidation_short_usd",
        ),
        "1h-2025-11": ("BTC-1h-liquidated-usd-2025-11", "long_usd", "short_usd"),
        "30m": ("BTC-30m-liquidated-usd", "long_usd", "short_usd"),
    }
    held = {
        key: _hours(root / "aggregated" / f"{name}.csv.gz", *columns)
        for key, (name, *columns) in names.items()
    }
    for one, other in (("1h", "1h-2025-11"), ("1h", "30m"), ("1h-2025-11", "30m")):
        common = sorted(set(held[one]) & set(held[other]))
        a, b = (np.array([held[key][hour] for hour in common]) for key in (one, other))
        equal = np.isclose(a, b, rtol=1e-6, atol=0.01).all(axis=1)
        apart = np.abs(a - b) > 0.1 * np.maximum(a, b)
        logs = [np.log1p(x / np.median(x[x > 0])).ravel() for x in (a, b)]
        slope = np.cov(*logs)[0, 1] / np.var(logs[1], ddof=1)
        print(
            f"{one} and {other}: {len(common)} hours, equal {equal.mean():.1%}, off by more than "
            f"10 % {apart.mean():.1%} of hours and sides, {apart.any(axis=1).mean():.1%} of hours; "
            f"correlation of logarithms {np.corrcoef(*logs)[0, 1]:.3f}, slope {slope:.3f}"
        )


def _hours(path: Path, long: str, short: str) -> dict[int, tuple[float, float]]:
    """Return USD of longs and shorts by hour, of hours that are there in full."""
    sums: dict[int, list[float]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        head = file.readline().strip().split(",")
        at, columns = head.index("timestamp_ms"), (head.index(long), head.index(short))
        for line in file:
            cells = line.strip().split(",")
            row = sums.setdefault(int(cells[at]) // 3_600_000, [0.0, 0.0, 0.0])
            row[2] += 1
            for k, column in enumerate(columns):
                row[k] += float(cells[column] or "nan")
    full = max(row[2] for row in sums.values())
    return {
        hour: (row[0], row[1])
        for hour, row in sums.items()
        if row[2] == full and np.isfinite(row[:2]).all()
    }


def real(path: Path, histories: int) -> None:
    """Print a record's statistics beside those of its placebo histories."""
    names = [one.id for one in STATISTICS]
    for row in randomise(path, histories=histories, statistics=names):
        scale = next(one.unit.scale for one in STATISTICS if one.id == row.statistic)
        low, middle, high = (scale * x for x in (row.low, row.median, row.high))
        print(
            f"| {row.statistic} | {scale * row.value:.3g} | {low:.3g} to {high:.3g} "
            f"({middle:.3g}) | {row.as_good} of {row.histories} | {row.p:.3f} | {row.supported} |",
            flush=True,
        )


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "markets":
        markets(given[0], int(given[1]), int(given[2]), Path(given[3]))
    elif what == "table":
        table([Path(one) for one in given])
    elif what == "effects":
        effects(given[0], int(given[1]), int(given[2]))
    elif what == "feeds":
        feeds(Path(os.environ.get("LIQBT_DATA", "../shared/data")))
    elif what == "real":
        real(Path(given[0]), int(given[1]))
