"""The regression gate: a planted loss is caught, a refactor is not, hostile files are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shell import call

from liqbt.errors import DataError
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.inference.days import DaySums, draw
from liqbt.evaluation.inference.estimates import estimate
from liqbt.evaluation.paired import PairedDifference
from liqbt.gate.baseline import DayRow, Moved, _rounded, load_baseline
from liqbt.gate.check import _by_interval, check, update_baseline
from liqbt.gate.compare import compare
from liqbt.gate.formatting import interval_words
from liqbt.gate.history import history_text, trends
from liqbt.gate.identity import Identity, identity_differences, open_run
from liqbt.gate.rules import findings, pair, row_days
from liqbt.log.disk import read_parquet
from liqbt.study.run import run_experiment
from liqbt.study.store import KEY, key_of
from liqbt.study.written import json_text, sealed
from liqbt.types import DAY_NS, HOUR_NS, Score

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: w\ndays: 22\nwarmup_days: 5\nmagnet: 1.0\n"
EXPERIMENT = """
name: gated
data: {world: world.yaml, seed: 2}
symbols:
  SIM:
    events: {mark: simulated/SIM, open_interest: simulated/SIM}
    margin: {tiers: BTCUSDT}
    estimator: {name: "gated_estimator:Mine"}
schedule: {warm_up: 5d, every: 2h}
evaluation: {bootstrap_reps: 200, horizons: [4h, 24h]}
"""
REFERENCE = "from liqbt.estimators import OIFlow\nclass Mine(OIFlow):\n    pass\n"
REFACTORED = (
    "import liqbt.estimators as all_of_them\n"
    "class Mine(all_of_them.OIFlow):\n"
    "    def forecast(self, at):\n"
    "        return super().forecast(at)\n"
)
DEGRADED = (
    "from liqbt.estimators import OIFlow\n"
    "from liqbt.estimators.nulls import reflect\n"
    "class Mine(OIFlow):\n"
    "    def forecast(self, at):\n"
    "        made = super().forecast(at)\n"
    "        return None if made is None else reflect(made)\n"
)
MAGNET = ("magnet", "pooled", "24h", "both", "mirror_lift")
UNITS = ("visit", "pooled", "24h", "both", "visit_gain_over_brownian")
"""Rows by claim, market, horizon, side and statistic, whatever the estimator is called."""


def write(folder: Path, estimator: str, experiment: str = EXPERIMENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.yaml").write_text(WORLD)
    (folder / "gated.yaml").write_text(experiment)
    (folder / "gated_estimator.py").write_text(estimator)
    return folder / "gated.yaml"


@pytest.fixture(autouse=True)
def own_module():
    """Let no test find the estimator that another one wrote under the same name."""
    before = sys.path[:]
    yield
    sys.path[:] = before
    for name in ("gated_estimator", "gated_helper"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def first(home) -> Path:
    """The run whose figures were accepted."""
    return run_experiment(write(home, REFERENCE), home / "results").path


@pytest.fixture
def baseline(first, tmp_path) -> Path:
    path = tmp_path / "baseline.json"
    update_baseline(open_run(first), path, "first accepted figures")
    return path


def rewritten(run: Path, folder: Path, change: Any) -> Path:
    """Copy a run, let `change` alter its day sums and its rows of scores, sign it anew."""
    shutil.copytree(run, folder)
    days = read_parquet(folder / "days.parquet")
    rows = json.loads((folder / "metrics.json").read_text())
    sums, rows = change(days.to_pylist(), rows)
    pq.write_table(pa.Table.from_pylist(sums, schema=days.schema), folder / "days.parquet")
    (folder / "metrics.json").write_text(json_text(rows))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("days.parquet", "metrics.json"):
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json_text(sealed(manifest)))
    return folder


def named(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY[1:])


def score(**fields: Any) -> Score:
    usual = {
        "claim": "magnet",
        "symbol": "pooled",
        "horizon": "24h",
        "side": "both",
        "statistic": "mirror_lift",
        "value": 0.012,
        "null": 0.0,
        "ci_low": -0.004,
        "ci_high": 0.028,
        "n_episodes": 2093,
        "n_days": 106,
        "mde": 0.023,
    }
    return Score(**{**usual, **fields})


def kinds(base: Score, new: Score, **options: Any) -> list[str]:
    return [found.kind for found in findings(base, new, **options)]


def test_a_run_passes_its_own_baseline(first, baseline):
    report = check(open_run(first), load_baseline(baseline))
    assert report.passed
    assert report.findings == ()
    assert report.forecasts == {"SIM": True}
    assert report.identity == ()


def test_a_planted_loss_of_two_points_is_caught_although_the_interval_is_wide(
    first, baseline, tmp_path
):
    outcomes = open_run(first).outcomes()
    c = {name: outcomes[name].to_numpy() for name in outcomes.column_names[1:]}
    mine = (c["horizon_ns"] == DAY_NS) & c["birth"] & (c["censor"] == 0)
    hits = np.flatnonzero(mine & (c["visited"] == 1))
    n_lost = round(0.02 * mine.sum())
    taken = hits[:: len(hits) // n_lost][:n_lost]

    def lose(days: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Any:
        """Take visits from episodes at 24 h until the mirror lift is two points lower."""
        sums = {tuple(row[name] for name in KEY): row for row in days}
        for row in rows:
            if row["horizon"] == "24h" and row["statistic"] in ("mirror_lift", "brownian_lift"):
                side = {"long": 1, "short": -1}.get(row["side"])
                lost = taken if side is None else taken[c["side"][taken] == side]
                held = sums[tuple(row[name] for name in KEY)]
                for day in c["at"][lost] // DAY_NS - held["first_day"]:
                    held["total"][day] -= 1.0
                change = sum(held["total"]) / sum(held["count"]) - row["value"]
                assert change == pytest.approx(-len(lost) / row["n_episodes"])
                for name in ("value", "ci_low", "ci_high"):
                    row[name] += change
        return days, rows

    worse = rewritten(first, tmp_path / "worse", lose)
    report = check(open_run(worse), load_baseline(baseline))
    assert not report.passed
    lost = next(f for f in report.findings if f.key[1:] == MAGNET)
    assert lost.kind == "loss"
    assert lost.change == pytest.approx(-0.02, abs=0.002)
    assert lost.paired.value == pytest.approx(lost.change)
    assert lost.paired.ci_high < 0
    own = lost.base.ci_high - lost.base.ci_low
    assert lost.paired.ci_high - lost.paired.ci_low < own / 2
    assert lost.new.ci_high > lost.base.ci_low, "the two intervals overlap"


def test_a_refactor_passes_and_a_worse_estimator_does_not(monkeypatch, capsys, first, tmp_path):
    yaml = first.parent.parent.parent / "gated.yaml"
    baseline = tmp_path / "b.json"
    arguments = ("check", yaml, "--baseline", baseline, "--results", yaml.parent / "results")
    code, _, err = call(monkeypatch, capsys, *arguments)
    assert (code, "no such baseline" in err) == (2, True)
    reason = "the reference estimator under another name"
    accept = ("baseline", "add", *arguments[1:], "--reason", reason)
    assert call(monkeypatch, capsys, *accept)[0] == 0
    code, _, err = call(monkeypatch, capsys, *accept)
    assert (code, "liqbt baseline update renews it" in err) == (2, True)
    code, out, _ = call(monkeypatch, capsys, *arguments)
    assert (code, "PASSED" in out) == (0, True)
    (yaml.parent / "gated_estimator.py").write_text("from gated_helper import Mine as Mine\n")
    for text, expected in ((REFACTORED, 0), (DEGRADED, 1)):  # the file that is named stays as it is
        (yaml.parent / "gated_helper.py").write_text(text)
        run = run_experiment(yaml, yaml.parent / "results").path
        code, out, _ = call(monkeypatch, capsys, "check", run, "--baseline", baseline, "--json")
        found = json.loads(out)
        assert code == expected
        assert found["passed"] == (expected == 0)
        assert found["forecasts_same"] == {"SIM": expected == 0}
        differs = {(d["what"], d["name"]) for d in found["differs"]}
        assert differs >= {("estimators", "gated_estimator.py"), ("estimators", "gated_helper.py")}
    worst = next(f for f in found["findings"] if named(f) == MAGNET)
    assert worst["kind"] in {"loss", "count"}
    assert any(f["kind"] == "loss" for f in found["findings"])
    (yaml.parent / "gated_estimator.py").write_text(REFERENCE)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ({}, []),
        ({"value": 0.012 + 1e-12}, []),
        ({"value": 0.0121}, []),
        ({"value": 0.0071}, []),
        ({"value": 0.0069}, ["loss"]),
        ({"value": 0.018}, ["gain"]),
        ({"value": float("nan")}, ["lost"]),
        ({"n_episodes": 2080}, []),
        ({"n_episodes": 2060}, ["count"]),
        ({"n_episodes": 2200}, ["count"]),
        ({"ci_low": float("nan"), "ci_high": float("nan")}, ["interval"]),
        ({"ci_low": 0.002, "ci_high": 0.022}, ["interval"]),
        ({"null": 0.02}, ["null"]),
        ({"null": float("nan")}, ["null"]),
    ],
)
def test_what_is_found_in_a_row(new, expected):
    assert kinds(score(), score(**new)) == expected


def test_rates_and_the_unknown_may_not_move_either_way():
    rate = {"statistic": "hit_rate", "value": 0.25, "null": 0.28}
    for value in (0.243, 0.257):
        assert kinds(score(**rate), score(**{**rate, "value": value})) == ["drift"]
    other = {"statistic": "odds"}
    assert kinds(score(**other), score(**other, value=0.0135)) == []
    assert kinds(score(**other), score(**other, value=0.0139)) == ["drift"]


def test_a_hit_rate_is_written_with_its_null_and_no_sign():
    rate = score(statistic="hit_rate", value=0.25, null=0.28, ci_low=0.2, ci_high=0.3)
    assert interval_words(rate, 100.0) == "25.00 [20.00, 30.00] null 28.00"
    lift = score(value=0.01, ci_low=-0.01, ci_high=0.03)
    assert interval_words(lift, 100.0) == "+1.00 [-1.00, +3.00]"


def test_few_episodes_do_not_cry_wolf():
    few = {"n_episodes": 100}
    assert kinds(score(**few), score(**few, value=-0.007)) == []
    assert kinds(score(**few), score(**few, value=-0.009)) == ["loss"]


def test_no_value_on_both_sides_is_no_finding():
    nothing = {"value": float("nan"), "ci_low": float("nan"), "n_episodes": 0}
    assert kinds(score(**nothing), score(**nothing)) == []
    assert kinds(score(**nothing), score()) == ["found"]


def test_a_small_loss_that_is_certain_counts_on_the_rows_of_verdicts():
    sure = PairedDifference(value=-0.003, ci_low=-0.005, ci_high=-0.001, n_days=100)
    wide = PairedDifference(value=-0.003, ci_low=-0.02, ci_high=0.014, n_days=100)
    new = score(value=0.009)
    assert kinds(score(), new, paired=sure, deciding=True) == ["loss"]
    assert kinds(score(), new, paired=sure) == []
    assert kinds(score(), new, paired=wide, deciding=True) == ["doubt"]


def test_rounding_is_no_loss():
    """A baseline keeps a dozen digits of every day: an unchanged run is not a worse one."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        scale = 10.0 ** rng.integers(-6, 7)
        exact = DaySums(total=rng.normal(0.0, scale, 60), count=rng.uniform(1.0, 9.0, 60))
        kept = DaySums(
            total=np.array([_rounded(x) for x in exact.total]),
            count=np.array([_rounded(x) for x in exact.count]),
        )
        plain = estimate(exact, DAY_NS, draw(rng, reps=100, n_days=60))
        shown = {name: getattr(plain, name) for name in ("value", "ci_low", "ci_high")}
        row = score(**shown)
        paired = pair({key_of(row): exact}, {key_of(row): kept})[key_of(row)]
        old = score(**{name: _rounded(number) for name, number in shown.items()})
        assert kinds(old, row, paired=paired, deciding=True) == []


