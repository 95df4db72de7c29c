"""Withdrawal, times to visit, touch rules and fixed landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_world import (
    START,
    STEP_S,
    brownian_market,
    clusters_at,
    forecast,
    points,
)

from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import flatten
from liqbt.evaluation.evidence import observe
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.nulls.brownian import touch_probability
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS
from research.methods.duration import Cause, cumulative_incidence, episode_times
from research.methods.tie_rules import TOUCH_RULES, landmark_outcomes, rule_brownian
from research.methods.withdrawal import earlier_than_mirror, withdrawals

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,))


def held(shown, *, every=HOUR_NS):
    """Forecasts at mark 100 whose one cluster is shown at some hours only."""
    bands = [(102.0, 102.2)]
    return [
        forecast(START + i * every, 100.0, clusters_at(100.0, bands if on else []))
        for i, on in enumerate(shown)
    ]


@pytest.mark.parametrize(
    ("shown", "gone_hour"),
    [
        ([1, 1, 1, 0, 0, 0], 3),
        ([1, 0, 1, 1, 0, 0], 4),  # missed once: not taken back
        ([0, 1, 0, 0, 0, 0], 2),
        ([1, 1, 1, 1, 1, 1], None),  # held to the end of the record
    ],
)
def test_an_episode_is_gone_after_its_last_forecast(shown, gone_hour):
    birth, gone = withdrawals(flatten("A", held(shown)), CONFIG, horizon_ns=DAY_NS)
    assert len(birth) == 1
    assert gone[0] == (-1 if gone_hour is None else START + gone_hour * HOUR_NS)


def test_what_is_held_for_its_whole_life_is_not_withdrawn():
    birth, gone = withdrawals(flatten("A", held([1] * 30)), CONFIG, horizon_ns=DAY_NS)
    assert birth.tolist() == [0, 24]
    assert gone.tolist() == [-1, -1]


def test_births_are_those_of_the_outcomes():
    market = brownian_market(np.random.default_rng(2), days=12, kind="points")
    observed = observe([market], CONFIG).outcomes
    births = observed[observed["birth"]]
    flat = flatten(market.symbol, market.forecasts)
    birth, gone = withdrawals(flat, CONFIG, horizon_ns=DAY_NS)
    np.testing.assert_array_equal(births["forecast"], flat.owner[birth])
    np.testing.assert_array_equal(births["cluster"], birth - flat.offsets[flat.owner[birth]])
    watched = births["censor"] == 0
    time, cause = episode_times(births["at"], births["visit_ns"], gone, DAY_NS)
    visit = cumulative_incidence(time[watched], cause[watched], Cause.VISIT)
    left = cumulative_incidence(time[watched], cause[watched], Cause.WITHDRAWAL)
    assert {0, 1, 2} == set(cause[watched].tolist())
    assert 0.0 < visit.share[-1] < births["visited"][watched].mean()
    assert visit.share[-1] + left.share[-1] <= 1.0 + 1e-12
    early = earlier_than_mirror(
        births["at"][watched],
        births["visit_ns"][watched],
        births["mirror_visit_ns"][watched],
        horizon_ns=DAY_NS,
    )
    assert np.abs(early).max() <= 24.0
    assert (early[births["visited"][watched] < births["mirror_visited"][watched]] < 0).all()


def test_touch_rules_are_nested_and_each_has_its_null():
    market = brownian_market(np.random.default_rng(3), days=40, kind="points")
    rows = observe([market], CONFIG).outcomes
    flat = flatten(market.symbol, market.forecasts)
    births = rows[rows["birth"] & (rows["censor"] == 0)]
    rates, nulls = [], []
    for rule, field in TOUCH_RULES.items():
        rates.append(births[field].mean())
        nulls.append(rule_brownian(rule, births, flat, market.path))
    assert rates[0] >= rates[1] >= rates[2]
    np.testing.assert_allclose(nulls[0], births["brownian"], rtol=1e-12)
    assert (nulls[0] > nulls[1]).all()
    assert (nulls[1] > nulls[2]).all()
    for rate, null in zip(rates, nulls, strict=True):
        assert rate == pytest.approx(null.mean(), abs=0.12)


def test_the_null_of_a_sweep_by_hand():
    cluster = clusters_at(100.0, [(102.0, 103.0)])
    ts = START + np.arange(0, 400) * STEP_S * SECOND_NS
    market = MarketInput(
        symbol="A",
        forecasts=[forecast(START, 100.0, cluster)],
        path=points(ts, np.full(400, 100.0)),
    )
    rows = observe([market], CONFIG).outcomes
    found = rule_brownian("sweep", rows, flatten("A", market.forecasts), market.path)
    expected = touch_probability(
        distance=np.log(1.03),
        sigma_1d=0.02,
        from_ns=int(rows["exposed_start_ns"][0] - START),
        until_ns=int(rows["exposed_end_ns"][0] - START),
        spacing_ns=STEP_S * SECOND_NS,
    )
    assert found[0] == pytest.approx(float(expected), rel=1e-12)


def test_landmarks_hold_what_stands_at_fixed_times():
    market = brownian_market(np.random.default_rng(4), days=10, kind="points")
    rows = observe([market], CONFIG).outcomes
    flat = flatten(market.symbol, market.forecasts)
    found = landmark_outcomes(rows, flat, horizon_ns=DAY_NS)
    times = np.unique(found["at"])
    assert set(times) <= set(flat.at[landmark_rows(flat.at, DAY_NS)])
    assert (np.diff(times) >= DAY_NS).all()
    first = rows[(rows["forecast"] == 0) & rows["eligible"]]
    np.testing.assert_array_equal(found[found["forecast"] == 0]["cluster"], first["cluster"])
    assert (found["visited"] >= 0).all()
