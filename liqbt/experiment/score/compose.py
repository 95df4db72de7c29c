"""From a file of published levels to a run folder, by the protocol of any other run.

rows → levels by market and time → replay (the mark and σ of the tape) → observed outcomes →
calibrated probabilities → scores → verdicts → run. Whether a row was known at its `at` cannot be
seen from outside: what is written says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.errors import DataError
from liqbt.estimators import PublishedMap
from liqbt.evaluation import (
    Evaluation,
    MarketInput,
    evaluate,
    market_cascades,
    market_funding,
    price_path,
    stated_scores,
    verdicts,
    with_direction,
    with_learnt,
)
from liqbt.evaluation.inference import draw
from liqbt.experiment.compose import run_parquet, run_tables, sensitivity_rows
from liqbt.experiment.identity import run_identity
from liqbt.experiment.keeping import finished_or_made
from liqbt.experiment.pipeline import foresight, protocol, walk_forward
from liqbt.experiment.progress import Stage, silent
from liqbt.experiment.schema import EvaluationOptions
from liqbt.experiment.score.checks import check_eligible, check_horizons, count_wrong_side
from liqbt.experiment.score.work import ScoreWork, prepared
from liqbt.experiment.score.written import score_manifest
from liqbt.experiment.store import Run, write_run
from liqbt.experiment.visits import run_visits, with_visits
from liqbt.replay import replay
from liqbt.types import DAY_NS, FloatArray, Forecast, Instrument, IntArray, Kind

__all__ = ["score_forecasts"]


def score_forecasts(
    file: Path,
    log_dir: Path,
    results: Path = Path("results"),
    *,
    options: EvaluationOptions | None = None,
    named: Mapping[str, Instrument] | None = None,
    seed: int = 0,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> Run:
    """Score a file of published levels against a log, or return the finished run of the same.

    Parameters
    ----------
    file : Path
        CSV or Parquet with the columns `at, symbol, side, low, high, notional`, and optionally
        `p_visit_<horizon>`.
    log_dir : Path
        The event log whose prices decide.
    results : Path
        Folder of all runs, and of caches that can be thrown away.
    options : EvaluationOptions, optional
        The protocol; the defaults of every run.
    named : mapping of str to Instrument, optional
        The instrument of a symbol, where its name in the log is another or not the only one.
    seed : int
        Of the bootstrap.
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
        If the file, the log or the protocol cannot be used. Nothing is left behind.
    """
    work = prepared(file, log_dir, results, options or EvaluationOptions(), named or {}, seed)
    run_id = run_identity(work.hashes)
    final = results / str(work.config["name"]) / run_id
    return finished_or_made(final, lambda: _execute(work, run_id, final, finish, stage))


def _execute(
    work: ScoreWork,
    run_id: str,
    final: Path,
    finish: Callable[[Run, Path], object] | None,
    stage: Stage,
) -> Run:
    config = protocol(work.options)
    issued = [_replay(work, i, stage) for i in range(len(work.markets))]
    inputs = [_market_input(work, i, issued[i]) for i in range(len(work.markets))]
    wrong = count_wrong_side(work, issued)
    check_horizons(work, inputs)
    streams = np.random.SeedSequence(work.config["seed"]).spawn(6)
    stage("score", 0, 2)
    evaluation = evaluate(
        inputs, config, calibrate=walk_forward(work.options), rng=np.random.default_rng(streams[0])
    )
    check_eligible(work, evaluation)
    evaluation = with_learnt(evaluation, inputs, config, np.random.default_rng(streams[3]))
    evaluation = with_direction(
        evaluation,
        inputs,
        config,
        foresee=foresight(work.options),
        rng=np.random.default_rng(streams[4]),
    )
    visits = run_visits(
        inputs,
        (),
        evaluation.outcomes,
        config,
        work.options,
        np.random.default_rng(streams[5]),
    )
    evaluation = with_visits(evaluation, visits)
    evaluation = _with_stated(work, evaluation, np.random.default_rng(streams[2]))
    stage("score", 1, 2)
    sensitivities = sensitivity_rows(
        inputs, _barred(work, inputs), work.options, config, streams[1]
    )
    stage("score", 2, 2)
    return write_run(
        final,
        manifest=score_manifest(work, run_id, issued, wrong),
        config=work.config,
        scores=evaluation.scores,
        verdicts=verdicts(evaluation.details, withheld=work.withheld),
        tables={**run_tables(evaluation, sensitivities), **visits.tables},
        parquet=run_parquet([f for each in issued for f in each], inputs, evaluation)
        | visits.parquet,
        finish=finish,
    )


def _replay(work: ScoreWork, i: int, stage: Stage) -> list[Forecast]:
    """Return the forecasts of one market: its rows beside the mark and σ at each time."""
    market, tape, levels = work.markets[i], work.tapes[i], work.levels[i].published
    estimator = PublishedMap(work.maps[i], levels)
    name, n = f"replay {market.symbol}", len(levels.at)
    issued = replay(
        tape,
        estimator,
        levels.at,
        progress=lambda done: stage(name, done, n) if done % 100 == 0 else None,
    )
    if not issued:
        raise DataError(
            f"{work.rows.file}: σ of '{market.symbol}' is not known at any time of the file; it "
            "needs prices from a day and a half before, and prices that move"
        )
    return issued


def _market_input(work: ScoreWork, i: int, issued: Sequence[Forecast]) -> MarketInput:
    """Return what evaluation needs of one market; σ being known is the only warm-up."""
    market = work.markets[i]
    path = price_path(work.tapes[i].events, market.price_kind, max_gap_ns=work.options.max_gap)
    events = work.tapes[i].events
    return MarketInput(
        symbol=market.symbol,
        forecasts=issued,
        path=path,
        funding=market_funding(events),
        cascades=market_cascades(events, path, market.events),
    )


def _barred(work: ScoreWork, inputs: Sequence[MarketInput]) -> tuple[list[MarketInput], set[str]]:
    """Return the markets with bars beside their price, on the bars' highs and lows."""
    barred, names = [], set()
    for market, tape, given in zip(work.markets, work.tapes, inputs, strict=True):
        if market.price_kind != Kind.BAR and Kind.BAR in market.events:
            path = price_path(tape.events, Kind.BAR, max_gap_ns=work.options.max_gap)
            barred.append(replace(given, path=path))
            names.add(str(market.events[Kind.BAR][0]))
    return barred, names


