"""Funding rates as they became known."""

from __future__ import annotations

import numpy as np

from liqbt.evaluation.funding import Funding, funding_at
from liqbt.types import HOUR_NS


def test_a_rate_is_known_after_it_came_and_for_a_day():
    funding = Funding(
        known_ns=np.array([0, 8, 16], np.int64) * HOUR_NS, rate=np.array([1.0, 2.0, 3.0])
    )
    at = np.array([0, 1, 8, 9, 39, 40, 400], np.int64) * HOUR_NS
    expected = [np.nan, 1.0, 1.0, 2.0, 3.0, np.nan, np.nan]
    np.testing.assert_array_equal(funding_at(funding, at), expected)
