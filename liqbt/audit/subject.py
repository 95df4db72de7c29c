"""What an audit holds to its promise: an estimator on one market, ready to be replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from liqbt.errors import DataError
from liqbt.replay import Estimator, replay
from liqbt.study.estimators import build_estimator
from liqbt.study.events import Origin, market_tapes, open_events
from liqbt.study.own_code import make_importable
from liqbt.study.pipeline import forecast_times, issued_items
from liqbt.study.progress import Stage
from liqbt.study.schema import Experiment, load_experiment, with_estimator
from liqbt.study.traces import AuditTrace
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, Forecast, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One market, and how to replay it.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market.
    tape : Tape
        Its events.
    times : ndarray of int64, shape (n,)
        When forecasts are asked for, ns.
    make : callable
        Returns a fresh estimator.
    derive : callable
        From forecasts and the tape to all that is issued: they, and what is calibrated from them.
    """

    symbol: str
    tape: Tape
    times: IntArray
    make: Callable[[], Estimator]
    derive: Callable[[Sequence[Forecast], Tape], list[AuditTrace]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an audit's subjects come from: enough to open the very same ones in another process.

    Attributes
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of runs; its cache is used.
    estimator : str or None
        That one alone, of the experiment or in the place of its first.
    days : int or None
        Only so many days from the first event on.
    """

    path: Path
    results: Path
    estimator: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An experiment that is open, without its tapes: look-ahead must not leave one in memory.

    Attributes
    ----------
    place : Place
        Where another process finds the same.
    experiment : Experiment
        The configuration, with another estimator and shortened where that was asked for.
    origin : Origin
        The log.
    cache : Path
        Folder of tapes that can be made again.
    """

    place: Place
    experiment: Experiment
    origin: Origin
    cache: Path

    def tape(self, symbol: str) -> Tape:
        """Return the tape of one market."""
        return market_tapes(self.origin, self.experiment, self.cache, [symbol])[symbol]

    def subject(self, symbol: str) -> Subject:
        """Return one market, ready to be replayed."""
        tape = self.tape(symbol)
        return Subject(
            symbol=symbol,
            tape=tape,
            times=forecast_times(self.experiment, tape),
            make=partial(build_estimator, self.experiment, symbol),
            derive=partial(issued_items, self.experiment, symbol),
        )


def issued(
    subject: Subject, *, estimator: Estimator | None = None, tape: Tape | None = None
) -> list[AuditTrace]:
    """Replay one market and return all that is issued, each interval's events in one update.

    Parameters
    ----------
    subject : Subject
        The market.
    estimator, tape : optional
        In place of a fresh estimator, and of the market's own tape.

    Raises
    ------
    DataError
        If nothing is issued at all.
    """
    tape = subject.tape if tape is None else tape
    made = subject.make() if estimator is None else estimator
    forecasts = replay(tape, made, subject.times, batch=len(tape) + 1)
    items = subject.derive(forecasts, tape)
    if not items:
        raise DataError(f"{subject.symbol}: nothing was issued, so there is nothing to audit")
    return items


def shortened(experiment: Experiment, tapes: Sequence[Tape], days: int) -> Experiment:
    """Return the experiment of the first `days` days, counted from the first event."""
    first = min(int(tape.events["ts_known"][0]) for tape in tapes)
    end = first + days * DAY_NS
    plan = experiment.schedule
    update: dict[str, Any] = {"end": end if plan.end is None else min(plan.end, end)}
    return experiment.model_copy(update={"schedule": plan.model_copy(update=update)})


def open_place(place: Place, stage: Stage) -> Opened:
    """Open an experiment for an audit.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used.
    """
    make_importable(place.path.parent)
    experiment = load_experiment(place.path)
    if place.estimator is not None:
        experiment = with_estimator(experiment, place.estimator)
    cache = place.results / ".cache"
    origin = open_events(experiment, place.path, cache, stage)
    opened = Opened(place=place, experiment=experiment, origin=origin, cache=cache)
    if place.days is None:
        return opened
    tapes = [opened.tape(symbol) for symbol in experiment.symbols]
    return replace(opened, experiment=shortened(experiment, tapes, place.days))
