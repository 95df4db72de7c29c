"""What the venue publishes of a simulated market: event columns, taken from the one true path."""

from __future__ import annotations

from typing import Any

import numpy as np

from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.types import SECOND_NS, FloatArray, IntArray, Kind

__all__ = ["Columns", "event_columns"]

Columns = dict[str, Any]


def event_columns(world: World, truth: Truth, churn: FloatArray) -> dict[Kind, Columns]:
    """Return the columns of every kind that the world publishes, without venue and symbol.

    Parameters
    ----------
    world : World
        Which feeds, how often, how late.
    truth : Truth
        The market.
    churn : ndarray of float64, shape (steps,)
        Unit-mean factors of the volume that opens and closes nothing.
    """
    out = {Kind.MARK: _mark_bars(world, truth) if world.mark_bars else _mark_points(world, truth)}
    if world.bars_every_s:
        out[Kind.BAR] = _bars(world, truth, churn)
    out[Kind.OPEN_INTEREST] = _open_interest(world, truth)
    if world.liquidations:
        out[Kind.LIQUIDATION] = _liquidations(world, truth)
    if world.totals_every_s:
        out[Kind.LIQUIDATION_TOTAL] = _totals(world, truth)
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
    return {**_clocks(ts, world.feed_latency_s), **ohlc}


def _ohlc(world: World, truth: Truth, every_s: int) -> Columns:
    """Buckets of the path: each holds its own points and the one it starts from."""
    width = every_s // world.step_s * world.substeps
    rows = truth.path_price[1:].reshape(-1, width)
    start = truth.path_price[:-1:width]
    ts = _edges(world, every_s)[1:]
    return {
        **_clocks(ts, world.feed_latency_s),
        "span_s": every_s,
        "open": start,
        "high": np.maximum(start, rows.max(axis=1)),
        "low": np.minimum(start, rows.min(axis=1)),
        "close": rows[:, -1],
    }


def _mark_bars(world: World, truth: Truth) -> Columns:
    """Return the mark's own highs and lows, one bar a step."""
    return _ohlc(world, truth, world.step_s)


def _bars(world: World, truth: Truth, churn: FloatArray) -> Columns:
    """Last-price bars; the last price is the mark. Volume is every contract that changed hands."""
    s = truth.steps
    traded = s["opened_long"] + s["left_short"] + s["liquidated_short"]
    busy = truth.sigma_1d / world.daily_volatility * world.step_s / 86_400
    idle = world.churn_per_day * s["open_interest"] * busy * churn
    coins = (traded + idle) * world.lot_coins
    volume = coins.reshape(-1, world.bars_every_s // world.step_s).sum(axis=1)
    return {**_ohlc(world, truth, world.bars_every_s), "volume_coins": volume}


def _open_interest(world: World, truth: Truth) -> Columns:
    """Open interest, sampled, in coins and at the mark in USD; polled, so known late."""
    every = world.oi_every_s // world.step_s
    lots = np.concatenate([[truth.open_interest_start], truth.steps["open_interest"]])[::every]
    coins = lots * world.lot_coins
    mark = truth.path_price[:: world.substeps][::every]
    return {
        **_clocks(_edges(world, world.oi_every_s), world.oi_latency_s),
        "open_interest_coins": coins,
        "open_interest_usd": coins * mark,
    }


def _liquidations(world: World, truth: Truth) -> Columns:
    """Every forced order, at the true mark that triggered it."""
    forced = truth.liquidations
    return {
        **_clocks(forced["ts_ns"], world.feed_latency_s),
        "seq": np.arange(len(forced), dtype=np.int64),
        "side": forced["side"],
        "price": forced["mark"],
        "size_coins": forced["size_coins"],
    }


def _totals(world: World, truth: Truth) -> Columns:
    """Liquidated USD per bucket and side; a bucket holds (start, end], as the path's points do."""
    forced = truth.liquidations
    width = world.totals_every_s * SECOND_NS
    n = world.days * 86_400 // world.totals_every_s
    bucket = (forced["ts_ns"] - world.start_ns - 1) // width
    usd = forced["mark"] * forced["size_coins"]
    longs = forced["side"] > 0
    return {
        **_clocks(_edges(world, world.totals_every_s)[1:], world.feed_latency_s),
        "span_s": world.totals_every_s,
        "long_usd": np.bincount(bucket[longs], usd[longs], minlength=n),
        "short_usd": np.bincount(bucket[~longs], usd[~longs], minlength=n),
    }
