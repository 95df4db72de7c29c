"""The placebo model: P(visit) of a level that knows nothing, learnt from random levels of the past.

p̂ is the default null. A logistic regression on random levels placed on the observed path, with the
Brownian probability as its offset, so that with nothing learnt yet p̂ is the Brownian null, and what
is learnt are departures from it: by distance (a restricted cubic spline), realised volatility over
3 hours, 12 hours and 7 days (each also × distance), side × trend, open interest, season. Fitted
anew on a schedule fixed on the clock, each time on outcomes that were final an embargo earlier.

Known bias: conservative. What real levels share with the covariates is counted as chance; and where
the market attracts to *all* levels, random ones near the real ones are visited, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import expit, logit

from liqbt.errors import ConfigError
from liqbt.evaluation.nulls.levels import (
    Anchors,
    LevelConfig,
    RandomLevels,
    covariates,
    nominal_brownian,
    random_levels,
)
from liqbt.evaluation.path import PricePath
from liqbt.learn.logit import fit_logit
from liqbt.learn.walk import walk_forward
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

_KNOTS: Final = (0.1, 0.6, 1.4, 2.6)
_LEAST: Final = 1e-9
_STEEPEST: Final = 8.0
_PRIOR: Final = np.repeat([0.25, 1.0, 3.0], [5, 3, 11])
"""The ridge of each feature: loose on the shape by distance, which every market shows (volatility
is not constant), tight on what few days can hardly tell: interactions, trends, season."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceboConfig:
    """How the placebo model learns.

    Attributes
    ----------
    levels : LevelConfig
        The random levels.
    refit_ns : int
        It is fitted anew at every multiple of this since 1970.
    embargo_ns : int
        An outcome may train where it was final this long before the refit.
    ridge : float
        Precision of the Gaussian prior on the coefficients of volatility (in logits; features are
        of order 1); a quarter of it on those of distance, three times on the others. Overlapping
        windows are weighted down, so that each side of a horizon counts once.
    """

    levels: LevelConfig = field(default_factory=LevelConfig)
    refit_ns: Ns = 7 * DAY_NS
    embargo_ns: Ns = HOUR_NS
    ridge: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the key.
        """
        if self.refit_ns <= 0 or self.embargo_ns < 0 or not self.ridge > 0:
            raise ConfigError(
                f"placebo: found refit_ns {self.refit_ns}, embargo_ns {self.embargo_ns}, ridge "
                f"{self.ridge:g}; expected a positive refit and ridge and no negative embargo"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placebo:
    """The fits of one market and horizon.

    Attributes
    ----------
    anchors : Anchors
        Where a probability can be asked for.
    path : PricePath
        The prices that it was taught with.
    known : ndarray of float64, shape (n_anchors, n_covariates)
        Covariates of the anchors.
    horizon_ns, latency_ns : int
        Window.
    fitted_ns : ndarray of int64, shape (n_fits,)
        When each fit was made, increasing.
    beta : ndarray of float64, shape (n_fits, n_features)
        Its coefficients.
    n_trained : ndarray of int64, shape (n_fits,)
        On how many random levels.
    """

    anchors: Anchors
    path: PricePath
    known: FloatArray
    horizon_ns: Ns
    latency_ns: Ns
    fitted_ns: IntArray
    beta: FloatArray
    n_trained: IntArray


def restricted_cubic(x: FloatArray, knots: tuple[float, ...]) -> FloatArray:
    """Return the basis of a cubic spline that is linear beyond its outer knots.

    Stone and Koo (1985), Additive splines in statistics; Harrell (2015), Regression Modeling
    Strategies, equation 2.25, scaled by the squared range of the knots.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Where.
    knots : tuple of float
        At least three, increasing.

    Returns
    -------
    ndarray of float64, shape (n, len(knots) − 1)
        `x` itself first.

    Examples
    --------
    >>> restricted_cubic(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), (0.0, 1.0, 2.0))[:, 1].tolist()
    [0.0, 0.25, 1.5, 3.0, 4.5]
    """

    def cube(knot: float) -> FloatArray:
        return np.asarray(np.maximum(x - knot, 0.0) ** 3)

    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2
    columns = [x]
    for knot in knots[:-2]:
        share = (last - knot) / (last - before)
        inner = (before - knot) / (last - before)
        columns.append((cube(knot) - share * cube(before) + inner * cube(last)) / scale)
    return np.column_stack(columns)


def level_features(
    known: FloatArray, side: FloatArray, distance_sigma: FloatArray, offset: FloatArray
) -> FloatArray:
    """Return the features of levels.

    Parameters
    ----------
    known : ndarray of float64, shape (n, n_covariates)
        Covariates of each level's anchor.
    side : ndarray of float64, shape (n,)
        +1 above, −1 below.
    distance_sigma : ndarray of float64, shape (n,)
        Distances in σ_h.
    offset : ndarray of float64, shape (n,)
        Logit of the Brownian probability.

    Returns
    -------
    ndarray of float64, shape (n, 19)
        Shape by distance (5 columns: constant, offset, spline), volatility (3), volatility × far
        (3), side, side × trend (2), side × trend × far, open interest, season (3).
    """
    spline = restricted_cubic(distance_sigma, _KNOTS)
    shape = np.column_stack(
        [np.ones(len(side)), np.clip(offset, -_STEEPEST, _STEEPEST) / 3.0, spline[:, 0] - 1.0]
    )
    volatility, trend, rest = known[:, :3], side[:, None] * known[:, 3:5], known[:, 5:]
    far = (distance_sigma - 1.0)[:, None]
    return np.column_stack(
        [
            *(shape, 4.0 * spline[:, 1:], volatility, volatility * far),
            *(side, trend, trend[:, :1] * far, rest),
        ]
    )


def _offset(brownian: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(brownian, _LEAST, 1.0 - _LEAST)))


def fit_placebo(
    anchors: Anchors,
    path: PricePath,
    config: PlaceboConfig,
    *,
    horizon_ns: Ns,
    latency_ns: Ns,
    rng: np.random.Generator,
) -> Placebo:
    """Fit the placebo model of one market and horizon at every time of its schedule.

    Parameters
    ----------
    anchors : Anchors
        Times of issue, those before scoring begins too: the more there are, the earlier it knows.
    path : PricePath
        The prices that decide visits.
    config : PlaceboConfig
        Levels, schedule, prior.
    horizon_ns, latency_ns : int
        The window is `[at + latency, at + horizon)`.
    rng : numpy.random.Generator
        Draws the random levels.

    Returns
    -------
    Placebo
        The first fit, before anything has matured, is the Brownian null.
    """
    known = covariates(anchors, path)
    levels = random_levels(
        anchors, path, config.levels, horizon_ns=horizon_ns, latency_ns=latency_ns, rng=rng
    )
    sigma_h = anchors.sigma_1d * np.sqrt(horizon_ns / DAY_NS)
    distance = levels.distance_sigma * sigma_h[levels.anchor]
    brownian = nominal_brownian(
        anchors, path, levels.anchor, distance, horizon_ns=horizon_ns, latency_ns=latency_ns
    )
    offset = _offset(brownian)
    x = level_features(known[levels.anchor], levels.side, levels.distance_sigma, offset)
    fitted_ns, n_trained, beta = _walk(x, offset, levels, anchors.at, config, horizon_ns)
    return Placebo(
        anchors=anchors,
        path=path,
        known=known,
        horizon_ns=horizon_ns,
        latency_ns=latency_ns,
        fitted_ns=fitted_ns,
        beta=beta,
        n_trained=n_trained,
    )


def _walk(
    x: FloatArray,
    offset: FloatArray,
    levels: RandomLevels,
    at: IntArray,
    config: PlaceboConfig,
    horizon_ns: Ns,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return times, sizes of training sets and coefficients of all fits."""
    share = min(1.0, config.levels.every_ns / horizon_ns) / config.levels.per_side
    weight, precision = np.full(len(x), share), config.ridge * _PRIOR
    splits = list(
        walk_forward(levels.matured_ns, at, refit_ns=config.refit_ns, embargo_ns=config.embargo_ns)
    )
    beta, last = np.zeros((len(splits), x.shape[1])), np.zeros(x.shape[1])
    for i, split in enumerate(splits):
        use = split.training
        if split.n_trained:
            last = fit_logit(x[use], offset[use], levels.visited[use], weight[use], precision, last)
        beta[i] = last
    fitted_ns, n_trained = np.array([(s.fitted_ns, s.n_trained) for s in splits], np.int64).T
    return fitted_ns, n_trained, beta


