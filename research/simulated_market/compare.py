"""The default world beside BTC and ETH: a table and a figure."""

from __future__ import annotations

from pathlib import Path

import facts
import numpy as np
import real

from liqbt.simulate.market import simulate
from liqbt.study.worlds import load_world

HERE = Path(__file__).resolve().parent
WORLDS = HERE.parent.parent / "liqbt" / "data" / "worlds"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"


def simulated(world, seed):
    """Return one simulated market as facts see it."""
    truth = simulate(world, seed=seed).truth[world.symbols[0]]
    per = 300 * 10**9 // int(truth.path_ns[1] - truth.path_ns[0])
    mark = truth.path_price[::per]
    ts = truth.path_ns[::per] // 10**9
    steps = truth.steps
    every = 300 // world.step_s if world.step_s < 300 else 1
    lots = np.concatenate([[truth.open_interest_start], steps["open_interest"]])[::every]
    per_hour = 3600 // world.step_s
    flow = np.stack([steps["liquidated_long"], steps["liquidated_short"]]).astype(float)
    hourly = flow[:, : flow.shape[1] // per_hour * per_hour].reshape(2, -1, per_hour).sum(axis=2)
    forced = hourly / steps["open_interest"].mean()
    return facts.Market(ts_s=ts, mark=mark, open_interest=lots.astype(float), forced=forced)


def judged(value, low, high):
    """Say where a real value lies in the simulated spread."""
    if not np.isfinite(value):
        return "—"
    return "yes" if low <= value <= high else "simulated is lower" if value > high else (
        "simulated is higher"
    )  # fmt: skip


def number(x):
    """Write a value with three digits."""
    return "—" if x is None or not np.isfinite(x) else f"{x:.3g}"


def table(markets):
    """Return the comparison as Markdown."""
    sims = [facts.facts(m) for m in markets]
    btc = facts.facts(real.market("BTC")) | real.forced_facts()
    eth = facts.facts(real.market("ETH"))
    years = {coin: real.long_facts(coin) for coin in ("BTC", "ETH")}
    lines = [
        "| fact | BTC, 4 months | ETH, 4 months | BTC, 2.8 years | ETH, 2.8 years "
        "| simulated, median [5 %, 95 %] | BTC's 4 months inside |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for name in sims[0]:
        low, middle, high = np.nanquantile([s[name] for s in sims], [0.05, 0.5, 0.95])
        cells = [btc.get(name), eth.get(name), *(years[c].get(name) for c in ("BTC", "ETH"))]
        lines.append(
            f"| {name} | {' | '.join(number(c) for c in cells)} "
            f"| {middle:.3g} [{low:.3g}, {high:.3g}] | {judged(cells[0], low, high)} |"
        )
    return "\n".join(lines) + "\n"


def _survival(axes, x, **style):
    x = np.sort(np.asarray(x))
    axes.plot(x, 1 - np.arange(x.size) / x.size, **style)


def figure(markets, path):
    """Draw the comparison: six panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(13, 7.6), layout="constrained")
    FigureCanvasAgg(drawn)
    a, b, c, d, e, f = drawn.subplots(2, 3).ravel()
    coins = {"BTC": (real.market("BTC"), BLUE, "-"), "ETH": (real.market("ETH"), ORANGE, "--")}
    hours = np.array(facts.LAGS) / 12
    sim = [facts.autocorrelation(np.abs(facts.returns(m, 1)), facts.LAGS) for m in markets]
    low, middle, high = np.nanquantile(sim, [0.05, 0.5, 0.95], axis=0)
    a.fill_between(hours, low, high, color="0.8", label=f"simulated, 90 % of {len(markets)}")
    a.plot(hours, middle, color=GREY, label="simulated, median")
    for coin, (m, colour, dash) in coins.items():
        size = facts.autocorrelation(np.abs(facts.returns(m, 1)), facts.LAGS)
        a.plot(hours, size, dash, color=colour, label=coin)
    a.set_xscale("log")
    a.set_xticks([1 / 12, 1, 6, 24, 168], ["5 min", "1 h", "6 h", "1 d", "7 d"])
    a.set(xlabel="lag", ylabel="autocorrelation", title="|r| of five minutes")
    a.axhline(0, color="0.4", lw=0.8)
    a.legend(frameon=False, fontsize=8)
    for axes, steps, name in ((b, 1, "five minutes"), (c, 288, "a day")):
        for m in markets:
            r = facts.returns(m, steps)
            _survival(axes, np.abs(r) / r.std(), color="0.75", lw=0.7)
        for m, colour, dash in coins.values():
            r = facts.returns(m, steps)
            _survival(axes, np.abs(r) / r.std(), color=colour, ls=dash)
        axes.set_yscale("log")
        axes.set(xlabel="|r| over its deviation", ylabel="share beyond", title=f"Returns of {name}")
    for by, axes in (("hour", d),):
        spread = np.quantile([facts.profile(m, by) for m in markets], [0.05, 0.95], axis=0)
        axes.fill_between(np.arange(24), *spread, color="0.8")
        for m, colour, dash in coins.values():
            axes.plot(np.arange(24), facts.profile(m, by), dash, color=colour)
        axes.set(xlabel="hour, UTC", ylabel="mean |r| over the day's", title="Season of a day")
    for m in markets:
        flow = m.forced.sum(axis=0)
        _survival(e, flow / flow.mean(), color="0.75", lw=0.7)
    flow = real.forced()[0].sum(axis=0)
    _survival(e, flow / flow.mean(), color=BLUE)
    e.set_xscale("log")
    e.set_yscale("log")
    e.set_xlim(1e-3, None)
    e.set(
        xlabel="forced in an hour over its mean", ylabel="share beyond", title="Bursts (both sides)"
    )
    for m in markets:
        _survival(f, 100 * np.abs(np.diff(np.log(m.open_interest))), color="0.75", lw=0.7)
    for m, colour, dash in coins.values():
        change = 100 * np.abs(np.diff(np.log(m.open_interest)))
        _survival(f, change, color=colour, ls=dash)
    f.set_xscale("log")
    f.set_yscale("log")
    f.set_xlim(1e-4, None)
    f.set(xlabel="|change| in five minutes, %", ylabel="share beyond", title="Open interest")
    for axes in (a, b, c, d, e, f):
        axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, dpi=110, metadata={"Software": None})


def main(seeds=16):
    """Compare; write `real.png` and return the table."""
    world = load_world(WORLDS / "baseline.yaml")
    markets = [simulated(world, seed) for seed in range(seeds)]
    text = table(markets)
    figure(markets, HERE / "real.png")
    return text


if __name__ == "__main__":
    print(main())