def test_the_freedom_of_day_sums_is_kept_in_a_baseline(first, baseline):
    held, kept = open_run(first).days(), load_baseline(baseline).day_sums()
    assert {key: held[key].freedom for key in kept} == {k: d.freedom for k, d in kept.items()}
    assert DayRow(row=["r"] * 6, first_day=0, total=[1.0], count=[1.0]).freedom == 1.0


@pytest.mark.parametrize(
    ("base", "new", "comparable"),
    [
        ({"a": None}, {"a": 1}, False),
        ({}, {"a": 1}, True),
        ({}, {"a": None}, True),
        ({"a": None}, {"a.b": 1}, False),
    ],
)
def test_a_null_is_a_value_and_an_absent_key_is_none(base, new, comparable):
    of = {"tape": {}, "estimators": {}, "versions": {}, "code": "c", "lock": "l"}
    found = identity_differences(Identity(config=base, **of), Identity(config=new, **of))
    assert found
    assert all(difference.comparable for difference in found) == comparable


def test_missing_and_new_rows(first, baseline, tmp_path):
    def fewer(days: Any, rows: list[Any]) -> Any:
        return days, [r for r in rows if named(r) != MAGNET]

    without = rewritten(first, tmp_path / "without", fewer)
    report = check(open_run(without), load_baseline(baseline))
    assert [(f.kind, f.key[1:]) for f in report.findings] == [("missing", MAGNET)]
    assert not report.passed
    accepted = tmp_path / "fewer.json"
    update_baseline(open_run(without), accepted, "a row taken out for the test")
    again = check(open_run(first), load_baseline(accepted))
    assert [(f.kind, f.key[1:]) for f in again.findings] == [("new", MAGNET)]
    assert again.passed


