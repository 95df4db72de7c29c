"""The command about margin rules."""

from __future__ import annotations

import sys

import click

from liqbt.cli.formatting import examples, json_option, say


@click.command(epilog=examples("liqbt margin", "liqbt margin --json"))
@json_option
def margin(as_json: bool) -> None:
    """Print every venue's liquidation-price rule with its worked examples, computed anew.

    Exits with 1 if one of them is not met.
    """
    from liqbt.study.margin_rules import describe_margin, margin_rows

    rows = margin_rows()
    say(rows, as_json, describe_margin(rows))
    if not all(row["same"] for row in rows):
        sys.exit(1)
