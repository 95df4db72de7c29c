"""A grid: its cells, what it refuses, that a bad cell stops no other, and where the cells run."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import pytest
from shell import call

from liqbt.errors import AlreadyRunningError, ConfigError, LiqbtError
from liqbt.search.grid import load_grid, run_grid
from liqbt.study import executors
from liqbt.study.executors import begun, executor_of, going_on, in_processes, on_dask, serially

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n"
BASE = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  SIM:
    events: {mark: simulated/SIM, open_interest: simulated/SIM}
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d, every: 4h}
evaluation: {bootstrap_reps: 200, horizons: [4h]}
"""


@pytest.fixture
def asked(tmp_path):
    """A function that writes a grid of a small simulated market, and returns its file."""
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "base.yaml").write_text(BASE)

    def written(vary, more=""):
        path = tmp_path / "grid.yaml"
        path.write_text(f"name: g\nexperiment: base.yaml\nvary: {vary}\n{more}")
        return path

    return written


def test_cells_are_the_product_and_keys_of_a_group_run_in_step(asked):
    vary = "{seed: [1, 2], schedule.warm_up: [5d, 6d], schedule.every: [4h, 8h]}"
    keys = load_grid(asked(vary, "together: [[schedule.warm_up, schedule.every]]")).keys
    assert [tuple(one.values()) for one in keys] == [
        (1, "5d", "4h"),
        (1, "6d", "8h"),
        (2, "5d", "4h"),
        (2, "6d", "8h"),
    ]
    assert len(load_grid(asked(vary)).keys) == 8


@pytest.mark.parametrize(
    ("vary", "more", "says"),
    [
        ("{sead: [1]}", "", "did you mean 'seed'?"),
        ("{seed: []}", "", "key 'vary.seed'"),
        ("{seed: [1, 1]}", "", "twice; name each value once"),
        ("{seed: [1], name: [a, b]}", "together: [[seed, name]]", "in step with it"),
        ("{seed: [1]}", "together: [[seed, name]]", "which 'vary' does not have"),
        (f"{{seed: {list(range(101))}, name: {list('abcdefghij' * 10)}}}", "", "asks for 10100"),
        ("{seed: [1]}", "to_gether: [[a, b]]", "unknown key 'to_gether'"),
    ],
)
def test_what_a_grid_refuses_before_anything_is_run(
    monkeypatch, capsys, tmp_path, asked, vary, more, says
):
    path = asked(vary, more)
    code, out, err = call(monkeypatch, capsys, "grid", path, "--results", tmp_path / "r")
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_bad_cell_fails_alone_and_finished_cells_are_not_run_again(
    monkeypatch, capsys, tmp_path, asked
):
    path = asked("{schedule.warm_up: [5d, 90d], seed: [1, 2]}")
    results = tmp_path / "r"
    code, out, err = call(monkeypatch, capsys, "grid", path, "--results", results)
    assert (code, err) == (1, "")
    assert "2 of 4 cells ran" in out
    assert 'failed: cell 2 (schedule.warm_up="90d", seed=1)' in out
    assert 'failed: cell 3 (schedule.warm_up="90d", seed=2)' in out
    table = results / "grids/g/grid.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["cell"] for row in rows} == {"0", "1", "2", "3"}
    assert {row["seed"] for row in rows if row["claim"] == "magnet"} == {"1", "2"}
    cells = json.loads((results / "grids/g/grid.json").read_text())["cells"]
    reports = [results / "small" / cell["run_id"] / "report.html" for cell in cells[:2]]
    assert all(report.is_file() for report in reports)
    before = {file: file.stat().st_mtime_ns for file in (results / "small").rglob("*.parquet")}
    bytes_before = table.read_bytes()
    run_grid(path, results)
    after = {file: file.stat().st_mtime_ns for file in (results / "small").rglob("*.parquet")}
    assert after == before
    assert table.read_bytes() == bytes_before


def test_a_grid_gives_the_same_bytes_wherever_its_cells_run(tmp_path, asked):
    path = asked("{seed: [1, 2, 3]}")
    found = []
    for name, executor in (("here", serially), ("two", in_processes(2))):
        _, folder = run_grid(path, tmp_path / name, executor=executor)
        found.append([(folder / file).read_bytes() for file in ("grid.json", "grid.csv")])
    assert found[0] == found[1]


def square(x):
    return x * x


@pytest.mark.parametrize("where", ["serial", "processes", "processes:2"])
def test_results_come_in_the_order_of_the_tasks(where):
    assert list(executor_of(where)(square, range(20))) == [x * x for x in range(20)]
    half = executor_of(where)(square, range(1000))
    assert next(half) == 0
    half.close()