def test_another_verdict_fails(first, baseline):
    run = open_run(first)
    other = run.verdicts[0]
    words = [w for w in type(other.word) if w != other.word]
    changed = replace(run, verdicts=(replace(other, word=words[0]), *run.verdicts[1:]))
    report = check(changed, load_baseline(baseline))
    assert report.verdicts == ((other.claim, other.word.value, words[0].value),)
    assert not report.passed
    silent = check(replace(run, verdicts=()), load_baseline(baseline))
    assert silent.verdicts == tuple((v.claim, v.word.value, "absent") for v in run.verdicts)
    assert not silent.passed


def test_another_tape_or_configuration_is_not_comparable(
    monkeypatch, capsys, home, first, baseline, tmp_path
):
    other = EXPERIMENT.replace("seed: 2", "seed: 9").replace("warm_up: 5d", "warm_up: 6d")
    yaml = write(tmp_path / "other", REFERENCE, other)
    run = run_experiment(yaml, tmp_path / "r").path
    code, out, err = call(monkeypatch, capsys, "check", run, "--baseline", baseline)
    assert (code, out) == (2, "")
    assert "the tape of SIM" in err
    assert "schedule.warm_up ('5d' -> '6d')" in err
    assert "--across-tapes" in err
    assert len(err.splitlines()) == 1
    report = check(open_run(run), load_baseline(baseline), across_tapes=True)
    assert not report.same_tape
    for found in report.findings:
        assert found.kind in {"loss", "missing", "lost", "new"}
        assert found.paired is None or found.paired.ci_high < 0


