"""Deliberate cheaters, one for each way to see the future; every one must fail the audit.

They wrap the reference estimator and shift what it says by something that only the future knows.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np

from liqbt.estimators import OIFlow
from liqbt.tape import Tape
from liqbt.types import Events, Forecast, Ns


class _Wrapper:
    """The reference estimator, whose asymmetry is nudged by `peek()`."""

    def __init__(self, config: Any) -> None:
        self.inner = OIFlow(config)

    def update(self, events: Events) -> None:
        self.inner.update(events)

    def forecast(self, at: Ns) -> Forecast | None:
        honest = self.inner.forecast(at)
        if honest is None:
            return None
        return replace(honest, asymmetry=float(np.clip(honest.asymmetry + self.peek(at), -1, 1)))

    def peek(self, at: Ns) -> float:
        return 0.0

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def restore(self, state: Any) -> None:
        self.inner.restore(state)


def mean_log(values: Any) -> float:
    """Return the mean logarithm of what is positive, 0 where nothing is."""
    positive = values[values > 0]
    return float(np.log(positive).mean()) if len(positive) else 0.0


class Honest(_Wrapper):
    """The wrapper itself does not cheat: the audit must pass it."""


class ThroughBase(_Wrapper):
    """Climbs a slice's `.base` to the whole tape and reads prices that are not known yet."""

    seen: Any = None

    def update(self, events: Events) -> None:
        top = events
        while isinstance(top.base, np.ndarray):
            top = top.base
        self.seen = top
        super().update(events)

    def peek(self, at: Ns) -> float:
        if self.seen is None or self.seen.dtype.names is None:
            return 0.0
        later = self.seen[self.seen["ts_known"] >= at]
        return 1e-3 * mean_log(later["p0"][:50])


def tapes_in_memory() -> list[Tape]:
    """Every tape that is alive in this process."""
    return [thing for thing in gc.get_objects() if isinstance(thing, Tape)]


class CapturedTape(_Wrapper):
    """Gets hold of the tape itself and looks up what comes after the time of issue."""

    tape: Tape | None = None

    def update(self, events: Events) -> None:
        if self.tape is None:
            self.tape = max(tapes_in_memory(), key=len)
        super().update(events)

    def peek(self, at: Ns) -> float:
        if self.tape is None:
            return 0.0
        later = self.tape.events[self.tape.prefix_index(at) :]
        return 1e-3 * mean_log(later["p0"][:50])


class FullSampleConstants(_Wrapper):
    """Fits a constant to the whole sample when it is built, and never looks again."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        tapes = tapes_in_memory()
        self.constant = 1e-3 * mean_log(max(tapes, key=len).events["p0"] if tapes else np.ones(1))

    def peek(self, at: Ns) -> float:
        return self.constant
