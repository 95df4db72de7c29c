"""Z-score maps: only inflow that stands out from what came before it makes levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.estimators.base import registered
from liqbt.estimators.config import Duration
from liqbt.estimators.rivals.candles import Candles, inflow
from liqbt.estimators.rivals.equal_brackets import EqualBracketsParams
from liqbt.estimators.rivals.levels import Entries, LevelEstimator, Tier, typical
from liqbt.types import DAY_NS, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ZScoreParams(EqualBracketsParams):
    """Parameters of `ZScore`: those of equal brackets, and what stands out.

    Attributes
    ----------
    trailing : int
        Over what came before a candle its mean and standard deviation are taken, ns.
    threshold : float
        How many standard deviations above the mean an entry must be.
    """

    trailing: Duration = 7 * DAY_NS
    threshold: float = 1.0

    def __post_init__(self) -> None:
        EqualBracketsParams.__post_init__(self)
        self.check(
            trailing=2 * self.candle <= self.trailing <= self.window,
            threshold=self.threshold >= 0.0,
        )


@registered("z_score")
class ZScore(LevelEstimator):
    """Candles whose rise of open interest stands out, weighed by how far, on both sides.

    Volume stands in where open interest is not known. Until there are two candles before it none
    stands out.
    """

    Params = ZScoreParams
    params: ZScoreParams

    def entries(self, candles: Candles) -> Entries:
        """Return how far each candle is above the threshold, in standard deviations."""
        z = trailing_z(inflow(candles), self.params.trailing // self.params.candle)
        weight = np.where(z > self.params.threshold, z, 0.0)
        return Entries(candles["slot"], typical(candles), weight, weight)

    def tiers(self) -> tuple[Tier, ...]:
        """Return the brackets, alike."""
        share = 1.0 / len(self.params.leverages)
        return tuple(Tier(1.0 / leverage, share) for leverage in self.params.leverages)


def trailing_z(values: FloatArray, n: int) -> FloatArray:
    """Return how many standard deviations each value lies above the mean of the `n` before it.

    0 where there are fewer than two before it, or they are all alike.

    Examples
    --------
    >>> trailing_z(np.array([1.0, 3.0, 5.0, 4.0]), 2).tolist()
    [0.0, 0.0, 3.0, 0.0]
    """
    padded = np.concatenate([np.full(n, np.nan), values])
    before = np.lib.stride_tricks.sliding_window_view(padded, n)[: len(values)]
    counted = np.isfinite(before)
    filled, number = np.where(counted, before, 0.0), counted.sum(axis=1)
    mean = filled.sum(axis=1) / np.maximum(number, 1)
    apart = np.where(counted, before - mean[:, None], 0.0)
    spread = np.sqrt((apart**2).sum(axis=1) / np.maximum(number, 1))
    told = (number >= 2) & (spread > 1e-12 * np.abs(mean))
    return np.asarray(np.where(told, (values - mean) / np.where(told, spread, 1.0), 0.0))
