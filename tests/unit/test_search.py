"""A search: what it refuses, its ledger, what the best of many is worth, and all of it once."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_pages import search_document
from shell import call

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.levels import VISIT_DTYPE
from liqbt.learn.models import VISIT_MODELS, predict_visits
from liqbt.learn.walk import ModelOptions
from liqbt.registry.registrations import PARTS, parts_of
from liqbt.report.figures.search import MOST_SHOWN
from liqbt.report.pages.search import write_search_page
from liqbt.search.schema import load_search
from liqbt.search.search import run_search
from liqbt.search.selection_tests import worth
from liqbt.search.summary import describe_search
from liqbt.search.trials import Trial, add_trial, read_ledger
from liqbt.search.units import DayLosses, Units, comparable, day_losses, read_units
from liqbt.study.plan import claims_value
from liqbt.study.store import read_manifest
from liqbt.study.unseal import trials as trials_before
from liqbt.types import DAY_NS

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
evaluation: {bootstrap_reps: 200, horizons: [24h]}
"""
FIRST_DAY = 20_000


def write(folder: Path, text: str, base: str = BASE) -> Path:
    (folder / "world.yaml").write_text(WORLD)
    (folder / "base.yaml").write_text(base)
    path = folder / "search.yaml"
    path.write_text(text)
    return path


def asked_for(vary: str, name: str = "s") -> str:
    return f"name: {name}\nexperiment: base.yaml\nvary: {vary}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nam: s\n", "unknown key 'nam'; did you mean 'name'?"),
        ("experiment: base.yaml\nvary: {seed: [1]}\n", "key 'name' is missing"),
        ("name: s\nexperiment: none.yaml\nvary: {seed: [1]}\n", "none.yaml: cannot be read"),
        (asked_for("{}"), "key 'vary'"),
        (asked_for("{estimator.prominence: []}"), "key 'vary.estimator.prominence'"),
        (asked_for("{estimator.prominense: [0.2]}"), "did you mean 'prominence'?"),
        (asked_for("{estimator.prominence.low: [0.2]}"), "holds 0.1 and no keys"),
        (asked_for("{estimator.brackets.7.weight: [0.2]}"), "its entries are 0 to 4"),
        (asked_for("{estimator.prominence: [0.2, 7]}"), "prominence is 7.0: out of range"),
        (asked_for("{estimator.brackets.0.half_life: [long]}"), "'long' is not a duration"),
        (asked_for("{estimator.prominence: [0.2, 0.2]}"), "the same configuration as"),
        (asked_for("{estimator.brackets.0.half_life: [24h, 1d]}"), "the same configuration as"),
        (asked_for("{estimator.prominence: [0.1]}"), "nothing but the base itself"),
        (asked_for("{symbols.SIM.estimator.prominence: [0.1]}"), "nothing but the base itself"),
        (asked_for("{symbols.SIM.estimator.prominense: [0.2]}"), "did you mean 'prominence'?"),
        (asked_for(f"{{estimator.prominence: {list(range(200))}}}"), "asks for 201 trials"),
        (asked_for("{evaluation.latency: [5min]}"), "'evaluation.latency' decides what is scored"),
        (asked_for("{estimator.sigma_window: [1d]}"), "params.sigma_window' decides"),
        (asked_for("{schedule.warm_up: [7d]}"), "'schedule' decides what is scored"),
        (asked_for("{data.seed: [4]}"), "'data' decides what is scored"),
        (asked_for("{name: [other]}"), "'name' decides what is scored"),
        (asked_for("{estimator.prominence: [0.2]}") + "block_days: 0\n", "key 'block_days'"),
    ],
)
def test_what_a_search_refuses_before_anything_is_run(monkeypatch, capsys, tmp_path, text, says):
    path = write(tmp_path, text)
    code, out, err = call(monkeypatch, capsys, "search", path, "--results", tmp_path / "r")
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_search_needs_the_horizon_that_it_compares(tmp_path):
    path = write(tmp_path, asked_for("{seed: [1]}"), BASE.replace("[24h]", "[4h]"))
    with pytest.raises(ConfigError, match="add 24h"):
        load_search(path)


