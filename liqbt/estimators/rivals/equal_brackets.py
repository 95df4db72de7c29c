"""Equal brackets: whatever was traded stands at 10, 25, 50 and 100x alike, long and short alike."""

from __future__ import annotations

from dataclasses import dataclass

from liqbt.estimators.base import registered
from liqbt.estimators.rivals.candles import Candles, coins
from liqbt.estimators.rivals.levels import CandleParams, Entries, LevelEstimator, Tier, typical


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualBracketsParams(CandleParams):
    """Parameters of `EqualBrackets`.

    Attributes
    ----------
    leverages : tuple of float
        The brackets, above 1; each holds the same share.
    """

    leverages: tuple[float, ...] = (10.0, 25.0, 50.0, 100.0)

    def __post_init__(self) -> None:
        CandleParams.__post_init__(self)
        self.check(leverages=len(self.leverages) > 0 and all(x > 1.0 for x in self.leverages))


@registered("equal_brackets")
class EqualBrackets(LevelEstimator):
    """The volume of each candle at its typical price, on both sides, even over the brackets."""

    Params = EqualBracketsParams
    params: EqualBracketsParams

    def entries(self, candles: Candles) -> Entries:
        """Return the volume of every candle, on both sides."""
        volume = coins(candles)
        return Entries(candles["slot"], typical(candles), volume, volume)

    def tiers(self) -> tuple[Tier, ...]:
        """Return the brackets, alike."""
        share = 1.0 / len(self.params.leverages)
        return tuple(Tier(1.0 / leverage, share) for leverage in self.params.leverages)
