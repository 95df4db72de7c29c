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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.kernels import first_passages, link_episodes
from liqbt.evaluation.nulls import touch_probability
from liqbt.evaluation.path import Censor, PricePath, Windows, watch
from liqbt.types import CLUSTER_DTYPE, DAY_NS, Clusters, FloatArray, Forecast, IntArray, Ns

__all__ = [
    "OUTCOME_DTYPE",
    "MarketClusters",
    "densest",
    "flatten",
    "market_outcomes",
    "market_windows",
]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClusters:
    """The forecasts of one market as flat arrays.

    Attributes
    ----------
    at, mark_ts : ndarray of int64, shape (n_forecasts,)
        Times of issue and of the marks, ns.
    log_mark, sigma_1d : ndarray of float64, shape (n_forecasts,)
        Log of the mark, and its volatility.
    offsets : ndarray of int64, shape (n_forecasts + 1,)
        Rows `offsets[i]:offsets[i + 1]` are the clusters of forecast `i`.
    owner : ndarray of int64, shape (n_rows,)
        The forecast of each row.
    clusters : ndarray of CLUSTER_DTYPE, shape (n_rows,)
        The clusters, as issued.
    levels : ndarray of float64, shape (n_rows, 4)
        Log prices of near edge, peak, far edge and the mirror's near edge.
    distance : ndarray of float64, shape (n_rows,)
        Log distance of the near edge beyond the mark; 0 or less where the cluster is inside.
    """

    at: IntArray
    mark_ts: IntArray
    log_mark: FloatArray
    sigma_1d: FloatArray
    offsets: IntArray
    owner: IntArray
    clusters: Clusters
    levels: FloatArray
    distance: FloatArray

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Where the near edge is not strictly beyond the mark."""
        return np.asarray(self.distance <= 0.0)

    def distance_sigma(self, horizon_ns: Ns) -> FloatArray:
        """Return d/σ_h of every row."""
        sigma = self.sigma_1d[self.owner] * np.sqrt(horizon_ns / DAY_NS)
        return np.asarray(self.distance / sigma)


def flatten(symbol: str, forecasts: Sequence[Forecast]) -> MarketClusters:
    """Flatten and check the forecasts of one market.

    Raises
    ------
    DataError
        Names the first forecast or cluster that cannot be right.
    """
    at = np.array([f.at for f in forecasts], np.int64)
    mark_ts = np.array([f.mark_ts for f in forecasts], np.int64)
    mark = np.array([f.mark for f in forecasts], np.float64)
    sigma = np.array([f.sigma_1d for f in forecasts], np.float64)
    _check_forecasts(symbol, at, mark_ts, mark, sigma)
    offsets = np.cumsum([0, *(len(f.clusters) for f in forecasts)], dtype=np.int64)
    owner = np.repeat(np.arange(len(at)), np.diff(offsets))
    clusters = _joined([f.clusters for f in forecasts])
    _check_clusters(symbol, clusters, owner)
    low, high, peak = (np.log(clusters[name]) for name in ("low", "high", "peak"))
    short = clusters["side"] < 0
    near, far = np.where(short, low, high), np.where(short, high, low)
    centre = np.log(mark)[owner]
    return MarketClusters(
        at=at,
        mark_ts=mark_ts,
        log_mark=np.log(mark),
        sigma_1d=sigma,
        offsets=offsets,
        owner=owner,
        clusters=clusters,
        levels=np.column_stack([near, peak, far, 2.0 * centre - near]),
        distance=np.where(short, near - centre, centre - near),
    )


def _joined(parts: Sequence[Clusters]) -> Clusters:
    """Concatenate as opaque bytes: promoting structured types costs more than the copying."""
    opaque = f"V{CLUSTER_DTYPE.itemsize}"
    raw = [np.ascontiguousarray(part, CLUSTER_DTYPE).view(opaque) for part in parts]
    return np.concatenate(raw).view(CLUSTER_DTYPE)


def _check_forecasts(
    symbol: str, at: IntArray, mark_ts: IntArray, mark: FloatArray, sigma: FloatArray
) -> None:
    if not len(at):
        raise DataError(f"{symbol}: no forecast to evaluate; is the warm-up longer than the data?")
    late = np.flatnonzero(np.diff(at) <= 0)
    if len(late):
        raise DataError(f"{symbol}: forecast {late[0] + 1} is not issued after the one before it")
    bad = np.flatnonzero(~((mark > 0) & np.isfinite(mark) & (sigma > 0) & np.isfinite(sigma)))
    if len(bad):
        i = bad[0]
        raise DataError(
            f"{symbol}: forecast {i} has mark {mark[i]:g} and sigma_1d {sigma[i]:g}; "
            "both must be positive and finite"
        )
    ahead = np.flatnonzero(mark_ts > at)
    if len(ahead):
        raise DataError(f"{symbol}: forecast {ahead[0]} uses a mark of after its issue")


def _check_clusters(symbol: str, clusters: Clusters, owner: IntArray) -> None:
    low, high, peak = clusters["low"], clusters["high"], clusters["peak"]
    good = (low > 0) & (low < high) & np.isfinite(high) & (peak >= low) & (peak <= high)
    bad = np.flatnonzero(~(good & (np.abs(clusters["side"]) == 1)))
    if len(bad):
        row = clusters[bad[0]]
        raise DataError(
            f"{symbol}: forecast {owner[bad[0]]} has a cluster of side {row['side']} on "
            f"[{row['low']:g}, {row['high']:g}) with peak {row['peak']:g}; expected side ±1, "
            "0 < low < high and the peak between them"
        )
    order = np.lexsort((low, clusters["side"], owner))
    same = np.diff(owner[order]) == 0
    same &= np.diff(clusters["side"][order].astype(np.int64)) == 0
    meet = np.flatnonzero(same & (low[order][1:] < high[order][:-1] * (1.0 - 1e-12)))
    if len(meet):
        raise DataError(
            f"{symbol}: forecast {owner[order][meet[0]]} has clusters of one side that overlap"
        )


def market_windows(
    flat: MarketClusters, path: PricePath, config: EvaluationConfig
) -> dict[Ns, Windows]:
    """Return, by horizon, what the path watches of each forecast's window."""
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
    parts = [
        _horizon_rows(flat, market.path, windows[h], touched, h, config) for h in config.horizons_ns
    ]
    rows = np.concatenate(parts)
    rows["symbol"] = symbol
    return rows


