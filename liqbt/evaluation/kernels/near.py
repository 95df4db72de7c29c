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
    usd: npt.NDArray[np.float32],
    start: IntArray,
    stop: IntArray,
    edges: IntArray,
    grid: tuple[float, float],
    mark: FloatArray,
    mark_bin: IntArray,
    sides: tuple[FloatArray, FloatArray],
    out: FloatArray,
) -> None:
    """Write the mass of each density below and above a price, weighted by exp(−distance/decay).

    An entry is spread evenly over its bins, and the weight is integrated over it.

    Parameters
    ----------
    usd : ndarray of float32
        USD per entry: of density `i` `usd[start[i]:stop[i]]`, first those below, then as many above
        the bin of its mark, outward.
    start, stop : ndarray of int64, shape (n,)
        Where each stands.
    edges : ndarray of int64
        Edges of the entries, in bins outward from the mark's own; the first is 0.
    grid : (float, float)
        Price at which bins begin to count, and their width in log price.
    mark : ndarray of float64, shape (n,)
        The prices.
    mark_bin : ndarray of int64, shape (n,)
        Bins of the densities' own marks.
    sides : (ndarray of float64, ndarray of float64), shape (n,)
        Log distance over which the weight falls by e, and beyond which nothing counts.
    out : ndarray of float64, shape (n, 2)
        Filled with weighted USD below and above.
    """
    anchor, step = grid
    for i in range(len(start)):
        decay, reach = sides[0][i], sides[1][i]
        inside = math.log(mark[i] / anchor) / step - mark_bin[i]
        entries = (stop[i] - start[i]) // 2
        for side in range(2 if reach > 0.0 else 0):
            first = inside if side == 0 else 1.0 - inside
            held = usd[start[i] + side * entries : start[i] + (side + 1) * entries]
            total, weight = 0.0, math.exp(-max(first * step, 0.0) / decay)
            for entry in range(entries):
                near = (first + edges[entry]) * step
                far = (first + edges[entry + 1]) * step
                low, high = max(near, 0.0), min(far, reach)
                if near >= reach:
                    break
                beyond = math.exp(-max(high, 0.0) / decay)
                if held[entry] > 0.0 and high > low:
                    total += held[entry] * (decay * (weight - beyond) / (far - near))
                weight = beyond  # at the far edge, where the next entry begins
            out[i, side] = total


@njit(cache=True)
def padded(
    usd: npt.NDArray[np.float32],
    start: IntArray,
    stop: IntArray,
    out: npt.NDArray[np.float32],
) -> None:
    """Write densities as rows of one length, (n, 2, length): cut there, and 0 beyond their own."""
    for i in range(len(start)):
        entries = (stop[i] - start[i]) // 2
        for side in range(2):
            for entry in range(out.shape[2]):
                held = entry < entries
                out[i, side, entry] = usd[start[i] + side * entries + entry] if held else 0.0
