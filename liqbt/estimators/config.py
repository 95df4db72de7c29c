"""What estimators are configured with: frozen, checked once, in units that are in the names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.config.schema import DISTANCE_BANDS, EstimatorConfig
from liqbt.errors import ConfigError
from liqbt.types import DAY_NS, DensityGrid, Kind

ASSUMED: Final = EstimatorConfig()
"""What an experiment assumes unless it says otherwise."""

RULES_DTYPE: Final = np.dtype(
    [
        ("price_kind", "<i8"),
        ("sampling_ns", "<i8"),
        ("min_coverage", "<f8"),
        ("step", "<f8"),
        ("half", "<i8"),
        ("fine_bins", "<i8"),
        ("coarse", "<i8"),
        ("reach", "<f8"),
        ("half_width", "<i8"),
        ("prominence", "<f8"),
        ("asymmetry_bins", "<i8"),
        ("band_days", "<f8"),
    ]
)
"""The constants of `MapConfig` as kernels read them: lengths in bins, reach in log price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceConfig:
    """Which events give the mark, and how σ is taken from it.

    σ is realised from the last price of each slot of a trailing window: the sum of squared log
    returns between consecutive filled slots over the time that they span. Below the coverage it is
    unknown and no forecast is issued; so it is where the price never moved.

    Attributes
    ----------
    price_kind : Kind
        MARK; or BAR or TRADE, the last price that stands in where there is no mark.
    sigma_window_ns : int
        Length of the trailing window, ns.
    sigma_sampling_ns : int
        Length of a slot, ns; it divides the window. No finer than the feed: with hourly bars it
        must be one hour, or coverage is never reached.
    sigma_min_coverage : float
        Share of the window's slots that must hold a price, in (0, 1].
    """

    price_kind: Kind = Kind.MARK
    sigma_window_ns: int = ASSUMED.sigma_window
    sigma_sampling_ns: int = ASSUMED.sigma_sampling
    sigma_min_coverage: float = ASSUMED.sigma_min_coverage

    def __post_init__(self) -> None:
        if self.price_kind not in (Kind.MARK, Kind.BAR, Kind.TRADE):
            raise ConfigError(
                f"price_kind is {self.price_kind.name}: a price is MARK, BAR or TRADE"
            )
        if not 0 < self.sigma_sampling_ns <= self.sigma_window_ns // 2 or (
            self.sigma_window_ns % self.sigma_sampling_ns
        ):
            raise ConfigError(
                f"sigma_sampling_ns is {self.sigma_sampling_ns}: it must divide sigma_window_ns "
                f"({self.sigma_window_ns}) into at least two slots"
            )
        if not 0.0 < self.sigma_min_coverage <= 1.0:
            raise ConfigError(f"sigma_min_coverage is {self.sigma_min_coverage}: expected (0, 1]")

    @property
    def n_slots(self) -> int:
        """Slots in the window."""
        return self.sigma_window_ns // self.sigma_sampling_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class MapConfig:
    """What every estimator that emits a map is configured with.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market.
    price : PriceConfig
        The mark and σ.
    step : float
        Width of a bin in log price.
    grid_span : float
        The state's grid covers the first mark times e^±grid_span. What would be placed beyond is
        counted as outside, and while the mark itself is beyond no forecast is issued.
    fine_bins, coarse : int
        As in `DensityGrid`.
    reach : float
        Log distance that a forecast covers on each side; 3 σ of seven days where that is more.
        The default is a fall of 60 %.
    smoothing : int
        Width of the triangular kernel in bins, odd.
    prominence : float
        A peak of the smoothed density becomes a cluster when it stands out by this share of the
        side's highest smoothed bin.
    asymmetry_reach : float
        Log distance within which the asymmetry is taken.
    band_edges_sigma : tuple of float
        Distance bands within which densities are ranked, in σ of the band horizon; below the first
        and above the last edge there is one more band each.
    band_horizon_ns : int
        The horizon of that σ, ns.
    """

    symbol: str
    price: PriceConfig = PriceConfig()
    step: float = ASSUMED.step
    grid_span: float = 3.0
    fine_bins: int = 200
    coarse: int = 10
    reach: float = ASSUMED.reach
    smoothing: int = ASSUMED.smoothing_bins
    prominence: float = ASSUMED.prominence
    asymmetry_reach: float = ASSUMED.asymmetry_reach
    band_edges_sigma: tuple[float, ...] = DISTANCE_BANDS
    band_horizon_ns: int = DAY_NS

    def __post_init__(self) -> None:
        checks = {
            "step": 0.0 < self.step <= 0.01,
            "grid_span": 0.0 < self.grid_span <= 20.0,
            "fine_bins": self.fine_bins >= 1,
            "coarse": self.coarse >= 1,
            "reach": self.step <= self.reach <= self.grid_span,
            "smoothing": self.smoothing >= 1 and self.smoothing % 2 == 1,
            "prominence": 0.0 < self.prominence < 1.0,
            "asymmetry_reach": self.step <= self.asymmetry_reach <= self.reach,
            "band_edges_sigma": len(self.band_edges_sigma) >= 1
            and self.band_edges_sigma[0] > 0.0
            and all(a < b for a, b in pairwise(self.band_edges_sigma)),
            "band_horizon_ns": self.band_horizon_ns > 0,
        }
        for name, holds in checks.items():
            if not holds:
                raise ConfigError(f"{self.symbol}: {name} is {getattr(self, name)}: out of range")

    def grid(self, anchor: float) -> DensityGrid:
        """Return the grid of a forecast whose tape's first mark was `anchor`."""
        return DensityGrid(
            anchor=anchor, step=self.step, fine_bins=self.fine_bins, coarse=self.coarse
        )


def rules(config: MapConfig) -> npt.NDArray[Any]:
    """Return the constants that kernels read: one record of `RULES_DTYPE`."""
    out = np.zeros(1, dtype=RULES_DTYPE)
    out["price_kind"] = int(config.price.price_kind)
    out["sampling_ns"] = config.price.sigma_sampling_ns
    out["min_coverage"] = config.price.sigma_min_coverage
    out["step"] = config.step
    out["half"] = math.ceil(config.grid_span / config.step)
    out["fine_bins"] = config.fine_bins
    out["coarse"] = config.coarse
    out["reach"] = config.reach
    out["half_width"] = config.smoothing // 2
    out["prominence"] = config.prominence
    out["asymmetry_bins"] = round(config.asymmetry_reach / config.step)
    out["band_days"] = config.band_horizon_ns / DAY_NS
    return out
