"""The readings of 85 % as statistics of a run: every forecast a landmark, at no chosen hour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import points
from plane_world import random_market

from liqbt.evaluation.accuracy.hits import READINGS, market_readings
from liqbt.evaluation.accuracy.landmarks import every_landmark, market_landmarks, phases
from liqbt.evaluation.claims.accuracy import (
    CLAIM,
    READING_CLAIMS,
    STATISTICS,
    nulls_of,
    rate_of,
    skill_of,
)
from liqbt.evaluation.claims.verdict import verdict
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.statistic import Cell
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, VerdictWord

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=200)
CELL = Cell(market=0, horizon_ns=DAY_NS, side="both")
COMPUTED = {one.id: one for one in STATISTICS if one.day_sums is not None}


def evidence(*markets, **changes):
    return Evidence(markets=markets, config=replace(CONFIG, **changes))


def values(found):
    return {name: one.day_sums(found, CELL) for name, one in COMPUTED.items()}


@pytest.fixture(scope="module")
def hourly():
    return random_market(4, days=30, every=12)


def test_it_is_the_windows_of_every_hour_of_the_day(hourly):
    """The twin: for each hour of the day by itself, the windows that do not overlap."""
    marks = every_landmark(hourly, horizon_ns=DAY_NS, latency_ns=MINUTE_NS)
    found = market_readings(hourly.path, marks, phases(marks))
    for name in READINGS:
        rows = {}
        for hour in range(24):
            one = replace(hourly, forecasts=hourly.forecasts[hour::24])
            mine = market_landmarks(one, horizon_ns=DAY_NS, latency_ns=MINUTE_NS)
            reading = market_readings(one.path, mine)[name]
            for i, at in enumerate(reading.at.tolist()):
                kept = (reading.hit, reading.brownian, reading.mirror, reading.over_others)
                rows[at] = [column[i] for column in kept]
        reading = found[name]
        assert reading.at.tolist() == sorted(rows)
        kept = (reading.hit, reading.brownian, reading.mirror, reading.over_others)
        expected = np.array([rows[at] for at in reading.at.tolist()]).T
        np.testing.assert_allclose(kept, expected, atol=1e-12)


def test_a_schedule_that_begins_later_changes_its_own_windows_alone(hourly):
    late = replace(hourly, forecasts=hourly.forecasts[7:])
    for reading in READINGS:
        whole, rest = (evidence(m).readings(0, DAY_NS)[reading] for m in (hourly, late))
        n = len(whole.at) - len(rest.at)
        assert n <= 7
        np.testing.assert_array_equal(whole.hit[n:], rest.hit)
        np.testing.assert_allclose(whole.brownian[n:], rest.brownian, atol=1e-12)


def test_reflection_swaps_the_sides_and_changes_no_day(hourly):
    forecasts = []
    for f in hourly.forecasts:
        rows = f.clusters.copy()
        rows["side"] = -f.clusters["side"]
        rows["low"], rows["high"] = 1e4 / f.clusters["high"], 1e4 / f.clusters["low"]
        rows["peak"] = 1e4 / f.clusters["peak"]
        place = np.where(rows["side"] < 0, rows["low"], -rows["high"])
        rows = rows[np.lexsort((place, rows["side"]))]
        forecasts.append(replace(f, mark=1e4 / f.mark, clusters=rows, asymmetry=-f.asymmetry))
    path = points(hourly.path.end_ns, 1e4 / hourly.path.close)
    turned = MarketInput(symbol="A", forecasts=forecasts, path=path)
    plain, mirrored = values(evidence(hourly)), values(evidence(turned))
    for name, days in plain.items():
        np.testing.assert_allclose(mirrored[name].total, days.total, atol=1e-9, err_msg=name)
        assert mirrored[name].units == days.units


def test_what_comes_after_the_window_changes_no_reading(hourly):
    """Neither hits nor their nulls in closed form and in the mirror."""
    end = hourly.forecasts[-1].at - 2 * DAY_NS
    cut = replace(hourly, forecasts=[f for f in hourly.forecasts if f.at <= end - DAY_NS])
    price = hourly.path.close.copy()
    price[hourly.path.end_ns >= end] *= 2.0
    other = replace(cut, path=points(hourly.path.end_ns, price))
    for name in READINGS:
        a, b = (evidence(m).readings(0, DAY_NS)[name] for m in (cut, other))
        np.testing.assert_array_equal(a.hit, b.hit)
        np.testing.assert_array_equal(a.brownian, b.brownian)
        np.testing.assert_array_equal(a.mirror, b.mirror)


def test_units_are_windows_that_do_not_overlap(hourly):
    found = values(evidence(hourly))
    for name, days in found.items():
        assert days.count.sum() > 20 * days.units, name
        assert 25 <= days.units <= 30


def test_every_null_of_a_reading_is_a_statistic_and_a_condition():
    assert [claim.statistic for claim in READING_CLAIMS] == [rate_of(name) for name in READINGS]
    for reading, claim in zip(READINGS, READING_CLAIMS, strict=True):
        assert claim.also_above == tuple(skill_of(reading, null) for null in nulls_of(reading))
        assert {claim.statistic, *claim.also_above} <= set(COMPUTED)
    assert CLAIM in READING_CLAIMS
    assert skill_of("first_side_decided", "mirror") not in COMPUTED


def test_hits_that_all_came_out_alike_show_no_skill():
    """Levels so near that all are visited: a rate of 1, and nothing over any null."""
    market = random_market(6, days=40, every=12)
    close = [replace(f, clusters=f.clusters.copy()) for f in market.forecasts]
    for f in close:
        up = f.clusters["side"] < 0
        f.clusters["low"][up], f.clusters["high"][up] = f.mark * 1.00001, f.mark * 1.001
        f.clusters["low"][~up], f.clusters["high"][~up] = f.mark * 0.999, f.mark * 0.99999
        f.clusters["peak"] = np.sqrt(f.clusters["low"] * f.clusters["high"])
    found = evidence(replace(market, forecasts=close))
    rows = {d.score.statistic: d for d in scored(found, STATISTICS) if d.score.symbol == "pooled"}
    rate = rows[rate_of("either_side")]
    assert rate.score.value == 1.0
    assert math.isnan(rate.score.ci_low)
    skill = rows[skill_of("either_side", "brownian")].score
    assert not skill.ci_low > 0.0


def test_an_asymmetry_that_is_unknown_is_no_call(hourly):
    mute = replace(hourly, forecasts=[replace(f, asymmetry=math.nan) for f in hourly.forecasts])
    found = values(evidence(mute))
    assert found[rate_of("direction")] is None
    assert found[rate_of("first_side")] is None
    assert found[rate_of("nearest")] is not None


def test_a_record_shorter_than_the_window_has_no_rows():
    market = random_market(1, days=3, every=12)
    short = replace(market, forecasts=market.forecasts[-6:])
    assert not evidence(short).has("readings", DAY_NS)
    assert not evidence(market, horizons_ns=(HOUR_NS * 4,)).has("readings", HOUR_NS * 4)


def test_calls_that_know_the_future_are_right_and_shown_to_be():
    """An oracle's direction: nearly always right, and the rule says so."""
    market = random_market(8, days=120, every=12)
    at, price = market.path.end_ns, market.path.close

    def knowing(i, f):
        later = np.searchsorted(at, f.at + DAY_NS) - 1
        right = -1.0 if price[later] > f.mark else 1.0
        return replace(f, asymmetry=right if i % 25 else -right)

    known = replace(market, forecasts=[knowing(i, f) for i, f in enumerate(market.forecasts)])
    rows = list(scored(evidence(known), STATISTICS))
    claim = READING_CLAIMS[list(READINGS).index("direction")]
    mine = next(
        d for d in rows if d.score.statistic == claim.statistic and d.score.symbol == "pooled"
    )
    assert 0.94 < mine.score.value < 0.99
    assert verdict(claim, mine, withheld=None, others=rows).word == VerdictWord.SUPPORTED
    plain = list(scored(evidence(market), STATISTICS))
    mine = next(
        d for d in plain if d.score.statistic == claim.statistic and d.score.symbol == "pooled"
    )
    assert verdict(claim, mine, withheld=None, others=plain).word == VerdictWord.REFUTED
