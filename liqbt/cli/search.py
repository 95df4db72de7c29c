"""The command that tries many configurations and says what the best of them is worth."""

from __future__ import annotations

from pathlib import Path

import click

from liqbt.cli.formatting import FILE, examples, json_option, progress, results_option, say


@click.command(
    epilog=examples(
        "liqbt search experiments/searches/half-lives-btc.yaml", "liqbt search my.yaml --json"
    )
)
@click.argument("search_file", metavar="SEARCH", type=FILE)
@results_option
@json_option
def search(search_file: Path, results: Path, as_json: bool) -> None:
    """Run an experiment under many configurations; say what the best of so many is worth.

    SEARCH is a YAML file: `name`, `experiment` (its file), `vary` (dotted keys of it, each with a
    list of values), and where wanted `block_days` and `seed`. Every trial has a line in the ledger
    below RESULTS/searches, failures too. Stopped, it goes on where it was; trials that are finished
    are not run again.
    """
    from liqbt.report.pages.search import write_search_page
    from liqbt.search.search import run_search
    from liqbt.search.summary import describe_search

    with progress() as stage:
        document, folder = run_search(search_file, results, stage=stage)
    page = write_search_page(document, folder)
    say(document, as_json, f"{describe_search(document)}\n\npage: {page}")
