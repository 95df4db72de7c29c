"""A published map, driven against its naive twin."""

from __future__ import annotations

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from estimator_events import at, events, mark, of, open_interest
from hypothesis import given
from hypothesis import strategies as st

from liqbt.errors import ConfigError
from liqbt.estimators.published import PublishedLevels, PublishedMap
from liqbt.estimators.published.kernels import lay
from liqbt.types import CLUSTER_DTYPE, HOUR_NS

STEP = 0.01
SECOND = 3661
# the last price is 100 exp(0.0243): in the middle of the third bin above the anchor
PRICES = [100.0 * math.exp(0.02 * math.sin(i)) for i in range(12)]
PRICES[0], PRICES[-1] = 100.0, 100.0 * math.exp(0.0243)
ROWS = events(*(mark(300 * i, p) for i, p in enumerate(PRICES)), open_interest(0, 7.0))
MARK_BIN = 2


def config(**changes):
    base = {
        "symbol": "X",
        "sigma_window": 2 * HOUR_NS,
        "sigma_min_coverage": 0.1,
        "step": STEP,
        "grid_span": 0.5,
        "fine_bins": 10,
        "coarse": 5,
        "reach": 0.3,
        "asymmetry_reach": 0.1,
    }
    return of(PublishedMap, **(base | changes))


def levels_of(rows) -> np.ndarray:
    out = np.zeros(len(rows), CLUSTER_DTYPE)
    for into, (side, low, high, usd) in zip(out, rows, strict=True):
        into["side"], into["low"], into["high"] = side, low, high
        into["peak"], into["notional_usd"] = math.sqrt(low * high), usd
    order = np.lexsort((np.where(out["side"] < 0, out["low"], -out["high"]), out["side"]))
    out = out[order]
    out.setflags(write=False)
    return out


def issued(rows, **changes):
    levels = levels_of(rows)
    published = PublishedLevels(
        at=np.array([at(SECOND)]), offsets=np.array([0, len(levels)]), levels=levels
    )
    estimator = PublishedMap(*config(**changes), published)
    estimator.update(ROWS)
    return estimator.forecast(at(SECOND)), levels


@st.composite
def published(draw):
    """Disjoint bands of both sides, in units of a bin from the anchor, edges and middles alike."""
    rows = []
    for side in (1, -1):
        places = draw(
            st.lists(
                st.integers(-60, 60) | st.floats(-60, 60).map(lambda x: round(x, 3)),
                max_size=10,
                unique=True,
            )
        )
        places = sorted(places)
        for low, high in zip(places[::2], places[1::2], strict=False):
            usd = draw(st.sampled_from([0.0, 1.0, 3.0]) | st.floats(1e-3, 1e6))
            rows.append((side, 100 * math.exp(low * STEP), 100 * math.exp(high * STEP), usd))
    return rows


@given(published())
def test_density_asymmetry_and_ranks_are_those_of_the_twin(rows):
    forecast, levels = issued(rows)
    if not rows:
        assert forecast is None
        return
    assert forecast.mark_bin == MARK_BIN
    widths = np.diff(forecast.grid.outward_edges(forecast.density_usd.shape[1]))
    n = int(widths.sum())
    twin = naive.published_rows(rows, 100.0, STEP, MARK_BIN, n + 3)
    ends = np.cumsum(widths)
    for row, side in ((0, 1), (1, -1)):
        sums = [math.fsum(twin[side][e - w : e]) for e, w in zip(ends, widths, strict=True)]
        np.testing.assert_allclose(forecast.density_usd[row], sums, rtol=2e-6, atol=1e-3)
    expected = naive.asymmetry(twin[1], twin[-1], 10)
    assert forecast.asymmetry == pytest.approx(expected, abs=1e-8)
    clusters = forecast.clusters
    for name in ("side", "low", "high", "peak", "notional_usd"):
        np.testing.assert_array_equal(clusters[name], levels[name])
    for cluster in clusters:
        assert_rank(cluster, forecast, twin, n)


def assert_rank(cluster, forecast, twin, n):
    side = int(cluster["side"])
    y = naive.smoothed(twin[side], n, 7)
    ends = sorted(
        (math.log(cluster[e] / 100) / STEP - 3, 2 - math.log(cluster[e] / 100) / STEP)[side > 0]
        for e in ("low", "high")
    )
    ends = [round(e) if abs(e - round(e)) < 1e-6 else e for e in ends]
    first = min(max(math.floor(ends[0]), 0), n - 1)
    last = min(max(math.ceil(ends[1]) - 1, first), n - 1)
    base = 0.0243 - 0.02 if side > 0 else 0.03 - 0.0243
    edges = [e * forecast.sigma_1d for e in (0.25, 0.5, 1.0, 1.5, 2.5)]
    expected = naive.density_rank([*y, 0.0], first, last, base, STEP, edges)
    if cluster["density_rank"] != pytest.approx(expected, abs=1e-9):
        assert cluster["density_rank"] in near_ties(y, first, last, base, edges)


