"""Commands that fix an experiment before it is looked at, and open what was sealed."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
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


@click.command(
    epilog=examples("liqbt register experiments/btc-2025-12.yaml", "liqbt register my.yaml --json")
)
@click.argument("experiment", type=FILE)
@results_option
@json_option
def register(experiment: Path, results: Path, as_json: bool) -> None:
    """Register an EXPERIMENT: configuration, code, lock file, claims and open events, dated.

    The registration is kept below RESULTS/registrations, to be committed; a run of exactly this
    then says so in its report, and any other run says what it deviates in. A period that the
    experiment names as its holdout stays sealed. Registered once more, nothing changes.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.register(experiment, results, stage=stage)
    say_answer(found, as_json)


@click.command(
    epilog=examples("liqbt unseal my.yaml --reason 'the registered test, once, as planned'")
)
@click.argument("experiment", type=FILE)
@click.option("--reason", required=True, help="Why it is opened now; kept in the ledger.")
@results_option
@json_option
def unseal(experiment: Path, reason: str, results: Path, as_json: bool) -> None:
    """Open the holdout of a registered EXPERIMENT, count that, and run it over the holdout.

    Only what is exactly as it was registered may, and never where the environment variable CI is
    set. The opening is counted before anything is computed, so an interrupted one counts too.
    """
    from liqbt.report.narrative import headline, verdict_reasons
    from liqbt.report.pages.run import write_report
    from liqbt.study.unseal import unseal_experiment

    with progress() as stage:
        run, opening = unseal_experiment(
            experiment,
            results,
            reason=reason,
            on=datetime.now(UTC).date(),
            finish=write_report,
            stage=stage,
        )
    value = {
        "run_id": run.run_id,
        "path": str(run.path),
        "unsealing": asdict(opening),
        "metrics": json.loads((run.path / "metrics.json").read_text(encoding="utf-8")),
    }
    said = "\n".join(filter(None, (headline(run), verdict_reasons(run))))
    text = (
        f"unsealing number {opening.number} of {run.manifest['experiment']}, counted on "
        f"{opening.date}\n{said}\n\nreport: {run.path / 'report.html'}"
    )
    say(value, as_json, text)
