"""What is predicted, and from what: the tilt, first sides and cascades, visits.

Each is asked again without what its claim says matters.

- **Tilt**: one parameter moves the two-barrier Brownian probabilities towards the side that the
  asymmetry A points at (positive: more longs below): p_k ∝ q_k exp(θ s_k A) with s_up = −1,
  s_down = +1, s_neither = 0. θ > 0 says that the price goes first where more positions would be
  forced. It is fitted at every landmark; while nothing has matured it is 0 and p = q.
- **First side.** The outcome is made of two levels, so that a model without their distances would
  lose to one with them where nobody trades at all. All models of it know the two-barrier Brownian
  probabilities and the distances; `full` knows the asymmetry, `ablated` does not.
- **Cascades** are defined without any forecast: `ablated` lacks asymmetry and distances. Large
  moves, whatever was forced in them, are the control: a cascade leans to the crowded side by
  definition, a large move does not.
- **Visits**: a logit that starts from the Brownian probability; `full` knows how dense the level is
  among its neighbours, and to which side the map leans.

Decisions 0023 and 0025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, DataError
from liqbt.learn.logit import fit_tilt, signed_design, tilt, two_class_design
from liqbt.learn.walk import (
    Fit,
    ModelOptions,
    Predictions,
    fit_classes,
    issue_classes,
    predict_classes,
    training_set,
    walk_forward,
)
from liqbt.types import FloatArray, IntArray

Table: TypeAlias = npt.NDArray[Any]
"""A structured array, one row a landmark or level."""

_Covariates = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of those that point up or down, and of those that do not."""


def _joined(*parts: _Covariates) -> _Covariates:
    return tuple(n for p in parts for n in p[0]), tuple(n for p in parts for n in p[1])


_ASYMMETRY: Final[_Covariates] = (("asymmetry",), ())
_DISTANCES: Final[_Covariates] = (("distance_difference",), ("distance_mean",))
_CONTROLS: Final[_Covariates] = (
    ("trend_1d", "trend_3d", "funding"),
    ("volatility", "open_interest_1d"),
)

FIRST_SIDE_MODELS: Final[Mapping[str, _Covariates]] = {
    "full": _joined(_ASYMMETRY, _DISTANCES, _CONTROLS),
    "ablated": _joined(_DISTANCES, _CONTROLS),
    "momentum": (("trend_1d", "trend_3d"), ()),
    "funding": (("funding_sign",), ()),
    "nearest": (("distance_difference",), ()),
}
"""`nearest` starts from equal chances of both sides, the others from two-barrier Brownian."""

CASCADE_MODELS: Final[Mapping[str, _Covariates]] = {
    "full": _joined(_ASYMMETRY, _DISTANCES, _CONTROLS),
    "ablated": _CONTROLS,
}

_VISIT_CONTROLS: Final = (
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
    "full": ("density_rank", "asymmetry", *_VISIT_CONTROLS),
    "ablated": _VISIT_CONTROLS,
}
"""Covariates of each model, by their names in `evaluation.visits.VISIT_DTYPE`."""

MAP_COVARIATES: Final = ("density_rank", "asymmetry")
"""What a map alone tells of a level: a model of these starts from what is known without it."""

_LEAST_VISIT: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkPredictions:
    """What the models issued; each row is that of the landmark given.

    Attributes
    ----------
    first_side : mapping of str to Predictions
        By `FIRST_SIDE_MODELS`, of up, down and neither.
    coin : ndarray of float64, shape (n, 3)
        Equal chances of both sides; that of neither is two-barrier Brownian.
    cascade, large_move : mapping of str to Predictions
        By `CASCADE_MODELS`.
    """

    first_side: Mapping[str, Predictions]
    coin: FloatArray
    cascade: Mapping[str, Predictions]
    large_move: Mapping[str, Predictions]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPredictions:
    """What the models issued; each row is that of the level given.

    Attributes
    ----------
    p : mapping of str to ndarray of float64, shape (n,)
        By model; within [1e-6, 1 − 1e-6].
    n_trained : ndarray of int64, shape (n,)
        On how many matured outcomes; 0 where the base was issued.
    """

    p: Mapping[str, FloatArray]
    n_trained: IntArray


def _with_training(rows: Table, training: Table | None) -> tuple[Table, int]:
    """Return the training set and the rows that are scored as one table, and where those begin."""
    return (rows, 0) if training is None else (np.concatenate([training, rows]), len(training))


