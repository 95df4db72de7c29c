"""From an experiment's file to a run folder: the pipeline between what comes in and what is kept.

events → tapes → replay → forecasts → evidence → scores → verdicts → run. Nothing here computes; it
hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.study.estimators import build_estimators, estimator_sources, needed_kinds
from liqbt.study.executors import Executor, in_processes, serially
from liqbt.study.ground_truth import joined_truths
from liqbt.study.kept import KeptMarket, KeptMarkets, joined_variants, sensitivity_rows
from liqbt.study.pipeline import Study, market_studies, whole_study
from liqbt.study.plan import Plan, claims_value, prepare
from liqbt.study.progress import Stage, silent
from liqbt.study.randomise import randomised
from liqbt.study.schema import Experiment
from liqbt.study.store import Run, finished_or_made, parts_of, write_run
from liqbt.study.summary import versions
from liqbt.study.tables import run_parquet, run_tables
from liqbt.study.twin import twin_tables
from liqbt.tape.values import Tape
from liqbt.types import Kind


def run_experiment(
    path: Path | str,
    results: Path | str = Path("results"),
    *,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
    executor: Executor = serially,
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
    executor : callable
        Where markets are replayed and observed, a task each; it changes no byte.

    Returns
    -------
    Run

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used. Nothing is left behind.
    """
    path, results = Path(path), Path(results)
    return run_plan(prepare(path, results, stage), results, finish, stage, executor)


def run_plan(
    work: Plan,
    results: Path,
    finish: Callable[[Run, Path], object] | None,
    stage: Stage,
    executor: Executor = serially,
) -> Run:
    """Return the finished run of what was prepared, or make it."""
    final = results / work.experiment.name / work.run_id
    return finished_or_made(final, lambda: _execute(work, final, finish, stage, executor), finish)


def _execute(
    work: Plan,
    final: Path,
    finish: Callable[[Run, Path], object] | None,
    stage: Stage,
    executor: Executor,
) -> Run:
    _refuse_edited(work)
    with parts_of(final) as folder:
        one = KeptMarkets(
            experiment=work.experiment,
            tapes=work.tapes,
            since=work.since,
            recorded=work.recorded,
            stage=stage if executor is serially else silent,
            origin=work.origin,
            folder=folder,
        )
        markets = [m for m in market_studies(one, executor, stage) if isinstance(m, KeptMarket)]
        stage("score", 0, 2)
        done = whole_study(markets, STATISTICS, executor)
        stage("score", 1, 2)
        sensitivities = sensitivity_rows(joined_variants(markets), _bars(work))
        stage("score", 2, 2)
        twins = twin_tables(done, [market.beside for market in markets])
        histories = _histories(work, stage)
        truth = joined_truths([market.truth for market in markets])
        _refuse_edited(work)
        return write_run(
            final,
            manifest=_manifest(work, markets, done),
            config=work.config,
            scores=[score for one in done.evaluations.values() for score in one.scores],
            verdicts=verdicts(done.first.details, withheld=work.withheld),
            tables=run_tables(done, sensitivities) | twins | histories,
            parquet=run_parquet(done, _files(markets), _current(markets), executor)
            | ({} if truth is None else {"truth_map.parquet": [truth.last_map]}),
            truth=None if truth is None else truth.figures,
            finish=finish,
            executor=executor,
        )


def _files(markets: Sequence[KeptMarket]) -> dict[str, list[Path]]:
    """Return the files of all markets, by the file of the run that they make, in its order."""
    found: dict[str, list[Path]] = {}
    for file in markets[0].files:
        for estimators in zip(*(market.files[file] for market in markets), strict=True):
            found.setdefault(file, []).extend(estimators)
    return found


def _current(markets: Sequence[KeptMarket]) -> dict[str, list[Path]]:
    """Return the files of clusters as levels, by estimator, in the order of the markets."""
    return {name: [market.current[name] for market in markets] for name in markets[0].current}


def _bars(work: Plan) -> set[str]:
    """Return the instruments whose bars stand beside another price."""
    return {
        str(chosen.events[Kind.BAR][0])
        for symbol, chosen in work.experiment.symbols.items()
        if chosen.price_kind != Kind.BAR and len(work.tapes[symbol].of(Kind.BAR))
    }


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


def _manifest(work: Plan, markets: Sequence[KeptMarket], done: Study) -> dict[str, Any]:
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
        "forecasts": _forecast_digests(markets),
        "versions": versions(),
        "sources": list(work.origin.sources),
        "claims": claims_value(),
        "symbols": {market.symbol: dict(market.about) for market in markets},
        **_needs(experiment),
        **_assumed(experiment, work.tapes),
        **({"randomise": experiment.randomise} if experiment.randomise else {}),
        **_sealing(work),
        **_reached(markets),
        **({} if work.told is None else work.told(done)),
    }


def _reached(markets: Sequence[KeptMarket]) -> dict[str, Any]:
    """Return what estimators of one's own reached for besides their events, where they did."""
    seen = [asdict(one) for one in sorted({one for m in markets for one in m.reached})]
    return {"reached": seen} if seen else {}


def _forecast_digests(markets: Sequence[KeptMarket]) -> dict[str, str]:
    """Return the digest of what was issued: by symbol, of a further estimator by NAME/symbol."""
    first, *others = markets[0].digests
    found = {market.symbol: market.digests[first] for market in markets}
    return found | {f"{n}/{market.symbol}": market.digests[n] for n in others for market in markets}


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
