"""Charts of scores and counts: bands, forest, reliability, flow. None computes a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.statistic import Statistic, Unit
from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas, label
from liqbt.report.scores import find, horizons, value_cell
from liqbt.report.tables import PROBABILITIES
from liqbt.types import Score

_PANELS: Final = 3
"""Statistics that have a panel each."""


def _band_name(row: Mapping[str, Any]) -> str:
    return f"{float(row['band_low']):g}–{float(row['band_high']):g}"


def _draw_bands(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    x = np.arange(len(rows), dtype=np.float64)
    rate, low, high, null, mirror = (
        np.array([float(row[key]) * 100 for row in rows])
        for key in ("hit_rate", "ci_low", "ci_high", "null", "mirror_rate")
    )
    ax.hlines(null, x - 0.3, x + 0.02, color=INK, lw=2.2)
    ax.vlines(x - 0.14, low, high, color=LONG, lw=1.4, zorder=3)
    ax.plot(x - 0.14, rate, "o", ms=5.5, color=LONG, zorder=4)
    ax.plot(x + 0.2, mirror, "D", ms=5, mfc="white", mec=SHORT, mew=1.4)
    ax.set_xticks(
        range(len(rows)),
        [f"{_band_name(row)}\nn = {fmt.count(int(row['n_episodes']))}" for row in rows],
    )
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_ylim(-2, 102)
    ax.set_yticks(range(0, 101, 20))
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)


def bands_figure(
    rows: Sequence[Mapping[str, Any]], symbols: Sequence[str], *, name: str, most: int = 4
) -> Figure:
    """Draw hit rate, null and mirror rate by distance band, a panel per market and horizon.

    Parameters
    ----------
    rows : sequence of mapping
        The run's `bands`.
    symbols : sequence of str
        The markets in order; the first `most` are drawn.
    name : str
        File name.
    most : int
        Rows of panels at most.
    """
    shown, columns = list(symbols)[:most], horizons(rows)
    figure = canvas(11.0, 2.6 * len(shown) + 0.55)
    grid = figure.subplots(len(shown), len(columns), sharey=True, squeeze=False)
    for i, symbol in enumerate(shown):
        for j, horizon in enumerate(columns):
            ax = grid[i][j]
            mine = [r for r in rows if r["symbol"] == symbol and r["horizon"] == horizon]
            _draw_bands(ax, sorted(mine, key=lambda r: float(r["band_low"])))
            ax.set_title(f"{label(symbol)}, {fmt.horizon_words(horizon)}")
        grid[i][0].set_ylabel("Clusters visited, %")
    for ax in grid[-1]:
        ax.set_xlabel("Distance at birth, σ of the horizon")
    handles = [
        Line2D([], [], color=LONG, marker="o", ms=5.5, lw=1.4, label="hit rate, 95% interval"),
        Line2D([], [], color=INK, lw=2.2, label="null: random walk of the same volatility"),
        Line2D([], [], ls="", marker="D", ms=5, mfc="white", mec=SHORT, mew=1.4, label="mirror"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    more = fmt.further(len(symbols) - len(shown), "market", "the table of scores")
    return Figure(
        name=name,
        title="Hit rate beside its null, by distance",
        caption=(
            "Share of episodes whose near edge the price touched, beside what a driftless random "
            "walk of the same volatility would touch (bar) and what the mirror images at the same "
            "distance on the other side saw (diamond). A hit rate means something only where it "
            f"leaves both. n: episodes.{more}"
        ),
        alt=_bands_alt(rows, shown),
        data=as_svg(figure),
    )


def _bands_alt(rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> str:
    parts = [
        f"{fmt.horizon_words(str(r['horizon']))} {_band_name(r)} σ: hit rate "
        f"{fmt.percent(float(r['hit_rate']), 0)}, null {fmt.percent(float(r['null']), 0)}, "
        f"mirror {fmt.percent(float(r['mirror_rate']), 0)}, n {fmt.count(int(r['n_episodes']))}"
        for r in rows
        if r["symbol"] == shown[0]
    ]
    return f"Hit rate, null and mirror by distance, {fmt.one_line(shown[0])}. {'; '.join(parts)}."


_Rows: TypeAlias = "list[tuple[str, str, str, str]]"
"""Symbol, horizon, side and what the row is called."""


def _forest_rows(
    scores: Sequence[Score], symbols: Sequence[str], sides: Sequence[str], most: int = 60
) -> _Rows:
    """Name the rows of panels that share them: market and horizon where they begin, then side."""
    spans = horizons(scores)
    keys = [(s, h, side) for s in symbols for h in spans for side in sides]
    if len(keys) > most:
        keys = [key for key in keys if key[2] == "both" or key[0] == symbols[0]]
    rows, before = [], ("", "")
    for symbol, horizon, side in keys:
        market = label(symbol, 14) if symbol != before[0] else ""
        new = (symbol, horizon) != before
        span = fmt.horizon_words(horizon) if new else ""
        name = f"{market} {span:>5}" + (f"  {side:<5}" if len(sides) > 1 else "")
        rows.append((symbol, horizon, side, name))
        before = (symbol, horizon)
    return rows


_MARKERS = {"both": (INK, "s"), "long": (LONG, "v"), "short": (SHORT, "^")}


def _draw_lifts(ax: Axes, scores: Sequence[Score | None], scale: float) -> None:
    """Draw one panel: score `i` at height `-i`, a dash where there is none."""
    absent = [i for i, s in enumerate(scores) if s is None or math.isnan(s.value)]
    for i in absent:
        ax.text(0.0, -i, fmt.DASH, ha="center", va="center", fontsize=8, color=GREY)
    known = [(-float(i), s) for i, s in enumerate(scores) if s is not None and i not in absent]
    y = np.array([height for height, _ in known])
    mde = np.array([s.mde * scale for _, s in known])
    ax.plot(np.r_[mde, -mde], np.r_[y, y], marker="|", ms=8, mew=1.1, color=NULL, ls="", zorder=2)
    for side, (colour, marker) in _MARKERS.items():
        mine = [(height, s) for height, s in known if s.side == side]
        at = [height for height, _ in mine]
        value, low, high = (
            [getattr(s, key) * scale for _, s in mine] for key in ("value", "ci_low", "ci_high")
        )
        ax.hlines(at, low, high, color=colour, lw=1.5, zorder=3)
        ax.plot(value, at, marker=marker, ms=5, color=colour, ls="", zorder=4)


def _limit(scores: Sequence[Score], scale: float, least: float) -> float:
    """Return how far from zero an axis reaches: as far as values, intervals and what is seen."""
    values = [
        abs(v) * scale
        for s in scores
        for v in (s.ci_low, s.ci_high, s.mde, s.value)
        if math.isfinite(v)
    ]
    return max([*values, least]) * 1.06


def forest_figure(
    scores: Sequence[Score],
    symbols: Sequence[str],
    statistics: Sequence[Statistic],
    smallest: Mapping[str, float],
    *,
    name: str,
    title: str,
) -> Figure:
    """Draw differences with their intervals around zero, by market, horizon and side.

    Up to three statistics have a panel each, whose rows they share. More of them share one panel,
    a row for each and horizon, of the first market, both sides together.

    Parameters
    ----------
    scores : sequence of Score
        Of these statistics.
    symbols : sequence of str
        The markets in order.
    statistics : sequence of Statistic
        Differences of one unit.
    smallest : mapping of str to float
        Smallest effect of interest of a statistic, where it has one: a dashed line.
    name, title : str
        File name, and what stands above the figure.
    """
    wide = len(statistics) <= _PANELS
    if wide:
        sides = [side for side in _MARKERS if any(side in one.sides for one in statistics)]
        rows = _forest_rows(scores, symbols, sides)
        columns = {
            one.heading: [find(scores, one.id, *row[:3]) for row in rows] for one in statistics
        }
    else:
        sides, keys = ["both"], [(one, h) for one in statistics for h in horizons(scores)]
        found = [(one, h, find(scores, one.id, symbols[0], h)) for one, h in keys]
        held = [(one, h, score) for one, h, score in found if score is not None]
        rows = [(one.id, h, "both", f"{one.heading}, {fmt.horizon_words(h)}") for one, h, _ in held]
        columns = {label(symbols[0]): [score for _, _, score in held]}
    shown = [score for column in columns.values() for score in column if score is not None]
    unit = statistics[0].unit
    effects = [smallest.get(one.id) for one in statistics]
    if not wide:
        effects = effects[:1] if len(set(effects)) == 1 else [None]
    limit = _limit(shown, unit.scale, 2.0 * unit.scale * max([e for e in effects if e] or [0.0]))
    limit = limit or unit.scale  # where everything is nothing
    figure = canvas(11.0, 0.21 * len(rows) + 1.5)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for ax, (heading, column), effect in zip(panels, columns.items(), effects, strict=True):
        ax.axvline(0.0, color=INK, lw=0.9, zorder=1)
        if effect is not None:
            ax.axvline(effect * unit.scale, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1)
        _draw_lifts(ax, column, unit.scale)
        for i in range(1, len(rows)):
            if rows[i - 1][0] != rows[i][0]:
                ax.axhline(-i + 0.5, color=GREY, lw=0.6)
            elif rows[i - 1][1] != rows[i][1]:
                ax.axhline(-i + 0.5, color="#d5d5d5", lw=0.5)
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-len(rows) + 0.4, 0.6)
        ax.set_title(heading)
        ax.set_xlabel(unit.name.capitalize())
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    family = "DejaVu Sans Mono" if wide else "DejaVu Sans"
    panels[0].set_yticks(
        [-float(i) for i in range(len(rows))], [row[3] for row in rows], family=family
    )
    drawn = [one for one in effects if one is not None]
    figure.legend(handles=_forest_handles(sides, drawn, unit), loc="outside upper left", ncols=5)
    return Figure(
        name=name,
        title=title,
        caption=(
            f"Differences in {unit.name} with 95% intervals; grey ticks: what could have been seen."
        ),
        alt=_forest_alt(title, columns, unit),
        data=as_svg(figure),
    )


def _forest_handles(sides: Sequence[str], effects: Sequence[float], unit: Unit) -> list[Line2D]:
    words = {"both": "both sides", "long": "longs (below)", "short": "shorts (above)"}
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=5, lw=1.5, label=words[side])
        for side, (colour, marker) in _MARKERS.items()
        if side in sides
    ]
    text = "± detectable effect"
    handles.append(Line2D([], [], color=NULL, marker="|", ms=8, mew=1.1, ls="", label=text))
    if effects:
        sizes = " and ".join(f"{effect * unit.scale:.2g}" for effect in dict.fromkeys(effects))
        text = f"smallest effect of interest ({sizes})"
        handles.append(Line2D([], [], color=GREY, lw=0.9, ls=(0, (4, 3)), label=text))
    return handles


def _forest_alt(title: str, columns: Mapping[str, Sequence[Score | None]], unit: Unit) -> str:
    parts = [
        f"{fmt.one_line(score.symbol)} {fmt.horizon_words(score.horizon)}, "
        f"{statistic_of(score.statistic).heading}: {value_cell(score)}"
        for column in columns.values()
        for score in column
        if score is not None and score.side == "both"
    ]
    return f"{title}, {unit.name}, both sides: {'; '.join(parts) or 'none'}."


_LOOKS: Final = {"full": (LONG, "o"), "ablated": (SHORT, "D"), "brownian": (NULL, "s")}


def reliability_figure(rows: Sequence[Mapping[str, Any]], *, name: str) -> Figure:
    """Draw observed frequencies by issued probability, a panel for each probability.

    Parameters
    ----------
    rows : sequence of mapping
        The run's `reliability`.
    name : str
        File name.
    """
    figure = canvas(11.0, 4.0)
    panels = figure.subplots(1, len(_LOOKS), sharey=True, squeeze=False)[0]
    said = []
    for ax, (key, (colour, marker)) in zip(panels, _LOOKS.items(), strict=True):
        mine = [row for row in rows if row["probability"] == key]
        p, frequency, low, high = (
            np.array([100.0 * float(row[column]) for row in mine])
            for column in ("mean_probability", "frequency", "ci_low", "ci_high")
        )
        ax.plot([0, 100], [0, 100], color=INK, lw=0.9)
        ax.vlines(p, low, high, color=colour, lw=1.6)
        ax.plot(p, frequency, marker, color=colour, ms=5.5, ls="")
        for row, x in zip(mine, p, strict=True):
            ax.text(
                max(x, 4.0), -7, f"{int(row['n_episodes'])}", ha="center", fontsize=7, color=INK
            )
        ax.set(xlim=(0, 100), ylim=(-10, 103), title=PROBABILITIES[key].capitalize())
        ax.set_yticks(range(0, 101, 20))
        ax.set_xlabel("Probability issued, %")
        ax.set_aspect("equal")
        outside = sum(
            not low_ <= p_ <= high_
            for p_, low_, high_ in zip(p, low, high, strict=True)
            if not math.isnan(low_)
        )
        said.append(f"{PROBABILITIES[key]}: {outside} of {len(mine)} bins miss the diagonal")
    panels[0].set_ylabel("Clusters visited within 24 h, %")
    return Figure(
        name=name,
        title="Whether probabilities of a visit came true",
        caption=(
            "Clusters at the birth of their episode, by the probability that was issued then; all "
            "markets. On the diagonal a probability came true. Bars: 95% intervals from blocks of "
            "days, each for itself; below them how many episodes. Only episodes for which models "
            "had been fitted."
        ),
        alt="; ".join(said) + ".",
        data=as_svg(figure),
    )


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
