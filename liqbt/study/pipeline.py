"""The one pipeline: tapes are replayed, what was issued is observed, learnt from and scored.

A run, a trial of a search, a replication of the validity gate and the opening of a holdout are
calls of `study`, with another source of events or forecasts. An audit enters at `observed`, with
what it replayed itself; a scoring of published levels at `Evidence`, with what others issued.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from liqbt.config.fields import format_duration
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError, EstimatorError, WorkerKilledError
from liqbt.evaluation.bins import anchors_of, landmark_times
from liqbt.evaluation.cascades import market_cascades
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import PRIMARY_NS, EvaluationConfig, MarketInput
from liqbt.evaluation.depth import market_depth
from liqbt.evaluation.evaluate import Evaluation, evaluate, scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.forced import market_forced
from liqbt.evaluation.funding import market_funding
from liqbt.evaluation.inference.estimates import ScoreDetail
from liqbt.evaluation.parts import OF_ALL, together
from liqbt.evaluation.path import PricePath, price_path
from liqbt.evaluation.statistic import Statistic
from liqbt.forecasts import column, kept_forecasts, symbols_of
from liqbt.replay import copied, replay, replay_many, require_density, schedule
from liqbt.study.estimators import (
    build_competing_maps,
    build_estimator,
    build_estimators,
    needed_kinds,
)
from liqbt.study.executors import Executor, begun, serially
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import Experiment
from liqbt.study.traces import AuditTrace, derived_items, forecast_items
from liqbt.study.trust import believed, sampled_as, sigma_rule
from liqbt.tape.positions import price_only_tape
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, Events, Forecast, IntArray, Kind, Ns

Slicer: TypeAlias = Callable[[Events, int, int], Events]

Forecaster: TypeAlias = Callable[[Sequence[Forecast], MarketInput], Sequence[Forecast]]
"""Puts other forecasts in the place of those that were issued, given them and the prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """What an estimator issues of the price path alone.

    Attributes
    ----------
    forecasts : mapping of str to sequence of Forecast
        By market; empty where it failed.
    reason : str
        Why there is none; empty where there is.
    """

    forecasts: Mapping[str, Sequence[Forecast]]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What came of an experiment's events.

    Attributes
    ----------
    forecasts : mapping of str to mapping of str to sequence of Forecast
        By estimator and market: everything that was issued.
    evaluations : mapping of str to Evaluation
        By estimator: the first is the one that others are compared with.
    twins : mapping of str to Twin
        By estimator: what its price-only twin issued; of published levels, and where no statistic
        needs them, there is none.
    shared : dict
        What estimators of the same tapes share: prices, and maps beside.
    """

    forecasts: Mapping[str, Mapping[str, Sequence[Forecast]]]
    evaluations: Mapping[str, Evaluation]
    twins: Mapping[str, Twin] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def first(self) -> Evaluation:
        """The evaluation of the first estimator."""
        return next(iter(self.evaluations.values()))


def study(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    *,
    since: Ns | None = None,
    recorded: Mapping[str, Mapping[str, Sequence[Forecast]]] | None = None,
    instead: Forecaster | None = None,
    statistics: Sequence[Statistic] = STATISTICS,
    stage: Stage = silent,
) -> Study:
    """Replay every market through the experiment's estimators, and score what they issued.

    Parameters
    ----------
    experiment : Experiment
        The configuration.
    tapes : mapping of str to Tape
        The events, by market.
    since : int or None
        Only what is issued at or after it is scored; what was issued before is learnt from.
    recorded : mapping of str to mapping of str to sequence of Forecast, optional
        By estimator and market: what was issued, where that was written down; nothing is replayed.
    instead : callable, optional
        Puts other forecasts in the place of those that were issued: an oracle, which proves that
        the score can see what there is.
    statistics : sequence of Statistic
        What is scored; the price-only twins and the structural maps are made where any of them
        needs these.
    stage : callable
        Progress.

    Raises
    ------
    LiqbtError
        If an estimator fails, or its forecasts or the prices cannot be right.
    """
    one = MarketStudies(
        experiment=experiment,
        tapes=tapes,
        since=since,
        recorded=recorded,
        instead=instead,
        statistics=tuple(statistics),
        stage=stage,
    )
    markets = market_studies(one)
    stage("score", 0, 2)
    done = whole_study(markets, statistics)
    stage("score", 1, 2)
    return done


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketStudy:
    """What came of one market, before anything is scored.

    Attributes
    ----------
    symbol : str
        The market.
    forecasts : mapping of str to sequence of Forecast
        By estimator: everything that was issued.
    evidence : mapping of str to Evidence
        By estimator: of this market alone.
    twins : mapping of str to Twin
        By estimator, as in `Study`.
    """

    symbol: str
    forecasts: Mapping[str, Sequence[Forecast]]
    evidence: Mapping[str, Evidence]
    twins: Mapping[str, Twin]


@dataclass(frozen=True, kw_only=True)
class MarketStudies:
    """Replays and observes one market of an experiment: a task, wherever it runs.

    Attributes
    ----------
    experiment, tapes, since, recorded, instead, statistics, stage
        As in `study`.
    failed : mapping of str to str
        Estimators whose twin failed on some market, and why: no market of it has a twin.
    """

    experiment: Experiment
    tapes: Mapping[str, Tape]
    since: Ns | None = None
    recorded: Mapping[str, Mapping[str, Sequence[Forecast]]] | None = None
    instead: Forecaster | None = None
    statistics: Sequence[Statistic] = STATISTICS
    stage: Stage = silent
    failed: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, symbol: str) -> MarketStudy:
        """Return what came of a market."""
        experiment, tape = self.experiment, self.tapes[symbol]
        issued: Mapping[str, Sequence[Forecast]]
        if self.recorded is None:
            issued = _replayed(experiment, symbol, tape, self.stage)
        else:
            issued = {name: each[symbol] for name, each in self.recorded.items()}
        read = {need for one in self.statistics for need in one.needs}
        twins = {}
        if "twin" in read:
            twins = price_only_twins(experiment, {symbol: tape}, self.stage, self.failed)
        shared: dict[Any, Any] = {}
        evidence = {
            name: observed(
                experiment,
                {symbol: tape},
                {symbol: forecasts},
                twins[name].forecasts if name in twins else None,
                since=self.since,
                instead=self.instead,
                name=name,
                shared=shared,
                structures="structures" in read,
            )
            for name, forecasts in issued.items()
        }
        return MarketStudy(symbol=symbol, forecasts=issued, evidence=evidence, twins=twins)

    def taken(self, market: Any) -> MarketStudy:
        """Return what a task gave, as whoever asked for it takes it."""
        found: MarketStudy = market
        return found


def market_studies(
    one: MarketStudies, executor: Executor = serially, stage: Stage = silent
) -> list[MarketStudy]:
    """Return what came of every market, wherever its task ran, in the order of the tapes.

    Where a twin failed on some market and not on all, all are done again without it: a map that
    stands beside some markets only is no map to compare with.

    Parameters
    ----------
    one : MarketStudies
        What is done of each.
    executor : callable
        Where; it changes no number.
    stage : callable
        Progress.
    """
    symbols = tuple(one.tapes)
    markets: list[MarketStudy] = []
    stage("markets", 0, len(symbols))
    try:
        for market in executor(one, symbols):
            markets.append(one.taken(market))
            stage("markets", len(markets), len(symbols))
    except WorkerKilledError as error:
        raise WorkerKilledError(f"market {symbols[len(markets)]}: {error}") from None
    reasons = {
        name: [m.twins[name].reason for m in markets if m.twins[name].reason]
        for name in markets[0].twins
    }
    failed = {name: why[0] for name, why in reasons.items() if 0 < len(why) < len(symbols)}
    return market_studies(replace(one, failed=failed), executor, stage) if failed else markets


def whole_study(
    markets: Sequence[MarketStudy],
    statistics: Sequence[Statistic],
    executor: Executor = serially,
) -> Study:
    """Return the study of markets that were observed apart, everything scored.

    Parameters
    ----------
    markets : sequence of MarketStudy
        In the order of the experiment.
    statistics : sequence of Statistic
        What is scored.
    executor : callable
        Where; it changes no number.
    """
    names = list(markets[0].evidence)
    evidence = {name: together([market.evidence[name] for market in markets]) for name in names}
    return Study(
        forecasts={name: {m.symbol: m.forecasts[name] for m in markets} for name in names},
        evaluations={name: _evaluated(one, statistics, executor) for name, one in evidence.items()},
        twins={
            name: _twins([market.twins[name] for market in markets]) for name in markets[0].twins
        },
        shared=evidence[names[0]].shared,
    )


def _evaluated(
    evidence: Evidence, statistics: Sequence[Statistic], executor: Executor
) -> Evaluation:
    """Score statistic by statistic, each a task, but those that read what is learnt: here, once."""
    if executor is serially:
        return evaluate(evidence, statistics)
    own = [one for one in statistics if OF_ALL.intersection(one.needs)]
    others = [one.id for one in statistics if not OF_ALL.intersection(one.needs)]
    with begun(executor(_Scored(evidence, statistics), others)) as found:
        rows = {one.id: list(scored(evidence, [one])) for one in own}
        rows |= zip(others, found, strict=True)
    return Evaluation(
        details=tuple(row for one in statistics for row in rows[one.id]), evidence=evidence
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores one statistic of an estimator: a task."""

    evidence: Evidence
    statistics: Sequence[Statistic]

    def __call__(self, name: str) -> list[ScoreDetail]:
        """Return the rows of a statistic."""
        return list(scored(self.evidence, [one for one in self.statistics if one.id == name]))


