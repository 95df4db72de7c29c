"""Crossings: an hour's first way through the map on each side of the mark, and what was forced.

A row is an hour and a side. What is *conditioned on* is the path of that hour; what is asked is
whether a map says more of the forced notional than the path does. So each map enters through the
mass that the price crosses in the hour: what the map, as issued last before the hour began, holds
between the price there and the hour's extreme.

Stand-ins for a map know the path alone: how far the price went (`uniform`), a kernel of distance,
and **freshness**, bins that refill with age since the price was there last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.kernels.crossings import crossed_bins, crossed_mass
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.near import density_rows, longest_density
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.forecasts import column, drawn, kept_forecasts
from liqbt.types import HOUR_NS, DensityGrid, FloatArray, Forecast, IntArray, Ns

CROSSING_DTYPE: Final = np.dtype(
    [
        ("at", "<i8"),
        ("known_ns", "<i8"),
        ("side", "i1"),
        ("forced_usd", "<f8"),
        ("map_usd", "<f8"),
        ("twin_usd", "<f8"),
        ("reach", "<f8"),
        ("opposite", "<f8"),
        ("move", "<f8"),
        ("realised", "<f8"),
        ("sigma_1d", "<f8"),
        ("past_day", "<f8"),
        ("past_week", "<f8"),
        ("uniform", "<f8"),
        ("kernel", "<f8"),
        ("fresh_2h", "<f8"),
        ("fresh_24h", "<f8"),
        ("beyond", "<f8"),
        ("before", "<f8"),
    ]
)
"""An hour and a side, by time, then longs before shorts.

`at`, start of the hour, ns; `known_ns`, when what was forced in it was known; `side`, of the
positions that are forced: LONG below the price; `forced_usd`, their notional; `map_usd`, `twin_usd`
mass that the map, and its price-only twin, hold between the price at `at` and the hour's extreme
on that side (NaN where there is none). The path, in σ of an hour, outward from the price at `at` on
the row's own side: `reach` to the extreme, `opposite` to that of the other side, `move` to the
hour's end (negative: away), `past_day` and `past_week` how far beyond the extreme of the 24, the
168 hours before; `realised` root of the sum of squared returns of the hour; `sigma_1d`, of a day,
known at `at`. Bins of 5 bp crossed: `uniform`; `kernel`, a half-normal of one σ of a day over its
mean; `fresh_2h`, `fresh_24h`, as far as they have refilled; `beyond`, `before`, as the latter, of
bins up to 0.4 % beyond, and before, a confirmed swing that stands, which nobody visited for 6 h.
"""

SWING_H: Final = 6
"""A swing is an hour's extreme beyond those of so many hours on both sides."""
SWING_AGE_H: Final = 240
"""Older swings are no longer looked at."""
BAND: Final = 0.004
"""How far beyond, and before, a swing is *just*."""
STEP: Final = 5e-4
"""Width of a bin, in log price."""
REFILL_H: Final = (2.0, 24.0)
"""Half-lives of freshness."""
_PAST_H: Final = (24, 168)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hours:
    """Hours that are watched, and what the path does in them; prices in log."""

    at: IntArray
    owner: IntArray
    first: IntArray
    stop: IntArray
    start: FloatArray
    low: FloatArray
    high: FloatArray
    end: FloatArray


@dataclass(frozen=True, slots=True)
class _Bins:
    """What `crossed_bins` returns."""

    offset: IntArray
    inner: FloatArray
    outer: FloatArray
    age_h: FloatArray
    beyond: npt.NDArray[np.bool_]
    before: npt.NDArray[np.bool_]

    def of(self, hours: IntArray) -> _Bins:
        """Return the bins of some of the hours."""
        rows = np.column_stack([2 * hours, 2 * hours + 1]).ravel()
        sizes = np.diff(self.offset)[rows]
        offset = np.concatenate([[0], np.cumsum(sizes)])
        take = np.repeat(self.offset[rows] - offset[:-1], sizes) + np.arange(offset[-1])
        fields = (self.inner, self.outer, self.age_h, self.beyond, self.before)
        return _Bins(offset, *(values[take] for values in fields))


