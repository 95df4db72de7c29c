"""Figures of the validity gate: size beside what chance allows, power against measured effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, Final

import numpy as np
from matplotlib.patches import Rectangle

from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas
from liqbt.study.clearing import effect_unit
from liqbt.types import FloatArray

_LOOKS: Final = ((LONG, "o"), (SHORT, "^"))
"""Of lengths of records, and of two nulls: never of claims, of which there are more."""
_COLUMNS: Final = 4
_SHADES: Final = ("#ffffff", "#e3ecf6", "#c9dbee")
_BEYOND: Final = "#f2b98a"
_TRUE: Final = "#e6e6e6"


def effect_axis(claim: str, unit: str) -> tuple[str, float]:
    """Return what the truth measures of a claim, in words with the unit, and what it is times.

    Parameters
    ----------
    claim : str
        The claim.
    unit : str
        Of the effect, as it was measured.

    Examples
    --------
    >>> effect_axis("another", "share")
    ('Effect from the truth, points', 100.0)
    """
    deciding = [one.statistic for one in REGISTER if one.id == claim]
    label = statistic_of(deciding[0]).effect.rpartition(", ")[0] if deciding else ""
    name, scale = effect_unit(unit)
    return ", ".join(filter(None, (label or "Effect from the truth", name))), scale


def size_figure(cells: Sequence[Mapping[str, Any]], *, name: str) -> Figure:
    """Draw how often each test found something in each world in which its claim is false.

    Parameters
    ----------
    cells : sequence of mapping
        Rows of `size` of the gate's document.
    name : str
        File name.
    """
    places = list(dict.fromkeys((c["where"], str(c["world"]), int(c["days"])) for c in cells))
    places.sort(key=lambda p: (_ORDER.get(str(p[0]), 9), p[2]))
    tests = list(dict.fromkeys(str(cell["claim"]) for cell in cells))
    figure = canvas(max(7.0, 3.6 + 0.72 * len(tests)), 0.235 * len(places) + 1.7)
    ax = figure.add_subplot()
    ax.add_patch(Rectangle((0, 0), len(tests), len(places), color=_TRUE, lw=0))
    for cell in cells:
        x = tests.index(str(cell["claim"]))
        y = places.index((cell["where"], str(cell["world"]), int(cell["days"])))
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=_shade(cell), edgecolor="white", lw=1.2))
        ax.text(x + 0.5, y + 0.5, _share(cell), ha="center", va="center", fontsize=7.5)
    for i in range(1, len(places)):
        if (places[i][0], places[i][2]) != (places[i - 1][0], places[i - 1][2]):
            ax.axhline(i, color=INK, lw=0.8)
    ax.set_xlim(0, len(tests))
    ax.set_ylim(len(places), 0)
    ax.set_yticks([i + 0.5 for i in range(len(places))], [_place_said(*p) for p in places])
    ax.set_xticks([i + 0.5 for i in range(len(tests))], tests, rotation=30, ha="left")
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return Figure(
        name=name,
        title="How often each test finds what is not there, %",
        caption=(
            f"Share of the markets in which the claim's verdict was supported, in worlds where it "
            f"is false; where these are fewer than {_FEW}, how many of how many. 2.5% is what a "
            "right test of that size finds on average. Orange: more than a right test would in any "
            "of its worlds, 19 times of 20; it blocks. Darker blue: above 2.5%, and let pass. "
            "White: below. Grey: the claim is true there, or it was not tried."
        ),
        alt="; ".join(
            f"{c['claim']} in {c['world']}, {c['days']} days: {c['rejections']} of "
            f"{c['replications']}, {c['expected']:.3g} expected, at most {c['limit']}"
            for c in cells
        ),
        data=as_svg(figure),
    )


_FEW: Final = 100
"""Markets of a cell below which a share says less than the counts do."""

_ORDER: Final = {"nuisance": 0, "null": 1, "planted": 2}


def _place_said(where: str, world: str, days: int) -> str:
    said = world.replace("_", " ")
    return f"{said} is true, {days} d" if where == "planted" else f"{said}, {days} d"


def _share(cell: Mapping[str, Any]) -> str:
    n, found = int(cell["replications"]), int(cell["rejections"])
    if n < _FEW:
        return f"{found}/{n}" if n else "none"
    return f"{100.0 * found / n:.1f}"


def _shade(cell: Mapping[str, Any]) -> str:
    if int(cell["rejections"]) > int(cell["limit"]):
        return _BEYOND
    return _SHADES[0 if cell["rejections"] <= cell["expected"] else 2]


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
    lengths = sorted({int(p["days"]) for p in points})
    columns = min(len(tests), _COLUMNS)
    lines = -(-len(tests) // columns)
    figure = canvas(11.0, 3.1 * lines + 0.6)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for ax in panels.flat[len(tests) :]:
        ax.set_visible(False)
    for ax, (claim, statistic) in zip(panels.flat, tests, strict=False):
        mine = [p for p in points if (p["claim"], p["statistic"]) == (claim, statistic)]
        measured = [p for p in mine if p["effect"] is not None]
        axis, scale = effect_axis(claim, str(mine[0]["unit"]))
        by, shown = ("effect", measured) if measured else ("strength", mine)
        for days in lengths:
            colour, marker = _LOOKS[lengths.index(days) % len(_LOOKS)]
            rows = sorted((p for p in shown if int(p["days"]) == days), key=lambda p: float(p[by]))
            x = np.array([(scale if measured else 1.0) * float(p[by]) for p in rows])
            n = np.array([float(p["replications"]) for p in rows])
            share = np.array([float(p["power"]) for p in rows])
            low, high = _wilson(share, n)
            ax.vlines(x, 100 * low, 100 * high, color=colour, lw=1.3)
            ax.plot(x, 100 * share, marker=marker, color=colour, ms=6, lw=1.2)
        ax.axhline(80.0, color=GREY, lw=0.9, ls=(0, (4, 3)))
        ax.axhline(2.5, color=NULL, lw=0.9, ls=":")
        ax.text(0.0, 1.0, _wrapped(statistic_of(statistic).label), transform=ax.transAxes,
                fontsize=7.5, color=GREY, va="bottom")  # fmt: skip
        ax.set_title(claim, pad=4 + 10 * len(_wrapped(statistic_of(statistic).label).split("\n")))
        ax.set_ylim(-2, 102)
        ax.set_xlabel(_wrapped(axis if measured else "Strength of the mechanism"))
    for days in lengths:
        colour, marker = _LOOKS[lengths.index(days) % len(_LOOKS)]
        panels[0, 0].plot([], [], marker=marker, color=colour, ms=6, lw=1.2, label=f"{days} days")
    figure.legend(loc="outside upper right", ncols=4)
    for row in panels:
        row[0].set_ylabel("Found, % of markets")
    return Figure(
        name=name,
        title="How often each test finds what is there",
        caption=(
            "Simulated markets in which the claim is true, by the size of what the mechanism did, "
            "measured from the truth. Found: the claim's verdict was supported, all its conditions "
            "met; of what stands beside it, its interval lay above its null. Dashed: 80%. Dotted: "
            "2.5%, what no effect would give. Bars: "
            "95% intervals of the share (Wilson)."
        ),
        alt="; ".join(
            f"{p['statistic']}, {p['claim']} {p['strength']:g}, {p['days']} days: {p['found']} of "
            f"{p['replications']}"
            for p in points
        ),
        data=as_svg(figure),
    )


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, 36))


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
