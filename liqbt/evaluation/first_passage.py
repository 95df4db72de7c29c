"""First side: which of the two nearest clusters the price reached first, or neither.

The unit is a **landmark**: a forecast whose window does not overlap the landmark's before it (the
first forecast, then always the first one issued a horizon or more after the last landmark, whether
or not that one could be scored). The two levels are the near edges of the nearest eligible cluster
above and below. A landmark that has no eligible cluster on one side, or whose window is censored,
is counted and not scored.

Where one bar touches both levels the outcome is coded a **tie**; scores are then reported for both
ways to break it and for their mean.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import MarketClusters, eligible
from liqbt.evaluation.kernels.passages import first_passages
from liqbt.evaluation.near import near_asymmetry, near_mass
from liqbt.evaluation.nulls.brownian import two_barrier_probabilities
from liqbt.evaluation.path import Censor, PricePath, Windows
from liqbt.types import DAY_NS, FirstSide, FloatArray, IntArray, Ns

FIRST_SIDE_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("forecast", "<i4"),
        ("horizon_ns", "<i8"),
        ("at", "<i8"),
        ("matured_ns", "<i8"),
        ("up", "<f8"),
        ("down", "<f8"),
        ("up_sigma", "<f8"),
        ("down_sigma", "<f8"),
        ("censor", "u1"),
        ("scored", "?"),
        ("outcome", "i1"),
        ("tie", "?"),
        ("q_up", "<f8"),
        ("q_down", "<f8"),
        ("q_neither", "<f8"),
        ("asymmetry", "<f8"),
        ("theta", "<f8"),
        ("p_up", "<f8"),
        ("p_down", "<f8"),
        ("p_neither", "<f8"),
    ]
)
"""One row per landmark.

`matured_ns`: the time from which on the outcome is final: a moment after the window's end plus the
latency or the path's `max_delay_ns`, whichever is longer (no record counts that comes later).
`asymmetry`: (D − U)/(D + U) of near mass (`liqbt.evaluation.near`), positive: more longs below.
`up`, `down`: the two levels, prices, NaN for none; `up_sigma`, `down_sigma`: their distances in
σ_h. `scored`: both levels exist and the window is not censored. `outcome`: a `FirstSide`, 0 too
where `tie` is set or nothing is scored. `q_*`: two-barrier Brownian probabilities, `p_*`:
calibrated ones, both NaN where not scored (`p_*` and `theta` also before calibration).
"""


def landmark_rows(at: IntArray, horizon_ns: Ns) -> IntArray:
    """Return the forecasts that are landmarks.

    Examples
    --------
    >>> landmark_rows(np.array([0, 5, 10, 12, 19, 25]), 10).tolist()
    [0, 2, 5]
    """
    following = np.searchsorted(at, at + horizon_ns, "left").tolist()
    chosen = [0]
    while (then := following[chosen[-1]]) < len(at):
        chosen.append(then)
    return np.array(chosen, np.int64)


def market_first_sides(
    market: MarketInput,
    flat: MarketClusters,
    windows: dict[Ns, Windows],
    config: EvaluationConfig,
    *,
    symbol: int = 0,
) -> npt.NDArray[Any]:
    """Return the landmarks of one market for every horizon.

    Parameters
    ----------
    market : MarketInput
        Forecasts and path.
    flat, windows
        From `flatten` and `market_windows`.
    symbol : int
        Written into the rows.

    Returns
    -------
    ndarray of FIRST_SIDE_DTYPE
        By horizon, then time.
    """
    asymmetry = -near_asymmetry(near_mass(market.forecasts, market.forecasts))
    parts = [
        _horizon_rows(flat, market.path, windows[h], asymmetry, h, config)
        for h in config.horizons_ns
    ]
    rows = np.concatenate(parts)
    rows["symbol"] = symbol
    return rows


def _horizon_rows(
    flat: MarketClusters,
    path: PricePath,
    windows: Windows,
    asymmetry: FloatArray,
    horizon_ns: Ns,
    config: EvaluationConfig,
) -> npt.NDArray[Any]:
    chosen = landmark_rows(flat.at, horizon_ns)
    rows = np.zeros(len(chosen), FIRST_SIDE_DTYPE)
    rows["forecast"], rows["horizon_ns"] = chosen, horizon_ns
    rows["at"], rows["asymmetry"] = flat.at[chosen], asymmetry[chosen]
    rows["censor"] = windows.censor[chosen]
    wait = max(config.latency_ns, path.max_delay_ns) + 1
    rows["matured_ns"] = flat.at[chosen] + horizon_ns + wait
    levels = _nearest(flat, chosen, eligible(flat, config, horizon_ns=horizon_ns))
    rows["up"], rows["down"] = np.exp(levels[:, 0]), np.exp(levels[:, 1])
    centre = flat.log_mark[chosen]
    distance = np.column_stack([levels[:, 0] - centre, centre - levels[:, 1]])
    sigma_h = flat.sigma_1d[chosen] * np.sqrt(horizon_ns / DAY_NS)
    rows["up_sigma"], rows["down_sigma"] = (distance / sigma_h[:, None]).T
    rows["scored"] = np.isfinite(distance).all(1) & (rows["censor"] == Censor.NONE)
    _write_outcomes(rows, path, windows, levels)
    _write_nulls(rows, flat, path, windows, distance)
    for name in ("theta", "p_up", "p_down", "p_neither"):
        rows[name] = np.nan
    return rows


def _nearest(flat: MarketClusters, chosen: IntArray, counts: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the log near edges of the nearest eligible clusters above and below, NaN for none."""
    levels = np.full((len(chosen), 2), np.nan)
    for i, forecast in enumerate(chosen):
        rows = np.arange(flat.offsets[forecast], flat.offsets[forecast + 1])
        for column, side in enumerate((-1, 1)):
            mine = rows[counts[rows] & (flat.clusters["side"][rows] == side)]
            if len(mine):
                levels[i, column] = flat.levels[mine[np.argmin(flat.distance[mine])], 0]
    return levels


