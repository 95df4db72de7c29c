"""Time to visit: cumulative incidence with withdrawal as a competing event, restricted means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.types import FloatArray, IntArray, Ns


class Cause(IntEnum):
    """How an episode's time ended.

    Attributes
    ----------
    CENSORED
        Still open when the horizon or the data ended.
    VISIT
        The price entered the cluster.
    WITHDRAWAL
        The estimator no longer issued it.
    """

    CENSORED = 0
    VISIT = 1
    WITHDRAWAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidence:
    """Cumulative incidence of one cause.

    Attributes
    ----------
    time : ndarray of float64, shape (n,)
        Distinct times, increasing.
    share : ndarray of float64, shape (n,)
        Share of episodes that have ended so by then; what is censored is neither counted as ended
        nor as open for ever.
    """

    time: FloatArray
    share: FloatArray


def cumulative_incidence(
    time: FloatArray, cause: npt.NDArray[np.integer], which: Cause
) -> Incidence:
    """Return the Aalen–Johansen estimate of one cause's cumulative incidence.

    Aalen and Johansen (1978), An empirical transition matrix for non-homogeneous Markov chains
    based on censored observations, theorem 3.2, for competing risks.

    Parameters
    ----------
    time : ndarray of float64, shape (n,)
        From birth to the end, positive, any unit.
    cause : ndarray of int, shape (n,)
        `Cause` codes.
    which : Cause
        VISIT or WITHDRAWAL.

    Raises
    ------
    DataError
        If a time is not positive, or the cause is CENSORED.

    Examples
    --------
    Of four, one is visited at 1, one withdrawn at 2, one visited at 3, one open until 4:

    >>> found = cumulative_incidence(np.array([1.0, 2, 3, 4]), np.array([1, 2, 1, 0]), Cause.VISIT)
    >>> found.time.tolist(), found.share.tolist()
    ([1.0, 2.0, 3.0, 4.0], [0.25, 0.25, 0.5, 0.5])
    """
    from statsmodels.duration.survfunc import CumIncidenceRight

    bad = np.flatnonzero(~(np.isfinite(time) & (time > 0.0)))
    if len(bad) or not len(time) or which == Cause.CENSORED:
        raise DataError(
            f"cumulative incidence of {which.name.lower()}: {len(time)} times, of which "
            f"{len(bad)} are not positive; expected positive ones, and a cause that ends a time"
        )
    if not (cause == which).any():
        times = np.unique(time)
        return Incidence(time=times, share=np.zeros(len(times)))
    # the library drops causes that never occur, so that numbers must be without gaps
    present = [code for code in (Cause.VISIT, Cause.WITHDRAWAL) if (cause == code).any()]
    status = np.zeros(len(cause), np.int64)
    for number, code in enumerate(present, start=1):
        status[cause == code] = number
    with np.errstate(divide="ignore", invalid="ignore"):  # its errors at the last time
        fit = CumIncidenceRight(time, status)
    share = np.asarray(fit.cinc[present.index(which)], np.float64)
    return Incidence(time=np.asarray(fit.times, np.float64), share=share)


def restricted_mean_time(incidence: Incidence, until: float) -> float:
    """Return the mean time that an episode is spared the event, up to `until`.

    Andersen (2013), Decomposition of number of life years lost according to causes of death,
    equation 6: `until` less the integral of the cumulative incidence.

    Parameters
    ----------
    incidence : Incidence
        Of one cause.
    until : float
        In the unit of its times, positive.

    Raises
    ------
    DataError
        If `until` is not positive.

    Examples
    --------
    >>> found = Incidence(time=np.array([1.0, 3.0]), share=np.array([0.25, 0.5]))
    >>> restricted_mean_time(found, 4.0)  # 4 − (0.25 · 2 + 0.5 · 1)
    3.0
    """
    if not until > 0.0:
        raise DataError(f"restricted mean: found {until:g}; expected a positive time")
    edges = np.append(np.minimum(incidence.time, until), until)
    return until - float(incidence.share @ np.diff(edges))


def episode_times(
    born_ns: IntArray,
    visit_ns: IntArray,
    gone_ns: IntArray,
    horizon_ns: Ns,
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return each episode's time to its end, in hours, and the cause.

    What comes first counts; visit and withdrawal at one instant are a visit.

    Parameters
    ----------
    born_ns : ndarray of int64, shape (n,)
        Births.
    visit_ns : ndarray of int64, shape (n,)
        End of the first entry that touches, −1 for none: the touch itself came before it, so that
        a bar which ends with the horizon counts.
    gone_ns : ndarray of int64, shape (n,)
        Issue of the first forecast after the last one that held it, −1 for none.
    horizon_ns : int
        Visits to its end and withdrawals before it count; what is open then is censored there.

    Returns
    -------
    time_h : ndarray of float64, shape (n,)
        Hours from birth to the end.
    cause : ndarray of int64, shape (n,)
        `Cause` codes.
    """
    never = np.iinfo(np.int64).max
    visit = np.where(visit_ns >= 0, visit_ns, never)
    gone = np.where(gone_ns >= 0, gone_ns, never)
    end = np.minimum(np.minimum(visit, gone), born_ns + horizon_ns)
    open_ = end == born_ns + horizon_ns
    cause = np.select([visit == end, open_], [Cause.VISIT, Cause.CENSORED], Cause.WITHDRAWAL)
    return (end - born_ns) / 3.6e12, cause.astype(np.int64)