def _with_stated(work: ScoreWork, evaluation: Evaluation, rng: np.random.Generator) -> Evaluation:
    """Return the evaluation with the scores of stated probabilities, where there are any."""
    if not work.rows.stated:
        return evaluation
    stated = _stated(work, evaluation)
    at = evaluation.outcomes["at"]
    n_days = int(np.ptp(at // DAY_NS)) + 1 if len(at) else 1
    draws = draw(rng, reps=work.options.bootstrap_reps, n_days=n_days)
    names = tuple(market.symbol for market in work.markets)
    details = stated_scores(stated, evaluation.outcomes, names, protocol(work.options), draws)
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(detail.score for detail in details)),
        details=(*evaluation.details, *details),
    )


def _stated(work: ScoreWork, evaluation: Evaluation) -> FloatArray:
    """Return the stated probability of each outcome row; NaN where there is none."""
    outcomes = evaluation.outcomes
    stated = np.full(len(outcomes), np.nan)
    for i, levels in enumerate(work.levels):
        for horizon_ns, values in levels.stated.items():
            mine = (outcomes["symbol"] == i) & (outcomes["horizon_ns"] == horizon_ns)
            place: IntArray = np.searchsorted(levels.published.at, outcomes["at"][mine])
            row = levels.published.offsets[place] + outcomes["cluster"][mine]
            stated[mine] = values[row]
    return stated
