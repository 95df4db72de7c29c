"""What estimators of this package share: a market folded in, a map issued from it, state in arrays.

An estimator of one's own needs none of it: `liqbt.replay.Estimator` says what is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy.typing as npt

from liqbt.estimators.config import MapConfig
from liqbt.estimators.emission import Emission, Issue
from liqbt.estimators.kernels import fill_grid, fold_market
from liqbt.estimators.state import State, market_arrays, read_only, restored
from liqbt.types import Events, Forecast, Ns


class MapEstimator(ABC):
    """An estimator whose state is arrays and whose forecasts one kernel call makes.

    Parameters
    ----------
    config : MapConfig
        Price, grid and reach; any further keys of a subclass are not used here.
    """

    def __init__(self, config: MapConfig) -> None:
        self.config = config
        self._market = market_arrays(config)
        self._emission = Emission(config, self._market)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        fold_market(read_only(events), self._market)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`.

        None while σ is unknown, the mark is off the grid or too little is known for a map.
        """
        return self._emission.forecast(at, self._issue(at))

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

    @abstractmethod
    def _issue(self, at: Ns) -> Issue:
        """Return what the kernel says of the map at `at`; its σ is NaN for no forecast."""

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that the state is made of, by name; a subclass adds its own."""
        market = self._market
        return {"head": market.head, "slots": market.slots, "evidence": market.evidence}
