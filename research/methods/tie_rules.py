"""The same question asked otherwise: other touch rules, fixed landmarks in place of episodes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.episodes import MarketClusters
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.outcomes import window_brownian
from liqbt.evaluation.path import Censor, PricePath
from liqbt.types import FloatArray, Ns

TOUCH_RULES: Final = {"touch": "visited", "penetration": "penetrated", "sweep": "swept"}
"""The field of an outcome that holds each rule: near edge, peak, far edge."""

_LEVEL: Final = {"touch": 0, "penetration": 1, "sweep": 2}


def rule_brownian(
    rule: str, outcomes: npt.NDArray[Any], flat: MarketClusters, path: PricePath
) -> FloatArray:
    """Return the Brownian probability of each outcome under a touch rule.

    A deeper level is rarer: a rate of penetration or sweep stands beside the null of its own level.

    Parameters
    ----------
    rule : str
        A key of `TOUCH_RULES`.
    outcomes : ndarray of OUTCOME_DTYPE
        Rows of one market.
    flat : MarketClusters
        The same market's forecasts.
    path : PricePath
        Its prices.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where the cluster lies inside, or nothing was watched.
    """
    row = flat.offsets[outcomes["forecast"]] + outcomes["cluster"]
    owner = outcomes["forecast"]
    distance = np.abs(flat.levels[row, _LEVEL[rule]] - flat.log_mark[owner])
    return window_brownian(outcomes, flat, path, distance)


def landmark_outcomes(
    outcomes: npt.NDArray[Any], flat: MarketClusters, *, horizon_ns: Ns
) -> npt.NDArray[Any]:
    """Return the outcomes of eligible clusters at fixed landmarks, windows apart from each other.

    Episodes count each cluster once in its life; landmarks count each that stands at a fixed time.
    The first forecast is a landmark, then always the first one a horizon or more after the last.

    Parameters
    ----------
    outcomes : ndarray of OUTCOME_DTYPE
        Rows of one market.
    flat : MarketClusters
        The same market's forecasts.
    horizon_ns : int
        Horizon.
    """
    chosen = landmark_rows(flat.at, horizon_ns)
    keep = (
        (outcomes["horizon_ns"] == horizon_ns)
        & outcomes["eligible"]
        & (outcomes["censor"] == Censor.NONE)
        & np.isin(outcomes["forecast"], chosen)
    )
    return np.asarray(outcomes[keep])