def _horizon_rows(
    flat: MarketClusters,
    path: PricePath,
    windows: Windows,
    touched: IntArray,
    horizon_ns: Ns,
    config: EvaluationConfig,
) -> npt.NDArray[Any]:
    ratio = flat.distance_sigma(horizon_ns)
    eligible = ~flat.inside & (ratio >= config.floor) & (ratio <= config.ceiling)
    low, high = np.log(flat.clusters["low"]), np.log(flat.clusters["high"])
    episode, birth = link_episodes(
        flat.at, flat.offsets, flat.clusters["side"], low, high, eligible, horizon_ns, config.iou
    )
    _, densest_birth = link_episodes(
        flat.at,
        flat.offsets,
        flat.clusters["side"],
        low,
        high,
        densest(flat, eligible),
        horizon_ns,
        config.iou,
    )
    keep = np.flatnonzero(eligible | flat.inside)
    owner = flat.owner[keep]
    rows = np.zeros(len(keep), OUTCOME_DTYPE)
    rows["forecast"] = owner
    rows["cluster"] = keep - flat.offsets[owner]
    rows["horizon_ns"] = horizon_ns
    rows["at"] = flat.at[owner]
    source = flat.clusters[keep]
    rows["side"] = source["side"]
    rows["near"] = np.where(source["side"] < 0, source["low"], source["high"])
    rows["far"] = np.where(source["side"] < 0, source["high"], source["low"])
    rows["density_rank"] = source["density_rank"]
    rows["distance"], rows["distance_sigma"] = flat.distance[keep], ratio[keep]
    rows["eligible"], rows["inside"] = eligible[keep], flat.inside[keep]
    rows["episode"], rows["birth"] = episode[keep], birth[keep]
    rows["densest_birth"] = densest_birth[keep]
    rows["censor"] = windows.censor[owner]
    rows["exposed_start_ns"] = windows.exposed_start_ns[owner]
    rows["exposed_end_ns"] = windows.exposed_end_ns[owner]
    _write_visits(rows, path, windows.stop[owner], touched[keep])
    _write_null(rows, flat, path)
    return rows


def densest(flat: MarketClusters, eligible: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where a cluster has the highest density of its forecast's eligible ones.

    Density is estimated notional over width in log price; both sides compete, ties go to the first.

    Parameters
    ----------
    flat : MarketClusters
        Forecasts as flat arrays.
    eligible : ndarray of bool, shape (n_rows,)
        Which clusters compete.
    """
    clusters = flat.clusters
    rows = np.flatnonzero(eligible)
    density = (clusters["notional_usd"] / np.log(clusters["high"] / clusters["low"]))[rows]
    order = rows[np.lexsort((rows, -density, flat.owner[rows]))]
    first = np.diff(flat.owner[order], prepend=-1) > 0
    mask = np.zeros(len(clusters), bool)
    mask[order[first]] = True
    return mask


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


def _write_null(rows: npt.NDArray[Any], flat: MarketClusters, path: PricePath) -> None:
    """Fill in the Brownian probability over the time that was really watched."""
    mark_ts = flat.mark_ts[rows["forecast"]]
    use = ~rows["inside"] & (rows["exposed_end_ns"] >= 0)
    rows["brownian"] = np.nan
    rows["brownian"][use] = touch_probability(
        distance=rows["distance"][use],
        sigma_1d=flat.sigma_1d[rows["forecast"][use]],
        from_ns=(rows["exposed_start_ns"] - mark_ts)[use],
        until_ns=(rows["exposed_end_ns"] - mark_ts)[use],
        spacing_ns=path.spacing_ns,
    )
