"""Statistics, claims and verdicts; the evaluation from end to end."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import brownian_market, evaluated, evidence_with

from liqbt.evaluation.claims.accuracy import claim_of
from liqbt.evaluation.claims.claim import ClaimStatus, describe_claims
from liqbt.evaluation.claims.direction import crowded_lift, first_side_skill
from liqbt.evaluation.claims.register import CLAIMS, REGISTER, STATISTICS, statistic_of
from liqbt.evaluation.claims.scale import OWN_SCALE
from liqbt.evaluation.claims.verdict import find_score, power_at, verdict, verdicts
from liqbt.evaluation.claims.visit import CLAIM as VISIT
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.covariates import LANDMARK_DTYPE
from liqbt.evaluation.evaluate import days_spanned, evaluate, scored
from liqbt.evaluation.evidence import Evidence, observe
from liqbt.evaluation.inference.days import DaySums, day_sums, draw, pooled
from liqbt.evaluation.inference.estimates import Estimate, ScoreDetail
from liqbt.evaluation.lifts import band_rows, scored_births
from liqbt.evaluation.statistic import POINTS, Statistic
from liqbt.learn.models import LandmarkPredictions
from liqbt.learn.walk import Predictions
from liqbt.types import DAY_NS, HOUR_NS, Score, VerdictWord

CONFIG = EvaluationConfig(horizons_ns=(4 * HOUR_NS, DAY_NS), bootstrap_reps=200)
DRAWS = draw(np.random.default_rng(3), reps=200, n_days=10)
REGISTERED = next(claim for claim in CLAIMS if claim.id == "magnet")
MAGNET = dataclasses.replace(
    REGISTERED,
    statistic="dose_response",
    horizon="24h",
    unit="share",
    scale=OWN_SCALE,
    smallest_effect=0.02,
    least_value=0.02,
    least_bound=0.01,
)
CONDITIONED = dataclasses.replace(
    MAGNET,
    also_above=("dose_response_beside_structures",),
    also_positive=("mirror_lift_densest",),
)
KNOWN = [s for s in STATISTICS if "placebo" not in s.needs]
"""Statistics whose values no random level enters."""


@pytest.fixture(scope="module")
def evaluation():
    rng = np.random.default_rng(21)
    markets = [
        brownian_market(rng, days=30, kind="points", symbol="A"),
        brownian_market(rng, days=30, kind="bars", symbol="B"),
    ]
    return evaluated(markets, CONFIG)


@pytest.fixture(scope="module")
def directed():
    """Two markets of seven weeks, with the models of the direction claim behind the scores."""
    rng = np.random.default_rng(22)
    markets = [brownian_market(rng, days=50, kind="bars", symbol=name) for name in "AB"]
    config = replace(CONFIG, horizons_ns=(DAY_NS,))
    return evaluated(markets, config)


def row(evaluation, statistic, symbol="pooled", horizon="24h", side="both"):
    (found,) = (
        s
        for s in evaluation.scores
        if (s.statistic, s.symbol, s.horizon, s.side) == (statistic, symbol, horizon, side)
    )
    return found


def test_every_statistic_once_per_symbol_horizon_and_side(evaluation):
    keys = [(s.statistic, s.symbol, s.horizon, s.side) for s in evaluation.scores]
    assert len(keys) == len(set(keys))
    every_horizon = (3 * 3 + 2 * 3) + 7 + 4 + 2 + 3  # episodes, p̂, landmarks, bins, hours
    primary = 3 + 8 + 2 * 2 + 18  # levels, models, counts of a side, readings of 85 %
    hours = 3 + 3 + 3  # magnet, direction, asymmetry
    assert len(keys) == 3 * 2 * every_horizon + 3 * (primary + hours)
    assert [d.score for d in evaluation.details] == list(evaluation.scores)


def test_scores_by_hand_from_the_outcome_table(evaluation):
    births = evaluation.evidence.observed.outcomes
    births = births[births["birth"] & (births["censor"] == 0) & (births["horizon_ns"] == DAY_NS)]
    mine = births[(births["symbol"] == 1) & (births["side"] == 1)]
    y, q, m = (mine[n].astype(float) for n in ("visited", "brownian", "mirror_visited"))
    found = [
        row(evaluation, s, "B", "24h", "long") for s in ("hit_rate", "brownian_lift", "mirror_lift")
    ]
    assert found[0].value == pytest.approx(y.mean())
    assert found[0].null == pytest.approx(q.mean())
    assert found[1].value == pytest.approx((y - q).mean())
    assert found[2].value == pytest.approx((y - m).mean())
    assert found[0].n_episodes == len(mine)
    both = births[births["symbol"] == 1]
    dense = both[both["density_rank"] > 0.8]
    assert row(evaluation, "mirror_lift_dense", "B").n_episodes == len(dense)
    tops = evaluation.evidence.observed.outcomes
    tops = tops[tops["densest_birth"] & (tops["censor"] == 0) & (tops["horizon_ns"] == DAY_NS)]
    tops = tops[tops["symbol"] == 1]
    lift = (tops["visited"].astype(float) - tops["mirror_visited"]).mean()
    assert 0 < len(tops) < len(both)
    assert row(evaluation, "mirror_lift_densest", "B").value == pytest.approx(lift)
    assert {s.claim for s in found} == {"visit", "magnet"}


def test_pooled_holds_all_symbols_and_both_holds_all_sides(evaluation):
    for horizon in ("4h", "24h"):
        counts = {
            (symbol, side): row(evaluation, "hit_rate", symbol, horizon, side).n_episodes
            for symbol in ("A", "B", "pooled")
            for side in ("long", "short", "both")
        }
        for side in ("long", "short", "both"):
            assert counts["pooled", side] == counts["A", side] + counts["B", side]
        assert counts["pooled", "both"] == counts["pooled", "long"] + counts["pooled", "short"]


def test_flow_adds_up(evaluation):
    for flow in evaluation.evidence.observed.flow:
        assert flow.scored == flow.episodes - flow.censored
        assert flow.clusters >= flow.eligible >= flow.episodes > 0
        assert row(evaluation, "hit_rate", flow.symbol, flow.horizon).n_episodes == flow.scored
    for counted in evaluation.evidence.observed.landmarks:
        assert counted.landmarks == counted.one_sided + counted.censored + counted.scored
        skill = row(evaluation, "first_side_skill", counted.symbol, counted.horizon)
        assert skill.n_episodes == counted.scored


def test_bands_partition_the_scored_episodes(evaluation):
    for symbol in ("A", "B", "pooled"):
        for horizon in ("4h", "24h"):
            mine = [b for b in evaluation.bands if (b.symbol, b.horizon) == (symbol, horizon)]
            total = row(evaluation, "hit_rate", symbol, horizon)
            assert [b.band_low for b in mine] == [0.25, 0.5, 1.0, 1.5]
            assert sum(b.n_episodes for b in mine) == total.n_episodes
            hits = sum(b.n_episodes * b.hit_rate for b in mine)
            assert hits == pytest.approx(total.value * total.n_episodes)
            assert [b.null for b in mine] == sorted((b.null for b in mine), reverse=True)


def test_the_last_band_is_closed():
    market = brownian_market(np.random.default_rng(0), days=3, kind="points")
    found = observe([market], CONFIG)
    rows = scored_births(found.outcomes).copy()
    rows["distance_sigma"] = 2.5
    bands = band_rows(rows, ("A",), CONFIG, DRAWS)
    assert all(b.n_episodes > 0 for b in bands if b.band_high == 2.5)
    assert all(b.n_episodes == 0 and math.isnan(b.hit_rate) for b in bands if b.band_high < 2.5)


def test_the_seed_moves_only_the_bootstrap():
    markets = [brownian_market(np.random.default_rng(4), days=20, kind="points")]
    runs = [
        evaluate(Evidence(markets=markets, config=CONFIG, root=root), KNOWN) for root in (1, 1, 2)
    ]
    assert repr(runs[0].scores) == repr(runs[1].scores)
    assert repr(runs[0].details) != repr(runs[2].details)
    assert [repr(s.value) for s in runs[0].scores] == [repr(s.value) for s in runs[2].scores]
    outcomes = [run.evidence.observed.outcomes.tobytes() for run in runs]
    assert outcomes[0] == outcomes[2]


def test_without_an_episode_everything_is_missing():
    market = brownian_market(np.random.default_rng(4), days=3, kind="points")
    bare = [replace(f, clusters=f.clusters[:0]) for f in market.forecasts]
    evidence = Evidence(markets=[replace(market, forecasts=bare)], config=CONFIG)
    details = [*scored(evidence, [s for s in STATISTICS if "episodes" in s.needs])]
    assert len(details) == 2 * 2 * (3 * 3 + 2 * 3 + 7)
    for detail in details:
        assert math.isnan(detail.score.value)
        assert detail.score.n_episodes == 0
        assert math.isnan(detail.score.ci_low)
    hit = [d.score for d in details if d.score.statistic == "hit_rate"]
    assert all(math.isnan(s.null) for s in hit)


def test_first_side_skill_by_hand():
    p = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    q = np.array([[0.4, 0.4, 0.2]] * 4)
    outcome = np.array([1, -1, 0, 0], np.int8)
    tie = np.array([False, False, False, True])
    mid, low, high = first_side_skill(p, q, outcome, tie)
    up, down = math.log(0.5 / 0.4), math.log(0.3 / 0.4)
    assert mid.tolist() == pytest.approx([up, down, 0.0, (up + down) / 2])
    assert low.tolist() == pytest.approx([up, down, 0.0, down])
    assert high.tolist() == pytest.approx([up, down, 0.0, up])


def test_crowded_lift_by_hand():
    """More longs below (positive): the crowded side is down."""
    q = np.array([[0.5, 0.3, 0.2]] * 5)
    outcome = np.array([-1, 1, 0, -1, 1], np.int8)
    tie = np.array([False, False, True, False, False])
    lift = crowded_lift(q, outcome, tie, np.array([0.4, 0.4, 0.4, -0.4, 0.0]))
    assert lift[:4].tolist() == pytest.approx([0.6, -0.4, 0.1, -0.6])
    assert math.isnan(lift[4])


def test_crowded_lift_cancels_what_errs_on_both_sides_alike():
    """Nothing is ever touched although q says 0.8: no lift on a random side."""
    rng = np.random.default_rng(0)
    q = np.tile([0.4, 0.4, 0.2], (1000, 1))
    zero = np.zeros(1000, np.int8)
    lift = crowded_lift(q, zero, zero.astype(bool), rng.uniform(-1, 1, 1000))
    np.testing.assert_allclose(lift, 0.0, atol=1e-15)


def detail(value=0.03, half=0.01, mde=0.014, n=500, days=90, agree=True, null=0.0, **named):
    score = Score(
        claim="magnet",
        symbol="pooled",
        horizon="24h",
        side="both",
        statistic=named.get("statistic", "dose_response"),
        value=value,
        null=null,
        ci_low=value - half,
        ci_high=value + half,
        n_episodes=n,
        n_days=days,
        mde=mde,
    )
    return ScoreDetail(score=score, estimate=Estimate(value=value, agree=agree))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, VerdictWord.SUPPORTED),
        ({"value": 0.015, "half": 0.004, "mde": 0.0099}, VerdictWord.REFUTED),  # short of 2 points
        ({"value": 0.015, "half": 0.006, "mde": 0.0099}, VerdictWord.INCONCLUSIVE),
        (
            {"value": 0.025, "half": 0.016, "mde": 0.0099},
            VerdictWord.INCONCLUSIVE,
        ),  # low: 0.9 point
        ({"value": 0.025, "half": 0.014, "mde": 0.02}, VerdictWord.SUPPORTED),
        ({"value": 0.005}, VerdictWord.REFUTED),
        ({"value": -0.05}, VerdictWord.SUSPECT),
        ({"value": -0.05, "half": 0.0299}, VerdictWord.SUSPECT),
        ({"value": -0.05, "half": 0.0301}, VerdictWord.REFUTED),
        ({"value": -0.012, "half": 0.005}, VerdictWord.REFUTED),  # an honest map may get there
        ({"value": 0.0, "half": 0.019}, VerdictWord.REFUTED),
        ({"value": 0.012, "half": 0.004}, VerdictWord.REFUTED),  # real and too small to matter
        ({"value": 0.012, "half": 0.014, "mde": 0.0099}, VerdictWord.INCONCLUSIVE),
        ({"value": 0.012, "half": 0.05, "mde": 0.07}, VerdictWord.UNDERPOWERED),
        ({"value": 0.065, "half": 0.05, "mde": 0.07}, VerdictWord.SUPPORTED),
        ({"agree": False, "mde": 0.0099}, VerdictWord.INCONCLUSIVE),
        ({"value": -0.05, "agree": False, "mde": 0.0099}, VerdictWord.INCONCLUSIVE),
        ({"value": 0.012, "half": 0.014, "mde": 0.0101}, VerdictWord.UNDERPOWERED),
        ({"mde": 0.07, "agree": False}, VerdictWord.UNDERPOWERED),
        ({"n": 29}, VerdictWord.NOT_TESTABLE),
        ({"days": 19}, VerdictWord.NOT_TESTABLE),
        ({"half": math.nan, "mde": math.nan}, VerdictWord.NOT_TESTABLE),
        ({"value": 1e-15, "half": 1e-15, "mde": 1e-15}, VerdictWord.NOT_TESTABLE),  # rounding
    ],
)
def test_the_seven_words(given, word):
    found = verdict(MAGNET, detail(**given), withheld=None)
    assert found.word == word
    assert found.claim == "magnet"
    assert (found.score is None) == (word == VerdictWord.NOT_TESTABLE)


def test_before_the_gate_everything_testable_is_withheld():
    for given in ({}, {"value": -0.015}, {"half": 0.05, "mde": 0.07}):
        found = verdict(MAGNET, detail(**given), withheld="not gated")
        assert found.word == VerdictWord.WITHHELD
        assert found.score is not None
    assert verdict(MAGNET, detail(n=3), withheld="not gated").word == VerdictWord.NOT_TESTABLE


def moved(found: ScoreDetail, **changes) -> ScoreDetail:
    return replace(found, score=replace(found.score, **changes))


def test_the_wrong_sign_is_suspect_before_the_gate_and_at_any_horizon():
    wrong = moved(detail(value=-0.26), horizon="4h")
    for withheld in (None, "not gated"):
        found = verdict(MAGNET, detail(), withheld=withheld, others=[detail(), wrong])
        assert found.word == VerdictWord.SUSPECT
        assert found.reason == (
            "look for look-ahead: dose_response at 4h is -26.0 points, at most -25.0, where an "
            "honest map puts it no lower than -2.0 except by chance; is a clock ahead?"
        )
        assert found.score == wrong.score
    short = verdict(MAGNET, detail(n=3), withheld=None, others=[wrong])
    assert short.word == VerdictWord.SUSPECT


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "A"},
        {"side": "long"},
        {"statistic": "dose_response_raw"},
        {"n_episodes": 29},
        {"n_days": 19},
    ],
)
def test_other_rows_raise_no_alarm(changes):
    wrong = moved(detail(value=-0.26), **changes)
    assert verdict(MAGNET, detail(), withheld=None, others=[wrong]).word == VerdictWord.SUPPORTED


def test_a_claim_without_an_alarm_is_refuted_as_before():
    found = detail(value=-0.26, statistic=VISIT.statistic)
    assert verdict(VISIT, found, withheld=None).word == VerdictWord.REFUTED


def test_reasons_say_what_is_needed():
    few = verdict(MAGNET, detail(n=3, days=2), withheld=None)
    assert "3 episodes on 2 days; at least 30 on 20 days are needed" in few.reason
    assert "there is no dose_response" in verdict(MAGNET, None, withheld=None).reason
    weak = verdict(MAGNET, detail(value=0.012, half=0.05, mde=0.07), withheld=None)
    # 7 beyond the point that is left to trends
    assert "an effect of 8 points would have been found" in weak.reason
    assert "6%" in weak.reason


def test_the_null_of_a_score_is_what_bounds_are_held_against():
    shifted = detail(value=0.53, null=0.5)
    assert verdict(MAGNET, shifted, withheld=None).word == VerdictWord.SUPPORTED
    assert verdict(MAGNET, detail(value=0.59, null=0.6), withheld=None).word == VerdictWord.REFUTED


def beside(**values):
    """The magnet claim's further rows: (value, half width) by statistic."""
    return [
        detail(value=value, half=half, statistic=name) for name, (value, half) in values.items()
    ]


