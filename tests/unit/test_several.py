"""Several estimators in one experiment: each figure, file and sentence says whose it is."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from shell import call

from liqbt.audit.audits import audit_chunks, audit_lookahead, audit_order
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.claims.register import STATISTICS, statistic_of
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.estimates import Estimate
from liqbt.evaluation.statistic import detail
from liqbt.forecasts import forecasts_digest
from liqbt.gate.baseline import load_baseline
from liqbt.gate.check import check, update_baseline
from liqbt.gate.compare import compare
from liqbt.gate.formatting import report_text
from liqbt.gate.identity import open_run
from liqbt.gate.rules import pair
from liqbt.report.notes import limits
from liqbt.search.schema import load_search
from liqbt.search.search import run_search
from liqbt.search.units import read_units
from liqbt.study.run import run_experiment
from liqbt.study.store import Run, key_of, load_run
from liqbt.study.tables import _compared
from liqbt.types import DAY_NS

pytestmark = pytest.mark.usefixtures("undrawn")

OWN = """
from dataclasses import replace

from liqbt.estimators import OIFlow


class Silent(OIFlow):
    def forecast(self, at):
        return None


class Cheat(OIFlow):
    last = 0.0

    def update(self, events):
        whole = events if events.base is None else events.base
        if getattr(whole.dtype, "names", None) and len(whole):
            self.last = float(whole["p0"][-1])
        super().update(events)

    def forecast(self, at):
        made = super().forecast(at)
        return None if made is None else replace(made, asymmetry=self.last % 1.0)
