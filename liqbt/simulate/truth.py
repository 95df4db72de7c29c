"""What was true in a simulated market, in tables of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.simulate.draws import BIN_STEP, PricePath
from liqbt.simulate.layout import Book, Record, Rules
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, DensityGrid, FloatArray, IntArray

__all__ = [
    "LIQUIDATION_DTYPE",
    "POSITION_DTYPE",
    "STEP_DTYPE",
    "Truth",
    "truth_grid",
    "truth_of",
    "truth_tables",
]

POSITION_DTYPE: Final = np.dtype(
    [
        ("side", "i1"),
        ("fate", "i1"),
        ("leverage", "<f8"),
        ("size_coins", "<f8"),
        ("liquidated_coins", "<f8"),
        ("open_coins", "<f8"),
        ("entry_price", "<f8"),
        ("liquidation_price", "<f8"),
        ("opened_ns", "<i8"),
        ("closed_ns", "<i8"),
    ]
)
"""One position, in order of opening. `fate`: 0 open at the end, 1 closed voluntarily, 2 liquidated;
`closed_ns` is -1 while open. A position of leverage 1 has no liquidation price: it is written as 0
for a long, infinity for a short. What is neither open nor liquidated was closed voluntarily."""

STEP_DTYPE: Final = np.dtype(
    [
        ("end_ns", "<i8"),
        ("opened_long", "<i8"),
        ("left_long", "<i8"),
        ("liquidated_long", "<i8"),
        ("opened_short", "<i8"),
        ("left_short", "<i8"),
        ("liquidated_short", "<i8"),
        ("open_interest", "<i8"),
    ]
)
"""Flows of one step and the open interest at its end, in lots: exact."""

LIQUIDATION_DTYPE: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("position", "<i8"),
        ("side", "i1"),
        ("mark", "<f8"),
        ("size_coins", "<f8"),
    ]
)
"""One forced close: when, which position, its side, the true mark that triggered it, its size."""


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
        Log displacement that the planted magnet applied in each step; 0 where none is planted.
    open_interest_start : int
        Lots open at `start_ns`.
    steps : ndarray of STEP_DTYPE, shape (steps,)
        Flows and open interest.
    positions : ndarray of POSITION_DTYPE
        Every position, those of the warm-up included.
    liquidations : ndarray of LIQUIDATION_DTYPE
        Every forced close of the published time, in order.
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


def truth_grid(world: World) -> DensityGrid:
    """Return the true map's grid: the estimators' own, so that maps compare bin by bin."""
    return DensityGrid(anchor=float(world.initial_price_usd), step=BIN_STEP)


def truth_of(
    world: World, rules: Rules, price: PricePath, book: Book, record: Record, symbol: str
) -> Truth:
    """Read the truth off the kernel's accounts; every array is read-only."""
    warm, warm_index = world.warmup_steps, world.warmup_steps * world.substeps
    path_price = record.price[warm_index:].copy()
    path_ns = _time(world, np.arange(warm_index, record.price.size, dtype=np.int64))
    at = np.arange(len(record.snapshot)) * (world.truth_every_s // world.step_s) * world.substeps
    mark = path_price[at]
    grid = truth_grid(world)
    positions = _positions(world, rules, book, record)
    return Truth(
        symbol=symbol,
        path_ns=_frozen(path_ns),
        path_price=_frozen(path_price),
        sigma_1d=_frozen(price.sigma_1d[warm:].copy()),
        displacement=_frozen(record.displaced[warm:].copy()),
        open_interest_start=_open_at_start(record, book, warm),
        steps=_frozen(_steps(world, record)),
        positions=_frozen(positions),
        liquidations=_frozen(_liquidations(world, rules, book, record)),
        grid=grid,
        snapshot_ns=_frozen(path_ns[at]),
        snapshot_mark=_frozen(mark),
        mark_bin=_frozen(np.array([grid.bin_of(p) for p in mark.tolist()], dtype=np.int64)),
        density_usd=_frozen(record.snapshot),
    )


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only."""
    array.setflags(write=False)
    return array


def _time(world: World, index: IntArray) -> IntArray:
    """Return the time of path indices, ns UTC."""
    per_index = world.step_s * SECOND_NS // world.substeps
    return world.start_ns + (index - world.warmup_steps * world.substeps) * per_index


def _open_at_start(record: Record, book: Book, warm: int) -> int:
    """Lots open when publication begins."""
    if warm > 0:
        return int(record.open_interest[warm - 1])
    place = _places(book)
    return int(place["lots"][(place["opened"] == 0) & (place["side"] == 0)].sum())


def _places(book: Book) -> npt.NDArray[Any]:
    """Return the positions that were opened."""
    return book.place[: int(book.side["count"][0])]


def _steps(world: World, record: Record) -> npt.NDArray[Any]:
    """Flows of the published steps."""
    flow = record.flow[world.warmup_steps :]
    out = np.zeros(len(flow), dtype=STEP_DTYPE)
    ends = np.arange(1, len(flow) + 1, dtype=np.int64)
    out["end_ns"] = world.start_ns + ends * world.step_s * SECOND_NS
    for s, side in enumerate(("long", "short")):
        for f, name in enumerate(("opened", "left", "liquidated")):
            out[f"{name}_{side}"] = flow[:, s, f]
    out["open_interest"] = record.open_interest[world.warmup_steps :]
    return out


def _positions(world: World, rules: Rules, book: Book, record: Record) -> npt.NDArray[Any]:
    """Every position and its fate."""
    place = _places(book)
    out = np.zeros(place.size, dtype=POSITION_DTYPE)
    out["side"] = 1 - 2 * place["side"].astype(np.int8)
    out["fate"] = place["fate"]
    out["leverage"] = rules.leverages[place["bracket"]]
    out["size_coins"] = place["lots"] * rules.lot_coins
    forced = record.forced[: int(record.forced_count[0])]
    lots = np.zeros(place.size, dtype=np.int64)
    lots[forced[:, 0]] = forced[:, 2]  # a position is liquidated once, whole
    out["liquidated_coins"] = lots * rules.lot_coins
    out["open_coins"] = place["left"] * rules.lot_coins
    out["entry_price"] = place["entry"]
    out["liquidation_price"] = place["trigger"]
    out["opened_ns"] = _time(world, place["opened"].astype(np.int64))
    out["closed_ns"] = np.where(
        place["closed"] >= 0, _time(world, place["closed"].astype(np.int64)), -1
    )
    return out


def _liquidations(world: World, rules: Rules, book: Book, record: Record) -> npt.NDArray[Any]:
    """Every forced close of the published time."""
    forced = record.forced[: int(record.forced_count[0])]
    forced = forced[forced[:, 1] > world.warmup_steps * world.substeps]
    out = np.zeros(len(forced), dtype=LIQUIDATION_DTYPE)
    out["ts_ns"] = _time(world, forced[:, 1])
    out["position"] = forced[:, 0]
    out["side"] = 1 - 2 * book.place["side"][forced[:, 0]]
    out["mark"] = record.price[forced[:, 1]]
    out["size_coins"] = forced[:, 2] * rules.lot_coins
    return out


def truth_tables(truth: Truth) -> dict[str, pa.Table]:
    """Return the truth as tables, to be kept apart from any event log.

    Returns
    -------
    dict of str to pyarrow.Table
        `path` (time, price), `steps` (flows, volatility, displacement), `positions`, `liquidations`
        and `snapshots` (time, mark, its bin, the density rows of both sides as lists).
    """
    steps = {name: truth.steps[name] for name in STEP_DTYPE.names or ()}
    steps |= {"sigma_1d": truth.sigma_1d, "displacement": truth.displacement}
    width = truth.density_usd.shape[2]
    return {
        "path": pa.table({"ts_ns": truth.path_ns, "price": truth.path_price}),
        "steps": pa.table(_columns(steps)),
        "positions": pa.table(
            _columns({n: truth.positions[n] for n in POSITION_DTYPE.names or ()})
        ),
        "liquidations": pa.table(
            _columns({n: truth.liquidations[n] for n in LIQUIDATION_DTYPE.names or ()})
        ),
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


def _columns(columns: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Fields of records as contiguous columns."""
    return {name: np.ascontiguousarray(values) for name, values in columns.items()}


def _lists(rows: npt.NDArray[np.float32], width: int) -> pa.Array:
    """Return rows of one length as an array of lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).ravel()), width)
