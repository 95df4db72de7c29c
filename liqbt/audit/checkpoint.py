"""Checkpoint: a replay stopped anywhere and resumed goes on bit for bit.

Everything that an estimator carries from one call to the next must be in `state()`, and what that
returns must be its own: it is saved to disk, loaded elsewhere, and restored into estimators fresh
and used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.audit.subject import Subject
from liqbt.audit.values import AuditResult, Difference, Trial, compared, hashed
from liqbt.errors import DataError
from liqbt.replay import (
    Checkpoint,
    Estimator,
    State,
    copied,
    load_checkpoint,
    replay,
    replay_from,
    save_checkpoint,
)
from liqbt.study.summary import iso
from liqbt.study.traces import AuditTrace, forecast_items
from liqbt.types import Events, Forecast, Ns

Resume: TypeAlias = Callable[[Sequence[Path]], Sequence[Sequence[AuditTrace]]]


class _BrokenError(Exception):
    """`state()` or `restore()` raised, or returned what cannot be saved."""

    def __init__(self, at: Ns, what: str, how: str) -> None:
        super().__init__(how)
        self.at, self.what, self.how = at, what, how


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """Where a replay was stopped: its file, what was returned, and its bytes at that moment."""

    at: Ns
    issued: int
    path: Path
    state: State
    before: AuditTrace


def checkpoints(
    subject: Subject,
    folder: Path,
    *,
    points: int = 4,
    rng: np.random.Generator,
    resume: Resume | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Hold a market to the promise that a replay can be stopped and resumed anywhere.

    Half of the points lie right after a forecast, half in the middle of the events before one. The
    trials, until one fails: taking the state leaves no trace, on the replay or in what was
    returned; from each checkpoint, as loaded from disk, into a fresh estimator, into one that has
    seen the whole tape, and in a new process.

    Parameters
    ----------
    subject : Subject
        The market.
    folder : Path
        Where checkpoints are written.
    points : int
        How many, spread over the tape.
    rng : numpy.random.Generator
        Chooses them.
    resume : callable, optional
        Resumes checkpoints in another process: from their files to the forecasts after each,
        `hashed`.
    progress : callable, optional
        Called with the trials done, of how many.

    Raises
    ------
    DataError
        If nothing is issued at all: that is no pass.
    """
    honest = forecast_items(
        subject.symbol,
        replay(subject.tape, subject.make(), subject.times, batch=1 << 62),
    )
    if not honest:
        raise DataError(f"{subject.symbol}: nothing was issued, so there is nothing to audit")
    broken: list[_BrokenError] = []
    trials = _unbroken(_trials(subject, honest, folder, points, rng, resume), broken)
    found = compared("checkpoint", trials, 1 + points * (4 if resume is None else 5), progress)
    if not broken:
        return found
    (error,) = broken
    first = Difference(
        trial="stopped and resumed",
        at=error.at,
        what=f"{error.what} {subject.symbol}",
        field=error.how,
    )
    return replace(found, trials=found.trials + 1, first=first)


def _unbroken(trials: Iterable[Trial], broken: list[_BrokenError]) -> Iterator[Trial]:
    """Yield the trials up to one that breaks, which is noted."""
    try:
        yield from trials
    except _BrokenError as error:
        broken.append(error)


def _trials(
    subject: Subject,
    honest: list[AuditTrace],
    folder: Path,
    points: int,
    rng: np.random.Generator,
    resume: Resume | None,
) -> Iterator[Trial]:
    """Yield a name, what is expected and what was issued or held."""
    stops: list[_Stop] = []
    used = subject.make()
    tapped = _Tapped(subject, used, folder, stops, *_chosen(subject, honest[0].at, points, rng))
    forecasts = replay(subject.tape, tapped, subject.times, batch=1 << 62)
    yield "state() called on the way", honest, forecast_items(subject.symbol, forecasts)
    for stop in stops:
        kept = [_as_item(stop.at, stop.state)]
        yield (
            "what state() had returned, looked at again at the end",
            [stop.before],
            kept,
        )
    for name, make in (("fresh", subject.make), ("used", lambda: used)):
        for stop in stops:
            trial = f"resumed at {iso(stop.at)} in a {name} estimator"
            checkpoint = load_checkpoint(stop.path)
            yield (
                trial,
                _rest(honest, stop, subject),
                _resumed(subject, checkpoint, make(), stop),
            )
            held = [_as_item(stop.at, checkpoint.state)]
            yield f"{trial}: the arrays that restore() was given", [stop.before], held
    if resume is not None:
        found = resume([stop.path for stop in stops])
        for stop, items in zip(stops, found, strict=True):
            trial = f"resumed at {iso(stop.at)} in a new process"
            yield trial, hashed(_rest(honest, stop, subject)), items


