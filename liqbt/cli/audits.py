"""Commands that hold the framework against its promises."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from liqbt.cli.words import FILE, examples, json_option, progress, results_option, say


@click.group()
def audit() -> None:
    """Try to break what an experiment's estimator promises."""


@audit.command(epilog=examples("liqbt audit lookahead experiments/btc-2025-12.yaml"))
@click.argument("experiment", type=FILE)
@click.option("--estimator", help="Audit this one instead: a built-in's name or module:Class.")
@click.option("--cuts", type=click.IntRange(min=2), default=6, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@results_option
@json_option
def lookahead(
    experiment: Path, estimator: str | None, cuts: int, seed: int, results: Path, as_json: bool
) -> None:
    """Poison the future at several cuts. Exit 1 if a forecast issued by then changed."""
    from liqbt.audit import audit_lookahead

    with progress() as stage:
        found = audit_lookahead(
            experiment, results, estimator=estimator, cuts=cuts, seed=seed, stage=stage
        )
    value = {"passed": found.passed, "details": found.details}
    say(value, as_json, found.sentence)
    sys.exit(0 if found.passed else 1)


@click.command(epilog=examples("liqbt bench --json"))
@click.option("--events", type=click.IntRange(min=10_000), default=15_000_000, show_default=True)
@json_option
def bench(events: int, as_json: bool) -> None:
    """Measure throughput as ratios to a reference in the same process."""
    from liqbt.bench import describe_bench, run_bench

    with progress() as stage:
        rows = run_bench(events=events, stage=stage)
    say([row.as_dict() for row in rows], as_json, describe_bench(rows))
