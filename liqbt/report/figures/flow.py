"""The flow of counts: how many are left from forecasts to scored episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, Figure, as_svg, canvas, label

_STEPS = (
    ("snapshots", "forecasts", 0.0),
    ("clusters", "clusters issued", 2.0),
    ("eligible", "eligible", 5.4),
    ("episodes", "episodes", 7.4),
    ("scored", "scored", 9.9),
)
_BOX = 1.4


def _draw_flow_row(ax: Axes, y: float, row: Mapping[str, Any]) -> None:
    left = -1.0
    for key, word, x in _STEPS:
        shape = "round,pad=0,rounding_size=0.08"
        ax.add_patch(FancyBboxPatch((x, y - 0.3), _BOX, 0.6, boxstyle=shape, fc="#f2f5f9", ec=GREY))
        ax.text(x + _BOX / 2, y + 0.06, fmt.count(int(row[key])), ha="center", weight="bold")
        ax.text(x + _BOX / 2, y - 0.2, word, ha="center", fontsize=8, color=GREY)
        if left >= 0.0:
            tips = ((left + 0.06, y), (x - 0.05, y))
            arrow = FancyArrowPatch(*tips, arrowstyle="-|>", mutation_scale=9, color=GREY)
            ax.add_patch(arrow)
        left = x + _BOX
    elsewhere = int(row["clusters"]) - int(row["inside"]) - int(row["eligible"])
    lost = [fmt.count(-n) for n in (int(row["inside"]), elsewhere, int(row["censored"]))]
    for x, above, below in (
        (4.4, f"{lost[0]} inside", f"{lost[1]} too near, far"),
        (9.35, lost[2], "censored"),
    ):
        ax.text(x, y + 0.09, above, ha="center", fontsize=8)
        ax.text(x, y - 0.24, below, ha="center", fontsize=8)


def flow_figure(rows: Sequence[Mapping[str, Any]], symbols: Sequence[str], *, name: str) -> Figure:
    """Draw the counts from snapshots to scored episodes, a line per market and horizon.

    Parameters
    ----------
    rows : sequence of mapping
        The run's `flow`.
    symbols : sequence of str
        The markets in order.
    name : str
        File name.
    """
    order = {symbol: i for i, symbol in enumerate(symbols)}
    shown = [row for row in rows if row["symbol"] in order]
    shown.sort(key=lambda r: (order[r["symbol"]], fmt.horizon_hours(str(r["horizon"]))))
    figure = canvas(11.0, 0.62 * len(shown) + 0.25)
    ax = figure.add_subplot()
    ax.set_axis_off()
    ax.set_xlim(-2.3, 11.35)
    ax.set_ylim(-0.8 * max(len(shown), 1) + 0.4, 0.4)
    for i, row in enumerate(shown):
        _draw_flow_row(ax, -0.8 * i, row)
        text = f"{label(row['symbol'])}, {fmt.horizon_words(str(row['horizon']))}"
        ax.text(-0.15, -0.8 * i, text, ha="right", va="center")
    parts = [
        f"{fmt.one_line(str(r['symbol']))} {fmt.horizon_words(str(r['horizon']))}: "
        + ", ".join(f"{fmt.count(int(r[key]))} {word}" for key, word, _ in _STEPS)
        + f" ({fmt.count(int(r['censored']))} censored)"
        for r in shown
    ]
    return Figure(
        name=name,
        title="From forecasts to scored episodes",
        caption=(
            "Each cluster is re-issued with every forecast; an episode counts it once. Eligible: "
            "at a distance that is scored. Inside: already reached at issue, "
            "never a hit. Censored: the window runs into a data gap or the end of the data, "
            "whether or not a visit came first. Forecasts of the warm-up are on the maps, and are "
            "not counted here."
        ),
        alt=f"Flow of counts. {'; '.join(parts)}.",
        data=as_svg(figure),
    )
