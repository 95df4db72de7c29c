"""Day sums, and what their errors are made of: a HAC variance, and a stationary bootstrap of days.

Scores are summed by the UTC day on which their episode was born, across symbols; a statistic is the
ratio of the sum of scores to the number of episodes. Days follow each other on the calendar, those
without an episode too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.kernels.passages import bootstrap_ratios
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns

_LEAST_FOR_BLOCK: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DaySums:
    """What each UTC day adds to a statistic, from the first day with a unit to the last.

    Attributes
    ----------
    total, count : ndarray of float64, shape (n,)
        The statistic is the ratio of their sums: of scores and of units, or of the two cross
        products of a regression's slope.
    first_day : int
        Days since 1970 of the first entry.
    n_units : int
        Independent units, as reported; by default the sum of `count`.
    size : ndarray of float64, shape (n,), optional
        Sum of |score|, or a bound of it: what is smaller than 1e-12 of it is rounding. By default
        |total|.
    null : ndarray of float64, shape (n,), optional
        What no information adds to `total`; None where it adds nothing.
    hits : ndarray of float64, shape (n,), optional
        Sum of the outcomes, 0 or 1, that the scores are made of: where all came out alike, a
        score's own spread says nothing of chance.
    freedom : float
        Of the days that one fitted parameter leaves free, the share that all of them do; 0 or less:
        too few days for any measure of error.
    """

    total: FloatArray
    count: FloatArray
    first_day: int = 0
    n_units: int = -1
    size: FloatArray | None = None
    null: FloatArray | None = None
    hits: FloatArray | None = None
    freedom: float = 1.0

    @property
    def units(self) -> int:
        """Independent units."""
        return self.n_units if self.n_units >= 0 else round(float(self.count.sum()))

    @property
    def n_days(self) -> int:
        """Days that hold a unit."""
        return int(np.count_nonzero(self.count))

    @property
    def ratio(self) -> float:
        """The statistic: mean score per unit; NaN where there is none."""
        held = float(self.count.sum())
        return float(self.total.sum()) / held if held > 0.0 else math.nan

    @property
    def chance(self) -> float:
        """The statistic of no information."""
        held = float(self.count.sum())
        if self.null is None:
            return 0.0 if held > 0.0 else math.nan
        return float(self.null.sum()) / held if held > 0.0 else math.nan

    @property
    def residual(self) -> FloatArray:
        """Day sums of (score − pooled mean)."""
        return np.asarray(self.total - self.ratio * self.count)

    def placed(self, first_day: int, n: int) -> DaySums:
        """Return the same sums on a longer calendar."""
        start = self.first_day - first_day

        def on(values: FloatArray) -> FloatArray:
            out = np.zeros(n)
            out[start : start + len(values)] = values
            return out

        return replace(
            self,
            total=on(self.total),
            count=on(self.count),
            first_day=first_day,
            n_units=self.units,
            size=None if self.size is None else on(self.size),
            null=None if self.null is None else on(self.null),
            hits=None if self.hits is None else on(self.hits),
        )


def pooled(parts: Sequence[DaySums]) -> DaySums:
    """Return the sums of several markets together, day by day: of one market, those of it.

    Parameters
    ----------
    parts : sequence of DaySums
        At least one, of one statistic.

    Examples
    --------
    >>> a = day_sums(np.array([1.0]), np.array([0]))
    >>> b = day_sums(np.array([0.0, 1.0]), np.array([DAY_NS, DAY_NS]))
    >>> both = pooled([a, b])
    >>> both.total.tolist(), both.count.tolist(), both.units
    ([1.0, 1.0], [1.0, 2.0], 3)
    """
    if len(parts) == 1:
        return parts[0]
    held = [part for part in parts if part.n_days] or list(parts[:1])
    first = min(part.first_day for part in held)
    n = max(part.first_day + len(part.total) for part in held) - first
    placed = [part.placed(first, n) for part in held]

    def summed(name: str) -> FloatArray | None:
        columns = [getattr(part, name) for part in placed]
        return None if any(c is None for c in columns) else np.asarray(np.sum(columns, axis=0))

    return DaySums(
        total=np.sum([part.total for part in placed], axis=0),
        count=np.sum([part.count for part in placed], axis=0),
        first_day=first,
        n_units=sum(part.units for part in parts),
        size=summed("size"),
        null=summed("null"),
        hits=summed("hits"),
        freedom=min(part.freedom for part in placed),
    )


def day_sums(
    scores: FloatArray,
    born_ns: IntArray,
    *,
    null: FloatArray | None = None,
    hits: FloatArray | None = None,
) -> DaySums:
    """Sum scores by the UTC day of their birth.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        None NaN.
    born_ns : ndarray of int64, shape (n,)
        Births, ns UTC.
    null, hits : ndarray of float64, shape (n,), optional
        Of each score, what no information would have scored, and the outcome that it is made of.

    Examples
    --------
    >>> days = day_sums(np.array([1.0, 0.0, 1.0]), np.array([DAY_NS, 2 * DAY_NS, 4 * DAY_NS]))
    >>> days.first_day, days.total.tolist(), days.count.tolist()
    (1, [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0])
    """
    if not len(scores):
        none = np.zeros(0)
        return DaySums(
            total=none,
            count=none,
            n_units=0,
            null=None if null is None else none,
            hits=None if hits is None else none,
        )
    day = born_ns // DAY_NS
    first = int(day.min())
    day = day - first

    def by_day(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(day, weights=values), np.float64)

    return DaySums(
        total=by_day(scores),
        count=np.bincount(day).astype(np.float64),
        first_day=first,
        n_units=len(scores),
        size=by_day(np.abs(scores)),
        null=None if null is None else by_day(null),
        hits=None if hits is None else by_day(hits),
    )


def hac_lag(n_days: int, horizon_ns: Ns) -> int:
    """Return the lag of the HAC estimate, in days.

    Twice the horizon in whole days (with a lag of just one horizon Bartlett would give the
    covariance there half its weight or less), or Newey and West's (1994) 4 (n/100)^(2/9), whichever
    is larger.

    Examples
    --------
    >>> hac_lag(106, DAY_NS), hac_lag(106, 7 * DAY_NS)
    (4, 14)
    """
    horizon_days = int(-(-horizon_ns // DAY_NS))
    return max(2 * horizon_days, int(4.0 * (n_days / 100.0) ** (2.0 / 9.0)))


def hac_error(influence: FloatArray, lag: int) -> float:
    """Return the standard error of a sum over days that depend on their neighbours.

    Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation
    consistent covariance matrix, equation 5; with the factor n/(n − 1) for an estimated mean.

    Parameters
    ----------
    influence : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation; two days or more.
    lag : int
        Bandwidth, days.
    """
    n = len(influence)
    inner = float(influence @ influence)
    for k in range(1, min(lag, n - 1) + 1):
        inner += 2.0 * (1.0 - k / (lag + 1)) * float(influence[k:] @ influence[:-k])
    return math.sqrt(max(inner, 0.0) * n / (n - 1))


def hac_se(days: DaySums, lag: int) -> float:
    """Return the standard error of the ratio, by linearisation.

    `hac_error` of the day sums of (score − pooled mean), divided by the number of episodes.

    Parameters
    ----------
    days : DaySums
        Two days or more.
    lag : int
        Bandwidth, days.
    """
    return hac_error(days.residual, lag) / float(days.count.sum())


def fixed_b_critical(share: float) -> float:
    """Return the 97.5 % critical value of a t statistic with Bartlett bandwidth `share`·n.

    Kiefer and Vogelsang (2005), A new asymptotic theory for heteroskedasticity-autocorrelation
    robust tests, table 1: the bandwidth is not taken to vanish, so that a short record gets the
    wider interval that it needs.

    Parameters
    ----------
    share : float
        (lag + 1)/n, in [0, 1].

    Examples
    --------
    >>> round(fixed_b_critical(0.0), 3), round(fixed_b_critical(0.1), 3)
    (1.96, 2.261)
    """
    return 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Uniforms of a stationary bootstrap of days.

    Attributes
    ----------
    place, renew : ndarray of float32, shape (reps, n_days)
        Where a block begins, and whether one does.
    """

    place: npt.NDArray[np.float32]
    renew: npt.NDArray[np.float32]

    @property
    def n_days(self) -> int:
        """Days of the longest record that they serve."""
        return int(self.place.shape[1])

    def ratios(self, block: float, total: FloatArray, count: FloatArray) -> FloatArray:
        """Return the ratio Σ total / Σ count of every replication (`bootstrap_ratios`).

        Raises
        ------
        ValueError
            If the record has more days than were drawn: the kernel would read what is not there.
        """
        if len(total) > self.n_days:
            raise ValueError(f"{len(total)} days in a bootstrap that was drawn for {self.n_days}")
        return np.asarray(bootstrap_ratios(self.place, self.renew, block, total, count), np.float64)


