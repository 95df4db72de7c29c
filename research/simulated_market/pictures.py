"""One picture a world: price through the true map, what was forced, its largest cascade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from liqbt.simulate.market import simulate
from liqbt.study.worlds import load_world
from liqbt.types import Kind

HERE = Path(__file__).resolve().parent
WORLDS = HERE.parent.parent / "liqbt" / "data" / "worlds"
BLUE, ORANGE, GREEN, INK = "#0072B2", "#D55E00", "#009E73", "#1a1a1a"
LONGS = LinearSegmentedColormap.from_list("longs", ["#ffffff", "#9ecae1", "#08306b"])
SHORTS = LinearSegmentedColormap.from_list("shorts", ["#ffffff", "#fdbe85", "#7f2704"])
ROWS = 5
"""A row of the picture is so many bins of 5 bp."""
GREENS = {"walls": "; green: walls", "placement": "; green: swings, when confirmed"}
DAY = 86_400 * 10**9


def moments(ts_ns):
    """Return times as matplotlib dates draws them."""
    return np.asarray(ts_ns, dtype="datetime64[ns]")


def lattice(truth, first, last):
    """Return the true map of snapshots first:last as (side, row, time) and the rows' log edges."""
    fine = truth.grid.fine_bins
    shift = truth.mark_bin[first:last] - truth.mark_bin[first:last].min()
    height = int(shift.max()) + 2 * fine + 1
    out = np.zeros((2, height, last - first))
    for k in range(last - first):
        at = int(shift[k]) + fine
        row = truth.density_usd[first + k]
        out[0, at - fine : at, k] = row[0, :fine][::-1]
        out[1, at + 1 : at + fine + 1, k] = row[1, :fine]
    rows = height // ROWS
    out = out[:, : rows * ROWS].reshape(2, rows, ROWS, -1).sum(axis=2)
    lowest = truth.mark_bin[first:last].min() - fine
    edges = (lowest + np.arange(rows + 1) * ROWS) * truth.grid.step + np.log(truth.grid.anchor)
    return out, edges


def window_of(truth, days):
    """Return the stretch of so many days in which most was forced, as snapshot indices."""
    per_day = int(np.searchsorted(truth.snapshot_ns, truth.snapshot_ns[0] + DAY))
    usd = truth.liquidations["mark"] * truth.liquidations["size_coins"]
    at = np.searchsorted(truth.snapshot_ns, truth.liquidations["ts_ns"], "right") - 1
    flow = np.cumsum(np.bincount(at, usd, truth.snapshot_ns.size))
    width = min(days * per_day, truth.snapshot_ns.size - 1)
    gain = flow[width:] - flow[:-width]
    first = int(gain.argmax())
    return first, first + width


