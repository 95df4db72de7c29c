"""From a file of published levels to a run folder, by the protocol of any other run.

rows → levels by market and time → replay (the mark and σ of the tape) → observed outcomes →
calibrated probabilities → scores → verdicts → run. Whether a row was known at its `at` cannot be
seen from outside: what is written says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.config.fields import format_duration
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError
from liqbt.estimators.published import PublishedMap
from liqbt.evaluation.cascades import market_cascades
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.evaluate import evaluate
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.funding import market_funding
from liqbt.evaluation.path import price_path
from liqbt.forecasts import forecasts_digest
from liqbt.registry.ledger import run_identity
from liqbt.replay import replay
from liqbt.study.kept import sensitivity_rows, sensitivity_variants
from liqbt.study.pipeline import Study, protocol
from liqbt.study.plan import claims_value
from liqbt.study.progress import Stage, silent
from liqbt.study.published.levels import Overlaps
from liqbt.study.published.work import ScorePlan, prepare
from liqbt.study.store import Run, finished_or_made, write_run
from liqbt.study.summary import describe_feeds, versions
from liqbt.study.tables import run_parquet, run_tables
from liqbt.types import DAY_NS, FloatArray, Forecast, Instrument, IntArray, Kind

UNSEEN: Final = (
    "Whether a row was made with what was known at its time cannot be checked from outside: a file "
    "that was written, chosen or mended afterwards would score as well as the future allows."
)
"""What every result says of a file's honesty."""


def score_manifest(
    work: ScorePlan, run_id: str, issued: Sequence[Sequence[Forecast]], wrong: int
) -> dict[str, Any]:
    """Return the manifest of a scoring.

    Parameters
    ----------
    work : ScorePlan
        What it worked with.
    run_id : str
        Its identity.
    issued : sequence of sequences of Forecast
        What was issued, by market.
    wrong : int
        How many rows lie on the wrong side of the price.
    """
    rows = work.rows
    times = sum(len(levels.published.at) for levels in work.levels)
    names = [market.symbol for market in work.markets]
    return {
        "run_id": run_id,
        "experiment": work.config["name"],
        "description": f"Published levels of {rows.file}, scored by the protocol of every run.",
        "simulated": False,
        "planted": None,
        "seed": work.config["seed"],
        "command": _command(work),
        "published": {
            "file": rows.file,
            "sha256": rows.sha256,
            "rows": len(rows),
            "times": times + sum(levels.n_dropped for levels in work.levels),
            "moved": sum(levels.n_moved for levels in work.levels),
            "dropped": sum(levels.n_dropped for levels in work.levels),
            "without_sigma": times - sum(map(len, issued)),
            "single_levels": sum(levels.n_single for levels in work.levels),
            "merged": sum(levels.n_merged for levels in work.levels),
            "wrong_side": wrong,
            "stated": [format_duration(h) for h in rows.stated],
            "ignored_columns": list(rows.ignored),
            "unseen": UNSEEN,
        },
        "hashes": dict(work.hashes),
        "gate": dict(work.gate),
        "forecasts": {n: forecasts_digest(each) for n, each in zip(names, issued, strict=True)},
        "versions": versions(),
        "sources": [dict(commit.source) for commit in work.log.commits()],
        "claims": claims_value(),
        "symbols": {
            market.symbol: describe_feeds(market.events, market.price_kind, tape, work.log)
            for market, tape in zip(work.markets, work.tapes, strict=True)
        },
        **({} if work.seal is None else {"holdout": {**work.seal, "state": "sealed"}}),
    }


def _command(work: ScorePlan) -> str:
    """Return the command that makes the run again, without a place of any machine."""
    plain = EvaluationOptions()
    words = ["liqbt score", work.rows.file, "--log LOG"]
    for market in work.markets:
        price = market.events[market.price_kind][0]
        if market.symbol in work.named:
            words.append(f"--market '{market.symbol}={price}'")
    if work.options.horizons != plain.horizons:
        words.append(f"--horizons {','.join(map(format_duration, work.options.horizons))}")
    if work.options.latency != plain.latency:
        words.append(f"--latency {format_duration(work.options.latency)}")
    if work.config["seed"]:
        words.append(f"--seed {work.config['seed']}")
    return " ".join(words)


_MOST_WRONG: Final = 0.10


def count_wrong_side(work: ScorePlan, issued: Sequence[Sequence[Forecast]]) -> int:
    """Return how many rows lie wholly on the wrong side of the mark: flagged, never a hit.

    A price may pass a level between its making and its time. Where more than a tenth lie so, the
    sides mean something else, or the prices are of something else.
    """
    wrong, n, example = 0, 0, ""
    for levels, forecasts in zip(work.levels, issued, strict=True):
        places = np.searchsorted(levels.published.at, [f.at for f in forecasts])
        for place, forecast in zip(places.tolist(), forecasts, strict=True):
            rows = forecast.clusters
            bad = np.where(
                rows["side"] < 0, rows["high"] <= forecast.mark, rows["low"] >= forecast.mark
            )
            if bad.any() and not example:
                k = int(np.argmax(bad))
                number = levels.number[levels.published.offsets[place] + k]
                example = (
                    f"row {number}, {'short' if rows['side'][k] < 0 else 'long'} on "
                    f"[{rows['low'][k]:g}, {rows['high'][k]:g}) with the price at {forecast.mark:g}"
                )
            wrong, n = wrong + int(bad.sum()), n + len(bad)
    if wrong > _MOST_WRONG * n:
        raise DataError(
            f"{work.rows.file}: {wrong} of {n} rows lie on the wrong side of the price, first "
            f"{example}; expected longs below and shorts above: 'side' is of the positions"
        )
    return wrong


