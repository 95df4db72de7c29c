"""The reliability diagram of the probabilities of a visit: what was said, and how often it came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqbt.report.figures.style import INK, LONG, NULL, SHORT, Figure, as_svg, canvas
from liqbt.report.tables import PROBABILITIES

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
            ax.text(x, -7, f"{int(row['n_episodes'])}", ha="center", fontsize=7, color=INK)
        ax.set(xlim=(0, 100), ylim=(-10, 100), title=PROBABILITIES[key].capitalize())
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
