"""Figures of a run's curves: dose and drift, first arrivals, rankings. None computes a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas
from liqbt.report.tables import PROBABILITIES
from liqbt.types import HOUR_NS

Rows = Sequence[Mapping[str, Any]]

_WIDE: Final = 11.0
_Z: Final = 1.96
_BARS: Final = "Bars: 1.96 standard errors by day, for the eye; no verdict rests on them."


def _number(row: Mapping[str, Any], key: str) -> float:
    return fmt.number(row[key])


def _values(rows: Rows, key: str, scale: float = 1.0) -> np.ndarray:
    return scale * np.array([_number(row, key) for row in rows])


def dose_figure(dose: Rows, drift: Rows, *, name: str) -> Figure:
    """Draw visits by density rank, their excess over what was foretold, and drift by near mass.

    Parameters
    ----------
    dose, drift : sequence of mapping
        Of a run's curves; one of the two may be empty.
    name : str
        File name.
    """
    figure = canvas(_WIDE, 3.1)
    panels = figure.subplots(1, 3, squeeze=False)[0]
    if dose:
        _draw_dose(panels[0], panels[1], dose)
    if drift:
        _draw_drift(panels[2], drift)
    for ax, there in zip(panels, (dose, dose, drift), strict=True):
        if not there:
            ax.set_axis_off()
            ax.text(0.5, 0.5, "not stored by this run", ha="center", color=GREY)
    said = [
        f"density rank {row['low']:g} to {row['high']:g}: visited "
        f"{fmt.percent(_number(row, 'visited'), 0)}, foretold without the map "
        f"{fmt.percent(_number(row, 'without_map'), 0)}"
        for row in dose
    ] + [
        f"near asymmetry {fmt.fixed(_number(row, 'near'), 2, signed=True)}: drift "
        f"{fmt.fixed(_number(row, 'drift'), 2, signed=True)} σ a day"
        for row in drift
    ]
    return Figure(
        name=name,
        title="Dose: visits by density. Drift: where the price went by near mass",
        caption=(
            "Left and middle: one level in the middle of each distance band, above and below, at "
            "landmarks a day apart, within 24 h, by fifth of density rank in its band; middle: "
            "visited less foretold without the map. A map that tells nothing lies on zero there. "
            "Right: mean return of the next 4 h, jumps left out, by fifth of near asymmetry; "
            f"nothing is held constant, so that momentum shows too. {_BARS}"
        ),
        alt=f"Dose and drift. {'; '.join(said) or 'nothing stored'}.",
        data=as_svg(figure),
    )


def _draw_dose(left: Axes, right: Axes, rows: Rows) -> None:
    x = np.arange(len(rows), dtype=np.float64)
    left.plot(x, _values(rows, "visited", 100), "o-", color=LONG, ms=5, label="visited")
    left.plot(
        x, _values(rows, "without_map", 100), "D--", color=SHORT, ms=4, label="without the map"
    )
    left.plot(x, _values(rows, "brownian", 100), "s:", color=NULL, ms=4, label="random walk")
    left.set_ylim(bottom=0)
    left.set_ylabel("Visited within 24 h, %")
    left.legend(fontsize=8, loc="best")
    _excess(right, x, rows, "excess", 100)
    right.set_ylabel("Less foretold without the map, points")
    names = [f"{row['low']:g}–{row['high']:g}\nn {fmt.count(row['n'])}" for row in rows]
    for ax in (left, right):
        ax.set_xticks(x, names)
        ax.set_xlabel("Density rank")


def _excess(ax: Axes, x: np.ndarray, rows: Rows, key: str, scale: float) -> None:
    value, error = _values(rows, key, scale), _values(rows, "standard_error", scale)
    ax.axhline(0.0, color=INK, lw=0.9)
    ax.vlines(x, value - _Z * error, value + _Z * error, color=LONG, lw=1.4)
    ax.plot(x, value, "o", color=LONG, ms=5)


def _draw_drift(ax: Axes, rows: Rows) -> None:
    _excess(ax, _values(rows, "near"), rows, "drift", 1.0)
    ax.axvline(0.0, color="#d5d5d5", lw=0.8, zorder=0)
    ax.set_xlim(-1.05, 1.05)
    ax.set_xlabel("Near asymmetry: all below … all above")
    ax.set_ylabel("Drift of the next 4 h, σ a day")


def incidence_figure(rows: Rows, *, name: str) -> Figure:
    """Draw the share of episodes that was visited by each hour, beside their mirrors.

    Parameters
    ----------
    rows : sequence of mapping
        Of a run's curves, at least one.
    name : str
        File name.
    """
    horizons = list(dict.fromkeys(int(row["horizon_ns"]) for row in rows))
    figure = canvas(_WIDE, 3.3)
    panels = figure.subplots(1, len(horizons), squeeze=False)[0]
    said = []
    for ax, horizon in zip(panels, horizons, strict=True):
        for row in rows:
            if row["horizon_ns"] == horizon:
                dense = row["subset"] == "dense"
                colour = SHORT if dense else LONG
                ax.plot(row["hours"], 100 * np.array(row["visited"]), color=colour, lw=1.7)
                ax.plot(
                    row["hours"],
                    100 * np.array(row["mirror"]),
                    color=colour,
                    lw=1.2,
                    ls=(0, (4, 3)),
                )
                end = float(row["hours"][-1])
                ax.plot(
                    [end], [100 * _number(row, "brownian")], "s", color=colour, mfc="white", ms=6
                )
                said.append(
                    f"{end:g} h, {'dense' if dense else 'all'}, n {fmt.count(row['n'])}: visited "
                    f"{fmt.percent(row['visited'][-1], 0)}, mirror "
                    f"{fmt.percent(row['mirror'][-1], 0)}, random walk "
                    f"{fmt.percent(_number(row, 'brownian'), 0)}"
                )
        ax.set_title(f"within {horizon / HOUR_NS:g} h")
        ax.set_xlabel("Hours since watching began")
        ax.set_ylim(bottom=0)
        ax.set_xlim(0, horizon / HOUR_NS * 1.03)
    panels[0].set_ylabel("Visited so far, %")
    handles = [
        Line2D([], [], color=LONG, lw=1.7, label="all clusters"),
        Line2D([], [], color=SHORT, lw=1.7, label="top fifth by density rank"),
        Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 3)), label="their mirrors"),
        Line2D(
            [], [], color=INK, ls="", marker="s", mfc="white", ms=6, label="random walk, by the end"
        ),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    return Figure(
        name=name,
        title="When clusters are visited, beside their mirrors",
        caption=(
            "Episodes at their birth, geometry frozen, all markets; windows that were not watched "
            "to their end are left out. A line means something only where it leaves its mirror's "
            "and ends above its square. Withdrawal of a level is no competing event here: a "
            "mirror cannot withdraw, and when a level was withdrawn is not stored."
        ),
        alt=f"Cumulative incidence. {'; '.join(said)}.",
        data=as_svg(figure),
    )


_LOOKS: Final = {"full": (LONG, "-"), "ablated": (SHORT, "--"), "brownian": (NULL, ":")}


def ranking_figure(ranking: Rows, molchan: Rows, *, name: str) -> Figure:
    """Draw the Molchan diagram, ROC and precision by recall of clusters' probabilities.

    Parameters
    ----------
    ranking, molchan : sequence of mapping
        Of a run's curves, each at least one.
    name : str
        File name.
    """
    figure = canvas(_WIDE, 3.6)
    first, second, third = figure.subplots(1, 3, squeeze=False)[0]
    for row in molchan:
        first.plot(100 * np.array(row["alarm"]), 100 * np.array(row["missed"]), color=LONG, lw=1.6)
    first.plot([0, 100], [100, 0], color=INK, lw=0.9)
    first.set(title="Molchan: the map's gain", xlabel="Alarm, % of foretold visits")
    first.set_ylabel("Visits missed, %")
    second.plot([0, 100], [0, 100], color=INK, lw=0.9)
    for row in ranking:
        colour, style = _LOOKS[str(row["probability"])]
        true = 100 * np.array(row["true_rate"])
        second.plot(100 * np.array(row["false_rate"]), true, color=colour, ls=style, lw=1.5)
        third.plot(true, 100 * np.array(row["precision"]), color=colour, ls=style, lw=1.5)
    base = 100.0 * float(ranking[0]["visits"]) / float(ranking[0]["n"])
    third.axhline(base, color=INK, lw=0.9)
    second.set(title="ROC", xlabel="Not visited, flagged, %", ylabel="Visited, flagged, %")
    third.set(
        title="Precision by recall", xlabel="Visited, flagged, %", ylabel="Flagged, visited, %"
    )
    third.set_ylim(0, 103)
    for ax in (first, second):
        ax.set_aspect("equal")
    handles = [
        Line2D([], [], color=colour, ls=style, lw=1.5, label=PROBABILITIES[key])
        for key, (colour, style) in _LOOKS.items()
    ]
    handles.append(Line2D([], [], color=INK, lw=0.9, label="no skill"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    said = [
        f"{PROBABILITIES[str(row['probability'])]}: area under the ROC "
        f"{fmt.fixed(row['area'], 3)}, "
        f"mean precision {fmt.fixed(row['precision_area'], 3)}"
        for row in ranking
    ]
    skill = fmt.fixed(_number(molchan[0], "skill"), 3, signed=True)
    return Figure(
        name=name,
        title="How well probabilities of a visit rank clusters",
        caption=(
            "Clusters at the birth of their episode, 24 h, all markets. Molchan: clusters in the "
            "order of P(visit) with the map over that without it; alarm is measured by the visits "
            "that were foretold without the map, so that a map that adds nothing stays on the "
            "diagonal. Distance alone ranks clusters well, so that an ROC says something only "
            "beside the lines without the map. No intervals: see the gains of section 11."
        ),
        alt=f"Molchan skill {skill} (0 on the diagonal). {'; '.join(said)}.",
        data=as_svg(figure),
    )
