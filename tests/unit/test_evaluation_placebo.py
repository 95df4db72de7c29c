"""Random levels, their covariates, and the placebo probability: past-only, calibrated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from evaluation_world import START, STEP_S, bars, brownian_path, points
from scipy.optimize import minimize

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.nulls.brownian import touch_probability
from liqbt.evaluation.nulls.levels import (
    LEVEL_COVARIATES,
    Anchors,
    LevelConfig,
    covariates,
    nominal_brownian,
    random_levels,
)
from liqbt.evaluation.nulls.placebo import (
    PlaceboConfig,
    fit_placebo,
    placebo_probability,
    restricted_cubic,
)
from liqbt.learn.logit import fit_logit
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

SIGMA = 0.025
WINDOW = {"horizon_ns": DAY_NS, "latency_ns": MINUTE_NS}
STEP = STEP_S * SECOND_NS


def anchors_on(ts, log_price, *, every=12, sigma=SIGMA, open_interest=np.nan):
    rows = np.arange(3 * 288, len(ts), every)
    return Anchors(
        at=ts[rows] + 2 * SECOND_NS,
        mark_ts=ts[rows],
        log_mark=log_price[rows],
        sigma_1d=np.full(len(rows), sigma),
        open_interest_usd=np.full(len(rows), open_interest),
    )


def world(seed, days=60):
    log_price, _, _ = brownian_path(np.random.default_rng(seed), days, SIGMA)
    ts = START + np.arange(len(log_price)) * STEP
    return ts, log_price, points(ts, np.exp(log_price))


@pytest.fixture(scope="module")
def market():
    ts, log_price, path = world(5)
    return anchors_on(ts, log_price), path


def fitted(anchors, path, seed=1, **options):
    config = PlaceboConfig(**options)
    return fit_placebo(anchors, path, config, **WINDOW, rng=np.random.default_rng(seed))


def asked(placebo, n):
    """p̂ of levels around the anchors up to the n-th, at several distances on both sides."""
    owner = np.repeat(np.arange(n), 6)
    side = np.tile([1.0, 1.0, 1.0, -1.0, -1.0, -1.0], n)
    distance = np.tile([0.3, 1.0, 2.0], 2 * n) * SIGMA
    return placebo_probability(placebo, owner, side, distance)


def test_before_anything_has_matured_it_is_the_brownian_null(market):
    anchors, path = market
    placebo = fitted(anchors, path)
    assert placebo.n_trained[0] == 0
    distance = np.array([0.3, 1.0, 2.0]) * SIGMA
    owner = np.zeros(3, np.int64)
    found = placebo_probability(placebo, owner, np.ones(3), distance)
    expected = touch_probability(
        distance=distance,
        sigma_1d=SIGMA,
        from_ns=MINUTE_NS + 2 * SECOND_NS,
        until_ns=DAY_NS + 2 * SECOND_NS,
        spacing_ns=STEP,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("moved", [0, -2 * SECOND_NS])
@pytest.mark.parametrize("cut", [300, 700, 1100])
def test_prices_after_a_time_change_no_probability_issued_by_then(market, cut, moved):
    """Everything known at or after the cut is replaced by garbage: p̂ stays bit for bit.

    Moved to the tick, an entry becomes known just when it is asked: that is too late.
    """
    anchors, path = market
    anchors = dataclasses.replace(anchors, at=anchors.at + moved, mark_ts=anchors.mark_ts + moved)
    known = path.end_ns + path.max_delay_ns < anchors.at[cut]
    rng = np.random.default_rng(cut)
    garbage = np.exp(rng.normal(0.0, 0.3, len(path)))
    prices = np.where(known, path.close, garbage)
    poisoned = points(path.end_ns, prices)
    later = np.arange(len(anchors.at)) > cut
    changed = dataclasses.replace(
        anchors,
        log_mark=np.where(later, rng.normal(0.0, 0.3, len(later)), anchors.log_mark),
        sigma_1d=np.where(later, 0.2, anchors.sigma_1d),
    )
    there, here = fitted(anchors, path), fitted(changed, poisoned)
    a, b = asked(there, len(later)), asked(here, len(later))
    assert there.n_trained[-1] > 0
    np.testing.assert_array_equal(a[: 6 * (cut + 1)], b[: 6 * (cut + 1)])
    assert (a[-60:] != b[-60:]).any()


def test_a_shorter_record_gives_the_same_probabilities(market):
    """Chunks: what is asked for up to a time does not depend on how far the record goes on."""
    anchors, path = market
    n = 800
    fewer = dataclasses.replace(
        anchors, **{f.name: getattr(anchors, f.name)[:n] for f in dataclasses.fields(anchors)}
    )
    stop = int(np.searchsorted(path.end_ns, anchors.at[n - 1]))
    shorter = points(path.end_ns[:stop], path.close[:stop])
    np.testing.assert_array_equal(asked(fitted(fewer, shorter), n), asked(fitted(anchors, path), n))


def test_only_what_was_final_an_embargo_earlier_trains(market):
    anchors, path = market
    levels = random_levels(anchors, path, LevelConfig(), **WINDOW, rng=np.random.default_rng(1))
    assert (np.diff(levels.matured_ns) >= 0).all()
    assert (levels.matured_ns >= anchors.at[levels.anchor] + DAY_NS + path.max_delay_ns).all()
    for embargo in (0, 5 * DAY_NS):
        placebo = fitted(anchors, path, embargo_ns=embargo)
        expected = [(levels.matured_ns <= t - embargo).sum() for t in placebo.fitted_ns]
        assert placebo.n_trained.tolist() == expected


def test_random_levels_by_hand():
    """A price that rises one per cent an hour reaches what is above, and nothing below."""
    ts = START + np.arange(0, 5 * 24 + 1) * HOUR_NS
    log_price = 0.01 * np.arange(len(ts))
    path = points(ts, np.exp(log_price), spacing_ns=HOUR_NS)
    rows = np.arange(72, 97)
    anchors = Anchors(
        at=ts[rows] + 1,
        mark_ts=ts[rows],
        log_mark=log_price[rows],
        sigma_1d=np.full(len(rows), 0.1),
        open_interest_usd=np.full(len(rows), np.nan),
    )
    config = LevelConfig(per_side=3, reach_sigma=3.0, every_ns=4 * HOUR_NS)
    levels = random_levels(anchors, path, config, **WINDOW, rng=np.random.default_rng(0))
    # of 25 hours every fourth is used; the window of the last one ends a moment after the data
    assert sorted(set(levels.anchor.tolist())) == [0, 4, 8, 12, 16, 20, 24]
    assert len(levels.side) == 7 * 2 * 3
    assert (levels.visited[levels.side < 0] == 0).all()
    above = levels.side > 0
    # the last point inside the window is 24 hours on: 0.24 above the mark, at 0.1 a day 2.4 σ
    np.testing.assert_array_equal(levels.visited[above], levels.distance_sigma[above] <= 2.4)
    third = np.sort(levels.distance_sigma[above].reshape(7, 3), axis=1)
    assert ((third > [0, 1, 2]) & (third <= [1, 2, 3])).all()


def test_covariates_by_hand():
    """Volatility 0.02 a day for long, trend of one per cent over the last day."""
    hours = np.arange(0, 24 * 12 + 1)
    swing = 0.5 * 0.02 / np.sqrt(24) * np.where(hours % 2 == 0, 1.0, -1.0)
    drift = np.where(hours > 24 * 11, 0.01 * (hours - 24 * 11) / 24, 0.0)
    ts = START + hours * HOUR_NS
    path = points(ts, np.exp(swing + drift), spacing_ns=HOUR_NS)
    last = len(hours) - 1
    anchors = Anchors(
        at=np.array([ts[last - 24] + 1, ts[last] + 1]),
        mark_ts=np.array([ts[last - 24], ts[last]]),
        log_mark=(swing + drift)[[last - 24, last]],
        sigma_1d=np.full(2, 0.01),
        open_interest_usd=np.exp((swing + drift)[[last - 24, last]]) * [100.0, 105.0],
    )
    found = dict(zip(LEVEL_COVARIATES, covariates(anchors, path)[1], strict=True))
    assert found["volatility_7d"] == pytest.approx(np.log(2.0), abs=0.02)
    assert found["volatility_3h"] == pytest.approx(np.log(2.0), abs=0.05)
    assert found["trend_1d"] == pytest.approx(1.0, abs=1e-9)
    assert found["trend_3d"] == pytest.approx(1.0 / np.sqrt(3.0), abs=1e-9)
    assert found["open_interest_1d"] == pytest.approx(10.0 * np.log(1.05), abs=1e-9)
    assert found["weekend"] in (0.0, 1.0)
    assert found["day_sine"] ** 2 + found["day_cosine"] ** 2 == pytest.approx(1.0)


def test_what_is_not_known_is_neutral():
    path = points([START, START + HOUR_NS], [1.0, 1.0], spacing_ns=HOUR_NS)
    anchors = Anchors(
        at=np.array([START + 1]),
        mark_ts=np.array([START]),
        log_mark=np.zeros(1),
        sigma_1d=np.array([0.02]),
        open_interest_usd=np.array([np.nan]),
    )
    assert (covariates(anchors, path)[0, :6] == 0.0).all()


def test_the_nominal_null_of_bars_waits_for_the_first_full_bar():
    start = START + HOUR_NS * np.arange(48)
    path = bars(start, HOUR_NS, np.ones(48), np.full(48, 1.01))
    anchors = Anchors(
        at=np.array([START + 10 * HOUR_NS]),
        mark_ts=np.array([START + 9 * HOUR_NS]),
        log_mark=np.zeros(1),
        sigma_1d=np.array([0.02]),
        open_interest_usd=np.array([np.nan]),
    )
    found = nominal_brownian(anchors, path, np.array([0]), np.array([0.02]), **WINDOW)
    expected = touch_probability(
        distance=0.02, sigma_1d=0.02, from_ns=2 * HOUR_NS, until_ns=25 * HOUR_NS
    )
    assert found[0] == pytest.approx(float(expected), rel=1e-12)


def test_spline_is_linear_beyond_its_knots_and_smooth():
    knots = (0.1, 0.6, 1.4, 2.6)
    x = np.linspace(-1.0, 5.0, 6001)
    basis = restricted_cubic(x, knots)
    assert basis.shape == (6001, 3)
    second = np.diff(basis, 2, axis=0)
    outside = (x[1:-1] < 0.1) | (x[1:-1] > 2.602)
    assert np.abs(second[outside]).max() < 1e-12
    assert np.abs(np.diff(second, axis=0)).max() < 1e-7  # no jump of the curvature


def test_the_logistic_fit_like_an_optimiser():
    rng = np.random.default_rng(3)
    x, offset = rng.normal(size=(400, 4)), rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-offset - x @ [0.5, -1.0, 0.0, 2.0]))).astype(float)
    weight, precision = rng.uniform(0.2, 1.0, 400), np.array([0.5, 1.0, 2.0, 0.1])

    def loss(beta):
        eta = offset + x @ beta
        return (weight * (np.logaddexp(0.0, eta) - y * eta)).sum() + (precision * beta**2).sum() / 2

    expected = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    found = fit_logit(x, offset, y, weight, precision, np.zeros(4))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    far = fit_logit(x, offset, y, weight, precision, np.full(4, 30.0))
    np.testing.assert_allclose(far, expected, atol=1e-6)


def test_bad_configurations_are_refused(market):
    anchors, _ = market
    for bad in ({"per_side": 0}, {"reach_sigma": 0.0}, {"every_ns": 0}):
        with pytest.raises(ConfigError, match="random levels"):
            LevelConfig(**bad)
    for bad in ({"ridge": 0.0}, {"refit_ns": 0}, {"embargo_ns": -1}):
        with pytest.raises(ConfigError, match="placebo"):
            PlaceboConfig(**bad)
    with pytest.raises(DataError, match="number 1 is not after"):
        dataclasses.replace(anchors, at=anchors.at[::-1].copy())
