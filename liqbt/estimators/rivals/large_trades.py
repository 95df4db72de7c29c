"""Large trades: who takes much at once is levered, and stands at 1, 2, 4 and 10 % from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.estimators.base import registered
from liqbt.estimators.config import MarketSpec
from liqbt.estimators.rivals.candles import Candles
from liqbt.estimators.rivals.levels import CandleParams, Entries, LevelEstimator, Tier
from liqbt.types import Events, Kind

_LARGE: Final = np.dtype([("ts_event", "<i8"), ("price", "<f8"), ("coins", "<f8"), ("side", "i1")])


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeTradesParams(CandleParams):
    """Parameters of `LargeTrades`.

    Attributes
    ----------
    least_usd : float
        Notional from which a single trade is large, USD.
    distances : tuple of float
        Where levels are placed, shares of the trade's price in (0, 1); each holds the same share.
    multiple : float
        Without trades: by how much the volume of a candle must exceed the median of its window.
    """

    least_usd: float = 100_000.0
    distances: tuple[float, ...] = (0.01, 0.02, 0.04, 0.10)
    multiple: float = 2.0

    def __post_init__(self) -> None:
        CandleParams.__post_init__(self)
        self.check(
            least_usd=self.least_usd > 0.0,
            distances=len(self.distances) > 0 and all(0.0 < x < 1.0 for x in self.distances),
            multiple=self.multiple >= 1.0,
        )


@registered("large_trades")
class LargeTrades(LevelEstimator):
    """Large taker trades: what was bought is long below its price, what was sold short above it.

    A trade whose taker is not known counts half for each. Where no trade was ever seen, candles of
    exceptional volume stand in for them, at their close and on the side of their colour: a proxy,
    and a poor one.
    """

    Params = LargeTradesParams
    params: LargeTradesParams
    needs_any = (Kind.TRADE, Kind.BAR)

    def __init__(self, params: LargeTradesParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self.memory["large"] = np.zeros(0, _LARGE)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        super().update(events)
        usd = events["p0"] * events["p1"]
        found = events[(events["kind"] == Kind.TRADE) & (usd >= self.params.least_usd)]
        new = np.zeros(len(found), _LARGE)
        for name, source in (("ts_event", "ts_event"), ("price", "p0"), ("coins", "p1")):
            new[name] = found[source]
        new["side"] = np.sign(found["side"])
        candles = self.memory["candles"]
        oldest = int(candles["slot"][-1]) - self.params.n_candles if len(candles) else 0
        kept = np.concatenate([self.memory["large"], new])
        self.memory["large"] = kept[kept["ts_event"] // self.params.candle > oldest]

    def entries(self, candles: Candles) -> Entries:
        """Return large trades in candles that are over; without any, candles of much volume."""
        if self.memory["candles"]["traded_coins"].any():
            large = self.memory["large"]
            slot = large["ts_event"] // self.params.candle
            over = slot <= (candles["slot"][-1] if len(candles) else -1)
            slot, large = slot[over], large[over]
            longs = large["coins"] * (1.0 + large["side"]) / 2.0
            return Entries(slot, large["price"].copy(), longs, large["coins"] - longs)
        volume = candles["bar_coins"]
        least = self.params.multiple * np.median(volume) if len(volume) else 0.0
        much, rose = np.where(volume > least, volume, 0.0), candles["close"] - candles["open"]
        longs, shorts = (np.where(sign * rose > 0.0, much, 0.0) for sign in (1, -1))
        return Entries(candles["slot"], candles["close"].copy(), longs, shorts)

    def tiers(self) -> tuple[Tier, ...]:
        """Return the distances, alike."""
        share = 1.0 / len(self.params.distances)
        return tuple(Tier(distance, share) for distance in self.params.distances)
