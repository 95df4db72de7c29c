"""The page of the validity gate: `validity.html`, self-contained, and its figures beside it.

It lays out values that were computed elsewhere and computes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqbt.evaluation.claims.register import statistic_of
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
from liqbt.study.clearing import effect_unit

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
        "overview": _overview_table(document),
        "size": _size_table(document),
        "ran_away": sum({_place(c): int(c["ran_away"]) for c in document["size"]}.values()),
        "power": _power_table(document),
        "lost": _lost(document),
        "smallest": _smallest_table(document),
        "levels": document["random_levels"],
        "lifts": _lifts_table(document["random_levels"]),
    }
    return write_page(out_dir, "validity", context, figures=figures.values())


def _place(cell: Mapping[str, Any]) -> tuple[str, str, int]:
    return str(cell["where"]), str(cell["world"]), int(cell["days"])


def _overview_table(document: Mapping[str, Any]) -> Table:
    """Return size and power of every claim's test, a row each."""
    rows = []
    for gate in document["gates"]:
        claim = str(gate["claim"])
        size = [c for c in document["size"] if c["claim"] == claim and c["replications"]]
        tests = [c for c in document["size"] if c["claim"] == claim]
        power = [
            p
            for p in document["power"]
            if (p["claim"], p["statistic"]) == (claim, gate["statistic"])
        ]
        best = max(power, key=lambda p: float(p["power"] or 0.0), default=None)
        rows.append(
            (
                claim,
                str(gate["word"]),
                ", ".join(str(days) for days in gate["days"]) or fmt.DASH,
                fmt.count(len(tests)),
                *_worst([c for c in size if c["where"] != "planted"]),
                *_worst([c for c in size if c["where"] == "planted"]),
                *(_smallest_at(document, gate, days) for days in _lengths(document)),
                fmt.DASH if best is None else fmt.percent(float(best["power"])),
            )
        )
    lengths = (f"Found at 80% over {days} days" for days in _lengths(document))
    head = (
        "Claim",
        "Its test is",
        "Size in full at, days",
        "Cells",
        "Most where nothing of it is",
        "Expected, let pass",
        "Most where another claim is true",
        "Expected, let pass",
        *lengths,
        "Most power",
    )
    return Table(head=head, rows=tuple(rows), text_columns=2)


