"""Two maps of the same market: a score's day sums side by side, and the interval of the difference.

Two maps on the same events share their luck: the price did what it did to both. The difference of
their scores is therefore far better known than either score, if it is taken day by day. Where their
records share too few days they are about different times, and are not paired (`can_be_paired`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.evaluation.inference.days import (
    DaySums,
    Draws,
    fixed_b_critical,
    hac_error,
    hac_lag,
    mean_block_days,
)
from liqbt.types import Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The difference of two mean scores, by the days of either.

    Attributes
    ----------
    value : float
        The new mean less that of the base.
    ci_low, ci_high : float
        Union of the HAC and the bootstrap interval, 95 %; NaN where it cannot be had, and where the
        two agree on every day: then there is nothing uncertain about it.
    n_days : int
        UTC days on which either has an episode.
    """

    value: float
    ci_low: float
    ci_high: float
    n_days: int


LEAST_SHARED: Final = 0.5
"""Of the days from the first of either record to the last, how many both must span."""


def days_together(new: DaySums, base: DaySums) -> int:
    """Return how many days lie between the first of either record and the last."""
    ends = [each.first_day + len(each.total) for each in (new, base)]
    return max(ends) - min(new.first_day, base.first_day)


def can_be_paired(new: DaySums, base: DaySums) -> bool:
    """Return whether both records span enough of the days of either, and neither is empty."""
    ends = [each.first_day + len(each.total) for each in (new, base)]
    shared = min(ends) - max(new.first_day, base.first_day)
    held = new.n_days > 0 and base.n_days > 0
    return held and shared >= LEAST_SHARED * days_together(new, base)


def _aligned(new: DaySums, base: DaySums) -> tuple[DaySums, DaySums]:
    """Put both on one calendar, from the first day of either to the last."""
    first = min(new.first_day, base.first_day)
    end = max(each.first_day + len(each.total) for each in (new, base))
    return new.placed(first, end - first), base.placed(first, end - first)


def paired_difference(
    new: DaySums, base: DaySums, horizon_ns: Ns, draws: Draws
) -> PairedDifference:
    """Estimate how the mean score of one run differs from that of another on the same days.

    The difference of two ratios is linearised: day d contributes (a_d − R_a n_d)/N_a −
    (b_d − R_b m_d)/N_b, whose sum has the HAC standard error of Newey and West (1987) with fixed-b
    critical values; the stationary bootstrap (Politis and Romano 1994) draws the same days for
    both. Where parameters were fitted, errors are larger than residuals: the interval is widened by
    the root of the smaller `freedom`, as that of either score is (`estimate`).

    Parameters
    ----------
    new, base : DaySums
        Of the two runs; each with at least one episode.
    horizon_ns : int
        Over which neighbouring scores depend on each other.
    draws : Draws
        Of the bootstrap; at least as many days as both span together.
    """
    a, b = _aligned(new, base)
    value = a.ratio - b.ratio
    n = len(a.count)
    lag = hac_lag(n, horizon_ns)
    n_days = int(np.count_nonzero(a.count + b.count))
    influence = a.residual / a.count.sum() - b.residual / b.count.sum()
    same = bool(np.array_equal(a.total, b.total) and np.array_equal(a.count, b.count))
    freedom = min(a.freedom, b.freedom)
    alike = same or float(np.abs(influence).max()) <= 1e-15
    if alike or n_days < 2 or n <= lag + 1 or freedom <= 0.0:
        return PairedDifference(value=value, ci_low=math.nan, ci_high=math.nan, n_days=n_days)
    larger_by = 1.0 / math.sqrt(freedom)
    wide = fixed_b_critical((lag + 1) / n) * hac_error(influence, lag) * larger_by
    block = float(mean_block_days(influence, horizon_ns))
    replicas = draws.ratios(block, a.total, a.count) - draws.ratios(block, b.total, b.count)
    low, high = np.quantile(replicas[~np.isnan(replicas)], [0.025, 0.975])
    low, high = (value + (q - value) * larger_by for q in (low, high))
    return PairedDifference(
        value=value,
        ci_low=min(value - wide, float(low)),
        ci_high=max(value + wide, float(high)),
        n_days=n_days,
    )
