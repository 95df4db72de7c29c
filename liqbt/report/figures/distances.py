"""The figure of maps against the truth: how far each lies, by reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import (
    GREY,
    INK,
    LONG,
    NULL,
    SHORT,
    Figure,
    as_svg,
    canvas,
    label,
)

_LOOKS: Final = {
    "named": ("D", LONG, LONG),
    "reference": ("D", "white", LONG),
    "twin": ("o", "white", LONG),
    "rival": ("s", SHORT, SHORT),
    "baseline": ("o", INK, INK),
    "structure": ("^", "white", GREY),
    "null": ("v", "white", NULL),
}
"""Marker, fill and edge by what an estimator is."""
_WORDS: Final = {
    "named": "of the experiment",
    "reference": "other references",
    "twin": "price-only twins",
    "rival": "rivals",
    "baseline": "baselines",
    "structure": "structures",
    "null": "nulls",
}


def distances_figure(rows: Sequence[Mapping[str, Any]], *, name: str) -> Figure:
    """Draw the distance of each map from the truth, the nearest on top, a panel a reach.

    Parameters
    ----------
    rows : sequence of mapping
        `distances` of the document, of one market and kind of truth.
    name : str
        File name.
    """
    reaches = sorted({float(row["reach"]) for row in rows})
    order = ranked(rows)
    place = {estimator: -i for i, estimator in enumerate(order)}
    figure = canvas(11.0, 0.24 * len(order) + 1.6)
    axes = np.atleast_1d(np.asarray(figure.subplots(1, len(reaches), sharey=True)))
    said: set[str] = set()
    for ax, reach in zip(axes, reaches, strict=True):
        for row in (r for r in rows if float(r["reach"]) == reach):
            marker, fill, edge = _LOOKS[str(row["kind"])]
            y, kind = place[str(row["estimator"])], str(row["kind"])
            low, high = fmt.number(row["ci_low"]), fmt.number(row["ci_high"])
            ax.hlines(y, low, high, color=edge, lw=1.3, zorder=2)
            words = "_nolegend_" if kind in said else _WORDS[kind]
            said.add(kind)
            ax.plot(
                fmt.number(row["w1"]), y, marker, mfc=fill, mec=edge, ms=5.5, zorder=3, label=words
            )
        ax.set_xlim(left=0.0)
        ax.set_title(f"within {reach_words(reach)}")
        ax.grid(axis="y", color="#e6e6e6", lw=0.6)
        ax.set_axisbelow(True)
    axes[0].set_yticks([place[e] for e in order], [label(e) for e in order])
    axes[0].set_ylim(-len(order) + 0.4, 0.6)
    axes[len(axes) // 2].set_xlabel("W1, per cent of price: left is nearer to the truth")
    figure.legend(loc="outside upper left", ncols=7)
    return Figure(
        name=name,
        title="How far each map lies from the truth",
        caption=(
            "Wasserstein distance of estimated and true notional by log distance, each side on "
            "a sum of one; means over sides and days (of liquidations, hours). Bars: 95 % "
            "intervals that take these as dependent. The nearest within the middle reach is on top."
        ),
        alt="; ".join(
            f"{row['estimator']} {reach_words(float(row['reach']))}: "
            f"{fmt.fixed(fmt.number(row['w1']), 2)}"
            for row in rows
        ),
        data=as_svg(figure),
    )


def reach_words(reach: float) -> str:
    """Return a reach in words.

    Examples
    --------
    >>> reach_words(0.3), reach_words(0.00832)
    ('±30 %', '±0.83 %')
    """
    return f"±{100.0 * reach:.2g} %"


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the estimators, the nearest within the middle reach first; unknown ones last."""
    reaches = sorted({float(row["reach"]) for row in rows})
    middle = reaches[len(reaches) // 2]
    found = [(fmt.number(r["w1"]), str(r["estimator"])) for r in rows if r["reach"] == middle]
    return [name for _, name in sorted((np.inf if np.isnan(w) else w, name) for w, name in found)]
