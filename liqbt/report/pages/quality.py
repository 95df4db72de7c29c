"""The page of a log's quality: `quality.html`, self-contained, and `quality.json` beside it.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.figures.quality import (
    coverage_figure,
    feed_name,
    latency_figure,
    leaks_figure,
    presence_figure,
)
from liqbt.report.figures.style import Figure, drawing
from liqbt.report.leaks import leaks_table
from liqbt.report.pages.template import write_page
from liqbt.report.tables import Table

_EACH: Final = 3
_FROZEN: Final = 6
_SMALL: Final = 50
_MANY: Final = 60


def write_quality_page(value: Mapping[str, Any], out_dir: Path) -> Path:
    """Write `quality.html` and `quality.json` into `out_dir`, which is made where need be.

    Parameters
    ----------
    value : mapping
        A log's quality as plain values (no NaN).
    out_dir : Path
        A folder.

    Returns
    -------
    Path
        The HTML page, which holds its pictures and styles and asks nothing of the network.
    """
    return write_page(out_dir, "quality", _context(value), document=value)


def _context(value: Mapping[str, Any]) -> dict[str, Any]:
    feeds: Sequence[Mapping[str, Any]] = value["feeds"]
    large = [f for f in feeds if f["events"] >= _SMALL or f["cadence_s"] is not None]
    large = list(feeds) if len(feeds) <= _MANY or not large else large
    small = [f for f in feeds if f not in large]
    figures: dict[str, Figure] = {}
    with drawing():
        figures["presence"] = presence_figure(value, large, name="presence.png")
        latency = latency_figure(large, name="latency.svg")
        if latency is not None:
            figures["latency"] = latency
        leaks = leaks_figure(value.get("leaks", ()), name="leaks.svg")
        if leaks is not None:
            figures["leaks"] = leaks
        if any(p["days"] for p in value["coverage"]):
            figures["coverage"] = coverage_figure(value["coverage"], name="coverage.svg")
    return {
        "name": fmt.one_line(str(value["name"])),
        "digest": fmt.one_line(str(value["digest"])),
        "period": f"{fmt.instant(value['start_ns'])} to {fmt.instant(value['end_ns'])}",
        "quarantined": fmt.count(value["quarantined"]),
        "count": fmt.count(len(feeds)),
        "headline": _headline(large),
        "feeds": _feeds_table(large),
        "small": f"{fmt.count(len(small))} feeds of fewer than {_SMALL} events each, "
        f"{fmt.count(sum(f['events'] for f in small))} events together, are not listed."
        if small
        else "",
        "gaps": _gaps_table(large),
        "odd": _odd_table(large),
        "coverage": _coverage_table(value["coverage"]),
        "overlaps": _overlaps_table(value["overlaps"]),
        "leaks": leaks_table(value["leaks"]) if value.get("leaks") else None,
        "notes": _notes_table([*_findings(value), *value["notes"]]),
        "figures": figures,
    }


def _headline(feeds: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence or two what a reader must know first."""
    periodic = [f for f in feeds if f["cadence_s"] is not None]
    torn = sorted((f for f in periodic if f["missing"]), key=lambda f: fmt.number(f["complete"]))
    lack = f"{len(periodic) - len(torn)} of {len(periodic)} feeds with a cadence lack nothing."
    parts = [lack if periodic else "No feed has a cadence, so silence is no gap."]
    if torn:
        worst = torn[0]
        share = fmt.percent(fmt.number(worst["complete"]), 2)
        parts.append(f"Least complete: {feed_name(worst)}, {share}.")
    observed = sum(f["latency_is"] == "observed" for f in feeds)
    parts.append(f"Latency is observed for {observed} of {len(feeds)} feeds listed.")
    parts += [
        f"{feed_name(f)} looks capped ({', '.join(f['capped'])} positions come to an exact "
        "multiple of 1,000): some are missing."
        for f in feeds
        if f["capped"]
    ]
    return " ".join(parts)


