"""Registration: dated once, told by runs; a holdout opened by what was registered, and counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from direction_world import landmarks
from evaluation_world import evidence_with
from shell import call

from liqbt.config.fields import instant_ns
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.first_passage import FIRST_SIDE_DTYPE
from liqbt.learn.models import predict_landmarks
from liqbt.learn.walk import ModelOptions
from liqbt.log.store import EventLog
from liqbt.registry.registrations import PARTS, holdout_ledger
from liqbt.report.notes import registration_sentences
from liqbt.study.events import simulate_world
from liqbt.study.published.markets import score_options
from liqbt.study.published.score import score_forecasts
from liqbt.study.run import run_experiment
from liqbt.study.unseal import register_experiment, unseal_experiment
from liqbt.types import DAY_NS, HOUR_NS, Kind

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 20\nwarmup_days: 5\nmagnet: 1.0\n"
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
schedule: {warm_up: 3d}
evaluation: {bootstrap_reps: 200, horizons: [4h, 24h]}
seed: 3
"""
SEALED = "holdout: {start: 2025-01-13, end: 2025-01-20}\n"
START, END = instant_ns("2025-01-13"), instant_ns("2025-01-20")
DAY, LATER = date(2026, 1, 5), date(2026, 2, 6)


def write(folder: Path, text: str = EXPERIMENT + SEALED, name: str = "small") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.yaml").write_text(WORLD)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A run that was not registered, and then its registration."""
    folder = tmp_path_factory.mktemp("register")
    path = write(folder)
    run_experiment(path, folder / "results")
    register_experiment(path, folder / "results", on=DAY)
    return folder


@pytest.fixture(scope="module")
def card(home):
    (path,) = (home / "results/registrations/small").glob("*.json")
    return path