def _twins(parts: Sequence[Twin]) -> Twin:
    """Return the twin of an estimator on all markets: none, if there is none on one of them."""
    reason = next((part.reason for part in parts if part.reason), "")
    if reason:
        return Twin(forecasts={}, reason=reason)
    return Twin(forecasts={s: each for part in parts for s, each in part.forecasts.items()})


def price_only_twins(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    stage: Stage = silent,
    failed: Mapping[str, str] | None = None,
) -> dict[str, Twin]:
    """Replay every estimator's price-only twin: the same class, told of prices alone.

    Parameters
    ----------
    experiment, tapes, stage
        As in `study`.
    failed : mapping of str to str, optional
        Estimators whose twin is known to fail, and why: it is not replayed.

    Returns
    -------
    dict of str to Twin
        By estimator; one that fails on such a tape has no twin, and says why.
    """
    told = {symbol: price_only_tape(tape) for symbol, tape in tapes.items()}
    found = {}
    for number, name in enumerate(experiment.estimators):
        stage("twin", number, len(experiment.estimators))
        known = (failed or {}).get(name, "")
        found[name] = (
            Twin(forecasts={}, reason=known) if known else _twin(experiment, tapes, told, name)
        )
    stage("twin", len(found), len(found))
    return found


def _twin(
    experiment: Experiment, tapes: Mapping[str, Tape], told: Mapping[str, Tape], name: str
) -> Twin:
    try:
        issued = {
            symbol: replay(
                told[symbol],
                build_estimator(experiment, symbol, name),
                forecast_times(experiment, tape),
            )
            for symbol, tape in tapes.items()
        }
    except EstimatorError as error:
        return Twin(forecasts={}, reason=str(error))
    for symbol, forecasts in issued.items():
        start = scored_from(experiment, symbol, tapes[symbol])
        if not (column(forecasts, "at") >= start).any():
            reason = f"the twin of {name} issued no forecast of {symbol}"
            return Twin(forecasts={}, reason=reason)
    return Twin(forecasts=issued)


