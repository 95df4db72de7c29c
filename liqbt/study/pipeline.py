"""From a tape to what is issued and observed: the steps that a run and an audit share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.calibrate.models import Foreseen, foresee_landmarks
from liqbt.calibrate.tilt import calibrate_landmarks
from liqbt.calibrate.walk import ModelOptions
from liqbt.errors import DataError
from liqbt.evaluation.bins import anchors_of, landmark_times
from liqbt.evaluation.cascades import market_cascades
from liqbt.evaluation.claims.direction import landmark_tables
from liqbt.evaluation.claims.magnet import BESIDE_NS
from liqbt.evaluation.claims.visit import learnt_probabilities
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.covariates import COVARIATES
from liqbt.evaluation.evaluate import observe
from liqbt.evaluation.funding import market_funding
from liqbt.evaluation.path import PricePath, price_path
from liqbt.replay import copied, replay, require_density, schedule
from liqbt.study.estimators import build_structures, needed_kinds
from liqbt.study.fields import format_duration
from liqbt.study.schema import EvaluationOptions, Experiment
from liqbt.tape.values import Tape
from liqbt.types import Events, Forecast, IntArray, Kind, Ns

Slicer: TypeAlias = Callable[[Events, int, int], Events]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One item that a pipeline issued, for audits.

    Attributes
    ----------
    at : int
        Time of issue, ns.
    what : str
        Such as `forecast BTC`.
    fields : mapping of str to bytes
        Its fields; equal bytes are bit-identical.
    """

    at: Ns
    what: str
    fields: Mapping[str, bytes]


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


def evaluation_config(experiment: Experiment) -> EvaluationConfig:
    """Return the protocol that an experiment's `evaluation` asks for."""
    return protocol(experiment.evaluation)


def protocol(options: EvaluationOptions) -> EvaluationConfig:
    """Return the protocol as evaluation takes it."""
    return EvaluationConfig(
        horizons_ns=options.horizons,
        latency_ns=options.latency,
        floor=options.distance_floor,
        ceiling=options.distance_ceiling,
        iou=options.iou,
        bootstrap_reps=options.bootstrap_reps,
    )


def scored_from(experiment: Experiment, symbol: str, tape: Tape) -> Ns:
    """Return the first time whose forecasts are scored.

    The warm-up is counted from when every kind of event that an estimator needs is known, such as
    a price and open interest: a map without open interest does not warm up.
    """
    kinds = needed_kinds(experiment, symbol)
    firsts = [int(tape.of(kind)["ts_known"][0]) for kind in kinds if len(tape.of(kind))]
    return max(firsts) + experiment.schedule.warm_up


def calibration(experiment: Experiment) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return the calibration of one horizon's landmarks: the walk-forward tilt."""
    return walk_forward(experiment.evaluation)


def walk_forward(options: EvaluationOptions) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return the calibration that a protocol asks for."""
    return partial(calibrate_landmarks, ridge=options.ridge)


def foresight(options: EvaluationOptions) -> Callable[[npt.NDArray[Any]], Foreseen]:
    """Return what issues the probabilities of the direction claim's models, walking forward."""
    return partial(foresee_landmarks, options=ModelOptions(ridge=options.ridge))


def market_input(
    experiment: Experiment, symbol: str, forecasts: Sequence[Forecast], tape: Tape
) -> MarketInput:
    """Return what evaluation needs of one market: the forecasts after the warm-up, the prices."""
    start = scored_from(experiment, symbol, tape)
    foreign = {f.symbol for f in forecasts} - {symbol}
    if foreign:
        raise DataError(f"the estimator of {symbol} issued forecasts of {sorted(foreign)[0]}")
    require_density(forecasts)
    path = outcome_path(experiment, symbol, tape)
    return MarketInput(
        symbol=symbol,
        forecasts=[f for f in forecasts if f.at >= start],
        path=path,
        anchors=anchors_of(forecasts),
        funding=market_funding(tape.events),
        cascades=market_cascades(tape.events, path, experiment.symbols[symbol].events),
    )


def with_structures(
    experiment: Experiment, market: MarketInput, tape: Tape, slicer: Slicer = copied
) -> MarketInput:
    """Return one market with the structural maps that its dose-response must survive beside.

    They are estimators like any other, replayed over the same tape, and asked at the landmarks
    alone; not at all where the horizon whose landmarks these are is not scored.
    """
    if BESIDE_NS not in experiment.evaluation.horizons:
        return market
    times = landmark_times(market.forecasts, BESIDE_NS)
    made = build_structures(experiment, market.symbol)
    once = _shared(slicer)
    beside = {name: replay(tape, each, times, slicer=once) for name, each in made.items()}
    return replace(market, beside=beside)


def _shared(slicer: Slicer) -> Slicer:
    """Return a slicer that cuts each slice of one tape once; slices are read-only."""
    cut: dict[tuple[int, int], Events] = {}

    def once(events: Events, start: int, stop: int) -> Events:
        if (start, stop) not in cut:
            cut[start, stop] = slicer(events, start, stop)
        return cut[start, stop]

    return once


