"""A whole run on a small simulated market: complete, atomic, reused, the same bytes again."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from shell import call
from toys import toy_tape

from liqbt.errors import AlreadyRunningError, ConfigError, DataError, LiqbtError, MarginError
from liqbt.estimators.base import registered_estimators
from liqbt.forecasts import forecast_bytes, forecasts_digest
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.study import store
from liqbt.study.estimators import build_estimator
from liqbt.study.events import simulate_world
from liqbt.study.pipeline import forecast_times, scored_from
from liqbt.study.run import run_experiment
from liqbt.study.schema import MarketConfig, demo_experiment, load_experiment, with_estimator
from liqbt.study.store import load_run, run_lock
from liqbt.study.summary import describe_market, log_info
from liqbt.study.worlds import load_world
from liqbt.study.written import is_intact, verify_run
from liqbt.tape.build import build_tape, tape_from_tables
from liqbt.tape.values import Selection, tape_from_events
from liqbt.types import DAY_NS, MINUTE_NS, Instrument, Kind, Score

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n"
EXPERIMENT = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  SIM:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
      bar: simulated/SIM
      liquidation: simulated/SIM
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d}
evaluation: {bootstrap_reps: 200}
seed: 3
"""


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "world.yaml").write_text(WORLD)
    (folder / "small.yaml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def run(home):
    return run_experiment(home / "small.yaml", home / "results")


def test_a_run_is_complete(run):
    assert run.path.name == run.run_id
    assert set(files(run.path)) >= {
        "manifest.json",
        "config.yaml",
        "metrics.json",
        "tables.json",
        "forecasts.parquet",
        "outcomes.parquet",
        "first_sides.parquet",
        "prices.parquet",
    }
    rows = json.loads((run.path / "metrics.json").read_text())
    assert {tuple(row) for row in rows} == {tuple(Score.__dataclass_fields__)}
    assert {row["horizon"] for row in rows} == {"1h", "4h", "24h", "7d"}
    assert {m["cascades_from"] for m in run.manifest["symbols"].values()} == {"liquidations"}
    assert {"hit_rate", "brownian_lift", "mirror_lift", "first_side_skill", "first_side_gain"} <= {
        row["statistic"] for row in rows
    }
    assert {v.word.value for v in run.verdicts} <= {"withheld", "not testable on this data"}
    assert run.manifest["planted"]["magnet"] == 1.0


def test_every_hit_rate_has_its_null_beside_it(run):
    rates = [s for s in run.scores if s.statistic == "hit_rate" and s.n_episodes]
    assert rates
    assert all(0 < s.null < 1 for s in rates)


def test_nothing_before_the_warm_up_is_scored(run):
    known = [f.at for f in run.forecasts("SIM")]
    scored = run.outcomes()["at"].to_numpy()
    assert scored.min() >= known[0] + 3 * DAY_NS
    first = json.loads((run.path / "manifest.json").read_text())["symbols"]["SIM"]["first"]
    assert np.datetime64(int(scored.min()), "ns") >= np.datetime64(first[:-1]) + np.timedelta64(
        5, "D"
    )


def test_the_manifest_holds_the_digest_of_every_other_file(run):
    found = files(run.path)
    found.pop("manifest.json")
    assert run.manifest["files"] == found


def test_a_finished_run_is_reused(home, run):
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    again = run_experiment(home / "small.yaml", home / "results")
    assert again.path == run.path
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before


def test_the_same_run_elsewhere_has_the_same_bytes(home, run, tmp_path):
    for name in ("world.yaml", "small.yaml"):
        (tmp_path / name).write_bytes((home / name).read_bytes())
    other = run_experiment(tmp_path / "small.yaml", tmp_path / "elsewhere")
    assert other.run_id == run.run_id
    assert files(other.path) == files(run.path)


def test_a_damaged_run_is_set_aside_and_made_again(home, tmp_path):
    first = run_experiment(home / "small.yaml", tmp_path)
    metrics = first.path / "metrics.json"
    honest = metrics.read_bytes()
    metrics.write_bytes(honest.replace(b'"value": 0.', b'"value": 0.9', 1))
    again = run_experiment(home / "small.yaml", tmp_path)
    assert (again.path / "metrics.json").read_bytes() == honest
    assert (again.path.parent / f"{first.run_id}.damaged-1").is_dir()
    (again.path / "manifest.json").write_text("{")
    assert files(run_experiment(home / "small.yaml", tmp_path).path) == files(again.path)


def test_an_estimator_beside_the_experiment_is_part_of_the_identity(tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "small.yaml").write_text(EXPERIMENT + 'estimator: {name: "own_estimator:Mine"}\n')
    module = tmp_path / "own_estimator.py"
    module.write_text("from liqbt.estimators import OIFlow\nclass Mine(OIFlow): pass\n")
    first = run_experiment(tmp_path / "small.yaml", tmp_path / "r")
    module.write_text("from liqbt.estimators import OIFlow\nclass Mine(OIFlow): changed = 1\n")
    assert run_experiment(tmp_path / "small.yaml", tmp_path / "r").run_id != first.run_id


def test_an_estimator_that_cannot_be_built_is_one_sentence(tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "small.yaml").write_text(EXPERIMENT + 'estimator: {name: "own_two:Mine"}\n')
    (tmp_path / "own_two.py").write_text("class Mine:\n    update = forecast = state = len\n")
    with pytest.raises(ConfigError, match="cannot be built from its parameters"):
        run_experiment(tmp_path / "small.yaml", tmp_path / "r")


def test_the_warm_up_begins_with_open_interest(home):
    experiment = load_experiment(home / "small.yaml")
    events = toy_tape(600).events
    later = events[(events["kind"] == Kind.MARK) | (events["ts_known"] >= events["ts_known"][800])]
    tape = tape_from_events(later, toy_tape(1).instruments)
    start = scored_from(experiment, "SIM", tape)
    assert start == int(tape.of(Kind.OPEN_INTEREST)["ts_known"][0]) + 5 * DAY_NS
    assert start > int(tape.events["ts_known"][0]) + 5 * DAY_NS


def test_another_seed_is_another_run(home, run, tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "small.yaml").write_text(EXPERIMENT.replace("\nseed: 3", "\nseed: 4"))
    other = run_experiment(tmp_path / "small.yaml", tmp_path / "results")
    assert other.run_id != run.run_id
    assert [s.value for s in other.scores if s.statistic == "hit_rate"] == [
        s.value for s in run.scores if s.statistic == "hit_rate"
    ]


def test_forecasts_come_back_bit_for_bit(run):
    issued = run.forecasts("SIM")
    assert forecasts_digest(issued) == run.manifest["forecasts"]["SIM"]
    assert len({forecast_bytes(f) for f in issued}) == len(issued)
    assert all(not f.clusters.flags.writeable for f in issued)


def test_a_finished_run_gets_the_report_of_this_version_and_keeps_all_else(
    home, tmp_path, monkeypatch
):
    def old(_run, folder):
        (folder / "report.html").write_text("old")
        (folder / "old.svg").write_text("a figure")

    def new(_run, folder):
        (folder / "report.html").write_text("new")

    first = run_experiment(home / "small.yaml", tmp_path / "results", finish=old)
    before = files(first.path)
    run_experiment(home / "small.yaml", tmp_path / "results", finish=new)
    assert files(first.path) == before  # of the same version: not written again
    monkeypatch.setattr(store, "report_digest", lambda: "another style sheet")
    assert files(run_experiment(home / "small.yaml", tmp_path / "results").path) == before
    again = run_experiment(home / "small.yaml", tmp_path / "results", finish=new)
    assert again.path == first.path
    assert (again.path / "report.html").read_text() == "new"
    after = files(first.path)
    own = {"report.html", "old.svg", "manifest.json"}
    assert {n: d for n, d in after.items() if n not in own} == {
        n: d for n, d in before.items() if n not in own
    }
    assert "old.svg" not in after
    assert is_intact(first.path)
    assert again.manifest["report"] == {"code": "another style sheet", "files": ["report.html"]}


def test_a_report_is_added_to_a_run_that_was_made_without_one(home, tmp_path):
    plain = run_experiment(home / "small.yaml", tmp_path / "results")
    assert "report" not in plain.manifest

    def report(_run, folder):
        (folder / "report.html").write_text("one")

    done = run_experiment(home / "small.yaml", tmp_path / "results", finish=report)
    assert (done.path / "report.html").read_text() == "one"
    assert is_intact(done.path)


def test_a_failing_report_leaves_nothing(home, tmp_path):
    def broken(_run, folder):
        (folder / "half.html").write_text("half")
        raise DataError("no report today")

    with pytest.raises(DataError, match="no report today"):
        run_experiment(home / "small.yaml", tmp_path, finish=broken)
    assert [p for p in (tmp_path / "small").iterdir() if p.name != ".locks"] == []


def test_two_at_once_is_said(home, run):
    refused = pytest.raises(AlreadyRunningError, match="another process")
    with run_lock(run.path), refused, run_lock(run.path):
        pass


def test_a_score_that_cannot_be_had_is_null_in_json_and_nan_in_python(run):
    raw = json.loads((run.path / "metrics.json").read_text())
    missing = [i for i, row in enumerate(raw) if row["ci_low"] is None]
    assert missing, "sixteen days are too short for an interval at seven days"
    assert all(math.isnan(run.scores[i].ci_low) for i in missing)


def test_no_run_folder_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"is .* the folder of a run"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("tables.json", b"{}", "not as the run wrote it"),
        ("manifest.json", b"[1]", "not the folder of a whole run"),
        ("manifest.json", b"{}", "not the folder of a whole run"),
        ("manifest.json", b'{"run_id": "1"}', "not as the run wrote it"),
        ("manifest.json", b"\xff\xfe\x00", "not readable as JSON"),
        ("metrics.json", b"3", "not as the run wrote it"),
        ("config.yaml", b"\xff\xfe\x00", "not as the run wrote it"),
    ],
)
def test_a_damaged_run_is_one_sentence(run, tmp_path, file, data, says):
    shutil.copytree(run.path, tmp_path / "r")
    (tmp_path / "r" / file).write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        load_run(tmp_path / "r")
    assert "\n" not in str(caught.value)


