"""Forecasts that are right on a stated share of days: what a test of a hit rate must tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from liqbt.evaluation.config import METHOD, PRIMARY_NS, MarketInput
from liqbt.evaluation.inference.days import stream
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.path import watch
from liqbt.types import CLUSTER_DTYPE, DAY_NS, FloatArray, Forecast

Knowing: TypeAlias = Callable[[Sequence[Forecast], MarketInput], list[Forecast]]
"""Puts forecasts that know the future in place of those that were issued."""

_WITHIN: Final = 0.8
"""A level that will be visited lies at this share of how far the price will go."""
_BEYOND: Final = 1.25
"""One that will not lies at this multiple of it."""
_WIDTH: Final = 1e-4


def visited_on(share: float) -> Knowing:
    """Return forecasts whose nearest cluster is visited on a share of UTC days.

    On the side on which the price will end, within or beyond how far it will go there; the other
    side's lies beyond reach. Which days are right is drawn, from a stream that is the market's own.

    Parameters
    ----------
    share : float
        Of days, in [0, 1].
    """
    return _right_on(share, lambda right: (right, True))


def called_on(share: float) -> Knowing:
    """Return forecasts that call the side where the price goes first, and ends, on a share of days.

    Clusters are those of `visited_on` where all days are right; on the others the opposite side is
    called.

    Parameters
    ----------
    share : float
        Of UTC days, in [0, 1].
    """
    return _right_on(share, lambda right: (True, right))


def _right_on(share: float, told: Callable[[bool], tuple[bool, bool]]) -> Knowing:
    """Return forecasts of which `told` says, by whether their day is right: visited, called."""

    def known(forecasts: Sequence[Forecast], market: MarketInput) -> list[Forecast]:
        at = np.array([f.at for f in forecasts], np.int64)
        path, last = market.path, len(market.path) - 1
        windows = watch(path, at + METHOD.latency, at + PRIMARY_NS)
        first = np.minimum(windows.first, last)
        stop = np.minimum(np.maximum(windows.stop, first + 1), last + 1)
        lowest, highest = window_extremes(np.log(path.low), np.log(path.high), first, stop)
        mark = np.log([f.mark for f in forecasts])
        rises = np.log(path.close[stop - 1]) > mark
        up, down = np.maximum(highest - mark, _WIDTH), np.maximum(mark - lowest, _WIDTH)
        days, of = np.unique(at // DAY_NS, return_inverse=True)
        own = f"{path.close[0]:.17g} {path.close[-1]:.17g}"
        right = (stream(0, "right_on", market.symbol, own).random(len(days)) < share)[of]
        ahead, behind = np.where(rises, up, down), np.where(rises, down, up)
        return [
            _placed(f, bool(rises[i]), told(bool(right[i])), (float(ahead[i]), float(behind[i])))
            for i, f in enumerate(forecasts)
        ]

    return known


def _placed(
    forecast: Forecast, rises: bool, told: tuple[bool, bool], reach: tuple[float, float]
) -> Forecast:
    """Return a forecast with one cluster where the price will end, and one on the other side."""
    visited, called = told
    near = (_WITHIN if visited else _BEYOND) * reach[0]
    far = max(_BEYOND * reach[1], 2.0 * near)
    up, down = (near, far) if rises else (far, near)
    edges: FloatArray = forecast.mark * np.exp([[up, up + _WIDTH], [-down - _WIDTH, -down]])
    clusters = np.zeros(2, CLUSTER_DTYPE)
    clusters["side"] = -1, 1
    clusters["low"], clusters["high"] = edges.T
    clusters["peak"] = np.sqrt(edges[:, 0] * edges[:, 1])
    clusters["notional_usd"], clusters["density_rank"] = 1e6, 1.0
    lean = -1.0 if rises == called else 1.0
    return replace(forecast, clusters=clusters, asymmetry=lean, notional_interval=None)
