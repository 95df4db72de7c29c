"""Figures of the validity gate: size beside what chance allows, power against measured effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas
from liqbt.types import FloatArray

_LOOKS: Final = ((LONG, "o"), (SHORT, "^"))


def effect_axis(claim: str, statistic: str) -> tuple[str, float]:
    """Return what the truth measures of a claim, in words with the unit, and what it is times.

    Examples
    --------
    >>> effect_axis("magnet", "another of its statistics")
    ('Caused: visits, densest less sparsest, points', 100.0)
    """
    deciding = [one.statistic for one in REGISTER if one.id == claim]
    one = statistic_of(deciding[0] if deciding else statistic)
    return one.effect or one.label, one.unit.scale


def size_figure(cells: Sequence[Mapping[str, Any]], *, name: str) -> Figure:
    """Draw how often each test found something in each world where there is nothing.

    Parameters
    ----------
    cells : sequence of mapping
        Rows of `size` of the gate's document.
    name : str
        File name.
    """
    worlds = list(dict.fromkeys(str(cell["world"]) for cell in cells))
    tests = list(dict.fromkeys(str(cell["claim"]) for cell in cells))
    figure = canvas(11.0, 0.42 * len(worlds) + 1.6)
    ax = figure.add_subplot()
    for k, test in enumerate(tests):
        colour, marker = _LOOKS[k % len(_LOOKS)]
        mine = [cell for cell in cells if cell["claim"] == test]
        y = np.array([-worlds.index(str(cell["world"])) - 0.16 * (2 * k - 1) for cell in mine])
        n = np.array([float(cell["replications"]) for cell in mine])
        limit = 100.0 * np.array([float(cell["limit"]) for cell in mine]) / n
        ax.hlines(y, 0.0, limit, color="#d9d9d9", lw=7, zorder=1)
        found = 100.0 * np.array([float(cell["rejections"]) for cell in mine]) / n
        ax.plot(found, y, marker, color=colour, ms=6, zorder=3, label=f"{test} found something")
    ax.plot([], [], color="#d9d9d9", lw=7, label="what chance allows a right test")
    ax.axvline(2.5, color=INK, lw=1.0, ls=(0, (4, 3)), zorder=2, label="2.5%: as it says of itself")
    ax.set_yticks([-float(i) for i in range(len(worlds))], [w.replace("_", " ") for w in worlds])
    ax.set_xlim(0.0, None)
    ax.set_ylim(-len(worlds) + 0.4, 0.6)
    ax.set_xlabel("Share of markets without the effect in which the test found it, %")
    figure.legend(loc="outside upper left", ncols=4)
    fewest = min(int(cell["replications"]) for cell in cells)
    return Figure(
        name=name,
        title="How often each test finds what is not there",
        caption=(
            f"At least {fmt.count(fewest)} simulated markets of each world, in none of which "
            "liquidation levels tell anything. A mark beyond its grey bar blocks the test. A mark "
            "left of the dashed line is conservative: the test finds less than it might."
        ),
        alt="; ".join(
            f"{c['claim']} in {c['world']}: {c['rejections']} of {c['replications']}, at most "
            f"{c['limit']}"
            for c in cells
        ),
        data=as_svg(figure),
    )


def _wilson(share: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the 95% interval of a share: Wilson (1927), Probable inference, equation 4."""
    z = 1.96
    centre = (share + z**2 / (2.0 * n)) / (1.0 + z**2 / n)
    half = z * np.sqrt(share * (1.0 - share) / n + z**2 / (4.0 * n**2)) / (1.0 + z**2 / n)
    return np.asarray(centre - half), np.asarray(centre + half)


