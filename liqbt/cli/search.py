"""The command that tries many configurations and says what the best of them is worth."""

from __future__ import annotations

import sys
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


@click.command(
    epilog=examples(
        "liqbt search experiments/searches/half-lives-btc.yaml", "liqbt search my.yaml --json"
    )
)
@click.argument("search_file", metavar="SEARCH", type=FILE)
@executor_options("serial")
@results_option
@json_option
def search(search_file: Path, executor: Any, results: Path, as_json: bool) -> None:
    """Run an experiment under many configurations; say what the best of so many is worth.

    SEARCH is a YAML file: `name`, `experiment` (its file), `vary` (dotted keys of it, each with a
    list of values), and where wanted `block_days` and `seed`. Every trial has a line in the ledger
    below RESULTS/searches, failures too. Stopped, it goes on where it was; trials that are finished
    are not run again.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.search(search_file, results, executor=executor, stage=stage)
    say_answer(found, as_json)


@click.command(epilog=examples("liqbt schema experiment > experiment.schema.json"))
@click.argument("file", metavar="FILE")
@json_option
def schema(file: str, as_json: bool) -> None:
    """Print the JSON Schema of an experiment, a search or a grid, for editors that complete YAML.

    In an editor whose YAML support reads it, the first line of an experiment is then
    `# yaml-language-server: $schema=experiment.schema.json`.
    """
    import json

    from liqbt.search.editors import editor_schema

    found = editor_schema(file)
    say(found, as_json, json.dumps(found, indent=1, ensure_ascii=False))


@click.command(epilog=examples("liqbt grid my-grid.yaml --executor processes"))
@click.argument("grid_file", metavar="GRID", type=FILE)
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="ID",
    help="What is printed of each cell; by default the primary claims. May be given several times.",
)
@executor_options("serial")
@results_option
@json_option
def grid(
    grid_file: Path, claims: tuple[str, ...], executor: Any, results: Path, as_json: bool
) -> None:
    """Run an experiment under a grid of any keys: each cell is a run of its own.

    GRID is a YAML file: `name`, `experiment` (its file), `vary` (dotted keys of it, each with a
    list of values; the cells are their product) and where wanted `together` (groups of keys that
    run in step). All verdicts go to grid.csv below RESULTS/grids. A cell that fails stops no other
    and is named at the end, with exit code 1; cells that are finished are not run again.
    """
    import json

    from liqbt.config.yaml import nearest
    from liqbt.errors import ConfigError
    from liqbt.evaluation.claims.register import CLAIMS
    from liqbt.report.pages.run import write_report
    from liqbt.search.grid import describe_grid, run_grid

    known = [claim.id for claim in CLAIMS]
    for name in claims:
        if name not in known:
            raise ConfigError(f"--claim: no claim is called '{name}'; {nearest(name, known)}")
    with progress() as stage:
        cells, folder = run_grid(
            grid_file, results, finish=write_report, executor=executor, stage=stage
        )
    shown = claims or tuple(claim.id for claim in CLAIMS if claim.primary)
    text = f"{describe_grid(cells, shown)}\n\ntable: {folder / 'grid.csv'}"
    say(json.loads((folder / "grid.json").read_text(encoding="utf-8")), as_json, text)
    sys.exit(1 if any(cell.reason for cell in cells) else 0)
