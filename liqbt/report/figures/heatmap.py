"""The map over time: estimated notional by time and price, price and episodes drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullFormatter

from liqbt.forecasts import joined_intervals
from liqbt.report import formatting as fmt
from liqbt.report.figures.raster import Raster, issue_spacing, raster
from liqbt.report.figures.style import GREY, INK, Figure, as_png, canvas
from liqbt.types import DAY_NS, FloatArray, Forecast, IntArray, Ns, Side

if TYPE_CHECKING:
    from liqbt.study.store import Run

_LONGS: Final = LinearSegmentedColormap.from_list(
    "longs", ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"]
)
_SHORTS: Final = LinearSegmentedColormap.from_list(
    "shorts", ["#ffffff", "#fdd0a2", "#fd8d3c", "#c4480a", "#662000"]
)
_UNCOVERED: Final = 0.86
_MARGIN_SIGMA: Final = 1.5
_OUTLINED_DAYS: Final = 21
ESTIMATED: Final = "This is an estimate, not positions that a venue has published."
"""What closes the caption of an estimator's map."""


_INTERVALS: Final = (
    "Beside it the clusters of the last forecast: notional, with an interval of 80 %; hollow and "
    "dotted where it rests on the prior only. "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeMarks:
    """Episodes to outline on a map, one entry each.

    Attributes
    ----------
    born_ns, ended_ns : ndarray of int64
        Birth, and the visit or the end of the window.
    low, high : ndarray
        The cluster as frozen at birth, USD.
    near_edge : ndarray
        The edge that a visit touches, USD.
    visited : ndarray of bool
        Whether it ended by a visit.
    """

    born_ns: IntArray
    ended_ns: IntArray
    low: FloatArray
    high: FloatArray
    near_edge: FloatArray
    visited: npt.NDArray[np.bool_]


def price_window(
    forecasts: Sequence[Forecast], low: FloatArray, high: FloatArray
) -> tuple[float, float]:
    """Return the prices that a map shows: the path, and 1.5 weekly σ beyond it on each side."""
    sigma = float(np.median([f.sigma_1d for f in forecasts])) if forecasts else 0.02
    margin = float(np.clip(_MARGIN_SIGMA * sigma * np.sqrt(7.0), 0.03, 0.9))
    marks = [f.mark for f in forecasts]
    floor = min([float(low.min()), *marks] if len(low) else marks)
    ceiling = max([float(high.max()), *marks] if len(high) else marks)
    return floor * float(np.exp(-margin)), ceiling * float(np.exp(margin))


def _days(ns: npt.NDArray[np.int64]) -> FloatArray:
    out: FloatArray = mdates.date2num(ns.astype("datetime64[ns]"))  # type: ignore[no-untyped-call]
    return out


def _ink(image: Raster, norm: PowerNorm) -> npt.NDArray[Any]:
    longs = _LONGS(norm(image.usd_per_percent[0]))[..., :3]
    shorts = _SHORTS(norm(image.usd_per_percent[1]))[..., :3]
    rgb = longs * shorts
    rgb[:, ~image.covered] = _UNCOVERED
    return np.asarray(np.round(rgb * 255.0), dtype=np.uint8)


def _price_axis(ax: Axes, low: float, high: float) -> None:
    locator = MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10])
    ticks = [float(t) for t in locator.tick_values(low, high) if low < t < high]
    ax.set_ylim(np.log(low), np.log(high))
    ax.yaxis.set_major_locator(FixedLocator([float(np.log(t)) for t in ticks]))
    ax.yaxis.set_major_formatter(FixedFormatter([_tick_price(t) for t in ticks]))
    ax.set_ylabel("Price, USD (log scale)")


def _tick_price(value: float) -> str:
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.6g}"


