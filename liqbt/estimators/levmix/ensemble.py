"""How sure the learnt mix is of a cluster: the same books under other priors and other days.

A map of `levmix` is its books weighed by class, and the weights are what is uncertain of it that it
can say itself. A member of the ensemble has a prior of its own (a slope in log leverage, a worth
in days, a share of open interest) and days of its own: what was crossed and what was liquidated on
each is weighed by a standard exponential (Rubin 1981, The Bayesian bootstrap), forgotten as ever.
Books, and so the replay, are those of the estimator: nothing is replayed again, and who asks for no
interval pays nothing.

What no member doubts is when positions came in, their life and the margin rule, and that is most of
what is wrong with a cluster: of the truth, members alone hold one in twenty. So an interval has the
error of earlier clusters in it, too: of the true share over the issued one, in simulated markets
that are none of those in which coverage is checked (`research/truth`, `intervals`). Its middle is
below the issued value: a cluster is found where the map came out high.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.estimators.levmix import LevMix
from liqbt.types import DAY_NS, FloatArray, Forecast, Side

LEVEL: Final = 0.8
"""How many intervals should hold the truth."""

ERROR: Final = (-1.85, -0.44, 0.5)
"""Log of true over issued share of clusters within ±30 %: the quantiles at 0.1, 0.5 and 0.9 in
tuning markets 0 and 1 of every world."""


class Ensemble:
    """Other weights that an estimator might have learnt.

    Parameters
    ----------
    estimator : LevMix
        Whose; it is read and never changed.
    rng : numpy.random.Generator
        Draws the priors and the days' weights.
    members : int
        How many.
    """

    def __init__(self, estimator: LevMix, rng: np.random.Generator, members: int = 64) -> None:
        self._of = estimator
        self._rng = rng
        params = estimator.params
        n = params.n_lives * params.n_leverages
        steps = np.log(params.leverages / np.sqrt(params.leverage_low * params.leverage_high))
        slope = rng.uniform(-0.5, 0.5, (members, 1))
        share = rng.uniform(0.1, 0.9, (members, 1))
        rungs = np.tile(np.exp(slope * steps), params.n_lives) / n
        prior = np.hstack([(1.0 - share) * rungs, share * rungs])
        self._prior = prior / prior.sum(axis=1, keepdims=True)
        self._days = params.prior_days * np.exp(rng.uniform(-np.log(4), np.log(4), members))
        self._last = np.zeros((3, len(params.prior)))
        self._known = np.zeros((3, members, len(params.prior)))

    def note(self) -> None:
        """Take what was learnt since the last call as one day; call it once a day."""
        state, params = self._of.state(), self._of.params
        days = np.full_like(state["credit"], state["ledger"]["days"][0])
        now = np.stack([state["credit"], state["exposure"], days])
        if np.array_equal(now, self._last):
            return
        kept = 0.5 ** (DAY_NS / params.forget)
        came = np.maximum(now - kept * self._last, 0.0)
        drawn = self._rng.exponential(1.0, len(self._days))
        self._known = kept * self._known + drawn[:, None] * came[:, None, :]
        self._last = now

    def weights(self) -> FloatArray:
        """Return the members' weights by class, shape (members, classes), by the estimator's rule.

        Before anything was learnt they are the priors.
        """
        (credit, exposure, days), prior = self._known, self._prior
        per_rung, n = self._of.params.n_leverages, prior.shape[1]
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

    def intervals(
        self,
        forecast: Forecast,
        *,
        reach: float | None = None,
        error: tuple[float, float, float] = ERROR,
    ) -> FloatArray:
        """Return the interval of every cluster's notional.

        Parameters
        ----------
        forecast : Forecast
            What the estimator issued last, with nothing taken in since.
        reach : float, optional
            The log distance within which a side's notional is taken as known: intervals are of the
            share of it. By default all that is open.
        error : tuple of float
            Lower quantile, median and upper quantile of the log error beside that of the weights;
            zeros for that of the weights alone.

        Returns
        -------
        ndarray of float64, shape (n_clusters, 2)
            Lower and upper end, USD; NaN where the books hold nothing of the cluster.
        """
        state, params = self._of.state(), self._of.params
        life = np.arange(len(params.prior)) // params.n_leverages % params.n_lives
        elapsed = forecast.at - int(state["ledger"]["settled_known"][0])
        aged = state["scale"] * 0.5 ** (elapsed / params.lives)
        coins = state["coins"] * aged[life][None, :, None]
        below = np.concatenate([np.zeros((*coins.shape[:2], 1)), np.cumsum(coins, axis=2)], axis=2)
        half = coins.shape[2] // 2
        edges = forecast.grid.anchor * np.exp((np.arange(2 * half + 1) - half) * params.step)
        own, drawn = self._of.weights().ravel(), self.weights()
        far = np.inf if reach is None else reach
        within = forecast.mark * np.exp(np.array([-far, far]))
        out = np.full((len(forecast.clusters), 2), np.nan)
        for i in range(len(forecast.clusters)):
            cluster = forecast.cluster(i)
            side = below[0 if cluster.side == Side.LONG else 1]
            held = _between(side, edges, cluster.low, cluster.high)
            whole = _between(side, edges, *within)
            if not own @ held > 0.0:
                continue
            ratio = (drawn @ held) / (drawn @ whole) / ((own @ held) / (own @ whole))
            tails = np.quantile(ratio, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
            lower, upper = np.log(np.maximum(tails, 1e-12))
            low, middle, high = error
            ends = middle - np.hypot(middle - low, lower), middle + np.hypot(high - middle, upper)
            out[i] = cluster.notional_usd * np.exp(ends if any(error) else (lower, upper))
        return out


def _between(below: FloatArray, edges: FloatArray, low: float, high: float) -> FloatArray:
    """Return what each class holds from `low` to `high`, of cumulative sums by the grid's edges."""
    first, last = np.searchsorted(edges, [low * (1 + 1e-12), high * (1 + 1e-12)], "right") - 1
    first, last = np.clip([first, last], 0, below.shape[1] - 1)
    return np.asarray(below[:, last] - below[:, first])
