"""The hourly table: near mass and returns by hand, upside down, later, cut short; slopes."""

from __future__ import annotations

import dataclasses
import math

import naive
import numpy as np
import pytest
import statsmodels.api as sm
from evaluation_world import START, STEP_S, brownian_path, map_forecast, points, reflected
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.bins import PHASES, anchors_of, phase_rows
from liqbt.evaluation.claims import asymmetry, direction, magnet
from liqbt.evaluation.claims.register import REGISTER, STATISTICS, statistic_of
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.funding import Funding
from liqbt.evaluation.hours import drift_days, forward_returns, hours_over, market_hours
from liqbt.evaluation.kernels.hours import decayed_returns
from liqbt.evaluation.near import beside_asymmetry, near_asymmetry, near_mass
from liqbt.evaluation.statistic import BY_HORIZON
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, VerdictWord

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=200)
STEP = STEP_S * SECOND_NS
SIGMA = 0.025
HOURLY = [one for file in (magnet, direction, asymmetry) for one in file.STATISTICS]
HOURLY = [one for one in HOURLY if one.needs == ("hours",)]


def market(seed, days, *, pull=0.0, jump=0.0, symbol="A"):
    """Hourly maps heavier on a side drawn anew each hour; the price is pulled, or jumps, there."""
    rng = np.random.default_rng(seed)
    n = days * 24
    side = rng.choice([-1.0, 1.0], n)
    log_price, _, _ = brownian_path(rng, days, SIGMA)
    steps = np.diff(log_price)
    steps += np.repeat(pull * SIGMA * side / 288, 12)
    if jump:
        leaps = rng.choice(n, n // 10, replace=False)
        steps[leaps * 12 + 6] += jump * SIGMA * side[leaps]
    log_price = np.concatenate([[0.0], np.cumsum(steps)])
    ts = START + np.arange(len(log_price)) * STEP
    density = rng.exponential(1.0, (n, 2, 230))
    density[np.arange(n), (side > 0).astype(int)] *= 4.0
    rows = zip(ts[:-1:12], 100.0 * np.exp(log_price[:-1:12]), density, strict=True)
    forecasts = [
        dataclasses.replace(map_forecast(*row, sigma=SIGMA), symbol=symbol) for row in rows
    ]
    path = points(ts, 100.0 * np.exp(log_price))
    return MarketInput(symbol=symbol, forecasts=forecasts, path=path)


SHORT = market(3, 6)


def column(hours, name):
    return getattr(hours, name)


def test_near_mass_like_the_naive_twin():
    rng = np.random.default_rng(1)
    for mark in (100.0, 100.0 * math.exp(0.00031), 93.7):
        density = rng.exponential(1.0, (2, 260)) * (rng.random((2, 260)) < 0.6)
        made = map_forecast(START, mark, density, fine=60, coarse=10, sigma=0.021)
        edges = made.grid.outward_edges(260)
        inside = math.log(mark / 100.0) / made.grid.step - made.mark_bin
        expected = naive.near_mass(
            made.density_usd.tolist(), edges.tolist(), inside, made.grid.step, 0.0105, 0.0525
        )
        assert near_mass([made], [made])[0] == pytest.approx(expected, rel=1e-6)


def test_near_mass_of_one_bin_by_hand():
    density = np.zeros((2, 230))
    density[1, 3] = 8.0  # the mark on a bin's edge: from 4 to 5 bins above
    made = map_forecast(START, 100.0 * math.exp(1e-12), density, sigma=0.02)
    low, high = 4 * 5e-4, 5 * 5e-4
    weight = 0.01 * (math.exp(-low / 0.01) - math.exp(-high / 0.01)) / 5e-4
    assert near_mass([made], [made])[0] == pytest.approx([0.0, 8.0 * weight])
    assert near_asymmetry(near_mass([made], [made])).tolist() == [1.0]
    far = np.zeros((2, 230))
    far[:, 110:] = 1.0  # 55 thousandths and more, 2.5 σ are 50
    assert near_mass([made], [map_forecast(START, 100.0, far, sigma=0.02)]).tolist() == [[0, 0]]
    assert near_asymmetry(np.zeros((1, 2))).tolist() == [0.0]


def test_another_map_is_read_about_this_ones_mark():
    """Its own mark and grid do not matter, and where it was not issued it is unknown."""
    density = np.zeros((2, 230))
    density[1, 10] = 1.0
    mine = [map_forecast(START + i * HOUR_NS, 100.0, density) for i in range(3)]
    higher = map_forecast(START, 101.0, np.full((2, 230), 1.0))
    found = beside_asymmetry(mine, [higher])
    assert np.isnan(found).tolist() == [False, True, True]
    about_its_own = near_asymmetry(near_mass([higher], [higher]))[0]
    assert abs(about_its_own) < 0.05
    assert beside_asymmetry(mine, mine).tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(beside_asymmetry(mine, [])).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 30.0))
