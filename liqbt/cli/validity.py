"""The command that tests the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from liqbt.cli.formatting import FILE, examples, executor_options, json_option, progress, say
from liqbt.errors import ConfigError


@click.command(epilog=examples("liqbt validate --pinned", "liqbt validate --executor processes:2"))
@click.option(
    "--replications", type=click.IntRange(min=1), default=1000, show_default=True,
    help="Markets of each world where nothing is planted; three tenths of longer ones, and of "
    "those where another claim is true. Fewer than 1,000 clear no test.",
)  # fmt: skip
@click.option(
    "--powered", type=click.IntRange(min=1),
    help="Markets of each strength where something is planted; a tenth of the others by default, "
    "and fewer of the longer ones.",
)  # fmt: skip
@click.option("--worlds", help="Some of them, with commas; all by default.")
@click.option(
    "--claims", help="Those that are tried now, with commas; all by default. Few cost less each."
)
@click.option(
    "--days", default="120,365", show_default=True, help="Lengths of the markets, with commas."
)
@executor_options("serial")
@click.option(
    "--minutes", type=click.FloatRange(min=0.0, min_open=True),
    help="Stop after so long; the same command goes on from there.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--worlds-from", type=FILE,
    help="Folder of the worlds' files; those that ship with liqbt by default.",
)  # fmt: skip
@click.option("--out", type=FILE, default=Path("results/validity"), show_default=True)
@click.option(
    "--pinned", is_flag=True,
    help="Replicate nothing but what is pinned: does the document hold with this code? A minute.",
)  # fmt: skip
@click.option(
    "--stamp", is_flag=True,
    help="With --pinned: note in its file that this code reproduces it, so that no run has to try.",
)  # fmt: skip
@json_option
def validate(
    worlds: str | None,
    claims: str | None,
    days: str,
    out: Path,
    pinned: bool,
    stamp: bool,
    as_json: bool,
    **options: object,
) -> None:
    """Test the tests: size where a claim is false, power where it is true.

    Where real candles are present (LIQBT_DATA), random levels are held against the placebo
    probability on them, too. What is tallied in campaign.json, in the folder of the document, is
    not run again: stopped or killed, the same command goes on. Exit 1 if a test found too much or
    missed an oracle, or random levels fail; with --pinned, if the document is stale for a claim.
    """
    if stamp and not pinned:
        raise click.UsageError("--stamp goes with --pinned")
    if pinned:
        _pinned(out, stamp, as_json)
    from liqbt.report.pages.validity import write_validity_page
    from liqbt.study.trials import TESTS
    from liqbt.validity.candles import candles_root
    from liqbt.validity.jobs import WORLDS_TRIED
    from liqbt.validity.summary import describe_document
    from liqbt.validity.validate import validate

    names = worlds.split(",") if worlds else WORLDS_TRIED
    tried = claims.split(",") if claims else TESTS
    if options["worlds_from"] is None:
        del options["worlds_from"]
    with progress() as stage:
        document = validate(
            out,
            worlds=[name.strip() for name in names],
            claims=[name.strip() for name in tried],
            days=_lengths(days),
            data=candles_root(),
            stage=stage,
            **options,  # type: ignore[arg-type]
        )
    page = write_validity_page(document, out)
    say(document, as_json, f"{describe_document(document)}\n\npage: {page}")
    bad = {"blocked", "blind to the oracle"}
    failed = document["random_levels"]["word"] == "failed"
    sys.exit(1 if failed or any(gate["word"] in bad for gate in document["gates"]) else 0)


def _pinned(out: Path, stamp: bool, as_json: bool) -> NoReturn:
    """Say which claims' tests the document still speaks of, and end."""
    from liqbt.validity.summary import describe_pinned
    from liqbt.validity.validate import check_pinned

    with progress() as stage:
        found = check_pinned(out.parent, stamp=stamp, stage=stage)
    say(found, as_json, describe_pinned(found))
    sys.exit(1 if found["stale"] else 0)


def _lengths(text: str) -> list[int]:
    """Return the lengths, in days, that an option names."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 30 <= int(part) <= 3650 for part in parts):
        raise ConfigError(
            f"--days: found '{text}', expected lengths of 30 to 3650 days with commas"
        )
    return [int(part) for part in parts]
