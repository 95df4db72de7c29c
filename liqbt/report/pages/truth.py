"""The page of maps against the truth: `truth.html`, self-contained, with `truth.json`, figures.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.figures.distances import distances_figure, ranked, reach_words
from liqbt.report.figures.style import drawing
from liqbt.report.pages.template import write_page
from liqbt.report.tables import Table

_TRUTHS: Final = {
    "simulated": "simulated positions",
    "positions": "recorded positions",
    "liquidations": "single liquidations of the next hour",
}
_GIVEN: Final = (
    "Each liquidation lies at its own price; of an hour and side maps are compared as far as the "
    "price, or a liquidation, went, on average as far as the column says. "
)
_GAINS: Final = (
    ("information_gain", "Beside all that knows the path"),
    ("information_gain_over_twin", "In place of its price-only twin"),
    ("information_gain_over_freshness", "In place of freshness"),
    ("information_gain_over_kernel", "In place of the distance kernel"),
    ("information_gain_over_uniform", "In place of uniform"),
)


def write_truth_page(value: Mapping[str, Any], out_dir: Path) -> Path:
    """Write `truth.html`, `truth.json` and its figures into `out_dir`.

    Parameters
    ----------
    value : mapping
        `MapTruth` as plain values (no NaN): `experiment`, `distances`, `liquidations`, `left_out`.
    out_dir : Path
        A folder, made where need be.

    Returns
    -------
    Path
        The HTML page.
    """
    parts, figures = [], []
    for (symbol, truth), rows in _parts(value["distances"]):
        with drawing():
            figure = distances_figure(rows, name=f"{fmt.one_line(symbol)}-{truth}.svg")
        figures.append(figure)
        parts.append(
            {
                "title": f"{fmt.one_line(symbol)}: {_TRUTHS[truth]}",
                "figure": figure,
                "table": _table(rows),
                "counts": _counts(rows),
                "nearer": nearer_words(rows),
                "coverage": coverage_words(value["coverage"].get(symbol, {})),
                "given": _GIVEN if truth == "liquidations" else "",
            }
        )
    context = {
        "name": fmt.one_line(str(value["experiment"])),
        "parts": parts,
        "gains": _gains(value["liquidations"]) if value["liquidations"] else None,
        "left_out": [f"{name}: {fmt.one_line(why)}" for name, why in value["left_out"].items()],
    }
    return write_page(out_dir, "truth", context, figures=figures, document=value)


def describe_truth(value: Mapping[str, Any]) -> str:
    """Return the same as text: a table a market and kind of truth, and who is nearer."""
    out = []
    for (symbol, truth), rows in _parts(value["distances"]):
        out += [f"{symbol}, {_TRUTHS[truth]}; W1 in per cent of price", *_text(_table(rows))]
        words = coverage_words(value["coverage"].get(symbol, {}))
        given = [_GIVEN.strip()] if truth == "liquidations" else []
        out += [*given, _counts(rows), nearer_words(rows), *([words] if words else []), ""]
    if value["liquidations"]:
        out += ["Liquidations, millinats an hour and side", *_text(_gains(value["liquidations"]))]
    for name, why in value["left_out"].items():
        out.append(f"left out: {name}: {why}")
    return "\n".join(out).rstrip()


def nearer_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return who is nearer to the truth than the experiment's first, beyond the interval's error.

    Examples
    --------
    >>> row = {"reach": 0.1, "kind": "rival", "less_high": -0.2}
    >>> first = {"reach": 0.1, "estimator": "mine", "kind": "named", "less_high": 0.0}
    >>> nearer_words([first, {**row, "estimator": "z_score"}])
    'Nearer than mine beyond the error: within ±10 % z_score.'
    >>> nearer_words([first])
    'None is nearer than mine beyond the error.'
    """
    first = str(rows[0]["estimator"])
    parts = []
    for reach in sorted({float(row["reach"]) for row in rows}):
        nearer = [
            str(r["estimator"])
            for r in rows
            if float(r["reach"]) == reach and fmt.number(r["less_high"]) < 0.0
        ]
        if nearer:
            parts.append(f"within {reach_words(reach)} {', '.join(nearer)}")
    if not parts:
        return f"None is nearer than {first} beyond the error."
    return f"Nearer than {first} beyond the error: {'; '.join(parts)}."


