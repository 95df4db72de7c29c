"""How many independent markets several markets together are worth, whose errors go together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from liqbt.evaluation.inference.days import DaySums, hac_error, hac_lag
from liqbt.types import FloatArray, Ns


def equivalent_markets(parts: Sequence[DaySums], horizon_ns: Ns) -> float:
    """Return the equivalent number of independent markets of a pooled statistic.

    The number of markets times the sum of their variances over the variance of their sum, of what
    each day adds to the statistic less its expectation (the market's own: that markets differ in
    their level is no dependence). The inverse of the last factor is the design effect of Kish
    (1965), Survey sampling, section 8.2, with HAC variances: markets that move as one are worth 1,
    independent ones as many as there are, and more where the errors of one offset another's.

    Parameters
    ----------
    parts : sequence of DaySums
        Of one statistic, a market each; those without a unit count for nothing.
    horizon_ns : int
        Over which the scores of neighbours depend on each other.

    Returns
    -------
    float
        Estimated, with the error of a variance; NaN where no market, or not their sum, varies, or
        days are too few for the lag.

    Examples
    --------
    >>> from liqbt.types import DAY_NS
    >>> days = DaySums(total=np.arange(40.0) % 7, count=np.ones(40))
    >>> equivalent_markets([days, days, days], DAY_NS)
    1.0
    """
    held = [part for part in parts if part.n_days]
    if not held:
        return math.nan
    first = min(part.first_day for part in held)
    n = max(part.first_day + len(part.total) for part in held) - first
    lag = hac_lag(n, horizon_ns)
    if n <= lag + 1:
        return math.nan
    influence = np.array([_influence(part, first, n) for part in held])
    apart = sum(hac_error(one, lag) ** 2 for one in influence)
    together = hac_error(influence.sum(axis=0), lag) ** 2
    if apart <= 0.0 or together <= 1e-12 * apart:
        return math.nan
    return round(len(held) * apart / together, 12)


def _influence(part: DaySums, first: int, n: int) -> FloatArray:
    """Return what each day of a calendar adds, less the market's own expectation of it."""
    out = np.zeros(n)
    start = part.first_day - first
    out[start : start + len(part.total)] = part.residual
    return out
