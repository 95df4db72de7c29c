"""What befell each eligible cluster: visited or not, with its mirror image beside it.

Definitions (all in log price about the mark at issue, so that a change of sign changes nothing):

- The **mark at issue decides** the side: a cluster whose near edge is not strictly beyond the mark
  is flagged `inside`, is never eligible and never a hit. What the price does between the mark and
  the start of watching is not looked at; a level already passed by then is touched by the first
  entry watched, and the Brownian null counts the same path the same way.
- The **mirror** of a cluster is its reflection about the mark at issue, on the other side, watched
  in the same window. Distances are equal by definition.
- A **window** is `[at + latency, at + horizon)`. Whether it is censored is a property of the window
  and of nothing that happened in it.
- The first **episode** of a cluster is born at the first forecast where it is eligible; the row
  with `birth` set is its one outcome, its geometry frozen there. Visits end no episode: until it
  expires at birth + horizon a cluster that overlaps it belongs to it, whatever happened meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import MarketClusters, densest, eligible, episodes
from liqbt.evaluation.kernels.passages import first_passages
from liqbt.evaluation.nulls.brownian import touch_probability
from liqbt.evaluation.path import Censor, PricePath, Windows, watch
from liqbt.types import FloatArray, IntArray, Mask, Ns

_AT_ONCE: Final = 1 << 15
"""Rows whose Brownian probability is computed together: it takes a dozen numbers a row."""

OUTCOME_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("forecast", "<i4"),
        ("cluster", "<i4"),
        ("horizon_ns", "<i8"),
        ("at", "<i8"),
        ("side", "i1"),
        ("near", "<f8"),
        ("far", "<f8"),
        ("distance", "<f8"),
        ("distance_sigma", "<f8"),
        ("density_rank", "<f8"),
        ("eligible", "?"),
        ("inside", "?"),
        ("censor", "u1"),
        ("exposed_start_ns", "<i8"),
        ("exposed_end_ns", "<i8"),
        ("visited", "i1"),
        ("penetrated", "i1"),
        ("swept", "i1"),
        ("mirror_visited", "i1"),
        ("visit_ns", "<i8"),
        ("mirror_visit_ns", "<i8"),
        ("brownian", "<f8"),
        ("episode", "<i4"),
        ("birth", "?"),
        ("densest_birth", "?"),
    ]
)
"""One row per horizon and (forecast, cluster) that is eligible or inside.

