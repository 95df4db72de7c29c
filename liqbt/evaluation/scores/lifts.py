"""Lifts of episodes over their nulls, score by score, and the ratio of observed to expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.inference import DaySums, Draws, Estimate, estimate_days
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

__all__ = [
    "cluster_placebo",
    "difference_in_differences",
    "level_lift",
    "observed_over_expected",
]


def cluster_placebo(placebo: Placebo, outcomes: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return p̂ of clusters and of their mirror images.

    Parameters
    ----------
    placebo : Placebo
        Of the market and horizon of the rows; its anchors hold their times of issue.
    outcomes : ndarray of OUTCOME_DTYPE
        Rows of one market and horizon.

    Returns
    -------
    p, mirror : ndarray of float64, shape (n,)
        NaN where a cluster lies inside.

    Raises
    ------
    DataError
        If a row is of another horizon, or was issued when no anchor was.
    """
    owner = np.searchsorted(placebo.anchors.at, outcomes["at"])
    owner = np.minimum(owner, len(placebo.anchors.at) - 1)
    bad = np.flatnonzero(
        (placebo.anchors.at[owner] != outcomes["at"])
        | (outcomes["horizon_ns"] != placebo.horizon_ns)
    )
    if len(bad):
        raise DataError(
            f"placebo: outcome {bad[0]} is of another horizon, or was issued at a time that is no "
            "anchor of the placebo model"
        )
    outward = -outcomes["side"].astype(np.float64)
    outside = ~outcomes["inside"]
    p, mirror = np.full(len(outcomes), np.nan), np.full(len(outcomes), np.nan)
    for into, side in ((p, outward), (mirror, -outward)):
        into[outside] = placebo_probability(
            placebo, owner[outside], side[outside], outcomes["distance"][outside]
        )
    return p, mirror


def level_lift(visited: FloatArray, p: FloatArray) -> FloatArray:
    """Return Y − p̂ of each episode: its mean is the level lift.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes 0 or 1, and their placebo probabilities.

    Returns
    -------
    ndarray of float64, shape (n,)
        Shares of visits; 0.01 is one point.
    """
    return np.asarray(visited - p)


def difference_in_differences(
    visited: FloatArray, p: FloatArray, mirror_visited: FloatArray, mirror_p: FloatArray
) -> FloatArray:
    """Return (Y − p̂) − (Y_mirror − p̂_mirror) of each episode.

    Ashenfelter and Card (1985), Using the longitudinal structure of earnings, equation 3, with the
    mirror image as the comparison and the placebo probability as the time before. What the trend
    explains is taken out, and with it what an attraction did to the trend: it is the lower end of a
    bracket whose upper end is the mirror lift.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes 0 or 1, and their placebo probabilities.
    mirror_visited, mirror_p : ndarray of float64, shape (n,)
        The same of the mirror images.

    Returns
    -------
    ndarray of float64, shape (n,)
        Shares of visits; 0.01 is one point.
    """
    return np.asarray((visited - p) - (mirror_visited - mirror_p))


def observed_over_expected(
    visited: FloatArray, p: FloatArray, born_ns: IntArray, horizon_ns: Ns, draws: Draws
) -> Estimate:
    """Return ΣY / Σp̂ with its interval: 1 without information.

    The standardised ratio of Breslow and Day (1987), Statistical methods in cancer research II,
    equation 2.3, with day sums in place of a Poisson error.

    Parameters
    ----------
    visited, p : ndarray of float64, shape (n,)
        Outcomes, and their placebo probabilities.
    born_ns : ndarray of int64, shape (n,)
        Births, ns.
    horizon_ns : int
        Over which neighbours depend on each other.
    draws : Draws
        Of the bootstrap.

    Returns
    -------
    Estimate
        NaN where there is no episode, or no probability above 0.
    """
    if not len(visited) or not p.sum() > 0.0:
        return Estimate(value=np.nan)
    day = born_ns // DAY_NS - (born_ns // DAY_NS).min()
    total = np.asarray(np.bincount(day, weights=visited), np.float64)
    expected = np.asarray(np.bincount(day, weights=p), np.float64)
    return estimate_days(
        DaySums(total=total, count=expected),
        horizon_ns,
        draws,
        n_episodes=len(visited),
        scale=max(float(total.max()), 1.0),
        bounds=(0.0, np.inf),
    )
