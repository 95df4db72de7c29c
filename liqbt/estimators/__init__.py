"""Estimators: from a market's events to a map of forced notional by price.

The reference (`OIFlow`), baselines that know nothing of leverage (`Uniform`, `DistanceKernel`,
`VolumeProfile`), nulls that emit a map (`Mirror`, `TimeShift`), and somebody else's map
(`PublishedMap`). Each sees the events of one market, at most one instrument per kind (several only
for liquidation totals), and nothing else.
"""

from __future__ import annotations

from liqbt.estimators.baselines import DistanceKernel, Uniform, VolumeProfile
from liqbt.estimators.config import MapConfig, PriceConfig
from liqbt.estimators.nulls import Mirror, TimeShift, recentre, reflect
from liqbt.estimators.oi_flow.config import OIFlowConfig
from liqbt.estimators.oi_flow.estimator import OIFlow
from liqbt.estimators.published import PublishedLevels, PublishedMap

__all__ = [
    "DistanceKernel",
    "MapConfig",
    "Mirror",
    "OIFlow",
    "OIFlowConfig",
    "PriceConfig",
    "PublishedLevels",
    "PublishedMap",
    "TimeShift",
    "Uniform",
    "VolumeProfile",
    "recentre",
    "reflect",
]