@pytest.mark.parametrize(
    ("structures", "mirror", "word", "says"),
    [
        ((0.03, 0.01), (0.01, 0.5), VerdictWord.SUPPORTED, "met"),
        ((0.03, 0.04), (0.01, 0.5), VerdictWord.INCONCLUSIVE, "holds its null"),
        ((-0.01, 0.04), (0.01, 0.5), VerdictWord.INCONCLUSIVE, "not above its null"),
        ((0.03, 0.01), (-0.01, 0.5), VerdictWord.INCONCLUSIVE, "mirror_lift_densest"),
    ],
)
def test_a_claim_is_supported_only_with_all_its_conditions(structures, mirror, word, says):
    rows = beside(dose_response_beside_structures=structures, mirror_lift_densest=mirror)
    found = verdict(CONDITIONED, detail(), withheld=None, others=rows)
    assert found.word == word
    assert says in found.reason


def test_a_condition_that_must_not_lie_above_its_null():
    claim = dataclasses.replace(MAGNET, not_above=("dose_response_raw",))
    for half, agree, word in (
        (0.04, True, VerdictWord.SUPPORTED),
        (0.01, True, VerdictWord.INCONCLUSIVE),
        (0.01, False, VerdictWord.SUPPORTED),
    ):
        other = detail(value=0.03, half=half, agree=agree, statistic="dose_response_raw")
        found = verdict(claim, detail(), withheld=None, others=[other])
        assert found.word == word
    assert verdict(claim, detail(), withheld=None).word == VerdictWord.INCONCLUSIVE