def test_the_product_has_the_base_first_and_once(tmp_path):
    vary = "{estimator.prominence: [0.1, 0.2], estimator.brackets.2.half_life: [72h, 36h]}"
    asked = load_search(write(tmp_path, asked_for(vary))).asked
    assert [dict(one.keys) for one in asked] == [
        {},
        {"estimator.prominence": 0.1, "estimator.brackets.2.half_life": "36h"},
        {"estimator.prominence": 0.2, "estimator.brackets.2.half_life": "72h"},
        {"estimator.prominence": 0.2, "estimator.brackets.2.half_life": "36h"},
    ]
    assert len({one.configuration for one in asked}) == 4
    base, last = (one.experiment.estimators["oi_flow"].params for one in (asked[0], asked[-1]))
    assert (last["prominence"], last["brackets"][2]["half_life"]) == (0.2, "36h")
    assert base["brackets"][2]["half_life"] == "3d"


def test_a_key_of_one_market_may_be_varied_where_it_states_none(tmp_path):
    vary = "{symbols.SIM.estimator.prominence: [0.1, 0.2], estimator.reach: [0.8]}"
    asked = load_search(write(tmp_path, asked_for(vary))).asked
    assert len(asked) == 3
    chosen = [one.experiment.estimators_of("SIM")["oi_flow"].params for one in asked]
    assert [(c["prominence"], c["reach"]) for c in chosen] == [(0.1, 0.92), (0.1, 0.8), (0.2, 0.8)]


def trial(number: int, **values) -> Trial:
    made = {
        "number": number,
        "base": 0,
        "keys": {"estimator.prominence": 0.1 * number},
        "configuration": f"{number:016x}",
        "experiment": "small",
        "state": "finished",
        "run_id": "a" * 16,
        "events": "e",
        "reason": "",
    }
    return Trial(**{**made, **values})


def test_the_ledger_is_added_to_and_says_nothing_twice(tmp_path):
    failed = trial(1, state="failed", run_id="", events="", reason="why, in one sentence")
    for each in (trial(0), failed, trial(0), failed):
        add_trial(tmp_path, each)
    assert read_ledger(tmp_path) == [trial(0), failed]
    add_trial(tmp_path, trial(0, run_id="b" * 16))
    assert [t.run_id[:1] for t in read_ledger(tmp_path)] == ["a", "", "b"]


def test_an_unfinished_line_is_mended_and_an_altered_one_is_refused(tmp_path):
    for number in range(3):
        add_trial(tmp_path, trial(number))
    path = tmp_path / "trials.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[1][:40])
    assert len(read_ledger(tmp_path)) == 3
    add_trial(tmp_path, trial(3))
    assert path.read_bytes().startswith(whole)
    assert [t.number for t in read_ledger(tmp_path)] == [0, 1, 2, 3]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(DataError, match=r"line 2 .* bring it back"):
        read_ledger(tmp_path)
    path.write_bytes(b"".join(lines).replace(b"finished", b"failed", 1))
    with pytest.raises(DataError, match="line 2"):
        add_trial(tmp_path, trial(4))


