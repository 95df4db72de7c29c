"""The reference estimator as an object: state in arrays, one kernel call per slice or forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import MarginError
from liqbt.estimators.base import MapEstimator
from liqbt.estimators.emission import Issue
from liqbt.estimators.oi_flow.config import OIFlowConfig, plan_of
from liqbt.estimators.oi_flow.kernels import Book, fold, issue
from liqbt.estimators.state import read_only
from liqbt.types import Events, Ns


class OIFlow(MapEstimator):
    """Open interest in at traded prices, out where the mark passes: see the package's docstring.

    Parameters
    ----------
    config : OIFlowConfig
        The assumptions.
    """

    config: OIFlowConfig

    def __init__(self, config: OIFlowConfig) -> None:
        super().__init__(config)
        self._plan = plan_of(config)
        self._book = book_arrays(len(config.leverages), len(self._market.centres))
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

    def _issue(self, at: Ns) -> Issue:
        """As asked for; σ is NaN before the first open interest, too."""
        result: Issue = issue(at, *self._work)
        return result

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        book = self._book
        return {
            **super()._arrays(),
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
