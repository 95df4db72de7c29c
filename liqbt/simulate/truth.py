"""What was true in a simulated market, in tables of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.simulate.layout import Book, Record
from liqbt.simulate.rules import BIN_STEP
from liqbt.simulate.sections import MECHANISMS
from liqbt.simulate.tables import (
    CHANGE_DTYPE,
    FUNDING_DTYPE,
    SWING_DTYPE,
    WALL_DTYPE,
)
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, DensityGrid, FloatArray, IntArray


def _no_rows(dtype: np.dtype[Any]) -> Callable[[], npt.NDArray[Any]]:
    """Return what makes an empty table."""
    return lambda: _frozen(np.zeros(0, dtype=dtype))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """The truth of one symbol over the published time.

    Attributes
    ----------
    symbol : str
        The market.
    path_ns : ndarray of int64, shape (n + 1,)
        Times of the one price path, `start_ns` to `end_ns`.
    path_price : ndarray of float64, shape (n + 1,)
        The price at those times, USD; marks, bars and liquidations are taken from it.
    sigma_1d : ndarray of float64, shape (steps,)
        True volatility per square root of a day, by step.
    displacement : ndarray of float64, shape (steps,)
        Log displacement that all planted mechanisms applied in each step; 0 where none is planted.
    moved : mapping of str to ndarray of float64, shape (steps,)
        The same by mechanism; those that are not planted are absent.
    open_interest_start : int
        Lots open at `start_ns`.
    steps : ndarray of STEP_DTYPE, shape (steps,)
        Flows and open interest.
    positions : ndarray of POSITION_DTYPE
        Every position, those of the warm-up included.
    liquidations : ndarray of LIQUIDATION_DTYPE
        Every forced order of the published time, in order, with what triggered it.
    grid : DensityGrid
        The grid of `density_usd`; its anchor is the first published mark.
    snapshot_ns : ndarray of int64, shape (m,)
        Times of the true map.
    snapshot_mark : ndarray of float64, shape (m,)
        The price then, USD.
    mark_bin : ndarray of int64, shape (m,)
        The grid's bin that holds it.
    density_usd : ndarray of float32, shape (m, 2, entries)
        True notional by liquidation price at a snapshot, valued at the bin's centre, outward from
        the mark's bin as in `Forecast.density_usd`: row 0 longs (below), row 1 shorts (above).
    changes : ndarray of CHANGE_DTYPE
        Changes of liquidation prices, those of the warm-up included.
    funding : ndarray of FUNDING_DTYPE
        Settlements, those of the warm-up included.
    swings : ndarray of SWING_DTYPE
        Confirmed swings; none where `placement` is 0.
    walls : ndarray of WALL_DTYPE
        Walls; none where `walls` is 0.
    published_lots : ndarray of float64, shape (steps + 1,)
        Open interest as it is published, where `oi_of_others` is above 0; else empty: it is that of
        `open_interest_start` and `steps`.
    """

    symbol: str
    path_ns: IntArray
    path_price: FloatArray
    sigma_1d: FloatArray
    displacement: FloatArray
    open_interest_start: int
    steps: npt.NDArray[Any]
    positions: npt.NDArray[Any]
    liquidations: npt.NDArray[Any]
    grid: DensityGrid
    snapshot_ns: IntArray
    snapshot_mark: FloatArray
    mark_bin: IntArray
    density_usd: npt.NDArray[np.float32]
    moved: Mapping[str, FloatArray] = field(default_factory=dict)
    changes: npt.NDArray[Any] = field(default_factory=_no_rows(CHANGE_DTYPE))
    funding: npt.NDArray[Any] = field(default_factory=_no_rows(FUNDING_DTYPE))
    swings: npt.NDArray[Any] = field(default_factory=_no_rows(SWING_DTYPE))
    walls: npt.NDArray[Any] = field(default_factory=_no_rows(WALL_DTYPE))
    published_lots: FloatArray = field(default_factory=lambda: np.zeros(0))


def truth_grid(world: World) -> DensityGrid:
    """Return the true map's grid: the estimators' own, so that maps compare bin by bin."""
    return DensityGrid(anchor=float(world.initial_price_usd), step=BIN_STEP)


def truth_of(
    world: World,
    sigma_1d: FloatArray,
    book: Book,
    record: Record,
    symbol: str,
    others: FloatArray | None = None,
) -> Truth:
    """Read the truth off what the kernels recorded; every array is read-only.

    `others` is the open interest of another crowd, lots, at the published start and after every
    step, where the world publishes a part of it.
    """
    warm, warm_index = world.warmup_steps, world.warmup_steps * world.substeps
    path_price = record.price[warm_index:]
    per_index = world.step_s * SECOND_NS // world.substeps
    path_ns = world.start_ns + np.arange(path_price.size, dtype=np.int64) * per_index
    at = np.arange(len(record.snapshot)) * (world.truth_every_s // world.step_s) * world.substeps
    mark = path_price[at]
    grid = truth_grid(world)
    planted = [(i, n) for i, n in enumerate(MECHANISMS) if getattr(world.mechanisms, n) > 0]
    moved = {name: _frozen(record.moved[i, warm:]) for i, name in planted}
    steps, desk = record.steps[warm:], book.desk[0]
    return Truth(
        symbol=symbol,
        path_ns=_frozen(path_ns),
        path_price=_frozen(path_price),
        sigma_1d=_frozen(sigma_1d[warm:]),
        displacement=_frozen(np.sum(list(moved.values()), axis=0) + np.zeros(len(steps))),
        moved=moved,
        open_interest_start=int(desk["open_at_start"]),
        steps=_frozen(steps),
        positions=_frozen(book.positions[: desk["n_positions"]]),
        liquidations=_frozen(_liquidations(book)),
        grid=grid,
        snapshot_ns=_frozen(path_ns[at]),
        snapshot_mark=_frozen(mark),
        mark_bin=_frozen(np.array([grid.bin_of(p) for p in mark.tolist()], dtype=np.int64)),
        density_usd=_frozen(record.snapshot),
        changes=_frozen(book.changes[: desk["n_changes"]]),
        funding=_frozen(record.funding[: desk["n_fundings"]]),
        swings=_frozen(record.swings[: desk["n_swings"]]),
        walls=_frozen(_walls(world, record.walls[: desk["n_walls"]])),
        published_lots=_frozen(_published(world, int(desk["open_at_start"]), steps, others)),
    )


def _published(
    world: World, start: int, steps: npt.NDArray[Any], others: FloatArray | None
) -> FloatArray:
    """Return open interest as it is published, where it is not the traders' own; else nothing."""
    if others is None:
        return np.zeros(0)
    own = np.concatenate([[start], steps["open_interest"]]).astype(np.float64)
    share = world.feed.oi_of_others
    return np.asarray(np.rint(own ** (1.0 - share) * others**share))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only."""
    array.setflags(write=False)
    return array


def _liquidations(book: Book) -> npt.NDArray[Any]:
    """Return forced orders of the published time; links count from its first."""
    before = int(book.desk["warm_forced"][0])
    out = book.forced[before : int(book.desk["n_forced"][0])].copy()
    for name in ("parent", "root"):
        out[name] = np.where(out[name] >= before, out[name] - before, -1)
    return out


def _walls(world: World, walls: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Walls; one that stood at the end was not seen to go."""
    out = walls.copy()
    out["until_ns"] = np.minimum(out["until_ns"], world.end_ns)
    return out


