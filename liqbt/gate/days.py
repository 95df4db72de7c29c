"""A run's day sums: what two runs are paired by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation import POOLED
from liqbt.evaluation.inference import draw
from liqbt.evaluation.paired import (
    DatedDays,
    PairedDifference,
    dated_days,
    paired_difference,
    row_scores,
)
from liqbt.evaluation.scores import log_score
from liqbt.experiment import Run, duration_ns
from liqbt.gate.rules import UNITS, Key, key_of, rule_of
from liqbt.types import FloatArray, IntArray

__all__ = ["deciding_rows", "pair", "paired_keys", "row_days"]

_REPS: Final = 2000
_PRIMARY: Final = "24h"
_OVER: Final = {"visit_gain": "p_ablated", "visit_gain_over_brownian": "brownian"}
"""Rows of levels that no map draws, and the column over which the map's probability gains."""


def deciding_rows(run: Run) -> frozenset[Key]:
    """Return the rows that the run's verdicts rest on, and that of levels that no map draws."""
    found = {UNITS}
    for claim in dict(run.manifest.get("claims") or {}).values():
        key = tuple(claim.get(n) for n in ("id", "symbol", "horizon", "side", "statistic"))
        if all(isinstance(part, str) for part in key):
            found.add(key)
    return frozenset(found & {key_of(score) for score in run.scores})


def paired_keys(run: Run) -> list[Key]:
    """Return the rows whose day sums a baseline keeps: pooled lifts and skills at 24 hours."""
    return [
        key_of(score)
        for score in run.scores
        if score.symbol == POOLED
        and score.horizon == _PRIMARY
        and score.side == "both"
        and score.n_episodes
        and rule_of(score.statistic).lower_is_worse
    ]


def row_days(run: Run, keys: Iterable[Key]) -> dict[Key, DatedDays]:
    """Return the day sums of some rows, made from the run's outcomes.

    A row is left out where its statistic is not known here, or where what is made of its outcomes
    is not the value that the run reports: then it is not that row's day sums.
    """
    values = {key_of(score): score.value for score in run.scores}
    outcomes = _columns(run.outcomes())
    landmarks = _columns(run.first_sides())
    found = {}
    for key in keys:
        _, symbol, horizon, side, statistic = key
        if statistic in _OVER:
            scores = _unit_scores(run, symbol, _OVER[statistic])
        else:
            mine, others = (_rows(c, symbol, duration_ns(horizon)) for c in (outcomes, landmarks))
            scores = row_scores(statistic, side, mine, others)
        if scores is None:
            continue
        days = dated_days(*scores)
        if abs(days.ratio - values.get(key, np.nan)) <= 1e-9 * max(1.0, abs(days.ratio)):
            found[key] = days
    return found


def _unit_scores(run: Run, symbol: str, over: str) -> tuple[FloatArray, IntArray] | None:
    """Return what the map's probability gains at each level that no map draws, and when."""
    table = run.visits()
    if table is None:
        return None
    columns = _columns(table)
    use = np.ones(len(table), bool) if symbol == POOLED else columns["symbol"] == symbol
    if not use.any():
        return None
    visited = columns["visited"][use].astype(np.float64)
    p, q = (np.clip(columns[name][use], 1e-9, 1.0 - 1e-9) for name in ("p", over))
    return log_score(p, visited) - log_score(q, visited), columns["at"][use]


def _columns(table: Any) -> dict[str, npt.NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names}


def _rows(
    columns: Mapping[str, npt.NDArray[Any]], symbol: str, horizon_ns: int
) -> dict[str, npt.NDArray[Any]]:
    chosen = columns["horizon_ns"] == horizon_ns
    if symbol != POOLED:
        chosen = chosen & (columns["market"] == symbol)
    return {name: values[chosen] for name, values in columns.items()}


def pair(
    new: Mapping[Key, DatedDays], base: Mapping[Key, DatedDays], seed: int = 0
) -> dict[Key, PairedDifference]:
    """Return the paired difference of every row that both have, unless they share too few days.

    Fewer than half of the days together are too few: then the runs are about different times. The
    bootstrap has a fixed seed, so that a check says the same each time.
    """
    common = [key for key in new if key in base and _shared(new[key], base[key]) >= 0.5]
    span = max((_span(new[key], base[key]) for key in common), default=1)
    draws = draw(np.random.default_rng(seed), reps=_REPS, n_days=span)
    return {
        key: paired_difference(new[key], base[key], duration_ns(key[2]), draws) for key in common
    }


def _span(a: DatedDays, b: DatedDays) -> int:
    ends = [each.first_day + len(each.total) for each in (a, b)]
    return max(ends) - min(a.first_day, b.first_day)


def _shared(a: DatedDays, b: DatedDays) -> float:
    ends = [each.first_day + len(each.total) for each in (a, b)]
    return max(0, min(ends) - max(a.first_day, b.first_day)) / _span(a, b)
