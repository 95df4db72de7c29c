"""Baselines: maps that know nothing of leverage, which a reference must beat.

They are estimators like any other: each issues from the first price on (σ known), scales each side
to the current open interest at the mark (to one USD where none is known: then a map has a shape
only), and finds clusters by the same rule. A map without peaks has no clusters, or only one beside
the mark: `Uniform` and `DistanceKernel` are compared by their densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.estimators.base import MapEstimator, registered
from liqbt.estimators.baselines.kernels import (
    fold_profile,
    issue_kernel,
    issue_profile,
    issue_uniform,
)
from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.emission import Issue
from liqbt.estimators.state import read_only
from liqbt.types import HOUR_NS, Events, Ns

__all__ = ["DistanceKernel", "Uniform", "VolumeProfile"]


@registered("uniform")
class Uniform(MapEstimator):
    """Equal notional in every bin within reach."""

    def _issue(self, at: Ns) -> Issue:
        issue: Issue = issue_uniform(self._market, at, self._emission.scratch)
        return issue


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceParams(MapParams):
    """Parameters of `DistanceKernel`.

    Attributes
    ----------
    scale_sigma : float
        Standard deviation of the half-normal, in σ of the band horizon.
    """

    scale_sigma: float = 1.0

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(scale_sigma=self.scale_sigma > 0.0)


@registered("distance_kernel")
class DistanceKernel(MapEstimator):
    """Notional that falls with distance, as a half-normal in σ of the band horizon."""

    Params = DistanceParams
    params: DistanceParams

    def _issue(self, at: Ns) -> Issue:
        scale = self.params.scale_sigma
        issue: Issue = issue_kernel(self._market, at, self._emission.scratch, scale)
        return issue


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileParams(MapParams):
    """Parameters of `VolumeProfile`.

    Attributes
    ----------
    half_life : int
        Half-life of the trailing window, ns.
    """

    half_life: Duration = 72 * HOUR_NS

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(half_life=self.half_life > 0)


@registered("volume_profile")
class VolumeProfile(MapEstimator):
    """Notional where volume was traded lately: below the mark longs, above it shorts.

    Coins of trades at their prices; where none were ever seen, volume of bars spread evenly in log
    price over their range; where neither, time on the mark's path. What happened an hour on the
    clock ago weighs less by the half-life: the trailing window is exponential.
    """

    Params = ProfileParams
    params: ProfileParams

    def __init__(self, params: ProfileParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self._clock = np.full(1, -1, dtype=np.int64)
        self._rows = np.zeros((3, len(self._market.centres)))

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        half_life_h = self.params.half_life / HOUR_NS
        fold_profile(read_only(events), self._market, self._clock, self._rows, half_life_h)

    def _issue(self, at: Ns) -> Issue:
        issue: Issue = issue_profile(self._market, at, self._emission.scratch, self._rows)
        return issue

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {**super()._arrays(), "clock": self._clock, "profile": self._rows}
