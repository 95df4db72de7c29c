"""Nulls that emit a probability: what a driftless Brownian motion would have done.

The clock starts at the mark of the forecast (`mark_ts`), where the distance is measured; watching
starts later. A path is watched from `from_ns` to `until_ns` after its mark, and a path that is
already beyond a level when watching starts counts as having touched it then.

Known bias: an error of the volatility, a drift, and volatility that moves together with the map.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import erfc, ndtr, owens_t

from liqbt.types import DAY_NS, FloatArray

SPACING_CORRECTION: Final = 0.5825971579390106
"""−ζ(1/2)/√(2π): a level watched at points δ apart acts like one 0.5826 σ√δ farther away.

Broadie, Glasserman, Kou (1997), A continuity correction for discrete barrier options, Theorem 1.1.
"""

_LEAST: Final = 1e-13
"""Least probability of *neither*: below it the difference from one is rounding."""
_NODES: Final = 64
_REACH: Final = 8.5
_TERMS: Final = 4.5
"""Images that are added for each w of s: term n is below exp(−2 n² w²/s²) of the first, and from
n = 4.5 s/w on less than the last bit of the sum."""
_ArrayLike = npt.ArrayLike


def bivariate_normal_cdf(h: _ArrayLike, k: _ArrayLike, correlation: _ArrayLike) -> FloatArray:
    """Return P(X ≤ h, Y ≤ k) of standard normals with the given correlation.

    Owen (1956), Tables for computing bivariate normal probabilities, equation 2.1: in terms of
    Owen's T. Infinite arguments and correlations of ±1 are allowed; NaN in, NaN out.

    Parameters
    ----------
    h, k, correlation : array_like
        Broadcast against each other.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> round(float(bivariate_normal_cdf(0.0, 0.0, 0.5)), 12)  # 1/4 + asin(1/2)/(2π)
    0.333333333333
    """
    h, k, rho = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (h, k, correlation)))
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        a_h = np.where(h == 0.0, np.copysign(np.inf, k), (k / h - rho) / root)
        a_k = np.where(k == 0.0, np.copysign(np.inf, h), (h / k - rho) / root)
    opposite = (h * k < 0.0) | ((h * k == 0.0) & (h + k < 0.0))
    with np.errstate(invalid="ignore"):
        inside = 0.5 * (ndtr(h) + ndtr(k)) - owens_t(h, a_h) - owens_t(k, a_k) - 0.5 * opposite
    result = np.where((h == 0.0) & (k == 0.0), 0.25 + np.arcsin(rho) / (2.0 * np.pi), inside)
    result = np.where(rho >= 1.0, ndtr(np.minimum(h, k)), result)
    result = np.where(rho <= -1.0, np.maximum(ndtr(h) + ndtr(k) - 1.0, 0.0), result)
    result = np.where(np.isposinf(h), ndtr(k), np.where(np.isposinf(k), ndtr(h), result))
    result = np.where(np.isneginf(h) | np.isneginf(k), 0.0, result)
    return np.asarray(np.clip(np.where(np.isnan(h + k + rho), np.nan, result), 0.0, 1.0))


def _scales(
    sigma_1d: _ArrayLike, from_ns: _ArrayLike, until_ns: _ArrayLike, spacing_ns: _ArrayLike
) -> tuple[Any, Any, Any]:
    """Return the standard deviation at the start, that at the end, and the barrier's shift."""
    sigma = np.asarray(sigma_1d, np.float64)
    start = sigma * np.sqrt(np.asarray(from_ns, np.float64) / DAY_NS)
    end = sigma * np.sqrt(np.asarray(until_ns, np.float64) / DAY_NS)
    step = sigma * np.sqrt(np.asarray(spacing_ns, np.float64) / DAY_NS)
    return start, end, SPACING_CORRECTION * step


