"""Dose–response: whether the price goes where the estimated density is higher.

The unit is a **bin**: one distance from the mark, on both sides of it, at a landmark. Two forms:

- `paired_response` (primary, decision 0018): the two bins at one distance are a pair,

      Y_up − Y_down = β (rank_up − rank_down) + s(d) (γ₀ + Σ γ_k trend_k) + e,   s(d) = 4 d Φ(−d),

  ranks taken among the bins of one landmark and distance band, both sides together. Whatever
  depends on distance, time, or volatility cancels in the pair; what was known of the trend stands
  beside the dose, so that neither can speak for the other. A trend acts through a drift, and s is
  what a drift does to the pair at distance d (`drift_response`).
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
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from liqbt.errors import DataError
from liqbt.evaluation.bins import (
    ResponseBins,
    beside_bins,
    rank_contrast,
    response_bins,
    within_ranks,
)
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.inference.days import DaySums, Draws
from liqbt.evaluation.inference.estimates import (
    POOLED,
    Estimate,
    ScoreDetail,
    detail,
    estimate_days,
)
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability, restricted_cubic
from liqbt.types import DAY_NS, FloatArray, IntArray

BESIDE_NS: Final = DAY_NS
"""The horizon at whose landmarks other maps stand beside the dose: the primary one."""

_KNOTS: Final = (0.3, 0.8, 1.5, 2.3)
_FREE: Final = 1e-9
"""Controls scaled to length 1 are free in the directions that are longer than this share."""


def _basis(controls: FloatArray) -> FloatArray:
    """Return orthonormal columns that span what the controls span, as many as they are free.

    A control that is zero, or that others already say, adds nothing: what is left of dose and
    visits is that of the least-squares fit of minimum norm (Golub and Van Loan 2013, Matrix
    Computations, section 5.5).
    """
    basis, upper = np.linalg.qr(controls)
    if not len(controls):
        return basis
    length = np.linalg.norm(upper, axis=0)
    turned, size, _ = np.linalg.svd(
        upper / np.where(length > 0.0, length, 1.0), full_matrices=False
    )
    free = size > _FREE * size.max()
    return basis if free.all() else np.asarray(basis @ turned[:, free])


def _partialled(
    x: FloatArray, y: FloatArray, controls: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return what the controls leave of both, and how many of them are free."""
    basis = _basis(controls)
    return x - basis @ (basis.T @ x), y - basis @ (basis.T @ y), basis.shape[1]


_Part: TypeAlias = tuple[IntArray, FloatArray, FloatArray, int]
"""Time, x̃ and ỹ of the pairs of one market, and how many parameters were fitted to it."""


