"""Words to calls: the command line. No logic; everything heavy is imported where it is used."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click

from liqbt.cli.audits import audit, bench
from liqbt.cli.claims import claims
from liqbt.cli.events import fetch, ingest, log, simulate
from liqbt.cli.register import register, unseal
from liqbt.cli.runs import check, compare, demo, line, report, run
from liqbt.cli.score import score
from liqbt.cli.validity import validate
from liqbt.cli.words import examples
from liqbt.errors import LiqbtError, one_line

__all__ = ["cli", "main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("liqbt demo", "liqbt run experiments/btc-2025-12.yaml"),
)
@click.version_option(package_name="liqbt")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Backtest liquidation levels: replay events, forecast clusters, score them beside a null."""
    del debug  # read by main(), which handles errors


for command in (
    run,
    demo,
    report,
    line,
    check,
    compare,
    claims,
    register,
    unseal,
    score,
    fetch,
    ingest,
    log,
    simulate,
    audit,
    validate,
    bench,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line: 0 done, 1 a check found something, 2 bad input, in one sentence."""
    debug = "--debug" in sys.argv[1:2]
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (LiqbtError, OSError, MemoryError) as error:
        if _was_struck(error):
            _interrupted()
        if debug:
            traceback.print_exc()
            sys.exit(2)
        click.echo(f"liqbt: {_sentence(error)}", err=True)
        sys.exit(2)
    except Exception as error:
        if not _was_struck(error):
            raise
        _interrupted()


def _was_struck(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is behind an error: what calls back into Python may wrap it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or "KeyboardInterrupt" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _interrupted() -> NoReturn:
    click.echo("interrupted; nothing half-written was kept", err=True)
    sys.exit(130)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename or 'a file'}: {error.strerror}")
    return one_line(str(error) or type(error).__name__)
