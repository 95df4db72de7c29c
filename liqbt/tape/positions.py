"""Tapes of the same prices that are told otherwise of positions: by nothing, or from another time.

Both are functions of a tape. Prices, bars, trades and funding stay what they are, bit for bit, in
their order and with both clocks; what is rewritten is open interest.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from liqbt.errors import DataError
from liqbt.tape.values import Tape, trusted_tape
from liqbt.types import DAY_NS, Events, FloatArray, IntArray, Kind, Ns

_FLOWN_NS: Final[Ns] = 30 * DAY_NS
"""A constant inflow has flowed for so long before the first snapshot."""
_TOLD: Final = (Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL, Kind.POSITION)

LEAST_SHIFT_NS: Final[Ns] = 7 * DAY_NS
"""No open-interest change of a placebo history comes from less than this before or after."""


def price_only_tape(tape: Tape) -> Tape:
    """Return the tape of the price-only twin: constant inflow, no liquidations, no positions.

    Each snapshot of open interest keeps its place and both clocks. Its coins are those of a
    constant inflow that had flowed for thirty days before the first: inflow · (t − first + 30 d),
    t its `ts_event`. The inflow is the mean of all rises over the time that the snapshots span
    (where none ever rose, one coin a day): it is the one number that is taken from positions, and
    a scale. Where a snapshot stated USD, its coins are valued at the last price before it.

    Parameters
    ----------
    tape : Tape
        Of one market.

    Returns
    -------
    Tape
        Of the same instruments.
    """
    events = tape.events[~np.isin(tape.events["kind"], _TOLD)]
    for rows in _snapshots(events):
        at = events["ts_event"][rows]
        order = np.argsort(at, kind="stable")
        rises = np.diff(events["p0"][rows][order]).clip(min=0.0).sum()
        span = int(at.max() - at.min())
        inflow = rises / span if rises > 0.0 and span > 0 else 1.0 / DAY_NS
        _restate(events, rows, inflow * (at - at.min() + _FLOWN_NS), _prices(events, rows))
    return trusted_tape(events, tape.instruments)


def shifted_tape(tape: Tape, share: float) -> Tape:
    """Return the tape of a placebo history: open-interest changes of another time.

    The log changes from snapshot to snapshot are shifted circularly, by a number of snapshots that
    spans at least seven days wherever it is counted from; level by level they are added to the
    first. Times, and the price that USD are stated at, are those of the record.
    Recorded positions are left out: they would be of the real time.

    Parameters
    ----------
    tape : Tape
        Of one market.
    share : float
        Which of the shifts: how far from the smallest to the largest, in [0, 1).

    Raises
    ------
    DataError
        If there is no open interest, it is not positive, or the record is too short for any shift.
    """
    events = np.array(tape.events[tape.events["kind"] != Kind.POSITION])
    found = _snapshots(events)
    if not found:
        raise DataError("the tape holds no open interest: there is nothing to shift")
    for rows in found:
        coins = events["p0"][rows]
        if not (coins > 0.0).all():
            raise DataError(
                f"open interest is {coins.min():g} coins at one of {len(rows)} snapshots; its "
                "changes can be shifted where it is positive"
            )
        change = np.diff(np.log(coins))
        shift = _shift(events["ts_known"][rows], share)
        moved = np.cumsum(np.concatenate([[0.0], np.roll(change, shift)]))
        _restate(events, rows, coins[0] * np.exp(moved), events["p1"][rows] / coins)
    return trusted_tape(events, tape.instruments)


def _shift(known: IntArray, share: float) -> int:
    """Return by how many snapshots changes are shifted."""
    n = len(known) - 1
    ahead = np.searchsorted(known, known + LEAST_SHIFT_NS, side="left") - np.arange(n + 1)
    least = int(ahead.max())  # one with less than seven days ahead is shifted out of the record
    if n < 2 * least:
        days = float(known[-1] - known[0]) / DAY_NS
        raise DataError(
            f"open interest spans {days:.3g} days: a shift by at least seven days to either side "
            "needs twice as many"
        )
    return least + int(share * (n - 2 * least + 1))


def _snapshots(events: Events) -> list[IntArray]:
    """Return the rows of open interest, instrument by instrument."""
    rows = np.flatnonzero(events["kind"] == Kind.OPEN_INTEREST)
    of = events["instrument"][rows]
    return [rows[of == instrument] for instrument in np.unique(of)]


def _restate(events: Events, rows: IntArray, coins: FloatArray, price: FloatArray) -> None:
    """Write open interest over; USD stay unknown where they were."""
    events["p0"][rows] = coins
    events["p1"][rows] = np.where(np.isnan(events["p1"][rows]), np.nan, coins * price)


def _prices(events: Events, rows: IntArray) -> FloatArray:
    """Return the last price before each row, of mark, else bar, else trade; NaN where none is."""
    for kind, field in ((Kind.MARK, "p3"), (Kind.BAR, "p3"), (Kind.TRADE, "p0")):
        priced = np.flatnonzero(events["kind"] == kind)
        if len(priced):
            last = np.searchsorted(priced, rows) - 1
            price = events[field][priced[np.maximum(last, 0)]]
            return np.where(last >= 0, price, np.nan)
    return np.full(len(rows), np.nan)
