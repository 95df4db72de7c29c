"""The nulls' kernels against their naive twins."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.learn.logit import fit_logit
from research.methods.filtered_kernels import garch_extremes

SEED = st.integers(0, 2**32 - 1)


@given(seed=SEED, n=st.integers(1, 40), windows=st.integers(0, 12))
def test_window_extremes_like_the_twin(seed, n, windows):
    rng = np.random.default_rng(seed)
    low = rng.normal(size=n)
    high = low + rng.exponential(size=n)
    first = rng.integers(0, n + 1, windows)
    stop = np.minimum(first + rng.integers(0, 8, windows), n)
    found = window_extremes(low, high, first, stop)
    for i in range(windows):
        expected = naive.window_extremes(list(low), list(high), int(first[i]), int(stop[i]))
        assert (found[0][i], found[1][i]) == expected


@given(seed=SEED, n=st.integers(0, 60), p=st.integers(1, 5), bold=st.floats(0.01, 5.0))
def test_the_logistic_fit_is_where_the_twin_is_flat(seed, n, p, bold):
    rng = np.random.default_rng(seed)
    x, offset = bold * rng.normal(size=(n, p)), 3.0 * rng.normal(size=n)
    y, weight = rng.integers(0, 2, n).astype(float), rng.uniform(0.0, 1.0, n)
    precision = rng.uniform(0.1, 5.0, p)
    beta = fit_logit(x, offset, y, weight, precision, rng.normal(size=p))
    slope = naive.logistic_slope(x.tolist(), offset, y, weight, precision, beta.tolist())
    assert max(map(abs, slope)) < 1e-5


@given(seed=SEED, paths=st.integers(1, 5), hours=st.integers(1, 30), skipped=st.integers(0, 5))
def test_simulated_extremes_like_the_twin(seed, paths, hours, skipped):
    rng = np.random.default_rng(seed)
    close = rng.normal(size=20)
    shape = np.column_stack(
        [close, np.minimum(close, 0) - rng.random(20), np.maximum(close, 0) + rng.random(20)]
    )
    draws = rng.integers(0, 20, (paths, hours))
    parameters, variance = np.array([1e-5, 0.1, 0.85]), 1e-4
    stops = np.unique(rng.integers(1, hours + 1, 3))
    low, high = garch_extremes(draws, shape, parameters, variance, skipped, stops)
    for s, stop in enumerate(stops):
        for k in range(paths):
            expected = naive.garch_path_extremes(
                draws[k].tolist(),
                shape.tolist(),
                *parameters.tolist(),
                variance,
                skipped,
                int(stop),
            )
            assert low[s, k] == pytest.approx(expected[0], rel=1e-12)
            assert high[s, k] == pytest.approx(expected[1], rel=1e-12)
            assert (stop > skipped) == math.isfinite(expected[0])
