"""Small honest things that tests share: a tape of marks and open interest, and an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from liqbt.estimators.config import Duration
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import (
    CLUSTER_DTYPE,
    DAY_NS,
    EVENT_DTYPE,
    MINUTE_NS,
    DensityGrid,
    Events,
    Forecast,
    Instrument,
    Kind,
    Ns,
)

START = 1_735_689_600 * 10**9


def toy_tape(n: int = 600, seed: int = 0, step_ns: int = 5 * MINUTE_NS) -> Tape:
    """Mark and open interest every five minutes, known a minute later."""
    rng = np.random.default_rng(seed)
    events = np.zeros(2 * n, EVENT_DTYPE)
    at = START + np.arange(1, n + 1) * step_ns
    price = 50_000 * np.exp(np.cumsum(rng.normal(0, 0.001, n)))
    for offset, kind in ((0, Kind.MARK), (1, Kind.OPEN_INTEREST)):
        rows = events[offset::2]
        rows["kind"] = kind
        rows["ts_event"] = at
        rows["ts_known"] = at + MINUTE_NS
        for i in range(5):
            rows[f"p{i}"] = np.nan
    for i in range(4):
        events[f"p{i}"][0::2] = price
    events["p0"][1::2] = 90_000 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
    return tape_from_events(events, (Instrument("toy", "TOY"),))


class Toy:
    """Remembers the last mark and a running sum; issues one cluster on each side of the mark."""

    def __init__(self, config: object = None) -> None:
        self.symbol = "TOY"
        self.mark, self.mark_ts, self.known, self.total = np.nan, 0, -1, 0.0
        del config

    def update(self, events: Events) -> None:
        self.known = int(events["ts_known"][-1])
        marks = events[events["kind"] == Kind.MARK]
        for row in marks:
            self.total += float(row["p3"])
            self.mark, self.mark_ts = float(row["p3"]), int(row["ts_event"])

    def forecast(self, at: Ns) -> Forecast | None:
        if np.isnan(self.mark):
            return None
        clusters = np.zeros(2, CLUSTER_DTYPE)
        clusters["side"] = -1, 1
        clusters["low"] = self.mark * 1.01, self.mark * 0.98
        clusters["high"] = self.mark * 1.02, self.mark * 0.99
        clusters["peak"] = self.mark * 1.015, self.mark * 0.985
        clusters["notional_usd"] = self.total, self.total / 2
        clusters["density_rank"] = 1.0
        clusters.setflags(write=False)
        return Forecast(
            symbol=self.symbol,
            at=at,
            latest_known=self.known,
            mark=self.mark,
            mark_ts=self.mark_ts,
            sigma_1d=0.02,
            grid=DensityGrid(anchor=50_000.0),
            mark_bin=0,
            density_usd=np.ones((2, 10), np.float32),
            clusters=clusters,
            asymmetry=0.1,
            asymmetry_reach=0.1,
        )

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "floats": np.array([self.mark, self.total]),
            "integers": np.array([self.mark_ts, self.known]),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self.mark, self.total = (float(v) for v in state["floats"])
        self.mark_ts, self.known = (int(v) for v in state["integers"])


class OfSixDays(Toy):
    """A toy whose σ is of six days, and that has a parameter of its own."""

    class Params(BaseModel):
        sigma_window: Duration = 6 * DAY_NS
        step: str = "of its own"
