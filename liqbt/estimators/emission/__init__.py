"""Issuing a forecast: the work arrays, and the one place where a `Forecast` is built."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.estimators.config import MapParams
from liqbt.estimators.emission.kernels import Issued, Scratch
from liqbt.estimators.kernels import Market
from liqbt.estimators.state import Head
from liqbt.forecasts import ROW_DTYPE, ForecastBatch
from liqbt.types import CLUSTER_DTYPE, DensityGrid, Forecast, Ns

__all__ = ["NO_ISSUE", "Emission", "Issue", "issued_arrays", "scratch_arrays"]

_ROWS: Final = 256
"""The most forecasts of one batch."""

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
        stops=np.zeros(2, dtype=np.int64),
        rows=np.zeros((2, n + 2 * params.smoothing_bins + params.coarse)),
        smooth=np.zeros(n),
        peaks=np.zeros((3, n), dtype=np.int64),
        heights=np.zeros((4, n)),
        clusters=np.zeros(n, dtype=CLUSTER_DTYPE),
        band_edges=np.array(params.band_edges_sigma, dtype=np.float64),
        starts=np.zeros(len(params.band_edges_sigma) + 2, dtype=np.int64),
    )


def issued_arrays(scratch: Scratch) -> Issued:
    """Return room for a batch of forecasts: one of the largest size fits, and many usual ones."""
    most = len(scratch.smooth)
    return Issued(
        used=np.zeros(3, dtype=np.int64),
        rows=np.zeros(_ROWS, dtype=ROW_DTYPE),
        density_usd=np.empty(2 * most + 1000 * _ROWS, dtype=np.float32),
        clusters=np.empty(most + 50 * _ROWS, dtype=CLUSTER_DTYPE),
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
        density_usd.setflags(write=False)
        coins = head.open_interest_coins if head.n_open_interest else math.nan
        return Forecast(
            symbol=self._symbol,
            at=at,
            latest_known=head.latest_known,
            mark=head.mark,
            mark_ts=head.mark_ts,
            sigma_1d=sigma,
            grid=self._grid_of(head.anchor),
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

    def batch(self, issued: Issued) -> ForecastBatch:
        """Return what was written into `issued`, in arrays of its own, and empty it."""
        rows, density, clusters = issued.used.tolist()
        issued.used[:] = 0
        return ForecastBatch(
            symbol=self._symbol,
            grid=self._grid_of(float(self._head["anchor"][0])),
            asymmetry_reach=self._params.asymmetry_reach,
            rows=np.frombuffer(issued.rows[:rows].tobytes(), dtype=ROW_DTYPE),
            density_usd=np.frombuffer(issued.density_usd[:density].tobytes(), dtype=np.float32),
            clusters=np.frombuffer(issued.clusters[:clusters].tobytes(), dtype=CLUSTER_DTYPE),
        )

    def _grid_of(self, anchor: float) -> DensityGrid:
        if self._grid.anchor != anchor:
            self._grid = self._params.grid(anchor)
        return self._grid
