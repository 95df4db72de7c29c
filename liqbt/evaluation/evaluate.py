"""Scores: every statistic of every market, all together, horizon and side, from the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import horizon_name
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums, Draws, draw, pooled, stream
from liqbt.evaluation.inference.estimates import POOLED, Estimate, ScoreDetail, estimate
from liqbt.evaluation.lifts import BandRow, band_rows
from liqbt.evaluation.statistic import Cell, Statistic, detail
from liqbt.types import Ns, Score


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """An evaluation of one estimator.

    Attributes
    ----------
    details : tuple of ScoreDetail
        Rows of the one schema, with what each was made of.
    evidence : Evidence
        What was observed.
    """

    details: tuple[ScoreDetail, ...]
    evidence: Evidence

    @cached_property
    def bands(self) -> tuple[BandRow, ...]:
        """Visits by distance, made when they are first asked for."""
        evidence = self.evidence
        reps, n_days = evidence.config.bootstrap_reps, days_spanned(evidence)
        draws = draw(stream(evidence.root, "bootstrap", "bands"), reps=reps, n_days=n_days)
        rows = band_rows(evidence.observed.outcomes, evidence.symbols, evidence.config, draws)
        return tuple(rows)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The rows alone."""
        return tuple(one.score for one in self.details)


def evaluate(evidence: Evidence, statistics: Sequence[Statistic] = STATISTICS) -> Evaluation:
    """Score everything that was observed.

    Parameters
    ----------
    evidence : Evidence
        Of one estimator.
    statistics : sequence of Statistic
        What is scored: by default everything that this version computes.

    Raises
    ------
    ConfigError
        If there is no market, or two have one name.
    DataError
        If forecasts or paths cannot be right.
    """
    return Evaluation(details=tuple(scored(evidence, statistics)), evidence=evidence)


def scored(evidence: Evidence, statistics: Sequence[Statistic]) -> Iterator[ScoreDetail]:
    """Yield the rows of every statistic whose needs were observed.

    Each draws from a stream of its own, by its id: what others there are changes nothing.
    """
    known = {one.id: one for one in statistics} | {one.id: one for one in STATISTICS}
    n_days = days_spanned(evidence)
    for statistic in statistics:
        if not statistic.computed:
            continue
        rng = stream(evidence.root, "bootstrap", statistic.drawn)
        draws = draw(rng, reps=evidence.config.bootstrap_reps, n_days=n_days)
        own = (statistic.horizon_ns,) if statistic.horizon_ns else evidence.config.horizons_ns
        for horizon_ns in own:
            if all(evidence.has(need, horizon_ns) for need in statistic.needs):
                for side in statistic.sides:
                    yield from _rows(evidence, statistic, horizon_ns, side, draws, known)


def days_spanned(evidence: Evidence) -> int:
    """Return how many UTC days the scored forecasts span, at least 1: what most bootstraps draw."""
    days = [day for i in range(len(evidence.markets)) for day in evidence.issued_days(i)]
    return max(days) - min(days) + 2 if days else 1


def _rows(
    evidence: Evidence,
    statistic: Statistic,
    horizon_ns: Ns,
    side: str,
    draws: Draws,
    known: dict[str, Statistic],
) -> Iterator[ScoreDetail]:
    """Yield the rows of one statistic, horizon and side: every market, then all together.

    Of one market alone both are the same row, and it is estimated once.
    """
    cells = [Cell(market=i, horizon_ns=horizon_ns, side=side) for i in range(len(evidence.markets))]
    groups = [(symbol, [cell]) for symbol, cell in zip(evidence.symbols, cells, strict=True)]
    row: ScoreDetail | None = None
    for symbol, mine in [*groups, (POOLED, cells)]:
        if symbol != POOLED or len(cells) > 1:
            where = (symbol, horizon_name(horizon_ns), side)
            row = _row(evidence, statistic, where, mine, draws, known)
        elif row is not None:
            row = replace(row, score=replace(row.score, symbol=POOLED))
        if row is not None:
            yield row


def _row(
    evidence: Evidence,
    statistic: Statistic,
    where: tuple[str, str, str],
    cells: Sequence[Cell],
    draws: Draws,
    known: dict[str, Statistic],
) -> ScoreDetail | None:
    if statistic.sampled is not None:
        sampled = statistic.sampled(evidence, cells)
        if sampled is None:
            return None
        return detail(statistic, where, sampled[1], sampled[0], estimator=evidence.estimator)
    days = _sums(evidence, statistic, cells)
    if days is None:
        return None
    draws = _reaching(evidence, statistic, draws, len(days.total))
    found = _estimated(evidence, statistic, cells, days, draws, known)
    null = 0.0 if days.null is None else days.chance
    return detail(statistic, where, null, found, days, estimator=evidence.estimator)


def _reaching(evidence: Evidence, statistic: Statistic, draws: Draws, n_days: int) -> Draws:
    """Return the same draws, of more days where units lie outside the span of the forecasts.

    A touch, a burst or a window of an hour may be born later than the last forecast.
    """
    if n_days <= draws.n_days:
        return draws
    rng = stream(evidence.root, "bootstrap", statistic.drawn)
    return draw(rng, reps=evidence.config.bootstrap_reps, n_days=n_days)


def _sums(evidence: Evidence, statistic: Statistic, cells: Sequence[Cell]) -> DaySums | None:
    parts = [_day_sums(evidence, statistic, cell) for cell in cells]
    held = [part for part in parts if part is not None]
    return pooled(held) if held else None


def _day_sums(evidence: Evidence, statistic: Statistic, cell: Cell) -> DaySums | None:
    if statistic.day_sums is None:
        return None
    key = sums_key(evidence, statistic, cell)
    if key in evidence.held:  # of a market that was summed apart
        found: DaySums | None = evidence.held[key]
        return found
    return statistic.day_sums(evidence, cell)


def sums_key(evidence: Evidence, statistic: Statistic, cell: Cell) -> tuple[Any, ...]:
    """Return under which key evidence holds the day sums of a market that was summed apart."""
    symbol = evidence.symbols[cell.market]
    return ("day sums", statistic.id, symbol, cell.horizon_ns, cell.side)


def _estimated(
    evidence: Evidence,
    statistic: Statistic,
    cells: Sequence[Cell],
    days: DaySums,
    draws: Draws,
    known: dict[str, Statistic],
) -> Estimate:
    if statistic.total:
        return Estimate(value=float(days.total.sum()), n_episodes=days.units, n_days=days.n_days)
    if not np.isfinite(days.total).all():
        return Estimate(value=math.nan, n_episodes=days.units)
    found = estimate(days, cells[0].horizon_ns, draws, bounds=statistic.bounds)
    if statistic.requires is None:
        return found
    counted = known[statistic.requires.statistic]
    sides = [
        _sums(evidence, counted, [replace(cell, side=side) for cell in cells])
        for side in counted.sides
    ]
    events = [0 if one is None else one.n_days for one in sides]
    if min(events) >= statistic.requires.days:
        return found
    n_events = sum(0 if one is None else one.units for one in sides)
    return replace(Estimate(value=found.value), n_episodes=n_events, n_days=found.n_days)
