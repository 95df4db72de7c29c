"""Pairs of bins at one distance from the mark: the estimated density, and what was visited."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtr

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import DayFactors
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.kernels.response import smooth_around
from liqbt.evaluation.nulls.levels import Anchors, trends
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.forecasts import column
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Forecast, IntArray, Ns

_TRENDS_NS: Final = (12 * HOUR_NS, DAY_NS, 3 * DAY_NS)

_AT_ONCE: Final = 128
"""Landmarks whose pairs are held together: a year has a million pairs of a day's horizon."""
PHASES: Final = 6
"""Landmarks begin at so many times of a horizon, a sixth of it apart: what they tell is averaged
over them, since the hour at which one begins is no free choice."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseBins:
    """Pairs of bins at one distance, of some landmarks of one market and horizon.

    Column 0 is below the mark, 1 above.

    Attributes
    ----------
    horizon_ns : int
        Horizon.
    n_landmarks : int
        Of the market's windows, those that were watched through in one of the phases: so many do
        not overlap.
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
    trend : ndarray of float64, shape (n, 3)
        Trends of half a day, one and three days known at issue, in σ.
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
        at=column(forecasts, "at"),
        mark_ts=column(forecasts, "mark_ts"),
        log_mark=np.log(column(forecasts, "mark")),
        sigma_1d=column(forecasts, "sigma_1d"),
        open_interest_usd=column(forecasts, "open_interest_usd"),
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
    return _density_at(forecast, forecast.mark, np.arange(n, dtype=np.float64) + 0.5, smoothing)