@pytest.fixture(scope="module")
def opened(home, card):
    """Two openings, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)
        return [
            unseal_experiment(home / "small.yaml", home / "results", reason=reason, on=on)
            for reason, on in (("as\n planned", DAY), ("again", LATER))
        ]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_registration_says_what_it_fixes_and_when(card):
    said = json.loads(card.read_text())
    assert said["date"] == "2026-01-05"
    assert said["hash"] == card.stem
    assert tuple(said["fixed"]) == PARTS
    assert set(said["fixed"]["claims"]) == {claim.id for claim in CLAIMS}
    assert said["holdout"]["start"] == "2025-01-13T00:00:00+00:00"
    assert said["of"] == ["world small seed 3: simulated/SIM"]
    assert said["configuration"]["evaluation"]["horizons"] == ["4h", "24h"]
    assert said["before"] == {"runs": 1, "deviating": {}, "read_holdout": 0}
    assert card.read_text().count("\n") > 40, "people read it"
    assert [p.name for p in card.parent.iterdir() if p.suffix == ".tmp"] == []


def test_registered_once_more_nothing_changes(home, card):
    before = files(card.parent)
    found, file, new = register_experiment(home / "small.yaml", home / "results", on=LATER)
    assert (file, new, found.date) == (card, False, "2026-01-05")
    assert files(card.parent) == before


def test_a_run_says_that_it_is_registered_and_what_it_deviates_in(home, card, tmp_path):
    run = run_experiment(home / "small.yaml", home / "results")
    assert run.manifest["registration"]["deviations"] == []
    assert f"Registered 2026-01-05, {card.stem}: nothing deviates." in registration_sentences(run)
    other = write(tmp_path, (EXPERIMENT + SEALED).replace("reps: 200", "reps: 300"))
    run = run_experiment(other, home / "results")
    assert run.manifest["registration"]["deviations"] == ["configuration"]
    told = " ".join(registration_sentences(run))
    assert "deviates from registration" in told
    assert "in the configuration" in told
    assert "sealed" in told


def test_a_run_that_left_its_seal_out_deviates_and_is_in_the_trial_ledger(home, tmp_path):
    results = tmp_path / "results"
    loose = run_experiment(write(tmp_path / "loose", EXPERIMENT), results)
    assert "holdout" not in loose.manifest
    assert "holdout" not in loose.config
    found, _, _ = register_experiment(home / "small.yaml", results, on=DAY)
    assert found.before == {
        "runs": 1,
        "deviating": {"configuration": 1, "tape": 1},
        "read_holdout": 1,
    }
    run = run_experiment(tmp_path / "loose/small.yaml", results)
    assert run.manifest["registration"]["deviations"] == ["configuration", "tape"]
    told = " ".join(registration_sentences(run))
    assert "1 had read events of the holdout" in told
    assert "sealed" not in told


def test_without_any_registration_a_run_is_what_it_was(home, tmp_path):
    run = run_experiment(write(tmp_path, EXPERIMENT), tmp_path / "r")
    assert {"registration", "holdout"} & set(run.manifest) == set()
    assert "registration" not in run.manifest["hashes"]
    assert registration_sentences(run)[0].startswith("This run is not registered")


@pytest.mark.parametrize("name", ["small", "other"])
def test_an_overlapping_registration_is_refused_and_names_both(home, card, tmp_path, name):
    text = (EXPERIMENT + SEALED).replace("reps: 200", "reps: 400").replace("01-13", "01-17")
    path = write(tmp_path, text.replace("name: small", f"name: {name}").replace("01-20", "01-22"))
    before = files(home / "results/registrations")
    with pytest.raises(ConfigError, match="overlaps") as caught:
        register_experiment(path, home / "results", on=LATER)
    assert card.stem in str(caught.value)
    assert str(caught.value).startswith(f"{name}: its holdout 2025-01-17")
    assert files(home / "results/registrations") == before


@pytest.mark.parametrize(
    "change", [("13, end: 2025-01-20", "20, end: 2025-01-21"), ("d: 3}", "d: 4}")]
)
def test_another_period_or_another_market_may_be_registered(home, card, tmp_path, change):
    results = tmp_path / "results"
    copied = results / "registrations/small" / card.name
    copied.parent.mkdir(parents=True)
    copied.write_bytes(card.read_bytes())
    text = (EXPERIMENT + SEALED).replace(*change).replace("name: small", "name: other")
    _, _, new = register_experiment(write(tmp_path, text), results, on=DAY)
    assert new


def test_an_edited_registration_is_bad_input(home, card, tmp_path):
    copied = tmp_path / "results/registrations/small" / card.name
    copied.parent.mkdir(parents=True)
    whole = card.read_text()
    for damaged, says in (
        (whole.replace('"bootstrap_reps": 200', '"bootstrap_reps": 201'), "not what its hash says"),
        (whole.replace('"lock": "', '"lock": "0'), "not what its hash says"),
        (whole.replace("2026-01-05", "2025-01-05"), "not what its hash says"),
        (whole[:-9], "not a registration"),
        ("[]", "not a registration"),
    ):
        assert damaged != whole
        copied.write_text(damaged)
        with pytest.raises(DataError, match=says):
            run_experiment(home / "small.yaml", tmp_path / "results")


def test_an_opening_is_counted_and_told(home, card, opened):
    (first, one), (second, two) = opened
    assert [(o.number, o.date, o.reason) for o in (one, two)] == [
        (1, "2026-01-05", "as planned"),
        (2, "2026-02-06", "again"),
    ]
    assert holdout_ledger(home / "results", "small") == [one, two]
    assert (one.run_id, two.run_id) == (first.run_id, second.run_id)
    assert one.hash == card.stem
    assert first.manifest["holdout"]["state"] == "unsealed"
    assert "unsealed 1 time by then. Reason: as planned." in registration_sentences(first)[0]
    assert "unsealed 2 times by then. Reason: again." in registration_sentences(second)[0]
    sealed = run_experiment(home / "small.yaml", home / "results")
    assert sealed.manifest["holdout"]["state"] == "sealed"
    assert "unsealed 2 times before this run" in registration_sentences(sealed)[-1]


def test_only_what_is_issued_within_the_holdout_is_scored_warmed_up_by_what_came_before(
    home, opened, tmp_path
):
    run = opened[0][0]
    for rows in (run.outcomes(), run.first_sides()):
        at = rows["at"].to_numpy()
        assert START <= at.min() <= at.max() < END
    assert np.isfinite(run.first_sides()["theta"].to_numpy()).all()
    assert run.first_sides()["theta"].to_numpy()[0] != 0.0, "it had learnt before the holdout"
    assert run.prices("SIM")["ts"].max() < END
    assert run.flow[0]["scored"] > 10
    whole = EXPERIMENT.replace("warm_up: 3d", "warm_up: 3d, end: 2025-01-20")
    plain = run_experiment(write(tmp_path, whole), tmp_path / "r")
    assert run.manifest["forecasts"] == plain.manifest["forecasts"], "point in time, to the bit"
    assert run.manifest["symbols"]["SIM"]["tape"] == plain.manifest["symbols"]["SIM"]["tape"]


def test_the_truth_of_a_sealed_market_is_kept_back(home, opened):
    sealed = run_experiment(home / "small.yaml", home / "results")
    assert sealed.truth() is None
    assert opened[0][0].truth() is not None


def test_what_was_issued_before_is_learnt_from_and_not_scored():
    """Of each horizon its own; without any it is a calibration of what is scored alone."""
    rows = np.zeros(3, FIRST_SIDE_DTYPE)
    rows["at"], rows["horizon_ns"] = [7, 8, 9], DAY_NS
    rows["matured_ns"], rows["q_up"], rows["q_down"] = rows["at"] + 1, 0.5, 0.5
    rows["asymmetry"], rows["scored"], rows["outcome"] = 0.5, True, -1
    early = np.concatenate([rows, rows])
    early["at"], early["matured_ns"] = np.arange(6), 7
    early["horizon_ns"][3:] = 2 * DAY_NS
    found = {}
    for name, training in {"none": None, "all": early, "its own": early[:3]}.items():
        evidence = evidence_with("A", [], EvaluationConfig(horizons_ns=(DAY_NS,)))
        seen = evidence.observed
        vars(evidence)["observed"] = replace(seen, first_sides=rows)
        past = None if training is None else replace(seen, first_sides=training)
        vars(evidence)["trained"] = past
        found[name] = evidence.first_sides
    for one in found.values():
        np.testing.assert_array_equal(one["at"], rows["at"])
    assert found["none"]["theta"][0] == 0.0 < found["all"]["theta"][0]
    np.testing.assert_array_equal(found["all"], found["its own"])


def test_models_go_on_from_what_was_known_before():
    """Those of the later landmarks are, bit for bit, those of a walk over all of them."""
    rows = landmarks(np.random.default_rng(4), n=300)
    whole = predict_landmarks(rows, ModelOptions())
    found = predict_landmarks(rows[200:], ModelOptions(), training=rows[:200])
    for mine, all_of in (
        (found.first_side, whole.first_side),
        (found.cascade, whole.cascade),
        (found.large_move, whole.large_move),
    ):
        for name, one in mine.items():
            np.testing.assert_array_equal(one.p, all_of[name].p[200:])
            np.testing.assert_array_equal(one.n_trained, all_of[name].n_trained[200:])
            assert (one.n_trained > 0).all()
    np.testing.assert_array_equal(found.coin, whole.coin[200:])


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        (("", ""), "   ", "an empty one"),
        (("reps: 200", "reps: 300"), "x", "differs from registration .* in configuration;"),
        ((SEALED, ""), "x", "names no holdout"),
        (("name: small", "name: fresh"), "x", "is not registered; liqbt register"),
    ],
)
def test_what_may_not_be_unsealed_is_not_counted(home, card, tmp_path, change, reason, says):
    path = write(tmp_path, (EXPERIMENT + SEALED).replace(*change))
    before = files(home / "results/registrations")
    with pytest.raises(ConfigError, match=says):
        unseal_experiment(path, home / "results", reason=reason, on=DAY)
    assert files(home / "results/registrations") == before


def test_ci_never_unseals(monkeypatch, capsys, home, card):
    monkeypatch.setenv("CI", "true")
    before = files(home / "results/registrations")
    code, out, err = call(
        monkeypatch,
        capsys,
        "unseal",
        home / "small.yaml",
        "--reason",
        "x",
        "--results",
        home / "results",
    )
    assert (code, out) == (2, "")
    assert err == "liqbt: the environment variable CI is set: no holdout is unsealed by CI\n"
    assert files(home / "results/registrations") == before


def test_a_holdout_of_which_nothing_is_known_yet_is_not_counted(tmp_path):
    path = write(tmp_path, EXPERIMENT + SEALED.replace("2025-01", "2025-06"))
    register_experiment(path, tmp_path / "r", on=DAY)
    with pytest.raises(DataError, match="before a forecast of the holdout"):
        unseal_experiment(path, tmp_path / "r", reason="early", on=DAY)
    assert holdout_ledger(tmp_path / "r", "small") == []


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from liqbt.study.unseal import unseal_experiment
home = Path(sys.argv[1])
def killed(_run, _folder):
    os.kill(os.getpid(), signal.SIGKILL)
unseal_experiment(home / "small.yaml", home / "r", reason="killed", on=date(2026, 1, 5),
                  finish=killed)
"""


