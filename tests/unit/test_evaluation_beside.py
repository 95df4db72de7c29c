"""The dose beside other maps: read at the same prices, fitted together, power both ways."""

from __future__ import annotations

import dataclasses
import math

import naive
import numpy as np
import pytest
from evaluation_world import (
    START,
    STEP_S,
    brownian_path,
    clusters_at,
    evaluated,
    paired_response,
    points,
    response_bins,
)
from hypothesis import given
from hypothesis import strategies as st

from liqbt.evaluation import evaluate
from liqbt.evaluation.bins import (
    ResponseBins,
    beside_bins,
    landmark_times,
    rank_contrast,
)
from liqbt.evaluation.claims import magnet
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import draw
from liqbt.evaluation.kernels.response import smooth_around
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, DensityGrid, Forecast

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=400)
SIGMA = 0.025
STEP = STEP_S * SECOND_NS
DRAWS = draw(np.random.default_rng(1), reps=400, n_days=400)
BESIDE = "dose_response_beside_structures"


def issue(at, mark, density, *, step=5e-4, coarse=10):
    grid = DensityGrid(anchor=100.0, step=step, fine_bins=400, coarse=coarse)
    return Forecast(
        symbol="A",
        at=int(at),
        latest_known=int(at) - 1,
        mark=float(mark),
        mark_ts=int(at),
        sigma_1d=SIGMA,
        grid=grid,
        mark_bin=grid.bin_of(mark),
        density_usd=np.asarray(density, np.float32),
        clusters=clusters_at(mark, []),
        asymmetry=0.0,
        asymmetry_reach=0.1,
    )


def heavier(rng, side, noise):
    """Maps that are heavier on `side` (+1 above) of every landmark; bins differ by `noise`."""
    tilt = np.stack([np.where(side > 0, 1.0, 4.0), np.where(side > 0, 4.0, 1.0)], axis=1)
    return tilt[:, :, None] * np.exp(noise * rng.normal(size=(len(side), 2, 300)))


def world(seed, days, pull=0.0):
    """Return a price that drifts by `pull` σ to a side drawn for each day; sides, times, marks."""
    rng = np.random.default_rng(seed)
    sides = rng.choice([-1.0, 1.0], days)
    log_price, _, _ = brownian_path(rng, days, SIGMA)
    log_price[1:] += np.cumsum(np.repeat(pull * SIGMA * sides / 288, 288))
    ts = START + np.arange(len(log_price)) * STEP
    path = points(ts, 100.0 * np.exp(log_price))
    return rng, sides, ts[:-1:288], 100.0 * np.exp(log_price[:-1:288]), path


def maps(at, marks, densities):
    return [issue(*row) for row in zip(at, marks, densities, strict=True)]


def scored(forecasts, path, beside):
    market = MarketInput(symbol="A", forecasts=forecasts, path=path, competing_maps=beside)
    evidence = Evidence(markets=[market], config=CONFIG)
    dose = [s for s in magnet.STATISTICS if s.group == magnet.DOSE]
    rows = evaluate.scored(evidence, dose)
    return {d.score.statistic: d.score for d in rows if d.score.symbol == "pooled"}


def bins_with(contrast_like, visited, at, **changes):
    """Pairs whose rank contrasts follow from two densities, one pair a landmark."""
    n = len(at)
    made = ResponseBins(
        horizon_ns=DAY_NS,
        n_landmarks=n,
        forecast=np.arange(n),
        at=np.asarray(at, np.int64),
        distance=np.full(n, 0.01),
        distance_sigma=np.full(n, 0.4),
        band=np.zeros(n, np.int64),
        density=np.asarray(contrast_like, np.float64),
        visited=np.asarray(visited, np.float64),
        trend=np.zeros((n, 2)),
    )
    return dataclasses.replace(made, **changes)


# --- another map, read at the prices of this one ---------------------------------------------