def test_decayed_returns_like_the_naive_twin(seed, half_life_h):
    rng = np.random.default_rng(seed)
    at = START + np.cumsum(rng.integers(1, 5, 40)) * HOUR_NS
    log_mark = np.cumsum(rng.normal(0.0, 0.01, 40))
    found = decayed_returns(at, log_mark, half_life_h * HOUR_NS)
    hours = ((at - START) / HOUR_NS).tolist()
    expected = naive.decayed_returns(hours, log_mark.tolist(), half_life_h)
    assert found == pytest.approx(expected, abs=1e-12)


def test_returns_like_the_naive_twin():
    path, sigma = SHORT.path, np.full(200, 0.01)
    opened = START + np.arange(200) * 17 * MINUTE_NS
    for horizon_ns in (HOUR_NS, 4 * HOUR_NS):
        found = forward_returns(path, opened, sigma, horizon_ns)
        rows = list(zip(path.end_ns.tolist(), path.close.tolist(), strict=True))
        for i, at in enumerate(opened.tolist()):
            expected = naive.split_return(rows, at, horizon_ns, 0.01, 4.0)
            assert found[i] == pytest.approx(expected, abs=1e-9)
        assert (found[:, 1] != 0.0).any()  # 4 σ of a σ that is too small: some steps are jumps


def test_a_window_that_is_not_watched_through_has_no_return():
    path = SHORT.path
    keep = np.ones(len(path), bool)
    keep[100:110] = False
    holed = points(path.end_ns[keep], path.close[keep])
    at = path.end_ns[[50, 84, 90, 99, 105, 110, len(path) - 5]]
    found = forward_returns(holed, at, np.full(7, 0.02), HOUR_NS)
    # whole; whole; over the hole; from its edge; begins inside it; just after; past the end
    assert np.isnan(found[:, 0]).tolist() == [False, False, True, True, True, False, True]


def test_hourly_bars_are_watched_for_a_whole_hour():
    """An hour that starts inside a bar starts at its close, which nobody knew at issue."""
    path = SHORT.path
    ends = path.end_ns[12::12]
    hourly = dataclasses.replace(
        path,
        start_ns=ends - HOUR_NS,
        end_ns=ends,
        low=path.close[12::12],
        high=path.close[12::12],
        close=path.close[12::12],
        spacing_ns=0,
        max_gap_ns=HOUR_NS,
    )
    found = forward_returns(hourly, ends[:3] + MINUTE_NS, np.full(3, 0.02), HOUR_NS)
    expected = np.diff(np.log(hourly.close))[1:4] / (0.02 * math.sqrt(1 / 24))
    assert found.sum(axis=1) == pytest.approx(expected)


def test_upside_down_everything_changes_its_sign():
    flipped = reflected(SHORT)
    forecasts = [dataclasses.replace(f, mark_bin=-f.mark_bin - 1) for f in flipped.forecasts]
    flipped = dataclasses.replace(flipped, forecasts=forecasts)
    a, b = market_hours(SHORT, CONFIG), market_hours(flipped, CONFIG)
    for name in ("near", "past", "size", "diffusion", "jumps"):
        assert column(b, name) == pytest.approx(-column(a, name), abs=1e-6, nan_ok=True)
    assert b.total == pytest.approx(a.total, abs=1e-6)