def test_a_condition_whose_intervals_do_not_agree_is_not_met():
    rows = beside(mirror_lift_densest=(0.01, 0.5))
    rows.append(detail(value=0.03, half=0.01, agree=False, statistic=CONDITIONED.also_above[0]))
    found = verdict(CONDITIONED, detail(), withheld=None, others=rows)
    assert found.word == VerdictWord.INCONCLUSIVE
    assert "do not agree" in found.reason


@pytest.mark.parametrize(
    ("value", "half", "word"),
    [
        (1.15, 0.04, VerdictWord.SUPPORTED),
        (1.15, 0.06, VerdictWord.UNDERPOWERED),  # as small an effect as the bound shows never
        (1.04, 0.03, VerdictWord.REFUTED),
    ],
)
def test_a_pass_rule_on_the_lower_bound_is_held_against_the_bound(value, half, word):
    """Clusters past swings: supported when the lower bound of the ratio is above 1.1."""
    claim = next(claim for claim in REGISTER if claim.id == "placement")
    given = detail(value=value, half=half, mde=1.4 * half, null=1.0)
    found = verdict(claim, given, withheld=None)
    assert found.word == word
    assert "a ratio of 1." in found.reason


def test_a_condition_that_was_not_computed_is_not_met():
    found = verdict(CONDITIONED, detail(), withheld=None)
    assert found.word == VerdictWord.INCONCLUSIVE
    assert "not computed" in found.reason
    refuted = verdict(CONDITIONED, detail(value=-0.015), withheld=None)
    assert refuted.word == VerdictWord.REFUTED


