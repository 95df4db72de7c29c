"""The report of a run: `report.html`, self-contained; `report.md`; `figures/`; `curves.json`.

Of a run of more than a few markets it shows a few, and `markets/` has a page for each.
Everything on it is read from the run: the page computes no score. The same run gives the same
bytes, so there is no clock, no machine's name and no random identifier in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqbt.errors import ConfigError
from liqbt.report import formatting as fmt
from liqbt.report import notes, tables
from liqbt.report.answer import answer
from liqbt.report.blocks import Section, pictures
from liqbt.report.figures.drawn import charts, curve_figures, market_figures
from liqbt.report.figures.style import drawing
from liqbt.report.leaks import leaks_table
from liqbt.report.line import forecast_line
from liqbt.report.narrative import headline, published_section
from liqbt.report.pages.explore import write_explorer
from liqbt.report.pages.template import page_environment, style_sheet
from liqbt.report.scores import DRAWN, market_slug, of_markets
from liqbt.report.sections.checks import check_sections
from liqbt.report.sections.curves import curve_sections
from liqbt.report.sections.design import design_sections
from liqbt.report.sections.front import back_sections, front_sections, market_sections
from liqbt.report.sections.material import Material
from liqbt.report.sections.skill import skill_sections
from liqbt.report.traced import trace
from liqbt.report.truth import truth_section
from liqbt.report.verdicts import verdict_table
from liqbt.study.curves import curves, market_moves
from liqbt.study.executors import Executor, serially
from liqbt.types import FloatArray, Forecast

if TYPE_CHECKING:
    from liqbt.study.store import Run


def _market(
    run: Run, index: int, symbol: str, forecasts: list[Forecast], *, draw: bool
) -> dict[str, Any]:
    """Gather what the pages say of one market; `figures` is None where none are drawn."""
    about = run.manifest["symbols"][symbol]
    stand_in = about.get("price_stand_in")
    market: dict[str, Any] = {
        "symbol": fmt.one_line(symbol),
        "period": notes.period(about),
        "price": notes.price_words(about),
        "instruments": ", ".join(fmt.one_line(str(i)) for i in about.get("instruments", ())),
        "completeness": notes.completeness_table(about),
        "latency": notes.latency_table(about),
        "leaks": leaks_table(about["leaks"]) if about.get("leaks") else None,
        "figures": market_figures(run, index, symbol, forecasts) if draw else None,
        "line": None,
        "levels": None,
        "page": f"markets/{market_slug(index, symbol)}.html",
    }
    if forecasts:
        last = forecasts[-1]
        mark_word = "mark" if stand_in is None else "price"
        chances = tables.chances_of(run, last)
        market["line"] = forecast_line(last, run.verdicts, price_stand_in=stand_in, chances=chances)
        market["levels"], market["levels_note"] = tables.level_table(last, mark_word, chances)
        market["levels_at"] = fmt.instant(last.at)
    return market


_BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class _Markets:
    """Makes ready what is said of some markets: a task, which does not depend on the others.

    Those that are `drawn` get pictures. Where the run is `paged`, each gets a page; the first page
    keeps the rest of those that it has `shown`, of others the line.
    """

    run: Run
    out_dir: Path
    drawn: Collection[str]
    shown: Collection[str]
    paged: bool

    def __call__(self, symbols: Sequence[str]) -> list[tuple[dict[str, Any], FloatArray | None]]:
        """Return what the first page says of each market, and its moves."""
        run, found = self.run, []
        environment = page_environment(trace(run)) if self.paged else None
        for symbol in symbols:
            number = list(run.manifest["symbols"]).index(symbol) + 1
            issued = run.forecasts(symbol)
            market = _market(run, number, symbol, issued, draw=symbol in self.drawn)
            if environment is not None:
                page = environment.get_template("market.html.j2").render(_page(run, symbol, market))
                path = self.out_dir / market["page"]
                path.parent.mkdir(exist_ok=True)
                path.write_text(page, encoding="utf-8", newline="\n")
            if symbol not in self.shown:
                market = {name: market[name] for name in ("symbol", "line", "page")}
            found.append((market, market_moves(run, symbol, issued)))
        return found


def _page(run: Run, symbol: str, market: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what the page of one market lays out."""
    mine = of_markets(run, [symbol])
    material = Material(
        run=mine,
        planted=notes.planted_truth(run) or "",
        curves={},
        figures={},
        tables=tables.score_tables(mine),
        markets=[market],
    )
    return {
        "css": style_sheet(),
        "title": fmt.one_line(str(run.manifest["experiment"])),
        "run_id": fmt.one_line(str(run.manifest["run_id"])),
        "market": market,
        "banners": _banners(material),
        "sections": market_sections(material),
    }


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is drawn of a run's markets together, part by part: a task each."""

    run: Run
    out_dir: Path
    shown: Sequence[str]
    moves: Sequence[FloatArray | None]

    def __call__(self, part: tuple[str, str]) -> Any:
        """Return one chart, or the curves; or write the page to explore."""
        kind, name = part
        if kind == "curves":
            points = curves(self.run, self.moves)
            return points, curve_figures(points)
        if kind == "explorer":
            return write_explorer(self.run, self.out_dir, self.shown)
        with drawing():
            return charts(self.run)[name]()