def _slope(parts: Sequence[_Part], markets: Sequence[ResponseBins], draws: Draws) -> Estimate:
    """Return the pooled slope of several markets.

    Without an interval where a market has too few days: what as many parameters leave of them is
    no measure of error.
    """
    n_landmarks, horizon_ns = sum(bins.n_landmarks for bins in markets), markets[0].horizon_ns
    at, x, y = (np.concatenate(column) for column in zip(*(p[:3] for p in parts), strict=True))
    if not len(x) or float(x @ x) <= 1e-12 * len(x):
        return Estimate(value=np.nan, n_episodes=n_landmarks)
    day = at // DAY_NS - (at // DAY_NS).min()
    total = np.asarray(np.bincount(day, x * y), np.float64)
    count = np.asarray(np.bincount(day, x * x), np.float64)
    days = DaySums(total=total, count=count)
    held = [
        (int(np.count_nonzero(np.bincount(at // DAY_NS - at.min() // DAY_NS))), fitted)
        for at, _, _, fitted in parts
        if len(at)
    ]
    if any(n_days <= fitted for n_days, fitted in held):
        n_days = int(np.count_nonzero(days.count))
        return Estimate(value=days.ratio, n_episodes=n_landmarks, n_days=n_days)
    return estimate_days(
        days,
        horizon_ns,
        draws,
        n_episodes=n_landmarks,
        scale=float(np.bincount(day, np.abs(x * y)).max()),
        freedom=min((n_days - fitted) / (n_days - 1) for n_days, fitted in held),
    )


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
        where no density differs across the mark, or another map says all that this one says; no
        interval where a market has no more days than parameters.

    Raises
    ------
    DataError
        If another map was not issued at the same landmarks and distances.
    """
    others = [[_matched(b, o) for o in maps] for b, *maps in zip(markets, *covariates, strict=True)]
    parts = [
        _beside_trends(bins, rank_contrast(bins), beside)
        for bins, beside in zip(markets, others, strict=True)
    ]
    return _slope(parts, markets, draws)


def _beside_trends(bins: ResponseBins, contrast: FloatArray, others: Sequence[FloatArray]) -> _Part:
    """Return one market's part: what trends and other maps leave of dose and visits."""
    drift = drift_response(bins.distance_sigma)[:, None]
    columns = [drift, bins.trend * drift, *(other[:, None] for other in others)]
    y = bins.visited[:, 1] - bins.visited[:, 0]
    x_left, y_left, fitted = _partialled(contrast, y, np.column_stack(columns))
    return bins.at, x_left, y_left, fitted + 1


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


def _alone(bins: ResponseBins, contrast: FloatArray) -> _Part:
    """Return one market's part as it is."""
    return bins.at, contrast, bins.visited[:, 1] - bins.visited[:, 0], 1


def raw_paired_response(markets: Sequence[ResponseBins], draws: Draws) -> Estimate:
    """Estimate β across the mark without the trend beside it.

    What the trend explains is counted as attraction: under momentum alone it is not zero. With
    `paired_response` it makes the bracket within which an attraction lies that itself makes trends.
    """
    return _slope([_alone(bins, rank_contrast(bins)) for bins in markets], markets, draws)


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
    parts: list[_Part] = []
    for bins, placebo in markets:
        columns: list[npt.NDArray[Any]] = []
        for column, side in enumerate((-1.0, 1.0)):
            rank = within_ranks(bins.forecast * 64 + bins.band, bins.density[:, column])
            sides = np.full(len(rank), side)
            chance = placebo_probability(placebo, bins.forecast, sides, bins.distance)
            columns.append(np.column_stack([rank, bins.visited[:, column] - chance]))
        both = np.concatenate(columns)
        spline = restricted_cubic(np.tile(bins.distance_sigma, 2), _KNOTS)
        controls = np.column_stack([np.ones(len(both)), spline])
        x_left, y_left, fitted = _partialled(both[:, 0], both[:, 1], controls)
        parts.append((np.tile(bins.at, 2), x_left, y_left, fitted + 1))
    return _slope(parts, [bins for bins, _ in markets], draws)


def response_scores(
    markets: Sequence[MarketInput], config: EvaluationConfig, draws: Draws
) -> list[ScoreDetail]:
    """Score the dose–response across the mark for every market, all together, and every horizon.

    `dose_response` has the trends beside the dose, `dose_response_raw` has not.
    `dose_response_beside_structures` has the trends and all other maps of `MarketInput.beside`
    beside it, at the horizon of `BESIDE_NS`, where every market has some.

    Parameters
    ----------
    markets : sequence of MarketInput
        Forecasts to be scored, prices, and other maps of each market.
    config : EvaluationConfig
        Horizons, latency, distances.
    draws : Draws
        Of the bootstrap of days.
    """
    details = []
    for horizon_ns in config.horizons_ns:
        bins = [
            response_bins(market.forecasts, market.path, config, horizon_ns=horizon_ns)
            for market in markets
        ]
        contrasts = [rank_contrast(mine) for mine in bins]
        both = list(zip(bins, contrasts, strict=True))
        parts = {
            "dose_response": [_beside_trends(mine, contrast, ()) for mine, contrast in both],
            "dose_response_raw": [_alone(mine, contrast) for mine, contrast in both],
        }
        if horizon_ns == BESIDE_NS and all(market.beside for market in markets):
            parts["dose_response_beside_structures"] = [
                _beside_trends(mine, contrast, _contrasts_beside(mine, market))
                for market, (mine, contrast) in zip(markets, both, strict=True)
            ]
        found = {name: _slopes(mine, bins, draws) for name, mine in parts.items()}
        for i, symbol in enumerate([*(market.symbol for market in markets), POOLED]):
            where = (symbol, horizon_name(horizon_ns), "both")
            details += [
                detail("magnet", *where, name, 0.0, rows[i]) for name, rows in found.items()
            ]
    return details


def _slopes(parts: Sequence[_Part], bins: Sequence[ResponseBins], draws: Draws) -> list[Estimate]:
    """Return the slope of every market, and that of all together: of one, the same."""
    alone = [_slope([part], [mine], draws) for part, mine in zip(parts, bins, strict=True)]
    return [*alone, alone[0] if len(alone) == 1 else _slope(parts, bins, draws)]


def _contrasts_beside(bins: ResponseBins, market: MarketInput) -> list[FloatArray]:
    """Return the rank contrasts that a market's other maps have in the same pairs of bins."""
    return [
        rank_contrast(beside_bins(bins, market.forecasts, others))
        for others in market.beside.values()
    ]
