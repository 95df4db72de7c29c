"""Charts of scores: bands and lift forest. They draw rows; they compute none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas, label
from liqbt.report.select import find, horizons
from liqbt.types import Score


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


def _forest_rows(
    scores: Sequence[Score], symbols: Sequence[str], most: int = 60
) -> list[tuple[str, str, str]]:
    spans = horizons(s for s in scores if s.statistic in {"brownian_lift", "mirror_lift"})
    sides = ("both", "long", "short")
    rows = [(s, h, side) for s in symbols for h in spans for side in sides]
    if len(rows) > most:
        rows = [row for row in rows if row[2] == "both" or row[0] == symbols[0]]
    return rows


def _forest_name(rows: Sequence[tuple[str, str, str]], i: int) -> str:
    """Name row `i`: market and horizon where they begin, its side always."""
    symbol, horizon, side = rows[i]
    new_symbol = i == 0 or rows[i - 1][0] != symbol
    new_horizon = new_symbol or rows[i - 1][1] != horizon
    market = label(symbol, 14) if new_symbol else ""
    return f"{market} {fmt.horizon_words(horizon) if new_horizon else '':>5}  {side:<5}"


_MARKERS = {"both": (INK, "s"), "long": (LONG, "v"), "short": (SHORT, "^")}


def _draw_lifts(ax: Axes, scores: Sequence[Score | None]) -> None:
    """Draw one panel: score `i` at height `-i`, a dash where there is none."""
    absent = [i for i, s in enumerate(scores) if s is None or math.isnan(s.value)]
    for i in absent:
        ax.text(0.0, -i, fmt.DASH, ha="center", va="center", fontsize=8, color=GREY)
    known = [(-float(i), s) for i, s in enumerate(scores) if s is not None and i not in absent]
    y = np.array([height for height, _ in known])
    mde = np.array([s.mde * 100 for _, s in known])
    ax.plot(np.r_[mde, -mde], np.r_[y, y], marker="|", ms=8, mew=1.1, color=NULL, ls="", zorder=2)
    for side, (colour, marker) in _MARKERS.items():
        mine = [(height, s) for height, s in known if s.side == side]
        at = [height for height, _ in mine]
        value, low, high = (
            [getattr(s, key) * 100 for _, s in mine] for key in ("value", "ci_low", "ci_high")
        )
        ax.hlines(at, low, high, color=colour, lw=1.5, zorder=3)
        ax.plot(value, at, marker=marker, ms=5, color=colour, ls="", zorder=4)


def _forest_limit(scores: Sequence[Score]) -> float:
    values = [
        abs(v) * 100
        for s in scores
        if s.statistic in {"brownian_lift", "mirror_lift"}
        for v in (s.ci_low, s.ci_high, s.mde, s.value)
        if math.isfinite(v)
    ]
    return min(100.0, max([*values, 4.0]) * 1.06)


def forest_figure(
    scores: Sequence[Score], symbols: Sequence[str], smallest: float | None, *, name: str
) -> Figure:
    """Draw the lift over the random walk and over the mirror, a row per market, horizon and side.

    Parameters
    ----------
    scores : sequence of Score
        The run's scores.
    symbols : sequence of str
        The markets in order.
    smallest : float or None
        Smallest effect of interest as a fraction, drawn as a dashed line where it is stated.
    name : str
        File name.
    """
    rows = _forest_rows(scores, symbols)
    figure = canvas(11.0, 0.21 * len(rows) + 1.5)
    panels = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
    limit = _forest_limit(scores)
    wanted = (
        ("brownian_lift", "Lift over the random walk"),
        ("mirror_lift", "Lift over the mirror"),
    )
    for ax, (statistic, title) in zip(panels, wanted, strict=True):
        ax.axvline(0.0, color=INK, lw=0.9, zorder=1)
        if smallest is not None:
            ax.axvline(smallest * 100, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1)
        _draw_lifts(ax, [find(scores, statistic, *row) for row in rows])
        for i, (symbol, horizon, _) in enumerate(rows):
            if i and rows[i - 1][0] != symbol:
                ax.axhline(-i + 0.5, color=GREY, lw=0.6)
            elif i and rows[i - 1][1] != horizon:
                ax.axhline(-i + 0.5, color="#d5d5d5", lw=0.5)
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-len(rows) + 0.4, 0.6)
        ax.set_title(title)
        ax.set_xlabel("Percentage points")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    names = [_forest_name(rows, i) for i in range(len(rows))]
    panels[0].set_yticks([-float(i) for i in range(len(rows))], names, family="DejaVu Sans Mono")
    figure.legend(handles=_forest_handles(smallest), loc="outside upper left", ncols=5)
    return Figure(
        name=name,
        title="Lift by market, horizon and side",
        caption=(
            "How much more often clusters were visited than without the information under test, "
            "with 95% intervals. An interval that contains zero shows no effect. Grey ticks: the "
            "minimum detectable effect; anything nearer to zero could not reliably have been seen. "
            "The lift over the random walk also moves when volatility is misjudged; the lift over "
            "the mirror does not, but is biased when prices trend."
        ),
        alt=_forest_alt(scores, rows),
        data=as_svg(figure),
    )


def _forest_handles(smallest: float | None) -> list[Line2D]:
    handles = [
        Line2D([], [], color=INK, marker="s", ms=5, lw=1.5, label="both sides"),
        Line2D([], [], color=LONG, marker="v", ms=5, lw=1.5, label="longs (below)"),
        Line2D([], [], color=SHORT, marker="^", ms=5, lw=1.5, label="shorts (above)"),
        Line2D([], [], color=NULL, marker="|", ms=8, mew=1.1, ls="", label="± detectable effect"),
    ]
    if smallest is not None:
        text = f"smallest effect of interest ({fmt.fixed(smallest * 100, 1)})"
        handles.append(Line2D([], [], color=GREY, lw=0.9, ls=(0, (4, 3)), label=text))
    return handles


def _forest_alt(scores: Sequence[Score], rows: Sequence[tuple[str, str, str]]) -> str:
    parts = []
    for symbol, horizon, side in rows:
        score = find(scores, "mirror_lift", symbol, horizon, side)
        if side == "both" and score is not None:
            points = fmt.estimate(score.value, score.ci_low, score.ci_high, scale=100, signed=True)
            parts.append(f"{fmt.one_line(symbol)} {fmt.horizon_words(horizon)} {points}")
    return f"Lift over the mirror in points, both sides: {'; '.join(parts) or 'none'}."
