"""The small kernels, driven against their naive twins."""

from __future__ import annotations

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from estimator_events import (
    NAMES,
    START,
    STEP,
    at,
    event,
    events,
    rows_of,
    small_config,
    tapes,
)
from hypothesis import given
from hypothesis import strategies as st

from liqbt.estimators.baselines import Uniform, VolumeProfile
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.emission import scratch_arrays
from liqbt.estimators.emission.kernels import asymmetry, density_of, n_bins, support
from liqbt.estimators.kernels import locate, total_of
from liqbt.estimators.state import market_arrays
from liqbt.types import HOUR_NS, Kind, Side

ROWS = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(
    st.lists(st.floats(0.5, 200), min_size=2, max_size=40, unique=True).map(sorted),
    st.floats(0.1, 300) | st.none(),
    st.integers(-5, 50),
    st.integers(0, 39),
)
def test_locate_is_that_of_the_twin(edges, price, near, edge):
    price = edges[edge % len(edges)] if price is None else price
    assert locate(price, np.array(edges), near) == naive.bin_of(price, edges)


@given(ROWS)
def test_total_is_the_sum(row):
    assert total_of(np.array(row)) == pytest.approx(math.fsum(row), rel=1e-12, abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30), st.data())
def test_support_ends_after_the_last_bin_that_is_not_empty(row, data):
    n = data.draw(st.integers(0, len(row)))
    expected = max([j + 1 for j in range(n) if row[j]], default=0)
    assert support(np.array(row), n) == expected


def scratch_of(rows):
    """Return work arrays that hold two rows, whole."""
    scratch = scratch_arrays(MapParams())
    return scratch._replace(rows=rows, stops=np.full(2, rows.shape[1]))


@given(ROWS, st.integers(1, 80))
def test_asymmetry_is_that_of_the_twin(row, bins):
    rows = np.array([row, row[::-1]]) * np.array([[1.0], [3.0]])
    market = market_arrays(MapParams(), MarketSpec(symbol="X"))
    market.rules["asymmetry_bins"] = bins
    expected = naive.asymmetry(*rows.tolist(), bins)
    assert asymmetry(market, len(row), scratch_of(rows)) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 30), st.integers(1, 12), st.floats(0.011, 2.9), st.floats(0, 0.5))
def test_rows_reach_far_enough_in_whole_entries(fine, coarse, reach, sigma):
    chosen = MapParams(
        step=0.01,
        fine_bins=fine,
        coarse=coarse,
        reach=reach,
        asymmetry_reach=0.01,
    )
    market = market_arrays(chosen, MarketSpec(symbol="X"))
    n = n_bins(market, sigma)
    wanted = min(max(reach, 3 * sigma * math.sqrt(7)), 6.0)
    assert n * 0.01 >= wanted - 1e-9
    assert n <= max(fine, math.ceil(wanted / 0.01) + coarse)
    rows = np.arange(2.0 * n).reshape(2, n)
    out = density_of(market, n, scratch_of(rows))
    entries = chosen.grid(1.0).outward_edges(out.shape[1])
    assert entries[-1] == n
    for side in range(2):
        expected = [rows[side, a:b].sum() for a, b in pairwise(entries)]
        np.testing.assert_allclose(out[side], expected, rtol=1e-6)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 80 * 3600), st.sampled_from([0, 3600]), st.floats(0, 9), st.floats(0, 9)
        ),
        max_size=30,
    ),
    st.integers(0, 3 * 3600),
)
def test_evidence_is_that_of_the_twin(found, pause):
    found = sorted(found)
    rows, marks, twin = [], [], []
    for second, span, long, short in found:
        if span:
            rows.append(event(Kind.LIQUIDATION_TOTAL, second, long, short, span_s=span))
        else:
            rows.append(event(Kind.LIQUIDATION, second, 1.0, long, side=Side.LONG))
            rows.append(event(Kind.LIQUIDATION, second, 1.0, short, side=Side.SHORT))
        twin.append((START + second * 10**9, span, long, short))
    end = max([0, *(f[0] for f in found)]) + 61 + pause
    for k in range(900):  # enough marks for σ, up to the end
        second = end - 61 - 300 * k
        marks.append(event(Kind.MARK, second, *[100.0 + k % 2] * 4))
    estimator = Uniform(MapParams(), MarketSpec(symbol="X"))
    estimator.update(events(*rows, *marks))
    forecast = estimator.forecast(at(end))
    expected = naive.observed(twin, any(f[1] for f in found), at(end))
    actual = forecast.observed_long_usd, forecast.observed_short_usd
    assert actual == pytest.approx(expected, nan_ok=True, abs=1e-9)


@given(tapes(), st.sampled_from([0.5, 6.0, 500.0]))
def test_the_profile_is_that_of_the_twin(case, half_life_h):
    kind, tape = case
    estimator = VolumeProfile(
        *small_config(kind, VolumeProfile, half_life=round(half_life_h * HOUR_NS))
    )
    estimator.update(tape)
    state = estimator.state()
    clock = int(state["clock"][0])
    hour = clock if clock >= 0 else START // HOUR_NS
    expected = naive.volume_profile(rows_of(tape), NAMES[kind], STEP, 30, half_life_h, hour)
    profile = np.zeros((3, 60))
    for row, twin in zip(profile, expected, strict=True):
        for i, value in twin.items():
            row[i + 30] = value
    np.testing.assert_allclose(state["profile"], profile, rtol=1e-9, atol=1e-9)