`symbol` indexes the markets as given, `forecast` and `cluster` their forecasts and clusters.
`near`, `far`: prices of the edges; `distance`: log distance of the near edge from the mark.
`visited` (near edge), `penetrated` (peak), `swept` (far edge), `mirror_visited`: 1 yes, 0 no, -1
unknown (censored or inside). `visit_ns`, `mirror_visit_ns`: the end of the first entry that
touches, -1 for none seen (they are kept in censored windows, where they prove nothing). `brownian`:
the Brownian probability of the visit over the time watched; NaN where nothing is. `episode`: number
in its symbol and horizon, -1 for none; `birth`: whether the episode's one outcome is this row.
`densest_birth`: the same among episodes that only the densest eligible cluster of a forecast, of
both sides together, may begin.
"""

_NEAR, _PEAK, _FAR, _MIRROR = range(4)


def market_windows(
    flat: MarketClusters, path: PricePath, config: EvaluationConfig
) -> dict[Ns, Windows]:
    """Return, by horizon, what the path watches of each forecast's window.

    Parameters
    ----------
    flat : MarketClusters
        From `flatten`.
    path : PricePath
        The prices that decide.
    config : EvaluationConfig
        Horizons and latency.
    """
    opened = flat.at + config.latency_ns
    return {h: watch(path, opened, flat.at + h) for h in config.horizons_ns}


def _passages(flat: MarketClusters, path: PricePath, longest: Windows) -> IntArray:
    """Return where each level of each row is first touched within the longest window."""
    outward = -flat.clusters["side"].astype(np.int64)
    upward = np.column_stack([outward, outward, outward, -outward])
    return np.asarray(
        first_passages(
            np.log(path.low),
            np.log(path.high),
            longest.first,
            longest.stop,
            flat.offsets,
            upward,
            flat.levels,
        )
    )


def market_outcomes(
    market: MarketInput,
    flat: MarketClusters,
    windows: dict[Ns, Windows],
    config: EvaluationConfig,
    *,
    symbol: int = 0,
) -> npt.NDArray[Any]:
    """Return the outcomes of one market for every horizon.

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
    ndarray of OUTCOME_DTYPE
        By horizon, then forecast, then cluster.
    """
    touched = _passages(flat, market.path, windows[max(windows)])
    counts = {h: eligible(flat, config, horizon_ns=h) for h in config.horizons_ns}
    ends = np.cumsum([0, *(int(np.count_nonzero(each | flat.inside)) for each in counts.values())])
    rows = np.zeros(ends[-1], OUTCOME_DTYPE)
    rows["symbol"] = symbol
    for (h, each), first, end in zip(counts.items(), ends, ends[1:], strict=False):
        _write_horizon(
            rows[first:end], flat, market.path, windows[h], touched, each, config, horizon_ns=h
        )
    return rows


def _write_horizon(
    rows: npt.NDArray[Any],
    flat: MarketClusters,
    path: PricePath,
    windows: Windows,
    touched: IntArray,
    counts: Mask,
    config: EvaluationConfig,
    *,
    horizon_ns: Ns,
) -> None:
    """Fill in the rows of one horizon."""
    episode, birth = episodes(flat, counts, config, horizon_ns=horizon_ns)
    _, densest_birth = episodes(flat, densest(flat, counts), config, horizon_ns=horizon_ns)
    keep = np.flatnonzero(counts | flat.inside)
    owner = flat.owner[keep]
    rows["forecast"] = owner
    rows["cluster"] = keep - flat.offsets[owner]
    rows["horizon_ns"] = horizon_ns
    rows["at"] = flat.at[owner]
    source = flat.clusters[keep]
    rows["side"] = source["side"]
    rows["near"] = np.where(source["side"] < 0, source["low"], source["high"])
    rows["far"] = np.where(source["side"] < 0, source["high"], source["low"])
    rows["density_rank"] = source["density_rank"]
    rows["distance"] = flat.distance[keep]
    rows["distance_sigma"] = flat.distance_sigma(horizon_ns)[keep]
    rows["eligible"], rows["inside"] = counts[keep], flat.inside[keep]
    rows["episode"], rows["birth"] = episode[keep], birth[keep]
    rows["densest_birth"] = densest_birth[keep]
    rows["censor"] = windows.censor[owner]
    rows["exposed_start_ns"] = windows.exposed_start_ns[owner]
    rows["exposed_end_ns"] = windows.exposed_end_ns[owner]
    _write_visits(rows, path, windows.stop[owner], touched[keep])
    for i in range(0, len(rows), _AT_ONCE):
        here = rows[i : i + _AT_ONCE]
        here["brownian"] = window_brownian(here, flat, path, here["distance"])


def _write_visits(
    rows: npt.NDArray[Any], path: PricePath, stop: IntArray, touched: IntArray
) -> None:
    """Fill in what was touched before `stop`, and when."""
    seen = (touched >= 0) & (touched < stop[:, None])
    known = ~rows["inside"] & (rows["censor"] == Censor.NONE)
    for name, k in (
        ("visited", _NEAR),
        ("penetrated", _PEAK),
        ("swept", _FAR),
        ("mirror_visited", _MIRROR),
    ):
        rows[name] = np.where(known, seen[:, k], -1)
    for name, k in (("visit_ns", _NEAR), ("mirror_visit_ns", _MIRROR)):
        when = path.end_ns[np.maximum(touched[:, k], 0)]
        rows[name] = np.where(seen[:, k] & ~rows["inside"], when, -1)


def window_brownian(
    rows: npt.NDArray[Any], flat: MarketClusters, path: PricePath, distance: FloatArray
) -> FloatArray:
    """Return the Brownian probability of reaching a level over the time that was really watched.

    Parameters
    ----------
    rows : ndarray of OUTCOME_DTYPE, shape (n,)
        Rows of one market, with their windows.
    flat : MarketClusters
        Its forecasts.
    path : PricePath
        Its prices.
    distance : ndarray of float64, shape (n,)
        Log distance of the level from the mark at issue.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where the cluster lies inside, or nothing was watched.
    """
    use = ~rows["inside"] & (rows["exposed_end_ns"] >= 0)
    owner = rows["forecast"][use]
    mark_ts = flat.mark_ts[owner]
    p = np.full(len(rows), np.nan)
    p[use] = touch_probability(
        distance=distance[use],
        sigma_1d=flat.sigma_1d[owner],
        from_ns=rows["exposed_start_ns"][use] - mark_ts,
        until_ns=rows["exposed_end_ns"][use] - mark_ts,
        spacing_ns=path.spacing_ns,
    )
    return p
