"""The figure of the 85 % audit: where no information scores it, and what the map scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, SHORT, Figure, as_png, canvas, label

READING_WORDS: Final = {
    "nearest": "Nearest cluster visited",
    "either_side": "Nearest above or nearest below visited",
    "first_side": "Crowded side's nearest touched first",
    "first_side_decided": "The same, where either is touched",
    "direction": "Price ends on the crowded side",
}
_PANELS: Final = ("nearest", "either_side", "first_side", "direction")
_ASKS: Final = {
    "nearest": "(a) Is the nearest\ncluster visited?",
    "either_side": "(b) Is the nearest above or\nthe nearest below visited?",
    "first_side": "(c) Is the crowded side's\ntouched first?",
    "direction": "(d) Does the price end\non the crowded side?",
}
_AXES: Final = {
    "nearest": "distance of one level,\nσ of the horizon",
    "either_side": "distance of both levels, σ",
    "first_side": "distance of both levels, σ",
    "direction": "least move that counts, σ",
}
_TOP_SIGMA: Final = 2.0
_FEW: Final = 30
_SHADE: Final = LinearSegmentedColormap.from_list("shade", ["#ffffff", "#8a8a8a"])
_HALO: Final = [withStroke(linewidth=2.6, foreground="white")]


def plane_figure(value: Mapping[str, Any], *, name: str) -> Figure:
    """Draw the plane of each reading, and under it what the map scores beside no information.

    Parameters
    ----------
    value : mapping
        The audit as plain values.
    name : str
        File name, a PNG.
    """
    figure = canvas(13.0, 7.6)
    axes = figure.subplots(2, len(_PANELS), sharex=True, height_ratios=(1.15, 1.0))
    markets = fmt.list_words([label(str(s)) for s in value["symbols"]])
    target = fmt.percent(value["target"], 0)
    figure.suptitle(
        f"Where is a hit rate of {target} worth nothing? {markets}, {value['n_days']} days",
        fontsize=13,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    for column, reading in enumerate(_PANELS):
        shade = _plane(axes[0, column], value, reading)
        _rates(axes[1, column], value, reading)
    axes[1, 0].set_ylabel("hit rate, %")
    _rate_legend(axes[1, -1])
    bar = figure.colorbar(shade, ax=axes[0, :].tolist(), pad=0.01, aspect=22)
    bar.set_label("hit rate with no information,\nthese prices")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.0f}%"))
    return Figure(
        name=name,
        title=f"Where {target} lies, with no information and with the map",
        caption=(
            "Above: the share of windows in which plain levels at a distance (vertical, in "
            "standard deviations of the price over the horizon) are touched within a time "
            "(horizontal), on these prices and with no map at all; (c) and (d) are called by a "
            f"coin. {target} is "
            "scored on and below the thick line (these prices) or the dashed one (Brownian); "
            "the labels give the distance in percent of the price. White dots with bars: where the "
            "map's own clusters lie, median and quartiles. "
            "Below: the map's hit rate with its 95 % interval of day blocks (round; small: fewer "
            f"than {_FEW} windows), beside what no information scores at the same distances: on "
            "Brownian motion, and the same calls held against all other times. "
            "The map has skill only where its dots stand clear of both lines."
        ),
        alt=(
            f"Four planes of horizon and distance with the {target} contour, and under each the "
            "hit rate of the map by horizon beside two no-information nulls."
        ),
        data=as_png(figure, dpi=130),
    )


def _hours(value: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    return np.array([fmt.horizon_hours(row["horizon"]) for row in value["levels"]])


def _time_axis(ax: Axes, value: Mapping[str, Any]) -> None:
    hours = _hours(value)
    ax.set_xscale("log")
    ax.set_xticks(hours, [str(row["horizon"]) for row in value["levels"]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(hours[0] / 1.35, hours[-1] * 1.35)


def _rows(value: Mapping[str, Any], reading: str) -> list[Mapping[str, Any]]:
    return [
        row
        for row in value["readings"]
        if row["symbol"] == "pooled" and row["reading"] == reading and row["hit_rate"]["n_episodes"]
    ]


def _plane(ax: Axes, value: Mapping[str, Any], reading: str) -> Any:
    """Draw what no information scores; return the shading, for its scale."""
    levels: Sequence[Mapping[str, Any]] = value["levels"]
    away = np.array(levels[0]["distance_sigma"])
    seen = away <= _TOP_SIGMA + 1e-9
    column = "real_level" if reading == "nearest" else "real_pair"
    rate = np.array([row[column] for row in levels])[:, seen].T
    if reading == "first_side":
        rate = rate / 2.0
    elif reading == "direction":
        rate = np.full_like(rate, 0.5)
    hours = _hours(value)
    # one column a horizon, edges half-way between on the log axis: nothing is smoothed
    middle = np.sqrt(hours[1:] * hours[:-1])
    edges = np.concatenate([[hours[0] / 1.35], middle, [hours[-1] * 1.35]])
    step = away[1] - away[0]
    rungs = np.append(away[seen] - step / 2.0, _TOP_SIGMA + step / 2.0)
    shade = ax.pcolormesh(edges, rungs, rate, cmap=_SHADE, vmin=0.0, vmax=1.0, rasterized=True)
    _time_axis(ax, value)
    ax.set_ylim(0.0, _TOP_SIGMA)
    ax.set_title(_ASKS[reading], fontsize=10)
    ax.set_ylabel(_AXES[reading])
    if reading in {"nearest", "either_side"}:
        _contour(ax, value, "level" if reading == "nearest" else "pair")
    else:
        target = fmt.percent(value["target"], 0)
        ax.text(
            0.5,
            0.9,
            f"{target} is nowhere here:\na coin scores at most 50%",
            transform=ax.transAxes,
            ha="center",
            va="top",
            fontsize=9,
            path_effects=_HALO,
        )
    if reading != "direction":
        _map_places(ax, value, reading)
    return shade


def _contour(ax: Axes, value: Mapping[str, Any], kind: str) -> None:
    """Draw where the target lies, on these prices and on Brownian motion."""
    hours = _hours(value)
    real = np.array([fmt.number(row[f"reach_{kind}"]) for row in value["levels"]])
    walk = np.array([fmt.number(row[f"brownian_reach_{kind}"]) for row in value["levels"]])
    target = fmt.percent(value["target"], 0)
    ax.plot(hours, real, color="white", linewidth=6.5)  # an edge, for those who print in grey
    ax.plot(hours, real, color=SHORT, linewidth=3.2, marker="s", markersize=5)
    ax.plot(hours, walk, color=INK, linewidth=1.6, linestyle=(0, (4, 2)))
    if kind == "pair":
        ax.text(
            hours[0],
            0.1,
            f"below it any pair\nscores {target}",
            fontsize=8.5,
            va="center",
            path_effects=_HALO,
        )
    marked = [i for i, row in enumerate(value["levels"]) if row["horizon"] in {"4h", "24h", "7d"}]
    for i in marked:
        if not np.isnan(real[i]):
            away = real[i] * value["levels"][i]["sigma_h"]
            percent = fmt.percent(away, 1 if away >= 0.001 else 2)
            sign = "" if kind == "level" else "±"
            ax.annotate(
                f"{sign}{percent}",
                (hours[i], real[i]),
                xytext=(-8 if i + 1 == len(hours) else 0, -14 if kind == "pair" else 9),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
                color=INK,
                path_effects=_HALO,
            )
    handles = [
        Line2D([], [], color=SHORT, linewidth=3.2, marker="s", markersize=5),
        Line2D([], [], color=INK, linewidth=1.6, linestyle=(0, (4, 2))),
        Line2D([], [], color=INK, marker="o", markerfacecolor="white", markersize=6),
    ]
    texts = [f"{target}, these prices", f"{target}, Brownian", "the map's clusters"]
    ax.legend(handles, texts, loc="upper right", frameon=True, framealpha=0.92, edgecolor="none")


def _map_places(ax: Axes, value: Mapping[str, Any], reading: str) -> None:
    rows = _rows(value, reading)
    hours = np.array([fmt.horizon_hours(row["horizon"]) for row in rows])
    quartiles = np.array([[fmt.number(x) for x in row["distance_sigma"]] for row in rows])
    if not len(rows):
        return
    low, middle, high = quartiles.T
    ax.vlines(hours, low, high, color=INK, linewidth=1.4)
    ax.plot(
        hours, middle, linestyle="", marker="o", markersize=6, color=INK, markerfacecolor="white"
    )


def _rates(ax: Axes, value: Mapping[str, Any], reading: str) -> None:
    """Draw the map's hit rates beside what no information scores."""
    _time_axis(ax, value)
    ax.axhline(100 * value["target"], color=SHORT, linewidth=1.4)
    ax.text(
        0.015,
        100 * value["target"] + 1.5,
        fmt.percent(value["target"], 0),
        transform=ax.get_yaxis_transform(),
        color=SHORT,
        fontsize=9,
        fontweight="bold",
        va="bottom",
    )
    rows = _rows(value, reading)
    hours = np.array([fmt.horizon_hours(row["horizon"]) for row in rows])
    for null, colour, marker, dash in (
        ("brownian", INK, "", (0, (4, 2))),
        ("other_times", GREY, "x", "-"),
    ):
        rates = [100 * fmt.number(row["null"].get(null)) for row in rows]
        ax.plot(hours, rates, color=colour, marker=marker, linestyle=dash, linewidth=1.5)
    for row in rows:
        _dot(ax, row)
    ax.set_ylim(0, 103)
    ax.set_xlabel("within (horizon)")
    ax.grid(axis="y", color="#e2e2e2", linewidth=0.6)
    ax.set_axisbelow(True)


def _dot(ax: Axes, row: Mapping[str, Any]) -> None:
    """Draw one hit rate of the map with its interval, small where it rests on few windows."""
    rate = row["hit_rate"]
    x = fmt.horizon_hours(row["horizon"])
    few = rate["n_episodes"] < _FEW
    low, high = 100 * fmt.number(rate["ci_low"]), 100 * fmt.number(rate["ci_high"])
    ax.plot([x, x], [low, high], color=LONG, linewidth=1.0 if few else 2.0)
    ax.plot(x, 100 * rate["value"], marker="o", color=LONG, markersize=4.0 if few else 6.5)


def _rate_legend(ax: Axes) -> None:
    handles = [
        Line2D([], [], color=LONG, marker="o", linewidth=2.0),
        Line2D([], [], color=INK, linewidth=1.5, linestyle=(0, (4, 2))),
        Line2D([], [], color=GREY, linewidth=1.5, marker="x"),
    ]
    texts = ["the map, 95% interval", "no information: Brownian", "no information: other times"]
    ax.legend(handles, texts, loc="lower left", frameon=True, framealpha=0.92, edgecolor="none")
