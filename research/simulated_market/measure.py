"""Every effect of a batch of markets of one world, by public names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.simulate.effects.acceleration import acceleration_effects
from liqbt.simulate.effects.direction import direction_effects
from liqbt.simulate.effects.drive import drive_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.magnet import level_effects
from liqbt.simulate.effects.placement import placement_effects
from liqbt.simulate.effects.reversal import reversal_effects
from liqbt.simulate.effects.stops import stop_effects
from liqbt.simulate.effects.walls import wall_effects
from liqbt.simulate.market import simulate
from liqbt.study.worlds import load_world

WORLDS = Path(__file__).resolve().parents[2] / "liqbt" / "data" / "worlds"
BATCH = 4
"""Markets measured together: a gain is measured on markets that a model was not fitted to."""
FAMILIES = {
    "magnet": level_effects,
    "fuel": fuel_effects,
    "direction": direction_effects,
    "drive": drive_effects,
    "placement": placement_effects,
    "acceleration": acceleration_effects,
    "sweep_reversal": reversal_effects,
    "stops": stop_effects,
    "walls": wall_effects,
}
SCALE = {"share": (100.0, "points"), "nats": (1000.0, "millinats"), "ratio": (1.0, "")}


def world(name, changes=None):
    """Return a world of `liqbt/data/worlds` by name; `changes` replace its fields."""
    loaded = load_world(WORLDS / f"{name}.yaml")
    return replace(loaded, **changes) if changes else loaded


def batch(job):
    """Return {family.statistic: (value, unit, null, days)} of (world, root, index, families)."""
    made, root, index, families = job
    seeds = np.random.SeedSequence(root).spawn((index + 1) * BATCH)[index * BATCH :]
    truths = [simulate(made, seed=seed).truth[made.symbols[0]] for seed in seeds]
    out = {}
    for family in families:
        for effect in FAMILIES[family](truths):
            key = f"{family}.{effect.statistic}"
            out[key] = (effect.value, effect.unit, effect.null, effect.n_days)
    return out


def mean(values):
    """Return the mean over batches and its standard error."""
    x = np.array(values, dtype=float)
    x = x[np.isfinite(x)]
    if x.size < 2:
        return float("nan"), float("nan")
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(x.size))


def shown(value, error, unit):
    """Write a value and its error in the unit's scale."""
    scale, word = SCALE.get(unit, (1.0, "bp per 1 %"))
    digits = 4 if unit == "ratio" else 2
    return f"{scale * value:+.{digits}f} ({scale * error:.{digits}f}) {word}".rstrip()