@pytest.mark.parametrize(
    ("direction", "word", "says"),
    [
        ({"value": 0.4, "half": 0.01, "mde": 0.014}, VerdictWord.SUPPORTED, "met"),
        ({"value": 0.3, "half": 0.02, "mde": 0.028}, VerdictWord.INCONCLUSIVE, "after Holm"),
        ({"n": 3}, VerdictWord.INCONCLUSIVE, "after Holm"),
    ],
)
def test_primary_claims_share_alpha(direction, word, says):
    """A bound just above 0.2, p = 0.02: enough if the other primary claim is beyond doubt."""
    magnet = detail(value=0.23, half=0.0287, mde=0.03 * 2.8 / 2.054, statistic="near_drift")
    magnet = moved(magnet, horizon="4h")
    rows = [magnet, moved(detail(statistic="near_jumps", **direction), horizon="1h")]
    found = {v.claim: v for v in verdicts(rows, withheld={})}["magnet"]
    assert found.word == word
    assert says in found.reason
    alone = verdict(REGISTERED, magnet, withheld=None, others=rows)
    assert alone.word == VerdictWord.SUPPORTED


def test_the_register_holds_every_claim_once():
    assert [claim.number for claim in REGISTER if claim.number] == [
        *("1", "2", "3", "4", "4b", "5", "6", "7", "8", "9", "10")
    ]
    assert len({claim.id for claim in REGISTER}) == len(REGISTER)
    assert set(CLAIMS) <= set(REGISTER)
    testable = {claim.id for claim in REGISTER if claim.status == ClaimStatus.TESTABLE}
    assert testable == {claim.id for claim in CLAIMS}
    assert {claim.id for claim in REGISTER if claim.primary} == {"magnet", "direction"}
    assert all(claim.smallest_effect > 0 and claim.alpha == 0.025 for claim in REGISTER)
    text = describe_claims(REGISTER)
    assert all(claim.words in text and claim.pass_rule in text for claim in REGISTER)


