"""What the trials of a search are compared on: model-independent units, and the losses by day.

A unit is (symbol, landmark, side, distance band): one level in the middle of a distance band, at a
non-overlapping landmark. No configuration decides which units there are, so that two can be paired
on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from liqbt.errors import DataError
from liqbt.log.disk import read_parquet
from liqbt.types import DAY_NS, FloatArray, IntArray

VISITS: Final = "visits.parquet"
_COLUMNS: Final = ("symbol", "at", "side", "band", "visited", "p", "p_ablated")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """The units of one trial, each once.

    Attributes
    ----------
    symbol : ndarray of str, shape (n,)
        Market.
    at : ndarray of int64, shape (n,)
        Landmark, ns.
    side, band : ndarray of int64, shape (n,)
        Side of the positions that are forced there, +1 or -1; distance band.
    visited : ndarray of bool, shape (n,)
        Whether the price reached the level.
    p, p_ablated : ndarray of float64, shape (n,)
        P(visit) with the map, and of the same model without it, each inside (0, 1).
    """

    symbol: npt.NDArray[Any]
    at: IntArray
    side: IntArray
    band: IntArray
    visited: npt.NDArray[np.bool_]
    p: FloatArray
    p_ablated: FloatArray

    def __len__(self) -> int:
        return len(self.at)


def read_units(path: Path, estimator: str | None = None) -> Units:
    """Read the units of a run from its `visits.parquet`.

    Parameters
    ----------
    path : Path
        The table.
    estimator : str, optional
        Whose rows: one that the table does not hold has none. A table that names no estimators is
        of one alone.

    Raises
    ------
    DataError
        If there is no such table, a column is missing or no number, a probability is not inside
        (0, 1), an outcome is neither 0 nor 1, or a unit is there twice; names the file.
    """
    try:
        table = read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of visits can be read there") from error
    if estimator is not None and "estimator" in table.column_names:
        table = table.filter(pc.equal(table["estimator"], estimator))
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: found no column '{missing[0]}'; expected {', '.join(_COLUMNS)}")
    columns = {name: table[name].to_numpy() for name in _COLUMNS}
    _check(columns, path)
    return Units(
        symbol=columns["symbol"].astype(str),
        at=columns["at"].astype(np.int64),
        side=columns["side"].astype(np.int64),
        band=columns["band"].astype(np.int64),
        visited=columns["visited"].astype(bool),
        p=columns["p"].astype(np.float64),
        p_ablated=columns["p_ablated"].astype(np.float64),
    )


def _check(columns: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    tests = {
        "visited": (np.isin(columns["visited"], (0, 1)), "0 or 1"),
        "side": (np.isin(columns["side"], (-1, 1)), "-1 or 1"),
        "band": (np.isin(columns["band"], np.arange(256)), "0 to 255"),
        **{
            name: ((columns[name] > 0.0) & (columns[name] < 1.0), "a probability inside (0, 1)")
            for name in ("p", "p_ablated")
        },
    }
    for name, (holds, expected) in tests.items():
        bad = np.flatnonzero(~holds)
        if len(bad):
            raise DataError(
                f"{path}: row {bad[0]} has {name} {columns[name][bad[0]]}; expected {expected}"
            )
    rows = zip(*(columns[name].tolist() for name in ("symbol", "at", "side", "band")), strict=True)
    seen: set[tuple[Any, ...]] = set()
    for i, unit in enumerate(rows):
        if unit in seen:
            raise DataError(f"{path}: row {i} is the unit {unit} a second time")
        seen.add(unit)


def unit_codes(trials: Sequence[Units]) -> list[IntArray]:
    """Return a number for each unit of each trial: equal for equal units, whatever the trial."""
    symbols = np.unique(np.concatenate([t.symbol for t in trials]))
    times = np.unique(np.concatenate([t.at for t in trials]))
    return [
        (
            (np.searchsorted(symbols, t.symbol) * len(times) + np.searchsorted(times, t.at)) * 2
            + (t.side > 0)
        )
        * 256
        + t.band
        for t in trials
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayLosses:
    """Losses of trials by UTC day: minus the mean log score of the units of the day, nats.

    Attributes
    ----------
    day : ndarray of int64, shape (n_days,)
        Days since 1970 that hold a shared unit, ascending.
    losses : ndarray of float64, shape (n_days, n_trials)
        Of each trial, with its map.
    without_map : ndarray of float64, shape (n_days, n_trials)
        Of each trial's own model that knows no map: what a trial varies may change that one too.
    n_units, n_dropped : int
        Units that all trials share, and those that only some of them have.
    """

    day: IntArray
    losses: FloatArray
    without_map: FloatArray
    n_units: int
    n_dropped: int


def comparable(first: Units, other: Units) -> str:
    """Return why a trial cannot be compared with the first one; empty where it can.

    Examples
    --------
    >>> import numpy as np
    >>> one = Units(symbol=np.array(["A"]), at=np.array([0]), side=np.array([1]),
    ...     band=np.array([0]), visited=np.array([True]), p=np.array([0.5]),
    ...     p_ablated=np.array([0.5]))
    >>> comparable(one, one)
    ''
    """
    ours, theirs = unit_codes([first, other])
    _, here, there = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    if not len(here):
        return "it has no unit in common with the base"
    differing = int(np.count_nonzero(first.visited[here] != other.visited[there]))
    if differing:
        return (
            f"{differing} of the {len(here)} units that it shares with the base have another "
            "outcome: its levels lie elsewhere"
        )
    return ""


def day_losses(trials: Sequence[Units]) -> DayLosses:
    """Return the losses of trials by day, on the units that all of them share.

    Parameters
    ----------
    trials : sequence of Units
        The base first; outcomes of shared units agree (`comparable`).

    Raises
    ------
    DataError
        If there is no unit that all of them share.
    """
    codes = unit_codes(trials) if trials else []
    shared = codes[0] if trials else np.empty(0, np.int64)
    for code in codes[1:]:
        shared = np.intersect1d(shared, code, assume_unique=True)
    if not len(shared):
        raise DataError(
            "found no unit (symbol, landmark, side, distance band) that every trial scored with a "
            "fitted model; a search needs 20 days or more of them, so give it longer data"
        )
    rows = [_rows(code, shared) for code in codes]
    day = trials[0].at[rows[0]] // DAY_NS
    visited = trials[0].visited[rows[0]]
    days, place = np.unique(day, return_inverse=True)
    count = np.bincount(place)

    def by_day(issued: Iterable[FloatArray]) -> FloatArray:
        losses = (-np.log(np.where(visited, p, 1.0 - p)) for p in issued)
        return np.column_stack([np.bincount(place, weights=loss) / count for loss in losses])

    return DayLosses(
        day=days,
        losses=by_day(t.p[r] for t, r in zip(trials, rows, strict=True)),
        without_map=by_day(t.p_ablated[r] for t, r in zip(trials, rows, strict=True)),
        n_units=len(shared),
        n_dropped=len(np.unique(np.concatenate(codes))) - len(shared),
    )


def _rows(code: IntArray, shared: IntArray) -> IntArray:
    """Return where each shared unit stands in a trial."""
    order = np.argsort(code)
    return np.asarray(order[np.searchsorted(code, shared, sorter=order)])