def _density_at(forecast: Forecast, mark: float, place: FloatArray, smoothing: int) -> FloatArray:
    """Return a forecast's density at places around `mark`, in its own bins, not decreasing."""
    grid = forecast.grid
    edges = grid.outward_edges(forecast.density_usd.shape[1])
    inside = np.log(mark / grid.anchor) / grid.step - forecast.mark_bin
    return np.asarray(
        smooth_around(forecast.density_usd, edges, float(inside), place, smoothing // 2)
    )


def phase_rows(at: IntArray, horizon_ns: Ns) -> IntArray:
    """Return the forecasts that are landmarks of a horizon in any of its phases, in order.

    Examples
    --------
    >>> phase_rows(np.arange(0, 100, 10), 60).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> phase_rows(np.arange(0, 24, 1), 12).tolist()
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    """
    starts = np.searchsorted(at, at[0] + np.arange(PHASES) * (horizon_ns // PHASES))
    chains = [start + landmark_rows(at[start:], horizon_ns) for start in starts if start < len(at)]
    return np.unique(np.concatenate(chains))


def landmark_times(forecasts: Sequence[Forecast], horizon_ns: Ns) -> IntArray:
    """Return when the forecasts were issued that are landmarks of a horizon in any phase, ns.

    At these times another map must be issued that is to stand beside this one.
    """
    at = column(forecasts, "at")
    return at[phase_rows(at, horizon_ns)] if len(at) else at


def beside_bins(
    bins: ResponseBins,
    forecasts: Sequence[Forecast],
    others: Sequence[Forecast],
    *,
    smoothing: int = 7,
) -> ResponseBins:
    """Return the same pairs of bins with the density that another map has there.

    Parameters
    ----------
    bins : ResponseBins
        The pairs of one market and horizon.
    forecasts : sequence of Forecast
        Those that `bins` were made of.
    others : sequence of Forecast
        Another map's, issued at the landmarks. It is read at the prices of `bins`, whatever its own
        mark and grid; at a landmark at which it was not issued it is nowhere, and zero.
    smoothing : int
        Width of the triangular kernel, in bins of the other map, odd.
    """
    issued = {time: i for i, time in enumerate(column(others, "at").tolist())} if others else {}
    density = np.zeros_like(bins.density)
    chosen, starts, counts = np.unique(bins.forecast, return_index=True, return_counts=True)
    for landmark, start, count in zip(chosen, starts, counts, strict=True):
        rows = slice(start, start + count)
        forecast = forecasts[landmark]
        number = issued.get(forecast.at)
        if number is not None:
            other = others[number]
            place = bins.distance[rows] / other.grid.step
            density[rows] = _density_at(other, forecast.mark, place, smoothing).T
    return replace(bins, density=density)


def response_blocks(
    forecasts: Sequence[Forecast],
    path: PricePath,
    config: EvaluationConfig,
    *,
    horizon_ns: Ns,
    smoothing: int = 7,
    at_once: int = _AT_ONCE,
) -> Iterator[ResponseBins]:
    """Yield the pairs of bins of one market at the landmarks of all phases of a horizon.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Those to be scored, in order of issue.
    path : PricePath
        The prices that decide.
    config : EvaluationConfig
        Latency, distances and bands.
    horizon_ns : int
        Horizon; landmarks of one phase are as far apart.
    smoothing : int
        Width of the triangular kernel over the density, in bins, odd.
    at_once : int
        Landmarks of a block; one block at least, in which there may be none.

    Raises
    ------
    DataError
        If there is no forecast.
    """
    if not len(forecasts):
        raise DataError("dose-response: no forecast to evaluate; is the warm-up too long?")
    anchors = anchors_of(forecasts)
    chosen = phase_rows(anchors.at, horizon_ns)
    apart = len(landmark_rows(anchors.at, horizon_ns)) / len(chosen)
    opened, closed = anchors.at[chosen] + config.latency_ns, anchors.at[chosen] + horizon_ns
    windows = watch(path, opened, closed)
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), windows.first, windows.stop
    )
    watched = np.flatnonzero(windows.censor == Censor.NONE)
    known = trends(anchors, path, _TRENDS_NS)
    for k in range(0, max(len(watched), 1), at_once):
        rows = watched[k : k + at_once]
        parts = [
            _pairs(forecasts[chosen[i]], (lowest[i], highest[i]), config, horizon_ns, smoothing)
            for i in rows
        ]
        forecast = np.repeat(chosen[rows], [len(part[0]) for part in parts])
        joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
        if not joined:
            joined = [np.zeros(0), np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2))]
        distance, ratio, density, visited = joined
        band = np.searchsorted(np.asarray(config.bands), ratio, "right")
        yield ResponseBins(
            horizon_ns=horizon_ns,
            n_landmarks=math.ceil(apart * len(watched)),
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


def within_ranks(group: IntArray, values: FloatArray) -> FloatArray:
    """Return mid-ranks of `values` within groups, as shares in (0, 1)."""
    if not len(values):
        return np.zeros(0)
    order = np.argsort(values)
    few = group.astype(np.uint16) if group.max() < 1 << 16 else group  # which is sorted by radix
    order = order[np.argsort(few[order], kind="stable")]
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
    group = np.cumsum(np.diff(bins.forecast * 64 + bins.band, prepend=-1) != 0)
    ranks = within_ranks(np.concatenate([group, group]), bins.density.T.ravel())
    return ranks[len(group) :] - ranks[: len(group)]


def drift_response(distance: FloatArray) -> FloatArray:
    """Return what a small drift adds to P(visit above) − P(visit below), for each σ_h of it.

    A Brownian motion that drifts by μ reaches d with probability Φ(μ − d) + exp(2μd) Φ(−d − μ)
    (Borodin and Salminen 2002, Handbook of Brownian motion, 2.1.1.4); the derivative of the
    difference of both sides at μ = 0 is 4 d Φ(−d).

    Parameters
    ----------
    distance : ndarray of float64, shape (n,)
        In σ_h, 0 or more.

    Examples
    --------
    >>> drift_response(np.array([0.0, 0.75, 2.5])).round(3).tolist()
    [0.0, 0.68, 0.062]
    """
    return np.asarray(4.0 * distance * ndtr(-distance))


class Dose:
    """How visits answer to density across the mark: what a market's pairs of bins say by day.

    Attributes
    ----------
    n_landmarks : int
        Of the market's windows (see `ResponseBins`).
    """

    n_landmarks: int

    def __init__(self, first: ResponseBins, *others: ResponseBins) -> None:
        self.n_landmarks, self._trends = first.n_landmarks, 1 + first.trend.shape[1]
        self._factors = DayFactors(2 + self._trends + len(others))
        self.add(first, *others)

    def add(self, bins: ResponseBins, *others: ResponseBins) -> None:
        """Take in pairs of bins, and the same ones with the densities of other maps."""
        drift = drift_response(bins.distance_sigma)[:, None]
        columns = [rank_contrast(bins), bins.visited[:, 1] - bins.visited[:, 0], drift]
        columns += [bins.trend * drift, *map(rank_contrast, others)]
        self._factors.add(bins.at, np.column_stack(columns))

    def days(self, *, trends: bool = True, maps: bool = False) -> DaySums:
        """Return what each day adds to the slope of visits on the dose.

        Parameters
        ----------
        trends : bool
            Whether what drifts do to the pairs stands beside it (see `drift_response`).
        maps : bool
            Whether the other maps' contrasts do.
        """
        beside = range(2, 2 + self._trends) if trends else range(0)
        other = range(2 + self._trends, self._factors.width) if maps else range(0)
        return self._factors.slope([*beside, *other], n_units=self.n_landmarks)


def market_dose(
    source: MarketInput,
    config: EvaluationConfig,
    others: Collection[Sequence[Forecast]],
    *,
    horizon_ns: Ns,
) -> Dose:
    """Return the dose of one market at a horizon.

    Parameters
    ----------
    source : MarketInput
        Forecasts and prices.
    config : EvaluationConfig
        Latency, distances and bands.
    others : collection of sequence of Forecast
        Maps that stand beside it, issued at the landmarks.
    horizon_ns : int
        Horizon.

    Raises
    ------
    DataError
        If there is no forecast, or another map was issued at other times than the landmarks alone.
    """
    forecasts = source.forecasts
    times = landmark_times(forecasts, horizon_ns)
    for other in others:
        if len(other) and len(times) and not np.isin(column(other, "at"), times).any():
            raise DataError(
                f"dose-response: another map was issued at {len(other)} times, none of them one of "
                f"the {len(times)} landmarks of this one; expected it there"
            )
    blocks = response_blocks(forecasts, source.path, config, horizon_ns=horizon_ns)
    parts = ((bins, *(beside_bins(bins, forecasts, other) for other in others)) for bins in blocks)
    dose = Dose(*next(parts))
    for part in parts:
        dose.add(*part)
    return dose
