"""Run the three shipped experiments on real data and tabulate what they say."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import liqbt
from liqbt.report.pages.run import write_report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAMES = ("btc-2025-12", "eth-2025-12", "hyperliquid-2025")


def points(score: liqbt.Score) -> str:
    """Write a lift with its interval in percentage points."""
    return f"{100 * score.value:+.1f} [{100 * score.ci_low:+.1f}, {100 * score.ci_high:+.1f}]"


def row(run: liqbt.Run, symbol: str, horizon: str) -> str:
    """Return one market and horizon as a row of Markdown."""
    found = {
        s.statistic: s
        for s in run.scores
        if (s.symbol, s.horizon, s.side) == (symbol, horizon, "both")
    }
    hit, lift, mirror = found["hit_rate"], found["brownian_lift"], found["mirror_lift"]
    skill, top = found["first_side_skill"], found["mirror_lift_densest"]
    return (
        f"| {run.manifest['experiment']} | {symbol} | {horizon} | {100 * hit.value:.1f} % "
        f"| {100 * hit.null:.1f} % | {points(lift)} | {points(mirror)} | {100 * mirror.mde:.1f} "
        f"| {points(top)} | {100 * top.mde:.1f} "
        f"| {1000 * skill.value:+.1f} [{1000 * skill.ci_low:+.1f}, "
        f"{1000 * skill.ci_high:+.1f}] | {hit.n_episodes:,} | {hit.n_days} |"
    )


def main() -> None:
    """Run, print the table, write it and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    arguments = parser.parse_args()
    lines = [
        "| experiment | market | horizon | hit rate | Brownian null | lift over Brownian, points "
        "| mirror lift, points | its MDE | mirror lift of the densest, points | its MDE "
        "| first-side skill, millinats | episodes | days |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in NAMES:
        path = ROOT / "experiments" / f"{name}.yaml"
        run = liqbt.run_experiment(path, arguments.results, finish=write_report)
        symbols = list(run.manifest["symbols"])
        for symbol in [*symbols, "pooled"] if len(symbols) > 1 else symbols:
            lines += [row(run, symbol, horizon) for horizon in ("4h", "24h", "7d")]
        if name == NAMES[0]:
            shutil.copyfile(next((run.path / "figures").glob("map-1-*.png")), HERE / "map.png")
    text = "\n".join(lines) + "\n"
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
