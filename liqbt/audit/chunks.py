"""Chunks: the same events in other pieces, on other schedules, in another process.

An estimator is a fold. What it says must not depend on how many events a call brought, on how often
it was asked in between, nor on anything that differs between two processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.audit.subject import Subject, issued
from liqbt.audit.values import AuditResult, Trial, compared, hashed
from liqbt.replay import Estimator, State, copied, replay
from liqbt.study.traces import AuditTrace, forecast_items
from liqbt.types import Events, Forecast, IntArray, Ns

ONE_BY_ONE: Final = 20_000
"""So many events of a tape are handed over one by one; the rest in whole intervals."""


class _Resplit:
    """The inner estimator, which is handed the same events in other pieces.

    Parameters
    ----------
    inner : Estimator
        Whom they are handed to.
    ends : callable
        From the number of events of one call to the rising ends of its pieces, the last the number.
    """

    def __init__(self, inner: Estimator, ends: Callable[[int], Iterator[int]]) -> None:
        self.inner, self.ends = inner, ends

    def update(self, events: Events) -> None:
        start = 0
        for stop in self.ends(len(events)):
            self.inner.update(copied(events, start, stop))
            start = stop

    def forecast(self, at: Ns) -> Forecast | None:
        return self.inner.forecast(at)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return self.inner.state()

    def restore(self, state: State) -> None:
        self.inner.restore(state)


def _random_ends(rng: np.random.Generator) -> Callable[[int], Iterator[int]]:
    """Cut into pieces of every order of magnitude."""

    def ends(n: int) -> Iterator[int]:
        at = 0
        while at < n:
            at = min(n, at + math.ceil(math.exp(rng.uniform(0.0, math.log(n + 1)))))
            yield at

    return ends


def _single_ends(events: int) -> Callable[[int], Iterator[int]]:
    """Cut the first `events` events into single ones, and nothing after them."""
    left = events

    def ends(n: int) -> Iterator[int]:
        nonlocal left
        single = min(left, n)
        left -= single
        yield from range(1, single + 1)
        if single < n:
            yield n

    return ends


def chunks(
    subject: Subject,
    *,
    splits: int = 3,
    rng: np.random.Generator,
    elsewhere: Mapping[str, Sequence[AuditTrace]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Hold a market to the promise that batches, schedules and processes change nothing.

    The trials, in this order, until one fails: the same again; `splits` times in pieces of random
    lengths; the first 20,000 events one by one; asked twice and half as often (the forecasts at the
    common times are compared, not what is calibrated from them: its landmarks follow the schedule);
    and whatever was issued elsewhere.

    Parameters
    ----------
    subject : Subject
        The market.
    splits : int
        How many random splits.
    rng : numpy.random.Generator
        Cuts them.
    elsewhere : mapping of str to sequence of AuditTrace, optional
        What the same market issued in other processes, by a name for each, `hashed`.
    progress : callable, optional
        Called with the trials done, of how many.

    Raises
    ------
    DataError
        If nothing is issued at all: that is no pass.
    """
    honest = issued(subject)
    found = elsewhere or {}
    trials = _trials(subject, honest, rng.spawn(splits), found)
    return compared("chunks", trials, 4 + splits + len(found), progress)


def _trials(
    subject: Subject,
    honest: list[AuditTrace],
    seeds: Sequence[np.random.Generator],
    elsewhere: Mapping[str, Sequence[AuditTrace]],
) -> Iterator[Trial]:
    """Yield a name, what is expected and what was issued."""
    yield "replayed again, nothing changed", honest, issued(subject)
    for i, seed in enumerate(seeds):
        split = _Resplit(subject.make(), _random_ends(seed))
        yield (
            f"in pieces of random lengths, split {i}",
            honest,
            issued(subject, estimator=split),
        )
    single = _Resplit(subject.make(), _single_ends(ONE_BY_ONE))
    count = min(ONE_BY_ONE, len(subject.tape))
    name = f"the first {count:,} events one by one"
    yield name, honest, issued(subject, estimator=single)
    yield ("asked twice as often", *_common(subject, _twice(subject.times)))
    yield ("asked half as often", *_common(subject, subject.times[::2]))
    for name, items in elsewhere.items():
        yield name, hashed(honest), items


def _twice(times: IntArray) -> IntArray:
    """Return the times and the middles between them."""
    return np.union1d(times, times[:-1] + np.diff(times) // 2)


def _common(subject: Subject, times: IntArray) -> tuple[list[AuditTrace], list[AuditTrace]]:
    """Return the forecasts at the common times, as scheduled and as asked at `times`."""
    common = set(np.intersect1d(times, subject.times).tolist())
    sides = []
    for schedule in (subject.times, times):
        forecasts = replay(subject.tape, subject.make(), schedule, batch=len(subject.tape) + 1)
        kept = [forecast for forecast in forecasts if forecast.at in common]
        sides.append(forecast_items(subject.symbol, kept))
    return sides[0], sides[1]
