"""The 85 % audit: closed forms on Brownian motion, symmetry, ties, the rule, bad input."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import START, bars, clusters_at, forecast, points
from plane_world import STEP, landmarks, random_market

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.accuracy.hits import READINGS, brownian_pairs, market_readings
from liqbt.evaluation.accuracy.levels import brownian_levels, real_levels
from liqbt.evaluation.accuracy.plane import PlaneConfig, audit_plane, supported_horizons
from liqbt.evaluation.accuracy.rows import ReadingRow
from liqbt.evaluation.accuracy.rule import reading_verdicts
from liqbt.evaluation.accuracy.summary import describe_plane, plane_value
from liqbt.evaluation.claims.accuracy import rate_of, skill_of
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.inference.estimates import Estimate
from liqbt.evaluation.nulls.brownian import touch_probability
from liqbt.evaluation.statistic import detail
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, VerdictWord


def reflected(market, about=100.0):
    """The market with log price negated: what was above lies below."""
    path = market.path
    turned = points(path.end_ns, about**2 / path.close)
    forecasts = []
    for f in market.forecasts:
        rows = f.clusters.copy()
        rows["side"] = -f.clusters["side"]
        rows["low"], rows["high"] = about**2 / f.clusters["high"], about**2 / f.clusters["low"]
        rows["peak"] = about**2 / f.clusters["peak"]
        rows = rows[
            np.lexsort((np.where(rows["side"] < 0, rows["low"], -rows["high"]), rows["side"]))
        ]
        forecasts.append(replace(f, mark=about**2 / f.mark, clusters=rows, asymmetry=-f.asymmetry))
    return MarketInput(symbol=market.symbol, forecasts=forecasts, path=turned)


@pytest.fixture(scope="module")
def brownian():
    """Ten Brownian markets, 2,400 windows of four hours."""
    markets = [random_market(seed) for seed in range(10)]
    return [(m, market_readings(m.path, landmarks(m)), landmarks(m)) for m in markets]


@pytest.mark.parametrize("name", READINGS)
def test_readings_hit_as_often_as_the_closed_form_says(brownian, name):
    excess = np.concatenate([(r[name].hit - r[name].brownian) for _, r, _ in brownian])
    assert len(excess) > 1500
    error = excess.std(ddof=1) / math.sqrt(len(excess))
    assert error < 0.011
    assert abs(excess.mean()) < 3.5 * error


@pytest.mark.parametrize("name", [n for n in READINGS if n != "first_side_decided"])
def test_no_skill_over_other_times_or_the_mirror_where_nothing_is_known(brownian, name):
    for column in ("over_others", "mirror"):
        found = [getattr(r[name], column) for _, r, _ in brownian]
        if column == "mirror":
            found = [r[name].hit - m for (_, r, _), m in zip(brownian, found, strict=True)]
        values = np.concatenate(found)
        assert abs(values.mean()) < 3.5 * values.std(ddof=1) / math.sqrt(len(values))


def test_plain_levels_of_a_brownian_path_lie_on_the_closed_form(brownian):
    grid = np.array([0.0, 0.19, 0.5, 0.76, 1.0, 2.0])
    level = np.mean([real_levels(marks, grid)[0] for _, _, marks in brownian], axis=0)
    pair = np.mean([real_levels(marks, grid)[1] for _, _, marks in brownian], axis=0)
    want_level, want_pair = brownian_levels(brownian[0][2], grid, STEP)
    n = sum(len(marks) for _, _, marks in brownian)
    np.testing.assert_allclose(level, want_level, atol=3.5 * 0.5 / math.sqrt(n))
    np.testing.assert_allclose(pair, want_pair, atol=3.5 * 0.5 / math.sqrt(n))
    assert pair[0] == want_pair[0] == 1.0


def test_where_85_lies_when_everything_is_watched():
    """0.19 σ for one level by 2Φ(−d), 0.76 σ for one of a pair by the eigenfunctions (Feller)."""
    marks = landmarks(random_market(0, days=3))
    whole = replace(
        marks,
        from_ns=np.zeros_like(marks.from_ns),
        until_ns=np.full_like(marks.until_ns, marks.horizon_ns),
    )
    level, pair = brownian_levels(whole, np.array([0.189, 0.7595]), 0)
    odd = np.arange(1, 40, 2)
    decay = np.exp(-((odd * np.pi / 0.7595) ** 2) / 8)
    stays = 4 / np.pi * np.sum((-1.0) ** (odd // 2) / odd * decay)
    assert level[0] == pytest.approx(math.erfc(0.189 / math.sqrt(2)), abs=1e-12)
    assert pair[1] == pytest.approx(1 - stays, abs=1e-9)
    assert [level[0], pair[1]] == pytest.approx([0.85, 0.85], abs=0.001)


def test_other_times_are_the_same_calls_in_every_other_window():
    """Held against a plain double loop over calls and windows."""
    market = random_market(3, days=4)
    marks = landmarks(market)
    reading = market_readings(market.path, marks)["first_side"]
    n = len(marks)
    assert reading.n_unscored == 0
    low, high = np.log(market.path.low), np.log(market.path.high)
    hits = np.zeros((n, n))
    for i in range(n):
        up, down = marks.distance[i] / marks.sigma_h[i]
        for j in range(n):
            first = {1: math.inf, -1: math.inf}
            for k in range(marks.stop[j] - 1, marks.first[j] - 1, -1):
                if high[k] >= marks.log_mark[j] + up * marks.sigma_h[j]:
                    first[1] = k
                if low[k] <= marks.log_mark[j] - down * marks.sigma_h[j]:
                    first[-1] = k
            call = int(marks.call[i])
            hits[j, i] = float(first[call] < first[-call])
    own = np.diag(hits)
    np.testing.assert_array_equal(reading.hit, own)
    others = (hits.sum(axis=0) - own) / (n - 1)
    assert reading.over_others.mean() == pytest.approx((own - others).mean(), abs=1e-12)


def test_reflection_swaps_the_sides_and_changes_no_reading():
    market = random_market(5, days=20)
    plain, turned = landmarks(market), landmarks(reflected(market))
    np.testing.assert_array_equal(turned.call, -plain.call)
    np.testing.assert_allclose(turned.distance, plain.distance[:, ::-1], rtol=1e-9)
    a = market_readings(market.path, plain)
    b = market_readings(reflected(market).path, turned)
    for name in READINGS:
        for column in ("low", "high", "brownian", "mirror", "over_others"):
            np.testing.assert_allclose(
                getattr(b[name], column), getattr(a[name], column), rtol=1e-7, atol=1e-9
            )


def test_the_mirror_of_a_reading_is_the_reading_of_the_mirrored_call():
    market = random_market(6, days=20)
    flipped = []
    for f in market.forecasts:
        rows = f.clusters.copy()
        rows["side"] = -f.clusters["side"]
        rows["low"], rows["high"] = f.mark**2 / f.clusters["high"], f.mark**2 / f.clusters["low"]
        rows["peak"] = f.mark**2 / f.clusters["peak"]
        flipped.append(replace(f, clusters=rows[::-1].copy(), asymmetry=-f.asymmetry))
    a = market_readings(market.path, landmarks(market))
    other = replace(market, forecasts=flipped)
    b = market_readings(market.path, landmarks(other))
    for name in ("nearest", "either_side", "first_side", "direction"):
        np.testing.assert_array_equal(a[name].mirror, b[name].hit)
    assert np.isnan(a["first_side_decided"].mirror).all()


def one(bands, low, high, *, asymmetry=1.0):
    """The readings of one window of four hourly bars at mark 100 (the first is not watched)."""
    start = START + np.arange(len(low)) * HOUR_NS
    market = MarketInput(
        symbol="A",
        forecasts=[forecast(START, 100.0, clusters_at(100.0, bands), asymmetry=asymmetry)],
        path=bars(start, HOUR_NS, low, high),
    )
    return market_readings(market.path, landmarks(market))


def test_a_cluster_that_holds_the_price_is_a_hit_of_no_worth():
    found = one([(99.0, 100.5), (103.0, 104.0)], [99.9] * 5, [100.1] * 5)
    for name in ("nearest", "either_side"):
        assert (found[name].hit[0], found[name].brownian[0]) == (1.0, 1.0)
        assert (found[name].mirror[0], found[name].distance[0]) == (1.0, 0.0)
        assert found[name].n_inside == 1
    called = one([(99.0, 100.5), (103.0, 104.0)], [99.9] * 5, [100.1] * 5, asymmetry=-1.0)
    assert (found["first_side"].hit[0], found["first_side"].brownian[0]) == (1.0, 1.0)
    assert (called["first_side"].hit[0], called["first_side"].brownian[0]) == (0.0, 0.0)


def test_both_touched_in_one_bar_is_a_tie_with_both_bounds():
    bands = [(101.0, 102.0), (98.0, 99.0)]
    found = one(bands, [100, 98, 100, 100, 100], [100, 102, 100, 100, 100])["first_side"]
    assert (found.low[0], found.high[0], found.hit[0], found.mirror[0]) == (0.0, 1.0, 0.5, 0.5)
    after = one(bands, [100, 98, 98, 98, 98], [100, 100, 102, 102, 102])["first_side"]
    assert (after.low[0], after.high[0], after.mirror[0]) == (1.0, 1.0, 0.0)
    none = one(bands, [100] * 5, [100] * 5)
    assert none["first_side"].hit[0] == 0.0
    assert len(none["first_side_decided"].hit) == 0


def test_without_a_call_or_a_level_a_landmark_is_counted_and_not_scored():
    quiet = one([(101.0, 102.0), (98.0, 99.0)], [100] * 5, [100] * 5, asymmetry=0.0)
    assert {name: quiet[name].n_unscored for name in READINGS} == {
        "nearest": 0,
        "either_side": 0,
        "first_side": 1,
        "first_side_decided": 1,
        "direction": 1,
    }
    single = one([(101.0, 102.0)], [100] * 5, [101.5] * 5)
    assert (single["either_side"].hit[0], single["either_side"].mirror[0]) == (1.0, 0.0)
    assert single["first_side"].n_unscored == 1
    empty = one([], [100] * 5, [100] * 5)
    assert [len(empty[name].hit) for name in READINGS] == [0, 0, 0, 0, 1]


def test_pairs_in_parts_are_the_pairs_at_once():
    rng = np.random.default_rng(0)
    up, down = rng.uniform(0.001, 0.1, (2, 50))
    same = {"sigma_1d": np.full(50, 0.02), "spacing_ns": STEP}
    watched = {"from_ns": np.full(50, MINUTE_NS), "until_ns": np.full(50, DAY_NS)}
    q_up, q_down, neither = brownian_pairs(up, down, **same, **watched)
    np.testing.assert_allclose(q_up + q_down + neither, 1.0)
    far = brownian_pairs(up, np.full(50, 5.0), **same, **watched)[0]
    alone = touch_probability(distance=up, **same, **watched)
    np.testing.assert_allclose(far, alone, atol=1e-9)


@pytest.fixture(scope="module")
def plane():
    markets = [random_market(seed, days=30, every=12, symbol=s) for seed, s in enumerate("AB")]
    config = PlaneConfig(horizons_ns=(4 * HOUR_NS, DAY_NS), bootstrap_reps=200)
    return audit_plane(markets, config, np.random.default_rng(0), withheld="not gated")


def test_the_plane_has_every_market_pooled_and_in_json(plane):
    value = plane_value(plane)
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    found = {(r["symbol"], r["horizon"], r["reading"]) for r in value["readings"]}
    assert found == {
        (s, h, r) for s in ("A", "B", "pooled") for h in ("4h", "24h") for r in READINGS
    }
    assert [v["reading"] for v in value["verdicts"]] == list(READINGS)
    for row in value["readings"]:
        assert set(row["hit_rate"]) >= {"claim", "value", "null", "ci_low", "n_episodes", "mde"}
        assert row["hit_rate"]["claim"] == "accuracy_85"
        if row["symbol"] == "pooled":
            parts = [
                r["hit_rate"]["n_episodes"]
                for r in value["readings"]
                if r["symbol"] != "pooled"
                and (r["horizon"], r["reading"]) == (row["horizon"], row["reading"])
            ]
            assert sum(parts) == row["hit_rate"]["n_episodes"]
    clusters = [c for c in value["cells"] if (c["horizon"], c["reading"]) == ("24h", "clusters")]
    assert sum(c["n"] for c in clusters) <= 2 * 2 * 30
    assert all(0 <= c["null_real"] <= 1 for c in clusters if c["n"])
    text = describe_plane(plane)
    assert "no information" in text
    assert "withheld" in text


def test_every_skill_is_its_rate_less_its_null(plane):
    for row in plane.readings:
        for name, skill in row.skill.items():
            rate = row.hit_rate.score.value
            assert skill.score.value == pytest.approx(rate - row.null[name], abs=1e-12)
        assert row.hit_rate.score.null == pytest.approx(row.null["brownian"], abs=1e-12)
        assert row.tie_low <= row.hit_rate.score.value <= row.tie_high


def test_where_all_hits_are_alike_there_is_no_interval_of_skill():
    """Else the spread of the nulls alone would pass for the uncertainty of the hits."""
    market = random_market(0, days=30, every=12)
    near = []
    for f in market.forecasts:
        rows = f.clusters.copy()
        away = 1e-6 * (1 + f.at // HOUR_NS % 5)
        rows["low"] = f.mark * np.exp(np.where(rows["side"] < 0, away, -away - 0.001))
        rows["high"] = f.mark * np.exp(np.where(rows["side"] < 0, away + 0.001, -away))
        rows["peak"] = 0.5 * (rows["low"] + rows["high"])
        near.append(replace(f, clusters=rows))
    config = PlaneConfig(horizons_ns=(DAY_NS,), bootstrap_reps=200)
    found = audit_plane(
        [replace(market, forecasts=near)], config, np.random.default_rng(0), withheld=None
    )
    [row] = [r for r in found.readings if (r.symbol, r.reading) == ("pooled", "either_side")]
    assert row.hit_rate.score.value == 1.0
    for skill in row.skill.values():
        assert math.isfinite(skill.score.value)
        assert math.isnan(skill.score.ci_low)
        assert math.isnan(skill.score.mde)
    [said] = [v for v in found.verdicts if v.reading == "either_side"]
    assert said.word == VerdictWord.NOT_TESTABLE


def reading(rate, skill, *, se=0.01, n=200, days=100, agree=True, horizon="24h"):
    def made(name, value):
        found = Estimate(
            value=value,
            ci_low=value - 1.96 * se,
            ci_high=value + 1.96 * se,
            hac_se=se,
            bootstrap_se=se,
            agree=agree,
            n_episodes=n,
            n_days=days,
            mde=2.8 * se,
        )
        return detail(statistic_of(name), ("pooled", horizon, "both"), 0.0, found)

    return ReadingRow(
        symbol="pooled",
        horizon=horizon,
        reading="nearest",
        hit_rate=made(rate_of("nearest"), rate),
        tie_low=rate,
        tie_high=rate,
        null={"brownian": rate - skill, "other_times": rate - skill, "mirror": rate - skill},
        skill={
            n: made(skill_of("nearest", n), skill) for n in ("brownian", "other_times", "mirror")
        },
        distance_sigma=(0.1, 0.2, 0.3),
        distance=(0.1, 0.2, 0.3),
        n_inside=0,
        n_unscored=0,
        n_censored=0,
    )


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (reading(0.9, 0.1), VerdictWord.SUPPORTED),
        (reading(0.86, 0.1), VerdictWord.UNDERPOWERED),
        (reading(0.86, 0.1, se=0.005), VerdictWord.SUPPORTED),
        (reading(0.855, 0.1, se=0.005), VerdictWord.INCONCLUSIVE),
        (reading(0.9, 0.0, se=0.005), VerdictWord.REFUTED),
        (reading(0.95, 0.015, se=0.01), VerdictWord.UNDERPOWERED),
        (reading(0.7, 0.1), VerdictWord.REFUTED),
        (reading(0.9, 0.1, agree=False), VerdictWord.UNDERPOWERED),
        (reading(0.9, 0.1, n=29), VerdictWord.NOT_TESTABLE),
        (reading(0.9, 0.1, days=19), VerdictWord.NOT_TESTABLE),
        (reading(0.9, 0.1, se=math.nan), VerdictWord.NOT_TESTABLE),
    ],
)
def test_the_rule(row, word):
    [found] = reading_verdicts([row], withheld=None)
    assert found.word == word
    [held] = reading_verdicts([row], withheld="not gated")
    expected = word if word == VerdictWord.NOT_TESTABLE else VerdictWord.WITHHELD
    assert held.word == expected


def test_one_null_without_skill_is_enough_against_it():
    row = reading(0.9, 0.1, se=0.005)
    none = reading(0.9, 0.0, se=0.005).skill["mirror"]
    found = reading_verdicts([replace(row, skill={**row.skill, "mirror": none})], withheld=None)
    assert found[0].word == VerdictWord.REFUTED
    assert found[0].rate_reached
    assert not found[0].skill_shown
    assert "excluded by skill_nearest_over_mirror" in found[0].reason
    assert reading_verdicts([reading(0.9, 0.1, horizon="4h")], withheld=None) == ()


def test_a_null_that_is_too_high_where_nothing_is_there_does_not_refute():
    """Brownian motion visits levels more often than prices whose volatility wanders."""
    row = reading(0.9, 0.1, se=0.005)
    low = reading(0.9, -0.04, se=0.005).skill["brownian"]
    for null, word in (
        ("brownian", VerdictWord.INCONCLUSIVE),
        ("other_times", VerdictWord.INCONCLUSIVE),
        ("mirror", VerdictWord.REFUTED),
    ):
        named = replace(low, score=replace(low.score, statistic=f"skill_nearest_over_{null}"))
        found = reading_verdicts([replace(row, skill={**row.skill, null: named})], withheld=None)
        assert found[0].word == word, null
        assert not found[0].skill_shown
    alone = replace(row, skill={"brownian": low})
    assert reading_verdicts([alone], withheld=None)[0].word != VerdictWord.REFUTED


def test_an_interval_excludes_by_its_own_error_whether_or_not_others_are_known():
    row = reading(0.9, 0.1, se=0.005)
    none = reading(0.9, 0.0, se=0.005).skill["mirror"]
    vague = reading(0.9, 0.1, se=0.005, agree=False).skill["brownian"]
    found = reading_verdicts(
        [replace(row, skill={**row.skill, "mirror": none, "brownian": vague})], withheld=None
    )
    assert found[0].word == VerdictWord.REFUTED
    assert "excluded by skill_nearest_over_mirror" in found[0].reason
    for se, word in ((0.0065, VerdictWord.REFUTED), (0.007, VerdictWord.INCONCLUSIVE)):
        none = reading(0.9, 0.0, se=se, agree=False).skill[
            "mirror"
        ]  # half as wide again: ±2 points
        found = reading_verdicts([replace(row, skill={**row.skill, "mirror": none})], withheld=None)
        assert found[0].word == word


def test_bad_input_is_one_sentence():
    market = random_market(0, days=12)
    rng = np.random.default_rng(0)
    long = PlaneConfig(horizons_ns=(90 * DAY_NS,))
    with pytest.raises(DataError, match=r"horizon of 90d is longer than the data, which end 12"):
        audit_plane([market], long, rng, withheld=None)
    few = PlaneConfig(horizons_ns=(3 * DAY_NS,))
    with pytest.raises(DataError, match=r"found 4 landmarks at 3d .* at least 8 are needed"):
        audit_plane([market], few, rng, withheld=None)
    with pytest.raises(DataError, match=r"too few landmarks, none of the horizons 3d, 90d has 8"):
        supported_horizons([market], PlaneConfig(horizons_ns=(3 * DAY_NS, 90 * DAY_NS)))
    assert supported_horizons([market], PlaneConfig()) == tuple(
        h * HOUR_NS for h in (1, 2, 4, 8, 24)
    )
    with pytest.raises(ConfigError, match="increasing, each once"):
        PlaneConfig(horizons_ns=(DAY_NS, DAY_NS))
    with pytest.raises(ConfigError, match="longer than the latency"):
        PlaneConfig(horizons_ns=(30 * SECOND_NS,))
