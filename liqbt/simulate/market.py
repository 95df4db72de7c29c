"""Run a world: its events as a venue would publish them, and its truth beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from liqbt.errors import ConfigError
from liqbt.log import event_table
from liqbt.simulate.draws import draw_price, draw_script, draw_shocks, rules_of, stream
from liqbt.simulate.feed import Columns, event_columns
from liqbt.simulate.kernels import run
from liqbt.simulate.layout import (
    BIN_DTYPE,
    DUE_DTYPE,
    PLACE_DTYPE,
    SIDE_DTYPE,
    Book,
    Record,
    Rules,
    Script,
)
from liqbt.simulate.truth import Truth, truth_grid, truth_of
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, Kind

__all__ = ["Market", "simulate"]


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
    ConfigError
        If the price runs off the grid; names symbol, time, price and the planted mechanism.

    Examples
    --------
    >>> market = simulate(World(name="small", days=1, warmup_days=1), seed=7)
    >>> market.tables[Kind.OPEN_INTEREST].num_rows
    289
    >>> bool((market.truth["SIM"].displacement == 0).all())
    True
    """
    rules = rules_of(world)
    common = None
    if world.common_factor > 0 and len(world.symbols) > 1:
        common = draw_shocks(world, stream(seed, 0))
    truth: dict[str, Truth] = {}
    columns = []
    for i, symbol in enumerate(world.symbols):
        price = draw_price(world, stream(seed, 1, i), common)
        script = draw_script(world, price, stream(seed, 2, i))
        book, record = _run(world, rules, script, symbol)
        truth[symbol] = truth_of(world, rules, price, book, record, symbol)
        churn = stream(seed, 3, i).standard_exponential(world.steps)
        columns.append(event_columns(world, truth[symbol], churn))
    return Market(world=world, tables=_tables(world, columns), truth=truth)


def _run(world: World, rules: Rules, script: Script, symbol: str) -> tuple[Book, Record]:
    """Allocate the accounts, run the kernel, and refuse a price that ran away."""
    steps = script.pull.size
    edges = truth_grid(world).outward_edges(_truth_entries(world))
    rows = -(-world.steps * world.step_s // world.truth_every_s)
    book = empty_book(rules, 2 * script.pair_lots.size + steps, steps)
    record = Record(
        price=np.zeros(steps * rules.substeps + 1),
        flow=np.zeros((steps, 2, 3), dtype=np.int64),
        open_interest=np.zeros(steps, dtype=np.int64),
        displaced=np.zeros(steps),
        forced=np.empty((book.place.size, 3), dtype=np.int64),
        forced_count=np.zeros(1, dtype=np.int64),
        snapshot=np.zeros((rows, 2, edges.size - 1), dtype=np.float32),
    )
    failed = run(script, rules, book, record, edges, world.truth_every_s // world.step_s)
    if failed >= 0:
        raise ConfigError(_runaway(world, record, failed, symbol))
    return book, record


def _truth_entries(world: World) -> int:
    """How many entries a row of the true map has: out to 60 % below, as forecasts reach."""
    grid = truth_grid(world)
    return grid.fine_bins + -(-(round(0.92 / grid.step) - grid.fine_bins) // grid.coarse)


def empty_book(rules: Rules, positions: int, steps: int) -> Book:
    """Accounts for so many positions; pages that are never reached cost nothing."""
    bins = 2 * rules.half_bins + 1
    side = np.zeros(2, dtype=SIDE_DTYPE)
    side["near_bin"] = [0, bins - 1]
    side["near_price"] = [-np.inf, np.inf]
    grid = np.zeros((2, bins), dtype=BIN_DTYPE)
    grid["head"] = -1
    return Book(
        place=np.empty(positions, dtype=PLACE_DTYPE),
        side=side,
        bins=grid,
        due=np.full((2, steps + 1), -1, dtype=np.int64).repeat(2, axis=1).view(DUE_DTYPE),
    )


def _runaway(world: World, record: Record, index: int, symbol: str) -> str:
    """Say where and why the price left the grid."""
    seconds = index * world.step_s // world.substeps - world.warmup_days * 86_400
    when = np.datetime64(world.start_ns + seconds * SECOND_NS, "ns").astype("datetime64[s]")
    last = record.price[index - 1]
    why = f"magnet {world.magnet:g}" if world.magnet > 0 else "no mechanism, only its volatility"
    return (
        f"world {world.name}: the price of {symbol} ran off the grid at {when} from {last:g} USD "
        f"({why}): lower daily_volatility or magnet, or simulate fewer days"
    )


def _tables(world: World, parts: list[dict[Kind, Columns]]) -> dict[Kind, pa.Table]:
    """Join the symbols' columns into one event table per kind."""
    out = {}
    for kind in parts[0]:
        columns: Columns = {"venue": world.venue}
        rows = [len(part[kind]["ts_event"]) for part in parts]
        columns["symbol"] = np.repeat(np.array(world.symbols, dtype=object), rows)
        for name, value in parts[0][kind].items():
            whole = np.ndim(value) > 0
            columns[name] = np.concatenate([p[kind][name] for p in parts]) if whole else value
        out[kind] = event_table(kind, columns)
    return out