def draw(rng: np.random.Generator, *, reps: int, n_days: int) -> Draws:
    """Draw what a bootstrap of at most `n_days` days needs.

    Day by day: that a record is longer changes nothing of what its first days draw.

    Parameters
    ----------
    rng : numpy.random.Generator
        What is drawn from.
    reps, n_days : int
        Replications, and days of the longest record that they will serve.
    """
    both = rng.random((n_days, 2, reps), dtype=np.float32)
    return Draws(place=np.ascontiguousarray(both[:, 0].T), renew=np.ascontiguousarray(both[:, 1].T))


def stream(root: int, *purpose: str) -> np.random.Generator:
    """Return the random stream that serves a purpose, and nothing else.

    Streams are told apart by what they are for, never by position: what is drawn for one statistic
    does not depend on which others there are.

    Parameters
    ----------
    root : int
        Root seed of the study.
    *purpose : str
        Such as `bootstrap` and a statistic's id.

    Examples
    --------
    >>> a, b = stream(0, "bootstrap", "hit_rate"), stream(0, "bootstrap", "hit_rate")
    >>> bool(a.random() == b.random()), bool(stream(1, "x").random() == stream(0, "x").random())
    (True, False)
    """
    words = hashlib.sha256("\0".join(purpose).encode()).digest()
    key = np.frombuffer(words, "<u4")
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=tuple(key.tolist())))