def _worst(cells: list[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the cell in which most was found, and what a right test would find there."""
    if not cells:
        return fmt.DASH, fmt.DASH
    cell = max(cells, key=lambda c: float(c["rejections"]) / float(c["replications"]))
    world = str(cell["world"]).replace("_", " ")
    found = f"{fmt.count(cell['rejections'])} of {fmt.count(cell['replications'])}"
    said = f"{fmt.fixed(float(cell['expected']), 1)}, {fmt.count(cell['limit'])}"
    return f"{found} ({world}, {cell['days']} d)", said


def _lengths(document: Mapping[str, Any]) -> list[int]:
    return sorted({int(row["days"]) for row in document["found_with_80_percent"]})


def _smallest_at(document: Mapping[str, Any], gate: Mapping[str, Any], days: int) -> str:
    key = (gate["claim"], gate["statistic"], days)
    for row in document["found_with_80_percent"]:
        if (row["claim"], row["statistic"], row["days"]) == key:
            return _effect(row)
    return fmt.DASH


def _size_table(document: Mapping[str, Any]) -> Table | None:
    rows = [
        (
            str(cell["claim"]),
            str(cell["world"]).replace("_", " "),
            str(cell["where"]),
            fmt.count(cell["days"]),
            fmt.count(cell["markets"]),
            fmt.count(cell["replications"]),
            fmt.count(cell["rejections"]),
            fmt.percent(cell["rejections"] / max(cell["replications"], 1)),
            fmt.fixed(float(cell["expected"]), 1),
            fmt.count(cell["limit"]),
            str(cell["word"]),
            fmt.count(cell["above"]),
            fmt.count(cell["refuted"]),
            fmt.count(cell["suspect"]),
            fmt.count(cell["opposite"]),
            fmt.fixed(fmt.number(cell["mean"]), 4, signed=True),
            fmt.fixed(fmt.number(cell["spread"]), 4),
            fmt.fixed(fmt.number(cell["n_episodes"]), 0),
        )
        for cell in document["size"]
    ]
    head = ("Claim", "World", "There", "Days", "Markets", "Tested", "Found", "Share", "Expected")
    tail = (
        "Let pass",
        "It is",
        "First condition alone",
        "Refuted",
        "Suspect",
        "Found reversed",
        "Mean",
        "Spread",
        "Episodes",
    )
    return Table(head=(*head, *tail), rows=tuple(rows), text_columns=3) if rows else None


def _lost(document: Mapping[str, Any]) -> str:
    """Say how many planted markets ran away, and where; each is in a row for every statistic."""
    lost = {
        (p["claim"], p["strength"], p["days"]): (int(p["ran_away"]), p["replications"])
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
        name, scale = effect_unit(str(p["unit"]))
        effect, error, factual = (
            fmt.fixed(scale * fmt.number(p[key]), 2, signed=sign)
            for key, sign in (("effect", True), ("effect_error", False), ("factual", True))
        )
        of = statistic_of(str(p["statistic"]))
        rows.append(
            (
                str(p["claim"]),
                of.label,
                fmt.fixed(p["strength"], 2),
                fmt.count(p["days"]),
                fmt.count(p["replications"]),
                fmt.count(p["found"]),
                fmt.percent(fmt.number(p["power"])),
                fmt.count(p["above"]),
                fmt.count(p["refuted"]),
                fmt.count(p["suspect"]),
                effect,
                error,
                factual,
                name,
                fmt.fixed(of.unit.scale * fmt.number(p["mean"]), 2, signed=True),
                fmt.fixed(of.unit.scale * fmt.number(p["error"]), 2),
                of.unit.name,
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
        "First condition alone",
        "Wrongly refuted",
        "Suspect",
        "Effect",
        "Error",
    )
    tail = ("Factual", "Unit", "Mean", "Error", "Unit")
    return Table(head=(*head, *tail), rows=tuple(rows), text_columns=2) if rows else None


def _smallest_table(document: Mapping[str, Any]) -> Table | None:
    rows = []
    for row in document["found_with_80_percent"]:
        axis, _ = effect_axis(str(row["claim"]), str(row["unit"]))
        none = "none that was tried"
        cell = none if row["effect"] is None else _effect(row)
        name = (str(row["claim"]), statistic_of(str(row["statistic"])).label)
        rows.append((*name, fmt.count(row["days"]), cell, axis))
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
    head = (
        "Claim",
        "Statistic",
        "Its test is",
        "Found most where it is false",
        "Expected, let pass",
    )
    power = tuple(f"Found at 80% over {days} days" for days in lengths)
    levels = gate["random_levels"]
    notes = [
        f"Random levels on real prices: {fmt.one_line(levels['word'])}: "
        f"{fmt.one_line(levels['reason'], 400)}.",
        "Found most where it is false: the worst of the worlds without the effect. A right test "
        "finds as many as expected on average; more than are let pass block the test. Found at "
        "80%: the smallest effect, from the truth of simulated markets, that the test finds four "
        "times in five; none: no effect that was tried.",
    ]
    source = "manifest.json gate"
    table = Table(head=(*head, *power), rows=rows, text_columns=3, source=source)
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
        f"of {lengths} scored days; beyond that, or where its size was not tried in full, a "
        "verdict is withheld."
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
        world = fmt.one_line(str(cell["world"])).replace("_", " ")
        found = f"{share} ({world}, {cell['days']} days)"
        limit = f"{fmt.fixed(float(cell['expected']), 1)}, {fmt.count(cell['limit'])}"
    smallest = {
        int(row["days"]): _effect(row)
        for row in power
        if (row["claim"], row["statistic"]) == (claim, statistic)
    }
    return (
        fmt.one_line(claim),
        fmt.one_line(statistic_of(statistic).label),
        fmt.one_line(str(gate["word"])),
        found,
        limit,
        *(smallest.get(days, fmt.DASH) for days in lengths),
    )


def _effect(row: Mapping[str, Any]) -> str:
    if row["effect"] is None:
        return "none"
    name, scale = effect_unit(str(row["unit"]))
    return f"{fmt.fixed(scale * float(row['effect']), 1, signed=True)} {name}".strip()
