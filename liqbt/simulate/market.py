"""Run a world: its events as a venue would publish them, and its truth beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from liqbt.errors import RunawayError
from liqbt.log.tables import event_table
from liqbt.simulate.accounts import empty_book, empty_record
from liqbt.simulate.draws import draw_script
from liqbt.simulate.feed import Columns, event_columns
from liqbt.simulate.kernels.engine import bin_values, run
from liqbt.simulate.layout import Book, Record, Script
from liqbt.simulate.prices import draw_price, draw_shocks, stream
from liqbt.simulate.rules import rules_of, tiers_of
from liqbt.simulate.sections import MECHANISMS, Mechanisms
from liqbt.simulate.truth import Truth, truth_grid, truth_of
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, FloatArray, Kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """What a venue published, and what was true.

    Attributes
    ----------
    world : World
        What was simulated.
    tables : mapping of Kind to pyarrow.Table
        Event tables for the log, all symbols; a kind that the world does not publish is absent.
    truth : mapping of str to Truth
        By symbol. It is in no table, and no estimator can reach it.
    """

    world: World
    tables: Mapping[Kind, pa.Table]
    truth: Mapping[str, Truth]


def simulate(world: World, *, seed: int | np.random.SeedSequence) -> Market:
    """Simulate a leveraged market; the same world and seed give the same bytes.

    Parameters
    ----------
    world : World
        The market's make-up.
    seed : int or SeedSequence
        Root seed. Replications are spawned: `numpy.random.SeedSequence(seed).spawn(n)` gives seeds
        whose markets do not depend on how many are run, nor where.

    Raises
    ------
    RunawayError
        If the price runs off the grid; names symbol, time, price and the planted mechanism.

    Examples
    --------
    >>> market = simulate(World(name="small", days=1, warmup_days=1), seed=7)
    >>> market.tables[Kind.OPEN_INTEREST].num_rows
    289
    >>> bool((market.truth["SIM"].displacement == 0).all())
    True
    """
    common = None
    if world.price.common_factor > 0 and len(world.symbols) > 1:
        common = draw_shocks(world, stream(seed, 0))
    truth: dict[str, Truth] = {}
    columns = []
    for i, symbol in enumerate(world.symbols):
        price = draw_price(world, seed, i, common)
        sigma_1d = price.sigma_1d
        script = draw_script(world, price, seed, i)
        del price
        book, record = _run(world, script, symbol)
        del script
        others = None
        if world.feed.oi_of_others > 0:
            others = _others(world, seed, i, common, record.price)
        truth[symbol] = truth_of(world, sigma_1d, book, record, symbol, others)
        del book, record
        columns.append(event_columns(world, truth[symbol], seed, i))
    return Market(world=world, tables=_tables(world, columns), truth=truth)


def _others(
    world: World,
    seed: int | np.random.SeedSequence,
    symbol: int,
    common: FloatArray | None,
    path: FloatArray,
) -> FloatArray:
    """Return the open interest of another crowd on the same path, lots, from the start on."""
    calm: dict[str, Any] = {"mechanisms": Mechanisms(), "oi_volatility": 0.0}
    apart = replace(world, **calm)
    price = draw_price(apart, seed, symbol, common)
    price.noise[1:] = np.diff(np.log(path))
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    own = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, 5))
    book, record = _run(apart, draw_script(apart, price, own, symbol), world.symbols[symbol])
    after = record.steps["open_interest"][world.warmup_steps :]
    return np.concatenate([[book.desk[0]["open_at_start"]], after]).astype(np.float64)


def _run(world: World, script: Script, symbol: str) -> tuple[Book, Record]:
    """Allocate the accounts, run the kernel, and refuse a price that ran away."""
    fixed = rules_of(world)
    edges = truth_grid(world).outward_edges(_truth_entries(world))
    rows = -(-world.steps * world.step_s // world.truth_every_s)
    leverages = np.array([1.0, *world.traders.leverages])
    book = empty_book(fixed, tiers_of(world), leverages, script)
    record = empty_record(fixed, script, rows, edges.size - 1)
    every = world.truth_every_s // world.step_s
    failed = run(script, book, record, edges, bin_values(fixed[0]), every)
    if failed >= 0:
        raise RunawayError(_runaway(world, record, failed, symbol))
    return book, record


def _truth_entries(world: World) -> int:
    """How many entries a row of the true map has: out to 60 % below, as forecasts reach."""
    grid = truth_grid(world)
    return grid.fine_bins + -(-(round(0.92 / grid.step) - grid.fine_bins) // grid.coarse)


def _runaway(world: World, record: Record, index: int, symbol: str) -> str:
    """Say when, where and by which mechanism the price ran away."""
    seconds = index * world.step_s // world.substeps - world.warmup_days * 86_400
    when = np.datetime64(world.start_ns + seconds * SECOND_NS, "ns").astype("datetime64[s]")
    last = record.price[index - 1]
    step = (index - 1) // world.substeps
    recent = slice(max(step - 86_400 // world.step_s, 0), step + 1)
    moved = np.abs(record.moved[:, recent]).sum(axis=1)
    why, key = "no mechanism, only its volatility", "daily_volatility"
    if moved.max() > 0:
        key = MECHANISMS[int(moved.argmax())]
        why = f"moved most by {key} {getattr(world.mechanisms, key):g}"
    return (
        f"world {world.name}: the price of {symbol} ran away at {when} from {last:g} USD ({why}): "
        f"lower {key}, or simulate fewer days"
    )


def _tables(world: World, parts: list[dict[Kind, Columns]]) -> dict[Kind, pa.Table]:
    """Join the symbols' columns into one event table per kind; `parts` is used up."""
    out = {}
    for kind in list(parts[0]):
        columns: Columns = {"venue": world.venue, "symbol": world.symbols[0]}
        columns |= _joined(world, [part.pop(kind) for part in parts])
        out[kind] = event_table(kind, columns)
    return out


def _joined(world: World, parts: list[Columns]) -> Columns:
    """Put the symbols' columns of one kind behind each other; those of one are not copied."""
    if len(parts) == 1:
        return parts[0]
    rows = [len(part["ts_event"]) for part in parts]
    out: Columns = {"symbol": np.repeat(np.array(world.symbols, dtype=object), rows)}
    for name, value in parts[0].items():
        out[name] = np.concatenate([p[name] for p in parts]) if np.ndim(value) > 0 else value
    return out