def test_renewing_keeps_the_reasons_and_what_changed(first, baseline, tmp_path):
    def more(days: Any, rows: list[Any]) -> Any:
        for row in rows:
            if named(row) == MAGNET:
                row["value"] += 0.03
        return days, rows

    better = rewritten(first, tmp_path / "better", more)
    report = check(open_run(better), load_baseline(baseline))
    assert [(f.kind, f.key[1:]) for f in report.findings] == [("gain", MAGNET)]
    assert report.passed
    update_baseline(open_run(better), baseline, "an improvement,\n made up")
    held = load_baseline(baseline)
    assert [change.reason for change in held.history] == [
        "first accepted figures",
        "an improvement, made up",
    ]
    [moved] = held.history[-1].changed
    assert moved.row.endswith(" magnet pooled 24h both mirror_lift")
    assert moved.new - moved.old == pytest.approx(0.03, abs=1e-5)
    assert check(open_run(better), held).findings == ()
    assert check(open_run(first), held).findings[0].kind == "loss"


def test_a_baseline_has_no_clock_in_it(first, baseline, tmp_path):
    other = tmp_path / "again.json"
    update_baseline(open_run(first), other, "first accepted figures")
    assert other.read_bytes() == baseline.read_bytes()


def test_a_renewal_that_cannot_be_written_leaves_what_was_there(first, baseline, monkeypatch):
    before = baseline.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("liqbt.gate.baseline.os.fsync", full)
    with pytest.raises(DataError, match="cannot be written"):
        update_baseline(open_run(first), baseline, "this will not be kept")
    assert baseline.read_bytes() == before
    assert [p.name for p in baseline.parent.iterdir()] == [baseline.name]


