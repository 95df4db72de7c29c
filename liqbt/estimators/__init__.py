"""Estimators: from a market's events to a map of forced notional by price.

The reference (`oi_flow`), one that learns its mix of leverage from what was liquidated (`levmix`),
baselines that know nothing of leverage (`uniform`, `distance_kernel`, `volume_profile`), structural
nulls (`swings`, `round_numbers`, `prior_extremes`), nulls that emit a map of the reference
(`mirror`, `time_shift`), rivals that are published elsewhere (`liqbt.estimators.rivals`), recorded
positions (`census`), and somebody else's map (`PublishedMap`). Each sees the events of one
market, at most one instrument per kind (several only for liquidation totals), and nothing else.

An estimator is a class in a module of this package that is `registered` by name, made from its
`Params` and a `MarketSpec`. For one of your own, `DensityEstimator` and `forecast_from_density` do
all that is not particular to it.
"""

from __future__ import annotations

from liqbt.estimators.base import MapEstimator, registered, registered_estimators
from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.density import DensityEstimator, forecast_from_density
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import Bracket, OIFlow, OIFlowParams

__all__ = [
    "Bracket",
    "DensityEstimator",
    "Duration",
    "LevMix",
    "LevMixParams",
    "MapEstimator",
    "MapParams",
    "MarketSpec",
    "OIFlow",
    "OIFlowParams",
    "forecast_from_density",
    "registered",
    "registered_estimators",
]
