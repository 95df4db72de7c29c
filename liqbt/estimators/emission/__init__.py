"""Issuing a forecast: the work arrays, and the one place where a `Forecast` is built."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.estimators.config import MapParams
from liqbt.estimators.emission.kernels import Scratch
from liqbt.estimators.kernels import Market
from liqbt.estimators.state import Head
from liqbt.types import CLUSTER_DTYPE, Forecast, Ns

__all__ = ["NO_ISSUE", "Emission", "Issue", "scratch_arrays"]

Issue: TypeAlias = tuple[float, int, npt.NDArray[np.float32], float, float, float]
"""What an estimator's kernel returns: σ over one day (NaN: no forecast), number of clusters,
densities, asymmetry, observed USD of longs and of shorts."""

NO_ISSUE: Final[Issue] = (math.nan, 0, np.empty((2, 0), dtype=np.float32), 0.0, 0.0, 0.0)


def scratch_arrays(params: MapParams) -> Scratch:
    """Return work arrays that are large enough for any forecast of `params`."""
    half = math.ceil(params.grid_span / params.step)
    n = max(2 * half, params.fine_bins) + params.coarse + 2
    return Scratch(
        mix=np.zeros(2 * half),
        rows=np.zeros((2, n + params.smoothing_bins)),
        smooth=np.zeros(n),
        peaks=np.zeros((3, n), dtype=np.int64),
        heights=np.zeros((4, n)),
        clusters=np.zeros(n, dtype=CLUSTER_DTYPE),
        band_edges=np.array(params.band_edges_sigma, dtype=np.float64),
        starts=np.zeros(len(params.band_edges_sigma) + 2, dtype=np.int64),
    )


class Emission:
    """What an estimator needs to turn a kernel's answer into a forecast.

    Parameters
    ----------
    params : MapParams
        What the map is configured with.
    symbol : str
        The experiment's name of the market.
    market : Market
        The estimator's market, whose scalars are read at each forecast.

    Attributes
    ----------
    scratch : Scratch
        Plan arrays for the kernel.
    """

    __slots__ = ("_by_contract", "_grid", "_half", "_head", "_params", "_symbol", "scratch")

    def __init__(
        self, params: MapParams, symbol: str, market: Market, *, by_contract: bool = False
    ) -> None:
        self.scratch = scratch_arrays(params)
        self._params = params
        self._by_contract = by_contract
        self._symbol = symbol
        self._head = market.head
        self._half = len(market.centres) // 2
        self._grid = params.grid(math.nan)  # that of the last forecast: it is the same each time

    @property
    def room(self) -> int:
        """How many clusters a forecast can hold."""
        return len(self.scratch.clusters)

    def forecast(
        self, at: Ns, issue: Issue, prior_from: tuple[float, float] = (math.nan, math.nan)
    ) -> Forecast | None:
        """Build the forecast issued at `at`, its arrays read-only; None where σ is NaN."""
        sigma, found, density_usd, asymmetry, long, short = issue
        if math.isnan(sigma):
            return None
        head = Head._make(self._head.item())
        if self._grid.anchor != head.anchor:
            self._grid = self._params.grid(head.anchor)
        density_usd.setflags(write=False)
        coins = head.open_interest_coins if head.n_open_interest else math.nan
        return Forecast(
            symbol=self._symbol,
            at=at,
            latest_known=head.latest_known,
            mark=head.mark,
            mark_ts=head.mark_ts,
            sigma_1d=sigma,
            grid=self._grid,
            mark_bin=head.mark_bin - self._half,
            density_usd=density_usd,
            clusters=np.frombuffer(self.scratch.clusters[:found].tobytes(), dtype=CLUSTER_DTYPE),
            asymmetry=asymmetry,
            asymmetry_reach=self._params.asymmetry_reach,
            open_interest_usd=coins * (1.0 if self._by_contract else head.mark),
            observed_long_usd=long,
            observed_short_usd=short,
            prior_from_long=prior_from[0],
            prior_from_short=prior_from[1],
        )
