"""Walking a multinomial logit forward: refits on a schedule, on what had matured by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.calibrate.multinomial import class_probabilities, fit_multinomial, signed_design
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

_CLIP: Final = 4.0
_LEAST: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How the models learn.

    Attributes
    ----------
    ridge : float
        Precision of the Gaussian prior on the coefficients of standardised covariates.
    ridge_constant : float
        That of the two constants: a drift, and how often neither side is reached.
    refit_ns : int
        They are fitted anew at every multiple of this since 1970.
    embargo_ns : int
        An outcome may train where it was final this long before the refit.
    least_trained : int
        Before so many outcomes have matured the base is issued.
    """

    ridge: float = EvaluationOptions().ridge
    ridge_constant: float = 4.0
    refit_ns: Ns = 7 * DAY_NS
    embargo_ns: Ns = HOUR_NS
    least_trained: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the keys, what was found and what is expected.
        """
        if not (self.ridge > 0 and self.ridge_constant > 0 and self.refit_ns > 0):
            raise ConfigError(
                f"calibrate: found ridge {self.ridge:g}, ridge_constant {self.ridge_constant:g}, "
                f"refit_ns {self.refit_ns}; expected all positive"
            )
        if self.embargo_ns < 0 or self.least_trained < 2:
            raise ConfigError(
                f"calibrate: found embargo_ns {self.embargo_ns}, least_trained "
                f"{self.least_trained}; expected no negative embargo, and 2 or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a model issued at each landmark.

    Attributes
    ----------
    p : ndarray of float64, shape (n, 3)
        Of up, down and neither; NaN where the offset is.
    tilt : ndarray of float64, shape (n, 3)
        What covariates add to the log of the base, before normalising; 0 while nothing is fitted.
    n_trained : ndarray of int64, shape (n,)
        On how many matured outcomes; 0 where the base was issued.
    """

    p: FloatArray
    tilt: FloatArray
    n_trained: IntArray


def walk_forward_multinomial(
    *,
    at: IntArray,
    matured_ns: IntArray,
    target: FloatArray,
    trains: npt.NDArray[np.bool_],
    odd: FloatArray,
    even: FloatArray,
    offset: FloatArray | None,
    options: ModelOptions,
) -> Walked:
    """Issue probabilities at landmarks, each by a model of what had matured at its last refit.

    Landmarks of several symbols may be given together: one model then serves them all. Covariates
    are scaled by moments of the rows that train: `odd` by its root mean square (0 means something:
    neither way), `even` by mean and standard deviation; beyond 4 of these they are cut. What
    is not known (NaN) counts as 0.

    Parameters
    ----------
    at, matured_ns : ndarray of int64, shape (n,)
        Issue of each landmark, and from when on its outcome is final. Landmark j may train a refit
        at t where `matured_ns[j] <= t - embargo_ns`, and nothing else may.
    target : ndarray of float64, shape (n, 3)
        1 for up, down or neither; a tie is half of each side.
    trains : ndarray of bool, shape (n,)
        Landmarks with an outcome.
    odd, even : ndarray of float64, shape (n, j), (n, k)
        See `signed_design`; a constant is added to both.
    offset : ndarray of float64, shape (n, 3), or None
        Log of base probabilities. None: of the frequencies of what had matured, half an outcome of
        each kind added (Krichevsky and Trofimov 1981).
    options : ModelOptions
        Schedule and prior.

    Returns
    -------
    Walked

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    early = np.flatnonzero(matured_ns <= at)
    if len(early):
        raise DataError(f"calibrate: landmark {early[0]} would have matured at its own issue")
    rows = np.flatnonzero(trains)
    rows = rows[np.lexsort((at[rows], matured_ns[rows]))]
    ripe_ns = matured_ns[rows] + options.embargo_ns
    fit_ns = at // options.refit_ns * options.refit_ns
    precision = _precision(odd.shape[1], even.shape[1], options)
    p, tilt = np.full((len(at), 3), np.nan), np.zeros((len(at), 3))
    n_trained = np.zeros(len(at), np.int64)
    beta = np.zeros(len(precision))
    for moment in np.unique(fit_ns):
        ripe = rows[: np.searchsorted(ripe_ns, moment, "right")]
        here = fit_ns == moment
        base = _frequencies(target[ripe], len(at)) if offset is None else offset
        if len(ripe) >= options.least_trained:
            place = np.concatenate([ripe, np.flatnonzero(here)])
            z = signed_design(*_scaled(odd[place], even[place], len(ripe)))
            beta = fit_multinomial(z[: len(ripe)], target[ripe], base[ripe], precision, beta)
            # not `@`: a sum of a row must not depend on how many rows there are
            tilt[here] = np.einsum("ncj,j->nc", z[len(ripe) :], beta)
            n_trained[here] = len(ripe)
        p[here] = class_probabilities(tilt[here][:, :, None], base[here], np.ones(1))
    return Walked(p=np.clip(p, _LEAST, 1.0), tilt=tilt, n_trained=n_trained)


def _precision(n_odd: int, n_even: int, options: ModelOptions) -> FloatArray:
    precision = np.full(n_odd + n_even + 2, options.ridge)
    precision[[n_odd, n_odd + 1 + n_even]] = options.ridge_constant
    return precision


def _frequencies(target: FloatArray, n: int) -> FloatArray:
    """Return the log of smoothed frequencies, one row for each landmark."""
    share = (target.sum(axis=0) + 0.5) / (len(target) + 1.5)
    return np.tile(np.log(share), (n, 1))


def _scaled(odd: FloatArray, even: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the covariates in units of the first `n` rows, a constant behind each."""
    constant = np.ones((len(odd), 1))
    size = np.sqrt(_known_mean(odd[:n] ** 2))
    centre = _known_mean(even[:n])
    spread = np.sqrt(_known_mean((even[:n] - centre) ** 2))
    parts = []
    for values, unit in ((odd, size), (even - centre, spread)):
        scaled = np.divide(values, unit, out=np.zeros_like(values), where=unit > 1e-12)
        scaled = np.clip(np.nan_to_num(scaled, nan=0.0), -_CLIP, _CLIP)
        parts.append(np.hstack([scaled, constant]))
    return parts[0], parts[1]


def _known_mean(values: FloatArray) -> FloatArray:
    """Return the mean of what is known of each column, 0 where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1))