def test_killed_between_count_and_scores_the_count_stays_and_nothing_is_half_written(tmp_path):
    path = write(tmp_path)
    register_experiment(path, tmp_path / "r", on=DAY)
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    (counted,) = holdout_ledger(tmp_path / "r", "small")
    assert counted.reason == "killed"
    assert not (tmp_path / "r/small" / counted.run_id).exists()

    def broken(_run, _folder):
        raise DataError("no report today")

    with pytest.raises(DataError, match="no report today"):
        unseal_experiment(path, tmp_path / "r", reason="broken", on=DAY, finish=broken)
    run, opening = unseal_experiment(path, tmp_path / "r", reason="whole", on=LATER)
    assert opening.number == 3
    assert run.manifest["registration"]["unsealed"] == 3
    assert [p.name for p in (tmp_path / "r/small").iterdir() if len(p.name) == 16] == [run.run_id]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[1]],
        lambda lines: [lines[0].replace("as planned", "as pleases"), lines[1]],
        lambda lines: [lines[0], "{"],
        lambda lines: [lines[0], "[]"],
        lambda lines: [lines[0], lines[0]],
    ],
)
def test_a_ledger_that_was_altered_is_bad_input(home, opened, tmp_path, change):
    honest = home / "results/registrations/small/unsealed.jsonl"
    copied = tmp_path / "registrations/small/unsealed.jsonl"
    copied.parent.mkdir(parents=True)
    copied.write_text("\n".join(change(honest.read_text().splitlines())) + "\n")
    with pytest.raises(DataError, match=r"unsealed.jsonl: line \d is not as it was written"):
        holdout_ledger(tmp_path, "small")


