"""What the price impact of forced flow amounts to, in the units of METHOD's claim 4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from liqbt.simulate.effects.bursts import Bursts, bursts_of, substeps_of
from liqbt.simulate.effects.levels import distances, smoothed
from liqbt.simulate.effects.values import (
    DaySums,
    Effect,
    difference,
    joined,
    quotient,
    ratio,
    sum_by_day,
)
from liqbt.simulate.effects.windows import free_path, log_path, pushed_path
from liqbt.simulate.truth import Truth
from liqbt.types import HOUR_NS, FloatArray, IntArray, Ns

_BP_PER_PERCENT: Final = 100.0
"""A log move per unit share of open interest, in basis points per 1 %: 1e4 / 100."""
_LARGE: Final = 0.9
"""A burst is large above this quantile of its market's bursts."""


def fuel_effects(
    truths: Iterable[Truth], *, horizon_ns: Ns = HOUR_NS, mechanism: str = "fuel"
) -> tuple[Effect, ...]:
    """Measure what follows forced flow, against equal flow that nothing forced.

    F is a burst's signed share of open interest (buys positive), y the log move from its instant on
    over the horizon, u the part of y that mechanisms applied; N and y_N are the same of a step's
    net taker flow that nothing forced (neither a liquidation nor a stop), from the step's start on.

    - `after_forced`: Σ F·y / Σ F², bp of price per 1 % of open interest; `after_forced_pushed`: the
      same of u, which is free of noise;
    - `after_unforced`: Σ N·y_N / Σ N²; `after_unforced_pushed`;
    - `excess`: `after_forced_pushed` less `after_unforced_pushed`;
    - `next_cluster_hazard`: after the large bursts, visits within the horizon of the densest true
      level ahead (0.25 to 2.5 σ over the horizon, in the direction of the push), over those of the
      twin, whose mechanisms stop at the burst.

    A chain's later links are part of what follows its first: y holds them.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    horizon_ns : int
        How long what follows is watched, ns.
    mechanism : str
        Written into the rows.
    """
    parts: dict[str, list[DaySums]] = {}
    for truth in truths:
        for name, part in (_responses(truth, horizon_ns) | _hazard(truth, horizon_ns)).items():
            parts.setdefault(name, []).append(part)
    sums = {name: joined(rows) for name, rows in parts.items()}
    unit = "bp_per_percent"
    names = ("after_forced", "after_forced_pushed", "after_unforced", "after_unforced_pushed")
    effects = [ratio(sums[k], mechanism=mechanism, statistic=k, unit=unit) for k in names]
    effects.append(
        difference(
            sums["after_forced_pushed"],
            sums["after_unforced_pushed"],
            mechanism=mechanism,
            statistic="excess",
            unit=unit,
        )
    )
    effects.append(
        quotient(
            sums["next"],
            sums["next_twin"],
            mechanism=mechanism,
            statistic="next_cluster_hazard",
            unit="ratio",
        )
    )
    return tuple(effects)


def _responses(truth: Truth, horizon_ns: Ns) -> dict[str, DaySums]:
    """Return the day sums of the four responses."""
    width = int(horizon_ns // (truth.path_ns[1] - truth.path_ns[0]))
    x, pushed = log_path(truth), pushed_path(truth)
    bursts = bursts_of(truth)
    flows = {
        "forced": (bursts.at, bursts.sign * bursts.share),
        "unforced": _unforced(truth),
    }
    out = {}
    for name, (at, flow) in flows.items():
        keep = at + width < x.size
        i, f = at[keep], flow[keep]
        ts = truth.path_ns[i]
        for suffix, path in (("", x), ("_pushed", pushed)):
            move = (path[i + width] - path[i]) * _BP_PER_PERCENT
            sums = sum_by_day(f * move, f * f, ts, span_ns=truth.path_ns)
            out[f"after_{name}{suffix}"] = sums
    return out


def _unforced(truth: Truth) -> tuple[IntArray, FloatArray]:
    """Return, at each step's start, the net share that takers traded by choice: buys positive."""
    s = truth.steps
    bought = s["taker_bought"] - s["liquidated_short"] - s["stopped_short"]
    sold = s["taker_sold"] - s["liquidated_long"] - s["stopped_long"]
    at = np.arange(len(s), dtype=np.int64) * substeps_of(truth)
    return at, np.asarray((bought - sold) / np.maximum(s["open_interest"], 1))


def _hazard(truth: Truth, horizon_ns: Ns) -> dict[str, DaySums]:
    """Return visits of the next cluster after large bursts, on the path and on its twin."""
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    width = int(horizon_ns // spacing)
    x, free = log_path(truth), free_path(truth)
    rows = _large(bursts_of(truth), width, x.size)
    ahead = _next_levels(truth, rows, horizon_ns, x)
    keep = np.isfinite(ahead)
    at, sign, level = rows.at[keep], rows.sign[keep], ahead[keep]
    hit, twin = np.zeros(at.size), np.zeros(at.size)
    for k, (i, s, d) in enumerate(zip(at.tolist(), sign.tolist(), level.tolist(), strict=True)):
        hit[k] = (s * (x[i : i + width] - x[i])).max() >= d
        twin[k] = (s * (free[i : i + width] - free[i])).max() >= d
    ts, one = truth.path_ns[at], np.ones(at.size)
    return {"next": sum_by_day(hit, one, ts), "next_twin": sum_by_day(twin, one, ts)}


def _large(bursts: Bursts, width: int, n: int) -> Bursts:
    """Return the large bursts, none within a horizon of the one before it."""
    limit = np.quantile(bursts.share, _LARGE) if bursts.share.size else 0.0
    chosen, last = [], -width
    for k in np.flatnonzero(bursts.share >= limit).tolist():
        if bursts.at[k] - last >= width and bursts.at[k] + width < n:
            chosen.append(k)
            last = int(bursts.at[k])
    c = np.array(chosen, dtype=np.int64)
    return Bursts(
        at=bursts.at[c], ts_ns=bursts.ts_ns[c], sign=bursts.sign[c], share=bursts.share[c]
    )


def _next_levels(truth: Truth, rows: Bursts, horizon_ns: Ns, x: FloatArray) -> FloatArray:
    """Return how far ahead, in log price, each burst's densest next level lies; NaN for none."""
    snapshot = np.searchsorted(truth.snapshot_ns, rows.ts_ns, "right") - 1
    out = np.full(rows.at.size, np.nan)
    known = np.flatnonzero(snapshot >= 0)
    if not known.size:
        return out
    snapshot = snapshot[known]
    density = smoothed(truth, snapshot)
    below, above = distances(truth, snapshot)
    step_days = horizon_ns / 86_400e9
    step = np.clip((rows.at[known] - 1) // substeps_of(truth), 0, truth.sigma_1d.size - 1)
    sigma = truth.sigma_1d[step] * np.sqrt(step_days)
    gone = x[rows.at[known]] - np.log(truth.snapshot_mark[snapshot])
    up = rows.sign[known] > 0
    far = np.where(up[:, None], above - gone[:, None], below + gone[:, None])
    mass = np.where(up[:, None], density[1], density[0])
    mass = np.where((far >= 0.25 * sigma[:, None]) & (far <= 2.5 * sigma[:, None]), mass, 0.0)
    j = mass.argmax(axis=1)
    row = np.arange(j.size)
    out[known] = np.where(mass[row, j] > 0, far[row, j], np.nan)
    return out