def test_power():
    assert power_at(0.02, 0.02) == pytest.approx(0.80, abs=0.001)
    assert power_at(0.0, 0.02) == pytest.approx(0.025, abs=1e-9)


def test_each_claim_finds_its_row_and_is_withheld(directed):
    evaluation = directed
    found = verdicts(evaluation.details, withheld={claim.id: "not gated" for claim in CLAIMS})
    assert [v.claim for v in found] == [c.id for c in CLAIMS]
    for claim, said in zip(CLAIMS, found, strict=True):
        mine = find_score(claim, evaluation.details)
        if mine is None:  # of what was not fed
            assert said.word == VerdictWord.NOT_TESTABLE
        else:
            assert mine.score.claim == claim.id
    by_claim = {v.claim: v.word for v in found}
    assert "visit" not in by_claim  # it is shown, and decides nothing
    for claim in ("magnet", "direction"):  # this market's maps have no density
        assert by_claim[claim] == VerdictWord.NOT_TESTABLE
    released = verdicts(evaluation.details, withheld={})
    assert VerdictWord.WITHHELD not in {v.word for v in released}


def test_claims_are_frozen_and_distinct():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CLAIMS[0].alpha = 0.5  # type: ignore[misc]


def test_calibrated_landmarks_are_those_that_were_observed(evaluation):
    rows, observed = evaluation.evidence.first_sides, evaluation.evidence.observed.first_sides
    issued = ("theta", "p_up", "p_down", "p_neither")
    for name in observed.dtype.names:
        if name not in issued:
            np.testing.assert_array_equal(rows[name], observed[name])
    p = np.array([rows[name] for name in issued[1:]])
    np.testing.assert_allclose(p[:, rows["scored"]].sum(axis=0), 1.0)
    assert np.isnan(p[:, ~rows["scored"]]).all()
    assert np.isfinite(rows["theta"]).all()


