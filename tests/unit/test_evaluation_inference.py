"""Inference against statsmodels, arch and hand computations."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest
import statsmodels.api as sm
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from arch.bootstrap._samplers_python import stationary_bootstrap_sample_python
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.sandwich_covariance import S_hac_simple

from liqbt.evaluation.inference.days import (
    automatic_block,
    day_sums,
    draw,
    fixed_b_critical,
    hac_error,
    hac_lag,
    hac_se,
)
from liqbt.evaluation.inference.estimates import MDE_FACTOR, estimate
from liqbt.evaluation.kernels.passages import bootstrap_ratios
from liqbt.types import DAY_NS, HOUR_NS

DRAWS = draw(np.random.default_rng(7), reps=400, n_days=250)


def sample(rng, n_days=120, per_day=5):
    """Scores with a day effect that lasts two days."""
    effect = rng.normal(0, 0.5, n_days + 1)
    day = np.sort(rng.integers(0, n_days, n_days * per_day))
    day[:2] = 0, n_days - 1
    scores = effect[day] + effect[day + 1] + rng.normal(0, 1, len(day))
    return scores, day * DAY_NS + rng.integers(0, DAY_NS, len(day))


def test_day_sums_keep_empty_days_and_any_order():
    born = np.array([5 * DAY_NS + 1, 3 * DAY_NS, 5 * DAY_NS - 1, 3 * DAY_NS])
    days = day_sums(np.array([4.0, 1.0, 2.0, 10.0]), born)
    assert days.total.tolist() == [11.0, 2.0, 4.0]
    assert days.count.tolist() == [2.0, 1.0, 1.0]
    assert days.ratio == pytest.approx(17 / 4)
    days = day_sums(np.array([1.0, 1.0]), np.array([0, 3 * DAY_NS]))
    assert days.count.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert days.residual.tolist() == [0.0, 0.0, 0.0, 0.0]


def test_hac_by_hand():
    """Days (1, 3), (2, 2), (0, 1) of (sum, count): ratio 1/2, residuals −1/2, 1, −1/2; lag 1."""
    days = day_sums(np.array([1.0, 0, 0, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 2]) * DAY_NS)
    inner = (0.25 + 1 + 0.25) + 2 * 0.5 * (-0.5 - 0.5)
    assert hac_se(days, 1) == pytest.approx(math.sqrt(inner * 3 / 2) / 6)


@pytest.mark.parametrize("lag", [0, 2, 9])
def test_hac_like_statsmodels_group_sums(lag):
    scores, born = sample(np.random.default_rng(0))
    order = np.argsort(born)
    day = (born // DAY_NS)[order]
    assert (np.diff(np.unique(day)) == 1).all()
    fit = sm.OLS(scores[order], np.ones(len(scores))).fit(
        cov_type="hac-groupsum",
        cov_kwds={"time": day, "maxlags": lag, "use_correction": False},
    )
    days = day_sums(scores, born)
    n = len(days.count)
    assert days.ratio == pytest.approx(fit.params[0])
    assert hac_se(days, lag) * math.sqrt((n - 1) / n) == pytest.approx(fit.bse[0], rel=1e-10)


@pytest.mark.parametrize("lag", [0, 1, 7, 40])
def test_hac_like_statsmodels_on_one_series(lag):
    values = np.random.default_rng(lag).standard_t(3, 40)
    inner = S_hac_simple(values, nlags=min(lag, 39))[0, 0]
    if lag < 40:
        assert hac_error(values, lag) == pytest.approx(math.sqrt(inner * 40 / 39), rel=1e-12)
    else:  # a lag beyond the record weighs what there is
        assert hac_error(values, lag) > 0.0


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(16, 500),
    st.floats(-0.9, 0.97),
    st.sampled_from([0.05, 0.3, 1.0]),
)
def test_the_automatic_block_is_that_of_arch(seed, n, persistence, share):
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal(n) * (rng.random(n) < share)
    values = np.array(list(accumulate(shocks, lambda x, e: persistence * x + e)))
    with np.errstate(all="ignore"):
        theirs = float(optimal_block_length(values)["stationary"].iloc[0])
    ours = automatic_block(values)
    if math.isfinite(theirs):
        assert ours == pytest.approx(theirs, rel=1e-9)
    else:
        assert math.isnan(ours)


def test_the_lag_covers_the_horizon_twice():
    assert hac_lag(100, 4 * HOUR_NS) == 4
    assert hac_lag(10, 4 * HOUR_NS) == 2
    assert hac_lag(100, 30 * HOUR_NS) == 4
    assert hac_lag(100, 7 * DAY_NS) == 14


def test_fixed_b_critical_values_by_simulation():
    """White noise of 50 days, bandwidth 15: the t statistic's own 97.5 % quantile."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(20_000, 50))
    noise -= noise.mean(axis=1, keepdims=True)
    mean = rng.normal(size=20_000) / math.sqrt(50)
    power = (noise**2).sum(axis=1)
    for lag in range(1, 15):
        power += 2 * (1 - lag / 15) * (noise[:, lag:] * noise[:, :-lag]).sum(axis=1)
    t = mean / (np.sqrt(power) / 50)
    assert np.quantile(np.abs(t), 0.95) == pytest.approx(fixed_b_critical(15 / 50), rel=0.04)


