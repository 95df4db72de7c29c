"""How often a search over trials without any merit finds one all the same."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from liqbt.evaluation.inference.multiple import superior_ability
from liqbt.search.selection_tests import worth
from liqbt.search.units import DayLosses

HERE = Path(__file__).resolve().parent
FIRST_DAY, TRIALS, REPS = 20_000, 12, 300
LEVELS = (0.025, 0.05, 0.10)
CASES = ((40, 0.0), (120, 0.0), (120, 0.5), (365, 0.0), (365, 0.5))
"""Days, and the weight of the day before in a day's gain."""


def losses(days: int, weight: float, number: int) -> DayLosses:
    """Return a base and trials that gain nothing over their models without the map."""
    rng = np.random.default_rng([days, int(100 * weight), number])
    noise = rng.normal(0.0, 0.01, (days + 1, TRIALS))
    gains = noise[1:] + weight * noise[:-1]
    return DayLosses(
        day=FIRST_DAY + np.arange(days),
        losses=0.6 - gains,
        without_map=np.full_like(gains, 0.6),
        n_units=8 * days,
        n_dropped=0,
    )


def searched(number: int, days: int, weight: float) -> tuple[float, float, bool]:
    """Return the p-value without and with the factor, and whether all are in the confidence set."""
    found = losses(days, weight, number)
    one = worth(found, seed=number, reps=REPS)
    gains = found.without_map - found.losses
    bare = superior_ability(
        np.zeros(days),
        -gains / gains.std(axis=0),
        block_days=one.block_days,
        seed=number,
        reps=REPS,
    )
    assert one.no_map is not None
    assert one.confidence_set is not None
    return bare.consistent, one.no_map.consistent, len(one.confidence_set) == TRIALS


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    heads = " / ".join(f"{100 * level:g}" for level in LEVELS)
    lines = [
        f"| days | of the day before | bare: rejected at {heads} % | with the factor "
        "| all twelve in the set of 90 % |",
        "|---|---|---|---|---|",
    ]
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        for days, weight in CASES:
            one = partial(searched, days=days, weight=weight)
            rows = list(pool.map(one, range(arguments.searches), chunksize=8))
            bare, kept, whole = (np.array(column) for column in zip(*rows, strict=True))
            cells = [
                " / ".join(f"{100 * np.mean(p < level):.1f}" for level in LEVELS)
                for p in (bare, kept)
            ]
            lines.append(
                f"| {days} | {weight:g} | {cells[0]} | {cells[1]} | {100 * whole.mean():.0f} % |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
