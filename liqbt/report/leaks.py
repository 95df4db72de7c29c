"""What the leak test said of feeds, as a table for a log's page and a run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liqbt.report import formatting as fmt
from liqbt.report.tables import Table


def leaks_table(leaks: Sequence[Mapping[str, Any]]) -> Table:
    """Return what the leak test says of each feed: a row each."""
    return Table(
        head=("Feed", "Held against", "The test says", "Answered up to", "p", "After", "Changes"),
        rows=tuple(_row(one) for one in leaks),
        text_columns=3,
        source="manifest.json symbols",
    )


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    feed = fmt.one_line(str(one["feed"]), 64)
    if one["why_not"]:
        said = f"not tried: {fmt.one_line(str(one['why_not']), 90)}"
        return (feed, fmt.DASH, said, fmt.DASH, fmt.DASH, fmt.DASH, fmt.DASH)
    said = "no leak seen"
    if one["leaks"]:
        said = f"leaks{one['cause'] and ': '}{fmt.one_line(str(one['cause']), 140)}"
    return (
        feed,
        fmt.one_line(str(one["price"]), 64),
        said,
        fmt.duration(float(one["lag_s"])) if one["leaks"] else fmt.DASH,
        f"{float(one['leak_p']):.2g}",
        fmt.percent(float(one["after_share"]), 0),
        fmt.count(int(one["changes"])),
    )
