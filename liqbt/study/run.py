"""The composition root: from an experiment's file to a run folder.

events → tapes → replay → forecasts → observed outcomes → calibrated probabilities → scores →
verdicts → run. Nothing here computes; it hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from liqbt.evaluation.cascades import cascade_source
from liqbt.evaluation.claims.direction import with_direction
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.claims.visit import with_learnt
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evaluate import Evaluation, evaluate
from liqbt.forecasts import forecasts_digest
from liqbt.replay import replay
from liqbt.study.estimators import build_estimator
from liqbt.study.fields import format_duration
from liqbt.study.ground_truth import Beside, truth_beside
from liqbt.study.pipeline import (
    calibration,
    evaluation_config,
    forecast_times,
    foresight,
    market_input,
    outcome_path,
    walk_forward,
    with_structures,
)
from liqbt.study.plan import Work, claims_value, prepared
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import EvaluationOptions
from liqbt.study.since import foreseen_before, scored_part, trained_before
from liqbt.study.store import Run, finished_or_made, forecast_table, structured_table, write_run
from liqbt.study.summary import describe_market, versions
from liqbt.study.visits import run_visits, with_visits
from liqbt.types import DAY_NS, Forecast, Kind


def run_experiment(
    path: Path,
    results: Path = Path("results"),
    *,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> Run:
    """Run an experiment's file, or return the finished run of the same identity.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of all runs, and of caches that can be thrown away.
    finish : callable, optional
        Adds the report to the run's folder before it becomes visible.
    stage : callable
        Progress: called with a name, how many are done, and of how many.

    Returns
    -------
    Run

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used. Nothing is left behind.
    """
    return executed(prepared(path, results, stage), results, finish, stage)


def executed(
    work: Work, results: Path, finish: Callable[[Run, Path], object] | None, stage: Stage
) -> Run:
    """Return the finished run of what was prepared, or make it."""
    final = results / work.experiment.name / work.run_id
    return finished_or_made(final, lambda: _execute(work, final, finish, stage), finish)


def _execute(
    work: Work, final: Path, finish: Callable[[Run, Path], object] | None, stage: Stage
) -> Run:
    experiment = work.experiment
    forecasts = {symbol: _replay(work, symbol, stage) for symbol in work.tapes}
    markets = [
        market_input(experiment, symbol, forecasts[symbol], tape)
        for symbol, tape in work.tapes.items()
    ]
    markets, before = scored_part(markets, work.since)
    # at the landmarks of what is scored: those of everything may lie at other hours
    markets = [with_structures(experiment, m, work.tapes[m.symbol]) for m in markets]
    streams = np.random.SeedSequence(experiment.seed).spawn(5)
    protocol_of = evaluation_config(experiment)
    stage("score", 0, 2)
    evaluation = evaluate(
        markets,
        protocol_of,
        calibrate=trained_before(calibration(experiment), before, protocol_of),
        rng=np.random.default_rng(streams[0]),
    )
    evaluation = with_learnt(evaluation, markets, protocol_of, np.random.default_rng(streams[2]))
    evaluation = with_direction(
        evaluation,
        markets,
        protocol_of,
        foresee=foreseen_before(foresight(experiment.evaluation), before, protocol_of),
        rng=np.random.default_rng(streams[3]),
    )
    visits = run_visits(
        markets,
        before,
        evaluation.outcomes,
        protocol_of,
        experiment.evaluation,
        np.random.default_rng(streams[4]),
    )
    evaluation = with_visits(evaluation, visits)
    stage("score", 1, 2)
    sensitivities = _sensitivities(work, markets, before, streams[1])
    stage("score", 2, 2)
    beside = _beside(work, markets, evaluation)
    return write_run(
        final,
        manifest=_manifest(work, forecasts),
        config=work.config,
        scores=evaluation.scores,
        verdicts=verdicts(evaluation.details, withheld=work.withheld),
        tables={**run_tables(evaluation, sensitivities), **visits.tables},
        parquet=run_parquet(
            [f for issued in forecasts.values() for f in issued], markets, evaluation
        )
        | visits.parquet
        | ({} if beside is None else {"truth_map.parquet": beside.last_map}),
        truth=None if beside is None else beside.figures,
        issued=forecasts,
        finish=finish,
    )


def run_tables(
    evaluation: Evaluation, sensitivities: Sequence[Mapping[str, Any]]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return what stands beside the verdicts in a run's `tables.json`."""
    return {
        "flow": [asdict(row) for row in evaluation.flow],
        "landmarks": [asdict(row) for row in evaluation.landmarks],
        "bands": [asdict(row) for row in evaluation.bands],
        "sensitivities": sensitivities,
        "inference": [asdict(detail.estimate) for detail in evaluation.details],
    }


def _beside(work: Work, markets: Sequence[MarketInput], evaluation: Evaluation) -> Beside | None:
    """Return the truth beside a simulated market's figures; made after everything else."""
    world, planted = work.origin.world, work.origin.planted
    if world is None or planted is None or work.experiment.holdout is not None:
        return None  # the truth is that of the sealed period too
    return truth_beside(work.experiment, world, planted, markets, evaluation.outcomes)