@pytest.mark.parametrize("reason", ["", "because", "x" * 401])
def test_a_renewal_needs_a_reason(first, tmp_path, reason):
    with pytest.raises(DataError, match="why the new figures are right"):
        update_baseline(open_run(first), tmp_path / "b.json", reason)
    assert not (tmp_path / "b.json").exists()


def test_a_baseline_of_another_experiment_is_not_overwritten(first, baseline):
    text = baseline.read_text().replace('"experiment": "gated"', '"experiment": "other"')
    baseline.write_text(text)
    with pytest.raises(DataError, match="is the baseline of other"):
        update_baseline(open_run(first), baseline, "a reason that is long enough")
    assert baseline.read_text() == text


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: "", "not the JSON of a baseline"),
        (lambda t: t[: len(t) // 2], "not the JSON of a baseline"),
        (lambda _: "[" * 100_000, "not the JSON of a baseline"),
        (lambda _: "[]", "not a baseline"),
        (lambda _: "null", "not a baseline"),
        (lambda _: "{}", "not a baseline: key 'format'"),
        (lambda t: t.replace("liqbt baseline 2", "liqbt baseline 1"), "'format'"),
        (lambda t: t.replace('"value": ', '"value": NaN, "valve": ', 1), "it holds NaN"),
        (lambda t: t.replace('"value": ', '"value": 1e999, "valve": ', 1), "did you mean 'value'"),
        (lambda t: t.replace('"value": ', '"value": "many", "valve": ', 1), "did you mean 'value'"),
        (lambda t: t.replace('"value": ', '"value": 1, "value": ', 1), "there twice"),
        (lambda t: t.replace('"n_episodes": ', '"n_episodes": -', 1), "scores.0.n_episodes"),
        (lambda t: t.replace('"claim": "visit", ', "", 1), "scores.0.claim"),
        (lambda t: t.replace('"side": "long"', '"side": "both"'), "is there twice"),
        (lambda t: t.replace('"count": [', '"count": [1, ', 1), "totals and"),
        (lambda t: t.replace('"history"', '"histories"'), "history"),
        (lambda t: t.replace('"config": {', '"config": 7, "x": {'), "config"),
        (lambda t: t.encode("utf-16"), "not the JSON of a baseline"),
        (lambda _: b"\x00\xff\xfe", "not the JSON of a baseline"),
    ],
)
def test_a_hostile_baseline_is_refused_in_one_sentence(
    monkeypatch, capsys, first, baseline, spoil, says
):
    spoiled = spoil(baseline.read_text())
    baseline.write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
    before = baseline.read_bytes()
    accept = ("baseline", "update", first, "--reason", "a reason that is long enough")
    for command in (("check", first), accept):
        code, out, err = call(monkeypatch, capsys, *command, "--baseline", baseline)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert str(baseline) in err
        assert says in err
    assert baseline.read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "absent"])
