"""Deliberate cheaters, one for each way to break a promise; every one must fail its audit.

They wrap the reference estimator and shift what it says by something that it must not know: the
future, the size of a batch, the schedule, the process, the order of loading, a coin.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np

from liqbt.estimators.density import DensityEstimator
from liqbt.estimators.oi_flow import OIFlow
from liqbt.log.store import EventLog
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, HOUR_NS, Events, Forecast, Kind, Ns


class _Wrapper:
    """The reference estimator, whose asymmetry is nudged by `peek()`."""

    Params = OIFlow.Params
    needs = OIFlow.needs
    needs_margin = True

    def __init__(self, params: Any, market: Any) -> None:
        self.inner = OIFlow(params, market)

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
    return [thing for thing in gc.get_objects() if type(thing) is Tape]


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


class AtLandmarks(CapturedTape):
    """Looks up the next quarter of an hour, and only where a day begins."""

    def peek(self, at: Ns) -> float:
        if self.tape is None or at % DAY_NS:
            return 0.0
        later = self.tape.events[self.tape.prefix_index(at) :]
        return 1e-3 * mean_log(later["p0"][:6])


class FullSampleConstants(_Wrapper):
    """Fits a constant to the whole sample when it is built, and never looks again."""

    def __init__(self, params: Any, market: Any) -> None:
        super().__init__(params, market)
        tapes = tapes_in_memory()
        self.constant = 1e-3 * mean_log(max(tapes, key=len).events["p0"] if tapes else np.ones(1))

    def peek(self, at: Ns) -> float:
        return self.constant


class CountsQuestions(_Wrapper):
    """Says something else the more often it was asked; confesses the count in its state."""

    asked = 0

    def peek(self, at: Ns) -> float:
        self.asked += 1
        return 1e-6 * self.asked

    def state(self) -> dict[str, Any]:
        return {**super().state(), "asked": np.array([self.asked])}

    def restore(self, state: Any) -> None:
        self.asked = int(state["asked"][0])
        super().restore({k: v for k, v in state.items() if k != "asked"})


class CountsUpdates(_Wrapper):
    """Says something else the more calls brought the same events; confesses the count."""

    calls = 0

    def update(self, events: Events) -> None:
        self.calls += 1
        super().update(events)

    def peek(self, at: Ns) -> float:
        return 1e-6 * self.calls

    def state(self) -> dict[str, Any]:
        return {**super().state(), "calls": np.array([self.calls])}

    def restore(self, state: Any) -> None:
        self.calls = int(state["calls"][0])
        super().restore({k: v for k, v in state.items() if k != "calls"})


class HashOfAWord(_Wrapper):
    """Follows `hash()` of a string, which every process salts anew."""

    def peek(self, at: Ns) -> float:
        return 1e-9 * (hash("liqbt") % 1_000_003)


class HiddenState(_Wrapper):
    """Remembers the first price, and forgets to say so in its state."""

    first: float | None = None

    def update(self, events: Events) -> None:
        if self.first is None:
            self.first = float(events["p0"][0])
        super().update(events)

    def peek(self, at: Ns) -> float:
        return 1e-9 * (self.first or 0.0)


class AliasedState(_Wrapper):
    """Hands out the very array that it goes on writing to."""

    def __init__(self, params: Any, market: Any) -> None:
        super().__init__(params, market)
        self.count = np.zeros(1)

    def update(self, events: Events) -> None:
        self.count += len(events)
        super().update(events)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "count": self.count}

    def restore(self, state: Any) -> None:
        self.count = state["count"].copy()
        super().restore({k: v for k, v in state.items() if k != "count"})


class KeptState(AliasedState):
    """Goes on writing to the array that it was given."""

    def state(self) -> dict[str, Any]:
        return {**_Wrapper.state(self), "count": self.count.copy()}

    def restore(self, state: Any) -> None:
        super().restore(state)
        self.count = state["count"]


class NoRestore(_Wrapper):
    """Cannot go on from a state at all."""

    def restore(self, state: Any) -> None:
        raise KeyError("position")


class StateTouches(_Wrapper):
    """Being asked for its state changes what it says."""

    taken = 0

    def state(self) -> dict[str, Any]:
        self.taken += 1
        return super().state()

    def peek(self, at: Ns) -> float:
        return 1e-6 * self.taken


class ReadsLoadOrder(_Wrapper):
    """Looks for logs in memory and counts their commits: how the events were loaded."""

    def __init__(self, params: Any, market: Any) -> None:
        super().__init__(params, market)
        logs = [thing for thing in gc.get_objects() if type(thing) is EventLog]
        self.commits = sum(len(log.commits()) for log in logs if log.path.exists())

    def peek(self, at: Ns) -> float:
        return 1e-4 * self.commits


class LastOfTheInstant(_Wrapper):
    """Takes the last liquidation that it was handed for the newest, also among those that tie."""

    last = 0.0

    def update(self, events: Events) -> None:
        mine = events[events["kind"] == Kind.LIQUIDATION]
        if len(mine):
            self.last = float(mine["p1"][-1])
        super().update(events)

    def peek(self, at: Ns) -> float:
        return 1e-3 * self.last

    def state(self) -> dict[str, Any]:
        return {**super().state(), "last": np.array([self.last])}

    def restore(self, state: Any) -> None:
        self.last = float(state["last"][0])
        super().restore({k: v for k, v in state.items() if k != "last"})


class Dice(_Wrapper):
    """Rolls a die that nobody seeded."""

    def peek(self, at: Ns) -> float:
        return 1e-3 * float(np.random.default_rng().random())


class StaleMark(_Wrapper):
    """Measures from an honest price, six hours old: it misleads whoever believes its mark."""

    def __init__(self, params: Any, market: Any) -> None:
        super().__init__(params, market)
        self.kind = market.price_kind
        self.seen: list[tuple[Ns, float]] = []

    def update(self, events: Events) -> None:
        prices = events[events["kind"] == self.kind]
        self.seen += zip(prices["ts_event"].tolist(), prices["p3"].tolist(), strict=True)
        super().update(events)

    def forecast(self, at: Ns) -> Forecast | None:
        honest = self.inner.forecast(at)
        old = [one for one in self.seen if one[0] <= at - 6 * HOUR_NS]
        return honest and replace(honest, mark_ts=old[-1][0], mark=old[-1][1])


class DateHash(DensityEstimator):
    """A map that is the hash of a date, with its mark moved toward the next hour's coin."""

    moved = 0.35

    def density(self, at: Ns, prices: Any) -> Any:
        return np.random.default_rng(at // DAY_NS).random(len(prices))

    def forecast(self, at: Ns) -> Forecast | None:
        honest = super().forecast(at)
        return honest and replace(
            honest, mark=honest.mark * float(np.exp(self.moved * honest.sigma_1d))
        )


class UnmovedDateHash(DateHash):
    """The same with an honest mark: a map of noise, no cheat."""

    moved = 0.0
