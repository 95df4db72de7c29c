"""The arrays that an estimator's state is made of: their layout, and how they are saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.estimators.config import MapParams, MarketSpec, rules
from liqbt.estimators.kernels import Market, read_market
from liqbt.types import Events, IntArray, Kind

State = Mapping[str, npt.NDArray[Any]]


class Head(NamedTuple):
    """Scalars of what is known of a market, as `HEAD_DTYPE` holds them: times in ns.

    Attributes
    ----------
    latest_known : int
        `ts_known` of the last event.
    n_prices, n_open_interest, n_singles, n_totals : int
        Events taken: prices, snapshots, single liquidations, buckets of liquidations.
    anchor, mark : float
        First and last price, USD.
    mark_ts, mark_bin, slot : int
        `ts_event` of the mark, its bin counted from the grid's lowest, its σ slot.
    n_slots : int
        σ slots closed.
    open_interest_ts, open_interest_known : int
        Both times of the last snapshot.
    open_interest_coins : float
        Its value, one side.
    """

    latest_known: int
    n_prices: int
    anchor: float
    mark: float
    mark_ts: int
    mark_bin: int
    slot: int
    n_slots: int
    n_open_interest: int
    open_interest_ts: int
    open_interest_known: int
    open_interest_coins: float
    n_singles: int
    n_totals: int


HEAD_DTYPE: Final = np.dtype(
    [
        (name, "<f8" if name in ("anchor", "mark", "open_interest_coins") else "<i8")
        for name in Head._fields
    ]
)
"""`Head` as one record of an array."""

SLOT_DTYPE: Final = np.dtype([("slot", "<i8"), ("ts_event", "<i8"), ("log_price", "<f8")])
"""One closed σ slot: its index, the time of its last price, ln(that price / anchor)."""

EVIDENCE_DTYPE: Final = np.dtype(
    [
        ("hour", "<i8"),
        ("single_long_usd", "<f8"),
        ("single_short_usd", "<f8"),
        ("total_long_usd", "<f8"),
        ("total_short_usd", "<f8"),
    ]
)
"""Observed liquidations of one hour (counted from 1970), by source and side."""


class Reading(NamedTuple):
    """What events say at a time: the fields of a `Forecast` that are no estimator's to choose.

    Attributes
    ----------
    mark : float
        The last price, USD; 0 before the first.
    mark_ts : int
        Its `ts_event`, ns.
    sigma_1d : float
        σ of a day; NaN where it is unknown.
    open_interest_usd : float
        At the last snapshot, valued at the mark; NaN before the first.
    """

    mark: float
    mark_ts: int
    sigma_1d: float
    open_interest_usd: float


READING_DTYPE: Final = np.dtype([(n, "<i8" if n == "mark_ts" else "<f8") for n in Reading._fields])
"""`Reading` as a record of an array."""


def market_arrays(params: MapParams, market: MarketSpec) -> Market:
    """Return the state of a market of which nothing is known."""
    constants = rules(params, market.price_kind)
    half = int(constants["half"][0])
    steps = np.arange(-half, half + 1)
    relative = np.ones((2, 2 * half + 1))
    relative[0] = np.exp(steps * params.step)
    relative[1, :-1] = np.exp((steps[:-1] + 0.5) * params.step)
    evidence = np.zeros(24, dtype=EVIDENCE_DTYPE)
    evidence["hour"] = -1
    return Market(
        rules=constants,
        head=np.zeros(1, dtype=HEAD_DTYPE),
        slots=np.zeros(params.n_slots, dtype=SLOT_DTYPE),
        evidence=evidence,
        relative=relative,
        edges=np.zeros(2 * half + 1),
        centres=np.zeros(2 * half),
    )


def restored(into: Mapping[str, npt.NDArray[Any]], state: State) -> None:
    """Copy the arrays of `state` over those of `into`, name by name.

    Raises
    ------
    DataError
        If an array is missing, unknown, or of another shape or type; names it.
    """
    if set(into) != set(state):
        names = ", ".join(sorted(set(into) ^ set(state)))
        raise DataError(f"the saved state is of another estimator: {names} do not match")
    for name, target in into.items():
        saved = np.asarray(state[name])
        if saved.shape != target.shape or saved.dtype != target.dtype:
            raise DataError(
                f"the saved state is of another configuration: {name} is {saved.dtype.name}"
                f"{list(saved.shape)}, {target.dtype.name}{list(target.shape)} is expected"
            )
        target[...] = saved


class Contracts:
    """Sizes of an inverse market in USD: what is held of a contract that is margined in its coin.

    So many contracts stay open while the price moves, and are worth as many USD and other coins. So
    the books of such a market hold USD, and a move of the price opens and closes nothing.

    Parameters
    ----------
    market : MarketSpec
        The market.

    Attributes
    ----------
    last_price : ndarray of float64, shape (1,)
        The last price so far, USD; NaN before the first.
    """

    def __init__(self, market: MarketSpec) -> None:
        self._price_kind = int(market.price_kind)
        self._field = "p0" if market.price_kind == Kind.TRADE else "p3"
        self.last_price = np.full(1, np.nan)

    def in_usd(self, events: Events) -> Events:
        """Return the next events with USD in the place of coins.

        Trades and single liquidations at their price, bars at the middle of their range (in log
        price), open interest as stated in USD, else at the last price; before any price it is left
        out.
        """
        out, kind = np.array(events), events["kind"]
        priced = kind == self._price_kind
        known = np.concatenate([self.last_price, events[self._field][priced]])
        price = known[np.cumsum(priced)]
        for one in (Kind.TRADE, Kind.LIQUIDATION):
            mine = kind == one
            out["p1"][mine] *= events["p0"][mine]
        bars = kind == Kind.BAR
        out["p4"][bars] *= np.sqrt(events["p1"][bars] * events["p2"][bars])
        held = kind == Kind.OPEN_INTEREST
        coins, usd = events["p0"][held], events["p1"][held]
        out["p0"][held] = np.where(np.isnan(usd), coins * price[held], usd)
        self.last_price[0] = known[-1]
        known_usd: Events = out[~(held & np.isnan(out["p0"]))]
        return known_usd


def read_only(events: Events) -> Events:
    """Return events as kernels are compiled for: contiguous and read-only."""
    if events.flags.writeable or not events.flags.c_contiguous:
        events = np.ascontiguousarray(events).view()
        events.setflags(write=False)
    return events


def market_readings(
    events: Events, at: IntArray, params: MapParams, market: MarketSpec
) -> npt.NDArray[Any]:
    """Return what the events of one market say at each time, by the rules of every estimator here.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        In canonical order.
    at : ndarray of int64, shape (n,)
        Times, ns UTC, rising; at each, exactly the events with `ts_known < at` are read.
    params : MapParams
        Window, sampling and coverage of σ.
    market : MarketSpec
        Which kind gives the mark.

    Returns
    -------
    ndarray of READING_DTYPE, shape (n,)
    """
    out = np.zeros(len(at), READING_DTYPE)
    cuts = np.searchsorted(events["ts_known"], at, side="left")
    read_market(read_only(np.asarray(events)), cuts, at, market_arrays(params, market), out)
    return out
