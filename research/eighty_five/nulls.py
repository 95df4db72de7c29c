"""Which null of a hit rate holds zero where nothing is there, and what each excludes.

    python -m research.eighty_five.nulls [--markets 30]

Of `accuracy_85`'s reading (either of the two nearest clusters visited in 24 h): the mean skill over
each null in points, twice its standard error, and in how many markets the 97.5 % upper bound lies
below the smallest effect of interest. Markets of 120 days, root seed 778, numbers from 0: none of
the gate's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from liqbt.evaluation.claims.accuracy import CLAIM, NULLS, skill_of
from liqbt.evaluation.claims.verdict import find_score
from liqbt.study.replications import replicated_batch
from liqbt.study.trials import statistics_read
from liqbt.study.worlds import WORLDS, load_world

CASES = (
    ("gbm", 0.0),
    ("stochastic_volatility", 0.0),
    ("jumps", 0.0),
    ("regimes_strong", 0.0),
    ("magnet", 1.0),
    ("magnet", 2.0),
)


def main() -> None:
    """Print a line for each world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=30)
    markets = parser.parse_args().markets
    print(f"| world | {' | '.join(NULLS.values())} |")
    print("|---" * (1 + len(NULLS)) + "|")
    for name, strength in CASES:
        world = replace(load_world(WORLDS / f"{name}.yaml"), days=120)
        if strength:
            world = replace(world, mechanisms=replace(world.mechanisms, magnet=strength))
        found = replicated_batch(
            world, range(markets), 778, statistics=statistics_read((CLAIM.id,))
        ).markets
        cells = []
        for null in NULLS:
            claim = replace(CLAIM, statistic=skill_of("either_side", null))
            rows = [find_score(claim, one.evaluation.details) for one in found if one is not None]
            scores = [row.score for row in rows if row is not None]
            values = 100.0 * np.array([row.value - row.null for row in scores])
            low = sum(row.ci_high - row.null < CLAIM.smallest_effect for row in scores)
            error = 2.0 * values.std(ddof=1) / np.sqrt(len(values))
            cells.append(f"{values.mean():+.1f} ± {error:.1f}; {low} of {len(scores)}")
        print(f"| {name}{f' {strength:g}' if strength else ''} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