def _replayed(
    experiment: Experiment, symbol: str, tape: Tape, stage: Stage
) -> dict[str, Sequence[Forecast]]:
    """Replay one market through all estimators of an experiment, in one pass over its tape."""
    times = forecast_times(experiment, tape)
    name = f"replay {symbol}"
    return replay_many(
        tape,
        build_estimators(experiment, symbol),
        times,
        progress=lambda done: stage(name, done, len(times)) if done % 100 == 0 else None,
    )


def observed(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    forecasts: Mapping[str, Sequence[Forecast]],
    twins: Mapping[str, Sequence[Forecast]] | None = None,
    *,
    since: Ns | None = None,
    instead: Forecaster | None = None,
    slicer: Slicer = copied,
    name: str = "",
    shared: dict[Any, Any] | None = None,
    structures: bool = True,
) -> Evidence:
    """Return what is observed of one estimator's forecasts, and of the maps beside them.

    Parameters
    ----------
    experiment, tapes, since, instead
        As in `study`.
    forecasts : mapping of str to sequence of Forecast
        By market: everything that was issued.
    twins : mapping of str to sequence of Forecast, optional
        By market: what the price-only twin issued.
    slicer : callable
        How slices are cut for the maps beside.
    name : str
        Of the estimator: then one of which nothing can be scored is refused.
    shared : dict, optional
        What other estimators of the same tapes have made already: prices, maps beside, and fits
        of the placebo model.
    structures : bool
        Whether the structural maps stand beside.
    """
    made = {} if shared is None else shared
    beside = twins or {}
    markets = [
        market_input(
            experiment, symbol, forecasts[symbol], tape, made, name=name, twin=beside.get(symbol)
        )
        for symbol, tape in tapes.items()
    ]
    markets, training = split_markets(markets, since)
    if name:
        _require_issued(experiment, name, markets, forecasts, tapes)
        _require_watched(experiment, markets)
    # at the landmarks of what is scored: those of everything may lie at other hours
    if structures:
        markets = [
            with_competing_maps(experiment, m, tapes[m.symbol], slicer, made) for m in markets
        ]
    if instead is not None:
        markets = [replace(m, forecasts=instead(m.forecasts, m)) for m in markets]
    return Evidence(
        markets=markets,
        config=protocol(experiment.evaluation),
        training=training,
        root=experiment.seed,
        estimator=name,
        shared=made,
    )


