"""Commands that hold a run against what was accepted, and against another run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liqbt.cli.formatting import FILE, examples, json_option, results_option, say, say_answer
from liqbt.cli.runs import finished_run

if TYPE_CHECKING:
    from liqbt.study.store import Run

_SUMMARY = "GITHUB_STEP_SUMMARY"
_baseline_option = click.option(
    "--baseline", "accepted", required=True, type=FILE, help="The committed file."
)


def _opened(run_or_experiment: Path, results: Path) -> Run:
    """Return a finished run, that of an experiment being made first, without a report."""
    from liqbt.gate.identity import open_run

    if not _is_experiment(run_or_experiment):
        return open_run(run_or_experiment)
    return open_run(finished_run(run_or_experiment, results, report=False).path)


def _is_experiment(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


@click.command(
    epilog=examples(
        "liqbt check mine.yaml --baseline mine.json",
        "liqbt check results/demo/<run_id> --baseline results/baselines/demo.json --junit out.xml",
    )
)
@click.argument("run_or_experiment", metavar="RUN", type=FILE)
@_baseline_option
@click.option(
    "--across-tapes", is_flag=True, help="Other events or configuration: let intervals decide."
)
@click.option(
    "--summary",
    type=FILE,
    help=f"Add Markdown to this file; by default to what {_SUMMARY} names, as in GitHub Actions.",
)
@click.option("--junit", type=FILE, help="Write JUnit's XML: a test for each row and verdict.")
@results_option
@json_option
def check(
    run_or_experiment: Path,
    accepted: Path,
    across_tapes: bool,
    summary: Path | None,
    junit: Path | None,
    results: Path,
    as_json: bool,
) -> None:
    """Hold a RUN's scores against a baseline. Exit 1 on a regression.

    RUN is the folder of a finished run, or an experiment's YAML, which is run first; its report is
    written where the scores do not hold.
    """
    from liqbt.gate.baseline import load_baseline
    from liqbt.gate.check import check as hold
    from liqbt.gate.formatting import report_text, report_value
    from liqbt.gate.summary import junit_xml, summary_markdown

    kept = load_baseline(accepted)
    found = hold(_opened(run_or_experiment, results), kept, across_tapes=across_tapes)
    named = os.environ.get(_SUMMARY)
    shown = summary or (Path(named) if named else None)
    if shown is not None:
        with shown.open("a", encoding="utf-8") as file:
            file.write(summary_markdown(found, kept.experiment))
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_text(junit_xml(found, kept.experiment), encoding="utf-8")
    if not found.passed and _is_experiment(run_or_experiment):
        finished_run(run_or_experiment, results)
    say(report_value(found), as_json, report_text(found))
    sys.exit(0 if found.passed else 1)


@click.group()
def baseline() -> None:
    """Accept scores as those that later runs are held against, and see what was accepted when."""


def _accept(run: Path, path: Path, reason: str, results: Path, as_json: bool) -> None:
    from liqbt.gate.baseline import load_baseline
    from liqbt.gate.check import update_baseline

    change = update_baseline(_opened(run, results), path, reason)
    value = {"baseline": str(path), **change.model_dump()}
    text = (
        f"{path}: {len(load_baseline(path).scores)} rows, of them {len(change.changed)} changed, "
        f"{len(change.added)} new; {len(change.removed)} gone; from now on run {change.run_id}"
    )
    say(value, as_json, text)


_reason_option = click.option(
    "--reason", required=True, help="Why the figures are right; kept in the file."
)


@baseline.command(
    epilog=examples("liqbt baseline add mine.yaml --baseline mine.json --reason 'first figures'")
)
@click.argument("run_or_experiment", metavar="RUN", type=FILE)
@_baseline_option
@_reason_option
@results_option
@json_option
def add(run_or_experiment: Path, accepted: Path, reason: str, results: Path, as_json: bool) -> None:
    """Write the first baseline of an experiment from a RUN, or from its YAML."""
    from liqbt.errors import ConfigError

    if accepted.exists():
        raise ConfigError(f"{accepted}: there is a baseline; liqbt baseline update renews it")
    _accept(run_or_experiment, accepted, reason, results, as_json)


@baseline.command(
    epilog=examples("liqbt baseline update mine.yaml --baseline mine.json --reason 'wider window'")
)
@click.argument("run_or_experiment", metavar="RUN", type=FILE)
@_baseline_option
@_reason_option
@results_option
@json_option
def update(
    run_or_experiment: Path, accepted: Path, reason: str, results: Path, as_json: bool
) -> None:
    """Renew a baseline from a RUN, or from its YAML; what changed is kept beside the reason."""
    from liqbt.gate.baseline import load_baseline

    load_baseline(accepted)
    _accept(run_or_experiment, accepted, reason, results, as_json)


@baseline.command(epilog=examples("liqbt baseline history mine.json --out trend.svg"))
@click.argument("path", metavar="BASELINE", type=FILE)
@click.option("--out", type=FILE, help="Draw the deciding scores at each acceptance: SVG.")
@json_option
def history(path: Path, out: Path | None, as_json: bool) -> None:
    """Print what was accepted, when it was renewed, and why."""
    from liqbt.gate.baseline import load_baseline
    from liqbt.gate.history import history_text, trends
    from liqbt.report.figures.trends import trend_figure

    kept = load_baseline(path)
    rows = trends(kept)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(trend_figure(rows, len(kept.history), name=out.name).data)
    value = {"history": [change.model_dump() for change in kept.history], "trends": rows}
    say(value, as_json, history_text(kept))


@click.command(epilog=examples("liqbt new mymaps"))
@click.argument("folder", metavar="PROJECT", type=FILE)
@json_option
def new(folder: Path, as_json: bool) -> None:
    """Write a PROJECT to begin with: experiment, own map, test, and CI for both."""
    from liqbt.gate.project import new_project

    files = new_project(folder)
    lines = [f"{folder}:", *(f"  {name}" for name in files)]
    lines.append(f"next: cd {folder} && liqbt run experiment.yaml; its README.md goes on")
    say({"project": str(folder), "files": files}, as_json, "\n".join(lines))


@click.command(epilog=examples("liqbt compare results/demo/<run_id> results/demo/<other_id>"))
@click.argument("run_a", metavar="A", type=FILE)
@click.argument("run_b", metavar="B", type=FILE)
@json_option
def compare(run_a: Path, run_b: Path, as_json: bool) -> None:
    """Put two runs side by side: what they were made of, where they part, how scores differ."""
    from liqbt import answers

    say_answer(answers.compare(run_a, run_b), as_json)
