"""From rows of a file to the levels of each market, by time: sorted, disjoint, never empty.

Rows of one side and time that overlap are one band: their union, with the sum of their notional.
It is visited when its near edge is, which is that of its row nearest to the price: so that row's
stated probability is the band's. Or such rows are refused, where that is asked for. The same row
twice is always refused: its notional would count twice.

A row with `low == high` is a level without width. It becomes a band one bin wide whose near edge is
the level itself and which goes on outward, away from the price; where the next row of its side
begins sooner, it ends there. So the level is touched exactly where it was published.

Levels wait for a price. Whoever publishes at `at` knows the price of `at`; a tape of hourly candles
knows one that is up to an hour older. About that, a level that the price has since neared and one
that it has left are no mirror images. So where the newest price known at `at` is older than
`OLDEST_MARK`, the rows are issued as soon as a price of `at` or later is known, and are measured
from that: the end of the bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.estimators.published import PublishedLevels
from liqbt.study.published.level_file import PublishedRows
from liqbt.study.summary import iso
from liqbt.tape.values import Tape
from liqbt.types import CLUSTER_DTYPE, DAY_NS, FloatArray, IntArray, Kind, Ns

OLDEST_MARK: Final = DAY_NS // 100
"""The oldest that a mark may be at issue: a random walk has then gone a tenth of σ of a day."""

Overlaps: TypeAlias = Literal["merge", "refuse"]
"""What becomes of rows of one side and time that overlap."""

_BELOW: Final = 1.0 - 1e-12  # as evaluation: edges may differ in their last bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketLevels:
    """What a file says of one market.

    Attributes
    ----------
    published : PublishedLevels
        Its levels, for the estimator.
    number : ndarray of int64, shape (n,)
        Row number in the file of each level.
    stated : mapping of int to ndarray of float64, shape (n,)
        By horizon in ns: the stated probability of each level; NaN where there is none.
    n_single : int
        Levels that were published without a width.
    n_merged : int
        Rows that are part of a band of several.
    n_moved, n_dropped : int
        Times of issue that waited for a price; and those that are not scored, since no price came
        or the next rows were due by then.
    """

    published: PublishedLevels
    number: IntArray
    stated: Mapping[Ns, FloatArray]
    n_single: int
    n_merged: int = 0
    n_moved: int = 0
    n_dropped: int = 0


def awaited(levels: MarketLevels, tape: Tape, kind: Kind, file: str) -> MarketLevels:
    """Return levels issued when a price of their time is known; see the module.

    Parameters
    ----------
    levels : MarketLevels
        As published.
    tape : Tape
        The events.
    kind : Kind
        Of the price.
    file : str
        The file's name, for messages.

    Raises
    ------
    DataError
        If no price ever comes.
    """
    prices, at = tape.of(kind), levels.published.at
    seen = np.searchsorted(prices["ts_known"], at, side="left")
    newest = np.maximum.accumulate(prices["ts_event"])[np.maximum(seen - 1, 0)]
    old = (seen == 0) | (at - newest > OLDEST_MARK)
    order = np.argsort(prices["ts_event"], kind="stable")
    never = np.iinfo(np.int64).max
    known = np.append(prices["ts_known"][order] + 1, never)
    soonest = np.minimum.accumulate(known[::-1])[::-1]
    issued = np.where(old, soonest[np.searchsorted(prices["ts_event"][order], at)], at)
    later = np.append(np.minimum.accumulate(issued[:0:-1])[::-1], never)
    keep = issued < later
    if not keep.any():
        raise DataError(f"{file}: no {kind.name.lower()} of its times or later is in the log")
    counts = np.diff(levels.published.offsets)
    rows = np.repeat(keep, counts)
    return replace(
        levels,
        published=PublishedLevels(
            at=issued[keep],
            offsets=np.cumsum(np.append(0, counts[keep])),
            levels=levels.published.levels[rows],
        ),
        number=levels.number[rows],
        stated={horizon_ns: values[rows] for horizon_ns, values in levels.stated.items()},
        n_moved=int((keep & old).sum()),
        n_dropped=int((~keep).sum()),
    )


def market_levels(
    rows: PublishedRows, symbol: int, step: float, *, overlaps: Overlaps = "merge"
) -> MarketLevels:
    """Return the levels of one market of a file.

    Parameters
    ----------
    rows : PublishedRows
        The file's rows.
    symbol : int
        Which of its symbols.
    step : float
        Width of a bin in log price: that of a level without width.
    overlaps : str
        What becomes of rows of one side and time that overlap: `merge` or `refuse`.

    Raises
    ------
    DataError
        If two rows are the same, or overlap where that is refused; names both.
    """
    mine = np.flatnonzero(rows.symbol == symbol)
    short = rows.side[mine] < 0
    outward = np.where(short, rows.low[mine], -rows.high[mine])
    far = np.where(short, rows.high[mine], -rows.low[mine])
    order = np.lexsort((far, outward, rows.side[mine], rows.at[mine]))
    mine, short = mine[order], short[order]
    low, high = rows.low[mine].copy(), rows.high[mine].copy()
    single = low == high
    neighbours = _neighbours(rows, mine)
    _widen(low, high, single, short, neighbours, step)
    _refuse_same(rows, mine, neighbours)
    if overlaps == "refuse":
        _refuse_overlap(rows, mine, (low, high), neighbours)
    first = _bands(low, high, short, neighbours)
    levels = _clusters(rows, mine, low, high, first)
    mine, parts = mine[first], np.diff(np.append(first, len(mine)))
    at, times = np.unique(rows.at[mine], return_index=True)
    return MarketLevels(
        published=PublishedLevels(
            at=at, offsets=np.append(times, len(mine)).astype(np.int64), levels=levels
        ),
        number=rows.number[mine],
        stated={horizon_ns: values[mine] for horizon_ns, values in rows.stated.items()},
        n_single=int(single.sum()),
        n_merged=int(parts[parts > 1].sum()),
    )


def _neighbours(rows: PublishedRows, mine: IntArray) -> npt.NDArray[np.bool_]:
    """Return where a row and the one after it are of one time and side, shape (n - 1,)."""
    at, side = rows.at[mine], rows.side[mine]
    return np.asarray((at[1:] == at[:-1]) & (side[1:] == side[:-1]))


def _widen(
    low: FloatArray,
    high: FloatArray,
    single: npt.NDArray[np.bool_],
    short: npt.NDArray[np.bool_],
    neighbours: npt.NDArray[np.bool_],
    step: float,
) -> None:
    """Give levels without width one bin outward, at most to where the next row begins."""
    following_low, following_high = np.full(len(low), np.inf), np.zeros(len(low))
    following_low[:-1][neighbours] = low[1:][neighbours]
    following_high[:-1][neighbours] = high[1:][neighbours]
    up, down = single & short, single & ~short
    widened_high = np.minimum(low * np.exp(step), following_low)
    widened_low = np.maximum(high * np.exp(-step), following_high)
    high[up], low[down] = widened_high[up], widened_low[down]


def _bands(
    low: FloatArray,
    high: FloatArray,
    short: npt.NDArray[np.bool_],
    neighbours: npt.NDArray[np.bool_],
) -> IntArray:
    """Return where bands begin, among rows that go from the price outward at each time and side.

    A row belongs to the band before it where it begins within it, or where that has no width left.
    """
    near, far = np.where(short, low, -high), np.where(short, high, -low)
    group = np.append(0, np.cumsum(~neighbours))
    order = np.lexsort((far, group))
    rank = np.empty(len(far), np.int64)
    rank[order] = np.arange(len(far))
    reached = far[order[np.maximum.accumulate(rank)]]  # the farthest so far, of the row's own group
    within = near[1:] < reached[:-1] - np.abs(reached[:-1]) * (1.0 - _BELOW)
    within |= (low >= high)[:-1]
    return np.flatnonzero(np.append(True, ~(within & neighbours)))


def _refuse_same(rows: PublishedRows, mine: IntArray, neighbours: npt.NDArray[np.bool_]) -> None:
    """Refuse a row that stands twice."""
    one, other = mine[:-1], mine[1:]
    same = neighbours.copy()
    for values in (rows.low, rows.high, rows.notional_usd):
        same &= values[one] == values[other]
    bad = np.flatnonzero(same)
    if len(bad):
        first, second = sorted((one[bad[0]], other[bad[0]]))
        raise DataError(
            f"{rows.file}: rows {rows.number[first]} and {rows.number[second]} are the same, "
            f"{_said(rows, first)}; expected each row once"
        )


def _refuse_overlap(
    rows: PublishedRows,
    mine: IntArray,
    bands: tuple[FloatArray, FloatArray],
    neighbours: npt.NDArray[np.bool_],
) -> None:
    """Refuse rows of one side and time that overlap, in the order from the price outward."""
    begun = np.zeros(len(mine), bool)
    begun[_bands(*bands, rows.side[mine] < 0, neighbours)] = True
    bad = np.flatnonzero(~begun)
    if len(bad):
        one, other = sorted((mine[bad[0] - 1], mine[bad[0]]))
        raise DataError(
            f"{rows.file}: rows {rows.number[one]} and {rows.number[other]}, the first "
            f"{_said(rows, one)}, overlap; expected each price once a side and time, or overlaps "
            "to be merged, as they are by default"
        )


def _said(rows: PublishedRows, row: int) -> str:
    side = "short" if rows.side[row] < 0 else "long"
    return f"{side} at {iso(int(rows.at[row]))} on [{rows.low[row]:g}, {rows.high[row]:g})"


def _clusters(
    rows: PublishedRows, mine: IntArray, low: FloatArray, high: FloatArray, first: IntArray
) -> npt.NDArray[np.void]:
    """Return the bands as clusters; nothing is known of a peak, so it is the middle."""
    out = np.zeros(len(first), CLUSTER_DTYPE)
    out["side"] = rows.side[mine][first]
    out["low"] = low = np.minimum.reduceat(low, first)
    out["high"] = high = np.maximum.reduceat(high, first)
    out["peak"] = np.clip(np.sqrt(low) * np.sqrt(high), low, high)
    out["notional_usd"] = np.add.reduceat(rows.notional_usd[mine], first)
    out["density_rank"] = 1.0
    out.setflags(write=False)
    return out