def placebo_probability(
    placebo: Placebo, owner: IntArray, side: FloatArray, distance: FloatArray
) -> FloatArray:
    """Return p̂ of levels: P(visit within the horizon) of a level that knows nothing.

    Parameters
    ----------
    placebo : Placebo
        The fits.
    owner : ndarray of int64, shape (n,)
        Anchor of each level.
    side : ndarray of float64, shape (n,)
        +1 above the mark, −1 below.
    distance : ndarray of float64, shape (n,)
        Log distance from the mark, 0 or more.

    Returns
    -------
    ndarray of float64, shape (n,)
        In (0, 1); issued with the fit of the last refit at or before the anchor.
    """
    anchors = placebo.anchors
    brownian = nominal_brownian(
        anchors,
        placebo.path,
        owner,
        distance,
        horizon_ns=placebo.horizon_ns,
        latency_ns=placebo.latency_ns,
    )
    sigma_h = anchors.sigma_1d[owner] * np.sqrt(placebo.horizon_ns / DAY_NS)
    offset = _offset(brownian)
    x = level_features(placebo.known[owner], side, distance / sigma_h, offset)
    fit = np.searchsorted(placebo.fitted_ns, anchors.at[owner], "right") - 1
    return np.asarray(expit(offset + np.einsum("ij,ij->i", x, placebo.beta[fit])))
