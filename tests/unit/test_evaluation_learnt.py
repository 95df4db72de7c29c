"""Scores against the placebo probability: nothing on a random walk, exact sums, streams apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import brownian_market

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.evaluate import evaluate, scored
from liqbt.evaluation.evidence import Evidence
from liqbt.types import DAY_NS

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=300)


LEARNT = [s for s in STATISTICS if "placebo" in s.needs]


def evidence(markets):
    return Evidence(markets=markets, config=CONFIG, root=5)


@pytest.fixture(scope="module")
def markets():
    return [
        brownian_market(np.random.default_rng(k), days=80, kind="points", symbol=name)
        for k, name in ((1, "A"), (2, "B"))
    ]


@pytest.fixture(scope="module")
def learnt(markets):
    return evaluate(evidence(markets))


def found(details, statistic, symbol="pooled", side="both"):
    [row] = [
        d.score
        for d in details
        if (d.score.statistic, d.score.symbol, d.score.side) == (statistic, symbol, side)
    ]
    return row


def test_nothing_is_left_on_a_random_walk(learnt):
    for statistic, null in (
        ("level_lift", 0.0),
        ("mirror_lift_did", 0.0),
        ("observed_over_expected", 1.0),
    ):
        row = found(learnt.details, statistic)
        assert row.null == null
        assert row.ci_low < null < row.ci_high, row
        assert abs(row.value - null) < 0.2


def test_what_is_learnt_has_rows_of_its_own_and_moves_no_other(markets, learnt):
    plain = evaluate(evidence(markets), [s for s in STATISTICS if s not in LEARNT])
    names = {s.id for s in LEARNT}
    assert repr([s for s in learnt.scores if s.statistic not in names]) == repr([*plain.scores])
    assert repr(learnt.bands) == repr(plain.bands)
    rows = {(s.statistic, s.symbol) for s in learnt.scores if s.statistic in names}
    assert names == {
        *(f"{n}{k}" for n in ("level_lift", "mirror_lift_did") for k in ("", "_dense", "_densest")),
        "observed_over_expected",
    }
    assert rows == {(s, m) for s in names for m in ("A", "B", "pooled")}


def test_lift_and_ratio_are_of_the_same_sums(learnt):
    lift, ratio, rate = (
        found(learnt.details, name) for name in ("level_lift", "observed_over_expected", "hit_rate")
    )
    assert ratio.value == pytest.approx(rate.value / (rate.value - lift.value))
    assert lift.n_episodes == ratio.n_episodes == rate.n_episodes


def test_a_market_is_scored_alike_alone(markets, learnt):
    """To the last digit, intervals too, where no market is learnt from together with others."""
    names = {"level_lift", "mirror_lift_did", "observed_over_expected"}
    names |= {"hit_rate", "mirror_lift", "dose_response"}
    alone = scored(evidence(markets[:1]), [s for s in STATISTICS if s.id in names])
    rows = [repr(d.score) for d in alone if d.score.symbol == "A"]
    among = [s for s in learnt.scores if s.symbol == "A" and s.statistic in names]
    assert rows == [repr(score) for score in among]
    assert len(rows) == 3 + 3 + 4


def test_a_past_before_the_first_score_is_learnt_from(markets):
    market = markets[0]
    late = replace(market, forecasts=market.forecasts[len(market.forecasts) // 2 :])
    knowing = replace(late, anchors=anchors_of(market.forecasts))
    without, with_past = ([*scored(evidence([one]), LEARNT)] for one in (late, knowing))
    assert found(with_past, "level_lift").value != found(without, "level_lift").value