def coverage_words(coverage: Mapping[str, Any]) -> str:
    """Return which share of open interest each census holds; nothing where there is none.

    Examples
    --------
    >>> coverage_words({"census": [0.31, 0.284]})
    'At the end census holds 31 % of open interest in longs and 28 % in shorts.'
    """
    parts = []
    for name, (longs, shorts) in coverage.items():
        known = [fmt.number(share) * 100 for share in (longs, shorts)]
        if known[0] == known[0]:
            parts.append(
                f"At the end {name} holds {known[0]:.0f} % of open interest in longs and "
                f"{known[1]:.0f} % in shorts."
            )
    return " ".join(parts)


def _parts(
    rows: Sequence[Mapping[str, Any]],
) -> list[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    key = lambda row: (str(row["symbol"]), str(row["truth"]))  # noqa: E731
    return [(of, list(several)) for of, several in groupby(rows, key)]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    reaches = sorted({float(row["reach"]) for row in rows})
    at = {(str(r["estimator"]), float(r["reach"])): r for r in rows}
    first = str(rows[0]["estimator"])
    uneven = len({at[name, reaches[-1]]["n_maps"] for name in ranked(rows)}) > 1
    body = []
    for name in ranked(rows):
        cells = [name, str(at[name, reaches[0]]["kind"])]
        cells += [fmt.count(int(at[name, reaches[-1]]["n_maps"]))] if uneven else []
        for reach in reaches:
            row = at[name, reach]
            cells += [fmt.fixed(fmt.number(row["w1"]), 2), _apart(row, name == first)]
        body.append(tuple(cells))
    head = ["Estimator", "What", *(["Maps"] if uneven else [])]
    for reach in reaches:
        head += [reach_words(reach), f"less {first}"]
    return Table(head=tuple(head), rows=tuple(body), text_columns=2)


def _apart(row: Mapping[str, Any], first: bool) -> str:
    if first:
        return "-"
    value, low, high = (fmt.number(row[k]) for k in ("less_first", "less_low", "less_high"))
    if low != low:
        return fmt.DASH if value != value else f"{value:+.2f}"
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    first = str(rows[0]["estimator"])
    mine = [row for row in rows if row["estimator"] == first]
    parts = []
    blocks = "hours" if rows[0]["truth"] == "liquidations" else "days"
    for row in mine:
        held = fmt.number(row["positions"])
        words = f"; effectively {held:.1f} positions a side" if held == held else ""
        days = fmt.number(row["n_effective"])
        counted = f", as {days:.1f} independent ones" if days == days else ""
        parts.append(
            f"{reach_words(float(row['reach']))}: {row['n_maps']} maps of {row['n_days']} {blocks}"
            f"{counted}{words}"
        )
    return f"Of {first}: {'; '.join(parts)}."


def _gains(rows: Sequence[Mapping[str, Any]]) -> Table:
    found = {(str(r["symbol"]), str(r["estimator"]), str(r["statistic"])): r for r in rows}
    several = len({str(r["symbol"]) for r in rows}) > 2  # two, and what is pooled of them
    names = dict.fromkeys((str(r["symbol"]), str(r["estimator"])) for r in rows)
    names = {n: None for n in names if several or n[0] != "pooled"}
    body = []
    for symbol, name in names:
        cells = [symbol, name] if several else [name]
        for statistic, _ in _GAINS:
            row = found.get((symbol, name, statistic))
            cells.append("-" if row is None else _millinats(row))
        body.append(tuple(cells))
    head = (*(("Market",) if several else ()), "Estimator", *(words for _, words in _GAINS))
    return Table(head=head, rows=tuple(body), text_columns=2 if several else 1)


def _millinats(row: Mapping[str, Any]) -> str:
    value, low, high = (1e3 * fmt.number(row[k]) for k in ("value", "ci_low", "ci_high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _text(table: Table) -> list[str]:
    cells = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.head))]
    return [
        "  ".join(
            cell.ljust(width) if i < table.text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