def test_every_value_and_null_follows_from_its_day_sums(evaluation):
    summed = 0
    for one in evaluation.details:
        row, days = one.score, one.days
        assert row.estimator == ""
        if days is None:
            continue
        summed += 1
        statistic = statistic_of(row.statistic)
        total = days.total.sum()
        value = total if statistic.total else total / days.count.sum() if days.n_days else math.nan
        assert row.value == pytest.approx(value, abs=1e-12, nan_ok=True)
        assert (row.n_episodes, row.n_days) == (days.units, days.n_days)
        assert row.unit == statistic.unit.name
        if days.null is not None and days.n_days:
            assert row.null == pytest.approx(days.null.sum() / days.count.sum(), abs=1e-12)
        elif days.null is None:
            assert row.null == 0.0
    assert summed == len(evaluation.details)


def test_markets_pooled_by_day_are_the_markets_at_once():
    rng = np.random.default_rng(6)
    for first in (0, 3, 40):  # the same days, some of them, none
        parts = []
        for n, low in ((50, 0), (80, first), (0, 0)):
            born = rng.integers(low * DAY_NS, (low + 30) * DAY_NS, n)
            hits = rng.integers(0, 2, n).astype(float)
            parts.append((hits - rng.random(n), born, rng.random(n), hits))
        scores, born, null, hits = (np.concatenate(c) for c in zip(*parts, strict=True))
        at_once = day_sums(scores, born, null=null, hits=hits)
        found = pooled([day_sums(s, b, null=q, hits=y) for s, b, q, y in parts])
        assert (found.first_day, found.units) == (at_once.first_day, at_once.units)
        for name in ("total", "count", "size", "null", "hits"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(at_once, name), rtol=0, atol=1e-12, err_msg=name
            )


def test_evidence_of_another_protocol_is_observed_anew(evaluation):
    source = evaluation.evidence
    other = replace(source, config=replace(source.config, floor=1.0))
    assert len(other.episodes(0, DAY_NS)) < len(source.episodes(0, DAY_NS))
    assert other.observed is not source.observed


