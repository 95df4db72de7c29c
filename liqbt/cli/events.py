"""Commands about events: ingest, the log, simulated worlds."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from liqbt.cli.formatting import FILE, examples, json_option, log_option, progress, say, say_answer
from liqbt.config import MAX_BAD
from liqbt.errors import one_line

DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    epilog=examples(
        "liqbt ingest experiments/sources/okx-liquidations.yaml *.csv.gz --log mylog",
        "liqbt ingest binance-um BTCUSDT-metrics-2024-01-*.zip --log mylog",
    )
)
@click.argument("column_map", metavar="MAP", type=FILE)
@click.argument("files", nargs=-1, required=True, type=FILE)
@log_option
@click.option("--max-bad", type=click.FloatRange(0, 1), default=MAX_BAD, show_default=True)
@click.option("--data-root", type=FILE, help="Folder that second files of a map lie below.")
@click.option(
    "--max-size",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    help="The most GiB that may come out of a packed file.",
)
@json_option
def ingest(
    column_map: Path,
    files: tuple[Path, ...],
    log_dir: Path,
    max_bad: float,
    data_root: Path | None,
    max_size: float,
    as_json: bool,
) -> None:
    """Read FILES into an event log. The same file twice adds nothing, one refused stops no other.

    MAP is a column map's file, or a vendor: binance-um, binance-cm, bybit, okx, hyperliquid,
    tardis, coinglass, coinalyze, cryptofeed, hftbacktest; or a vendor and a format, such as
    binance-um/klines, where a file's name does not tell.
    """
    from liqbt.study.ingest import RefusedError, describe_ingest, ingest_files

    refused: RefusedError | None = None
    try:
        with progress() as stage:
            reports = ingest_files(
                column_map,
                files,
                log_dir,
                max_bad=max_bad,
                root=data_root,
                max_bytes=int(max_size * (1 << 30)),
                stage=stage,
            )
    except RefusedError as error:
        refused, reports = error, error.reports
    value: list[dict[str, Any]] = [
        {
            "file": r.file,
            "rows": r.rows,
            "events": r.events,
            "quarantined": r.quarantined,
            "quarantine": None if r.quarantine is None else str(r.quarantine),
            "added": r.added,
            "findings": list(r.findings),
        }
        for r in reports
    ]
    if refused is not None:
        value += [{"file": file, "refused": why} for file, why in refused.refused.items()]
    if reports or as_json:
        say(value, as_json, "\n".join(describe_ingest(r) for r in reports))
    if refused is not None and len(files) > 1:
        click.echo(f"liqbt: {len(refused.refused)} of {len(files)} files refused", err=True)
        for why in refused.refused.values():
            click.echo(f"liqbt: {one_line(why)}", err=True)
        sys.exit(2)
    if refused is not None:
        raise refused


@click.command(
    epilog=examples(
        "liqbt fetch binance-um --symbols BTCUSDT --types metrics,markPriceKlines:1m "
        "--from 2024-01-01 --to 2024-01-31 --log mylog"
    )
)
@click.argument("venue", type=click.Choice(["binance-um", "binance-cm"]))
@click.option("--symbols", required=True, help="Comma-separated, such as BTCUSDT,ETHUSDT.")
@click.option("--types", required=True, help="Comma-separated, such as metrics,klines:1m.")
@click.option("--from", "first", type=DAY, required=True, help="First UTC day.")
@click.option("--to", "last", type=DAY, required=True, help="Last UTC day, included.")
@log_option
@click.option("--base", help="The archive's address.  [default: LIQBT_ARCHIVE, or the venue's own]")
@click.option("--keep", type=FILE, help="Folder that files are kept in.  [default: LOG.archive]")
@click.option("--jobs", type=click.IntRange(1, 16), default=4, show_default=True)
@click.option("--max-bad", type=click.FloatRange(0, 1), default=MAX_BAD, show_default=True)
@click.option("--strict", is_flag=True, help="Exit 1 if the archive lacks a file.")
@json_option
def fetch(
    venue: str,
    symbols: str,
    types: str,
    first: datetime,
    last: datetime,
    log_dir: Path,
    base: str | None,
    keep: Path | None,
    jobs: int,
    max_bad: float,
    strict: bool,
    as_json: bool,
) -> None:
    """Fetch a period of a venue's public archive into an event log.

    Checksums are verified before anything is believed; a file that is here already is not fetched
    again, and one that was begun is continued. Interrupted, the command can be repeated.
    """
    from dataclasses import asdict

    from liqbt.study.fetch import describe_fetch, fetch_archive

    with progress() as stage:
        report = fetch_archive(
            venue,
            log_dir,
            symbols=[word.strip() for word in symbols.split(",") if word.strip()],
            types=[word.strip() for word in types.split(",") if word.strip()],
            first=first.date(),
            last=last.date(),
            base=base,
            keep=keep,
            jobs=jobs,
            max_bad=max_bad,
            stage=stage,
        )
    say(asdict(report), as_json, describe_fetch(report))
    bad = len(report.failed) + len(report.refused)
    if bad:
        worst, why = next(iter({**report.failed, **report.refused}.items()))
        click.echo(
            f"liqbt: {bad} of {report.files} files could not be had or read, the first {worst}: "
            f"{why}; what was had is in {log_dir}: repeat the command",
            err=True,
        )
    sys.exit(2 if bad else 1 if strict and report.missing else 0)


@click.group()
def log() -> None:
    """Look at an event log."""


@log.command(epilog=examples("liqbt log info mylog"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@json_option
def info(log_dir: Path, as_json: bool) -> None:
    """Say what the event log in DIR holds."""
    from liqbt.study.summary import describe_log, log_info

    value = log_info(log_dir)
    say(value, as_json, describe_log(value))


@log.command(epilog=examples("liqbt log verify mylog"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@json_option
def verify(log_dir: Path, as_json: bool) -> None:
    """Read the event log in DIR anew and hold it against its hashes. Exit 1 on any problem."""
    from liqbt.study.summary import log_verify

    problems = log_verify(log_dir)
    say(
        {"ok": not problems, "problems": problems},
        as_json,
        "\n".join(problems) or f"{log_dir}: every committed byte is as it was written",
    )
    sys.exit(1 if problems else 0)


@log.command(epilog=examples("liqbt log leaks mylog"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@json_option
def leaks(log_dir: Path, as_json: bool) -> None:
    """Hold each feed in DIR against a finer price: has it seen what came after it? Exit 1 if so.

    A value that answers returns after its stamp, such as a mean over an hour that is stamped at its
    open, is look-ahead that no audit of code can see.
    """
    from liqbt import answers

    found = answers.leaks(log_dir)
    say_answer(found, as_json)
    sys.exit(1 if any(feed["leaks"] for feed in found.value["feeds"]) else 0)


@log.command(epilog=examples("liqbt log withdraw mylog liq.csv --reason 'sides turned around'"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@click.argument("file", metavar="FILE")
@click.option("--reason", required=True, help="Why; it stands in the log for good.")
@json_option
def withdraw(log_dir: Path, file: str, reason: str, as_json: bool) -> None:
    """Take back what was read of FILE into the event log in DIR.

    Nothing is deleted: a commit says that the file's events do not count from now on. Logs, tapes
    and runs made after it have other identities.
    """
    from liqbt.study.ingest import withdraw_file

    done = withdraw_file(log_dir, Path(file).name, reason)
    text = f"{done['file']}: {done['events']:,} events taken back (commit {done['commit']})"
    say(done, as_json, text)


@log.command(epilog=examples("liqbt log quality mylog", "liqbt log quality mylog --out quality"))
@click.argument("log_dir", metavar="DIR", type=FILE)
@click.option("--out", type=FILE, help="Folder for quality.html and quality.json.")
@json_option
def quality(log_dir: Path, out: Path | None, as_json: bool) -> None:
    """Measure the feeds of the event log in DIR: gaps, doubles, latency, odd values, coverage."""
    from liqbt import answers

    with progress() as stage:
        found = answers.quality(log_dir, out, stage=stage)
    say_answer(found, as_json)


@click.command(epilog=examples("liqbt simulate magnet --seed 1 --log sim --truth t"))
@click.argument("world", metavar="WORLD", type=FILE)
@click.option("--seed", type=click.IntRange(min=0), required=True, help="Root seed.")
@log_option
@click.option("--truth", type=FILE, help="Folder for the truth tables.")
@json_option
def simulate(world: Path, seed: int, log_dir: Path, truth: Path | None, as_json: bool) -> None:
    """Simulate a WORLD into an event log, and its truth beside it.

    WORLD is a YAML file, or the name of a world that ships with liqbt.
    """
    from liqbt.study.events import simulate_world
    from liqbt.study.summary import describe_log, log_info
    from liqbt.study.worlds import world_file

    simulate_world(world_file(str(world), Path()), seed=seed, log_dir=log_dir, truth_dir=truth)
    value = log_info(log_dir)
    say(value, as_json, describe_log(value))