def calibrate_landmarks(rows: Table, *, ridge: float, training: Table | None = None) -> Table:
    """Return landmarks of one horizon with `theta`, `p_up`, `p_down` and `p_neither` filled in.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        With the fields `at`, `matured_ns`, `outcome`, `scored`, `q_up`, `q_down`, `q_neither` and
        `asymmetry` of a landmark table, and the four to be filled in; all symbols together. Those
        that are not scored (one-sided, censored) never train and get NaN.
    ridge : float
        Prior precision of θ, positive.
    training : structured ndarray, optional
        Landmarks issued before: they are learnt from, each when it has matured, and not returned.

    Raises
    ------
    ConfigError
        If `ridge` is not positive.
    DataError
        If an outcome would be known at its own issue, a probability is outside [0, 1] or an
        asymmetry outside [−1, 1].
    """
    if not ridge > 0.0:
        raise ConfigError(f"learn: found ridge {ridge:g}; expected a positive precision")
    table, first = _with_training(rows, training)
    q = np.column_stack([table["q_up"], table["q_down"], table["q_neither"]])
    asymmetry, scored = table["asymmetry"].astype(np.float64), table["scored"]
    ripe = training_set(table["at"], table["matured_ns"], scored)
    _check(q, asymmetry, scored)
    # a tie is half of each side's likelihood, and pulls to neither
    signed = -np.sign(table["outcome"][ripe]).astype(np.float64)
    q_ripe, asymmetry_ripe = q[ripe], asymmetry[ripe]
    theta, value = np.full(len(table), np.nan), 0.0
    for split in walk_forward(table["matured_ns"][ripe], table["at"]):
        use = split.training
        if split.n_trained:
            value = fit_tilt(
                q_ripe[use], signed[use], asymmetry_ripe[use], ridge=ridge, start=value
            )
        theta[split.scored] = value
    p = np.full(q.shape, np.nan)
    p[scored] = tilt(q[scored], asymmetry[scored], theta[scored])
    filled = rows.copy()
    filled["theta"] = theta[first:]
    for column, name in enumerate(("p_up", "p_down", "p_neither")):
        filled[name] = p[first:, column]
    return filled


def _check(q: FloatArray, asymmetry: FloatArray, scored: npt.NDArray[np.bool_]) -> None:
    with np.errstate(invalid="ignore"):
        wrong = ~((q >= 0) & (q <= 1)).all(1) | (np.abs(q.sum(1) - 1) > 1e-9)
        wrong |= ~(np.abs(asymmetry) <= 1)
    bad = np.flatnonzero(wrong & scored)
    if len(bad):
        i = bad[0]
        raise DataError(
            f"learn: row {i} has probabilities {q[i].tolist()} and asymmetry "
            f"{asymmetry[i]:g}; expected them in [0, 1] with sum 1, and in [-1, 1]"
        )


def predict_landmarks(
    rows: Table, options: ModelOptions, *, training: Table | None = None
) -> LandmarkPredictions:
    """Issue the probabilities of every model at every landmark.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Landmarks of one horizon, all symbols together, with the fields of
        `evaluation.LANDMARK_DTYPE`.
    options : ModelOptions
        How they learn.
    training : structured ndarray, optional
        Landmarks issued before: they are learnt from, each when it has matured, and not scored.

    Returns
    -------
    LandmarkPredictions
        Probabilities of the first side are NaN where it is not scored.
    """
    table, first = _with_training(rows, training)
    brownian = np.column_stack([table["q_up"], table["q_down"], table["q_neither"]])
    q = np.where(table["scored"][:, None], np.clip(brownian, 1e-9, 1.0), np.nan)
    neither = q[:, 2:]
    half = np.clip(0.5 * (1.0 - neither), 1e-9, 1.0)
    coin = np.hstack([half, half, neither])

    def predict(
        used: _Covariates, outcome: str, known: str, base: FloatArray | None
    ) -> Predictions:
        sign = table[outcome]
        target = np.column_stack([sign > 0, sign < 0, sign == 0]).astype(np.float64)
        if base is not None:
            target[table["tie"]] = (0.5, 0.5, 0.0)
        return predict_classes(
            at=table["at"],
            matured_ns=table["matured_ns"],
            known=table[known],
            target=target,
            covariates=[_columns(table, names) for names in used],
            design=signed_design,
            offset=None if base is None else np.log(base),
            options=options,
        ).after(first)

    def after_landmarks(outcome: str) -> dict[str, Predictions]:
        return {
            name: predict(used, outcome, "cascade_known", None)
            for name, used in CASCADE_MODELS.items()
        }

    return LandmarkPredictions(
        first_side={
            name: predict(used, "outcome", "scored", coin if name == "nearest" else q)
            for name, used in FIRST_SIDE_MODELS.items()
        },
        coin=coin[first:],
        cascade=after_landmarks("cascade"),
        large_move=after_landmarks("large_move"),
    )


