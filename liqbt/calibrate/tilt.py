"""Calibrated probabilities, walked forward: only outcomes whose window has ended may train.

First version: one parameter tilts the two-barrier Brownian probabilities towards the side that the
asymmetry points at. With s_up = −1, s_down = +1, s_neither = 0 and asymmetry A (positive: more
longs below),

    p_k ∝ q_k exp(θ s_k A),

so θ > 0 says that the price goes first where more positions would be forced. θ is fitted afresh at
every landmark by ridge-penalised maximum likelihood (a Gaussian prior of mean 0 and precision
`ridge`) over what has matured by then; it is 0 while nothing has, and then p = q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, DataError
from liqbt.types import FloatArray, IntArray

_SIDES: Final = np.array([-1.0, 1.0, 0.0])
_TOLERANCE: Final = 1e-10
_MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """Calibrated probabilities of landmarks, and the parameter that each was issued with.

    Attributes
    ----------
    p : ndarray of float64, shape (n, 3)
        Of up, down and neither first; NaN where q is.
    theta : ndarray of float64, shape (n,)
        The tilt in force at each landmark.
    n_trained : ndarray of int64, shape (n,)
        On how many matured landmarks it was fitted.
    """

    p: FloatArray
    theta: FloatArray
    n_trained: IntArray


def tilt(q: FloatArray, asymmetry: FloatArray, theta: FloatArray | float) -> FloatArray:
    """Return the tilted probabilities.

    Parameters
    ----------
    q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    asymmetry : ndarray of float64, shape (n,)
        In [−1, 1], positive: more longs below.
    theta : float or ndarray of float64, shape (n,)
        Strength.

    Examples
    --------
    >>> tilt(np.array([[0.4, 0.4, 0.2]]), np.array([1.0]), np.log(2.0)).round(3).tolist()
    [[0.167, 0.667, 0.167]]
    """
    push = (np.asarray(theta) * asymmetry)[:, None]
    weight = q * np.exp(_SIDES * push)
    # without a push these are q to the bit: rounding must not pass for a forecast of its own
    return np.asarray(np.where(push == 0.0, q, weight / weight.sum(axis=1, keepdims=True)))


def fit_tilt(
    q: FloatArray, signed: FloatArray, asymmetry: FloatArray, *, ridge: float, start: float = 0.0
) -> float:
    """Return the θ of greatest penalised likelihood (Newton; the target is strictly concave).

    Parameters
    ----------
    q : ndarray of float64, shape (n, 3)
        Probabilities of up, down and neither.
    signed : ndarray of float64, shape (n,)
        s of the outcome: −1 up, +1 down, 0 neither; 0 for a tie too, which is half of each.
    asymmetry : ndarray of float64, shape (n,)
        In [−1, 1].
    ridge : float
        Prior precision of θ.
    start : float
        Where Newton's method begins.
    """
    theta = start
    gain = float(np.sum(signed * asymmetry))
    square = asymmetry**2
    up, down, neither = q.T
    for _ in range(_MOST_STEPS):
        factor = np.exp(theta * asymmetry)
        rise, fall = up / factor, down * factor
        whole = rise + fall + neither
        mean = (fall - rise) / whole
        slope = gain - float(np.sum(mean * asymmetry)) - ridge * theta
        curve = float(np.sum(((rise + fall) / whole - mean**2) * square)) + ridge
        step = max(-2.0, min(2.0, slope / curve))
        theta += step
        if abs(step) < _TOLERANCE:
            break
    return theta


def walk_forward_tilt(
    *,
    at: IntArray,
    matured_ns: IntArray,
    outcome: npt.NDArray[np.int8],
    scored: npt.NDArray[np.bool_],
    q: FloatArray,
    asymmetry: FloatArray,
    ridge: float,
) -> Tilt:
    """Calibrate landmarks of one horizon, each from those that have matured by its own issue.

    Landmarks of several symbols may be given together: one θ then serves them all.

    Parameters
    ----------
    at, matured_ns : ndarray of int64, shape (n,)
        When each landmark is issued, and the time from which on its outcome is final (later than
        the end of its window, by the latency at least). Landmark j may train landmark i where
        `matured_ns[j] <= at[i]`, and nothing else may.
    outcome : ndarray of int8, shape (n,)
        +1 up first, −1 down first, 0 neither; a tie is 0 (half of each side's likelihood).
    scored : ndarray of bool, shape (n,)
        Landmarks without an outcome (one-sided, censored) never train and get NaN.
    q : ndarray of float64, shape (n, 3)
        Base probabilities of up, down and neither.
    asymmetry : ndarray of float64, shape (n,)
        In [−1, 1].
    ridge : float
        Prior precision of θ, positive.

    Returns
    -------
    Tilt

    Raises
    ------
    ConfigError
        If `ridge` is not positive.
    DataError
        If an outcome would be known before its own issue, a probability is outside [0, 1] or an
        asymmetry outside [−1, 1].
    """
    if not ridge > 0.0:
        raise ConfigError(f"calibrate.ridge: found {ridge:g}; expected a positive precision")
    _check(at, matured_ns, scored, q, asymmetry)
    signed = -np.sign(outcome).astype(np.float64)
    rows = np.flatnonzero(scored)
    rows = rows[np.lexsort((rows, matured_ns[rows]))]
    ripe_at, ripe_q = matured_ns[rows], q[rows]
    ripe_signed, ripe_asymmetry = signed[rows], asymmetry[rows].astype(np.float64)
    theta = np.full(len(at), np.nan)
    n_trained = np.zeros(len(at), np.int64)
    value = 0.0
    for moment in np.unique(at):
        n = int(np.searchsorted(ripe_at, moment, "right"))
        if n:
            value = fit_tilt(
                ripe_q[:n], ripe_signed[:n], ripe_asymmetry[:n], ridge=ridge, start=value
            )
        here = at == moment
        theta[here], n_trained[here] = value, n
    p = np.full(q.shape, np.nan)
    p[scored] = tilt(q[scored], asymmetry[scored], theta[scored])
    return Tilt(p=p, theta=theta, n_trained=n_trained)


def calibrate_landmarks(rows: npt.NDArray[Any], *, ridge: float) -> npt.NDArray[Any]:
    """Return landmarks of one horizon with `theta`, `p_up`, `p_down` and `p_neither` filled in.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        With the fields `at`, `matured_ns`, `outcome`, `scored`, `q_up`, `q_down`, `q_neither` and
        `asymmetry` of a landmark table, and the four to be filled in; all symbols together.
    ridge : float
        Prior precision of θ.
    """
    found = walk_forward_tilt(
        at=rows["at"],
        matured_ns=rows["matured_ns"],
        outcome=rows["outcome"],
        scored=rows["scored"],
        q=np.column_stack([rows["q_up"], rows["q_down"], rows["q_neither"]]),
        asymmetry=rows["asymmetry"],
        ridge=ridge,
    )
    filled = rows.copy()
    filled["theta"] = found.theta
    for column, name in enumerate(("p_up", "p_down", "p_neither")):
        filled[name] = found.p[:, column]
    return filled


def _check(
    at: IntArray,
    matured_ns: IntArray,
    scored: npt.NDArray[np.bool_],
    q: FloatArray,
    asymmetry: FloatArray,
) -> None:
    early = np.flatnonzero(matured_ns <= at)
    if len(early):
        raise DataError(f"calibrate: landmark {early[0]} would have matured at its own issue")
    with np.errstate(invalid="ignore"):
        wrong = ~((q >= 0) & (q <= 1)).all(1) | (np.abs(q.sum(1) - 1) > 1e-9)
        wrong |= ~(np.abs(asymmetry) <= 1)
    bad = np.flatnonzero(wrong & scored)
    if len(bad):
        i = bad[0]
        raise DataError(
            f"calibrate: landmark {i} has probabilities {q[i].tolist()} and asymmetry "
            f"{asymmetry[i]:g}; expected them in [0, 1] with sum 1, and in [-1, 1]"
        )
