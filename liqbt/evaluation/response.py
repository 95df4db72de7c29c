"""Dose–response: whether the price goes where the estimated density is higher.

The unit is a **bin**: one distance from the mark, on both sides of it, at a landmark. Two forms:

- `paired_response` (primary, decision 0018): the two bins at one distance are a pair,

      Y_up − Y_down = β (rank_up − rank_down) + γ₀ + γ₁ trend_1d + γ₂ trend_3d + e,

  ranks taken among the bins of one landmark and distance band, both sides together. Whatever
  depends on distance, time, or volatility cancels in the pair; what was known of the trend stands
  beside the dose, so that neither can speak for the other.
- `side_response`: Y − p̂ = α + β rank + g(d/σ_h) + e with ranks within one side. A price that is
  drawn to one level passes every bin before it, dense or not, so that within a side there is almost
  no contrast to be seen (decision 0018).

β is the effect of going from the lowest to the highest density, a share of visits.

Source: a linear probability model with partialled-out controls (Frisch and Waugh 1933; Lovell 1963,
Seasonal adjustment of economic time series, theorem 4.1). The interval comes from the day sums of
the score x̃·e, which is what cluster-robust and HAC errors of β are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.first_side import landmark_rows
from liqbt.evaluation.inference import DaySums, Draws, Estimate, estimate_days
from liqbt.evaluation.nulls.kernels import window_extremes
from liqbt.evaluation.nulls.levels import COVARIATES, Anchors, covariates
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability, restricted_cubic
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.evaluation.scores import POOLED, ScoreDetail, detail
from liqbt.types import DAY_NS, FloatArray, Forecast, IntArray, Ns

__all__ = [
    "ResponseBins",
    "anchors_of",
    "outward_density",
    "paired_response",
    "rank_contrast",
    "raw_paired_response",
    "response_bins",
    "response_scores",
    "side_response",
]

_KNOTS: Final = (0.3, 0.8, 1.5, 2.3)
_TREND: Final = slice(COVARIATES.index("trend_1d"), COVARIATES.index("trend_3d") + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseBins:
    """Pairs of bins at one distance, of one market and horizon; column 0 is below, 1 above.

    Attributes
    ----------
    horizon_ns : int
        Horizon.
    n_landmarks : int
        Non-overlapping windows that were watched through.
    forecast : ndarray of int64, shape (n,)
        Index of the landmark's forecast.
    at : ndarray of int64, shape (n,)
        Its time of issue, ns.
    distance : ndarray of float64, shape (n,)
        Log distance from the mark.
    distance_sigma : ndarray of float64, shape (n,)
        The same in σ_h.
    band : ndarray of int64, shape (n,)
        Distance band.
    density : ndarray of float64, shape (n, 2)
        Smoothed estimated notional per bin, USD.
    visited : ndarray of float64, shape (n, 2)
        1 where the price reached that distance inside the window, else 0.
    trend : ndarray of float64, shape (n, 2)
        Trends of one and three days known at issue, in σ.
    """

    horizon_ns: Ns
    n_landmarks: int
    forecast: IntArray
    at: IntArray
    distance: FloatArray
    distance_sigma: FloatArray
    band: IntArray
    density: FloatArray
    visited: FloatArray
    trend: FloatArray


def anchors_of(forecasts: Sequence[Forecast]) -> Anchors:
    """Return the times of issue of forecasts as anchors of the nulls."""
    return Anchors(
        at=np.array([f.at for f in forecasts], np.int64),
        mark_ts=np.array([f.mark_ts for f in forecasts], np.int64),
        log_mark=np.log(np.array([f.mark for f in forecasts], np.float64)),
        sigma_1d=np.array([f.sigma_1d for f in forecasts], np.float64),
        open_interest_usd=np.array([f.open_interest_usd for f in forecasts], np.float64),
    )


def outward_density(forecast: Forecast, n: int, smoothing: int) -> FloatArray:
    """Return a forecast's density at `n` equally spaced distances on both sides of its mark.

    Entry j is at the distance (j + ½) · step, the same on both sides: that of the bin that holds
    the price, smoothed with a triangular kernel. Coarse entries are shared evenly by their bins;
    beyond the forecast's reach there is nothing.

    Parameters
    ----------
    forecast : Forecast
        The forecast.
    n : int
        How many distances.
    smoothing : int
        Width of the kernel in bins, odd.

    Returns
    -------
    ndarray of float64, shape (2, n)
        USD per bin; row 0 below the mark, row 1 above.
    """
    grid, half = forecast.grid, smoothing // 2
    width = np.diff(grid.outward_edges(forecast.density_usd.shape[1]))
    per_bin = np.repeat(forecast.density_usd / width, width, axis=1).astype(np.float64)
    fine = np.zeros((2, n + half + 2))
    kept = min(per_bin.shape[1], fine.shape[1])
    fine[:, :kept] = per_bin[:, :kept]
    kernel = np.concatenate([np.arange(1, half + 2), np.arange(half, 0, -1)]) / (half + 1) ** 2
    smooth = np.stack([np.convolve(row, kernel)[half : half + fine.shape[1]] for row in fine])
    inside = np.log(forecast.mark / grid.anchor) / grid.step - forecast.mark_bin
    place = np.arange(n) + 0.5
    above = np.floor(inside + place).astype(np.int64) - 1
    below = -np.floor(inside - place).astype(np.int64) - 1
    return np.stack([_taken(row, index) for row, index in zip(smooth, (below, above), strict=True)])


def _taken(row: FloatArray, index: IntArray) -> FloatArray:
    """Return `row[index]`, 0 outside of it: the bin that holds the mark belongs to neither side."""
    inside = (index >= 0) & (index < len(row))
    return np.asarray(np.where(inside, row[np.where(inside, index, 0)], 0.0))


def response_bins(
    forecasts: Sequence[Forecast],
    path: PricePath,
    config: EvaluationConfig,
    *,
    horizon_ns: Ns,
    smoothing: int = 7,
) -> ResponseBins:
    """Return the pairs of bins of one market at non-overlapping landmarks.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Those to be scored, in order of issue.
    path : PricePath
        The prices that decide.
    config : EvaluationConfig
        Latency, distances and bands.
    horizon_ns : int
        Horizon; landmarks are as far apart.
    smoothing : int
        Width of the triangular kernel over the density, in bins, odd.

    Raises
    ------
    DataError
        If there is no forecast.
    """
    if not len(forecasts):
        raise DataError("dose-response: no forecast to evaluate; is the warm-up too long?")
    anchors = anchors_of(forecasts)
    chosen = landmark_rows(anchors.at, horizon_ns)
    opened, closed = anchors.at[chosen] + config.latency_ns, anchors.at[chosen] + horizon_ns
    windows = watch(path, opened, closed)
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), windows.first, windows.stop
    )
    watched = np.flatnonzero(windows.censor == Censor.NONE)
    known = covariates(anchors, path)[:, _TREND]
    parts = [
        _pairs(forecasts[chosen[i]], (lowest[i], highest[i]), config, horizon_ns, smoothing)
        for i in watched
    ]
    forecast = np.repeat(chosen[watched], [len(part[0]) for part in parts])
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not joined:
        joined = [np.zeros(0), np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2))]
    distance, ratio, density, visited = joined
    band = np.searchsorted(np.asarray(config.bands), ratio, "right")
    return ResponseBins(
        horizon_ns=horizon_ns,
        n_landmarks=len(watched),
        forecast=forecast,
        at=anchors.at[forecast],
        distance=distance,
        distance_sigma=ratio,
        band=np.minimum(band, len(config.bands) - 1).astype(np.int64),
        density=density,
        visited=visited,
        trend=known[forecast],
    )


def _pairs(
    forecast: Forecast,
    reached: tuple[float, float],
    config: EvaluationConfig,
    horizon_ns: Ns,
    smoothing: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return distances, distances in σ_h, densities and visits of one landmark's pairs."""
    step = forecast.grid.step
    sigma_h = forecast.sigma_1d * np.sqrt(horizon_ns / DAY_NS)
    n = int(config.ceiling * sigma_h / step) + 1
    distance = (np.arange(n) + 0.5) * step
    ratio = distance / sigma_h
    keep = (ratio >= config.floor) & (ratio <= config.ceiling)
    density = outward_density(forecast, n, smoothing).T[keep]
    centre = np.log(forecast.mark)
    low, high = reached
    visited = np.column_stack([low <= centre - distance, high >= centre + distance])[keep]
    return distance[keep], ratio[keep], density, visited.astype(np.float64)


