"""What the test of *asymmetry* finds where the ratio drives the price, and where the size does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import liqbt
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.study.replications import found_of, replicated_batch
from liqbt.study.trials import TESTS, statistics_read
from liqbt.study.worlds import load_world
from liqbt.types import VerdictWord

WORLDS = Path(liqbt.__file__).parent / "data" / "worlds"
CLAIMS = ("asymmetry", "magnet", "direction")
SHOWN = ("ratio_beside_sizes", "size_beside_ratio")
FOUND = (VerdictWord.SUPPORTED, VerdictWord.SPECIFIC)


def main() -> None:
    """Print a row for each world and strength: six markets of 120 days, seeds 0 to 5."""
    print(
        "| world, strength | ratio beside sizes | sizes beside ratio | " + " | ".join(CLAIMS) + " |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for key in ("ratio", "absolute"):
        for strength in (1.5, 3.0):
            world = replace(load_world(WORLDS / f"{key}.yaml"), **{key: strength})
            batch = replicated_batch(world, range(6), 0, statistics=statistics_read(CLAIMS))
            kept = [one for one in batch.markets if one is not None]
            means = [
                sum(
                    d.score.value
                    for one in kept
                    for d in one.evaluation.details
                    if (d.score.statistic, d.score.symbol, d.score.side) == (name, POOLED, "both")
                    and d.score.horizon == "1h"
                )
                / len(kept)
                for name in SHOWN
            ]
            found = [sum(found_of(TESTS[c], one) in FOUND for one in kept) for c in CLAIMS]
            cells = [*(f"{v:+.2f}" for v in means), *(f"{n} of {len(kept)}" for n in found)]
            print(f"| {key} {strength:g} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
