"""Published scores and tests: hand computations, closed forms, independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation_world import evidence_with
from scipy.stats import mannwhitneyu
from statsmodels.stats.multitest import multipletests

from liqbt.errors import DataError
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.inference.days import day_sums, draw
from liqbt.evaluation.inference.estimates import estimate
from liqbt.evaluation.inference.multiple import (
    holm,
    model_confidence_set,
    step_superior,
    superior_ability,
)
from liqbt.evaluation.inference.overfitting import backtest_overfitting
from liqbt.evaluation.outcomes import OUTCOME_DTYPE
from liqbt.evaluation.probability import brier_score, corp, log_score, recalibrated, reliability
from liqbt.evaluation.statistic import Cell
from liqbt.types import DAY_NS, HOUR_NS
from research.methods.betting import betting_process, likelihood_process
from research.methods.duration import (
    Cause,
    cumulative_incidence,
    episode_times,
    restricted_mean_time,
)
from research.methods.ranking import area_under_roc, molchan, molchan_skill, precision_recall, roc

DRAWS = draw(np.random.default_rng(3), reps=300, n_days=120)


def sample(n=600, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(1.0, 2.0, n)
    return p, (rng.random(n) < p).astype(np.float64)


# --- probabilities ------------------------------------------------------------------------------


def test_brier_and_log_score_by_hand():
    p, y = np.array([0.8, 0.3, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert brier_score(p, y).tolist() == pytest.approx([0.04, 0.49, 0.0, 1.0])
    assert log_score(p, y).tolist() == pytest.approx([math.log(0.8), math.log(0.3), 0.0, -math.inf])


@pytest.mark.parametrize("seed", range(5))
def test_corp_parts_add_up_and_are_not_negative(seed):
    p, y = sample(seed=seed)
    p = np.round(p, 2)  # ties
    parts = corp(p, y)
    assert parts.score == pytest.approx(brier_score(p, y).mean(), abs=1e-15)
    total = parts.miscalibration - parts.discrimination + parts.uncertainty
    assert total == pytest.approx(parts.score, abs=1e-14)
    assert parts.miscalibration >= 0.0
    assert parts.discrimination >= 0.0
    assert parts.uncertainty == pytest.approx(y.mean() * (1 - y.mean()))


def test_corp_of_constant_and_of_perfect_forecasts():
    y = np.array([0.0, 1.0, 1.0, 0.0])
    constant = corp(np.full(4, 0.7), y)
    assert constant.miscalibration == pytest.approx(0.04)
    assert constant.discrimination == 0.0
    perfect = corp(y, y)
    assert (perfect.score, perfect.miscalibration) == (0.0, 0.0)
    assert perfect.discrimination == perfect.uncertainty == 0.25


def pool_adjacent(y):
    """Pool adjacent violators as one would with pencil and paper."""
    blocks = [[value, 1] for value in y]
    i = 0
    while i < len(blocks) - 1:
        if blocks[i][0] > blocks[i + 1][0]:
            (a, m), (b, n) = blocks[i], blocks.pop(i + 1)
            blocks[i] = [(a * m + b * n) / (m + n), m + n]
            i = max(i - 1, 0)
        else:
            i += 1
    return [value for value, n in blocks for _ in range(n)]


def test_recalibration_like_pool_adjacent_violators():
    rng = np.random.default_rng(7)
    y = (rng.random(80) < np.linspace(0.1, 0.9, 80)).astype(np.float64)
    np.testing.assert_allclose(recalibrated(np.arange(80) / 80, y), pool_adjacent(y), atol=1e-12)


def test_recalibration_treats_equal_probabilities_alike():
    p, y = np.array([0.5, 0.5, 0.2, 0.5]), np.array([0.0, 1.0, 0.0, 1.0])
    assert recalibrated(p, y).tolist() == pytest.approx([2 / 3, 2 / 3, 0.0, 2 / 3])


def test_reliability_partitions_and_bands_are_those_of_days():
    p, y = sample(2000, seed=3)
    born = np.sort(np.random.default_rng(1).integers(0, 100 * DAY_NS, 2000))
    rows = reliability(p, y, born, DAY_NS, DRAWS)
    assert sum(row.frequency.n_episodes for row in rows) == 2000
    for row in rows:
        mine = (p >= row.low) & (p < row.high)
        expected = estimate(day_sums(y[mine], born[mine]), DAY_NS, DRAWS, bounds=(0.0, 1.0))
        assert row.frequency == expected or mine.sum() == 0
        assert row.mean_probability == pytest.approx(p[mine].mean())
    inside = [r.frequency.ci_low <= r.mean_probability <= r.frequency.ci_high for r in rows[:8]]
    assert sum(inside) >= 6
    assert reliability(np.ones(3), np.ones(3), born[:3], DAY_NS, DRAWS)[-1].frequency.value == 1.0


def test_hostile_probabilities_name_their_row():
    with pytest.raises(DataError, match=r"row 1 has probability 1\.5"):
        brier_score(np.array([0.5, 1.5]), np.array([0.0, 1.0]))
    with pytest.raises(DataError, match="row 0 has probability nan"):
        corp(np.array([np.nan]), np.array([0.0]))
    with pytest.raises(DataError, match=r"row 1 has outcome 0\.5"):
        log_score(np.array([0.5, 0.5]), np.array([0.0, 0.5]))
    with pytest.raises(DataError, match="found 0 probabilities"):
        corp(np.zeros(0), np.zeros(0))


# --- ranking ------------------------------------------------------------------------------------


def test_area_under_roc_like_mann_and_whitney():
    p, y = sample(300, seed=2)
    p = np.round(p, 1)
    u = mannwhitneyu(p[y == 1], p[y == 0]).statistic
    expected = u / ((y == 1).sum() * (y == 0).sum())
    assert area_under_roc(p, y) == pytest.approx(expected, abs=1e-12)
    curve = roc(p, y)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(expected, abs=1e-12)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert area_under_roc(-p, y) == pytest.approx(1.0 - expected)


def test_precision_and_recall_by_hand():
    curve = precision_recall(np.array([3.0, 2.0, 2.0, 1.0]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert curve.x.tolist() == [0.5, 1.0, 1.0]
    assert curve.y.tolist() == pytest.approx([1.0, 2 / 3, 0.5])
    assert curve.prevalence == 0.5
    with pytest.raises(DataError, match="both outcomes"):
        roc(np.array([1.0, 2.0]), np.array([1.0, 1.0]))


def test_molchan_by_hand():
    """Two of three events in the cell of highest score, which is a quarter of the measure."""
    curve = molchan(np.array([1.0, 3.0, 2.0]), np.array([0.0, 2.0, 1.0]), np.array([2.0, 1.0, 1.0]))
    assert curve.x.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert curve.y.tolist() == pytest.approx([1.0, 1 / 3, 0.0, 0.0])
    # one less 0.25 · (1 + 1/3)/2 and 0.25 · (1/3)/2
    assert molchan_skill(curve) == pytest.approx(1 - 0.25 * (4 / 3) / 2 - 0.25 / 6)


def test_molchan_of_a_constant_score_has_no_skill():
    rng = np.random.default_rng(0)
    curve = molchan(np.ones(50), rng.integers(0, 3, 50).astype(float), rng.random(50))
    assert molchan_skill(curve) == 0.5
    with pytest.raises(DataError, match="0 events"):
        molchan(np.ones(2), np.zeros(2), np.ones(2))


# --- time to visit ------------------------------------------------------------------------------


def aalen_johansen(time, cause, which):
    """By hand: overall survival just before, times the share at risk that ends so."""
    alive, share, out = 1.0, 0.0, []
    for t in sorted(set(time)):
        at_risk = sum(x >= t for x in time)
        mine = sum(x == t and c == which for x, c in zip(time, cause, strict=True))
        ended = sum(x == t and c > 0 for x, c in zip(time, cause, strict=True))
        share += alive * mine / at_risk
        alive *= 1 - ended / at_risk
        out.append(share)
    return out


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("which", [Cause.VISIT, Cause.WITHDRAWAL])
def test_cumulative_incidence_like_a_hand_computation(seed, which):
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 12, 40).astype(float)
    cause = rng.integers(0, 3, 40)
    if seed == 5:
        cause[cause == 1] = 2  # a cause that never occurs
    found = cumulative_incidence(time, cause, which)
    np.testing.assert_allclose(found.share, aalen_johansen(time, cause, which), atol=1e-12)
    np.testing.assert_array_equal(found.time, np.unique(time))


def test_without_a_competing_event_it_is_one_less_kaplan_and_meier():
    time, cause = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([1, 1, 0, 1, 0])
    found = cumulative_incidence(time, cause, Cause.VISIT)
    survival = np.array([4 / 5, 4 / 5 * 3 / 4, 4 / 5 * 3 / 4 / 2, 4 / 5 * 3 / 4 / 2])
    np.testing.assert_allclose(found.share, 1 - survival)


def test_withdrawal_is_not_censoring():
    """Taking it for censoring would overstate visits: here 1 of 2 against 1."""
    time = np.array([1.0, 2.0])
    competing = cumulative_incidence(time, np.array([2, 1]), Cause.VISIT).share[-1]
    censored = cumulative_incidence(time, np.array([0, 1]), Cause.VISIT).share[-1]
    assert (competing, censored) == (0.5, 1.0)


def test_restricted_mean_is_the_mean_of_times_cut_at_the_horizon():
    time = np.array([1.0, 2.0, 5.0, 8.0, 8.0])
    found = cumulative_incidence(time, np.array([1, 1, 1, 0, 0]), Cause.VISIT)
    assert restricted_mean_time(found, 8.0) == pytest.approx(time.mean())
    assert restricted_mean_time(found, 3.0) == pytest.approx(np.minimum(time, 3.0).mean())
    with pytest.raises(DataError, match="positive"):
        restricted_mean_time(found, 0.0)


def test_episode_times_by_hand():
    hour = HOUR_NS
    born = np.array([0, 0, 0, 0, 0, 10 * hour])
    visit = np.array([2, -1, 5, 3, 30, -1]) * hour
    gone = np.array([5, 4, 5, -1, -1, 50]) * hour
    visit[1] = visit[5] = gone[3] = gone[4] = -1
    time, cause = episode_times(born, visit, gone, 24 * hour)
    assert time.tolist() == [2.0, 4.0, 5.0, 3.0, 24.0, 24.0]
    assert cause.tolist() == [1, 2, 1, 1, 0, 0]
    # a bar that ends with the horizon lay inside it; a forecast issued then finds the episode over
    ends = np.full(1, 24 * hour)
    assert episode_times(ends - ends, ends, ends - ends - 1, 24 * hour)[1].tolist() == [1]
    assert episode_times(ends - ends, ends - ends - 1, ends, 24 * hour)[1].tolist() == [0]
    with pytest.raises(DataError, match="1 are not positive"):
        cumulative_incidence(np.array([0.0, 1.0]), np.array([1, 1]), Cause.VISIT)


# --- lifts --------------------------------------------------------------------------------------


def summed(statistic, y, p, born, mirror=(0, 0), q=(0.0, 0.0)):
    """Day sums of a statistic of episodes: visits and p̂ of them and of their mirror images."""
    rows = np.zeros(len(y), OUTCOME_DTYPE)
    rows["birth"], rows["visited"], rows["at"] = True, y, born
    rows["mirror_visited"] = np.resize(mirror, len(y))
    placebo = np.asarray(p), np.resize(q, len(y))
    config = EvaluationConfig(horizons_ns=(DAY_NS,))
    evidence = evidence_with("A", born, config, episodes=rows, placebo=placebo)
    cell = Cell(market=0, horizon_ns=DAY_NS, side="both")
    return statistic_of(statistic).day_sums(evidence, cell)


def test_lifts_by_hand():
    y, p, born = np.array([1.0, 0.0]), np.array([0.6, 0.3]), np.array([0, DAY_NS])
    mirror, q = np.array([0.0, 0.0]), np.array([0.5, 0.2])
    assert summed("level_lift", y, p, born).total.tolist() == pytest.approx([0.4, -0.3])
    did = summed("mirror_lift_did", y, p, born, mirror, q)
    assert did.total.tolist() == pytest.approx([0.9, -0.1])
    assert did.hits.tolist() == [1.0, 0.0]


def test_observed_over_expected_is_a_ratio_of_sums():
    rng = np.random.default_rng(4)
    p = rng.uniform(0.1, 0.6, 3000)
    born = np.sort(rng.integers(0, 100 * DAY_NS, 3000))
    y = (rng.random(3000) < p).astype(float)

    def ratio(y, p, born):
        return estimate(summed("observed_over_expected", y, p, born), DAY_NS, DRAWS)

    fair = ratio(y, p, born)
    assert fair.value == pytest.approx(y.sum() / p.sum())
    assert fair.n_episodes == 3000
    assert fair.ci_low < 1.0 < fair.ci_high
    assert fair.hac_se == pytest.approx(np.sqrt((p * (1 - p)).sum()) / p.sum(), rel=0.25)
    double = ratio(y, 0.5 * p, born)
    assert double.ci_low > 1.0
    assert math.isnan(ratio(y[:0], p[:0], born[:0]).value)


# --- many claims, searches, monitoring ------------------------------------------------------------


def test_holm_like_statsmodels():
    rng = np.random.default_rng(5)
    for n in (1, 2, 7):
        p = rng.random(n) ** 3
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)
    with pytest.raises(DataError, match="Holm"):
        holm([0.5, 1.5])


def losses(seed=0, days=200, models=6, better=()):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 1, days)
    table = common[:, None] + rng.normal(0, 0.5, (days, models))
    table[:, list(better)] -= 0.4
    return common + rng.normal(0, 0.5, days), table


def test_a_search_without_skill_is_not_taken_for_one():
    rejected = wrong = lost = 0
    for seed in range(20):
        benchmark, table = losses(seed)
        found = superior_ability(benchmark, table, block_days=3, seed=1, reps=200)
        assert found.lower <= found.consistent <= found.upper
        rejected += found.consistent < 0.05
        wrong += len(step_superior(benchmark, table, block_days=3, seed=1, reps=200)) > 0
        kept = model_confidence_set(table, block_days=3, seed=1, reps=200)
        lost += 0 not in kept
    # at 5 %, four or more of 20 would happen in 1.6 % of such tests
    assert max(rejected, wrong, lost) <= 3


def test_configurations_that_are_better_are_found():
    exact = 0
    for seed in range(10):
        benchmark, table = losses(seed, better=(2, 4))
        assert superior_ability(benchmark, table, block_days=3, seed=1, reps=200).consistent < 0.01
        chosen = step_superior(benchmark, table, block_days=3, seed=1, reps=200).tolist()
        kept = model_confidence_set(table, block_days=3, seed=1, reps=200).tolist()
        assert {2, 4} <= set(chosen)
        exact += chosen == [2, 4] and kept == [2, 4]
    assert exact >= 7
    with pytest.raises(DataError, match="10 days or more"):
        superior_ability(benchmark[:5], table[:5], block_days=1, seed=1)
    with pytest.raises(DataError, match="blocks of 0 days"):
        model_confidence_set(table, block_days=0, seed=1)


def test_overfitting_of_a_toy_by_hand():
    """Two blocks, two configurations, each best where the other is not: always overfitted."""
    found = backtest_overfitting(np.array([[1.0, 0.0], [0.0, 1.0]]), blocks=2)
    # whichever half is in sample, its best is the worse of two outside: rank 1 of 2, share 1/3
    assert found.logits.tolist() == pytest.approx([math.log(0.5)] * 2)
    assert found.probability == 1.0
    rng = np.random.default_rng(0)
    noise = np.mean(
        [backtest_overfitting(rng.normal(size=(60, 9)), blocks=6).probability for _ in range(60)]
    )
    assert noise == pytest.approx(0.5, abs=0.08)
    skill = rng.normal(size=(120, 9))
    skill[:, 3] += 1.0
    assert backtest_overfitting(skill).probability == 0.0
    with pytest.raises(DataError, match="even number"):
        backtest_overfitting(skill, blocks=5)


def test_wealth_grows_with_skill_and_alpha_holds_without():
    rng = np.random.default_rng(11)
    n, reps, alpha = 150, 800, 0.05
    p = rng.uniform(0.1, 0.7, (reps, n))
    null = (rng.random((reps, n)) < p).astype(float)
    ever = [betting_process(y, q).max() >= 1 / alpha for y, q in zip(null, p, strict=True)]
    assert np.mean(ever) <= alpha + 2.33 * math.sqrt(alpha * (1 - alpha) / reps)
    lifted = (rng.random((60, n)) < p[:60] + 0.2).astype(float)
    found = [betting_process(y, q).max() >= 1 / alpha for y, q in zip(lifted, p[:60], strict=True)]
    assert np.mean(found) > 0.8
    assert (betting_process(null[0], p[0]) > 0).all()


def test_likelihood_ratio_keeps_alpha():
    rng = np.random.default_rng(12)
    q, p = np.array([0.3, 0.3, 0.4]), np.array([0.45, 0.2, 0.35])
    outcome = rng.choice(3, size=(2000, 100), p=q)
    ever = np.array([likelihood_process(np.log(p / q)[row]).max() >= 20 for row in outcome])
    assert 0 < ever.mean() <= 0.05
    with pytest.raises(DataError, match="row 0"):
        betting_process(np.array([0.5]), np.array([0.5]))
