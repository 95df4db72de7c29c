"""Sections 1 to 4: what was fixed before, what was counted, what the data held, what words mean."""

from __future__ import annotations

from typing import Final

from liqbt.report import notes, tables
from liqbt.report.blocks import Block, Pairs, Section, Text, numbered
from liqbt.report.narrative import VERDICT_WORDS
from liqbt.report.sections.material import (
    DATA_NOTE,
    Material,
    absent,
    data_of_market,
    folded,
    grid,
    note,
)

GLOSSARY: Final = (
    (
        "p̂",
        "The placebo model's probability of a visit: fitted on earlier random levels, from "
        "distance, volatility, trends, season and open interest, so that it knows no map. The null "
        "of a hit rate. Foretold without the map: the same, fitted on the levels that were issued.",
    ),
    (
        "Dose, drift",
        "Dose: how visits change with density. Drift: where the price went for each unit of near "
        "asymmetry, the map's mass above less below the price, weighted by e^(−d/0.5 σ).",
    ),
    (
        "Price-only twin, placebo history",
        "The same estimator replayed without positions; with positions of another time.",
    ),
    (
        "Brier score, reliability",
        "The mean squared error of probabilities; whether what was foretold at 30 % comes in 30 %.",
    ),
    (
        "Molchan, ROC",
        "What is missed against what is alarmed; what is rightly against what is wrongly flagged.",
    ),
    (
        "Size, power, market-years",
        "How often a test finds what is not there; how often it finds what is; how long a record "
        "of these markets must be to find the smallest effect that matters four times in five.",
    ),
)


def design_sections(material: Material) -> list[Section]:
    """Return sections 1 to 4."""
    return [_registration(material), _flow(material), _data(material), _words(material)]


def _registration(material: Material) -> Section:
    run = material.run
    told: list[Block] = [Text(text=text) for text in notes.registration_sentences(run)]
    if not run.manifest.get("registration"):
        told.append(
            absent(
                "No trial ledger belongs to this run: what was tried before is counted when an "
                "experiment is registered (liqbt register), and in the ledger of a search."
            )
        )
    return numbered(1, *told)


def _flow(material: Material) -> Section:
    picture = material.figures.get("flow")
    table = folded("The same as a table", grid(tables.flow_table(material.run), "Flow of counts"))
    if picture is None:
        return numbered(2, absent("No count is stored: nothing was issued."), table)
    return numbered(2, material.picture("flow"), table)


def _data(material: Material) -> Section:
    blocks: list[Block | None] = []
    for market in material.markets:
        blocks += data_of_market(market)
    rest = note("What the other markets' data held is on their pages.") if material.pages else None
    return numbered(3, *blocks, note(DATA_NOTE), rest)


def _words(material: Material) -> Section:
    run = material.run
    found = {verdict.word for verdict in run.verdicts}
    words = [(f"Verdict: {w.value}", text) for w, text in VERDICT_WORDS.items() if w in found]
    rows = (*notes.definitions(run), *GLOSSARY, *words)
    return numbered(4, Pairs(rows=tuple(rows)))