def _time_axis(ax: Axes, start_ns: Ns, end_ns: Ns) -> None:
    left, right = _days(np.array([start_ns, end_ns], dtype=np.int64))
    ax.set_xlim(left, right)
    locator = mdates.AutoDateLocator(minticks=5, maxticks=10)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    formatter = mdates.ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(formatter)
    ax.set_xlabel(f"Time, UTC ({fmt.day(start_ns)} to {fmt.day(end_ns - 1)})")


def _colour_bar(figure: Canvas, ax: Axes, cmap: Colormap, norm: PowerNorm, text: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=ax)
    top = float(norm.vmax or 1.0)
    ticks = [t for t in MaxNLocator(nbins=4).tick_values(0.0, top) if 0.0 <= t <= top]
    bar.set_ticks(ticks, labels=[fmt.usd(t, short=True) for t in ticks])
    ax.set_title(text, fontsize=8.0, fontweight="normal", loc="left")


def _has_range(prices: Mapping[str, npt.NDArray[Any]], start: Ns, end: Ns) -> bool:
    """Return whether the price is bars, and the window short enough to show their range."""
    inside = (prices["ts"] >= start) & (prices["ts"] < end)
    return not _is_long(start, end) and bool((prices["high"] > prices["low"])[inside].any())


def _draw_price(ax: Axes, prices: Mapping[str, npt.NDArray[Any]], start: Ns, end: Ns) -> None:
    ts = prices["ts"]
    inside = (ts >= start) & (ts < end)
    if _has_range(prices, start, end):
        low, high = np.log(prices["low"][inside]), np.log(prices["high"][inside])
        ax.fill_between(_days(ts[inside]), low, high, color=INK, alpha=0.35, lw=0)
    width = 0.8 if _is_long(start, end) else 1.2
    (path,) = ax.plot(_days(ts[inside]), np.log(prices["close"][inside]), color=INK, lw=width)
    path.set_path_effects([Stroke(linewidth=2.4 * width, foreground="white"), Normal()])


def _draw_episodes(ax: Axes, marks: EpisodeMarks, start: Ns, end: Ns) -> int:
    """Mark the episodes of the window: whole in a short one, their near edges in a long one.

    In a short window each band is outlined from birth to its end, with a dot where it ended by a
    visit; over months that would hide the map, so there only the near edges are ruled.
    """
    shown = (marks.ended_ns > start) & (marks.born_ns < end)
    left, right = _days(marks.born_ns[shown]), _days(marks.ended_ns[shown])
    low, high = np.log(marks.low[shown]), np.log(marks.high[shown])
    edge = np.log(marks.near_edge[shown])
    corners = [(left, low), (right, low), (right, high), (left, high), (left, low)]
    if _is_long(start, end):
        corners = [(left, edge), (right, edge)]
    lines = np.stack([np.column_stack(corner) for corner in corners], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=INK, linewidths=0.55, alpha=0.65))
    if not _is_long(start, end):
        hit = marks.visited[shown]
        ax.plot(right[hit], edge[hit], ls="", marker="o", ms=3.2, mfc="white", mec=INK, mew=0.7)
    return int(shown.sum())


def _draw_prior(ax: Axes, shown: Sequence[Forecast]) -> bool:
    """Draw from where on the map rests on its estimator's prior, if any forecast says so."""
    stated = [f for f in shown if not np.isnan(f.prior_from_long)]
    at = _days(np.array([f.at for f in stated], dtype=np.int64))
    mark = np.log([f.mark for f in stated])
    for reach in ([-f.prior_from_long for f in stated], [f.prior_from_short for f in stated]):
        ax.plot(at, mark + np.array(reach), color=GREY, lw=0.9, ls=":", scaley=False)
    return bool(stated)