def _replay(work: Work, symbol: str, stage: Stage) -> list[Forecast]:
    tape = work.tapes[symbol]
    times = forecast_times(work.experiment, tape)
    name = f"replay {symbol}"
    return replay(
        tape,
        build_estimator(work.experiment, symbol),
        times,
        progress=lambda done: stage(name, done, len(times)) if done % 100 == 0 else None,
    )


def _sensitivities(
    work: Work,
    markets: Sequence[MarketInput],
    before: Sequence[MarketInput],
    seed: np.random.SeedSequence,
) -> list[dict[str, Any]]:
    """Score the 24-hour horizon again under other latencies and, where there are bars, on them."""
    experiment = work.experiment
    barred = [
        replace(market, path=outcome_path(experiment, market.symbol, tape, Kind.BAR))
        for market, tape in zip(markets, work.tapes.values(), strict=True)
        if experiment.symbols[market.symbol].price_kind != Kind.BAR and len(tape.of(Kind.BAR))
    ]
    names = {str(experiment.symbols[m.symbol].events[Kind.BAR][0]) for m in barred}
    return sensitivity_rows(
        markets,
        (barred, names),
        experiment.evaluation,
        evaluation_config(experiment),
        seed,
        before=before,
    )


def sensitivity_rows(
    markets: Sequence[MarketInput],
    barred: tuple[Sequence[MarketInput], Collection[str]],
    options: EvaluationOptions,
    config: EvaluationConfig,
    seed: np.random.SeedSequence,
    *,
    before: Sequence[MarketInput] = (),
) -> list[dict[str, Any]]:
    """Score the 24-hour horizon again under other choices, without other maps beside the dose.

    Parameters
    ----------
    markets : sequence of MarketInput
        As they are scored.
    barred : (sequence of MarketInput, collection of str)
        Those that have bars too, with their highs and lows as the path; the bars' instruments.
    options, config
        The protocol as it is configured, and as evaluation takes it.
    seed : numpy.random.SeedSequence
        For the bootstrap; the same for each.
    before : sequence of MarketInput
        What calibration may learn from besides.

    Returns
    -------
    list of dict
        `name` and the fields of `Score`, both sides together.
    """
    primary = replace(config, horizons_ns=(DAY_NS,))
    variants = {
        f"watched from {format_duration(latency)} after issue": (
            replace(primary, latency_ns=latency),
            list(markets),
        )
        for latency in options.latencies
        if latency != options.latency
    }
    if barred[0]:
        variants[f"highs and lows of {', '.join(sorted(barred[1]))} bars"] = (
            primary,
            list(barred[0]),
        )
    rows = []
    for name, (variant, inputs) in variants.items():
        result = evaluate(
            [replace(market, beside={}) for market in inputs],
            variant,
            calibrate=trained_before(walk_forward(options), before, variant),
            rng=np.random.default_rng(seed),
        )
        rows += [{"name": name, **asdict(s)} for s in result.scores if s.side == "both"]
    return rows


def _manifest(work: Work, forecasts: Mapping[str, Sequence[Forecast]]) -> dict[str, Any]:
    experiment = work.experiment
    return {
        "run_id": work.run_id,
        "experiment": experiment.name,
        "description": experiment.description,
        "simulated": experiment.data.world is not None,
        "planted": work.origin.planted,
        "seed": experiment.seed,
        "hashes": dict(work.hashes),
        "gate": dict(work.gate),
        "forecasts": {symbol: forecasts_digest(issued) for symbol, issued in forecasts.items()},
        "versions": versions(),
        "sources": list(work.origin.sources),
        "claims": claims_value(),
        "symbols": {
            symbol: describe_market(experiment.symbols[symbol], tape, work.origin.log)
            | {"cascades_from": cascade_source(experiment.symbols[symbol].events)}
            for symbol, tape in work.tapes.items()
        },
        **_sealing(work),
    }


def _sealing(work: Work) -> dict[str, Any]:
    """Return what a manifest says of registration and holdout, where there is any."""
    said: dict[str, Any] = {}
    if work.holdout is not None:
        period = work.holdout.model_dump(mode="json")
        said["holdout"] = {**period, "state": "unsealed" if work.opened else "sealed"}
    if work.registration is not None:
        said["registration"] = dict(work.registration)
    if work.reads:
        said["reads_sealed"] = [dict(seal) for seal in work.reads]
    return said


def run_parquet(
    forecasts: Sequence[Forecast], markets: Sequence[MarketInput], evaluation: Evaluation
) -> dict[str, pa.Table]:
    """Return the tables of a run folder, by file name.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Everything that was issued, market by market.
    markets : sequence of MarketInput
        What was scored, in the order in which `evaluation` numbers them.
    evaluation : Evaluation
        What was observed.
    """
    names = np.array([market.symbol for market in markets])
    prices = [
        pa.table(
            {
                "symbol": pa.array([market.symbol] * len(market.path), pa.string()),
                "ts": market.path.end_ns,
                "low": market.path.low,
                "high": market.path.high,
                "close": market.path.close,
            }
        )
        for market in markets
    ]
    tables = {
        name: structured_table(rows, {"market": names[rows["symbol"]]})
        for name, rows in (
            ("outcomes.parquet", evaluation.outcomes),
            ("first_sides.parquet", evaluation.first_sides),
        )
    }
    return {
        "forecasts.parquet": forecast_table(forecasts),
        "prices.parquet": pa.concat_tables(prices),
        **tables,
    }
