"""The command that makes a run again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from liqbt.cli.formatting import FILE, examples, json_option, progress, say_answer


@click.command(
    epilog=examples(
        "liqbt reproduce results/demo/<run_id>",
        "liqbt reproduce results/mine/<run_id> --experiment mine.yaml",
    )
)
@click.argument("run_folder", metavar="RUN", type=FILE)
@click.option(
    "--experiment",
    type=FILE,
    metavar="FILE",
    help="Its YAML, which says where its data lie; looked for by its name by default.",
)
@json_option
def reproduce(run_folder: Path, experiment: Path | None, as_json: bool) -> None:
    """Make a finished RUN again and say where the bytes part. Exit 1 where they do.

    The configuration is the run's own. It is run in a temporary folder; nothing of RUN changes.
    What the two were made of comes first: other code or events, and what differs is no surprise.
    """
    from liqbt import answers

    with progress() as stage:
        found = answers.reproduce(run_folder, experiment, stage=stage)
    say_answer(found, as_json)
    sys.exit(0 if found.value["same"] else 1)
