"""Time and memory of a simulation against its length, as a ratio to noise of the same length."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
WORLDS = HERE.parent.parent / "liqbt" / "data" / "worlds"
DAYS = (30, 60, 120, 240, 365)
CURVES = {
    "minutes": (60, {"entries_per_day": 1600.0, "exit_half_life_h": 240.0}, DAYS),
    "minutes, short lives": (60, {"entries_per_day": 2400.0}, DAYS[-1:]),
    "five minutes": (300, {}, DAYS),
}
"""Step in seconds, what is changed of the world, and lengths. The first two hold about 20,000 open
positions: by lives of ten days at half, as venues have them, or by six times the entries of the
default, which opens twice as many positions in a year."""


def world_of(name, curve, days):
    """Return the world `name` as a curve has it, at another length."""
    from liqbt.study.worlds import load_world

    step_s, changes, _ = CURVES[curve]
    world = load_world(WORLDS / f"{name}.yaml")
    return replace(world, step_s=step_s, substeps=5, days=days, **changes)


def once(name, curve, days, repeats=3):
    """Return seconds, peak RSS, and the seconds that drawing the noise alone takes."""
    from liqbt.simulate.market import simulate

    world = world_of(name, curve, days)
    simulate(replace(world, days=2), seed=0)  # compiled and stored by an earlier process
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, positions = [], 0
    for k in range(repeats):
        start = time.process_time()
        truth = simulate(world, seed=1).truth[world.symbols[0]]
        seconds.append(time.process_time() - start)
        if k == 0:
            positions, opened = open_positions(truth), len(truth.positions)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        del truth
    n = (world.days + world.warmup_days) * 86_400 // world.step_s * world.substeps
    reference = []
    for _ in range(repeats):
        start = time.process_time()
        rng = np.random.default_rng(1)
        x = np.cumsum(rng.standard_t(4.5, n))
        np.exp(x * 1e-6)
        reference.append(time.process_time() - start)
    return {
        "days": days,
        "steps": world.steps,
        "seconds": min(seconds),
        "ratio": min(seconds) / min(reference),
        "open_positions": positions,
        "opened": opened,
        "peak_mib": peak,
        "before_mib": before,
    }


def open_positions(truth):
    """Return how many positions are open, the mean over ten instants."""
    p = truth.positions
    ts = truth.snapshot_ns[:: len(truth.snapshot_ns) // 10]
    closed = np.where(p["closed_ns"] < 0, np.iinfo(np.int64).max, p["closed_ns"])
    return round(float(np.mean([((p["opened_ns"] <= t) & (closed > t)).sum() for t in ts])))


def table(rows, curve):
    """Return the curve as Markdown."""
    step_s, changes, _ = CURVES[curve]
    changed = ", ".join(f"{key} {value:g}" for key, value in changes.items()) or "as it is"
    lines = [
        f"Steps of {step_s} s, 5 points a step; world `baseline`, {changed}:",
        "",
        "| days | steps | CPU seconds | µs a step | over noise of that length | open positions "
        "| opened in all | peak memory, MiB | of it before, MiB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['days']} | {r['steps']:,} | {r['seconds']:.2f} "
        f"| {1e6 * r['seconds'] / r['steps']:.2f} | {r['ratio']:.1f} "
        f"| {r['open_positions']:,} | {r['opened']:,} "
        f"| {r['peak_mib']:.0f} | {r['before_mib']:.0f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def figure(curves, path):
    """Draw seconds and memory against steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.5, 3.8), layout="constrained")
    FigureCanvasAgg(drawn)
    left, right = drawn.subplots(1, 2)
    for (label, rows), (colour, mark) in zip(
        curves.items(), (("#0072B2", "o"), ("#009E73", "^"), ("#D55E00", "s")), strict=True
    ):
        steps = [r["steps"] / 1e3 for r in rows]
        left.plot(steps, [r["seconds"] for r in rows], color=colour, marker=mark, label=label)
        right.plot(steps, [r["peak_mib"] for r in rows], color=colour, marker=mark)
    left.set(xlabel="steps, thousands", ylabel="CPU seconds", title="Time")
    right.set(xlabel="steps, thousands", ylabel="peak memory, MiB", title="Memory of the process")
    for axes in (left, right):
        axes.set_ylim(0, None)
        axes.set_xlim(0, None)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylim(0, 5.4)
    left.axhline(5, color="0.6", lw=0.8, ls=":")
    right.axhline(500, color="0.6", lw=0.8, ls=":")
    left.legend(frameon=False, fontsize=8)
    drawn.savefig(path, dpi=110, metadata={"Software": None})


def main(name="baseline"):
    """Measure each length in a process of its own; return the tables."""
    texts, curves = [], {}
    for curve, (_, _, lengths) in CURVES.items():
        rows = []
        for days in lengths:
            command = [sys.executable, __file__, "--one", name, curve, str(days)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
        texts.append(table(rows, curve))
        curves[f"{curve}: {rows[-1]['open_positions']:,} open positions"] = rows
    figure(curves, HERE / "speed.png")
    return "\n".join(texts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WORLD", "CURVE", "DAYS"))
    parser.add_argument("--world", default="baseline")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(once(*arguments.one[:2], int(arguments.one[2]))))
    else:
        print(main(arguments.world))