def test_the_same_map_beside_is_the_map_itself():
    rng, _, at, marks, path = world(0, 12)
    forecasts = maps(at, marks, rng.exponential(1.0, (12, 2, 300)))
    others = maps(at, marks, rng.exponential(1.0, (12, 2, 300)))
    bins = response_bins(forecasts, path, CONFIG, horizon_ns=DAY_NS)
    itself = beside_bins(bins, forecasts, forecasts)
    np.testing.assert_array_equal(itself.density, bins.density)
    found = beside_bins(bins, forecasts, others)
    expected = response_bins(others, path, CONFIG, horizon_ns=DAY_NS)
    np.testing.assert_array_equal(found.density, expected.density)
    assert not np.array_equal(rank_contrast(found), rank_contrast(bins))


def test_another_grid_and_mark_are_read_at_the_same_prices():
    """One level each side, on a grid three times as wide, issued at a mark 0.3 % away."""
    _, _, at, marks, path = world(1, 3)
    forecasts = maps(at, marks, np.ones((3, 2, 300)))
    levels = marks[:, None] * np.exp([-0.02, 0.02])
    others = []
    for time, mark, pair in zip(at, marks * 1.003, levels, strict=True):
        other = issue(time, mark, np.zeros((2, 200)), step=1.5e-3, coarse=1)
        away = [abs(other.grid.bin_of(p) - other.mark_bin) - 1 for p in pair]
        density = np.zeros((2, 200))
        density[[0, 1], away] = 1.0
        others.append(dataclasses.replace(other, density_usd=density.astype(np.float32)))
    bins = response_bins(forecasts, path, CONFIG, horizon_ns=DAY_NS)
    found = beside_bins(bins, forecasts, others[:2], smoothing=1)
    for landmark in range(2):
        mine = bins.forecast == landmark
        for column, sign in enumerate((-1.0, 1.0)):
            at_prices = marks[landmark] * np.exp(sign * bins.distance[mine])
            grid = others[landmark].grid
            held = [grid.bin_of(p) == grid.bin_of(levels[landmark, column]) for p in at_prices]
            assert any(held)
            np.testing.assert_array_equal(found.density[mine, column] > 0.0, held)
    # at the third landmark the other map was not issued: it is nowhere
    last = bins.forecast == 2
    assert last.any()
    assert not found.density[last].any()
    assert not rank_contrast(found)[last].any()


@given(
    st.lists(
        st.lists(st.integers(0, 8).map(float), min_size=6, max_size=6), min_size=2, max_size=2
    ),
    st.integers(0, 6),
    st.integers(1, 4),
    st.floats(0.0, 0.984375).map(lambda v: round(v * 64) / 64 + 1 / 128),
    st.lists(st.integers(0, 100).map(lambda v: v / 4), max_size=12).map(sorted),
    st.sampled_from([1, 3, 7]),
)
def test_density_around_a_price_like_the_naive_twin(rows, fine, coarse, inside, places, width):
    edges = [j if j <= fine else fine + (j - fine) * coarse for j in range(7)]
    found = smooth_around(
        np.array(rows, np.float32), np.array(edges), inside, np.array(places), width // 2
    )
    expected = naive.densities_around(rows, edges, inside, places, width)
    np.testing.assert_allclose(found, np.array(expected).reshape(2, -1), rtol=1e-12)


def test_landmark_times_are_those_of_the_pairs():
    _, _, at, marks, path = world(2, 10)
    every_hour = [
        issue(t + h * HOUR_NS, m, np.ones((2, 300)))
        for t, m in zip(at, marks, strict=True)
        for h in range(24)
        if (t - at[0]) // DAY_NS % 4 != 3 or h > 5
    ]
    bins = response_bins(every_hour, path, CONFIG, horizon_ns=DAY_NS)
    times = landmark_times(every_hour, DAY_NS)
    assert set(bins.at.tolist()) <= set(times.tolist())
    assert len(times) > 4 * bins.n_landmarks > 20  # in six phases
    assert len(landmark_times([], DAY_NS)) == 0


# --- the fit ---------------------------------------------------------------------------------