def test_nothing_after_issue_moves_what_was_known_and_nothing_after_a_window_its_return():
    whole = market_hours(SHORT, CONFIG)
    cut = SHORT.forecasts[70].at
    path = SHORT.path
    seen = path.end_ns <= cut
    early = dataclasses.replace(
        SHORT,
        forecasts=[f for f in SHORT.forecasts if f.at <= cut],
        path=points(path.end_ns[seen], path.close[seen]),
    )
    part = market_hours(early, CONFIG)
    n = len(part.at)
    for name in ("near", "past", "size", "total"):
        assert np.array_equal(column(part, name), column(whole, name)[:n])
    known = np.isfinite(part.diffusion)
    assert known.sum() > 2 * n - 10
    for name in ("diffusion", "jumps"):
        assert np.array_equal(column(part, name)[known], column(whole, name)[:n][known])


def test_later_is_the_same():
    moved = dataclasses.replace(
        SHORT,
        forecasts=[
            dataclasses.replace(f, at=f.at + DAY_NS, mark_ts=f.mark_ts + DAY_NS)
            for f in SHORT.forecasts
        ],
        path=points(SHORT.path.end_ns + DAY_NS, SHORT.path.close),
    )
    a, b = market_hours(SHORT, CONFIG), market_hours(moved, CONFIG)
    for name in ("near", "past", "size", "total", "diffusion", "jumps"):
        assert np.array_equal(column(a, name), column(b, name), equal_nan=True)


def test_past_returns_begin_before_scoring_does():
    late = dataclasses.replace(
        SHORT, forecasts=SHORT.forecasts[48:], anchors=anchors_of(SHORT.forecasts)
    )
    whole = market_hours(SHORT, CONFIG)
    assert np.array_equal(market_hours(late, CONFIG).past, whole.past[48:])
    bare = dataclasses.replace(late, anchors=None)
    assert (market_hours(bare, CONFIG).past[0] == 0.0).all()


def test_funding_is_what_was_known():
    at = SHORT.forecasts[10].at
    rates = Funding(known_ns=np.array([at]), rate=np.array([3e-4]))
    found = market_hours(dataclasses.replace(SHORT, funding=rates), CONFIG).funding
    assert np.isnan(found[:11]).all()
    assert (found[11:34] == 3e-4).all()
    assert np.isnan(market_hours(SHORT, CONFIG).funding).all()


def test_a_drift_is_a_slope_in_sigma_a_day():
    hours = market_hours(SHORT, CONFIG)
    found = drift_days(hours, hours.near, hours.diffusion, 4 * HOUR_NS, [hours.past])
    y = hours.diffusion[:, 1] * math.sqrt(6.0)
    use = np.isfinite(y)
    columns = np.column_stack([hours.near, np.ones(len(y)), hours.past])[use]
    assert found.ratio == pytest.approx(sm.OLS(y[use], columns).fit().params[0])
    assert found.units == len(landmark_rows(hours.at[use], 4 * HOUR_NS))


def rows_of(markets):
    evidence = Evidence(markets=markets, config=CONFIG, root=1)
    found = scored(evidence, HOURLY)
    return {one.score.statistic: one for one in found if one.score.symbol == "pooled"}


def test_over_every_horizon_the_same_statistics_decide_nothing():
    """Where a claim's own horizon is scored, too, both rows are one; no word of a verdict moves."""
    wide = dataclasses.replace(CONFIG, horizons_ns=(HOUR_NS, 4 * HOUR_NS, DAY_NS))
    deciding = ["near_drift", "near_jumps", "ratio_beside_sizes"]
    found = {}
    for config in (CONFIG, wide):
        evidence = Evidence(markets=[market(5, 40, pull=12.0)], config=config, root=1)
        others = [statistic_of(f"{name}_by_horizon") for name in deciding]
        rows = list(scored(evidence, [*HOURLY, *others]))
        found[config] = rows
        by_row = {
            (d.score.statistic, d.score.horizon): d.score for d in rows if d.score.symbol == "A"
        }
        spans = {"near_drift": "4h", "near_jumps": "1h", "ratio_beside_sizes": "1h"}
        for name in deciding:
            held = [h for n, h in by_row if n == f"{name}_by_horizon"]
            assert held == [horizon_name(h) for h in config.horizons_ns]
            if config is wide:
                one = by_row[name, spans[name]]
                assert dataclasses.replace(one, statistic="") == dataclasses.replace(
                    by_row[f"{name}_by_horizon", spans[name]], statistic=""
                )
            day = by_row[f"{name}_by_horizon", "24h"]
            assert day.n_episodes < by_row[name, spans[name]].n_episodes
    said = [[(v.claim, v.word) for v in verdicts(rows, withheld={})] for rows in found.values()]
    assert said[0] == said[1]
    assert ("magnet", VerdictWord.SUPPORTED) in said[0]
    assert not {one.id for one in STATISTICS if one.group is BY_HORIZON} & {
        name for claim in REGISTER for name in claim.conditions
    }