def test_no_byte_of_a_run_is_altered_unseen(run, tmp_path):
    """A bit of every file, wherever it lies: each reader names the file, and so does `verify`."""
    shutil.copytree(run.path, tmp_path / "r")
    folder = tmp_path / "r"
    reads = {
        "outcomes.parquet": lambda found: found.outcomes(),
        "first_sides.parquet": lambda found: found.first_sides(),
        "forecasts.parquet": lambda found: found.forecasts("SIM"),
        "prices.parquet": lambda found: found.prices("SIM"),
        "days.parquet": lambda found: found.days(),
        "visits.parquet": lambda found: found.visits(),
        "truth.json": lambda found: found.truth(),
        "truth_map.parquet": lambda found: found.true_map("SIM"),
    }
    draw = np.random.default_rng(5)
    names = {"manifest.json", *run.manifest["files"]}
    assert reads.keys() <= names
    for name in sorted(names):
        whole = (folder / name).read_bytes()
        for place in draw.integers(len(whole), size=3):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(draw.integers(8))
            (folder / name).write_bytes(flipped)
            if name in reads or name.endswith((".json", ".yaml")):
                with pytest.raises(DataError, match=re.escape(str(folder / name))):
                    reads.get(name, lambda _: None)(load_run(folder))
            if name != "manifest.json":
                assert verify_run(folder).altered == (name,)
            assert not is_intact(folder)
        (folder / name).write_bytes(whole)
    assert verify_run(folder).intact