def test_the_command_line_registers_and_unseals(monkeypatch, capsys, tmp_path):
    path, results = write(tmp_path), ("--results", tmp_path / "r")
    code, out, _ = call(monkeypatch, capsys, "register", path, *results, "--json")
    assert code == 0
    said = json.loads(out)
    assert said["new"] is True
    assert date.fromisoformat(said["date"]) <= date.today()
    assert json.loads(Path(said["path"]).read_text())["hash"] == said["hash"]
    code, out, _ = call(monkeypatch, capsys, "register", path, *results)
    assert f"was registered as {said['hash']}" in out
    assert "nothing changes" in out
    code, out, _ = call(
        monkeypatch, capsys, "unseal", path, *results, "--reason", "planned", "--json"
    )
    assert code == 0
    value = json.loads(out)
    assert value["unsealing"]["number"] == 1
    assert value["metrics"]
    page = (Path(value["path"]) / "report.html").read_text()
    assert "was unsealed for this run" in page
    assert "unsealed 1 time by then" in page


def published(folder: Path, first: str, last: str) -> Path:
    """Levels at 1 and 2 % of the price, every three hours."""
    marks = EventLog.open(folder / "log").read(Kind.MARK)
    price = dict(zip(marks["ts_event"].to_pylist(), marks["close"].to_pylist(), strict=True))
    lines = ["at,symbol,side,low,high,notional"]
    for at in range(instant_ns(first), instant_ns(last), 3 * HOUR_NS):
        for side, sign in (("long", -1), ("short", 1)):
            for percent in (1, 2):
                centre = price[at] * (1 + sign * percent / 100)
                when = f"{np.datetime64(at, 'ns').astype('datetime64[s]')}Z"
                lines.append(f"{when},SIM,{side},{centre * 0.999},{centre * 1.001},1000000")
    path = folder / "theirs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_registered_holdout_is_sealed_for_published_levels_and_told_of_other_runs(tmp_path):
    write(tmp_path)
    simulate_world(tmp_path / "world.yaml", seed=3, log_dir=tmp_path / "log")
    text = EXPERIMENT.replace("{world: world.yaml, seed: 3}", "{log: log}")
    sealed = "holdout: {start: 2025-01-10, end: 2025-01-12}\n"
    results, options = tmp_path / "r", score_options(horizons="4h", latency=None)
    card, _, _ = register_experiment(write(tmp_path, text + sealed), results, on=DAY)
    start, end = instant_ns("2025-01-10"), instant_ns("2025-01-12")

    def scored(first: str, last: str):
        path = published(tmp_path, first, last)
        return score_forecasts(path, tmp_path / "log", results, options=options)

    run = scored("2025-01-04", "2025-01-09")
    assert run.prices("SIM")["ts"].max() < start
    assert run.manifest["holdout"]["registration"] == card.hash
    assert registration_sentences(run) == [
        "A holdout from 2025-01-10 to 2025-01-12 (UTC) is sealed: no event known in it is part of "
        "this run."
    ]
    assert scored("2025-01-14", "2025-01-19").prices("SIM")["ts"].min() >= end
    for first, last in (("2025-01-08", "2025-01-11"), ("2025-01-11", "2025-01-13")):
        with pytest.raises(DataError, match=f"registration {card.hash} seals a period"):
            scored(first, last)

    other = run_experiment(write(tmp_path, text.replace("small", "loose"), "loose"), results)
    assert [seal["hash"] for seal in other.manifest["reads_sealed"]] == [card.hash]
    assert "It reads events from 2025-01-10 to 2025-01-12" in registration_sentences(other)[0]
    before = text.replace("warm_up: 3d", "warm_up: 3d, end: 2025-01-10")
    other = run_experiment(write(tmp_path, before, "before"), results)
    assert "reads_sealed" not in other.manifest
    opened, _ = unseal_experiment(tmp_path / "small.yaml", results, reason="planned", on=DAY)
    assert "reads_sealed" not in opened.manifest
