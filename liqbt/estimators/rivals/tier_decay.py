"""Tiers that decay: each leverage has its weight and its half-life, and dies where price passes."""

from __future__ import annotations

from dataclasses import dataclass

from liqbt.estimators.base import registered
from liqbt.estimators.config import Duration
from liqbt.estimators.rivals.candles import Candles, coins
from liqbt.estimators.rivals.levels import CandleParams, Entries, LevelEstimator, Tier, typical
from liqbt.types import DAY_NS, HOUR_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class TierDecayParams(CandleParams):
    """Parameters of `TierDecay`: the defaults are weights and half-lives as published.

    Attributes
    ----------
    leverages, weights : tuple of float
        The tiers, above 1, and their shares, not negative.
    half_lives : tuple of int
        How long it takes a level of each tier to weigh half, ns.
    """

    leverages: tuple[float, ...] = (10.0, 25.0, 50.0, 100.0)
    weights: tuple[float, ...] = (0.35, 0.30, 0.20, 0.15)
    half_lives: tuple[Duration, ...] = (10 * DAY_NS, 3 * DAY_NS, DAY_NS, 12 * HOUR_NS)

    def __post_init__(self) -> None:
        CandleParams.__post_init__(self)
        n = len(self.leverages)
        self.check(leverages=n > 0 and all(x > 1.0 for x in self.leverages))
        self.check(weights=len(self.weights) == n and min(self.weights) >= 0.0 < sum(self.weights))
        self.check(half_lives=len(self.half_lives) == n and min(self.half_lives) > 0)


@registered("tier_decay")
class TierDecay(LevelEstimator):
    """The volume of each candle by tier, on both sides; what survives the path ages by its tier."""

    Params = TierDecayParams
    params: TierDecayParams

    def entries(self, candles: Candles) -> Entries:
        """Return the volume of every candle, on both sides."""
        volume = coins(candles)
        return Entries(candles["slot"], typical(candles), volume, volume)

    def tiers(self) -> tuple[Tier, ...]:
        """Return the tiers, each with its weight and its half-life."""
        params = self.params
        return tuple(
            Tier(1.0 / leverage, weight, half_life / params.candle)
            for leverage, weight, half_life in zip(
                params.leverages, params.weights, params.half_lives, strict=True
            )
        )
