"""The report of a run: `report.html`, self-contained; `report.md`; `figures/`; `curves.json`.

Everything on it is read from the run: the page computes no score. The same run gives the same
bytes, so there is no clock, no machine's name and no random identifier in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from liqbt.report.sections.checks import check_sections
from liqbt.report.sections.curves import curve_sections
from liqbt.report.sections.design import design_sections
from liqbt.report.sections.front import back_sections, front_sections
from liqbt.report.sections.material import Material
from liqbt.report.sections.skill import skill_sections
from liqbt.report.traced import trace
from liqbt.report.truth import truth_section
from liqbt.report.verdicts import verdict_table
from liqbt.study.curves import curves
from liqbt.study.executors import Executor, serially
from liqbt.types import Forecast

if TYPE_CHECKING:
    from liqbt.study.store import Run


def _market(run: Run, index: int, symbol: str, forecasts: list[Forecast]) -> dict[str, Any]:
    """Gather what the page says of one market."""
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
        "figures": market_figures(run, index, symbol, forecasts),
        "line": None,
        "levels": None,
    }
    if forecasts:
        last = forecasts[-1]
        mark_word = "mark" if stand_in is None else "price"
        chances = tables.chances_of(run, last)
        market["line"] = forecast_line(last, run.verdicts, price_stand_in=stand_in, chances=chances)
        market["levels"], market["levels_note"] = tables.level_table(last, mark_word, chances)
        market["levels_at"] = fmt.instant(last.at)
    return market


class _Issued(Mapping[str, list[Forecast]]):
    """The first estimator's forecasts by market, read when they are asked for, and not kept."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, symbol: str) -> list[Forecast]:
        return self._run.forecasts(symbol)

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.manifest["symbols"])

    def __len__(self) -> int:
        return len(self._run.manifest["symbols"])


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is drawn of a run, part by part: a task each, which does not depend on the others."""

    run: Run
    out_dir: Path

    def __call__(self, part: tuple[str, str]) -> Any:
        """Return a market's material, one chart, or the curves; or write the page to explore."""
        kind, name = part
        if kind == "market":
            number = list(self.run.manifest["symbols"]).index(name) + 1
            return _market(self.run, number, name, self.run.forecasts(name))
        if kind == "curves":
            points = curves(self.run, _Issued(self.run))
            return points, curve_figures(points)
        if kind == "explorer":
            return write_explorer(self.run, self.out_dir)
        with drawing():
            return charts(self.run)[name]()


def material_of(run: Run, out_dir: Path, executor: Executor) -> Material:
    """Gather what the sections of a run's report are made of, figures drawn; write `explore.html`.

    Parameters
    ----------
    run, out_dir
        As for `write_report`.
    executor : callable
        Where figures are drawn.
    """
    names = list(charts(run))
    parts = [("explorer", ""), *(("market", symbol) for symbol in run.manifest["symbols"])]
    parts += [("curves", ""), *(("chart", name) for name in names)]
    drawn = dict(zip(parts, executor(_Parts(run, out_dir), parts), strict=True))
    points, of_curves = drawn["curves", ""]
    figures = {name: figure for name in names if (figure := drawn["chart", name]) is not None}
    return Material(
        run=run,
        planted=notes.planted_truth(run) or "",
        curves=points,
        figures=figures | of_curves,
        tables=tables.score_tables(run),
        markets=[drawn["market", symbol] for symbol in run.manifest["symbols"]],
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


def write_report(run: Run, out_dir: Path, executor: Executor = serially) -> Path:
    """Write `report.html`, `report.md`, `figures/` and `curves.json` into `out_dir`.

    Parameters
    ----------
    run : Run
        A finished run.
    out_dir : Path
        The folder, usually the run's own; made where there is none. Where it holds an
        `explore.html`, the report leads to it.
    executor : callable
        Where figures are drawn, a task each; it changes no byte.

    Returns
    -------
    Path
        The HTML page, which holds its pictures and styles and asks nothing of the network.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    material = material_of(run, out_dir, executor)
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
