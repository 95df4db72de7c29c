"""From a tape to what is issued and observed: the steps that a run and an audit share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.calibrate import calibrate_landmarks
from liqbt.errors import DataError
from liqbt.evaluation import (
    EvaluationConfig,
    MarketInput,
    PricePath,
    anchors_of,
    observe,
    price_path,
)
from liqbt.experiment.build import build_estimator
from liqbt.experiment.schema import EvaluationOptions, Experiment, format_duration
from liqbt.replay import copied, replay, schedule
from liqbt.tape import Tape
from liqbt.types import Events, Forecast, IntArray, Kind, Ns

__all__ = [
    "Issued",
    "calibration",
    "evaluation_config",
    "forecast_items",
    "forecast_times",
    "issue",
    "issued_items",
    "market_input",
    "outcome_path",
    "protocol",
    "scored_from",
    "walk_forward",
]


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
    end = min(int(known[-1]) + 1, plan.end or int(known[-1]) + 1)
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

    The warm-up is counted from when both a price and open interest are known: a map without open
    interest does not warm up.
    """
    kinds = (experiment.symbols[symbol].price_kind, Kind.OPEN_INTEREST)
    firsts = [int(tape.of(kind)["ts_known"][0]) for kind in kinds if len(tape.of(kind))]
    return max(firsts) + experiment.schedule.warm_up


def calibration(experiment: Experiment) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return the calibration of one horizon's landmarks: the walk-forward tilt."""
    return walk_forward(experiment.evaluation)


def walk_forward(options: EvaluationOptions) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return the calibration that a protocol asks for."""
    return partial(calibrate_landmarks, ridge=options.ridge)


def market_input(
    experiment: Experiment, symbol: str, forecasts: Sequence[Forecast], tape: Tape
) -> MarketInput:
    """Return what evaluation needs of one market: the forecasts after the warm-up, the prices."""
    start = scored_from(experiment, symbol, tape)
    foreign = {f.symbol for f in forecasts} - {symbol}
    if foreign:
        raise DataError(f"the estimator of {symbol} issued forecasts of {sorted(foreign)[0]}")
    return MarketInput(
        symbol=symbol,
        forecasts=[f for f in forecasts if f.at >= start],
        path=outcome_path(experiment, symbol, tape),
        anchors=anchors_of(forecasts),
    )


def outcome_path(
    experiment: Experiment, symbol: str, tape: Tape, kind: Kind | None = None
) -> PricePath:
    """Return the prices that decide outcomes: the mark, or what stands in for it."""
    return price_path(
        tape.events,
        kind or experiment.symbols[symbol].price_kind,
        max_gap_ns=experiment.evaluation.max_gap,
    )


def issue(
    experiment: Experiment,
    symbol: str,
    tape: Tape,
    until: Ns | None = None,
    slicer: Callable[[Events, int, int], Events] = copied,
    make: Callable[[Tape], Any] | None = None,
) -> list[Issued]:
    """Return everything that is issued for one market, forecasts and calibrated tilts, in order.

    Parameters
    ----------
    experiment, symbol, tape
        What to run, on which events.
    until : int, optional
        Last time of issue.
    slicer : callable
        How slices are cut for the estimator.
    make : callable, optional
        Builds the estimator from the tape; the configured one by default.
    """
    estimator = make(tape) if make else build_estimator(experiment, symbol)
    times = forecast_times(experiment, tape, until)
    return issued_items(experiment, symbol, replay(tape, estimator, times, slicer=slicer), tape)


def issued_items(
    experiment: Experiment, symbol: str, forecasts: Sequence[Forecast], tape: Tape
) -> list[Issued]:
    """Return what follows from forecasts that were issued: they, and the calibrated tilts."""
    items = forecast_items(symbol, forecasts)
    market = market_input(experiment, symbol, forecasts, tape)
    if market.forecasts:
        calibrate = calibration(experiment)
        config = evaluation_config(experiment)
        observed = observe([market], config)
        for horizon_ns in config.horizons_ns:
            mine = observed.first_sides["horizon_ns"] == horizon_ns
            items += list(_tilts(calibrate(observed.first_sides[mine]), symbol, horizon_ns))
    return sorted(items, key=lambda item: (item.at, item.what))


def forecast_items(symbol: str, forecasts: Sequence[Forecast]) -> list[Issued]:
    """Return forecasts as items, in the order given."""
    what = f"forecast {symbol}"
    return [Issued(at=f.at, what=what, fields=forecast_fields(f)) for f in forecasts]


def _tilts(rows: npt.NDArray[Any], symbol: str, horizon_ns: Ns) -> Iterator[Issued]:
    for row in rows:
        yield Issued(
            at=int(row["at"]),
            what=f"first-side tilt {symbol} {format_duration(horizon_ns)}",
            fields={name: row[name].tobytes() for name in ("theta", "up", "down", "asymmetry")},
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