def check_horizons(work: ScorePlan, inputs: Sequence[MarketInput]) -> None:
    """Refuse a horizon that no forecast of any market can be watched over."""
    left = max(int(m.path.end_ns[-1]) - m.forecasts[0].at for m in inputs)
    horizons = work.options.horizons
    fit = [format_duration(h) for h in horizons if h <= left]
    long = [format_duration(h) for h in horizons if h > left]
    if long:
        advice = f"score --horizons {','.join(fit)}" if fit else "extend the log"
        raise ConfigError(
            f"{work.rows.file}: the horizon {long[0]} is longer than the data: prices end "
            f"{max(left, 0) / DAY_NS:.2g} days after the first forecast; {advice}"
        )


def check_eligible(work: ScorePlan, evidence: Evidence) -> None:
    """Refuse a file of which nothing can be scored at any horizon."""
    if not sum(row.eligible for row in evidence.observed.flow):
        rows, options = work.rows, work.options
        raise DataError(
            f"{rows.file}: none of its {len(rows)} rows lies {options.distance_floor:g} to "
            f"{options.distance_ceiling:g} σ beyond the price at any horizon, so nothing can be "
            "scored; are its prices those of this market?"
        )


def score_forecasts(
    file: Path,
    log_dir: Path,
    results: Path = Path("results"),
    *,
    options: EvaluationOptions | None = None,
    named: Mapping[str, Instrument] | None = None,
    seed: int = 0,
    overlaps: Overlaps = "merge",
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
    overlaps : str
        Rows of one side and time that overlap: `merge` makes one band of them (it is visited when
        the nearest of them is), and the result says how many there were; `refuse` refuses the file.
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
    asked = options or EvaluationOptions()
    work = prepare(file, log_dir, results, asked, named or {}, seed, overlaps)
    run_id = run_identity(work.hashes)
    final = results / str(work.config["name"]) / run_id
    return finished_or_made(final, lambda: _execute(work, run_id, final, finish, stage), finish)


def _execute(
    work: ScorePlan,
    run_id: str,
    final: Path,
    finish: Callable[[Run, Path], object] | None,
    stage: Stage,
) -> Run:
    issued = [_replay(work, i, stage) for i in range(len(work.markets))]
    inputs = [_market_input(work, i, issued[i]) for i in range(len(work.markets))]
    wrong = count_wrong_side(work, issued)
    check_horizons(work, inputs)
    evidence = Evidence(
        markets=inputs,
        config=protocol(work.options),
        root=int(work.config["seed"]),
        stated=partial(_stated, work) if work.rows.stated else None,
    )
    check_eligible(work, evidence)
    stage("score", 0, 2)
    evaluation = evaluate(evidence)
    done = Study(
        forecasts={"": {m.symbol: each for m, each in zip(inputs, issued, strict=True)}},
        evaluations={"": evaluation},
    )
    stage("score", 1, 2)
    barred, bars = _barred(work, inputs)
    variants = sensitivity_variants(evidence, barred, work.options)
    sensitivities = sensitivity_rows(variants, bars)
    stage("score", 2, 2)
    return write_run(
        final,
        manifest=score_manifest(work, run_id, issued, wrong),
        config=work.config,
        scores=evaluation.scores,
        verdicts=verdicts(evaluation.details, withheld=work.withheld),
        tables=run_tables(done, sensitivities),
        parquet=run_parquet(done),
        finish=finish,
    )


def _replay(work: ScorePlan, i: int, stage: Stage) -> Sequence[Forecast]:
    """Return the forecasts of one market: its rows beside the mark and σ at each time."""
    market, tape, levels = work.markets[i], work.tapes[i], work.levels[i].published
    estimator = PublishedMap(work.maps[i], market.spec, levels)
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


def _market_input(work: ScorePlan, i: int, issued: Sequence[Forecast]) -> MarketInput:
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


def _barred(work: ScorePlan, inputs: Sequence[MarketInput]) -> tuple[list[MarketInput], set[str]]:
    """Return the markets with bars beside their price, on the bars' highs and lows."""
    barred, names = [], set()
    for market, tape, given in zip(work.markets, work.tapes, inputs, strict=True):
        if market.price_kind != Kind.BAR and Kind.BAR in market.events:
            path = price_path(tape.events, Kind.BAR, max_gap_ns=work.options.max_gap)
            barred.append(replace(given, path=path))
            names.add(str(market.events[Kind.BAR][0]))
    return barred, names


def _stated(work: ScorePlan, outcomes: npt.NDArray[Any]) -> FloatArray:
    """Return the stated probability of each outcome row; NaN where there is none."""
    stated = np.full(len(outcomes), np.nan)
    for i, levels in enumerate(work.levels):
        for horizon_ns, values in levels.stated.items():
            mine = (outcomes["symbol"] == i) & (outcomes["horizon_ns"] == horizon_ns)
            place: IntArray = np.searchsorted(levels.published.at, outcomes["at"][mine])
            row = levels.published.offsets[place] + outcomes["cluster"][mine]
            stated[mine] = values[row]
    return stated