def test_a_return_over_another_horizon_is_what_the_price_did():
    hours = hours_over(market_hours(SHORT, CONFIG), SHORT, CONFIG, 12 * HOUR_NS)
    path, log_price = SHORT.path.end_ns, np.log(SHORT.path.close)
    for i in (0, 17, 60):
        opened = np.searchsorted(path, hours.at[i] + CONFIG.latency_ns)
        closed = np.searchsorted(path, path[opened] + 12 * HOUR_NS)
        whole = (log_price[closed] - log_price[opened]) / (SIGMA * math.sqrt(0.5))
        assert hours.diffusion[i, 0] + hours.jumps[i, 0] == pytest.approx(whole)
    assert np.isnan(hours.diffusion[-12:]).all()


def test_a_pull_is_found_in_the_diffusion_and_a_lean_of_jumps_in_the_jumps():
    pulled = rows_of([market(1, 60, pull=1.5)])
    assert pulled["near_drift"].score.horizon == "4h"
    assert pulled["near_jumps"].score.horizon == "1h"
    assert pulled["near_drift_1h"].score.value == pytest.approx(1.5 / 0.6, abs=0.6)
    assert pulled["near_drift_1h"].score.ci_low > 0.5
    assert abs(pulled["near_jumps"].score.value) < 0.2
    leant = rows_of([market(2, 60, jump=0.5)])
    assert leant["near_jumps"].score.ci_low > 0.5
    assert leant["near_drift_1h"].score.ci_low < 0.3
    assert leant["near_return_1h"].score.ci_low > 0.3


def test_a_statistic_with_its_own_horizon_has_no_row_at_others():
    found = list(scored(Evidence(markets=[SHORT], config=CONFIG, root=1), HOURLY))
    for one in found:
        own = statistic_of(one.score.statistic).horizon_ns
        assert one.score.horizon == f"{own // HOUR_NS}h"
    assert len(found) == 2 * len(HOURLY)


def test_beside_the_twin_a_map_that_is_its_twin_has_nothing_left():
    """Nothing is left of x: there is no number, and none of zero."""
    plain = market(1, 40, pull=1.5)
    same = dataclasses.replace(plain, twin=plain.forecasts)
    wanted = [statistic_of("near_drift_beside_twin")]
    evidence = Evidence(markets=[plain], config=CONFIG, root=1)
    assert not list(scored(evidence, wanted))  # no twin: no row
    found = next(iter(scored(dataclasses.replace(evidence, markets=[same]), wanted)))
    assert math.isnan(found.score.value)


def test_two_markets_weigh_by_what_they_tell():
    parts = [market(1, 30, pull=1.5), market(2, 30, symbol="B")]
    evidence = Evidence(markets=parts, config=CONFIG, root=1)
    one = [statistic_of("near_drift_1h")]
    a, b, both = (d for d in scored(evidence, one))
    sums = [float(d.days.count.sum()) for d in (a, b)]
    mean = np.average([a.score.value, b.score.value], weights=sums)
    assert both.score.value == pytest.approx(mean)


def test_landmarks_of_all_phases():
    at = START + np.arange(100) * HOUR_NS
    chosen = phase_rows(at, DAY_NS)
    assert chosen.tolist() == list(range(0, 100, 24 // PHASES))
    daily = START + np.arange(10) * DAY_NS
    assert phase_rows(daily, DAY_NS).tolist() == list(range(10))
    assert phase_rows(at[:1], DAY_NS).tolist() == [0]
