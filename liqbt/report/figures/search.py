"""Figures of a configuration search: every trial's gain, and where the best in sample ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, Figure, as_svg, canvas, label

MOST_SHOWN: Final = 60
_SCALE: Final = 1000.0


def keys_words(row: Mapping[str, Any]) -> str:
    """Return what a trial varies, by the last part of each key; nothing varied is the base.

    Examples
    --------
    >>> keys_words({"number": 0, "base": 0, "keys": {}})
    'the base'
    >>> keys_words({"number": 2, "base": 0, "keys": {"estimator.brackets.2.half_life": "36h"}})
    'brackets.2.half_life 36h'
    >>> keys_words({"number": 2, "base": 0, "keys": {"estimator.prominence": 0.2}})
    'prominence 0.2'
    """
    if row["number"] == row["base"]:
        return "the base" if row["number"] == 0 else f"base {row['number']}"
    parts = []
    for key, value in row["keys"].items():
        way = str(key).split(".")
        numbered = next((i for i, part in enumerate(way) if part.isdecimal()), len(way))
        parts.append(f"{'.'.join(way[min(numbered, len(way)) - 1 :])} {value}")
    return ", ".join(parts)


def gains_figure(rows: Sequence[Mapping[str, Any]], *, best_of: int, name: str) -> Figure:
    """Draw what each trial gains over no map, the best on top, with its interval.

    Parameters
    ----------
    rows : sequence of mapping
        Trials that are compared, of a search's document, the best first.
    best_of : int
        How many trials were ever made.
    name : str
        File name.
    """
    shown = [row for i, row in enumerate(rows) if i < MOST_SHOWN or _is_base(row)]
    figure = canvas(11.0, 0.25 * len(shown) + 1.7)
    ax = figure.add_subplot()
    y = -np.arange(len(shown), dtype=np.float64)
    value, low, high = (
        _SCALE * np.array([fmt.number(row["gain"][key]) for row in shown])
        for key in ("value", "ci_low", "ci_high")
    )
    inside = np.array([bool(row["in_confidence_set"]) for row in shown])
    base = np.array([_is_base(row) for row in shown])
    ax.axvline(0.0, color=INK, lw=0.9, zorder=1)
    ax.hlines(y, low, high, color=np.where(inside, LONG, NULL).tolist(), lw=1.6, zorder=2)
    looks = (
        (inside & ~base, "o", LONG, LONG, "in the model confidence set"),
        (~inside & ~base, "o", "white", NULL, "outside of it"),
        (base & inside, "D", SHORT, SHORT, "the base, in the set"),
        (base & ~inside, "D", "white", SHORT, "the base, outside of the set"),
    )
    for chosen, marker, fill, edge, said in looks:
        if chosen.any():
            ax.plot(
                value[chosen], y[chosen], marker, mfc=fill, mec=edge, ms=6.5, zorder=3, label=said
            )
    ax.set_yticks(y, [f"{row['number']}: {label(keys_words(row), 60)}" for row in shown])
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    ax.set_xlabel("Log score of P(visit), with the map less without any, millinats a unit")
    figure.legend(loc="outside upper left", ncols=4)
    left = fmt.further(len(rows) - len(shown), "trial", "the table")
    return Figure(
        name=name,
        title="What each trial gains over no map",
        caption=(
            f"Best first; {fmt.count(best_of)} trials were made. Bars: 95% intervals from blocks "
            "of days, each for itself: none of them allows for the choice of the best. Blue: in "
            f"the model confidence set. The line at zero is the model without any map.{left}"
        ),
        alt="; ".join(
            f"trial {row['number']}: {_SCALE * fmt.number(row['gain']['value']):+.3f}"
            for row in shown
        ),
        data=as_svg(figure),
    )


def _is_base(row: Mapping[str, Any]) -> bool:
    return bool(row["number"] == row["base"])


def logits_figure(found: Mapping[str, Any], *, name: str) -> Figure:
    """Draw where the best in sample ends out of sample, over all splits.

    Parameters
    ----------
    found : mapping
        `overfitting` of a search's document.
    name : str
        File name.
    """
    logits = np.array(found["logits"], np.float64)
    reach = max(float(np.abs(logits).max()), 1.0)
    edges = np.linspace(-reach, reach, 25)  # an even number of bins: none straddles zero
    below = logits <= 0.0
    figure = canvas(11.0, 3.2)
    ax = figure.add_subplot()
    ax.hist(
        [np.minimum(logits[below], -1e-9), logits[~below]],
        bins=edges.tolist(),
        stacked=True,
        color=[SHORT, LONG],
        label=["at or below the median out of sample", "above it"],
    )
    ax.axvline(0.0, color=GREY, lw=1.0, ls=(0, (4, 3)))
    ax.set_xlabel("Logit of the rank out of sample of the best in sample (right: it stays good)")
    ax.set_ylabel(f"Splits, of {fmt.count(len(logits))}")
    figure.legend(loc="outside upper left", ncols=2)
    return Figure(
        name=name,
        title="Where the best in sample ends out of sample",
        caption=(
            f"Days cut into {found['blocks']} parts; for each choice of half of them the trial "
            "with the best mean there is ranked on the other half. A search that finds nothing has "
            "about as much left of zero as right of it."
        ),
        alt=f"{found['below']} of {found['n_splits']} splits at or below the median",
        data=as_svg(figure),
    )