def crossing_table(market: MarketInput, forecasts: Sequence[Forecast]) -> npt.NDArray[Any]:
    """Return the hours of one market that have a map, a watched path and a known forced notional.

    Parameters
    ----------
    market : MarketInput
        Prices, forced notional and the twin's maps.
    forecasts : sequence of Forecast
        The maps, in order of issue: of each hour the last that was issued at or before its start
        is taken, if that is less than an hour old.

    Returns
    -------
    ndarray of CROSSING_DTYPE
        Two rows an hour; empty where the market is fed with no liquidations.
    """
    forced, path = market.forced, market.path
    if forced is None or not len(forecasts):
        return np.zeros(0, CROSSING_DTYPE)
    hours = _hours(forecasts, path)
    place = (hours.at - forced.first_hour_ns) // HOUR_NS
    inside = (place >= 0) & (place < forced.usd.shape[1])
    known = inside & np.isfinite(forced.usd[:, np.where(inside, place, 0)]).all(axis=0)
    hours = _chosen(hours, known)
    place = place[known]
    out = np.zeros((len(place), 2), CROSSING_DTYPE)
    out["at"], out["side"] = hours.at[:, None], np.array([1, -1])
    out["known_ns"] = forced.known_ns[place][:, None]
    out["forced_usd"] = forced.usd[:, place].T
    bins = _bins(hours, path)
    out["map_usd"] = _crossed(forecasts, hours.owner, hours, bins)
    out["twin_usd"] = np.nan
    if market.twin:
        owner, fresh = _owner(column(market.twin, "at"), hours.at)
        held = _crossed(market.twin, np.maximum(owner, 0), hours, bins)
        out["twin_usd"] = np.where(fresh[:, None], held, np.nan)
    _write_path(out, forecasts, hours, path)
    _write_bins(out, bins)
    return out.ravel()


