"""When the estimator takes an episode back: the competing event of the time-to-visit analysis.

The primary analysis freezes geometry at birth and ignores withdrawal, since a mirror image cannot
withdraw. Here it counts, and never as censoring.
"""

from __future__ import annotations

import numpy as np

from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.episodes import MarketClusters, eligible, episodes
from liqbt.types import FloatArray, IntArray, Ns


def withdrawals(
    flat: MarketClusters, config: EvaluationConfig, *, horizon_ns: Ns
) -> tuple[IntArray, IntArray]:
    """Return when each episode of a market was last held, and when it was gone.

    An episode is gone at the first forecast after the last whose cluster belongs to it, eligible
    or not. A forecast that missed it in between takes nothing back.

    Parameters
    ----------
    flat : MarketClusters
        From `flatten`.
    config : EvaluationConfig
        Which clusters are eligible, and when two are one.
    horizon_ns : int
        Life of an episode.

    Returns
    -------
    birth : ndarray of int64, shape (n_episodes,)
        Row of `flat` that each was born with, in order of birth.
    gone_ns : ndarray of int64, shape (n_episodes,)
        Time of issue of the forecast that no longer held it; −1 where it was held until its life or
        the record ended.
    """
    counts = eligible(flat, config, horizon_ns=horizon_ns)
    episode, born = episodes(flat, counts, config, horizon_ns=horizon_ns)
    birth = np.flatnonzero(born)
    last = np.zeros(len(birth), np.int64)
    linked = episode >= 0
    np.maximum.at(last, episode[linked], flat.owner[linked])
    following = np.minimum(last + 1, len(flat.at) - 1)
    gone = flat.at[following]
    held = (last + 1 >= len(flat.at)) | (gone >= flat.at[flat.owner[birth]] + horizon_ns)
    return birth, np.where(held, -1, gone)


def earlier_than_mirror(
    at_ns: IntArray, visit_ns: IntArray, mirror_visit_ns: IntArray, *, horizon_ns: Ns
) -> FloatArray:
    """Return how much earlier than its mirror image each episode was visited, hours.

    Both times are cut at the horizon, so that the mean is the difference of restricted mean times
    to visit (Royston and Parmar 2013, Restricted mean survival time, equation 2), where every
    window was watched through.

    Parameters
    ----------
    at_ns : ndarray of int64, shape (n,)
        Births.
    visit_ns, mirror_visit_ns : ndarray of int64, shape (n,)
        First touches, −1 for none.
    horizon_ns : int
        Where times are cut.

    Examples
    --------
    >>> hour = 3_600_000_000_000
    >>> visits = np.array([2, -1]) * np.array([hour, 1])
    >>> mirrors = np.array([-1, 4 * hour])
    >>> earlier_than_mirror(np.zeros(2, np.int64), visits, mirrors, horizon_ns=24 * hour).tolist()
    [22.0, -20.0]
    """
    end = at_ns + horizon_ns
    visit = np.minimum(np.where(visit_ns >= 0, visit_ns, end), end)
    mirror = np.minimum(np.where(mirror_visit_ns >= 0, mirror_visit_ns, end), end)
    return np.asarray((mirror - visit) / 3.6e12)