def test_beside_one_structure_in_closed_form():
    """(S_dy − S_ds S_sy / S_ss) / (S_dd − S_ds² / S_ss) of what the mean leaves."""
    rng = np.random.default_rng(3)
    n = 60
    dose, structure = rng.exponential(1.0, (2, n, 2))
    visited = rng.integers(0, 2, (n, 2))
    at = START + np.arange(n) * DAY_NS
    bins, other = bins_with(dose, visited, at), bins_with(structure, visited, at)
    nowhere = bins_with(np.zeros((n, 2)), visited, at)
    d, s = (np.sign(v[:, 1] - v[:, 0]) * 0.5 for v in (dose, structure))
    y = visited[:, 1] - visited[:, 0]
    d, s, y = d - d.mean(), s - s.mean(), y - y.mean()
    expected = (d @ y - (d @ s) * (s @ y) / (s @ s)) / (d @ d - (d @ s) ** 2 / (s @ s))
    found = paired_response([bins], DRAWS, covariates=[[other]])
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert not math.isnan(found.ci_low)
    # a structure that is nowhere, one said twice, one turned about: nothing that is not there yet
    turned = bins_with(structure[:, ::-1], visited, at)
    for more in (
        [[nowhere], [other]],
        [[other], [nowhere]],
        [[nowhere], [nowhere], [other], [other], [turned]],
    ):
        again = paired_response([bins], DRAWS, covariates=more)
        assert again.value == pytest.approx(expected, rel=1e-9)
        assert again.hac_se == pytest.approx(found.hac_se, rel=1e-9)


@given(st.data())
def test_the_fit_like_the_naive_twin(data):
    """Exactly, in fractions; trends that are zero, equal or each other's multiples among them."""
    n = data.draw(st.integers(3, 14))
    column = st.lists(st.integers(-3, 3), min_size=n, max_size=n)
    trends = [data.draw(column) for _ in range(2)]
    trends[1] = data.draw(
        st.sampled_from([trends[1], trends[0], [0] * n, [2 * v for v in trends[0]]])
    )
    densities = [data.draw(column) for _ in range(4)]
    densities[2] = data.draw(st.sampled_from([densities[2], densities[1], [0] * n]))
    y = [data.draw(st.integers(-1, 1)) for _ in range(n)]
    visited = [(max(-v, 0), max(v, 0)) for v in y]
    at = START + np.arange(n) * DAY_NS
    trend = np.array(trends, np.float64).T
    dose, *others = (
        bins_with([(max(-v, 0), max(v, 0)) for v in d], visited, at, trend=trend) for d in densities
    )
    signs = [[int(np.sign(v)) for v in d] for d in densities]  # contrasts are half of these
    expected = naive.partial_slope(signs[0], y, [*trends, *signs[1:]])
    found = paired_response([dose], DRAWS, covariates=[[other] for other in others])
    if expected is None:
        assert math.isnan(found.value)
        assert math.isnan(found.ci_low)
    else:
        assert found.value == pytest.approx(2 * float(expected), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("n", "interval"), [(6, False), (8, False), (9, True), (30, True)])
def test_no_interval_without_more_days_than_parameters(n, interval):
    """The dose, a constant, two trends and four maps are eight."""
    rng = np.random.default_rng(n)
    at = np.repeat(START + np.arange(n) * DAY_NS, 20)
    rows = len(at)
    visited = rng.integers(0, 2, (rows, 2))
    trend = np.repeat(rng.normal(size=(n, 2)), 20, axis=0)
    forecast = np.repeat(np.arange(n), 20)
    dose, *others = (
        bins_with(rng.exponential(1.0, (rows, 2)), visited, at, trend=trend, forecast=forecast)
        for _ in range(5)
    )
    found = paired_response([dose], DRAWS, covariates=[[other] for other in others])
    assert math.isfinite(found.value)
    assert math.isfinite(found.ci_low) == math.isfinite(found.mde) == interval
    assert found.n_days == n
    # one short market among two takes the interval from both
    long = [
        dataclasses.replace(b, at=b.at - 50 * DAY_NS) if b is not dose else b
        for b in (dose, *others)
    ]
    if n == 8:
        both = paired_response(
            [dose, dataclasses.replace(dose, at=long[1].at)],
            DRAWS,
            covariates=[[o, dataclasses.replace(o, at=long[1].at)] for o in others],
        )
        assert math.isnan(both.ci_low)


