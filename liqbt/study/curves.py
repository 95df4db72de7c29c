"""What a finished run's own tables draw: doses, drifts, first arrivals, rankings of levels.

Everything here describes what a run observed and stored; nothing here is a test. The statistics
that verdicts rest on are rows of `metrics.json`, with intervals of their own. Bars here are 1.96
standard errors by UTC day, all markets of a day together, days taken as independent: something for
the eye, and too narrow where outcomes of neighbouring days overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liqbt.config.fields import duration_ns
from liqbt.evaluation.hours import forward_returns
from liqbt.evaluation.near import near_asymmetry, near_mass
from liqbt.evaluation.path import PricePath
from liqbt.log.disk import read_parquet
from liqbt.study.store import Run, json_value
from liqbt.study.written import require_as_written
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Forecast, IntArray

PROBABILITIES: Final[Mapping[str, str]] = {
    "full": "p",
    "ablated": "p_ablated",
    "brownian": "brownian",
}
"""The probabilities that levels were issued with, by the names of their columns."""

_DRIFT_NS: Final = 4 * HOUR_NS
_PARTS: Final = 5
_STEPS: Final = 61
_SPACING_SAMPLE: Final = 2016
_LEAST: Final = 30
"""Fewer levels than this draw no curve."""

Rows = list[dict[str, Any]]


def curves(run: Run, moves: Sequence[FloatArray | None]) -> dict[str, Rows]:
    """Return the points of every curve that a run's tables hold, ready for JSON.

    Parameters
    ----------
    run : Run
        A finished run; of several estimators the first is drawn.
    moves : sequence of ndarray or None
        `market_moves` of each market, in order.

    Returns
    -------
    dict
        `dose`, `distance`, `drift`, `incidence`, `regimes`, `ranking`, `molchan`: rows with names
        and units as their functions say, empty where the run lacks what a curve is made of.
    """
    units = _levels(run, "visits.parquet")
    clusters = _levels(run, "cluster_visits.parquet")
    outcomes = _columns(run.outcomes(columns=_OUTCOME_COLUMNS), _OUTCOME_COLUMNS)
    found = {
        "dose": dose(units),
        "distance": by_distance(clusters, _edges(run)),
        "drift": drift(moves),
        "incidence": incidence(outcomes),
        "regimes": regimes(outcomes),
        "ranking": ranking(clusters),
        "molchan": molchan(clusters),
    }
    return {name: json_value(rows) for name, rows in found.items()}


_LEVEL_COLUMNS: Final = (
    "symbol", "at", "distance_sigma", "density_rank", "visited", "brownian", "p", "p_ablated",
)  # fmt: skip
_OUTCOME_COLUMNS: Final = (
    "market", "horizon_ns", "at", "distance", "distance_sigma", "density_rank", "censor",
    "exposed_start_ns", "visited", "mirror_visited", "visit_ns", "mirror_visit_ns", "brownian",
    "birth",
)  # fmt: skip
_Columns = Mapping[str, np.ndarray]


def _levels(run: Run, file: str) -> _Columns:
    """Return the levels that probabilities were issued for and that have an outcome."""
    path = run.path / file
    if not path.is_file():
        return {}
    require_as_written(run.path, run.manifest, file)
    table = read_parquet(path)
    names = [score.estimator for score in run.scores]
    if "estimator" in table.column_names and names:
        table = table.filter(pc.equal(table["estimator"], names[0]))
    held = _columns(table, _LEVEL_COLUMNS)
    if not held:
        return {}
    keep = (held["visited"] >= 0) & np.isfinite(held["p"]) & np.isfinite(held["p_ablated"])
    return {name: values[keep] for name, values in held.items()}


def _columns(table: pa.Table, names: Sequence[str]) -> _Columns:
    """Return columns as arrays; none of them where one is not there."""
    if not set(names) <= set(table.column_names):
        return {}
    return {name: table[name].to_numpy() for name in names}


def _edges(run: Run) -> list[float]:
    """Return the distance bands that the run's own table has, in σ of the horizon."""
    rows = [row for row in run.bands if row["horizon"] == "24h"]
    return sorted({float(row[key]) for row in rows for key in ("band_low", "band_high")})