def _draw_intervals(ax: Axes, last: Forecast) -> None:
    """Draw the notional of each cluster of a forecast with its interval, at its price."""
    for i, (low, high) in enumerate(joined_intervals([last]).tolist()):
        cluster = last.cluster(i)
        away = abs(np.log((cluster.high if cluster.side == Side.LONG else cluster.low) / last.mark))
        is_long = cluster.side == Side.LONG
        prior = away >= (last.prior_from_long if is_long else last.prior_from_short)
        colour, at = (_LONGS if is_long else _SHORTS)(0.75), np.log(cluster.peak)
        ax.hlines(at, low, high, color=colour, lw=1.1, ls=":" if prior else "-")
        ax.plot(cluster.notional_usd, at, "o", ms=3.2, mec=colour, mfc="white" if prior else colour)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda usd, _: fmt.usd(usd, short=True))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelleft=False, labelsize=7.0)
    ax.set_title("last clusters, $", fontsize=8.0, fontweight="normal", loc="left")


def _is_long(start: Ns, end: Ns) -> bool:
    return end - start > _OUTLINED_DAYS * DAY_NS


def _episode_handles(start: Ns, end: Ns) -> list[Line2D | Patch]:
    if _is_long(start, end):
        return [Line2D([], [], color=INK, lw=0.6, label="episode: near edge, birth to end")]
    return [
        Patch(fc="none", ec=INK, lw=0.6, label="episode, birth to end"),
        Line2D([], [], ls="", marker="o", ms=3.5, mfc="white", mec=INK, label="visit"),
    ]


def _legend(ax: Axes, image: Raster, price_name: str, episodes: list[Line2D | Patch]) -> None:
    handles: list[Line2D | Patch] = [Line2D([], [], color=INK, lw=1.3, label=price_name), *episodes]
    if not image.covered.all():
        handles.append(Patch(fc=str(_UNCOVERED), ec=GREY, lw=0.4, label="no forecast"))
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderpad=0.2)


def map_figure(
    symbol: str,
    forecasts: Sequence[Forecast],
    prices: Mapping[str, npt.NDArray[Any]],
    *,
    start_ns: Ns,
    end_ns: Ns,
    marks: EpisodeMarks,
    name: str,
    title: str,
    price_name: str,
    closing: str = ESTIMATED,
) -> Figure:
    """Draw the map of one market from `start_ns` to `end_ns`.

    Parameters
    ----------
    symbol : str
        The market, as the figure's text names it.
    forecasts : sequence of Forecast
        In order of issue, at least one in the window.
    prices : mapping
        `ts` (int64 ns), `low`, `high`, `close` of the price that outcomes were taken from.
    start_ns, end_ns : int
        The time shown, half-open.
    marks : EpisodeMarks
        Episodes to outline.
    name, title : str
        File name, and the page's heading of the figure.
    price_name : str
        What the line is.
    closing : str
        Last sentence of the caption: what the map is.
    """
    shown = [f for f in forecasts if start_ns <= f.at < end_ns]
    inside = (prices["ts"] >= start_ns) & (prices["ts"] < end_ns)
    low, high = price_window(shown, prices["low"][inside], prices["high"][inside])
    image = raster(shown, start_ns=start_ns, end_ns=end_ns, low=low, high=high)
    positive = image.usd_per_percent[image.usd_per_percent > 0]
    top = float(np.quantile(positive, 0.995)) if len(positive) else 1.0
    norm = PowerNorm(0.5, vmin=0.0, vmax=top, clip=True)
    figure = canvas(11.0, 5.0)
    stated = shown[-1].notional_interval is not None
    cells = figure.add_gridspec(2, 2 + stated, width_ratios=(60, *((11,) if stated else ()), 1))
    ax = figure.add_subplot(cells[:, 0])
    if stated:
        _draw_intervals(figure.add_subplot(cells[:, 1], sharey=ax), shown[-1])
    left, right = _days(np.array([image.start_ns, image.end_ns], dtype=np.int64))
    ax.imshow(
        _ink(image, norm),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(left, right, image.edges_ln[0], image.edges_ln[-1]),
    )
    _price_axis(ax, low, high)
    _draw_price(ax, prices, start_ns, end_ns)
    n_marked = _draw_episodes(ax, marks, start_ns, end_ns)
    handles = _episode_handles(start_ns, end_ns) if n_marked else []
    if _draw_prior(ax, shown):
        handles.append(Line2D([], [], color=GREY, lw=0.9, ls=":", label="beyond: prior only"))
    _time_axis(ax, start_ns, end_ns)
    if _has_range(prices, start_ns, end_ns):
        price_name += " (grey: low to high)"
    _legend(ax, image, price_name, handles)
    shorts, longs = (figure.add_subplot(cells[i, -1]) for i in (0, 1))
    _colour_bar(figure, shorts, _SHORTS, norm, "shorts\n$ per 1%")
    _colour_bar(figure, longs, _LONGS, norm, "longs\n$ per 1%")
    return Figure(
        name=name,
        title=title,
        caption=f"{_caption(symbol, image, shown, n_marked)} {_INTERVALS * stated}{closing}",
        alt=_alt(symbol, shown, start_ns, end_ns),
        data=as_png(figure),
    )


