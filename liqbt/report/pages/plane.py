"""The page of the 85 % audit: `plane.html`, self-contained, with `plane.json` and its figure.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.figures.plane import READING_WORDS, plane_figure
from liqbt.report.figures.style import drawing
from liqbt.report.pages.template import write_page
from liqbt.report.tables import Table

_NULLS: Final = {"brownian": "Brownian", "other_times": "Other times", "mirror": "Mirror"}


def write_plane_page(value: Mapping[str, Any], out_dir: Path) -> Path:
    """Write `plane.html`, `plane.json` and `plane.png` into `out_dir`, each whole or not at all.

    Parameters
    ----------
    value : mapping
        The audit as plain values (no NaN), with `experiment` and `run_id`.
    out_dir : Path
        A folder, made where need be.

    Returns
    -------
    Path
        The HTML page, which holds its picture and styles and asks nothing of the network.
    """
    name = fmt.one_line(str(value["experiment"]))
    with drawing():
        figure = plane_figure(value, name="plane.png")
    context = {
        "name": name,
        "run_id": fmt.one_line(str(value["run_id"])),
        "markets": fmt.list_words([fmt.one_line(str(s)) for s in value["symbols"]]),
        "days": fmt.count(value["n_days"]),
        "target": fmt.percent(value["target"], 0),
        "ratio": fmt.fixed(value["target"] / (1.0 - value["target"]), 1),
        "sigma": fmt.percent(value["sigma_1d"]),
        "summary": value["summary"],
        "verdicts": value["verdicts"],
        "reading_words": READING_WORDS,
        "figure": figure,
        "levels": _levels_table(value),
        "readings": plane_table(value),
        "cells": _cells_table(value),
    }
    return write_page(out_dir, "plane", context, figures=[figure], document=value)


def plane_table(value: Mapping[str, Any]) -> Table:
    """Return every reading's hit rate beside its nulls, and the skill that is left."""
    rows: list[tuple[str, ...]] = []
    strong: list[int] = []
    several = len(value["symbols"]) > 1
    for row in value["readings"]:
        if not several and row["symbol"] != "pooled":
            continue
        rate = row["hit_rate"]
        if row["horizon"] == "24h":
            strong.append(len(rows))
        market = (fmt.one_line(str(row["symbol"])),) if several else ()
        rows.append(
            (
                *market,
                READING_WORDS[row["reading"]],
                fmt.horizon_words(row["horizon"]),
                _estimate(rate),
                *(_beside(row, name) for name in _NULLS),
                _median(row),
                f"{fmt.count(rate['n_episodes'])} ({fmt.count(rate['n_days'])})",
            )
        )
    head = (
        *(("Market",) if several else ()),
        "Reading",
        "Within",
        "Hit rate, % [95%]",
        *(f"{word}: scores; skill over it, points [95%]" for word in _NULLS.values()),
        "Median distance",
        "Windows (days)",
    )
    return Table(head=head, rows=tuple(rows), text_columns=2 + several, strong=tuple(strong))


def _beside(row: Mapping[str, Any], null: str) -> str:
    """Return what a null scores, and the skill over it."""
    chance = fmt.percent(fmt.number(row["null"][null]))
    return f"{chance}; {_estimate(row['skill'].get(null), signed=True)}"


def _estimate(score: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    if score is None:
        return fmt.DASH
    low, high = fmt.number(score["ci_low"]), fmt.number(score["ci_high"])
    return fmt.estimate(fmt.number(score["value"]), low, high, scale=100, signed=signed)


def _median(row: Mapping[str, Any]) -> str:
    middle = fmt.number(row["distance_sigma"][1])
    if math.isnan(middle):
        return fmt.DASH
    return f"{middle:.2f} σ, {fmt.percent(fmt.number(row['distance'][1]), 2)}"


def _levels_table(value: Mapping[str, Any]) -> Table:
    def place(row: Mapping[str, Any], name: str) -> str:
        found = fmt.number(row[name])
        if math.isnan(found):
            return "nowhere"
        return f"{found:.2f} σ, {fmt.percent(found * row['sigma_h'], 2)}"

    names = ("reach_level", "brownian_reach_level", "reach_pair", "brownian_reach_pair")
    rows = [
        (
            fmt.horizon_words(row["horizon"]),
            fmt.count(row["n_windows"]),
            *(place(row, name) for name in names),
            fmt.fixed(row["rms_move"], 2),
            fmt.fixed(row["median_move"], 2),
        )
        for row in value["levels"]
    ]
    head = (
        "Within",
        "Windows",
        "One level, these prices",
        "One level, Brownian",
        "One of a pair, these prices",
        "One of a pair, Brownian",
        "Moves, root mean square, σ",
        "Median, σ",
    )
    return Table(head=head, rows=tuple(rows), text_columns=1)


_CELLS: Final = {
    "clusters": "every cluster of the map",
    "first_side": "the crowded side's call, plain levels",
    "direction": "the crowded side's call, moves of at least",
}


def _cells_table(value: Mapping[str, Any]) -> Table:
    rows = [
        (
            _CELLS[row["reading"]],
            fmt.horizon_words(row["horizon"]),
            f"{row['low']:g} σ"
            if row["low"] == row["high"]
            else f"{row['low']:g} to {row['high']:g} σ",
            fmt.percent(fmt.number(row["hit_rate"])),
            fmt.percent(fmt.number(row["null_brownian"])),
            fmt.percent(fmt.number(row["null_real"])),
            fmt.estimate(
                fmt.number(row["skill"]),
                fmt.number(row["skill_low"]),
                fmt.number(row["skill_high"]),
                scale=100,
                signed=True,
            ),
            fmt.count(row["n"]),
            fmt.count(row["n_days"]),
        )
        for row in sorted(value["cells"], key=lambda row: list(_CELLS).index(row["reading"]))
        if row["n"]
    ]
    head = (
        "What",
        "Within",
        "Distance",
        "Hit rate",
        "No information: Brownian",
        "These prices",
        "Skill over Brownian, points [95%]",
        "Counted",
        "Days",
    )
    return Table(head=head, rows=tuple(rows), text_columns=3)
