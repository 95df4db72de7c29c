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
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, horizon_name
from liqbt.evaluation.inference import DaySums, Draws, Estimate, estimate_days
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability, restricted_cubic
from liqbt.evaluation.path import PricePath
from liqbt.evaluation.response.bins import ResponseBins, rank_contrast, response_bins, within_ranks
from liqbt.evaluation.scores import POOLED, ScoreDetail, detail
from liqbt.types import DAY_NS, FloatArray, Forecast, IntArray

__all__ = ["paired_response", "raw_paired_response", "response_scores", "side_response"]

_KNOTS: Final = (0.3, 0.8, 1.5, 2.3)


def _partialled(
    x: FloatArray, y: FloatArray, controls: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what the controls leave of both."""
    basis, upper = np.linalg.qr(controls)
    diagonal = np.abs(np.diag(upper))
    basis = basis[:, diagonal > 1e-9 * max(diagonal.max(initial=0.0), 1e-300)]
    return x - basis @ (basis.T @ x), y - basis @ (basis.T @ y)


_Part: TypeAlias = tuple[IntArray, FloatArray, FloatArray]


def _slope(parts: Sequence[_Part], markets: Sequence[ResponseBins], draws: Draws) -> Estimate:
    """Return the pooled slope of (time, x̃, ỹ) of several markets."""
    n_landmarks, horizon_ns = sum(bins.n_landmarks for bins in markets), markets[0].horizon_ns
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
    others = [[_matched(b, o) for o in maps] for b, *maps in zip(markets, *covariates, strict=True)]
    parts = [
        _beside_trends(bins, rank_contrast(bins), beside)
        for bins, beside in zip(markets, others, strict=True)
    ]
    return _slope(parts, markets, draws)


def _beside_trends(bins: ResponseBins, contrast: FloatArray, others: Sequence[FloatArray]) -> _Part:
    """Return (time, x̃, ỹ) of one market: what trends and other maps leave of dose and visits."""
    columns = [np.ones((len(bins.at), 1)), bins.trend, *(other[:, None] for other in others)]
    y = bins.visited[:, 1] - bins.visited[:, 0]
    return bins.at, *_partialled(contrast, y, np.column_stack(columns))


def _alone(bins: ResponseBins, contrast: FloatArray) -> _Part:
    """Return (time, x, y) of one market, as they are."""
    return bins.at, contrast, bins.visited[:, 1] - bins.visited[:, 0]


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
        x_left, y_left = _partialled(both[:, 0], both[:, 1], controls)
        parts.append((np.tile(bins.at, 2), x_left, y_left))
    return _slope(parts, [bins for bins, _ in markets], draws)


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
        contrasts = [rank_contrast(mine) for mine in bins]
        both = list(zip(bins, contrasts, strict=True))
        parts = {
            "dose_response": [_beside_trends(mine, contrast, ()) for mine, contrast in both],
            "dose_response_raw": [_alone(mine, contrast) for mine, contrast in both],
        }
        groups = [(name, slice(i, i + 1)) for i, (name, _, _) in enumerate(markets)]
        for name, group in [*groups, (POOLED, slice(None))]:
            where = (name, horizon_name(horizon_ns), "both")
            for statistic, mine in parts.items():
                found = _slope(mine[group], bins[group], draws)
                details.append(detail("magnet", *where, statistic, 0.0, found))
    return details
