"""Many forecasts at once: batches in flat arrays, and when two forecasts are the same.

The same bit for bit, or the same to the quanta that may be recorded and compared between machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from liqbt.types import (
    CLUSTER_DTYPE,
    Clusters,
    DensityGrid,
    FloatArray,
    Forecast,
    IntArray,
    Mask,
)

_SCALARS: Final = (
    "at",
    "latest_known",
    "mark_ts",
    "mark_bin",
    "mark",
    "sigma_1d",
    "asymmetry",
    "open_interest_usd",
    "observed_long_usd",
    "observed_short_usd",
    "prior_from_long",
    "prior_from_short",
)
_PLACES: Final = ("density_start", "density_stop", "clusters_start", "clusters_stop")

ROW_DTYPE: Final = np.dtype(
    [(name, "<i8") for name in _SCALARS[:4]]
    + [(name, "<f8") for name in _SCALARS[4:]]
    + [(name, "<i8") for name in _PLACES]
)
"""One forecast of a batch: the scalars of `Forecast` under their own names and units, and where its
density and its clusters stand in the batch's flat arrays, `[start, stop)`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastBatch:
    """Forecasts of one market in flat arrays; a `Forecast` is a view that is made when asked for.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market.
    grid : DensityGrid
        The grid of all densities.
    asymmetry_reach : float
        As in `Forecast`.
    rows : ndarray of ROW_DTYPE, shape (n,)
        The scalars of each, by time of issue.
    density_usd : ndarray of float32
        Of each forecast its longs, then as many entries of its shorts; as in `Forecast`.
    clusters : ndarray of CLUSTER_DTYPE
        Of each forecast, in the order of `Forecast`.
    """

    symbol: str
    grid: DensityGrid
    asymmetry_reach: float
    rows: npt.NDArray[Any]
    density_usd: npt.NDArray[np.float32]
    clusters: Clusters

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Forecast:
        *scalars, begin, end, first, last = self.rows[i].item()
        return Forecast(
            symbol=self.symbol,
            grid=self.grid,
            density_usd=self.density_usd[begin:end].reshape(2, -1),
            clusters=self.clusters[first:last],
            asymmetry_reach=self.asymmetry_reach,
            **dict(zip(_SCALARS, scalars, strict=True)),
        )

    def kept(self, keep: Mask) -> ForecastBatch:
        """Return some of the forecasts: their clusters close up, densities stay where they are."""
        if keep.all():
            return self
        rows, sizes = self.rows[keep], _sizes(self.rows)
        ends = np.cumsum(sizes[keep])
        rows["clusters_start"], rows["clusters_stop"] = ends - sizes[keep], ends
        begin, parts = self.rows["clusters_start"], []
        first = np.flatnonzero(np.diff(keep, prepend=False) & keep)  # of each run of those kept
        last = np.flatnonzero(np.diff(keep, append=False) & keep)
        for i, j in zip(first.tolist(), last.tolist(), strict=True):
            parts.append(self.clusters[begin[i] : begin[j] + sizes[j]])
        joined = parts[0] if len(parts) == 1 else _joined(parts)
        return replace(self, rows=rows, clusters=joined)


class Forecasts(Sequence[Forecast]):
    """Forecasts in order, held as batches: a `Forecast` is made whenever it is asked for.

    Parameters
    ----------
    batches : iterable of ForecastBatch
        One after the other, of one market or more.

    Attributes
    ----------
    batches : tuple of ForecastBatch
        For whoever reads columns: no forecast is made for them.
    """

    __slots__ = ("_ends", "batches")

    def __init__(self, batches: Iterable[ForecastBatch]) -> None:
        self.batches = tuple(batch for batch in batches if len(batch))
        self._ends = np.cumsum([len(batch) for batch in self.batches], dtype=np.int64)

    def __reduce__(self) -> tuple[type[Forecasts], tuple[tuple[ForecastBatch, ...]]]:
        return Forecasts, (self.batches,)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __iter__(self) -> Iterator[Forecast]:
        for batch in self.batches:
            for i in range(len(batch)):
                yield batch[i]

    @overload
    def __getitem__(self, index: int) -> Forecast: ...
    @overload
    def __getitem__(self, index: slice) -> list[Forecast]: ...
    def __getitem__(self, index: int | slice) -> Forecast | list[Forecast]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        k = int(np.searchsorted(self._ends, place, side="right"))
        return self.batches[k][place - int(self._ends[k])]


