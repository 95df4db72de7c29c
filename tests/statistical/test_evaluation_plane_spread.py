"""The spread of skills that are none is what their scores say it is."""

from __future__ import annotations

import numpy as np
import pytest
from plane_world import landmarks, random_market

from liqbt.evaluation.accuracy.hits import market_readings

_SKILLS = {
    "brownian": lambda found: found.hit - found.brownian,
    "other_times": lambda found: found.over_others,
    "mirror": lambda found: found.hit - found.mirror,
}


@pytest.mark.nightly
def test_skill_without_information_spreads_as_its_scores_say():
    """120 markets: the standard error of a ratio of spreads is 6.5 %; nine statistics and more."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(100, 220):
        market = random_market(seed, days=20)
        for name, reading in market_readings(market.path, landmarks(market)).items():
            for null, skill in _SKILLS.items():
                scores = skill(reading)
                if np.isnan(scores).any():
                    continue
                square = scores.var(ddof=1) / len(scores)
                found.setdefault((name, null), []).append((scores.mean(), square))
    assert len(found) == 13
    for where, rows in found.items():
        means, squares = np.array(rows).T
        ratio = means.std(ddof=1) / np.sqrt(squares.mean())
        assert 0.8 < ratio < 1.2, (where, ratio)
        assert abs(means.mean()) < 3.3 * means.std(ddof=1) / np.sqrt(len(means)), where