def _feeds_table(feeds: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            feed_name(f),
            str(f["latency_is"]),
            fmt.count(f["events"]),
            fmt.duration(fmt.number(f["cadence_s"])),
            fmt.percent(fmt.number(f["complete"]), 2),
            fmt.count(f["n_gaps"]) if f["cadence_s"] is not None else fmt.DASH,
            fmt.count(f["ids_repeated"] + f["rows_repeated"]),
            fmt.count(f["twins"]),
            fmt.count(f["late_order"]),
            fmt.duration(float(f["latency_s"][2])),
            fmt.duration(float(f["latency_s"][4])),
        )
        for f in feeds
    ]
    head = ("Feed", "Latency is", "Events", "Cadence", "Complete", "Gaps", "Doubled rows")
    tail = ("Twins", "Late arrivals", "Latency, median", "Latency, 99%")
    return Table(head=(*head, *tail), rows=tuple(rows), text_columns=2)


def _gaps_table(feeds: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (
            feed_name(f),
            fmt.instant(gap["start_ns"]),
            fmt.instant(gap["end_ns"]),
            fmt.duration((gap["end_ns"] - gap["start_ns"]) / 1e9),
            fmt.count(gap["missing"]),
        )
        for f in feeds
        if f["n_gaps"]
        for gap in f["gaps"][:_EACH]
    ]
    head = ("Feed", "Last before", "First after", "Length", "Slots missing")
    return Table(head=head, rows=tuple(rows), text_columns=3) if rows else None


def _odd_rows(feeds: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for f in feeds:
        for odd in f["odd"][:_EACH]:
            z = fmt.DASH if odd["z"] is None else fmt.fixed(abs(odd["z"]), 0)
            what = fmt.one_line(str(odd["what"]))
            yield (
                feed_name(f),
                fmt.instant(odd["at_ns"]),
                what,
                z,
                fmt.count(f["n_odd"]),
            )
        same = fmt.number(f["longest_same_s"])
        if same >= _FROZEN * fmt.number(f["cadence_s"]):
            what = f"one value for {fmt.duration(same)}"
            yield feed_name(f), fmt.DASH, what, fmt.DASH, fmt.DASH


def _odd_table(feeds: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = tuple(_odd_rows(feeds))
    head = ("Feed", "When", "What", "Robust standard deviations", "Such values in all")
    return Table(head=head, rows=rows, text_columns=3) if rows else None


def _coverage_table(pairs: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (
            fmt.one_line(str(p["liquidations"])),
            str(p["kind"]).replace("_", " "),
            fmt.one_line(str(p["open_interest"])),
            "one venue" if p["one_venue"] else "two venues",
            fmt.duration(fmt.number(p["cadence_s"])),
            fmt.count(len(p["days"])),
            fmt.percent(fmt.number(p["ratio"]), 2),
        )
        for p in pairs
    ]
    head = ("Liquidations", "Kind", "Open interest", "Of", "Its spacing", "Days", "Ratio")
    return Table(head=head, rows=tuple(rows), text_columns=4) if rows else None


def _overlaps_table(pairs: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (
            str(p["kind"]).replace("_", " "),
            fmt.one_line(str(p["one"])),
            fmt.one_line(str(p["other"])),
            fmt.one_line(str(p["compared"])),
            fmt.count(p["hours"]),
            fmt.fixed(fmt.number(p["value"]), 2),
            fmt.fixed(fmt.number(p["correlation"]), 3),
        )
        for p in pairs
    ]
    head = ("Kind", "One", "Other", "Compared", "Hours in common", "Value", "Correlation")
    return Table(head=head, rows=tuple(rows), text_columns=4) if rows else None


def _findings(value: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what cannot be what it is said to be as rows of notes."""
    return [(f["feed"], f["check"], f["text"]) for f in value.get("findings", ())]


def _notes_table(notes: Sequence[Sequence[str]]) -> Table | None:
    rows = [
        (
            fmt.one_line(file),
            fmt.one_line(name.replace("_", " ")),
            fmt.one_line(text, 300),
        )
        for file, name, text in notes
    ]
    return Table(head=("File", "What", "Value"), rows=tuple(rows), text_columns=3) if rows else None