def touch_probability(
    *,
    distance: _ArrayLike,
    sigma_1d: _ArrayLike,
    from_ns: _ArrayLike,
    until_ns: _ArrayLike,
    spacing_ns: _ArrayLike = 0,
) -> FloatArray:
    """Return the probability that Brownian motion touches a level while it is watched.

    With X its place when watching starts and Y when it ends, level d, shifted level d':
    P = P(X ≥ d) + 2 P(X < d, Y > d'), by the reflection principle from X on. It is
    2Φ(−d'/σ√t) only where watching starts with the mark itself; where it starts later, what the
    price did before counts, and 2Φ(−d/(σ√(time watched))) would be too small.

    Parameters
    ----------
    distance : array_like
        |ln(near edge / mark)|, 0 or more.
    sigma_1d : array_like
        Standard deviation of the log return over one day.
    from_ns, until_ns : array_like
        Start and end of what is watched, after the mark's own time, ns.
    spacing_ns : array_like
        Spacing of a path of points; 0 for true highs and lows.

    Returns
    -------
    ndarray of float64
        In [0, 1]; NaN where an argument is.

    Examples
    --------
    A level at 1 σ of four hours, from the start, then watched from the second hour on:

    >>> hour, sigma = 3_600_000_000_000, (24 / 4) ** 0.5
    >>> p = touch_probability(distance=1, sigma_1d=sigma, from_ns=0, until_ns=4 * hour)
    >>> q = touch_probability(distance=1, sigma_1d=sigma, from_ns=hour, until_ns=4 * hour)
    >>> round(float(p), 3), round(float(q), 3)
    (0.317, 0.314)
    """
    start, end, shift = _scales(sigma_1d, from_ns, until_ns, spacing_ns)
    d = np.asarray(distance, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(start > 0.0, d / start, np.where(d > 0.0, np.inf, 0.0))
        k = -(d + shift) / end
        correlation = np.minimum(start / end, 1.0)
    beyond = np.where((start == 0.0) & (d <= 0.0), 1.0, ndtr(-h))
    after = 2.0 * bivariate_normal_cdf(h, k, -correlation)
    result = np.where(beyond >= 1.0, 1.0, beyond + after)
    missing = np.isnan(d + start + end + shift)
    return np.asarray(np.where(missing, np.nan, np.clip(result, 0.0, 1.0)))


@cache
def _gauss_legendre() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [−1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def two_barrier_probabilities(
    *,
    up: _ArrayLike,
    down: _ArrayLike,
    sigma_1d: _ArrayLike,
    from_ns: _ArrayLike,
    until_ns: _ArrayLike,
    spacing_ns: _ArrayLike = 0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the probabilities that Brownian motion touches the upper level first, the lower, none.

    The place at the start of watching is integrated out (Gauss–Legendre, 64 nodes over the part
    between the levels; a start beyond a level touches it at once); from there the series of images
    of `_exit_up` holds. The levels may not both lie at distance 0.

    Parameters
    ----------
    up, down : array_like
        Log distances of the two levels from the mark, 0 or more.
    sigma_1d, from_ns, until_ns, spacing_ns : array_like
        As in `touch_probability`.

    Returns
    -------
    p_up, p_down, p_neither : ndarray of float64
        They sum to one; NaN where an argument is.

    Examples
    --------
    >>> day = 86_400_000_000_000
    >>> p = two_barrier_probabilities(up=1, down=1, sigma_1d=1, from_ns=0, until_ns=day)
    >>> [round(float(x), 4) for x in p]
    [0.3146, 0.3146, 0.3708]
    """
    start, end, shift = _scales(sigma_1d, from_ns, until_ns, spacing_ns)
    u, d, s, e, shift = np.broadcast_arrays(
        np.asarray(up, np.float64), np.asarray(down, np.float64), start, end, shift
    )
    nodes, weights = _gauss_legendre()
    low, high = np.maximum(-d, -_REACH * s), np.minimum(u, _REACH * s)
    half = 0.5 * (high - low)
    x = (0.5 * (high + low))[..., None] + half[..., None] * nodes
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.exp(-0.5 * (x / s[..., None]) ** 2) / (s[..., None] * np.sqrt(2.0 * np.pi))
        mass = np.where(s[..., None] > 0.0, half[..., None] * weights * density, weights / 2.0)
        above = np.where(s > 0.0, ndtr(-u / s), np.where(u <= 0.0, 1.0, 0.0))
        below = np.where(s > 0.0, ndtr(-d / s), np.where(d <= 0.0, 1.0, 0.0))
    left = np.sqrt(np.maximum(e**2 - s**2, 0.0))[..., None]
    width = (u + d + 2.0 * shift)[..., None]
    place = x + (d + shift)[..., None]
    p_up = above + (mass * _exit_up(place, width, left)).sum(-1)
    p_down = below + (mass * _exit_up(width - place, width, left)).sum(-1)
    over = np.maximum((p_up + p_down) / (1.0 - _LEAST), 1.0)
    p_up, p_down = p_up / over, p_down / over
    neither = np.where(np.isnan(over), np.nan, np.maximum(1.0 - p_up - p_down, _LEAST))
    return np.asarray(p_up), np.asarray(p_down), neither


def _exit_up(place: FloatArray, width: FloatArray, scale: FloatArray) -> FloatArray:
    """Return P(Brownian motion from `place` leaves (0, width) at its top in time).

    Series of images, Borodin and Salminen (2002), Handbook of Brownian Motion, part II, 3.0.4
    (its time integral): Σ_n [erfc((w − x + 2nw)/(s√2)) − erfc((w + x + 2nw)/(s√2))], n ≥ 0, where
    s = σ√time. Where s > 3 w the gambler's ruin x/w is exact to double precision: in the series of
    sines beside it (there, 3.0.6) the first term is below 2 exp(−π²s²/2w²) < 2e-19 of it.
    """
    place, width, scale = np.broadcast_arrays(place, width, scale)
    result = np.zeros(place.shape)
    narrow = scale > 3.0 * width
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 1.0 / (scale * np.sqrt(2.0))
        reach = np.where(narrow | ~(scale > 0.0), 0.0, scale / width)
        terms = int(np.ceil(_TERMS * np.nanmax(reach, initial=0.0))) + 1
        for n in range(terms):
            image = 2.0 * n * width
            result += erfc((width - place + image) * unit) - erfc((width + place + image) * unit)
        result = np.where(narrow, place / width, result)
    return np.where(scale > 0.0, np.clip(result, 0.0, 1.0), 0.0)