def column(forecasts: Sequence[Forecast], name: str) -> npt.NDArray[Any]:
    """Return a scalar of every forecast, under its name in `Forecast`; see `ROW_DTYPE`."""
    if isinstance(forecasts, Forecasts):
        parts = [batch.rows[name] for batch in forecasts.batches]
        return np.concatenate([np.zeros(0, ROW_DTYPE[name]), *parts])
    return np.array([getattr(forecast, name) for forecast in forecasts], ROW_DTYPE[name])


def symbols_of(forecasts: Sequence[Forecast]) -> list[str]:
    """Return the markets that forecasts are of, each once, in their order."""
    held = forecasts.batches if isinstance(forecasts, Forecasts) else forecasts
    return list(dict.fromkeys(each.symbol for each in held))


def markets(forecasts: Sequence[Forecast]) -> list[str]:
    """Return the market of every forecast."""
    if isinstance(forecasts, Forecasts):
        return [batch.symbol for batch in forecasts.batches for _ in range(len(batch))]
    return [forecast.symbol for forecast in forecasts]


def cluster_counts(forecasts: Sequence[Forecast]) -> IntArray:
    """Return how many clusters each forecast has."""
    if isinstance(forecasts, Forecasts):
        parts = [_sizes(batch.rows) for batch in forecasts.batches]
        return np.concatenate([np.zeros(0, np.int64), *parts])
    return np.array([len(forecast.clusters) for forecast in forecasts], np.int64)


def _sizes(rows: npt.NDArray[Any]) -> IntArray:
    return np.asarray(rows["clusters_stop"] - rows["clusters_start"])


def kept_forecasts(forecasts: Sequence[Forecast], keep: Mask) -> Sequence[Forecast]:
    """Return those of the forecasts for which `keep` is set, held as they were."""
    if not isinstance(forecasts, Forecasts):
        return [forecast for forecast, kept in zip(forecasts, keep.tolist(), strict=True) if kept]
    ends = np.cumsum([len(batch) for batch in forecasts.batches])[:-1]
    parts = zip(forecasts.batches, np.split(keep, ends), strict=True) if len(keep) else ()
    return Forecasts(batch.kept(part) for batch, part in parts if part.any())


def restated(forecasts: Sequence[Forecast], scalars: npt.NDArray[Any]) -> Sequence[Forecast]:
    """Return the forecasts with other scalars, held as they were.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Those that have the scalars already stay what they are.
    scalars : structured ndarray, shape (n,)
        Its fields are some of those of `ROW_DTYPE`.
    """
    names = scalars.dtype.names or ()
    if not isinstance(forecasts, Forecasts):
        values = scalars.tolist()
        return [
            forecast
            if all(a == b or (a != a and b != b) for a, b in zip(own, new, strict=True))
            else replace(forecast, **dict(zip(names, new, strict=True)))
            for forecast, new in zip(forecasts, values, strict=True)
            for own in [[getattr(forecast, name) for name in names]]
        ]
    batches, first = [], 0
    for batch in forecasts.batches:
        rows = batch.rows.copy()
        for name in names:
            rows[name] = scalars[name][first : first + len(rows)]
        batches.append(replace(batch, rows=rows))
        first += len(rows)
    return Forecasts(batches)


class Drawn(NamedTuple):
    """Densities of forecasts on one grid: of each `usd[start:stop]`, its longs, then its shorts."""

    grid: DensityGrid
    usd: npt.NDArray[np.float32]
    start: IntArray
    stop: IntArray


def drawn(forecasts: Sequence[Forecast]) -> Iterator[Drawn]:
    """Yield the densities of all forecasts, in order, those of one grid in flat arrays."""
    if isinstance(forecasts, Forecasts):
        for batch in forecasts.batches:
            rows = batch.rows
            places = (np.ascontiguousarray(rows[name]) for name in _PLACES[:2])
            yield Drawn(batch.grid, batch.density_usd, *places)
        return
    for grid, alike in groupby(forecasts, key=lambda forecast: forecast.grid):
        flat = [np.asarray(forecast.density_usd, np.float32).ravel() for forecast in alike]
        stop = np.cumsum([len(part) for part in flat])
        yield Drawn(grid, np.concatenate(flat), stop - [len(part) for part in flat], stop)