def _caption(symbol: str, image: Raster, shown: Sequence[Forecast], n_marked: int) -> str:
    spacing = issue_spacing(np.array([f.at for f in shown], dtype=np.int64))
    column = fmt.duration(image.width_ns / 1e9)
    mean = f", each column the mean of {column}" if image.width_ns > spacing else ""
    text = (
        f"Estimated notional that would be force-closed at each price, {fmt.one_line(symbol)}: "
        f"{fmt.count(len(shown))} forecasts, one every {fmt.duration(spacing / 1e9)}{mean}. "
        "Blue: longs, below the price. Orange: shorts, above it. Darker is more; the colour "
        "follows the square root, so that thin levels stay visible, and saturates at the top 0.5%."
    )
    if n_marked:
        whole = (
            "Ruled: the near edges"
            if _is_long(image.start_ns, image.end_ns)
            else "Outlined: the bands"
        )
        text += (
            f" {whole} of the {fmt.count(n_marked)} scored episodes of the 24 h horizon, as "
            "frozen at birth, until the visit or the end of the window."
        )
    return text


def _alt(symbol: str, shown: Sequence[Forecast], start_ns: Ns, end_ns: Ns) -> str:
    marks = [f.mark for f in shown]
    lowest, highest = fmt.price(min(marks)), fmt.price(max(marks))
    return (
        f"Heat map of estimated liquidation notional for {fmt.one_line(symbol)} by time and "
        f"price, {fmt.instant(start_ns)} to {fmt.instant(end_ns)}, with the price through it: "
        f"from {fmt.price(marks[0])} to {fmt.price(marks[-1])}, lowest {lowest}, "
        f"highest {highest}."
    )


_COLUMNS: Final = (
    "horizon_ns",
    "at",
    "near",
    "far",
    "censor",
    "visited",
    "visit_ns",
    "birth",
)


def episode_marks(run: Run, symbol: str) -> EpisodeMarks:
    """Return the scored episodes of the primary horizon, 24 h, of one market.

    Parameters
    ----------
    run : Run
        A finished run, whose outcomes hold a row for each horizon, forecast and cluster.
    symbol : str
        The market.
    """
    table = run.outcomes(market=symbol)
    rows = {name: table[name].to_numpy() for name in _COLUMNS}
    mine = table["market"].to_numpy() == symbol
    keep = (
        mine & (rows["horizon_ns"] == DAY_NS) & rows["birth"].astype(bool) & (rows["censor"] == 0)
    )
    rows = {name: values[keep] for name, values in rows.items()}
    visited = rows["visited"] == 1
    return EpisodeMarks(
        born_ns=rows["at"],
        ended_ns=np.where(visited, rows["visit_ns"], rows["at"] + rows["horizon_ns"]),
        low=np.minimum(rows["near"], rows["far"]),
        high=np.maximum(rows["near"], rows["far"]),
        near_edge=rows["near"],
        visited=visited,
    )
