"""Nulls against closed forms, numerical integration and independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import zeta
from scipy.stats import multivariate_normal, norm

from liqbt.evaluation.nulls.brownian import (
    SPACING_CORRECTION,
    bivariate_normal_cdf,
    touch_probability,
    two_barrier_probabilities,
)
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS

FOUR = 4 * HOUR_NS
SIGMA_4H = math.sqrt(6.0)  # one σ over four hours is 1


def touch(distance, start, end, sigma=SIGMA_4H, spacing=0):
    return float(
        touch_probability(
            distance=distance, sigma_1d=sigma, from_ns=start, until_ns=end, spacing_ns=spacing
        )
    )


def sides(up, down, start, end, sigma=SIGMA_4H, spacing=0):
    found = two_barrier_probabilities(
        up=up, down=down, sigma_1d=sigma, from_ns=start, until_ns=end, spacing_ns=spacing
    )
    return [float(x) for x in found]


def test_the_spacing_correction_is_zeta_of_one_half():
    assert pytest.approx(-zeta(0.5) / math.sqrt(2 * math.pi), abs=1e-12) == SPACING_CORRECTION


def test_bivariate_normal_like_scipy():
    rng = np.random.default_rng(3)
    cases = np.column_stack([rng.normal(0, 1.7, (300, 2)), rng.uniform(-0.999, 0.999, 300)])
    cases[::10, 0] = 0.0
    cases[::15, 1] = 0.0
    for h, k, rho in cases:
        expected = multivariate_normal.cdf([h, k], cov=[[1, rho], [rho, 1]])
        assert float(bivariate_normal_cdf(h, k, rho)) == pytest.approx(expected, abs=2e-8)


def test_bivariate_normal_at_its_edges():
    inf = math.inf
    assert float(bivariate_normal_cdf(inf, 0.3, 0.5)) == pytest.approx(norm.cdf(0.3))
    assert float(bivariate_normal_cdf(0.3, inf, 0.5)) == pytest.approx(norm.cdf(0.3))
    assert float(bivariate_normal_cdf(-inf, 0.3, 0.5)) == 0.0
    assert float(bivariate_normal_cdf(0.7, 0.3, 1.0)) == pytest.approx(norm.cdf(0.3))
    assert float(bivariate_normal_cdf(0.7, -0.3, -1.0)) == pytest.approx(
        norm.cdf(0.7) - norm.cdf(0.3)
    )
    assert float(bivariate_normal_cdf(-0.7, 0.3, -1.0)) == 0.0
    assert math.isnan(float(bivariate_normal_cdf(math.nan, 0.3, 0.1)))


@pytest.mark.parametrize("distance", [0.1, 0.5, 1.0, 2.5])
def test_watched_from_the_mark_on_it_is_the_reflection_principle(distance):
    assert touch(distance, 0, FOUR) == pytest.approx(2 * norm.cdf(-distance), abs=1e-14)


def test_the_null_of_a_delayed_watch_is_not_that_of_the_time_watched():
    """248 per mille belongs to three hours from the mark, 314 to the last three of four."""
    assert touch(1.0, 0, 3 * HOUR_NS) == pytest.approx(
        2 * norm.cdf(-1 / math.sqrt(0.75)), abs=1e-14
    )
    assert touch(1.0, 0, 3 * HOUR_NS) == pytest.approx(0.248, abs=5e-4)
    assert touch(1.0, HOUR_NS, FOUR) == pytest.approx(0.3135, abs=5e-4)


@pytest.mark.parametrize("distance", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.6, 0.99])
def test_a_delayed_watch_like_numerical_integration(distance, share):
    scale, rest = math.sqrt(share), math.sqrt(1 - share)

    def inside(x):
        return norm.pdf(x / scale) / scale * 2 * norm.cdf(-(distance - x) / rest)

    low = -12 * scale
    inner = quad(inside, low, distance, epsabs=1e-12, limit=400, points=[distance - 5 * rest])[0]
    expected = norm.cdf(-distance / scale) + inner
    assert touch(distance, int(share * FOUR), FOUR) == pytest.approx(expected, abs=1e-8)


def test_watching_a_single_point_is_being_beyond_at_it():
    assert touch(1.0, FOUR, FOUR) == pytest.approx(norm.cdf(-1.0), abs=1e-12)
    spaced = touch(1.0, FOUR, FOUR, spacing=5 * MINUTE_NS)
    assert spaced == pytest.approx(norm.cdf(-1.0), abs=1e-12)


def test_spacing_lowers_the_null_and_vanishes_with_the_spacing():
    wide, fine, none = (touch(1.0, HOUR_NS, FOUR, spacing=s) for s in (HOUR_NS, 1000, 0))
    assert wide < fine < none + 1e-15
    assert fine == pytest.approx(none, abs=1e-5)


def test_touch_at_distance_zero_and_missing_values():
    assert touch(0.0, 0, FOUR) == 1.0
    assert 0.5 < touch(0.0, HOUR_NS, FOUR) < 1.0
    assert math.isnan(touch(math.nan, 0, FOUR))
    assert math.isnan(touch(1.0, 0, FOUR, sigma=math.nan))


def test_touch_falls_with_distance_and_grows_with_the_window():
    d = np.linspace(0.05, 3, 50)
    p = touch_probability(distance=d, sigma_1d=1.0, from_ns=HOUR_NS, until_ns=FOUR, spacing_ns=10)
    assert (np.diff(p) < 0).all()
    until = np.arange(2, 40) * HOUR_NS
    p = touch_probability(distance=1.0, sigma_1d=1.0, from_ns=HOUR_NS, until_ns=until)
    assert (np.diff(p) > 0).all()


@pytest.mark.parametrize(("up", "down"), [(1.0, 1.0), (0.3, 0.9), (2.0, 0.25)])
def test_two_barriers_tend_to_gamblers_ruin(up, down):
    p_up, p_down, neither = sides(up, down, 0, 4000 * FOUR)
    assert p_up == pytest.approx(down / (up + down), abs=1e-12)
    assert neither == pytest.approx(0.0, abs=1e-12)
    assert p_up + p_down == pytest.approx(1.0, abs=1e-12)


def test_gamblers_ruin_is_not_the_answer_at_a_finite_horizon():
    p_up, p_down, neither = sides(0.5, 2.0, 0, FOUR)
    assert neither > 0.3
    assert abs(p_up - 0.8) > 0.1
    assert p_up + p_down + neither == pytest.approx(1.0, abs=1e-14)


def test_two_barriers_like_the_eigenfunction_series():
    """P(neither by t) on (0, w) from x: Σ 4/((2k+1)π) sin((2k+1)πx/w) exp(−(2k+1)²π²t/2w²)."""
    for up, down in [(0.4, 0.7), (1.0, 1.0), (0.25, 2.5)]:
        width = up + down
        odd = 2 * np.arange(200) + 1
        series = (
            4
            / (odd * np.pi)
            * np.sin(odd * np.pi * down / width)
            * np.exp(-((odd * np.pi / width) ** 2) / 2)
        )
        assert sides(up, down, 0, FOUR)[2] == pytest.approx(series.sum(), abs=1e-12)


def test_equal_distances_give_equal_chances_and_mirrors_swap():
    p_up, p_down, _ = sides(0.8, 0.8, HOUR_NS, FOUR)
    assert p_up == pytest.approx(p_down, abs=1e-14)
    there, back = sides(0.3, 1.1, HOUR_NS, FOUR), sides(1.1, 0.3, HOUR_NS, FOUR)
    assert there == pytest.approx([back[1], back[0], back[2]], abs=1e-13)


@pytest.mark.parametrize("delay", [0, MINUTE_NS, HOUR_NS])
@pytest.mark.parametrize("spacing", [0, 5 * MINUTE_NS])
def test_a_far_second_barrier_leaves_the_touch_probability(delay, spacing):
    p_up, _, _ = sides(1.0, 40.0, delay, FOUR, spacing=spacing)
    assert p_up == pytest.approx(touch(1.0, delay, FOUR, spacing=spacing), abs=1e-7)


@pytest.mark.parametrize("delay", [MINUTE_NS, 20 * MINUTE_NS, HOUR_NS, 3 * HOUR_NS])
def test_the_quadrature_over_the_start_like_scipys(delay):
    up, down = 0.5, 0.8
    scale = math.sqrt(delay / FOUR)

    def inside(x):
        return norm.pdf(x / scale) / scale * sides(up - x, down + x, 0, FOUR - delay)[0]

    reach = 9 * scale
    inner = quad(inside, max(-down, -reach) + 1e-12, min(up, reach) - 1e-12, limit=200)[0]
    expected = norm.cdf(-up / scale) + inner
    assert sides(up, down, delay, FOUR)[0] == pytest.approx(expected, abs=1e-7)


def test_two_barriers_sum_to_one_and_keep_missing_values():
    rng = np.random.default_rng(5)
    up, down = rng.uniform(0.05, 3, (2, 500))
    start = rng.integers(0, HOUR_NS, 500)
    p = two_barrier_probabilities(
        up=up, down=down, sigma_1d=1.0, from_ns=start, until_ns=FOUR, spacing_ns=MINUTE_NS
    )
    np.testing.assert_allclose(sum(p), 1.0, atol=1e-12)
    assert min(x.min() for x in p) >= 0.0
    assert all(math.isnan(x) for x in sides(math.nan, 1.0, HOUR_NS, FOUR))


def test_figures_of_the_method():
    """No information scores 85 % at 0.19 σ, and at a symmetric pair 0.76 σ away."""
    assert touch(0.19, 0, FOUR) == pytest.approx(0.85, abs=0.005)
    assert 1 - sides(0.76, 0.76, 0, FOUR)[2] == pytest.approx(0.85, abs=0.01)
    assert DAY_NS == 6 * FOUR


def test_neither_is_never_impossible_however_near_the_barriers():
    day = 24 * 3600 * 10**9
    p = np.stack(
        two_barrier_probabilities(
            up=np.array([0.05, 0.15, 1e-4]),
            down=np.array([0.05, 0.15, 1e-4]),
            sigma_1d=1.0,
            from_ns=np.zeros(3, np.int64),
            until_ns=np.full(3, day),
            spacing_ns=0,
        )
    )
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=0), 1.0, atol=1e-9)
