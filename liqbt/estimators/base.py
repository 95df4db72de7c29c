"""What estimators of this package share: a market folded in, a map issued from it, state in arrays.

An estimator of one's own needs none of it: `liqbt.replay.Estimator` says what is asked for, and
`liqbt.estimators.DensityEstimator` is the short way.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, MarginError
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.emission import Emission, Issue, issued_arrays
from liqbt.estimators.kernels import fill_grid, fold_market
from liqbt.estimators.state import Contracts, State, market_arrays, read_only, restored
from liqbt.forecasts import ForecastBatch
from liqbt.types import EVENT_DTYPE, Events, Forecast, IntArray, Kind, Ns

_REGISTERED: Final[dict[str, type]] = {}
_Class = TypeVar("_Class", bound=type)
_NO_EVENTS: Final = np.frombuffer(b"", dtype=EVENT_DTYPE)
_NO_TIMES: Final = np.zeros(0, dtype=np.int64)
_NOW: Final = np.zeros(1, dtype=np.int64)


def registered(name: str) -> Callable[[_Class], _Class]:
    """Return a decorator that gives a built-in estimator's class the name that experiments use.

    One of your own needs none: experiments name it as `module:Class`.

    Raises
    ------
    ConfigError
        From the decorator, if another class has the name, or this one is not of this package.
    """

    def under(cls: _Class) -> _Class:
        held, package = _REGISTERED.get(name, cls), __name__.rpartition(".")[0]
        if not cls.__module__.startswith(f"{package}."):
            raise ConfigError(
                f"{cls.__module__}:{cls.__qualname__} cannot be registered as '{name}': only "
                f"classes of {package} are; name your own as module:Class"
            )
        if (held.__module__, held.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigError(
                f"estimator '{name}' is {held.__module__}:{held.__qualname__} already; expected "
                f"another name for {cls.__module__}:{cls.__qualname__}"
            )
        _REGISTERED[name] = cls
        return cls

    return under


def registered_estimators() -> dict[str, Any]:
    """Return the class of every built-in estimator by its name: those of this package's modules."""
    _import_modules()
    return dict(sorted(_REGISTERED.items()))


@cache
def _import_modules() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{package}."):
        importlib.import_module(module.name)


class MarketEstimator:
    """An estimator whose state is arrays: the market's, and its own.

    Parameters
    ----------
    params : MapParams
        An instance of the class's own `Params`.
    market : MarketSpec
        The market that it is made for.

    Attributes
    ----------
    Params : type
        What `params` of an experiment are checked against: a frozen dataclass or a pydantic model.
    needs : tuple of Kind
        The kinds of events that it reads and cannot do without, besides a price.
    needs_any : tuple of Kind
        Kinds of which it cannot do without one at least.
    needs_margin : bool
        Whether it cannot do without the venue's margin tiers.
    """

    Params: ClassVar[type[MapParams]] = MapParams
    needs: ClassVar[tuple[Kind, ...]] = ()
    needs_any: ClassVar[tuple[Kind, ...]] = ()
    needs_margin: ClassVar[bool] = False

    def __init__(self, params: MapParams, market: MarketSpec) -> None:
        self.params = params
        self.market = market
        self._market = market_arrays(params, market)
        self._contracts = Contracts(market) if market.inverse and self.needs_margin else None
        by_contract = self._contracts is not None
        self._emission = Emission(params, market.symbol, self._market, by_contract=by_contract)

    def _read(self, events: Events) -> Events:
        """Return events as kernels take them: of an inverse market, sizes in USD, not in coins."""
        return read_only(events if self._contracts is None else self._contracts.in_usd(events))

    @property
    def mark(self) -> float:
        """The last price, USD; 0 while none is known."""
        return float(self._market.head[0]["mark"])

    @property
    def open_interest_usd(self) -> float:
        """Open interest at the last snapshot, one side, valued at the mark; 0 while none is."""
        held = float(self._market.head[0]["open_interest_coins"])
        return held * (self.mark if self._contracts is None else 1.0)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that is needed to go on bit for bit."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: State) -> None:
        """Go on from `state`, which an estimator of the same configuration returned.

        Raises
        ------
        DataError
            If it was another estimator, or another configuration.
        """
        restored(self._arrays(), state)
        fill_grid(self._market)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that the state is made of, by name; a subclass adds its own."""
        market = self._market
        known = {} if self._contracts is None else {"last_price": self._contracts.last_price}
        return {"head": market.head, "slots": market.slots, "evidence": market.evidence, **known}


class MapEstimator(MarketEstimator, ABC):
    """An estimator whose forecasts one kernel call each makes.

    Parameters
    ----------
    params, market
        As in `MarketEstimator`.
    """

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        fold_market(self._read(events), self._market)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`.

        None while σ is unknown, the mark is off the grid or too little is known for a map.
        """
        return self._emission.forecast(at, self._issue(at))

    @abstractmethod
    def _issue(self, at: Ns) -> Issue:
        """Return what the kernel says of the map at `at`; its σ is NaN for no forecast."""


class BatchEstimator(MarketEstimator, ABC):
    """An estimator whose one kernel takes in events and issues at many times on the way.

    Parameters
    ----------
    params, market
        As in `MarketEstimator`.
    """

    def __init__(self, params: MapParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self._issued = issued_arrays(self._emission.scratch)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order.

        Raises
        ------
        MarginError
            As `forecast_batches`.
        """
        for _ in self.forecast_batches(events, _NO_TIMES, _NO_TIMES):
            pass

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`.

        None while σ is unknown, the mark is off the grid or too little is known for a map.
        """
        for batch in self.forecast_batches(_NO_EVENTS, _NOW, np.array([at])):
            if len(batch):
                return batch[0]
        return None

    def forecast_batches(
        self, events: Events, cuts: IntArray, at: IntArray
    ) -> Iterator[ForecastBatch]:
        """Take in the next events, and issue on the way.

        Parameters
        ----------
        events : ndarray of EVENT_DTYPE
            The next events of this market, in canonical order.
        cuts, at : ndarray of int64, shape (n,)
            The forecast at `at[i]` is made of `events[:cuts[i]]` and what came before; both rise.

        Yields
        ------
        ForecastBatch
            What was issued; not at each time need there be a forecast.

        Raises
        ------
        MarginError
            If an event of a date is met on which the venue's tiers are unknown, or allow nothing of
            what is configured.
        """
        if self._contracts is None:
            read = read_only(events)
        else:  # what came before the first price is left out
            parts = [self._read(part) for part in np.split(events, cuts)]
            read = read_only(np.concatenate(parts))
            cuts = np.cumsum([len(part) for part in parts[:-1]], dtype=np.int64)
        cuts, at = np.ascontiguousarray(cuts), np.ascontiguousarray(at)  # as kernels are compiled
        done = 0
        while True:
            done = self._run(read, cuts, at, done)
            if done < 0:
                raise self._refused(int(read["ts_event"][-1 - done]))
            yield self._emission.batch(self._issued)
            if done > len(at):
                return

    @abstractmethod
    def _run(self, events: Events, cuts: IntArray, at: IntArray, first: int) -> int:
        """Go on from before the forecast `first`, and return up to before which there was room.

        One more than there are: all events are taken in. Below 0: -1 less the row of one that
        cannot be.
        """

    @abstractmethod
    def _refused(self, ts_event: Ns) -> MarginError:
        """Return why an event of that time cannot be taken in."""
