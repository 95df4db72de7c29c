"""How sure the learnt mix is of a cluster: the same books under other priors and other days.

A map of `levmix` is its books weighed by class, and the weights are what is uncertain of it that it
can say itself. A member of the ensemble has a prior of its own (a slope in log leverage, a worth
in days, a share of open interest) and days of its own: what was crossed and what was liquidated on
each is weighed by a standard exponential (Rubin 1981, The Bayesian bootstrap), forgotten as ever.
Draws are those of the day's number, so that an interval is a function of the events seen, too.
Books, and so the replay, are those of the estimator: nothing is replayed again.

What no member doubts is when positions came in, their life and the margin rule, and that is most of
what is wrong with a cluster: of the truth, members alone hold one in twenty. So an interval has the
error of earlier clusters in it, too: of the true share over the issued one, in simulated markets
that are none of those in which coverage is checked (`research/truth`, `intervals`). Its middle is
below the issued value: a cluster is found where the map came out high.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.types import DAY_NS, Clusters, FloatArray

if TYPE_CHECKING:
    from liqbt.estimators.levmix import LevMixParams

LEVEL: Final = 0.8
"""How many intervals should hold the truth."""

ERROR: Final = (-1.85, -0.44, 0.5)
"""Log of true over issued share of clusters within ±30 %: the quantiles at 0.1, 0.5 and 0.9 in
tuning markets 0 and 1 of every world."""

_SEED: Final = 1313


def _drawn(number: int) -> np.random.Generator:
    return np.random.default_rng((_SEED, number))


class Ensemble:
    """Other weights that an estimator might have learnt.

    Parameters
    ----------
    params : LevMixParams
        The estimator's.
    rng : callable
        Gives what draws the priors, of 0, and the members' weights of a day, of its number.
    members : int
        How many.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        What it knows, by names that begin with `ensemble_`: `noted`, the day that begins where it
        was told last; `last`, of (credit, exposure, days), and the same `known` to each member;
        `weights`, of the members by class, by the estimator's rule.
    """

    def __init__(
        self,
        params: LevMixParams,
        rng: Callable[[int], np.random.Generator] = _drawn,
        members: int = 32,
    ) -> None:
        self._params = params
        self._rng = rng
        n = params.n_lives * params.n_leverages
        steps = np.log(params.leverages / np.sqrt(params.leverage_low * params.leverage_high))
        draw = rng(0)
        slope = draw.uniform(-0.5, 0.5, (members, 1))
        share = draw.uniform(0.1, 0.9, (members, 1))
        rungs = np.tile(np.exp(slope * steps), params.n_lives) / n
        prior = np.hstack([(1.0 - share) * rungs, share * rungs])
        self._prior = prior / prior.sum(axis=1, keepdims=True)
        self._days = params.prior_days * np.exp(draw.uniform(-np.log(4), np.log(4), members))
        self.arrays: dict[str, npt.NDArray[Any]] = {
            "ensemble_noted": np.zeros(1, np.int64),
            "ensemble_last": np.zeros((3, len(params.prior))),
            "ensemble_known": np.zeros((3, members, len(params.prior))),
            "ensemble_weights": self._prior.copy(),
        }

    @property
    def weights(self) -> FloatArray:
        """The members' weights by class, (members, classes): before any learning, the priors."""
        return self.arrays["ensemble_weights"]

    def note(self, day: int, credit: FloatArray, exposure: FloatArray, days: float) -> None:
        """Take what was learnt since the last call, as it was when `day` began, as one day."""
        noted, last, known, weights = self.arrays.values()
        noted[0] = day
        now = np.stack([credit, exposure, np.full_like(credit, days)])
        if np.array_equal(now, last):
            return
        kept = 0.5 ** (DAY_NS / self._params.forget)
        came = np.maximum(now - kept * last, 0.0)
        drawn = self._rng(day).exponential(1.0, len(self._days))
        known *= kept
        known += drawn[:, None] * came[:, None, :]
        last[:] = now
        weights[:] = self._learnt()

    def _learnt(self) -> FloatArray:
        (credit, exposure, days), prior = self.arrays["ensemble_known"], self._prior
        per_rung, n = self._params.n_leverages, prior.shape[1]
        liquidated, could = credit.sum(axis=1), (prior * exposure).sum(axis=1)
        worth = self._days * exposure.mean(axis=1) / np.maximum(days[:, 0], 1e-300)
        learnt = (liquidated > 0.0) & (could > 0.0) & (worth > 0.0)
        rate = np.divide(liquidated, could, out=np.zeros_like(could), where=learnt)
        out, expected = prior.copy(), np.zeros(len(prior))
        for j in reversed(range(n)):
            above = prior[:, j] / prior[:, min(j + 1, n - 1)]  # the prior's own slope
            expected = rate * prior[:, j] if j % per_rung == per_rung - 1 else expected * above
            found = np.divide(
                worth * expected + credit[:, j],
                worth + exposure[:, j],
                out=prior[:, j].copy(),
                where=learnt,
            )
            out[:, j], expected = found, np.where(learnt, found, expected)
        return np.asarray(out)


def cluster_intervals(
    clusters: Clusters,
    held: FloatArray,
    whole: FloatArray,
    own: FloatArray,
    drawn: FloatArray,
    error: tuple[float, float, float] = ERROR,
) -> FloatArray:
    """Return the interval of every cluster's notional.

    Parameters
    ----------
    clusters : ndarray of CLUSTER_DTYPE, shape (n,)
        As they were issued.
    held : ndarray of float64, shape (n, classes)
        What each class holds of them.
    whole : ndarray of float64, shape (n, classes)
        What it holds of their side: intervals are of the share of it.
    own, drawn : ndarray of float64, shape (classes,), (members, classes)
        Weights of the estimator, and of the members.
    error : tuple of float
        Lower quantile, median and upper quantile of the log error beside that of the weights;
        zeros for that of the weights alone.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Lower and upper end, USD; NaN where the books hold nothing of the cluster.
    """
    out = np.full((len(clusters), 2), np.nan)
    some = np.flatnonzero(held @ own > 0.0)
    held, whole = held[some], whole[some]
    ratio = (drawn @ held.T) / (drawn @ whole.T) / ((held @ own) / (whole @ own))
    ratio.sort(axis=0)
    place = (len(ratio) - 1) * (1.0 + LEVEL * np.array([-1.0, 1.0])) / 2.0
    below = np.floor(place).astype(np.int64)
    part = (place - below)[:, None]
    tails = ratio[below] * (1.0 - part) + ratio[np.minimum(below + 1, len(ratio) - 1)] * part
    lower, upper = np.log(np.maximum(tails, 1e-12))
    low, middle, high = error
    if any(error):
        lower = middle - np.hypot(middle - low, lower)
        upper = middle + np.hypot(high - middle, upper)
    out[some] = clusters["notional_usd"][some, None] * np.exp(np.column_stack([lower, upper]))
    return out
