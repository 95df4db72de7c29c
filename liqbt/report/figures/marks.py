"""Which episodes a map outlines, read from a run's outcome table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from liqbt.report.figures.heatmap import EpisodeMarks
from liqbt.types import DAY_NS

if TYPE_CHECKING:
    from liqbt.study.store import Run


_COLUMNS: Final = (
    "horizon_ns",
    "at",
    "near",
    "far",
    "censor",
    "visited",
    "visit_ns",
    "birth",
)


def episode_marks(run: Run, symbol: str) -> EpisodeMarks:
    """Return the scored episodes of the primary horizon, 24 h, of one market.

    Parameters
    ----------
    run : Run
        A finished run, whose outcomes hold a row for each horizon, forecast and cluster.
    symbol : str
        The market.
    """
    table = run.outcomes()
    rows = {name: table[name].to_numpy() for name in _COLUMNS}
    keep = (
        (table["market"].to_numpy() == symbol)
        & (rows["horizon_ns"] == DAY_NS)
        & rows["birth"].astype(bool)
        & (rows["censor"] == 0)
    )
    rows = {name: values[keep] for name, values in rows.items()}
    visited = rows["visited"] == 1
    return EpisodeMarks(
        born_ns=rows["at"],
        ended_ns=np.where(visited, rows["visit_ns"], rows["at"] + rows["horizon_ns"]),
        low=np.minimum(rows["near"], rows["far"]),
        high=np.maximum(rows["near"], rows["far"]),
        near_edge=rows["near"],
        visited=visited,
    )