@pytest.mark.parametrize("text", ["", "threads", "processes:0", "processes:x", "dask:2"])
def test_an_unknown_executor_is_one_sentence(text):
    with pytest.raises(ConfigError, match="expected serial, processes, processes:N or dask"):
        executor_of(text)


def test_a_scheduler_goes_with_dask_alone():
    with pytest.raises(ConfigError, match="goes with the executor 'dask'"):
        executor_of("processes", "tcp://127.0.0.1:1")


def killed(x, parent):
    if x == 3 and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_a_task_that_kills_its_worker_is_said_in_one_sentence_and_others_go_on():
    work, found = partial(killed, parent=os.getpid()), []
    with pytest.raises(LiqbtError, match="was killed, and again with no other beside it"):
        found.extend(in_processes(2)(work, range(8)))
    assert found == [0, 1, 2]
    whole = list(going_on(in_processes(2), work, range(8), lambda task, why: (task, why[:8])))
    assert whole == [0, 1, 2, (3, "a worker"), 4, 5, 6, 7]


def killed_once(task):
    x, folder = task
    with (folder / str(x)).open("a") as file:
        file.write("done")
    if x in (2, 5) and not (mark := folder / f"killed-{x}").exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_a_killed_worker_s_task_is_done_again_and_nothing_that_is_finished(tmp_path):
    tasks = [(x, tmp_path) for x in range(20)]
    assert list(in_processes(2)(killed_once, tasks)) == list(range(20))
    assert (tmp_path / "killed-2").exists()
    times = [len((tmp_path / str(x)).read_text()) // 4 for x in range(20)]
    assert times[2] == times[5] == 2
    assert times.count(1) >= 14  # those that were under way beside it are done again, and no other


DASK = pytest.mark.skipif(
    find_spec("distributed") is None, reason="the extra 'cluster' is not installed"
)


@DASK
@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_does_a_killed_worker_s_task_again_and_refuses_other_code(
    tmp_path, monkeypatch
):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        here = on_dask(cluster.scheduler_address)
        assert list(here(square, range(20))) == [x * x for x in range(20)]
        # the only worker is killed, and with it what every task needs
        assert list(here(killed_once, [(x, tmp_path) for x in range(5)])) == list(range(5))
        assert (tmp_path / "killed-2").exists()
        with pytest.raises(ConfigError, match="expected the same code everywhere"):
            executors._called(square, "f" * 64, 1)
        monkeypatch.setattr("liqbt.study.identity.code_digest", lambda: "f" * 64)
        with pytest.raises(ConfigError, match="expected the same code everywhere"):
            list(here(square, [1]))
        executors._close(here.__closure__[1].cell_contents[0])


def test_a_worker_waits_for_another_that_is_at_the_same_for_a_command_that_was_killed(monkeypatch):
    monkeypatch.setattr(executors, "_TURN", 0.01)
    tried = []

    def busy_twice(task):
        tried.append(task)
        if len(tried) < 3:
            raise AlreadyRunningError("another process is writing this run")
        return task

    assert executors._called(busy_twice, executors._worker_digest(), 7) == 7
    assert tried == [7, 7, 7]


def test_a_dask_worker_of_many_threads_does_one_task_at_a_time():
    under_way = []

    def counted(task):
        under_way.append(task)
        time.sleep(0.02)
        n = len(under_way)
        under_way.remove(task)
        return n

    one = partial(executors._called, counted, executors._worker_digest())
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(8))) == [1] * 8


def test_a_worker_that_cannot_say_its_code_is_refused_and_one_that_died_is_not():
    class Told:
        status = "running"

        def __init__(self, **said):
            self.said = said

        def run(self, *_, **__):
            return self.said

    own = executors._worker_digest()
    assert executors._refuse_other_code(Told(a=own, b=OSError("gone"))) == own
    with pytest.raises(ConfigError, match=r"worker b: it cannot say .*No module named 'liqbt'"):
        executors._refuse_other_code(Told(a=own, b=ImportError("No module named 'liqbt'")))


@DASK
def test_a_scheduler_that_is_not_there_is_one_sentence():
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        list(on_dask("tcp://127.0.0.1:9")(square, [1]))


def test_without_the_extra_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ConfigError, match="extra 'cluster'"):
        list(executors.on_dask()(square, [1]))


def test_after_an_error_nobody_is_at_work_any_more():
    before = {*multiprocessing.active_children()}  # other tests' clusters, which end with Python

    def failing() -> None:
        with begun(in_processes(2)(time.sleep, [0.01] * 50)) as found:
            assert len({*multiprocessing.active_children()} - before) == 2
            assert next(found) is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert not {*multiprocessing.active_children()} - before
