"""What the page says of the data: how complete each feed is, and how late it was known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from liqbt.report import words
from liqbt.report.tables import Table

__all__ = ["completeness_table", "latency_table"]


def completeness_table(market: Mapping[str, Any]) -> Table:
    """Return events, gaps and missing share of each periodic feed, and the count of the others."""
    gaps = list(market.get("gaps", ()))
    periodic = {str(gap["kind"]) for gap in gaps}
    rows = [_gap_row(gap, market["events"]) for gap in gaps]
    rows += [
        (_kind_words(kind), words.DASH, words.count(int(n)), *[words.DASH] * 4)
        for kind, n in market["events"].items()
        if str(kind) not in periodic
    ]
    return Table(
        head=("Kind", "Feed", "Events", "Usual spacing", "Gaps", "Longest gap", "Missing time"),
        rows=tuple(rows),
        text_columns=2,
    )


def _gap_row(gap: Mapping[str, Any], events: Mapping[str, Any]) -> tuple[str, ...]:
    n = gap["n"] if "n" in gap else events.get(gap["kind"])
    return (
        _kind_words(gap["kind"]),
        words.one_line(str(gap.get("instrument", words.DASH))),
        words.count(_number(n)),
        words.duration(_number(gap.get("typical_spacing_s"))),
        words.count(_number(gap["n_gaps"])),
        words.duration(_number(gap["longest_s"])),
        words.percent(_number(gap["missing_share"]), 2),
    )


def _kind_words(kind: object) -> str:
    return words.one_line(str(kind)).replace("_", " ")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def latency_table(market: Mapping[str, Any]) -> Table:
    """Return how late each feed is taken to be known, and whether that was modelled or observed."""
    return Table(
        head=("Feed", "Kind", "Known after", "That is"),
        rows=tuple(
            (
                words.one_line(str(row["instrument"])),
                _kind_words(row["kind"]),
                words.duration(_number(row["latency_s"])),
                words.one_line(str(row["is"])),
            )
            for row in market.get("latency", ())
        ),
        text_columns=4,
    )
