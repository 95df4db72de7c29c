"""Forecasts that are right on a share of days: every reading scores that share of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plane_world import random_market

from liqbt.evaluation.accuracy.oracle import called_on, visited_on
from liqbt.evaluation.claims.accuracy import READING_CLAIMS, STATISTICS, rate_of
from liqbt.evaluation.claims.verdict import verdict
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.types import DAY_NS, VerdictWord

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=300)
VISITS = ("nearest", "either_side", "first_side")
CALLS = ("first_side", "first_side_decided", "direction")
CLAIM_OF = {claim.statistic: claim for claim in READING_CLAIMS}


@pytest.fixture(scope="module")
def market():
    return random_market(8, days=120, every=12)


def of(market, knowing):
    known = replace(market, forecasts=knowing(market.forecasts, market))
    return Evidence(markets=[known], config=CONFIG)


@pytest.mark.parametrize(("knowing", "readings"), [(visited_on, VISITS), (called_on, CALLS)])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_reading_scores_the_share_of_days(market, knowing, readings, share):
    found = of(market, knowing(share)).readings(0, DAY_NS)
    for name in readings:
        hit, day = found[name].hit, found[name].at // DAY_NS
        by_day = [hit[day == d] for d in np.unique(day)]
        assert all(len(np.unique(one)) == 1 for one in by_day)  # days are right or wrong
        rate = np.mean([one[0] for one in by_day])
        assert rate == pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / len(by_day)))


@pytest.mark.parametrize(("knowing", "readings"), [(visited_on, VISITS), (called_on, CALLS)])
def test_the_rule_tells_95_from_75(market, knowing, readings):
    for share, word in ((0.96, VerdictWord.SUPPORTED), (0.7, VerdictWord.REFUTED)):
        rows = list(scored(of(market, knowing(share)), STATISTICS))
        pooled = {d.score.statistic: d for d in rows if d.score.symbol == "pooled"}
        for name in readings:
            claim = CLAIM_OF[rate_of(name)]
            found = verdict(claim, pooled[claim.statistic], withheld=None, others=rows)
            assert found.word == word, (name, found.reason)


def test_the_same_market_has_the_same_days(market):
    one, two = (visited_on(0.8)(market.forecasts, market) for _ in range(2))
    assert all(np.array_equal(a.clusters, b.clusters) for a, b in zip(one, two, strict=True))
