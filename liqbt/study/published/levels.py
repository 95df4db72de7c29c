"""From rows of a file to the levels of each market, by time: sorted, disjoint, never empty.

A row with `low == high` is a level without width. It becomes a band one bin wide whose near edge is
the level itself and which goes on outward, away from the price; where the next row of its side
begins sooner, it ends there. So the level is touched exactly where it was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.estimators.published import PublishedLevels
from liqbt.study.published.reading import PublishedRows
from liqbt.study.summary import iso
from liqbt.types import CLUSTER_DTYPE, FloatArray, IntArray, Ns

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
    """

    published: PublishedLevels
    number: IntArray
    stated: Mapping[Ns, FloatArray]
    n_single: int


def market_levels(rows: PublishedRows, symbol: int, step: float) -> MarketLevels:
    """Return the levels of one market of a file.

    Parameters
    ----------
    rows : PublishedRows
        The file's rows.
    symbol : int
        Which of its symbols.
    step : float
        Width of a bin in log price: that of a level without width.

    Raises
    ------
    DataError
        If two rows of one side and time overlap; names both.
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
    _refuse_overlap(rows, mine, (low, high), neighbours)
    at, first = np.unique(rows.at[mine], return_index=True)
    return MarketLevels(
        published=PublishedLevels(
            at=at,
            offsets=np.append(first, len(mine)).astype(np.int64),
            levels=_clusters(rows, mine, low, high),
        ),
        number=rows.number[mine],
        stated={horizon_ns: values[mine] for horizon_ns, values in rows.stated.items()},
        n_single=int(single.sum()),
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


def _refuse_overlap(
    rows: PublishedRows,
    mine: IntArray,
    bands: tuple[FloatArray, FloatArray],
    neighbours: npt.NDArray[np.bool_],
) -> None:
    """Refuse rows of one side and time that overlap, in the order from the price outward."""
    low, high = bands
    short = rows.side[mine][1:] < 0
    meet = np.where(short, low[1:] < high[:-1] * _BELOW, high[1:] * _BELOW > low[:-1])
    meet |= (low >= high)[:-1]  # a level with nothing left before the row that begins on it
    bad = np.flatnonzero(neighbours & meet)
    if len(bad):
        one, other = sorted((mine[bad[0]], mine[bad[0] + 1]))
        raise DataError(
            f"{rows.file}: rows {rows.number[one]} and {rows.number[other]}, both "
            f"{'short' if rows.side[one] < 0 else 'long'} at {iso(int(rows.at[one]))}, overlap: "
            f"[{rows.low[one]:g}, {rows.high[one]:g}) and "
            f"[{rows.low[other]:g}, {rows.high[other]:g}); expected each price once a side and time"
        )


def _clusters(
    rows: PublishedRows, mine: IntArray, low: FloatArray, high: FloatArray
) -> npt.NDArray[np.void]:
    """Return the rows as clusters; nothing is known of a peak, so it is the middle."""
    out = np.zeros(len(mine), CLUSTER_DTYPE)
    out["side"], out["low"], out["high"] = rows.side[mine], low, high
    out["peak"] = np.clip(np.sqrt(low) * np.sqrt(high), low, high)
    out["notional_usd"] = rows.notional_usd[mine]
    out["density_rank"] = 1.0
    out.setflags(write=False)
    return out
