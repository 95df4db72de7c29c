"""Scores against the placebo probability: nothing on a random walk, exact sums, streams apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import CALIBRATE, brownian_market

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.claims.visit import with_learnt
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.evaluate import evaluate
from liqbt.types import DAY_NS

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=300)


def scored(markets, seed=5):
    whole = evaluate(markets, CONFIG, calibrate=CALIBRATE, rng=np.random.default_rng(seed))
    return whole, with_learnt(whole, markets, CONFIG, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def markets():
    return [
        brownian_market(np.random.default_rng(k), days=80, kind="points", symbol=name)
        for k, name in ((1, "A"), (2, "B"))
    ]


@pytest.fixture(scope="module")
def both(markets):
    return scored(markets)


def found(evaluation, statistic, symbol="pooled"):
    [row] = [s for s in evaluation.scores if (s.statistic, s.symbol) == (statistic, symbol)]
    return row


def test_nothing_is_left_on_a_random_walk(both):
    _, learnt = both
    for statistic, null in (
        ("level_lift", 0.0),
        ("mirror_lift_did", 0.0),
        ("observed_over_expected", 1.0),
    ):
        row = found(learnt, statistic)
        assert row.null == null
        assert row.ci_low < null < row.ci_high, row
        assert abs(row.value - null) < 0.2


def test_what_was_scored_before_stands_as_it_was(both):
    before, learnt = both
    n = len(before.scores)
    assert repr(learnt.scores[:n]) == repr(before.scores)
    assert len(learnt.details) == len(learnt.scores)
    rows = {(s.statistic, s.symbol) for s in learnt.scores[n:]}
    names = [
        f"{name}{k}"
        for name in ("level_lift", "mirror_lift_did")
        for k in ("", "_dense", "_densest")
    ]
    assert rows == {
        (s, m) for s in (*names, "observed_over_expected") for m in ("A", "B", "pooled")
    }


def test_lift_and_ratio_are_of_the_same_sums(both):
    _, learnt = both
    lift, ratio = found(learnt, "level_lift"), found(learnt, "observed_over_expected")
    rows = [
        s
        for s in learnt.scores
        if (s.statistic, s.symbol, s.side) == ("hit_rate", "pooled", "both")
    ]
    hits = rows[0].value
    assert ratio.value == pytest.approx(hits / (hits - lift.value))
    assert lift.n_episodes == rows[0].n_episodes


def test_a_market_is_scored_alike_alone(markets, both):
    _, alone = scored(markets[:1])
    assert found(alone, "level_lift", "A").value == found(both[1], "level_lift", "A").value


def test_a_past_before_the_first_score_is_learnt_from(markets):
    market = markets[0]
    late = replace(market, forecasts=market.forecasts[len(market.forecasts) // 2 :])
    whole, without = scored([late])
    with_past = with_learnt(
        whole,
        [replace(late, anchors=anchors_of(market.forecasts))],
        CONFIG,
        np.random.default_rng(5),
    )
    assert found(with_past, "level_lift").value != found(without, "level_lift").value
