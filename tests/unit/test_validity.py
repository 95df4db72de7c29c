"""The validity gate: cells and words by hand, tallies that do not depend on how they are run."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from validity_document import FIRST, SECOND, TRIED, UNTRIED, planted, sized, tally

from liqbt.cli import cli
from liqbt.errors import ConfigError, DataError, RunawayError
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import TRIALS, statistic_of
from liqbt.evaluation.inference.estimates import POOLED, Estimate
from liqbt.evaluation.statistic import detail
from liqbt.simulate.market import simulate
from liqbt.study import replications
from liqbt.study.clearing import (
    Gate,
    TestWord,
    document_gates,
    gates_with_power,
    limits,
    size_gates,
    smallest_found,
)
from liqbt.study.executors import in_processes
from liqbt.study.replications import Batch, found_of
from liqbt.study.trials import NUISANCE, TESTS, Where, places
from liqbt.study.worlds import load_world
from liqbt.types import Kind, VerdictWord
from liqbt.validity import campaign as campaigns
from liqbt.validity.campaign import (
    CAMPAIGN,
    Campaign,
    KeptCell,
    left_of,
    read_campaign,
    run_campaign,
    still_true,
    write_campaign,
)
from liqbt.validity.candles import absent
from liqbt.validity.cells import oracle_seen, size_cells
from liqbt.validity.jobs import BATCH, PLANTED, SHOWN, Job, campaign_jobs, claims_of, one_batch
from liqbt.validity.power import power_points
from liqbt.validity.summary import describe_document, gate_document
from liqbt.validity.tallies import Tally, claim_tally, tally_of_row
from liqbt.validity.validate import pinned_batches

WORLDS = Path(__file__).resolve().parent.parent.parent / "liqbt" / "data" / "worlds"
STRONG = PLANTED[FIRST.id][-1]


def gates_of(found: Campaign) -> dict[str, Gate]:
    return {gate.claim: gate for gate in size_gates(size_cells(found), oracle_seen(found))}


def powered(found: Campaign) -> dict[str, Gate]:
    gates = gates_with_power([*gates_of(found).values()], power_points(found))
    return {gate.claim: gate for gate in gates}


def test_claims_of_one_planted_world_are_true_in_the_same_others():
    for name, trial in TRIALS.items():
        for other, its in TRIALS.items():
            if other != name and (trial.world or name) == (its.world or other):
                assert {*trial.also_true} - {other} == {*its.also_true} - {name}, (name, other)


def test_sixteen_cells_of_a_thousand_expect_twenty_five_and_let_thirty_nine_pass():
    """The binomial tail beyond 39 of 1,000 is below .05/16, and that beyond 38 is not."""
    limit, few = limits(1000, 16, 0.025)
    assert (limit, few) == (39, 13)

    def tail(k):
        return sum(math.comb(1000, i) * 0.025**i * 0.975 ** (1000 - i) for i in range(k + 1, 120))

    assert tail(39) <= 0.05 / 16 < tail(38)


def test_the_family_of_a_claim_is_all_its_cells_those_not_tried_yet_among_them():
    cells = [c for c in size_cells(sized()) if c.claim == FIRST.id]
    assert len(cells) == len(places(FIRST, (120,)))
    assert {c.limit for c in cells if c.markets == 1000} == {
        limits(1000, len(cells), FIRST.alpha)[0]
    }
    assert {c.expected for c in cells if c.markets == 1000} == {25.0}
    some = sized()
    del some.cells["size/gbm/0/120"]
    assert {c.limit for c in size_cells(some) if c.claim == FIRST.id} == {c.limit for c in cells}


def test_a_test_is_cleared_only_by_enough_of_each_world_and_the_oracle():
    gates = gates_of(sized())
    assert {gate.word for gate in gates.values()} == {TestWord.CLEARED}
    assert {gate.days for gate in gates.values()} == {(120,)}
    assert "its size holds in all" in gates[FIRST.id].reason
    few = gates_of(sized(n=400))
    assert {gate.word for gate in few.values()} == {TestWord.TOO_FEW}
    assert "400 of 1000 markets of 120 days of gbm" in few[FIRST.id].reason
    some = sized()
    del some.cells["size/drift/0/120"]
    assert "0 of 1000 markets of 120 days of drift" in gates_of(some)[FIRST.id].reason


def test_what_is_lacking_for_one_claim_holds_up_no_other():
    some = sized()
    del some.cells["size/drift/0/120"].tallies[FIRST.id]
    gates = gates_of(some)
    assert gates[FIRST.id].word == TestWord.TOO_FEW
    assert {g.word for name, g in gates.items() if name != FIRST.id} == {TestWord.CLEARED}


def test_a_year_is_earned_by_its_own_markets():
    both = sized(lengths=(120, 365))
    assert gates_of(both)[FIRST.id].days == (120, 365)
    del both.cells["size/jumps/0/365"]
    gate = gates_of(both)[FIRST.id]
    assert (gate.word, gate.days) == (TestWord.CLEARED, (120,))


def test_one_world_too_many_blocks_that_test_alone():
    gates = gates_of(sized({"momentum": 60}))
    assert gates[FIRST.id].word == TestWord.BLOCKED
    assert "in momentum it found something in 60 of 1000 markets of 120 days" in (
        reason := gates[FIRST.id].reason
    )
    assert "a right test finds 25 on average, and up to" in reason
    assert gates[SECOND.id].word == TestWord.CLEARED


def test_a_world_in_which_another_claim_is_true_blocks_and_one_where_it_is_itself_does_not(
    monkeypatch,
):
    other = next(p.world for p in places(FIRST) if p.where == Where.PLANTED)
    found = sized({other: 100})
    assert gates_of(found)[FIRST.id].word == TestWord.BLOCKED
    known = TRIALS[FIRST.id]
    monkeypatch.setitem(TRIALS, FIRST.id, replace(known, also_true=(*known.also_true, other)))
    assert gates_of(found)[FIRST.id].word == TestWord.CLEARED
    job = Job(role="power", world=other, strength=PLANTED[other][0], days=120, batch=0)
    assert FIRST.id not in claims_of(job, 120)
    assert claims_of(replace(job, days=365), 120) == (other,)


def test_a_null_of_a_claim_is_a_cell_of_it_alone(monkeypatch):
    monkeypatch.setitem(TRIALS, FIRST.id, replace(TRIALS[FIRST.id], nulls=("impact",)))
    job = Job(role="size", world="impact", strength=0.0, days=120, batch=0)
    assert claims_of(job, 120) == (FIRST.id,)
    gates = gates_of(sized())
    assert gates[FIRST.id].word == TestWord.CLEARED
    found = sized()
    del found.cells[job.cell]
    assert "0 of 300 markets of 120 days of impact" in gates_of(found)[FIRST.id].reason


def test_a_test_that_misses_an_oracle_is_blind_unless_it_is_about_something_else(monkeypatch):
    for claim in TRIED:
        monkeypatch.setitem(TRIALS, claim.id, replace(TRIALS[claim.id], oracle=True))
    gates = gates_of(sized(oracle=7))
    assert {gate.word for gate in gates.values()} == {TestWord.BLIND}
    assert "missed 1 of 8" in gates[FIRST.id].reason
    unseen = gates_of(sized(oracle=-1))
    assert {(g.word, g.reason) for g in unseen.values()} == {
        (TestWord.TOO_FEW, "no market whose forecasts knew the future")
    }
    monkeypatch.setitem(TRIALS, FIRST.id, replace(TRIALS[FIRST.id], oracle=False))
    assert gates_of(sized(oracle=-1))[FIRST.id].word == TestWord.CLEARED


def test_a_test_that_never_finds_anything_is_conservative_not_within():
    cells = size_cells(sized(dict.fromkeys(NUISANCE, 0)))
    words = {c.word for c in cells if c.claim == FIRST.id and c.where == Where.NUISANCE}
    assert words == {"conservative"}


def test_a_size_that_does_not_hold_blocks_the_length_that_it_was_tried_at():
    found = sized()
    for days, finds in ((120, 20), (365, 40)):
        for place in places(FIRST, (120, 365)):
            if place.days == days and place.where != Where.PLANTED:
                name = f"size/{place.world}/0/{days}"
                kept = found.cells.setdefault(
                    name, replace(found.cells["size/gbm/0/120"], tallies={})
                )
                kept.tallies[FIRST.id] = tally(place.needed, finds if place.world == "gbm" else 0)
    gate = gates_of(found)[FIRST.id]
    assert (gate.word, gate.days) == (TestWord.CLEARED, (120,))
    assert "not over 365 days: in gbm it found something in 40 of 300 markets, 0" in gate.reason
    found.cells["size/gbm/0/120"].tallies[FIRST.id] = tally(1000, 60)
    gate = gates_of(found)[FIRST.id]
    assert gate.word == TestWord.BLOCKED


def test_a_claim_is_cleared_by_no_cell_in_which_it_could_not_be_tested():
    """Nor blocked by one: a price that ran away counts as found where others could be tested."""
    found = sized()
    held = found.cells["size/gbm/0/120"].tallies
    held[FIRST.id] = tally(1000, 0, tested=30)
    assert gates_of(found)[FIRST.id].word == TestWord.CLEARED
    held[FIRST.id] = tally(1000, 0, tested=29)
    gate = gates_of(found)[FIRST.id]
    assert gate.word == TestWord.TOO_FEW
    assert gate.reason == (
        "it could be tested in 29 of 1000 markets of 120 days of gbm, where it is false"
    )
    held[FIRST.id] = replace(tally(1000, 0, tested=28), ran_away=2)
    assert gates_of(found)[FIRST.id].word == TestWord.TOO_FEW
    held[FIRST.id] = replace(tally(1000, 0, tested=1), ran_away=3)
    mine = next(c for c in size_cells(found) if (c.claim, c.world) == (FIRST.id, "gbm"))
    assert (mine.markets, mine.replications, mine.rejections, mine.ran_away) == (1000, 1, 0, 3)
    assert mine.word == "within"
    held[FIRST.id] = replace(tally(1000, 0, tested=0), ran_away=3)
    mine = next(c for c in size_cells(found) if (c.claim, c.world) == (FIRST.id, "gbm"))
    assert mine.word == "untested"
    assert gates_of(found)[FIRST.id].word == TestWord.TOO_FEW


def test_power_is_stated_against_the_effect_not_the_setting():
    points = power_points(planted(sized(), {0.5: 8, 1.0: 24, 2.0: 40}))
    mine = [p for p in points if (p.claim, p.statistic) == (FIRST.id, FIRST.statistic)]
    mine = [p for p in mine if p.replications == 40]
    assert [(round(p.effect, 9), p.power) for p in mine] == [(0.05, 0.2), (0.1, 0.6), (0.2, 1.0)]
    assert smallest_found(mine) == pytest.approx(0.15)
    assert smallest_found(mine[:2]) is None


def test_a_test_that_finds_nothing_where_its_claim_is_true_is_not_cleared():
    weak = powered(planted(sized(), {STRONG: 31}))
    assert weak[FIRST.id].word == TestWord.UNDERPOWERED
    assert "it found at most 31 of 40 markets (an effect of" in weak[FIRST.id].reason
    assert weak[SECOND.id].word == TestWord.TOO_FEW  # it was not tried where its claim is true
    strong = powered(planted(sized(), {STRONG: 32}))[FIRST.id]
    assert strong.word == TestWord.CLEARED
    assert "found four times in five from" in strong.reason
    assert "points on over 120 days" in strong.reason


def test_what_is_shown_beside_a_test_decides_nothing(monkeypatch):
    shown = replace(TRIALS[FIRST.id], beside=("hit_rate",))
    monkeypatch.setitem(TRIALS, FIRST.id, shown)
    found = planted(sized(), {STRONG: 4})
    mine = [p for p in power_points(found) if p.claim == FIRST.id and p.strength == STRONG]
    assert [(p.statistic, p.found) for p in mine] == [(FIRST.statistic, 4), ("hit_rate", 40)]
    assert powered(found)[FIRST.id].word == TestWord.UNDERPOWERED


def test_a_handful_of_markets_shows_no_power():
    gate = powered(planted(sized(), {STRONG: 20}, n=20))[FIRST.id]
    assert gate.word == TestWord.TOO_FEW
    assert "was not tried in 30 markets" in gate.reason


@pytest.mark.parametrize(
    ("value", "effect", "causal", "word"),
    [
        (9.0, 0.0, False, TestWord.UNDERPOWERED),  # its own mean is as large as what matters
        (0.0, 9.0, True, TestWord.UNDERPOWERED),  # and so is what was caused, on its scale
        (0.0, 9.0, False, TestWord.CLEARED),
    ],
)
def test_a_test_that_would_refute_what_is_there_is_not_cleared(
    monkeypatch, value, effect, causal, word
):
    """Found often at one strength, and at another its narrow interval denies a large effect."""
    monkeypatch.setitem(TRIALS, FIRST.id, replace(TRIALS[FIRST.id], causal=causal))
    found = planted(sized(), {STRONG: 40})
    cell = planted(Campaign(root=1), {0.125: 0}, effect=lambda _: effect).cells
    (name,) = cell
    held = replace(cell[name].tallies[FIRST.id], refuted=20, value=40 * value)
    found.cells[name] = KeptCell(of="", unit="share", tallies={FIRST.id: held})
    gate = powered(found)[FIRST.id]
    assert gate.word == word
    if word == TestWord.UNDERPOWERED:
        assert "would have refuted the claim in 20 of 40 markets" in gate.reason
        assert "a right test finds 1 on average, and up to" in gate.reason


def test_a_document_has_no_number_that_json_has_not():
    found = planted(sized(n=40), {STRONG: 12})
    cell = found.cells[f"power/{FIRST.id}/{STRONG:g}/120"]
    gone = {"measured": 0, "measured_factual": 0}
    cell.tallies[FIRST.id] = replace(cell.tallies[FIRST.id], **gone)
    document = gate_document(found, levels=absent("none"))
    row = next(p for p in document["power"] if p["strength"] == STRONG and p["claim"] == FIRST.id)
    assert row["effect"] is None
    json.dumps(document, allow_nan=False)
    assert "+nan points" in describe_document(document)


def made(statistic, value, low, high, agree=True):
    found = Estimate(
        value=value, ci_low=low, ci_high=high, agree=agree, n_episodes=100, n_days=100, mde=0.01
    )
    return detail(statistic_of(statistic), (POOLED, "24h", "both"), 0.0, found)


def test_a_finding_is_what_the_verdict_of_the_claim_asks_for():
    claim = Claim(
        id="any", words="", estimand="", null="", statistic="s", unit="share",
        smallest_effect=0.02, least_bound=0.01, also_above=("t",), pass_rule="",
    )  # fmt: skip
    replicas = [
        [made("s", 0.1, 0.02, 0.2), made("t", 0.1, 0.001, 0.2)],
        [made("s", 0.1, 0.02, 0.2), made("t", 0.1, -0.001, 0.2)],
        [made("s", 0.1, 0.02, 0.2)],
        [made("s", 0.02, 0.005, 0.1), made("t", 0.1, 0.001, 0.2)],
        [made("s", 0.0, -0.01, 0.01), made("t", 0.1, 0.001, 0.2)],
        [],
    ]
    markets = [SimpleNamespace(evaluation=SimpleNamespace(details=rows)) for rows in replicas]
    words = [found_of(claim, one) for one in markets]
    assert words[0] == VerdictWord.SUPPORTED
    assert VerdictWord.SUPPORTED not in words[1:]
    assert (words[4], words[5]) == (VerdictWord.REFUTED, VerdictWord.NOT_TESTABLE)
    held = claim_tally(claim, Batch(markets=(*markets, None), effects={}), None)
    assert (held.markets, held.ran_away, held.tested) == (7, 1, 5)
    assert (held.found, held.above, held.refuted, held.valued) == (1, 3, 1, 5)
    assert held.value == pytest.approx(0.32)
    assert tally_of_row(json.loads(json.dumps(held.row))) == held


def test_a_market_whose_price_ran_away_counts_as_found(monkeypatch):
    def stopped(world, experiment, seed, cheat, statistics):
        raise RunawayError(f"world {world.name}: the price of SIM ran away at 2025-03-27")

    monkeypatch.setattr(replications, "replicate", stopped)
    job = Job(role="size", world="regimes", strength=0.0, days=60, batch=0)
    lost, unit = one_batch((job, (FIRST.id,)), WORLDS, 0)
    assert (lost, unit) == ({FIRST.id: Tally(batches=1, markets=BATCH, ran_away=BATCH)}, "")
    found = sized({"regimes": 1})
    cell = found.cells["size/regimes/0/120"]
    cell.tallies[FIRST.id] += lost[FIRST.id]
    (mine,) = (c for c in size_cells(found) if (c.claim, c.world) == (FIRST.id, "regimes"))
    assert (mine.replications, mine.rejections, mine.ran_away) == (1004, 5, BATCH)
    assert mine.mean == pytest.approx(0.001)
    strong = planted(sized(), {STRONG: 40})
    name = f"power/{FIRST.id}/{STRONG:g}/120"
    strong.cells[name].tallies[FIRST.id] += lost[FIRST.id]
    point = next(p for p in power_points(strong) if (p.claim, p.strength) == (FIRST.id, STRONG))
    assert (point.replications, point.found, point.ran_away) == (44, 40, BATCH)


RAN: list = []


def fake_batch(work, folder, root):
    """Tallies that depend on cell, batch and claim alone."""
    job, claims = work
    RAN.append((job, claims))
    out = {}
    for claim in claims:
        rng = np.random.default_rng([root, job.batch, len(job.cell), len(claim)])
        value = rng.normal(0, 1, BATCH)
        out[claim] = tally(
            BATCH, int(rng.integers(3)), batches=1, value2=float(value @ value)
        )  # fmt: skip
        out[claim] = replace(out[claim], value=float(value.sum()))
    return out, "share" if job.role == "power" else ""


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """A function that runs or goes on with a campaign in a folder, on batches that are not run."""
    RAN.clear()
    monkeypatch.setattr(campaigns, "one_batch", fake_batch)
    monkeypatch.setattr(
        campaigns, "pinned_numbers", lambda batches, _root: pinned_of(batches, shift=0.0)
    )
    for name in TRIALS:
        monkeypatch.setitem(TRIALS, name, replace(TRIALS[name], beside=()))

    def ran(folder, jobs, **how):
        kept = tmp_path / folder / CAMPAIGN
        now = still_true(read_campaign(kept, 3), pinned_batches(jobs, WORLDS), WORLDS)
        return run_campaign(now, jobs, worlds=WORLDS, kept=kept, **how)

    return ran


def pinned_of(batches, shift):
    """Pinned numbers of the very statistics and words that verdicts read."""
    rows = {}
    n = sum(len(batch["numbers"]) for batch in batches)
    for claim in TESTS.values():
        rows |= {name: [[0.5] * 8] * n for name in claim.conditions}
        rows[f"{claim.id}: its verdict"] = [[0.0] * 4] * n
        if claim.id in TRIALS and any(batch["claim"] == claim.id for batch in batches):
            effects = TRIALS[claim.id].effects
            rows |= {f"{claim.id} from the truth: {name}": [[0.1]] for name in effects}
    rows[FIRST.statistic] = [[0.5 + shift] * 8] * n
    return rows


SOME = ("gbm", "drift", FIRST.id)


def document(found):
    return json.dumps(gate_document(found, levels=absent("none")), sort_keys=True)


def test_a_campaign_that_was_cut_and_went_on_gives_the_same_bytes(campaign, tmp_path):
    jobs = campaign_jobs(40, SOME, days=[120])
    whole = campaign("whole", jobs)
    n = len(RAN)
    assert n == len(jobs)
    campaign("parts", jobs, seconds=0.0)  # one batch, and it stops by itself
    assert len(RAN) == n + 1

    def killed(work, left):
        for k, job in enumerate(left):
            if k == 20:
                raise KeyboardInterrupt
            yield work(job)

    with pytest.raises(KeyboardInterrupt):
        campaign("parts", jobs, executor=killed)
    assert len(RAN) == n + 21
    again = campaign("parts", jobs)
    assert len(RAN) == 2 * n
    assert document(again) == document(whole)
    files = [(tmp_path / name / CAMPAIGN).read_bytes() for name in ("parts", "whole")]
    assert files[0] == files[1]
    more = campaign("parts", campaign_jobs(48, SOME, days=[120]))
    assert more.cells["size/gbm/0/120"].tallies[FIRST.id].markets == 48
    assert not left_of(more, jobs)


def test_a_claim_that_asks_another_thing_drops_its_own_tallies_alone(campaign, monkeypatch):
    jobs = campaign_jobs(8, SOME, days=[120])
    before = document(campaign("one", jobs))
    RAN.clear()
    monkeypatch.setitem(TESTS, FIRST.id, replace(FIRST, least_bound=FIRST.least_bound + 1.0))
    campaign("one", jobs)
    assert {claims for _, claims in RAN} == {(FIRST.id,)}
    assert {job.cell for job, _ in RAN} == {job.cell for job in jobs}
    RAN.clear()
    monkeypatch.setitem(TESTS, FIRST.id, FIRST)
    assert document(campaign("one", jobs)) == before


def test_another_code_keeps_what_reproduces_and_drops_what_reads_a_changed_number(
    campaign, monkeypatch
):
    jobs = campaign_jobs(8, SOME, days=[120])
    before = campaign("one", jobs)
    RAN.clear()
    monkeypatch.setattr(campaigns, "code_stamp", lambda: "another name of a variable")
    renamed = campaign("one", jobs)
    assert not RAN
    assert renamed.cells == before.cells
    monkeypatch.setattr(campaigns, "code_stamp", lambda: "another constant")
    monkeypatch.setattr(campaigns, "pinned_numbers", lambda b, _root: pinned_of(b, shift=0.1))
    found = campaign("one", jobs)
    readers = tuple(c.id for c in TESTS.values() if FIRST.statistic in c.conditions)
    assert {claims for _, claims in RAN} == {readers}
    assert found.statistics[FIRST.statistic][0][0] == 0.6


def test_a_world_whose_file_changed_is_replicated_again_and_no_other(campaign, tmp_path):
    folder = tmp_path / "worlds"
    folder.mkdir()
    for name in ("gbm", "drift"):
        (folder / f"{name}.yaml").write_bytes((WORLDS / f"{name}.yaml").read_bytes())
    jobs = campaign_jobs(8, ("gbm", "drift"), days=[120])

    def ran():
        RAN.clear()
        kept = tmp_path / "k" / CAMPAIGN
        now = still_true(read_campaign(kept, 3), pinned_batches(jobs, folder), folder)
        run_campaign(now, jobs, worlds=folder, kept=kept)
        return {job.cell for job, _ in RAN}

    ran()
    assert ran() == set()
    text = (folder / "drift.yaml").read_text()
    (folder / "drift.yaml").write_text(
        text.replace("initial_price_usd: 50000", "initial_price_usd: 40000")
    )
    assert ran() == {"size/drift/0/120"}


def test_what_is_no_campaign_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / CAMPAIGN
    assert read_campaign(path, 0) == Campaign(root=0)
    for text in ("nonsense", "[]", '{"format": "older"}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"campaign\.json: found no tallies of a campaign"):
            read_campaign(path, 0)
    write_campaign(sized(), path)
    assert read_campaign(path, 1) == sized()
    torn = path.read_text()
    path.write_text(torn[: len(torn) // 2])
    with pytest.raises(DataError, match="delete the file to begin anew"):
        read_campaign(path, 1)
    path.write_text(torn)
    with pytest.raises(ConfigError, match="of root seed 1, and 0 is asked for"):
        read_campaign(path, 0)


def test_a_whole_campaign_is_a_small_file(tmp_path):
    found = sized(lengths=(120, 365))
    for claim in TRIED:
        for strength in PLANTED[claim.id]:
            planted(found, {strength: 40}, claim=claim)
    write_campaign(found, tmp_path / CAMPAIGN)
    assert (tmp_path / CAMPAIGN).stat().st_size < 500_000


def test_a_part_of_a_campaign_is_a_part_of_each_world():
    jobs = campaign_jobs(1000)
    assert len({(job.cell, job.batch) for job in jobs}) == len(jobs)
    cells = {job.cell for job in jobs}
    assert {job.cell for job in jobs[: len(cells)]} == cells
    sizes = [job for job in jobs if job.role == "size" and job.world in NUISANCE]
    assert sum(job.days == 120 for job in sizes) * BATCH == 1000 * len(NUISANCE)
    assert sum(job.days == 365 for job in sizes) * BATCH == 300 * len(NUISANCE)


def test_of_every_world_where_another_claim_is_true_there_are_three_hundred():
    jobs = [job for job in campaign_jobs(1000) if job.role == "power"]
    for claim in PLANTED:
        mine = [job for job in jobs if (job.world, job.days) == (claim, 120)]
        assert len(mine) * BATCH >= 300
        year = [job for job in jobs if (job.world, job.days) == (claim, 365)]
        assert len(year) * BATCH == 36 * len(PLANTED[claim])  # the days of 100, in whole batches
    some = [job for job in campaign_jobs(1000, powered=8) if job.role == "power"]
    assert {job.batch for job in some if job.days == 120} == {0, 1}
    with pytest.raises(ConfigError, match="at 0 lengths"):
        campaign_jobs(4, days=[])


def test_a_few_markets_of_every_world_are_pinned():
    jobs = campaign_jobs(1000)
    batches = pinned_batches(jobs, WORLDS)
    planted_ones = [batch for batch in batches if batch["claim"]]
    assert sorted(batch["claim"] for batch in planted_ones) == sorted(PLANTED)
    assert {len(batch["numbers"]) for batch in planted_ones} == {2}
    others = [batch for batch in batches if not batch["claim"]]
    assert {len(batch["numbers"]) for batch in others} == {1}
    assert sum(batch["cheat"] for batch in batches) == 1
    assert {batch["changes"]["days"] for batch in batches} == {120}
    assert pinned_batches(campaign_jobs(4), WORLDS) == batches


def test_direction_beyond_its_setting_has_more_jumps_and_as_much_variance():
    from liqbt.validity.jobs import world_of

    job = Job(role="power", world="direction", strength=1.0, days=60, batch=0)
    one = world_of(job, WORLDS)
    four = world_of(replace(job, strength=4.0), WORLDS)
    assert one.mechanisms.direction == four.mechanisms.direction == 1.0
    assert four.price.jumps_per_day == 4 * one.price.jumps_per_day

    def of_jumps(world):
        return (
            world.price.jumps_per_day * (world.price.jump_sigma * world.price.daily_volatility) ** 2
        )

    assert of_jumps(four) == pytest.approx(of_jumps(one))
    assert four.price.daily_volatility == one.price.daily_volatility / 2


def test_what_cannot_be_replicated_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"no world is called 'gmb'.*'gbm'"):
        campaign_jobs(4, ["gmb"])
    with pytest.raises(ConfigError, match="found 0 replications"):
        campaign_jobs(0)
    done = CliRunner().invoke(cli, ["validate", "--days", "120,x", "--out", str(tmp_path)])
    assert "--days: found '120,x', expected lengths of 30" in str(done.exception)
    done = CliRunner().invoke(
        cli,
        ["validate", "--worlds", "gbm", "--replications", "1", "--worlds-from", str(tmp_path),
         "--out", str(tmp_path / "v")],
        env={"LIQBT_DATA": str(tmp_path)},
    )  # fmt: skip
    assert done.exit_code != 0
    assert "gbm.yaml" in str(done.exception)


@pytest.mark.slow
@pytest.mark.nightly
def test_real_batches_give_the_same_tallies_whole_or_in_parts_here_or_in_processes(tmp_path):
    """Short markets of two worlds and an oracle: catches gross failure, clears nothing."""
    from liqbt.validity.validate import validate

    places = {"worlds_from": WORLDS, "replications": BATCH, "seed": 7, "days": [30]}
    whole = validate(tmp_path / "two", worlds=("gbm", FIRST.id), executor=in_processes(2), **places)
    validate(tmp_path / "one", worlds=("gbm",), minutes=1e-9, **places)
    parts = validate(tmp_path / "one", worlds=("gbm", FIRST.id), **places)
    assert json.dumps(parts) == json.dumps(whole)
    assert {gate["word"] for gate in whole["gates"]} <= {
        TestWord.TOO_FEW, TestWord.BLIND, TestWord.BLOCKED,
    }  # fmt: skip
    one, two = ((tmp_path / k / CAMPAIGN).read_bytes() for k in ("one", "two"))
    assert one == two


def test_planted_worlds_are_those_of_their_files_at_another_strength():
    from liqbt.validity.jobs import world_of

    job = Job(role="power", world="magnet", strength=0.5, days=60, batch=0)
    world = world_of(job, WORLDS)
    assert (world.days, world.mechanisms.magnet) == (60, 0.5)
    free = world_of(replace(job, role="size", world="gbm", strength=0.0), WORLDS)
    assert free.mechanisms == type(free.mechanisms)()
    assert world.feed == free.feed == replace(load_world(WORLDS / "gbm.yaml"), **SHOWN).feed
    walls = world_of(replace(job, world="wall", strength=1.0), WORLDS)
    assert (walls.feed.depth_every_s, walls.feed.depth_decoys) == (3600, 0.0)


def test_depth_changes_neither_the_price_nor_another_feed():
    world = replace(load_world(WORLDS / "jumps.yaml"), days=30)
    plain, shown = (simulate(w, seed=5).tables for w in (world, replace(world, **SHOWN)))
    assert shown.keys() - plain.keys() == {Kind.DEPTH}
    assert all(shown[kind].equals(plain[kind]) for kind in plain)


def test_a_claim_may_be_planted_in_a_world_of_another_name(monkeypatch):
    from liqbt.validity.jobs import world_of

    monkeypatch.setitem(TRIALS, FIRST.id, replace(TRIALS[FIRST.id], world="fuel", keys=None))
    job = Job(role="power", world=FIRST.id, strength=0.25, days=60, batch=0)
    world = world_of(job, WORLDS)
    assert (world.name, world.mechanisms.fuel) == ("fuel", 0.25)


def test_a_page_says_that_random_levels_were_not_tried_or_what_they_showed(tmp_path):
    from liqbt.report.pages.validity import write_validity_page

    document = gate_document(planted(sized(n=40), {STRONG: 20}), levels=absent("no candles here"))
    text = write_validity_page(document, tmp_path).read_text()
    assert "Absent: no candles here." in text
    assert text.count("<img") == 2
    assert "it is no expectation" in text
    assert "are chance" not in text
    for claim in TESTS:
        assert f"<td>{claim}</td>" in text or f">{claim}<" in text
    lifts = [
        {"symbol": s, "null": n, "value": 0.001, "ci_low": -0.002, "ci_high": 0.004,
         "hac_se": 0.0015, "bootstrap_se": 0.0014, "n_episodes": 900, "n_days": 99}
        for s in ("X", "pooled") for n in ("placebo", "brownian")
    ]  # fmt: skip
    tenth = {"mean_probability": 0.2, "value": 0.21, "ci_low": 0.18, "ci_high": 0.24}
    empty = dict.fromkeys(tenth)
    parts = {"score": 0.15, "miscalibration": 0.00014}
    levels = {
        "word": "passed", "reason": "r", "lifts": lifts, "reliability": [tenth, empty],
        "corp": {"placebo": parts, "brownian": parts},
    }  # fmt: skip
    text = write_validity_page({**document, "random_levels": levels}, tmp_path).read_text()
    assert text.count("<img") == 3
    assert re.search(r"<td[^>]*>\+0\.10</td>", text)
    assert "miscalibration 0.00014" in text


def test_a_page_of_a_campaign_that_has_not_begun_is_no_error(tmp_path):
    from liqbt.report.pages.validity import write_validity_page

    empty = gate_document(Campaign(root=0), levels=absent("none"))
    assert {gate["word"] for gate in empty["gates"]} == {TestWord.TOO_FEW}
    write_validity_page(empty, tmp_path)
    nowhere = sized(n=4)
    for cell in nowhere.cells.values():
        for name in cell.tallies:
            cell.tallies[name] = Tally(batches=1, markets=4)
    write_validity_page(gate_document(nowhere, levels=absent("none")), tmp_path)


def test_a_document_is_decided_again_from_its_counts_alone():
    found = planted(sized({"momentum": 60}), {STRONG: 40})
    document = gate_document(found, levels=absent("none"))
    words = [{**gate, "word": "cleared", "reason": ""} for gate in document["gates"]]
    cells = [{**cell, "limit": 1000, "few": 0, "word": "within"} for cell in document["size"]]
    decided = document_gates({**document, "gates": words, "size": cells})
    assert [(g.claim, str(g.word), g.reason, list(g.days)) for g in decided] == [
        (g["claim"], g["word"], g["reason"], g["days"]) for g in document["gates"]
    ]
    assert {g.claim: g.word for g in decided}[FIRST.id] == TestWord.BLOCKED
    assert {g.claim for g in decided if g.word == TestWord.CLEARED} <= set(TESTS) - UNTRIED


@pytest.mark.parametrize(("strengths", "pinned"), [((1.0,), 1.0), ((0.5, 1.0), 0.5)])
def test_the_last_strength_but_one_is_pinned_or_the_only_one(monkeypatch, strengths, pinned):
    monkeypatch.setitem(PLANTED, "magnet", strengths)
    jobs = [
        Job(role="power", world="magnet", strength=strength, days=60, batch=0)
        for strength in strengths
    ]
    assert [batch["changes"]["magnet"] for batch in pinned_batches(jobs, WORLDS)] == [pinned]


def test_the_command_computes_with_one_thread_of_blas():
    """Workers share the cores; NumPy reads this once, when it is imported."""
    code = (
        "import os, sys, types; cli = types.ModuleType('liqbt.cli')\n"
        "cli.main = lambda: print(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules)\n"
        "sys.modules['liqbt.cli'] = cli; from liqbt.__main__ import main; main()"
    )
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 False\n"
