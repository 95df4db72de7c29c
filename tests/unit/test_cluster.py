"""Whole commands on a Dask cluster: its scheduler, a worker, the command itself are killed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from liqbt.report.pages.run import write_report
from liqbt.search.grid import run_grid
from liqbt.study.run import run_experiment
from liqbt.validity.candles import candles_root
from liqbt.validity.tallies import FIELDS
from liqbt.validity.validate import validate
from research.scaling.width import panel

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
from clusters import Cluster, noted, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

NOTICED = 20.0
"""Seconds after which a killed scheduler has ended the command; on an idle machine it is one."""


GRID = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  SIM:
    events: {mark: simulated/SIM, open_interest: simulated/SIM}
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d, every: 4h}
evaluation: {bootstrap_reps: 200, horizons: [4h]}
"""


def of_grid(folder: Path) -> tuple[list[object], str]:
    (folder / "world.yaml").write_text("name: small\ndays: 9\nwarmup_days: 2\n")
    (folder / "base.yaml").write_text(GRID)
    path = folder / "grid.yaml"
    path.write_text("name: g\nexperiment: base.yaml\nvary: {seed: [1, 2, 3, 4, 5]}\n")
    run_grid(path, folder / "serial", finish=write_report)
    return ["grid", path, "--results", folder / "there"], "small/*/manifest.json"


def of_run(folder: Path) -> tuple[list[object], str]:
    path = panel(folder, 5, 22)
    run_experiment(path, folder / "serial", finish=write_report)
    return ["run", path, "--results", folder / "there"], "panel/.*.parts/*.part"


def of_validate(folder: Path) -> tuple[list[object], str]:
    chosen = {"worlds": ["gbm"], "claims": ["direction"], "days": [30], "replications": 60}
    validate(folder / "serial", data=candles_root(), **chosen)
    words = ["--worlds", "gbm", "--claims", "direction", "--days", 30, "--replications", 60]
    return ["validate", *words, "--out", folder / "there"], "campaign.json"


def finished(there: Path, what: str) -> set[str]:
    """Return what is finished in a folder of results: cells, markets or batches."""
    found = list(there.glob(what))
    if what != "campaign.json":
        return {path.parent.name if path.stem == "manifest" else path.stem for path in found}
    cells = [cell for path in found for cell in json.loads(path.read_text())["cells"].values()]
    batches = [row[FIELDS.index("batches")] for cell in cells for row in cell["tallies"].values()]
    return {str(number) for number in range(int(max(batches, default=0)))}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder of results."""
    drawn = {"validity.html", "size.svg", "power.svg", "random-levels.svg"}
    aside = {".cache", ".locks", ".lock", *drawn}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not aside.intersection(path.relative_to(folder).parts)
    }


@pytest.fixture
def done(tmp_path, monkeypatch):
    """A file that gets a line for each cell, market or batch that some process has finished."""
    noted(tmp_path / "done", monkeypatch.setattr)
    monkeypatch.delenv("LIQBT_DATA", raising=False)
    return tmp_path / "done"


@pytest.fixture
def begin(tmp_path):
    """A function that begins a cluster, of which nothing is left behind the test."""
    begun: list[Any] = []

    def begins(name: str) -> Cluster:
        (tmp_path / name).mkdir()
        return Cluster(tmp_path / name, begun)

    yield begins
    for process in begun:
        process.kill()
        process.join()


@pytest.mark.parametrize("of", [of_grid, of_run, of_validate])
def test_whatever_is_killed_nothing_that_is_finished_is_lost_or_done_again(
    of, tmp_path, done, begin
):
    words, what = of(tmp_path)
    there = tmp_path / "there"
    done.write_text("")

    def struck(cluster: Cluster, victim: Any = None) -> tuple[int, list[str], float]:
        """Kill once one more is finished; return how the command ended, and when."""
        held, lines = finished(there, what), done.read_text().split()
        driver = cluster.command(*words)
        until(lambda: finished(there, what) > held or not driver.is_alive())
        assert driver.is_alive()
        (victim or driver).kill()
        begun = time.monotonic()
        driver.join(120.0)
        seconds = time.monotonic() - begun
        again = done.read_text().split()[len(lines) :]
        assert not held.intersection(lines, again)
        return driver.exitcode, (cluster.folder / "said").read_text().splitlines(), seconds

    first = begin("first")
    code, said, seconds = struck(first, first.scheduler)
    for one in first.workers:  # each ends what it is at, and then itself
        one.join(120.0)
    assert (code, len(said)) == (2, 1)
    assert f"the Dask scheduler {first.address} no longer answers (" in said[0]
    assert said[0].endswith("what is finished is kept, and the same command goes on from there")
    assert seconds < NOTICED
    second = begin("second")
    if of is of_validate:  # of the others too little is left after that
        code, said, _ = struck(second)
        assert (code, said) == (-signal.SIGKILL, [])
    code, said, _ = struck(second, second.workers[0])
    assert (code, said) == (0, [])
    assert contents(there) == contents(tmp_path / "serial")


@pytest.mark.parametrize(
    ("kind", "says"),
    [("scheduler", "no longer answers (TimeoutError)"), ("workers", "has had no worker for 1 s")],
)
def test_a_cluster_that_stands_still_ends_the_command_and_does_not_hang(kind, says, begin):
    cluster = begin("one")
    driver = cluster.mapping(look=0.2, patience=1.0)
    until((cluster.folder / "begun").is_file)
    if kind == "scheduler":
        os.kill(cluster.scheduler.pid, signal.SIGSTOP)
    else:
        for one in cluster.workers:
            one.kill()
    driver.join(60.0)
    assert driver.exitcode == 0
    assert says in (cluster.folder / "said").read_text()
