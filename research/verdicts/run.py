"""Say what the three experiments on real data come to: claims 3, 5 and 10, with their power."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from liqbt.evaluation.accuracy.summary import plane_value
from liqbt.evaluation.claims.verdict import power_at
from liqbt.report.pages.run import write_report
from liqbt.study.accuracy import experiment_plane
from liqbt.study.store import Run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VALIDITY = ROOT / "liqbt" / "data" / "validity"
NAMES = ("btc-2025-12", "eth-2025-12", "hyperliquid-2025")
CLAIMS = ("magnet", "direction")
UNITS = {"share": (100.0, "points"), "nats": (1000.0, "millinats")}
NULLS = ("brownian", "other_times", "mirror")


def interval(value: float | None, low: float | None, high: float | None, scale: float) -> str:
    """Write a value with its interval."""
    if value is None or low is None or high is None:
        return "—"
    return f"{scale * value:+.1f} [{scale * low:+.1f}, {scale * high:+.1f}]"


def primary_lines(runs: dict[str, Run]) -> Iterator[str]:
    """Yield the verdicts of the two primary claims, as Markdown."""
    yield (
        "| claim | experiment | verdict | statistic, 24 h pooled | value [95 %] | detectable "
        "| smallest that matters | power at that | landmarks | days |"
    )
    yield "|---" * 10 + "|"
    for name in CLAIMS:
        for experiment, run in runs.items():
            claim = run.manifest["claims"][name]
            found = next(v for v in run.verdicts if v.claim == name)
            score, (scale, unit) = found.score, UNITS[claim["unit"]]
            if score is None:
                continue
            effect, bound = float(claim["smallest_effect"]), float(claim["least_bound"])
            yield (
                f"| {claim['number']}, {name} | {experiment} | *{found.word}* "
                f"| `{score.statistic}`, {unit} "
                f"| {interval(score.value, score.ci_low, score.ci_high, scale)} "
                f"| {scale * (score.mde + bound):.1f} | {scale * effect:g} "
                f"| {100 * power_at(effect - bound, score.mde):.0f} % "
                f"| {score.n_episodes:,} | {score.n_days} |"
            )


def reasons(runs: dict[str, Run]) -> Iterator[str]:
    """Yield why each of them is what it is."""
    for name in CLAIMS:
        for experiment, run in runs.items():
            found = next(v for v in run.verdicts if v.claim == name)
            yield f"- {name}, {experiment}: *{found.word}*: {found.reason}."


def found_lines() -> Iterator[str]:
    """Yield the smallest effects that were found in 80 % of simulated markets."""
    document = json.loads((VALIDITY / "validity.json").read_text(encoding="utf-8"))
    yield "| test | length | smallest effect found in 80 % of markets |"
    yield "|---|---|---|"
    for row in document["found_with_80_percent"]:
        effect = "none that was tried" if row["effect"] is None else f"{row['effect']:.4f}"
        yield f"| {row['claim']}, `{row['statistic']}` | {row['days']} days | {effect} |"


def accuracy_lines(planes: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield each reading of the 85 % claim at 24 h beside its nulls, as Markdown."""
    yield (
        "| experiment | reading, 24 h pooled | verdict | hit rate, % | Brownian | other times "
        "| mirror | least skill, points | over | its MDE | windows | days |"
    )
    yield "|---" * 12 + "|"
    for experiment, value in planes.items():
        words = {v["reading"]: v["word"] for v in value["verdicts"]}
        for row in value["readings"]:
            if (row["symbol"], row["horizon"]) != ("pooled", "24h"):
                continue
            hit = row["hit_rate"]
            bounds = [(s["ci_low"], null) for null, s in row["skill"].items() if s["ci_low"]]
            least = min(bounds)[1] if bounds else ""
            skill = row["skill"].get(least)
            shown = ("—", "—")
            if skill is not None:
                shown = (
                    interval(skill["value"], skill["ci_low"], skill["ci_high"], 100.0),
                    f"{100 * skill['mde']:.1f}",
                )
            nulls = " | ".join(
                "—" if row["null"][n] is None else f"{100 * row['null'][n]:.1f}" for n in NULLS
            )
            rate = interval(hit["value"], hit["ci_low"], hit["ci_high"], 100.0).replace("+", "")
            yield (
                f"| {experiment} | {row['reading']} | *{words.get(row['reading'], '—')}* | {rate} "
                f"| {nulls} | {shown[0]} | {least.replace('_', ' ') or '—'} | {shown[1]} "
                f"| {hit['n_episodes']:,} | {hit['n_days']} |"
            )


def main() -> None:
    """Run, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    arguments = parser.parse_args()
    runs, planes = {}, {}
    for name in NAMES:
        path = ROOT / "experiments" / f"{name}.yaml"
        run, plane = experiment_plane(path, arguments.results, finish=write_report)
        runs[name], planes[name] = run, plane_value(plane)
    lines = ["Claims 3 and 5:", "", *primary_lines(runs), "", *reasons(runs), ""]
    lines += ["What the tests find on simulated markets:", "", *found_lines(), ""]
    lines += ["Claim 10:", "", *accuracy_lines(planes), ""]
    text = "\n".join(lines)
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