def material_of(run: Run, out_dir: Path, executor: Executor, drawn: Sequence[str]) -> Material:
    """Gather what the sections of a run's report are made of, figures drawn.

    Writes `explore.html` and, of more markets than the first page shows, a page for each.

    Parameters
    ----------
    run, out_dir
        As for `write_report`.
    executor : callable
        Where figures are drawn.
    drawn : sequence of str
        The markets that get pictures; the first page shows the first of them.
    """
    symbols = list(run.manifest["symbols"])
    shown, paged = drawn[:DRAWN], len(symbols) > DRAWN
    rest = [symbol for symbol in symbols if symbol not in drawn]
    tasks = [(symbol,) for symbol in drawn] + list(_batches(rest))
    made = executor(_Markets(run, out_dir, drawn, shown, paged), tasks)
    of_task = zip(tasks, made, strict=True)
    held = {s: one for task, each in of_task for s, one in zip(task, each, strict=True)}
    first = of_markets(run, shown) if len(shown) < len(symbols) else run
    names = list(charts(first))
    parts = [("curves", ""), ("explorer", ""), *(("chart", name) for name in names)]
    work = _Parts(first, out_dir, shown, [held[symbol][1] for symbol in symbols])
    done = dict(zip(parts, executor(work, parts), strict=True))
    points, of_curves = done["curves", ""]
    figures = {name: figure for name in names if (figure := done["chart", name]) is not None}
    said = [held[symbol][0] for symbol in symbols] if paged else []
    return Material(
        run=first,
        planted=notes.planted_truth(run) or "",
        curves=points,
        figures=figures | of_curves,
        tables=tables.score_tables(first),
        markets=[held[symbol][0] for symbol in shown],
        pages=[(m["page"], m["symbol"], _line(m)) for m in said],
    )


def _line(market: Mapping[str, Any]) -> str:
    """Return a market's last forecast in a line that stands behind the market's name."""
    said = market["line"] or "no forecast was issued"
    return str(said.removeprefix(f"{market['symbol']} "))


def _batches(symbols: Sequence[str]) -> Iterator[tuple[str, ...]]:
    left = iter(symbols)
    while batch := tuple(islice(left, _BATCH)):
        yield batch


def drawn_markets(run: Run, asked: str | None) -> list[str]:
    """Return the markets that get pictures, in the order of the configuration.

    Parameters
    ----------
    run : Run
        A finished run.
    asked : str or None
        `all`, how many of the first, or names with commas between; None: the first few.

    Raises
    ------
    ConfigError
        If there is no such market; names it.
    """
    known = list(run.manifest["symbols"])
    if asked is None:
        return known[:DRAWN]
    names = [name.strip() for name in asked.split(",")]
    if set(names) <= set(known):
        return [name for name in known if name in names]
    if asked == "all":
        return known
    if asked.isdecimal() and int(asked) > 0:
        return known[: int(asked)]
    unknown = next(name for name in names if name not in known)
    raise ConfigError(
        f"--markets: found '{fmt.one_line(unknown)}'; expected 'all', how many of the first, or "
        f"names of {fmt.one_line(', '.join(known), 600)}"
    )


