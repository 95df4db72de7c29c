"""Size and power of the tests of *visit* and of 85 %, in simulated markets through the pipeline."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.accuracy.oracle import called_on, visited_on
from liqbt.evaluation.claims.accuracy import READING_CLAIMS
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.claims.visit import CLAIM as VISIT
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.world import World
from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed
from liqbt.study.trials import NUISANCE
from liqbt.study.worlds import WORLDS, load_world

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = 5201
"""Apart from the seeds of the validity gate, and from those that anything was chosen on."""

SCORED: Final = tuple(
    one
    for one in STATISTICS
    if one.claim == "accuracy_85"
    or one.id.startswith(("level_lift", "brownian_lift", "observed_over"))
)
FIELDS: Final = ("value", "ci_low", "ci_high", "agree", "null", "n_episodes", "mde")


def world_of(name: str) -> World:
    """Return a world that ships, or a planted strength of the magnet's."""
    if name.startswith("magnet_"):
        world = load_world(WORLDS / "magnet.yaml")
        strength = float(name.removeprefix("magnet_"))
        return replace(world, mechanisms=replace(world.mechanisms, magnet=strength))
    return load_world(WORLDS / f"{'gbm' if name in RIGHT else name}.yaml")


FALSE: Final = NUISANCE
OTHERS: Final = ("direction", "impact", "acceleration", "sweep_reversal", "placement", "walls")
RIGHT: Final = tuple(f"{k}_{s:.2f}" for k in ("visited", "called") for s in (0.85, 0.9, 0.95))
TRUE: Final = ("magnet_0.5", "magnet_1.0", "magnet_1.5", "magnet_2.0")


def market(name: str, number: int) -> dict[str, Any]:
    """Return the scores of one market, and what its truth says of dense levels."""
    world = world_of(name)
    kind, _, share = name.partition("_")
    cheat = (
        {"visited": visited_on, "called": called_on}[kind](float(share)) if name in RIGHT else None
    )
    try:
        done = replicate(world, world_experiment(world), market_seed(ROOT, number), cheat, SCORED)
    except RunawayError:
        return {"world": name, "number": number, "scores": {}}
    rows = {
        d.score.statistic: [
            d.estimate.agree if f == "agree" else getattr(d.score, f) for f in FIELDS
        ]
        for d in done.evaluation.details
        if (d.score.symbol, d.score.side) == (POOLED, "both")
    }
    effects = level_effects(done.truths) if name in TRUE and number < 20 else ()
    told = {e.statistic: e.value for e in effects}
    return {"world": name, "number": number, "scores": rows, "effects": told}


def main() -> None:
    """Run what is missing in a file of finished markets, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=40)
    parser.add_argument("--worlds", nargs="*", default=[*FALSE, *TRUE, *RIGHT, *OTHERS])
    parser.add_argument("--done", type=Path, default=Path("build/visits_and_85.jsonl"))
    given = parser.parse_args()
    given.done.parent.mkdir(parents=True, exist_ok=True)
    rows = _read(given.done)
    have = {(row["world"], row["number"]) for row in rows}
    with given.done.open("a") as file:
        for name in given.worlds:
            for number in range(given.markets):
                if (name, number) not in have:
                    rows.append(market(name, number))
                    file.write(json.dumps(rows[-1]) + "\n")
                    file.flush()
    (HERE / "table.md").write_text("\n".join(_tables(rows, given.worlds)) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _found(scores: dict[str, list[Any]], statistic: str, bound: float = 0.0) -> bool:
    row = scores.get(statistic)
    return row is not None and bool(row[3]) and math.isfinite(row[1]) and row[1] >= bound


def met(claim: Claim, scores: dict[str, list[Any]]) -> bool:
    """Return whether the rule of a claim with a target is met: rate reached, skill over each."""
    skills = all(_found(scores, name, 1e-12) for name in claim.also_above)
    return _found(scores, claim.statistic, claim.target or 0.0) and skills


def excluded(claim: Claim, scores: dict[str, list[Any]]) -> bool:
    """Return whether the target, or the smallest effect over some null, is excluded."""
    rate = scores.get(claim.statistic)
    highs = [scores[n][2] for n in claim.also_above if n in scores and scores[n][3]]
    below = rate is not None and bool(rate[3]) and rate[2] < (claim.target or 0.0)
    return below or any(high < claim.smallest_effect for high in highs)


def _tables(rows: list[dict[str, Any]], worlds: list[str]) -> Iterator[str]:
    visits = ["level_lift", "level_lift_dense", "level_lift_densest", "brownian_lift"]
    yield "| world | markets | " + " | ".join(f"{v} | found" for v in visits) + " |"
    yield "|---|--:|" + "--:|" * (2 * len(visits))
    for name in worlds:
        mine = [r["scores"] for r in rows if r["world"] == name and r["scores"]]
        cells = []
        for one in visits:
            held = [s[one][0] for s in mine if one in s]
            n = sum(_found(s, one, 1e-12) for s in mine)
            cells += [f"{100 * np.mean(held):+.2f}" if held else "", f"{n}"]
        yield f"| {name} | {len(mine)} | " + " | ".join(cells) + " |"
    yield ""
    names = [c.statistic.removeprefix("hit_rate_") for c in READING_CLAIMS]
    yield (
        "| world | markets | " + " | ".join(f"{n}: rate | null | met | excl." for n in names) + " |"
    )
    yield "|---|--:|" + "--:|" * (4 * len(names))
    for name in worlds:
        mine = [r["scores"] for r in rows if r["world"] == name and r["scores"]]
        cells = []
        for claim in READING_CLAIMS:
            held = [s[claim.statistic] for s in mine if claim.statistic in s]
            rate = f"{100 * np.mean([h[0] for h in held]):.1f}" if held else ""
            null = f"{100 * np.mean([h[4] for h in held]):.1f}" if held else ""
            cells += [rate, null, f"{sum(met(claim, s) for s in mine)}"]
            cells += [f"{sum(excluded(claim, s) for s in mine)}"]
        yield f"| {name} | {len(mine)} | " + " | ".join(cells) + " |"
    yield ""
    for name in worlds:
        told = [r["effects"] for r in rows if r["world"] == name and r.get("effects")]
        if told:
            means = {k: 100 * np.mean([t[k] for t in told]) for k in told[0]}
            yield f"{name}: " + ", ".join(f"{k} {v:+.1f}" for k, v in means.items())
    yield f"\n*visit* rests on `{VISIT.statistic}`."


if __name__ == "__main__":
    main()
