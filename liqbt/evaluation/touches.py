"""Touches: the price arrives at a bin of a standing map, and what followed.

A forecast arms the bins that are 0.25 to 2.5 σ of a day from its mark, once it is known. A bin that
the price has come nearer to keeps the map that was issued before: no map is read that was made when
the approach had begun. A touch is the last armed bin that the price meets in an entry of its path;
dense and sparse bins alike, so that a touch of a sparse one is the placebo of one of a dense one.

Beside the same kind of bin, what is compared must be alike in all that a price path could tell.
Every covariate is known at the touch, and touches are compared within strata of side, distance from
the mark at issue, age (time since the bin was met before), and speed of approach, by day:

    y = β · dense + one mean for each stratum + γ'z + e,

z what was known at the touch, linear within strata. So each dense touch is compared with the sparse
touches of its stratum, more where there are many of both (overlap weights: strata are balanced
exactly), and what is left of imbalance in z is taken out. By the theorem of Frisch, Waugh and
Lovell β is a ratio of two sums over touches, and adds up by day.

Sources: Iacus, King and Porro (2012), Causal inference without balance checking: coarsened exact
matching; Li, Morgan and Zaslavsky (2018), Balancing covariates via propensity score weighting,
theorem 3; Abadie and Imbens (2011), Bias-corrected matching estimators, section 2.3; Osler (2003,
2005) for what is looked at after orders are reached.

Where prices are points, a touch is seen at the first point beyond the bin's near edge, and neither
what happened between two points nor the price that a stop would have got. That holds for dense and
sparse touches alike and cancels in their difference; how far the point lies beyond the edge is one
of the covariates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.kernels.touches import (
    arrivals,
    decayed,
    densities_met,
    first_exits,
    stopped_out,
)
from liqbt.evaluation.near import density_rows, longest_density
from liqbt.forecasts import column, drawn
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, FloatArray, IntArray, Mask, Ns

COARSEST_NS: Final[Ns] = 15 * MINUTE_NS
"""A path of longer entries shows no touch: what a bin does to the price is over within one."""

HALF_LIFE_NS: Final[Ns] = 30 * MINUTE_NS
"""Of the memory of what was swept: forced orders work themselves out within the hour."""

SPEED_NS: Final[Ns] = 10 * MINUTE_NS
"""How long speed is measured: at a usual pace the price leaves the seven bins of the map's kernel
within it."""

AFTER_NS: Final[Ns] = 4 * HOUR_NS
"""How long a stop, or an answer to a sweep, is watched."""

BARRIER: Final = 1.0
"""k: a return, or an extension, is this many σ of an hour."""

STOP: Final = 0.1
"""A stop lies this many σ of a day beyond the price at the touch; another, just beyond, twice."""

COSTS: Final = 14e-4
"""Fees of two taker orders (5 bp each) and as many slippages (2 bp), in log price."""

DENSE: Final = 2.0
SPARSE: Final = 1.0
"""A bin is dense where its smoothed density is at least twice the mean of its map, sparse where it
is below it. At half the mean few sparse bins are as old as dense ones on real records, where what
was not met for days is hardly ever empty: ETH had 77 beside 243, and its answers hung on these."""
SWEPT_DENSE: Final = 0.8
SWEPT_SPARSE: Final = 0.5
"""A sweep is dense in the top fifth of what was swept at touches of one market, sparse below the
median."""

REACH: Final = 1.5
"""The mean of a map is over so many σ of a day on both sides of its mark."""

_AGE_H: Final = (6.0, 24.0, 72.0, 168.0)
_DISTANCE: Final = (0.35, 0.5)
_APPROACH: Final = (0.7, 1.9)
_PAST: Final = {"15m": 15 * MINUTE_NS, "1h": HOUR_NS, "4h": 4 * HOUR_NS, "24h": DAY_NS}
_VOLATILITY: Final = {
    "30m": 30 * MINUTE_NS,
    "1h": HOUR_NS,
    "3h": 3 * HOUR_NS,
    "24h": DAY_NS,
}
_NOW: Final = {"30m": 0.3, "3h": 0.3, "24h": 0.3}
"""Weights of log volatilities in what the next minutes are held against: each horizon alike, and a
tenth shrunk to the σ of three days (Corsi 2009, A simple approximate long-memory model of realized
volatility, with equal weights in the place of fitted ones)."""
_LEAST: Final = 1e-7
_SLOWEST: Final = 0.1

TOUCH_DTYPE: Final = np.dtype(
    [
        ("at", "<i8"),
        ("issued", "<i8"),
        ("entry", "<i8"),
        ("side", "i1"),
        ("level", "<f8"),
        ("distance", "<f8"),
        ("density", "<f8"),
        ("swept", "<f8"),
        ("crossed", "<f8"),
        ("age", "<f8"),
        ("overshoot", "<f8"),
        *((f"approach_{name}", "<f8") for name in _PAST),
        *((f"volatility_{name}", "<f8") for name in _VOLATILITY),
        ("day_sine", "<f8"),
        ("day_cosine", "<f8"),
        ("speed", "<f8"),
        ("rebound", "<f8"),
        ("returned", "<f8"),
        ("stopped", "?"),
        ("stopped_beyond", "?"),
        ("earned", "<f8"),
    ]
)
"""One row a touch whose day before and four hours after were watched.

