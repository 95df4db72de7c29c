"""Commands that write forecasts down before their outcomes, day by day, and score what matured."""

from __future__ import annotations

from pathlib import Path

import click

from liqbt.cli.formatting import (
    FILE,
    examples,
    json_option,
    progress,
    results_option,
    say,
    say_answer,
)


@click.group()
def forward() -> None:
    """Record forecasts of a registered experiment day by day, and score those whose time is up."""


@forward.command(
    epilog=examples(
        "liqbt forward init my.yaml",
        "liqbt forward init my.yaml --from 2025-03-01",
    )
)
@click.argument("experiment", type=FILE)
@click.option(
    "--from", "start", metavar="DATE", help="The first midnight (UTC); by default the next one."
)
@results_option
@json_option
def init(experiment: Path, start: str | None, results: Path, as_json: bool) -> None:
    """Begin the forward record of an EXPERIMENT, which must be registered as it is.

    It is kept below RESULTS/forward/NAME and only ever added to.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.forward_init(experiment, results, start=start, stage=stage)
    say_answer(found, as_json)


@forward.command(
    epilog=examples(
        "liqbt forward step my.yaml",
        "liqbt forward step my.yaml --until 2025-03-02",
    )
)
@click.argument("experiment", type=FILE)
@click.option(
    "--until",
    metavar="TIME",
    help="The clock: what became known then or later is not read; by default the newest event.",
)
@click.option(
    "--despite",
    metavar="REASON",
    default="",
    help="Issue days although a feed was silent at their end; the reason is kept.",
)
@results_option
@json_option
def step(experiment: Path, until: str | None, despite: str, results: Path, as_json: bool) -> None:
    """Write down the forecasts of every day that is over and not in the record yet.

    A day ends at midnight (UTC) and is written whole or not at all. Nothing is written for a day at
    whose end a feed had died: silent for longer than an hour (of liquidations, a day) and twice its
    longest silence in the week before.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.forward_step(experiment, results, until=until, despite=despite, stage=stage)
    say_answer(found, as_json)


@forward.command(epilog=examples("liqbt forward report my.yaml"))
@click.argument("experiment", type=FILE)
@results_option
@json_option
def report(experiment: Path, results: Path, as_json: bool) -> None:
    """Score what was recorded, as far as its windows have ended, and write the report.

    An ordinary run over the recorded forecasts, with an e-process in its section 15. Of forecasts
    that were written down when their window was already over it is said so: they are a rehearsal.
    """
    from liqbt import answers
    from liqbt.report.narrative import headline
    from liqbt.study.forward import describe_monitored

    with progress() as stage:
        run = answers.forward_report(experiment, results, stage=stage).run
    told = run.manifest["forward"]
    text = f"{headline(run)}\n{describe_monitored(told)}\n\nreport: {run.path / 'report.html'}"
    say({"run_id": run.run_id, "path": str(run.path), "forward": told}, as_json, text)
