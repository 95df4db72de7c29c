"""What would have befallen a level, had every mechanism stopped when its forecast was issued."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.simulate.effects.windows import pushed_path
from liqbt.simulate.truth import Truth
from liqbt.types import FloatArray, IntArray


def twin_visits(
    truth: Truth,
    *,
    at_ns: IntArray,
    from_ns: IntArray,
    until_ns: IntArray,
    level: FloatArray,
    above: npt.NDArray[np.bool_],
    every: int,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell of each level whether the price touched it, and whether its twin would have.

    The twin's price is the factual one less the displacement that mechanisms applied since `at_ns`:
    the same random numbers, no push.

    Parameters
    ----------
    truth : Truth
        A simulated market's truth.
    at_ns : ndarray of int64, shape (n,)
        When the forecasts were issued, ns UTC; inside the path.
    from_ns, until_ns : ndarray of int64, shape (n,)
        The time watched, both ends included.
    level : ndarray of float64, shape (n,)
        Prices, USD.
    above : ndarray of bool, shape (n,)
        Whether the level lies above the price at issue.
    every : int
        Watch every so many points of the path: the published marks.

    Returns
    -------
    factual, twin : ndarray of bool, shape (n,)

    Raises
    ------
    DataError
        If a window lies outside the path.
    """
    x, pushed = np.log(truth.path_price[::every]), pushed_path(truth)
    ts = truth.path_ns[::every]
    if at_ns.size and (at_ns.min() < ts[0] or until_ns.max() > ts[-1]):
        raise DataError(f"{truth.symbol}: a window lies outside the time of its truth")
    free = x - pushed[::every]
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    issued = pushed[(at_ns - truth.path_ns[0]) // spacing]
    first = np.searchsorted(ts, from_ns, "left")
    stop = np.searchsorted(ts, until_ns, "right")
    sign = np.where(above, 1.0, -1.0)
    target = sign * np.log(level)
    out = np.zeros((2, level.size), dtype=np.bool_)
    for i in range(level.size):
        window = slice(int(first[i]), int(stop[i]))
        if stop[i] > first[i]:
            out[0, i] = (sign[i] * x[window]).max() >= target[i]
            out[1, i] = (sign[i] * (free[window] + issued[i])).max() >= target[i]
    return out[0], out[1]
