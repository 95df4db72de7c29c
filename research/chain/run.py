"""Size and power of the tests of the chain and the wall, market by market, on seeds of their own.

    python research/chain/run.py markets chain OUT.jsonl --until 40    # adds what is missing
    python research/chain/run.py table chain OUT.jsonl                 # the tables of README.md

Every market is simulated, replayed and scored by the pipeline of every run. Cases are done in turn,
so that a part of the work is a part of each.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from liqbt.errors import RunawayError
from liqbt.evaluation.claims.register import STATISTICS, TRIALS
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.simulate.world import World
from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed
from liqbt.study.worlds import load_world

WORLDS = Path(__file__).resolve().parent.parent.parent / "liqbt" / "data" / "worlds"
ROOT = 4201
"""Root seed, apart from those of the validity gate and of other studies."""

NUISANCE = (
    "gbm",
    "stochastic_volatility",
    "momentum",
    "momentum_slow",
    "mean_reversion",
    "jumps",
    "drift",
    "oi_linked_volatility",
    "regimes",
    "regimes_strong",
    "other_traders",
)
OTHERS = (
    "magnet",
    "direction",
    "acceleration",
    "sweep_reversal",
    "placement",
    "stops",
    "ratio",
    "absolute",
)


def cases(claim: str) -> dict[str, World]:
    """Return the worlds in which a claim's test is tried, by the name of the case."""
    plain = {name: load_world(WORLDS / f"{name}.yaml") for name in (*NUISANCE, *OTHERS)}
    trial = TRIALS[claim]
    planted = load_world(WORLDS / f"{trial.world}.yaml")
    found = {
        f"{claim} {strength:g}": replace(planted, **{trial.world: strength})
        for strength in trial.strengths
    }
    found |= {name: plain[name] for name in (*NUISANCE, *OTHERS)}
    if claim == "chain":
        found["impact"] = load_world(WORLDS / "impact.yaml")
        found["chain 0.1, 365 days"] = replace(planted, days=365, fuel=0.1)
    else:  # walls that hold nothing stand before the same clusters
        shown = {"depth_every_s": 3600, "depth_decoys": 0.3}
        found = {
            name: world if name.startswith(claim) else replace(world, **shown)
            for name, world in found.items()
        }
    return found


def market(claim: str, world: World, number: int) -> dict[str, Any]:
    """Return the scores of one market, and what the truth measures of it."""
    mine = tuple(one for one in STATISTICS if one.claim == claim)
    try:
        done = replicate(world, world_experiment(world), market_seed(ROOT, number), None, mine)
    except RunawayError:
        return {"ran_away": True}
    scores = {
        d.score.statistic: [d.score.value, d.score.ci_low, d.score.ci_high, d.score.mde,
                            bool(d.estimate.agree), d.score.n_episodes]
        for d in done.evaluation.details
        if d.score.symbol == POOLED
    }  # fmt: skip
    name = TRIALS[claim].measure.replace(".", ":")
    measured = resolve_name(f"liqbt.simulate.effects.{name}")(done.truths, mechanism=world.name)
    truth = {e.statistic: e.value for e in measured if e.statistic in TRIALS[claim].effects}
    return {"scores": scores, "truth": truth}


def markets(claim: str, out: Path, until: int) -> None:
    """Add what is missing of the first `until` markets of every case."""
    done = {(row["case"], row["market"]) for row in rows(out)}
    tried = cases(claim)
    with out.open("a") as file:
        for number in range(until):
            for case, world in tried.items():
                few = world.days > 200 and number >= until // 2
                if (case, number) not in done and not few:
                    found = market(claim, world, number)
                    file.write(json.dumps({"case": case, "market": number, **found}) + "\n")
                    file.flush()


def rows(path: Path) -> list[dict[str, Any]]:
    """Return what was kept."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(claim: str, path: Path) -> str:
    """Return a table for every statistic of a claim."""
    by_case: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows(path):
        by_case[row["case"]].append(row)
    lines = []
    for one in (one for one in STATISTICS if one.claim == claim):
        scale = one.unit.scale
        lines += ["", f"**{one.id}** ({one.unit.name})", ""]
        lines += ["| world | markets | mean (spread) | above 0 | below 0 | detectable | caused |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        for case in (name for name in cases(claim) if name in by_case):
            held = [r["scores"][one.id] for r in by_case[case] if one.id in r.get("scores", {})]
            held = [r for r in held if np.isfinite(r[1])]
            if not held:
                continue
            value = scale * np.array([r[0] for r in held])
            above = sum(r[4] and r[1] > 0 for r in held)
            below = sum(r[4] and r[2] < 0 for r in held)
            least = scale * float(np.median([r[3] for r in held]))
            caused = [r["truth"].get(TRIALS[claim].effects[0], np.nan) for r in by_case[case]
                      if "truth" in r]  # fmt: skip
            caused = [v for v in caused if np.isfinite(v)]
            told = f"{np.mean(caused):.3g}" if caused else ""
            lines.append(
                f"| {case} | {len(held)} | {value.mean():+.2f} ({value.std(ddof=1):.2f}) | {above} "
                f"| {below} | {least:.3g} | {told} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["markets", "table"])
    parser.add_argument("claim", choices=["chain", "wall"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--until", type=int, default=40)
    args = parser.parse_args()
    if args.what == "markets":
        markets(args.claim, args.path, args.until)
    else:
        print(table(args.claim, args.path))


if __name__ == "__main__":
    main()
