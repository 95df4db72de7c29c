"""Validity by behaviour: a document holds while its pinned markets do, claim by claim."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from validity_document import BATCHES, FIRST, SECOND, numbers, signed

from liqbt.cli import cli
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.claims.register import CLAIMS, TRIALS
from liqbt.study import pinned
from liqbt.study import validity as gate
from liqbt.study.clearing import Gate, TestWord
from liqbt.study.estimator_config import EstimatorConfig, filled_in
from liqbt.study.trials import NUISANCE, TESTS
from liqbt.study.validity import (
    DOCUMENT,
    PINNED,
    SHIPPED,
    clearance,
    read_gate,
    scope,
    stale_claims,
)
from liqbt.types import HOUR_NS
from liqbt.validity.jobs import NULLS, PLANTED
from liqbt.validity.validate import check_pinned, write_signed


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of runs with a signed document that clears both tests, and a cache of its own.

    There are no others: what they read these short markets have no feed for, or too few events.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    every = dict(TESTS)
    for claim in every.keys() - {FIRST.id, SECOND.id}:
        del TESTS[claim]
    signed(tmp_path / "validity")
    yield tmp_path
    TESTS.clear()
    TESTS.update(every)


UNTRIED = {claim.id for claim in CLAIMS} - {FIRST.id, SECOND.id}
FREE = ("above_maximum", "brackets", "sigma_sampling")
OPTIONS = EvaluationOptions()


def as_tried(document: dict, **other: object) -> dict:
    return {**document["tried"], "scored_days": 106.0, **other}


def edited(results, name: str, old: str, new: str) -> None:
    path = results / "validity" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_cleared_test_is_released_and_a_blocked_one_is_not(results):
    document, _ = read_gate(results / "validity")
    said = clearance(results, as_tried(document))
    assert set(said.withheld) == UNTRIED
    assert all("its conditions are not replicated" in why for why in said.withheld.values())
    assert (said.shown["stale"], said.shown["tried"]) == ({}, document["tried"])
    signed(results / "validity", {"momentum": 60})
    said = clearance(results, as_tried(document))
    assert set(said.withheld) == {*UNTRIED, FIRST.id}
    assert "in momentum it found something in 60 of 1000" in said.withheld[FIRST.id]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (DOCUMENT, "would be let pass", "would be nothing"),
        (DOCUMENT, '"word": "blocked"', '"word": "cleared"'),
        (DOCUMENT, '"rejections": 60', '"rejections": 6'),
        (PINNED, '"root": 1', '"root": 2'),
        (PINNED, f'"{FIRST.statistic}": [[', f'"{FIRST.statistic}": [[9, '),
        (PINNED, '"document"', '"was"'),
    ],
)
def test_an_edited_word_count_or_number_releases_nothing(results, name, old, new):
    signed(results / "validity", {"momentum": 60})
    document, kept = read_gate(results / "validity")
    assert kept is not None
    edited(results, name, old, new)
    said = clearance(results, as_tried(document))
    assert set(said.withheld) == {*TESTS, *UNTRIED}
    assert all("pinned replications sign" in said.withheld[claim] for claim in TESTS)


def test_a_word_that_is_edited_and_signed_again_is_still_not_believed(results):
    document = signed(results / "validity", {"momentum": 60})
    words = [{**row, "word": "cleared", "reason": ""} for row in document["gates"]]
    write_signed(results / "validity", {**document, "gates": words}, BATCHES, numbers())
    said = clearance(results, as_tried(document))
    assert "in momentum it found something in 60 of 1000" in said.withheld[FIRST.id]
    assert {g["claim"]: g["word"] for g in said.shown["gates"]}[FIRST.id] == "blocked"


def test_code_that_gives_the_same_numbers_keeps_the_words_and_is_tried_once(results, monkeypatch):
    ran = []
    real = pinned.pinned_numbers
    monkeypatch.setattr(pinned, "pinned_numbers", lambda *a: ran.append(1) or real(*a))
    document, _ = read_gate(results / "validity")
    clearance(results, as_tried(document))
    assert not ran  # stamped by this very code
    monkeypatch.setattr(pinned, "code_stamp", lambda: "a local variable has another name")
    monkeypatch.setitem(check_pinned.__globals__, "code_stamp", pinned.code_stamp)
    for _ in range(2):
        assert set(clearance(results, as_tried(document)).withheld) == UNTRIED
    assert len(ran) == 1
    assert check_pinned(results, stamp=True)["stands"] == list(TESTS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(results / "another machine"))
    ran.clear()
    assert set(clearance(results, as_tried(document)).withheld) == UNTRIED
    assert not ran  # and the document is still signed


def test_a_changed_number_makes_the_claims_that_read_it_stale_and_no_others(results, monkeypatch):
    real = pinned.pinned_numbers

    def other(*args):
        found = real(*args)
        rows = [[None if v is None else 1.01 * v for v in row] for row in found[FIRST.statistic]]
        return {**found, FIRST.statistic: rows}

    monkeypatch.setattr(pinned, "pinned_numbers", other)
    monkeypatch.setattr(pinned, "code_stamp", lambda: "another constant")
    document, _ = read_gate(results / "validity")
    said = clearance(results, as_tried(document))
    readers = {claim.id for claim in TESTS.values() if FIRST.statistic in claim.conditions}
    # effects from the truth that these five markets do not measure are changed by no code
    assert readers <= said.shown["stale"].keys()
    assert SECOND.id not in said.shown["stale"] or SECOND.id in readers
    why = said.withheld[FIRST.id]
    assert f"stale: {FIRST.statistic}: 5 of 5 pinned markets differ (value by up to" in why
    assert "liqbt validate --pinned" in why
    done = CliRunner().invoke(cli, ["validate", "--pinned", "--out", str(results / "validity")])
    assert done.exit_code == 1
    assert f"{SECOND.id}: its test's word stands" in done.output
    assert f"{FIRST.id}: stale: {FIRST.statistic}" in done.output


def test_a_number_that_no_verdict_reads_leaves_all_claims_standing(results):
    other = {**numbers(), "gone": [[0.0] * 8] * 5}
    document, _ = read_gate(results / "validity")
    write_signed(results / "validity", document, BATCHES, other)
    found = check_pinned(results)
    assert (found["stale"], set(found["differ"])) == ({}, {"gone"})
    assert found["differ"]["gone"] == "it is not computed any more"
    assert found["stands"] == list(TESTS)


def test_a_last_bit_is_no_difference_and_a_millionth_is():
    rows = {"x": [[0.1, -0.2, None, 1.0, 30.0, 20.0]]}
    near = {"x": [[0.1 * (1 + 1e-12), -0.2, None, 1.0, 30.0, 20.0]], "new": [[1.0] * 6]}
    assert pinned.differences(rows, near) == {}
    far = {"x": [[0.1 + 1e-6, -0.2, 0.3, 1.0, 31.0, 20.0]]}
    assert pinned.differences(rows, far) == {
        "x": "1 of 1 pinned markets differ (value by up to 1e-06, ci_high by up to inf, "
        "n_episodes by up to 1)"
    }


def test_markets_that_cannot_be_simulated_any_more_make_everything_stale(results, monkeypatch):
    def gone(*_):
        raise ConfigError("unknown key 'magnet'")

    monkeypatch.setattr(pinned, "pinned_numbers", gone)
    document, kept = read_gate(results / "validity")
    why = stale_claims(document, kept, pinned.pinned_differences(kept, again=True))
    assert set(why) == set(TESTS)
    assert "cannot be replicated: unknown key 'magnet'" in why[SECOND.id]


def test_a_claim_that_asks_for_more_than_its_test_was_tried_for_is_stale(results, monkeypatch):
    document, kept = read_gate(results / "validity")
    for changed in ({"least_bound": 9.0}, {"also_above": ("y",)}, {"min_days": 5}):
        monkeypatch.setitem(TESTS, FIRST.id, replace(FIRST, **changed))
        assert stale_claims(document, kept, {}) == {
            FIRST.id: "the claim asks another thing than when its test was tried"
        }
    monkeypatch.setitem(TESTS, FIRST.id, FIRST)
    fewer = {k: v for k, v in kept["statistics"].items() if k != f"{FIRST.id}: its verdict"}
    assert stale_claims(document, {**kept, "statistics": fewer}, {}) == {
        FIRST.id: f"{FIRST.id}: its verdict has no pinned replications"
    }


def test_a_verdict_that_is_decided_otherwise_is_stale_though_its_numbers_are_the_same(results):
    document, kept = read_gate(results / "validity")
    name = f"{FIRST.id}: its verdict"
    flipped = {**kept["statistics"], name: [[1.0 - v for v in r] for r in kept["statistics"][name]]}
    differ = pinned.differences(kept["statistics"], flipped)
    assert set(stale_claims(document, kept, differ)) == {FIRST.id}
    assert "5 of 5 pinned markets differ (supported by up to 1" in differ[name]


def test_a_mechanism_that_was_not_tried_needs_no_pinned_effects(results):
    document, _ = read_gate(results / "validity")
    told = f"{SECOND.id} from the truth"
    fewer = {k: v for k, v in numbers().items() if not k.startswith(told)}
    power = [row for row in document["power"] if row["claim"] != SECOND.id]
    write_signed(results / "validity", {**document, "power": power}, BATCHES, fewer)
    why = clearance(results, as_tried(document)).withheld[SECOND.id]
    assert "was not tried in 30 markets" in why
    write_signed(results / "validity", document, BATCHES, fewer)
    why = clearance(results, as_tried(document)).withheld[SECOND.id]
    assert f"{told}: {TRIALS[SECOND.id].effects[0]} has no pinned replications" in why


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"estimators": [{"name": "my:Map"}]}, "for the estimator oi_flow and not for my:Map"),
        ({"scored_days": 60.0}, "on records of 106 scored days and not of 60"),
        ({"scored_days": 130.0}, "not of 130"),
    ],
)  # fmt: skip
def test_beyond_what_was_tried_a_verdict_is_withheld(results, other, says):
    document, _ = read_gate(results / "validity")
    said = clearance(results, as_tried(document, **other))
    assert says in said.withheld[FIRST.id]
    assert "has passed the validity gate, but" in said.withheld[FIRST.id]
    assert set(said.withheld) == {*UNTRIED, *TESTS}


def test_a_year_is_beyond_a_test_whose_size_was_tried_at_four_months_alone(results):
    document, kept = read_gate(results / "validity")
    longer = {**document["tried"], "scored_days": [106.0, 351.0]}
    write_signed(results / "validity", {**document, "tried": longer}, BATCHES, kept["statistics"])
    said = clearance(results, {**as_tried(document), "scored_days": 351.0})
    assert "on records of 106 scored days and not of 351" in said.withheld[FIRST.id]


def test_another_map_or_protocol_is_beyond_and_other_brackets_are_not(results):
    document, _ = read_gate(results / "validity")
    (known,) = document["tried"]["estimators"]
    assert "brackets" not in known
    for changed, says in (
        ({"estimators": [known, {**known, "smoothing_bins": 9}]}, "smoothing_bins 7 and not 9"),
        ({"protocol": {**document["tried"]["protocol"], "iou": 0.9}}, "iou 0.5 and not 0.9"),
    ):
        assert says in clearance(results, as_tried(document, **changed)).withheld[FIRST.id]


def test_every_parameter_of_the_map_was_tried_but_what_belongs_to_a_venue(results, monkeypatch):
    document, _ = read_gate(results / "validity")
    monkeypatch.setattr(gate, "pinned_differences", lambda *_: {})
    params = filled_in(EstimatorConfig(use="oi_flow"), "params").params
    for name in params:
        for value, beyond in ((params[name], False), ("another", name not in FREE)):
            (ran,) = scope([{**params, name: value, "name": "oi_flow"}], OPTIONS, HOUR_NS, 9.0)[
                "estimators"
            ]
            why = clearance(results, as_tried(document, estimators=[ran])).withheld
            assert (f"an estimator of {name} " in why.get(FIRST.id, "")) == beyond, name


def test_a_claim_on_the_placebo_probability_needs_random_levels_to_pass():
    claim = replace(FIRST, also_positive=("mirror_lift_did_densest",))
    cleared = Gate(claim=FIRST.id, statistic="", word=TestWord.CLEARED, reason="")
    for word in ("passed", "failed", "absent"):
        why = gate._withheld(claim, cleared, None, "", (word, "why"))
        assert (why == "") == (word == "passed")
        assert word == "passed" or f"random levels on real prices: {word}: why" in why
    assert gate._withheld(FIRST, cleared, None, "", ("failed", "why")) == ""


def test_a_folder_without_a_document_asks_the_one_that_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "pinned_differences", lambda *_: {})
    document, kept = read_gate(SHIPPED)
    assert kept is not None
    said = clearance(tmp_path, as_tried(document))
    words = {each["claim"]: each["word"] for each in document["gates"]}
    assert {claim for claim in TESTS if words[claim] != "cleared"} <= set(said.withheld)
    (tmp_path / "validity").mkdir()
    (tmp_path / "validity" / DOCUMENT).write_text("{}")
    with pytest.raises(DataError, match=r"validity\.json: not a document of the validity gate"):
        clearance(tmp_path, as_tried(document))


def test_the_shipped_document_says_in_words_what_its_counts_decide():
    document, _ = read_gate(SHIPPED)
    assert [(g.claim, str(g.word), g.reason) for g in gate.document_gates(document)] == [
        (g["claim"], g["word"], g["reason"]) for g in document["gates"]
    ]
    assert {g["claim"] for g in document["gates"]} == set(TESTS)


def test_the_shipped_column_map_is_that_of_the_examples(root):
    name = "binance-spot-candles-1h.yaml"
    assert (SHIPPED / name).read_bytes() == (root / "experiments" / "sources" / name).read_bytes()


def test_the_shipped_document_pins_every_world():
    """That their numbers hold is shown by a wheel of refactored code (`test_wheel`)."""
    _, kept = read_gate(SHIPPED)
    worlds = {batch["world"]["name"] for batch in kept["batches"]}
    assert worlds >= {*NUISANCE, *NULLS}
    assert {batch["claim"] for batch in kept["batches"]} - {None} == set(PLANTED)
    assert sum(batch["cheat"] for batch in kept["batches"]) == 1


@pytest.mark.usefixtures("undrawn")
def test_every_report_shows_what_the_gate_said(results):
    from report_run import make_run

    from liqbt.report.pages.run import write_report

    document = signed(results / "validity", {"momentum": 60})
    run = make_run(("BTCUSDT",), n=400)
    pages = [results / name for name in ("report.html", "report.md")]
    write_report(run, results)
    assert all("no document of the validity gate" in page.read_text() for page in pages)
    run.manifest["gate"] = json.loads(
        json.dumps(dict(clearance(results, as_tried(document)).shown))
    )
    write_report(run, results)
    for text in (page.read_text().replace("\\", "") for page in pages):
        assert "60 of 1,000 (momentum, 120 days)" in text
        assert "Random levels on real prices: absent: no candles." in text
        assert "tried with the estimator oi_flow" in text.replace("&#95;", "_")
    edited(results, DOCUMENT, '"word": "blocked"', '"word": "cleared"')
    run.manifest["gate"] = clearance(results, as_tried(document)).shown
    write_report(run, results)
    assert (
        f"What follows says nothing of {FIRST.id} here: its document is not" in pages[0].read_text()
    )
