"""Whether a feed's value answers returns that came after its stamp.

An aggregate that is stamped at the open of its bucket is look-ahead that no audit of code can see:
the code uses it honestly, the stamp lies. Returns are close to unpredictable, so a feed whose
changes answer *signed* returns after its stamp has seen them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.errors import DataError
from liqbt.types import FloatArray, IntArray, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakProfile:
    """How a feed's changes answer the returns around its stamp.

    Attributes
    ----------
    offset_ns : ndarray of int64, shape (k,)
        Start of each return relative to the stamp; negative is before it.
    response : ndarray, shape (k,)
        Least-squares coefficient of each return: standard deviations of the feed's change per
        standard deviation of the return.
    t : ndarray, shape (k,)
        The same over its heteroskedasticity- and autocorrelation-consistent standard error.
    step_ns : int
        Length of each return.
    n : int
        Number of changes used.
    leak_p : float
        p-value of the Wald F test of "no response to any return that starts at or after the stamp".
    after_share : float
        Share of the summed squared response that lies at or after the stamp; with no relation at
        all it is near one half, so read it only where the feed answers returns.
    """

    offset_ns: IntArray
    response: FloatArray
    t: FloatArray
    step_ns: Ns
    n: int
    leak_p: float
    after_share: float


def leak_profile(
    stamp_ns: IntArray,
    change: FloatArray,
    price_ns: IntArray,
    price: FloatArray,
    *,
    step_ns: Ns,
    before: int,
    after: int,
) -> LeakProfile:
    """Regress a feed's changes on the returns around its stamp.

    Parameters
    ----------
    stamp_ns : ndarray of int64, shape (n,)
        The time at which the feed claims that each value was determined.
    change : ndarray, shape (n,)
        Change of the value since the one before; rows with NaN are left out.
    price_ns, price : ndarray, shape (m,)
        A finer price: rising times and positive prices. The price at a time is the last one at or
        before it, and unknown where that is older than one step.
    step_ns : int
        Length of each return.
    before, after : int
        How many returns end at or before the stamp, and how many start at or after it.

    Returns
    -------
    LeakProfile

    Raises
    ------
    DataError
        If fewer than ten changes per regressor have a known price on both sides.

    Notes
    -----
    Ordinary least squares of the standardised change on all standardised returns at once, with
    Newey–West covariance (Newey & West 1987, eq. 5) over one bucket's worth of lags.
    """
    # a second to import, and only needed here; `statsmodels.api` is half as long again
    from statsmodels.regression.linear_model import OLS

    offsets = np.arange(-before, after, dtype=np.int64) * step_ns
    edges = np.arange(-before, after + 1, dtype=np.int64) * step_ns
    at = stamp_ns[:, None] + edges[None, :]
    index = np.searchsorted(price_ns, at, side="right") - 1
    fresh = (index >= 0) & (at - price_ns[np.maximum(index, 0)] <= step_ns)
    levels = np.where(fresh, np.log(price[np.maximum(index, 0)]), np.nan)
    returns = np.diff(levels, axis=1)
    good = np.isfinite(change) & np.isfinite(returns).all(axis=1)
    x, y = returns[good], change[good]
    if len(y) < 10 * x.shape[1]:
        raise DataError(
            f"{len(y)} changes have a known price around them; {x.shape[1]} returns need at least "
            f"{10 * x.shape[1]}"
        )
    spread = x.std(axis=0)
    if y.std() == 0 or (spread == 0).any():
        raise DataError("the feed or the price never changes: there is nothing to regress")
    x = (x - x.mean(axis=0)) / spread
    y = (y - y.mean()) / y.std()
    fit = OLS(y, np.column_stack([np.ones(len(y)), x])).fit(
        cov_type="HAC", cov_kwds={"maxlags": before + after}
    )
    response = np.asarray(fit.params)[1:]
    later = offsets >= 0
    restriction = np.eye(len(offsets) + 1)[1:][later]
    wald = fit.wald_test(restriction, scalar=True, use_f=True)
    return LeakProfile(
        offset_ns=offsets,
        response=response,
        t=np.asarray(fit.tvalues)[1:],
        step_ns=step_ns,
        n=len(y),
        leak_p=float(wald.pvalue),
        after_share=float((response[later] ** 2).sum() / (response**2).sum()),
    )
