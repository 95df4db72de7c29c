"""The command that holds maps against the truth."""

from __future__ import annotations

from pathlib import Path

import click

from liqbt.cli.formatting import FILE, examples, json_option, progress, results_option, say_answer


@click.command(
    epilog=examples(
        "liqbt truth experiments/demo.yaml",
        "liqbt truth experiments/btc-liquidated.yaml",
        "liqbt truth experiments/okx-2026-03-04.yaml --no-liquidations",
        "liqbt truth mine.yaml --positions positions.parquet --json",
    )
)
@click.argument("experiment", type=FILE)
@click.option(
    "--positions",
    type=FILE,
    help="Recorded positions with their liquidation prices (Hyperliquid's layout).",
)
@click.option(
    "--liquidations/--no-liquidations",
    default=True,
    show_default=True,
    help="Whether the hours' totals are asked too, where the experiment has a fortnight of them: "
    "takes longest. Single liquidations are in any case.",
)
@click.option("--out", type=FILE, help="Folder for the page; by default RESULTS/NAME/truth.")
@results_option
@json_option
def truth(
    experiment: Path,
    positions: Path | None,
    liquidations: bool,
    out: Path | None,
    results: Path,
    as_json: bool,
) -> None:
    """Show how far EXPERIMENT's maps lie from the truth, beside every twin, baseline and rival.

    The truth is the positions of a simulated market, recorded positions, or what was liquidated.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.truth(
            experiment,
            results,
            positions=positions,
            liquidations=liquidations,
            out=out,
            stage=stage,
        )
    say_answer(found, as_json)
