"""Commands that make or read runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from liqbt.cli.words import FILE, examples, json_option, progress, results_option, say


@click.command(
    epilog=examples("liqbt run experiments/btc-2025-12.yaml", "liqbt run my.yaml --json")
)
@click.argument("experiment", type=FILE)
@results_option
@json_option
def run(experiment: Path, results: Path, as_json: bool) -> None:
    """Run an EXPERIMENT and write its report. A finished run is reused."""
    _run(experiment, results, as_json)


def _run(experiment: Path, results: Path, as_json: bool) -> None:
    from liqbt.experiment import run_experiment
    from liqbt.report.page import write_report
    from liqbt.report.reading import headline

    with progress() as stage:
        finished = run_experiment(experiment, results, finish=write_report, stage=stage)
        if not (finished.path / "report.html").is_file():  # made from Python, without a report
            write_report(finished, finished.path)
    value = {
        "run_id": finished.run_id,
        "path": str(finished.path),
        "metrics": json.loads((finished.path / "metrics.json").read_text(encoding="utf-8")),
    }
    say(value, as_json, f"{headline(finished)}\n\nreport: {finished.path / 'report.html'}")


@click.command(epilog=examples("liqbt demo"))
@results_option
@json_option
def demo(results: Path, as_json: bool) -> None:
    """Run the embedded simulated market, end to end, and write its report."""
    from liqbt.experiment import demo_experiment

    _run(demo_experiment(), results, as_json)


@click.command(epilog=examples("liqbt report results/demo/<run_id>"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--out", type=FILE, help="Folder to write to; RUN itself by default.")
@json_option
def report(run_folder: Path, out: Path | None, as_json: bool) -> None:
    """Write the report of a finished RUN anew."""
    from liqbt.experiment import load_run
    from liqbt.report.page import write_report

    path = write_report(load_run(run_folder), out or run_folder)
    say({"report": str(path)}, as_json, f"report: {path}")


@click.command(epilog=examples("liqbt line results/demo/<run_id> --at 2026-01-31T12:00Z"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--at", help="The last forecast issued at or before this time (UTC).")
@click.option("--symbol", help="One market; all by default.")
@json_option
def line(run_folder: Path, at: str | None, symbol: str | None, as_json: bool) -> None:
    """Print the one-line summary of a forecast of a finished RUN, a line for each market."""
    from liqbt.experiment import instant_ns, load_run
    from liqbt.report.line import line as report_line

    try:
        moment = None if at is None else instant_ns(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    text = report_line(load_run(run_folder), symbol=symbol, at=moment)
    say({"lines": text.splitlines()}, as_json, text)
