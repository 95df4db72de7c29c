"""What goes wrong with a feed: records lost, late, sent twice, and outages."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.simulate.feeds import Faults
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, IntArray

__all__ = ["apply_faults"]

CLEAN = Faults()


def apply_faults(
    columns: dict[str, Any], faults: Faults, world: World, rng: np.random.Generator
) -> dict[str, Any]:
    """Return a feed's columns with its faults; a clean feed is returned as it is.

    Parameters
    ----------
    columns : dict
        Columns of one feed, arrays of one length or scalars.
    faults : Faults
        What goes wrong.
    world : World
        Its period bounds the outages.
    rng : Generator
        The feed's own chance.
    """
    if faults == CLEAN:
        return columns
    ts = columns["ts_event"]
    kept = ~_in_gap(ts, faults, world, rng)
    kept &= rng.random(ts.size) >= faults.missing
    late = np.where(rng.random(ts.size) < faults.delayed, rng.standard_exponential(ts.size), 0.0)
    extra: IntArray = np.rint(late * faults.delay_s * SECOND_NS).astype(np.int64)
    twice = np.flatnonzero(kept & (rng.random(ts.size) < faults.duplicated))
    rows = np.concatenate([np.flatnonzero(kept), twice])
    out = {k: v[rows] if np.ndim(v) > 0 else v for k, v in columns.items()}
    out["ts_known"] = columns["ts_known"][rows] + extra[rows]
    if twice.size:
        out["ts_known"][-twice.size :] += SECOND_NS
    return out


def _in_gap(
    ts: IntArray, faults: Faults, world: World, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Tell which instants fall into an outage."""
    count = int(rng.poisson(faults.gaps_per_day * world.days))
    start = world.start_ns + rng.random(count) * (world.end_ns - world.start_ns)
    length = rng.standard_exponential(count) * faults.gap_minutes * 60 * SECOND_NS
    out = np.zeros(ts.size, dtype=bool)
    for begin, end in zip(start.tolist(), (start + length).tolist(), strict=True):
        out |= (ts >= begin) & (ts < end)
    return out
