"""What was known at a landmark: one small table, issued beside the forecasts.

Everything comes from the forecasts themselves (asymmetry, clusters, σ, marks, open interest) and
from funding with `ts_known < at`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.cascades import Cascades, window_cascades
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.funding import Funding, funding_at
from liqbt.evaluation.nulls.levels import Anchors
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

COVARIATES: Final = (
    "asymmetry",
    "up_sigma",
    "down_sigma",
    "volatility",
    "trend_1d",
    "trend_3d",
    "funding",
    "open_interest_1d",
)
"""Covariates of a landmark; NaN where one is not known, funding everywhere where none is fed.

`up_sigma`, `down_sigma`: distances of the nearest eligible cluster in σ_h, the farthest that counts
where there is none; `volatility`: ln σ of a day; `trend_*`: log return over its own σ, within ±3;
`funding`: rate of eight hours; `open_interest_1d`: change of log open interest in coins.
"""

LANDMARK_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("forecast", "<i4"),
        ("at", "<i8"),
        ("matured_ns", "<i8"),
        *((name, "<f8") for name in COVARIATES),
        ("q_up", "<f8"),
        ("q_down", "<f8"),
        ("q_neither", "<f8"),
        ("scored", "?"),
        ("outcome", "i1"),
        ("tie", "?"),
        ("cascade", "i1"),
        ("large_move", "i1"),
        ("cascade_known", "?"),
    ]
)
"""One row per landmark of the horizon that models are made for; `outcome` to `tie` and `q_*` as in
`FIRST_SIDE_DTYPE`, `cascade` and `large_move`: +1, −1 or 0 where `cascade_known`, else 0."""

_CLIP: Final = 3.0


def landmark_table(
    first_sides: npt.NDArray[Any],
    anchors: Anchors,
    funding: Funding | None,
    cascades: Cascades | None,
    config: EvaluationConfig,
) -> npt.NDArray[Any]:
    """Return the landmarks of one market and horizon with what was known, and what followed.

    Parameters
    ----------
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Of one market and horizon.
    anchors : Anchors
        Times of issue with mark, σ and open interest, those before scoring begins too.
    funding, cascades
        Of the market; None where there are none.
    config : EvaluationConfig
        Its ceiling stands in for the distance of a cluster that there is not; its latency.

    Returns
    -------
    ndarray of LANDMARK_DTYPE
    """
    rows = np.zeros(len(first_sides), LANDMARK_DTYPE)
    for name in LANDMARK_DTYPE.names or ():
        if name in (first_sides.dtype.names or ()):
            rows[name] = first_sides[name]
    at = first_sides["at"]
    for name in ("up_sigma", "down_sigma"):
        rows[name] = np.where(np.isnan(rows[name]), config.ceiling, rows[name])
    here = np.searchsorted(anchors.at, at)
    rows["volatility"] = np.log(anchors.sigma_1d[here])
    for name, back in (("trend_1d", DAY_NS), ("trend_3d", 3 * DAY_NS)):
        rows[name] = _trend(anchors, here, back)
    coins = np.log(anchors.open_interest_usd) - anchors.log_mark
    before = _earlier(anchors, here, DAY_NS)
    rows["open_interest_1d"] = np.where(before >= 0, coins[here] - coins[before], np.nan)
    rows["funding"] = np.nan if funding is None else funding_at(funding, at)
    if cascades is not None and len(rows):
        horizon_ns = int(first_sides["horizon_ns"][0])
        window = (at + config.latency_ns, at + horizon_ns)
        for name in ("cascade", "large_move"):
            found, known = window_cascades(cascades, getattr(cascades, name), *window)
            rows[name], rows["cascade_known"] = found, known
    return rows


def _earlier(anchors: Anchors, here: IntArray, back_ns: Ns) -> IntArray:
    """Return the last anchor `back_ns` or longer before each, −1 where none is that fresh."""
    wanted = anchors.at[here] - back_ns
    place = np.searchsorted(anchors.at, wanted, "right") - 1
    fresh = (place >= 0) & (wanted - anchors.at[np.maximum(place, 0)] <= back_ns // 2)
    return np.where(fresh, place, -1)


def _trend(anchors: Anchors, here: IntArray, back_ns: Ns) -> FloatArray:
    before = _earlier(anchors, here, back_ns)
    days = (anchors.at[here] - anchors.at[before]) / DAY_NS
    move = anchors.log_mark[here] - anchors.log_mark[before]
    scale = anchors.sigma_1d[here] * np.sqrt(np.where(before >= 0, days, 1.0))
    return np.where(before >= 0, np.clip(move / scale, -_CLIP, _CLIP), np.nan)
