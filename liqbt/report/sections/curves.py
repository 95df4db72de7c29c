"""Sections 5 to 8: visits by distance, by density, by market and regime, and when they came."""

from __future__ import annotations

from liqbt.report import tables
from liqbt.report.blocks import Block, Section, Text, numbered
from liqbt.report.curve_tables import levels_table, regimes_table
from liqbt.report.sections.material import Material, absent, folded, grid, note


def curve_sections(material: Material) -> list[Section]:
    """Return sections 5 to 8."""
    return [_distance(material), _dose(material), _forest(material), _incidence(material)]


def _distance(material: Material) -> Section:
    run = material.run
    table = levels_table(material.curves["distance"], "Distance, σ of 24 h", "distance")
    told: Block = note(
        "Clusters at the birth of their episode, 24 h, all markets, for which models had been "
        "fitted. Foretold without the map: from distance, volatility, trends and open interest "
        "known at issue, by a model of the levels that were issued. It stands here in the place of "
        "the placebo model's p̂, which is fitted on random levels and is not stored by distance; "
        "what is left over p̂ itself, all distances together, is in the table over the placebo "
        "probability below. SE: standard error by day."
    )
    if table is None:
        told = absent(
            "No probability of single clusters is stored, for want of models of a visit within "
            "24 h: below, the random walk stands in for p̂."
        )
    bands = grid(tables.bands_table(run), "Hit rate, null and mirror by distance")
    return numbered(
        5,
        Text(
            text="Both sides together; 95% intervals in brackets. 24 h is the primary horizon, the "
            "others are secondary. No rate without what no information would give beside it."
        ),
        grid(table, "Hit rate against what was foretold, by distance"),
        told,
        material.picture("bands-visits"),
        folded("The figure as a table, every market shown", bands),
        *material.groups(5),
    )


def _dose(material: Material) -> Section:
    dose, drift = material.curves["dose"], material.curves["drift"]
    blocks: list[Block | None] = [material.picture("dose")]
    if not dose:
        blocks.append(
            absent(
                "No dose curve: levels that no map draws, at landmarks a day apart, are not "
                "stored, as of published levels or where 24 h is not scored."
            )
        )
    if not drift:
        blocks.append(absent("No drift curve: too few forecasts with a price 4 h later."))
    table = grid(levels_table(dose, "Density rank", "dose"), "Visits by density rank")
    return numbered(6, *blocks, folded("The dose as a table", table), *material.groups(6))


def _forest(material: Material) -> Section:
    held = material.groups(7)
    regimes = regimes_table(material.curves["regimes"])
    told = (
        note(
            "Thirds of volatility within each market, cut with the whole record, which no forecast "
            "saw: it describes, and decides nothing. SE: standard error by day."
        )
        if regimes
        else absent("No table by regime: outcomes with their distances are not stored.")
    )
    return numbered(
        7,
        note(
            "An interval that contains zero shows no effect. Grey ticks in a figure: the minimum "
            "detectable effect; anything nearer to zero could not reliably have been seen."
        ),
        material.picture("forest-visits"),
        grid(regimes, "Lift by regime of volatility"),
        told,
        *held,
    )


def _incidence(material: Material) -> Section:
    picture = material.picture("incidence")
    missing = None
    if picture is None:
        missing = absent(
            "No curve: fewer than thirty episodes with the times of their visits are stored."
        )
    return numbered(8, picture, missing, *material.groups(8))
