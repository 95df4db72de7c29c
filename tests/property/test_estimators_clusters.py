"""Clusters by prominence, driven against the naive twin and against scipy."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from estimator_events import TIERS, at, events, mark, of, open_interest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_prominences

from liqbt.estimators.emission.kernels import (
    accepted_peaks,
    band_starts,
    bands,
    density_rank,
    smoothed,
)
from liqbt.estimators.kernels import total_of
from liqbt.estimators.oi_flow import OIFlow
from liqbt.types import HOUR_NS

# small integers make plateaus and equal peaks, which is where definitions part
HEIGHTS = st.one_of(
    st.lists(st.integers(0, 4).map(float), min_size=2, max_size=60),
    st.lists(st.floats(0, 100), min_size=2, max_size=60),
    st.lists(st.sampled_from([0.0, 0.0, 0.0, 5.0, 9.0]), min_size=2, max_size=60),
)
SHARES = st.sampled_from([0.05, 0.1, 0.5])


def kernel_bands(y, share):
    n = len(y) - 1
    y = np.array(y)
    peaks, heights = np.zeros((3, n + 2), dtype=np.int64), np.zeros((4, n + 2))
    count = accepted_peaks(y, n, share, peaks, heights)
    bands(y, n, count, peaks, heights)
    return peaks[:, :count], heights[3, :count]


@given(HEIGHTS, SHARES)
def test_peaks_and_bands_are_those_of_the_twin(y, share):
    peaks, prominences = kernel_bands(y, share)
    assert [*zip(peaks[0], prominences, strict=True)] == naive.prominent_peaks(y, share)
    assert [*zip(peaks[1], peaks[2], peaks[0], strict=True)] == naive.cluster_bands(y, share)


@given(HEIGHTS, SHARES)
def test_peaks_and_prominences_are_those_of_scipy(y, share):
    peaks, prominences = kernel_bands(y, share)
    padded = np.array([0.0, *y])  # nothing lies on the other side of the mark
    found, _ = find_peaks(padded)
    all_prominences = peak_prominences(padded, found)[0]
    kept = all_prominences >= share * max(y[:-1])
    np.testing.assert_array_equal(peaks[0] + 1, found[kept])
    np.testing.assert_allclose(prominences, all_prominences[kept])


@given(HEIGHTS, SHARES)
def test_bands_are_disjoint_and_hold_their_peaks(y, share):
    peaks, _ = kernel_bands(y, share)
    assert (peaks[1] <= peaks[0]).all()
    assert (peaks[0] <= peaks[2]).all()
    assert (peaks[2][:-1] < peaks[1][1:]).all()
    assert all(0 <= j < len(y) - 1 for j in peaks.ravel())


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50), st.sampled_from([1, 3, 7, 9]))
def test_smoothing_is_that_of_the_twin(row, width):
    n = len(row)
    padded = np.array([*row, *([0.0] * (width // 2))])
    out = np.full(n, np.nan)
    smoothed(padded, n, width // 2, out)
    np.testing.assert_allclose(out, naive.smoothed(row, n, width), rtol=1e-12, atol=1e-12)


@given(HEIGHTS, st.floats(0, 0.3), st.floats(0.05, 2), st.data())
def test_ranks_are_those_of_the_twin(y, base, sigma, data):
    n, step = len(y) - 1, 0.05
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first, n - 1))
    edges = np.array([0.25, 0.5, 1.0, 1.5, 2.5])
    starts = np.zeros(7, dtype=np.int64)
    band_starts(base, step, sigma, edges, n, starts)
    expected = naive.density_rank(y, first, last, base, step, [e * sigma for e in edges])
    m = max([j + 1 for j in range(n) if y[j] > 0], default=0)
    for known in {max(m, last + 1), n}:
        actual = density_rank(np.array(y), known, first, last, starts)
        assert actual == pytest.approx(expected, abs=1e-12) or math.isclose(
            actual, near_tie(y, first, last, starts), abs_tol=1e-12
        )
        assert 0 < actual <= 1


def near_tie(y, first, last, starts):
    """The rank where the mean rounds to the other side of bins that equal it."""
    k = max(i for i in range(len(starts) - 1) if starts[i] <= first)
    same = y[starts[k] : starts[k + 1]]
    mean = total_of(np.array(y[first : last + 1])) / (last + 1 - first)
    return max(sum(v <= mean * (1 + 1e-12) for v in same), 1) / len(same)


@st.composite
def small_markets(draw):
    """Marks and open interest whose moves pile coins up on both sides."""
    steps = draw(st.lists(st.floats(-0.03, 0.03), min_size=12, max_size=40))
    coins = draw(st.lists(st.floats(100, 1000), min_size=len(steps), max_size=len(steps)))
    rows, x = [], 0.0
    for i, (step, oi) in enumerate(zip(steps, coins, strict=True)):
        x += step
        rows += [mark(300 * i, 100 * math.exp(x)), open_interest(300 * i, oi)]
    return events(*rows), 300 * len(steps)


def fragile(y, share, expected):
    """Whether rounding decides: equal bins, a level or a prominence at its threshold.

    A nudge breaks a tie either way alike: of 40 none goes the other way once in 10^12.
    """
    rng = np.random.default_rng(0)
    nudged = (np.array(y) * (1 + 1e-9 * rng.uniform(-1, 1, len(y))) for _ in range(40))
    return any(naive.cluster_bands(list(other), share) != expected for other in nudged)


def band_of(cluster, head, half, step):
    """(first, last, peak) of a cluster that was issued, in bins outward from the mark."""
    beyond = half - head["mark_bin"]
    low, high, peak = (
        math.log(cluster[name] / head["anchor"]) / step + beyond for name in ("low", "high", "peak")
    )
    if cluster["side"] > 0:  # longs, below the mark
        return -round(high), -1 - round(low), -1 - round(peak - 0.5)
    return round(low) - 1, round(high) - 2, round(peak - 0.5) - 1


@given(small_markets())
def test_a_forecast_is_what_the_twin_makes_of_the_book(case):
    tape, end = case
    config, market = of(
        OIFlow,
        tiers=TIERS,
        step=0.005,
        reach=0.6,
        fine_bins=20,
        coarse=4,
        asymmetry_reach=0.05,
        sigma_window=HOUR_NS,
    )
    estimator = OIFlow(config, market)
    estimator.update(tape)
    forecast = estimator.forecast(at(end))
    if forecast is None:
        return
    state = estimator.state()
    head = state["head"][0]
    half = round(config.grid_span / config.step)
    age = at(end) - head["open_interest_known"]
    decay = 0.5 ** (age / np.array([float(b.half_life) for b in config.brackets]))
    coins = (state["coins"] * (state["scale"] * decay)[:, :, None]).sum(axis=1)
    n = 20 + 4 * (forecast.density_usd.shape[1] - 20)
    for side, sign in ((1, 1), (0, -1)):
        found = forecast.clusters[forecast.clusters["side"] == -sign]
        total = coins[side].sum()
        scale = head["open_interest_coins"] / total if total > 0 else 0.0
        bins = [head["mark_bin"] + sign * (j + 1) for j in range(n + 4)]
        row = [
            (coins[side][i] if 0 <= i < 2 * half else 0.0)  # beyond the grid there is nothing
            * scale
            * head["anchor"]
            * math.exp((i - half + 0.5) * config.step)
            for i in bins
        ]
        grouped = row[:20] + [sum(row[i : i + 4]) for i in range(20, n, 4)]
        np.testing.assert_allclose(forecast.density_usd[side], grouped, rtol=1e-6)
        y = naive.smoothed(row, n + 1, 7)
        expected = naive.cluster_bands(y, config.prominence)
        drawn = [band_of(cluster, head, half, config.step) for cluster in found]
        if drawn != expected:
            assert fragile(y, config.prominence, expected)
            continue
        for cluster, (first, last, peak) in zip(found, expected, strict=True):
            near = head["mark_bin"] - half + (1 + first if sign > 0 else -first)
            far = head["mark_bin"] - half + (2 + last if sign > 0 else -1 - last)
            edges = sorted(head["anchor"] * math.exp(i * config.step) for i in (near, far))
            assert (cluster["low"], cluster["high"]) == pytest.approx(edges, rel=1e-12)
            middle = bins[peak] - half + 0.5
            assert cluster["peak"] == pytest.approx(head["anchor"] * math.exp(middle * 0.005))
            assert cluster["notional_usd"] == pytest.approx(sum(row[first : last + 1]))
