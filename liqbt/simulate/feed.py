"""What the venue publishes of a simulated market: event columns, taken from the one true path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.simulate.effects.levels import distances, smoothed
from liqbt.simulate.prices import stationary, stream
from liqbt.simulate.sections import Faults
from liqbt.simulate.tables import WALL_DTYPE
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.types import HOUR_NS, SECOND_NS, FloatArray, IntArray, Kind, Side

Columns = dict[str, Any]

DEPTH_BANDS: Final = (0.0, 0.002, 0.01, 0.02, 0.03, 0.04, 0.05)
"""Edges of the published depth bands, as distances from the price."""

DECOY: Final = 0.3
"""What a wall that holds nothing is as large as, in daily σ."""
BEFORE: Final = 3
"""So many bins before the densest one it stands."""

_SEEN_STEP: Final = 0.005
_SEEN_HALF: Final = 1000

FAULTS: Final[Mapping[Kind, str]] = {
    Kind.MARK: "mark_faults",
    Kind.BAR: "bar_faults",
    Kind.TRADE: "trade_faults",
    Kind.OPEN_INTEREST: "oi_faults",
    Kind.LIQUIDATION: "liquidation_faults",
    Kind.LIQUIDATION_TOTAL: "totals_faults",
    Kind.FUNDING: "funding_faults",
    Kind.DEPTH: "depth_faults",
}


def event_columns(
    world: World, truth: Truth, seed: int | np.random.SeedSequence, symbol: int
) -> dict[Kind, Columns]:
    """Return the columns of every kind that the world publishes, without venue and symbol.

    Parameters
    ----------
    world : World
        Which feeds, how often, how late, and what goes wrong.
    truth : Truth
        The market.
    seed : int or SeedSequence
        Root seed: idle volume, depth and faults have streams of their own.
    symbol : int
        The symbol's place in `world.symbols`.
    """
    feed = world.feed
    out = {Kind.MARK: _mark_bars(world, truth) if feed.mark_bars else _mark_points(world, truth)}
    if feed.bars_every_s or feed.trades:
        bought, sold = _taken(world, truth, stream(seed, 3, symbol))
        if feed.bars_every_s:
            out[Kind.BAR] = _bars(world, truth, bought + sold)
        if feed.trades:
            out[Kind.TRADE] = _trades(world, truth, bought, sold)
    out[Kind.OPEN_INTEREST] = _open_interest(world, truth)
    if feed.liquidations:
        out[Kind.LIQUIDATION] = _liquidations(world, truth)
    if feed.totals_every_s:
        out[Kind.LIQUIDATION_TOTAL] = _totals(world, truth)
    if feed.funding and len(truth.funding):
        out[Kind.FUNDING] = _funding(world, truth)
    if feed.depth_every_s:
        out[Kind.DEPTH] = _depth(world, truth, stream(seed, 3, symbol, 1))
    if feed.census_every_s:
        out[Kind.POSITION] = _census(world, truth, stream(seed, 3, symbol, 2))
    for kind, columns in out.items():
        if kind not in FAULTS:
            continue
        faults = getattr(feed, FAULTS[kind])
        out[kind] = apply_faults(columns, faults, world, stream(seed, 4, symbol, int(kind)))
    return out


def _clocks(ts: IntArray, latency_s: int) -> Columns:
    """Return the two clocks."""
    return {"ts_event": ts, "ts_known": ts + latency_s * SECOND_NS}


def _edges(world: World, every_s: int) -> IntArray:
    """Return the published times, every so many seconds, both ends included."""
    count = world.days * 86_400 // every_s
    return world.start_ns + np.arange(count + 1, dtype=np.int64) * (every_s * SECOND_NS)


def _mark_points(world: World, truth: Truth) -> Columns:
    """Return the mark at every step's edge."""
    price = truth.path_price[:: world.substeps]
    ts = _edges(world, world.step_s)
    ohlc = dict.fromkeys(("open", "high", "low", "close"), price)
    return {**_clocks(ts, world.feed.feed_latency_s), **ohlc}


