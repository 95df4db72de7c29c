"""Where a number on a page was read: text that remembers its row of `metrics.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from liqbt.study.store import Key, key_of
from liqbt.types import Score

if TYPE_CHECKING:
    from liqbt.study.store import Run


class Traced(str):
    """The text of a number, with the row of scores and the field that it was made of.

    Attributes
    ----------
    key : Key
        What names the row.
    field : str
        The field of the row; of a value with its interval, the value's.
    """

    key: Key
    field: str

    def __new__(cls, text: str, score: Score, field: str) -> Traced:
        """Return the text of one field of a row.

        Examples
        --------
        >>> score = Score(claim="c", symbol="X", horizon="24h", side="both", statistic="s",
        ...     value=0.5, null=0.0, ci_low=0.1, ci_high=0.9, n_episodes=9, n_days=9, mde=0.4)
        >>> cell = Traced("0.5", score, "value")
        >>> cell == "0.5", cell.key.statistic, cell.field
        (True, 's', 'value')
        """
        one = super().__new__(cls, text)
        one.key, one.field = key_of(score), field
        return one


def trace(run: Run) -> Callable[[object], str]:
    """Return what says where a cell was read, such as `metrics.json[17].value`.

    It is "" for text that is no number of a row.
    """
    places: Mapping[Key, int] = {key_of(score): i for i, score in enumerate(run.scores)}

    def said(cell: object) -> str:
        if not isinstance(cell, Traced) or cell.key not in places:
            return ""
        return f"metrics.json[{places[cell.key]}].{cell.field}"

    return said


def untraced(_: object) -> str:
    """Say nothing: of a page that shows no run."""
    return ""
