"""A synthetic tape of the size that a busy symbol has in a quarter."""

from __future__ import annotations

import numpy as np

from liqbt.tape.values import Tape, trusted_tape
from liqbt.types import DAY_NS, EVENT_DTYPE, Events, Instrument, Kind, Side

DAYS = 90
_START = 1_735_689_600 * 10**9


def synthetic_tape(n_events: int, rng: np.random.Generator) -> Tape:
    """Return a tape over 90 days: 90 % trades, 5 % open interest, 5 % liquidations, and marks.

    Each open interest has a mark of its own right before it, which comes on top.

    Parameters
    ----------
    n_events : int
        Number of events besides the marks.
    rng : numpy.random.Generator
        Draws times, the price walk, sizes and sides.
    """
    n_oi = n_events // 20
    n_liquidations = n_events // 20
    n_trades = n_events - n_oi - n_liquidations
    kinds = np.concatenate(
        [
            np.full(n_trades, Kind.TRADE, np.uint8),
            np.full(n_oi, Kind.OPEN_INTEREST, np.uint8),
            np.full(n_liquidations, Kind.LIQUIDATION, np.uint8),
        ]
    )
    rng.shuffle(kinds)
    events = np.zeros(n_events + n_oi, EVENT_DTYPE)
    is_oi = kinds == Kind.OPEN_INTEREST
    place = np.arange(n_events) + np.cumsum(is_oi)
    times = _START + np.sort(rng.integers(0, DAYS * DAY_NS, n_events))
    price = rng.normal(0, 0.2 / np.sqrt(n_events), n_events)
    np.cumsum(price, out=price)
    np.exp(price, out=price)
    np.multiply(price, 60_000, out=price)
    np.round(price, 1, out=price)
    for name in ("p0", "p1", "p2", "p3", "p4"):
        events[name] = np.nan
    events["kind"][place] = kinds
    events["ts_known"][place] = times
    events["p0"][place] = price
    events["p1"][place] = np.round(rng.lognormal(-3, 1.5, n_events), 3)
    events["side"][place] = rng.choice(np.array([-1, 1], np.int8), n_events)
    oi = place[is_oi]
    _write_marks(events, oi - 1, times[is_oi], price[is_oi])
    walk = 90_000 * np.exp(np.cumsum(rng.normal(0, 0.3 / np.sqrt(max(n_oi, 1)), n_oi)))
    events["p0"][oi] = walk
    events["p1"][oi] = np.nan
    events["side"][oi] = Side.NONE
    events["ts_event"] = events["ts_known"]
    return trusted_tape(events, (Instrument("synthetic", "SYN"),))  # in order, and not copied


def _write_marks(
    events: Events, rows: np.ndarray, times: np.ndarray, price: np.ndarray
) -> None:  # a mark point right before each open interest
    events["kind"][rows] = Kind.MARK
    events["ts_known"][rows] = times
    for name in ("p0", "p1", "p2", "p3"):
        events[name][rows] = price
