"""The reference estimator as an object: state in arrays, one kernel call per slice or forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import MarginError
from liqbt.estimators.emission import Emission, Issue
from liqbt.estimators.kernels import fill_grid
from liqbt.estimators.oi_flow.config import OIFlowConfig, plan_of
from liqbt.estimators.oi_flow.kernels import Book, fold, issue
from liqbt.estimators.state import State, market_arrays, read_only, restored
from liqbt.types import Events, Forecast, Ns

__all__ = ["OIFlow"]


class OIFlow:
    """Open interest in at traded prices, out where the mark passes: see the package's docstring.

    Parameters
    ----------
    config : OIFlowConfig
        The assumptions.
    """

    def __init__(self, config: OIFlowConfig) -> None:
        self.config = config
        self._market = market_arrays(config)
        self._plan = plan_of(config)
        self._book = book_arrays(len(config.leverages), len(self._market.centres))
        self._emission = Emission(config, self._market)
        self._state = (tuple(self._market), tuple(self._book), tuple(self._plan))
        self._work = (*self._state, tuple(self._emission.scratch))

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order.

        Raises
        ------
        MarginError
            If open interest of a date is met on which the venue's tiers are unknown, or do not
            allow the configured brackets.
        """
        row = fold(read_only(events), *self._state)
        if row >= 0:
            tiers = self.config.tiers
            tiers.at(int(events["ts_event"][row]))
            date = int(np.searchsorted(tiers.effective_ns, events["ts_event"][row], "right")) - 1
            raise MarginError(self.config.unusable(date))

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`; None before the first price or open interest.

        None, too, while σ is unknown and while the mark lies beyond the grid.
        """
        result: Issue = issue(at, *self._work)
        return self._emission.forecast(at, result)

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
        market, book = self._market, self._book
        return {
            "head": market.head,
            "slots": market.slots,
            "evidence": market.evidence,
            "counts": book.counts,
            "bounds": book.bounds,
            "coins": book.coins,
            "scale": book.scale,
            "entries": book.entries,
        }


def book_arrays(n_brackets: int, n_grid: int) -> Book:
    """Return a book without positions."""
    return Book(
        counts=np.zeros((2, 2)),
        bounds=np.tile(np.array([n_grid, -1], dtype=np.int64), (5, 1)),
        coins=np.zeros((2, n_brackets, n_grid)),
        scale=np.ones((2, n_brackets)),
        entries=np.zeros((3, n_grid)),
    )
