"""From an experiment's file to a run folder: the pipeline between what comes in and what is kept.

events → tapes → replay → forecasts → evidence → scores → verdicts → run. Nothing here computes; it
hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from liqbt.config.fields import format_duration
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError
from liqbt.evaluation.cascades import cascade_source
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.config import PRIMARY_NS, MarketInput
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.forecasts import forecasts_digest
from liqbt.study.estimators import build_estimators, estimator_sources, needed_kinds
from liqbt.study.executors import in_processes
from liqbt.study.ground_truth import GroundTruth, ground_truth
from liqbt.study.pipeline import Study, outcome_path, study
from liqbt.study.plan import Plan, claims_value, prepare
from liqbt.study.progress import Stage, silent
from liqbt.study.randomise import randomised
from liqbt.study.schema import Experiment
from liqbt.study.store import Run, finished_or_made, write_run
from liqbt.study.summary import describe_market, versions
from liqbt.study.tables import run_parquet, run_tables
from liqbt.study.twin import twin_tables
from liqbt.tape.values import Tape
from liqbt.types import Kind
from liqbt.watch import Watch, watched


def run_experiment(
    path: Path | str,
    results: Path | str = Path("results"),
    *,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> Run:
    """Run an experiment's file, or return the finished run of the same identity.

    Parameters
    ----------
    path : Path or str
        The experiment's YAML.
    results : Path or str
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
    path, results = Path(path), Path(results)
    return run_plan(prepare(path, results, stage), results, finish, stage)


def run_plan(
    work: Plan, results: Path, finish: Callable[[Run, Path], object] | None, stage: Stage
) -> Run:
    """Return the finished run of what was prepared, or make it."""
    final = results / work.experiment.name / work.run_id
    return finished_or_made(final, lambda: _execute(work, final, finish, stage), finish)


def _execute(
    work: Plan, final: Path, finish: Callable[[Run, Path], object] | None, stage: Stage
) -> Run:
    _refuse_edited(work)
    with watched() as watch:
        done = study(
            work.experiment, work.tapes, since=work.since, recorded=work.recorded, stage=stage
        )
    sensitivities = _sensitivities(work, done.first.evidence)
    stage("score", 2, 2)
    twins = twin_tables(work.experiment, work.tapes, done, since=work.since)
    histories = _histories(work, stage)
    beside = _beside(work, done)
    _refuse_edited(work)
    return write_run(
        final,
        manifest=_manifest(work, done) | _reached(watch),
        config=work.config,
        scores=[score for one in done.evaluations.values() for score in one.scores],
        verdicts=verdicts(done.first.details, withheld=work.withheld),
        tables=run_tables(done, sensitivities) | twins | histories,
        parquet=run_parquet(done)
        | ({} if beside is None else {"truth_map.parquet": beside.last_map}),
        truth=None if beside is None else beside.figures,
        issued=next(iter(done.forecasts.values())),
        finish=finish,
    )


def _refuse_edited(work: Plan) -> None:
    """Refuse code of one's own that is not, or no longer, what the run is identified by."""
    found, known = estimator_sources(work.experiment), work.hashes["estimators"]
    for file in sorted({*found, *known}):
        if found.get(file) != known.get(file):
            raise ConfigError(
                f"{work.experiment.name}: '{file}' was edited since the run was prepared; expected "
                "the code that the run is identified by: run it again"
            )


def _histories(work: Plan, stage: Stage) -> dict[str, list[dict[str, Any]]]:
    """Return what decides claims beside placebo histories, where the experiment asks for some."""
    experiment = work.experiment
    if not experiment.randomise:
        return {}
    rows = randomised(
        experiment,
        work.tapes,
        histories=experiment.randomise,
        since=work.since,
        executor=in_processes(0),
        stage=stage,
    )
    return {"randomised": [asdict(row) for row in rows]}


def _beside(work: Plan, done: Study) -> GroundTruth | None:
    """Return the truth beside a simulated market's figures; made after everything else."""
    world, planted = work.origin.world, work.origin.planted
    if world is None or planted is None or work.experiment.holdout is not None:
        return None  # the truth is that of the sealed period too
    evidence = done.first.evidence
    return ground_truth(
        work.experiment, world, planted, evidence.markets, evidence.observed.outcomes
    )


