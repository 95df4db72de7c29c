"""P(visit): a logit that starts from the Brownian probability, walked forward.

Two models, alike but for what the map says (decision 0025): `ablated` knows distance, volatility,
trends, funding and the change of open interest; `full` knows besides how dense the level is among
its neighbours, and to which side the map leans. With the base probability q,

    ln p/(1 − p) = ln q/(1 − q) + β · z,     β ~ N(0, diag(1/precision)),

fitted afresh on a schedule to what had matured by then; before that p = q.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.calibrate.multinomial import class_probabilities, fit_multinomial
from liqbt.calibrate.walk import ModelOptions
from liqbt.errors import DataError
from liqbt.types import FloatArray, IntArray

_CONTROLS: Final = (
    "distance_sigma",
    "volatility_3h",
    "volatility_12h",
    "volatility_7d",
    "trend_1d",
    "trend_3d",
    "open_interest_1d",
    "funding",
)
VISIT_MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "full": ("density_rank", "asymmetry", *_CONTROLS),
    "ablated": _CONTROLS,
}
"""Covariates of each model, by their names in `evaluation.visits.VISIT_DTYPE`."""

_CLIP: Final = 4.0
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenVisits:
    """What the models issued; each row is that of the level given.

    Attributes
    ----------
    p : mapping of str to ndarray of float64, shape (n,)
        By `VISIT_MODELS`; within [1e-6, 1 − 1e-6].
    n_trained : ndarray of int64, shape (n,)
        On how many matured outcomes; 0 where the base was issued.
    """

    p: Mapping[str, FloatArray]
    n_trained: IntArray

    def after(self, n: int) -> ForeseenVisits:
        """Return what was issued for the levels after the first `n`."""
        later = {name: p[n:] for name, p in self.p.items()}
        return ForeseenVisits(p=later, n_trained=self.n_trained[n:])


def foresee_visits(rows: npt.NDArray[Any], options: ModelOptions) -> ForeseenVisits:
    """Issue the probabilities of every model for every level.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Levels of one horizon and kind, all symbols together, with the fields of
        `evaluation.visits.VISIT_DTYPE`.
    options : ModelOptions
        How they learn.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    p, n_trained = {}, np.zeros(len(rows), np.int64)
    for name, used in VISIT_MODELS.items():
        p[name], n_trained = walk_forward_visits(
            at=rows["at"],
            matured_ns=rows["matured_ns"],
            visited=rows["visited"].astype(np.float64),
            trains=rows["scored"],
            known=np.column_stack([rows[one] for one in used]),
            base=rows["brownian"],
            options=options,
        )
    return ForeseenVisits(p=p, n_trained=n_trained)


def walk_forward_visits(
    *,
    at: IntArray,
    matured_ns: IntArray,
    visited: FloatArray,
    trains: npt.NDArray[np.bool_],
    known: FloatArray,
    base: FloatArray,
    options: ModelOptions,
) -> tuple[FloatArray, IntArray]:
    """Issue probabilities of visits, each by a model of what had matured at its last refit.

    Levels of several symbols may be given together: one model then serves them all.

    Parameters
    ----------
    at, matured_ns : ndarray of int64, shape (n,)
        Issue of each level, and from when on its outcome is final. Level j may train a refit at t
        where `matured_ns[j] <= t - embargo_ns`, and nothing else may.
    visited : ndarray of float64, shape (n,)
        1 for a visit, 0 for none.
    trains : ndarray of bool, shape (n,)
        Levels with an outcome.
    known : ndarray of float64, shape (n, k)
        Covariates; they are scaled by mean and standard deviation of the levels that train, cut at
        4, and what is not known (NaN) counts as their mean. A constant is added.
    base : ndarray of float64, shape (n,)
        Probabilities to start from.
    options : ModelOptions
        Schedule and prior.

    Returns
    -------
    p : ndarray of float64, shape (n,)
        Probabilities of a visit.
    n_trained : ndarray of int64, shape (n,)
        On how many outcomes; 0 where the base was issued.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    early = np.flatnonzero(matured_ns <= at)
    if len(early):
        raise DataError(f"calibrate: level {early[0]} would have matured at its own issue")
    rows = np.flatnonzero(trains)
    rows = rows[np.lexsort((at[rows], matured_ns[rows]))]
    ripe_ns = matured_ns[rows] + options.embargo_ns
    fit_ns = at // options.refit_ns * options.refit_ns
    q = np.clip(base, _LEAST, 1.0 - _LEAST)
    offset = np.log(np.column_stack([q, 1.0 - q]))
    target = np.column_stack([visited, 1.0 - visited])
    precision = np.append(np.full(known.shape[1], options.ridge), options.ridge_constant)
    p, n_trained = q.copy(), np.zeros(len(at), np.int64)
    beta = np.zeros(len(precision))
    for moment in np.unique(fit_ns):
        ripe = rows[: np.searchsorted(ripe_ns, moment, "right")]
        if len(ripe) < options.least_trained:
            continue
        here = np.flatnonzero(fit_ns == moment)
        z = _design(known[np.concatenate([ripe, here])], len(ripe))
        beta = fit_multinomial(z[: len(ripe)], target[ripe], offset[ripe], precision, beta)
        # not `@`: a sum of a row must not depend on how many rows there are
        lift = np.einsum("ncj,j->nc", z[len(ripe) :], beta)
        p[here] = class_probabilities(lift[:, :, None], offset[here], np.ones(1))[:, 0]
        n_trained[here] = len(ripe)
    return np.clip(p, _LEAST, 1.0 - _LEAST), n_trained


def _design(known: FloatArray, n: int) -> FloatArray:
    """Return the covariates in units of the first `n` rows, shape (rows, 2, k + 1).

    They move a visit against none; a constant stands behind them.
    """
    seen = ~np.isnan(known[:n])
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, known[:n], 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(seen, known[:n] - mean, 0.0) ** 2).sum(axis=0) / count)
    centred = known - mean
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    z = np.zeros((len(known), 2, known.shape[1] + 1))
    z[:, 0, :-1] = np.clip(np.nan_to_num(scaled, nan=0.0), -_CLIP, _CLIP)
    z[:, 0, -1] = 1.0
    return z
