"""The page of the validity gate: `validity.html`, self-contained, and its figures beside it.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import Figure, drawing
from liqbt.report.figures.validity import (
    effect_axis,
    levels_figure,
    power_figure,
    size_figure,
)
from liqbt.report.pages.template import write_page
from liqbt.report.tables import Table

if TYPE_CHECKING:
    from liqbt.study.store import Run


def write_validity_page(document: Mapping[str, Any], out_dir: Path) -> Path:
    """Write `validity.html`, and its figures as files, into `out_dir`.

    Parameters
    ----------
    document : mapping
        The gate's document; None or NaN where there is no number.
    out_dir : Path
        A folder that exists.

    Returns
    -------
    Path
        The page, which holds its pictures and styles and asks nothing of the network.
    """
    figures: dict[str, Figure] = {}
    with drawing():
        if document["size"]:
            figures["size"] = size_figure(document["size"], name="size.svg")
        if document["power"]:
            figures["power"] = power_figure(document["power"], name="power.svg")
        if "lifts" in document["random_levels"]:
            figures["levels"] = levels_figure(document["random_levels"], name="random-levels.svg")
    context = {
        "gates": document["gates"],
        "identity": document["identity"],
        "seed": document["seed"],
        "figures": figures,
        "size": _size_table(document),
        "ran_away": sum({c["world"]: int(c.get("ran_away", 0)) for c in document["size"]}.values()),
        "power": _power_table(document),
        "lost": _lost(document),
        "smallest": _smallest_table(document),
        "levels": document["random_levels"],
        "lifts": _lifts_table(document["random_levels"]),
    }
    return write_page(out_dir, "validity", context, figures=figures.values())


def _size_table(document: Mapping[str, Any]) -> Table | None:
    rows = [
        (
            str(cell["world"]).replace("_", " "),
            str(cell["statistic"]),
            fmt.count(cell["replications"]),
            fmt.count(cell["rejections"]),
            fmt.percent(cell["rejections"] / cell["replications"]),
            fmt.count(cell["limit"]),
            str(cell["word"]),
            fmt.count(cell["opposite"]),
            fmt.fixed(fmt.number(cell["mean"]), 4, signed=True),
            fmt.fixed(fmt.number(cell["spread"]), 4),
            fmt.fixed(cell["n_days"], 0),
            fmt.fixed(cell["n_episodes"], 0),
        )
        for cell in document["size"]
    ]
    head = ("World", "Statistic", "Markets", "Found", "Share", "At most", "It is", "Found reversed")
    tail = ("Mean", "Spread", "Days", "Episodes")
    return Table(head=(*head, *tail), rows=tuple(rows), text_columns=2) if rows else None


def _lost(document: Mapping[str, Any]) -> str:
    """Say how many planted markets ran away, and where; each is in a row for every statistic."""
    lost = {
        (p["claim"], p["strength"], p["days"]): (int(p.get("ran_away", 0)), p["replications"])
        for p in document["power"]
    }
    return ", ".join(
        f"{n} of {tried} of {claim} {strength:g} over {days} days"
        for (claim, strength, days), (n, tried) in lost.items()
        if n
    )


def _power_table(document: Mapping[str, Any]) -> Table | None:
    rows = []
    for p in document["power"]:
        scale = effect_axis(str(p["claim"]), str(p["statistic"]))[1]
        effect, error = (
            fmt.fixed(scale * fmt.number(p[key]), 2, signed=sign)
            for key, sign in (("effect", True), ("effect_error", False))
        )
        rows.append(
            (
                str(p["claim"]),
                str(p["statistic"]),
                fmt.fixed(p["strength"], 2),
                fmt.count(p["days"]),
                fmt.count(p["replications"]),
                fmt.count(p["found"]),
                fmt.percent(fmt.number(p["power"])),
                effect,
                error,
                fmt.fixed(100.0 * fmt.number(p["factual"]), 1, signed=True),
                fmt.fixed(scale * fmt.number(p["mean"]), 2, signed=True),
                fmt.fixed(scale * fmt.number(p["error"]), 2),
            )
        )
    head = (
        "Claim",
        "Statistic",
        "Strength",
        "Days",
        "Markets",
        "Found",
        "Power",
        "Effect",
        "Error",
    )
    tail = ("Factual, points", "Mean", "Error")
    return Table(head=(*head, *tail), rows=tuple(rows), text_columns=2) if rows else None


def _smallest_table(document: Mapping[str, Any]) -> Table | None:
    rows = []
    for row in document["found_with_80_percent"]:
        unit, scale = effect_axis(str(row["claim"]), str(row["statistic"]))
        effect = fmt.number(row["effect"])
        shown = fmt.fixed(scale * effect, 2, signed=True)
        none = "none that was tried: underpowered at this length"
        cell = none if math.isnan(effect) else shown
        name = (str(row["claim"]), str(row["statistic"]))
        rows.append((*name, fmt.count(row["days"]), cell, unit))
    head = ("Claim", "Statistic", "Days", "Smallest effect found with 80% power", "What it is")
    return Table(head=head, rows=tuple(rows), text_columns=2) if rows else None


def _lifts_table(levels: Mapping[str, Any]) -> Table:
    rows = []
    for row in levels.get("lifts", ()):
        value, low, high, hac, bootstrap = (
            fmt.fixed(100.0 * fmt.number(row[key]), 2, signed=signed)
            for key, signed in (
                ("value", True),
                ("ci_low", True),
                ("ci_high", True),
                ("hac_se", False),
                ("bootstrap_se", False),
            )
        )
        null = "p̂" if row["null"] == "placebo" else "Brownian"
        counts = (fmt.count(row["n_episodes"]), fmt.count(row["n_days"]))
        rows.append((str(row["symbol"]), null, value, low, high, hac, bootstrap, *counts))
    head = ("Market", "Over", "Lift, points", "95% from", "to", "HAC error", "Bootstrap error")
    return Table(head=(*head, "Episodes", "Days"), rows=tuple(rows), text_columns=2)


_NONE = "There is no document of the validity gate beside this run (liqbt validate)."


def gate_section(run: Run) -> dict[str, Any]:
    """Return the table of the gate's tests, and sentences beside it.

    Parameters
    ----------
    run : Run
        Its manifest keeps what the gate's document said.

    Returns
    -------
    dict
        `table`, None where there was no document, and `notes`.
    """
    gate = run.manifest.get("gate") or {}
    if not gate:
        return {"table": None, "notes": [_NONE]}
    size = {str(cell["claim"]): cell for cell in gate["size"]}
    lengths = sorted({int(row["days"]) for row in gate["found_with_80_percent"]})
    rows = tuple(_row(each, size, gate["found_with_80_percent"], lengths) for each in gate["gates"])
    head = ("Claim", "Statistic", "Its test is", "Found most where nothing is", "At most")
    power = tuple(f"Found at 80% over {days} days" for days in lengths)
    levels = gate["random_levels"]
    notes = [
        f"Random levels on real prices: {fmt.one_line(levels['word'])}: "
        f"{fmt.one_line(levels['reason'], 400)}.",
        "Found most where nothing is: the worst of the worlds without the effect; more than at "
        "most blocks the test. Found at 80%: the smallest effect, from the truth of simulated "
        "markets, that the test finds four times in five; none: no effect that was tried.",
    ]
    table = Table(head=(*head, *power), rows=rows, text_columns=3)
    stale = [
        f"What follows says nothing of {fmt.one_line(claim)} here: {fmt.one_line(why, 400)}."
        for claim, why in gate["stale"].items()
    ]
    return {"table": table, "notes": [*stale, *notes, _tried(gate["tried"])]}


def _tried(tried: Mapping[str, Any]) -> str:
    """Say what the tests were tried with."""
    names = ", ".join(fmt.one_line(each["name"]) for each in tried["estimators"])
    lengths = " to ".join(sorted({fmt.fixed(days, 0) for days in tried["scored_days"]}))
    return (
        f"The tests were tried with the estimator {names}, under the default protocol, on records "
        f"of {lengths} scored days; beyond that a verdict is withheld."
    )


def _row(
    gate: Mapping[str, Any],
    size: Mapping[str, Mapping[str, Any]],
    power: list[Mapping[str, Any]],
    lengths: list[int],
) -> tuple[str, ...]:
    claim, statistic = str(gate["claim"]), str(gate["statistic"])
    cell = size.get(claim)
    found, limit = fmt.DASH, fmt.DASH
    if cell is not None:
        share = f"{fmt.count(cell['rejections'])} of {fmt.count(cell['replications'])}"
        found = f"{share} ({fmt.one_line(str(cell['world'])).replace('_', ' ')})"
        limit = fmt.count(cell["limit"])
    smallest = {
        int(row["days"]): _effect(claim, statistic, row["effect"])
        for row in power
        if (row["claim"], row["statistic"]) == (claim, statistic)
    }
    return (
        fmt.one_line(claim),
        fmt.one_line(statistic),
        fmt.one_line(str(gate["word"])),
        found,
        limit,
        *(smallest.get(days, fmt.DASH) for days in lengths),
    )


def _effect(claim: str, statistic: str, effect: float | None) -> str:
    if effect is None:
        return "none"
    unit = effect_axis(claim, statistic)[0].rpartition(", ")[2]
    shown = fmt.fixed(effect_axis(claim, statistic)[1] * effect, 1, signed=True)
    return f"{shown} {unit}"
