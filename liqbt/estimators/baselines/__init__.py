"""Baselines: maps that know nothing of leverage, which a reference must beat.

They are estimators like any other: each issues from the first price on (σ known), scales each side
to the current open interest at the mark (to one USD where none is known: then a map has a shape
only), and finds clusters by the same rule. A map without peaks has no clusters, or only one beside
the mark: `Uniform` and `DistanceKernel` are compared by their densities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.estimators.base import MapEstimator
from liqbt.estimators.baselines.kernels import (
    fold_profile,
    issue_kernel,
    issue_profile,
    issue_uniform,
)
from liqbt.estimators.config import MapConfig
from liqbt.estimators.emission import Issue
from liqbt.estimators.state import read_only
from liqbt.types import Events, Ns

__all__ = ["DistanceKernel", "Uniform", "VolumeProfile"]


class Uniform(MapEstimator):
    """Equal notional in every bin within reach.

    Parameters
    ----------
    config : MapConfig
        Price, grid and reach; any further keys of a subclass are not used.
    """

    def _issue(self, at: Ns) -> Issue:
        issue: Issue = issue_uniform(self._market, at, self._emission.scratch)
        return issue


class DistanceKernel(MapEstimator):
    """Notional that falls with distance, as a half-normal in σ of the band horizon.

    Parameters
    ----------
    config : MapConfig
        Price, grid and reach; any further keys of a subclass are not used.
    scale_sigma : float
        Standard deviation of the half-normal, in σ of the band horizon.
    """

    def __init__(self, config: MapConfig, *, scale_sigma: float = 1.0) -> None:
        if not scale_sigma > 0.0:
            raise ConfigError(f"{config.symbol}: scale_sigma is {scale_sigma}: expected above 0")
        super().__init__(config)
        self.scale_sigma = scale_sigma

    def _issue(self, at: Ns) -> Issue:
        issue: Issue = issue_kernel(self._market, at, self._emission.scratch, self.scale_sigma)
        return issue


class VolumeProfile(MapEstimator):
    """Notional where volume was traded lately: below the mark longs, above it shorts.

    Coins of trades at their prices; where none were ever seen, volume of bars spread evenly in log
    price over their range; where neither, time on the mark's path. What happened an hour on the
    clock ago weighs less by the half-life: the trailing window is exponential.

    Parameters
    ----------
    config : MapConfig
        Price, grid and reach; any further keys of a subclass are not used.
    half_life_h : float
        Half-life of the trailing window, hours.
    """

    def __init__(self, config: MapConfig, *, half_life_h: float = 72.0) -> None:
        if not half_life_h > 0.0:
            raise ConfigError(f"{config.symbol}: half_life_h is {half_life_h}: expected above 0")
        super().__init__(config)
        self.half_life_h = half_life_h
        self._clock = np.full(1, -1, dtype=np.int64)
        self._rows = np.zeros((3, len(self._market.centres)))

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        fold_profile(read_only(events), self._market, self._clock, self._rows, self.half_life_h)

    def _issue(self, at: Ns) -> Issue:
        issue: Issue = issue_profile(self._market, at, self._emission.scratch, self._rows)
        return issue

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {**super()._arrays(), "clock": self._clock, "profile": self._rows}
