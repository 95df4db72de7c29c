"""Dose–response: bins and ranks by hand, slopes and errors like statsmodels, size and power."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import statsmodels.api as sm
from evaluation_world import START, STEP_S, map_market, paired_response, response_bins
from evaluation_world import map_forecast as forecast
from scipy.stats import norm

from liqbt.errors import DataError
from liqbt.estimators.nulls import reflect
from liqbt.evaluation.bins import (
    Dose,
    anchors_of,
    beside_bins,
    drift_response,
    market_dose,
    outward_density,
    rank_contrast,
    response_blocks,
)
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.inference.days import draw
from liqbt.evaluation.nulls.placebo import (
    PlaceboConfig,
    fit_placebo,
    placebo_probability,
    restricted_cubic,
)
from liqbt.types import DAY_NS, MINUTE_NS, SECOND_NS, DensityGrid
from research.methods.side_response import side_days

CONFIG = EvaluationConfig()
STEP = STEP_S * SECOND_NS
DRAWS = draw(np.random.default_rng(1), reps=300, n_days=200)


def bins_of(forecasts, path):
    return response_bins(forecasts, path, CONFIG, horizon_ns=DAY_NS)


def test_density_at_equal_distances_by_hand():
    """Marks a quarter of a bin above an edge; without smoothing each bin is read as it is."""
    grid = DensityGrid(anchor=100.0)
    mark = float(grid.anchor * np.exp(7.25 * grid.step))
    rows = [[10.0, 20.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0]]
    found = outward_density(forecast(START, mark, rows), 4, 1)
    # below: 0.5, 1.5 … bins down from 7.25 is bin 6, 5, …: entries 0, 1, …
    assert found[0].tolist() == [10.0, 20.0, 30.0, 40.0]
    # above: 7.75 lies in the mark's own bin, 8.75 in bin 8: entry 0
    assert found[1].tolist() == [0.0, 1.0, 2.0, 3.0]
    smooth = outward_density(forecast(START, mark, rows), 4, 3)
    assert smooth[0].tolist() == [10.0, 20.0, 30.0, 27.5]


def test_coarse_entries_are_shared_by_their_bins():
    rows = [[6.0, 8.0, 100.0], [6.0, 8.0, 100.0]]
    found = outward_density(forecast(START, 100.0 * math.exp(1e-5), rows, fine=2), 14, 1)
    assert found[0].tolist() == [6.0, 8.0, *[10.0] * 10, 0.0, 0.0]


def test_ranks_are_taken_on_both_sides_of_one_landmark_and_band():
    forecasts, path = map_market(0, 30)
    bins = bins_of(forecasts, path)
    contrast = rank_contrast(bins)
    one = (bins.forecast == bins.forecast[0]) & (bins.band == bins.band[0])
    both = np.concatenate([bins.density[one, 0], bins.density[one, 1]])
    for row in np.flatnonzero(one)[:5]:
        share = [(np.sum(both < x) + 0.5) / len(both) for x in bins.density[row]]
        assert contrast[row] == pytest.approx(share[1] - share[0])
    assert (bins.distance_sigma >= 0.25).all()
    assert (bins.distance_sigma <= 2.5).all()


def test_a_dose_does_not_depend_on_how_many_landmarks_are_held_at_once():
    forecasts, path = map_market(0, 30)
    turned = [dataclasses.replace(f, density_usd=f.density_usd[:, ::-1] ** 2) for f in forecasts]
    bins = bins_of(forecasts, path)
    whole = Dose(bins, beside_bins(bins, forecasts, turned))
    blocks = list(response_blocks(forecasts, path, CONFIG, horizon_ns=DAY_NS, at_once=7))
    assert len(blocks) == 5
    parts = [(block, beside_bins(block, forecasts, turned)) for block in blocks]
    ranks = np.concatenate([rank_contrast(block) for block in blocks])
    assert ranks.tobytes() == rank_contrast(bins).tobytes()
    dose = Dose(*parts[2])
    for k in (4, 0, 1, 3):  # in any order, before the first day and after the last one
        dose.add(*parts[k])
    for asked in ({}, {"trends": False}, {"maps": True}):
        found, expected = dose.days(**asked), whole.days(**asked)
        assert (found.first_day, found.freedom) == (expected.first_day, expected.freedom)
        np.testing.assert_allclose(found.total, expected.total, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found.count, expected.count, rtol=1e-10, atol=1e-13)
    market = MarketInput(symbol="A", forecasts=forecasts, path=path)
    made = market_dose(market, CONFIG, [turned], horizon_ns=DAY_NS).days(maps=True)
    np.testing.assert_allclose(made.total, whole.days(maps=True).total, rtol=1e-10, atol=1e-13)
    late = [dataclasses.replace(f, at=f.at + DAY_NS // 24) for f in turned]
    with pytest.raises(DataError, match="issued at 30 times, none of them one of the 30 landmarks"):
        market_dose(market, CONFIG, [late], horizon_ns=DAY_NS)


def test_visits_are_those_of_the_window():
    forecasts, path = map_market(2, 12)
    bins = bins_of(forecasts, path)
    assert bins.n_landmarks == 12
    for number in (0, 5, 11):
        start = forecasts[number].at
        inside = (path.end_ns >= start + MINUTE_NS) & (path.end_ns < start + DAY_NS)
        mark = math.log(forecasts[number].mark)
        high, low = np.log(path.high[inside]).max(), np.log(path.low[inside]).min()
        mine = bins.forecast == number
        np.testing.assert_array_equal(bins.visited[mine, 1], high >= mark + bins.distance[mine])
        np.testing.assert_array_equal(bins.visited[mine, 0], low <= mark - bins.distance[mine])


def test_slope_and_error_like_statsmodels():
    forecasts, path = map_market(3, 90, pull=1.0)
    bins = bins_of(forecasts, path)
    found = paired_response([bins], DRAWS)
    drift = 4.0 * bins.distance_sigma * norm.cdf(-bins.distance_sigma)
    x = np.column_stack([rank_contrast(bins), drift, bins.trend * drift[:, None]])
    assert x.shape[1] == 5
    day = bins.at // DAY_NS
    fit = sm.OLS(bins.visited[:, 1] - bins.visited[:, 0], x).fit(
        cov_type="hac-groupsum",
        cov_kwds={"time": day - day.min(), "maxlags": found.lag_days, "use_correction": False},
    )
    assert found.value == pytest.approx(fit.params[0], rel=1e-9)
    assert found.hac_se == pytest.approx(fit.bse[0] * math.sqrt(90 / (90 - 5)), rel=1e-6)
    assert found.n_episodes == found.n_days == 90
    raw = Dose(bins).days(trends=False).ratio
    assert raw == pytest.approx(
        sm.OLS(bins.visited[:, 1] - bins.visited[:, 0], x[:, 0]).fit().params[0]
    )


def test_within_a_side_like_statsmodels():
    forecasts, path = map_market(4, 60)
    bins = bins_of(forecasts, path)
    placebo = fit_placebo(
        anchors_of(forecasts),
        path,
        PlaceboConfig(),
        horizon_ns=DAY_NS,
        latency_ns=MINUTE_NS,
        rng=np.random.default_rng(0),
    )
    found = side_days(bins, placebo)
    rank = np.empty(bins.density.shape)
    for group in np.unique(bins.forecast * 64 + bins.band):
        mine = bins.forecast * 64 + bins.band == group
        for side in range(2):
            values = bins.density[mine, side]
            below = (values[:, None] > values[None, :]).sum(axis=1)
            rank[mine, side] = (below + 0.5) / len(values)
    lift = [
        bins.visited[:, k]
        - placebo_probability(placebo, bins.forecast, np.full(len(rank), s), bins.distance)
        for k, s in ((0, -1.0), (1, 1.0))
    ]
    spline = restricted_cubic(np.tile(bins.distance_sigma, 2), (0.3, 0.8, 1.5, 2.3))
    x = np.column_stack([rank.T.ravel(), np.ones(2 * len(rank)), spline])
    assert found.ratio == pytest.approx(sm.OLS(np.concatenate(lift), x).fit().params[0], rel=1e-8)


def test_reflection_changes_nothing():
    forecasts, path = map_market(5, 40, pull=0.7)
    there = paired_response([bins_of(forecasts, path)], DRAWS)
    mirrored = dataclasses.replace(
        path, **{"low": 1.0 / path.high, "high": 1.0 / path.low, "close": 1.0 / path.close}
    )
    turned = [
        dataclasses.replace(
            reflect(f),
            mark=1.0 / f.mark,
            grid=dataclasses.replace(f.grid, anchor=1.0 / f.grid.anchor),
        )
        for f in forecasts
    ]
    back = paired_response([bins_of(turned, mirrored)], DRAWS)
    assert back.value == pytest.approx(there.value, rel=1e-9)
    assert back.hac_se == pytest.approx(there.hac_se, rel=1e-9)


def test_a_drift_moves_the_pair_as_the_law_of_brownian_motion_says():
    distance, small = np.linspace(0.0, 3.0, 31), 1e-5

    def reached(drift):
        return norm.cdf(drift - distance) + np.exp(2 * drift * distance) * norm.cdf(
            -distance - drift
        )

    slope = (reached(small) - reached(-small)) / small
    np.testing.assert_allclose(drift_response(distance), slope, atol=1e-9)


@pytest.mark.slow
def test_size_and_power():
    """Sixteen records of 100 days without a pull, and six with one of a σ a day."""
    null = [paired_response([bins_of(*map_market(seed, 100))], DRAWS) for seed in range(16)]
    assert sum(e.ci_low > 0 for e in null) <= 2
    assert sum(e.ci_high < 0 for e in null) <= 2
    values = np.array([e.value for e in null])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(16)
    assert np.mean([e.hac_se for e in null]) == pytest.approx(values.std(ddof=1), rel=0.5)
    drawn = [
        paired_response([bins_of(*map_market(100 + s, 100, pull=1.0))], DRAWS) for s in range(6)
    ]
    assert sum(e.ci_low > 0 for e in drawn) >= 5


def left_of(bins):
    """What a plain least-squares fit of the trends leaves of dose and visits in one market."""
    drift = 4.0 * bins.distance_sigma * norm.cdf(-bins.distance_sigma)
    controls = np.column_stack([drift, bins.trend * drift[:, None]])
    both = np.column_stack([rank_contrast(bins), bins.visited[:, 1] - bins.visited[:, 0]])
    return (both - controls @ np.linalg.lstsq(controls, both, rcond=None)[0]).T


def test_two_markets_are_pooled_by_day():
    a, b = bins_of(*map_market(6, 50)), bins_of(*map_market(7, 50))
    pooled = paired_response([a, b], DRAWS)
    assert pooled.n_episodes == 100
    assert pooled.n_days == 50
    alone = [paired_response([x], DRAWS) for x in (a, b)]
    low, high = sorted(x.value for x in alone)
    assert low <= pooled.value <= high
    x, y = (np.concatenate(c) for c in zip(*(left_of(b) for b in (a, b)), strict=True))
    assert pooled.value == pytest.approx(x @ y / (x @ x), rel=1e-12)
    assert pooled.hac_se < max(x.hac_se for x in alone)


def test_beside_itself_nothing_is_left():
    forecasts, path = map_market(8, 50, pull=1.0)
    bins = bins_of(forecasts, path)
    assert math.isnan(paired_response([bins], DRAWS, covariates=[[bins]]).value)
    other = bins_of(
        [dataclasses.replace(f, density_usd=f.density_usd[:, ::-1]) for f in forecasts], path
    )
    beside = paired_response([bins], DRAWS, covariates=[[other]])
    assert beside.value == pytest.approx(paired_response([bins], DRAWS).value, abs=0.2)


def test_maps_without_density_or_forecasts():
    forecasts, path = map_market(1, 20)
    empty = [dataclasses.replace(f, density_usd=np.zeros((2, 3), np.float32)) for f in forecasts]
    found = paired_response([bins_of(empty, path)], DRAWS)
    assert math.isnan(found.value)
    assert math.isnan(found.ci_low)
    with pytest.raises(DataError, match="no forecast"):
        bins_of([], path)
    late = [dataclasses.replace(f, at=f.at + 400 * DAY_NS, mark_ts=f.at) for f in forecasts]
    unwatched = bins_of(late, path)
    assert unwatched.n_landmarks == 0
    assert math.isnan(paired_response([unwatched], DRAWS).value)