def _ohlc(world: World, truth: Truth, every_s: int) -> Columns:
    """Buckets of the path: each holds its own points and the one it starts from."""
    width = every_s // world.step_s * world.substeps
    rows = truth.path_price[1:].reshape(-1, width)
    start = truth.path_price[:-1:width]
    ts = _edges(world, every_s)[1:]
    return {
        **_clocks(ts, world.feed.feed_latency_s),
        "span_s": every_s,
        "open": start,
        "high": np.maximum(start, rows.max(axis=1)),
        "low": np.minimum(start, rows.min(axis=1)),
        "close": rows[:, -1],
    }


def _mark_bars(world: World, truth: Truth) -> Columns:
    """Return the mark's own highs and lows, one bar a step."""
    return _ohlc(world, truth, world.step_s)


def _taken(world: World, truth: Truth, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return what takers bought and sold in each step, coins; idle volume is half of each."""
    s, traders = truth.steps, world.traders
    idle = rng.standard_exponential(world.steps)
    idle *= truth.sigma_1d / world.price.daily_volatility * world.step_s / 86_400
    idle *= traders.churn_per_day / 2 * traders.lot_coins * s["open_interest"]
    return (
        s["taker_bought"] * traders.lot_coins + idle,
        s["taker_sold"] * traders.lot_coins + idle,
    )


def _bars(world: World, truth: Truth, traded: FloatArray) -> Columns:
    """Last-price bars; the last price is the mark. Volume is every contract that changed hands."""
    every = world.feed.bars_every_s
    volume = traded.reshape(-1, every // world.step_s).sum(axis=1)
    return {**_ohlc(world, truth, every), "volume_coins": volume}


def _trades(world: World, truth: Truth, bought: FloatArray, sold: FloatArray) -> Columns:
    """One print a step and side: all that takers bought, and all they sold, at its last price."""
    price = np.repeat(truth.path_price[world.substeps :: world.substeps], 2)
    size = np.stack([bought, sold], axis=1).ravel()
    side = np.tile(np.array([1, -1], dtype=np.int8), world.steps)
    ts = np.repeat(_edges(world, world.step_s)[1:], 2)
    kept = size > 0
    columns = {**_clocks(ts, world.feed.feed_latency_s), "side": side, "price": price}
    columns |= {"size_coins": size, "seq": np.arange(size.size, dtype=np.int64)}
    return {name: values[kept] for name, values in columns.items()}


def _open_interest(world: World, truth: Truth) -> Columns:
    """Open interest, sampled, in coins and at the mark in USD; polled, so known late."""
    every = world.feed.oi_every_s // world.step_s
    own = np.concatenate([[truth.open_interest_start], truth.steps["open_interest"]])
    lots = truth.published_lots if truth.published_lots.size else own
    coins = lots[::every] * world.traders.lot_coins
    mark = truth.path_price[:: world.substeps][::every]
    return {
        **_clocks(_edges(world, world.feed.oi_every_s), world.feed.oi_latency_s),
        "open_interest_coins": coins,
        "open_interest_usd": coins * mark,
    }


def _census(world: World, truth: Truth, rng: np.random.Generator) -> Columns:
    """Return the positions of the true map, one a bin, of those prices whose holders are seen.

    Which are is drawn once for each half per cent of price and side, so that a census sees whom the
    last one saw.
    """
    every = world.feed.census_every_s // world.truth_every_s
    at = np.arange(0, len(truth.snapshot_ns), every)
    seen = rng.random((2, 2 * _SEEN_HALF)) < world.feed.census_share
    parts = []
    for k in at.tolist():
        for row, side in enumerate((Side.LONG, Side.SHORT)):
            usd = truth.density_usd[k, row].astype(np.float64)
            edges = truth.grid.prices(int(truth.mark_bin[k]), side, len(usd))
            price = np.sqrt(edges[1:] * edges[:-1])
            level = np.floor(np.log(price / truth.grid.anchor) / _SEEN_STEP).astype(np.int64)
            kept = (usd > 0.0) & seen[row, np.clip(level + _SEEN_HALF, 0, 2 * _SEEN_HALF - 1)]
            n = int(kept.sum())
            parts.append(
                (
                    np.full(n, truth.snapshot_ns[k]),
                    np.full(n, int(side), np.int8),
                    price[kept],
                    usd[kept] / price[kept],
                )
            )
    ts, side_of, price_of, coins = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {
        **_clocks(ts, world.feed.feed_latency_s),
        "seq": np.arange(len(ts), dtype=np.int64),
        "side": side_of,
        "liquidation_price": price_of,
        "size_coins": coins,
    }


def _liquidations(world: World, truth: Truth) -> Columns:
    """Return forced orders as the venue tells of them: all, or at most one a second."""
    forced, feed = truth.liquidations, world.feed
    ts = _execution(forced["ts_ns"], feed.execution_s)
    kept = _throttled(ts, forced["size_coins"], feed.throttle)
    price = forced["bankruptcy_price"] if feed.bankruptcy_price else forced["mark"]
    price = np.maximum(price, world.price.tick_usd)
    return {
        **_clocks(ts[kept], feed.feed_latency_s),
        "seq": np.arange(len(forced), dtype=np.int64)[kept],
        "side": forced["side"][kept],
        "price": price[kept],
        "size_coins": forced["size_coins"][kept],
    }


def _execution(ts: IntArray, seconds: int) -> IntArray:
    """Spread the orders of one instant evenly over so many seconds after it, in order."""
    if seconds == 0 or ts.size == 0:
        return np.ascontiguousarray(ts)
    first = np.flatnonzero(np.concatenate([[True], np.diff(ts) > 0]))
    count = np.diff(np.append(first, ts.size))
    place = np.arange(ts.size) - np.repeat(first, count)
    late: IntArray = place * (seconds * SECOND_NS) // np.repeat(count, count)
    return np.asarray(ts + late)


def _throttled(ts: IntArray, size: FloatArray, rule: str) -> npt.NDArray[np.int64]:
    """Return which orders are sent: with a throttle, the latest or the largest of each second."""
    rows = np.arange(ts.size)
    if rule == "none":
        return rows
    second = ts // SECOND_NS
    rank = rows if rule == "latest" else size
    order = np.lexsort((rows, rank, second))
    last = np.append(np.diff(second[order]) > 0, True)[: order.size]
    return np.sort(order[last])


def _totals(world: World, truth: Truth) -> Columns:
    """Liquidated USD per bucket and side; a bucket holds (start, end], as the path's points do."""
    forced, every = truth.liquidations, world.feed.totals_every_s
    n = world.days * 86_400 // every
    bucket = (forced["ts_ns"] - world.start_ns - 1) // (every * SECOND_NS)
    usd = forced["mark"] * forced["size_coins"]
    longs = forced["side"] > 0
    return {
        **_clocks(_edges(world, every)[1:], world.feed.feed_latency_s),
        "span_s": every,
        "long_usd": np.bincount(bucket[longs], usd[longs], minlength=n),
        "short_usd": np.bincount(bucket[~longs], usd[~longs], minlength=n),
    }


def _funding(world: World, truth: Truth) -> Columns:
    """Funding rates, at each settlement."""
    settled = truth.funding[truth.funding["ts_ns"] > world.start_ns]
    return {
        **_clocks(np.ascontiguousarray(settled["ts_ns"]), world.feed.feed_latency_s),
        "rate": settled["rate"],
        "interval_hours": float(world.exchange.funding_every_h),
    }


def _depth(world: World, truth: Truth, rng: np.random.Generator) -> Columns:
    """Resting orders in bands about the price, thinner when volatility is high, walls included."""
    feed, every = world.feed, world.feed.depth_every_s // world.step_s
    ts = _edges(world, feed.depth_every_s)[1:]
    price = truth.path_price[world.substeps :: world.substeps][every - 1 :: every]
    calm = world.price.daily_volatility / truth.sigma_1d[every - 1 :: every]
    noise = np.exp(stationary(rng, ts.size, 0.3, 4.0, feed.depth_every_s))
    base = feed.depth_share * world.traders.open_interest_usd * calm * noise
    near, far = np.array(DEPTH_BANDS[:-1]), np.array(DEPTH_BANDS[1:])
    parts = []
    shown = [(truth.walls, world.mechanisms.walls)]
    if feed.depth_decoys:
        shown.append((_decoys(world, truth, rng), DECOY))
    for sign in (1, -1):
        low = price[:, None] * (1 - far if sign > 0 else 1 + near)
        high = price[:, None] * (1 - near if sign > 0 else 1 + far)
        usd = base[:, None] * ((far - near) / 0.01)
        for walls, size in shown:
            usd = usd + _walls_usd(world, walls, size, ts, (low, high), sign)
        side = np.full(usd.size, sign, dtype=np.int8)
        coins = usd / ((low + high) / 2)
        parts.append((low.ravel(), high.ravel(), coins.ravel(), usd.ravel(), side))
    low, high, coins, usd, side = (np.concatenate(column) for column in zip(*parts, strict=True))
    ts = np.tile(np.repeat(ts, near.size), 2)
    clocks = _clocks(ts, feed.feed_latency_s)
    return {**clocks, "side": side, "low": low, "high": high, "depth_coins": coins,
            "depth_usd": usd}  # fmt: skip


def _decoys(world: World, truth: Truth, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return walls that are shown and hold nothing, just before the densest levels within reach.

    They are drawn at the snapshots of the true map, and stand as long as walls do.
    """
    rows = np.arange(truth.snapshot_ns.size)
    density = smoothed(truth, rows)
    far = np.stack(distances(truth, rows))
    near = far <= world.mechanisms.reach_sigma * world.price.daily_volatility
    best = np.where(near, density, 0.0).argmax(axis=2)
    drawn = rng.random((rows.size, 2)) < world.feed.depth_decoys
    lasts = int(world.mechanisms.wall_hours * HOUR_NS)
    free, out = [0, 0], []
    for i in rows.tolist():
        now = int(truth.snapshot_ns[i])
        for side in range(2):
            away = far[side, i, best[side, i]] - BEFORE * truth.grid.step
            if now < free[side] or not drawn[i, side] or away <= truth.grid.step:
                continue
            sign = 2 * side - 1
            free[side] = now + lasts
            price = float(truth.snapshot_mark[i]) * float(np.exp(sign * away))
            out.append((now, now + lasts, sign, price, 0.0))
    return np.array(out, dtype=WALL_DTYPE)


def _walls_usd(
    world: World,
    walls: npt.NDArray[Any],
    share: float,
    ts: IntArray,
    bands: tuple[FloatArray, FloatArray],
    sign: int,
) -> FloatArray:
    """USD of the walls that stand in each band; one absorbs what depth of its size would.

    A wall's size in USD is what it absorbs in log price, at the depth of a calm book.
    """
    low, high = bands
    out = np.zeros_like(low)
    size = share * world.price.daily_volatility / 0.01
    usd = size * world.feed.depth_share * world.traders.open_interest_usd
    for wall in walls:
        if wall["side"] != -sign:
            continue
        first, last = np.searchsorted(ts, [wall["from_ns"], wall["until_ns"]])
        rows = slice(first, last)
        out[rows] += usd * ((low[rows] <= wall["price"]) & (wall["price"] < high[rows]))
    return out


def apply_faults(
    columns: dict[str, Any], faults: Faults, world: World, rng: np.random.Generator
) -> dict[str, Any]:
    """Return a feed's columns with its faults; a clean feed is returned as it is.

    Parameters
    ----------
    columns : dict
        Columns of one feed, arrays of one length or scalars.
    faults : Faults
        What goes wrong.
    world : World
        Its period bounds the outages.
    rng : Generator
        The feed's own chance.
    """
    if faults == Faults():
        return columns
    ts = columns["ts_event"]
    kept = ~_in_gap(ts, faults, world, rng)
    kept &= rng.random(ts.size) >= faults.missing
    late = np.where(rng.random(ts.size) < faults.delayed, rng.standard_exponential(ts.size), 0.0)
    extra: IntArray = np.rint(late * faults.delay_s * SECOND_NS).astype(np.int64)
    twice = np.flatnonzero(kept & (rng.random(ts.size) < faults.duplicated))
    rows = np.concatenate([np.flatnonzero(kept), twice])
    out = {k: v[rows] if np.ndim(v) > 0 else v for k, v in columns.items()}
    out["ts_known"] = columns["ts_known"][rows] + extra[rows]
    if twice.size:
        out["ts_known"][-twice.size :] += SECOND_NS
    return out


def _in_gap(
    ts: IntArray, faults: Faults, world: World, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Tell which instants fall into an outage."""
    count = int(rng.poisson(faults.gaps_per_day * world.days))
    start = world.start_ns + rng.random(count) * (world.end_ns - world.start_ns)
    length = rng.standard_exponential(count) * faults.gap_minutes * 60 * SECOND_NS
    out = np.zeros(ts.size, dtype=bool)
    for begin, end in zip(start.tolist(), (start + length).tolist(), strict=True):
        out |= (ts >= begin) & (ts < end)
    return out
