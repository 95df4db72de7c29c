"""Where visits are truly raised: what a mechanism adds to them, against the same noise without it.

    python -m research.eighty_five.caused [--markets 8]

For each world, strength of what is planted and no mechanism at all: visits within a day of the
densest true level from 0.25 to 1.5 σ, less those of the counterfactual path (`densest_twin_lift`),
in points. Where that is not zero, a claim that levels are visited more than they would be is no
false one, and finding it is no error of its test. Seeds are those of the gate's campaign.
"""

from __future__ import annotations

import argparse

from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.market import simulate
from liqbt.study.replications import market_seed
from liqbt.study.worlds import WORLDS
from liqbt.validity.jobs import PLANTED, Job, world_of

CLAIMS = ("accuracy_85", "asymmetry", "direction", "chain", "sweep")


def main() -> None:
    """Print a line for each world and strength."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=8)
    markets = parser.parse_args().markets
    print("| claim made true | strength | caused visits of the densest level, points |")
    print("|---|---:|---:|")
    jobs = [("power", claim, s) for claim in CLAIMS for s in PLANTED[claim]]
    for role, name, strength in [*jobs, ("size", "gbm", 0.0)]:
        job = Job(role=role, world=name, strength=strength, days=120, batch=0)
        world = world_of(job, WORLDS)
        truths = (
            truth
            for number in range(markets)
            for truth in simulate(world, seed=market_seed(0, number).spawn(2)[0]).truth.values()
        )
        effects = {each.statistic: each for each in level_effects(truths, mechanism=world.name)}
        found = effects["densest_twin_lift"]
        shown = f"{100 * found.value:.1f} ± {196 * found.standard_error:.1f}"
        print(f"| {name} | {strength:g} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
