"""The level map at one forecast: notional by price, and beside the true map where there is one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from liqbt.report import formatting as fmt
from liqbt.report.figures.raster import cumulative_usd
from liqbt.report.figures.style import GREY, INK, LONG, SHORT, Figure, as_svg, canvas
from liqbt.report.tables import LevelRow, level_rows
from liqbt.types import FloatArray, Forecast, Side

_ROWS: Final = 160
_REACH_SIGMA: Final = 2.5


def _reach(forecast: Forecast) -> float:
    return float(np.clip(_REACH_SIGMA * forecast.sigma_1d * math.sqrt(7.0), 0.03, 0.9))


def _bars(forecast: Forecast, reach: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return bar edges in ln(mark) units and the notional of longs and shorts in each."""
    edges = np.linspace(-reach, reach, _ROWS + 1)
    absolute = edges + math.log(forecast.mark)
    longs = -np.diff(cumulative_usd(forecast, Side.LONG, absolute))
    shorts = np.diff(cumulative_usd(forecast, Side.SHORT, absolute))
    return edges, longs, shorts


def _draw_clusters(ax: Axes, rows: list[LevelRow], mark: float, reach: float, top: float) -> None:
    """Shade the clusters; name the five largest in sight where their names do not collide."""
    inside = [r for r in rows if abs(math.log(r.near_edge / mark)) < reach]
    for row in inside:
        low, high = (math.log(p / mark) * 100 for p in (row.cluster.low, row.cluster.high))
        ax.axhspan(low, high, color="#000000", alpha=0.07, lw=0)
    taken: list[float] = []
    for row in sorted(inside, key=lambda r: -r.cluster.notional_usd)[:5]:
        y = math.log(row.cluster.peak / mark) * 100
        if any(abs(y - other) < reach * 100 * 0.055 for other in taken) or abs(y) > reach * 97:
            continue
        taken.append(y)
        text = f"{fmt.usd(row.cluster.notional_usd)}  {fmt.price(row.cluster.peak)}"
        ax.text(top * 1.33, y, text, ha="right", va="center", fontsize=8)


def profile_figure(forecast: Forecast, *, name: str, price_word: str) -> Figure:
    """Draw the density of one forecast out to 2.5 weekly σ.

    Parameters
    ----------
    forecast : Forecast
        Usually the run's last of a market.
    name : str
        File name.
    price_word : str
        `mark`, or what it is called where something stands in for it.
    """
    reach = _reach(forecast)
    edges, longs, shorts = _bars(forecast, reach)
    height = (edges[1] - edges[0]) * 100
    top = max(float(longs.max()), float(shorts.max()), 1.0)
    figure = canvas(11.0, 5.6)
    ax = figure.add_subplot()
    for values, colour in ((longs, LONG), (shorts, SHORT)):
        ax.stairs(values, edges * 100, orientation="horizontal", fill=True, color=colour, lw=0)
    ax.axhline(0.0, color=INK, lw=1.3)
    here = f"{price_word} {fmt.price(forecast.mark)}"
    ax.text(top * 1.03, reach * 1.2, here, va="bottom", weight="bold")
    rows = [*level_rows(forecast, Side.SHORT), *level_rows(forecast, Side.LONG)]
    _draw_clusters(ax, rows, forecast.mark, reach, top)
    ax.set_xlim(0.0, top * 1.35)
    ax.set_ylim(-reach * 100, reach * 100)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: fmt.usd(float(v), short=True)))
    ax.set_xlabel(f"Estimated notional per {fmt.fixed(height, 2)}% of price, USD")
    _price_ticks(ax, forecast, reach)
    ax.text(top * 1.03, reach * 93, "shorts above", color=SHORT, weight="bold")
    ax.text(top * 1.03, -reach * 97, "longs below", color=LONG, weight="bold")
    return Figure(
        name=name,
        title=f"Level map at the last forecast, {fmt.instant(forecast.at)}",
        caption=(
            "Estimated notional by price when the last forecast was issued. Shaded: clusters, the "
            "largest named with their notional and peak price. Right: distance in standard "
            "deviations of one day's return."
        ),
        alt=_alt(forecast, longs, shorts, reach),
        data=as_svg(figure),
    )


def _price_ticks(ax: Axes, forecast: Forecast, reach: float) -> None:
    low, high = (forecast.mark * math.exp(r) for r in (-reach, reach))
    ticks = [t for t in MaxNLocator(nbins=9).tick_values(low, high) if low < t < high]
    ax.set_yticks(
        [math.log(t / forecast.mark) * 100 for t in ticks],
        [f"{t:,.0f}" if t >= 100 else f"{t:.6g}" for t in ticks],
    )
    ax.set_ylabel("Price, USD (log scale)")
    sigma = forecast.sigma_1d * 100
    right = ax.secondary_yaxis(
        "right", functions=(lambda y: np.asarray(y) / sigma, lambda s: np.asarray(s) * sigma)
    )
    right.set_ylabel("Distance, σ of one day")
    right.spines["right"].set_visible(True)
    right.spines["right"].set_color(GREY)


def _alt(forecast: Forecast, longs: FloatArray, shorts: FloatArray, reach: float) -> str:
    return (
        f"Bars of estimated notional by price within {fmt.percent(math.expm1(reach), 0)} of "
        f"{fmt.price(forecast.mark)} for {fmt.one_line(forecast.symbol)}: "
        f"{fmt.usd(float(longs.sum()))} of longs below, {fmt.usd(float(shorts.sum()))} of "
        "shorts above. The level table gives the clusters."
    )


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
    reach = _reach(forecast)
    edges, longs, shorts = _bars(forecast, reach)
    absolute = edges + math.log(forecast.mark)
    estimated = {Side.LONG: longs, Side.SHORT: shorts}
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
        alt=_true_alt(estimated, true),
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


def _true_alt(estimated: Mapping[Side, FloatArray], true: Mapping[Side, FloatArray]) -> str:
    return (
        f"Bars of notional by price, in the range shown. True: {_totals(true)}. "
        f"Estimated: {_totals(estimated)}."
    )
