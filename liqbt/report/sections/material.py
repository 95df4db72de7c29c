"""What sections are made of: a run, its curves and its figures, gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from liqbt.report.blocks import Block, Fold, Grid, Heading, Picture, Text
from liqbt.report.figures.style import Figure
from liqbt.report.tables import ScoreTable, Table

if TYPE_CHECKING:
    from liqbt.study.store import Run

_HOME: Final[Mapping[str, int]] = {
    "visits": 5,
    "placebo": 5,
    "visits_dense": 5,
    "visits_densest": 5,
    "accuracy": 5,
    "drift": 6,
    "dose": 6,
    "near_jumps": 6,
    "first_side": 8,
    "stated": 9,
    "visit_gains": 11,
    "location": 11,
    "direction_gains": 11,
    "after_landmarks": 11,
    "touch_balance": 14,
}
"""In which section a group of statistics stands; any other is in section 7."""
_OTHERS: Final = 7
_LONG: Final = 12
"""A table of more rows is folded on a screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What sections are made of.

    Attributes
    ----------
    run : Run
        The finished run.
    planted : str
        What is known to be true of a simulated market; empty for a real one.
    curves : mapping
        Of `liqbt.study.curves.curves`.
    figures : mapping of str to Figure
        Charts of scores, by kind and group, `flow`, and of curves: `dose`, `incidence`, `ranking`.
    tables : sequence of ScoreTable
        A table of each group of statistics.
    markets : sequence of mapping
        What is said of each market that is drawn here, its figures among it.
    pages : sequence of (str, str, str)
        Of a run whose markets are not all drawn here: where the page of each is, its name, and its
        last forecast in a line.
    """

    run: Run
    planted: str
    curves: Mapping[str, Sequence[Mapping[str, Any]]]
    figures: Mapping[str, Figure]
    tables: Sequence[ScoreTable]
    markets: Sequence[Mapping[str, Any]]
    pages: Sequence[tuple[str, str, str]] = ()

    def groups(self, number: int | None = None) -> list[Block]:
        """Return the tables of a section's groups of statistics, or of all, each with its forest.

        That of visits is section 7's own.
        """
        blocks: list[Block] = []
        for one in self.tables:
            if number not in (None, _HOME.get(one.group, _OTHERS)):
                continue
            shut = one.folded or len(one.table.rows) > _LONG
            inner = tuple(self._group(one, heading=not shut))
            blocks += [Fold(summary=one.title, blocks=inner)] if shut else inner
        return blocks

    def _group(self, one: ScoreTable, *, heading: bool) -> list[Block]:
        found: list[Block] = [Heading(text=one.title)] if heading else []
        found += [Text(text=one.intro)] if one.intro else []
        found.append(Grid(table=one.table, name=one.title))
        name = "" if one.group == "visits" else f"forest-{one.group.replace('_', '-')}"
        forest = self.figures.get(name)
        found += [Picture(figure=forest)] if forest else []
        return [*found, *([Text(text=one.note, style="note")] if one.note else [])]

    def picture(self, name: str) -> Picture | None:
        """Return a figure by its name, None where there is none."""
        figure = self.figures.get(name)
        return None if figure is None else Picture(figure=figure, truth=self.planted)


def grid(table: Table | None, name: str) -> Grid | None:
    """Return a table's block; None where there is no table or no row."""
    return None if table is None or not table.rows else Grid(table=table, name=name)


def folded(summary: str, *blocks: Block | None) -> Fold | None:
    """Return blocks behind a line; None where there is none of them."""
    kept = tuple(block for block in blocks if block is not None)
    return Fold(summary=summary, blocks=kept) if kept else None


def note(text: str) -> Text:
    """Return a small paragraph."""
    return Text(text=text, style="note")


def maps_of_market(market: Mapping[str, Any], planted: str, *, front: bool) -> list[Block]:
    """Return the pictures of one market's map, and its levels; not the map that stands in front."""
    figures = market["figures"] or {}
    blocks: list[Block | None] = []
    if not market["line"]:
        blocks.append(absent("No forecast was issued, so there is no map."))
    elif market["figures"] is None:
        blocks.append(
            absent(
                "Not drawn, as only the first markets are unless others are asked for: liqbt "
                "report RUN --markets, with this market's name or all."
            )
        )
    blocks += [
        Picture(figure=figures[key], truth=planted if key != "profile" else "")
        for key in ("map", "recent", "profile")
        if key in figures and not (front and key == "map")
    ]
    if market["levels"]:
        name = f"Levels of {market['symbol']} at the last forecast, {market['levels_at']}"
        rest = note(market["levels_note"]) if market["levels_note"] else None
        blocks.append(folded(name, grid(market["levels"], name), rest))
    return [block for block in blocks if block is not None]


def data_of_market(market: Mapping[str, Any]) -> list[Block]:
    """Return what one market's data held."""
    names = f" Instruments: {market['instruments']}." if market["instruments"] else ""
    blocks: list[Block | None] = [
        Heading(text=f"{market['symbol']}, {market['period']}"),
        Text(text=f"Price: {market['price']}{names}"),
        grid(market["completeness"], f"Completeness of {market['symbol']}"),
        grid(market["latency"], f"Latency of {market['symbol']}"),
        grid(market["leaks"], f"Leak test of {market['symbol']}"),
    ]
    return [block for block in blocks if block is not None]


DATA_NOTE: Final = (
    "Modelled: the feed has no receive time, so it counts as known this long after its own. "
    "Observed: a receive time was recorded. The leak test asks whether a feed's changes answer "
    "returns after its stamp."
)


def absent(text: str) -> Text:
    """Return the sentence that says what is not there, and why."""
    return Text(text=text, style="absent")