def _owner(at: IntArray, hour: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the last time of issue at or before each hour, and whether it is recent."""
    owner = np.searchsorted(at, hour, "right") - 1
    return owner, (owner >= 0) & (hour - at[np.maximum(owner, 0)] < HOUR_NS)


def _hours(forecasts: Sequence[Forecast], path: PricePath) -> _Hours:
    issued = column(forecasts, "at")
    first = -(-int(issued[0]) // HOUR_NS)
    at = np.arange(first, int(path.end_ns[-1]) // HOUR_NS, dtype=np.int64) * HOUR_NS
    owner, fresh = _owner(issued, at)
    # a point at the very start is the price that the hour begins at, and belongs to the one before
    shift = 0 if path.bar_ns else 1
    windows = watch(path, at + shift, at + HOUR_NS + shift)
    begin = np.searchsorted(path.end_ns, at, "right") - 1
    usable = fresh & (windows.censor == Censor.NONE) & (begin >= 0)
    usable &= at - path.end_ns[np.maximum(begin, 0)] < max(path.max_gap_ns, 1)
    low, high = window_extremes(np.log(path.low), np.log(path.high), windows.first, windows.stop)
    start = np.log(path.close[np.maximum(begin, 0)])
    hours = _Hours(
        at=at,
        owner=owner,
        first=windows.first,
        stop=windows.stop,
        start=start,
        low=np.minimum(low, start),
        high=np.maximum(high, start),
        end=np.log(path.close[np.maximum(windows.stop - 1, 0)]),
    )
    return _chosen(hours, usable)


def _chosen(hours: _Hours, keep: npt.NDArray[np.bool_]) -> _Hours:
    return _Hours(**{name: getattr(hours, name)[keep] for name in _Hours.__slots__})


def _bins(hours: _Hours, path: PricePath) -> _Bins:
    """Return the bins that each hour crosses, bin by bin."""
    origin = float(np.log(path.close[0])) - 0.5 * STEP  # no price is special, nor up or down
    level, *rest = swings(path)
    offset, inner, outer, *others = crossed_bins(
        hours.at,
        np.column_stack([hours.low, hours.start, hours.high]) - origin,
        hours.first,
        (path.end_ns, *(np.log(price) - origin for price in (path.low, path.high, path.close))),
        (level - origin, *rest),
        (STEP, BAND, float(SWING_H)),
    )
    return _Bins(offset, inner + origin, outer + origin, *others)


def _crossed(
    forecasts: Sequence[Forecast], owner: IntArray, hours: _Hours, bins: _Bins
) -> FloatArray:
    """Return what maps hold in the bins that hours cross, (n, 2): see `crossed_mass`."""
    out = np.zeros((len(owner), 2))
    kinds: dict[DensityGrid, int] = {}
    of = [np.full(len(d.start), kinds.setdefault(d.grid, len(kinds))) for d in drawn(forecasts)]
    kind = np.concatenate(of)[owner]
    mark_bin = column(forecasts, "mark_bin")
    for grid, k in kinds.items():
        mine = np.flatnonzero(kind == k)
        used, row = np.unique(owner[mine], return_inverse=True)
        keep = np.zeros(len(forecasts), bool)
        keep[used] = True
        maps = kept_forecasts(forecasts, keep)
        anchor = float(np.log(grid.anchor))
        inner = mark_bin[owner[mine]].astype(np.float64)
        mark = np.column_stack([inner, inner + 1.0])
        far = np.column_stack([hours.low[mine], hours.high[mine]])
        depth = float(np.abs((far - anchor) / grid.step - mark).max(initial=0.0))
        longest = longest_density(maps)
        edges = grid.outward_edges(longest)
        n = min(int(np.searchsorted(edges, depth)) + 1, longest)
        density = density_rows(maps, n)[row]
        part = bins.of(mine) if len(kinds) > 1 else bins
        ends = [(x - anchor) / grid.step for x in (part.inner, part.outer)]
        out[mine] = crossed_mass(density, edges[: n + 1], mark, (part.offset, *ends))
    return out


def _write_path(
    out: npt.NDArray[Any], forecasts: Sequence[Forecast], hours: _Hours, path: PricePath
) -> None:
    """Write the columns that know the path alone."""
    sigma = column(forecasts, "sigma_1d")[hours.owner]
    hourly = (sigma / np.sqrt(24.0))[:, None]
    below, above = hours.start - hours.low, hours.high - hours.start
    reach = np.column_stack([below, above])
    move = np.column_stack([hours.start - hours.end, hours.end - hours.start])
    out["sigma_1d"] = sigma[:, None]
    out["reach"], out["opposite"] = reach / hourly, reach[:, ::-1] / hourly
    out["move"] = move / hourly
    out["realised"] = (_realised(hours, path) / hourly[:, 0])[:, None]
    for name, past in zip(("past_day", "past_week"), _PAST_H, strict=True):
        lowest, highest = _past_extremes(hours.at, path, past * HOUR_NS)
        further = np.column_stack([lowest - hours.low, hours.high - highest])
        out[name] = np.maximum(further, 0.0) / hourly
    scale = sigma[:, None]
    out["kernel"] = _half_normal(reach / scale) * scale / STEP


def _write_bins(out: npt.NDArray[Any], bins: _Bins) -> None:
    """Write how many bins are crossed, and how far they have refilled."""
    part = np.abs(bins.outer - bins.inner) / STEP
    rows = np.repeat(np.arange(out.size), np.diff(bins.offset))
    short, long = (part * (1.0 - 2.0 ** (-bins.age_h / tau)) for tau in REFILL_H)
    columns = {"uniform": part, "fresh_2h": short, "fresh_24h": long}
    columns |= {"beyond": long * bins.beyond, "before": long * bins.before}
    for name, values in columns.items():
        out[name] = np.bincount(rows, values, out.size).reshape(out.shape)


def _half_normal(distance: FloatArray) -> FloatArray:
    """Return ∫ exp(−u²/2) du from 0 to a distance."""
    from scipy.special import erf

    return np.asarray(np.sqrt(np.pi / 2.0) * erf(distance / np.sqrt(2.0)))


def _realised(hours: _Hours, path: PricePath) -> FloatArray:
    close = np.log(path.close)
    squared = np.concatenate([[0.0], np.cumsum(np.diff(close, prepend=close[:1]) ** 2)])
    return np.asarray(np.sqrt(np.maximum(squared[hours.stop] - squared[hours.first], 0.0)))


def _past_extremes(at: IntArray, path: PricePath, past_ns: Ns) -> tuple[FloatArray, FloatArray]:
    """Return the lowest low and highest high of the time before each hour."""
    shift = 0 if path.bar_ns else 1
    first = np.searchsorted(path.start_ns, at - past_ns + shift, "left")
    stop = np.searchsorted(path.end_ns, at, "right")
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), first.astype(np.int64), stop.astype(np.int64)
    )
    return np.asarray(lowest), np.asarray(highest)


def swings(path: PricePath) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """Return the swings of a path: extremes of an hour beyond those of the hours on both sides.

    Returns
    -------
    level : ndarray of float64, shape (n,)
        Log price.
    side : ndarray of int64, shape (n,)
        +1 a high, −1 a low.
    from_ns, until_ns : ndarray of int64, shape (n,)
        From when it is confirmed, `SWING_H` hours after its own has ended, and until when it is
        looked at.
    """
    first = int(path.start_ns[0]) // HOUR_NS
    shift = 0 if path.bar_ns else 1
    hour = (
        (path.end_ns - 1) // HOUR_NS - first
        if path.bar_ns
        else (path.end_ns - shift) // HOUR_NS - first
    )
    n = int(hour.max()) + 1
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    known = hour >= 0
    np.minimum.at(low, hour[known], np.log(path.low)[known])
    np.maximum.at(high, hour[known], np.log(path.high)[known])
    parts = []
    for side, extreme in ((-1, -low), (1, high)):
        around = np.lib.stride_tricks.sliding_window_view(extreme, 2 * SWING_H + 1)
        others = np.delete(around, SWING_H, axis=1)
        found = np.flatnonzero(
            np.isfinite(around).all(axis=1) & (around[:, SWING_H] > others.max(axis=1))
        )
        parts.append((side * extreme[found + SWING_H], np.full(len(found), side), found + SWING_H))
    level, of, when = (np.concatenate(column) for column in zip(*parts, strict=True))
    origin = first * HOUR_NS
    confirmed = origin + (when + 1 + SWING_H) * HOUR_NS
    until = origin + (when + 1) * HOUR_NS + SWING_AGE_H * HOUR_NS
    return level, of.astype(np.int64), confirmed.astype(np.int64), until.astype(np.int64)
