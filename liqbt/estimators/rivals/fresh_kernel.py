"""An empirical kernel of distance times freshness: the rival that a map of positions must beat.

How much is liquidated at a distance from the price of a day before is learnt from what was, over
how often the price went there for the first time in that day; it is multiplied by how long the
price has not been at a place. No position enters, only the path and what was liquidated on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.estimators.base import registered
from liqbt.estimators.config import Duration
from liqbt.estimators.kernels import sigma_1d
from liqbt.estimators.rivals.candles import Candles, liquidated, priced
from liqbt.estimators.rivals.levels import CandleEstimator, CandleParams
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Ns

_STEPS: Final = 20
"""Steps of expectation and maximisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshKernelParams(CandleParams):
    """Parameters of `FreshKernel`.

    Attributes
    ----------
    edges_sigma : tuple of float
        Edges of the classes of distance, in σ of the lookback, rising from above 0; the first class
        begins at 0, the last one goes on for ever.
    lookback : int
        From the price of how long ago distances are counted where the kernel is learnt, ns.
    scale_sigma : float
        The kernel falls by e over so many σ of a day before anything is learnt; so it does where
        nothing can be.
    prior_days : float
        How many days' exposure of a mean class that is worth, above 0.
    refill : int
        How long it takes a place to refill by half, ns.
    """

    edges_sigma: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    lookback: Duration = DAY_NS
    scale_sigma: float = 1.0
    prior_days: float = 1.0
    refill: Duration = 24 * HOUR_NS

    def __post_init__(self) -> None:
        CandleParams.__post_init__(self)
        edges = np.array([0.0, *self.edges_sigma])
        self.check(
            edges_sigma=len(edges) > 1 and bool((np.diff(edges) > 0.0).all()),
            lookback=self.candle <= self.lookback < self.window,
            scale_sigma=self.scale_sigma > 0.0,
            prior_days=self.prior_days > 0.0,
            refill=self.refill > 0,
        )


