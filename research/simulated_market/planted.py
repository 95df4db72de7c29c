"""Each planted world's effect, beside the same world unplanted with the same random numbers."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import measure

from liqbt.simulate.sections import MECHANISMS

ROOT = 20260312
WORLDS = {
    "magnet": ("magnet",),
    "fuel": ("fuel", "magnet"),
    "impact": ("fuel",),
    "direction": ("direction",),
    "ratio": ("drive", "magnet"),
    "absolute": ("drive", "magnet"),
    "placement": ("placement",),
    "acceleration": ("acceleration",),
    "sweep_reversal": ("sweep_reversal",),
    "walls": ("walls",),
    "stops": ("stops", "magnet"),
}
"""Which families of effects are shown of which world."""
SHOWN = {
    "densest_mirror_lift",
    "densest_twin_lift",
    "dose_within_side",
    "dose_response_raw",
    "after_forced_pushed",
    "after_unforced_pushed",
    "excess",
    "next_cluster_hazard",
    "skill_given_move",
    "crowded_move",
    "skill_given_cascade",
    "ratio_gain",
    "absolute_gain",
    "ratio_given_absolute",
    "absolute_given_ratio",
    "beyond_ratio",
    "placed_ratio",
    "crowded_either_way",
    "ratio_toward",
    "absolute_toward",
    "ratio_toward_given_absolute",
    "absolute_toward_given_ratio",
    "dense_level_excess",
    "speed_ratio",
    "return_twin",
    "return_placebo",
    "pass_through_twin",
    "pass_through_mirror",
    "stop_hit_difference",
    "stop_hit_twin",
}


def unplanted(made):
    """Return the world with every mechanism at zero."""
    return replace(made, **dict.fromkeys((*MECHANISMS, "placement"), 0.0))


def strengths(made):
    """Write what is planted."""
    names = (*MECHANISMS, "placement")
    held = {name: getattr(made.mechanisms, name) for name in names}
    return ", ".join(f"{name} {value:g}" for name, value in held.items() if value)


def main(batches=6, processes=2):
    """Return the table."""
    lines = [
        f"{batches * measure.BATCH} markets of 120 days a world; standard errors over "
        f"{batches} batches of {measure.BATCH}. *Caused* is the mean difference of markets with "
        "the same random numbers.",
        "",
        "| world | planted | effect | planted | unplanted | caused |",
        "|---|---|---|--:|--:|--:|",
    ]
    with ProcessPoolExecutor(processes) as pool:
        for name, families in WORLDS.items():
            made = measure.world(name)
            free = unplanted(made)
            jobs = [(w, ROOT, i, families) for w in (made, free) for i in range(batches)]
            found = list(pool.map(measure.batch, jobs))
            lines += rows(name, strengths(made), found[:batches], found[batches:])
    return "\n".join(lines) + "\n"


def rows(name, planted, with_it, without):
    """Return the lines of one world."""
    lines = []
    for key in with_it[0]:
        if key.split(".")[1] not in SHOWN:
            continue
        unit = with_it[0][key][1]
        values = [f[key][0] for f in with_it]
        own = measure.shown(*measure.mean(values), unit)
        free, caused = "—", "—"
        if all(key in f for f in without):
            base = [f[key][0] for f in without]
            free = measure.shown(*measure.mean(base), unit)
            gap = [a - b for a, b in zip(values, base, strict=True)]
            caused = measure.shown(*measure.mean(gap), unit)
        lines.append(f"| {name} | {planted} | {key} | {own} | {free} | {caused} |")
    return lines


if __name__ == "__main__":
    import sys

    print(main(*(int(a) for a in sys.argv[1:2])))
