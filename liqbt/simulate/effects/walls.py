"""What a wall before a cluster holds back: METHOD's claim 8."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from liqbt.simulate.effects.values import DaySums, Effect, joined, ratio, sum_by_day
from liqbt.simulate.effects.windows import free_path, log_path
from liqbt.simulate.truth import Truth
from liqbt.types import HOUR_NS, FloatArray, Ns


def wall_effects(
    truths: Iterable[Truth],
    *,
    horizon_ns: Ns = 12 * HOUR_NS,
    beyond: float = 0.001,
    mechanism: str = "walls",
) -> tuple[Effect, ...]:
    """Measure how often the price passes through a wall, against markets and places without it.

    A wall stands just before the densest cluster of its side. Y is 1 where, within the horizon of
    its appearance, the price goes `beyond` farther than the wall's price.

    - `pass_through_twin`: mean(Y − F), F the same of the twin, whose mechanisms stop when the wall
      appears;
    - `pass_through_mirror`: mean(Y − M), M the same of the mirror image about the price then.

    Both are below zero where walls hold. Where no wall stood, there are no rows.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    horizon_ns : int
        How long is watched, ns.
    beyond : float
        How far past the wall's price, in log price, counts as through.
    mechanism : str
        Written into the rows.
    """
    parts: dict[str, list[DaySums]] = {"pass_through_twin": [], "pass_through_mirror": []}
    for truth in truths:
        width = int(horizon_ns // (truth.path_ns[1] - truth.path_ns[0]))
        at = np.searchsorted(truth.path_ns, truth.walls["from_ns"])
        rows = truth.walls[at + width < truth.path_price.size]
        at = at[at + width < truth.path_price.size]
        if not at.size:
            continue
        x, free = log_path(truth), free_path(truth)
        sign = rows["side"].astype(np.float64)
        level = sign * (np.log(rows["price"]) - x[at]) + beyond
        own, twin, mirror = np.zeros(at.size), np.zeros(at.size), np.zeros(at.size)
        for k, i in enumerate(at.tolist()):
            own[k] = _farthest(x, i, width, sign[k]) >= level[k]
            twin[k] = _farthest(free, i, width, sign[k]) >= level[k]
            mirror[k] = _farthest(x, i, width, -sign[k]) >= level[k]
        ts, one = truth.path_ns[at], np.ones(at.size)
        parts["pass_through_twin"].append(sum_by_day(own - twin, one, ts))
        parts["pass_through_mirror"].append(sum_by_day(own - mirror, one, ts))
    return tuple(
        ratio(joined(rows), mechanism=mechanism, statistic=name, unit="share")
        for name, rows in parts.items()
        if rows
    )


def held_effects(
    truths: Iterable[Truth], *, horizon_ns: Ns = 4 * HOUR_NS, mechanism: str = "walls"
) -> tuple[Effect, ...]:
    """Return by how much less often the price passes through a wall: `wall_effects` turned about.

    `held_twin` and `held_mirror` are above zero where walls hold; parameters as there.
    """
    names = {"pass_through_twin": "held_twin", "pass_through_mirror": "held_mirror"}
    found = wall_effects(truths, horizon_ns=horizon_ns, mechanism=mechanism)
    return tuple(replace(e, statistic=names[e.statistic], value=-e.value) for e in found)


def _farthest(x: FloatArray, i: int, width: int, sign: float) -> float:
    """Return how far the path goes to one side of where it was at `i`."""
    return float((sign * (x[i : i + width + 1] - x[i])).max())