def test_stated_probabilities_have_rows_where_something_was_stated():
    """Of one market of two, and of it some episodes only; the other has no row of its own."""
    markets = [
        brownian_market(np.random.default_rng(k), days=20, kind="points", symbol=name)
        for k, name in enumerate("AB")
    ]

    def said(rows):
        return np.where((rows["symbol"] == 0) & (rows["at"] % (2 * HOUR_NS) == 0), 0.3, np.nan)

    evidence = Evidence(markets=markets, config=CONFIG, stated=said)
    chosen = [s for s in STATISTICS if "stated" in s.needs]
    rows = [d.score for d in scored(evidence, chosen)]
    assert {(s.statistic, s.symbol, s.horizon) for s in rows} == {
        (s.id, symbol, horizon)
        for s in chosen
        for symbol in ("A", "pooled")
        for horizon in ("4h", "24h")
    }
    births = evidence.episodes(0, DAY_NS)
    births = births[births["birth"] & (births["at"] % (2 * HOUR_NS) == 0)]
    y, q = births["visited"].astype(float), births["brownian"]
    found = {s.statistic: s for s in rows if (s.symbol, s.horizon) == ("A", "24h")}
    assert found["stated_brier"].value == pytest.approx(((0.3 - y) ** 2).mean())
    assert found["stated_brier"].null == pytest.approx(((q - y) ** 2).mean())
    assert found["stated_uncertainty"].value == pytest.approx(y.mean() * (1 - y.mean()))
    n_days = len(np.unique(births["at"] // DAY_NS))
    assert {(s.n_episodes, s.n_days) for s in found.values()} == {(len(y), n_days)}
    pooled_rows = {s.statistic: s for s in rows if (s.symbol, s.horizon) == ("pooled", "24h")}
    for name, score in found.items():
        assert repr(replace(pooled_rows[name], symbol="A")) == repr(score)


def test_a_statistic_that_is_added_moves_no_other_and_one_alone_is_what_it_is_among_all(
    evaluation,
):
    def day_sums_of(evidence, cell):
        rows = evidence.episodes(cell.market, cell.horizon_ns)
        return day_sums(rows["distance_sigma"], rows["at"])

    added = Statistic(
        id="distance",
        claim="visit",
        label="Distance",
        unit=POINTS,
        null="",
        day_sums=day_sums_of,
        needs=("episodes",),
    )
    source = evaluation.evidence
    fresh = Evidence(markets=source.markets, config=source.config, root=source.root)
    among = evaluate(fresh, [added, *STATISTICS])
    assert {s.statistic for s in among.scores} == {
        "distance",
        *(s.statistic for s in evaluation.scores),
    }
    rest = [s for s in among.scores if s.statistic != "distance"]
    assert repr(rest) == repr([*evaluation.scores])
    assert repr(among.bands) == repr(evaluation.bands)
    alone = [d.score for d in scored(source, [added])]
    assert len(alone) == 3 * 2
    assert repr(alone) == repr([s for s in among.scores if s.statistic == "distance"])
    for name in ("mirror_lift", "level_lift", "dose_response", "first_side_gain", "visit_gain"):
        again = Evidence(markets=source.markets, config=source.config, root=source.root)
        alone = [d.score for d in scored(again, [statistic_of(name)])]
        assert alone
        assert repr(alone) == repr([s for s in evaluation.scores if s.statistic == name])


def test_a_planted_look_ahead_is_seen_by_the_scores():
    """The oracle: levels placed where the price will go score far above every null."""
    market = brownian_market(np.random.default_rng(5), days=30, kind="points", clairvoyant=True)
    config = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=200)
    found = evaluated([market], config)
    for name in ("brownian_lift", "mirror_lift"):
        lift = row(found, name)
        assert lift.ci_low > 0.1


def test_gains_are_rows_of_the_one_schema(directed):
    names = {
        *("first_side_gain", "first_side_over_coin", "first_side_over_momentum"),
        *("first_side_over_funding", "first_side_over_nearest"),
        *("cascade_gain", "cascade_side_gain", "large_move_side_gain"),
    }
    for name in names:
        found = row(directed, name)
        assert (found.claim, found.null) == ("direction", 0.0)
    scored = row(directed, "first_side_gain")
    assert 40 < scored.n_episodes < row(directed, "first_side_skill").n_episodes
    assert abs(scored.value) < 0.02
    by_market = [row(directed, "first_side_gain", symbol=name) for name in "AB"]
    assert sum(r.n_episodes for r in by_market) == scored.n_episodes


def test_what_a_market_is_not_fed_with_has_a_row_without_a_value(directed):
    funding = row(directed, "first_side_over_funding")
    assert funding.n_episodes == 0
    assert np.isnan([funding.value, funding.ci_low]).all()
    cascades = row(directed, "cascade_side_gain")
    assert (cascades.n_episodes, np.isnan(cascades.ci_low)) == (0, True)
    claim = dataclasses.replace(
        next(claim for claim in CLAIMS if claim.id == "direction"),
        statistic="first_side_gain",
        horizon="24h",
        unit="nats",
        least_bound=0.0,
        also_above=("first_side_over_coin", "first_side_over_funding"),
    )
    given = detail(statistic="first_side_gain", value=0.7, half=0.1)
    others = [d for d in directed.details if d.score.statistic in claim.also_above]
    above = [
        replace(d, score=replace(d.score, value=0.5, ci_low=0.1), estimate=given.estimate)
        if d.score.n_episodes
        else d
        for d in others
    ]
    found = verdict(claim, given, withheld=None, others=above)
    assert found.word == VerdictWord.INCONCLUSIVE
    assert "first_side_over_funding has no interval here (0 episodes)" in found.reason


@pytest.mark.parametrize("each", [29, 30])
def test_fewer_than_thirty_cascades_on_a_side_have_a_count_and_no_interval(each):
    n = 240
    rng = np.random.default_rng(3)
    table = np.zeros(n, LANDMARK_DTYPE)
    table["at"], table["cascade_known"] = np.arange(n) * DAY_NS, True
    table["cascade"][:60], table["cascade"][60 : 60 + each] = 1, -1
    table["cascade"] = rng.permutation(table["cascade"])
    p = rng.dirichlet([3, 3, 3], (3, n))
    trained = np.ones(n, np.int64)
    models = {
        name: Predictions(p=p[i], tilt=np.log(p[i]), n_trained=trained)
        for i, name in enumerate(("full", "ablated", "nearest"))
    }
    models |= {"momentum": models["ablated"], "funding": models["ablated"]}
    predictions = LandmarkPredictions(
        first_side=models, coin=p[2], cascade=models, large_move=models
    )
    config = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=200)
    evidence = evidence_with("A", table["at"], config, models=(table, predictions))
    found = {
        (d.score.statistic, d.score.side): d.score
        for d in scored(evidence, [s for s in STATISTICS if "models" in s.needs])
        if d.score.symbol == "pooled"
    }
    assert found["cascades", "short"].value == found["cascades", "short"].n_episodes == 60
    assert found["cascades", "long"].value == each
    whole, given = found["cascade_gain", "both"], found["cascade_side_gain", "both"]
    column = np.select([table["cascade"] > 0, table["cascade"] < 0], [0, 1], 2)
    gains = [np.log(p[0, i, c] / p[1, i, c]) for i, c in enumerate(column)]
    assert whole.value == pytest.approx(np.mean(gains))
    sides = [
        np.log(p[0, i, c] / p[0, i, :2].sum()) - np.log(p[1, i, c] / p[1, i, :2].sum())
        for i, c in enumerate(column)
        if c < 2
    ]
    assert given.value == pytest.approx(np.mean(sides))
    assert given.n_episodes == 60 + each
    assert np.isnan([whole.ci_low, given.ci_high]).all() == (each < 30)
    assert whole.n_episodes == (n if each == 30 else 60 + each)