def test_a_baseline_that_is_no_file(monkeypatch, capsys, first, tmp_path, kind):
    path = tmp_path / "b.json"
    if kind == "folder":
        path.mkdir()
    code, _, err = call(monkeypatch, capsys, "check", first, "--baseline", path)
    assert (code, len(err.splitlines())) == (2, 1)


def test_an_altered_run_is_refused(first, baseline, tmp_path):
    altered = tmp_path / "altered"
    shutil.copytree(first, altered)
    text = (altered / "metrics.json").read_text()
    (altered / "metrics.json").write_text(text.replace('"value": 0.', '"value": 0.9', 1))
    with pytest.raises(DataError, match=r"metrics\.json: not as the run wrote it"):
        open_run(altered)
    (altered / "manifest.json").write_text("[1]")
    with pytest.raises(DataError, match="not the folder of a whole run"):
        open_run(altered)


def test_altered_day_sums_are_refused(first, tmp_path):
    altered = tmp_path / "altered"
    shutil.copytree(first, altered)
    shutil.copyfile(altered / "prices.parquet", altered / "days.parquet")
    with pytest.raises(DataError, match=r"days\.parquet: not as the run wrote it"):
        open_run(altered)


def test_nothing_is_accepted_without_a_reason(monkeypatch, capsys, first, tmp_path):
    for word in ("add", "update"):
        arguments = ("baseline", word, first, "--baseline", tmp_path / "b.json")
        code, _, err = call(monkeypatch, capsys, *arguments)
        assert (code, "--reason" in err) == (2, True)
    update = ("baseline", "update", first, "--baseline", tmp_path / "b.json", "--reason", "x" * 12)
    code, _, err = call(monkeypatch, capsys, *update)
    assert (code, "liqbt baseline add writes it" in err) == (2, True)


def test_what_was_accepted_is_read_back_acceptance_by_acceptance(first, tmp_path):
    """A row that moved twice has three values, one that is new has one."""
    path = tmp_path / "b.json"
    update_baseline(open_run(first), path, "first accepted figures")
    kept = load_baseline(path)
    deciding = ("pooled", "24h", "both", "level_lift")
    row = next(r for r in kept.scores if key_of(r.score())[2:] == deciding)
    name = " ".join(key_of(row.score()))
    old = kept.history[0]
    steps = [
        old.model_copy(update={"changed": [Moved(row=name, old=a, new=b)]})
        for a, b in ((0.25, 0.5), (0.5, row.value))
    ]
    moved = kept.model_copy(update={"history": [old, *steps]})
    (trend,) = (t for t in trends(moved) if t["statistic"] == "level_lift")
    scale = statistic_of("level_lift").unit.scale
    assert trend["values"] == [0.25 * scale, 0.5 * scale, row.value * scale]
    new = kept.model_copy(update={"history": [old, old.model_copy(update={"added": [name]})]})
    (trend,) = (t for t in trends(new) if t["statistic"] == "level_lift")
    assert trend["values"] == [None, row.value * scale]
    assert history_text(moved).splitlines()[0].endswith("accepted 3 times")


