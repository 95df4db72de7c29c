"""Scores of yes-or-no probabilities: Brier with its CORP parts, log score, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from liqbt.errors import DataError
from liqbt.evaluation.inference.days import Draws, day_sums
from liqbt.evaluation.inference.estimates import Estimate, estimate
from liqbt.types import FloatArray, IntArray, Ns


def _checked(p: FloatArray, y: FloatArray) -> None:
    if len(p) != len(y) or not len(p):
        raise DataError(
            f"scores: found {len(p)} probabilities and {len(y)} outcomes; expected one each"
        )
    bad = np.flatnonzero(~((p >= 0.0) & (p <= 1.0)))
    if len(bad):
        raise DataError(f"scores: row {bad[0]} has probability {p[bad[0]]:g}; expected 0 to 1")
    bad = np.flatnonzero((y != 0.0) & (y != 1.0))
    if len(bad):
        raise DataError(f"scores: row {bad[0]} has outcome {y[bad[0]]:g}; expected 0 or 1")


def brier_score(p: FloatArray, y: FloatArray) -> FloatArray:
    """Return (p − y)² of each forecast; smaller is better.

    Brier (1950), Verification of forecasts expressed in terms of probability, equation 2, with the
    two-category sum halved.

    Parameters
    ----------
    p, y : ndarray of float64, shape (n,)
        Probabilities, and outcomes 0 or 1.

    Raises
    ------
    DataError
        If a probability is outside [0, 1] or an outcome is neither 0 nor 1; names the row.

    Examples
    --------
    >>> brier_score(np.array([0.8, 0.4]), np.array([1.0, 1.0])).round(2).tolist()
    [0.04, 0.36]
    """
    _checked(p, y)
    return np.asarray((p - y) ** 2)


def log_score(p: FloatArray, y: FloatArray) -> FloatArray:
    """Return ln p(outcome) of each forecast, nats; larger is better, −inf for the impossible.

    Good (1952), Rational decisions, section 8.

    Parameters
    ----------
    p, y : ndarray of float64, shape (n,)
        Probabilities, and outcomes 0 or 1.

    Raises
    ------
    DataError
        As `brier_score`.
    """
    _checked(p, y)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.where(y == 1.0, p, 1.0 - p)))


def recalibrated(p: FloatArray, y: FloatArray) -> FloatArray:
    """Return the isotonic recalibration of `p`: the non-decreasing fit of y on p.

    Ayer, Brunk, Ewing, Reid and Silverman (1955), pool adjacent violators. Equal probabilities get
    equal values.

    Parameters
    ----------
    p, y : ndarray of float64, shape (n,)
        Probabilities, and outcomes 0 or 1.

    Examples
    --------
    >>> recalibrated(np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 0.0])).tolist()
    [0.0, 0.5, 0.5]
    """
    from scipy.optimize import isotonic_regression

    values, place, count = np.unique(p, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=y, minlength=len(values)) / count
    fitted = isotonic_regression(mean, weights=count.astype(np.float64)).x
    return np.asarray(fitted[place], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corp:
    """A mean Brier score in three parts: score = miscalibration − discrimination + uncertainty.

    Attributes
    ----------
    score : float
        Mean Brier score.
    miscalibration : float
        What recalibrating would gain, 0 or more.
    discrimination : float
        What the recalibrated forecast gains over the base rate, 0 or more.
    uncertainty : float
        Score of the base rate.
    """

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def corp(p: FloatArray, y: FloatArray) -> Corp:
    """Split the mean Brier score by isotonic recalibration.

    Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for probabilistic
    classifiers, equations 1 and 4.

    Parameters
    ----------
    p, y : ndarray of float64, shape (n,)
        Probabilities, and outcomes 0 or 1.

    Examples
    --------
    >>> parts = corp(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 1.0, 1.0, 1.0]))
    >>> [round(x, 4) for x in (parts.miscalibration, parts.discrimination, parts.uncertainty)]
    [0.085, 0.0625, 0.1875]
    """
    score = float(brier_score(p, y).mean())
    best = float(((recalibrated(p, y) - y) ** 2).mean())
    base = float(((y.mean() - y) ** 2).mean())
    return Corp(
        score=score,
        miscalibration=score - best,
        discrimination=base - best,
        uncertainty=base,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityRow:
    """One bin of a reliability diagram.

    Attributes
    ----------
    low, high : float
        Probabilities in `[low, high)`; the last bin holds its upper edge too.
    mean_probability : float
        Mean of the probabilities in it; NaN where it is empty.
    frequency : Estimate
        How often the outcome was 1, with an interval from blocks of days.
    """

    low: float
    high: float
    mean_probability: float
    frequency: Estimate


def reliability(
    p: FloatArray,
    y: FloatArray,
    born_ns: IntArray,
    horizon_ns: Ns,
    draws: Draws,
    *,
    edges: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
) -> tuple[ReliabilityRow, ...]:
    """Return observed frequencies by issued probability, with day-block bands.

    Murphy and Winkler (1977), Reliability of subjective probability forecasts; the bands are those
    of every other rate here (HAC and stationary bootstrap of days), not binomial ones.

    Parameters
    ----------
    p, y : ndarray of float64, shape (n,)
        Probabilities, and outcomes 0 or 1.
    born_ns : ndarray of int64, shape (n,)
        Births, ns.
    horizon_ns : int
        Over which neighbours depend on each other.
    draws : Draws
        Of the bootstrap.
    edges : tuple of float
        Edges of the bins, increasing.
    """
    _checked(p, y)
    place = np.clip(np.searchsorted(edges, p, "right") - 1, 0, len(edges) - 2)
    rows = []
    for i, (low, high) in enumerate(pairwise(edges)):
        mine = place == i
        rows.append(
            ReliabilityRow(
                low=low,
                high=high,
                mean_probability=float(p[mine].mean()) if mine.any() else np.nan,
                frequency=estimate(
                    day_sums(y[mine], born_ns[mine]), horizon_ns, draws, bounds=(0.0, 1.0)
                ),
            )
        )
    return tuple(rows)


_CORP = ("miscalibration", "discrimination", "uncertainty")
