"""Commands about the claims: what is claimed, and what decides it."""

from __future__ import annotations

from dataclasses import asdict
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
    say_answer,
)


@click.group()
def claims() -> None:
    """Show what is claimed, and what decides each claim."""


@claims.command(name="list", epilog=examples("liqbt claims list", "liqbt claims list --json"))
@json_option
def list_claims(as_json: bool) -> None:
    """List every registered claim: words, estimand, null, statistic, smallest effect, pass rule."""
    from liqbt.evaluation.claims.claim import describe_claims
    from liqbt.evaluation.claims.register import REGISTER

    say([asdict(claim) for claim in REGISTER], as_json, describe_claims(REGISTER))


@claims.command(
    epilog=examples(
        "liqbt claims plane experiments/btc-2025-12.yaml",
        "liqbt claims plane experiments/demo.yaml --horizons 4h,24h --json",
    )
)
@click.argument("experiment", type=FILE)
@click.option(
    "--horizons", help="Horizons to show, such as 4h,24h; by default all that the data supports."
)
@click.option("--out", type=FILE, help="Folder for the page; `plane` in the run's by default.")
@results_option
@json_option
def plane(
    experiment: Path, horizons: str | None, out: Path | None, results: Path, as_json: bool
) -> None:
    """Show where 85 % lies: horizon x distance, with no information and with EXPERIMENT's map."""
    from liqbt import answers

    words = None if horizons is None else horizons.split(",")
    with progress() as stage:
        found = answers.plane(experiment, results, horizons=words, out=out, stage=stage)
    say_answer(found, as_json)


@claims.command(
    epilog=examples(
        "liqbt claims randomise experiments/btc-2025-12.yaml",
        "liqbt claims randomise mine.yaml --histories 1000 --statistic dose_response --json",
    )
)
@click.argument("experiment", type=FILE)
@click.option(
    "--histories",
    type=click.IntRange(min=1, max=100_000),
    default=200,
    show_default=True,
    help="How many placebo histories are replayed.",
)
@click.option(
    "--statistic",
    "statistics",
    multiple=True,
    metavar="ID",
    help="What is shown; by default what decides a claim. May be given several times.",
)
@executor_options("processes")
@results_option
@json_option
def randomise(
    experiment: Path,
    histories: int,
    statistics: tuple[str, ...],
    executor: Any,
    results: Path,
    as_json: bool,
) -> None:
    """Hold EXPERIMENT against the real prices with positions from another time.

    The open-interest changes of the record are shifted by a week or more, the first estimator is
    replayed and scored: how many such placebo histories do as well as the real one, and how many
    each claim's rule would call supported.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.randomise(
            experiment,
            results,
            histories=histories,
            statistics=statistics,
            executor=executor,
            stage=stage,
        )
    say_answer(found, as_json)
