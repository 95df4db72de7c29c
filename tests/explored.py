"""Runs for the explorer's tests: two estimators, issued probabilities, a future to be poisoned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from report_run import START_NS, FakeRun, make_market, make_outcomes, make_run

from liqbt.types import HOUR_NS, Forecast

SYMBOLS = ("BTCUSDT", "ETHUSDT")
HOURS = 150


@dataclass(frozen=True, kw_only=True)
class ExploredRun(FakeRun):
    """A made-up run of two estimators."""

    second: dict[str, list[Forecast]] = field(default_factory=dict)

    def forecasts(self, symbol: str, estimator: str | None = None) -> list[Forecast]:
        return self.second[symbol] if estimator == "second" else self.maps[symbol]


def make_issued(table: Any) -> pa.Table:
    """Probabilities of a visit for every birth but those of the first day, unlike one another."""
    rows = [r for r in table.to_pylist() if r["at"] > START_NS + 24 * HOUR_NS]
    n = np.arange(len(rows))
    return pa.table(
        {
            "symbol": [r["market"] for r in rows],
            **{k: np.array([r[k] for r in rows]) for k in ("at", "side", "distance_sigma")},
            "p": 0.2 + 0.0007 * (n % 500),
            "p_ablated": 0.3 + 0.0007 * (n % 500),
            "brownian": 0.4 + 0.0007 * (n % 500),
        }
    )


def explored(symbols: Sequence[str] = SYMBOLS, n: int = HOURS) -> ExploredRun:
    """A run of two estimators; the second says from where on its map rests on its prior."""
    made = make_run(tuple(symbols), n=n)
    second = {
        symbol: [
            replace(
                f,
                density_usd=f.density_usd[::-1].copy(),
                prior_from_long=0.03,
                prior_from_short=0.04,
            )
            for f in maps
        ]
        for symbol, maps in made.maps.items()
    }
    others = tuple(replace(s, estimator="second") for s in made.scores[:3])
    return ExploredRun(
        **{f: getattr(made, f) for f in made.__dataclass_fields__ if f not in ("scores", "issued")},
        scores=(*made.scores, *others),
        issued=make_issued(made.table),
        second=second,
    )


def poisoned(run: ExploredRun, after: int, rng: np.random.Generator) -> ExploredRun:
    """The same run up to and with forecast `after`; all that comes later is another future."""
    maps, paths = {}, {}
    for symbol, forecasts in run.maps.items():
        n = len(forecasts)
        other, path = make_market(symbol, n, int(rng.integers(1000, 2000)), forecasts[0].mark)
        shift = forecasts[after].mark / other[after].mark
        fixed = [
            replace(f, mark=f.mark * shift, density_usd=f.density_usd * np.float32(7.0))
            for f in other[after + 1 :]
        ]
        maps[symbol] = [*forecasts[: after + 1], *fixed]
        old, held = run.paths[symbol], run.paths[symbol]["ts"] <= forecasts[after].mark_ts
        paths[symbol] = {
            k: np.where(held, old[k], path[k] if k == "ts" else path[k] * shift) for k in old
        }
    table = make_outcomes({s: (maps[s], paths[s]) for s in maps})
    # episodes that were begun keep what was issued for them
    return replace(run, maps=maps, paths=paths, table=table, issued=make_issued(table))


def hostile(name: str) -> ExploredRun:
    """A run in which every foreign word is `name`."""
    made = explored((name,), n=40)
    manifest = {**made.manifest, "experiment": name, "description": name, "run_id": name}
    manifest["symbols"][name].update(price=name, price_stand_in=name, instruments=[name])
    brackets = [{"leverage": 10.0, "weight": 1.0}]
    config = {**made.config, "estimators": {name: {"params": {"brackets": brackets}}}}
    scores = tuple(replace(s, estimator=name) for s in made.scores if s.estimator != "second")
    verdicts = tuple(replace(v, reason=name) for v in made.verdicts)
    return replace(made, manifest=manifest, config=config, scores=scores, verdicts=verdicts)


def first_seen_plainly(forecasts: Sequence[Forecast], i: int, k: int) -> int:
    """Since which forecast each has had a cluster of the side of cluster `k` of `i` in its band."""
    one = forecasts[i].cluster(k)
    while i > 0:
        before = forecasts[i - 1]
        bands = [before.cluster(j) for j in range(len(before.clusters))]
        if not any(b.side == one.side and b.low < one.high and one.low < b.high for b in bands):
            break
        i -= 1
    return i


def notional_between(forecast: Forecast, side: int, low: float, high: float) -> float:
    """A side's notional between two log distances from the mark, entry by entry."""
    grid, row = forecast.grid, forecast.density_usd[0 if side > 0 else 1]
    total, edge = 0.0, 0
    for i, value in enumerate(row.tolist()):
        width = 1 if i < grid.fine_bins else grid.coarse
        bins = [edge, edge + width]
        edge += width
        ends = [forecast.mark_bin - b if side > 0 else forecast.mark_bin + 1 + b for b in bins]
        middle = math.log(forecast.mark / grid.anchor)
        a, b = sorted(abs(e * grid.step - middle) for e in ends)
        total += value * max(0.0, min(b, high) - max(a, low)) / (b - a)
    return total
