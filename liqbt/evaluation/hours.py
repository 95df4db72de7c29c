"""Every forecast of a market: its map's near asymmetry, what was known, and the return after it.

One row a forecast, every hour by default: windows overlap, and nothing hangs on the hour at which a
day is cut. Near mass and near asymmetry are those of `liqbt.evaluation.near`.

Returns begin at the first price at or after `at` + latency and end at the first one a horizon
later, so that hourly bars are watched for as long as points. They are told in two parts: **jumps**
are the steps from price to price that are longer than 4 σ of their time, the rest is **diffusion**
(Mancini 2009, Non-parametric threshold estimation for models with stochastic diffusion coefficient
and jumps, section 2, with σ as known at issue in the place of a local estimate). A pull shows in
the one, a lean of sudden moves in the other. Everything else was known at `at`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.funding import funding_at
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import slope_days
from liqbt.evaluation.kernels.hours import decayed_returns, split_returns
from liqbt.evaluation.near import beside_asymmetry, near_asymmetry, near_mass
from liqbt.evaluation.path import PricePath
from liqbt.forecasts import column
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Forecast, IntArray, Ns

RETURNS_NS: Final[tuple[Ns, ...]] = (HOUR_NS, 4 * HOUR_NS)
"""Horizons that claims rest on: the columns of `Hours.diffusion` and `Hours.jumps`."""

HALF_LIVES_NS: Final[tuple[Ns, ...]] = (72 * HOUR_NS, 168 * HOUR_NS)
"""Half-lives of the past returns, the columns of `Hours.past`."""

JUMP_SIGMA: Final = 4.0
"""A step from one price to the next that is longer than this, in σ of its time, is a jump."""

_USUAL_NS: Final[Ns] = 30 * DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hours:
    """The forecasts of one market, one row each, in order of issue.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        Times of issue, ns.
    diffusion, jumps : ndarray of float64, shape (n, k)
        The two parts of the log returns over `horizons_ns` from `at` + latency, in σ_1d √(h / 1 d);
        NaN where the window is not watched through.
    past : ndarray of float64, shape (n, 2)
        Past log returns up to the mark at issue, each halved with every half-life of
        `HALF_LIVES_NS` since, in σ_1d.
    near : ndarray of float64, shape (n,)
        Near asymmetry, in [−1, 1]; 0 where there is no near mass at all.
    size : ndarray of float64, shape (n,)
        U − D over what U + D was on average in the thirty days up to `at`; 0 where that was 0.
    total : ndarray of float64, shape (n,)
        ln of U + D over the same; NaN where either is 0.
    funding : ndarray of float64, shape (n,)
        Last rate of eight hours known at `at`, positive where longs pay; NaN where none was.
    twin : ndarray of float64, shape (n,)
        Near asymmetry of the price-only twin; NaN where it issued nothing, and where there is none.
    beside : ndarray of float64, shape (n, k)
        Near asymmetries of the market's other maps; NaN where one issued nothing.
    horizons_ns : tuple of int
        Those of the columns of `diffusion` and `jumps`: `RETURNS_NS`, or another one alone.
    """

    at: IntArray
    diffusion: FloatArray
    jumps: FloatArray
    past: FloatArray
    near: FloatArray
    size: FloatArray
    total: FloatArray
    funding: FloatArray
    twin: FloatArray
    beside: FloatArray
    horizons_ns: tuple[Ns, ...] = RETURNS_NS


def hours_over(
    hours: Hours, market: MarketInput, config: EvaluationConfig, horizon_ns: Ns
) -> Hours:
    """Return the same table with the returns over another horizon.

    Parameters
    ----------
    hours : Hours
        The market's table.
    market : MarketInput
        What it was made of.
    config : EvaluationConfig
        Its latency.
    horizon_ns : int
        The horizon.
    """
    sigma = column(market.forecasts, "sigma_1d")
    parts = forward_returns(market.path, hours.at + config.latency_ns, sigma, horizon_ns)
    return replace(hours, diffusion=parts[:, :1], jumps=parts[:, 1:], horizons_ns=(horizon_ns,))


def market_hours(market: MarketInput, config: EvaluationConfig) -> Hours:
    """Return the table of one market.

    Parameters
    ----------
    market : MarketInput
        Forecasts and what stands beside them.
    config : EvaluationConfig
        Its latency.
    """
    issued = market.forecasts
    anchors = market.anchors or anchors_of(issued)
    at, sigma = column(issued, "at"), column(issued, "sigma_1d")
    here = np.searchsorted(anchors.at, at)
    mass = near_mass(issued, issued)
    rates = market.funding
    below, above = mass.T
    usual = _usual(at, mass.sum(axis=1))
    held = usual > 0.0
    size = np.divide(above - below, usual, out=np.zeros(len(at)), where=held)
    share = np.divide(above + below, usual, out=np.zeros(len(at)), where=held)
    parts = [forward_returns(market.path, at + config.latency_ns, sigma, h) for h in RETURNS_NS]
    past = [decayed_returns(anchors.at, anchors.log_mark, float(h))[here] for h in HALF_LIVES_NS]
    return Hours(
        at=at,
        diffusion=np.column_stack([part[:, 0] for part in parts]),
        jumps=np.column_stack([part[:, 1] for part in parts]),
        past=np.column_stack(past) / sigma[:, None],
        near=near_asymmetry(mass),
        size=size,
        total=np.log(np.where(share > 0.0, share, np.nan)),
        funding=np.full(len(at), np.nan) if rates is None else funding_at(rates, at),
        twin=beside_asymmetry(issued, market.twin or ()),
        beside=_beside(issued, market.competing_maps),
    )


def _beside(forecasts: Sequence[Forecast], maps: Mapping[str, Sequence[Forecast]]) -> FloatArray:
    if not maps:
        return np.zeros((len(forecasts), 0))
    return np.column_stack([beside_asymmetry(forecasts, others) for others in maps.values()])


def forward_returns(
    path: PricePath, opened: IntArray, sigma_1d: FloatArray, horizon_ns: Ns
) -> FloatArray:
    """Return the returns from the first price at or after each time to the first a horizon later.

    Parameters
    ----------
    path : PricePath
        The prices; of a bar, its close, at its end.
    opened : ndarray of int64, shape (n,)
        Times, ns.
    sigma_1d : ndarray of float64, shape (n,)
        Volatility of a day: what a step is held against, and the unit.
    horizon_ns : int
        Horizon.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Diffusion and jumps, in σ_1d √(h / 1 d). NaN where either price is late by
        `path.max_gap_ns` or more, the path ends before, or it leaves as much unwatched in between.
    """
    n = len(path)
    first, starts = _first_at(path, opened)
    last, ends = _first_at(path, starts + horizon_ns)
    holes = np.zeros(n, np.int64)
    holes[1:] = np.cumsum(path.start_ns[1:] - path.end_ns[:-1] >= path.max_gap_ns)
    seen = (
        (last < n)
        & (starts - opened < path.max_gap_ns)
        & (ends - starts - horizon_ns < path.max_gap_ns)
    )
    first, last = np.minimum(first, n - 1), np.minimum(last, n - 1)
    whole = seen & (holes[first] == holes[last])
    threshold = JUMP_SIGMA * sigma_1d / math.sqrt(DAY_NS)
    found = split_returns(path.end_ns, np.log(path.close), first, last, threshold)
    unit = (sigma_1d * math.sqrt(horizon_ns / DAY_NS))[:, None]
    return np.where(whole[:, None], found / unit, np.nan)


def _first_at(path: PricePath, when: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first entry that ends at or after each time, `len(path)` for none, and its end."""
    place = np.searchsorted(path.end_ns, when, "left")
    return place, path.end_ns[np.minimum(place, len(path) - 1)]


