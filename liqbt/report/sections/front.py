"""What stands before and behind the numbered sections: plain words, maps, truth, estimators."""

from __future__ import annotations

from liqbt.report import tables
from liqbt.report.blocks import Block, Grid, Heading, Links, Pairs, Picture, Section, Text
from liqbt.report.curve_tables import claims_by_market, reasons_table
from liqbt.report.narrative import published_section, reading
from liqbt.report.scores import estimators
from liqbt.report.sections.material import (
    DATA_NOTE,
    Material,
    data_of_market,
    folded,
    grid,
    maps_of_market,
    note,
)
from liqbt.report.truth import truth_section


def front_sections(material: Material) -> list[Section]:
    """Return what stands before the numbered sections."""
    found = [_reasons(material), _pages(material), _side_by_side(material), _maps(material)]
    return [section for section in found if section is not None]


def back_sections(material: Material) -> list[Section]:
    """Return what stands behind them."""
    found = [_published(material), _truth(material), _plain(material), _rest(material)]
    return [section for section in found if section is not None]


def market_sections(material: Material) -> list[Section]:
    """Return what one market's page shows: its map, its scores beside pooled ones, its data."""
    (market,) = material.markets
    run = material.run
    counts = grid(tables.flow_table(run), "Flow of counts")
    bands = grid(tables.bands_table(run), "Hit rate, null and mirror by distance")
    tabled = [
        note("A verdict is of all markets together; a row of one market decides nothing."),
        *material.groups(),
        folded("Hit rate, null and mirror by distance", bands),
        folded("Counts, from forecasts to scored episodes", counts),
    ]
    maps = maps_of_market(market, material.planted, front=False)
    scores = tuple(block for block in tabled if block is not None)
    data = (*data_of_market(market), note(DATA_NOTE))
    found = [
        Section(title="The map", anchor="map", blocks=tuple(maps)),
        Section(title="Scores", anchor="scores", blocks=scores),
        _rest(material),
        _truth(material),
        Section(title="Data", anchor="data", blocks=data),
    ]
    return [section for section in found if section is not None]


def _reasons(material: Material) -> Section | None:
    table = grid(reasons_table(material.run), "Why each verdict is what it is")
    if table is None:
        return None
    told = note(
        "Verdicts are of the first estimator, at the horizon that each claim's own rule names "
        "(24 h where it names none); other horizons are shown in the sections below, and decide "
        "nothing."
    )
    return Section(title="Why each verdict is what it is", anchor="reasons", blocks=(table, told))


def _pages(material: Material) -> Section | None:
    if not material.pages:
        return None
    drawn = [market["symbol"] for market in material.markets]
    names = [name for _, name, _ in material.pages]
    why = "the first in the order of the configuration, which no result has chosen"
    if drawn != names[: len(drawn)]:
        why = "which were asked for, maybe after results were seen"
    told = (
        f"Pooled rows, verdicts and curves are of all {len(names)} markets. Of single markets this "
        f"page shows {', '.join(drawn)}: {why}. Every market's levels, scores and data are on a "
        "page of its own, with pictures of its map where they were drawn (liqbt report RUN "
        "--markets)."
    )
    blocks = (Text(text=told), Links(rows=tuple(material.pages)))
    return Section(title="A page for each market", anchor="markets", blocks=blocks)


def _side_by_side(material: Material) -> Section | None:
    run = material.run
    markets, compared = claims_by_market(run), tables.compared_table(run)
    blocks: list[Block] = []
    if markets is not None:
        blocks += [
            Heading(text="Markets"),
            Grid(table=markets, name="What decides each claim, by market"),
            note("The statistic that decides each claim, with 95% intervals, in its own unit."),
        ]
    if compared is not None:
        blocks += [
            Heading(text="Estimators side by side"),
            Grid(table=compared, name="Estimators side by side"),
            note(
                "What decides a claim, and what the headline says, of each estimator on the same "
                "events; last what each has over the first, paired day by day. Where nulls differ, "
                "a difference of rates says nothing by itself. Verdicts, tables and figures "
                f"elsewhere are of {estimators(run)[0]}."
            ),
        ]
    if not blocks:
        return None
    return Section(title="Side by side", anchor="side-by-side", blocks=tuple(blocks))


def _maps(material: Material) -> Section:
    blocks: list[Block] = []
    for i, market in enumerate(material.markets):
        if len(material.markets) > 1:
            blocks.append(Heading(text=market["symbol"]))
        # the first one is on the first screen
        blocks += maps_of_market(market, material.planted, front=i == 0)
    return Section(title="The map", anchor="map", blocks=tuple(blocks))


def _plain(material: Material) -> Section | None:
    told = reading(material.run)
    if not told:
        return None
    first = tuple(row for row in told if row[0].endswith("(primary)"))
    rest = tuple(row for row in told if row not in first)
    others = folded("The other horizons", Pairs(rows=rest) if rest else None)
    blocks: list[Block] = [Pairs(rows=first)] if first else []
    blocks += [others] if others else []
    return Section(title="Every figure in plain words", anchor="plain-words", blocks=tuple(blocks))


def _rest(material: Material) -> Section | None:
    table = grid(tables.rest_table(material.run), "Rows that no other table has")
    if table is None:
        return None
    shut = folded("One side alone, and statistics without a table", table)
    blocks: list[Block] = [
        note("Every row of scores is in metrics.json; a figure in a table of scores names its own.")
    ]
    blocks += [shut] if shut else []
    return Section(title="Rows that no other table has", anchor="other-rows", blocks=tuple(blocks))


def _published(material: Material) -> Section | None:
    held = published_section(material.run)
    if held is None:
        return None
    blocks = tuple(Text(text=text) for text in held["facts"])
    return Section(title="What was published", anchor="published", blocks=blocks)


def _truth(material: Material) -> Section | None:
    held = truth_section(material.run)
    if held is None:
        return None
    blocks: list[Block] = [
        Text(text=held.banner, style="truth"),
        Grid(table=held.visits, name="Visits, their nulls, and what the mechanism caused"),
        note(held.notes[0]),
        Heading(text="How large the planted effect is"),
        Grid(table=held.effects, name="Effects measured from the true map"),
        note(held.notes[1]),
        Heading(text="How near the estimated maps lie to the true ones"),
        Grid(table=held.maps, name="Distance between estimated and true maps"),
        note(held.notes[2]),
    ]
    drawn = [market["figures"] or {} for market in material.markets]
    blocks += [Picture(figure=figures["truth"]) for figures in drawn if "truth" in figures]
    return Section(title="The truth beside the figures", anchor="truth", blocks=tuple(blocks))