def _chosen(
    subject: Subject, first: Ns, points: int, rng: np.random.Generator
) -> tuple[set[int], set[int]]:
    """Choose after how many forecasts, and after how many events, the state is taken."""
    cuts = np.searchsorted(subject.tape.events["ts_known"], subject.times, side="left")
    begin = int(np.searchsorted(subject.times, first))
    edges = np.linspace(begin, len(cuts) - 1, points + 1).astype(int)
    after: set[int] = set()
    within: set[int] = set()
    for i in range(points):
        low, high = int(edges[i]), int(max(edges[i + 1], edges[i] + 1))
        asked = int(rng.integers(low, high)) + 1
        if i % 2 == 0 or asked >= len(cuts) or cuts[asked] - cuts[asked - 1] < 2:
            after.add(asked)
        else:
            within.add(int(rng.integers(cuts[asked - 1] + 1, cuts[asked])))
    return after, within


class _Tapped:
    """The inner estimator, whose state is taken and saved at the places chosen."""

    def __init__(
        self,
        subject: Subject,
        inner: Estimator,
        folder: Path,
        stops: list[_Stop],
        after: Collection[int],
        within: Collection[int],
    ) -> None:
        self.subject, self.inner, self.folder, self.stops = (
            subject,
            inner,
            folder,
            stops,
        )
        self.after, self.within = after, sorted(within)
        self.seen = self.asked = 0

    def update(self, events: Events) -> None:
        start, end = 0, self.seen + len(events)
        for position in self.within:
            if self.seen < position < end:
                stop = start + position - self.seen
                self.inner.update(copied(events, start, stop))
                start, self.seen = stop, position
                self._take()
        self.inner.update(copied(events, start, len(events)))
        self.seen = end

    def forecast(self, at: Ns) -> Forecast | None:
        issued = self.inner.forecast(at)
        self.asked += 1
        if self.asked in self.after:
            self._take()
        return issued

    def _take(self) -> None:
        times = self.subject.times
        at = int(times[min(self.asked, len(times) - 1)])
        state = _state(self.inner, at)
        before = _as_item(at, state)
        path = self.folder / f"{self.subject.symbol}-{len(self.stops)}.npz"
        checkpoint = Checkpoint(
            tape=self.subject.tape.digest,
            position=self.seen,
            issued=self.asked,
            state=state,
        )
        save_checkpoint(checkpoint, path)
        self.stops.append(_Stop(at=at, issued=self.asked, path=path, state=state, before=before))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return self.inner.state()

    def restore(self, state: State) -> None:
        self.inner.restore(state)


def _state(estimator: Estimator, at: Ns) -> State:
    """Return the estimator's state, if it can be saved."""
    try:
        state = estimator.state()
    except Exception as error:
        raise _BrokenError(at, "state()", f"raised {type(error).__name__}: {error}") from error
    if not isinstance(state, dict) or not state:
        raise _BrokenError(at, "state()", f"returned {state!r:.60}, not a dict of arrays")
    for name, value in state.items():
        if not isinstance(name, str) or np.asarray(value).dtype.hasobject:
            raise _BrokenError(at, "state()", f"{name!r} is no array of plain values")
    return state


def _as_item(at: Ns, state: State) -> AuditTrace:
    """Return a state as an item, so that it can be compared like one."""
    arrays = {name: np.asarray(value) for name, value in state.items()}
    fields = {k: f"{v.dtype}{v.shape}".encode() + v.tobytes() for k, v in arrays.items()}
    return AuditTrace(at=at, what="state", fields=fields)


def _rest(honest: list[AuditTrace], stop: _Stop, subject: Subject) -> list[AuditTrace]:
    """Return what was issued after a stop."""
    last = int(subject.times[stop.issued - 1]) if stop.issued else -1
    return [item for item in honest if item.at > last]


def _resumed(
    subject: Subject, checkpoint: Checkpoint, estimator: Estimator, stop: _Stop
) -> list[AuditTrace]:
    try:
        estimator.restore(checkpoint.state)
    except Exception as error:
        how = f"raised {type(error).__name__}: {error}"
        raise _BrokenError(stop.at, "restore()", how) from error
    steps = replay_from(checkpoint, subject.tape, estimator, subject.times)
    return forecast_items(subject.symbol, [f for _, f in steps if f is not None])
