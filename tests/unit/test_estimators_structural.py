"""Structural nulls, by hand and against their twins: round numbers, prior extremes, swings."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from estimator_events import at, events, mark, mark_bar, of, open_interest, trade
from hypothesis import given
from hypothesis import strategies as st

from liqbt.errors import ConfigError
from liqbt.estimators.structural import PriorExtremes, RoundNumbers, Swings, round_levels
from liqbt.types import DAY_NS, HOUR_NS, Kind, Side

ALL = (RoundNumbers, PriorExtremes, Swings)
SIGMA = {"sigma_window": 2 * HOUR_NS, "sigma_sampling": HOUR_NS // 4}


def made(make, **options):
    return make(*of(make, **{**SIGMA, "asymmetry_reach": 0.05, **options}))


def path(prices, step=900):
    """Marks a quarter of an hour apart."""
    return [mark(step * i, p) for i, p in enumerate(prices)]


def issued(estimator, rows, second):
    estimator.update(events(*rows))
    return estimator.forecast(at(second))


def mass_at(forecast, price):
    """Density of the bin that holds `price`, USD."""
    away = forecast.grid.bin_of(price) - forecast.mark_bin
    row = forecast.density_usd[1 if away > 0 else 0]
    return float(row[abs(away) - 1])


def test_round_numbers_by_hand():
    prices, weights = round_levels(980.0, 1_105.0, 20.0)
    assert prices.tolist() == [980, 1000, 1020, 1040, 1060, 1080, 1100]
    assert weights.tolist() == [1, 4, 1, 1, 1, 1, 2]
    rows = [*path([1_010.0, 1_012.0] * 6), open_interest(9_000, 10.0)]
    forecast = issued(made(RoundNumbers, coarse=1, reach=0.09), rows, 12_000)
    found = {p: mass_at(forecast, p) for p in (1_000.0, 1_020.0, 1_100.0, 1_040.0, 1_030.0)}
    assert found[1_030.0] == 0.0
    assert found[1_100.0] == pytest.approx(2 * found[1_020.0])
    assert found[1_040.0] == pytest.approx(found[1_020.0])
    assert found[1_000.0] > 0.0
    np.testing.assert_allclose(forecast.density_usd.sum(axis=1), 10.0 * 1_012.0, rtol=1e-5)
    peaks = {round(c["peak"]) for c in forecast.clusters if c["side"] == Side.SHORT}
    assert {1_020, 1_040, 1_060, 1_080, 1_100} <= peaks


def test_prior_extremes_by_hand():
    day = DAY_NS // 10**9
    lead = -(1_700_000_000 % day)  # midnight before START
    rows = [
        mark_bar(lead + day // 2, 95.0, 130.0, 100.0, span_s=900),
        mark_bar(lead + day + 600, 90.0, 110.0, 100.0, span_s=900),
        mark_bar(lead + 2 * day, 99.0, 115.0, 100.0, span_s=900),  # ends at midnight: yesterday's
        *[mark(lead + 2 * day + 900 * i, 100.0 + 0.1 * (i % 2)) for i in range(1, 12)],
        mark(lead + 2 * day + 900 * 12, 120.0),  # today's high is not yet a prior one
        mark(lead + 2 * day + 900 * 13, 100.0),
    ]
    forecast = issued(made(PriorExtremes, coarse=1, reach=0.4), rows, lead + 2 * day + 15_000)
    # the day before: 115 and 90; 7 and 30 days: 130 and 90
    above = {p: mass_at(forecast, p) for p in (115.0, 130.0, 110.0, 120.0)}
    assert above[110.0] == above[120.0] == 0.0
    assert above[130.0] == pytest.approx(5 * above[115.0])
    below = forecast.density_usd[0]
    assert np.count_nonzero(below) == 1
    assert mass_at(forecast, 90.0) == pytest.approx(float(below.sum()))


def test_swings_by_hand():
    """Up to 105, down to 98, up to 103, back to 101: highs 105 and 103, low 98."""
    legs = [100, 101, 103, 105, 104.5, 102, 98, 98.5, 101, 103, 102.5, 101, 101.5]
    estimator = made(Swings, coarse=1, reach=0.2, reversal=0.015, half_life=2 * HOUR_NS)
    forecast = issued(estimator, path(legs), 900 * len(legs))
    age_105, age_103 = ((900 * len(legs) - 900 * i) / 3600 for i in (3, 9))
    ratio = mass_at(forecast, 105.0) / mass_at(forecast, 103.0)
    assert ratio == pytest.approx(0.5 ** ((age_105 - age_103) / 2.0), rel=1e-5)
    assert np.count_nonzero(forecast.density_usd[1]) == 2
    assert np.count_nonzero(forecast.density_usd[0]) == 1
    assert mass_at(forecast, 98.0) > 0.0


def test_what_the_price_has_passed_is_no_level_any_more():
    legs = [100, 105, 100, 103, 101, 107, 107.2, 107, 107.1, 107.2, 107.3]
    estimator = made(Swings, coarse=1, reach=0.2, reversal=0.015)
    forecast = issued(estimator, path(legs), 900 * len(legs))
    assert forecast.density_usd[1].sum() == 0.0
    assert forecast.density_usd[0].sum() > 0.0
    assert set(forecast.clusters["side"].tolist()) == {int(Side.LONG)}


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 120),
    reversal=st.floats(0.001, 0.1),
    kind=st.sampled_from([Kind.MARK, Kind.TRADE]),
)
def test_swings_like_the_twin(seed, n, reversal, kind):
    rng = np.random.default_rng(seed)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    rows, twin = [], []
    for i, p in enumerate(prices.tolist()):
        if kind == Kind.TRADE:
            rows.append(trade(60 * i, p, 1.0))
            twin.append((p, p, p, p))
        elif rng.random() < 0.5:
            rows.append(mark(60 * i, p))
            twin.append((p, p, p, p))
        else:
            low, high = p * (1 - 0.02 * rng.random()), p * (1 + 0.02 * rng.random())
            rows.append(mark_bar(60 * i, low, high, p, span_s=60))
            twin.append((low, low, high, p))
    estimator = made(Swings, price_kind=kind, reversal=reversal)
    if rows:
        estimator.update(events(*rows))
    expected = naive.zigzag(twin, reversal)
    count = int(estimator._zigzag[0]["count"])
    found = estimator._swings[:count]
    assert [(float(s["price"]), int(s["kind"])) for s in found] == expected


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60))
def test_days_like_the_twin(seed, n):
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.choice(40 * 86_400, n, replace=False))
    prices = rng.uniform(50.0, 150.0, n)
    rows = [mark(int(s), float(p)) for s, p in zip(seconds, prices, strict=True)]
    estimator = made(PriorExtremes)
    estimator.update(events(*rows))
    stamps = [int(r["ts_event"][0]) for r in rows]
    expected = naive.day_extremes(stamps, prices.tolist(), keep=32)
    kept = estimator._days[estimator._days["day"] >= 0]
    found = {int(d["day"]): (float(d["high"]), float(d["low"])) for d in kept}
    assert found == expected


def market(seed, hours=200):
    rng = np.random.default_rng(seed)
    prices = 30_000.0 * np.exp(np.cumsum(rng.normal(0, 0.004, 4 * hours)))
    rows = [*path(prices.tolist()), *[open_interest(3_600 * i, 1e4) for i in range(hours)]]
    return events(*rows)


@pytest.mark.parametrize("make", ALL)
def test_any_split_and_any_checkpoint_gives_the_same(make):
    tape = market(3)
    whole, split = made(make), made(make)
    whole.update(tape)
    for part in np.array_split(np.arange(len(tape)), 7):
        split.update(tape[part[0] : part[-1] + 1])
        resumed = made(make)
        resumed.restore(split.state())
        split = resumed
    when = int(tape["ts_known"][-1]) + 1
    a, b = whole.forecast(when), split.forecast(when)
    np.testing.assert_array_equal(a.density_usd, b.density_usd)
    np.testing.assert_array_equal(a.clusters, b.clusters)
    assert len(a.clusters) > 0
    assert a.latest_known < when


@pytest.mark.parametrize("make", ALL)
def test_before_the_first_price_there_is_no_forecast(make):
    assert made(make).forecast(at(0)) is None


def test_bad_options_are_refused():
    with pytest.raises(ConfigError, match="share is 0"):
        made(RoundNumbers, share=0.0)
    with pytest.raises(ConfigError, match=r"reversal is -0\.1: out of range"):
        made(Swings, reversal=-0.1)
    with pytest.raises(ConfigError, match="half_life is 0: out of range"):
        made(Swings, half_life=0)


@pytest.mark.parametrize("make", ALL)
@given(st.integers(0, 2**32 - 1))
def test_at_the_edge_of_the_grid_every_cluster_has_a_price(make, seed):
    """What smoothing puts wholly beyond it is no cluster."""
    rng = np.random.default_rng(seed)
    estimator = made(make, grid_span=0.05, reach=0.05)
    far = 100.0 * np.exp(0.05 - np.abs(rng.normal(0, 0.004, 60)) * (rng.random(60) < 0.8))
    rows = path([100.0, *far.tolist()])
    clusters = []
    for i, row in enumerate(rows):
        estimator.update(events(row))
        forecast = estimator.forecast(at(900 * i + 1))
        if forecast is not None:
            clusters.append(forecast.clusters)
    found = np.concatenate(clusters)
    assert (found["low"] < found["high"]).all()
    assert (found["low"] > 0.0).all()