Known at the touch: `at`, `issued` (ns; of the touch and of the map), `entry` (of the path), `side`
(+1 a bin below the mark, reached downward; −1 one above), `level` (price of the near edge),
`distance` (of that from the mark at issue, in σ of a day), `density` (smoothed, over the mean of
the map; NaN where it is empty), `swept` (Σ of such densities, not smoothed, over the bins that were
met, with a half-life of half an hour), `crossed` (the same count of bins), `age` (hours since the
bin was met before), `overshoot` (price beyond the near edge, in σ of an hour), `approach_*` (log
return in the direction of arrival over its σ), `volatility_*` (ln of realised volatility over σ),
`day_sine`, `day_cosine` (time of day).

Outcomes: `speed` (ln of the root mean square move of the ten minutes after over what volatility now
gives, at least ln 0.1), `rebound` (return of the hour after, against the direction of arrival, in σ
of an hour), `returned`
(1 where the price returns by 1 σ of an hour before it extends by it, 0 the other way round, ½
neither within four hours), `stopped`, `stopped_beyond` (a stop 0.1 and 0.2 σ of a day beyond the
price is hit within four hours), `earned` (a position against the arrival with the nearer stop,
after costs, in σ of a day).
"""

COVARIATES: Final = {
    "distance": "distance from the mark at issue",
    "age": "time since the bin was met before",
    "overshoot": "overshoot of the near edge",
    **{f"approach_{name}": f"approach over {name}" for name in _PAST},
    **{f"volatility_{name}": f"volatility of {name}" for name in _VOLATILITY},
    "day_sine": "time of day, sine",
    "day_cosine": "time of day, cosine",
}
"""What is held equal: fields of TOUCH_DTYPE, and their names in words."""


def touch_table(market: MarketInput, config: EvaluationConfig) -> npt.NDArray[Any]:
    """Return the touches of one market, TOUCH_DTYPE, in order of time.

    Empty where the entries of the path are longer than a quarter of an hour. A map stands for the
    longest horizon of the protocol.

    Raises
    ------
    DataError
        If there is no forecast.
    """
    path, forecasts = market.path, market.forecasts
    if not len(forecasts):
        raise DataError("touches: no forecast to evaluate; is the warm-up too long?")
    spacing = path.spacing_ns or path.bar_ns
    if spacing > COARSEST_NS or spacing <= 0:
        return np.zeros(0, TOUCH_DTYPE)
    origin, step = np.log(forecasts[0].grid.anchor), forecasts[0].grid.step
    low, high, close = (np.log(p) - origin for p in (path.low, path.high, path.close))
    broken = np.zeros(len(path), np.bool_)
    broken[1:] = path.start_ns[1:] - path.end_ns[:-1] >= path.max_gap_ns
    at, sigma = column(forecasts, "at"), column(forecasts, "sigma_1d")
    mark = np.log(column(forecasts, "mark")) - origin
    first = np.searchsorted(path.start_ns, at + config.latency_ns)
    until = at + max(config.horizons_ns)
    entry, forecast, cell, direction, before, arrived = arrivals(
        low, high, close, path.end_ns, broken, first, until, mark, sigma,
        config.floor, config.ceiling, step,
    )  # fmt: skip
    density, smoothed = _densities(market, cell * step + 0.5 * step, forecast, direction, origin)
    met = (entry, direction)
    swept = decayed(*met, density, path.end_ns, HALF_LIFE_NS)
    crossed = decayed(*met, np.ones(len(entry)), path.end_ns, HALF_LIFE_NS)
    back, ahead = round(DAY_NS / spacing), round(AFTER_NS / spacing)
    hole = np.cumsum(broken)
    use = (arrived == 1) & (entry >= back) & (entry + ahead < len(path))
    use[use] = hole[entry[use] - back] == hole[entry[use] + ahead]
    entry, forecast, cell, direction, before, swept, crossed, smoothed = (
        column[use]
        for column in (entry, forecast, cell, direction, before, swept, crossed, smoothed)
    )
    sign = direction.astype(np.float64)
    near = np.where(direction > 0, cell * step, (cell + 1) * step)
    rows = np.zeros(len(entry), TOUCH_DTYPE)
    rows["at"], rows["issued"], rows["entry"] = path.end_ns[entry], at[forecast], entry
    rows["side"], rows["level"] = -direction, np.exp(near + origin)
    rows["distance"] = sign * (near - mark[forecast]) / sigma[forecast]
    rows["density"], rows["swept"], rows["crossed"] = smoothed, swept, crossed
    rows["age"] = (rows["at"] - before) / HOUR_NS
    hour = sigma[forecast] / np.sqrt(24.0)
    rows["overshoot"] = sign * (close[entry] - near) / hour
    _known(rows, close, entry, sign, hour, spacing)
    _followed(rows, (low, high, close), entry, direction, hour, spacing)
    return rows


def _densities(
    market: MarketInput,
    centre: FloatArray,
    forecast: IntArray,
    direction: npt.NDArray[np.int8],
    origin: float,
) -> tuple[FloatArray, FloatArray]:
    """Return densities of the bins with these centres, each in the map that stood there."""
    forecasts = market.forecasts
    density = density_rows(forecasts, longest_density(forecasts))
    grids = [(part.grid, len(part.start)) for part in drawn(forecasts)]
    sizes = [n for _, n in grids]
    step = np.repeat([grid.step for grid, _ in grids], sizes)
    anchor = np.log(np.repeat([grid.anchor for grid, _ in grids], sizes)) - origin
    mark_bin = column(forecasts, "mark_bin")
    own = np.floor((centre - anchor[forecast]) / step[forecast]).astype(np.int64)
    out = np.where(direction > 0, own - mark_bin[forecast], mark_bin[forecast] - own) - 1
    sigma = column(forecasts, "sigma_1d")
    reach = np.maximum((REACH * sigma / step).astype(np.int64), 1)
    fine = np.repeat([grid.fine_bins for grid, _ in grids], sizes)
    coarse = np.repeat([grid.coarse for grid, _ in grids], sizes)
    found = densities_met(density, fine, coarse, forecast, out, direction, reach)
    return found[0], found[1]


def _known(
    rows: npt.NDArray[Any],
    close: FloatArray,
    entry: IntArray,
    sign: FloatArray,
    hour: FloatArray,
    spacing: Ns,
) -> None:
    """Write what was known of the path at each touch."""
    squared = np.concatenate([[0.0], np.cumsum(np.diff(close) ** 2)])
    for name, span in _PAST.items():
        n = max(round(span / spacing), 1)
        scale = hour * np.sqrt(n * spacing / HOUR_NS)
        rows[f"approach_{name}"] = sign * (close[entry] - close[entry - n]) / scale
    for name, span in _VOLATILITY.items():
        n = max(round(span / spacing), 1)
        variance = (squared[entry] - squared[entry - n]) / (n * spacing / HOUR_NS)
        rows[f"volatility_{name}"] = 0.5 * np.log(np.maximum(variance / hour**2, _LEAST))
    turn = 2.0 * np.pi * (rows["at"] % DAY_NS) / DAY_NS
    rows["day_sine"], rows["day_cosine"] = np.sin(turn), np.cos(turn)


def _followed(
    rows: npt.NDArray[Any],
    path: tuple[FloatArray, FloatArray, FloatArray],
    entry: IntArray,
    direction: npt.NDArray[np.int8],
    hour: FloatArray,
    spacing: Ns,
) -> None:
    """Write what followed each touch."""
    close = path[2]
    now = hour * np.exp(sum(w * rows[f"volatility_{name}"] for name, w in _NOW.items()))
    n = max(round(SPEED_NS / spacing), 1)
    moves = sum((close[entry + k] - close[entry + k - 1]) ** 2 for k in range(1, n + 1))
    speed = np.sqrt(moves / (n * spacing / HOUR_NS)) / now
    rows["speed"] = np.log(np.maximum(speed, _SLOWEST))
    later = round(HOUR_NS / spacing)
    rows["rebound"] = -direction * (close[entry + later] - close[entry]) / hour
    width, day = round(AFTER_NS / spacing), hour * np.sqrt(24.0)
    rows["returned"] = first_exits(*path, entry, direction, BARRIER * hour, width)
    rows["stopped"], earned = stopped_out(*path, entry, direction, STOP * day, width)
    rows["stopped_beyond"], _ = stopped_out(*path, entry, direction, 2.0 * STOP * day, width)
    rows["earned"] = (earned - COSTS) / day


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """Dense touches of one market beside the sparse ones of their strata.

    Attributes
    ----------
    rows : ndarray of TOUCH_DTYPE, shape (n,)
        Dense and sparse touches.
    dense : ndarray of bool, shape (n,)
        Which of them are dense.
    stratum : ndarray of int64, shape (n,)
        Number of each one's stratum.
    basis : ndarray of float64, shape (n, k)
        Orthonormal: what the covariates span within strata.
    """

    rows: npt.NDArray[Any]
    dense: Mask
    stratum: IntArray
    basis: FloatArray

    def within(self, values: FloatArray) -> FloatArray:
        """Return values less the mean of their stratum."""
        if not len(values):
            return values
        size = np.bincount(self.stratum)
        mean = np.bincount(self.stratum, values) / np.maximum(size, 1)
        return np.asarray(values - mean[self.stratum])

    def days(
        self, y: FloatArray, dose: FloatArray | None = None, *, plain: bool = False
    ) -> DaySums:
        """Return what each day adds to the slope of y on the dose.

        Parameters
        ----------
        y : ndarray of float64, shape (n,)
            An outcome of each row.
        dose : ndarray of float64, shape (n,), optional
            By default 1 where it is dense, 0 where it is sparse: the slope is a difference.
        plain : bool
            Whether strata alone are held equal, and no covariate within them.
        """
        x = self.within(self.dense.astype(np.float64) if dose is None else dose)
        y = self.within(y)
        if not plain:
            x = x - self.basis @ (self.basis.T @ x)
            y = y - self.basis @ (self.basis.T @ y)
        units = int(self.dense.sum())
        if not len(x) or float(x @ x) <= 1e-9 * len(x):
            return DaySums(total=np.zeros(0), count=np.zeros(0), n_units=units)
        first = int(self.rows["at"].min() // DAY_NS)
        day = self.rows["at"] // DAY_NS - first
        n_days = int(np.count_nonzero(np.bincount(day)))
        fitted = 0 if plain else self.basis.shape[1]
        return DaySums(
            total=np.asarray(np.bincount(day, x * y), np.float64),
            count=np.asarray(np.bincount(day, x * x), np.float64),
            first_day=first,
            n_units=units,
            size=np.asarray(np.bincount(day, np.abs(x * y)), np.float64),
            freedom=(n_days - 1 - fitted) / max(n_days - 1, 1),
        )


def matched_touches(
    rows: npt.NDArray[Any], dense: Mask, sparse: Mask, *extra: FloatArray
) -> Matched:
    """Return dense touches beside the sparse ones that they are compared with.

    Parameters
    ----------
    rows : ndarray of TOUCH_DTYPE, shape (n,)
        Touches of one market.
    dense, sparse : ndarray of bool, shape (n,)
        Which of them are which; what is neither is left out.
    *extra : ndarray of float64, shape (n,)
        Further covariates, beside those of `COVARIATES`.
    """
    use = dense | sparse
    kept = rows[use]
    stratum = (kept["side"] > 0).astype(np.int64)
    for values, edges in (
        (kept["age"], _AGE_H),
        (kept["distance"], _DISTANCE),
        (kept["approach_1h"], _APPROACH),
    ):
        stratum = stratum * (len(edges) + 1) + np.digitize(values, edges)
    columns = [np.log1p(kept[name]) if name == "age" else kept[name] for name in COVARIATES]
    found = Matched(rows=kept, dense=dense[use], stratum=stratum, basis=np.zeros((len(kept), 0)))
    within = [found.within(column) for column in (*columns, *(one[use] for one in extra))]
    return Matched(rows=kept, dense=dense[use], stratum=stratum, basis=_basis(within))


def _basis(columns: list[FloatArray]) -> FloatArray:
    """Return orthonormal columns that span what these do; one that others already say adds none."""
    scaled = [c / np.sqrt(c @ c) for c in columns if len(c) and float(c @ c) > 0.0]
    if not scaled:
        return np.zeros((len(columns[0]), 0))
    basis, sizes, _ = np.linalg.svd(np.column_stack(scaled), full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-9 * sizes[0]])


def at_bins(rows: npt.NDArray[Any], *, others: bool = False) -> Matched:
    """Return touches of dense bins beside those of sparse ones, or of all others.

    Parameters
    ----------
    rows : ndarray of TOUCH_DTYPE
        Of one market.
    others : bool
        Whether a placebo is any bin that is not dense: levels at random, in the place of sparse.
    """
    dense = rows["density"] >= DENSE
    return matched_touches(rows, dense, rows["density"] < (DENSE if others else SPARSE))


def after_sweeps(rows: npt.NDArray[Any], *, others: bool = False) -> Matched:
    """Return touches after much was swept beside those after little, or less, at equal range.

    The number of bins that were met is a covariate: what differs is how dense they were.

    Parameters
    ----------
    rows : ndarray of TOUCH_DTYPE
        Of one market.
    others : bool
        Whether a placebo is any touch that is not dense.
    """
    swept = rows["swept"]
    top, middle = np.quantile(swept, (SWEPT_DENSE, SWEPT_SPARSE)) if len(rows) else (0.0, 0.0)
    dense = swept > top
    sparse = ~dense if others else ~dense & (swept <= middle)
    return matched_touches(rows, dense, sparse, np.log(np.maximum(rows["crossed"], 0.01)))
