"""Nulls that emit a map: estimators that lack the information under test.

`Mirror` has the right distances on the wrong side; `TimeShift` has the right distances of another
day. Both wrap an estimator and change what it issues.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.estimators.base import registered
from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.estimators.state import State
from liqbt.types import CLUSTER_DTYPE, DAY_NS, Clusters, DensityGrid, Events, Forecast, Ns, Side

INNER: Final = "inner."
PAST: Final = "past."

_WHOLE: Final = ("at", "latest_known", "mark_ts", "mark_bin")
_REAL: Final = (
    "mark",
    "sigma_1d",
    "asymmetry",
    "asymmetry_reach",
    "open_interest_usd",
    "observed_long_usd",
    "observed_short_usd",
    "prior_from_long",
    "prior_from_short",
)
_SCALARS: Final = np.dtype(
    [
        *((name, "<i8") for name in (*_WHOLE, "fine_bins", "coarse", "n_density", "n_clusters")),
        *((name, "<f8") for name in (*_REAL, "anchor", "step")),
    ]
)


class Inner(Protocol):
    """What a null can wrap: any estimator."""

    def update(self, events: Events) -> None:
        """Take in the next events."""

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue a forecast, or None."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state."""

    def restore(self, state: State) -> None:
        """Go on from a state."""


def reflect(forecast: Forecast) -> Forecast:
    """Return `forecast` reflected in log price about its mark.

    A price x becomes mark²/x: longs become shorts and the other way round, at the same distances.
    The grid is reflected with them (its anchor becomes mark²/anchor), so that densities are exact.

    Cluster `i` of the result is the reflection of cluster `(i + s) % n` of `forecast`, with n its
    clusters and s how many of them are shorts: sides swap, and within a side the order by distance
    stays. Bands stay half-open `[low, high)`. Evidence and open interest are facts, and stay.
    """
    mark, grid = forecast.mark, forecast.grid
    density = forecast.density_usd[::-1].copy()
    density.setflags(write=False)
    return dataclasses.replace(
        forecast,
        grid=dataclasses.replace(grid, anchor=mark * mark / grid.anchor),
        mark_bin=-forecast.mark_bin - 1,
        density_usd=density,
        clusters=_reflected(forecast.clusters, mark),
        asymmetry=-forecast.asymmetry,
        prior_from_long=forecast.prior_from_short,
        prior_from_short=forecast.prior_from_long,
        notional_interval=None,
    )


def _reflected(clusters: Clusters, mark: float) -> Clusters:
    shorts = int(np.count_nonzero(clusters["side"] == Side.SHORT))
    out: Clusters = np.roll(clusters, -shorts)
    low = mark * (mark / out["high"])
    high = mark * (mark / out["low"])
    out["side"] = -out["side"]
    above = out["side"] == Side.SHORT
    # rounding must not bring a near edge onto the mark
    out["low"] = np.where(above, np.maximum(low, math.nextafter(mark, math.inf)), low)
    out["high"] = np.where(above, high, np.minimum(high, math.nextafter(mark, 0.0)))
    out["peak"] = mark * (mark / out["peak"])
    out.setflags(write=False)
    return out


def recentre(past: Forecast, now: Forecast) -> Forecast:
    """Return the map of `past` as a forecast of today: its log distances placed at today's mark.

    Prices are multiplied by the ratio of the marks. Notionals are scaled to today's open interest
    where both are known: what is out of date is where, not how much. Ranks and asymmetry are those
    of `past`. Mark, σ, open interest and evidence are today's.
    """
    ratio = now.mark / past.mark
    factor = now.open_interest_usd / past.open_interest_usd
    if not (math.isfinite(factor) and factor > 0.0):
        factor = 1.0
    clusters = past.clusters.copy()
    for name in ("low", "high", "peak"):
        clusters[name] *= ratio
    above = clusters["side"] == Side.SHORT
    beyond = math.nextafter(now.mark, math.inf), math.nextafter(now.mark, 0.0)
    clusters["low"][above] = np.maximum(clusters["low"][above], beyond[0])
    clusters["high"][~above] = np.minimum(clusters["high"][~above], beyond[1])
    clusters["notional_usd"] *= factor
    density = (past.density_usd * np.float32(factor)).astype(np.float32)
    for array in (clusters, density):
        array.setflags(write=False)
    return dataclasses.replace(
        now,
        grid=dataclasses.replace(past.grid, anchor=past.grid.anchor * ratio),
        mark_bin=past.mark_bin,
        density_usd=density,
        clusters=clusters,
        asymmetry=past.asymmetry,
        asymmetry_reach=past.asymmetry_reach,
        prior_from_long=past.prior_from_long,
        prior_from_short=past.prior_from_short,
        notional_interval=None,
    )