def _sensitivities(work: Plan, evidence: Evidence) -> list[dict[str, Any]]:
    """Score the primary horizon again under other latencies and, where there are bars, on them."""
    experiment = work.experiment
    barred = [
        replace(market, path=outcome_path(experiment, market.symbol, tape, Kind.BAR))
        for market, tape in zip(evidence.markets, work.tapes.values(), strict=True)
        if experiment.symbols[market.symbol].price_kind != Kind.BAR and len(tape.of(Kind.BAR))
    ]
    names = {str(experiment.symbols[m.symbol].events[Kind.BAR][0]) for m in barred}
    return sensitivity_rows(evidence, (barred, names), experiment.evaluation)


def sensitivity_rows(
    evidence: Evidence,
    barred: tuple[Sequence[MarketInput], Collection[str]],
    options: EvaluationOptions,
) -> list[dict[str, Any]]:
    """Score the primary horizon again under other choices, without other maps beside the dose.

    Parameters
    ----------
    evidence : Evidence
        As it is scored.
    barred : (sequence of MarketInput, collection of str)
        Those that have bars too, with their highs and lows as the path; the bars' instruments.
    options : EvaluationOptions
        The protocol: which latencies are tried.

    Returns
    -------
    list of dict
        `name` and the fields of `Score`, both sides together.
    """
    primary = replace(evidence.config, horizons_ns=(PRIMARY_NS,))
    variants = {
        f"watched from {format_duration(latency)} after issue": (
            replace(primary, latency_ns=latency),
            evidence.markets,
        )
        for latency in options.latencies
        if latency != options.latency
    }
    if barred[0]:
        names = ", ".join(sorted(barred[1]))
        variants[f"highs and lows of {names} bars"] = (primary, barred[0])
    asked = [replace(one, sides=("both",)) for one in STATISTICS if one.conditional]
    rows = []
    for name, (config, markets) in variants.items():
        again = Evidence(
            markets=[replace(market, competing_maps={}) for market in markets],
            config=config,
            training=evidence.training,
            root=evidence.root,
        )
        rows += [{"name": name, **asdict(one.score)} for one in scored(again, asked)]
    return rows


def _manifest(work: Plan, done: Study) -> dict[str, Any]:
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
        "forecasts": _forecast_digests(done),
        "versions": versions(),
        "sources": list(work.origin.sources),
        "claims": claims_value(),
        "symbols": {
            symbol: describe_market(experiment.symbols[symbol], tape, work.origin.log)
            | {"cascades_from": cascade_source(experiment.symbols[symbol].events)}
            for symbol, tape in work.tapes.items()
        },
        **_needs(experiment),
        **_assumed(experiment, work.tapes),
        **({"randomise": experiment.randomise} if experiment.randomise else {}),
        **_sealing(work),
        **({} if work.told is None else work.told(done)),
    }


def _reached(watch: Watch) -> dict[str, Any]:
    """Return what estimators of one's own reached for besides their events, where they did."""
    seen = [asdict(one) for one in sorted(watch.seen)]
    return {"reached": seen} if seen else {}


def _forecast_digests(done: Study) -> dict[str, str]:
    """Return the digest of what was issued: by symbol, of a further estimator by NAME/symbol."""
    first = next(iter(done.forecasts))
    return {
        symbol if name == first else f"{name}/{symbol}": forecasts_digest(issued)
        for name, markets in done.forecasts.items()
        for symbol, issued in markets.items()
    }


def _needs(experiment: Experiment) -> dict[str, Any]:
    """Return what each estimator cannot do without, where they differ: all wait for all of it."""
    needs = {
        name: sorted(
            {k.name.lower() for s in experiment.symbols for k in needed_kinds(experiment, s, name)}
        )
        for name in experiment.estimators
    }
    return {"needs": needs} if len({tuple(kinds) for kinds in needs.values()}) > 1 else {}


def _assumed(experiment: Experiment, tapes: Mapping[str, Tape]) -> dict[str, Any]:
    """Return, in sentences, what markets made of their estimators' parameters, where they did."""
    said: dict[str, list[str]] = {}
    for symbol, tape in tapes.items():
        at = tape.of(Kind.OPEN_INTEREST)["ts_event"]
        for one in build_estimators(experiment, symbol).values():
            if len(at) and hasattr(one, "assumed"):
                said.setdefault(symbol, []).extend(one.assumed(int(at[0]), int(at[-1])))
    held = {symbol: list(dict.fromkeys(words)) for symbol, words in said.items() if words}
    return {"assumed": held} if held else {}


def _sealing(work: Plan) -> dict[str, Any]:
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
