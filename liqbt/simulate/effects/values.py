"""One effect, and what all of them are made of: sums by UTC day, and the ratio of two such sums."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from liqbt.types import DAY_NS, FloatArray, IntArray

HAC_LAG_DAYS = 2
"""Days by which the Newey-West sum reaches; windows of a day overlap the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one planted mechanism amounts to, measured from the truth.

    Attributes
    ----------
    mechanism : str
        The mechanism that it is the effect of.
    statistic : str
        What `value` is, such as `dose_response`.
    unit : str
        Of `value`: `share` (of visits, 0.01 is one point), `nats`, `bp_per_percent` (basis points
        of price per 1 % of open interest forced), `ratio` or `log ratio`.
    value : float
        The effect; NaN where there is nothing to measure it on.
    null : float
        What no mechanism gives: 0, or 1 for a ratio.
    standard_error : float
        By day clustering; NaN below three days.
    n : int
        Units that it is measured on.
    n_days : int
        Days on which they fell, over all replications.
    """

    mechanism: str
    statistic: str
    unit: str
    value: float
    null: float
    standard_error: float
    n: int
    n_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """Numerator and denominator of a ratio, by calendar day; days that hold nothing are zeros.

    Attributes
    ----------
    total, weight : ndarray of float64, shape (days,)
        Their ratio of sums is the statistic.
    count : ndarray of float64, shape (days,)
        Units.
    """

    total: FloatArray
    weight: FloatArray
    count: FloatArray


def sum_by_day(
    total: FloatArray, weight: FloatArray, ts_ns: IntArray, *, span_ns: IntArray | None = None
) -> DaySums:
    """Sum units by the UTC day of `ts_ns`, from the first such day to the last.

    Parameters
    ----------
    total, weight : ndarray of float64, shape (n,)
        Of each unit.
    ts_ns : ndarray of int64, shape (n,)
        Its time, ns UTC.
    span_ns : ndarray of int64, optional
        Times whose first and last day bound the sums, so that two sums share their days; by
        default `ts_ns`.

    Examples
    --------
    >>> ts = np.array([0, 1, 2 * 86_400 * 10**9])
    >>> sum_by_day(np.array([1.0, 2.0, 5.0]), np.ones(3), ts).total.tolist()
    [3.0, 0.0, 5.0]
    """
    span = ts_ns if span_ns is None else span_ns
    if span.size == 0:
        none = np.zeros(0)
        return DaySums(total=none, weight=none, count=none)
    first = int(span.min()) // DAY_NS
    days = int(span.max()) // DAY_NS - first + 1
    day = ts_ns // DAY_NS - first
    return DaySums(
        total=np.asarray(np.bincount(day, total, days), np.float64),
        weight=np.asarray(np.bincount(day, weight, days), np.float64),
        count=np.asarray(np.bincount(day, minlength=days), np.float64),
    )


def joined(parts: Iterable[DaySums]) -> DaySums:
    """Put the days of several markets behind each other, far enough apart not to touch."""
    gap = np.zeros(HAC_LAG_DAYS)
    rows = list(parts)
    columns = (
        np.concatenate([x for row in rows for x in (getattr(row, name), gap)] or [gap])
        for name in ("total", "weight", "count")
    )
    total, weight, count = columns
    return DaySums(total=total, weight=weight, count=count)


def _error(influence: FloatArray) -> float:
    """Newey-West error of a sum of day influences, Bartlett weights (1987, eq. 5)."""
    total = float(influence @ influence)
    for lag in range(1, HAC_LAG_DAYS + 1):
        cross = float(influence[lag:] @ influence[:-lag])
        total += 2.0 * (1.0 - lag / (HAC_LAG_DAYS + 1)) * cross
    return math.sqrt(max(total, 0.0))


def _influence(sums: DaySums) -> tuple[float, FloatArray]:
    """Return R = Σ total / Σ weight, and each day's influence on it."""
    whole = float(sums.weight.sum())
    if whole == 0.0:
        return math.nan, np.zeros_like(sums.weight)
    value = float(sums.total.sum()) / whole
    return value, np.asarray((sums.total - value * sums.weight) / whole)


def _effect(
    sums: DaySums, name: tuple[str, str, str], value: float, null: float, influence: FloatArray
) -> Effect:
    days = int(np.count_nonzero(sums.count))
    mechanism, statistic, unit = name
    return Effect(
        mechanism=mechanism,
        statistic=statistic,
        unit=unit,
        value=value,
        null=null,
        standard_error=_error(influence) if days >= 3 else math.nan,
        n=int(sums.count.sum()),
        n_days=days,
    )


def ratio(sums: DaySums, *, mechanism: str, statistic: str, unit: str) -> Effect:
    """Return Σ total / Σ weight; its error is that of the day sums of total − ratio · weight.

    Examples
    --------
    >>> days = np.arange(4) * 86_400 * 10**9
    >>> sums = sum_by_day(np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4), days)
    >>> ratio(sums, mechanism="m", statistic="mean", unit="share").value
    0.5
    """
    value, influence = _influence(sums)
    return _effect(sums, (mechanism, statistic, unit), value, 0.0, influence)


def difference(a: DaySums, b: DaySums, *, mechanism: str, statistic: str, unit: str) -> Effect:
    """Return R(a) − R(b), both over the same days."""
    (first, one), (second, other) = _influence(a), _influence(b)
    both = DaySums(total=a.total, weight=a.weight, count=a.count + b.count)
    return _effect(both, (mechanism, statistic, unit), first - second, 0.0, one - other)


def quotient(a: DaySums, b: DaySums, *, mechanism: str, statistic: str, unit: str) -> Effect:
    """Return R(a) / R(b), both over the same days; its error by the delta method."""
    (first, one), (second, other) = _influence(a), _influence(b)
    both = DaySums(total=a.total, weight=a.weight, count=a.count + b.count)
    if not first or not second:
        return _effect(both, (mechanism, statistic, unit), math.nan, 1.0, one * 0.0)
    value = first / second
    relative = value * (one / first - other / second)
    return _effect(both, (mechanism, statistic, unit), value, 1.0, relative)
