"""Compiled kernel of near mass.

It checks nothing: its caller has.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from liqbt.types import FloatArray, IntArray


@njit(cache=True)
def near_masses(
    rows: npt.NDArray[np.float32],
    edges: IntArray,
    inside: float,
    step: float,
    decay: float,
    reach: float,
) -> FloatArray:
    """Return a density's mass below and above a price, weighted by exp(−distance/decay).

    An entry is spread evenly over its bins, and the weight is integrated over it.

    Parameters
    ----------
    rows : ndarray of float32, shape (2, n_entries)
        USD per entry, outward from the bin of the mark; row 0 below it, row 1 above.
    edges : ndarray of int64, shape (n_entries + 1,)
        Edges of the entries, in bins outward from the mark's own; the first is 0.
    inside : float
        Where the price lies, in bins from the lower edge of the mark's bin.
    step : float
        Width of a bin in log price.
    decay, reach : float
        Log distance over which the weight falls by e, and beyond which nothing counts.

    Returns
    -------
    ndarray of float64, shape (2,)
        Weighted USD below and above.
    """
    out = np.zeros(2)
    for side in range(2):
        first = inside if side == 0 else 1.0 - inside
        for entry in range(rows.shape[1]):
            near = (first + edges[entry]) * step
            far = (first + edges[entry + 1]) * step
            low, high = max(near, 0.0), min(far, reach)
            if near >= reach:
                break
            if rows[side, entry] > 0.0 and high > low:
                share = decay * (math.exp(-low / decay) - math.exp(-high / decay)) / (far - near)
                out[side] += rows[side, entry] * share
    return out