def _write_outcomes(
    rows: npt.NDArray[Any], path: PricePath, windows: Windows, levels: FloatArray
) -> None:
    """Fill in which level was touched first."""
    scored = np.flatnonzero(rows["scored"])
    chosen = rows["forecast"][scored]
    upward = np.tile(np.array([1, -1], np.int64), (len(scored), 1))
    touched = first_passages(
        np.log(path.low),
        np.log(path.high),
        windows.first[chosen],
        windows.stop[chosen],
        np.arange(len(scored) + 1),
        upward,
        levels[scored],
    )
    never = len(path)
    when = np.where(touched >= 0, touched, never)
    up, down = when[:, 0], when[:, 1]
    rows["tie"][scored] = (up == down) & (up < never)
    rows["outcome"][scored] = np.select(
        [up < down, down < up], [FirstSide.UP, FirstSide.DOWN], FirstSide.NEITHER
    )


def _write_nulls(
    rows: npt.NDArray[Any],
    flat: MarketClusters,
    path: PricePath,
    windows: Windows,
    distance: FloatArray,
) -> None:
    """Fill in the two-barrier Brownian probabilities over the time that was really watched."""
    for name in ("q_up", "q_down", "q_neither"):
        rows[name] = np.nan
    scored = np.flatnonzero(rows["scored"])
    chosen = rows["forecast"][scored]
    mark_ts = flat.mark_ts[chosen]
    q_up, q_down, q_neither = two_barrier_probabilities(
        up=distance[scored, 0],
        down=distance[scored, 1],
        sigma_1d=flat.sigma_1d[chosen],
        from_ns=windows.exposed_start_ns[chosen] - mark_ts,
        until_ns=windows.exposed_end_ns[chosen] - mark_ts,
        spacing_ns=path.spacing_ns,
    )
    rows["q_up"][scored], rows["q_down"][scored] = q_up, q_down
    rows["q_neither"][scored] = q_neither