def made_units(p: np.ndarray, visited: np.ndarray, ablated: np.ndarray | None = None) -> Units:
    """Units of one market: each day two bands on both sides."""
    n = len(p)
    return Units(
        symbol=np.full(n, "SIM"),
        at=(FIRST_DAY + np.arange(n) // 4) * DAY_NS,
        side=np.where(np.arange(n) % 2, 1, -1),
        band=np.arange(n) % 4 // 2,
        visited=visited.astype(bool),
        p=p,
        p_ablated=np.full(n, 0.5) if ablated is None else ablated,
    )


def chosen(units: Units, rows: np.ndarray) -> Units:
    return replace(units, **{name: getattr(units, name)[rows] for name in Units.__slots__})


def table(units: Units) -> pa.Table:
    kinds = {"side": np.int8, "band": np.uint8, "visited": np.int8}
    return pa.table(
        {
            name: getattr(units, name).astype(kinds[name])
            if name in kinds
            else getattr(units, name)
            for name in Units.__slots__
        }
    )


def test_losses_by_hand_on_the_units_that_all_share():
    """Two days of four units; the second trial lacks one, and lists its own in another order."""
    visited = np.array([1, 0, 0, 1, 1, 1, 0, 0])
    first = made_units(np.array([0.9, 0.2, 0.5, 0.6, 0.7, 0.8, 0.1, 0.4]), visited)
    rows = np.array([7, 6, 5, 4, 3, 2, 1])
    second = chosen(replace(first, p=np.full(8, 0.25)), rows)
    found = day_losses([first, second])
    assert (found.n_units, found.n_dropped) == (7, 1)
    assert found.day.tolist() == [FIRST_DAY, FIRST_DAY + 1]
    one = -(math.log(0.8) + math.log(0.5) + math.log(0.6)) / 3
    two = -(math.log(0.7) + math.log(0.8) + math.log(0.9) + math.log(0.6)) / 4
    assert found.losses[:, 0] == pytest.approx([one, two])
    hit, miss = -math.log(0.25), -math.log(0.75)
    assert found.losses[:, 1] == pytest.approx([(2 * miss + hit) / 3, (2 * hit + 2 * miss) / 4])
    assert found.without_map == pytest.approx(np.full((2, 2), math.log(2.0)))


def test_a_better_ridge_is_no_better_map():
    """The map is noise and one control is not: the ridge helps both models, and the map none."""
    rng = np.random.default_rng(0)
    rows = np.zeros(365 * 8, VISIT_DTYPE)
    rows["at"] = np.repeat((FIRST_DAY + np.arange(365)) * DAY_NS, 8)
    rows["matured_ns"] = rows["at"] + DAY_NS + 61 * 10**9
    rows["brownian"] = rng.uniform(0.1, 0.9, len(rows))
    for name in VISIT_MODELS["full"]:
        rows[name] = rng.normal(0, 1, len(rows))
    odds = np.log(rows["brownian"] / (1 - rows["brownian"])) + rows["trend_1d"]
    rows["visited"] = rng.random(len(rows)) < 1 / (1 + np.exp(-odds))
    rows["scored"] = True
    trials = []
    for ridge in (1000.0, 5.0):
        issued = predict_visits(rows, ModelOptions(ridge=ridge))
        use = issued.n_trained > 0
        n = int(use.sum())
        trials.append(
            Units(
                symbol=np.full(n, "A"),
                at=rows["at"][use],
                side=np.tile([-1, 1], n)[:n],
                band=np.tile(np.repeat(np.arange(4), 2), n)[:n],
                visited=rows["visited"][use] == 1,
                p=issued.p["full"][use],
                p_ablated=issued.p["ablated"][use],
            )
        )
    found = worth(day_losses(trials), seed=1, reps=300)
    assert not any(gain.ci_low > 0.0 for gain in found.gains)
    assert found.gains[1].value < 0.0
    assert found.no_map.consistent > 0.3
    assert found.over_base[1].ci_low > 0.03  # as a whole it is better, and that is said apart
    assert found.as_configured.consistent < 0.01


def test_trials_that_cannot_be_compared_say_why():
    first = made_units(np.full(8, 0.4), np.array([1, 0, 0, 1, 1, 1, 0, 0]))
    other = replace(first, visited=~first.visited)
    assert "8 of the 8 units" in comparable(first, other)
    assert "no unit in common" in comparable(first, replace(first, at=first.at + 1))
    assert comparable(first, chosen(first, np.array([3, 1]))) == ""
    late = replace(first, at=first.at + 1)
    for trials in ([], [first, late], [chosen(first, np.array([], np.int64))]):
        with pytest.raises(DataError, match="found no unit"):
            day_losses(trials)


def test_a_table_of_visits_is_read_as_it_is_or_refused(tmp_path):
    units = made_units(np.full(8, 0.4), np.array([1, 0, 0, 1, 1, 1, 0, 0]))
    path = tmp_path / "visits.parquet"
    pq.write_table(table(units), path)
    for name in Units.__slots__:
        assert getattr(read_units(path), name).tolist() == getattr(units, name).tolist()
    p = np.full(8, 0.4)
    p[3] = 1.0
    for wrong, says in (
        (replace(units, p=p), "row 3 has p 1.0; expected a probability inside"),
        (replace(units, p_ablated=p * math.nan), "row 0 has p_ablated nan"),
        (replace(units, side=0 * units.side), "row 0 has side 0"),
        (chosen(units, np.array([0, 1, 0])), "row 2 is the unit .* a second time"),
    ):
        pq.write_table(table(wrong), path)
        with pytest.raises(DataError, match=says):
            read_units(path)
    pq.write_table(table(units).drop_columns(["p"]), path)
    with pytest.raises(DataError, match="no column 'p'"):
        read_units(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no table of visits"):
        read_units(path)


def losses_of(gains: np.ndarray) -> DayLosses:
    """Losses whose daily gains over no map are given, shape (days, trials)."""
    n = len(gains)
    without = 0.6 + 0.05 * np.sin(np.arange(n))
    return DayLosses(
        day=FIRST_DAY + np.arange(n),
        losses=without[:, None] - gains,
        without_map=np.tile(without[:, None], gains.shape[1]),
        n_units=10 * n,
        n_dropped=0,
    )


def test_a_trial_that_is_truly_better_is_found_among_many():
    rng = np.random.default_rng(5)
    gains = rng.normal(0.0, 0.01, (200, 12))
    gains[:, 7] += 0.004
    found = worth(losses_of(gains), seed=1, reps=500)
    assert int(np.argmax([gain.value for gain in found.gains])) == 7
    assert found.gains[7].value == pytest.approx(gains[:, 7].mean())
    assert found.no_map is not None
    assert found.no_map.consistent < 0.01
    assert found.as_configured is not None
    assert found.as_configured.consistent < 0.01
    assert found.confidence_set is not None
    assert found.confidence_set.tolist() == [7]
    assert found.overfitting is not None
    assert found.overfitting.probability < 0.05


def test_a_loud_trial_does_not_hide_a_quiet_better_one():
    """Differences are taken in their standard errors: without that, p here is that of the noise."""
    rng = np.random.default_rng(8)
    gains = rng.normal(0.0, 0.001, (200, 2))
    gains[:, 1] += 0.0005
    loud = gains[:, :1] + rng.normal(-0.02, 0.2, (200, 6))
    found = worth(losses_of(np.column_stack([gains, loud])), seed=1, reps=500)
    assert found.no_map is not None
    assert found.no_map.consistent < 0.01


def test_the_best_of_thirty_that_know_nothing_looks_good_and_is_not():
    """Over 40 searches: the best always gains, often past its own interval; SPA seldom rejects."""
    rng = np.random.default_rng(11)
    best, bare, rejected, pbo = [], 0, 0, []
    for seed in range(40):
        found = worth(losses_of(rng.normal(0.0, 0.01, (120, 30))), seed=seed, reps=300)
        top = max(found.gains, key=lambda gain: gain.value)
        best.append(top.value)
        bare += top.ci_low > 0.0
        assert found.no_map is not None
        rejected += found.no_map.consistent < 0.05
        assert found.overfitting is not None
        pbo.append(found.overfitting.probability)
    assert min(best) > 0.0
    assert bare >= 8  # one in forty would be right, had the best not been chosen
    assert rejected <= 6  # P(more | 5 %) = 0.3 %
    assert 0.35 < np.mean(pbo) < 0.65


def test_copies_are_one_trial_and_are_named():
    rng = np.random.default_rng(2)
    gains = rng.normal(0.0, 0.01, (60, 3))
    found = worth(losses_of(gains[:, [0, 1, 0, 2, 1]]), seed=1, reps=300)
    alone = worth(losses_of(gains), seed=1, reps=300)
    assert found.same_as == (0, 1, 0, 3, 1)
    assert (found.no_map, found.as_configured) == (alone.no_map, alone.as_configured)
    assert found.overfitting is not None
    assert alone.overfitting is not None
    assert found.overfitting.probability == alone.overfitting.probability
    kept = [0, 1, 3]
    assert alone.confidence_set is not None
    assert found.confidence_set is not None
    members = {kept[k] for k in alone.confidence_set.tolist()}
    assert found.confidence_set.tolist() == [k for k in range(5) if found.same_as[k] in members]
    assert math.isnan(found.over_base[2].ci_low)
    nothing = worth(losses_of(gains[:, [0, 0]]), seed=1, reps=300)
    assert (nothing.as_configured, nothing.confidence_set, nothing.overfitting) == (None,) * 3
    assert nothing.no_map is not None


def test_few_days_are_refused_and_blocks_only_grow():
    rng = np.random.default_rng(3)
    with pytest.raises(DataError, match=r"found 19 days .* needs 20"):
        worth(losses_of(rng.normal(size=(19, 3))), seed=1, reps=300)
    found = worth(losses_of(rng.normal(size=(20, 3))), seed=1, reps=300)
    assert found.block_days >= 2
    wide = worth(losses_of(rng.normal(size=(60, 3))), seed=1, reps=300, least_block=9)
    assert wide.block_days >= 9
    slow = np.repeat(rng.normal(size=(20, 3)), 6, axis=0)
    assert worth(losses_of(slow), seed=1, reps=300).block_days > 4


def with_visits(run, folder: Path) -> None:
    """Put made units in the place of a run's own: prominence 0.3 knows, the others guess."""
    rng = np.random.default_rng(17)
    visited = rng.random(240) < 0.5
    prominence = run.config["estimators"]["oi_flow"]["params"]["prominence"]
    knows = 0.4 if prominence == 0.3 else 0.0
    p = (
        0.5
        + knows * (visited - 0.5)
        + np.random.default_rng(int(1e3 * prominence)).uniform(-0.02, 0.02, 240)
    )
    pq.write_table(table(made_units(p, visited)), folder / "visits.parquet")


@pytest.fixture(scope="module")
def first_search(tmp_path_factory) -> tuple[Path, dict, Path]:
    """Three trials beside the base, one of which fails: no venue gives a leverage of 500."""
    folder = tmp_path_factory.mktemp("search")
    vary = "{estimator.brackets.4.leverage: [100, 500], estimator.prominence: [0.1, 0.3]}"
    path = write(folder, asked_for(vary))
    document, out = run_search(path, folder / "results", finish=with_visits)
    return path, document, out


@pytest.fixture
def searched(first_search, tmp_path) -> tuple[Path, dict, Path]:
    """A copy of it: what one test adds to the ledger no other one finds there."""
    path, document, out = first_search
    shutil.copytree(path.parent, tmp_path / "copy")
    return tmp_path / "copy" / path.name, document, tmp_path / "copy" / out.relative_to(path.parent)


@pytest.mark.slow
def test_a_search_from_end_to_end(searched):
    _, document, out = searched
    rows = {row["number"]: row for row in document["trials"]}
    assert [rows[n]["state"] for n in range(4)] == ["finished", "finished", "failed", "failed"]
    assert "500x" in rows[2]["reason"]
    assert document["counts"] == {"trials": 4, "compared": 2, "failed": 2, "distinct": 2}
    assert rows[1]["gain"]["ci_low"] > 0.1
    assert document["superior_ability"]["no_map"]["consistent"] < 0.001
    assert document["superior_ability"]["as_configured"]["consistent"] < 0.001
    assert document["confidence_set"]["trials"] == [1]
    assert document["overfitting"]["probability"] == 0.0
    assert document["days"]["n_days"] == 60
    first, second, third = document["sentences"][:3]
    assert re.match(r"The best of 4 trials, number 1 \(\S+ [^)]+\), gains \+0\.", first)
    assert "one that is better was found" in first
    assert "a better one was found" in second
    assert "the base not among them" in second
    assert third.endswith("in 0 of 252 splits.")
    assert "2 of 4 trials are not compared, 2 of them because they failed" in describe_search(
        document
    )
    assert json.loads((out / "search.json").read_text()) == document


@pytest.mark.slow
def test_a_finished_search_is_not_run_again_and_writes_the_same_bytes(searched):
    path, _, out = searched
    before = {p: p.read_bytes() for p in (out / "search.json", out / "trials.jsonl")}
    results = out.parent.parent

    def never(*_):
        raise AssertionError("a finished trial was run again")

    run_search(path, results, finish=never)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.slow
def test_an_interrupted_search_goes_on_where_it_was(tmp_path):
    path = write(tmp_path, asked_for("{estimator.prominence: [0.2, 0.3]}"))
    made = []

    def struck(run, folder):
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(run.run_id)
        with_visits(run, folder)

    with pytest.raises(KeyboardInterrupt):
        run_search(path, tmp_path / "r", finish=struck)
    folder = tmp_path / "r" / "searches" / "s"
    assert [t.run_id for t in read_ledger(folder)] == made
    assert not (folder / "search.json").exists()
    again = []
    document, _ = run_search(
        path,
        tmp_path / "r",
        finish=lambda run, at: (again.append(run.run_id), with_visits(run, at)),
    )
    assert len(again) == 2
    assert made[0] not in again
    assert [row["state"] for row in document["trials"]] == ["finished"] * 3


def test_the_example_asks_for_nine_configurations(root):
    found = load_search(root / "experiments" / "searches" / "half-lives-btc.yaml")
    assert len(found.asked) == 9
    assert found.asked[0].experiment.name == "btc-2025-12"


@pytest.mark.slow
def test_other_values_are_added_to_the_same_ledger(searched, tmp_path):
    """And what a killed search had finished counts: the ledger names it, its run is there."""
    path, _, out = searched
    results = out.parent.parent
    path.with_name("more.yaml").write_text(asked_for("{estimator.prominence: [0.2]}"))
    document, _ = run_search(path.with_name("more.yaml"), results, finish=with_visits)
    assert [row["number"] for row in document["trials"]] == [0, 1, 2, 3, 4]
    assert document["counts"]["compared"] == 3
    assert document["sentences"][0].startswith("The best of 5 trials, number 1")
    lost = next(row for row in document["trials"] if row["number"] == 4)
    (out / "runs" / "small" / lost["run_id"] / "visits.parquet").unlink()
    document, _ = run_search(path, results, finish=with_visits)
    assert "not at hand" in {row["number"]: row["reason"] for row in document["trials"]}[4]
    path.with_name("other.yaml").write_text(asked_for("{estimator.prominence: [0.4]}", "t"))
    document, _ = run_search(path.with_name("other.yaml"), results, finish=with_visits)
    assert document["other_searches"] == [{"search": "s", "trials": 5}]
    assert "5 trials of other searches" in describe_search(document)


@pytest.mark.slow
def test_what_was_adopted_is_still_held_against_the_first_base(searched):
    """Trial 1 made the new base: it keeps its number, and what came before it stays the measure."""
    path, _, out = searched
    adopted = path.with_name("adopted.yaml")
    adopted.write_text(BASE + "estimator: {prominence: 0.3}\n")
    path.with_name("next.yaml").write_text(
        asked_for("{estimator.prominence: [0.5]}").replace("base.yaml", adopted.name)
    )
    document, _ = run_search(path.with_name("next.yaml"), out.parent.parent, finish=with_visits)
    rows = {row["number"]: row for row in document["trials"]}
    assert document["benchmark"] == 0
    assert [(n, row["base"]) for n, row in rows.items() if n == row["base"]] == [(0, 0), (1, 1)]
    assert rows[max(rows)]["base"] == 1
    assert document["sentences"][0].startswith(f"The best of {len(rows)} trials, number 1")


@pytest.mark.slow
def test_trials_are_runs_that_a_registration_counts(searched):
    _, document, out = searched
    rows = [row for row in document["trials"] if row["compared"]]
    manifest = read_manifest(out / "runs" / "small" / rows[0]["run_id"] / "manifest.json")
    fixed = parts_of(manifest["hashes"], claims_value())
    before = trials_before(out.parent.parent, "small", fixed, None)
    assert before["runs"] >= 2
    assert before["deviating"]["configuration"] >= 1
    assert set(fixed) == set(PARTS)
    assert not (out.parent.parent / "small").exists()


@pytest.mark.slow
def test_the_command_searches_on_what_runs_issue(monkeypatch, capsys, tmp_path):
    vary = "{estimator.asymmetry_reach: [0.03, 0.10], estimator.smoothing_bins: [7, 9]}"
    path = write(tmp_path, asked_for(vary))
    (tmp_path / "world.yaml").write_text(WORLD.replace("days: 16", "days: 45"))
    code, out, err = call(monkeypatch, capsys, "search", path, "--results", tmp_path / "r")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("The best of 4 trials, number ")
    assert "over no map; chosen among so many, SPA p = " in lines[0]
    assert lines[2].startswith("PBO ")
    assert "2 trials issued the same probabilities as an earlier one" in out
    assert Path(lines[-1].removeprefix("page: ")).read_text().count("data:image/svg+xml") == 2


@pytest.mark.slow
def test_a_base_that_fails_ends_the_search(tmp_path):
    base = BASE + "estimator: {brackets: [{leverage: 500, weight: 1, half_life: 1d}]}\n"
    path = write(tmp_path, asked_for("{estimator.prominence: [0.3]}"), base)
    with pytest.raises(DataError, match=r"the base of the search failed.*500x"):
        run_search(path, tmp_path / "results")
    [line] = read_ledger(tmp_path / "results" / "searches" / "s")
    assert (line.number, line.state) == (0, "failed")


@pytest.mark.slow
def test_too_few_days_are_refused_once_the_base_ran(tmp_path):
    path = write(tmp_path, asked_for("{estimator.prominence: [0.3, 0.4]}"))
    with pytest.raises(DataError, match=r"search s: found no unit .* needs 20 days"):
        run_search(path, tmp_path / "results")
    [line] = read_ledger(tmp_path / "results" / "searches" / "s")
    assert (line.number, line.state) == (0, "finished")


def test_the_page_is_the_same_bytes_and_hides_nothing(tmp_path):
    document = search_document(MOST_SHOWN + 12)
    page = write_search_page(document, tmp_path)
    text = page.read_text()
    assert "&lt;b&gt;why&lt;/b&gt;" in text
    assert "Four &lt;b&gt;why&lt;/b&gt;." in text
    assert "further trial(s) are in the table only" in text
    assert text.count("data:image/svg+xml") == 2
    assert "http" not in text.replace("http://www.w3.org", "")
    for row in document["trials"]:
        assert row["compared"] is False or row["run_id"] in text
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"search.html", "gains.svg", "logits.svg"}
    write_search_page(document, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
