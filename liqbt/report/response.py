"""The table of the dose-response: whether denser levels draw the price, alone and beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from liqbt.report import words
from liqbt.report.select import PRIMARY, find, horizons, score_symbols
from liqbt.report.tables import Table
from liqbt.types import Score

if TYPE_CHECKING:
    from liqbt.experiment.store import Run

__all__ = ["response_table"]

_COLUMNS: Final = {
    "Alone, points [95%]": "dose_response_raw",
    "Beside trends": "dose_response",
    "Beside trends and chart structures": "dose_response_beside_structures",
}


def response_table(run: Run) -> Table | None:
    """Return the dose-response across the mark, or None where the run has none.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    if not any(score.statistic == "dose_response" for score in run.scores):
        return None
    keys = [(s, h) for s in score_symbols(run) for h in horizons(run.scores)]
    rows = []
    for symbol, horizon in keys:
        found = [find(run.scores, name, symbol, horizon) for name in _COLUMNS.values()]
        named = (words.one_line(symbol), words.horizon_words(horizon))
        rows.append((*named, *(_points(score) for score in found), *_counts(found[1])))
    return Table(
        head=("Market", "Horizon", *_COLUMNS, "Landmarks", "Days"),
        rows=tuple(rows),
        text_columns=2,
        strong=tuple(i for i, (_, horizon) in enumerate(keys) if horizon == PRIMARY),
    )


def _points(score: Score | None) -> str:
    if score is None:
        return words.DASH
    return words.estimate(score.value, score.ci_low, score.ci_high, scale=100, signed=True)


def _counts(score: Score | None) -> tuple[str, str]:
    if score is None:
        return words.DASH, words.DASH
    return words.count(score.n_episodes), words.count(score.n_days)