def test_a_damaged_run_gets_no_new_report(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "r")
    found = load_run(tmp_path / "r")
    (tmp_path / "r" / "outcomes.parquet").write_bytes(b"")
    before = files(tmp_path / "r")
    with pytest.raises(DataError, match=r"outcomes\.parquet: not as the run wrote it"):
        store.write_report_again(found, lambda _run, folder: (folder / "a.html").write_text("a"))
    assert files(tmp_path / "r") == before
    (tmp_path / "r" / "prices.parquet").unlink()
    assert verify_run(tmp_path / "r").missing == ("prices.parquet",)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("observed", "observed"), "observed"),
        (("observed", "modelled"), "modelled"),
        (("modelled", "observed"), "modelled"),
    ],
)
def test_a_latency_is_observed_only_if_every_source_observed_it(tmp_path, said, expected):
    log = EventLog.create(tmp_path / "log")
    where = (Instrument("v", "A"),)
    for i, latency_is in enumerate(said):
        at = 1_700_000_000_000_000_000 + np.arange(5) * MINUTE_NS + i * DAY_NS
        clocks = {"ts_event": at, "ts_known": at + MINUTE_NS, "venue": "v", "symbol": "A"}
        prices = dict.fromkeys(("open", "high", "low", "close"), 100.0 + i)
        table = event_table(Kind.MARK, {**clocks, **prices})
        log.append([(Kind.MARK, table)], {"file": str(i), "latency_is": latency_is})
    tape = build_tape(log, Selection(kinds={Kind.MARK: where}))
    market = MarketConfig.model_validate(
        {"events": {"mark": "v/A", "open_interest": "v/A"}, "margin": {"tiers": "BTCUSDT"}}
    )
    told = describe_market(market, tape, log)["latency"]
    (latency,) = (row for row in told if row["kind"] == "mark")
    assert (latency["is"], latency["latency_s"]) == (expected, 60.0)


def test_the_embedded_demo_is_the_shipped_one(root):
    assert demo_experiment().read_bytes() == (root / "experiments/demo.yaml").read_bytes()


# censuses are not among this world's events; of the rivals, who are alike, one is tried
NAMED = {"fresh_kernel"} | {
    name
    for name, kind in registered_estimators().items()
    if Kind.POSITION not in kind.needs and ".rivals." not in kind.__module__
}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_named_estimator_can_be_built_and_replayed(home, name):
    experiment = with_estimator(load_experiment(home / "small.yaml"), name)
    tables = simulate(load_world(home / "world.yaml"), seed=3).tables
    tape = tape_from_tables(tables, Selection(kinds=dict(experiment.symbols["SIM"].events)))
    times = forecast_times(experiment, tape)
    assert len(replay(tape, build_estimator(experiment, "SIM"), times)) > 100