def test_a_record_longer_than_was_drawn_is_refused():
    """Its kernel reads without looking: it would take what lies behind the draws for days."""
    days = np.ones(DRAWS.n_days + 1)
    assert len(DRAWS.ratios(2.0, days[1:], days[1:])) == len(DRAWS.place)
    with pytest.raises(ValueError, match="days in a bootstrap that was drawn for"):
        DRAWS.ratios(2.0, days, days)


def test_draws_that_are_no_uniforms_leave_no_array():
    """No generator draws them; the kernel took them for days once, and the process died."""
    place = np.array([[1e9, -1e30, np.nan, np.inf, -np.inf, 1.0]], np.float32)
    total = np.arange(6.0)
    found = bootstrap_ratios(place, np.zeros_like(place), 1.0, total, np.ones(6))
    assert found[0] == pytest.approx((5 + 0 + 0 + 5 + 0 + 5) / 6)


def test_bootstrap_ratios_like_arch():
    """The same draws through arch's own sampler give the same replications."""
    scores, born = sample(np.random.default_rng(5), n_days=60)
    days = day_sums(scores, born)
    n = len(days.count)
    found = bootstrap_ratios(DRAWS.place, DRAWS.renew, 5.0, days.total, days.count)
    for rep in range(50):
        anywhere = (DRAWS.place[rep, :n].astype(np.float64) * n).astype(np.int64)
        drawn = stationary_bootstrap_sample_python(anywhere, DRAWS.renew[rep], 1 / 5)
        assert found[rep] == pytest.approx(days.total[drawn].sum() / days.count[drawn].sum())


def test_bootstrap_spread_like_arch():
    scores, born = sample(np.random.default_rng(5), n_days=200)
    days = day_sums(scores, born)

    def ratio(total, count):
        return total.sum() / count.sum()

    arch = StationaryBootstrap(6, days.total, days.count, seed=np.random.default_rng(0))
    theirs = arch.apply(ratio, 3000).std()
    draws = draw(np.random.default_rng(1), reps=3000, n_days=200)
    ours = bootstrap_ratios(draws.place, draws.renew, 6.0, days.total, days.count).std()
    assert ours == pytest.approx(theirs, rel=0.06)


def test_a_replication_without_an_episode_is_missing():
    total, count = np.array([1.0, 0.0, 0.0]), np.array([2.0, 0.0, 0.0])
    found = bootstrap_ratios(DRAWS.place, DRAWS.renew, 1.0, total, count)
    assert set(found[~np.isnan(found)]) == {0.5}
    assert 0.2 < np.isnan(found).mean() < 0.4


