"""What was accepted of each claim, acceptance by acceptance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liqbt.report.figures.style import GREY, INK, LONG, NULL, Figure, as_svg, canvas, drawing

_COLUMNS: Final = 3


def trend_figure(rows: Sequence[Mapping[str, Any]], n: int, *, name: str) -> Figure:
    """Draw what decides each claim at each acceptance of a baseline, beside its null.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of `liqbt.gate.history.trends`.
    n : int
        How often the baseline was accepted.
    name : str
        File name.
    """
    shown = [row for row in rows if any(value is not None for value in row["values"])]
    lines = max(1, math.ceil(len(shown) / _COLUMNS))
    with drawing():
        figure = canvas(10.0, 0.5 + 1.9 * lines)
        for i, row in enumerate(shown):
            ax = figure.add_subplot(lines, _COLUMNS, i + 1)
            at = [k + 1 for k, value in enumerate(row["values"]) if value is not None]
            values = [value for value in row["values"] if value is not None]
            if row["null"] is not None:
                ax.axhline(row["null"], color=NULL, lw=1.0, ls=(0, (4, 3)))
            if row["low"] is not None and row["high"] is not None:
                ax.plot([n, n], [row["low"], row["high"]], color=LONG, lw=1.6, alpha=0.45)
            ax.plot(at, values, color=LONG, marker="o", ms=4.0, lw=1.2)
            title = " ".join(filter(None, (row["claim"], row["estimator"])))
            ax.set_title(title, fontsize=9.0)
            ax.set_ylabel(row["unit"] or "value", fontsize=8.0, color=INK)
            ax.set_xlim(0.6, n + 0.4)
            ax.set_xticks(sorted({1, max(1, (n + 1) // 2), n}))
            ax.set_xlabel("acceptance", fontsize=8.0, color=GREY)
        data = as_svg(figure)
    return Figure(
        name=name,
        title="What was accepted",
        caption=(
            "What decides each claim at each acceptance of the baseline; dashed: its null; the bar "
            "is the interval of the last one."
        ),
        alt="A line for each claim over the acceptances of a baseline.",
        data=data,
    )