def _usual(at: IntArray, total: FloatArray) -> FloatArray:
    """Return the mean of each total and those of the thirty days before it."""
    first = np.searchsorted(at, at - _USUAL_NS, "left")
    sums = np.concatenate([[0.0], np.cumsum(total)])
    stop = np.arange(1, len(at) + 1)
    return np.asarray((sums[stop] - sums[first]) / (stop - first))


def drift_days(
    hours: Hours,
    dose: FloatArray,
    response: FloatArray,
    horizon_ns: Ns,
    controls: Sequence[FloatArray],
) -> DaySums:
    """Return what each day adds to a drift: the slope of returns on a dose in one market.

    Rows of which anything is unknown are left out. A constant always stands beside the dose.

    Parameters
    ----------
    hours : Hours
        The market's table.
    dose : ndarray of float64, shape (n,)
        What the drift is per unit of.
    response : ndarray of float64, shape (n, k)
        Returns over the table's horizons in σ_1d √(h / 1 d).
    horizon_ns : int
        Which of them.
    controls : sequence of ndarray of float64, shape (n,) or (n, k)
        What stands beside the dose, fitted to this market alone.

    Returns
    -------
    DaySums
        Of the slope in σ a day; its units are windows that do not overlap.
    """
    days = horizon_ns / DAY_NS
    y = response[:, hours.horizons_ns.index(horizon_ns)] / math.sqrt(days)
    beside = np.column_stack([np.ones(len(dose)), *controls])
    use = np.isfinite(dose) & np.isfinite(y) & np.isfinite(beside).all(axis=1)
    at = hours.at[use]
    n_units = len(landmark_rows(at, horizon_ns)) if len(at) else 0
    return slope_days(at, dose[use], y[use], beside[use], n_units=n_units)
