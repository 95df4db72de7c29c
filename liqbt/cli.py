"""Words to calls: the command line. No logic; everything heavy is imported where it is used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from liqbt.errors import LiqbtError

__all__ = ["main"]

Stage = Callable[[str, int, int], None]
_FILE = click.Path(path_type=Path)


def _examples(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def _say(value: Any, as_json: bool, text: str) -> None:
    """Print one JSON document, or the text for people."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else text)


@contextmanager
def _progress() -> Iterator[Stage]:
    """Show stages on a terminal's stderr; stay silent anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
results_option = click.option(
    "--results",
    type=_FILE,
    default=Path("results"),
    show_default=True,
    help="Folder that runs are kept in.",
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples("liqbt demo", "liqbt run experiments/btc-2025-12.yaml"),
)
@click.version_option(package_name="liqbt")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Backtest liquidation levels: replay events, forecast clusters, score them beside a null."""
    del debug  # read by main(), which handles errors


@cli.command(epilog=_examples("liqbt run experiments/btc-2025-12.yaml", "liqbt run my.yaml --json"))
@click.argument("experiment", type=_FILE)
@results_option
@json_option
def run(experiment: Path, results: Path, as_json: bool) -> None:
    """Run an EXPERIMENT and write its report. A finished run is reused."""
    _run(experiment, results, as_json)


def _run(experiment: Path, results: Path, as_json: bool) -> None:
    from liqbt.experiment import run_experiment
    from liqbt.report.page import write_report
    from liqbt.report.reading import headline

    with _progress() as stage:
        finished = run_experiment(experiment, results, finish=write_report, stage=stage)
        if not (finished.path / "report.html").is_file():  # made from Python, without a report
            write_report(finished, finished.path)
    value = {
        "run_id": finished.run_id,
        "path": str(finished.path),
        "metrics": json.loads((finished.path / "metrics.json").read_text(encoding="utf-8")),
    }
    _say(value, as_json, f"{headline(finished)}\n\nreport: {finished.path / 'report.html'}")


@cli.command(epilog=_examples("liqbt demo"))
@results_option
@json_option
def demo(results: Path, as_json: bool) -> None:
    """Run the embedded simulated market, end to end, and write its report."""
    from liqbt.experiment import demo_experiment

    _run(demo_experiment(), results, as_json)


@cli.command(epilog=_examples("liqbt report results/demo/<run_id>"))
@click.argument("run_folder", metavar="RUN", type=_FILE)
@click.option("--out", type=_FILE, help="Folder to write to; RUN itself by default.")
@json_option
def report(run_folder: Path, out: Path | None, as_json: bool) -> None:
    """Write the report of a finished RUN anew."""
    from liqbt.experiment import load_run
    from liqbt.report.page import write_report

    path = write_report(load_run(run_folder), out or run_folder)
    _say({"report": str(path)}, as_json, f"report: {path}")


@cli.command(epilog=_examples("liqbt line results/demo/<run_id> --at 2026-01-31T12:00Z"))
@click.argument("run_folder", metavar="RUN", type=_FILE)
@click.option("--at", help="The last forecast issued at or before this time (UTC).")
@click.option("--symbol", help="One market; all by default.")
@json_option
def line(run_folder: Path, at: str | None, symbol: str | None, as_json: bool) -> None:
    """Print the one-line summary of a forecast of a finished RUN, a line for each market."""
    from liqbt.experiment import instant_ns, load_run
    from liqbt.report.line import line as report_line

    try:
        moment = None if at is None else instant_ns(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    text = report_line(load_run(run_folder), symbol=symbol, at=moment)
    _say({"lines": text.splitlines()}, as_json, text)


@cli.command(
    epilog=_examples("liqbt ingest experiments/sources/okx-liquidations.yaml *.csv.gz --log mylog")
)
@click.argument("column_map", metavar="MAP", type=_FILE)
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--log", "log_dir", required=True, type=_FILE, help="The event log's folder.")
@click.option("--max-bad", type=click.FloatRange(0, 1), default=0.001, show_default=True)
@click.option("--data-root", type=_FILE, help="Folder that second files of a map lie below.")
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

    with _progress() as stage:
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
    _say(value, as_json, "\n".join(describe_ingest(r) for r in reports))


@cli.group()
def log() -> None:
    """Look at an event log."""


@log.command(epilog=_examples("liqbt log info mylog"))
@click.argument("log_dir", metavar="DIR", type=_FILE)
@json_option
def info(log_dir: Path, as_json: bool) -> None:
    """Say what the event log in DIR holds."""
    from liqbt.experiment import describe_log, log_info

    value = log_info(log_dir)
    _say(value, as_json, describe_log(value))


@log.command(epilog=_examples("liqbt log verify mylog"))
@click.argument("log_dir", metavar="DIR", type=_FILE)
@json_option
def verify(log_dir: Path, as_json: bool) -> None:
    """Read the event log in DIR anew and hold it against its hashes. Exit 1 on any problem."""
    from liqbt.experiment import log_verify

    problems = log_verify(log_dir)
    _say(
        {"ok": not problems, "problems": problems},
        as_json,
        "\n".join(problems) or f"{log_dir}: every committed byte is as it was written",
    )
    sys.exit(1 if problems else 0)


@cli.command(
    epilog=_examples("liqbt simulate experiments/worlds/magnet.yaml --seed 1 --log sim --truth t")
)
@click.argument("world", metavar="WORLD", type=_FILE)
@click.option("--seed", type=click.IntRange(min=0), required=True, help="Root seed.")
@click.option("--log", "log_dir", required=True, type=_FILE, help="The event log's folder.")
@click.option("--truth", type=_FILE, help="Folder for the truth tables.")
@json_option
def simulate(world: Path, seed: int, log_dir: Path, truth: Path | None, as_json: bool) -> None:
    """Simulate a WORLD into an event log, and its truth beside it."""
    from liqbt.experiment import describe_log, log_info, simulate_world

    simulate_world(world, seed=seed, log_dir=log_dir, truth_dir=truth)
    value = log_info(log_dir)
    _say(value, as_json, describe_log(value))


@cli.group()
def audit() -> None:
    """Try to break what an experiment's estimator promises."""


@audit.command(epilog=_examples("liqbt audit lookahead experiments/btc-2025-12.yaml"))
@click.argument("experiment", type=_FILE)
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

    with _progress() as stage:
        found = audit_lookahead(
            experiment, results, estimator=estimator, cuts=cuts, seed=seed, stage=stage
        )
    value = {"passed": found.passed, "details": found.details}
    _say(value, as_json, found.sentence)
    sys.exit(0 if found.passed else 1)


@cli.command(epilog=_examples("liqbt bench --json"))
@click.option("--events", type=click.IntRange(min=10_000), default=15_000_000, show_default=True)
@json_option
def bench(events: int, as_json: bool) -> None:
    """Measure throughput as ratios to a reference in the same process."""
    from liqbt.bench import describe_bench, run_bench

    with _progress() as stage:
        rows = run_bench(events=events, stage=stage)
    _say([row.as_dict() for row in rows], as_json, describe_bench(rows))


def main() -> None:
    """Run the command line: 0 done, 1 a check found something, 2 bad input, in one sentence."""
    debug = "--debug" in sys.argv[1:2]
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted; nothing half-written was kept", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (LiqbtError, OSError, MemoryError) as error:
        if debug:
            raise
        click.echo(f"liqbt: {_sentence(error)}", err=True)
        sys.exit(2)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return str(error) or type(error).__name__
