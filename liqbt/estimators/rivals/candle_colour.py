"""Candle colour: who pays in a rising candle is long, who pays in a falling one is short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.estimators.base import registered
from liqbt.estimators.rivals.candles import Candles, coins
from liqbt.estimators.rivals.equal_brackets import EqualBracketsParams
from liqbt.estimators.rivals.levels import Entries, LevelEstimator, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleColourParams(EqualBracketsParams):
    """Parameters of `CandleColour`: those of equal brackets."""


@registered("candle_colour")
class CandleColour(LevelEstimator):
    """The volume of each candle at its close: longs where it rose, shorts where it fell.

    A candle that closed where it opened counts half for each. Every position is one long and one
    short, so that no colour can tell a side: this is the rule as published.
    """

    Params = CandleColourParams
    params: CandleColourParams

    def entries(self, candles: Candles) -> Entries:
        """Return the volume of every candle on the side of its colour."""
        volume, rose = coins(candles), np.sign(candles["close"] - candles["open"])
        longs = volume * (1.0 + rose) / 2.0
        return Entries(candles["slot"], candles["close"].copy(), longs, volume - longs)

    def tiers(self) -> tuple[Tier, ...]:
        """Return the brackets, alike."""
        share = 1.0 / len(self.params.leverages)
        return tuple(Tier(1.0 / leverage, share) for leverage in self.params.leverages)
