"""Funding rates as they became known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.types import DAY_NS, Events, FloatArray, IntArray, Kind

_INTERVAL_H: Final = 8.0
_MAX_AGE_NS: Final = DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """Funding of one market, in the order in which it became known.

    Attributes
    ----------
    known_ns : ndarray of int64, shape (n,)
        When each rate became known, not decreasing.
    rate : ndarray of float64, shape (n,)
        Of eight hours; positive: longs pay.
    """

    known_ns: IntArray
    rate: FloatArray


def market_funding(events: Events) -> Funding | None:
    """Return the funding among a market's events, in canonical order; None where there is none.

    A rate of another interval is turned into that of eight hours; of an unknown one, it is taken to
    be of eight.
    """
    rows = events[events["kind"] == Kind.FUNDING]
    if not len(rows):
        return None
    hours = np.where(rows["p1"] > 0, rows["p1"], _INTERVAL_H)
    return Funding(
        known_ns=rows["ts_known"].astype(np.int64), rate=rows["p0"] * _INTERVAL_H / hours
    )


def funding_at(funding: Funding, at: IntArray) -> FloatArray:
    """Return the last rate known before each time; NaN where none is, or it is a day old."""
    place = np.searchsorted(funding.known_ns, at, "left") - 1
    found = np.maximum(place, 0)
    fresh = (place >= 0) & (at - funding.known_ns[found] < _MAX_AGE_NS)
    return np.where(fresh, funding.rate[found], np.nan)
