"""Recursions over time."""

from __future__ import annotations

import numpy as np
from numba import njit

from liqbt.types import FloatArray


@njit(cache=True)
def autoregression(shocks: FloatArray, start: float, keep: float, scale: float) -> FloatArray:
    """Return x with x[0] = start and x[i + 1] = keep · x[i] + scale · shocks[i], n + 1 values."""
    out = np.empty(shocks.size + 1)
    out[0] = start
    for i in range(shocks.size):
        out[i + 1] = keep * out[i] + scale * shocks[i]
    return out


@njit(cache=True)
def followed(shocks: FloatArray, gain: float, keep: float) -> FloatArray:
    """Return each shock plus gain · (1 − keep) · Σ keep^(j − 1) · shock[i − j], over j ≥ 1."""
    out = np.empty(shocks.size)
    memory = 0.0
    for i in range(shocks.size):
        out[i] = shocks[i] + gain * (1.0 - keep) * memory
        memory = keep * memory + shocks[i]
    return out
