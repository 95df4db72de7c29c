"""What the commands share: examples, JSON, progress, options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from liqbt.answers import Answer
    from liqbt.study.progress import Stage


FILE = click.Path(path_type=Path)


def examples(*lines: str) -> str:
    """Return the example block that closes a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def say(value: Any, as_json: bool, text: str) -> None:
    """Print one JSON document, or the text for people."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else text)


def say_answer(answer: Answer, as_json: bool) -> None:
    """Print an answer: as JSON, or for people with the page that was written."""
    page = "" if answer.page is None else f"\n\npage: {answer.page}"
    say(answer.value, as_json, answer.text + page)


@contextmanager
def progress() -> Iterator[Stage]:
    """Show stages on a terminal's stderr; anywhere else only what must be said."""
    if not sys.stderr.isatty():
        yield lambda stage, _done, total: None if total else click.echo(stage, err=True)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    left = TextColumn("left")
    with Progress(
        *columns,
        TimeElapsedColumn(),
        left,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if not total:
                bar.console.print(stage)
                return
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show


def executor_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the two options that say where a command's tasks run; it gets `executor`."""

    def added(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(*args: Any, executor: str, scheduler: str, **rest: Any) -> Any:
            from liqbt.study.executors import executor_of

            return command(*args, executor=executor_of(executor, scheduler), **rest)

        where = click.option(
            "--executor", default=default, show_default=True, metavar="WHERE",
            help="serial, processes (one for each processor), processes:N, or dask.",
        )  # fmt: skip
        address = click.option(
            "--scheduler", default="", metavar="ADDRESS",
            help="Of a Dask scheduler; without one, --executor dask starts a cluster here.",
        )  # fmt: skip
        return where(address(called))

    return added


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
results_option = click.option(
    "--results",
    type=FILE,
    default=Path("results"),
    show_default=True,
    help="Folder that runs are kept in.",
)
log_option = click.option(
    "--log", "log_dir", required=True, type=FILE, help="The event log's folder."
)
