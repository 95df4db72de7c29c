"""Many claims at once, and the best of many configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.config.schema import EvaluationOptions
from liqbt.errors import DataError
from liqbt.types import FloatArray

REPS: Final = EvaluationOptions().bootstrap_reps
"""Replications of a bootstrap, as an experiment has them by default."""


def holm(p: Sequence[float] | FloatArray) -> FloatArray:
    """Return p-values adjusted so that the family-wise error is kept, under any dependence.

    Holm (1979), A simple sequentially rejective multiple test procedure, section 3.

    Parameters
    ----------
    p : sequence of float
        One p-value for each claim.

    Raises
    ------
    DataError
        If one is outside [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise DataError(f"Holm: found p-values {values.tolist()}; expected them in [0, 1]")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _day_losses(losses: FloatArray, block_days: int, name: str) -> None:
    if losses.ndim != 2 or losses.shape[0] < 10 or not np.isfinite(losses).all():
        raise DataError(
            f"{name}: found losses of shape {losses.shape}; expected days × configurations, "
            "10 days or more, all finite"
        )
    if not 1 <= block_days <= losses.shape[0]:
        raise DataError(
            f"{name}: found blocks of {block_days} days; expected 1 to {losses.shape[0]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperiorAbility:
    """p-values of the hypothesis that no configuration is better than the benchmark.

    Attributes
    ----------
    lower, consistent, upper : float
        Hansen's three recentrings; `consistent` is the one to use.
    """

    lower: float
    consistent: float
    upper: float


def superior_ability(
    benchmark: FloatArray,
    losses: FloatArray,
    *,
    block_days: int,
    seed: int,
    reps: int = REPS,
) -> SuperiorAbility:
    """Test whether the best of many configurations really beats a benchmark.

    Hansen (2005), A test for superior predictive ability, equations 5 and 6, through `arch`, with
    a stationary bootstrap of days.

    Parameters
    ----------
    benchmark : ndarray of float64, shape (n_days,)
        Losses of the benchmark by day; smaller is better.
    losses : ndarray of float64, shape (n_days, n_configurations)
        Losses of all configurations that were tried, failures too.
    block_days : int
        Mean length of a block: at least the horizon, never the library's default.
    seed : int
        Of the bootstrap.
    reps : int
        Replications.

    Raises
    ------
    DataError
        If shapes do not fit, days are too few or a loss is not finite.
    """
    from arch.bootstrap import SPA

    _day_losses(np.column_stack([benchmark, losses]), block_days, "SPA")
    test = SPA(
        benchmark, losses, block_size=block_days, reps=reps, bootstrap="stationary", seed=seed
    )
    test.compute()
    found = test.pvalues
    return SuperiorAbility(
        lower=float(found["lower"]),
        consistent=float(found["consistent"]),
        upper=float(found["upper"]),
    )


def step_superior(
    benchmark: FloatArray,
    losses: FloatArray,
    *,
    block_days: int,
    seed: int,
    alpha: float = 0.05,
    reps: int = REPS,
) -> npt.NDArray[np.int64]:
    """Return which configurations beat the benchmark, the family-wise error kept at `alpha`.

    Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping, algorithm 4.1,
    through `arch`.

    Parameters
    ----------
    benchmark, losses, block_days, seed, reps
        As in `superior_ability`.
    alpha : float
        Family-wise error.

    Returns
    -------
    ndarray of int64
        Columns of `losses`, ascending.

    Raises
    ------
    DataError
        As `superior_ability`.
    """
    from arch.bootstrap import StepM

    _day_losses(np.column_stack([benchmark, losses]), block_days, "StepM")
    test = StepM(
        benchmark,
        losses,
        size=alpha,
        block_size=block_days,
        reps=reps,
        bootstrap="stationary",
        seed=seed,
    )
    test.compute()
    return np.sort(np.array([int(name) for name in test.superior_models], np.int64))


def model_confidence_set(
    losses: FloatArray, *, block_days: int, seed: int, alpha: float = 0.05, reps: int = REPS
) -> npt.NDArray[np.int64]:
    """Return the configurations that hold the best one with probability 1 − `alpha`.

    Hansen, Lunde and Nason (2011), The model confidence set, definition 2 with the range
    statistic, through `arch`.

    Parameters
    ----------
    losses, block_days, seed, reps
        As in `superior_ability`; two configurations or more.
    alpha : float
        Error.

    Returns
    -------
    ndarray of int64
        Columns of `losses`, ascending.

    Raises
    ------
    DataError
        As `superior_ability`, or if there is one configuration only.
    """
    from arch.bootstrap import MCS

    _day_losses(losses, block_days, "model confidence set")
    if losses.shape[1] < 2:
        raise DataError("model confidence set: found 1 configuration; expected two or more")
    test = MCS(
        losses, size=alpha, reps=reps, block_size=block_days, bootstrap="stationary", seed=seed
    )
    test.compute()
    return np.sort(np.array([int(name) for name in test.included], np.int64))
