"""The validity gate: cells and words by hand, batches that do not depend on how they are run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from validity_document import STATISTICS, planted, results, row

from liqbt.cli import cli
from liqbt.errors import ConfigError, DataError, RunawayError
from liqbt.evaluation.claims.register import TRIALS
from liqbt.study import replications
from liqbt.study.clearing import (
    NUISANCE,
    Gate,
    TestWord,
    document_gates,
    gates_with_power,
    size_gates,
)
from liqbt.study.replications import RAN_AWAY
from liqbt.validity.campaign import run_campaign
from liqbt.validity.candles import absent
from liqbt.validity.cells import oracle_seen, size_cells
from liqbt.validity.jobs import BATCH, PLANTED, POWER_DAYS, Job, campaign_jobs, one_batch
from liqbt.validity.power import power_points, smallest_found
from liqbt.validity.summary import describe_document, gate_document
from liqbt.validity.validate import pinned_batches

WORLDS = Path(__file__).resolve().parent.parent.parent / "liqbt" / "data" / "worlds"


def gate_of(found: dict) -> list[Gate]:
    return size_gates(size_cells(found), oracle_seen(found))


def test_sixteen_cells_of_a_thousand_allow_thirty_nine():
    """The binomial tail beyond 39 of 1,000 is below .05/16, and that beyond 38 is not."""
    cells = size_cells(results(1000, {}))
    assert len(cells) == 16
    assert {cell.limit for cell in cells} == {39}
    p = sum(
        math.comb(1000, k) * 0.025**k * 0.975 ** (1000 - k) for k in range(cells[0].limit + 1, 120)
    )
    assert p <= 0.05 / 16
    assert {cell.word for cell in cells} == {"within"}


def test_a_test_is_cleared_only_by_a_thousand_of_each_world_and_the_oracle():
    words = {gate.claim: gate.word for gate in gate_of(results(1000, {}))}
    assert words == {"magnet": TestWord.CLEARED, "direction": TestWord.CLEARED}
    words = {gate.claim: gate.word for gate in gate_of(results(40, {}))}
    assert words["magnet"] == TestWord.BLOCKED  # 25 of 40: gross failure shows at once
    some = {job: r for job, r in results(1000, {}).items() if job.world != "drift"}
    assert {gate.word for gate in gate_of(some)} == {TestWord.TOO_FEW}


def test_one_world_too_many_blocks_that_test_alone():
    magnet, direction = gate_of(results(1000, {"momentum": 60}))
    assert magnet.word == TestWord.BLOCKED
    assert "in momentum it found something in 60 of 1000 markets" in magnet.reason
    assert direction.word == TestWord.CLEARED


def test_a_test_that_misses_an_oracle_is_blind():
    gates = gate_of(results(1000, {}, oracle=7))
    assert {gate.word for gate in gates} == {TestWord.BLIND}
    assert "missed 1 of 8" in gates[0].reason


def test_a_test_that_was_shown_no_oracle_is_not_cleared():
    unseen = {job: r for job, r in results(1000, {}).items() if job.role == "size"}
    assert {(g.word, g.reason) for g in gate_of(unseen)} == {
        (TestWord.TOO_FEW, "no market whose forecasts knew the future")
    }


def test_a_test_that_never_finds_anything_is_conservative_not_within():
    cells = size_cells(results(1000, dict.fromkeys(NUISANCE, 0)))
    assert {c.word for c in cells if c.claim == "magnet"} == {"conservative"}


def test_power_is_stated_against_the_effect_not_the_setting():
    points = power_points(planted({0.5: 4, 1.0: 12, 2.0: 20}))
    assert [(p.effect, p.power) for p in points] == [(0.05, 0.2), (0.1, 0.6), (0.2, 1.0)]
    assert smallest_found(points) == pytest.approx(0.15)
    assert smallest_found(power_points(planted({0.5: 4, 1.0: 12}))) is None


def test_what_is_shown_beside_a_test_decides_nothing(monkeypatch):
    shown = replace(TRIALS["magnet"], beside=("dose_response_raw",))
    monkeypatch.setitem(TRIALS, "magnet", shown)
    found = planted({1.0: 4}, batches=10)
    for result in found.values():
        for scores in result["scores"]:
            scores["dose_response_raw"] = row(True)
    points = power_points(found)
    assert [(p.statistic, p.found) for p in points] == [
        ("dose_response", 4),
        ("dose_response_raw", 40),
    ]
    assert gates_with_power(gate_of(results(1000, {})), points)[0].word == TestWord.UNDERPOWERED


def test_a_test_that_finds_nothing_where_its_claim_is_true_is_not_cleared():
    gates = gate_of(results(1000, {}))
    weak = power_points(planted({0.5: 4, 1.0: 31}, batches=10))
    magnet, direction = gates_with_power(gates, weak)
    assert magnet.word == TestWord.UNDERPOWERED
    assert "it found at most 31 of 40 markets (strength 1, 120 days)" in magnet.reason
    assert direction.word == TestWord.TOO_FEW  # it was not tried where its claim is true
    strong = power_points(planted({0.5: 4, 1.0: 32}, batches=10))
    assert gates_with_power(gates, strong)[0] == gates[0]
    few = gate_of(results(40, {}))
    assert gates_with_power(few, weak) == few


def test_a_handful_of_markets_shows_no_power():
    gates = gate_of(results(1000, {}))
    magnet = gates_with_power(gates, power_points(planted({1.0: 20})))[0]
    assert magnet.word == TestWord.TOO_FEW
    assert "was not tried in 30 markets" in magnet.reason


def test_a_test_that_would_refute_what_is_there_is_not_cleared():
    """Found often at one strength, and at another its narrow interval denies a large effect."""
    found = planted({0.5: 0, 1.0: 40}, batches=10)
    for job, result in found.items():
        if job.strength == 0.5:
            for scores in result["scores"][:2]:
                scores["dose_response"][1:3] = [-0.01, 0.01]
    magnet = gates_with_power(gate_of(results(1000, {})), power_points(found))[0]
    assert magnet.word == TestWord.UNDERPOWERED
    assert "would have refuted the claim in 20 of 40 markets" in magnet.reason
    small = planted({0.5: 0, 1.0: 40}, effect=lambda s: 0.01 if s < 1 else 0.1, batches=10)
    assert gates_with_power(gate_of(results(1000, {})), power_points(small))[0].word == "cleared"


def test_a_document_has_no_number_that_json_has_not(tmp_path):
    found = {**results(40, {}), **planted({1.0: 12}, effect=lambda _: math.nan)}
    document = gate_document(found, identity="i", root=1, levels=absent("none"))
    assert document["found_with_80_percent"] == [
        {"claim": "magnet", "statistic": "dose_response", "days": 120, "effect": None}
    ]
    assert document["power"][0]["effect"] is None
    assert "+nan (nan)" in describe_document(document)


def test_what_is_finished_is_not_run_again_and_a_torn_line_is_no_batch(tmp_path, monkeypatch):
    ran = []

    def batch(job, folder, root):
        ran.append(job)
        return {"scores": [{"x": [job.batch]}], "effects": {}}

    monkeypatch.setattr("liqbt.validity.campaign.one_batch", batch)
    jobs = campaign_jobs(2 * BATCH, ["gbm"])
    places = {"worlds": WORLDS, "kept": tmp_path / "k.jsonl", "root": 1}
    first = run_campaign(jobs[:2], identity="a", **places)
    with (tmp_path / "k.jsonl").open("a") as file:
        file.write('{"identity": "a", "key": "size/g')
    whole = run_campaign(jobs, identity="a", **places)
    assert len(ran) == len(jobs)
    assert whole.keys() == set(jobs)
    assert {job: whole[job] for job in jobs[:2]} == first
    run_campaign(jobs[:1], identity="b", **places)
    assert len(ran) == len(jobs) + 1
    (tmp_path / "k.jsonl").write_text("nonsense\n")
    with pytest.raises(DataError, match=r"k\.jsonl, line 1: found 'nonsense'"):
        run_campaign(jobs, identity="a", **places)


def test_a_finding_is_what_the_verdict_of_the_claim_asks_for():
    """Above 0 and below one point: found for direction, and not for the magnet."""
    score = [0.02, 0.005, 0.1, True, 100, 100]
    scores = [dict.fromkeys(STATISTICS, score)] * BATCH
    found = {job: {"scores": scores} for job in results(40, {})}
    cells = {(cell.claim, cell.rejections) for cell in size_cells(found)}
    assert cells == {("magnet", 0), ("direction", 40)}
    words = {gate.claim: gate.reason for gate in gate_of(found)}
    assert "missed 8 of 8" in words["magnet"]


def test_a_market_whose_price_ran_away_counts_as_found(monkeypatch):
    def stopped(world, experiment, seed, cheat, statistics):
        raise RunawayError(f"world {world.name}: the price of SIM ran away at 2025-03-27")

    monkeypatch.setattr(replications, "replicate", stopped)
    job = Job(role="size", world="regimes", strength=0.0, days=60, batch=0)
    lost = one_batch(job, WORLDS, 0)
    assert lost == {"scores": [{RAN_AWAY: []}] * BATCH, "effects": {}}
    planted = replace(job, role="power", world="magnet", strength=1.0)
    (point,) = power_points({planted: one_batch(planted, WORLDS, 0)})[:1]
    assert (point.replications, point.found, point.ran_away) == (BATCH, 0, BATCH)
    assert point.refuted_limit == 0  # nothing is left in which it could have been refuted
    found = results(40, {"regimes": 1})
    before = {(c.statistic, c.world): c for c in size_cells(found)}
    after = {(c.statistic, c.world): c for c in size_cells({**found, replace(job, batch=99): lost})}
    for key, cell in after.items():
        more = BATCH if key[1] == "regimes" else 0
        assert cell.ran_away == more
        assert cell.replications == before[key].replications + more
        assert cell.rejections == before[key].rejections + more
        assert cell.mean == before[key].mean


def test_a_part_of_a_campaign_is_a_part_of_each_world():
    jobs = campaign_jobs(1000)
    assert len({job.key for job in jobs}) == len(jobs)
    tried = 1 + len(POWER_DAYS) * sum(map(len, PLANTED.values()))  # an oracle, and strengths
    first = {job.world for job in jobs[: len(NUISANCE) + tried]}
    assert first == {*NUISANCE, *PLANTED}
    sizes = [job for job in jobs if job.role == "size"]
    assert len(sizes) * BATCH == 8000


def test_a_year_of_power_gets_the_days_of_four_months_in_fewer_markets():
    jobs = [j for j in campaign_jobs(1000, powered=100) if j.role == "power"]
    of = {(j.world, j.strength, j.days): 0 for j in jobs}
    for job in jobs:
        of[job.world, job.strength, job.days] += BATCH
    assert {days for _, _, days in of} == {120, 365}
    assert {n for (_, _, days), n in of.items() if days == 120} == {100}
    assert {n for (_, _, days), n in of.items() if days == 365} == {36}  # 33 in whole batches
    tried = {days: {s for name, s, d in of if (name, d) == ("magnet", days)} for days in (120, 365)}
    assert tried == {120: set(PLANTED["magnet"]), 365: set(PLANTED["magnet"])}
    alone = campaign_jobs(1000, powered=100, power_days=[365])
    assert {j.batch for j in alone if j.role == "power"} == set(range(25))
    with pytest.raises(ConfigError, match="power at 0 lengths"):
        campaign_jobs(4, power_days=[])


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
    done = CliRunner().invoke(
        cli,
        ["validate", "--worlds", "gbm", "--replications", "1", "--worlds-from", str(tmp_path),
         "--out", str(tmp_path / "v")],
    )  # fmt: skip
    assert done.exit_code != 0
    assert "gbm.yaml" in str(done.exception)
    done = CliRunner().invoke(cli, ["validate", "--power-days", "120,x", "--out", str(tmp_path)])
    assert "--power-days: found '120,x', expected lengths of 30" in str(done.exception)


@pytest.mark.slow
def test_forty_replications_show_no_gross_failure(tmp_path):
    """Eight worlds by four and eight markets of an oracle: catches gross failure, clears nothing.

    The same bytes whatever the processes, and what the page needs is there.
    """
    from liqbt.report.pages.validity import write_validity_page
    from liqbt.validity.validate import validate

    places = {"worlds_from": WORLDS, "replications": BATCH, "seed": 7}
    document = validate(tmp_path / "two", worlds=NUISANCE, processes=2, **places)
    assert len(document["size"]) == 16
    assert not [cell for cell in document["size"] if cell["word"] == "above"]
    assert {gate["word"] for gate in document["gates"]} == {TestWord.TOO_FEW}
    validate(tmp_path / "one", worlds=["gbm"], **places)
    one, two = (
        {(row := json.loads(line))["key"]: row["scores"] for line in text.splitlines()}
        for text in ((tmp_path / k / "replications.jsonl").read_text() for k in ("one", "two"))
    )
    assert one.items() <= two.items()
    page = write_validity_page(document, tmp_path / "two").read_text()
    assert "too few replications" in page
    assert np.char.count(page, "<img") == 1


def test_planted_worlds_are_those_of_their_files_at_another_strength():
    from liqbt.validity.jobs import world_of

    job = Job(role="power", world="magnet", strength=0.5, days=60, batch=0)
    world = world_of(job, WORLDS)
    assert (world.days, world.mechanisms.magnet) == (60, 0.5)
    free = world_of(replace(job, role="size", world="gbm", strength=0.0), WORLDS)
    assert free.mechanisms == type(free.mechanisms)()


def test_a_page_says_that_random_levels_were_not_tried_or_what_they_showed(tmp_path):
    from liqbt.report.pages.validity import write_validity_page

    found = {**results(40, {}), **planted({1.0: 12, 2.0: 20})}
    document = gate_document(found, identity="i", root=1, levels=absent("no candles here"))
    text = write_validity_page(document, tmp_path).read_text()
    assert "Absent: no candles here." in text
    assert text.count("<img") == 2
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
    assert "<td>+0.10</td>" in text
    assert "miscalibration 0.00014" in text


def test_a_document_is_decided_again_from_its_counts_alone():
    found = {**results(1000, {"momentum": 60}), **planted({1.0: 12, 2.0: 40}, batches=10)}
    document = gate_document(found, identity="i", root=1, levels=absent("none"))
    words = [{**gate, "word": "cleared", "reason": ""} for gate in document["gates"]]
    cells = [{**cell, "limit": 1000, "few": 0, "word": "within"} for cell in document["size"]]
    decided = document_gates({**document, "gates": words, "size": cells})
    assert [(g.claim, str(g.word), g.reason) for g in decided] == [
        (g["claim"], g["word"], g["reason"]) for g in document["gates"]
    ]
    assert decided[0].word == TestWord.BLOCKED
    missed = [{**each, "missed": 1} for each in document["oracle"]]
    clean = gate_document(results(1000, {}), identity="i", root=1, levels=absent("none"))
    assert {g.word for g in document_gates({**clean, "oracle": missed})} == {TestWord.BLIND}


@pytest.mark.parametrize(("strengths", "pinned"), [((1.0,), 1.0), ((0.5, 1.0), 0.5)])
def test_the_last_strength_but_one_is_pinned_or_the_only_one(monkeypatch, strengths, pinned):
    monkeypatch.setitem(PLANTED, "magnet", strengths)
    jobs = [
        Job(role="power", world="magnet", strength=strength, days=60, batch=0)
        for strength in strengths
    ]
    assert [job.strength for job in pinned_batches(jobs, WORLDS)] == [pinned]