def test_ci_is_shown_the_cause_first_and_a_test_for_each_row(
    first, baseline, tmp_path, monkeypatch, capsys
):
    def worse(sums, rows):
        for row in rows:
            if named(row) == MAGNET:
                row["value"] -= 0.05
        return sums, rows

    run = rewritten(first, tmp_path / "worse", worse)
    shown, junit = tmp_path / "shown.md", tmp_path / "out" / "junit.xml"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shown))
    code, out, _ = call(monkeypatch, capsys, "check", run, "--baseline", baseline, "--junit", junit)
    assert code == 1
    said = out.splitlines()
    assert said[0].startswith("FAILED")
    assert said[1] == "  cause: nothing that a run is made of changed; the forecasts are the same"
    text = shown.read_text()
    assert text.startswith("### gated: FAILED")
    assert text.index("Cause:") < text.index("| row |") < text.index(" ".join(MAGNET))
    suite = ElementTree.parse(junit).getroot()[0]
    kept = load_baseline(baseline)
    assert int(suite.get("tests")) == len(suite) == len(kept.scores)
    failed = [case.get("name") for case in suite if len(case)]
    assert failed
    assert any(" ".join(MAGNET) in name for name in failed)
    assert int(suite.get("failures")) == len(failed)
    assert call(monkeypatch, capsys, "check", first, "--baseline", baseline)[0] == 0
    assert shown.read_text().startswith(text)
    assert "PASSED" in shown.read_text()[len(text) :]


def test_the_stored_day_sums_reproduce_every_row(first):
    run = open_run(first)
    held = run.days()
    valued = [row for row in run.scores if np.isfinite(row.value)]
    assert {key_of(row) for row in valued} == set(held)
    assert len(valued) >= 40
    for row in valued:
        days = held[key_of(row)]
        total = days.total.sum()
        value = total if statistic_of(row.statistic).total else total / days.count.sum()
        assert value == pytest.approx(row.value, abs=1e-12)
        assert (days.units, days.n_days) == (row.n_episodes, row.n_days)
        null = 0.0 if days.null is None else days.null.sum() / days.count.sum()
        assert null == pytest.approx(row.null, abs=1e-12)
    assert 0.0 < min(days.freedom for days in held.values()) < 1.0, "some fit parameters"
    assert {row.statistic for row in valued if held[key_of(row)].hits is not None}