def near_ties(y, first, last, base, edges):
    """The ranks where rounding puts bins that equal the mean on its other side."""
    same = [v for j, v in enumerate(y) if band(base, j, edges) == band(base, first, edges)]
    mean = math.fsum(y[first : last + 1]) / (last + 1 - first)
    least, most = (sum(v <= mean * (1 + tiny) for v in same) for tiny in (-1e-9, 1e-9))
    return [pytest.approx(max(k, 1) / len(same), abs=1e-9) for k in range(least, most + 1)]


def band(base, j, edges):
    return sum(base + j * STEP >= edge for edge in edges)


def test_bands_on_the_grid_are_laid_on_their_bins_alone():
    edges = 100 * np.exp(np.arange(-40, 41) * STEP)
    rows = [(-1, edges[40 + 3 + k], edges[40 + 4 + k], 1.0 + k) for k in range(0, 10, 2)]
    forecast, _ = issued(rows)
    assert forecast.density_usd[1][:10].tolist() == [1, 0, 3, 0, 5, 0, 7, 0, 9, 0]
    assert not forecast.density_usd[0].any()
    assert forecast.asymmetry == -1.0


def test_equal_notional_on_both_sides_is_no_asymmetry():
    """The bands share their bins unevenly: what is left is rounding."""
    rows = [(-1, 103.7, 103.9, 0.1), (-1, 104.45, 104.51, 0.2)]
    rows += [(1, 99.0, 99.7, 0.2), (1, 98.1, 98.4, 0.1)]
    assert issued(rows)[0].asymmetry == 0.0


def test_nothing_is_issued_at_a_time_without_rows_or_without_sigma():
    levels = levels_of([(1, 90.0, 91.0, 1.0)])
    published = PublishedLevels(at=np.array([at(SECOND)]), offsets=np.array([0, 1]), levels=levels)
    estimator = PublishedMap(*config(), published)
    assert estimator.forecast(at(SECOND)) is None
    estimator.update(ROWS)
    assert estimator.forecast(at(SECOND) - 1) is None
    assert estimator.forecast(at(SECOND) + 1) is None
    assert estimator.forecast(at(SECOND)) is not None


def test_what_comes_with_the_rows_is_of_the_events():
    forecast, _ = issued([(1, 90.0, 91.0, 5.0)])
    assert forecast.mark == PRICES[-1]
    assert forecast.mark_ts == at(3300)
    assert forecast.latest_known < at(SECOND)
    assert forecast.open_interest_usd == 7.0 * PRICES[-1]
    assert forecast.grid.anchor == 100.0


def test_a_resumed_map_goes_on_bit_for_bit():
    levels = levels_of([(1, 90.0, 91.0, 1.0), (-1, 120.0, 121.0, 2.0)])
    published = PublishedLevels(at=np.array([at(SECOND)]), offsets=np.array([0, 2]), levels=levels)
    one, two = (PublishedMap(*config(), published) for _ in range(2))
    one.update(ROWS[:8])
    two.restore(one.state())
    for estimator in (one, two):
        estimator.update(ROWS[8:])
    a, b = one.forecast(at(SECOND)), two.forecast(at(SECOND))
    assert a.density_usd.tobytes() == b.density_usd.tobytes()
    assert a.clusters.tobytes() == b.clusters.tobytes()


def test_more_rows_than_a_forecast_can_hold_are_refused():
    edges = 90 * np.exp(np.arange(400) * 1e-4)
    rows = [(1, a, b, 1.0) for a, b in pairwise(edges)]
    with pytest.raises(ConfigError, match=r"399 rows .* at one time; expected at most \d+"):
        issued(rows)


@pytest.mark.parametrize(
    ("low", "high"), [(5e-324, 90.0), (0.0, 90.0), (90.0, 1e308), (-1.0, math.inf)]
)
def test_edges_that_no_price_can_be_leave_no_array(low, high):
    """Reading levels refuses them; the kernel wrote beyond its rows once, and the process died."""
    row = np.full(40, 7.0)
    ends = math.inf if low <= 0.0 else 1e12
    lay(row[10:20], -ends, ends, 10.0)
    assert (row[:10] == 7.0).all()
    assert (row[20:] == 7.0).all()
    levels = np.zeros(1, CLUSTER_DTYPE)
    levels["side"], levels["low"], levels["high"], levels["notional_usd"] = 1, low, high, 10.0
    published = PublishedLevels(at=np.array([at(SECOND)]), offsets=np.array([0, 1]), levels=levels)
    estimator = PublishedMap(*config(), published)
    estimator.update(ROWS)
    forecast = estimator.forecast(at(SECOND))
    assert forecast.clusters["low"][0] == low  # as published; whoever issues it is refused
