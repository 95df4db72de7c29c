"""A census: a map made of recorded positions and their own liquidation prices.

Some venues publish positions, and some people have a table of their own. A census is what such a
record said at one instant; the next one stands in its place. Between two of them positions are
closed where the mark passes their price, and age by one half-life; what was opened since is not
known. So the map is as good as the census is recent, and it holds no more than the census does:
`coverage` says which share of open interest that is.

Positions enter as events, known when a live reader could have had them, so that a census sees its
own past alone. It is the nearest that a map comes to the truth, and the only one here that needs no
assumption about leverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.estimators.base import registered
from liqbt.estimators.config import Duration, MarketSpec
from liqbt.estimators.emission import NO_ISSUE, Issue
from liqbt.estimators.rivals.candles import priced
from liqbt.estimators.rivals.levels import CandleEstimator, CandleParams, later_extremes
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Events, FloatArray, Kind, Ns

__all__ = ["Census", "CensusParams"]

_POSITION: Final = np.dtype(
    [("ts_event", "<i8"), ("price", "<f8"), ("coins", "<f8"), ("side", "i1")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CensusParams(CandleParams):
    """Parameters of `Census`.

    Attributes
    ----------
    half_life : int
        Of positions between censuses, ns: about ten days by published exit rates.
    oldest : int
        No map is issued from a census that is older, ns.
    """

    candle: Duration = 5 * MINUTE_NS
    window: Duration = 8 * DAY_NS
    half_life: Duration = 240 * HOUR_NS
    oldest: Duration = 7 * DAY_NS

    def __post_init__(self) -> None:
        CandleParams.__post_init__(self)
        self.check(half_life=self.half_life > 0, oldest=0 < self.oldest <= self.window)


@registered("census")
class Census(CandleEstimator):
    """The positions of the last census, less what the price has passed since."""

    Params = CensusParams
    params: CensusParams
    needs = (Kind.POSITION,)

    def __init__(self, params: CensusParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self.memory["positions"] = np.zeros(0, _POSITION)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        super().update(events)
        rows = events[events["kind"] == Kind.POSITION]
        if not len(rows):
            return
        found = np.zeros(len(rows), _POSITION)
        for name, source in (("ts_event", "ts_event"), ("price", "p0"), ("coins", "p1")):
            found[name] = rows[source]
        found["side"] = rows["side"]
        every = np.concatenate([self.memory["positions"], found])
        self.memory["positions"] = every[every["ts_event"] == every["ts_event"].max()]

    def coverage(self) -> tuple[float, float]:
        """Return which share of open interest the last census holds, of longs and of shorts.

        Those that no price closes are in it. NaN where either is not known; above 1 where both
        are of different venues or times.
        """
        held, coins = self.memory["positions"], float(self._market.head[0]["open_interest_coins"])
        if not len(held) or not coins > 0.0:
            return float("nan"), float("nan")
        long, short = (float(held["coins"][held["side"] == side].sum()) for side in (1, -1))
        return long / coins, short / coins

    def density(self, at: Ns, prices: FloatArray) -> FloatArray:
        """Return what is left of the census, USD at its liquidation prices."""
        held = self.memory["positions"]
        candles = priced(self.memory["candles"])
        slot = held["ts_event"] // self.params.candle
        lows, highs = later_extremes(candles, slot, self.mark)
        with np.errstate(invalid="ignore"):
            ahead = np.where(held["side"] > 0, held["price"] < lows, held["price"] > highs)
        bins = np.searchsorted(self._market.edges, held["price"], side="right") - 1
        kept = ahead & (bins >= 0) & (bins < len(prices))
        age = (at - held["ts_event"]) / self.params.half_life
        usd = held["coins"] * held["price"] * 0.5**age
        return np.bincount(bins[kept], usd[kept], minlength=len(prices)).astype(np.float64)

    def _issue(self, at: Ns) -> Issue:
        held = self.memory["positions"]
        if not len(held) or at - int(held["ts_event"][0]) > self.params.oldest:
            return NO_ISSUE
        return super()._issue(at)
