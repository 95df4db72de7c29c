"""A run's markets as tasks: the same bytes wherever they run, and nothing done twice."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liqbt.errors import AlreadyRunningError, EstimatorError, StoppedError, WorkerKilledError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.levels import VISIT_DTYPE
from liqbt.evaluation.parts import _KEPT, summed
from liqbt.log.disk import locked, sha256
from liqbt.study import kept as kept_module
from liqbt.study import pipeline
from liqbt.study.executors import in_processes, serially
from liqbt.study.kept import KeptMarkets
from liqbt.study.mapped import mapped, read_mapped, write_mapped
from liqbt.study.pipeline import Twin, study
from liqbt.study.plan import prepare
from liqbt.study.run import run_plan
from liqbt.study.tables import run_parquet

pytestmark = pytest.mark.usefixtures("undrawn")

MAP = """
about: Columns timestamp_ms, coins, usd.
time: {column: timestamp_ms, unit: ms}
stamp: instant
feed: polled
latency: 60s
venue: made
symbol: {file_name: '^([A-Z]+)'}
derive: {mark_usd: usd / coins}
emit:
  - {kind: mark, fields: {price: mark_usd}, price_is: mark}
  - {kind: open_interest, fields: {open_interest_coins: coins, open_interest_usd: usd}}
