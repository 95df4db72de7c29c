"""Published depth as it became known: bands about the price, and the walls among them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.types import Events, FloatArray, IntArray, Kind

WALL: Final = 1.5
"""A band is a wall where its depth per log price is so many times the snapshot's median band's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Depth of one market, snapshot by snapshot in the order in which they were known.

    Attributes
    ----------
    known_ns : ndarray of int64, shape (n,)
        When each snapshot was known.
    starts : ndarray of int64, shape (n + 1,)
        First band of each.
    above : ndarray of int64, shape (m,)
        Of each band: +1 where it holds asks, above the price, −1 where it holds bids.
    low, high : ndarray of float64, shape (m,)
        Its log prices.
    wall : ndarray of bool, shape (m,)
        Whether it holds a wall.
    """

    known_ns: IntArray
    starts: IntArray
    above: IntArray
    low: FloatArray
    high: FloatArray
    wall: npt.NDArray[np.bool_]


def market_depth(events: Events) -> Depth | None:
    """Return the depth among a market's events, in canonical order; None where there is none.

    A band whose notional is unknown is valued by its coins at its middle.
    """
    rows = events[events["kind"] == Kind.DEPTH]
    if not len(rows):
        return None
    usd = np.where(np.isnan(rows["p3"]), rows["p2"] * (rows["p0"] + rows["p1"]) / 2, rows["p3"])
    rows, usd = rows[np.isfinite(usd)], usd[np.isfinite(usd)]
    known = rows["ts_known"].astype(np.int64)
    opens = np.flatnonzero(np.diff(known, prepend=-1) != 0)
    starts = np.append(opens, len(rows)).astype(np.int64)
    low, high = np.log(rows["p0"]), np.log(rows["p1"])
    density = usd / (high - low)
    middle = [np.median(density[a:b]) for a, b in pairwise(starts)]
    typical = np.repeat(np.array(middle), np.diff(starts))
    return Depth(
        known_ns=known[opens],
        starts=starts,
        above=-rows["side"].astype(np.int64),
        low=low,
        high=high,
        wall=density >= WALL * typical,
    )
