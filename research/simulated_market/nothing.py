"""With all mechanisms at zero: no relation between true clusters and later prices."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import measure
import numpy as np

ROOT = 20260311
EVERY_S = 10_800
"""A true map every three hours: windows of a day overlap so much that more adds little."""


WHY = {
    "magnet.dense_level_lift": "as `any_level_lift`; the question without it: `dense_level_excess`",
    "magnet.any_level_lift": "the Brownian probability knows no jumps, for every level alike",
    "direction.skill_given_move": "price of fitting; without it: `crowded_move`",
    "direction.skill_per_day": "price of fitting; without it: `crowded_move`",
    "direction.skill_given_cascade": "forced where it lies; without it: `crowded_either_way`",
    "direction.crowded_cascade": "forced where it lies; without it: `crowded_either_way`",
    "drive.ratio_gain": "price of fitting; without it: `ratio_toward`",
    "drive.absolute_gain": "price of fitting; without it: `absolute_toward`",
    "drive.ratio_given_absolute": "price of fitting; without it: `ratio_toward_given_absolute`",
    "drive.absolute_given_ratio": "price of fitting; without it: `absolute_toward_given_ratio`",
    "placement.beyond_ratio": "entrants near a swing; without it: `placed_ratio`",
}
"""Rows that are not at their null where nothing acts, and are not meant to be."""


def rows(name, batches, processes, families):
    """Return the batches' effects of one world."""
    made = measure.world(name, {"truth_every_s": EVERY_S})
    jobs = [(made, ROOT, i, families) for i in range(batches)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(measure.batch, jobs))


def table(found, name):
    """Return mean, standard error and 95 % interval of each statistic over the batches."""
    markets = len(found) * measure.BATCH
    lines = [
        f"World `{name}`: {markets} markets, "
        f"{markets * measure.world(name).days:,} days; errors from the spread over "
        f"{len(found)} batches of {measure.BATCH}.",
        "",
        "| statistic of the true map | value (standard error) | 95 % interval | null | z | days "
        "| why not at its null |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for key in found[0]:
        values = [f[key][0] for f in found if key in f]
        _, unit, null, _ = found[0][key]
        value, error = measure.mean(values)
        scale, _ = measure.SCALE.get(unit, (1.0, ""))
        low, high = (scale * (value + s * 1.96 * error) for s in (-1, 1))
        z = (value - null) / error if error > 0 else np.nan
        mark = f"{z:+.1f}" if np.isfinite(z) else "—"
        days = sum(f[key][3] for f in found if key in f)
        exact = "exactly at it: the twin is the path" if error == 0 else ""
        digits = 4 if unit == "ratio" else 2
        lines.append(
            f"| {key} | {measure.shown(value, error, unit)} "
            f"| [{low:+.{digits}f}, {high:+.{digits}f}] | {scale * null:g} | {mark} | {days:,} "
            f"| {WHY.get(key, exact)} |"
        )
    return "\n".join(lines) + "\n"


def main(batches=100, processes=2, name="baseline"):
    """Return the table."""
    return table(rows(name, batches, processes, list(measure.FAMILIES)), name)


if __name__ == "__main__":
    import sys

    print(main(*(int(a) for a in sys.argv[1:2])))
