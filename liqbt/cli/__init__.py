"""Words to calls: the command line. No logic; everything heavy is imported where it is used."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from liqbt.cli.audits import audit, bench
from liqbt.cli.claims import claims
from liqbt.cli.events import fetch, ingest, log, simulate
from liqbt.cli.formatting import examples
from liqbt.cli.forward import forward
from liqbt.cli.gate import baseline, check, compare, new
from liqbt.cli.margin import margin
from liqbt.cli.record import record
from liqbt.cli.register import register, unseal
from liqbt.cli.reproduce import reproduce
from liqbt.cli.runs import card, demo, explain, line, report, run, verify
from liqbt.cli.score import score
from liqbt.cli.search import grid, schema, search
from liqbt.cli.truth import truth
from liqbt.cli.validity import validate
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
    new,
    report,
    verify,
    line,
    explain,
    card,
    check,
    baseline,
    compare,
    reproduce,
    claims,
    margin,
    register,
    unseal,
    forward,
    score,
    truth,
    fetch,
    ingest,
    record,
    log,
    simulate,
    audit,
    validate,
    search,
    grid,
    schema,
    bench,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line: 0 done, 1 a check found something, 2 bad input, in one sentence."""
    with _strikes() as struck, _told_once():
        try:
            cli.main(standalone_mode=False)
        except (click.exceptions.Abort, KeyboardInterrupt):
            _interrupted()
        except Exception as error:
            if struck:  # what calls back into Python may make another error of an interrupt
                _interrupted()
            _refused(error, debug="--debug" in sys.argv[1:2])


@contextmanager
def _told_once() -> Iterator[None]:
    """Say a library's warning in one sentence, each once; Python would quote code and paths."""
    before, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *_place: Any, **_: Any) -> None:
        text = one_line(f"{category.__name__}: {message}")
        if text not in said:
            said.add(text)
            click.echo(f"liqbt: a library warns ({text}); figures may be missing", err=True)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


@contextmanager
def _strikes() -> Iterator[list[int]]:
    """Remember every Ctrl-C while a command runs; it is a KeyboardInterrupt all the same."""
    struck: list[int] = []

    def strike(number: int, _frame: object) -> None:
        struck.append(number)
        raise KeyboardInterrupt

    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield struck
        return
    signal.signal(signal.SIGINT, strike)
    try:
        yield struck
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted() -> NoReturn:
    click.echo("interrupted; nothing half-written was kept", err=True)
    sys.exit(130)


def _refused(error: Exception, *, debug: bool) -> NoReturn:
    """End with exit code 2 and a sentence; an error that is no refusal goes on."""
    if isinstance(error, click.ClickException):
        error.show()
    elif not isinstance(error, LiqbtError | OSError | MemoryError):
        raise error
    elif debug:
        traceback.print_exception(error)
    else:
        click.echo(f"liqbt: {_sentence(error)}", err=True)
    sys.exit(2)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename or 'a file'}: {error.strerror}")
    return one_line(str(error) or type(error).__name__)
