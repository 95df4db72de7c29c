"""Regressions by day: factors that say what the rows say, block by block, in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqbt.evaluation.inference.slopes import DayFactors, slope_days
from liqbt.evaluation.kernels.slopes import fold
from liqbt.types import DAY_NS

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, n, k, days):
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, days * DAY_NS, n)) + 20_000 * DAY_NS
    columns = rng.normal(size=(n, k)) * 10.0 ** rng.integers(-6, 7, k)
    columns[rng.random((n, k)) < 0.2] = 0.0
    return rng, at, columns


@given(SEEDS, st.integers(1, 60), st.integers(2, 6))
def test_a_factor_has_the_products_of_its_rows(seed, n, k):
    _, at, columns = drawn(seed, n, k, 4)
    day = at // DAY_NS - 20_000
    factors, rows = np.zeros((4, k, k)), np.zeros(4, np.int64)
    fold(factors, rows, day, columns)
    assert rows.tolist() == np.bincount(day, minlength=4).tolist()
    for d in range(4):
        assert not np.tril(factors[d], -1).any()
        mine = columns[day == d]
        length = np.linalg.norm(mine, axis=0)
        apart = factors[d].T @ factors[d] - mine.T @ mine
        assert (np.abs(apart) <= 1e-13 * np.outer(length, length) + 1e-300).all()


@given(SEEDS, st.integers(3, 80), st.integers(0, 3), st.integers(1, 5))
def test_residuals_are_those_of_least_squares_and_blocks_are_no_matter(seed, n, controls, blocks):
    rng, at, columns = drawn(seed, n, 2 + controls, 5)
    x, y, beside = columns[:, 0], columns[:, 1], columns[:, 2:]
    left = columns[:, :2]
    if controls:
        scaled = beside / np.maximum(np.linalg.norm(beside, axis=0), 1e-300)
        left = left - scaled @ np.linalg.lstsq(scaled, left, rcond=1e-9)[0]
    found = slope_days(at, x, y, beside if controls else None, n_units=n)
    if float(left[:, 0] @ left[:, 0]) <= 1e-10 * n:
        return  # nothing is left of the dose, or hardly anything
    first = int(at.min() // DAY_NS)
    day = at // DAY_NS - first
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    assert found.first_day == first
    np.testing.assert_allclose(
        found.total, np.bincount(day, left[:, 0] * left[:, 1]), atol=1e-9 * scale
    )
    np.testing.assert_allclose(found.count, np.bincount(day, left[:, 0] ** 2), atol=1e-9 * (x @ x))
    assert found.size is not None
    assert (found.size >= np.abs(found.total) * (1 - 1e-9)).all()
    parts = DayFactors(columns.shape[1])
    for rows in np.array_split(rng.permutation(n), blocks):
        parts.add(at[rows], columns[rows])
    again = parts.slope(range(2, columns.shape[1]), n_units=n)
    assert (again.first_day, again.freedom) == (found.first_day, found.freedom)
    np.testing.assert_allclose(again.total, found.total, atol=1e-9 * scale)


def test_columns_that_come_after_change_no_bit():
    _, at, columns = drawn(3, 500, 6, 30)
    alone = slope_days(at, columns[:, 0], columns[:, 1], columns[:, 2:4], n_units=1)
    more = DayFactors(6).add(at, columns).slope([2, 3], n_units=1)
    assert alone.total.tobytes() == more.total.tobytes()
    assert alone.count.tobytes() == more.count.tobytes()


@pytest.mark.parametrize("value", [5e-324, 1e-200, 1e-160, 1e150])
def test_values_that_cannot_be_squared_are_nothing_or_finite(value):
    at = np.arange(6) * DAY_NS
    x = np.array([1.0, -1.0, 2.0, 0.5, -2.0, 1.0])
    found = slope_days(at, value * x, x, np.full((6, 1), value), n_units=6)
    assert np.isfinite(found.total).all()
    assert slope_days(at[:0], x[:0], x[:0], None, n_units=0).n_units == 0
