"""A generated archive month, fetched undisturbed and interrupted twice: the events must be equal.

    python tests/fetch_resume.py --symbols BTCUSDT,ETHUSDT,SOLUSDT --days 31

serves the month on the loopback with torn bodies, 429 and 503, fetches it with the command line,
stops that once with SIGKILL and once with SIGINT at random moments, repeats it, and compares what
is in the two logs. Exit 1 where they differ.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import archive
import click

from liqbt.log.store import EventLog
from liqbt.study.fetch import fetch_archive
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection

TYPES = ("metrics", "markPriceKlines:5m", "aggTrades", "liquidationSnapshot", "fundingRate")


class Troubled(archive.Server):
    """A server that answers slowly, and one request in twenty badly."""

    def __init__(self, files, seed: int, stall_s: float) -> None:
        super().__init__(files)
        self._random = random.Random(seed)
        self.always = lambda _path: self._trouble(stall_s)

    def _trouble(self, stall_s: float) -> archive.Fault:
        draw = self._random.random()
        if draw < 0.02:
            return archive.Fault(status=429, headers={"Retry-After": "0"})
        if draw < 0.03:
            return archive.Fault(status=503)
        if draw < 0.05:
            return archive.Fault(cut=self._random.randrange(1, 4000))
        return archive.Fault(stall_s=stall_s)


FIRST = date(2024, 1, 1)


def command(base: str, log: Path, ask: dict) -> list[str]:
    words = ["fetch", "binance-um", "--symbols", ",".join(ask["symbols"])]
    words += ["--types", ",".join(ask["types"]), "--from", str(ask["first"])]
    words += ["--to", str(ask["last"]), "--log", str(log), "--base", base]
    return [sys.executable, "-m", "liqbt", *words]


def interrupted(words: list[str], server: archive.Server, after: int, how: signal.Signals) -> int:
    """Run a command and send it a signal once the server has had so many more requests."""
    goal = len(server.requests) + after
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and len(server.requests) < goal:
        time.sleep(0.002)
    child.send_signal(how)
    _, said = child.communicate(timeout=600)
    if "Traceback" in said:
        raise click.ClickException(said)
    return child.returncode


def contents(log_dir: Path) -> str:
    """The digest of everything in a log, in canonical order and each event once."""
    log = EventLog.open(log_dir)
    problems = log.verify()
    if problems:
        raise click.ClickException(problems[0])
    return build_tape(log, Selection(kinds=log.info().instruments)).digest


def whole_fetch(base: str, log_dir: Path, ask: dict) -> str:
    report = fetch_archive("binance-um", log_dir, base=base, **ask)
    events = sum(EventLog.open(log_dir).info().events.values())
    return (
        f"{report.fetched} files fetched, {report.kept} kept, {len(report.missing)} missing, "
        f"{events:,} events, tape {contents(log_dir)[:16]}"
    )


def so_far(log: Path) -> str:
    kept = len(list(log.with_name(log.name + ".archive").rglob("*.zip")))
    commits = len(EventLog.open(log).commits()) if (log / "log.json").exists() else 0
    return f"{kept} files whole, {commits} commits"


def trial(
    files: archive.Archive,
    symbols: Sequence[str],
    days: int,
    *,
    types: Sequence[str] = TYPES,
    seed: int,
    stall_s: float,
    show: Callable[[str], object],
) -> bool:
    """Fetch an archive twice, once undisturbed, and return whether the events are equal."""
    zips = sum(path.endswith(".zip") for path in files)
    show(f"{zips} files, {sum(map(len, files.values())) / 1e6:.1f} MB, {symbols}, {days} days")
    last = FIRST + timedelta(days=days - 1)
    ask = {"symbols": symbols, "types": types, "first": FIRST, "last": last}
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, torn = Path(folder) / "whole", Path(folder) / "torn"
        with archive.serving(files) as server:
            show(f"undisturbed: {whole_fetch(server.base, whole, ask)}")
        with archive.running(Troubled(files, seed, stall_s)) as server:
            for how in (signal.SIGKILL, signal.SIGINT):
                after = draw.randrange(zips // 4, zips)
                code = interrupted(command(server.base, torn, ask), server, after, how)
                show(f"{how.name} after {after} requests: exit {code}, {so_far(torn)}")
            show(f"repeated: {whole_fetch(server.base, torn, ask)}")
        return contents(whole) == contents(torn)


@click.command()
@click.option("--symbols", default="BTCUSDT,ETHUSDT,SOLUSDT", show_default=True)
@click.option("--days", default=31, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--stall", "stall_s", default=0.02, show_default=True, help="Seconds an answer takes."
)
def main(symbols: str, days: int, seed: int, stall_s: float) -> None:
    """Fetch a generated month undisturbed and interrupted twice, and compare."""
    names = symbols.split(",")
    files = archive.month_archive(names, days, seed=seed)
    equal = trial(files, names, days, seed=seed, stall_s=stall_s, show=click.echo)
    click.echo("equal" if equal else "DIFFERENT")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    os.environ.pop("LIQBT_ARCHIVE", None)
    main()
