"""Draw the 85 % plane of the two four-month runs on real data, and tabulate it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from liqbt.evaluation.accuracy.summary import plane_value
from liqbt.report.pages.plane import write_plane_page
from liqbt.report.pages.run import write_report
from liqbt.study.accuracy import experiment_plane

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAMES = ("btc-2025-12", "eth-2025-12")
NULLS = ("brownian", "other_times", "mirror")


def rate(value: float | None) -> str:
    """Write a share in percent."""
    return "—" if value is None else f"{100 * value:.1f} %"


def interval(score: dict[str, Any] | None, sign: str = "") -> str:
    """Write a score with its interval, in percentage points."""
    if score is None or score["value"] is None:
        return "—"
    if score["ci_low"] is None:
        return f"{100 * score['value']:{sign}.1f} [—]"
    low, high = 100 * score["ci_low"], 100 * score["ci_high"]
    return f"{100 * score['value']:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def place(distance: float | None, sigma_h: float) -> str:
    """Write a distance in σ of the horizon and in percent of the price."""
    if distance is None:
        return "nowhere"
    return f"{distance:.2f} σ, {100 * distance * sigma_h:.2f} %"


def level_lines(value: dict[str, Any]) -> Iterator[str]:
    """Yield where plain levels score the target, as Markdown."""
    yield (
        "| within | windows | one level | Brownian | one of a pair | Brownian "
        "| moves, root mean square | median |"
    )
    yield "|---" * 8 + "|"
    for row in value["levels"]:
        places = [
            place(row[f"{kind}reach_{what}"], row["sigma_h"])
            for what in ("level", "pair")
            for kind in ("", "brownian_")
        ]
        moves = f"{row['rms_move']:.2f} σ | {row['median_move']:.2f} σ"
        yield f"| {row['horizon']} | {row['n_windows']:,} | {' | '.join(places)} | {moves} |"


def reading_lines(value: dict[str, Any]) -> Iterator[str]:
    """Yield the map's readings beside their nulls, as Markdown."""
    yield (
        "| reading | within | hit rate, % | null: Brownian | other times | mirror "
        "| skill over Brownian, points | over other times | over mirror | median distance "
        "| windows | days |"
    )
    yield "|---" * 12 + "|"
    for row in value["readings"]:
        if row["symbol"] != "pooled":
            continue
        nulls = " | ".join(rate(row["null"][name]) for name in NULLS)
        skills = " | ".join(interval(row["skill"].get(name), "+") for name in NULLS)
        middle = row["distance_sigma"][1]
        away = "—" if middle is None else f"{middle:.2f} σ, {100 * row['distance'][1]:.2f} %"
        hit = row["hit_rate"]
        yield (
            f"| {row['reading']} | {row['horizon']} | {interval(hit)} | {nulls} | {skills} "
            f"| {away} | {hit['n_episodes']:,} | {hit['n_days']} |"
        )


def main() -> None:
    """Run, print the tables, write them and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    arguments = parser.parse_args()
    lines: list[str] = []
    for name in NAMES:
        path = ROOT / "experiments" / f"{name}.yaml"
        run, plane = experiment_plane(path, arguments.results, finish=write_report)
        value = plane_value(plane)
        about = {"experiment": name, "run_id": run.run_id}
        page = write_plane_page({**about, **value}, run.path / "plane")
        shutil.copyfile(page.with_name("plane.png"), HERE / f"{name}.png")
        lines += [f"## {name}: {value['n_days']} days, σ {100 * value['sigma_1d']:.1f} % a day", ""]
        lines += ["Where plain levels score 85 % with no information:", "", *level_lines(value)]
        lines += ["", "The map:", "", *reading_lines(value), "", "Claim 10:", ""]
        lines += [f"- {v['reading']}: *{v['word']}*; {v['reason']}." for v in value["verdicts"]]
        lines += [""]
    text = "\n".join(lines)
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
