"""Estimators that fail, each in its own way, after the reference estimator has run a while."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from liqbt.estimators.oi_flow import OIFlow
from liqbt.types import Forecast

__all__ = ["WAYS"]


class _Late:
    """The reference estimator until its fifth forecast."""

    Params = OIFlow.Params
    needs = OIFlow.needs
    needs_margin = True

    def __init__(self, params: Any, market: Any) -> None:
        self._inner, self._issued = OIFlow(params, market), 0

    def update(self, events: Any) -> None:
        self._inner.update(events)

    def forecast(self, at: int) -> Any:
        forecast = self._inner.forecast(at)
        self._issued += forecast is not None
        return forecast if self._issued < 5 or forecast is None else self.late(forecast)

    def late(self, forecast: Forecast) -> Any:
        """Return what is issued from the fifth forecast on."""
        return forecast

    def state(self) -> dict[str, Any]:
        return self._inner.state()

    def restore(self, state: Any) -> None:
        self._inner.restore(state)


class Raises(_Late):
    def late(self, forecast: Forecast) -> Any:
        raise ValueError("a sum went wrong\nand on a second line")


class RaisesInUpdate(_Late):
    def update(self, events: Any) -> None:
        if self._issued > 4:
            raise ZeroDivisionError("division by zero")
        super().update(events)


class Asserts(_Late):
    def late(self, forecast: Forecast) -> Any:
        raise AssertionError


class Recurses(_Late):
    def late(self, forecast: Forecast) -> Any:
        return self.late(forecast)


class Writes(_Late):
    def update(self, events: Any) -> None:
        if self._issued > 4:
            events["p0"][0] = 1.0
        super().update(events)


class NoMark(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, mark=float("nan"))


class NoSigma(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, sigma_1d=float("nan"))


class NoAsymmetry(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, asymmetry=float("nan"))


class NanDensity(_Late):
    def late(self, forecast: Forecast) -> Any:
        density = forecast.density_usd.copy()
        density[1, 3] = np.nan
        return replace(forecast, density_usd=density)


class NegativeDensity(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, density_usd=-1.0 - forecast.density_usd)


class NanClusters(_Late):
    def late(self, forecast: Forecast) -> Any:
        clusters = forecast.clusters.copy()
        if not len(clusters):
            clusters = np.zeros(1, clusters.dtype)
        clusters["low"][-1] = np.nan
        return replace(forecast, clusters=clusters)


class ReturnsList(_Late):
    def late(self, forecast: Forecast) -> Any:
        return [forecast]


class ReturnsText(_Late):
    def late(self, forecast: Forecast) -> Any:
        return "a forecast"


class TextMark(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, mark="high")


class ListDensity(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, density_usd=[[1.0], [2.0]])


class FlatDensity(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, density_usd=forecast.density_usd[0])


class NoClusters(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, clusters=None)


class PlainClusters(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, clusters=np.zeros((2, 2)))


class Knows(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, latest_known=forecast.at)


class Elsewhen(_Late):
    def late(self, forecast: Forecast) -> Any:
        return replace(forecast, at=forecast.at + 1)


class Unbuildable(_Late):
    def __init__(self, params: Any, market: Any) -> None:
        raise KeyError("a setting")


class NeedsMore(_Late):
    def __init__(self, params: Any, market: Any, more: Any) -> None:
        self.more = more


class Empty:
    """Has none of the methods."""

    def __init__(self, config: Any) -> None:
        self.config = config


WAYS = (
    Raises, RaisesInUpdate, Asserts, Recurses, Writes, NoMark, NoSigma, NoAsymmetry, NanDensity,
    NegativeDensity, NanClusters, ReturnsList, ReturnsText, TextMark, ListDensity, FlatDensity,
    NoClusters, PlainClusters, Knows, Elsewhen, Unbuildable, NeedsMore, Empty,
)  # fmt: skip