def test_the_stored_day_sums_of_visits_are_those_of_the_outcomes(first):
    """Counted anew from the table of outcomes, episode by episode."""
    run = open_run(first)
    held, outcomes = run.days(), run.outcomes().to_pylist()
    other = {"hit_rate": None, "brownian_lift": "brownian", "mirror_lift": "mirror_visited"}
    known = 0
    for row in run.scores:
        name = row.statistic.removesuffix("_densest").removesuffix("_dense")
        if name not in other:
            continue
        born = "densest_birth" if row.statistic.endswith("_densest") else "birth"
        sums: dict[int, list[float]] = {}
        for one in outcomes:
            if (
                one["horizon_ns"] == {"4h": 4, "24h": 24}[row.horizon] * HOUR_NS
                and one["side"] in {"long": (1,), "short": (-1,)}.get(row.side, (1, -1))
                and one[born]
                and one["censor"] == 0
                and (not row.statistic.endswith("_dense") or one["density_rank"] > 0.8)
            ):
                day = sums.setdefault(one["at"] // DAY_NS, [0.0, 0.0])
                day[0] += one["visited"] - (one[other[name]] if other[name] else 0.0)
                day[1] += 1.0
        days = held[key_of(row)]
        for i, sums_of in enumerate(zip(days.total, days.count, strict=True)):
            expected = sums.pop(days.first_day + i, [0.0, 0.0])
            assert sums_of == pytest.approx(tuple(expected), abs=1e-9)
        assert not sums
        known += 1
    assert known == 2 * 2 * 3 * 5


def test_day_sums_of_levels_that_no_map_draws_are_those_of_their_rows(first):
    run = open_run(first)
    rows = [score for score in run.scores if score.statistic.startswith("visit_gain")]
    found = row_days(run, map(key_of, rows))
    assert UNITS in {key[1:] for key in found}
    assert len(found) == len(rows) == 4
    for row in rows:
        days = found[key_of(row)]
        assert days.count.sum() == row.n_episodes > 40
        assert days.total.sum() / days.count.sum() == pytest.approx(row.value, abs=1e-12)


def test_two_maps_are_held_apart_on_levels_that_neither_draws():
    """The interval of the difference decides, and so does a loss beyond 0.002 nats."""
    claim, symbol, horizon, side, statistic = UNITS
    named = {"claim": claim, "symbol": symbol, "horizon": horizon, "side": side}
    assert statistic_of(statistic).tolerance == statistic_of("first_side_gain").tolerance == 0.002
    base = replace(score(), **named, statistic=statistic, value=0.010, n_episodes=800)

    def kinds_of(value, low, high, *, n=800, old=base, paired=True):
        new = replace(old, value=value, n_episodes=n)
        interval = PairedDifference(value=value - 0.010, ci_low=low, ci_high=high, n_days=96)
        return [f.kind for f in _by_interval(old, new, interval if paired else None)]

    assert kinds_of(0.009, -0.003, 0.001) == []
    assert kinds_of(0.009, -0.0015, -0.0005) == ["loss"]
    assert kinds_of(0.007, -0.008, 0.002) == ["loss"]
    assert kinds_of(0.010, -0.001, 0.001, n=790) == ["count"]
    other = replace(base, statistic="first_side_gain", claim="direction")
    assert kinds_of(0.007, -0.008, 0.002, old=other) == []
    assert kinds_of(0.007, -0.008, 0.002, paired=False) == []


@pytest.mark.parametrize(
    ("key", "decides"), [("asymmetry_reach: 0.2", True), ("sigma_window: 2d", False)]
)
def test_levels_that_no_map_draws_decide_where_only_the_map_differs(
    monkeypatch, baseline, tmp_path, key, decides
):
    """Another σ places them elsewhere: what they score is then no matter of the map."""
    asked = []

    def noting(base, new, paired):
        asked.append((key_of(base)[1:], paired))
        return []

    other = EXPERIMENT.replace(':Mine"}', f':Mine", {key}}}')
    run = run_experiment(write(tmp_path / "other", REFERENCE, other), tmp_path / "r").path
    monkeypatch.setattr(sys.modules["liqbt.gate.check"], "_by_interval", noting)
    check(open_run(run), load_baseline(baseline), across_tapes=True)
    found = dict(asked)
    assert (UNITS in found) == decides
    assert not decides or found[UNITS] is not None
    assert any(name[0] == "magnet" for name in found)


def test_two_runs_side_by_side(monkeypatch, capsys, first, tmp_path):
    found = compare(open_run(first), open_run(first))
    assert found.identity == ()
    assert all(each.equal for each in found.forecasts.values())
    assert not any(row.differs for row in found.rows)
    text = EXPERIMENT.replace('Mine"}', 'Mine", prominence: 0.3}')
    other = run_experiment(write(tmp_path / "o", REFERENCE, text), tmp_path / "r").path
    code, out, _ = call(monkeypatch, capsys, "compare", first, other)
    assert code == 0
    assert "prominence (0.1 -> 0.3)" in out
    assert "differs in 'clusters'" in out
    code, out, _ = call(monkeypatch, capsys, "compare", first, other, "--json")
    value = json.loads(out)
    row = next(r for r in value["rows"] if named(r) == MAGNET)
    assert not row["same"]
    assert row["change"] == pytest.approx(row["b"]["value"] - row["a"]["value"])
    assert row["paired"]["value"] == pytest.approx(row["change"])
    assert value["forecasts"]["SIM"]["field"] == "clusters"


def test_compare_needs_two_runs(monkeypatch, capsys, first, tmp_path):
    code, _, err = call(monkeypatch, capsys, "compare", first, tmp_path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert {key_of(s)[1:] for s in open_run(first).scores} >= {MAGNET}
