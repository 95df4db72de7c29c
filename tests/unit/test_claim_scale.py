"""The causal scale: effects, their bounds, and how long a record must be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqbt.evaluation.claims.scale import OWN_SCALE, CausalScale, reach_of
from liqbt.evaluation.claims.verdict import verdict
from liqbt.evaluation.claims.visit import CLAIM as VISIT
from liqbt.evaluation.inference.estimates import Estimate, ScoreDetail
from liqbt.types import Score, VerdictWord

CAUSAL = replace(
    VISIT,
    smallest_effect=0.06,
    scale=CausalScale(per_unit=0.5, error=0.1, effect="visits of the densest cluster"),
    least_bound=0.1,
    least_value=0.0,
    also_above=(),
    also_positive=(),
    specific="beside",
)


def row(value: float, half: float, statistic: str = VISIT.statistic) -> ScoreDetail:
    score = Score(
        claim="visit", symbol=VISIT.symbol, horizon=VISIT.horizon, side=VISIT.side,
        statistic=statistic, value=value, null=0.0, ci_low=value - half, ci_high=value + half,
        n_episodes=500, n_days=100, mde=half * 2.8 / 1.96,
    )  # fmt: skip
    estimate = Estimate(value=value, n_episodes=500, n_days=100, agree=True)
    return ScoreDetail(score=score, estimate=estimate, days=None)


numbers = st.floats(-3, 3)


@given(value=numbers, below=st.floats(0, 2), above=st.floats(0, 2), error=st.floats(0, 1))
def test_an_error_of_the_scale_only_widens(value, below, above, error):
    low, high = value - below, value + above
    plain = CausalScale(per_unit=0.4).bounds(value, low, high)
    wide = CausalScale(per_unit=0.4, error=error).bounds(value, low, high)
    assert wide[0] <= plain[0] + 1e-12
    assert wide[1] >= plain[1] - 1e-12
    assert plain == pytest.approx((0.4 * low, 0.4 * high), abs=1e-12)


@given(st.floats(0.01, 1), st.integers(30, 4000), st.floats(0.01, 1))
def test_a_record_of_the_needed_length_shows_the_smallest_effect(mde, days, smallest):
    found = reach_of(mde, days, scale=OWN_SCALE, least_bound=0.0, smallest_effect=smallest)
    longer = mde * math.sqrt(found.years / found.needed)
    assert longer == pytest.approx(smallest)


def test_no_record_is_long_enough_where_the_rule_asks_for_more_than_what_matters():
    scale = CausalScale(per_unit=0.5)
    found = reach_of(0.1, 100, scale=scale, least_bound=0.12, smallest_effect=0.06)
    assert math.isinf(found.needed)
    assert found.detectable == pytest.approx(0.11)


def test_refuted_is_decided_on_the_causal_scale_and_said_of_this_map():
    # 0.06 of effect is 0.12 of the statistic
    found = verdict(CAUSAL, row(0.0, 0.11), withheld=None)
    assert found.word == VerdictWord.REFUTED
    assert found.reason.startswith("of this map, an effect of 6 points or more is excluded")
    assert verdict(CAUSAL, row(0.0, 0.13), withheld=None).word == VerdictWord.UNDERPOWERED


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ([], "was not asked here"),
        ([row(-0.1, 0.2, "beside")], "is in it: the interval of beside holds its null"),
        ([row(-0.3, 0.2, "beside")], "differs: beside lies below its null"),
        ([row(0.3, 0.2, "beside")], "differs: beside lies above its null"),
    ],
)
def test_refuted_says_whether_a_map_of_prices_alone_differs(beside, says):
    decides = row(-0.05, 0.11)
    found = verdict(CAUSAL, decides, withheld=None, others=[decides, *beside])
    assert found.word == VerdictWord.REFUTED
    assert found.reason.endswith(says)


def test_supported_becomes_specific_only_beside_what_prices_draw():
    decides = row(0.5, 0.2)
    for beside, word in (
        ([], VerdictWord.SUPPORTED),
        ([row(0.1, 0.2, "beside")], VerdictWord.SUPPORTED),
        ([row(0.3, 0.2, "beside")], VerdictWord.SPECIFIC),
    ):
        found = verdict(CAUSAL, decides, withheld=None, others=[decides, *beside])
        assert found.word == word
        assert found.word.supports
    below = verdict(CAUSAL, row(0.1, 0.3), withheld=None, others=[row(0.3, 0.2, "beside")])
    assert not below.word.supports
