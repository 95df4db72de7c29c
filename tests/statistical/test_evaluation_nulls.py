"""Brownian nulls against seeded simulation of the motion itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from liqbt.evaluation.nulls.brownian import touch_probability, two_barrier_probabilities
from liqbt.types import DAY_NS

PATHS = 400_000


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.5])
def test_touch_when_watching_starts_late(share):
    """Exact: the place at the start, at the end, and the highest point of the bridge between."""
    rng = np.random.default_rng(101)
    start = np.sqrt(share) * rng.standard_normal(PATHS)
    end = start + np.sqrt(1 - share) * rng.standard_normal(PATHS)
    spread = np.sqrt((end - start) ** 2 - 2 * (1 - share) * np.log(rng.random(PATHS)))
    highest = 0.5 * (start + end + spread)
    for distance in (0.25, 0.5, 1.0, 1.5, 2.5):
        found = (highest >= distance).mean()
        error = np.sqrt(found * (1 - found) / PATHS)
        expected = touch_probability(
            distance=distance, sigma_1d=1.0, from_ns=round(share * DAY_NS), until_ns=DAY_NS
        )
        assert found == pytest.approx(float(expected), abs=4 * error)
        if share >= 0.25 and distance >= 1.0:
            watched_only = 2 * ndtr(-distance / np.sqrt(1 - share))
            assert found - watched_only > 15 * error


def _points(rng, n, start, paths=60_000):
    """Place at points `start` to `n − 1` of `n` steps to time 1, one column per point."""
    steps = rng.standard_normal((paths, n - 1)) / np.sqrt(n)
    return np.cumsum(steps, axis=1)[:, start - 1 :]


@pytest.mark.parametrize(("n", "start"), [(48, 1), (48, 12), (288, 1)])
def test_touch_seen_at_points_only(n, start):
    """The spacing correction holds to 3 per mille; without it 2 to 6 points would be given away."""
    place = _points(np.random.default_rng(202), n, start)
    step = DAY_NS // n
    window = {"sigma_1d": 1.0, "from_ns": start * step, "until_ns": (n - 1) * step}
    for distance in (0.25, 0.5, 1.0, 1.5):
        up, down = (place.max(axis=1) >= distance).mean(), (place.min(axis=1) <= -distance).mean()
        found = (up + down) / 2
        error = np.sqrt(found * (1 - found) / len(place))
        corrected = touch_probability(distance=distance, spacing_ns=step, **window)
        assert found == pytest.approx(float(corrected), abs=0.0015 + 3 * error)
        uncorrected = touch_probability(distance=distance, **window)
        assert float(uncorrected) - found > 0.006


@pytest.mark.parametrize(("n", "start"), [(48, 1), (48, 12), (288, 1)])
@pytest.mark.parametrize(("up", "down"), [(0.5, 0.5), (0.3, 1.2), (1.5, 0.25)])
def test_two_barriers_seen_at_points_only(n, start, up, down):
    place = _points(np.random.default_rng(303), n, start)
    above, below = place >= up, place <= -down
    first_up = np.where(above.any(axis=1), above.argmax(axis=1), n)
    first_down = np.where(below.any(axis=1), below.argmax(axis=1), n)
    found = (
        (first_up < first_down).mean(),
        (first_down < first_up).mean(),
        (first_up == first_down).mean(),
    )
    step = DAY_NS // n
    expected = two_barrier_probabilities(
        up=up,
        down=down,
        sigma_1d=1.0,
        from_ns=start * step,
        until_ns=(n - 1) * step,
        spacing_ns=step,
    )
    for seen, computed in zip(found, expected, strict=True):
        assert seen == pytest.approx(float(computed), abs=0.004 + 3 * 0.5 / np.sqrt(len(place)))


def test_two_barriers_watched_late_with_true_highs_and_lows():
    """Fine steps stand in for continuous watching; a start beyond a level touches it at once."""
    rng = np.random.default_rng(404)
    n = 2000
    place = np.cumsum(rng.standard_normal((20_000, n)) / np.sqrt(n), axis=1)[:, n // 4 :]
    above, below = place >= 0.4, place <= -0.7
    first_up = np.where(above.any(axis=1), above.argmax(axis=1), n)
    first_down = np.where(below.any(axis=1), below.argmax(axis=1), n)
    p_up, p_down, _ = two_barrier_probabilities(
        up=0.4, down=0.7, sigma_1d=1.0, from_ns=DAY_NS // 4, until_ns=DAY_NS
    )
    assert (first_up < first_down).mean() == pytest.approx(float(p_up), abs=0.02)
    assert (first_down < first_up).mean() == pytest.approx(float(p_down), abs=0.02)
    from_mark = two_barrier_probabilities(
        up=0.4, down=0.7, sigma_1d=1.0, from_ns=0, until_ns=DAY_NS
    )
    assert abs(float(from_mark[0]) - float(p_up)) > 0.03
