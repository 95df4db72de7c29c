"""Commands that make or read runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from liqbt.cli.formatting import (
    FILE,
    examples,
    executor_options,
    json_option,
    progress,
    results_option,
    say,
)


@click.command(
    epilog=examples(
        "liqbt run experiments/btc-2025-12.yaml",
        "liqbt run my.yaml --executor processes:4 --json",
    )
)
@click.argument("experiment", type=FILE)
@results_option
@click.option("--strict", is_flag=True, help="Exit 1 where data is in doubt, or an estimator.")
@executor_options("serial")
@json_option
def run(experiment: Path, results: Path, strict: bool, executor: Any, as_json: bool) -> None:
    """Run an EXPERIMENT and write its report. A finished run is reused; markets are tasks."""
    doubts = _run(experiment, results, as_json, executor)
    sys.exit(1 if strict and doubts else 0)


def finished_run(
    experiment: Path, results: Path, *, report: bool = True, executor: Any = None
) -> Any:
    """Return the finished run of an experiment, with its report where that is wanted."""
    from liqbt.kernel_cache import is_cold
    from liqbt.report.pages.run import write_report
    from liqbt.study.executors import serially
    from liqbt.study.run import run_experiment

    where = executor or serially
    with progress() as stage:
        if is_cold():
            stage("compiling the kernels, once: half a minute to two", 0, 0)
        finish = partial(write_report, executor=where) if report else None
        return run_experiment(experiment, results, finish=finish, stage=stage, executor=where)


def _run(experiment: Path, results: Path, as_json: bool, executor: Any = None) -> list[str]:
    """Run an experiment, say how it ended, and return what is in doubt."""
    from liqbt.report.narrative import headline, verdict_reasons
    from liqbt.report.notes import data_doubts, estimator_doubts

    finished = finished_run(experiment, results, executor=executor)
    doubts, reached = data_doubts(finished), estimator_doubts(finished)
    value = {
        "run_id": finished.run_id,
        "path": str(finished.path),
        "metrics": json.loads((finished.path / "metrics.json").read_text(encoding="utf-8")),
        **({"data_doubts": doubts} if doubts else {}),
        **({"estimator_doubts": reached} if reached else {}),
    }
    said = (
        headline(finished),
        verdict_reasons(finished),
        *(f"data: {d}" for d in doubts),
        *reached,
    )
    text = "\n".join(filter(None, said))
    say(value, as_json, f"{text}\n\nreport: {finished.path / 'report.html'}")
    return doubts + reached


@click.command(epilog=examples("liqbt demo"))
@results_option
@json_option
def demo(results: Path, as_json: bool) -> None:
    """Run the embedded simulated market, end to end, and write its report."""
    from liqbt.study.schema import demo_experiment

    _run(demo_experiment(), results, as_json)


@click.command(epilog=examples("liqbt report results/demo/<run_id>"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--out", type=FILE, help="Folder to write to; RUN itself by default.")
@click.option(
    "--markets", metavar="all|N|NAMES", help="Those that get pictures; the first 3 by default."
)
@executor_options("processes")
@json_option
def report(
    run_folder: Path, out: Path | None, markets: str | None, executor: Any, as_json: bool
) -> None:
    """Write the report of a finished RUN anew; markets and figures are tasks.

    Of more than 3 markets, each gets a page of its own, and the first page shows 3.
    """
    from liqbt.report.pages.run import write_report
    from liqbt.study.store import load_run, write_report_again

    finished = load_run(run_folder)
    if out is None:
        finish = partial(write_report, executor=executor, markets=markets)
        path = write_report_again(finished, finish).path / "report.html"
    else:
        path = write_report(finished, out, executor, markets)
    say({"report": str(path)}, as_json, f"report: {path}")


@click.command(epilog=examples("liqbt card results/demo/<run_id> --out cards/demo"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--out", type=FILE, help="Folder for card.html and card.json; none by default.")
@json_option
def card(run_folder: Path, out: Path | None, as_json: bool) -> None:
    """Print a finished RUN on one page: claims, effects, what could be seen, how to repeat it."""
    from liqbt.report.pages.card import card_text, card_value, write_card
    from liqbt.study.store import load_run

    finished = load_run(run_folder)
    text = card_text(finished)
    if out is not None:
        text += f"\n\npage: {write_card(finished, out)}"
    say(card_value(finished), as_json, text)


@click.command(epilog=examples("liqbt verify results/demo/<run_id>"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@json_option
def verify(run_folder: Path, as_json: bool) -> None:
    """Hold every file of a finished RUN against its digest. Exit 1 if a byte has changed."""
    from liqbt.study.written import verify_run

    found = verify_run(run_folder)
    lines = [f"{name}: missing" for name in found.missing]
    lines += [f"{name}: not as the run wrote it" for name in found.altered]
    if found.intact:
        lines.append(f"{run_folder}: {found.files} files and the manifest, as the run wrote them")
    lines += [f"{name}: not of the run" for name in found.others]
    say({"intact": found.intact, **asdict(found)}, as_json, "\n".join(lines))
    sys.exit(0 if found.intact else 1)


@click.command(epilog=examples("liqbt line results/demo/<run_id> --at 2026-01-31T12:00Z"))
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--at", help="The last forecast issued at or before this time (UTC).")
@click.option("--symbol", help="One market; all by default.")
@json_option
def line(run_folder: Path, at: str | None, symbol: str | None, as_json: bool) -> None:
    """Print the one-line summary of a forecast of a finished RUN, a line for each market."""
    from liqbt.config.fields import instant_ns
    from liqbt.report.line import line as report_line
    from liqbt.study.store import load_run

    try:
        moment = None if at is None else instant_ns(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    text = report_line(load_run(run_folder), symbol=symbol, at=moment)
    say({"lines": text.splitlines()}, as_json, text)


@click.command(
    epilog=examples("liqbt explain results/demo/<run_id> --at 2025-03-04T13:00Z --price 94100")
)
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option("--at", required=True, help="The last forecast issued at or before this time (UTC).")
@click.option("--price", required=True, type=float, help="In the cluster, or near it.")
@click.option("--symbol", help="One market; the first by default.")
@click.option("--estimator", help="Whose map; the first one's by default.")
@json_option
def explain(
    run_folder: Path,
    at: str,
    price: float,
    symbol: str | None,
    estimator: str | None,
    as_json: bool,
) -> None:
    """Say what the cluster at a price is made of, and since when, in a finished RUN."""
    from liqbt.config.fields import instant_ns
    from liqbt.study.explain import explain as explained
    from liqbt.study.store import load_run

    try:
        moment = instant_ns(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    found = explained(load_run(run_folder), moment, price, symbol=symbol, estimator=estimator)
    say(found.value(), as_json, found.text)