EIGHTY_FIVE = claim_of("nearest", ("brownian", "mirror"))
"""Claim 10 under one reading: held against its target, over two nulls."""


def over(statistic: str, value: float, half: float, **more):
    return detail(statistic=statistic, value=value, half=half, mde=1.4 * half, **more)


@pytest.mark.parametrize(
    ("skills", "word", "says"),
    [
        # the rule asks for more than nothing over every null, not for two points
        ((over("skill_nearest_over_mirror", 0.0115, 0.0065),), VerdictWord.SUPPORTED, "met"),
        ((over("skill_nearest_over_mirror", 0.00, 0.01),), VerdictWord.REFUTED, "-1 points to 1"),
        # a null whose errors disagree excludes what lies half as far away again
        (
            (over("skill_nearest_over_mirror", 0.0, 0.0132, agree=False),),
            VerdictWord.REFUTED,
            "-1.3 points to 2 points",
        ),
        (
            (over("skill_nearest_over_mirror", 0.0, 0.0134, agree=False),),
            VerdictWord.INCONCLUSIVE,
            "do not agree",
        ),
        # and nothing at all where the rule might have been met
        (
            (over("skill_nearest_over_mirror", 0.006, 0.005, agree=False),),
            VerdictWord.INCONCLUSIVE,
            "do not agree",
        ),
        (
            (over("skill_nearest_over_mirror", np.nan, np.nan),),
            VerdictWord.NOT_TESTABLE,
            "no interval",
        ),
    ],
)
def test_a_claim_with_a_target(skills, word, says):
    rate = detail(statistic="hit_rate_nearest", value=0.90, half=0.02, mde=0.03)
    walk = over("skill_nearest_over_brownian", 0.012, 0.006)
    for others in ([*skills, walk], [walk, *skills]):
        found = verdict(EIGHTY_FIVE, rate, withheld=None, others=others)
        assert (found.word, says in found.reason) == (word, True), found.reason


def test_of_nulls_that_a_claim_with_a_target_names_one_alone_refutes():
    rate = detail(statistic="hit_rate_nearest", value=0.90, half=0.02, mde=0.03)
    low, high = (over(f"skill_nearest_over_{n}", 0.0, 0.01) for n in ("brownian", "mirror"))
    shown = [over(f"skill_nearest_over_{n}", 0.016, 0.006) for n in ("mirror", "brownian")]
    words = [
        verdict(EIGHTY_FIVE, rate, withheld=None, others=pair).word
        for pair in ([low, shown[0]], [high, shown[1]])
    ]
    assert words == [VerdictWord.INCONCLUSIVE, VerdictWord.REFUTED]


def test_units_born_after_the_last_row_are_drawn_for(evaluation):
    """Touches and bursts may be; the first days of the bootstrap draw what they drew before."""
    evidence = evaluation.evidence
    n = days_spanned(evidence) + 30
    one = replace(
        next(s for s in KNOWN if s.id == "mirror_lift"),
        sides=("both",),
        needs=(),
        day_sums=lambda *_: DaySums(total=np.arange(n) % 3.0, count=np.ones(n)),
    )
    rows = list(scored(evidence, [one]))
    assert {r.estimate.n_days for r in rows} == {n}
    assert all(0.5 < r.score.ci_low < r.score.ci_high < 1.5 for r in rows)
