"""What a run's report shows of the validity gate: each test, its size, its power, random levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liqbt.report import words
from liqbt.report.tables import Table
from liqbt.report.validity_figures import UNITS

if TYPE_CHECKING:
    from liqbt.experiment.store import Run

__all__ = ["gate_section"]

_NONE = "There is no document of the validity gate beside this run (liqbt validate)."
_STALE = "The gate was run on other code than this run: what follows says nothing of it."


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
        f"Random levels on real prices: {words.one_line(levels['word'])}: "
        f"{words.one_line(levels['reason'], 400)}.",
        "Found most where nothing is: the worst of the worlds without the effect; more than at "
        "most blocks the test. Found at 80%: the smallest effect, from the truth of simulated "
        "markets, that the test finds four times in five; none: no effect that was tried.",
    ]
    table = Table(head=(*head, *power), rows=rows, text_columns=3)
    return {"table": table, "notes": [_STALE, *notes] if gate["stale"] else notes}


def _row(
    gate: Mapping[str, Any],
    size: Mapping[str, Mapping[str, Any]],
    power: list[Mapping[str, Any]],
    lengths: list[int],
) -> tuple[str, ...]:
    claim, statistic = str(gate["claim"]), str(gate["statistic"])
    cell = size.get(claim)
    found, limit = words.DASH, words.DASH
    if cell is not None:
        share = f"{words.count(cell['rejections'])} of {words.count(cell['replications'])}"
        found = f"{share} ({words.one_line(str(cell['world'])).replace('_', ' ')})"
        limit = words.count(cell["limit"])
    smallest = {
        int(row["days"]): _effect(claim, row["effect"])
        for row in power
        if (row["claim"], row["statistic"]) == (claim, statistic)
    }
    return (
        words.one_line(claim),
        words.one_line(statistic),
        words.one_line(str(gate["word"])),
        found,
        limit,
        *(smallest.get(days, words.DASH) for days in lengths),
    )


def _effect(claim: str, effect: float | None) -> str:
    if effect is None:
        return "none"
    scale = UNITS.get(claim, ("", 1.0))[1]
    unit = {100.0: " points", 1000.0: " millinats a day"}.get(scale, "")
    return words.fixed(scale * effect, 1, signed=True) + unit
