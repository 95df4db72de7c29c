"""What a report is made of: sections of blocks, which one set of templates lays out.

A section is written once, in Python, as values; `report.html.j2` and `report.md.j2` know how each
kind of block looks, and nothing else. What is folded on a screen is printed whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from liqbt.report.figures.style import Figure
from liqbt.report.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph; `style` is "", `note`, `truth` (a banner) or `absent` (what is not there)."""

    kind: ClassVar[str] = "text"
    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table, with the name that a screen reader says."""

    kind: ClassVar[str] = "grid"
    table: Table
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure; `truth` closes its caption where the market is simulated."""

    kind: ClassVar[str] = "picture"
    figure: Figure
    truth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Terms and what is said of them."""

    kind: ClassVar[str] = "pairs"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list of sentences."""

    kind: ClassVar[str] = "items"
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Pages beside this one: where each is, its name, and what is said of it."""

    kind: ClassVar[str] = "links"
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A command."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Blocks that a screen shows when it is asked to, and paper always."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Text | Heading | Grid | Picture | Pairs | Items | Links | Code | Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the report.

    Attributes
    ----------
    title : str
        Heading.
    anchor : str
        Where links find it: lower-case letters and hyphens.
    blocks : tuple of Block
        What stands in it; never empty.
    number : int
        Its number in the methodology report; 0 for a section that has none.
    """

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    number: int = 0

    @property
    def heading(self) -> str:
        """Number and title."""
        return f"{self.number}. {self.title}" if self.number else self.title


TITLES: Final[dict[int, str]] = {
    1: "Registration, deviations, trial ledger",
    2: "Flow of counts",
    3: "Data: completeness, gaps, latency, coverage",
    4: "Definitions and glossary",
    5: "Hit rate against p̂ by distance",
    6: "Dose and drift curves",
    7: "Lift forest by symbol, horizon, regime",
    8: "Cumulative incidence of visits",
    9: "Reliability and decomposition",
    10: "Molchan, ROC and precision-recall",
    11: "Information gain against each baseline",
    12: "Size and power",
    13: "Selection tests: SPA, model confidence set, PBO",
    14: "Negative controls and placebo histories",
    15: "E-process",
    16: "Sensitivities",
    17: "Limits, and what not to use this for",
    18: "TRIPOD crosswalk, and how to reproduce it",
}
"""The sections of the methodology report; every report has every one of them."""


def numbered(number: int, *blocks: Block | None) -> Section:
    """Return a section of the methodology report, without the blocks that are None."""
    kept = tuple(block for block in blocks if block is not None)
    return Section(title=TITLES[number], anchor=f"section-{number}", blocks=kept, number=number)


def pictures(blocks: tuple[Block, ...]) -> Iterator[Figure]:
    """Yield the figures of blocks, folded ones too, in their order."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block.figure
        elif isinstance(block, Fold):
            yield from pictures(block.blocks)
