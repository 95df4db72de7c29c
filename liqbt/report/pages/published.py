"""What the page says of levels that somebody else published: what was read, and what was stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.narrative import headline, sentences
from liqbt.report.scores import horizons, main_symbol, statistics_of
from liqbt.types import VerdictWord

if TYPE_CHECKING:
    from liqbt.study.store import Run


PUBLISHED: Final = "This is a map as it was published; what it was made of is for its maker to say."
"""What closes the caption of a published map."""


def published_section(run: Run) -> dict[str, Any] | None:
    """Return the sentences and the table of a file that was scored; None for any other run.

    Returns
    -------
    dict or None
        `banner` (what cannot be checked) and `facts` (what was read, and what became of the
        probabilities that were stated).
    """
    about = run.manifest.get("published")
    if about is None:
        return None
    return {
        "banner": fmt.one_line(str(about["unseen"]), 600),
        "facts": [fmt.one_line(text, 600) for text in (*_facts(about), *_stated_lines(run))],
    }


def _facts(about: Mapping[str, Any]) -> list[str]:
    """Return what was read of the file, a sentence or two each."""
    return [
        f"{about['file']}: {fmt.count(about['rows'])} rows at {fmt.count(about['times'])} "
        "times. Clusters are the rows as published; the price and its volatility are of the event "
        "log, from what was known at each time. The density spreads each row's notional evenly "
        "over it.",
        *_counted(about),
        "A peak inside a row is not published: its middle stands in. A time without any row cannot "
        "be told from one at which nothing was issued.",
    ]


def _counted(about: Mapping[str, Any]) -> list[str]:
    """Return what was out of the ordinary in the file, and how often; none where nothing was."""
    out = []
    if about["single_levels"]:
        out.append(
            f"{fmt.count(about['single_levels'])} levels had no width: each is one bin (5 bp) "
            "wide, outward from the published price, which is where a visit counts."
        )
    if about["wrong_side"]:
        out.append(
            f"{fmt.count(about['wrong_side'])} rows lay on the wrong side of the price when they "
            "were issued: counted as inside, never a hit."
        )
    if about["without_sigma"]:
        out.append(
            f"{fmt.count(about['without_sigma'])} times came before the volatility was known, "
            "and are not scored."
        )
    if about["ignored_columns"]:
        names = [fmt.one_line(str(name), 40) for name in about["ignored_columns"][:20]]
        out.append(f"Columns that were not read: {fmt.list_words(names)}.")
    return out


def published_limits(run: Run) -> list[str]:
    """Return the limits that only a published map has; none for any other run."""
    about = run.manifest.get("published")
    if about is None:
        return []
    return [
        fmt.one_line(str(about["unseen"]), 600),
        "A time of issue counts as the moment at which a reader could have held the row. If it is "
        "the moment that the map describes, and it was published later, every score is too good.",
    ]


def published_summary(run: Run) -> str:
    """Return a scored file in a few lines for a terminal: headline, what lacks, what is unseen."""
    about = run.manifest["published"]
    lines = [headline(run)]
    lines += [
        f"{verdict.claim}: {verdict.reason}"
        for verdict in run.verdicts
        if verdict.word == VerdictWord.NOT_TESTABLE
    ]
    lines += _stated_lines(run)
    lines += _counted(about)
    return "\n".join([*lines, str(about["unseen"])])


def _stated_lines(run: Run) -> list[str]:
    """Return what became of probabilities that were stated, a line a horizon."""
    stated = [one for one in statistics_of(run.scores) if "stated" in one.needs]
    out = []
    for horizon in horizons(run.scores):
        text = " ".join(sentences(run, main_symbol(run), horizon, stated))
        if text:
            out.append(f"stated probabilities, {fmt.horizon_words(horizon)}: {text}")
    return out
