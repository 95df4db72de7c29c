"""A map that somebody else has published, beside the mark and σ of the tape.

What is claimed comes from the map's rows; the mark, σ, the grid and open interest come from events
with `ts_known < at`, by the same rules as for every other estimator. So a published map is an
estimator that learns nothing: it is replayed and scored like one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.errors import ConfigError
from liqbt.estimators.base import MapEstimator
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.emission import NO_ISSUE, Issue
from liqbt.estimators.published.kernels import issue_published
from liqbt.estimators.state import read_only
from liqbt.types import Clusters, IntArray, Ns

__all__ = ["PublishedLevels", "PublishedMap"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublishedLevels:
    """The rows of a published map of one market, by time of issue.

    Attributes
    ----------
    at : ndarray of int64, shape (n_times,)
        Times of issue, ns UTC, rising.
    offsets : ndarray of int64, shape (n_times + 1,)
        Rows `offsets[i]:offsets[i + 1]` are those of `at[i]`.
    levels : ndarray of CLUSTER_DTYPE, shape (n_rows,)
        The rows, at each time shorts first, then from the mark outward; disjoint within a side,
        `low < high`. Their `density_rank` is not read. Read-only.
    """

    at: IntArray
    offsets: IntArray
    levels: Clusters

    def issued(self, at: Ns) -> Clusters:
        """Return the rows of `at`; none where nothing was published at that very time."""
        i = int(np.searchsorted(self.at, at))
        known = i < len(self.at) and int(self.at[i]) == at
        return self.levels[self.offsets[i] : self.offsets[i + 1] if known else self.offsets[i]]


class PublishedMap(MapEstimator):
    """Clusters and densities as published; only the mark, σ and open interest are of the tape.

    The clusters are the rows themselves. The density spreads each row's notional evenly in log
    price over it; what lies in the mark's own bin, on the wrong side of it, or beyond the reach is
    in no bin.

    Parameters
    ----------
    params : MapParams
        Grid, σ and reach; prominence is not used.
    market : MarketSpec
        The market.
    published : PublishedLevels
        What was published, and when.

    Raises
    ------
    ConfigError
        If more rows were published at one time than a forecast can hold.
    """

    def __init__(self, params: MapParams, market: MarketSpec, published: PublishedLevels) -> None:
        super().__init__(params, market)
        self.published = published
        most, room = int(np.diff(published.offsets).max(initial=0)), self._emission.room
        if most > room:
            raise ConfigError(
                f"{market.symbol}: {most} rows were published at one time; expected at most {room}"
            )

    def _issue(self, at: Ns) -> Issue:
        levels = self.published.issued(at)
        if not len(levels):
            return NO_ISSUE
        issue: Issue = issue_published(self._market, at, self._emission.scratch, read_only(levels))
        return issue
