"""All figures of a run, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from liqbt.report.figures.charts import bands_figure, forest_figure
from liqbt.report.figures.flow import flow_figure
from liqbt.report.figures.heatmap import ESTIMATED, map_figure
from liqbt.report.figures.marks import episode_marks
from liqbt.report.figures.profile import profile_figure
from liqbt.report.figures.raster import issue_spacing
from liqbt.report.figures.reliability import reliability_figure
from liqbt.report.figures.style import Figure, drawing
from liqbt.report.figures.true_map import true_map_figure
from liqbt.report.pages.published import PUBLISHED
from liqbt.report.select import main_symbol, score_symbols, smallest_effect
from liqbt.types import DAY_NS, Forecast

if TYPE_CHECKING:
    from liqbt.study.store import Run


_RECENT_DAYS: Final = 14


def slug(index: int, symbol: str) -> str:
    """Return a symbol as a part of a file name; the index keeps it unique.

    Examples
    --------
    >>> slug(1, "../BTC USDT")
    '1-btc-usdt'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", symbol.lower()).strip("-")[:32]
    return f"{index}-{plain or 'symbol'}"


def market_figures(
    run: Run, index: int, symbol: str, forecasts: Sequence[Forecast]
) -> dict[str, Figure]:
    """Draw one market: `map`, `recent` (a run of over two weeks), `profile`, `truth`.

    Parameters
    ----------
    run : Run
        A finished run.
    index : int
        The market's place in the run, from 1: it makes file names unique.
    symbol : str
        The market.
    forecasts : sequence of Forecast
        Its forecasts in order of issue; where there is none, nothing is drawn.
    """
    if not forecasts:
        return {}
    stand_in = run.manifest["symbols"][symbol].get("price_stand_in")
    prices = run.prices(symbol)
    at = np.array([f.at for f in forecasts], dtype=np.int64)
    start, end = int(at[0]), int(at[-1]) + issue_spacing(at)
    windows = {"map": (start, "the whole run")}
    if end - start > _RECENT_DAYS * DAY_NS:
        windows["recent"] = (end - _RECENT_DAYS * DAY_NS, f"the last {_RECENT_DAYS} days")
    marks = episode_marks(run, symbol)
    part = slug(index, symbol)
    with drawing():
        figures = {
            key: map_figure(
                symbol,
                forecasts,
                prices,
                start_ns=begin,
                end_ns=end,
                marks=marks,
                name=f"{key}-{part}.png",
                title=f"The map over time: {words}",
                price_name="mark price"
                if stand_in is None
                else "price that stands in for the mark",
                closing=PUBLISHED if run.manifest.get("published") else ESTIMATED,
            )
            for key, (begin, words) in windows.items()
        }
        figures["profile"] = profile_figure(
            forecasts[-1],
            name=f"levels-{part}.svg",
            price_word="mark" if stand_in is None else "price",
        )
        if run.truth() is not None:
            figures["truth"] = true_map_figure(
                forecasts[-1], run.true_map(symbol), name=f"truth-{part}.svg"
            )
    return figures


def score_figures(run: Run) -> dict[str, Figure]:
    """Draw scores and counts: `bands`, `forest`, `reliability`, `flow`, where there are rows."""
    symbols = score_symbols(run)
    figures: dict[str, Figure] = {}
    with drawing():
        if any(row["symbol"] in symbols for row in run.bands):
            figures["bands"] = bands_figure(run.bands, symbols, name="bands.svg")
        if any(s.statistic in {"brownian_lift", "mirror_lift"} for s in run.scores):
            smallest = smallest_effect(run, "magnet")
            figures["forest"] = forest_figure(run.scores, symbols, smallest, name="forest.svg")
        if run.reliability:
            figures["reliability"] = reliability_figure(run.reliability, name="reliability.svg")
        flow_symbols = {row["symbol"] for row in run.flow}
        if flow_symbols:
            order = [s for s in symbols if s in flow_symbols] or [main_symbol(run)]
            figures["flow"] = flow_figure(run.flow, order, name="flow.svg")
    return figures