@registered("fresh_kernel")
class FreshKernel(CandleEstimator):
    """How much was liquidated by distance, times the time since the price was there.

    Without observed liquidations the kernel is exponential in distance.
    """

    Params = FreshKernelParams
    params: FreshKernelParams

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return kernel times freshness, each side by its own kernel."""
        params, candles = self.params, priced(self.memory["candles"])
        sigma = sigma_1d(self._market, at)
        now, log_mark, log_price = at / params.candle, math.log(self.mark), np.log(prices)
        kernel = self._kernel(candles[candles["slot"] < at // params.candle], sigma)
        usd = np.zeros(len(prices))
        slots = np.append(candles["slot"][::-1], int(now) - params.n_candles)
        for side, extremes in enumerate((candles["low"], candles["high"])):
            sign = 2 * side - 1
            away = sign * (log_price - log_mark)
            ahead = away > 0.0
            reached = np.maximum.accumulate(sign * np.log(extremes[::-1]))  # newest candle first
            last = np.searchsorted(reached, sign * log_price[ahead], side="left")
            age = np.maximum(now - slots[last] - 1.0, 0.0)
            fresh = 1.0 - 0.5 ** (age * params.candle / params.refill)
            usd[ahead] = self._at(kernel[side], away[ahead] / sigma) * fresh
        return self.scaled(usd * prices)

    def _prior(self) -> FloatArray:
        """Return the kernel at the middle of each class before anything is learnt."""
        edges = np.array([0.0, *self.params.edges_sigma])
        middles = np.append((edges[1:] + edges[:-1]) / 2.0, edges[-1])
        return np.asarray(np.exp(-middles / self.params.scale_sigma))

    def _at(self, kernel: FloatArray, away: FloatArray) -> FloatArray:
        """Return the kernel at distances in σ: the exponential times what was learnt of a class."""
        found = np.searchsorted(self.params.edges_sigma, away, side="right")
        ratio = kernel / self._prior()
        return np.asarray(ratio[found] * np.exp(-away / self.params.scale_sigma))

    def _kernel(self, candles: Candles, sigma: float) -> FloatArray:
        """Return the kernel of each side by class, (2, classes)."""
        params, prior = self.params, self._prior()
        back = params.lookback // params.candle
        usd = liquidated(candles)
        if len(candles) <= back or not usd.any():
            return np.stack([prior, prior])
        scale = sigma * math.sqrt(params.lookback / DAY_NS)
        edges = np.array([0.0, *params.edges_sigma, math.inf])
        out = np.empty((2, len(prior)))
        for side, extremes in enumerate((candles["low"], candles["high"])):
            sign = 2 * side - 1
            crossed = first_crossed(
                sign * np.log(extremes) / scale,
                sign * np.log(candles["close"]) / scale,
                back,
                edges,
            )
            worth = params.prior_days * DAY_NS / params.candle * crossed.mean()
            out[side] = learnt(crossed, usd[side][back:], prior, worth)
        return out


def first_crossed(
    reached: FloatArray, closes: FloatArray, back: int, edges: FloatArray
) -> FloatArray:
    """Return how much of each class of distance a candle was the first to cross in its lookback.

    Parameters
    ----------
    reached, closes : ndarray of float64, shape (n,)
        The candle's extreme on one side and its close, in σ, outward.
    back : int
        The lookback in candles, at least 1: distances are counted from the close so long before.
    edges : ndarray of float64, shape (classes + 1,)
        Edges of the classes in σ, rising from 0.

    Returns
    -------
    ndarray of float64, shape (n − back, classes)
        In σ, for each candle from `back` on.

    Examples
    --------
    From a close at 0, the first candle after it went to 0.7, the second to 1.2 of it:

    >>> first_crossed(np.array([0.0, 0.7, 1.2]), np.zeros(3), 2, np.array([0, 1, 2.0])).round(3)
    array([[0.3, 0.2]])
    """
    windows = np.lib.stride_tricks.sliding_window_view(reached, back + 1)
    start = closes[: len(reached) - back]
    so_far = windows[:, 1:-1].max(axis=1, initial=-math.inf)
    begin = np.maximum(so_far - start, 0.0)
    end = windows[:, -1] - start
    low, high = np.maximum(begin[:, None], edges[:-1]), np.minimum(end[:, None], edges[1:])
    return np.asarray(np.maximum(high - low, 0.0))


def learnt(crossed: FloatArray, usd: FloatArray, prior: FloatArray, worth: float) -> FloatArray:
    """Return how much is liquidated by class per σ crossed, beside a prior of the same total rate.

    Liquidations of a candle fall to the classes that it crossed as they were expected to
    (expectation and maximisation for a sum of Poisson rates); those of a candle that crossed
    nothing for the first time fall to none.

    Parameters
    ----------
    crossed : ndarray of float64, shape (n, classes)
        From `first_crossed`.
    usd : ndarray of float64, shape (n,)
        Liquidated in each candle.
    prior : ndarray of float64, shape (classes,)
        The kernel before, above 0.
    worth : float
        How much exposure the prior is worth, above 0.

    Returns
    -------
    ndarray of float64, shape (classes,)
        On the scale of the prior: it is the prior where nothing is known.

    Examples
    --------
    >>> learnt(np.eye(2) * 1000, np.array([3000.0, 1000.0]), np.ones(2), 1e-9).round(6).tolist()
    [1.5, 0.5]
    """
    told = crossed.any(axis=1)
    crossed, usd = crossed[told], usd[told]
    expected = float((crossed * prior).sum())
    if not expected > 0.0 or not usd.sum() > 0.0:
        return prior
    rate = float(usd.sum()) / expected
    weights, exposure = prior * rate, crossed.sum(axis=0)
    for _ in range(_STEPS):
        share = usd / (crossed * weights).sum(axis=1)  # no BLAS: it may round otherwise elsewhere
        weights = (worth * prior * rate + weights * (crossed * share[:, None]).sum(axis=0)) / (
            worth + exposure
        )
    return np.asarray(weights / rate)
