"""The estimated map at the last forecast beside the true one, back to back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from liqbt.report import formatting as fmt
from liqbt.report.figures.raster import cumulative_usd
from liqbt.report.figures.style import INK, LONG, SHORT, Figure, as_svg, canvas
from liqbt.types import FloatArray, Forecast, Side

_ROWS: Final = 120
_REACH_SIGMA: Final = 2.5


def true_map_figure(
    forecast: Forecast, true_map: Mapping[str, npt.NDArray[Any]], *, name: str
) -> Figure:
    """Draw true notional by liquidation price to the left, the estimate to the right.

    Parameters
    ----------
    forecast : Forecast
        The last one.
    true_map : mapping
        `side`, `low`, `high`, `notional_usd` of the true map at that time, as `Run.true_map` gives.
    name : str
        File name.
    """
    reach = float(np.clip(_REACH_SIGMA * forecast.sigma_1d * math.sqrt(7.0), 0.03, 0.9))
    edges = np.linspace(-reach, reach, _ROWS + 1)
    absolute = edges + math.log(forecast.mark)
    estimated = {
        Side.LONG: -np.diff(cumulative_usd(forecast, Side.LONG, absolute)),
        Side.SHORT: np.diff(cumulative_usd(forecast, Side.SHORT, absolute)),
    }
    true = {
        Side.LONG: _binned(true_map, "long", absolute),
        Side.SHORT: _binned(true_map, "short", absolute),
    }
    figure = canvas(11.0, 5.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, part, title in ((left, true, "True"), (right, estimated, "Estimated")):
        _draw(ax, part, edges, f"{title}: {_totals(part)}")
    left.invert_xaxis()
    _price_axis(left, forecast.mark, reach)
    width = fmt.fixed((edges[1] - edges[0]) * 100, 2)
    figure.supxlabel(f"Notional per {width}% of price, USD", fontsize=9)
    return Figure(
        name=name,
        title=f"True and estimated map at the last forecast, {fmt.instant(forecast.at)}",
        caption=(
            "Left: the notional of the simulated positions by their own liquidation prices. Right: "
            "the estimate at the same moment, which has seen none of them. Each has its own scale: "
            "compare where the notional lies; the totals say how much. The estimate spreads all "
            "open interest over its brackets, while true positions that cannot be liquidated have "
            "no place on a map."
        ),
        alt=_alt(estimated, true),
        data=as_svg(figure),
    )


def _binned(
    true_map: Mapping[str, npt.NDArray[Any]], side: str, edges_ln: FloatArray
) -> FloatArray:
    """Spread the true entries of one side evenly in log price, and sum them between edges."""
    mine = true_map["side"] == side
    low, high = np.log(true_map["low"][mine]), np.log(true_map["high"][mine])
    usd = true_map["notional_usd"][mine]
    order = np.argsort(low)
    ends = np.append(low[order], high[order][-1:])
    total = np.concatenate([[0.0], np.cumsum(usd[order])])
    return np.diff(np.interp(edges_ln, ends, total)) if usd.size else np.zeros(edges_ln.size - 1)


def _draw(ax: Axes, part: Mapping[Side, FloatArray], edges: FloatArray, title: str) -> None:
    centre, height = (edges[:-1] + edges[1:]) * 50, (edges[1] - edges[0]) * 100
    for side, colour in ((Side.LONG, LONG), (Side.SHORT, SHORT)):
        ax.barh(centre, part[side], height=height * 0.92, color=colour)
    top = max(float(values.max()) for values in part.values())
    ax.set_xlim(0.0, top * 1.05 if top > 0.0 else 1.0)
    ax.axhline(0.0, color=INK, lw=1.3)
    ax.set_title(title)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: fmt.usd(float(v), short=True)))


def _price_axis(ax: Axes, mark: float, reach: float) -> None:
    step = 100 * reach / 4
    ticks = [round(k * step, 6) for k in range(-4, 5)]
    ax.set_yticks(ticks, [fmt.price(mark * math.exp(t / 100)) for t in ticks])
    ax.set_ylim(-reach * 100, reach * 100)
    ax.set_ylabel("Price, USD (log scale)")


def _totals(part: Mapping[Side, FloatArray]) -> str:
    longs, shorts = (fmt.usd(float(part[side].sum())) for side in (Side.LONG, Side.SHORT))
    return f"{shorts} of shorts above, {longs} of longs below"


def _alt(estimated: Mapping[Side, FloatArray], true: Mapping[Side, FloatArray]) -> str:
    return (
        f"Bars of notional by price, in the range shown. True: {_totals(true)}. "
        f"Estimated: {_totals(estimated)}."
    )
