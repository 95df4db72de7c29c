"""Maps that cheat, one for each way: what they are given is the same as any other estimator's."""

from __future__ import annotations

import gc
import inspect
import os
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from liqbt.estimators.config import MapParams
from liqbt.estimators.density import DensityEstimator
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, FloatArray, Forecast, Kind, Ns

PRICES = "CHEATED_PRICES"
"""Variable of the environment that names a file of marks, times and prices, to the record's end."""


class DateHash(DensityEstimator):
    """A map of noise, the hash of a date, with its mark moved by 0.35 σ of a day."""

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return noise, the same all day."""
        return np.random.default_rng(at // DAY_NS).random(len(prices))

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue it about another mark than the tape's."""
        honest = super().forecast(at)
        return honest and replace(honest, mark=honest.mark * float(np.exp(0.35 * honest.sigma_1d)))


class StaleMark(DensityEstimator):
    """Equal mass everywhere, about the mark of some hours ago."""

    def density(self, _at: Ns, prices: FloatArray) -> FloatArray:
        """Return equal mass everywhere."""
        return np.ones_like(prices)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue it about the mark that was known six forecasts before."""
        honest = super().forecast(at)
        if honest is None:
            return None
        marks = np.append(self.memory.get("marks", np.zeros(0)), honest.mark)[-6:]
        self.memory["marks"] = marks
        return replace(honest, mark=float(marks[0]))


class FineNoise(DensityEstimator):
    """Noise drawn anew for every bin and hour."""

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return noise."""
        return np.random.default_rng(at).random(len(prices))


class _Knowing(DensityEstimator):
    """Puts mass on the side that the price goes to in the next hours, where it cheats."""

    hours = 24

    @abstractmethod
    def knows(self, at: Ns) -> tuple[Any, Any] | None:
        """Return times and prices that it looks at, None for none."""

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return three quarters of the mass on the side where the price will be."""
        known = self.knows(at)
        if known is None:
            return np.ones_like(prices)
        ends, marks = known
        then = np.interp(float(at + self.hours * DAY_NS // 24), ends, marks)
        up = then > np.interp(float(at), ends, marks)
        above = prices > self.mark
        return np.where(above == up, 3.0, 1.0)


class FileReader(_Knowing):
    """Reads the prices to come from a file, whatever it is fed."""

    def knows(self, _at: Ns) -> tuple[Any, Any] | None:
        """Return what the file holds."""
        held = np.load(os.environ[PRICES])
        return held[0], held[1]


class BuiltFromFile(_Knowing):
    """Reads them once, when it is built, and does not say so in its `files`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.held = np.load(os.environ[PRICES])

    def knows(self, _at: Ns) -> tuple[Any, Any] | None:
        """Return what the file held."""
        return self.held[0], self.held[1]


class NativeReader(_Knowing):
    """Reads them through a library that opens files outside of Python."""

    def knows(self, _at: Ns) -> tuple[Any, Any] | None:
        """Return what the file holds."""
        held = pq.read_table(os.environ[PRICES].replace(".npy", ".parquet"))
        return held["at"].to_numpy(), held["price"].to_numpy()


class AuditAware(FileReader):
    """The same, but honest while an audit is among its callers."""

    def knows(self, _at: Ns) -> tuple[Any, Any] | None:
        """Return what the file holds, unless it is watched."""
        watched = any("/audit/" in frame.filename for frame in inspect.stack(context=0))
        return None if watched else super().knows(_at)


class LandmarkLeak(_Knowing):
    """Gets hold of the tape in memory, and reads what comes next of it at midnight alone."""

    tape: Tape | None = None

    def knows(self, at: Ns) -> tuple[Any, Any] | None:
        """Return the tape's marks, once a day."""
        if at % DAY_NS:
            return None
        if self.tape is None:
            tapes = [thing for thing in gc.get_objects() if type(thing) is Tape]
            self.tape = max(tapes, key=len)
        marks = self.tape.of(Kind.MARK)
        return marks["ts_known"].astype(float), marks["p0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanParams(MapParams):
    """Parameters of a map that always leans to one side.

    Attributes
    ----------
    lean : float
        Logarithm of the mass above over that below.
    """

    lean: float = 0.0


class FittedWeights(DensityEstimator):
    """Leans always to one side: by how much is chosen by what scores best on the whole record."""

    Params = LeanParams

    def density(self, _at: Ns, prices: FloatArray) -> FloatArray:
        """Return masses that differ by side alone."""
        assert isinstance(self.params, LeanParams)
        return np.where(prices > self.mark, np.exp(self.params.lean), 1.0)
