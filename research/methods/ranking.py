"""Scores of a ranking, descriptive: ROC, precision and recall with prevalence, Molchan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.errors import DataError
from liqbt.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve whose points follow each other from the highest score to the lowest.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Points.
    prevalence : float
        Share of positives among all, or NaN where there is no such thing.
    """

    x: FloatArray
    y: FloatArray
    prevalence: float


def _cumulated(score: FloatArray, *weights: FloatArray) -> tuple[FloatArray, ...]:
    """Return running sums of weights from the highest score on, a point per distinct score."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0.0, True))
    return tuple(np.cumsum(weight[order])[last] for weight in weights)


def _both(score: FloatArray, y: FloatArray) -> None:
    if len(score) != len(y) or not (y == 1.0).any() or not (y == 0.0).any():
        raise DataError(
            f"ranking: found {len(score)} scores and {int((y == 1.0).sum())} positives among "
            f"{len(y)}; expected one score each, and both outcomes"
        )


def roc(score: FloatArray, y: FloatArray) -> Curve:
    """Return the receiver operating characteristic: false against true positive rate.

    Swets (1973), The relative operating characteristic in psychology. From (0, 0) to (1, 1).

    Parameters
    ----------
    score, y : ndarray of float64, shape (n,)
        Larger for what is thought likelier, in any unit; outcomes 0 or 1.

    Raises
    ------
    DataError
        If one of the two outcomes is missing.
    """
    _both(score, y)
    true, false = _cumulated(score, y, 1.0 - y)
    return Curve(
        x=np.concatenate([[0.0], false / false[-1]]),
        y=np.concatenate([[0.0], true / true[-1]]),
        prevalence=float(y.mean()),
    )


def area_under_roc(score: FloatArray, y: FloatArray) -> float:
    """Return the probability that a positive scores higher than a negative, ties counting half.

    Hanley and McNeil (1982), The meaning and use of the area under a ROC curve, equation 1 (the
    statistic of Mann and Whitney).

    Parameters
    ----------
    score, y : ndarray of float64, shape (n,)
        As in `roc`.

    Raises
    ------
    DataError
        If one of the two outcomes is missing.

    Examples
    --------
    >>> area_under_roc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.875
    """
    from scipy.stats import rankdata

    _both(score, y)
    positives = float(y.sum())
    rank = float(rankdata(score)[y == 1.0].sum())
    pairs = positives * (len(y) - positives)
    return (rank - positives * (positives + 1.0) / 2.0) / pairs


def precision_recall(score: FloatArray, y: FloatArray) -> Curve:
    """Return recall (x) against precision (y), beside the prevalence that no skill would have.

    Davis and Goadrich (2006), The relationship between precision-recall and ROC curves.

    Parameters
    ----------
    score, y : ndarray of float64, shape (n,)
        As in `roc`.

    Raises
    ------
    DataError
        If one of the two outcomes is missing.
    """
    _both(score, y)
    true, all_ = _cumulated(score, y, np.ones(len(y)))
    return Curve(x=true / true[-1], y=true / all_, prevalence=float(y.mean()))


def molchan(score: FloatArray, events: FloatArray, measure: FloatArray) -> Curve:
    """Return Molchan's diagram: share of the reference measure on alarm against share missed.

    Molchan (1991), Structure of optimal strategies in earthquake prediction; Zechar and Jordan
    (2008), Testing alarm-based earthquake predictions, section 2. What has no skill lies on the
    diagonal from (0, 1) to (1, 0), below it is better.

    Parameters
    ----------
    score : ndarray of float64, shape (n,)
        Of each cell (a bin of a snapshot): alarms are raised from the highest on.
    events : ndarray of float64, shape (n,)
        How many events fell into each.
    measure : ndarray of float64, shape (n,)
        Expected share of events in each under the reference, such as the placebo probability.

    Raises
    ------
    DataError
        If there is no event, or no measure.
    """
    if not events.sum() > 0.0 or not measure.sum() > 0.0 or (measure < 0.0).any():
        raise DataError(
            f"Molchan: found {events.sum():g} events under a measure of {measure.sum():g}; "
            "expected at least one event, and a measure that is positive"
        )
    found, alarm = _cumulated(score, events, measure)
    return Curve(
        x=np.concatenate([[0.0], alarm / alarm[-1]]),
        y=np.concatenate([[1.0], 1.0 - found / found[-1]]),
        prevalence=np.nan,
    )


def molchan_skill(curve: Curve) -> float:
    """Return the area skill score: the area above Molchan's curve, ½ without skill, 1 perfect.

    Zechar and Jordan (2008), equation 3, over all alarm shares; the curve is joined by straight
    lines, which credits a tied score with half of its cells.

    Parameters
    ----------
    curve : Curve
        From `molchan`.
    """
    return 1.0 - float(np.trapezoid(curve.y, curve.x))