"""
MARKET = "{events: {mark: made/@, open_interest: made/@}}"
NAMES = ("AA", "BB", "CC")


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """An experiment of three markets, whose results lie beside it."""
    folder = tmp_path_factory.mktemp("markets")
    (folder / "map.yaml").write_text(MAP)
    for i, name in enumerate(NAMES):
        rng, n = np.random.default_rng(i), 13 * 288
        price = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.003, n)))
        coins = 1e5 * np.exp(np.cumsum(rng.normal(0.0, 0.001, n)))
        at = 1_735_689_600_000 + 300_000 * np.arange(n)
        rows = zip(at.tolist(), coins.tolist(), (coins * price).tolist(), strict=True)
        lines = "\n".join(",".join(map(repr, row)) for row in rows)
        (folder / f"{name}.csv").write_text(f"timestamp_ms,coins,usd\n{lines}\n")
    markets = "".join(f"  {n}: {MARKET.replace('@', n)}\n" for n in NAMES)
    file = folder / "three.yaml"
    file.write_text(
        "name: three\ndata:\n  root: .\n  sources:\n"
        f"    - {{map: map.yaml, files: [{', '.join(f'{n}.csv' for n in NAMES)}]}}\n"
        f"symbols:\n{markets}estimators:\n  first: {{use: equal_brackets}}\n"
        "  other: {use: distance_kernel}\n"
        "schedule: {every: 4h, warm_up: 4d}\n"
        "evaluation: {bootstrap_reps: 200, horizons: [4h, 24h]}\n"
    )
    return file


@pytest.fixture(autouse=True)
def _own_data(monkeypatch):
    monkeypatch.delenv("LIQBT_DATA", raising=False)


@pytest.fixture(scope="module")
def plan(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LIQBT_DATA", raising=False)
        return prepare(path, path.parent / "results")


@pytest.fixture(scope="module")
def run(plan, path):
    return run_plan(plan, path.parent / "serial", None, lambda *_: None)


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_markets_apart_score_what_all_of_them_together_do(plan, run):
    whole = study(plan.experiment, plan.tapes)
    scores = [score for one in whole.evaluations.values() for score in one.scores]
    assert len(scores) > 200
    assert {score.symbol for score in scores} == {*NAMES, "pooled"}
    assert list(map(repr, scores)) == list(map(repr, run.scores))
    assert {row["symbol"] for row in run.twin} == set(NAMES)
    outcomes = run.outcomes()
    assert outcomes["symbol"].to_numpy().max() == 2
    assert run.outcomes(market="BB").num_rows == (outcomes["market"].to_numpy() == "BB").sum() > 0


def test_clusters_of_markets_apart_have_the_chances_of_all_of_them_together(plan, run):
    whole = study(plan.experiment, plan.tapes)
    together = run_parquet(whole)["clusters.parquet"]
    for name, table in zip(whole.evaluations, together, strict=True):
        found = run.clusters(estimator=name)
        for column in ("symbol", "at", "low", "p", "p_placebo"):
            a, b = (one[column].combine_chunks() for one in (found, table))
            np.testing.assert_array_equal(a.to_numpy(zero_copy_only=False), b.to_numpy(False))


def test_what_is_kept_of_a_market_has_no_row_a_cluster_or_forecast(plan, tmp_path):
    kept = KeptMarkets(
        experiment=plan.experiment, tapes=plan.tapes, origin=plan.origin, folder=tmp_path
    )("AA")
    issued = len(kept.forecasts["first"])
    beside = [each.evidence for each in kept.beside.values()]
    for evidence in (*kept.evidence.values(), *kept.variants.values(), *beside):
        born = evidence.observed.outcomes
        assert (born["birth"] | born["densest_birth"]).all()
        assert {key[0] for key in evidence.held} <= _KEPT
        for key, made in evidence.held.items():
            if isinstance(made, np.ndarray) and key[1] != "units":
                assert len(made) <= max(born["birth"].sum(), issued)
    clusters = np.fromfile(kept.current["first"], VISIT_DTYPE)
    assert len(clusters) > 2 * len(kept.evidence["first"].observed.outcomes)


def test_what_is_kept_of_a_market_lies_in_its_file_wherever_it_is_sent(plan, tmp_path):
    kept = KeptMarkets(
        experiment=plan.experiment, tapes=plan.tapes, origin=plan.origin, folder=tmp_path
    )("AA")
    sent = pickle.dumps(kept)
    assert len(sent) < 1000
    (part,) = tmp_path.glob("*.part")
    markets = KeptMarkets(
        experiment=plan.experiment, tapes=plan.tapes, origin=plan.origin, folder=tmp_path
    )
    for one in (kept, markets.taken(pickle.loads(sent))):
        (market,) = one.evidence["first"].markets
        for array in (market.path.low, one.evidence["first"].observed.outcomes):
            at = array.__array_interface__["data"][0]
            (held,) = (line for line in mappings() if line[0] <= at < line[1])
            assert held[2] == str(part)


def test_a_part_that_the_driver_cannot_read_is_said_so(plan, tmp_path, monkeypatch):
    read, driver = kept_module.read_mapped, os.getpid()
    there = lambda path: None if os.getpid() == driver else read(path)  # noqa: E731
    monkeypatch.setattr(kept_module, "read_mapped", there)
    with pytest.raises(StoppedError, match="need one folder of results"):
        run_plan(plan, tmp_path, None, lambda *_: None, in_processes(2))


def mappings() -> list[tuple[int, int, str]]:
    """Return from where to where this process has mapped which file."""
    rows = (line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines())
    return [(*(int(end, 16) for end in row[0].split("-")), row[5:][0]) for row in rows if row[5:]]


def test_a_mapped_value_is_read_as_it_was_or_not_at_all(tmp_path):
    fixed, path = np.arange(5), tmp_path / "value"
    fixed.setflags(write=False)
    value = {"a": fixed, "b": np.eye(3)[:, :2], "none": np.zeros(0), "text": ["ä", None]}
    write_mapped(path, value)
    found = read_mapped(path)
    assert {k: v.tolist() if k != "text" else v for k, v in found.items()} == {
        k: v.tolist() if k != "text" else v for k, v in value.items()
    }
    assert (found["a"].flags.writeable, found["b"].flags.writeable) == (False, True)
    found["b"][:] = 7.0  # here alone
    assert read_mapped(path)["b"].tolist() == value["b"].tolist()
    whole = path.read_bytes()
    other = tmp_path / "other"
    for i in range(len(whole)):
        other.write_bytes(whole[:i])
        assert read_mapped(other) is None
        other.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert read_mapped(other) is None
    assert read_mapped(tmp_path / "not there") is None
    cannot = [lambda: None]
    assert mapped(tmp_path, cannot) is cannot


MANY = """
import resource, sys
from pathlib import Path
import numpy as np
from liqbt.study.mapped import mapped
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
held = [mapped(Path(sys.argv[1]), np.full(1000, i)) for i in range(100)]
assert [int(one[-1]) for one in held] == list(range(100))
"""


def test_more_values_are_mapped_than_a_process_may_have_files_at_first(tmp_path):
    subprocess.run([sys.executable, "-c", MANY, str(tmp_path)], check=True)
    assert not list(tmp_path.iterdir())


def test_bytes_do_not_depend_on_where_markets_run(plan, path, run, tmp_path):
    there = run_plan(plan, tmp_path, None, lambda *_: None, in_processes(2))
    assert files(there.path) == files(run.path)
    assert not list(there.path.parent.glob(".*.parts"))


def test_a_killed_worker_loses_no_market_that_is_finished(plan, run, tmp_path, monkeypatch):
    made = KeptMarkets._made

    def killed(self, symbol, named):
        if symbol == "CC":
            while len(list(self.folder.glob("*.part"))) < 2:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        return made(self, symbol, named)

    monkeypatch.setattr(KeptMarkets, "_made", killed)
    with pytest.raises(WorkerKilledError, match="the same command goes on from there"):
        run_plan(plan, tmp_path, None, lambda *_: None, in_processes(2))
    (folder,) = (tmp_path / "three").glob(".*.parts")
    damaged, other = sorted(folder.glob("*.part"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    torn = folder / f"{other.stem}-0-outcomes.parquet"
    torn.write_bytes(torn.read_bytes()[:-1])
    again = []

    def counted(self, symbol, named):
        again.append(symbol)
        return made(self, symbol, named)

    monkeypatch.setattr(KeptMarkets, "_made", counted)
    done = run_plan(plan, tmp_path, None, lambda *_: None, serially)
    assert sorted(again) == ["AA", "BB", "CC"]  # one was killed, of the others a file was damaged
    assert files(done.path) == files(run.path)


def test_a_killed_driver_takes_its_workers_and_loses_no_market_that_is_finished(
    plan, path, run, tmp_path, monkeypatch
):
    """Else they would hold its locks, and the same command could not go on."""
    words = ["-m", "liqbt", "run", path, "--results", tmp_path, "--executor", "processes:2"]
    (tmp_path / ".cache").symlink_to(path.parent / "results" / ".cache")
    with subprocess.Popen([sys.executable, *map(str, words)]) as driver:
        while driver.poll() is None and not list(tmp_path.glob("three/.*.parts/*.part")):
            time.sleep(0.01)
        children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()]
        driver.kill()
    until = time.monotonic() + 60.0
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers
    assert not any(map(alive, workers))
    kept = len(list(tmp_path.glob("three/.*.parts/*.part")))
    again, made = [], KeptMarkets._made

    def counted(self, symbol, named):
        again.append(symbol)
        return made(self, symbol, named)

    monkeypatch.setattr(KeptMarkets, "_made", counted)
    done = run_plan(plan, tmp_path, None, lambda *_: None)
    assert len(again) == len(NAMES) - kept
    assert files(done.path) == files(run.path)


def test_a_market_that_another_process_is_at_is_not_written_twice_and_no_part_is_lost(
    plan, tmp_path
):
    folder = tmp_path / "three" / f".{plan.run_id}.parts"
    folder.mkdir(parents=True)
    named = sha256(repr(("BB", [])).encode())[:16]
    with (
        locked(folder / f"{named}.lock"),
        pytest.raises(AlreadyRunningError, match="another process is writing to"),
    ):
        run_plan(plan, tmp_path, None, lambda *_: None)
    assert len(list(folder.glob("*.part"))) == 1


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_bad_market_is_named_and_nothing_is_left(plan, tmp_path, monkeypatch):
    replayed = pipeline._replayed

    def fails(experiment, symbol, tape, stage):
        if symbol == "BB":
            raise EstimatorError("it divided by zero")
        return replayed(experiment, symbol, tape, stage)

    monkeypatch.setattr(pipeline, "_replayed", fails)
    with pytest.raises(EstimatorError, match="market BB: it divided by zero"):
        run_plan(plan, tmp_path, None, lambda *_: None, in_processes(2))
    assert [p.name for p in (tmp_path / "three").iterdir()] == [".locks"]


def test_a_twin_that_fails_on_one_market_stands_beside_none(plan, monkeypatch):
    twin = pipeline._twin

    def fails(experiment, tapes, told, name):
        if "BB" in tapes and name == "other":
            return Twin(forecasts={}, reason="it cannot")
        return twin(experiment, tapes, told, name)

    monkeypatch.setattr(pipeline, "_twin", fails)
    beside_twin = [one for one in STATISTICS if "twin" in one.needs]
    done = study(plan.experiment, plan.tapes, statistics=beside_twin)
    assert done.twins["other"] == Twin(forecasts={}, reason="it cannot")
    assert set(done.twins["first"].forecasts) == set(NAMES)
    assert [m.twin for m in done.evaluations["other"].evidence.markets] == [None] * 3


def test_what_is_learnt_of_all_markets_is_not_read_of_one(plan):
    one = {"AA": plan.tapes["AA"]}
    evidence: Evidence = study(plan.experiment, one, statistics=()).first.evidence
    greedy = replace(STATISTICS[0], needs=(), day_sums=lambda evidence, _: evidence.first_sides)
    with pytest.raises(RuntimeError, match="learnt of all markets together"):
        summed(evidence, [greedy])
    with pytest.raises(RuntimeError, match="no longer held"):
        summed(replace(evidence), STATISTICS[:1]).markets[0].forecasts[0]
