"""What the page says of levels that somebody else published: what was read, and what was stated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.narrative import headline
from liqbt.report.select import find, horizons, score_symbols
from liqbt.report.tables import Table
from liqbt.types import Score, VerdictWord

if TYPE_CHECKING:
    from liqbt.study.store import Run


PUBLISHED: Final = "This is a map as it was published; what it was made of is for its maker to say."
"""What closes the caption of a published map."""
_STATED_HEAD: Final = (
    "Market",
    "Horizon",
    "Brier score [95%]",
    "Random walk's",
    "Gain, thousandths",
    "Log skill, nats",
    "Miscalibration",
    "Discrimination",
    "Episodes",
    "Days",
)


def published_section(run: Run) -> dict[str, Any] | None:
    """Return the sentences and the table of a file that was scored; None for any other run.

    Returns
    -------
    dict or None
        `banner` (what cannot be checked), `facts` (what was read), `stated` (a `Table` of the
        probabilities that were stated, or None), `impossible` (how often the impossible came to
        pass, or None) and `note` (how the table is read).
    """
    about = run.manifest.get("published")
    if about is None:
        return None
    return {
        "banner": fmt.one_line(str(about["unseen"]), 600),
        "facts": [fmt.one_line(text, 600) for text in _facts(about)],
        "stated": _stated_table(run),
        "impossible": _impossible_words(run),
        "note": (
            "The probability that was stated when an episode was born, against what became of it. "
            "Brier score: mean of (probability − outcome)², smaller is better; it is "
            "miscalibration − discrimination + uncertainty, which is that of the base rate. Gain: "
            "how much smaller it is than the random walk's. Log skill: nats better than the random "
            "walk; there is none where what came to pass had been called impossible. The random "
            "walk's own parts are in metrics.json."
        ),
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


def _stated_table(run: Run) -> Table | None:
    keys = [
        (s, h)
        for s in score_symbols(run)
        for h in horizons(run.scores)
        if find(run.scores, "stated_brier", s, h) is not None
    ]
    if not keys:
        return None
    return Table(
        head=_STATED_HEAD,
        rows=tuple(_stated_row(run, symbol, horizon) for symbol, horizon in keys),
        text_columns=2,
    )


def _impossible_words(run: Run) -> str | None:
    """Return how often something came to pass that had been called impossible; None for never."""
    symbol = score_symbols(run)[0]
    rows = [find(run.scores, "stated_impossible", symbol, h) for h in horizons(run.scores)]
    parts = [
        f"{fmt.horizon_words(row.horizon)}: {fmt.count(round(row.value * row.n_episodes))} of "
        f"{fmt.count(row.n_episodes)} episodes"
        for row in rows
        if row is not None and row.value > 0
    ]
    return f"What had been called impossible came to pass; {', '.join(parts)}." if parts else None


def _stated_row(run: Run, symbol: str, horizon: str) -> tuple[str, ...]:
    def row(name: str) -> Score:
        found = find(run.scores, f"stated_{name}", symbol, horizon)
        assert found is not None  # they are written together
        return found

    def written(score: Score, scale: float = 1.0, *, signed: bool = False) -> str:
        return fmt.estimate(score.value, score.ci_low, score.ci_high, scale=scale, signed=signed)

    brier = row("brier")
    return (
        fmt.one_line(symbol),
        fmt.horizon_words(horizon),
        written(brier),
        fmt.fixed(brier.null, 3),
        written(row("brier_gain"), 1000.0, signed=True),
        written(row("log_skill"), signed=True),
        *(fmt.fixed(row(name).value, 3) for name in ("miscalibration", "discrimination")),
        fmt.count(brier.n_episodes),
        fmt.count(brier.n_days),
    )


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
    """Return what became of stated probabilities, a line a horizon."""
    symbol, out = score_symbols(run)[0], []
    for horizon in horizons(run.scores):
        brier = find(run.scores, "stated_brier", symbol, horizon)
        gain = find(run.scores, "stated_brier_gain", symbol, horizon)
        if brier is not None and gain is not None and not math.isnan(brier.value):
            out.append(
                f"stated probabilities, {fmt.horizon_words(horizon)}: Brier score "
                f"{fmt.fixed(brier.value, 3)} where the random walk's have "
                f"{fmt.fixed(brier.null, 3)}; gain "
                f"{fmt.estimate(gain.value, gain.ci_low, gain.ci_high, scale=1000, signed=True)} "
                f"thousandths, {fmt.count(brier.n_episodes)} episodes"
            )
    return out