def _require_watched(experiment: Experiment, markets: Sequence[MarketInput]) -> None:
    """Refuse horizons none of which any forecast can be watched over."""
    left = max(int(m.path.end_ns[-1]) - m.forecasts[0].at for m in markets)
    shortest = min(experiment.evaluation.horizons)
    if shortest > left:
        raise ConfigError(
            f"{experiment.name}: evaluation.horizons: {format_duration(shortest)} is longer than "
            f"the data: prices end {max(left, 0) / DAY_NS:.2g} days after the first forecast that "
            "is scored"
        )


def _require_issued(
    experiment: Experiment,
    name: str,
    markets: Sequence[MarketInput],
    forecasts: Mapping[str, Sequence[Forecast]],
    tapes: Mapping[str, Tape],
) -> None:
    """Refuse an estimator that issued nothing that can be scored: it is its fault alone."""
    for market in markets:
        if not market.forecasts:
            n = len(forecasts[market.symbol])
            why = (
                f"all of its {n} are issued before scoring begins; is the warm-up longer than the "
                "data?"
                if n
                else "it issued none; does it wait for events that the market lacks?"
            )
            why = _too_fine(experiment, name, market.symbol, tapes[market.symbol]) or why
            raise DataError(
                f"{experiment.name}: estimator '{name}' has no forecast of {market.symbol} to "
                f"evaluate: {why}"
            )


def _too_fine(experiment: Experiment, name: str, symbol: str, tape: Tape) -> str:
    """Return that σ is sampled more finely than prices come, where it is; "" where it is not."""
    asked = sigma_rule(experiment, symbol, name, tape).sigma_sampling
    kind = experiment.symbols[symbol].price_kind
    fits = sampled_as(tape, kind, symbol)
    if asked >= fits:
        return ""
    return (
        f"σ is sampled every {format_duration(asked)}, and its {kind.name.lower()} events come "
        f"less often; set 'estimators.{name}.params.sigma_sampling' to {format_duration(fits)}"
    )


def issue(
    experiment: Experiment,
    symbol: str,
    tape: Tape,
    until: Ns | None = None,
    slicer: Slicer = copied,
) -> list[AuditTrace]:
    """Return everything that is issued for one market, in order.

    Parameters
    ----------
    experiment, symbol, tape
        What to run, on which events.
    until : int, optional
        Last time of issue.
    slicer : callable
        How slices are cut for the estimator.
    """
    times = forecast_times(experiment, tape, until)
    forecasts = replay(tape, build_estimator(experiment, symbol), times, slicer=slicer)
    return issued_items(experiment, symbol, forecasts, tape, slicer)


def issued_items(
    experiment: Experiment,
    symbol: str,
    forecasts: Sequence[Forecast],
    tape: Tape,
    slicer: Slicer = copied,
) -> list[AuditTrace]:
    """Return forecasts that were issued for one market, and what follows from them, in order."""
    items = forecast_items(symbol, forecasts)
    evidence = observed(experiment, {symbol: tape}, {symbol: forecasts}, slicer=slicer)
    if evidence.markets[0].forecasts:
        items += derived_items(evidence)
    return sorted(items, key=lambda item: (item.at, item.what))


def forecast_times(experiment: Experiment, tape: Tape, until: Ns | None = None) -> IntArray:
    """Return the scheduled times at which `tape` can be asked: from its first event to its end."""
    if len(tape) == 0:
        raise DataError(f"{experiment.name}: no event is left in the selected period")
    known = tape.events["ts_known"]
    plan = experiment.schedule
    start = max(int(known[0]) + 1, plan.start or 0)
    end = min(int(known[-1]) + 1, experiment.last or int(known[-1]) + 1)
    times = schedule(start, end if until is None else min(end, until + 1), plan.every)
    if until is None and len(times) == 0:
        raise DataError(
            f"{experiment.name}: no scheduled time lies in its period; it issues forecasts every "
            f"{format_duration(plan.every)}"
        )
    return times


def protocol(options: EvaluationOptions) -> EvaluationConfig:
    """Return the protocol as evaluation takes it."""
    return EvaluationConfig(
        horizons_ns=options.horizons,
        latency_ns=options.latency,
        floor=options.distance_floor,
        ceiling=options.distance_ceiling,
        iou=options.iou,
        bootstrap_reps=options.bootstrap_reps,
        ridge=options.ridge,
    )