def report_sections(material: Material) -> list[Section]:
    """Return all sections of a report, in their order."""
    return [
        *front_sections(material),
        *design_sections(material),
        *curve_sections(material),
        *skill_sections(material),
        *check_sections(material),
        *back_sections(material),
    ]


def _banners(material: Material) -> list[str]:
    """Return what must be read before any figure: what is planted, and what cannot be checked."""
    truth, published = truth_section(material.run), published_section(material.run)
    said = [material.planted if truth is None else truth.banner]
    said += [] if published is None else [published["banner"]]
    return [text for text in said if text]


def _context(material: Material, sections: Sequence[Section], *, explore: bool) -> dict[str, Any]:
    """Gather everything that the templates lay out."""
    run, manifest = material.run, material.run.manifest
    first = material.markets[0]["figures"] if material.markets else {}
    return {
        "more": len(material.pages) - len(material.markets) if material.pages else 0,
        "title": fmt.one_line(str(manifest["experiment"])),
        "description": fmt.one_line(str(manifest.get("description") or ""), 600),
        "run_id": fmt.one_line(str(manifest["run_id"])),
        "estimator": notes.estimator(run),
        "answer": answer(run),
        "headline": headline(run),
        "banners": _banners(material),
        "planted": material.planted,
        "explore": explore,
        "front_map": first.get("map"),
        "verdicts": verdict_table(run),
        "markets": material.markets,
        "sections": sections,
    }


def write_report(
    run: Run, out_dir: Path, executor: Executor = serially, markets: str | None = None
) -> Path:
    """Write `report.html`, `report.md`, `figures/` and `curves.json` into `out_dir`.

    Of more than a few markets, `markets/` gets a page for each.

    Parameters
    ----------
    run : Run
        A finished run.
    out_dir : Path
        The folder, usually the run's own; made where there is none. Where it holds an
        `explore.html`, the report leads to it.
    executor : callable
        Where figures are drawn, a task each; it changes no byte.
    markets : str, optional
        Those that get pictures, as `drawn_markets` takes them.

    Returns
    -------
    Path
        The HTML page, which holds its pictures and styles and asks nothing of the network.

    Raises
    ------
    ConfigError
        If `markets` names one that the run has not: nothing is written.
    """
    drawn = drawn_markets(run, markets)
    out_dir.mkdir(parents=True, exist_ok=True)
    material = material_of(run, out_dir, executor, drawn)
    sections = report_sections(material)
    rewritten = run.path if out_dir.parent == run.path.parent else out_dir
    explore = any((place / "explore.html").is_file() for place in (out_dir, rewritten))
    context = _context(material, sections, explore=explore)
    _write_figures(material, sections, out_dir)
    _write_curves(material.curves, out_dir)
    environment = page_environment(trace(run))
    page = environment.get_template("report.html.j2").render(css=style_sheet(), **context)
    text = environment.get_template("report.md.j2").render(**context)
    (out_dir / "report.md").write_text(text, encoding="utf-8", newline="\n")
    path = out_dir / "report.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def _write_figures(material: Material, sections: Sequence[Section], out_dir: Path) -> None:
    """Write the figures that the page shows as files, for the Markdown."""
    folder = out_dir / "figures"
    folder.mkdir(exist_ok=True)
    shown = [figure for section in sections for figure in pictures(section.blocks)]
    first = material.markets[0]["figures"].get("map") if material.markets else None
    for figure in (*shown, *([first] if first else [])):
        (folder / figure.name).write_bytes(figure.data)


def _write_curves(points: Mapping[str, Any], out_dir: Path) -> None:
    text = json.dumps(points, ensure_ascii=False, allow_nan=False)
    (out_dir / "curves.json").write_text(f"{text}\n", encoding="utf-8", newline="\n")