def map_panel(axes, truth, first, last, dots=True):
    """Draw the map, the price through it, and the forced orders."""
    density, edges = lattice(truth, first, last)
    ts = moments(truth.snapshot_ns[first : last + 1])
    top = density.max()
    for side, colours in ((0, LONGS), (1, SHORTS)):
        shown = np.ma.masked_less_equal(density[side], top / 300)
        axes.pcolormesh(
            ts, np.exp(edges), shown, cmap=colours, norm=LogNorm(top / 300, top), rasterized=True
        )
    t0, t1 = truth.snapshot_ns[first], truth.snapshot_ns[last]
    i, j = np.searchsorted(truth.path_ns, [t0, t1])
    step = max((j - i) // 4000, 1)
    axes.plot(moments(truth.path_ns[i:j:step]), truth.path_price[i:j:step], color=INK, lw=0.7)
    if dots:
        orders = truth.liquidations
        orders = orders[(orders["ts_ns"] >= t0) & (orders["ts_ns"] < t1)]
        usd = orders["mark"] * orders["size_coins"]
        big = usd >= (np.quantile(usd, 0.97) if usd.size else 0)
        for side, colour, mark in ((1, BLUE, "v"), (-1, ORANGE, "^")):
            mine = big & (orders["side"] == side)
            axes.scatter(
                moments(orders["ts_ns"][mine]),
                orders["mark"][mine],
                s=10 + 60 * usd[mine] / usd.max(),
                color=colour,
                marker=mark,
                edgecolor="white",
                linewidth=0.3,
                zorder=3,
            )
    parts_panel(axes, truth, t0, t1)
    price = truth.path_price[i:j]
    room = (price.max() / price.min()) ** 0.15
    axes.set_ylim(price.min() / room, price.max() * room)
    axes.set_yscale("log")
    axes.minorticks_off()
    step = float(f"{(price.max() - price.min()) / 3:.0e}")
    ticks = np.arange(np.ceil(price.min() / step), price.max() / step + 1) * step
    axes.set_yticks(ticks, [f"{t:,.0f}" for t in ticks])
    axes.set_ylim(price.min() / room, price.max() * room)
    axes.set_xlim(ts[0], ts[-1])


def parts_panel(axes, truth, t0, t1):
    """Draw walls where they stood and swings when they were confirmed, where a world has them."""
    walls = truth.walls[(truth.walls["until_ns"] > t0) & (truth.walls["from_ns"] < t1)]
    for wall in walls:
        span = moments([max(wall["from_ns"], t0), min(wall["until_ns"], t1)])
        axes.plot(span, [wall["price"]] * 2, color=GREEN, lw=2.5, solid_capstyle="butt", zorder=4)
    swings = truth.swings[
        (truth.swings["confirmed_ns"] >= t0) & (truth.swings["confirmed_ns"] < t1)
    ]
    if len(swings):
        at = moments(swings["confirmed_ns"])
        axes.scatter(at, swings["price"], s=16, facecolor="none", edgecolor=GREEN, zorder=4)


def flow_panel(axes, truth, first, last):
    """Draw what was forced in each hour, longs down and shorts up."""
    t0, t1 = truth.snapshot_ns[first], truth.snapshot_ns[last]
    orders = truth.liquidations
    orders = orders[(orders["ts_ns"] >= t0) & (orders["ts_ns"] < t1)]
    hour = (orders["ts_ns"] - t0) // (DAY // 24)
    usd = orders["mark"] * orders["size_coins"] / 1e6
    n = int((t1 - t0) // (DAY // 24))
    ts = moments(t0 + np.arange(n) * (DAY // 24))
    for side, colour, sign in ((1, BLUE, -1), (-1, ORANGE, 1)):
        mine = orders["side"] == side
        flow = sign * np.bincount(hour[mine], usd[mine], n)
        axes.bar(ts, flow, width=np.timedelta64(1, "h"), color=colour)
    axes.axhline(0, color=INK, lw=0.6)
    axes.set_ylabel("forced an hour,\nmillion USD")
    axes.set_xlim(ts[0], moments([t1])[0])


def pushed_panel(axes, truth, first, last):
    """Draw what each mechanism has moved the price by since the window's start."""
    i, j, ts = steps_of(truth, first, last)
    styles = iter(("-", "--", ":", "-.") * 3)
    for name, moved in truth.moved.items():
        axes.plot(ts, 100 * np.cumsum(moved[i:j]), next(styles), color=INK, lw=1, label=name)
    axes.legend(frameon=False, fontsize=8, loc="best")
    axes.axhline(0, color="0.6", lw=0.6)
    axes.set_ylabel("moved by\nmechanisms, %")


def steps_of(truth, first, last):
    """Return the steps between two snapshots, and when they begin."""
    t0, t1 = truth.snapshot_ns[first], truth.snapshot_ns[last]
    spacing = int(truth.path_ns[-1] - truth.path_ns[0]) // len(truth.displacement)
    i, j = ((t - truth.path_ns[0]) // spacing for t in (t0, t1))
    return i, j, moments(truth.path_ns[0] + np.arange(i, j) * spacing)


def volatility_panel(axes, truth, first, last):
    """Draw the true volatility, where no mechanism moves the price."""
    i, j, ts = steps_of(truth, first, last)
    axes.plot(ts, 100 * truth.sigma_1d[i:j], color=INK, lw=0.6)
    axes.set_ylim(0, None)
    axes.set_ylabel("true volatility,\n% per √day")


def late_panel(axes, market, truth, first, last):
    """Draw by how much records of open interest are known late; a gap is an outage."""
    t0, t1 = truth.snapshot_ns[first], truth.snapshot_ns[last]
    table = market.tables[Kind.OPEN_INTEREST]
    event, known = (table[n].to_numpy() for n in ("ts_event", "ts_known"))
    mine = (event >= t0) & (event < t1)
    late_s = (known - event)[mine] / 1e9
    axes.plot(moments(event[mine]), late_s / 60, ".", color=INK, ms=2)
    axes.set_ylim(0, None)
    axes.set_ylabel("open interest\nknown late,\nminutes")


def told_panel(axes, market, truth, first, last):
    """Draw which part of what was forced in each hour the venue tells of."""
    t0, t1 = truth.snapshot_ns[first], truth.snapshot_ns[last]
    table = market.tables[Kind.LIQUIDATION]
    told = {n: table[n].to_numpy() for n in ("ts_event", "size_coins")}
    true = {"ts_event": truth.liquidations["ts_ns"], "size_coins": truth.liquidations["size_coins"]}
    n, hour_ns = int((t1 - t0) // (DAY // 24)), DAY // 24
    coins = []
    for orders in (told, true):
        hour = (orders["ts_event"] - t0) // hour_ns
        mine = (hour >= 0) & (hour < n)
        coins.append(np.bincount(hour[mine], orders["size_coins"][mine], n))
    some = coins[1] > 0
    share = 100 * coins[0][some] / coins[1][some]
    axes.plot(moments(t0 + np.flatnonzero(some) * hour_ns), share, ".", color=INK, ms=3)
    axes.set_ylim(0, None)
    axes.set_ylabel("of forced coins\nthe venue tells,\n%")


def third_panel(axes, market, truth, first, last):
    """Draw what sets the world apart: mechanisms, the feed, or the price's own chance."""
    feed = market.world.feed
    if truth.moved:
        pushed_panel(axes, truth, first, last)
    elif feed.throttle != "none":
        told_panel(axes, market, truth, first, last)
    elif feed.oi_faults.delayed > 0:
        late_panel(axes, market, truth, first, last)
    else:
        volatility_panel(axes, truth, first, last)
    axes.set_xlim(*moments(truth.snapshot_ns[[first, last]]))


def cascade_panel(axes, truth):
    """Draw the hour in which most was forced, and the parents of its forced orders."""
    orders = truth.liquidations
    usd = orders["mark"] * orders["size_coins"]
    flow = np.bincount((orders["ts_ns"] - truth.path_ns[0]) // (DAY // 24), usd)
    hour = truth.path_ns[0] + int(flow.argmax()) * (DAY // 24)
    start, end = hour - DAY // 48, hour + DAY // 16
    axes.axvspan(*moments([hour, hour + DAY // 24]), color="0.93", zorder=0)
    i, j = np.searchsorted(truth.path_ns, [start, end])
    axes.plot(moments(truth.path_ns[i:j]), truth.path_price[i:j], color=INK, lw=0.8)
    mine = np.flatnonzero((orders["ts_ns"] >= start) & (orders["ts_ns"] < end))
    top = usd[mine].max()
    for side, colour, mark in ((1, BLUE, "v"), (-1, ORANGE, "^")):
        rows = mine[orders["side"][mine] == side]
        axes.scatter(
            moments(orders["ts_ns"][rows]),
            orders["mark"][rows],
            s=4 + 90 * usd[rows] / top,
            facecolor=colour,
            edgecolor="white",
            linewidth=0.4,
            marker=mark,
            zorder=3,
        )
    linked = mine[orders["parent"][mine] >= 0]
    for k in linked.tolist():
        pair = [int(orders["parent"][k]), k]
        axes.plot(moments(orders["ts_ns"][pair]), orders["mark"][pair], color="0.35", lw=0.5)
    ts = orders["ts_ns"]
    inside = (ts >= hour) & (ts < hour + DAY // 24)
    axes.set_title(
        f"Hour with most forced flow (shaded): {usd[inside].sum() / 1e6:,.0f} million USD in "
        f"{inside.sum()} orders, {(orders['parent'][inside] >= 0).sum()} with a parent",
        loc="left",
        fontsize=9,
    )
    axes.set_ylabel("price, USD")


def picture(name, seed, days=30):
    """Draw one world and save it; return its truth."""
    world = load_world(WORLDS / f"{name}.yaml")
    market = simulate(world, seed=seed)
    truth = market.truth[world.symbols[0]]
    first, last = window_of(truth, days)
    drawn = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(drawn)
    grid = drawn.add_gridspec(4, 1, height_ratios=[5, 1.4, 1.4, 2.2])
    top = drawn.add_subplot(grid[0])
    map_panel(top, truth, first, last)
    top.set_ylabel("price, USD (log)")
    top.set_title(f"World {name}, seed {seed}", loc="left", weight="bold")
    flow, third = (drawn.add_subplot(grid[k], sharex=top) for k in (1, 2))
    flow_panel(flow, truth, first, last)
    third_panel(third, market, truth, first, last)
    cascade = drawn.add_subplot(grid[3])
    cascade_panel(cascade, truth)
    for axes in (top, flow, third, cascade):
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.spines[["top", "right"]].set_visible(False)
    drawn.supxlabel(
        "time, UTC — blue: longs below and forced longs; orange: shorts above and forced shorts; "
        "darker is denser (log)" + GREENS.get(name, ""),
        fontsize=9,
    )
    drawn.savefig(HERE / "worlds" / f"{name}.png", dpi=75, metadata={"Software": None})
    return truth


def contact_sheet(truths, path):
    """Draw every world small, on one sheet."""
    columns = 4
    rows = -(-len(truths) // columns)
    drawn = Figure(figsize=(16, 2.9 * rows), layout="constrained")
    FigureCanvasAgg(drawn)
    panels = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, truth) in zip(panels, truths.items(), strict=False):
        first, last = window_of(truth, 30)
        map_panel(axes, truth, first, last, dots=False)
        axes.set_title(name, fontsize=10)
        axes.set_xticks([])
        axes.tick_params(labelsize=7)
    for axes in panels[len(truths) :]:
        axes.set_visible(False)
    drawn.savefig(path, dpi=70, metadata={"Software": None})


def names():
    """Return the worlds that there are."""
    return sorted(path.stem for path in WORLDS.glob("*.yaml"))


def main(seed=11):
    """Draw every world."""
    (HERE / "worlds").mkdir(exist_ok=True)
    truths = {name: picture(name, seed) for name in names()}
    contact_sheet(truths, HERE / "worlds.png")
    return list(truths)


if __name__ == "__main__":
    print("\n".join(main()))
