"""Commands about events: ingest, the log, simulated worlds."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from liqbt.cli.words import FILE, examples, json_option, log_option, progress, say


@click.command(
    epilog=examples("liqbt ingest experiments/sources/okx-liquidations.yaml *.csv.gz --log mylog")
)
@click.argument("column_map", metavar="MAP", type=FILE)
@click.argument("files", nargs=-1, required=True, type=FILE)
@log_option
@click.option("--max-bad", type=click.FloatRange(0, 1), default=0.001, show_default=True)
@click.option("--data-root", type=FILE, help="Folder that second files of a map lie below.")
@json_option
def ingest(
    column_map: Path,
    files: tuple[Path, ...],
    log_dir: Path,
    max_bad: float,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Read FILES through a column MAP into an event log. The same file twice adds nothing."""
    from liqbt.experiment import describe_ingest, ingest_files

    with progress() as stage:
        reports = ingest_files(
            column_map, files, log_dir, max_bad=max_bad, root=data_root, stage=stage
        )
    value = [
        {
            "file": r.file,
            "rows": r.rows,
            "events": r.events,
            "quarantined": r.quarantined,
            "quarantine": None if r.quarantine is None else str(r.quarantine),
            "added": r.added,
        }
        for r in reports
    ]
    say(value, as_json, "\n".join(describe_ingest(r) for r in reports))


@click.group()
def log() -> None:
    """Look at an event log."""


@log.command(epilog=examples("liqbt log info mylog"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@json_option
def info(log_dir: Path, as_json: bool) -> None:
    """Say what the event log in DIR holds."""
    from liqbt.experiment import describe_log, log_info

    value = log_info(log_dir)
    say(value, as_json, describe_log(value))


@log.command(epilog=examples("liqbt log verify mylog"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@json_option
def verify(log_dir: Path, as_json: bool) -> None:
    """Read the event log in DIR anew and hold it against its hashes. Exit 1 on any problem."""
    from liqbt.experiment import log_verify

    problems = log_verify(log_dir)
    say(
        {"ok": not problems, "problems": problems},
        as_json,
        "\n".join(problems) or f"{log_dir}: every committed byte is as it was written",
    )
    sys.exit(1 if problems else 0)


@click.command(
    epilog=examples("liqbt simulate experiments/worlds/magnet.yaml --seed 1 --log sim --truth t")
)
@click.argument("world", metavar="WORLD", type=FILE)
@click.option("--seed", type=click.IntRange(min=0), required=True, help="Root seed.")
@log_option
@click.option("--truth", type=FILE, help="Folder for the truth tables.")
@json_option
def simulate(world: Path, seed: int, log_dir: Path, truth: Path | None, as_json: bool) -> None:
    """Simulate a WORLD into an event log, and its truth beside it."""
    from liqbt.experiment import describe_log, log_info, simulate_world

    simulate_world(world, seed=seed, log_dir=log_dir, truth_dir=truth)
    value = log_info(log_dir)
    say(value, as_json, describe_log(value))
