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
WORLDS = HERE.parent.parent / "experiments" / "worlds"
DAYS = (30, 60, 120, 240, 365)


def world_of(name, step_s, days):
    """Return the world `name` at another step and length."""
    from liqbt.experiment import load_world

    world = load_world(WORLDS / f"{name}.yaml")
    return replace(world, step_s=step_s, substeps=5, days=days)


def once(name, step_s, days, repeats=3):
    """Return seconds, peak RSS, and the seconds that drawing the noise alone takes."""
    from liqbt.simulate import simulate

    simulate(replace(world_of(name, step_s, days), days=2), seed=0)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    world = world_of(name, step_s, days)
    seconds, positions = [], 0
    for k in range(repeats):
        start = time.process_time()
        truth = simulate(world, seed=1).truth[world.symbols[0]]
        seconds.append(time.process_time() - start)
        if k == 0:
            t = truth.snapshot_ns[-1]
            p = truth.positions
            still = (p["opened_ns"] <= t) & ((p["closed_ns"] > t) | (p["closed_ns"] < 0))
            positions = int(still.sum())
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        del truth
    n = (world.days + world.warmup_days) * 86_400 // step_s * world.substeps
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
        "peak_mib": peak,
        "before_mib": before,
    }


def table(rows, step_s):
    """Return the curve as Markdown."""
    lines = [
        f"Steps of {step_s} s, 5 points a step:",
        "",
        "| days | steps | CPU seconds | µs a step | over noise of that length | open positions "
        "| peak memory, MiB | of it before, MiB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['days']} | {r['steps']:,} | {r['seconds']:.2f} "
        f"| {1e6 * r['seconds'] / r['steps']:.2f} | {r['ratio']:.1f} "
        f"| {r['open_positions']:,} | {r['peak_mib']:.0f} | {r['before_mib']:.0f} |"
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
        curves.items(), (("#0072B2", "o"), ("#D55E00", "s")), strict=False
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
    left.legend(frameon=False)
    drawn.savefig(path, dpi=110, metadata={"Software": None})


def main(name="baseline"):
    """Measure each length in a process of its own; return the tables."""
    texts, curves = [], {}
    for step_s, lengths in ((60, DAYS), (300, (30, 60, 120, 240, 365))):
        rows = []
        for days in lengths:
            command = [sys.executable, __file__, "--one", name, str(step_s), str(days)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
        texts.append(table(rows, step_s))
        curves[f"{step_s} s steps"] = rows
    figure(curves, HERE / "speed.png")
    return "\n".join(texts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WORLD", "STEP_S", "DAYS"))
    parser.add_argument("--world", default="baseline")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(once(arguments.one[0], int(arguments.one[1]), int(arguments.one[2]))))
    else:
        print(main(arguments.world))
