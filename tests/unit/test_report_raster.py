"""The raster under the map: mass is kept, sides stay apart, gaps are gaps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_run import START_NS, make_market, make_run

from liqbt.report.figures.heatmap import episode_marks, price_window
from liqbt.report.figures.kernels import lay_on_rows
from liqbt.report.figures.raster import cumulative_usd, raster
from liqbt.types import DAY_NS, HOUR_NS, Forecast, Side


@pytest.fixture(scope="module")
def forecasts() -> list[Forecast]:
    return make_market("BTCUSDT", 120, 3, 50_000.0)[0]


def test_mass_is_kept(forecasts: list[Forecast]) -> None:
    last = forecasts[-1]
    shown = raster([last], start_ns=last.at, end_ns=last.at + HOUR_NS, low=1e3, high=1e7, rows=777)
    width = float(shown.edges_ln[1] - shown.edges_ln[0])
    for row in (0, 1):
        mass = shown.usd_per_percent[row, :, 0].sum() * width / 0.01
        assert mass == pytest.approx(float(last.density_usd[row].sum(dtype=np.float64)), rel=1e-9)


def test_a_band_holds_the_bins_inside_it(forecasts: list[Forecast]) -> None:
    """Against a sum over bins, by hand: from the mark's bin out to the edge of the 40th."""
    last = forecasts[-1]
    step, anchor = last.grid.step, last.grid.anchor
    for side, row in ((Side.LONG, 0), (Side.SHORT, 1)):
        edge = last.mark_bin - 40 if side == Side.LONG else last.mark_bin + 1 + 40
        found = cumulative_usd(last, side, np.array([math.log(anchor) + edge * step]))
        assert found[0] == pytest.approx(
            sum(float(v) for v in last.density_usd[row][:40]), rel=1e-6
        )


@given(
    st.lists(st.floats(0.0, 1e9, width=32), min_size=1, max_size=30),
    st.lists(st.integers(1, 40), min_size=30, max_size=30),
    st.floats(-300.0, 300.0),
    st.floats(0.1, 60.0),
    st.booleans(),
)
def test_rows_hold_what_the_cumulative_sum_holds(usd, widths, first, height, falling) -> None:
    """The naive twin: the cumulative sum between the edges of each row."""
    bounds = np.concatenate([[0], np.cumsum(widths[: len(usd)])])
    bounds, density = (-bounds if falling else bounds), np.array(usd, np.float32)
    found = np.zeros(25)
    lay_on_rows(found, density, bounds, first, height)
    places, mass = bounds.astype(float), np.concatenate([[0.0], np.cumsum(density, dtype=float)])
    if falling:
        places, mass = places[::-1], mass[::-1]
    naive = np.abs(np.diff(np.interp(first + height * np.arange(26), places, mass)))
    np.testing.assert_allclose(found, naive, rtol=1e-9, atol=1e-9 * (1.0 + mass.max()))


def test_sides_lie_on_their_side_of_the_price(forecasts: list[Forecast]) -> None:
    last = forecasts[-1]
    shown = raster([last], start_ns=last.at, end_ns=last.at + 1, low=3e4, high=8e4)
    centre = (shown.edges_ln[1:] + shown.edges_ln[:-1]) / 2
    near = 2 * (shown.edges_ln[1] - shown.edges_ln[0]) + last.grid.step
    long_rows = shown.usd_per_percent[0, :, 0] > 0
    short_rows = shown.usd_per_percent[1, :, 0] > 0
    assert long_rows.any()
    assert short_rows.any()
    assert centre[long_rows].max() <= math.log(last.mark) + near
    assert centre[short_rows].min() >= math.log(last.mark) - near


def test_columns_average_and_gaps_stay_uncovered(forecasts: list[Forecast]) -> None:
    end = forecasts[-1].at + HOUR_NS
    window = {"start_ns": START_NS + HOUR_NS, "end_ns": end, "low": 3e4, "high": 8e4, "rows": 50}
    with_gap = forecasts[:40] + forecasts[60:]
    shown = raster(with_gap, **window, columns=1000)
    assert shown.width_ns == HOUR_NS
    assert np.flatnonzero(~shown.covered).tolist() == list(range(40, 60))
    assert not shown.usd_per_percent[:, :, 40:60].any()
    wide = raster(forecasts, **window, columns=30)
    fine = raster(forecasts, **window, columns=1000)
    assert wide.usd_per_percent.shape == (2, 50, 30)
    expected = fine.usd_per_percent.reshape(2, 50, 30, 4).mean(axis=3)
    np.testing.assert_allclose(wide.usd_per_percent, expected, rtol=1e-9, atol=1e-6)


def test_forecasts_outside_the_window_are_not_shown(forecasts: list[Forecast]) -> None:
    shown = raster(forecasts, start_ns=0, end_ns=DAY_NS, low=3e4, high=8e4)
    assert not shown.covered.any()
    assert not shown.usd_per_percent.any()


def test_window_holds_the_whole_path(forecasts: list[Forecast]) -> None:
    low, high = price_window(forecasts, np.array([40_000.0]), np.array([61_000.0]))
    assert low < 40_000.0 * 0.97
    assert high > 61_000.0 * 1.03
    calm = [replace(f, sigma_1d=1e-4) for f in forecasts]
    assert price_window(calm, np.array([]), np.array([]))[1] < max(f.mark for f in calm) * 1.04


def test_marks_are_the_scored_births_of_the_primary_horizon() -> None:
    run = make_run(n=100)
    table = run.table.to_pydict()
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    assert any(row["censor"] for row in rows)
    mine = [r for r in rows if r["market"] == "ETHUSDT" and not r["censor"]]
    marks = episode_marks(run, "ETHUSDT")
    assert len(marks.born_ns) == len(mine) > 0
    assert marks.visited.tolist() == [r["visited"] == 1 for r in mine]
    ends = [r["visit_ns"] if r["visited"] == 1 else r["at"] + DAY_NS for r in mine]
    assert marks.ended_ns.tolist() == ends
    assert (marks.low < marks.high).all()
    other = run.table.set_column(
        run.table.column_names.index("horizon_ns"), "horizon_ns", [[4 * HOUR_NS] * len(rows)]
    )
    assert len(episode_marks(replace(run, table=other), "ETHUSDT").born_ns) == 0
