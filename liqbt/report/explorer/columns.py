"""The arrays of one market and estimator, as the explorer's page reads them.

Everything that is `known` at a forecast is a function of what came before it: a page made of a run
that ends there holds the same. What befell clusters stands apart, in `came`; each entry says when
it was over, and the page shows it from then on.

Times are seconds since 1970 UTC, rounded towards *later known*. Prices of clusters and of the path
are whole steps of log price over `anchor`, which is the map's own: edges of its bins stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.forecasts import joined_clusters
from liqbt.report.explorer.kernels import first_seen
from liqbt.report.figures.raster import cumulative_usd, issue_spacing
from liqbt.types import DAY_NS, SECOND_NS, FloatArray, Forecast, IntArray, Ns, Side

if TYPE_CHECKING:
    from liqbt.study.store import Run

Arrays = dict[str, npt.NDArray[Any]]

FINE_ROWS: Final = 100
FINE_STEP: Final = 0.001
COARSE_ROWS: Final = 40
COARSE_STEP: Final = 0.005
"""Rows of a column on each side of the mark: 10 bp up to 10 %, then 50 bp up to 30 %."""
SHADES: Final = 31
CLUSTER_STEP: Final = 5e-5
PATH_STEP: Final = 1e-5
USD_STEPS: Final = 500
"""Steps of a factor of e in a cluster's notional: within 0.1 %."""
CHANCE_STEPS: Final = 10_000
NONE: Final = 65_535
_FARTHEST: Final = 2**30
_POINTS: Final = 6
"""Points of the price path between two forecasts, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a page holds of one market and estimator.

    Attributes
    ----------
    known : mapping of str to ndarray
        `at`, `cut` (the last price that the forecast could know of), `mark`, `sigma`, `oi`,
        `prior_long`, `prior_short`, `scale` (USD per 1 % at full colour, from this and earlier
        forecasts), `peak` and `heat` (see `_heat`), `count` (clusters); of each cluster `side`,
        `low`, `width`, `usd`, `rank` (in percent), `since`, `issued` (-1, or which of the issued
        probabilities);
        of those `issued_at`, `p`, `placebo`, `brownian`; of the path `t`, `close`, and how far
        below and above that `fell` and `rose` lie.
    came : mapping of str to ndarray
        Of each cluster `visit` and `over` (0: unknown); of each episode `born`, `edge`, `visited`,
        `ended`. `visit` and `visited` are 0 where the window ended without.
    anchor : float
        Price that clusters, `edge` and the path are relative to.
    every : int
        Every how many forecasts one is kept.
    """

    known: Arrays
    came: Arrays
    anchor: float
    every: int


def row_edges() -> FloatArray:
    """Return the edges of a column's rows on one side: log distance from the mark, outward."""
    fine = np.arange(FINE_ROWS + 1) * FINE_STEP
    coarse = fine[-1] + np.arange(1, COARSE_ROWS + 1) * COARSE_STEP
    return np.concatenate([fine, coarse])