def scored_from(experiment: Experiment, symbol: str, tape: Tape) -> Ns:
    """Return the first time whose forecasts are scored.

    The warm-up is counted from when every kind of event that an estimator needs is known, such as
    a price and open interest: a map without open interest does not warm up. Of several estimators
    all wait for what any of them needs, so that they are compared on the same days.
    """
    kinds = needed_kinds(experiment, symbol)
    of, known = tape.events["kind"], tape.events["ts_known"]
    firsts = [int(known[(of == kind).argmax()]) for kind in kinds if (of == kind).any()]
    return max(firsts) + experiment.schedule.warm_up


def split_markets(
    markets: Sequence[MarketInput], since: Ns | None
) -> tuple[list[MarketInput], list[MarketInput]]:
    """Return the markets with what is scored, and those with what is learnt from alone.

    Parameters
    ----------
    markets : sequence of MarketInput
        With everything that was issued after the warm-up.
    since : int or None
        Only what is issued at or after it is scored; None: everything.

    Returns
    -------
    scored, training : list of MarketInput
        `training` has no market of which nothing was issued before.
    """
    if since is None:
        return list(markets), []
    scored, training = [], []
    for market in markets:
        early = [f for f in market.forecasts if f.at < since]
        scored.append(replace(market, forecasts=market.forecasts[len(early) :]))
        if early:
            training.append(replace(market, forecasts=early))
    return scored, training


def market_input(
    experiment: Experiment,
    symbol: str,
    forecasts: Sequence[Forecast],
    tape: Tape,
    shared: dict[Any, Any] | None = None,
    *,
    name: str = "",
    twin: Sequence[Forecast] | None = None,
) -> MarketInput:
    """Return what evaluation needs of one market: the forecasts after the warm-up, the prices.

    Parameters
    ----------
    experiment, symbol, tape
        The market.
    forecasts : sequence of Forecast
        Everything that was issued.
    shared : dict, optional
        Holds the prices, and what began and was forced in each hour, for the next estimator of the
        same tape.
    name : str
        Of the estimator; empty: the first. Its maps are believed, and nothing else that it says.
    twin : sequence of Forecast, optional
        What its price-only twin issued.
    """
    start = scored_from(experiment, symbol, tape)
    foreign = set(symbols_of(forecasts)) - {symbol}
    if foreign:
        raise DataError(f"the estimator of {symbol} issued forecasts of {sorted(foreign)[0]}")
    require_density(forecasts)
    forecasts = believed(experiment, symbol, forecasts, tape, name)
    made = {} if shared is None else shared
    if symbol not in made:
        path = outcome_path(experiment, symbol, tape)
        events = experiment.symbols[symbol].events
        made[symbol] = (
            path,
            market_funding(tape.events),
            market_cascades(tape.events, path, events),
            market_forced(tape.events, path, events),
            market_depth(tape.events),
        )
    path, funding, cascades, forced, depth = made[symbol]
    return MarketInput(
        symbol=symbol,
        forecasts=kept_forecasts(forecasts, column(forecasts, "at") >= start),
        path=path,
        anchors=anchors_of(forecasts),
        twin=None if twin is None else believed(experiment, symbol, twin, tape, name),
        funding=funding,
        cascades=cascades,
        forced=forced,
        depth=depth,
    )


def with_competing_maps(
    experiment: Experiment,
    market: MarketInput,
    tape: Tape,
    slicer: Slicer = copied,
    shared: dict[Any, Any] | None = None,
) -> MarketInput:
    """Return one market with the structural maps that its dose-response must survive beside.

    They are estimators like any other, replayed over the same tape, and asked at the landmarks
    alone; not at all where the horizon whose landmarks these are is not scored.
    """
    if PRIMARY_NS not in experiment.evaluation.horizons:
        return market
    times = landmark_times(market.forecasts, PRIMARY_NS)
    made = {} if shared is None else shared
    key = (market.symbol, times.tobytes())
    if key not in made:
        structures = build_competing_maps(experiment, market.symbol)
        made[key] = replay_many(tape, structures, times, slicer=slicer)
    return replace(market, competing_maps=made[key])


def outcome_path(
    experiment: Experiment, symbol: str, tape: Tape, kind: Kind | None = None
) -> PricePath:
    """Return the prices that decide outcomes: the mark, or what stands in for it."""
    return price_path(
        tape.events,
        kind or experiment.symbols[symbol].price_kind,
        max_gap_ns=experiment.evaluation.max_gap,
    )
