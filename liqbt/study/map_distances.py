"""How far maps lie from true ones: rows by estimator and reach, with intervals by day or hour.

W₁ is the Wasserstein distance between estimated and true notional by log distance, each side
normalised within the reach: it asks where a map lies, not how much it holds. Of what was liquidated
the reach is what the price crossed: a map is asked where, given how far the price went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liqbt.evaluation.inference.days import fixed_b_critical, hac_error, hac_lag
from liqbt.simulate.effects.maps import mass_by_distance, wasserstein
from liqbt.types import DAY_NS, FloatArray, Forecast, IntArray, Ns

REACHES: Final = (0.10, 0.30, 0.60)
"""Maps are compared within ±10 %, ±30 % and ±60 % of the price."""
WIDTH: Final = 0.005
"""Bins of half a per cent."""
BINS: Final = round(max(REACHES) / WIDTH)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueMaps:
    """What is true of one market at some instants.

    Attributes
    ----------
    what : str
        `simulated`, `positions` or `liquidations`.
    at : ndarray of int64, shape (n,)
        When, ns, rising.
    price : ndarray of float64, shape (n,)
        The price then, USD: distances count from it.
    usd : ndarray of float64, shape (n, 2, BINS)
        Notional by distance: longs below, shorts above.
    holders : ndarray of float64, shape (n, 2, BINS)
        Sum of squares of the positions' notional there, of which an effective number of positions
        follows; NaN where positions are not told apart.
    width : float
        Of a bin, in log price.
    span_ns : int
        What is true came about in `[at, at + span_ns)`, and intervals take such spans as dependent;
        0: it is of the instant, and they take days.
    crossed : ndarray of float64, shape (n, 2), optional
        Log distance from `price` within which maps are compared, on either side; by default
        `REACHES`.
    """

    what: str
    at: IntArray
    price: FloatArray
    usd: FloatArray
    holders: FloatArray
    width: float = WIDTH
    span_ns: Ns = 0
    crossed: FloatArray | None = None

    @property
    def reaches(self) -> tuple[float, ...]:
        """Where maps are compared; the mean of what was crossed stands for it."""
        if self.crossed is None:
            return REACHES
        return (float(self.crossed[self.crossed > 0.0].mean()),)

    def compared(self, reach: float) -> IntArray:
        """Return how many bins are compared, (n, 2)."""
        if self.crossed is None:
            return np.full((len(self.at), 2), round(reach / self.width))
        bins = np.ceil(self.crossed / self.width - 1e-9).astype(np.int64)
        return np.clip(bins, 0, self.usd.shape[2])


def profiles(forecasts: Sequence[Forecast], true: TrueMaps) -> FloatArray:
    """Return an estimator's maps at the instants of the true ones, (n, 2, BINS); NaN without."""
    issued = {forecast.at: forecast for forecast in forecasts}
    out = np.full((len(true.at), 2, BINS), np.nan)
    for i, at in enumerate(true.at.tolist()):
        if at in issued:
            one = issued[at]
            out[i] = mass_by_distance(
                one.density_usd,
                one.grid,
                one.mark_bin,
                price=float(true.price[i]),
                width=true.width,
                bins=BINS,
            )
    return out


def distances(maps: FloatArray, true: TrueMaps, reach: float) -> FloatArray:
    """Return W₁ of each instant and side within a reach, (n, 2), in log price; NaN where empty."""
    compared = true.compared(reach)
    out = np.full((len(true.at), 2), np.nan)
    for i, side in np.ndindex(out.shape):
        if np.isfinite(maps[i, side, 0]):
            one, other = (m[i, side, : compared[i, side]] for m in (maps, true.usd))
            out[i, side] = wasserstein(one, other, true.width)
    return out


def distance_rows(
    maps: Mapping[str, FloatArray], kinds: Mapping[str, str], true: TrueMaps, symbol: str
) -> list[dict[str, Any]]:
    """Return one row by reach and estimator: its W₁, and that less the first one's, in per cent.

    Both are means over days of the means over a day's instants and sides, with 95 % intervals that
    take days as dependent (Newey and West's errors, Kiefer and Vogelsang's critical values); over
    hours where that is what was liquidated. Differences are of the instants and sides that both
    have. `n_effective` is as how many independent days or hours (`n_days`) the differences count
    (the W₁ itself for the first one).

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (n, 2, BINS)
        From `profiles`; the first one is what others are held against.
    kinds : mapping of str to str
        What each of them is.
    true : TrueMaps
        The truth.
    symbol : str
        The market.
    """
    rows = []
    block = true.span_ns or DAY_NS
    for reach in true.reaches:
        found = {name: distances(one, true, reach) for name, one in maps.items()}
        first = next(iter(found.values()))
        for name, mine in found.items():
            own = _by_block(100.0 * mine, true.at // block)
            apart = _by_block(100.0 * (mine - first), true.at // block)
            told = own if mine is first else apart
            value, low, high, _ = interval(own)
            less, less_low, less_high, _ = interval(apart)
            rows.append(
                {
                    "symbol": symbol,
                    "truth": true.what,
                    "reach": reach,
                    "estimator": name,
                    "kind": kinds[name],
                    "w1": value,
                    "ci_low": low,
                    "ci_high": high,
                    "less_first": less,
                    "less_low": less_low,
                    "less_high": less_high,
                    "n_maps": int(np.isfinite(mine).any(axis=1).sum()),
                    "n_days": len(told),
                    "n_effective": interval(told)[3],
                    "positions": _positions(true, reach),
                }
            )
    return rows


def interval(days: FloatArray) -> tuple[float, float, float, float]:
    """Return the mean of dependent days, its 95 % interval, and as how many days they count.

    Examples
    --------
    Days that are all alike need no interval, and one day has none:

    >>> interval(np.ones(9))
    (1.0, 1.0, 1.0, nan)
    >>> interval(np.ones(1))
    (1.0, nan, nan, nan)
    """
    n = len(days)
    if n < 3:
        return (float(days.mean()) if n else np.nan, np.nan, np.nan, np.nan)
    lag = min(hac_lag(n, 0), n - 1)
    middle = float(days.mean())
    error = hac_error(days - middle, lag) / n
    half = fixed_b_critical((lag + 1) / n) * error
    effective = min(float(days.var(ddof=1)) / error**2, n) if error > 0.0 else np.nan
    return middle, middle - half, middle + half, effective


def _by_block(values: FloatArray, block: IntArray) -> FloatArray:
    """Return the mean of each UTC day, or hour, that has any."""
    block = np.broadcast_to(block[:, None], values.shape)
    known = np.isfinite(values)
    blocks, of = np.unique(block[known], return_inverse=True)
    total = np.bincount(of, values[known], minlength=len(blocks))
    return np.asarray(total / np.bincount(of, minlength=max(len(blocks), 1))[: len(blocks)])


def _positions(true: TrueMaps, reach: float) -> float:
    """Return the effective number of positions a side within a reach: mean (Σw)²/Σw²."""
    inside = np.arange(true.usd.shape[2]) < true.compared(reach)[:, :, None]
    whole, squares = ((one * inside).sum(axis=2) for one in (true.usd, true.holders))
    told = squares > 0.0
    return float((whole[told] ** 2 / squares[told]).mean()) if told.any() else np.nan
