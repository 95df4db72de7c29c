"""The explorer of a run: `explore.html`, the map to be panned, zoomed and scrubbed.

One file that asks nothing of the network and opens from disk. Its own script and the drawing
library are all that may run in it: their digests stand in its content security policy, and every
foreign word is text. Decision 0045.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import markupsafe

from liqbt.config.fields import duration_ns
from liqbt.report import formatting as fmt
from liqbt.report.explorer.columns import (
    CHANCE_STEPS,
    CLUSTER_STEP,
    NONE,
    PATH_STEP,
    SHADES,
    USD_STEPS,
    Columns,
    market_columns,
    row_edges,
)
from liqbt.report.explorer.packing import Packed, pack
from liqbt.report.figures.raster import issue_spacing
from liqbt.report.pages.template import page_environment, style_sheet
from liqbt.report.scores import estimators
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, Forecast, Ns

if TYPE_CHECKING:
    from liqbt.study.store import Run

_HERE: Final = Path(__file__).resolve().parent
_LIBRARY: Final = _HERE / "vendor" / "uplot"
MOST_BYTES: Final = 5_500_000
"""Of all maps as text: a page of these and the library stays below 6 MB."""


def _issued(
    run: Run, symbols: Sequence[str]
) -> Iterator[tuple[int, int, str, str | None, Sequence[Forecast]]]:
    """Yield every map of some markets: places of market and estimator, their names, forecasts."""
    for e, estimator in enumerate(estimators(run) or [""]):
        for m, symbol in enumerate(symbols):
            name = estimator if e else None
            forecasts = run.forecasts(symbol, name)
            if forecasts:
                yield m, e, symbol, name, forecasts


def _horizon(run: Run) -> Ns:
    """Return the horizon of the outcomes shown: 24 h where it is scored, else the longest."""
    known = [duration_ns(h) for h in run.config.get("evaluation", {}).get("horizons", ("24h",))]
    return DAY_NS if DAY_NS in known else max(known)


def maps_of(
    run: Run, symbols: Sequence[str], *, every: int = 1
) -> list[tuple[dict[str, Any], Columns]]:
    """Return the maps of some of a run's markets, each with what the page is told of it.

    Parameters
    ----------
    run : Run
        A finished run.
    symbols : sequence of str
        The markets.
    every : int
        Every how many forecasts one is kept.
    """
    horizon = _horizon(run)
    found = []
    for m, e, symbol, estimator, forecasts in _issued(run, symbols):
        held = market_columns(
            run, symbol, forecasts, estimator=estimator, horizon_ns=horizon, every=every
        )
        spacing = issue_spacing(held.known["at"].astype("int64") * SECOND_NS)
        about = {"market": m, "estimator": e, "anchor": held.anchor}
        found.append(({**about, "spacing": spacing // SECOND_NS}, held))
    return found


def _packed(
    run: Run, symbols: Sequence[str], most: int
) -> tuple[int, list[tuple[dict[str, Any], Packed, Packed]]]:
    """Return every how many forecasts one is kept so that all fits, and the maps as text."""
    every = 1
    while True:
        maps = [
            (about, pack(held.known), pack(held.came))
            for about, held in maps_of(run, symbols, every=every)
        ]
        size = sum(len(part.text) for _, *parts in maps for part in parts)
        if size <= most or every >= 1000:
            return every, maps
        every = max(every + 1, -(-every * size // most))


def _mix(run: Run, estimator: str) -> str:
    """Return the weights of leverage that an estimator assumes of all entries; empty: not said."""
    held = run.config.get("estimators", {}).get(estimator, {})
    try:
        brackets = held["params"]["brackets"]
        return ", ".join(f"{float(b['leverage']):g}× {float(b['weight']):.0%}" for b in brackets)
    except (KeyError, TypeError, ValueError):
        return ""


def _about(
    run: Run,
    symbols: Sequence[str],
    every: int,
    maps: Sequence[tuple[dict[str, Any], Packed, Packed]],
) -> str:
    """Return what the script is told, as JSON that no markup can end."""
    value = {
        "horizon_s": _horizon(run) // SECOND_NS,
        "estimators": [
            {"name": fmt.one_line(name), "mix": _mix(run, name)} for name in estimators(run)
        ],
        "markets": [fmt.one_line(str(symbol)) for symbol in symbols],
        "every": every,
        "edges": [round(float(edge), 6) for edge in row_edges()],
        "shades": SHADES,
        "cluster_step": CLUSTER_STEP,
        "path_step": PATH_STEP,
        "usd_steps": USD_STEPS,
        "chance_steps": CHANCE_STEPS,
        "none": NONE,
        "maps": [
            {**about, "known": known.layout, "came": came.layout} for about, known, came in maps
        ],
    }
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script(path: Path) -> tuple[markupsafe.Markup, str]:
    """Return a script as the page holds it, and how its policy names it."""
    text = path.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return markupsafe.Markup(text), f"'sha256-{digest}'"


def write_explorer(
    run: Run,
    out_dir: Path,
    symbols: Sequence[str] | None = None,
    *,
    most: int = MOST_BYTES,
) -> Path:
    """Write `explore.html` into a folder.

    Parameters
    ----------
    run : Run
        A finished run.
    out_dir : Path
        An existing folder, usually the run's own.
    symbols : sequence of str, optional
        The markets; all by default.
    most : int
        Bytes that all maps may take: where they would take more, every second forecast is kept,
        or every third, and so on; the last one always is.
    """
    names = list(run.manifest["symbols"] if symbols is None else symbols)
    every, maps = _packed(run, names, most)
    (library, its), (own, mine) = (
        _script(_LIBRARY / "uPlot.iife.min.js"),
        _script(_HERE / "explore.js"),
    )
    manifest = run.manifest
    css = [(_LIBRARY / "uPlot.min.css"), _HERE / "explore.css"]
    page = (
        page_environment()
        .get_template("explore.html.j2")
        .render(
            title=fmt.one_line(str(manifest["experiment"])),
            run_id=fmt.one_line(str(manifest["run_id"])),
            simulated=bool(manifest.get("simulated")),
            published=bool(manifest.get("published")),
            horizon=f"{_horizon(run) / HOUR_NS:g} h",
            every=every,
            css=style_sheet() + markupsafe.Markup("\n".join(p.read_text("utf-8") for p in css)),
            library=library,
            script=own,
            policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src {its} {mine}",
            about=markupsafe.Markup(_about(run, names, every, maps)),
            maps=[(known.text, came.text) for _, known, came in maps],
        )
    )
    path = out_dir / "explore.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path