"""
BOTH = "{plain: {use: round_numbers, params: {sigma_sampling: 1h}}, flow: {use: oi_flow}}"


def write(folder: Path, estimators: str = BOTH, warm_up: str = "5d") -> Path:
    (folder / "w.yaml").write_text("name: w\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n")
    (folder / "own_several.py").write_text(OWN)
    path = folder / "both.yaml"
    path.write_text(
        "name: both\ndata: {world: w.yaml, seed: 3}\nsymbols: {SIM: {events: {mark: simulated/SIM, "
        "open_interest: simulated/SIM}, margin: {tiers: BTCUSDT}}}\n"
        f"estimators: {estimators}\nschedule: {{warm_up: {warm_up}, every: 4h}}\n"
        "evaluation: {bootstrap_reps: 200, horizons: [24h]}\nseed: 3\n"
    )
    return path


@pytest.fixture(autouse=True)
def own_module():
    before = sys.path[:]
    yield
    sys.path[:] = before
    sys.modules.pop("own_several", None)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def run(path) -> Run:
    return open_run(run_experiment(path, path.parent / "r").path)


def test_tables_are_those_of_one_estimator(run):
    for read in (run.outcomes, run.first_sides):
        for name in ("plain", "flow"):
            assert set(read(name)["estimator"].to_pylist()) == {name}
        assert read()["estimator"].equals(read("plain")["estimator"])
    assert run.outcomes().num_rows != run.outcomes("flow").num_rows
    with pytest.raises(DataError, match="no estimator 'other' was scored"):
        run.outcomes("other")


def test_the_forecasts_of_every_estimator_are_compared(run, tmp_path):
    issued = {"SIM": run.forecasts("SIM"), "flow/SIM": run.forecasts("SIM", "flow")}
    kept = {name: forecasts_digest(each) for name, each in issued.items()}
    assert run.manifest["forecasts"] == kept
    assert compare(run, run).forecasts["flow/SIM"].n_equal == len(issued["flow/SIM"]) > 30
    update_baseline(run, tmp_path / "b.json", "figures to be held against")
    baseline = load_baseline(tmp_path / "b.json")
    assert check(run, baseline).passed
    other = baseline.model_copy(update={"forecasts": {**kept, "flow/SIM": "0" * 64}})
    assert check(run, other).forecasts == {"SIM": True, "flow/SIM": False}
    assert "the forecasts of flow/SIM are others" in report_text(check(run, other))


def test_the_command_says_whose_the_headline_and_the_verdicts_are(monkeypatch, capsys, run, path):
    code, out, _ = call(monkeypatch, capsys, "run", path, "--results", path.parent / "r")
    first, *reasons = out.partition("\n\nreport: ")[0].splitlines()
    assert (code, first.partition(" 24 ")[0]) == (0, "plain on SIM,")
    assert reasons
    for line in (each for each in reasons if not each.startswith("data: ")):
        assert line.partition(": ")[0].endswith(" of plain"), line


def test_the_report_says_what_all_of_them_wait_for(run):
    assert run.manifest["needs"] == {"plain": ["mark"], "flow": ["mark", "open_interest"]}
    [told] = [line for line in limits(run) if "scored from one start" in line]
    assert "plain mark; flow mark and open interest" in told


@pytest.mark.parametrize(
    ("estimators", "warm_up", "says"),
    [
        (BOTH[:-1] + ", mute: {use: 'own_several:Silent'}}", "5d", "'mute'.*issued none; does it"),
        (BOTH, "60d", "'plain'.*all of its .* are issued before scoring begins"),
    ],
)
def test_one_that_issues_nothing_is_named_with_the_cause(tmp_path, estimators, warm_up, says):
    with pytest.raises(DataError, match=f"estimator {says}"):
        run_experiment(write(tmp_path, estimators, warm_up), tmp_path / "r")


def evaluation(name: str, statistic, days: DaySums):
    found = Estimate(value=days.ratio, n_episodes=days.units, n_days=days.n_days)
    where = ("pooled", "24h", "both")
    evidence = SimpleNamespace(
        config=SimpleNamespace(horizons_ns=(DAY_NS,), bootstrap_reps=300), root=0
    )
    one = detail(statistic, where, 0.0, found, days, estimator=name)
    return SimpleNamespace(details=[one], evidence=evidence)


def sums(first: int, n: int = 40, mean: float = 0.0, freedom: float = 1.0) -> DaySums:
    rng = np.random.default_rng(first)
    total = rng.normal(mean, 0.1, n)
    return DaySums(first_day=first, total=total, count=np.ones(n), freedom=freedom)


def compared(statistic, new: DaySums, base: DaySums):
    """Return what a run keeps of two estimators, and what the gate makes of two runs."""
    both = {"a": evaluation("a", statistic, base), "b": evaluation("b", statistic, new)}
    key = key_of(both["a"].details[0].score)
    return list(_compared(SimpleNamespace(evaluations=both))), pair({key: new}, {key: base})


def test_records_of_other_times_and_counts_are_not_paired():
    lift = statistic_of("mirror_lift")
    assert [len(each) for each in compared(lift, sums(0, mean=0.3), sums(40))] == [0, 0]
    assert [len(each) for each in compared(lift, sums(0), sums(20))] == [0, 0], "20 of 60 days"
    assert [len(each) for each in compared(lift, sums(0), sums(10))] == [1, 1], "30 of 50 days"
    count = next(one for one in STATISTICS if one.total)
    assert [len(each) for each in compared(count, sums(0), sums(0, mean=9.0))] == [0, 0]


def test_fitted_parameters_widen_the_paired_interval():
    lift, base = statistic_of("mirror_lift"), sums(5)
    [plain], _ = compared(lift, sums(0), base)
    [fitted], _ = compared(lift, sums(0, freedom=0.25), base)
    for end in ("ci_low", "ci_high"):
        assert fitted[end] - fitted["value"] == pytest.approx(2 * (plain[end] - plain["value"]))
    [none], _ = compared(lift, sums(0, freedom=0.0), base)
    assert np.isnan(none["ci_low"])


def search(folder: Path, vary: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(f"name: s\nexperiment: both.yaml\nvary: {vary}\n")
    return path


def test_a_search_compares_the_estimator_that_it_varies(tmp_path):
    write(tmp_path)
    for vary, name in (
        ("{estimators.flow.params.prominence: [0.3]}", "flow"),
        ("{symbols.SIM.estimators.flow.params.prominence: [0.3]}", "flow"),
        ("{evaluation.ridge: [3.0]}", "plain"),
    ):
        assert load_search(search(tmp_path, vary)).estimator == name
    two = "{estimators.flow.params.prominence: [0.3], estimators.plain.params.prominence: [0.3]}"
    with pytest.raises(ConfigError, match="varies the estimators plain and flow; a search"):
        load_search(search(tmp_path, two))


@pytest.mark.nightly
def test_a_search_runs_on_an_experiment_of_two(tmp_path):
    path = write(tmp_path)
    (tmp_path / "w.yaml").write_text("name: w\ndays: 45\nwarmup_days: 5\nmagnet: 1.0\n")
    vary = "{estimators.flow.params.asymmetry_reach: [0.03]}"
    document, folder = run_search(search(path.parent, vary), tmp_path / "r")
    assert document["counts"]["compared"] == 2
    visits = next((folder / "runs" / "both").glob("*/visits.parquet"))
    plain, flow, other = (read_units(visits, name) for name in ("plain", "flow", "other"))
    assert not np.array_equal(plain.p, flow.p)
    held = load_run(visits.parent).visits("flow")
    assert held is not None
    assert held["p"].to_pylist() == flow.p.tolist()
    assert (len(plain) > 100, len(flow) > 100, len(other)) == (True, True, 0)


@pytest.mark.parametrize(
    "audit",
    [
        audit_lookahead,
        pytest.param(audit_chunks, marks=pytest.mark.nightly),
        pytest.param(audit_order, marks=pytest.mark.nightly),
    ],
)
def test_an_audit_tries_every_estimator_and_names_it(path, run, audit):
    few = {audit_lookahead: {"cuts": 2}, audit_chunks: {"splits": 1, "processes": 1}}.get(audit, {})
    found = audit(path, path.parent / "r", days=7, **few)
    assert found.passed
    assert [each["estimator"] for each in found.details] == ["plain", "flow"]
    lines = found.sentence.splitlines()
    assert [line.partition(": passed")[0] for line in lines] == ["plain, SIM", "flow, SIM"]


@pytest.mark.nightly
def test_an_audit_fails_where_the_second_estimator_cheats(tmp_path):
    path = write(tmp_path, "{flow: {use: oi_flow}, cheat: {use: 'own_several:Cheat'}}")
    found = audit_lookahead(path, tmp_path / "r", days=9, cuts=2)
    assert [each["passed"] for each in found.details] == [True, False]
    assert "cheat, SIM: FAILED" in found.sentence
    alone = audit_lookahead(path, tmp_path / "r", days=9, cuts=2, estimator="flow")
    assert [each["estimator"] for each in alone.details] == ["flow"]
