"""The page of a configuration search: `search.html`, self-contained, and its figures beside it.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liqbt.report import formatting as fmt
from liqbt.report.figures.search import gains_figure, keys_words, logits_figure
from liqbt.report.figures.style import Figure, drawing
from liqbt.report.pages.template import write_page
from liqbt.report.tables import Table


def write_search_page(document: Mapping[str, Any], out_dir: Path) -> Path:
    """Write `search.html`, and its figures as files, into `out_dir`.

    Parameters
    ----------
    document : mapping
        Of `liqbt.search`: None where there is no number.
    out_dir : Path
        A folder that exists.

    Returns
    -------
    Path
        The page, which holds its pictures and styles and asks nothing of the network.
    """
    rows = sorted(
        (row for row in document["trials"] if row["compared"]),
        key=lambda row: (-row["gain"]["value"], row["number"]),
    )
    left = [row for row in document["trials"] if not row["compared"]]
    figures: dict[str, Figure] = {}
    with drawing():
        counts = document["counts"]
        figures["gains"] = gains_figure(rows, best_of=counts["trials"], name="gains.svg")
        if document["overfitting"] is not None:
            figures["logits"] = logits_figure(document["overfitting"], name="logits.svg")
    context = {
        "name": fmt.one_line(str(document["name"])),
        "experiment": fmt.one_line(str(document["experiment"])),
        "seed": document["seed"],
        "block_days": document["days"]["block_days"],
        "ledes": [fmt.one_line(text, 900) for text in document["sentences"][:3]],
        "notes": [fmt.one_line(text, 900) for text in document["sentences"][3:]],
        "figures": figures,
        "abilities": _abilities_table(document),
        "trials": _trials_table(rows),
        "left": _left_table(left),
        "vary": [(fmt.one_line(str(k)), fmt.one_line(str(v), 200)) for k, v in _vary(document)],
    }
    return write_page(out_dir, "search", context, figures=figures.values())


def _vary(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, ", ".join(map(str, values))) for key, values in document["vary"].items()]


def _abilities_table(document: Mapping[str, Any]) -> Table:
    names = {"no_map": "no map", "as_configured": "the base as it was configured"}
    rows = []
    for key, said in names.items():
        found = document["superior_ability"][key] or {}
        cells = (
            fmt.fixed(fmt.number(found.get(each)), 3) for each in ("consistent", "lower", "upper")
        )
        rows.append((said, *cells))
    head = ("No trial is better than", "SPA p, consistent", "lower", "upper")
    return Table(head=head, rows=tuple(rows), text_columns=1)


def _trials_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    cells = tuple(
        (
            fmt.count(row["number"]),
            fmt.one_line(keys_words(row), 120),
            _millinats(row["gain"]),
            fmt.fixed(1000.0 * fmt.number(row["gain"]["mde"]), 2),
            _millinats(row["gain_over_base"]),
            "yes" if row["in_confidence_set"] else "no",
            fmt.DASH if row["same_as"] == row["number"] else fmt.count(row["same_as"]),
            str(row["run_id"]),
        )
        for row in rows
    )
    head = (
        "Trial",
        "What it varies",
        "Gain over no map, millinats",
        "Smallest it could show",
        "Gain over the base, millinats",
        "In the confidence set",
        "Same probabilities as",
        "Run",
    )
    bases = tuple(i for i, row in enumerate(rows) if row["number"] == row["base"])
    return Table(head=head, rows=cells, text_columns=2, strong=bases)


def _millinats(row: Mapping[str, Any]) -> str:
    value, low, high = (fmt.number(row[key]) for key in ("value", "ci_low", "ci_high"))
    return fmt.estimate(value, low, high, scale=1000.0, signed=True)


def _left_table(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    cells = tuple(
        (
            fmt.count(row["number"]),
            fmt.one_line(keys_words(row), 120),
            fmt.one_line(str(row["state"])),
            fmt.one_line(str(row["reason"]), 400),
        )
        for row in rows
    )
    head = ("Trial", "What it varies", "It", "Why it is not compared")
    return Table(head=head, rows=cells, text_columns=4) if rows else None
