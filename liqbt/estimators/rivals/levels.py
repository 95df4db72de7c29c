"""What rivals share: entries by candle, levels away from them, and those that are still ahead."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.density import DensityEstimator
from liqbt.estimators.rivals.candles import CANDLE_DTYPE, Candles, folded, priced
from liqbt.types import DAY_NS, HOUR_NS, Events, FloatArray, IntArray, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleParams(MapParams):
    """What every rival that reads candles has.

    Attributes
    ----------
    candle : int
        Length of a candle, ns.
    window : int
        How far back candles are kept, ns: at least two of them.
    """

    candle: Duration = HOUR_NS
    window: Duration = 30 * DAY_NS

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(candle=self.candle > 0)
        self.check(window=2 * self.candle <= self.window <= 100_000 * self.candle)

    @property
    def n_candles(self) -> int:
        """Candles in the window."""
        return self.window // self.candle


class Entries(NamedTuple):
    """Positions that are taken to have been opened, one row each; every array is (n,).

    Attributes
    ----------
    opened : ndarray of int64
        The slot of the candle in which they were.
    price : ndarray of float64
        Where, USD.
    longs, shorts : ndarray of float64
        How many coins, not negative.
    """

    opened: IntArray
    price: FloatArray
    longs: FloatArray
    shorts: FloatArray


class Tier(NamedTuple):
    """A distance at which levels are placed.

    Attributes
    ----------
    distance : float
        From the entry, a share of its price in (0, 1).
    weight : float
        Of all that was opened.
    half_life : float
        In candles; infinite where levels do not age.
    """

    distance: float
    weight: float
    half_life: float = float("inf")


class CandleEstimator(DensityEstimator):
    """An estimator that remembers candles."""

    Params = CandleParams
    params: CandleParams

    def __init__(self, params: CandleParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self.memory["candles"] = np.zeros(0, CANDLE_DTYPE)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        super().update(events)
        kept, params = self.memory["candles"], self.params
        self.memory["candles"] = folded(
            kept, events, self.market.price_kind, params.candle, params.n_candles
        )

    def scaled(self, usd: FloatArray) -> FloatArray:
        """Return a map that sums to open interest, of both sides; to 2 USD where it is unknown."""
        whole = float(usd.sum())
        aim = self.open_interest_usd or 1.0
        return usd * (2.0 * aim / whole) if whole > 0.0 else usd


class LevelEstimator(CandleEstimator):
    """An estimator that places levels away from entries, until the price passes them."""

    @abstractmethod
    def entries(self, candles: Candles) -> Entries:
        """Return what was opened in candles that are over and hold a price."""

    @abstractmethod
    def tiers(self) -> tuple[Tier, ...]:
        """Return where levels are placed, and how they weigh and age."""

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return what lies at the levels that the price has not passed since their candle."""
        candles = priced(self.memory["candles"])
        now = at // self.params.candle
        entries = self.entries(candles[candles["slot"] < now])
        lows, highs = later_extremes(candles, entries.opened, self.mark)
        usd, edges = np.zeros(len(prices)), self._market.edges
        for tier in self.tiers():
            aged = tier.weight * 0.5 ** ((now - entries.opened) / tier.half_life)
            below, above = entries.price * (1 - tier.distance), entries.price * (1 + tier.distance)
            for level, coins, ahead in (
                (below, entries.longs, below < lows),
                (above, entries.shorts, above > highs),
            ):
                bins = np.searchsorted(edges, level, side="right") - 1
                kept = ahead & (coins > 0.0) & (bins >= 0) & (bins < len(prices))
                weights = (coins * aged * level)[kept]
                usd += np.bincount(bins[kept], weights, minlength=len(prices))
        return self.scaled(usd)


def later_extremes(
    candles: Candles, opened: IntArray, mark: float
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest low and the highest high after each candle, the mark included.

    Parameters
    ----------
    candles : ndarray of CANDLE_DTYPE, shape (n,)
        Those that hold a price.
    opened : ndarray of int64, shape (m,)
        Slots.
    mark : float
        The last price, USD.

    Returns
    -------
    lows, highs : ndarray of float64, shape (m,)
    """
    after = np.searchsorted(candles["slot"], opened, side="right")
    lows = np.minimum.accumulate(np.append(candles["low"], mark)[::-1])[::-1]
    highs = np.maximum.accumulate(np.append(candles["high"], mark)[::-1])[::-1]
    return lows[after], highs[after]


def typical(candles: Candles) -> FloatArray:
    """Return the typical price of each candle, a third of high + low + close."""
    return np.asarray((candles["high"] + candles["low"] + candles["close"]) / 3.0)
