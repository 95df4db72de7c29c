"""The one walk-forward: refits on a schedule, each on the outcomes that were final by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError
from liqbt.learn.logit import class_probabilities, fit_multinomial
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

_CLIP: Final = 4.0
_LEAST: Final = 1e-9
YOUNG_NS: Final = 54 * 7 * DAY_NS
"""While a record is no older, a model is fitted at every refit of its schedule."""
_PART: Final = 27
"""After that only where such a part of the record has passed since it was fitted last: half of as
many as there are weeks by then, as the fits of the first year are half as long as its last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How the models learn.

    Attributes
    ----------
    ridge : float
        Precision of the Gaussian prior on the coefficients of standardised covariates.
    ridge_constant : float
        That of constants: a drift, and how often nothing is reached.
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
                f"learn: found ridge {self.ridge:g}, ridge_constant {self.ridge_constant:g}, "
                f"refit_ns {self.refit_ns}; expected all positive"
            )
        if self.embargo_ns < 0 or self.least_trained < 2:
            raise ConfigError(
                f"learn: found embargo_ns {self.embargo_ns}, least_trained "
                f"{self.least_trained}; expected no negative embargo, and 2 or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """One refit: what may train it, and what it scores.

    Attributes
    ----------
    fitted_ns : int
        When.
    training : slice
        Of the training set in order of maturity: what was final the embargo before.
    scored : ndarray of int64
        Rows that are issued from the refit to the next one.
    """

    fitted_ns: Ns
    training: slice
    scored: IntArray

    @property
    def n_trained(self) -> int:
        """How many outcomes may train."""
        return int(self.training.stop)


def training_set(at: IntArray, matured_ns: IntArray, known: npt.NDArray[np.bool_]) -> IntArray:
    """Return the rows that may ever train, in the order in which their outcomes are final.

    Parameters
    ----------
    at, matured_ns : ndarray of int64, shape (n,)
        Issue of each row, and from when on its outcome is final.
    known : ndarray of bool, shape (n,)
        Rows with an outcome.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    early = np.flatnonzero(matured_ns <= at)
    if len(early):
        raise DataError(f"learn: row {early[0]} would have matured at its own issue")
    rows = np.flatnonzero(known)
    return rows[np.lexsort((at[rows], matured_ns[rows]))]


def walk_forward(
    matured_ns: IntArray, at: IntArray, *, refit_ns: Ns = 1, embargo_ns: Ns = 0
) -> Iterator[Split]:
    """Yield the refits that `at` asks for, in order.

    A model that is fitted anew on everything costs the more the longer its record is. After 54
    weeks a refit is left out while less than a 27th of the record has passed since the last one
    (decision 0061): any later year then costs what the first one did.

    Parameters
    ----------
    matured_ns : ndarray of int64, shape (m,)
        From when on each outcome of the training set is final; not decreasing.
    at : ndarray of int64, shape (n,)
        Issue of the rows that are scored; each is in one split, that of the last refit by then.
        The record begins with the first refit that they ask for.
    refit_ns : int
        Refits are at multiples of it since 1970: 1 is a refit at every issue.
    embargo_ns : int
        How long before a refit an outcome must have been final.

    Raises
    ------
    DataError
        If the training set is out of order.

    Examples
    --------
    >>> for split in walk_forward(np.array([4, 9, 11]), np.array([3, 12, 14, 21]), refit_ns=10):
    ...     print(split.fitted_ns, split.n_trained, split.scored.tolist())
    0 0 [0]
    10 2 [1, 2]
    20 3 [3]
    """
    if (np.diff(matured_ns) < 0).any():
        raise DataError("learn: the training set is not in the order in which it matured")
    moments = at // refit_ns * refit_ns
    rows = np.argsort(moments, kind="stable")
    refits, starts = np.unique(moments[rows], return_index=True)
    made = _made(refits)
    refits, starts = refits[made], starts[made]
    ends = np.searchsorted(matured_ns, refits - embargo_ns, "right")
    stops = np.append(starts, len(at))[1:]
    for fitted_ns, end, start, stop in zip(refits, ends, starts, stops, strict=True):
        training = slice(0, int(end))
        yield Split(fitted_ns=int(fitted_ns), training=training, scored=rows[start:stop])


def _made(refits: IntArray) -> list[int]:
    """Return which refits are made: what is left out depends on no later one."""
    made: list[int] = []
    last = 0
    for i, moment in enumerate(refits.tolist()):
        age = moment - int(refits[0])
        if age <= YOUNG_NS or (moment - last) * _PART >= age:
            made.append(i)
            last = moment
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model issued at each row.

    Attributes
    ----------
    p : ndarray of float64, shape (n, c)
        Of each class; NaN where the offset is.
    tilt : ndarray of float64, shape (n, c)
        What covariates add to the log of the base, before normalising; 0 while nothing is fitted.
    n_trained : ndarray of int64, shape (n,)
        On how many matured outcomes; 0 where the base was issued.
    """

    p: FloatArray
    tilt: FloatArray
    n_trained: IntArray

    def after(self, n: int) -> Predictions:
        """Return what was issued at the rows after the first `n`."""
        return Predictions(p=self.p[n:], tilt=self.tilt[n:], n_trained=self.n_trained[n:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was learnt at one refit.

    Attributes
    ----------
    fitted_ns : int
        When.
    n_trained : int
        On how many matured outcomes; 0 while they are too few: the base is issued.
    frequencies : ndarray of float64, shape (c,)
        Log of those of what had matured, half an outcome of each kind added (Krichevsky and
        Trofimov 1981).
    scales : tuple of (ndarray, ndarray)
        What is taken from each covariate, and what it is divided by.
    beta : ndarray of float64, shape (k,)
        Coefficients.
    """

    fitted_ns: Ns
    n_trained: int
    frequencies: FloatArray
    scales: tuple[tuple[FloatArray, FloatArray], ...]
    beta: FloatArray


def fit_classes(
    *,
    asked: IntArray,
    at: IntArray,
    matured_ns: IntArray,
    known: npt.NDArray[np.bool_],
    target: FloatArray,
    covariates: Sequence[FloatArray],
    design: Callable[..., FloatArray],
    offset: FloatArray | None,
    options: ModelOptions,
) -> list[Fit]:
    """Fit a multinomial logit at every refit that is asked for, on what had matured by then.

    Parameters
    ----------
    asked : ndarray of int64
        Issue of whatever will be asked about: it says which refits are made.
    at, matured_ns, known
        See `training_set`.
    target, covariates, design, offset, options
        See `predict_classes`; of the rows that may train.
    """
    rows = training_set(at, matured_ns, known)
    precision = np.concatenate(
        [[*[options.ridge] * v.shape[1], options.ridge_constant] for v in covariates]
    )
    beta, fits = np.zeros(len(precision)), []
    for split in walk_forward(
        matured_ns[rows], asked, refit_ns=options.refit_ns, embargo_ns=options.embargo_ns
    ):
        ripe, n = rows[split.training], split.n_trained
        frequencies, last = _frequencies(target[ripe]), len(covariates) - 1
        scales = tuple(_scale(v[ripe], i == last) for i, v in enumerate(covariates))
        taught = n >= options.least_trained
        if taught:
            z = design(*(_scaled(v[ripe], *scales[i]) for i, v in enumerate(covariates)))
            base = np.tile(frequencies, (n, 1)) if offset is None else offset[ripe]
            beta = fit_multinomial(z, target[ripe], base, precision, beta)
        fits.append(
            Fit(
                fitted_ns=split.fitted_ns,
                n_trained=n if taught else 0,
                frequencies=frequencies,
                scales=scales,
                beta=beta,
            )
        )
    return fits


def issue_classes(
    fits: Sequence[Fit],
    *,
    at: IntArray,
    covariates: Sequence[FloatArray],
    design: Callable[..., FloatArray],
    offset: FloatArray | None,
    options: ModelOptions,
) -> Predictions:
    """Return what fits issue at rows, each by its last refit: a row's do not depend on others.

    Parameters
    ----------
    fits : sequence of Fit
        At every refit that the rows ask for.
    at, covariates, design, offset, options
        See `predict_classes`; of the rows.
    """
    moments = np.array([fit.fitted_ns for fit in fits], np.int64)
    place = np.searchsorted(moments, at // options.refit_ns * options.refit_ns, "right") - 1
    n_classes = len(fits[0].frequencies) if fits else 2
    p, tilt = np.full((len(at), n_classes), np.nan), np.zeros((len(at), n_classes))
    n_trained = np.zeros(len(at), np.int64)
    order = np.argsort(place, kind="stable")
    chosen, starts = np.unique(place[order], return_index=True)
    stops = np.append(starts, len(at))[1:]
    for i, start, stop in zip(chosen.tolist(), starts, stops, strict=True):
        fit, here = fits[i], order[start:stop]
        base = np.tile(fit.frequencies, (len(here), 1)) if offset is None else offset[here]
        if fit.n_trained:
            z = design(*(_scaled(v[here], *fit.scales[k]) for k, v in enumerate(covariates)))
            # not `@`: a sum of a row must not depend on how many rows there are
            tilt[here] = np.einsum("ncj,j->nc", z, fit.beta)
            n_trained[here] = fit.n_trained
        p[here] = class_probabilities(tilt[here][:, :, None], base, np.ones(1))
    return Predictions(p=np.clip(p, _LEAST, 1.0), tilt=tilt, n_trained=n_trained)


def predict_classes(
    *,
    at: IntArray,
    matured_ns: IntArray,
    known: npt.NDArray[np.bool_],
    target: FloatArray,
    covariates: Sequence[FloatArray],
    design: Callable[..., FloatArray],
    offset: FloatArray | None,
    options: ModelOptions,
) -> Predictions:
    """Issue class probabilities, each by a multinomial logit of what had matured at its last refit.

    Rows of several symbols may be given together: one model then serves them all. Covariates are
    scaled by moments of the rows that train and cut at 4 of these; what is not known (NaN) is 0.

    Parameters
    ----------
    at, matured_ns, known
        See `training_set`.
    target : ndarray of float64, shape (n, c)
        1 for what happened; a tie is half of each.
    covariates : sequence of ndarray of float64, shape (n, k)
        The last by mean and standard deviation; any before it by root mean square, as 0 means
        something: neither way. A constant is put behind each.
    design : callable
        From the scaled covariates to the design, shape (n, c, k): see `logit.signed_design`.
    offset : ndarray of float64, shape (n, c), or None
        Log of base probabilities. None: `Fit.frequencies`.
    options : ModelOptions
        Schedule and prior.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    fits = fit_classes(
        asked=at,
        at=at,
        matured_ns=matured_ns,
        known=known,
        target=target,
        covariates=covariates,
        design=design,
        offset=offset,
        options=options,
    )
    return issue_classes(
        fits, at=at, covariates=covariates, design=design, offset=offset, options=options
    )


def _frequencies(target: FloatArray) -> FloatArray:
    """Return the log of smoothed frequencies."""
    classes = target.shape[1]
    return np.asarray(np.log((target.sum(axis=0) + 0.5) / (len(target) + 0.5 * classes)))


def _scale(values: FloatArray, centred: bool) -> tuple[FloatArray, FloatArray]:
    """Return what is taken from each column, and what it is then divided by."""
    mean = _known_mean(values) if centred else np.zeros(values.shape[1])
    return mean, np.sqrt(_known_mean((values - mean) ** 2))


def _scaled(values: FloatArray, mean: FloatArray, unit: FloatArray) -> FloatArray:
    """Return covariates in those units, a constant behind them."""
    values = values - mean
    scaled = np.divide(values, unit, out=np.zeros_like(values), where=unit > 1e-12)
    scaled = np.clip(np.nan_to_num(scaled, nan=0.0), -_CLIP, _CLIP)
    return np.hstack([scaled, np.ones((len(values), 1))])


def _known_mean(values: FloatArray) -> FloatArray:
    """Return the mean of what is known of each column, 0 where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1))
