"""What a map says of its own clusters: against a count by hand, and how it follows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqbt.estimators import forecast_from_density
from liqbt.estimators.nulls import reflect
from liqbt.evaluation.clusters import cluster_facts
from liqbt.types import CLUSTER_DTYPE, HOUR_NS, DensityGrid, Forecast, Side

GRID = DensityGrid(anchor=100.0, step=0.01, fine_bins=30, coarse=10)


def forecast(hour, density, bands):
    """A map of shorts above 100, with clusters of these entries `[first, stop)`."""
    rows = np.zeros((2, len(density)), np.float32)
    rows[1] = density
    edges = GRID.prices(0, Side.SHORT, len(density))
    clusters = np.zeros(len(bands), CLUSTER_DTYPE)
    for row, (first, stop) in zip(clusters, bands, strict=True):
        row["side"], row["low"], row["high"] = Side.SHORT, edges[first], edges[stop]
        row["peak"], row["notional_usd"] = edges[first], rows[1, first:stop].sum()
    return Forecast(
        symbol="X", at=hour * HOUR_NS, latest_known=0, mark=100.0, mark_ts=0, sigma_1d=0.03,
        grid=GRID, mark_bin=0, density_usd=rows, clusters=clusters, asymmetry=0.0,
        asymmetry_reach=0.1,
    )  # fmt: skip


def test_a_band_is_the_same_while_more_than_half_of_the_union_is_shared():
    flat = np.ones(20)
    issued = [
        forecast(1, flat, [(2, 6), (10, 12)]),
        forecast(2, flat, [(3, 7), (11, 13)]),  # 3 of 5 shared; 1 of 3
        forecast(3, flat, []),
        forecast(4, flat, [(3, 7)]),
    ]
    found = cluster_facts(issued)
    assert found["track"].tolist() == [0, 1, 0, 2, 3]
    assert (found["since"] // HOUR_NS).tolist() == [1, 1, 1, 2, 4]
    other = replace(issued[1], clusters=issued[1].clusters.copy())
    other.clusters["side"] = Side.LONG
    assert cluster_facts([issued[0], other])["track"].tolist() == [0, 1, 2, 3]


def test_prominence_and_significance_are_those_of_a_count_by_hand():
    density = np.array([1, 2, 1, 3, 8, 3, 2, 5, 4, 1, 2, 1, 2, 1, 1, 2, 1, 1, 2, 1.0])
    found = cluster_facts([forecast(1, density, [(3, 6), (7, 9)])])
    # above the map's ends, and above the valley of 2 that parts it from 8; of 8
    assert found["prominence"].tolist() == pytest.approx([(8 - 1) / 8, (5 - 2) / 8])
    centre = 0.01 * (np.arange(20) + 0.5) + np.log(GRID.prices(0, Side.SHORT, 1)[0] / 100.0)
    for value, (first, stop) in zip(found["significance"], [(3, 6), (7, 9)], strict=True):
        middle = centre[first:stop].mean() * (1 + 1e-9)
        around = density[(centre > middle / 2) & (centre < 2 * middle)]
        noise = 1.4826 * np.median(np.abs(around - np.median(around)))
        expected = (density[first:stop].mean() - np.median(around)) / noise
        assert value == pytest.approx(expected)
    assert np.isnan(cluster_facts([forecast(1, np.ones(20), [(2, 4)])])["significance"]).all()


def test_scale_and_reflection_change_nothing():
    rng = np.random.default_rng(0)
    one = forecast_from_density(
        rng.gamma(2.0, 1.0, 600), first_bin=-300, anchor=100.0, symbol="X", at=HOUR_NS,
        latest_known=0, mark=100.02, mark_ts=0, sigma_1d=0.03,
    )  # fmt: skip
    assert len(one.clusters) > 3
    facts, back = cluster_facts([one]), cluster_facts([reflect(one)])
    shorts = int((one.clusters["side"] == Side.SHORT).sum())
    for name in ("prominence", "significance"):
        assert np.roll(facts[name], -shorts) == pytest.approx(back[name], nan_ok=True)