def automatic_block(values: FloatArray) -> float:
    """Return the mean block of a stationary bootstrap that is best for the variance of a mean.

    Politis and White (2004), Automatic block-length selection for the dependent bootstrap, section
    3.2, as corrected by Patton, Politis and White (2009), equation 9: b = (2 g²/d)^(1/3) n^(1/3)
    with g = Σ λ(k/m) |k| γ_k and d = 2 (Σ λ(k/m) γ_k)² over |k| ≤ m, λ the flat-top window of
    Politis and Romano (1995). m is twice the lag from which on `max(5, log₁₀ n)` autocorrelations
    in a row are small; b is at most 3 √n and n/3.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        In order of time; 16 or more.

    Returns
    -------
    float
        NaN where nothing varies.
    """
    n = len(values)
    x = values - values.mean()
    run = max(5, int(math.log10(n)))
    longest = math.ceil(math.sqrt(n)) + run
    cross = np.array([x[k:] @ x[: n - k] for k in range(longest + 1)])
    squares = np.concatenate([[0.0], np.cumsum(x * x)])
    k = np.arange(longest + 1)
    later, earlier = squares[n] - squares[k + 1], squares[n - k - 1]
    scale = np.sqrt(np.maximum(later * earlier, 0.0))
    correlation = np.divide(np.abs(cross), scale, out=np.full(len(k), np.inf), where=scale > 0.0)
    small = correlation < 2.0 * math.sqrt(math.log10(n) / n)
    quiet = [i for i in range(longest - run + 1) if small[i : i + run].all()]
    m = min(2 * max(quiet[0], 1) if quiet else longest, longest)
    lags = np.arange(1, m + 1)
    window = np.where(lags / m <= 0.5, 1.0, 2.0 * (1.0 - lags / m))
    covariance = cross[1 : m + 1] / n
    g = 2.0 * float(window @ (lags * covariance))
    spectrum = cross[0] / n + 2.0 * float(window @ covariance)
    if spectrum == 0.0:
        return math.nan
    most = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    return min(math.cbrt((g / spectrum) ** 2 * n), float(most))


def mean_block_days(residual: FloatArray, horizon_ns: Ns) -> int:
    """Return the mean block: a day more than the horizon, or Politis and White's choice if longer.

    An episode that is born on one day is open until a horizon later, so that day sums depend on
    each other over the horizon and the day itself. The choice (`automatic_block`) is capped at a
    quarter of the days, and not asked for on fewer than 16.

    Parameters
    ----------
    residual : ndarray of float64, shape (n_days,)
        What each day adds, less its expectation.
    horizon_ns : int
        How long an episode is open.
    """
    least = int(-(-horizon_ns // DAY_NS)) + 1
    if len(residual) < _LEAST_FOR_BLOCK:
        return least
    chosen = automatic_block(residual)
    if not math.isfinite(chosen):
        return least
    return int(max(least, min(math.ceil(chosen), len(residual) // 4)))
