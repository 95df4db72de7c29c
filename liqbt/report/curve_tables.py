"""Tables of a run's curves, and of claims across markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.report import formatting as fmt
from liqbt.report.scores import (
    estimators,
    find,
    row_words,
    score_symbols,
    value_cell,
    with_unit,
)
from liqbt.report.tables import PROBABILITIES, Table
from liqbt.report.traced import Traced
from liqbt.types import HOUR_NS

if TYPE_CHECKING:
    from liqbt.study.store import Run

Rows = Sequence[Mapping[str, Any]]


def _points(row: Mapping[str, Any], key: str, error: str = "standard_error") -> str:
    """Write a difference of shares in points, with its error behind it."""
    value, spread = (fmt.number(row[name]) for name in (key, error))
    return f"{fmt.fixed(100 * value, 1, signed=True)} ± {fmt.fixed(100 * spread, 1)}"


def _share(row: Mapping[str, Any], key: str) -> str:
    return fmt.fixed(100 * fmt.number(row[key]), 1)


def levels_table(rows: Rows, axis: str, source: str) -> Table | None:
    """Return visits beside what was foretold without the map, by a band of an axis."""
    if not rows:
        return None
    head = (axis, "Visited, %", "Foretold without the map, %", "Random walk, %")
    return Table(
        head=(*head, "Visited less foretold, points ± SE", "n", "Days"),
        rows=tuple(
            (
                f"{row['low']:g}–{row['high']:g}",
                *(_share(row, key) for key in ("visited", "without_map", "brownian")),
                _points(row, "excess"),
                fmt.count(row["n"]),
                fmt.count(row["n_days"]),
            )
            for row in rows
        ),
        text_columns=1,
        source=f"curves.json {source}",
    )


_THIRDS = {1: "calm", 2: "middle", 3: "wild"}


def regimes_table(rows: Rows) -> Table | None:
    """Return lifts by thirds of volatility, all markets together."""
    if not rows:
        return None
    head = ("Horizon", "Volatility", "Visited, %", "Random walk, %", "Mirror, %")
    return Table(
        head=(*head, "Lift over random walk ± SE", "Lift over mirror ± SE", "n", "Days"),
        rows=tuple(
            (
                f"{row['horizon_ns'] / HOUR_NS:g} h",
                _THIRDS[int(row["third"])],
                *(_share(row, key) for key in ("visited", "brownian", "mirror")),
                _points(row, "lift"),
                _points(row, "mirror_lift", "mirror_standard_error"),
                fmt.count(row["n"]),
                fmt.count(row["n_days"]),
            )
            for row in rows
        ),
        text_columns=2,
        source="curves.json regimes",
    )


def ranking_table(ranking: Rows, molchan: Rows) -> Table | None:
    """Return areas under the curves of section 10."""
    if not ranking or not molchan:
        return None
    rows = [
        (
            PROBABILITIES[str(row["probability"])].capitalize(),
            fmt.fixed(fmt.number(row["area"]), 3),
            fmt.fixed(fmt.number(row["precision_area"]), 3),
            fmt.fixed(float(row["visits"]) / float(row["n"]), 3),
            fmt.count(row["visits"]),
            fmt.count(row["n"]),
        )
        for row in ranking
    ]
    head = ("Probability of a visit", "Area under ROC", "Mean precision", "No skill", "Visits", "n")
    return Table(head=head, rows=tuple(rows), text_columns=1, source="curves.json ranking")


def claims_by_market(run: Run) -> Table | None:
    """Return what decides each claim, markets side by side; None where there is one market.

    Of several estimators, a row for each.
    """
    symbols, names = score_symbols(run), estimators(run)
    if len(symbols) < 2:
        return None
    rows = []
    for claim in REGISTER:
        one = statistic_of(claim.statistic)
        for name in names:
            mine = [s for s in run.scores if s.estimator == name]
            found = [find(mine, claim.statistic, s, claim.horizon, claim.side) for s in symbols]
            if any(score is not None for score in found):
                whose = (fmt.one_line(name, 40),) if len(names) > 1 else ()
                said = f"{claim.number} {claim.id}".strip()
                rows.append((said, with_unit(one, "").strip(), *whose, *map(value_cell, found)))
    whose = ("Estimator",) if len(names) > 1 else ()
    head = ("Claim", "Unit", *whose, *(fmt.one_line(s, 24) for s in symbols))
    return Table(head=head, rows=tuple(rows), text_columns=2 + len(whose)) if rows else None


def reasons_table(run: Run) -> Table | None:
    """Return why each verdict is what it is, and the row that it rests on, in its own unit."""
    rows = []
    for claim in REGISTER:
        verdict = next((one for one in run.verdicts if one.claim == claim.id), None)
        if verdict is None:
            continue
        rests = fmt.DASH
        if verdict.score is not None:
            rests = Traced(row_words(verdict.score), verdict.score, "value")
        reason = fmt.one_line(verdict.reason, 600)
        rows.append((f"{claim.number} {claim.id}".strip(), verdict.word.value, reason, rests))
    head = ("Claim", "Verdict", "Because", "Rests on")
    return Table(head=head, rows=tuple(rows), text_columns=4) if rows else None