def test_an_estimate_is_the_union_of_both_intervals():
    scores, born = sample(np.random.default_rng(2))
    found = estimate(day_sums(scores, born), DAY_NS, DRAWS)
    critical = fixed_b_critical((found.lag_days + 1) / 120)
    days = day_sums(scores, born)
    block = float(found.block_days)
    replicas = bootstrap_ratios(DRAWS.place, DRAWS.renew, block, days.total, days.count)
    low, high = np.quantile(replicas, [0.025, 0.975])
    assert found.ci_low == pytest.approx(min(found.value - critical * found.hac_se, low))
    assert found.ci_high == pytest.approx(max(found.value + critical * found.hac_se, high))
    assert found.n_episodes == len(scores)
    assert found.n_days == len(np.unique(born // DAY_NS))
    assert found.agree
    assert found.mde >= MDE_FACTOR * max(found.hac_se, found.bootstrap_se)
    assert found.block_days >= 2


def test_dependence_between_days_widens_the_interval():
    """The planted mistake: snapshots taken as independent. Their error is far too small."""
    rng = np.random.default_rng(3)
    effect = np.repeat(rng.normal(0, 1, 30), 4)
    born = np.repeat(np.arange(120), 48) * DAY_NS
    scores = np.repeat(effect, 48) + rng.normal(0, 0.3, 120 * 48)
    independent = scores.std() / math.sqrt(len(scores))
    found = estimate(day_sums(scores, born), 2 * DAY_NS, DRAWS)
    assert min(found.hac_se, found.bootstrap_se) > 8 * independent


@pytest.mark.parametrize(
    ("scores", "days", "horizon"),
    [
        (np.ones(50), np.arange(50), DAY_NS),  # constant
        (np.zeros(50), np.arange(50), DAY_NS),
        (np.arange(50.0), np.zeros(50), DAY_NS),  # one day
        (np.arange(10.0), np.arange(10), 7 * DAY_NS),  # no longer than the lag
        (np.array([1.0]), np.array([0]), DAY_NS),
        (np.tile([0.0, 1.0], 30), np.repeat(np.arange(30), 2), DAY_NS),  # every day the same
    ],
)
def test_no_interval_rather_than_one_of_width_zero(scores, days, horizon):
    found = estimate(day_sums(scores, days.astype(np.int64) * DAY_NS), horizon, DRAWS)
    assert found.value == pytest.approx(scores.mean())
    assert found.n_episodes == len(scores)
    assert all(math.isnan(x) for x in (found.ci_low, found.ci_high, found.mde))
    assert not found.agree


def test_a_lift_of_outcomes_that_are_all_alike_reaches_to_the_exact_bound():
    """Fifteen visits of fifteen over a null of about 91 % are no certain lift."""
    visited, born = np.ones(15), np.arange(15) * 7 * DAY_NS
    lift = visited - np.linspace(0.88, 0.94, 15)
    narrow = estimate(day_sums(lift, born), DAY_NS, DRAWS)
    assert narrow.ci_low > 0.0  # what the null's spread alone would say
    found = estimate(day_sums(lift, born, hits=visited), DAY_NS, DRAWS)
    blocks = 15 // (narrow.lag_days + 1)
    low, _ = proportion_confint(blocks, blocks, alpha=0.05, method="beta")
    assert found.ci_low == pytest.approx(found.value - (1.0 - low))
    assert found.ci_low < 0.0 < found.value < found.ci_high == narrow.ci_high
    assert found.mde > narrow.mde
    none = estimate(day_sums(-lift, born, hits=np.zeros(15)), DAY_NS, DRAWS)
    assert none.ci_high == pytest.approx(-found.value + (1.0 - low))
    visited[3] = 0.0
    assert estimate(day_sums(lift, born, hits=visited), DAY_NS, DRAWS) == narrow


def test_nothing_scored_is_missing_not_zero():
    found = estimate(day_sums(np.empty(0), np.empty(0, np.int64)), DAY_NS, DRAWS)
    assert math.isnan(found.value)
    assert (found.n_episodes, found.n_days) == (0, 0)


def test_rates_stay_inside_their_bounds():
    rng = np.random.default_rng(4)
    scores = (rng.random(60) < 0.97).astype(float)
    found = estimate(day_sums(scores, np.arange(60) * DAY_NS), DAY_NS, DRAWS, bounds=(0.0, 1.0))
    assert 0.0 <= found.ci_low < found.value < found.ci_high <= 1.0


def test_disagreement_is_seen():
    """A cycle of ten days: within its lag HAC sees it cancel, short blocks see only the swings."""
    day = np.arange(200)
    scores = np.sin(2 * np.pi * day / 6) + np.random.default_rng(0).normal(0, 0.05, 200)
    found = estimate(day_sums(scores, day * DAY_NS), 3 * DAY_NS, DRAWS)
    assert found.agree == (
        max(found.hac_se, found.bootstrap_se) <= 1.5 * min(found.hac_se, found.bootstrap_se)
    )
    assert not found.agree


def test_short_and_ragged_records_give_an_interval_or_none_and_never_a_warning():
    rng = np.random.default_rng(0)
    for _ in range(600):
        k = int(rng.integers(1, 60))
        day = rng.integers(0, int(rng.integers(2, 40)), k)
        scores = (rng.random(k) < rng.choice([0.05, 0.5, 0.95])).astype(float)
        found = estimate(day_sums(scores, day * DAY_NS), int(rng.choice([4, 24])) * HOUR_NS, DRAWS)
        if math.isnan(found.ci_low):
            assert math.isnan(found.mde)
        else:
            assert found.ci_low < found.value < found.ci_high
            assert found.mde > 0