def _columns(rows: Table, names: tuple[str, ...]) -> FloatArray:
    """Return covariates by name, those that are made of two others too."""
    columns = np.zeros((len(rows), len(names)))
    for i, name in enumerate(names):
        if name == "distance_difference":  # positive where the level above is nearer
            columns[:, i] = rows["down_sigma"] - rows["up_sigma"]
        elif name == "distance_mean":
            columns[:, i] = 0.5 * (rows["down_sigma"] + rows["up_sigma"])
        elif name == "funding_sign":
            columns[:, i] = np.sign(rows["funding"])
        else:
            columns[:, i] = rows[name]
    return columns


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitModels:
    """Models of visits as they were fitted, refit by refit.

    Attributes
    ----------
    covariates : mapping of str to tuple of str
        By model. All start from the rows' `brownian`.
    fits : mapping of str to list of Fit
        By model.
    options : ModelOptions
        How they learn.
    """

    covariates: Mapping[str, tuple[str, ...]]
    fits: Mapping[str, list[Fit]]
    options: ModelOptions

    def issue(self, rows: Table) -> VisitPredictions:
        """Return what is issued for levels, whose refits were asked for: row by row."""
        base, q = _visit_base(rows)
        p, n_trained = {}, np.zeros(len(rows), np.int64)
        for name, used in self.covariates.items():
            found = issue_classes(
                self.fits[name],
                at=rows["at"],
                covariates=[_stacked(rows, used)],
                design=two_class_design,
                offset=base,
                options=self.options,
            )
            n_trained = found.n_trained
            # the base to the bit: rounding must not pass for a forecast of its own
            issued = np.where(n_trained > 0, found.p[:, 0], q)
            p[name] = np.clip(issued, _LEAST_VISIT, 1.0 - _LEAST_VISIT)
        return VisitPredictions(p=p, n_trained=n_trained)


def _visit_base(rows: Table) -> tuple[FloatArray, FloatArray]:
    q = np.clip(rows["brownian"], _LEAST_VISIT, 1.0 - _LEAST_VISIT)
    return np.log(np.column_stack([q, 1.0 - q])), q


def _stacked(rows: Table, names: tuple[str, ...]) -> FloatArray:
    return np.column_stack([rows[one] for one in names])


def fit_visits(
    training: Table,
    options: ModelOptions,
    *,
    asked: IntArray,
    models: Mapping[str, tuple[str, ...]] = VISIT_MODELS,
) -> VisitModels:
    """Fit every model at every refit that is asked for.

    Parameters
    ----------
    training : structured ndarray, shape (n,)
        Levels of one horizon and kind, all symbols together, with the fields of
        `evaluation.visits.VISIT_DTYPE`; each is learnt from when it has matured.
    options : ModelOptions
        How they learn.
    asked : ndarray of int64
        Issue of whatever will be asked about.
    models : mapping of str to tuple of str
        Their covariates.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    base, _ = _visit_base(training)
    visited = training["visited"].astype(np.float64)
    fits = {
        name: fit_classes(
            asked=asked,
            at=training["at"],
            matured_ns=training["matured_ns"],
            known=training["scored"],
            target=np.column_stack([visited, 1.0 - visited]),
            covariates=[_stacked(training, used)],
            design=two_class_design,
            offset=base,
            options=options,
        )
        for name, used in models.items()
    }
    return VisitModels(covariates=models, fits=fits, options=options)


def predict_visits(
    rows: Table,
    options: ModelOptions,
    *,
    training: Table | None = None,
    models: Mapping[str, tuple[str, ...]] = VISIT_MODELS,
) -> VisitPredictions:
    """Issue the probabilities of every model for every level, which are learnt from, too.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        As the training set of `fit_visits`.
    options : ModelOptions
        How they learn.
    training : structured ndarray, optional
        Levels issued before: they are learnt from, each when it has matured, and not scored.
    models : mapping of str to tuple of str
        Their covariates.

    Raises
    ------
    DataError
        If an outcome would be known at its own issue.
    """
    table, _ = _with_training(rows, training)
    return fit_visits(table, options, asked=table["at"], models=models).issue(rows)
