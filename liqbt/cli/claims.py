"""Commands about the claims: what is claimed, and what decides it."""

from __future__ import annotations

from dataclasses import asdict

import click

from liqbt.cli.words import examples, json_option, say


@click.group()
def claims() -> None:
    """Show what is claimed, and what decides each claim."""


@claims.command(name="list", epilog=examples("liqbt claims list", "liqbt claims list --json"))
@json_option
def list_claims(as_json: bool) -> None:
    """List every registered claim: words, estimand, null, statistic, smallest effect, pass rule."""
    from liqbt.experiment import REGISTER, describe_claims

    say([asdict(claim) for claim in REGISTER], as_json, describe_claims(REGISTER))
