"""The tables of calibrated probabilities: what the map adds to a model that does without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from liqbt.report import words
from liqbt.report.select import PRIMARY, find, score_symbols
from liqbt.report.tables import Table
from liqbt.types import Score

if TYPE_CHECKING:
    from liqbt.experiment.store import Run

__all__ = ["PROBABILITIES", "brier_table", "direction_table", "visits_table"]

PROBABILITIES: Final = {
    "full": "with the map",
    "ablated": "without the map",
    "brownian": "random walk",
}
"""The probabilities of a visit by their names in a run."""

_DIRECTION: Final = {
    "The same model without asymmetry": "first_side_gain",
    "Equal chances": "first_side_over_coin",
    "Momentum": "first_side_over_momentum",
    "Sign of funding": "first_side_over_funding",
    "Nearest side": "first_side_over_nearest",
}
_VISITS: Final = {
    "Levels at set distances: over the same model without the map": "visit_gain",
    "over the random walk": "visit_gain_over_brownian",
    "Clusters: over the same model without the map": "cluster_visit_gain",
}


def direction_table(run: Run) -> Table | None:
    """Return what the asymmetry adds in telling which level is reached first, or None.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    return _gains(run, _DIRECTION, "first_side_gain", ("Landmarks",))


def visits_table(run: Run) -> Table | None:
    """Return what the map adds in telling whether a level is visited, or None.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    return _gains(run, _VISITS, "visit_gain", ("Levels",))


def _gains(
    run: Run, columns: Mapping[str, str], counted: str, unit: tuple[str, ...]
) -> Table | None:
    if not any(score.statistic == counted for score in run.scores):
        return None
    rows = []
    for symbol in score_symbols(run):
        found = [find(run.scores, name, symbol, PRIMARY) for name in columns.values()]
        main = found[0]
        counts = (words.DASH, words.DASH, words.DASH)
        if main is not None:
            decimals = words.decimals_for(1000.0 * main.mde)
            detectable = words.fixed(1000.0 * main.mde, decimals)
            counts = (detectable, words.count(main.n_episodes), words.count(main.n_days))
        rows.append((words.one_line(symbol), *(_millinats(score) for score in found), *counts))
    return Table(
        head=("Market", *columns, "Detectable (first column)", *unit, "Days"),
        rows=tuple(rows),
        text_columns=1,
    )


def _millinats(score: Score | None) -> str:
    if score is None:
        return words.DASH
    return words.estimate(score.value, score.ci_low, score.ci_high, scale=1000.0, signed=True)


def brier_table(run: Run) -> Table | None:
    """Return the parts of the Brier scores of clusters' probabilities, or None where none is.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    if not run.corp:
        return None
    keys = ("score", "miscalibration", "discrimination", "uncertainty")
    return Table(
        head=("Probability of a visit", "Brier score", *(key.capitalize() for key in keys[1:])),
        rows=tuple(
            (
                PROBABILITIES.get(str(row["probability"]), words.one_line(str(row["probability"]))),
                *(words.fixed(float(row[key]), 4) for key in keys),
            )
            for row in run.corp
        ),
        text_columns=1,
    )
