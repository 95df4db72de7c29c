"""The report of a run: `report.html`, self-contained; `report.md`; `figures/`; `explore.html`.

Everything on it is read from the run: the page computes no score. The same run gives the same
bytes, so there is no clock, no machine's name and no random identifier in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqbt.report import formatting as fmt
from liqbt.report import notes, tables
from liqbt.report.figures.drawn import market_figures, score_figures
from liqbt.report.line import forecast_line
from liqbt.report.narrative import (
    VERDICT_WORDS,
    headline,
    published_limits,
    published_section,
    reading,
)
from liqbt.report.notes import registration_sentences
from liqbt.report.pages.explore import write_explorer
from liqbt.report.pages.template import page_environment, style_sheet
from liqbt.report.pages.validity import gate_section
from liqbt.report.scores import estimators
from liqbt.report.truth import truth_section
from liqbt.report.verdicts import verdict_box, verdict_table
from liqbt.types import Forecast

if TYPE_CHECKING:
    from liqbt.study.store import Run


def _market(run: Run, index: int, symbol: str, forecasts: list[Forecast]) -> dict[str, Any]:
    """Gather what the page says of one market."""
    about = run.manifest["symbols"][symbol]
    stand_in = about.get("price_stand_in")
    market: dict[str, Any] = {
        "symbol": fmt.one_line(symbol),
        "anchor": f"market-{index}",
        "period": notes.period(about),
        "price": notes.price_words(about),
        "instruments": ", ".join(fmt.one_line(str(i)) for i in about.get("instruments", ())),
        "completeness": notes.completeness_table(about),
        "latency": notes.latency_table(about),
        "figures": market_figures(run, index, symbol, forecasts),
        "line": None,
        "levels": None,
    }
    if forecasts:
        last = forecasts[-1]
        mark_word = "mark" if stand_in is None else "price"
        market["line"] = forecast_line(last, run.verdicts, price_stand_in=stand_in)
        market["levels"], market["levels_note"] = tables.level_table(last, mark_word)
        market["levels_at"] = fmt.instant(last.at)
    return market


def _context(run: Run) -> dict[str, Any]:
    """Gather everything that the templates lay out."""
    manifest = run.manifest
    issued = {symbol: run.forecasts(symbol) for symbol in manifest["symbols"]}
    found = {verdict.word for verdict in run.verdicts}
    return {
        "title": fmt.one_line(str(manifest["experiment"])),
        "description": fmt.one_line(str(manifest.get("description") or ""), 600),
        "run_id": fmt.one_line(str(manifest["run_id"])),
        "estimator": notes.estimator(run),
        "headline": headline(run),
        "planted": notes.planted_truth(run),
        "truth": truth_section(run),
        "published": published_section(run),
        "verdict_table": verdict_table(run),
        "verdicts": [verdict_box(run, verdict) for verdict in run.verdicts],
        "gate": gate_section(run),
        "verdict_words": [(w.value, text) for w, text in VERDICT_WORDS.items() if w in found],
        "registration": registration_sentences(run),
        "scores": tables.score_tables(run),
        "all": tables.all_table(run),
        "compared": tables.compared_table(run),
        "twin": tables.twin_table(run),
        "histories": tables.histories_table(run),
        "estimators": [fmt.one_line(name) for name in estimators(run)],
        "brier": tables.brier_table(run),
        "reading": reading(run),
        "markets": [
            _market(run, i, symbol, forecasts)
            for i, (symbol, forecasts) in enumerate(issued.items(), start=1)
        ],
        "issued": issued,
        "figures": score_figures(run),
        "bands": tables.bands_table(run),
        "flow": tables.flow_table(run),
        "definitions": notes.definitions(run),
        "limits": [*published_limits(run), *notes.limits(run)],
        "sensitivities": tables.sensitivity_table(run) if run.sensitivities else None,
        "command": notes.command(run),
        "seed": fmt.one_line(str(manifest.get("seed", fmt.DASH))),
        "hashes": _pairs(manifest.get("hashes")),
        "versions": _pairs(manifest.get("versions")),
    }


def _pairs(mapping: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return names and values as text; a mapping inside is spread out."""
    out = []
    for key, value in (mapping or {}).items():
        inner = value if isinstance(value, Mapping) else {"": value}
        for name, text in inner.items():
            full = f"{key} {name}" if name else str(key)
            out.append((fmt.one_line(full), fmt.one_line(str(text))))
    return out


def write_report(run: Run, out_dir: Path) -> Path:
    """Write `report.html`, `report.md`, `figures/` and `explore.html` into `out_dir`.

    Parameters
    ----------
    run : Run
        A finished run.
    out_dir : Path
        An existing folder, usually the run's own.

    Returns
    -------
    Path
        The HTML page, which holds its pictures and styles and asks nothing of the network.
    """
    context = _context(run)
    pictures = [f for market in context["markets"] for f in market["figures"].values()]
    pictures += context["figures"].values()
    folder = out_dir / "figures"
    folder.mkdir(exist_ok=True)
    for figure in pictures:
        (folder / figure.name).write_bytes(figure.data)
    environment = page_environment()
    css = style_sheet()
    page = environment.get_template("report.html.j2").render(css=css, **context)
    text = environment.get_template("report.md.j2").render(**context)
    (out_dir / "report.md").write_text(text, encoding="utf-8", newline="\n")
    path = out_dir / "report.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    write_explorer(run, out_dir, issued=context["issued"])
    return path