@pytest.mark.parametrize("name", ["fresh_kernel", "levmix", "time_shift"])
def test_a_named_estimator_runs(home, name, tmp_path):
    text = EXPERIMENT + f"estimator: {{name: {name}, shift_days: 1}}\n"
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "small.yaml").write_text(text.replace("name: small", f"name: {name}", 1))
    run = run_experiment(tmp_path / "small.yaml", tmp_path / "results")
    assert len(run.forecasts("SIM")) > 100


def test_an_unknown_estimator_names_the_nearest(home):
    experiment = load_experiment(home / "small.yaml")
    with pytest.raises(ConfigError, match="did you mean 'oi_flow'"):
        build_estimator(with_estimator(experiment, "oi-flow"), "SIM")
    with pytest.raises(ConfigError, match="cannot be imported"):
        build_estimator(with_estimator(experiment, "nowhere:Thing"), "SIM")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("simulated/SIM\n      open", "simulated/SIN\n      open"), "SIN"),
        (("BTCUSDT", "BTCUSD"), "did you mean 'BTCUSDT'"),
        (("world.yaml", "none.yaml"), "none.yaml: cannot be read"),
        (("warm_up: 5d", "warm_up: 5d, start: 2099-01-01"), "period|event"),
        (("warm_up: 5d", "warm_up: 90d"), "warm-up"),
    ],
)
def test_what_cannot_run_is_one_sentence(tmp_path, change, says):
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "small.yaml").write_text(EXPERIMENT.replace(*change))
    with pytest.raises(LiqbtError, match=says) as caught:
        run_experiment(tmp_path / "small.yaml", tmp_path / "results")
    assert "\n" not in str(caught.value)


def test_a_simulated_log_holds_no_truth(home, tmp_path):
    simulate_world(home / "world.yaml", seed=1, log_dir=tmp_path / "log", truth_dir=tmp_path / "t")
    assert set(log_info(tmp_path / "log")["kinds"]) == {
        "bar",
        "mark",
        "open_interest",
        "liquidation",
        "liquidation_total",
        "funding",
    }
    assert {p.name for p in (tmp_path / "t").iterdir()} >= {"SIM-positions.parquet"}


def test_a_leverage_whose_margin_is_all_that_must_be_kept_is_refused(tmp_path):
    path = tmp_path / "own.yaml"
    for most, found in ((100000, "100000"), (250, "250"), (0.5, "0.5")):
        path.write_text(
            "name: own\ndata: {log: log}\nsymbols:\n  AAA:\n    events: {mark: a/X}\n"
            f"    margin: {{flat_rate: 0.004, max_leverage: {most}}}\n"
        )
        with pytest.raises(ConfigError, match=rf"'max_leverage': found {found}; .* below 250, "):
            load_experiment(path)


def test_a_leverage_that_a_venue_does_not_allow_names_its_key_and_every_market_alike(tmp_path):
    path = tmp_path / "alts.yaml"
    low = "margin: {flat_rate: 0.0125, max_leverage: 50}"
    market = "events: {mark: a/X, open_interest: a/X}"
    path.write_text(
        f"name: alts\ndata: {{log: log}}\nsymbols:\n  AAA: {{{market}, {low}}}\n"
        f"  BBB: {{{market}, margin: {{tiers: BTCUSDT}}}}\n  CCC: {{{market}, {low}}}\n"
        "estimators: {ref: {use: oi_flow}}\n"
    )
    experiment = load_experiment(path)
    with pytest.raises(MarginError) as caught:
        build_estimator(experiment, "CCC")
    said = str(caught.value)
    assert said.startswith("alts: CCC: bracket 100x of 10000 USD is above the maximum leverage")
    assert "change 'estimators.ref.params.brackets', or set 'estimators.ref.params.above_m" in said
    assert said.endswith("; of several markets alike: AAA, CCC")


def test_horizons_that_nothing_can_be_watched_over_are_refused(monkeypatch, capsys, tmp_path):
    (tmp_path / "w.yaml").write_text("name: w\ndays: 12\nwarmup_days: 3\n")
    (tmp_path / "x.yaml").write_text(
        "name: x\ndata: {world: w.yaml, seed: 1}\n"
        "symbols:\n  SIM:\n    events: {mark: simulated/SIM, open_interest: simulated/SIM}\n"
        "    margin: {tiers: BTCUSDT}\n"
        "schedule: {warm_up: 5d, every: 12h}\nevaluation: {horizons: [90d]}\n"
    )
    arguments = ("run", tmp_path / "x.yaml", "--results", tmp_path / "r")
    code, _, err = call(monkeypatch, capsys, *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "evaluation.horizons: 90d is longer than the data: prices end" in err
