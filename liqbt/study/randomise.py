"""Placebo histories: the real path with positioning from another time, replayed and scored.

What a claim's statistic would have been, had open interest told nothing of these prices: a
permutation test that holds for any estimator, a user's own included, and needs no simulated
world. The share of histories that a claim's own rule calls *supported* is that rule's size here, if
what the map draws from prices alone attracts nobody (decision 0032).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.config.fields import format_duration
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS, STATISTICS, statistic_of
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.config import horizon_name
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.inference.days import stream
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.statistic import Better
from liqbt.replay import replay
from liqbt.study.estimators import build_estimator
from liqbt.study.events import market_tapes, open_events
from liqbt.study.executors import Executor, serially
from liqbt.study.own_code import make_importable
from liqbt.study.pipeline import forecast_times, observed, price_only_twins
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import Experiment, load_experiment
from liqbt.tape.positions import LEAST_SHIFT_NS, shifted_tape
from liqbt.tape.values import Tape
from liqbt.types import FloatArray, Forecast, Ns

_TIE: Final = 1e-6
"""Values nearer to each other than this share of them are one value: densities are in single
precision, so that a map's total alone moves what does not depend on it by some 1e-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomised:
    """One statistic of an experiment beside that of its placebo histories.

    Attributes
    ----------
    claim, statistic, estimator, horizon : str
        What was scored, all markets together and both sides.
    value, null : float
        Of the real record.
    histories : int
        How many were replayed.
    as_good : int
        Those that do as well or better; one without a value counts among them.
    p : float
        (1 + as_good)/(1 + histories); NaN where the real record has no value. Phipson and Smyth
        (2010), Permutation p-values should never be zero, equation 2.
    supported : int or None
        Those that the claim's own rule would call supported, the gate left aside; None for a
        statistic that decides no claim.
    low, median, high : float
        2.5 %, 50 % and 97.5 % of the histories' values.
    values : tuple of float
        Of every history, in the order in which they were drawn.
    """

    claim: str
    statistic: str
    estimator: str
    horizon: str
    value: float
    null: float
    histories: int
    as_good: int
    p: float
    supported: int | None
    low: float
    median: float
    high: float
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What every history is made of; they share prices, twin and structural maps."""

    experiment: Experiment
    tapes: Mapping[str, Tape]
    since: Ns | None
    statistics: tuple[str, ...]
    twins: Mapping[str, Sequence[Forecast]]
    shared: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """Of one record: value and null by statistic, and the claims that would be supported."""

    values: Mapping[str, tuple[float, float]]
    supported: frozenset[str]


def randomise(
    path: Path,
    results: Path = Path("results"),
    *,
    histories: int,
    statistics: Sequence[str] = (),
    executor: Executor = serially,
    stage: Stage = silent,
) -> list[Randomised]:
    """Hold an experiment's file against its placebo histories.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of all runs, whose caches are used.
    histories, statistics, executor, stage
        As in `randomised`.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used.
    """
    experiment = load_experiment(path)
    make_importable(path.parent)
    origin = open_events(experiment, path, results / ".cache", stage)
    tapes = market_tapes(origin, experiment, results / ".cache")
    return randomised(
        experiment,
        tapes,
        histories=histories,
        statistics=statistics,
        executor=executor,
        stage=stage,
    )


def randomised(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    *,
    histories: int,
    statistics: Sequence[str] = (),
    since: Ns | None = None,
    executor: Executor = serially,
    stage: Stage = silent,
) -> list[Randomised]:
    """Replay the first estimator on placebo histories, and hold the real record against them.

    The shift of a history is drawn once, as a share of what is possible (`shifted_tape`), for all
    markets: what their positions have in common stays. The first n of N histories are those of n.

    Parameters
    ----------
    experiment, tapes, since
        As in `liqbt.study.pipeline.study`.
    histories : int
        How many, 1 or more.
    statistics : sequence of str
        Ids of what is shown; by default what decides a claim.
    executor : callable
        Where the histories are replayed; it changes no number.
    stage : callable
        Progress.

    Returns
    -------
    list of Randomised
        In the order of claims, or of `statistics`.

    Raises
    ------
    ConfigError
        If a statistic is not computed by this version.
    DataError
        If a market has no open interest to shift.
    """
    known = {one.id for one in STATISTICS if one.computed}
    for name in statistics:
        if name not in known:
            raise ConfigError(f"statistic '{name}' is not computed; {nearest(name, known)}")
    asked = tuple(statistics or dict.fromkeys(claim.statistic for claim in CLAIMS))
    read = dict.fromkeys((*asked, *(name for claim in CLAIMS for name in claim.conditions)))
    estimator = next(iter(experiment.estimators))
    needed = any("twin" in statistic_of(name).needs for name in read)
    twins = price_only_twins(experiment, tapes)[estimator].forecasts if needed else {}
    work = _Work(
        experiment=experiment, tapes=tapes, since=since, statistics=tuple(read), twins=twins
    )
    real = _outcome(work, None)
    shares = stream(experiment.seed, "randomise").random(histories).tolist()
    outcomes = []
    for outcome in executor(partial(_outcome, work), shares):
        outcomes.append(outcome)
        stage("histories", len(outcomes), histories)
    return [_beside(estimator, name, real, outcomes) for name in asked]


def _outcome(work: _Work, share: float | None) -> _Outcome:
    """Score the history of a share, None: the real record, by what decides claims."""
    experiment, issued = work.experiment, {}
    for symbol, tape in work.tapes.items():
        told = tape if share is None else shifted_tape(tape, share)
        estimator = build_estimator(experiment, symbol)
        issued[symbol] = replay(told, estimator, forecast_times(experiment, tape))
    evidence = observed(
        experiment, work.tapes, issued, work.twins, since=work.since, shared=work.shared
    )
    read = {_horizon(name) for name in work.statistics}
    horizons = tuple(h for h in evidence.config.horizons_ns if horizon_name(h) in read)
    if horizons:  # what is read at one horizon does not depend on which others are observed
        evidence = replace(evidence, config=replace(evidence.config, horizons_ns=horizons))
    details = list(scored(evidence, [statistic_of(name) for name in work.statistics]))
    values = {}
    for name in work.statistics:
        horizon = _horizon(name)
        for one in details:
            row = one.score
            found = (row.statistic, row.symbol, row.horizon, row.side)
            if found == (name, POOLED, horizon, "both"):
                values[name] = row.value, row.null
    words = verdicts(details, withheld={})
    held = frozenset(one.claim for one in words if one.word.supports)
    return _Outcome(values=values, supported=held)


def _claim(statistic: str) -> Claim | None:
    """Return the claim that a statistic decides."""
    return next((claim for claim in CLAIMS if claim.statistic == statistic), None)


def _horizon(statistic: str) -> str:
    claim = _claim(statistic)
    return "24h" if claim is None else claim.horizon


def _beside(estimator: str, name: str, real: _Outcome, outcomes: Sequence[_Outcome]) -> Randomised:
    claim, nothing = _claim(name), (math.nan, math.nan)
    value, null = real.values.get(name, nothing)
    values = np.array([one.values.get(name, nothing)[0] for one in outcomes], np.float64)
    sign = -1.0 if statistic_of(name).better == Better.LOWER else 1.0
    worse = sign * values < sign * value - _TIE * abs(value)
    as_good = int(np.count_nonzero(~worse))
    low, median, high = _quantiles(values)
    return Randomised(
        claim=statistic_of(name).claim,
        statistic=name,
        estimator=estimator,
        horizon=_horizon(name),
        value=value,
        null=null,
        histories=len(outcomes),
        as_good=as_good,
        p=(1 + as_good) / (1 + len(outcomes)) if math.isfinite(value) else math.nan,
        supported=None if claim is None else sum(claim.id in one.supported for one in outcomes),
        low=low,
        median=median,
        high=high,
        values=tuple(values.tolist()),
    )


def _quantiles(values: FloatArray) -> tuple[float, float, float]:
    held = values[np.isfinite(values)]
    if not len(held):
        return math.nan, math.nan, math.nan
    low, median, high = np.quantile(held, [0.025, 0.5, 0.975]).tolist()
    return low, median, high


def describe_randomised(rows: Sequence[Randomised]) -> str:
    """Return a small table: real values, those of histories, how many do as well, a rule's size."""
    head = ("statistic", "value", "histories (95 %)", "as good", "p", "supported")
    lines = [head, *map(_line, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    n, week = rows[0].histories if rows else 0, format_duration(LEAST_SHIFT_NS)
    return (
        f"{table}\n\n{n} placebo histories of {rows[0].estimator if rows else 'nothing'}: the real "
        f"prices, open-interest changes shifted by {week} or more. 'as good': do as well or "
        "better; 'supported': by the claim's own rule, the gate left aside."
    )


def _line(row: Randomised) -> tuple[str, ...]:
    unit = statistic_of(row.statistic).unit

    def shown(value: float) -> str:
        return f"{unit.scale * value:.3g}" if math.isfinite(value) else "-"

    n = row.histories
    return (
        row.statistic,
        f"{shown(row.value)} {unit.name}".rstrip(),
        f"{shown(row.low)} to {shown(row.high)}",
        f"{row.as_good} of {n}",
        f"{row.p:.3f}" if math.isfinite(row.p) else "-",
        "-" if row.supported is None else f"{row.supported} of {n}",
    )