def outcome_path(
    experiment: Experiment, symbol: str, tape: Tape, kind: Kind | None = None
) -> PricePath:
    """Return the prices that decide outcomes: the mark, or what stands in for it."""
    return price_path(
        tape.events,
        kind or experiment.symbols[symbol].price_kind,
        max_gap_ns=experiment.evaluation.max_gap,
    )


def issued_items(
    experiment: Experiment,
    symbol: str,
    forecasts: Sequence[Forecast],
    tape: Tape,
    slicer: Slicer = copied,
) -> list[Issued]:
    """Return what follows from forecasts that were issued.

    They, the structural maps beside them, the calibrated tilts, the covariates and what the models
    made of them, and p̂ of the clusters that count.
    """
    items = forecast_items(symbol, forecasts)
    market = market_input(experiment, symbol, forecasts, tape)
    if market.forecasts:
        beside = with_structures(experiment, market, tape, slicer).beside
        for name, maps in beside.items():
            items += forecast_items(symbol, maps, what=f"{name} map")
        calibrate = calibration(experiment)
        config = evaluation_config(experiment)
        observed = observe([market], config)
        for horizon_ns in config.horizons_ns:
            mine = observed.first_sides["horizon_ns"] == horizon_ns
            items += list(_tilts(calibrate(observed.first_sides[mine]), symbol, horizon_ns))
        items += list(_learnt(experiment, market, observed.outcomes, config))
        items += list(_foreseen(experiment, market, observed.first_sides, config))
    return sorted(items, key=lambda item: (item.at, item.what))


def forecast_items(
    symbol: str, forecasts: Sequence[Forecast], what: str = "forecast"
) -> list[Issued]:
    """Return forecasts as items, in the order given."""
    named = f"{what} {symbol}"
    return [Issued(at=f.at, what=named, fields=forecast_fields(f)) for f in forecasts]


def _tilts(rows: npt.NDArray[Any], symbol: str, horizon_ns: Ns) -> Iterator[Issued]:
    for row in rows:
        yield Issued(
            at=int(row["at"]),
            what=f"first-side tilt {symbol} {format_duration(horizon_ns)}",
            fields={name: row[name].tobytes() for name in ("theta", "up", "down", "asymmetry")},
        )


def _learnt(
    experiment: Experiment,
    market: MarketInput,
    outcomes: npt.NDArray[Any],
    config: EvaluationConfig,
) -> Iterator[Issued]:
    """Yield p̂ of the clusters born at each time, of one horizon: the primary one, or the first.

    On the others it is fitted to the same path on the same schedule.
    """
    horizons = config.horizons_ns
    horizon_ns = BESIDE_NS if BESIDE_NS in horizons else horizons[0]
    born = (outcomes["birth"] | outcomes["densest_birth"]) & (outcomes["horizon_ns"] == horizon_ns)
    rows = outcomes[born]
    rng = np.random.default_rng(experiment.seed)
    p, mirror = learnt_probabilities(market, rows, config, horizon_ns=horizon_ns, rng=rng)
    ends = np.append(np.flatnonzero(np.diff(rows["at"])) + 1, len(rows))
    for start, stop in pairwise([0, *ends.tolist()] if len(rows) else []):
        yield Issued(
            at=int(rows["at"][start]),
            what=f"placebo probability {market.symbol} {format_duration(horizon_ns)}",
            fields={"p": p[start:stop].tobytes(), "mirror": mirror[start:stop].tobytes()},
        )


def _foreseen(
    experiment: Experiment,
    market: MarketInput,
    first_sides: npt.NDArray[Any],
    config: EvaluationConfig,
) -> Iterator[Issued]:
    """Yield the covariates of each landmark, and what the models made of them.

    Of the first side it is the tilt: its base is taken over the time really watched, which is known
    only afterwards. Cascades have a base of past frequencies, so that it is the probability.
    """
    table = landmark_tables(first_sides, [market], config)
    found = foresight(experiment.evaluation)(table)
    for i, row in enumerate(table):
        at = int(row["at"])
        fields = {name: row[name].tobytes() for name in COVARIATES}
        yield Issued(at=at, what=f"covariates {market.symbol}", fields=fields)
        models = {f"first_side.{name}": one.tilt for name, one in found.first_side.items()}
        models |= {f"cascade.{name}": one.p for name, one in found.cascade.items()}
        models |= {f"large_move.{name}": one.p for name, one in found.large_move.items()}
        yield Issued(
            at=at,
            what=f"direction models {market.symbol}",
            fields={name: values[i].tobytes() for name, values in models.items()},
        )


def forecast_fields(forecast: Forecast) -> dict[str, bytes]:
    """Return every field of a forecast as bytes."""
    fields: dict[str, bytes] = {}
    for name in Forecast.__dataclass_fields__:
        value = getattr(forecast, name)
        if isinstance(value, np.ndarray):
            fields[name] = value.tobytes()
        elif isinstance(value, float):
            fields[name] = np.float64(value).tobytes()
        else:
            fields[name] = repr(value).encode()
    return fields