def truth_tables(truth: Truth) -> dict[str, pa.Table]:
    """Return the truth as tables, to be kept apart from any event log.

    Returns
    -------
    dict of str to pyarrow.Table
        `path` (time, price), `steps` (flows, money, volatility, displacement in all and by
        mechanism), `positions`, `changes`, `liquidations`, `funding`, `swings`, `walls`, and
        `snapshots` (time, mark, its bin, the density rows of both sides as lists).
    """
    more = {"sigma_1d": truth.sigma_1d, "displacement": truth.displacement}
    more |= {f"moved_{name}": values for name, values in truth.moved.items()}
    width = truth.density_usd.shape[2]
    names = ("positions", "changes", "liquidations", "funding", "swings", "walls")
    return {
        "path": pa.table({"ts_ns": truth.path_ns, "price": truth.path_price}),
        "steps": pa.table(_columns(truth.steps) | more),
        **{name: pa.table(_columns(getattr(truth, name))) for name in names},
        "snapshots": pa.table(
            {
                "ts_ns": truth.snapshot_ns,
                "mark": truth.snapshot_mark,
                "mark_bin": truth.mark_bin,
                "long_usd": _lists(truth.density_usd[:, 0], width),
                "short_usd": _lists(truth.density_usd[:, 1], width),
            }
        ),
    }


def _columns(records: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Fields of records as contiguous columns."""
    return {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}


def _lists(rows: npt.NDArray[np.float32], width: int) -> pa.Array:
    """Return rows of one length as an array of lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).ravel()), width)