def power_figure(points: Sequence[Mapping[str, Any]], *, name: str) -> Figure:
    """Draw how often each test finds what was planted, against the effect from the truth.

    Parameters
    ----------
    points : sequence of mapping
        Rows of `power` of the gate's document.
    name : str
        File name.
    """
    tests = list(dict.fromkeys((str(p["claim"]), str(p["statistic"])) for p in points))
    figure = canvas(11.0, 3.9)
    panels = figure.subplots(1, len(tests), sharey=True, squeeze=False)[0]
    for ax, (claim, statistic) in zip(panels, tests, strict=True):
        mine = [p for p in points if (p["claim"], p["statistic"]) == (claim, statistic)]
        unit, scale = effect_axis(claim, statistic)
        for k, days in enumerate(sorted({int(p["days"]) for p in mine})):
            colour, marker = _LOOKS[k % len(_LOOKS)]
            rows = [p for p in mine if int(p["days"]) == days and p["effect"] is not None]
            rows.sort(key=lambda p: float(p["effect"]))
            x = np.array([scale * float(p["effect"]) for p in rows])
            n = np.array([float(p["replications"]) for p in rows])
            share = np.array([float(p["power"]) for p in rows])
            low, high = _wilson(share, n)
            ax.vlines(x, 100 * low, 100 * high, color=colour, lw=1.3)
            ax.plot(x, 100 * share, marker=marker, color=colour, ms=6, lw=1.2)
        ax.axhline(80.0, color=GREY, lw=0.9, ls=(0, (4, 3)))
        ax.axhline(2.5, color=NULL, lw=0.9, ls=":")
        ax.set_title(f"{claim}: {statistic_of(statistic).label}")
        ax.set_ylim(-2, 102)
        ax.set_xlabel(unit)
    for k, days in enumerate(sorted({int(p["days"]) for p in points})):
        colour, marker = _LOOKS[k % len(_LOOKS)]
        panels[0].plot([], [], marker=marker, color=colour, ms=6, lw=1.2, label=f"{days} days")
    figure.legend(loc="outside upper right", ncols=4)
    panels[0].set_ylabel("Share of markets in which it was found, %")
    return Figure(
        name=name,
        title="How often each test finds what is there",
        caption=(
            "Simulated markets in which the claim is true, by the size of what the mechanism did, "
            "measured from the truth. Dashed: 80%. Dotted: 2.5%, what no effect would give. Bars: "
            "95% intervals of the share (Wilson)."
        ),
        alt="; ".join(
            f"{p['statistic']}, {p['claim']} {p['strength']:g}, {p['days']} days: {p['found']} of "
            f"{p['replications']}"
            for p in points
        ),
        data=as_svg(figure),
    )


def levels_figure(levels: Mapping[str, Any], *, name: str) -> Figure:
    """Draw what random levels on real prices show: lifts over both nulls, and p̂ against visits.

    Parameters
    ----------
    levels : mapping
        `random_levels` of the gate's document, where they were tried.
    name : str
        File name.
    """
    figure = canvas(11.0, 3.6)
    left, right = figure.subplots(1, 2)
    symbols = list(dict.fromkeys(str(row["symbol"]) for row in levels["lifts"]))
    left.axvspan(-0.5, 0.5, color="#ececec", zorder=0, label="0.5 point")
    for k, (null, said) in enumerate((("placebo", "p̂"), ("brownian", "the Brownian null"))):
        colour, marker = _LOOKS[k]
        rows = [row for row in levels["lifts"] if row["null"] == null]
        y = np.array([-symbols.index(str(row["symbol"])) - 0.24 * (k - 0.5) for row in rows])
        x, low, high = (100.0 * _column(rows, key) for key in ("value", "ci_low", "ci_high"))
        left.hlines(y, low, high, color=colour, lw=1.5)
        left.plot(x, y, marker, color=colour, ms=6, label=f"over {said}")
    left.axvline(0.0, color=INK, lw=0.9)
    left.set_yticks([-float(i) for i in range(len(symbols))], symbols)
    left.set_ylim(-len(symbols) + 0.4, 0.6)
    left.set_xlabel("Visits of random levels less what the null says, points")
    bins = [row for row in levels["reliability"] if row["ci_low"] is not None]
    p, f, low, high = (
        100.0 * _column(bins, key) for key in ("mean_probability", "value", "ci_low", "ci_high")
    )
    right.vlines(p, low - p, high - p, color=LONG, lw=1.5)
    right.plot(p, f - p, "o", color=LONG, ms=6)
    right.axhline(0.0, color=INK, lw=0.9)
    right.set_xlim(0.0, 100.0)
    right.set_xlabel("What p̂ says, %")
    right.set_ylabel("Visited less that, points")
    figure.legend(loc="outside upper left", ncols=4)
    return Figure(
        name=name,
        title="Random levels on real prices",
        caption=(
            "Levels that know nothing, on hourly candles since June 2023, by the protocol of "
            "clusters. Left: where a bar misses zero, the null errs. Right: each tenth of p̂ "
            "against how often its levels were visited. Bars: 95% intervals from blocks of days, "
            "each for itself."
        ),
        alt="; ".join(
            f"{row['symbol']} over {row['null']}: {100.0 * row['value']:+.2f} points"
            for row in levels["lifts"]
        ),
        data=as_svg(figure),
    )


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> FloatArray:
    return np.array([fmt.number(row[key]) for row in rows], np.float64)
