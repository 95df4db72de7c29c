"""Commands that hold the framework against its promises."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from liqbt.cli.formatting import FILE, examples, json_option, progress, results_option, say


@click.group()
def audit() -> None:
    """Try to break what an experiment's estimators promise."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Give an audit the argument and options that all of them have."""
    for option in (
        json_option,
        results_option,
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option("--days", type=click.IntRange(min=1), help="Only so many days, for speed."),
        click.option(
            "--estimator",
            help="Audit this one alone: a name that the experiment gives (by default all of them), "
            "or a built-in's name or module:Class in the place of the first.",
        ),
        click.argument("experiment", type=FILE),
    ):
        command = option(command)
    return command


def _audit(name: str, experiment: Path, results: Path, as_json: bool, /, **options: Any) -> None:
    """Do one audit and say what it found; exit 1 if it failed."""
    from liqbt.audit.audits import AUDITS
    from liqbt.audit.formatting import CAVEAT
    from liqbt.watch import CANNOT_SEE

    with progress() as stage:
        found = AUDITS[name](experiment, results, stage=stage, **options)
    value = {"audit": name, "passed": found.passed, "details": found.details}
    say(value | {"cannot_see": CANNOT_SEE}, as_json, f"{found.sentence}\n{CAVEAT}")
    sys.exit(0 if found.passed else 1)


@audit.command(epilog=examples("liqbt audit lookahead experiments/btc-2025-12.yaml"))
@_options
@click.option("--cuts", type=click.IntRange(min=2), default=6, show_default=True)
def lookahead(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Poison the future at several cuts. Exit 1 if a forecast issued by then changed."""
    _audit("lookahead", experiment, results, as_json, **options)


@audit.command(epilog=examples("liqbt audit chunks mine.yaml --estimator mymodule:MyClass"))
@_options
@click.option("--splits", type=click.IntRange(min=1), default=3, show_default=True)
def chunks(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Hand the events over in other pieces, schedules and processes. Exit 1 on any change."""
    _audit("chunks", experiment, results, as_json, **options)


@audit.command(epilog=examples("liqbt audit order experiments/demo.yaml --days 30"))
@_options
def order(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Shuffle the files and the log. Exit 1 if the tape or a forecast changed."""
    _audit("order", experiment, results, as_json, **options)


@audit.command(epilog=examples("liqbt audit ties experiments/demo.yaml --strict"))
@_options
@click.option("--permutations", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--strict", is_flag=True, help="Fail where permuted ties change a forecast.")
def ties(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Permute records of one instant, report what changes. Exit 1 if their order is not total."""
    _audit("ties", experiment, results, as_json, **options)


@audit.command(epilog=examples("liqbt audit checkpoint experiments/btc-2025-12.yaml --json"))
@_options
@click.option("--points", type=click.IntRange(min=1), default=4, show_default=True)
def checkpoint(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Stop and resume, here and in a new process. Exit 1 if what follows changed."""
    _audit("checkpoint", experiment, results, as_json, **options)


@audit.command("all", epilog=examples("liqbt audit all mine.yaml --days 30"))
@_options
def all_audits(experiment: Path, results: Path, as_json: bool, **options: Any) -> None:
    """Do all of them. Exit 1 if one failed."""
    from liqbt.audit.audits import AUDITS
    from liqbt.audit.formatting import CAVEAT
    from liqbt.watch import CANNOT_SEE

    with progress() as stage:
        found = [do(experiment, results, stage=stage, **options) for do in AUDITS.values()]
    passed = all(report.passed for report in found)
    audits = {r.audit: {"passed": r.passed, "details": r.details} for r in found}
    lines = [f"{r.audit:<11}{line}" for r in found for line in r.sentence.splitlines()]
    value = {"passed": passed, "audits": audits, "cannot_see": CANNOT_SEE}
    say(value, as_json, "\n".join([*lines, CAVEAT]))
    sys.exit(0 if passed else 1)


@click.command(epilog=examples("liqbt bench --json"))
@click.option("--events", type=click.IntRange(min=10_000), default=15_000_000, show_default=True)
@json_option
def bench(events: int, as_json: bool) -> None:
    """Measure throughput as ratios to a reference in the same process."""
    from liqbt.bench import describe_bench, run_bench

    with progress() as stage:
        rows = run_bench(events=events, stage=stage)
    say([row.as_dict() for row in rows], as_json, describe_bench(rows))