def market_columns(
    run: Run,
    symbol: str,
    forecasts: Sequence[Forecast],
    *,
    estimator: str | None,
    horizon_ns: Ns,
    every: int = 1,
) -> Columns:
    """Return the arrays of one market.

    Parameters
    ----------
    run : Run
        A finished run.
    symbol : str
        The market.
    forecasts : sequence of Forecast
        Its forecasts, in order of issue; at least one.
    estimator : str, optional
        Whose; the first one's by default.
    horizon_ns : int
        Of the outcomes.
    every : int
        Every how many forecasts one is kept; the last one always is.
    """
    kept = np.arange((len(forecasts) - 1) % every, len(forecasts), every)
    shown = [forecasts[i] for i in kept.tolist()]
    at = np.array([f.at for f in forecasts], np.int64)
    anchor = float(forecasts[0].grid.anchor)
    rows = _outcome_rows(run, symbol, estimator, horizon_ns)
    clusters = _clusters(forecasts, kept, anchor)
    owner = np.repeat(np.arange(len(kept)), [len(f.clusters) for f in shown])
    place = _places(rows, at[kept], np.cumsum([0, *(len(f.clusters) for f in shown)]))
    issued, which = _issued(run, symbol, estimator, rows)
    of_cluster = np.full(len(owner), -1, np.int64)
    of_cluster[place[place >= 0]] = which[place >= 0]
    known: Arrays = {
        "at": _later(at[kept]),
        "cut": np.array([min(f.mark_ts, f.at) // SECOND_NS for f in shown], np.uint32),
        "mark": np.array([f.mark for f in shown], np.float64),
        "sigma": np.array([f.sigma_1d for f in shown], np.float32),
        "oi": np.array([f.open_interest_usd for f in shown], np.float32),
        "prior_long": np.array([f.prior_from_long for f in shown], np.float32),
        "prior_short": np.array([f.prior_from_short for f in shown], np.float32),
        **_heat(shown),
        **clusters,
        "issued": of_cluster.astype(np.int32),
        **issued,
        **_path(run.prices(symbol), at, anchor, every),
    }
    came: Arrays = {**_cluster_outcomes(rows, place, len(owner)), **_episodes(rows, anchor)}
    return Columns(known=known, came=came, anchor=anchor, every=every)


def _later(ns: IntArray) -> npt.NDArray[np.uint32]:
    """Return whole seconds, never earlier."""
    return np.asarray(-(-np.asarray(ns, np.int64) // SECOND_NS), np.uint32)


def _heat(shown: Sequence[Forecast]) -> Arrays:
    """Return each column's densities: `heat`, in shades of the root of its share of `peak`.

    Rows: longs outward from the mark, then shorts. `peak` in USD per 1 % of price. `scale`: the
    largest, so far, of what the columns' second densest rows hold.
    """
    out = row_edges()
    width = np.diff(out) * 100.0
    density = np.empty((len(shown), 2, len(width)))
    for i, forecast in enumerate(shown):
        middle = np.log(forecast.mark)
        below = cumulative_usd(forecast, Side.LONG, (middle - out)[::-1])[::-1]
        above = cumulative_usd(forecast, Side.SHORT, middle + out)
        density[i] = np.diff(below) / width, np.diff(above) / width
    flat = density.reshape(len(shown), -1)
    peak = flat.max(axis=1, initial=0.0)
    shade = np.round(SHADES * np.sqrt(flat / np.where(peak > 0.0, peak, 1.0)[:, None]))
    tops = np.partition(flat, -2, axis=1)[:, -2]
    return {
        "scale": np.maximum.accumulate(tops).astype(np.float32),
        "peak": peak.astype(np.float32),
        "heat": shade.astype(np.uint8),
    }


def _clusters(forecasts: Sequence[Forecast], kept: IntArray, anchor: float) -> Arrays:
    every = joined_clusters(forecasts)
    counts = np.array([len(f.clusters) for f in forecasts], np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    sides, low, high = (np.ascontiguousarray(every[name]) for name in ("side", "low", "high"))
    since = first_seen(offsets, sides, low, high, kept.astype(np.int64))
    rows = np.concatenate(
        [np.arange(offsets[i], offsets[i + 1]) for i in kept] or [np.zeros(0, np.int64)]
    )
    at = np.array([f.at for f in forecasts], np.int64)
    mine = every[rows]
    below, above = (_steps(mine[name], anchor, CLUSTER_STEP) for name in ("low", "high"))
    usd = np.round(USD_STEPS * np.log1p(np.maximum(mine["notional_usd"], 0.0)))
    return {
        "count": counts[kept].astype(np.uint16),
        "side": mine["side"].astype(np.int8),
        "low": below,
        "width": np.clip(above - below, 0, NONE).astype(np.uint16),
        "usd": np.minimum(usd, NONE).astype(np.uint16),
        "rank": np.round(100.0 * np.clip(mine["density_rank"], 0.0, 1.0)).astype(np.uint8),
        "since": _later(at[since]),
    }


def _steps(prices: FloatArray, anchor: float, step: float) -> npt.NDArray[np.int32]:
    """Return log prices over the anchor in whole steps."""
    steps = np.round(np.log(np.asarray(prices, np.float64) / anchor) / step)
    return np.clip(steps, -_FARTHEST, _FARTHEST).astype(np.int32)


def _outcome_rows(
    run: Run, symbol: str, estimator: str | None, horizon_ns: Ns
) -> Mapping[str, npt.NDArray[Any]]:
    """Return what befell a market's eligible clusters within the horizon, a row each."""
    names = ["at", "cluster", "side", "near", "visited", "visit_ns", "exposed_end_ns", "episode"]
    names += ["birth", "distance_sigma"]
    table = run.outcomes(estimator, symbol, [*names, "horizon_ns"])
    held = np.asarray(table["market"].to_numpy(zero_copy_only=False) == symbol, bool)
    held &= table["horizon_ns"].to_numpy() == horizon_ns
    return {n: table[n].to_numpy(zero_copy_only=False)[held] for n in names}


def _places(rows: Mapping[str, npt.NDArray[Any]], at: IntArray, offsets: IntArray) -> IntArray:
    """Return where each row's cluster stands among those that are kept; -1: its forecast is not."""
    i = np.minimum(np.searchsorted(at, rows["at"]), len(at) - 1)
    found = np.asarray(offsets[i] + rows["cluster"], np.int64)
    return np.where(at[i] == rows["at"], found, -1)


def _issued(
    run: Run, symbol: str, estimator: str | None, rows: Mapping[str, npt.NDArray[Any]]
) -> tuple[Arrays, IntArray]:
    """Return the probabilities of a visit that were issued, and which of them each row has.

    They are issued at an episode's birth; the episode's later rows have the same ones.
    """
    table = run.cluster_visits(estimator)
    empty = np.zeros(0, np.uint16)
    nothing = {"p": empty, "placebo": empty, "brownian": empty}
    if table is None:
        return {"issued_at": np.zeros(0, np.uint32), **nothing}, np.full(len(rows["at"]), -1)
    held = np.asarray(table["symbol"].to_numpy(zero_copy_only=False) == symbol, bool)
    mine = {n: table[n].to_numpy(zero_copy_only=False)[held] for n in ("at", "side")}
    mine |= {"distance_sigma": table["distance_sigma"].to_numpy()[held]}
    keys = zip(*(mine[n].tolist() for n in ("at", "side", "distance_sigma")), strict=True)
    by_birth = {key: i for i, key in enumerate(keys)}
    of_episode: dict[int, int] = {}
    for at, side, distance, episode, birth in zip(
        *(rows[n].tolist() for n in ("at", "side", "distance_sigma", "episode", "birth")),
        strict=True,
    ):
        if birth and (at, side, distance) in by_birth:
            of_episode[episode] = by_birth[at, side, distance]
    which = np.array([of_episode.get(e, -1) for e in rows["episode"].tolist()], np.int64)
    issued_at = np.append(mine["at"], np.iinfo(np.int64).min)
    which[(which >= 0) & (issued_at[which] > rows["at"])] = -1
    chances = {"p": "p", "placebo": "p_ablated", "brownian": "brownian"}
    values = {}
    for name, column in chances.items():
        steps = np.round(CHANCE_STEPS * table[column].to_numpy()[held])
        values[name] = np.where(np.isfinite(steps), steps, NONE).astype(np.uint16)
    return {"issued_at": _later(mine["at"]), **values}, which


def _path(
    prices: Mapping[str, npt.NDArray[Any]], at: IntArray, anchor: float, every: int
) -> Arrays:
    """Return the price path from a day before the first forecast on, at most six points each.

    A point stands for the entries of its span: lowest, highest and last price, known at the last.
    """
    start = int(at[0]) - DAY_NS
    use = (prices["ts"] > start) & (prices["ts"] <= at[-1])
    ts = prices["ts"][use]
    width = issue_spacing(at) * every // _POINTS
    first = np.flatnonzero(np.diff((ts - start - 1) // max(width, 1), prepend=-1))
    spans = list(pairwise([*first.tolist(), len(ts)]))
    last = np.array([b - 1 for _, b in spans], np.int64)
    low, high, close = (prices[n][use] for n in ("low", "high", "close"))
    final = _steps(close[last], anchor, PATH_STEP)
    lowest = np.minimum.reduceat(low, first) if len(first) else low
    highest = np.maximum.reduceat(high, first) if len(first) else high
    return {
        "t": _later(ts[last]),
        "close": final,
        "fell": final - _steps(lowest, anchor, PATH_STEP),
        "rose": _steps(highest, anchor, PATH_STEP) - final,
    }


def _over(rows: Mapping[str, npt.NDArray[Any]]) -> tuple[IntArray, IntArray]:
    """Return each row's visit (0 for none) and when its outcome was known (0: it never is), s."""
    hit, miss = rows["visited"] == 1, rows["visited"] == 0
    visit = np.where(hit, -(-rows["visit_ns"] // SECOND_NS), 0)
    ended = np.where(miss, -(-rows["exposed_end_ns"] // SECOND_NS), 0)
    return visit, np.where(hit, visit, ended)


def _cluster_outcomes(
    rows: Mapping[str, npt.NDArray[Any]], place: IntArray, n_clusters: int
) -> Arrays:
    visit, over = _over(rows)
    out = {name: np.zeros(n_clusters, np.uint32) for name in ("visit", "over")}
    kept = place >= 0
    out["visit"][place[kept]], out["over"][place[kept]] = visit[kept], over[kept]
    return out


def _episodes(rows: Mapping[str, npt.NDArray[Any]], anchor: float) -> Arrays:
    visit, over = _over(rows)
    use = np.asarray(rows["birth"], bool) & (over > 0)
    return {
        "born": _later(rows["at"][use]),
        "edge": _steps(rows["near"][use], anchor, PATH_STEP),
        "visited": visit[use].astype(np.uint32),
        "ended": over[use].astype(np.uint32),
    }