def _ranks(group: IntArray, values: FloatArray) -> FloatArray:
    """Return mid-ranks of `values` within groups, as shares in (0, 1)."""
    if not len(values):
        return np.zeros(0)
    order = np.lexsort((values, group))
    opens = np.diff(group[order], prepend=group[order][0] - 1) != 0
    differs = opens.copy()
    differs[1:] |= np.diff(values[order]) != 0.0
    start, tie = np.cumsum(opens) - 1, np.cumsum(differs) - 1
    size = np.bincount(start)
    first = np.flatnonzero(differs)
    middle = first + 0.5 * (np.bincount(tie) - 1)
    out = np.empty(len(values))
    out[order] = (middle[tie] - np.flatnonzero(opens)[start] + 0.5) / size[start]
    return out


def rank_contrast(bins: ResponseBins) -> FloatArray:
    """Return rank above less rank below, among the bins of one landmark and band, both sides.

    Returns
    -------
    ndarray of float64, shape (n,)
        In (−1, 1); 0 where both densities are equal.
    """
    group = bins.forecast * 64 + bins.band
    ranks = _ranks(np.concatenate([group, group]), bins.density.T.ravel())
    return np.asarray(ranks[len(group) :] - ranks[: len(group)])


def _partialled(
    x: FloatArray, y: FloatArray, controls: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what the controls leave of both."""
    basis, upper = np.linalg.qr(controls)
    diagonal = np.abs(np.diag(upper))
    basis = basis[:, diagonal > 1e-9 * max(diagonal.max(initial=0.0), 1e-300)]
    return x - basis @ (basis.T @ x), y - basis @ (basis.T @ y)


def _slope(
    parts: Sequence[tuple[IntArray, FloatArray, FloatArray]],
    n_landmarks: int,
    horizon_ns: Ns,
    draws: Draws,
) -> Estimate:
    """Return the pooled slope of (time, x̃, ỹ) of several markets."""
    at, x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(x) or float(x @ x) <= 1e-12 * len(x):
        return Estimate(value=np.nan, n_episodes=n_landmarks)
    day = at // DAY_NS - (at // DAY_NS).min()
    total = np.asarray(np.bincount(day, x * y), np.float64)
    count = np.asarray(np.bincount(day, x * x), np.float64)
    days = DaySums(total=total, count=count)
    scale = float(np.bincount(day, np.abs(x * y)).max())
    return estimate_days(days, horizon_ns, draws, n_episodes=n_landmarks, scale=scale)


def paired_response(
    markets: Sequence[ResponseBins],
    draws: Draws,
    *,
    covariates: Sequence[Sequence[ResponseBins]] = (),
) -> Estimate:
    """Estimate β across the mark: the primary statistic of the magnet claim.

    Parameters
    ----------
    markets : sequence of ResponseBins
        One of each market, of one horizon. Controls are fitted market by market, β once.
    draws : Draws
        Of the bootstrap of days.
    covariates : sequence of sequences of ResponseBins
        Other maps (structural ones, say) of the same markets in the same order, whose contrasts
        stand beside the trends: β is then what is left to this map.

    Returns
    -------
    Estimate
        β: P(visit) of the highest less the lowest density. `n_episodes` counts landmarks. NaN
        where no density differs across the mark.

    Raises
    ------
    DataError
        If another map was not issued at the same landmarks and distances.
    """
    parts: list[tuple[Any, Any, Any]] = []
    for i, bins in enumerate(markets):
        columns = [np.ones((len(bins.at), 1)), bins.trend]
        columns += [_matched(bins, other[i])[:, None] for other in covariates]
        y = bins.visited[:, 1] - bins.visited[:, 0]
        x_left, y_left = _partialled(rank_contrast(bins), y, np.column_stack(columns))
        parts.append((bins.at, x_left, y_left))
    return _slope(parts, sum(b.n_landmarks for b in markets), markets[0].horizon_ns, draws)


def raw_paired_response(markets: Sequence[ResponseBins], draws: Draws) -> Estimate:
    """Estimate β across the mark without the trend beside it.

    What the trend explains is counted as attraction: under momentum alone it is not zero. With
    `paired_response` it makes the bracket within which an attraction lies that itself makes trends.
    """
    parts = [
        (bins.at, rank_contrast(bins), bins.visited[:, 1] - bins.visited[:, 0]) for bins in markets
    ]
    return _slope(parts, sum(b.n_landmarks for b in markets), markets[0].horizon_ns, draws)


def _matched(bins: ResponseBins, other: ResponseBins) -> FloatArray:
    same = np.array_equal(bins.at, other.at) and np.allclose(bins.distance, other.distance)
    if not same:
        raise DataError(
            f"dose-response: another map has {len(other.at)} bins at its landmarks, this one "
            f"{len(bins.at)}; expected both to be issued at the same times, marks and grid steps"
        )
    return rank_contrast(other)


def side_response(markets: Sequence[tuple[ResponseBins, Placebo]], draws: Draws) -> Estimate:
    """Estimate β within a side: Y − p̂ on rank and a spline of distance.

    Parameters
    ----------
    markets : sequence of (ResponseBins, Placebo)
        Of one horizon; the placebo's anchors are the same forecasts.
    draws : Draws
        Of the bootstrap of days.
    """
    parts: list[tuple[Any, Any, Any]] = []
    for bins, placebo in markets:
        columns: list[npt.NDArray[Any]] = []
        for column, side in enumerate((-1.0, 1.0)):
            rank = _ranks(bins.forecast * 64 + bins.band, bins.density[:, column])
            sides = np.full(len(rank), side)
            chance = placebo_probability(placebo, bins.forecast, sides, bins.distance)
            columns.append(np.column_stack([rank, bins.visited[:, column] - chance]))
        both = np.concatenate(columns)
        spline = restricted_cubic(np.tile(bins.distance_sigma, 2), _KNOTS)
        controls = np.column_stack([np.ones(len(both)), spline])
        x_left, y_left = _partialled(both[:, 0], both[:, 1], controls)
        parts.append((np.tile(bins.at, 2), x_left, y_left))
    first = markets[0][0]
    return _slope(parts, sum(b.n_landmarks for b, _ in markets), first.horizon_ns, draws)


def response_scores(
    markets: Sequence[tuple[str, Sequence[Forecast], PricePath]],
    config: EvaluationConfig,
    draws: Draws,
) -> list[ScoreDetail]:
    """Score the dose–response across the mark for every market, all together, and every horizon.

    `dose_response` has the trends beside the dose, `dose_response_raw` has not.

    Parameters
    ----------
    markets : sequence of (str, sequence of Forecast, PricePath)
        Name, forecasts to be scored and prices of each market.
    config : EvaluationConfig
        Horizons, latency, distances.
    draws : Draws
        Of the bootstrap of days.
    """
    details = []
    for horizon_ns in config.horizons_ns:
        bins = [
            response_bins(forecasts, path, config, horizon_ns=horizon_ns)
            for _, forecasts, path in markets
        ]
        groups = [(name, [mine]) for (name, _, _), mine in zip(markets, bins, strict=True)]
        for name, mine in [*groups, (POOLED, bins)]:
            where = (name, horizon_name(horizon_ns), "both")
            for statistic, estimator in (
                ("dose_response", paired_response),
                ("dose_response_raw", raw_paired_response),
            ):
                details.append(detail("magnet", *where, statistic, 0.0, estimator(mine, draws)))
    return details
