"""All figures of a run, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqbt.evaluation.statistic import Group
from liqbt.report.figures.charts import (
    bands_figure,
    flow_figure,
    forest_figure,
    reliability_figure,
)
from liqbt.report.figures.curves import dose_figure, incidence_figure, ranking_figure
from liqbt.report.figures.heatmap import ESTIMATED, episode_marks, map_figure
from liqbt.report.figures.profile import profile_figure, true_map_figure
from liqbt.report.figures.raster import issue_spacing
from liqbt.report.figures.style import Figure, drawing
from liqbt.report.narrative import PUBLISHED
from liqbt.report.scores import (
    main_symbol,
    market_slug,
    own_scores,
    score_symbols,
    smallest_effect,
    statistics_of,
)
from liqbt.types import DAY_NS, Forecast

if TYPE_CHECKING:
    from liqbt.study.store import Run


_RECENT_DAYS: Final = 14


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
    part = market_slug(index, symbol)
    with drawing():
        figures = {key: draw() for key, draw in map_figures(run, index, symbol, forecasts).items()}
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


def map_figures(
    run: Run, index: int, symbol: str, forecasts: Sequence[Forecast]
) -> dict[str, Callable[[], Figure]]:
    """Return what draws the map over time, within `drawing`: `map` and, of a long run, `recent`.

    Parameters
    ----------
    run, index, symbol, forecasts
        As for `market_figures`; at least one forecast.
    """
    stand_in = run.manifest["symbols"][symbol].get("price_stand_in")
    prices = run.prices(symbol)
    at = np.array([f.at for f in forecasts], dtype=np.int64)
    start, end = int(at[0]), int(at[-1]) + issue_spacing(at)
    windows = {"map": (start, "the whole run")}
    if end - start > _RECENT_DAYS * DAY_NS:
        windows["recent"] = (end - _RECENT_DAYS * DAY_NS, f"the last {_RECENT_DAYS} days")
    marks = episode_marks(run, symbol)
    part = market_slug(index, symbol)
    return {
        key: partial(
            map_figure,
            symbol,
            forecasts,
            prices,
            start_ns=begin,
            end_ns=end,
            marks=marks,
            name=f"{key}-{part}.png",
            title=f"The map over time: {words}",
            price_name="mark price" if stand_in is None else "price that stands in for the mark",
            closing=PUBLISHED if run.manifest.get("published") else ESTIMATED,
        )
        for key, (begin, words) in windows.items()
    }


def _bands(run: Run, _: Group, name: str) -> Figure | None:
    symbols = score_symbols(run)
    if not any(row["symbol"] in symbols for row in run.bands):
        return None
    return bands_figure(run.bands, symbols, name=name)


def _forest(run: Run, group: Group, name: str) -> Figure | None:
    scores = own_scores(run)
    statistics = [one for one in statistics_of(scores) if one.group == group and one.unit.signed]
    statistics = [one for one in statistics if one.unit == statistics[0].unit]
    if not statistics:
        return None
    names = {one.id for one in statistics}
    smallest = {one.id: smallest_effect(run, one) for one in statistics}
    return forest_figure(
        [score for score in scores if score.statistic in names],
        score_symbols(run),
        statistics,
        {name: effect for name, effect in smallest.items() if effect is not None},
        name=name,
        title=f"{group.title}: by market and horizon",
    )


def _reliability(run: Run, _: Group, name: str) -> Figure | None:
    return reliability_figure(run.reliability, name=name) if run.reliability else None


CHARTS: Final[Mapping[str, Callable[[Run, Group, str], Figure | None]]] = {
    "bands": _bands,
    "forest": _forest,
    "reliability": _reliability,
}
"""Kinds of charts, by the names that a `Group` asks for them with; None where there is no row."""


_MORE: Final[Mapping[str, tuple[str, ...]]] = {"location": ("forest",)}
"""Charts that a report draws of a group beside those that it asks for."""


def charts(run: Run) -> dict[str, Callable[[], Figure | None]]:
    """Return what draws each chart of a run, within `drawing`, by its name.

    Those that the groups of the run's statistics ask for, and the flow of counts.
    """
    found: dict[str, Callable[[], Figure | None]] = {}
    groups = dict.fromkeys(one.group for one in statistics_of(own_scores(run)) if one.group)
    for group in groups:
        for kind in dict.fromkeys((*group.charts, *_MORE.get(group.id, ()))):
            key = f"{kind}-{group.id.replace('_', '-')}"
            found[key] = partial(CHARTS[kind], run, group, f"{key}.svg")
    flow_symbols = {row["symbol"] for row in run.flow}
    if flow_symbols:
        order = [s for s in score_symbols(run) if s in flow_symbols] or [main_symbol(run)]
        found["flow"] = partial(flow_figure, run.flow, order, name="flow.svg")
    return found


def curve_figures(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Figure]:
    """Draw a run's curves: `dose`, `incidence`, `ranking`, as far as it holds their tables."""
    found = {}
    with drawing():
        if curves["dose"] or curves["drift"]:
            found["dose"] = dose_figure(curves["dose"], curves["drift"], name="dose.svg")
        if curves["incidence"]:
            found["incidence"] = incidence_figure(curves["incidence"], name="incidence.svg")
        if curves["ranking"] and curves["molchan"]:
            found["ranking"] = ranking_figure(
                curves["ranking"], curves["molchan"], name="ranking.svg"
            )
    return found
