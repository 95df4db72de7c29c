"""Truths made up for tests of effects: a path, a map, flows, forced orders; nothing simulated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from liqbt.simulate.tables import POSITION_DTYPE
from liqbt.types import HOUR_NS, MINUTE_NS, DensityGrid

STEP = 5e-4
STEP_DTYPE = np.dtype([
    (f"{what}_{side}", "<i8") for side in ("long", "short")
    for what in ("opened", "left", "liquidated", "stopped")
] + [(name, "<i8") for name in ("open_interest", "taker_bought", "taker_sold")])  # fmt: skip
WALL_DTYPE = np.dtype(
    [("from_ns", "<i8"), ("until_ns", "<i8"), ("side", "i1"), ("price", "<f8"), ("absorbed", "<f8")]
)
LIQUIDATION_DTYPE = np.dtype(
    [("ts_ns", "<i8"), ("position", "<i8"), ("side", "i1"), ("mark", "<f8"), ("size_coins", "<f8")]
)


def made_up(
    log_price, density, displacement=None, *, minutes=60, forced=(), sigma_1d=0.02, walls=()
):
    """Return a truth of points and steps so many minutes apart, with a snapshot an hour.

    `density` is (hours, 2, 203) or (2, 203), USD. `forced` lists (point, side, lots): the price of
    that point forced them; a lot is a coin, and open interest always 10,000 lots.
    """
    x = np.asarray(log_price, dtype=float)
    n = x.size - 1
    ts = np.arange(n + 1, dtype=np.int64) * minutes * MINUTE_NS
    price = np.exp(x)
    grid = DensityGrid(anchor=float(price[0]), step=STEP)
    at = np.arange(0, n, HOUR_NS // (minutes * MINUTE_NS))
    steps = np.zeros(n, dtype=STEP_DTYPE)
    steps["open_interest"] = 10_000
    orders = np.zeros(len(forced), dtype=LIQUIDATION_DTYPE)
    positions = np.zeros(len(forced), dtype=POSITION_DTYPE)
    for k, (i, side, lots) in enumerate(forced):
        orders[k] = (ts[i], k, side, price[i], lots)
        positions["liquidation_price"][k] = price[i]
        name, other = ("long", "short") if side > 0 else ("short", "long")
        steps[f"liquidated_{name}"][i - 1] += lots
        steps[f"left_{other}"][i - 1] += lots  # who took the other side
        steps["taker_sold" if side > 0 else "taker_bought"][i - 1] += lots
    return SimpleNamespace(
        symbol="T",
        path_ns=ts,
        path_price=price,
        sigma_1d=np.broadcast_to(np.asarray(sigma_1d, float), (n,)),
        displacement=np.zeros(n) if displacement is None else np.asarray(displacement, float),
        steps=steps,
        liquidations=orders,
        walls=np.array(list(walls), dtype=WALL_DTYPE),
        positions=positions,
        grid=grid,
        snapshot_ns=ts[at],
        snapshot_mark=price[at],
        mark_bin=np.array([grid.bin_of(p) for p in price[at].tolist()], dtype=np.int64),
        density_usd=np.broadcast_to(np.asarray(density, np.float32), (at.size, 2, 203)),
    )


def one_bin(below, above):
    """Return a map with notional in one bin a side: (bin, USD)."""
    density = np.zeros((2, 203), dtype=np.float32)
    density[0, below[0]] = below[1]
    density[1, above[0]] = above[1]
    return density


def by_name(effects):
    """Return effects by statistic."""
    return {effect.statistic: effect for effect in effects}