# --- what the rows say ------------------------------------------------------------------------


def test_a_dose_that_is_only_a_proxy_of_a_structure_does_not_survive():
    """The price goes where the structure is heavier; the dose is a copy of it, one in six wrong."""
    plain, beside = [], []
    for seed in range(6):
        rng, sides, at, marks, path = world(seed, 150, pull=1.0)
        structure = maps(at, marks, heavier(rng, sides, 0.0))
        copy = np.where(rng.random(150) < 1 / 6, -sides, sides)
        forecasts = maps(at, marks, heavier(rng, copy, 0.3))
        idle = maps(at, marks, rng.exponential(1.0, (150, 2, 300)))
        rows = scored(forecasts, path, {"structure": structure, "idle": idle})
        plain.append(rows["dose_response"])
        beside.append(rows[BESIDE])
    assert sum(row.ci_low > 0 for row in plain) >= 5
    assert np.mean([row.value for row in plain]) > 0.1
    assert sum(row.ci_low > 0 for row in beside) <= 1  # two of six by chance: 0.9 %
    values = np.array([row.value for row in beside])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / math.sqrt(6)
    assert abs(values.mean()) < 0.3 * np.mean([row.value for row in plain])


def test_a_magnet_of_its_own_survives_beside_structures():
    """The price goes where the dose is heavier; a structure is a copy, one in four wrong."""
    plain, beside = [], []
    for seed in range(6):
        rng, sides, at, marks, path = world(100 + seed, 150, pull=1.0)
        forecasts = maps(at, marks, heavier(rng, sides, 0.3))
        copy = np.where(rng.random(150) < 1 / 4, -sides, sides)
        structure = maps(at, marks, heavier(rng, copy, 0.0))
        rows = scored(forecasts, path, {"structure": structure})
        plain.append(rows["dose_response"])
        beside.append(rows[BESIDE])
    assert sum(row.ci_low > 0 for row in plain) >= 5
    assert sum(row.ci_low > 0 for row in beside) >= 4
    assert np.mean([r.value for r in beside]) > 0.5 * np.mean([r.value for r in plain])


def test_rows_by_market_and_pooled_where_every_market_has_maps():
    rng, _, at, marks, path = world(5, 40)
    config = dataclasses.replace(CONFIG, horizons_ns=(4 * HOUR_NS, DAY_NS), bootstrap_reps=200)
    a = MarketInput(
        symbol="A",
        forecasts=maps(at, marks, rng.exponential(1.0, (40, 2, 300))),
        path=path,
        competing_maps={"s": maps(at, marks, rng.exponential(1.0, (40, 2, 300)))},
    )
    b = dataclasses.replace(
        a,
        symbol="B",
        forecasts=[dataclasses.replace(f, symbol="B") for f in a.forecasts],
    )

    def rows(markets):
        found = evaluated(markets, config)
        return {(s.symbol, s.horizon): s for s in found.scores if s.statistic == BESIDE}, found

    with_maps, full = rows([a, b])
    assert set(with_maps) == {("A", "24h"), ("B", "24h"), ("pooled", "24h")}
    bins = response_bins(a.forecasts, path, config, horizon_ns=DAY_NS)
    other = beside_bins(bins, a.forecasts, a.competing_maps["s"])
    expected = paired_response([bins], DRAWS, covariates=[[other]])
    assert with_maps["A", "24h"].value == pytest.approx(expected.value, rel=1e-12)
    assert with_maps["A", "24h"].n_episodes == 40
    without, bare = rows([a, dataclasses.replace(b, competing_maps={})])
    assert not without
    # the rows beside them are the same to the bit
    rest = [repr(s) for s in full.scores if s.statistic != BESIDE]
    assert rest == [repr(s) for s in bare.scores]
