"""A density on the log-price grid, made a forecast: for estimators of one's own, in NumPy alone."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import EstimatorError
from liqbt.estimators.base import MapEstimator
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.emission import NO_ISSUE, Emission, Issue
from liqbt.estimators.emission.kernels import issue_density
from liqbt.estimators.kernels import fill_grid, sigma_1d
from liqbt.estimators.state import State, market_arrays
from liqbt.types import FloatArray, Forecast, Ns, Side

_MEMORY: Final = "memory."
"""Before the names of what is remembered, in a state: the market's own are others."""


class DensityEstimator(MapEstimator):
    """An estimator that says how much lies at each price; all else is done for it.

    Mark, σ, open interest, observed liquidations, clusters, ranks and asymmetry are those of every
    other estimator. A subclass writes `density`; and where it remembers more than the market's own
    state it overrides `update` (calling this one first) and keeps what it remembers, as arrays of
    any shape, in `memory`: that is saved and restored with the rest.

    Parameters
    ----------
    params : MapParams
        An instance of the class's own `Params`.
    market : MarketSpec
        The market that it is made for.

    Attributes
    ----------
    memory : dict of str to ndarray
        What it remembers; what `density` says may depend on nothing else.
    """

    def __init__(self, params: MapParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self.memory: dict[str, npt.NDArray[Any]] = {}

    @abstractmethod
    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return the estimated forced notional in each bin of the grid.

        Parameters
        ----------
        at : int
            Time of issue, ns UTC.
        prices : ndarray of float64, shape (n,)
            Centres of the grid's bins, USD, rising.

        Returns
        -------
        ndarray of float64, shape (n,)
            USD, nowhere negative or NaN. Below the mark it is of longs, above it of shorts; what
            lies in the mark's own bin is not read.
        """

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the market's state and of what is remembered."""
        kept = {_MEMORY + name: _array(name, value) for name, value in self.memory.items()}
        return super().state() | kept

    def restore(self, state: State) -> None:
        """Go on from `state`, which an estimator of the same configuration returned."""
        kept = {name: array for name, array in state.items() if name.startswith(_MEMORY)}
        super().restore({name: array for name, array in state.items() if name not in kept})
        self.memory = {name[len(_MEMORY) :]: np.array(array) for name, array in kept.items()}

    def _issue(self, at: Ns) -> Issue:
        sigma = sigma_1d(self._market, at)
        if math.isnan(sigma):
            return NO_ISSUE
        prices = self._market.centres.copy()
        usd = _checked(self.density(at, prices), len(prices))
        return (sigma, *issue_density(self._market, at, sigma, self._emission.scratch, usd))


def forecast_from_density(
    density_usd: npt.ArrayLike,
    *,
    first_bin: int,
    anchor: float,
    symbol: str,
    at: Ns,
    latest_known: Ns,
    mark: float,
    mark_ts: Ns,
    sigma_1d: float,
    params: MapParams | None = None,
    open_interest_usd: float = math.nan,
    observed_long_usd: float = math.nan,
    observed_short_usd: float = math.nan,
) -> Forecast:
    """Return the forecast that a density on the log-price grid amounts to.

    Clusters, ranks, asymmetry and the coarsened rows follow by the rules of the built-in
    estimators: smoothed by a triangular kernel, peaks that stand out by the prominence, bands about
    them, ranked within their distance band.

    Parameters
    ----------
    density_usd : array_like of float64, shape (n,)
        Estimated forced notional by bin, USD: longs below the mark, shorts above it. What lies in
        the mark's own bin is not read; beyond the array there is nothing.
    first_bin : int
        The bin of its first entry. Bin `i` covers `[anchor · exp(i · step), anchor ·
        exp((i + 1) · step))`, with the step of `params`.
    anchor : float
        The price at the lower edge of bin 0, USD. It stays the same all along a tape: the first
        mark, say.
    symbol : str
        The experiment's name of the market.
    at, latest_known : int
        Time of issue, and `ts_known` of the last event that was read, ns UTC.
    mark : float
        The last known price, USD, within e^±`grid_span` of the anchor.
    mark_ts : int
        Its `ts_event`, ns.
    sigma_1d : float
        Standard deviation of the log return over one day, above 0.
    params : MapParams, optional
        Grid, reach, smoothing, prominence; the defaults where it is not given.
    open_interest_usd, observed_long_usd, observed_short_usd : float, optional
        Evidence, as in `Forecast`; NaN where it is unknown.

    Returns
    -------
    Forecast

    Raises
    ------
    EstimatorError
        The density is not one row of numbers from 0 up, the mark lies beyond the grid, or σ is no
        positive number.

    Examples
    --------
    >>> import numpy as np
    >>> usd = np.zeros(200)
    >>> usd[120] = 5e6
    >>> forecast = forecast_from_density(
    ...     usd, first_bin=-100, anchor=100.0, symbol="X", at=2, latest_known=1, mark=100.0,
    ...     mark_ts=1, sigma_1d=0.03,
    ... )
    >>> [(c.side.name, round(c.peak, 2), c.notional_usd) for c in [forecast.cluster(0)]]
    [('SHORT', 101.03, 5000000.0)]
    """
    params = MapParams() if params is None else params
    usd = _checked(density_usd, None)
    market = market_arrays(params, MarketSpec(symbol=symbol))
    head, half = market.head[0], len(market.centres) // 2
    head["anchor"], head["mark"], head["mark_ts"] = anchor, mark, mark_ts
    head["latest_known"] = latest_known
    fill_grid(market)
    head["mark_bin"] = np.searchsorted(market.edges, mark, side="right") - 1
    if not (0.0 < sigma_1d < math.inf and market.edges[0] <= mark < market.edges[-1]):
        raise EstimatorError(
            f"a density of {symbol} comes with mark {mark} and sigma_1d {sigma_1d}; expected a "
            f"mark within e^±{params.grid_span:g} of the anchor {anchor} and σ above 0"
        )
    whole = np.zeros(2 * half)
    begin, end = (min(max(i + half, 0), 2 * half) for i in (first_bin, first_bin + len(usd)))
    whole[begin:end] = usd[begin - first_bin - half : end - first_bin - half]
    emission = Emission(params, symbol, market)
    issued = issue_density(market, at, sigma_1d, emission.scratch, whole)
    forecast = emission.forecast(at, (sigma_1d, *issued))
    assert forecast is not None
    return dataclasses.replace(
        forecast,
        open_interest_usd=open_interest_usd,
        observed_long_usd=observed_long_usd,
        observed_short_usd=observed_short_usd,
    )


def summed(forecasts: Sequence[Forecast], symbol: str) -> Forecast:
    """Return the sum of maps that were issued at one time: of venues, each by its own margin rule.

    A level stays as far from the mark as it was from its own venue's; the mark, σ and grid are
    those of the first. Clusters are found anew, by the default parameters; a coarse bin is taken
    as even.

    Parameters
    ----------
    forecasts : sequence of Forecast
        One of each venue.
    symbol : str
        What the sum is called.

    Raises
    ------
    EstimatorError
        If there is none, or they were issued at different times.

    Examples
    --------
    >>> import numpy as np
    >>> usd = np.zeros(200)
    >>> usd[120] = 5e6
    >>> one = forecast_from_density(
    ...     usd, first_bin=-100, anchor=100.0, symbol="X", at=2, latest_known=1, mark=100.0,
    ...     mark_ts=1, sigma_1d=0.03,
    ... )
    >>> round(summed([one, one], "X and X").cluster(0).notional_usd)
    10000000
    """
    if len({forecast.at for forecast in forecasts}) != 1:
        raise EstimatorError(
            f"the maps of {symbol} were issued at {sorted({f.at for f in forecasts})}; expected "
            "one time"
        )
    first = forecasts[0]
    params = MapParams(
        step=first.grid.step, fine_bins=first.grid.fine_bins, coarse=first.grid.coarse
    )
    half = math.ceil(params.grid_span / params.step)
    edges = (np.arange(2 * half + 1) - half) * params.step
    held = np.zeros(2 * half)
    for forecast in forecasts:
        shift = math.log(first.mark / forecast.mark)
        for side, row in zip((Side.LONG, Side.SHORT), forecast.density_usd, strict=True):
            prices = forecast.grid.prices(forecast.mark_bin, side, len(row))
            at = np.log(prices / first.grid.anchor) + shift
            within = np.concatenate([[0.0], np.cumsum(row, dtype=np.float64)])
            if side == Side.LONG:  # outward is downward
                at, within = at[::-1], within[-1] - within[::-1]
            # shares of a bin by its overlap; edges that are equal to rounding share nothing
            held += np.diff(np.interp(edges, at, within))
    return forecast_from_density(
        np.where(held > 1e-9 * held.sum(), held, 0.0),
        first_bin=-half,
        anchor=first.grid.anchor,
        symbol=symbol,
        at=first.at,
        latest_known=max(forecast.latest_known for forecast in forecasts),
        mark=first.mark,
        mark_ts=first.mark_ts,
        sigma_1d=first.sigma_1d,
        params=params,
        open_interest_usd=math.fsum(f.open_interest_usd for f in forecasts),
        observed_long_usd=math.fsum(f.observed_long_usd for f in forecasts),
        observed_short_usd=math.fsum(f.observed_short_usd for f in forecasts),
    )


def _array(name: str, value: object) -> npt.NDArray[Any]:
    """Return a copy of what is remembered; refuse what no array of numbers holds."""
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.hasobject:
        raise EstimatorError(f"memory['{name}'] is {value!r}; expected an array of numbers")
    return array


def _checked(density_usd: npt.ArrayLike, n: int | None) -> FloatArray:
    """Return a density as kernels read it; refuse what is none."""
    usd = np.ascontiguousarray(density_usd, dtype=np.float64)
    if usd.ndim != 1 or (n is not None and len(usd) != n):
        expected = "(n,)" if n is None else f"({n},), one entry for each price"
        raise EstimatorError(f"a density has shape {usd.shape}; expected {expected}")
    bad = ~((usd >= 0.0) & (usd < math.inf))
    if bad.any():
        i = int(np.argmax(bad))
        raise EstimatorError(f"a density holds {usd[i]} in entry {i}; expected USD from 0 up")
    return usd
