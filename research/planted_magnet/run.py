"""Run the whole pipeline on simulated markets with a planted magnet and without one."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import liqbt

HERE = Path(__file__).resolve().parent
ALL, DENSEST = "mirror_lift", "mirror_lift_densest"
SUMMED = (DENSEST, ALL, "dose_response", "dose_response_raw")
WORLDS = HERE.parent.parent / "liqbt" / "data" / "worlds"

EXPERIMENT = """
name: planted-{name}-{seed}
data: {{world: {world}, seed: {seed}}}
symbols:
  SIM:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
      bar: simulated/SIM
      liquidation: simulated/SIM
    margin: {{tiers: BTCUSDT}}
seed: {seed}
"""


def world_text(name: str) -> str:
    """Return a world's YAML; `magnet-strong` is the magnet's with twice its strength."""
    if name != "magnet-strong":
        return (WORLDS / f"{name}.yaml").read_text(encoding="utf-8")
    text = (WORLDS / "magnet.yaml").read_text(encoding="utf-8")
    assert text.count("magnet: 1.0") == 1
    return text.replace("magnet: 1.0", "magnet: 2.0")


def one(job: tuple[str, int]) -> dict[str, float | int | str]:
    """Run one market; return every statistic of all its clusters and landmarks at 24 hours."""
    name, seed = job
    folder = Path(tempfile.mkdtemp(prefix="planted-"))
    try:
        path = folder / "experiment.yaml"
        world = folder / f"{name}.yaml"
        world.write_text(world_text(name), encoding="utf-8")
        path.write_text(EXPERIMENT.format(name=name, seed=seed, world=world), encoding="utf-8")
        run = liqbt.run_experiment(path, folder / "results")
        row: dict[str, float | int | str] = {"world": name, "seed": seed}
        for score in run.scores:
            if (score.symbol, score.horizon, score.side) != ("pooled", "24h", "both"):
                continue
            row[score.statistic] = score.value
            row[f"{score.statistic}_low"] = score.ci_low
            row[f"{score.statistic}_high"] = score.ci_high
            row[f"{score.statistic}_n"] = score.n_episodes
        return row
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(rows: list[dict[str, float | int | str]]) -> str:
    """Return the rows as a Markdown table with a summary line for each world."""
    lines = [
        "| world | seed | mirror lift, all clusters | 95 % interval "
        "| mirror lift, densest | 95 % interval | its episodes | found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = "yes" if float(row[f"{DENSEST}_low"]) > 0 else "no"
        lines.append(
            f"| {row['world']} | {row['seed']} | {row[ALL]:+.3f} "
            f"| [{row[f'{ALL}_low']:+.3f}, {row[f'{ALL}_high']:+.3f}] | {row[DENSEST]:+.3f} "
            f"| [{row[f'{DENSEST}_low']:+.3f}, {row[f'{DENSEST}_high']:+.3f}] "
            f"| {row[f'{DENSEST}_n']} | {found} |"
        )
    lines.append("")
    for name in dict.fromkeys(str(row["world"]) for row in rows):
        mine = [row for row in rows if row["world"] == name]
        for statistic in SUMMED:
            lifts = [float(row[statistic]) for row in mine]
            mean = math.fsum(lifts) / len(lifts)
            spread = math.sqrt(math.fsum((x - mean) ** 2 for x in lifts) / max(len(lifts) - 1, 1))
            above = sum(float(row[f"{statistic}_low"]) > 0 for row in mine)
            below = sum(float(row[f"{statistic}_high"]) < 0 for row in mine)
            lines.append(
                f"- `{name}`, `{statistic}`: mean {mean:+.4f} (standard error "
                f"{spread / math.sqrt(len(mine)):.4f}); interval above 0 in {above} of "
                f"{len(mine)}, below 0 in {below}."
            )
    return "\n".join(lines) + "\n"


def figure(rows: list[dict[str, float | int | str]], path: Path) -> None:
    """Draw every run's mirror lift with its interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 4.2), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots()
    worlds = list(dict.fromkeys(str(row["world"]) for row in rows))
    for k, (name, colour, mark) in enumerate(
        zip(worlds, ("#0072B2", "#E69F00", "#D55E00"), ("o", "^", "s"), strict=False)
    ):
        mine = [row for row in rows if row["world"] == name]
        for i, row in enumerate(mine):
            x = i + 0.25 * (k - 1)
            axes.plot(
                [x, x],
                [100 * float(row[f"{DENSEST}_low"]), 100 * float(row[f"{DENSEST}_high"])],
                color=colour,
                linewidth=1.5,
            )
            axes.plot(
                x,
                100 * float(row[DENSEST]),
                marker=mark,
                color=colour,
                label=name if i == 0 else None,
            )
    axes.axhline(0, color="0.3", linewidth=1)
    axes.set_xlabel("seed")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xticks(
        range(len(rows) // len(worlds)), [str(r["seed"]) for r in rows[: len(rows) // len(worlds)]]
    )
    axes.set_ylabel(
        "mirror lift of the densest cluster\nat 24 h, percentage points (95 % interval)"
    )
    axes.set_title("Simulated markets with a planted magnet and without one, whole pipeline")
    drawn.legend(title="world", frameon=False, loc="outside right upper")
    drawn.savefig(path, dpi=150, metadata={"Software": None})


def main() -> None:
    """Run, print the table, write it and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--worlds", nargs="+", default=["baseline", "magnet", "magnet-strong"])
    arguments = parser.parse_args()
    first = arguments.first
    seeds = range(first, first + arguments.seeds)
    jobs = [(name, seed) for name in arguments.worlds for seed in seeds]
    rows = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for done, row in enumerate(pool.map(one, jobs)):
            rows.append(row)
            if sys.stderr.isatty():
                print(f"\r{done + 1}/{len(jobs)}", end="", file=sys.stderr)
    text = table(rows)
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")
    figure(rows, HERE / "lift.png")


if __name__ == "__main__":
    main()