class Mirror:
    """The inner estimator's map reflected about the mark: the same distances, the other side.

    Parameters
    ----------
    inner : Inner
        The estimator whose map is reflected; see `reflect` for how clusters pair.
    """

    def __init__(self, inner: Inner) -> None:
        self.inner = inner

    def update(self, events: Events) -> None:
        """Hand the events to the inner estimator."""
        self.inner.update(events)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the reflection of the inner forecast; None where there is none."""
        inner = self.inner.forecast(at)
        return None if inner is None else reflect(inner)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the inner estimator's state."""
        return {INNER + name: array for name, array in self.inner.state().items()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self.inner.restore(_part(state, INNER))


class TimeShift:
    """The inner estimator's map of some days earlier, placed at today's mark.

    It remembers the forecasts that it was asked for, so that what it issues depends on the schedule
    as well: at `at` it takes the latest one issued at or before `at − days`, if that is less than a
    day older still. Memory is bounded: older ones are forgotten.

    Parameters
    ----------
    inner : Inner
        The estimator whose map is shifted.
    days : int
        By how many days, at least 1.
    """

    def __init__(self, inner: Inner, days: int) -> None:
        if days < 1:
            raise ConfigError(f"days is {days}: a map is shifted by at least 1 day")
        self.inner = inner
        self.days = days
        self._past: list[Forecast] = []

    def update(self, events: Events) -> None:
        """Hand the events to the inner estimator."""
        self.inner.update(events)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the re-centred map of `days` earlier; None where either forecast is missing."""
        now = self.inner.forecast(at)
        target = at - self.days * DAY_NS
        if now is not None:
            kept = [f for f in self._past if target - DAY_NS < f.at < at]
            self._past = [*kept, now]
        past = [f for f in self._past if target - DAY_NS < f.at <= target]
        return recentre(past[-1], now) if past and now is not None else None

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the inner estimator's state and the forecasts remembered."""
        inner = {INNER + name: array for name, array in self.inner.state().items()}
        return inner | {PAST + name: array for name, array in pack(self._past).items()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self.inner.restore(_part(state, INNER))
        self._past = unpack(_part(state, PAST))


@registered("mirror")
class MirroredReference(Mirror):
    """The reference estimator's map, mirrored: what `mirror` is in an experiment."""

    Params = OIFlowParams
    needs = OIFlow.needs
    needs_margin = OIFlow.needs_margin

    def __init__(self, params: OIFlowParams, market: MarketSpec) -> None:
        super().__init__(OIFlow(params, market))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftParams(OIFlowParams):
    """The reference's parameters, and by how many days its map is shifted.

    Attributes
    ----------
    shift_days : int
        From 1 to 60.
    """

    shift_days: int = 7

    def __post_init__(self) -> None:
        OIFlowParams.__post_init__(self)
        self.check(shift_days=1 <= self.shift_days <= 60)


@registered("time_shift")
class ShiftedReference(TimeShift):
    """The reference estimator's map of some days earlier: `time_shift` in an experiment."""

    Params = ShiftParams
    needs = OIFlow.needs
    needs_margin = OIFlow.needs_margin

    def __init__(self, params: ShiftParams, market: MarketSpec) -> None:
        super().__init__(OIFlow(params, market), days=params.shift_days)


def _part(state: State, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def pack(forecasts: Sequence[Forecast]) -> dict[str, npt.NDArray[Any]]:
    """Return forecasts as arrays: `symbols`, `rows` (scalars), `density_usd` and `clusters`."""
    rows = np.zeros(len(forecasts), dtype=_SCALARS)
    for row, forecast in zip(rows, forecasts, strict=True):
        for name in (*_WHOLE, *_REAL):
            row[name] = getattr(forecast, name)
        for name in ("anchor", "step", "fine_bins", "coarse"):
            row[name] = getattr(forecast.grid, name)
        row["n_density"] = forecast.density_usd.shape[1]
        row["n_clusters"] = len(forecast.clusters)
    density = [np.zeros((2, 0), dtype=np.float32), *(f.density_usd for f in forecasts)]
    clusters = [np.zeros(0, dtype=CLUSTER_DTYPE), *(f.clusters for f in forecasts)]
    return {
        "symbols": np.array([f.symbol for f in forecasts], dtype=np.str_),
        "rows": rows,
        "density_usd": np.concatenate(density, axis=1),
        "clusters": np.concatenate(clusters),
    }


def unpack(state: State) -> list[Forecast]:
    """Return the forecasts that `pack` packed."""
    rows = state["rows"]
    ends = np.cumsum(rows["n_density"]), np.cumsum(rows["n_clusters"])
    out = []
    for symbol, row, density_end, clusters_end in zip(state["symbols"], rows, *ends, strict=True):
        density = state["density_usd"][:, density_end - row["n_density"] : density_end].copy()
        clusters = state["clusters"][clusters_end - row["n_clusters"] : clusters_end].copy()
        for array in (density, clusters):
            array.setflags(write=False)
        scalars: dict[str, Any] = {name: row[name].item() for name in (*_WHOLE, *_REAL)}
        out.append(
            Forecast(
                symbol=str(symbol),
                grid=DensityGrid(
                    anchor=float(row["anchor"]),
                    step=float(row["step"]),
                    fine_bins=int(row["fine_bins"]),
                    coarse=int(row["coarse"]),
                ),
                density_usd=density,
                clusters=clusters,
                **scalars,
            )
        )
    return out