def by_day(values: FloatArray, at: IntArray) -> tuple[float, float, int]:
    """Return the mean of values, its standard error by UTC day, and how many days there are.

    The sums of days are what repeats: with S_d and N_d of each day and mean m, the variance of
    the mean is D/(D − 1) Σ (S_d − m N_d)² / N² (Cochran 1977, Sampling Techniques, equation
    6.13, of a ratio of day sums).

    Examples
    --------
    >>> by_day(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1]) * 86_400_000_000_000)
    (0.5, 0.0, 2)
    """
    if not len(values):
        return math.nan, math.nan, 0
    mean = float(values.mean())
    _, day = np.unique(at // DAY_NS, return_inverse=True)
    sums, n = np.bincount(day, values), np.bincount(day)
    days = len(n)
    if days < 2:
        return mean, math.nan, days
    spread = float(((sums - mean * n) ** 2).sum()) * days / (days - 1)
    return mean, math.sqrt(spread) / len(values), days


def dose(units: _Columns) -> Rows:
    """Return visits by density: of levels that no map draws, by fifth of their density rank.

    One level in the middle of each distance band, above and below, at landmarks a day apart:
    `low`, `high` (density rank), `n`, `n_days`, `visited`, `without_map` and `brownian` (shares,
    the last two as they were foretold), `excess` (visited less foretold without the map) and its
    `standard_error`.
    """
    rows: Rows = []
    if len(units.get("at", ())) < _LEAST:
        return rows
    for i in range(_PARTS):
        low, high = i / _PARTS, (i + 1) / _PARTS
        rank = units["density_rank"]
        rows.append({"low": low, "high": high, **_against(units, (rank > low) & (rank <= high))})
    return rows


def by_distance(clusters: _Columns, edges: Sequence[float]) -> Rows:
    """Return visits of clusters by distance band: the columns of `dose`, bands in σ of 24 h."""
    if len(clusters.get("at", ())) < _LEAST:
        return []
    d = clusters["distance_sigma"]
    return [
        {"low": low, "high": high, **_against(clusters, (d >= low) & (d < high))}
        for low, high in pairwise(edges)
    ]


def _against(levels: _Columns, mine: np.ndarray) -> dict[str, Any]:
    excess = (levels["visited"] - levels["p_ablated"])[mine]
    mean, error, days = by_day(excess, levels["at"][mine])
    shares = {
        name: float(levels[column][mine].mean()) if mine.any() else math.nan
        for name, column in (
            ("visited", "visited"), ("without_map", "p_ablated"), ("brownian", "brownian"),
        )
    }  # fmt: skip
    return {
        "n": int(mine.sum()), "n_days": days, **shares, "excess": mean, "standard_error": error,
    }  # fmt: skip


def market_moves(run: Run, symbol: str, issued: Sequence[Forecast]) -> FloatArray | None:
    """Return where one market's price went after each forecast, shape (n, 3).

    When it was issued (ns), its near asymmetry, and the return of the next 4 h, jumps left out,
    upward positive; None where there is too little of it.
    """
    options = run.config.get("evaluation") or {}
    if "latency" not in options or len(issued) < _LEAST:
        return None
    latency, gap = duration_ns(options["latency"]), options.get("max_gap")
    path = _path(run.prices(symbol), None if gap is None else duration_ns(gap))
    if path is None:
        return None
    at = np.array([f.at for f in issued], np.int64)
    sigma = np.array([f.sigma_1d for f in issued], np.float64)
    moved = forward_returns(path, at + latency, sigma, _DRIFT_NS)[:, 0]
    near = near_asymmetry(near_mass(issued, issued))
    keep = np.isfinite(moved) & np.isfinite(near)
    return np.column_stack([at[keep], near[keep], moved[keep]])


def drift(moves: Sequence[FloatArray | None]) -> Rows:
    """Return where the price went by near asymmetry, all markets, in fifths of it.

    `near` (mean near asymmetry, −1 to 1, positive where more lies above), `drift` (mean return of
    the next 4 h in σ a day, jumps left out, upward positive), its `standard_error`, `n`, `n_days`.
    Nothing is held constant beside it: momentum moves both.
    """
    parts = [part for part in moves if part is not None]
    if not parts:
        return []
    at, near, moved = (np.concatenate([part[:, i] for part in parts]) for i in range(3))
    return _drift_rows(at.astype(np.int64), near, moved / math.sqrt(_DRIFT_NS / DAY_NS))


def _drift_rows(at: IntArray, near: FloatArray, moved: FloatArray) -> Rows:
    cuts = np.quantile(near, np.linspace(0.0, 1.0, _PARTS + 1)[1:-1])
    part = np.searchsorted(cuts, near, "left")
    rows = []
    for i in range(_PARTS):
        mine = part == i
        if mine.any():
            mean, error, days = by_day(moved[mine], at[mine])
            rows.append(
                {
                    "near": float(near[mine].mean()), "drift": mean, "standard_error": error,
                    "n": int(mine.sum()), "n_days": days,
                }
            )  # fmt: skip
    return rows


def _path(prices: Mapping[str, np.ndarray], max_gap_ns: int | None) -> PricePath | None:
    """Return stored prices as the path that they were, points or bars of their usual spacing."""
    end = np.array(prices["ts"])
    if len(end) < _LEAST:
        return None
    low, high, close = (np.array(prices[name]) for name in ("low", "high", "close"))
    step = int(np.median(np.diff(end[:_SPACING_SAMPLE])))
    points = bool((low == high).all())
    start = end if points else np.maximum(end - step, np.concatenate([[0], end[:-1]]))
    return PricePath(
        start_ns=start, end_ns=end, low=low, high=high, close=close,
        spacing_ns=step if points else 0,
        max_gap_ns=max_gap_ns or max(1, 3 * step if points else step),
    )  # fmt: skip


def incidence(outcomes: _Columns) -> Rows:
    """Return, by horizon, which share of episodes was visited by when, beside their mirrors.

    `horizon_ns`, `subset` (`all`, or `dense`: births in the top fifth of density rank), `n`,
    `hours` since watching began, `visited` and `mirror` (shares by then), `brownian` (the share
    that a random walk would visit by the end). Geometry is that of the birth; windows that were
    not watched to their end are left out, as in the run's own rates.
    """
    rows: Rows = []
    for horizon in _horizons(outcomes):
        whole = _births(outcomes, horizon)
        for subset in ("all", "dense"):
            mine = whole & ((outcomes["density_rank"] > 0.8) | (subset == "all"))
            if mine.sum() >= _LEAST:
                rows.append(
                    {"horizon_ns": horizon, "subset": subset, **_arrivals(outcomes, mine, horizon)}
                )
    return rows


def _arrivals(outcomes: _Columns, mine: np.ndarray, horizon: int) -> dict[str, Any]:
    hours = np.linspace(0.0, horizon / HOUR_NS, _STEPS)
    opened = outcomes["exposed_start_ns"][mine]
    shares = {}
    for name, came, when in (
        ("visited", "visited", "visit_ns"), ("mirror", "mirror_visited", "mirror_visit_ns"),
    ):  # fmt: skip
        took = (outcomes[when][mine] - opened) / HOUR_NS
        took = np.sort(took[outcomes[came][mine] == 1])
        shares[name] = (np.searchsorted(took, hours, "right") / mine.sum()).round(6).tolist()
    n, end = int(mine.sum()), float(outcomes["brownian"][mine].mean())
    return {"n": n, "hours": hours.tolist(), **shares, "brownian": end}


def regimes(outcomes: _Columns) -> Rows:
    """Return lifts by thirds of volatility at issue, within each market, by horizon.

    `horizon_ns`, `third` (1 the calmest), `n`, `n_days`, `visited`, `brownian`, `mirror` (shares),
    `lift` and `mirror_lift` (visited less each), with `standard_error` and
    `mirror_standard_error`. Volatility is read off a cluster's distance in its two units; thirds
    are cut with all of the record, which no forecast saw.
    """
    rows: Rows = []
    for horizon in _horizons(outcomes):
        whole = _births(outcomes, horizon)
        third = _thirds(outcomes, whole)
        for i in range(3):
            mine = whole & (third == i)
            if mine.sum() >= _LEAST:
                rows.append({"horizon_ns": horizon, "third": i + 1, **_lifts(outcomes, mine)})
    return rows


def _thirds(outcomes: _Columns, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = outcomes["distance"] / outcomes["distance_sigma"]
    third = np.full(len(sigma), -1)
    for market in np.unique(outcomes["market"]):
        mine = whole & (outcomes["market"] == market) & np.isfinite(sigma)
        if mine.sum() >= _LEAST:
            cuts = np.quantile(sigma[mine], [1 / 3, 2 / 3])
            third[mine] = np.searchsorted(cuts, sigma[mine], "left")
    return third


def _lifts(outcomes: _Columns, mine: np.ndarray) -> dict[str, Any]:
    at, visited = outcomes["at"][mine], outcomes["visited"][mine].astype(float)
    brownian, mirror = outcomes["brownian"][mine], outcomes["mirror_visited"][mine].astype(float)
    lift, error, days = by_day(visited - brownian, at)
    beside, mirror_error, _ = by_day(visited - mirror, at)
    return {
        "n": int(mine.sum()), "n_days": days, "visited": float(visited.mean()),
        "brownian": float(brownian.mean()), "mirror": float(mirror.mean()), "lift": lift,
        "standard_error": error, "mirror_lift": beside, "mirror_standard_error": mirror_error,
    }  # fmt: skip


def _horizons(outcomes: _Columns) -> list[int]:
    return [int(h) for h in np.unique(outcomes["horizon_ns"])] if outcomes else []


def _births(outcomes: _Columns, horizon: int) -> np.ndarray:
    """Return which rows are an episode's birth whose window was watched, mirror included."""
    return np.asarray(
        (outcomes["horizon_ns"] == horizon)
        & outcomes["birth"]
        & (outcomes["censor"] == 0)
        & (outcomes["visited"] >= 0)
        & (outcomes["mirror_visited"] >= 0)
    )


def ranking(clusters: _Columns) -> Rows:
    """Return how each probability ranks clusters of 24 h, best first: ROC and precision by recall.

    `probability` (a key of `PROBABILITIES`), `n`, `visits`, `area` (under the ROC: the chance
    that a visited cluster was ranked above one that was not, ties half), `precision_area` (mean
    precision at each visit), and the curves `false_rate`, `true_rate`, `precision`.
    """
    seen = clusters.get("visited", np.zeros(0))
    if len(seen) < _LEAST or not 0 < seen.sum() < len(seen):
        return []
    return [
        {"probability": name, **_ranked(clusters[column], seen)}
        for name, column in PROBABILITIES.items()
    ]


def _ranked(p: FloatArray, seen: np.ndarray) -> dict[str, Any]:
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # ties move together
    hits, alarms = np.cumsum(seen[order])[last], last + 1
    visits = int(seen.sum())
    true = np.concatenate([[0.0], hits / visits])
    false = np.concatenate([[0.0], (alarms - hits) / (len(p) - visits)])
    precision = hits / alarms
    gained = np.diff(true)
    thin = _thinned(len(true))
    return {
        "n": len(p), "visits": visits, "area": _area(false, true),
        "precision_area": float((gained * precision).sum()),
        "false_rate": false[thin].round(6).tolist(), "true_rate": true[thin].round(6).tolist(),
        "precision": np.concatenate([[precision[0]], precision])[thin].round(6).tolist(),
    }  # fmt: skip


def molchan(clusters: _Columns) -> Rows:
    """Return the Molchan diagram of what the map adds: misses by the share of alarm.

    Clusters are alarmed in the order of P(visit) with the map over that without it; alarm is
    measured by the visits that were foretold without the map (Zechar and Jordan 2008, Testing
    alarm-based earthquake predictions, section 3), so that a map that adds nothing stays on the
    diagonal. `n`, `visits`, `skill` (one half less the area below the curve: 0 on the diagonal),
    `alarm`, `missed`; each of `all` markets together.
    """
    seen = clusters.get("visited", np.zeros(0))
    if len(seen) < _LEAST or not seen.sum():
        return []
    gain = clusters["p"] / np.maximum(clusters["p_ablated"], 1e-9)
    order = np.argsort(-gain, kind="stable")
    expected = clusters["p_ablated"][order]
    alarm = np.concatenate([[0.0], np.cumsum(expected) / expected.sum()])
    missed = np.concatenate([[1.0], 1.0 - np.cumsum(seen[order]) / seen.sum()])
    thin = _thinned(len(alarm))
    return [
        {
            "n": len(seen), "visits": int(seen.sum()), "skill": 0.5 - _area(alarm, missed),
            "alarm": alarm[thin].round(6).tolist(), "missed": missed[thin].round(6).tolist(),
        }
    ]  # fmt: skip


def _area(x: FloatArray, y: FloatArray) -> float:
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2.0)


def _thinned(n: int, most: int = 240) -> IntArray:
    """Return which points of a curve are kept: the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