def joined_clusters(forecasts: Sequence[Forecast]) -> Clusters:
    """Return the clusters of all forecasts, one after the other, read-only.

    Joining bytes is sixty times faster than `np.concatenate`, which compares the fields of each
    structured array anew.
    """
    held = forecasts.batches if isinstance(forecasts, Forecasts) else forecasts
    return _joined([each.clusters for each in held])


def _joined(parts: Iterable[Clusters]) -> Clusters:
    return np.frombuffer(b"".join(part.tobytes() for part in parts), dtype=CLUSTER_DTYPE)


def joined_intervals(forecasts: Sequence[Forecast]) -> FloatArray:
    """Return the interval of each cluster's notional, as `joined_clusters`; NaN where not stated.

    Returns
    -------
    ndarray of float64, shape (n_rows, 2)
    """
    if isinstance(forecasts, Forecasts):  # no batch states any
        return np.full((int(cluster_counts(forecasts).sum()), 2), np.nan)
    ends = [
        np.full((len(f.clusters), 2), np.nan)
        if f.notional_interval is None
        else f.notional_interval
        for f in forecasts
    ]
    return np.concatenate([np.zeros((0, 2)), *ends])


def forecast_bytes(forecast: Forecast) -> bytes:
    """Return every field of `forecast` as bytes: equal bytes are bit-identical forecasts."""
    scalars = np.array(
        [
            forecast.mark,
            forecast.sigma_1d,
            forecast.grid.anchor,
            forecast.grid.step,
            forecast.asymmetry,
            forecast.asymmetry_reach,
            forecast.open_interest_usd,
            forecast.observed_long_usd,
            forecast.observed_short_usd,
            forecast.prior_from_long,
            forecast.prior_from_short,
        ],
        dtype="<f8",
    )
    integers = np.array(
        [
            forecast.at,
            forecast.latest_known,
            forecast.mark_ts,
            forecast.mark_bin,
            forecast.grid.fine_bins,
            forecast.grid.coarse,
            len(forecast.clusters),
            forecast.density_usd.shape[1],
        ],
        dtype="<i8",
    )
    return b"|".join(
        (
            forecast.symbol.encode(),
            integers.tobytes(),
            scalars.tobytes(),
            forecast.clusters.tobytes(),
            np.ascontiguousarray(forecast.density_usd, dtype="<f4").tobytes(),
            *(() if (ends := forecast.notional_interval) is None else (ends.tobytes(),)),
        )
    )


def forecasts_digest(forecasts: Sequence[Forecast]) -> str:
    """Return a digest over quantised integers: bins, cents, millionths.

    Processors may differ in the last bit of a sum; a digest that is recorded must not.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Of one market or more, in order; of each the times, mark, σ, asymmetry and clusters count.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    if not forecasts:
        return digest.hexdigest()
    for symbol in symbols_of(forecasts):
        digest.update(symbol.encode())
    sizes, clusters = cluster_counts(forecasts), joined_clusters(forecasts)
    held = forecasts.batches if isinstance(forecasts, Forecasts) else forecasts
    each = [len(one) if isinstance(one, ForecastBatch) else 1 for one in held]
    anchor, step = (
        np.repeat(np.repeat([getattr(one.grid, name) for one in held], each), sizes)
        for name in ("anchor", "step")
    )
    places = (column(forecasts, name) for name in ("at", "latest_known", "mark_ts", "mark_bin"))
    digest.update(np.column_stack([*places, sizes]).astype("<i8").tobytes())
    quantised = (
        column(forecasts, "mark") * 100,
        column(forecasts, "sigma_1d") * 1e6,
        column(forecasts, "asymmetry") * 1e6,
        clusters["side"],
        *(np.log(clusters[name] / anchor) / step * 2 for name in ("low", "high", "peak")),
        clusters["notional_usd"],
        clusters["density_rank"] * 1e3,
    )
    for part in quantised:
        rounded = np.rint(np.nan_to_num(part.astype("<f8"), nan=-1.0))
        digest.update(rounded.astype("<i8").tobytes())
    return digest.hexdigest()
