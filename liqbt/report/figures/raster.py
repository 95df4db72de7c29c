"""Forecast densities laid on a time × price raster, mass kept; no drawing here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liqbt.report.figures.kernels import lay_on_rows
from liqbt.types import HOUR_NS, FloatArray, Forecast, IntArray, Ns, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Estimated notional over time and price.

    Attributes
    ----------
    start_ns, width_ns : int
        The first column begins at `start_ns`; a column is `width_ns` wide.
    edges_ln : ndarray, shape (rows + 1,)
        Row edges in ln(USD), rising.
    usd_per_percent : ndarray, shape (2, rows, columns)
        Mean over the forecasts issued within a column, in USD per 1 % of price; row 0 longs, row 1
        shorts. 0 where a column holds no forecast.
    covered : ndarray of bool, shape (columns,)
        Whether any forecast was issued within the column.
    """

    start_ns: Ns
    width_ns: Ns
    edges_ln: FloatArray
    usd_per_percent: FloatArray
    covered: npt.NDArray[np.bool_]

    @property
    def end_ns(self) -> Ns:
        """The end of the last column."""
        return self.start_ns + self.width_ns * len(self.covered)


def issue_spacing(at: IntArray) -> Ns:
    """Return the usual time between forecasts, ns; an hour where there are fewer than two."""
    return int(np.median(np.diff(at))) if len(at) > 1 else HOUR_NS


def cumulative_usd(forecast: Forecast, side: Side, edges_ln: FloatArray) -> FloatArray:
    """Return the notional between the mark's bin and each edge, USD.

    Parameters
    ----------
    forecast : Forecast
        Whose density is summed, evenly in log price within an entry of its grid.
    side : Side
        LONG sums downward from the mark's bin, SHORT upward.
    edges_ln : ndarray
        Rising, in ln(USD).
    """
    row = forecast.density_usd[0 if side == Side.LONG else 1].astype(np.float64)
    grid, out = forecast.grid, forecast.grid.outward_edges(len(row))
    edges = forecast.mark_bin - out if side == Side.LONG else forecast.mark_bin + 1 + out
    outward = np.log(grid.anchor) + edges * grid.step
    mass = np.concatenate([[0.0], np.cumsum(row)])
    if side == Side.LONG:
        outward, mass = outward[::-1], mass[::-1]
    return np.asarray(np.interp(edges_ln, outward, mass))


def raster(
    forecasts: Sequence[Forecast],
    *,
    start_ns: Ns,
    end_ns: Ns,
    low: float,
    high: float,
    columns: int = 1000,
    rows: int = 400,
) -> Raster:
    """Lay forecasts issued in `[start_ns, end_ns)` on a raster from price `low` to `high`.

    Parameters
    ----------
    forecasts : sequence of Forecast
        In order of issue.
    start_ns, end_ns : int
        The time shown, ns UTC.
    low, high : float
        The prices shown, USD.
    columns, rows : int
        The most columns (never narrower than the usual time between forecasts), and the rows.
    """
    shown = [f for f in forecasts if start_ns <= f.at < end_ns]
    spacing = issue_spacing(np.array([f.at for f in forecasts], dtype=np.int64))
    width = max(spacing, -(-(end_ns - start_ns) // columns))
    n = max(1, -(-(end_ns - start_ns) // width))
    edges = np.linspace(np.log(low), np.log(high), rows + 1)
    total = np.zeros((n, 2, rows))
    issued = np.zeros(n)
    for forecast in shown:
        j = (forecast.at - start_ns) // width
        issued[j] += 1.0
        grid, density = forecast.grid, forecast.density_usd
        first, height = (
            (edges[0] - np.log(grid.anchor)) / grid.step,
            (edges[1] - edges[0]) / grid.step,
        )
        out = grid.outward_edges(density.shape[1])
        lay_on_rows(total[j, 0], density[0], forecast.mark_bin - out, first, height)
        lay_on_rows(total[j, 1], density[1], forecast.mark_bin + 1 + out, first, height)
    percent = (edges[1] - edges[0]) / 0.01
    mean = total / np.maximum(issued, 1.0)[:, None, None] / percent
    return Raster(
        start_ns=start_ns,
        width_ns=width,
        edges_ln=edges,
        usd_per_percent=np.ascontiguousarray(mean.transpose(1, 2, 0)),
        covered=issued > 0,
    )
