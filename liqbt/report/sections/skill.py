"""Sections 9 to 11: what probabilities are worth, and what the map adds to them."""

from __future__ import annotations

from liqbt.report import formatting as fmt
from liqbt.report import tables
from liqbt.report.blocks import Section, numbered
from liqbt.report.curve_tables import ranking_table
from liqbt.report.sections.material import Material, absent, grid, note


def skill_sections(material: Material) -> list[Section]:
    """Return sections 9 to 11."""
    return [_reliability(material), _ranking(material), _gain(material)]


def _reliability(material: Material) -> Section:
    picture = material.picture("reliability-visit-gains")
    table = grid(tables.brier_table(material.run), "Brier scores of clusters' probabilities")
    missing = None
    if picture is None and table is None:
        missing = absent(
            "No probability of a visit within 24 h was issued by calibrated models, so that none "
            "can be held against what came."
        )
    told = note(
        "Lower is better: score = miscalibration − discrimination + uncertainty. Miscalibration is "
        "what a monotone correction would have gained."
    )
    shown = told if table is not None else None
    return numbered(9, picture, table, shown, missing, *material.groups(9))


def _ranking(material: Material) -> Section:
    ranking, molchan = material.curves["ranking"], material.curves["molchan"]
    picture = material.picture("ranking")
    if picture is None:
        return numbered(
            10,
            absent(
                "No ranking: fewer than thirty clusters with an issued probability and an outcome "
                "are stored, or all had the same one."
            ),
        )
    skill = molchan[0]["skill"]
    return numbered(
        10,
        picture,
        grid(ranking_table(ranking, molchan), "Areas under the curves"),
        note(
            f"Molchan skill {fmt.fixed(float(skill), 3, signed=True)}: one half less the "
            "area below the curve, 0 on the diagonal. It ranks visits; a Molchan diagram of "
            "liquidations would need the mass that each hour crossed, which a run does not store."
        ),
    )


def _gain(material: Material) -> Section:
    held = material.groups(11)
    told = {table.group for table in material.tables}
    missing = []
    if "location" not in told:
        missing.append(
            absent(
                "No gain per liquidation: no forced notional is fed, so that where liquidations "
                "fell is not known."
            )
        )
    if "visit_gains" not in told:
        missing.append(absent("No gain of visits: no calibrated probability was issued."))
    return numbered(
        11,
        note(
            "Baselines: random walk, model without the map, price-only twin, freshness, distance "
            "kernel, uniform, momentum, funding, the nearest level. Chart structures (swings, "
            "volume nodes, round numbers, prior extremes) stand beside the dose and the drift in "
            "section 6; no gain is computed over them."
        ),
        *missing,
        *held,
    )
